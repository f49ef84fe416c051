"""VictoriaLogs' rows, which are flat and all text, as records; and what a line should have become in them."""

import base64
import json

import oracle
from otlp import Record, identity

NO_MESSAGE = "missing _msg field; see https://docs.victoriametrics.com/victorialogs/keyconcepts/#message-field"


def from_ndjson(row):
    return Record(
        service=row["service"],
        stream=row["stream"],
        seq=int(row["seq"]),
        source=row["source_id"],
        body=row.get("_msg", ""),
        severity_text=row.get("level", ""),
        partial=row.get("partial") == "true",
        attributes={**row, "part": int(row.get("part", 0))},
    )


def from_otlp(row):
    source, seq = identity(row["log.record.uid"])
    return Record(
        service=row["service.name"],
        stream=row["log.iostream"],
        seq=seq,
        source=source,
        body=row.get("_msg", ""),
        # It writes severity_number and severity_text, whichever was sent.
        severity=int(row.get("severity_number", 0)),
        severity_text=row.get("severity_text", ""),
        partial=row.get("podvisor.partial") == "true",
        attributes={**row, "podvisor.part": int(row.get("podvisor.part", 0))},
        resource={k: v for k, v in row.items() if k.startswith("k8s.")},
    )


def flat(value, prefix):
    """Objects by dots, arrays as JSON, null and "" left out."""
    if isinstance(value, dict):
        return {k: v for key, one in value.items() for k, v in flat(one, f"{prefix}.{key}").items()}
    return {} if value is None or value == "" else {prefix: value}


def same(text, value):
    if isinstance(value, bool):
        return text == str(value).lower()
    if isinstance(value, (int, float)):
        return float(text) == float(value)
    if isinstance(value, list):
        return json.loads(text) == value
    return text == value


def ndjson_form(line, pieces):
    message = "".join(one.body for one in pieces)
    value = oracle.valid(line) if len(pieces) == 1 else None
    row = pieces[0].attributes
    fields = {k: v for k, v in row.items() if k.startswith("fields.")}
    # Of a key that is there twice it keeps the first or the last.
    hooks = (lambda pairs: dict(pairs[::-1]), dict)
    read = [flat(json.loads(line, object_pairs_hook=hook), "fields") if value is not None else {} for hook in hooks]
    text = line.decode(errors="replace") if value is None else value.get("message", value.get("msg"))
    if message != text:
        return f"message {oracle._short(message)}, not {oracle._short(text)}"
    if not any(fields.keys() == wanted.keys() and all(same(fields[k], wanted[k]) for k in wanted) for wanted in read):
        return f"fields {oracle._short(fields)}, not {oracle._short(read[0])}"
    return None


def otlp_form(line, pieces):
    """Bytes that are no text it keeps as base64."""
    if oracle._utf8(line):
        whole = "".join(one.body for one in pieces)
        return whole != line.decode() and f"{oracle._short(whole)}, not {oracle._short(line)}"
    whole = b"".join(base64.b64decode(one.body) for one in pieces)
    return whole != line and f"{oracle._short(whole)}, not {oracle._short(line)}"


oracle.FORMS["victoria ndjson"] = ndjson_form
oracle.FORMS["victoria otlp"] = otlp_form
