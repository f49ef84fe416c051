"""A web app on a unix socket that counts its visits in redis; it takes a second to come up."""

import os
import signal
import socket
import socketserver
import sys
import time
from http.server import BaseHTTPRequestHandler


def redis(command):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(1)
        peer.connect("/tmp/redis.sock")
        peer.sendall(command.encode() + b"\r\n")
        return peer.recv(100).decode().strip()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            text = f"visit {redis('INCR visits')}\n".encode()
            self.send_response(200)
        except OSError as error:
            text = f"{error}\n".encode()
            self.send_response(503)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def address_string(self):
        return "nginx"


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("warming up", flush=True)
time.sleep(1)
if os.path.exists(sys.argv[1]):
    os.unlink(sys.argv[1])
with Server(sys.argv[1], Handler) as server:
    print("listening", flush=True)
    server.serve_forever()
