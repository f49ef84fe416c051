"""Runs a command and tells what it leaves behind: subreaper.py FOLDER COMMAND...

FOLDER/pid gets the command's pid, FOLDER/left every process that was still there when the command had ended (one a
line), and FOLDER/code its exit code, last. What it leaves behind is inherited by this process, also when it called
setsid, forked twice, or wrote over its environment; then it is killed.
"""

import ctypes
import os
import signal
import sys

PR_SET_CHILD_SUBREAPER = 36


def children():
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return [int(pid) for pid in file.read().split()]


def describe(pid):
    with open(f"/proc/{pid}/stat") as file:
        state = file.read().rsplit(")", 1)[1].split()[0]
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        words = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
    return f"{pid} {state} {words}"


def write(name, text):
    path = os.path.join(sys.argv[1], name)
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)


if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
    raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
main = os.fork()
if main == 0:
    try:
        os.execvp(sys.argv[2], sys.argv[2:])
    except OSError as error:
        print(f"{sys.argv[2]}: {error.strerror}", file=sys.stderr)
        os._exit(127)
write("pid", f"{main}\n")
# TERM comes when the test itself fails: nothing may outlive it.
signal.signal(signal.SIGTERM, lambda *_: os.kill(main, signal.SIGKILL))
_, status = os.waitpid(main, 0)
left = []
while True:
    rest = children()
    if not rest:
        break
    for pid in rest:
        # Zombies too: whoever ends must have waited for all of them.
        left.append(describe(pid))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
write("left", "".join(f"{line}\n" for line in left))
write("code", f"{os.waitstatus_to_exitcode(status)}\n")
