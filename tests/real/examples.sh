#!/usr/bin/env bash
# Runs every folder of examples/ with the real programs, as an ordinary user, on free ports.
#
# Each: /readyz turns 200, the app answers, a service killed by -9 comes back, TERM ends all in reverse order with exit
# code 0, and no process is left. Needs what install.sh installs; fails where something is missing, never skips.
set -euo pipefail
cd "$(dirname "$0")/../.."

binary=$(realpath "${1:?usage: examples.sh PODVISOR_BINARY}")
# PostgreSQL and php-fpm refuse to run as root.
as=()
[ "$(id -u)" != 0 ] || as=(setpriv --reuid nobody --regid nogroup --clear-groups)

top=$(mktemp -d)
chmod 755 "$top"
# The user must be able to read the binary and the examples wherever this clone is.
install -m 755 "$binary" "$top/podvisor"
cp -r examples "$top/examples"
chmod -R a+rX "$top/examples"
runner=
example=

fail() {
  echo "FAIL: $example: $*" >&2
  tail -n 30 "$work/log" | cut -c 1-300 >&2 || true
  exit 1
}
clean() {
  [ -z "$runner" ] || kill -TERM "$runner" 2> /dev/null || true
  [ -z "$runner" ] || wait "$runner" 2> /dev/null || true
  rm -rf "$top"
}
trap clean EXIT

free_ports() { # COUNT
  python3 -c '
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in held: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))' "$1"
}

# Tries until it is true: until_true SECONDS WHAT COMMAND...
until_true() {
  local until=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    ((SECONDS < until)) || fail "$what: not within the time"
    [ ! -e "$report/code" ] || fail "$what: podvisor has ended with $(cat "$report/code")"
    sleep 0.02
  done
}

start() { # NAME VARIABLE=VALUE...
  example=$1
  shift
  # A short path: sockets are below it, and their names have at most 107 bytes.
  work=$top/$example
  rm -rf "$work/report"
  mkdir -p "$work/run" "$work/report" "$work/home"
  chmod 1777 "$work/run" "$work/home"
  report=$work/report
  began=$(date +%s%N)
  (cd "$top/examples/$example" && exec env "$@" HOME="$work/home" XDG_RUNTIME_DIR="$work/home" TMPDIR="$work/home" \
    PODVISOR_LISTEN="127.0.0.1:$health" TERMINATION_LOG_PATH="$work/home/termination" NO_COLOR=1 \
    python3 "$OLDPWD/tests/real/subreaper.py" "$report" "${as[@]}" "$top/podvisor" run -c podvisor.yaml) > "$work/log" 2>&1 &
  runner=$!
  until_true 10 "podvisor's pid" test -e "$report/pid"
  supervisor=$(cat "$report/pid")
}

get() { curl -s -o "$work/body" -w '%{http_code}' -A kube-probe/1.36 --max-time 5 "http://127.0.0.1:$1" || true; }
is() { [ "$(get "$1")" = "$2" ]; }
ready() { # [SERVICE...]
  until_true 60 "/readyz" is "$health/readyz" 200
  local service
  for service in "$@"; do is "$health/readyz/$service" 200 || fail "/readyz/$service: $(cat "$work/body")"; done
  ready_ms=$((($(date +%s%N) - began) / 1000000))
}
says() { # PORT/PATH TEXT
  is "$1" 200 || fail "http://127.0.0.1:$1: $(cat "$work/body")"
  grep -qF -- "$2" "$work/body" || fail "http://127.0.0.1:$1 does not say \"$2\": $(cat "$work/body")"
}

# A service's main process: podvisor's child whose program is this one.
main_of() { # PROGRAM
  local pid
  for pid in $(cat "/proc/$supervisor/task/$supervisor/children"); do
    [[ "$(readlink "/proc/$pid/exe")" != *"/$1"* ]] || { echo "$pid"; return; }
  done
  return 1
}
restarts() { curl -s "http://127.0.0.1:$health/metrics" | sed -n "s/^podvisor_service_restarts_total{name=\"$1\",reason=\"signal\"} //p"; }
restarted() { [ "$(restarts "$1")" = "$2" ]; }
another() { local now; now=$(main_of "$1") && [ "$now" != "$2" ]; }
crash() { # SERVICE PROGRAM
  local pid since
  pid=$(main_of "$2") || fail "no process of $2"
  [ "$(restarts "$1")" = 0 ] || fail "$1 was restarted before"
  since=$(date +%s%N)
  kill -9 "$pid"
  until_true 20 "$1 is restarted" restarted "$1" 1
  until_true 20 "$2 has a new process" another "$2" "$pid"
  ready "$1"
  back_ms=$((($(date +%s%N) - since) / 1000000))
}

stop() { # ORDER
  local since
  since=$(date +%s%N)
  kill -TERM "$supervisor"
  ended "$1" "$since"
}
ended() { # ORDER SINCE
  local order
  wait "$runner" || fail "subreaper.py failed"
  runner=
  took_ms=$((($(date +%s%N) - $2) / 1000000))
  [ "$(cat "$report/code")" = 0 ] || fail "exit code $(cat "$report/code")"
  [ ! -s "$report/left" ] || fail "left behind: $(cat "$report/left")"
  # What was stopped to be restarted comes before the shutdown.
  order=$(sed -n '/podvisor: .*\(asked to stop\|shutting down\)/,$ s/.* stopped .*service=\([a-z-]*\).*/\1/p' "$work/log" | tr '\n' ' ')
  order=${order/flaky /} # the quickstart's: it may be up or not when its turn comes
  [ "$order" = "$1 " ] || fail "stopped in the order: $order"
  ! grep -qE 'ERROR|panicked|stopped by killing' "$work/log" || fail "an error in the log"
}
told() { echo "$example: $*"; }

nginx_php_fpm() {
  start nginx-php-fpm RUN_DIR="$top/nginx-php-fpm/run" PORT="$port"
  ready configure php-fpm nginx
  says "$port/" "Hello from PHP"
  crash php-fpm php-fpm
  local back=$back_ms
  crash nginx nginx
  says "$port/" "Hello from PHP"
  # A request that is on its way when the container is stopped gets its answer.
  curl -s --max-time 10 "http://127.0.0.1:$port/?sleep=1" > "$work/slow" &
  local slow=$!
  until_true 5 "the slow request has come to php-fpm" busy
  stop "nginx php-fpm"
  wait "$slow" && grep -q "Hello from PHP" "$work/slow" || fail "the slow request was cut off: $(cat "$work/slow")"
  local outside
  outside=$(find "$work/home" -type f | head -3)
  [ -z "$outside" ] || fail "written outside of RUN_DIR: $outside"
  told "ready in $ready_ms ms, php-fpm back in $back ms, nginx in $back_ms ms, stopped in $took_ms ms with a request of 1 s on its way"
}
# nginx holds a connection to php-fpm's socket only while a request is on its way.
busy() { ss -xH state established | grep -q "$work/run/php-fpm.sock"; }

redis_python() {
  start redis-python DATA_DIR="$top/redis-python/run" PORT="$port" REDIS_PORT="$second"
  ready redis app
  says "$port/" "visit 1"
  crash redis redis
  ready app
  says "$port/" "visit 2"
  stop "app redis"
  told "ready in $ready_ms ms, redis back with its data in $back_ms ms, stopped in $took_ms ms"
}

postgres_app() {
  start postgres-app RUN_DIR="$top/postgres-app/run" PORT="$port" PG_BIN="$pg"
  ready initdb postgres migrate app
  local first=$ready_ms
  says "$port/" "visit 1"
  crash postgres postgres
  ready app
  says "$port/" "visit 2"
  stop "app postgres"
  grep -q "database system is shut down" "$work/log" || fail "postgres did not shut down cleanly"
  local back=$back_ms took=$took_ms
  # Again: the database is there, and was left in order.
  start postgres-app RUN_DIR="$top/postgres-app/run" PORT="$port" PG_BIN="$pg"
  ready initdb postgres migrate app
  says "$port/" "visit 3"
  stop "app postgres"
  grep -q "there is a database already" "$work/log" || fail "initdb ran again"
  ! grep -q "not properly shut down" "$work/log" || fail "postgres had to recover"
  told "ready in $first ms with initdb, $ready_ms ms without; postgres back in $back ms; stopped in $took ms"
}

quickstart() {
  start quickstart
  ready db migrate web
  until_true 5 "flaky is restarted" grep -q "restarts .*service=flaky" "$work/log"
  # Nobody stops it: it ends by itself.
  local since
  until_true 30 "the tour is over" grep -q "that was the tour" "$work/log"
  since=$(date +%s%N)
  ended "web db logs" "$since"
  told "ready in $ready_ms ms, ended by itself, in order"
}

for program in nginx redis-server redis-cli python3 curl ss setpriv php-fpm8.2; do
  command -v "$program" > /dev/null || PATH=$PATH:/usr/sbin command -v "$program" > /dev/null \
    || { echo "FAIL: $program is missing; tests/real/install.sh installs it" >&2; exit 1; }
done
pg=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin | sort -V | tail -1)
[ -x "$pg/initdb" ] || { echo "FAIL: postgresql is missing; tests/real/install.sh installs it" >&2; exit 1; }
export PATH=$PATH:/usr/sbin

for each in ${EXAMPLES:-quickstart redis_python nginx_php_fpm postgres_app}; do
  read -r port second health <<< "$(free_ports 3)"
  "$each"
done
