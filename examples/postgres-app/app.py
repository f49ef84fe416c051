"""Counts its visits in PostgreSQL, through psql: nothing but the standard library."""

import os
import signal
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VISIT = "INSERT INTO visits DEFAULT VALUES RETURNING (SELECT count(*) + 1 FROM visits)"


def query(sql):
    done = subprocess.run(["psql", "-XqAt", "-c", sql], capture_output=True, text=True, timeout=5)
    if done.returncode != 0:
        raise OSError(done.stderr.strip())
    return done.stdout.strip()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            if self.path == "/":
                self.answer(200, f"visit {query(VISIT)}")
            elif self.path == "/ready":  # with the database: may traffic come here?
                self.answer(200, query("SELECT 'ok' FROM visits LIMIT 1") or "ok")
            elif self.path == "/healthz":  # without it: would a restart of the app help?
                self.answer(200, "ok")
            else:
                self.answer(404, "no such page")
        except (OSError, subprocess.TimeoutExpired) as error:
            self.answer(503, str(error))

    def answer(self, status, text):
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code="-", size="-"):
        if self.path not in ("/ready", "/healthz"):
            print(self.command, self.path, code)


class Server(ThreadingHTTPServer):
    daemon_threads = False  # what is being answered is answered before the end
    request_queue_size = 128


with Server(("0.0.0.0", int(os.environ["PORT"])), Handler) as server:
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print("listening on", server.server_port)
    server.serve_forever(poll_interval=0.05)
print("bye")
