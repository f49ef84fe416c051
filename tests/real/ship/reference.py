"""What a faultless sender would send, made by Google's protobuf and Python's json: to know that receivers and oracle are
right before podvisor is held against them."""

import json

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

import oracle
import said

SOURCE = "00000000000000ab"
TIME = 1_795_446_000_000_000_000  # 2026-11-23
POD = {"k8s.pod.name": "web-1", "k8s.namespace.name": "shop"}


def pieces(line):
    """(bytes, part, partial) of a line."""
    cuts = [line[i : i + said.CUT_AT] for i in range(0, len(line), said.CUT_AT)] or [b""]
    return [(cut, i, i + 1 < len(cuts)) for i, cut in enumerate(cuts)]


def numbered(service, numbers):
    seq = 0
    for number in numbers:
        for text, part, partial in pieces(said.line(service, number)):
            yield seq, said.stream(number), text, part, partial
            seq += 1


def otlp_request(service, rows):
    message = ExportLogsServiceRequest()
    of_resource = message.resource_logs.add()
    for key, text in {"service.name": service, **POD}.items():
        attribute(of_resource.resource, key, text)
    scope = of_resource.scope_logs.add()
    scope.scope.name = "podvisor"
    for seq, stream, text, part, partial in rows:
        one = scope.log_records.add(time_unix_nano=TIME + seq, observed_time_unix_nano=TIME + seq)
        try:
            one.body.string_value = text.decode()
        except UnicodeDecodeError:
            one.body.bytes_value = text
        attribute(one, "log.iostream", stream)
        attribute(one, "log.record.uid", f"{SOURCE}.0.{seq}")
        if part or partial:
            attribute(one, "podvisor.part", part)
            attribute(one, "podvisor.partial", partial)
        value = oracle.valid(text) if not (part or partial) else None
        level = value and value.get("level")
        if isinstance(level, str):
            one.severity_text = level
            one.severity_number = dict(said.LEVELS)[level.lower()]
    return message


def attribute(of, key, value):
    one = of.attributes.add(key=key)
    if isinstance(value, bool):
        one.value.bool_value = value
    elif isinstance(value, int):
        one.value.int_value = value
    else:
        one.value.string_value = value


def ndjson_body(service, rows):
    lines = []
    for seq, stream, text, part, partial in rows:
        stamp = "2026-11-23T15:00:00.%09dZ" % seq
        one = {"timestamp": stamp, "service": service, "stream": stream, "source_id": SOURCE, "seq": seq}
        value = oracle.valid(text) if not (part or partial) else None
        if value is not None and isinstance(value.get("level"), str):
            one["level"] = value["level"].lower()
        if part or partial:
            one |= {"part": part, "partial": partial}
        one["message"] = text.decode(errors="replace") if value is None else value.get("message", value.get("msg"))
        if value is not None:
            one["fields"] = {}
        one["kubernetes"] = {"pod_name": POD["k8s.pod.name"]}
        line = json.dumps(one, ensure_ascii=False)
        # As it was written: a key that stands there twice stays twice.
        lines.append(line.replace('"fields": {}', '"fields": ' + text.decode(errors="replace").strip(), 1))
    return ("\n".join(lines) + "\n").encode()
