"""Receivers of our own, which share nothing with podvisor: HTTP with NDJSON as strict as Vector's http_server source, or
with OTLP read by Google's protobuf; and OTLP over gRPC by grpcio. They keep what they answered for, and play faults."""

import gzip
import io
import json
import re
import socket
import socketserver
import struct
import threading
import time
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import grpc
import zstandard
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc

import ndjson
import otlp
from faults import Plan

LIMIT = 100 << 20  # Vector's, of a body before and after decompression
BODY = 1 << 16


class Refused(Exception):
    """An HTTP status with a reason."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


class Kept:
    """Batches of records, in the order they were answered for."""

    def __init__(self, plan=None, poison=None, limit=LIMIT):
        self.plan = plan or Plan()
        self.poison = poison  # a pattern: a request with a record that matches it is refused whole
        self.limit = limit
        self.lock = threading.Lock()
        self.batches = []
        self.unsure = set()  # numbers of the batches whose answer was lost
        self.answers = Counter()
        self.times = []  # (monotonic seconds, answer) of each request
        self.requests = []  # (headers, bytes on the wire, records) of each request that was kept
        self.ended = threading.Event()

    def keep(self, records, unsure=False):
        with self.lock:
            number = len(self.batches)
            for one in records:
                one.request = number
            self.batches.append(records)
            if unsure:
                self.unsure.add(number)

    def note(self, headers, size, records):
        with self.lock:
            self.requests.append((headers, size, records))

    def answer(self, what):
        with self.lock:
            self.answers[what] += 1
            self.times.append((time.monotonic(), what))

    def records(self):
        """What the services said: podvisor's own words are not asked for."""
        with self.lock:
            return [one for batch in self.batches for one in batch if one.service != "podvisor"]

    def count(self):
        return len(self.records())

    def poisoned(self, records):
        if self.poison:
            for one in records:
                text = one.body if isinstance(one.body, (str, bytes)) else json.dumps(one.body, ensure_ascii=False)
                text = text.encode(errors="surrogateescape") if isinstance(text, str) else text
                if re.search(self.poison, text):
                    return True
        return False


def decompress(encoding, body, limit):
    """As Vector does: a list of encodings, gzip of several members, zstd of several frames, corrupt is 422."""
    for name in reversed([e.strip() for e in encoding.split(",") if e.strip()]):
        try:
            if name == "gzip":
                body = _bounded(gzip.GzipFile(fileobj=io.BytesIO(body)), limit)
            elif name == "zstd":
                # RFC 9659: a receiver over HTTP need not hold a window of more than 8 MiB.
                reader = zstandard.ZstdDecompressor(max_window_size=8 << 20)
                body = _bounded(reader.stream_reader(io.BytesIO(body), read_across_frames=True), limit)
            elif name == "deflate":
                body = zlib.decompress(body)
            elif name != "identity":
                raise Refused(415, f"Unsupported encoding {name}")
        except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
            raise Refused(422, f"Failed decompressing payload: {error}") from error
    return body


def _bounded(reader, limit):
    out = reader.read(limit + 1)
    if len(out) > limit:
        raise Refused(413, f"more than {limit} bytes")
    return out


class Http(Kept):
    """`kind` is ndjson (at any path) or otlp (at /v1/logs)."""

    def __init__(self, kind, port=0, **options):
        super().__init__(**options)
        self.kind = kind
        self.open = set()
        receiver = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                with receiver.lock:
                    receiver.open.add(self.connection)
                try:
                    while _Request(receiver, self).serve():
                        pass
                except (ConnectionError, BrokenPipeError, TimeoutError):
                    pass
                finally:
                    with receiver.lock:
                        receiver.open.discard(self.connection)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path=""):
        return f"http://127.0.0.1:{self.port}{path}"

    def stop(self):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()
        with self.lock:
            for connection in self.open:
                _reset(connection)


def _reset(connection):
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)
        connection.close()
    except OSError:
        pass


class _Request:
    def __init__(self, receiver, handler):
        self.receiver, self.handler = receiver, handler

    def serve(self):
        """One request. False: the connection is done."""
        first = self.handler.rfile.readline(BODY)
        if not first.strip():
            return False
        method, path, _ = first.decode("latin-1").split(" ", 2)
        headers = self.headers()
        if headers.get("expect"):
            raise ValueError("nobody asked for Expect")
        fault = self.receiver.plan.next() if method == "POST" else None
        if fault and fault.kind == "reset":
            self.handler.rfile.read(min(1000, int(headers.get("content-length", 1000))))
            self.receiver.answer("reset")
            self.abort()
            return False
        raw = self.body(headers)
        if fault:
            return self.misbehave(fault, headers, raw)
        try:
            records = self.records(method, path, headers, raw)
            if self.receiver.poisoned(records):
                raise Refused(400, "Failed decoding body: ParsingError(poison)")
        except Refused as refused:
            return self.reply(refused.status, json.dumps({"code": refused.status, "message": str(refused)}).encode())
        self.receiver.note({"path": path, **headers}, len(raw), len(records))
        self.receiver.keep(records)
        return self.reply(200, b"")

    def headers(self):
        found = {}
        while line := self.handler.rfile.readline(BODY).strip():
            name, _, text = line.decode("latin-1").partition(":")
            found[name.lower()] = text.strip()
        return found

    def body(self, headers):
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.handler.rfile.readline(), 16):
                body += self.read(size)
                self.handler.rfile.readline()
            self.handler.rfile.readline()
            return body
        return self.read(int(headers.get("content-length", 0)))

    def read(self, size):
        body = self.handler.rfile.read(size)
        if len(body) < size:
            raise ConnectionError("cut")
        return body

    def records(self, method, path, headers, raw):
        if method != "POST":
            raise Refused(405, "POST")
        body = decompress(headers.get("content-encoding", ""), raw, self.receiver.limit)
        if self.receiver.kind == "ndjson":
            try:
                return ndjson.decode(body)
            except ValueError as error:
                raise Refused(400, f"Failed decoding body: ParsingError({error})") from error
        if path.split("?")[0] != "/v1/logs":
            raise Refused(404, path)
        if headers.get("content-type") != "application/x-protobuf":
            raise Refused(415, "Content-Type")
        try:
            return otlp.decode(body)
        except (DecodeError, ValueError) as error:
            raise Refused(400, str(error)) from error

    def misbehave(self, fault, headers, raw):
        self.receiver.answer(fault.kind)
        if fault.kind == "status":
            return self.reply(fault.code, fault.body, fault.headers)
        if fault.kind == "hang":
            # Until the sender closes, or all ends.
            self.handler.connection.settimeout(0.1)
            while not self.receiver.ended.is_set():
                try:
                    if not self.handler.connection.recv(1):
                        break
                except TimeoutError:
                    pass
                except OSError:
                    break
            return False
        path = "/v1/logs" if self.receiver.kind == "otlp" else "/"
        if fault.kind == "lost_ack":
            self.receiver.keep(self.records("POST", path, headers, raw), unsure=True)
        if fault.kind == "partial":
            records = self.records("POST", path, headers, raw)
            self.receiver.keep(records[fault.rejected :])
            return self.reply(200, partial(min(fault.rejected, len(records))).SerializeToString())
        self.abort() if fault.kind == "lost_ack" else None
        return False

    def abort(self):
        connection = self.handler.connection
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def reply(self, status, body, headers=()):
        self.receiver.answer(status)
        kind = "application/x-protobuf" if self.receiver.kind == "otlp" else "application/json"
        lines = [f"HTTP/1.1 {status} Said", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {text}" for name, text in headers]
        self.handler.wfile.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        return True


def partial(rejected):
    answer = logs_service_pb2.ExportLogsServiceResponse()
    answer.partial_success.rejected_log_records = rejected
    answer.partial_success.error_message = "no more of these"
    return answer


class Grpc(Kept, logs_service_pb2_grpc.LogsServiceServicer):
    """grpc's own limit of a message is 4 MiB. `max_age_ms`: connections end that early, by GOAWAY."""

    def __init__(self, port=0, max_age_ms=None, **options):
        Kept.__init__(self, **options)
        settings = [("grpc.so_reuseport", 0)]
        if max_age_ms:
            settings += [("grpc.max_connection_age_ms", max_age_ms), ("grpc.max_connection_age_grace_ms", 1000)]
        self.pool = ThreadPoolExecutor(8)
        self.server = grpc.server(self.pool, options=settings)
        logs_service_pb2_grpc.add_LogsServiceServicer_to_server(self, self.server)
        self.port = self.server.add_insecure_port(f"127.0.0.1:{port}")
        self.server.start()

    def url(self, path=""):
        return f"http://127.0.0.1:{self.port}{path}"

    def Export(self, request, context):  # noqa: N802, the service's own name
        headers = dict(context.invocation_metadata())
        fault = self.plan.next()
        if fault and fault.kind == "grpc":
            self.answer(fault.code)
            self.refuse(context, fault)
        if fault and fault.kind == "hang":
            self.answer("hang")
            gone = threading.Event()
            context.add_callback(gone.set)
            while not (gone.wait(0.1) or self.ended.is_set()):
                pass
            context.abort(grpc.StatusCode.CANCELLED, "gone")
        try:
            records = otlp.records(request)
        except ValueError as error:
            self.answer("INVALID_ARGUMENT")
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        if self.poisoned(records):
            self.answer("INVALID_ARGUMENT")
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "poison")
        self.note(headers, request.ByteSize(), len(records))
        if fault and fault.kind == "lost_ack":
            self.keep(records, unsure=True)
            self.answer("lost_ack")
            context.abort(grpc.StatusCode.UNAVAILABLE, "lost")
        if fault and fault.kind == "partial":
            self.keep(records[fault.rejected :])
            self.answer("partial")
            return partial(min(fault.rejected, len(records)))
        self.keep(records)
        self.answer("OK")
        return logs_service_pb2.ExportLogsServiceResponse()

    def refuse(self, context, fault):
        status = status_pb2.Status(code=code_pb2.Code.Value(fault.code), message="as planned")
        if fault.after is not None:
            info = error_details_pb2.RetryInfo(retry_delay=Duration(nanos=int(fault.after * 1e9)))
            status.details.add().Pack(info)
        context.abort_with_status(rpc_status.to_status(status))

    def stop(self):
        self.ended.set()
        self.server.stop(None).wait()
        self.pool.shutdown(wait=False, cancel_futures=True)
