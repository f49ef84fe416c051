"""Ships logs with the real podvisor to real receivers and to strict ones, and counts: ship.py [GROUP or CASE...].

Groups: see README.md. Each case stands alone, on free ports of loopback. Nothing is skipped.
"""

import signal
import sys
import time
import traceback

import cases_chaos  # noqa: F401
import cases_deliver  # noqa: F401
import cases_faults  # noqa: F401
import cases_peers  # noqa: F401
import peers
from cases import CASES, title

ORDER = ("oracle", "facts", "deliver", "faults", "chaos")


def main(wanted):
    chosen = [
        (group, one)
        for group in ORDER
        for one in CASES[group]
        if not wanted or group in wanted or one.__name__ in wanted
    ]
    if not chosen:
        raise SystemExit(f"FAIL: nothing is called {' '.join(wanted)}")
    # An end from outside unwinds as any other, so that nothing is left running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    failed = 0
    for group, one in chosen:
        start = time.monotonic()
        try:
            told = one()
        except Exception:
            failed += 1
            print(f"FAIL {group}: {title(one)}\n{traceback.format_exc()}", flush=True)
        else:
            print(f"ok   {group}: {title(one)} ({time.monotonic() - start:.1f} s){f': {told}' if told else ''}", flush=True)
        finally:
            peers.stop_all()
    print(f"ship: {len(chosen) - failed} of {len(chosen)} cases")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main(sys.argv[1:])
