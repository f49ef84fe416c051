"""podvisor itself: a config, a start, its metrics, and its end."""

import json
import os
import re
import signal
import subprocess
import tempfile
import urllib.request

import peers
import said

PODVISOR = os.path.abspath(os.environ.get("PODVISOR", "target/release/podvisor"))
POD = {
    "POD_NAME": "web-5d8f-x2x7k",
    "POD_NAMESPACE": "shop",
    "POD_UID": "0f1e2d3c-0000-4000-8000-000000000001",
    "NODE_NAME": "node-7",
    "CONTAINER_NAME": "main",
}
ATTRIBUTES = {
    "k8s.pod.name": POD["POD_NAME"],
    "k8s.namespace.name": POD["POD_NAMESPACE"],
    "k8s.pod.uid": POD["POD_UID"],
    "k8s.node.name": POD["NODE_NAME"],
    "k8s.container.name": POD["CONTAINER_NAME"],
    "service.instance.id": "shop.web-5d8f-x2x7k.main",
}
KUBERNETES = {
    "pod_name": POD["POD_NAME"],
    "pod_namespace": POD["POD_NAMESPACE"],
    "pod_uid": POD["POD_UID"],
    "pod_node_name": POD["NODE_NAME"],
    "container_name": POD["CONTAINER_NAME"],
}
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Podvisor:
    """`says`: lines of each service. `stay`: they stay until ended, so the end is a TERM; else it is their completion."""

    def __init__(self, says, sinks, *, stay=False, spool=None, first=0, logs=(), service_logs=(), env=()):
        if not os.access(PODVISOR, os.X_OK):
            raise SystemExit(f"FAIL: no binary at {PODVISOR}: PODVISOR=path, or cargo build --release")
        self.folder = tempfile.TemporaryDirectory(prefix="podvisor-ship-")
        self.port = peers.free_ports(1)[0]
        self.says = says
        self.records = sum(said.records(first, lines) for lines in says.values())
        self.done = {service: self.path(f"done-{service}") for service in says}
        services = {}
        for service, lines in says.items():
            services[service] = {
                "type": "daemon" if stay else "oneshot",
                "command": ["python3", said.__file__, service, str(lines), str(first)],
                "env": {"SAID_DONE": self.done[service], **({"SAID_STAY": "1"} if stay else {})},
                "logs": {"whenFull": "block", **dict(service_logs)},
            }
        config = {
            "services": services,
            "logs": {"console": {"format": "none"}, "sinks": sinks, **({"spool": spool} if spool else {}), **dict(logs)},
            "http": {"listen": f"127.0.0.1:{self.port}"},
            "shutdown": {"deadline": "40s", "flushTimeout": "30s"},
        }
        with open(self.path("podvisor.yaml"), "w") as file:
            json.dump(config, file, indent=1)  # JSON is YAML
        self.env = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **POD, **dict(env)}
        self.process = None

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def __enter__(self):
        self.log = open(self.path("log"), "wb")
        self.process = subprocess.Popen(
            [PODVISOR, "run", "-c", self.path("podvisor.yaml")],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=self.env, cwd=self.folder.name,
        )  # fmt: skip
        peers.until(lambda: self.ended() or peers.accepts(self.port), "podvisor listens")
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)  # KILL all
            try:
                self.process.wait(peers.DEADLINE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        if kind:
            print("--- podvisor said:\n" + "\n".join(line[:300] for line in self.said().splitlines()[-15:]), flush=True)
        self.folder.cleanup()

    def said(self):
        with open(self.path("log"), errors="replace") as log:
            return log.read()

    def all_said(self, seconds=120):
        """When every service has said all its lines."""
        peers.until(lambda: self.ended() or all(map(os.path.exists, self.done.values())), "the services' lines", seconds)
        if self.ended():
            raise AssertionError(f"podvisor ended with {self.process.returncode}")

    def ended(self):
        return self.process.poll() is not None

    def end(self, code=0, term=False, seconds=60):
        if term:
            self.process.send_signal(signal.SIGTERM)
        found = self.process.wait(seconds)
        if found != code:
            raise AssertionError(f"exit code {found}, not {code}")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def metrics(self):
        """{(name, ((label, value), ...)): number}."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        found = {}
        for line in text.splitlines():
            if match := SAMPLE.match(line):
                found[match[1], tuple(sorted(LABEL.findall(match[2] or "")))] = float(match[3])
        return found

    def total(self, name, /, **labels):
        """The sum of a family's samples that have these labels."""
        wanted = set(labels.items())
        return sum(v for (family, of), v in self.metrics().items() if family == name and wanted <= set(of))

    def books(self, sink="far"):
        """taken = sent + dropped + queued + spooled; what each of these is."""
        of = {
            "taken": "podvisor_sink_taken_events_total",
            "sent": "podvisor_sink_sent_events_total",
            "dropped": "podvisor_sink_dropped_events_total",
            "queued": "podvisor_sink_queue_events",
            "spooled": "podvisor_sink_spooled_events",
        }
        metrics = self.metrics()
        found = {
            word: int(sum(v for (family, labels), v in metrics.items() if family == name and ("sink", sink) in labels))
            for word, name in of.items()
        }
        found["replayed"] = int(sum(v for (family, _), v in metrics.items() if family == "podvisor_spool_replayed_events_total"))
        found["balance"] = found["taken"] - found["sent"] - found["dropped"] - found["queued"] - found["spooled"]
        return found

    def at_rest(self, seconds=60):
        """The books, once all has been taken and nothing waits."""
        books = {}

        def rest():
            books.update(self.books())
            return books["taken"] >= self.records and not books["queued"] and not books["spooled"]

        try:
            peers.until(rest, "all is sent or dropped", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.records} records, {books}") from None
        # Beside what the services said: what an earlier run left in the spool, and podvisor's word of what was lost.
        own = books["own"] = books["taken"] - self.records - books["replayed"]
        if books["balance"] or not 0 <= own <= (8 if books["dropped"] else 0):
            raise AssertionError(f"the books don't balance: {self.records} records, {books}")
        return books
