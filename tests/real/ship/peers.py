"""The real receivers: started on free ports of loopback, asked what they have, ended with the test."""

import json
import os
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from receivers import Http

PEERS = os.environ.get("PODVISOR_PEERS") or os.path.expanduser("~/.cache/podvisor-peers")
DEADLINE = 30
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def free_ports(count):
    """All at once, so that no two are the same."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def until(condition, what, seconds=DEADLINE):
    """Waits for a condition; what it gave."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.01)
    return found


def post(url, body, headers=(), method="POST", timeout=DEADLINE):
    """(status, body), whatever the status."""
    # Left alone, urllib calls every body a form, and VictoriaLogs then reads it as one, keeps nothing and answers 200.
    request = urllib.request.Request(url, body, {"Content-Type": "application/x-ndjson", **dict(headers)}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def accepts(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


RUNNING = set()


def stop_all():
    """What a case that failed has left."""
    for peer in list(RUNNING):
        peer.stop()


class Peer:
    """A program of somebody else's, in a folder that goes with it."""

    def __init__(self, name, ports):
        self.folder = tempfile.TemporaryDirectory(prefix=f"podvisor-{name}-")
        self.program = os.path.join(PEERS, "bin", name)
        if not os.access(self.program, os.X_OK):
            raise SystemExit(f"FAIL: {self.program} is not there: run tests/real/ship/install.sh")
        self.ports = ports
        self.process = None

    def start(self, *arguments):
        self.log = open(os.path.join(self.folder.name, "log"), "ab")
        self.process = subprocess.Popen(
            [self.program, *arguments], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        RUNNING.add(self)
        until(lambda: self.process.poll() is not None or all(map(accepts, self.ports)), f"{self.program} listens")
        if self.process.poll() is not None:
            raise AssertionError(f"{self.program} ended: {self.said()}")

    def said(self):
        with open(self.log.name, errors="replace") as log:
            return log.read()

    def stop(self):
        RUNNING.discard(self)
        if self.process:
            self.process.terminate()
            self.process.wait(DEADLINE)
            self.log.close()
        self.folder.cleanup()


class Collector(Peer):
    """OpenTelemetry's Collector. What it has taken it hands to a receiver of our own, behind it, before it answers: so its
    answer is the end's, and faults can be played there too."""

    def __init__(self, **options):
        self.grpc, self.http = free_ports(2)
        super().__init__("otelcol", [self.grpc, self.http])
        self.behind = Http("otlp", **options)
        config = os.path.join(self.folder.name, "config.yaml")
        with open(config, "w") as file:
            file.write(f"""
receivers:
  otlp:
    protocols:
      grpc: {{ endpoint: "127.0.0.1:{self.grpc}" }}
      http: {{ endpoint: "127.0.0.1:{self.http}" }}
exporters:
  otlp_http:
    endpoint: {self.behind.url()}
    compression: none
    sending_queue: {{ enabled: false }}
    retry_on_failure: {{ enabled: false }}
service:
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines:
    logs: {{ receivers: [otlp], exporters: [otlp_http] }}
""")
        self.start(f"--config=file:{config}")

    def grpc_url(self):
        return f"http://127.0.0.1:{self.grpc}"

    def http_url(self, path=""):
        return f"http://127.0.0.1:{self.http}{path}"

    def records(self):
        return self.behind.records()

    def count(self):
        return self.behind.count()

    def stop(self):
        super().stop()
        self.behind.stop()


class VictoriaLogs(Peer):
    def __init__(self):
        self.port = free_ports(1)[0]
        super().__init__("victoria-logs", [self.port])
        self.start(
            f"-httpListenAddr=127.0.0.1:{self.port}",
            f"-storageDataPath={self.folder.name}/data",
            "-retentionPeriod=100y",
            "-futureRetention=1y",
            "-memory.allowedBytes=256MiB",
        )

    def url(self, path=""):
        return f"http://127.0.0.1:{self.port}{path}"

    def query(self, query, **options):
        """Rows of a LogsQL query over all time."""
        until(lambda: post(self.url("/internal/force_flush"), b"", method="GET")[0] == 200, "flushed")
        form = urllib.parse.urlencode({"query": query, "start": "2000-01-01T00:00:00Z", "end": "2100-01-01T00:00:00Z", **options})
        status, body = post(self.url("/select/logsql/query"), form.encode(), FORM, timeout=300)
        if status != 200:
            raise AssertionError(f"{query}: {status} {body[:300]!r}")
        return [json.loads(line.decode(errors="surrogateescape")) for line in body.split(b"\n") if line]

    def count(self):
        return int(self.query("* | stats count() as n")[0]["n"])


class Gate:
    """A TCP way to a port that can be shut, cut, and made to swallow: an outage in the middle, for any receiver."""

    def __init__(self, port):
        self.to = port
        self.port = free_ports(1)[0]
        self.lock = threading.Lock()
        self.pairs = set()
        self.listener = None
        self.swallow = False
        self.open()

    def url(self, path=""):
        return f"http://127.0.0.1:{self.port}{path}"

    def open(self, swallow=False):
        """`swallow`: connections are taken, and nothing that comes goes on."""
        self.swallow = swallow
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(128)
        self.listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def shut(self):
        """Connections are refused from now on, and those there are are cut."""
        listener, self.listener = self.listener, None
        if listener:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.cut()

    def cut(self):
        with self.lock:
            pairs = list(self.pairs)
        for one in pairs:
            for end in one:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                return
            pair = (near, far)
            with self.lock:
                self.pairs.add(pair)
            left = [2]
            for a, b in (pair, pair[::-1]):
                threading.Thread(target=self._pump, args=(a, b, pair, left), daemon=True).start()

    def _pump(self, a, b, pair, left):
        try:
            while data := a.recv(1 << 16):
                if not self.swallow:
                    b.sendall(data)
        except OSError:
            pass
        try:
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        with self.lock:
            left[0] -= 1
            if not left[0]:
                self.pairs.discard(pair)
                a.close()
                b.close()
