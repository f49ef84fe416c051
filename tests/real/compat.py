"""`podvisor run -- CMD` in the place of tini and dumb-init: compat.py BINARY [NAME-OF-A-CASE...].

Every case stands alone and has a deadline. Cases that need a namespace of their own (podvisor as PID 1) need root or
user namespaces; nothing is skipped.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from concurrent.futures import ThreadPoolExecutor

BINARY = sys.argv[1]
RUN = [BINARY, "run", "--listen", "off"]
SPACE = ["unshare", *([] if os.getuid() == 0 else ["-Ur"]), "--pid", "--fork", "--mount-proc", "--kill-child=KILL"]
DEADLINE = 15

# Not to be caught; raised by faults; the terminal's word to background jobs; kept by C libraries (34 by musl); PIPE,
# which podvisor's own writes may raise.
NOT_HANDED_ON = {9, 19, 17, 4, 5, 6, 7, 8, 11, 31, 21, 22, 32, 33, 34, 13}
HANDED_ON = [n for n in range(1, 65) if n not in NOT_HANDED_ON]
# These two start podvisor's own deadline as well.
STOPS = (signal.SIGTERM, 37)

CASES = []


def case(function):
    CASES.append(function)
    return function


def both(function):
    """The case twice: as an ordinary process, and as PID 1."""
    for first, name in ((RUN, ""), (SPACE + RUN, " (as PID 1)")):
        def one(first=first):
            function(first)
        one.__name__ = function.__name__ + name
        CASES.append(one)
    return function


def same(found, wanted, what=""):
    if found != wanted:
        raise AssertionError(f"{what}: {found!r}, not {wanted!r}")


def run(command, first=RUN, flags=(), **options):
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("timeout", DEADLINE)
    return subprocess.run([*first, *flags, "--", *command], capture_output=True, **options)


def shell(script, first=RUN, flags=(), **options):
    return run(["/bin/sh", "-c", script], first, flags, **options)


def until(condition, what, seconds=DEADLINE):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.01)


def lives(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(word) for word in file.read().split()]
    except FileNotFoundError:
        return []


class Started:
    """podvisor with a command that talks on its stdout; `supervisor` is podvisor's pid as seen from here."""

    def __init__(self, command, first=RUN, flags=()):
        self.process = subprocess.Popen(
            [*first, *flags, "--", *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.text = b""
        self.first = first

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    @property
    def supervisor(self):
        return self.process.pid if self.first is RUN else children(self.process.pid)[0]

    def line(self, wanted):
        end = time.monotonic() + DEADLINE
        while wanted.encode() not in self.text.split(b"\n")[:-1]:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise AssertionError(f"no line {wanted!r} in {self.text[-300:]!r}")
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                raise AssertionError(f"ended without a line {wanted!r}: {self.text[-300:]!r} {self.process.stderr.read()!r}")
            self.text += more

    def code(self):
        code = self.process.wait(DEADLINE)
        return code


# ---------------------------------------------------------------- exit codes

@case
def every_exit_code_is_the_commands():
    with ThreadPoolExecutor(4) as pool:
        codes = pool.map(lambda n: shell(f"exit {n}").returncode, range(256))
        same(list(codes), list(range(256)))


@case
def exit_codes_as_pid_1():
    for n in (0, 1, 2, 17, 64, 100, 126, 127, 128, 130, 137, 143, 254, 255):
        same(shell(f"exit {n}", SPACE + RUN).returncode, n)


@both
def a_death_by_a_signal_is_128_and_its_number(first):
    stopped_or_ignored = {17, 18, 19, 20, 21, 22, 23, 28, 32, 33}
    for n in range(1, 65):
        if n not in stopped_or_ignored:
            code = run(["/bin/sh", "-c", f"ulimit -c 0; kill -{n} $$"], first).returncode
            same(code, 128 + n, f"signal {n}")


@both
def what_cannot_be_run(first):
    with tempfile.TemporaryDirectory() as folder:
        same(run(["/no/such/program"], first).returncode, 127)
        same(run(["no-such-program-anywhere"], first).returncode, 127)
        same(run([folder], first).returncode, 126, "a folder")
        same(run(["/etc/hostname"], first).returncode, 126, "no execute permission")
        script = os.path.join(folder, "bad")
        with open(script, "w") as file:
            file.write("#!/no/such/interpreter\n")
        os.chmod(script, 0o755)
        assert run([script], first).returncode in (126, 127)


@both
def an_orphans_exit_code_is_nobodys(first):
    same(shell("(sh -c 'sleep 0.05; exit 9' &) ; sleep 0.2; exit 3", first).returncode, 3)


# ---------------------------------------------------------------- signals

LISTENER = """
import os, signal, sys
for n in %r:
    signal.signal(n, lambda n, _: os.write(1, b"got %%d\\n" %% n))
print("here", flush=True)
while True: signal.pause()
"""


@both
def every_signal_is_handed_on(first):
    with Started(["python3", "-c", LISTENER % (HANDED_ON,)], first, ["--deadline", "10s"]) as it:
        it.line("here")
        for n in sorted(HANDED_ON, key=lambda n: n in STOPS):
            os.kill(it.supervisor, n)
            it.line(f"got {n}")


@both
def a_signal_comes_each_time(first):
    with Started(["python3", "-c", "import os,signal\nn=0\ndef f(*_):\n global n\n n+=1\n os.write(1,b'got %d\\n'%n)\n"
                  "signal.signal(10,f)\nos.write(1,b'here\\n')\nwhile 1: signal.pause()"], first) as it:
        it.line("here")
        for n in range(1, 21):
            os.kill(it.supervisor, signal.SIGUSR1)
            it.line(f"got {n}")


@both
def a_command_without_a_handler_dies_of_it(first):
    for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, 37, 64):
        with Started(["/bin/sh", "-c", "echo here; exec sleep 100"], first) as it:
            it.line("here")
            os.kill(it.supervisor, n)
            same(it.code(), 128 + n, f"signal {n}")


@both
def a_command_that_will_not_end_is_killed_at_the_deadline(first):
    with Started(["/bin/sh", "-c", "trap '' TERM; echo here; while :; do sleep 1; done"], first, ["--deadline", "1s"]) as it:
        it.line("here")
        since = time.monotonic()
        os.kill(it.supervisor, signal.SIGTERM)
        same(it.code(), 137)
        assert time.monotonic() - since < 3


@both
def the_whole_group_gets_it(first):
    script = "sh -c 'trap \"echo inner; exit\" USR1; echo ready; while :; do sleep 0.02; done' & trap 'echo outer; wait; exit 7' USR1; wait"
    with Started(["/bin/sh", "-c", script], first) as it:
        it.line("ready")
        os.kill(it.supervisor, signal.SIGUSR1)
        it.line("inner")
        it.line("outer")
        same(it.code(), 7)


@both
def a_single_child_gets_it_alone(first):
    script = "sh -c 'trap \"echo inner\" USR1; echo ready; while :; do sleep 0.02; done' & trap 'echo outer; sleep 0.2; exit 7' USR1; wait"
    with Started(["/bin/sh", "-c", script], first, ["--single-child"]) as it:
        it.line("ready")
        os.kill(it.supervisor, signal.SIGUSR1)
        it.line("outer")
        same(it.code(), 7)
        assert b"inner" not in it.text


# ---------------------------------------------------------------- what the command finds

def whatever_was_set():
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP})
    for n in (signal.SIGPIPE, signal.SIGTTIN, signal.SIGTTOU, signal.SIGTSTP, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD):
        signal.signal(n, signal.SIG_IGN)


@both
def no_signal_is_blocked_or_ignored(first):
    for before in (None, whatever_was_set):
        done = run(["grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status"], first, preexec_fn=before)
        masks = re.findall(rb"^Sig\w+:\s+(\w+)$", done.stdout, re.M)
        same([int(mask, 16) for mask in masks], [0, 0], done)


@both
def arguments_environment_and_folder_are_as_they_were(first):
    words = ["", " ", "-c", "--", "--help", "a b", "ä\n", "$HOME", "*", "\\", '"', "'"]
    show = "import os,sys; print([sys.argv[1:], os.environ['KEPT'], os.getcwd(), os.umask(0), os.nice(0)])"
    with tempfile.TemporaryDirectory() as folder:
        folder = os.path.realpath(folder)
        done = run(["python3", "-c", show, *words], first, cwd=folder, env={**os.environ, "KEPT": "a=b c"},
                   preexec_fn=lambda: (os.umask(0o027), os.nice(3)))
        same(done.stdout.decode().strip(), str([words, "a=b c", folder, 0o027, 3]), done.stderr)


@case
def a_program_is_found_by_path_and_beside():
    with tempfile.TemporaryDirectory() as folder:
        tool = os.path.join(folder, "tool-of-the-test")
        with open(tool, "w") as file:
            file.write("#!/bin/sh\nexit 42\n")
        os.chmod(tool, 0o755)
        same(run(["tool-of-the-test"], env={**os.environ, "PATH": folder + ":/bin"}).returncode, 42)
        same(run(["./tool-of-the-test"], cwd=folder).returncode, 42)
        same(run([tool], env={}).returncode, 42, "no environment at all")


@case
def limits_are_as_they_were():
    import resource
    soft, hard = 777, 2222
    done = run(["/bin/sh", "-c", "ulimit -Sn; ulimit -Hn; ulimit -Sc"],
               preexec_fn=lambda: (resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),
                                   resource.setrlimit(resource.RLIMIT_CORE, (0, 0))))
    same(done.stdout.split(), [b"777", b"2222", b"0"])


# ---------------------------------------------------------------- standard input and output

@both
def standard_input_is_passed_through(first):
    data = os.urandom(3_000_000)
    same(run(["cat"], first, stdin=None, input=data).stdout == data, True, "3 MB through a pipe")
    with open("/etc/passwd", "rb") as file:
        same(run(["cat"], first, stdin=file).stdout, open("/etc/passwd", "rb").read(), "a file")
    same(run(["cat"], first).stdout, b"", "/dev/null")


@both
def output_is_passed_on_byte_by_byte(first):
    script = "import os\nos.write(1, bytes(range(256))*1000 + b'no newline')"
    same(run(["python3", "-c", script], first).stdout == bytes(range(256)) * 1000 + b"no newline", True, "no newline")
    with tempfile.NamedTemporaryFile() as file:
        file.write(os.urandom(5_000_000))
        file.flush()
        same(run(["cat", file.name], first).stdout == read(file.name), True, "5 MB")


@case
def stderr_stays_stderr():
    done = shell("echo out; echo err >&2")
    same((done.stdout, done.stderr), (b"out\n", b"err\n"))


@case
def closed_descriptors_do_not_matter():
    for closed in ("0<&-", "0<&- 1>&-", "0<&- 1>&- 2>&-", "2>&-"):
        code = subprocess.run(["/bin/sh", "-c", f'"$@" {closed}', "sh", *RUN, "--", "/bin/sh", "-c", "exit 6"], timeout=DEADLINE,
                              capture_output=True).returncode
        same(code, 6, closed)


@case
def it_says_nothing_of_its_own():
    done = run(["true"])
    same((done.stdout, done.stderr, done.returncode), (b"", b"", 0))


# ---------------------------------------------------------------- orphans

@both
def orphans_are_reaped(first):
    with Started(["/bin/sh", "-c", "for i in $(seq 200); do (sh -c 'sleep 0.1' &); done; echo here; exec sleep 100"], first) as it:
        it.line("here")
        until(lambda: len(children(it.supervisor)) == 1, "all 200 reaped")
        os.kill(it.supervisor, signal.SIGTERM)
        same(it.code(), 143)


@both
def what_is_left_ends_with_the_command(first):
    """Also what has left its session; it is asked first."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        script = (f"setsid sh -c 'trap \"echo asked > {folder}/asked; exit\" TERM; echo x > {folder}/up; while :; do sleep 0.02; done' &\n"
                  f"sleep 1000 &\nuntil [ -e {folder}/up ]; do sleep 0.02; done; exit 5")
        before = set(os.listdir("/proc"))
        same(shell(script, first).returncode, 5)
        left = [p for p in set(os.listdir("/proc")) - before if p.isdigit() and folder.encode() in read(f"/proc/{p}/cmdline")]
        same(left, [], "left behind")


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return b""


@case
def it_does_not_outlive_podvisor():
    with Started(["/bin/sh", "-c", "echo here; exec sleep 1000"]) as it:
        it.line("here")
        main = children(it.supervisor)[0]
        it.process.kill()
        until(lambda: not lives(main), "the command ends with podvisor")


# ---------------------------------------------------------------- terminals

class Terminal:
    """A session of its own on a pseudo terminal; `first` runs in its foreground."""

    def __init__(self, command, env=None):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            try:
                os.execvpe(command[0], command, {**os.environ, "PS1": "prompt> ", "TERM": "dumb", "HISTFILE": "", **(env or {})})
            finally:
                os._exit(99)
        self.text = b""
        self.status = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.status is None:
            for pid in children(self.pid):
                kill(pid)
            kill(self.pid)
            os.waitpid(self.pid, 0)
        if self.master >= 0:
            os.close(self.master)

    def read(self, seconds):
        if select.select([self.master], [], [], seconds)[0]:
            try:
                self.text += os.read(self.master, 65536)
            except OSError:
                time.sleep(0.01)

    def see(self, wanted):
        """Waits for the text, and forgets all up to its end."""
        end = time.monotonic() + DEADLINE
        while wanted.encode() not in self.text:
            if time.monotonic() > end:
                raise AssertionError(f"no {wanted!r} on the terminal: {self.text!r}")
            self.read(0.05)
        before, _, self.text = self.text.partition(wanted.encode())
        return before

    def type(self, text):
        os.write(self.master, text.encode())

    def code(self):
        end = time.monotonic() + DEADLINE
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
                for _ in range(3):
                    self.read(0)
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > end:
                raise AssertionError(f"does not end; the terminal shows {self.text!r}")
            self.read(0.01)


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


@both
def on_a_terminal_the_command_is_in_the_foreground(first):
    show = "import os; print('tty', os.isatty(0), 'foreground', os.tcgetpgrp(0) == os.getpgrp(), 'own', os.getpgrp() == os.getpid())"
    with Terminal([*first, "--", "python3", "-c", show]) as it:
        it.see("tty True foreground True own True")
        same(it.code(), 0)


@both
def on_a_terminal_it_has_the_controlling_terminal(first):
    with Terminal([*first, "--", "/bin/sh", "-c", "echo hello > /dev/tty && exit 4"]) as it:
        it.see("hello")
        same(it.code(), 4)


@case
def on_a_terminal_its_output_is_the_terminal():
    """A prompt without a newline shows at once; programs that ask isatty(1) behave as without podvisor."""
    with Terminal([*RUN, "--", "/bin/sh", "-c", "test -t 1 && test -t 2 && echo both; printf 'name? '; read name; exit 3"]) as it:
        it.see("both")
        it.see("name? ")
        it.type("x\n")
        same(it.code(), 3)


@case
def on_a_terminal_a_prompt_shows_at_once():
    with Terminal([*RUN, "--", "/bin/sh", "-c", "printf 'name? '; read name; echo hello $name; exit 3"]) as it:
        it.see("name? ")
        it.type("x\n")
        it.see("hello x")
        same(it.code(), 3)


@both
def on_a_terminal_ctrl_c_reaches_the_command(first):
    for key, number in (("\x03", 2), ("\x1c", 3)):
        with Terminal([*first, "--", "/bin/sh", "-c", "ulimit -c 0; echo here; exec sleep 100"]) as it:
            it.see("here")
            it.type(key)
            same(it.code(), 128 + number)
    with Terminal([*first, "--", "/bin/sh", "-c", "trap 'echo caught; exit 9' INT; echo here; while :; do sleep 0.05; done"]) as it:
        it.see("here")
        it.type("\x03")
        it.see("caught")
        same(it.code(), 9)


@both
def on_a_terminal_a_shell_has_job_control(first):
    with Terminal([*first, "--", "bash", "--norc", "--noprofile", "-i"]) as it:
        start = it.see("prompt> ")
        assert b"no job control" not in start and b"cannot set" not in start, start
        it.type("sleep 77\n")
        time.sleep(0.3)
        it.type("\x1a")
        it.see("Stopped")
        it.see("prompt> ")
        it.type("jobs; echo listed-$((1+1))\n")
        it.see("listed-2")
        it.type("fg\n")
        it.see("sleep 77")
        time.sleep(0.2)
        it.type("\x03")
        it.see("prompt> ")
        # The shell still sets the terminal when it has echoed the line, so the pipeline itself says when it reads.
        it.type("sh -c 'echo up-$((1+1)); exec cat' | cat\n")
        it.see("up-2")
        it.type("through\n")
        it.see("through\r\nthrough")
        it.type("\x04")
        it.see("prompt> ")
        it.type("exit 21\n")
        same(it.code(), 21)


@case
def on_a_terminal_the_foreground_is_given_back():
    """Whoever reads after podvisor, in a script without job control, is not stopped by TTIN."""
    for script, code in (("exit 3", 3), ("kill -9 $$", 137), ("read x; exit 4", 4)):
        with Terminal(["/bin/sh", "-c", '"$@"; echo "code $?"; read line; echo "read $line"', "sh", *RUN, "--", "/bin/sh", "-c", script]) as it:
            if "read" in script:
                time.sleep(0.2)
                it.type("one\n")
            it.see(f"code {code}")
            it.type("line\n")
            it.see("read line")
            same(it.code(), 0)


@case
def on_a_terminal_its_size_is_the_terminals():
    with Terminal([*RUN, "--", "/bin/sh", "-c", "trap 'stty size' WINCH; echo here; while :; do sleep 0.05; done"]) as it:
        it.see("here")
        fcntl.ioctl(it.master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 111, 0, 0))
        it.see("33 111")
        it.type("\x03")
        same(it.code(), 130)


@case
def a_terminal_that_goes_away_ends_it():
    with Terminal([*RUN, "--", "/bin/sh", "-c", "echo here; exec sleep 1000"]) as it:
        it.see("here")
        os.close(it.master)
        it.master = -1
        end = time.monotonic() + DEADLINE
        while os.waitpid(it.pid, os.WNOHANG)[0] == 0:
            assert time.monotonic() < end, "it lives on without its terminal"
            time.sleep(0.01)
        it.status = 0


@case
def in_the_background_of_a_terminal_it_leaves_it_to_the_shell():
    """`podvisor run -- CMD &`: the terminal is the shell's, which would read an end of file without it."""
    with Terminal(["bash", "--norc", "--noprofile", "-i"]) as it:
        it.see("prompt> ")
        it.type(" ".join(RUN) + " -- sh -c 'echo up-$((1+1)); sleep 1; exit 12' &\n")
        it.see("up-2")
        it.type("echo mine-$((1+1)); wait $!; echo code-$?\n")
        it.see("mine-2")
        it.see("code-12")
        it.type("exit\n")
        same(it.code(), 0)


# ----------------------------------------------------------------

def main():
    wanted = sys.argv[2:]
    failures = []
    began = time.monotonic()
    done = 0
    for one in CASES:
        if wanted and not any(word in one.__name__ for word in wanted):
            continue
        since = time.monotonic()
        try:
            one()
        except Exception as error:  # noqa: BLE001: every case is tried
            kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
            failures.append(one.__name__)
            print(f"FAIL: {one.__name__}: {kind}{error}", file=sys.stderr, flush=True)
        done += 1
        if os.environ.get("VERBOSE"):
            print(f"{time.monotonic() - since:6.2f} s {one.__name__}", flush=True)
    if failures:
        sys.exit(f"compat: {len(failures)} of {done} failed")
    print(f"compat: {done} cases, as of tini and dumb-init, in {time.monotonic() - began:.1f} s")


main()
