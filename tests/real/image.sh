#!/usr/bin/env bash
# The image of the Dockerfile's last stage, from a binary that is there already: as PID 1 on a read-only root, as a random
# user, with no capabilities and 64 MiB; and its `install` into an image that knows nothing of podvisor.
set -euo pipefail
cd "$(dirname "$0")/../.."

binary=${1:?usage: image.sh PODVISOR_BINARY}
image=localhost/podvisor-image:$$
app=localhost/podvisor-app:$$
name=podvisor-image-$$
read -r port web <<< "$(python3 -c '
import socket
held = [socket.socket() for _ in range(2)]
for s in held: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))')"
work=$(mktemp -d)
podman=(podman --runtime runc)
restricted=(--network host --ulimit nofile=20000:20000 --ulimit nproc=4000:4000 --read-only --read-only-tmpfs=false
  --cap-drop all --security-opt no-new-privileges --user "$((RANDOM + 10000))")

fail() { echo "FAIL: image: $*" >&2; "${podman[@]}" logs --tail 40 "$name" >&2 || true; exit 1; }
clean() {
  "${podman[@]}" rm -f -t 0 "$name" > /dev/null 2>&1 || true
  "${podman[@]}" rmi -f "$image" "$app" > /dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean EXIT
answers() { curl -s -o "$work/body" -w '%{http_code}' -A kube-probe/1.36 --max-time 1 "http://127.0.0.1:$port$1" || true; }
wait_for() { # PATH STATUS
  local until=$((SECONDS + 20))
  while [ "$(answers "$1")" != "$2" ]; do
    ((SECONDS < until)) || fail "$1 is not $2: $(cat "$work/body" 2>/dev/null)"
    sleep 0.05
  done
}
stops() { # SECONDS
  local began=$EPOCHREALTIME
  "${podman[@]}" stop -t 10 "$name" > /dev/null
  took=$(awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f", b - a }')
  local code
  code=$("${podman[@]}" inspect -f '{{.State.ExitCode}}' "$name")
  [ "$code" = 0 ] || fail "it ended with $code"
  awk -v t="$took" -v most="$1" 'BEGIN { exit !(t < most) }' || fail "it took $took s to stop"
}

# The last stage as it stands, with what the build stage would have made.
mkdir "$work/context"
install -m 755 "$binary" "$work/context/podvisor"
mkdir -p "$work/context/etc/ssl/certs"
cp /etc/ssl/certs/ca-certificates.crt "$work/context/etc/ssl/certs/"
sed -n '/^FROM scratch/,$p' Dockerfile | sed 's/--from=build //; /^HEALTHCHECK/d' > "$work/context/Dockerfile"
buildah bud -q --isolation chroot -t "$image" "$work/context" > /dev/null 2> "$work/log" || { cat "$work/log" >&2; exit 1; }
size=$(stat -c %s "$binary")

# A service that a scratch image can have: podvisor's own receiver.
cat > "$work/podvisor.yaml" <<YAML
services:
  receiver:
    command: [/podvisor, receive, --listen, '127.0.0.1:$web']
    readinessProbe: { tcpSocket: { port: $web }, periodSeconds: 1 }
logs: { sinks: { own: { type: http, endpoint: 'http://localhost:$web/' } } }
# The receiver is a service too and ends first: its own last words find nobody.
shutdown: { flushTimeout: 200ms }
YAML
chmod 644 "$work/podvisor.yaml"
"${podman[@]}" run -d --name "$name" "${restricted[@]}" --memory 64m --tmpfs /run/podvisor:rw,size=1m,mode=1777 \
  -v "$work/podvisor.yaml:/etc/podvisor/podvisor.yaml:ro" -e PODVISOR_LISTEN="127.0.0.1:$port" "$image" > /dev/null
wait_for /readyz 200
for path in /livez /startupz /metrics /; do [ "$(answers "$path")" = 200 ] || fail "$path"; done
"${podman[@]}" exec "$name" /podvisor status > "$work/status" || fail "status"
grep -q '^receiver  ready' "$work/status" || fail "$(cat "$work/status")"
"${podman[@]}" exec "$name" /podvisor check ready > /dev/null || fail "check ready"
"${podman[@]}" exec "$name" /podvisor logs receiver -o raw | grep -q "listening on" || fail "logs"
stops 1.5
"${podman[@]}" rm -f "$name" > /dev/null
alone=$took

# An image that knows nothing of podvisor: nginx with what it needs.
root=$work/root
for path in bin lib lib64; do mkdir -p "$root/usr/$path"; ln -s "usr/$path" "$root/$path"; done
mkdir -p "$root"/{dev,etc/nginx,proc,sys,tmp}
chmod 1777 "$root/tmp" # the mount on it takes its mode
cp -L --parents /usr/sbin/nginx "$root"
ldd /usr/sbin/nginx | awk '/=> \// { print $3 } /^\t\// { print $1 }' | sort -u | xargs cp -L --parents -t "$root"
cp tests/real/nginx.conf "$root/etc/nginx/nginx.conf"
tar -C "$root" -c . | "${podman[@]}" import -q - "$app" > /dev/null
mkdir -m 777 "$work/opt"
"${podman[@]}" run --rm "${restricted[@]}" -v "$work/opt:/opt/podvisor" "$image" install /opt/podvisor > /dev/null || fail "install"
cat > "$work/podvisor.yaml" <<YAML
services:
  nginx:
    command: [/usr/sbin/nginx, -c, /tmp/nginx.conf, -g, 'daemon off;', -e, stderr]
    dependsOn: []
    readinessProbe: { httpGet: { path: /, port: $web }, periodSeconds: 1 }
    stop: { signal: SIGQUIT }
YAML
cat > "$work/nginx.conf" <<CONF
pid /tmp/nginx.pid;
events {}
http {
  access_log /dev/stdout;
  client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c; uwsgi_temp_path /tmp/d; scgi_temp_path /tmp/e;
  server { listen 127.0.0.1:$web; location / { return 200 "unmodified\n"; } }
}
CONF
sed -i 's|/tmp/nginx.conf|/etc/podvisor/nginx.conf|' "$work/podvisor.yaml"
chmod 644 "$work/nginx.conf"
"${podman[@]}" run -d --name "$name" "${restricted[@]}" --memory 64m --tmpfs /tmp:rw,size=16m,mode=1777 \
  --tmpfs /run/podvisor:rw,size=1m,mode=1777 -v "$work/opt:/opt/podvisor:ro" \
  -v "$work/podvisor.yaml:/etc/podvisor/podvisor.yaml:ro" -v "$work/nginx.conf:/etc/podvisor/nginx.conf:ro" \
  -e PODVISOR_LISTEN="127.0.0.1:$port" --entrypoint '["/opt/podvisor/podvisor"]' "$app" run > /dev/null
wait_for /readyz 200
[ "$(curl -s "http://127.0.0.1:$web/")" = unmodified ] || fail "nginx does not answer"
"${podman[@]}" exec "$name" /opt/podvisor/podvisor restart nginx 2> /dev/null || fail "restart"
[ "$(curl -s "http://127.0.0.1:$web/")" = unmodified ] || fail "nginx does not answer after a restart"
stops 2
awk -v b="$size" -v a="$alone" -v i="$took" 'BEGIN {
  printf "ok   image: %.1f MB, stops in %s s; injected beside nginx, stops in %s s\n", b / 1e6, a, i }'
