#!/usr/bin/env bash
# nginx, redis and a Python app in one real container, podvisor as PID 1: user 65532, read-only root, no capabilities.
#
# Shows: /readyz is 200 only when all three answer; redis killed by -9 comes back; `podman stop` takes them down in
# order with exit code 0.
set -euo pipefail
cd "$(dirname "$0")/../.."

binary=${1:?usage: container.sh PODVISOR_BINARY}
image=localhost/podvisor-test:$$
name=podvisor-test-$$
read -r port web <<< "$(python3 -c '
import socket
held = [socket.socket() for _ in range(2)]
for s in held: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))')"
work=$(mktemp -d)
root=$work/root
podman=(podman --runtime runc)

fail() { echo "FAIL: $*" >&2; "${podman[@]}" logs --tail 40 "$name" >&2 || true; exit 1; }
clean() {
  "${podman[@]}" rm -f -t 0 "$name" > /dev/null 2>&1 || true
  "${podman[@]}" rmi -f "$image" > /dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean EXIT

# This machine's own programs with what they need, and nothing else: nothing can be pulled where this runs, and a copy
# is made in a second.
for path in bin lib lib64; do mkdir -p "$root/usr/$path"; ln -s "usr/$path" "$root/$path"; done
mkdir -p "$root"/{dev,etc,proc,sys,tmp,usr/local/bin}
chmod 1777 "$root/tmp" # the mount on it takes its mode
programs=(/bin/sh /bin/sed /usr/sbin/nginx /usr/bin/redis-server /usr/bin/redis-cli /usr/bin/python3)
python=$(/usr/bin/python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
cp -L --parents "${programs[@]}" "$root"
tar -C / --exclude=__pycache__ --exclude=test --exclude=idlelib --exclude='config-*' -c "${python#/}" | tar -C "$root" -x
ldd "${programs[@]}" "$python"/lib-dynload/*.so | awk '/=> \// { print $3 } /^\t\// { print $1 }' | sort -u | xargs cp -L --parents -t "$root"
printf 'root:x:0:0::/:/bin/sh\n' > "$root/etc/passwd"
printf 'root:x:0:\n' > "$root/etc/group"
install -m 755 "$binary" "$root/usr/local/bin/podvisor"
install -d "$root/etc/podvisor"
install -m 644 tests/real/container.yaml "$root/etc/podvisor/podvisor.yaml"
install -m 644 tests/real/nginx.conf "$root/etc/podvisor/nginx.conf"
install -m 644 tests/real/app.py "$root/etc/podvisor/app.py"
tar -C "$root" -c . | "${podman[@]}" import -q --change 'ENTRYPOINT ["/usr/local/bin/podvisor","run"]' - "$image" > /dev/null

"${podman[@]}" run -d --name "$name" --network host --ulimit nofile=20000:20000 --ulimit nproc=4000:4000 \
  --user 65532:65532 --read-only --read-only-tmpfs=false --tmpfs /tmp:rw,size=16m,mode=1777 --cap-drop all \
  --security-opt no-new-privileges --memory 128m --stop-timeout 20 \
  -e PODVISOR_LISTEN="127.0.0.1:$port" -e NGINX_PORT="$web" "$image" > /dev/null

status() { curl -s -o "$work/body" -w '%{http_code}' -A kube-probe/1.36 --max-time 1 "http://127.0.0.1:$port$1" || true; }
wait_for() { # PATH STATUS SECONDS
  local until=$((SECONDS + $3))
  while [ "$(status "$1")" != "$2" ]; do
    ((SECONDS < until)) || fail "$1 is $(status "$1"), not $2: $(cat "$work/body" 2>/dev/null)"
    sleep 0.05
  done
}

# The app waits a second before it listens, so the first answers are 503 with the reason.
wait_for /livez 200 10
[ "$(status /readyz)" = 503 ] || fail "/readyz is 200 before the app answers"
grep -q 'app' "$work/body" || fail "/readyz does not name the app: $(cat "$work/body")"
wait_for /readyz 200 20
for service in redis app nginx; do [ "$(status "/readyz/$service")" = 200 ] || fail "$service is not ready"; done

# From outside, through nginx and the app to redis.
visit() { curl -s --max-time 5 "http://127.0.0.1:$web/"; }
[[ "$(visit)" == "visit :"* ]] || fail "the app does not answer through nginx: $(visit)"

redis() { curl -s "http://127.0.0.1:$port/metrics" | sed -n "s/^podvisor_service_restarts_total{name=\"redis\",reason=\"signal\"} //p"; }
[ "$(redis)" = 0 ] || fail "redis was restarted already"
pid=$("${podman[@]}" top "$name" hpid args | awk '/redis-server/ { print $1; exit }')
kill -9 "$pid"
until [ "$(redis)" = 1 ]; do ((SECONDS < 60)) || fail "redis did not come back"; sleep 0.05; done
wait_for /readyz 200 10
[[ "$(visit)" == "visit :"* ]] || fail "the app does not answer after redis came back: $(visit)"

before=$(date +%s%N)
"${podman[@]}" stop "$name" > /dev/null
took=$((($(date +%s%N) - before) / 1000000))
code=$("${podman[@]}" inspect -f '{{.State.ExitCode}}' "$name")
[ "$code" = 0 ] || fail "exit code $code"
order=$("${podman[@]}" logs "$name" 2>&1 | sed -n 's/.*stopped.*service=\([a-z]*\).*/\1/p' | tr '\n' ' ')
[ "$order" = "nginx app redis " ] || fail "stopped in the order: $order"
echo "container: ready, redis killed and back, stopped in order in ${took} ms with exit code 0"
