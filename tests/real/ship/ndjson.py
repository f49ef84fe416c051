"""NDJSON as serde_json reads it, the parser of Vector's http_server source: one bad line, and the whole body is refused."""

import json
import math
import re

from otlp import Record

DEPTH = 128  # serde_json's recursion limit
SURROGATE = re.compile(r"[\ud800-\udfff]")
DEEP = re.compile(rb"[\[{]")
OVERWRITTEN = ("path", "source_type")  # by Vector, at the top level


def _constant(name):
    raise ValueError(f"{name} is no JSON")


def _float(text):
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"number out of range: {text[:20]}")
    return number


def _integer(text):
    return int(text) if len(text) < 300 else _float(text)


def strict(line):
    """The value, or ValueError where serde_json says no."""
    text = line.decode()
    if text.startswith("\ufeff"):
        raise ValueError("byte order mark")
    value = json.loads(text, parse_constant=_constant, parse_float=_float, parse_int=_integer)
    if b"\\u" in line and _surrogates(value):
        raise ValueError("lone surrogate in hex escape")
    if len(DEEP.findall(line)) >= DEPTH and _depth(value) >= DEPTH:
        raise ValueError("recursion limit exceeded")
    return value


def _surrogates(value):
    if isinstance(value, str):
        return SURROGATE.search(value)
    if isinstance(value, list):
        return any(map(_surrogates, value))
    if isinstance(value, dict):
        return any(_surrogates(k) or _surrogates(v) for k, v in value.items())
    return False


def _depth(value):
    if isinstance(value, (list, dict)):
        return 1 + max(map(_depth, value.values() if isinstance(value, dict) else value), default=0)
    return 0


def decode(body):
    found = []
    for number, line in enumerate(body.split(b"\n")):
        if not line.strip():
            continue
        try:
            value = strict(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"line {number}: {error}") from error
        if not isinstance(value, dict):
            raise ValueError(f"line {number}: not an object")
        found.append(record(value))
    return found


def record(value):
    """What CONTRACT says of a line's fields is asked for here."""
    for name in OVERWRITTEN:
        if name in value:
            raise ValueError(f"top-level {name}")
    for name in ("timestamp", "message", "service", "stream", "seq", "source_id"):
        if name not in value:
            raise ValueError(f"no {name}: {str(value)[:200]}")
    return Record(
        service=value["service"],
        stream=value["stream"],
        seq=value["seq"],
        source=str(value["source_id"]),
        body=value["message"],
        severity_text=value.get("level", ""),
        partial=bool(value.get("partial", False)),
        attributes=value,
        resource=value.get("kubernetes", {}),
    )
