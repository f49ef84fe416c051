"""OTLP as Google's protobuf reads it, made into plain records."""

from dataclasses import dataclass, field

from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest


@dataclass(slots=True)
class Record:
    """A record as it came, whatever brought it."""

    service: str
    stream: str
    seq: int
    source: str
    body: object  # str, bytes, or what a map or JSON object was
    severity: int = 0
    severity_text: str = ""
    partial: bool = False
    attributes: dict = field(default_factory=dict)
    resource: dict = field(default_factory=dict)
    time: int = 0
    observed: int = 0
    request: int = 0

    @property
    def uid(self):
        return (self.source, self.service, self.seq)


def value(any_value):
    kind = any_value.WhichOneof("value")
    if kind is None:
        return None
    held = getattr(any_value, kind)
    if kind == "array_value":
        return [value(v) for v in held.values]
    if kind == "kvlist_value":
        return pairs(held.values)
    return held


def pairs(attributes):
    found = {}
    for one in attributes:
        if one.key in found:
            raise ValueError(f"attribute {one.key!r} twice")
        found[one.key] = value(one.value)
    return found


def known(message):
    """Raises if anything in the message is not in OpenTelemetry's own protocol."""
    strange = [f.field_number for f in UnknownFieldSet(message)]
    if strange:
        raise ValueError(f"{message.DESCRIPTOR.full_name} has unknown fields {strange}")
    for descriptor, held in message.ListFields():
        if descriptor.message_type:
            for one in held if descriptor.is_repeated else [held]:
                known(one)


def decode(body):
    """The records of an ExportLogsServiceRequest's bytes."""
    message = ExportLogsServiceRequest.FromString(body)
    return records(message)


def records(message):
    found = []
    for of_resource in message.resource_logs:
        resource = pairs(of_resource.resource.attributes)
        for of_scope in of_resource.scope_logs:
            for one in of_scope.log_records:
                found.append(_record(one, resource))
    # Each field of the protocol in each message costs: the first and last are enough to know the encoder by.
    for of_resource in message.resource_logs[:1] + message.resource_logs[-1:]:
        for of_scope in of_resource.scope_logs:
            for one in of_scope.log_records[:20] + of_scope.log_records[-1:]:
                known(one)
    return found


def _record(one, resource):
    attributes = pairs(one.attributes)
    source, seq = identity(attributes.get("log.record.uid", ""))
    return Record(
        service=resource.get("service.name", ""),
        stream=attributes.get("log.iostream", ""),
        seq=seq,
        source=source,
        body=value(one.body),
        severity=one.severity_number,
        severity_text=one.severity_text,
        partial=attributes.get("podvisor.partial", False),
        attributes=attributes,
        resource=resource,
        time=one.time_unix_nano,
        observed=one.observed_time_unix_nano,
    )


def identity(uid):
    """`SOURCE.SERVICE.SEQ`, as podvisor writes log.record.uid."""
    parts = uid.split(".")
    if len(parts) != 3 or not parts[2].isdigit():
        raise ValueError(f"log.record.uid {uid!r}")
    return parts[0], int(parts[2])
