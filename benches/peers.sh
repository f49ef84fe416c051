#!/bin/sh
# Installs the supervisors that the benchmarks run beside podvisor (Debian or Ubuntu, as root).
# Says nothing and does nothing when all is there. None of them is started.
set -eu

missing=
need() { # package, a program of it
    [ -x "/usr/bin/$2" ] || [ -x "/bin/$2" ] || missing="$missing $1"
}
need s6 s6-svscan
need runit runsvdir
need supervisor supervisord
need tini tini
need dumb-init dumb-init
need catatonit catatonit

if [ -n "$missing" ]; then
    # A package's post-install script would start its daemon: refuse that for the time of this install only.
    policy=/usr/sbin/policy-rc.d
    made=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        made=1
    fi
    # `runit` recommends packages that take over the machine's init: it is installed without them.
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null || status=$?
    [ -z "$made" ] || rm -f "$policy"
    [ "${status:-0}" = 0 ] || exit "$status"
fi

bin="${CARGO_HOME:-$HOME/.cargo}/bin"
[ -x "$bin/horust" ] || nice -n 19 cargo install --quiet --locked --version 0.1.14 horust
[ -x "$bin/zinit-server" ] || nice -n 19 cargo install --quiet --locked --version 0.3.6 --features full zinit
