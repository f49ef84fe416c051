"""Counts its visits in redis. Nothing but the standard library."""

import os
import signal
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REDIS = ("127.0.0.1", int(os.environ["REDIS_PORT"]))


def redis(command):
    """One inline command, one line of answer."""
    with socket.create_connection(REDIS, timeout=1) as peer:
        peer.sendall(command.encode() + b"\r\n")
        return peer.makefile("r").readline().strip()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            if self.path == "/":
                self.answer(200, f"visit {redis('INCR visits').lstrip(':')}")
            elif self.path == "/ready":  # with redis: may traffic come here?
                pong = redis("PING")
                self.answer(200 if pong == "+PONG" else 503, pong)
            elif self.path == "/healthz":  # without redis: would a restart of the app help?
                self.answer(200, "ok")
            else:
                self.answer(404, "no such page")
        except OSError as error:
            self.answer(503, f"redis: {error}")

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
