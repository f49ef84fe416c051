#!/usr/bin/env python3
"""The page at `/` in a real browser: it renders, shows every service, asks nobody for anything. And what a scrape costs.

usage: page.py PODVISOR_BINARY [SCREENSHOT.png]
"""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

SERVICES = """
  postgres: {{ command: [sleep, '1000'], readinessProbe: {{ exec: {{ command: [sleep, '0.4'] }}, periodSeconds: 1 }} }}
  redis: {{ command: [sleep, '1000'] }}
  migrate: {{ type: oneshot, command: [sleep, '0.7'], dependsOn: [postgres] }}
  web: {{ command: [sleep, '1000'], dependsOn: [migrate, redis], readinessProbe: {{ exec: {{ command: [sleep, '0.3'] }}, periodSeconds: 1 }} }}
  worker: {{ command: [sh, -c, 'sleep 1; exit 3'], dependsOn: [migrate], required: false }}
  exporter: {{ command: [sleep, '1000'], dependsOn: [web], required: false, readinessProbe: {{ exec: {{ command: ['false'] }}, periodSeconds: 1 }} }}
  nightly: {{ type: cron, schedule: '0 3 * * *', command: ['true'] }}
"""
NAMES = "postgres redis migrate web worker exporter nightly".split()
BROWSER = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1000,760"]


class Podvisor:
    def __init__(self, binary, services):
        self.work = tempfile.TemporaryDirectory(prefix="podvisor-page-")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        config = pathlib.Path(self.work.name) / "podvisor.yaml"
        listen = f"http: {{ listen: '127.0.0.1:{self.port}' }}\n"
        config.write_text(listen + "logs: { console: { format: none } }\nservices:\n" + services)
        self.process = subprocess.Popen([binary, "run", "-c", str(config)], stderr=subprocess.DEVNULL)

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return answer.read().decode()

    def wait_for(self, what, condition):
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                if condition():
                    return
            except OSError:
                pass
            time.sleep(0.1)
        sys.exit(f"FAIL: waited in vain: {what}")

    def cpu(self):
        """CPU time of podvisor itself, in seconds."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(20):
            sys.exit(f"FAIL: it ended with {self.process.returncode}")


def the_page(binary, screenshot):
    podvisor = Podvisor(binary, SERVICES.format())
    podvisor.wait_for("the worker was restarted", lambda: 'podvisor_service_restarts_total{name="worker",reason="exit"} 2'
                      in podvisor.get("/metrics"))
    url = f"http://127.0.0.1:{podvisor.port}/"
    profile = f"--user-data-dir={podvisor.work.name}/chromium"
    dom = subprocess.run([*BROWSER, profile, "--dump-dom", url], capture_output=True, text=True, timeout=60, check=True)
    missing = [name for name in NAMES if f"<td>{name}" not in dom.stdout]
    if missing or dom.stdout.count("<i class") != 6:
        sys.exit(f"FAIL: the page does not show {missing}:\n{dom.stdout}")
    picture = screenshot or f"{podvisor.work.name}/page.png"
    subprocess.run([*BROWSER, profile, f"--screenshot={picture}", url], capture_output=True, timeout=60, check=True)
    if os.path.getsize(picture) < 10_000:
        sys.exit("FAIL: the picture is empty")
    podvisor.stop()
    print("ok   page: seven services, six bars, nothing from elsewhere")


def the_cost(binary):
    services = "".join(f"  s{n:03}: {{ command: [sleep, '1000'] }}\n" for n in range(100))
    podvisor = Podvisor(binary, services)
    podvisor.wait_for("all are up", lambda: podvisor.get("/startupz"))
    rounds, before = 200, podvisor.cpu()
    for _ in range(rounds):
        podvisor.get("/metrics")
    scrape = (podvisor.cpu() - before) / rounds * 1000
    podvisor.stop()
    services = "".join(f"  s{n:03}: {{ command: [sleep, '1000'] }}\n" for n in range(10))
    podvisor = Podvisor(binary, services)
    podvisor.wait_for("all are up", lambda: podvisor.get("/startupz"))
    before, began = podvisor.cpu(), time.monotonic()
    for _ in range(3):
        podvisor.get("/metrics")
        time.sleep(15)
    idle = (podvisor.cpu() - before) / (time.monotonic() - began) * 100
    podvisor.stop()
    print(f"ok   cost: {scrape:.1f} ms of CPU a scrape of 100 services; {idle:.2f} % of a core, idle, 10 services, scraped "
          "every 15 s")
    if scrape > 10 or idle > 0.3:
        sys.exit("FAIL: more than 10 ms, or more than 0.3 %")


if __name__ == "__main__":
    the_page(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
    the_cost(sys.argv[1])
