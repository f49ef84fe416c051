"""That the receivers and the oracle are right, with a faultless sender; and what the real receivers do with what podvisor
may send them: its choices rest on these facts."""

import copy
import dataclasses
import gzip
import zlib

import grpc
import zstandard
from google.rpc import status_pb2
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc

import h2raw
import ndjson
import oracle
import otlp
import peers
import reference
import said
import victoria
from cases import case, same
from faults import Fault, Plan
from receivers import Grpc, Http

PROTOBUF = {"Content-Type": "application/x-protobuf"}
LINES = 12_000
JSONLINE = "/insert/jsonline?_msg_field=message&_time_field=timestamp&_stream_fields=service,stream"
VICTORIA_OTLP = "/insert/opentelemetry/v1/logs"


def zstd(data):
    return zstandard.ZstdCompressor().compress(data)


PACK = {"gzip": gzip.compress, "zstd": zstd, "deflate": zlib.compress, None: bytes}


def halves(rows):
    rows = list(rows)
    return rows[: len(rows) // 2], rows[len(rows) // 2 :]


def otlp_halves(service="web", lines=200):
    return [reference.otlp_request(service, half).SerializeToString() for half in halves(reference.numbered(service, range(lines)))]


def sent(url, body, encoding=None, headers=PROTOBUF):
    coding = {"Content-Encoding": encoding} if encoding else {}
    return peers.post(url, body, {**headers, **coding})


def export(port, message, compression=None):
    """The status's code and text."""
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.max_send_message_length", -1)], compression) as channel:
        try:
            logs_service_pb2_grpc.LogsServiceStub(channel).Export(message, timeout=peers.DEADLINE)
            return "OK", "", []
        except grpc.RpcError as error:
            details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
            return error.code().name, error.details(), status_pb2.Status.FromString(details).details


# ---------------------------------------------------------------- our own receivers, and the oracle


@case("oracle")
def the_oracle_passes_what_was_said_and_nothing_else():
    rows = list(reference.numbered("web", range(LINES)))
    for form, whole in (
        ("ndjson", ndjson.decode(reference.ndjson_body("web", rows))),
        ("otlp", otlp.decode(reference.otlp_request("web", rows).SerializeToString())),
    ):
        same(oracle.check(whole, {"web": LINES}, form), len(rows))

        def spoilt(kind, spoil, **how):
            records = [copy.copy(one) for one in whole[: 8000 + 3]]
            spoil(records)
            try:
                oracle.check(records, {"web": 8000}, form, **how)
            except oracle.Differs as differs:
                assert kind in str(differs), f"{form} {kind}: {differs}"
            else:
                raise AssertionError(f"{form}: {kind} goes unseen")

        def renumber(records):
            del records[700]
            for one in records[700:]:
                one.seq -= 1

        def swap(records):
            records[10], records[11] = records[11], records[10]

        def change(name, value):
            return lambda records: setattr(records[4321], name, value)

        oracle.check(whole[:8003], {"web": 8000}, form)
        spoilt("gap", lambda records: records.pop(3000))
        spoilt("lost", renumber)
        spoilt("lost", lambda records: records.pop())
        spoilt("doubled", lambda records: records.append(records[5]))
        spoilt("another record", lambda records: records.append(dataclasses.replace(records[5], body="x")))
        spoilt("out of order", swap)
        spoilt("altered", change("body", "web:4321. else"))
        spoilt("no stream", change("stream", ""))
        spoilt("unknown service", change("service", "db"))
        last = next(i for i, one in enumerate(whole) if one.partial)
        spoilt("rest of a line", lambda records: records.__delitem__(slice(last + 1, None)))


@case("oracle")
def strict_json_is_what_serde_json_takes():
    for bad in (
        b'{"a":NaN}', b'{"a":1,}', b"{'a':1}", b'{"a":1} x', b'{"a":01}', b'{"a":"\\ud800"}', b'{"a":1e999}', b'{"a":"\t"}',
        b'{"a"', b'{"a":-}', b'\xef\xbb\xbf{"a":1}', b'{"a":"\xff"}', b'{"a":' + b"[" * 127 + b"]" * 127 + b"}", b"", b"nul",
    ):  # fmt: skip
        try:
            ndjson.strict(bad)
        except ValueError:
            continue
        raise AssertionError(f"taken: {bad!r}")
    for good in (b'{"a":1e5,"b":"\\ud83d\\ude80","c":[null,true,-0.0]}', b'{"a":' + b"[" * 126 + b"]" * 126 + b"}", b" [1] "):
        ndjson.strict(good)


@case("oracle")
def our_own_receivers_keep_what_a_faultless_sender_sends():
    rows = list(reference.numbered("web", range(LINES)))
    first, second = halves(rows)
    for encoding, pack in PACK.items():
        for kind, encode, form in (("ndjson", reference.ndjson_body, "ndjson"), ("otlp", None, "otlp")):
            encode = encode or (lambda s, r: reference.otlp_request(s, r).SerializeToString())
            receiver = Http(kind)
            members = [pack(encode("web", half)) for half in (first, second)]
            body = b"".join(members) if encoding != "deflate" else pack(encode("web", rows))
            same(sent(receiver.url("/v1/logs"), body, encoding)[0], 200, f"{kind} {encoding}")
            oracle.check(receiver.records(), {"web": LINES}, form)
            receiver.stop()
    receiver = Grpc()
    for half in halves(first) + halves(second):
        same(export(receiver.port, reference.otlp_request("web", half), grpc.Compression.Gzip)[0], "OK")
    oracle.check(receiver.records(), {"web": LINES}, "otlp")
    receiver.stop()


@case("oracle")
def our_own_receivers_refuse_what_they_should():
    body = reference.ndjson_body("web", reference.numbered("web", range(20)))
    receiver = Http("ndjson", poison=rb"web:19\.", limit=100_000)
    url = receiver.url()
    same(sent(url, body)[0], 400, "poison")
    receiver.poison = None
    same(sent(url, body + b"{bad\n")[0], 400, "a bad line")
    same(sent(url, body, "br")[0], 415, "unknown encoding")
    same(sent(url, body, "gzip")[0], 422, "not gzip")
    same(sent(url, gzip.compress(body)[:-9], "gzip")[0], 422, "cut gzip")
    same(sent(url, gzip.compress(body) + b"x" * 20, "gzip")[0], 422, "more than gzip")
    same(sent(url, gzip.compress(b" " * 100_001), "gzip")[0], 413, "a small bomb")
    same(receiver.count(), 0, "kept")
    receiver.plan = Plan([Fault("status", 429, (("Retry-After", "3"),)), Fault("status", 503)])
    same([sent(url, body)[0] for _ in range(3)], [429, 503, 200])
    for fault in (Fault("reset"), Fault("close"), Fault("lost_ack")):
        receiver.plan = Plan([fault])
        try:
            sent(url, body)
        except OSError:
            continue
        raise AssertionError(f"{fault} was answered")
    same((receiver.count(), receiver.unsure), (40, {1}), "kept, of which one unsure")
    receiver.stop()
    receiver = Grpc()
    message = reference.otlp_request("web", reference.numbered("web", range(20)))
    receiver.plan = Plan([Fault("grpc", "RESOURCE_EXHAUSTED", after=0.5), Fault("grpc", "DATA_LOSS"), Fault("lost_ack"), Fault("partial", rejected=5)])
    code, _, details = export(receiver.port, message)
    same((code, details[0].TypeName()), ("RESOURCE_EXHAUSTED", "google.rpc.RetryInfo"))
    same([export(receiver.port, message)[0] for _ in range(4)], ["DATA_LOSS", "UNAVAILABLE", "OK", "OK"])
    same((receiver.count(), receiver.unsure), (55, {0}), "kept, of which one unsure")
    receiver.stop()


# ---------------------------------------------------------------- the Collector


@case("facts")
def the_collector_over_http():
    collector = peers.Collector()
    url = collector.http_url("/v1/logs")
    a, b = otlp_halves()
    for encoding in ("gzip", "zstd", None):
        before = collector.count()
        same(sent(url, PACK[encoding](a) + PACK[encoding](b), encoding)[0], 200, f"two members of {encoding}")
        same(collector.count() - before, 200, f"records of two members of {encoding}")
    before = collector.count()
    same(sent(url, a, "br")[0], 400, "unknown encoding")
    same(sent(url, b"x" * 30, "gzip")[0], 400, "not gzip")
    same(sent(url, b"\xff" * 30)[0], 400, "not protobuf")
    same(sent(url, a, headers={"Content-Type": "application/protobuf"})[0], 415, "another content type")
    same(sent(url + "x", a)[0], 404, "another path")
    # 20 MiB, before and after compression; answered with 400, not 413, or by a reset while the body is being sent.
    large = reference.otlp_request("web", [(i, "stdout", b"x" * (1 << 20), 0, False) for i in range(21)]).SerializeToString()
    code, text = sent(url, gzip.compress(large, 1), "gzip")
    same((code, b"request body too large" in text), (400, True), "21 MiB")
    same(collector.count(), before, "kept of all these")
    collector.stop()


@case("facts")
def the_collector_over_grpc():
    collector = peers.Collector()
    a, b = otlp_halves()
    for encoding in ("gzip", "zstd"):
        pack = PACK[encoding]
        before = collector.count()
        same(h2raw.call(collector.grpc, [(True, pack(a) + pack(b))], encoding)["grpc-status"], "0", f"two members of {encoding}")
        same(collector.count() - before, 200, f"records of two members of {encoding}")
    before = collector.count()
    same(h2raw.call(collector.grpc, [(True, PACK["deflate"](a))], "deflate")["grpc-status"], "12", "unknown encoding")
    # 4 MiB after decompression. No details: nothing but the text tells this from a receiver that is busy (next case).
    large = reference.otlp_request("web", [(0, "stdout", b"x" * (4 << 20), 0, False)])
    for compression, text in ((None, "received message larger than max"), (grpc.Compression.Gzip, "after decompression larger than max")):
        code, told, details = export(collector.grpc, large, compression)
        same((code, text in told, len(details)), ("RESOURCE_EXHAUSTED", True, 0), told)
    same(collector.count(), before, "kept of all these")
    collector.stop()


@case("facts")
def the_collector_hands_on_what_is_wrong_behind_it():
    collector = peers.Collector()
    message = reference.otlp_request("web", reference.numbered("web", range(20)))
    url = collector.http_url("/v1/logs")
    for fault, by_http, by_grpc in (
        (Fault("status", 503), 503, "UNAVAILABLE"),
        (Fault("status", 503, (("Retry-After", "7"),)), 503, "UNAVAILABLE"),
        (Fault("status", 429), 429, "RESOURCE_EXHAUSTED"),  # without RetryInfo, whatever OTLP says
        (Fault("status", 429, (("Retry-After", "7"),)), 429, "RESOURCE_EXHAUSTED"),
        (Fault("close"), 503, "UNAVAILABLE"),
        (Fault("status", 500), 500, "UNKNOWN"),
        (Fault("status", 413), 500, "UNKNOWN"),
        (Fault("status", 400), 400, "INVALID_ARGUMENT"),
        (Fault("status", 401), 401, "UNAUTHENTICATED"),
    ):
        collector.behind.plan = Plan([fault, fault])
        same(sent(url, message.SerializeToString())[0], by_http, fault)
        code, _, details = export(collector.grpc, message)
        same((code, len(details)), (by_grpc, 0), fault)
    same(collector.count(), 0, "kept")
    collector.stop()


@case("facts")
def grpcs_own_library_takes_one_gzip_member_only():
    receiver = Grpc()
    a, b = otlp_halves()
    same(h2raw.call(receiver.port, [(True, gzip.compress(a))], "gzip")["grpc-status"], "0")
    answer = h2raw.call(receiver.port, [(True, gzip.compress(a) + gzip.compress(b))], "gzip")
    same((answer["grpc-status"], "not all input consumed" in answer["grpc-message"]), ("13", True), answer)
    same(h2raw.call(receiver.port, [(True, zstd(a))], "zstd")["grpc-status"], "13", "zstd")
    same(receiver.count(), 100)
    receiver.stop()


# ---------------------------------------------------------------- VictoriaLogs


@case("facts")
def victoria_logs_keeps_lines_as_they_are():
    logs = peers.VictoriaLogs()
    # Its limit is for a line with all that is around the message; see the next case.
    numbers = [n for n in range(LINES) if len(said.line("web", n)) < said.CUT_AT - 2000]
    first, second = (reference.ndjson_body("web", half) for half in halves(reference.numbered("web", numbers)))
    same(sent(logs.url(JSONLINE), gzip.compress(first) + gzip.compress(second), "gzip", {})[0], 200)
    records = [victoria.from_ndjson(row) for row in logs.query("*")]
    oracle.check(records, {"web": numbers}, "victoria ndjson", ordered=False)
    logs.stop()


@case("facts")
def victoria_logs_says_200_to_much_that_it_drops():
    logs = peers.VictoriaLogs()
    url = logs.url(JSONLINE)

    def line(seq, **more):
        (row,) = [(seq, "stdout", b"m", 0, False)]
        body = ndjson.json.loads(reference.ndjson_body("web", [row]))
        return ndjson.json.dumps(body | more).encode() + b"\n"

    def keeps(what, body, wanted, status=200, encoding=None, headers=()):
        before = logs.count()
        code, _ = sent(url, body, encoding, dict(headers))
        same((code, logs.count() - before), (status, wanted), what)

    a, b = line(1), line(2)
    for encoding in ("gzip", "zstd"):
        keeps(f"two members of {encoding}", PACK[encoding](a) + PACK[encoding](b), 2, encoding=encoding)
    keeps("a bad line among good ones", a + b"{bad\n" + b, 2)
    keeps("bad lines only", b"{bad\n", 0, status=400)
    keeps("an unknown encoding", a, 0, encoding="br")
    keeps("broken gzip", b"x" * 30, 0, encoding="gzip")
    keeps("a form", a, 0, headers=peers.FORM)
    keeps("a time it can't read", line(3, timestamp="yesterday"), 0, status=400)
    keeps("a time before its retention", line(3, timestamp="1890-01-01T00:00:00Z"), 0)
    just, over = (size - len(line(4, x="")) + 1 for size in (256 * 1024 - 1, 256 * 1024))
    keeps("a line of 1 byte less than 256 KiB", a + line(4, x="y" * just) + b, 3)
    # Not only the line: what follows it, too.
    keeps("a line of 256 KiB", a + line(4, x="y" * over) + b * 5, 1)
    keeps("990 fields", line(5, **{f"k{i}": i for i in range(980)}), 1)
    keeps("1100 fields", line(5, **{f"k{i}": i for i in range(1100)}), 0)
    logs.stop()


@case("facts")
def victoria_logs_takes_otlp():
    logs = peers.VictoriaLogs()
    url = logs.url(VICTORIA_OTLP)
    rows = list(reference.numbered("web", range(LINES)))
    for half in halves(rows):
        same(sent(url, gzip.compress(reference.otlp_request("web", half).SerializeToString()), "gzip")[0], 200)
    records = [victoria.from_otlp(row) for row in logs.query("*")]
    oracle.check(records, {"web": LINES}, "victoria otlp", ordered=False)
    same(records[0].resource, reference.POD, "resource attributes")
    a, b = otlp_halves("db")
    for encoding in ("gzip", "zstd", None):
        before = logs.count()
        same(sent(url, PACK[encoding](a) + PACK[encoding](b), encoding)[0], 200, f"two members of {encoding}")
        same(logs.count() - before, 200, f"records of two members of {encoding}")
    before = logs.count()
    same(sent(url, a, "br")[0], 400, "unknown encoding")
    same(sent(url, b"x" * 30, "gzip")[0], 400, "not gzip")
    same(sent(url, a, headers={"Content-Type": "application/json"})[0], 400, "JSON")
    huge = reference.otlp_request("web", [(i, "stdout", b"x" * size, 0, False) for i, size in enumerate((9, 2 << 20, 9))])
    same(sent(url, huge.SerializeToString())[0], 200, "2 MiB")
    same(logs.count() - before, 2, "records with one of 2 MiB, which is dropped")
    logs.stop()
