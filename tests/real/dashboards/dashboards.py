#!/usr/bin/env python3
"""Every panel's and alert's query, run by a real Prometheus that has scraped a real podvisor with a noisy, a crashing, a
healthy and a scheduled service, a failing and a good sink. Also what Prometheus' own tools say of metrics, rules and tests.

usage: dashboards.py PODVISOR_BINARY
"""

import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

TOP = pathlib.Path(__file__).resolve().parents[3]
DASHBOARDS = TOP / "dashboards"
RULES = DASHBOARDS / "alerts" / "podvisor.rules.yaml"

# Panels (and queries of them) that have nothing to show here, and why.
NO_LIMITS = "the machine that runs this may have no such limit, or no such file"
MAY_BE_EMPTY = {
    "overview / Memory of limit": NO_LIMITS,
    "pod / CPU by service: limit": NO_LIMITS,
    "pod / Memory of the container: limit": NO_LIMITS,
    "pod / Throttling and pressure: throttled periods": NO_LIMITS,
    "pod / Throttling and pressure: {{resource}} pressure": NO_LIMITS,
    "pod / Memory of the container: working set": NO_LIMITS,
    "pod / Memory of the container: usage": NO_LIMITS,
    "overview / CPU": NO_LIMITS,
}

CONFIG = """
http: {{ listen: '127.0.0.1:{podvisor}', collectInterval: 1s }}
services:
  healthy:
    command: [sleep, '1000']
    readinessProbe: {{ exec: {{ command: ['true'] }}, periodSeconds: 1 }}
  slow: {{ command: [sleep, '1000'], dependsOn: [healthy], required: false, readinessProbe: {{ exec: {{ command: ['false'] }}, periodSeconds: 1 }} }}
  waits: {{ command: [sleep, '1000'], dependsOn: [slow], required: false }}
  noisy: {{ command: [sh, -c, 'while :; do seq 1 500; sleep 0.1; done'] }}
  crashing: {{ command: [sh, -c, 'sleep 0.3; exit 3'], required: false, restart: {{ initialDelay: 200ms, maxDelay: 500ms }} }}
  setup: {{ type: oneshot, command: ['true'] }}
  nightly: {{ type: cron, schedule: '* * * * *', command: ['true'] }}
logs:
  console: {{ format: none }}
  sinks:
    good: {{ type: http, endpoint: 'http://127.0.0.1:{good}/' }}
    bad: {{ type: otlp, endpoint: 'http://127.0.0.1:{bad}' }}
  spool: {{ path: {work}/spool, maxBytes: 16MiB }}
"""

PROMETHEUS = """
global: {{ scrape_interval: 1s, evaluation_interval: 1s }}
rule_files: ['{rules}']
scrape_configs:
  - job_name: podvisor
    static_configs: [{{ targets: ['127.0.0.1:{podvisor}'], labels: {{ namespace: shop, pod: web-0 }} }}]
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def fetch(url, **headers):
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def tool(*command, stdin=None):
    """What one of Prometheus' tools says; any complaint is a failure."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120, check=False)
    said = done.stdout + done.stderr
    if done.returncode:
        sys.exit(f"FAIL: {' '.join(command[:4])}\n{said}")
    return said


def wait_for(what, condition, seconds=60):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.2)
    sys.exit(f"FAIL: waited in vain: {what}")


def filled_in(expr):
    for variable in ("job", "instance", "name", "sink", "namespace", "pod"):
        expr = expr.replace(f"${variable}", ".*")
    return expr.replace("$__rate_interval", "10s").replace("$__range", "1m")


def queries():
    """(place, query) of every target of every panel."""
    for slug in ("overview", "pod", "logs", "self"):
        dashboard = json.loads((DASHBOARDS / f"{slug}.json").read_text())
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                several = len(panel["targets"]) > 1
                legend = target["legendFormat"] or target["refId"]
                yield f"{slug} / {panel['title']}" + (f": {legend}" if several else ""), filled_in(target["expr"])
        for mark in dashboard["annotations"]["list"]:
            yield None, filled_in(mark["expr"])


def main():
    binary = str(pathlib.Path(sys.argv[1]).resolve())
    tool(sys.executable, str(DASHBOARDS / "generate.py"), "--check")
    tool("promtool", "check", "rules", "--lint=all", "--lint-fatal", str(RULES))
    tool("promtool", "test", "rules", str(RULES.with_name("podvisor.tests.yaml")))
    work = pathlib.Path(tempfile.mkdtemp(prefix="podvisor-dashboards-"))
    podvisor, good, bad, server = free_ports(4)
    running = []

    def start(*command):
        log = open(work / f"{len(running)}.log", "w")
        running.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))

    try:
        (work / "podvisor.yaml").write_text(CONFIG.format(podvisor=podvisor, good=good, bad=bad, work=work))
        (work / "prometheus.yml").write_text(PROMETHEUS.format(podvisor=podvisor, rules=RULES))
        start(binary, "receive", "--listen", f"127.0.0.1:{good}")
        start(binary, "receive", "--listen", f"127.0.0.1:{bad}", "--fail", "503:0.7")
        tool(binary, "validate", "-c", str(work / "podvisor.yaml"))
        start(binary, "run", "-c", str(work / "podvisor.yaml"))
        start("prometheus", f"--config.file={work}/prometheus.yml", f"--storage.tsdb.path={work}/tsdb",
              f"--web.listen-address=127.0.0.1:{server}")
        api = f"http://127.0.0.1:{server}/api/v1"

        def ask(expr):
            text = fetch(f"{api}/query?{urllib.parse.urlencode({'query': expr})}")
            return json.loads(text)["data"]["result"]

        wait_for("Prometheus answers", lambda: ask("1"))
        wait_for("it has scraped for a while",
                 lambda: ask("count_over_time(podvisor_build_info[5m]) >= 20"))
        empty, asked = [], 0
        for place, expr in queries():
            asked += 1
            if not ask(expr) and place is not None and place not in MAY_BE_EMPTY:
                empty.append(f"{place}\n    {expr}")
        if empty:
            sys.exit("FAIL: panels without data:\n  " + "\n  ".join(empty))
        places = {place for place, _ in queries()}
        stale = [place for place in MAY_BE_EMPTY if place not in places]
        if stale:
            sys.exit(f"FAIL: no such panels: {stale}")
        alerts = re.findall(r"- alert: (\w+)\n\s+expr: '(.*)'\n", RULES.read_text())
        for name, expr in alerts:
            ask(expr.replace("''", "'"))
        rules = json.loads(fetch(f"{api}/rules"))["data"]["groups"]
        sick = [rule["name"] for group in rules for rule in group["rules"] if rule["health"] == "err"]
        if sick or len(alerts) < 20:
            sys.exit(f"FAIL: rules that Prometheus cannot evaluate: {sick} of {len(alerts)}")
        wait_for("the crash loop is told", lambda: ask('ALERTS{alertname="PodvisorServiceCrashLooping"}'), 30)

        url = f"http://127.0.0.1:{podvisor}/metrics"
        tool("promtool", "check", "metrics", stdin=fetch(url))
        strict = ("import sys\nfrom prometheus_client.openmetrics.parser import text_string_to_metric_families as parse\n"
                  "families = list(parse(sys.stdin.read()))\nassert len(families) > 90, len(families)\nprint(len(families))")
        text = fetch(url, Accept="application/openmetrics-text;version=1.0.0")
        families = tool(sys.executable, "-c", strict, stdin=text).strip()
        print(f"ok   dashboards: {asked} queries have data, {len(alerts)} alerts fire and fall silent, "
              f"{families} families are strict OpenMetrics")
    finally:
        for each in reversed(running):
            each.send_signal(signal.SIGTERM)
        for each in running:
            each.wait(20)
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
