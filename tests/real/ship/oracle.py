"""Holds what a receiver has against what the services said: nothing lost, nothing doubled, in order, unaltered."""

from collections import Counter, defaultdict

import ndjson
import said

# The service of what podvisor says itself in a sink's stream, such as what was lost.
OWN = "podvisor"
SHOWN = 5  # differences told of each kind


class Differs(AssertionError):
    pass


class Findings:
    def __init__(self):
        self.count = Counter()
        self.text = defaultdict(list)

    def add(self, kind, text):
        self.count[kind] += 1
        if self.count[kind] <= SHOWN:
            self.text[kind].append(str(text)[:400])

    def tell(self):
        if self.count:
            told = [f"{n} × {kind}:\n    " + "\n    ".join(self.text[kind]) for kind, n in self.count.items()]
            raise Differs("\n  ".join(["what came is not what was said", *told]))


def once(records, unsure=(), across_kill=False, found=None):
    """The records without those that came again. That is allowed where the sender could not know that they had come:
    when the answer was lost (`unsure`: numbers of such batches), or it was killed in between."""
    seen, kept = {}, []
    for one in records:
        first = seen.get(one.uid)
        if first is None:
            seen[one.uid] = one
            kept.append(one)
            continue
        if found and (first.body, first.stream) != (one.body, one.stream):
            found.add("the same uid, another record", (first, one))
        if found and not across_kill and not seen[one.uid].request in unsure:
            found.add("doubled", f"{one.uid} in requests {first.request} and {one.request}")
        seen[one.uid] = one
    return kept


def by_service(records):
    grouped = defaultdict(list)
    for one in records:
        grouped[one.service].append(one)
    return grouped


def in_order(records, refused, found):
    """Per service and run: as they came, the numbers rise by one from 0, but for `refused` of them in all."""
    last = defaultdict(lambda: -1)
    gaps = Findings()
    missing = 0
    for one in records:
        key = (one.source, one.service)
        if one.seq <= last[key]:
            found.add("out of order", f"{key}: {one.seq} after {last[key]}, in request {one.request}")
        elif one.seq > last[key] + 1:
            missing += one.seq - last[key] - 1
            gaps.add("gap in the numbers", f"{key}: {one.seq} after {last[key]}, in request {one.request}")
        last[key] = max(last[key], one.seq)
    if missing != refused:
        found.count.update(gaps.count)
        found.text.update(gaps.text)
        found.add("numbers missing", f"{missing}, not {refused}")


def check(records, says, form, *, names=None, unsure=(), across_kill=False, ordered=True, refused=0):
    """`says`: how many lines, or which numbers, each service said. `form`: "ndjson", "otlp", or "map" (OTLP with JSON lines
    as maps). `names`: what a service is called at the receiver, if not by its name. `refused`: records that the receiver was
    right to refuse; their lines are not in `says`."""
    found = Findings()
    records = [one for one in records if one.service != OWN]
    records = once(records, unsure, across_kill, found)
    if not ordered:
        records = sorted(records, key=lambda one: (one.service, one.source, one.seq))
    in_order(records, refused, found)
    grouped = by_service(records)
    called = {(names or {}).get(service, service): service for service in says}
    for name in grouped.keys() - called.keys():
        found.add("unknown service", f"{name}: {len(grouped[name])} records")
    for name, service in called.items():
        numbers = says[service] if not isinstance(says[service], int) else range(says[service])
        for stream in ("stdout", "stderr"):
            wanted = [n for n in numbers if said.stream(n) == stream]
            came = [one for one in grouped[name] if one.stream == stream]
            _stream(service, stream, wanted, came, form, found)
        for one in grouped[name]:
            if one.stream not in ("stdout", "stderr"):
                found.add("no stream", one)
    found.tell()
    return len(records)


def _stream(service, stream, wanted, came, form, found):
    lines = _joined(came, found)
    for number, pieces in zip(wanted, lines):
        line = said.line(service, number)
        problem = FORMS[form](line, pieces)
        if problem:
            found.add("altered", f"{service} {stream} line {number}: {problem}")
            if f"{service}:{number}." not in _mark(pieces):
                found.add("lost or out of step", f"{service} {stream}: line {number} expected, came {_mark(pieces)[:100]!r}")
                return
    if len(wanted) != len(lines):
        found.add("lost" if len(wanted) > len(lines) else "too many", f"{service} {stream}: {len(lines)} lines of {len(wanted)}")


def _joined(records, found):
    """The pieces of each line."""
    lines, open_line = [], False
    for one in records:
        part = one.attributes.get("podvisor.part", one.attributes.get("part", 0))
        if open_line:
            lines[-1].append(one)
        else:
            lines.append([one])
        if part != len(lines[-1]) - 1:
            found.add("part numbers", f"{one.uid}: part {part}, not {len(lines[-1]) - 1}")
        open_line = one.partial
    if open_line:
        found.add("the rest of a line is missing", records[-1].uid)
    return lines


def _mark(pieces):
    body = pieces[0].body
    return body.decode(errors="replace") if isinstance(body, bytes) else str(body)


def _short(value):
    text = repr(value)
    return text if len(text) < 160 else f"{text[:80]} … {text[-60:]} ({len(value)})"


def valid(line):
    """The object that a line is to a strict parser, or None."""
    try:
        value = ndjson.strict(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _as_ndjson(line, pieces):
    message = "".join(one.body for one in pieces)
    value = valid(line) if len(pieces) == 1 else None
    fields = pieces[0].attributes.get("fields")
    if value is None:
        if fields is not None:
            return f"taken for JSON: {_short(line)}"
        text = line.decode(errors="replace")
        return message != text and f"{_short(message)}, not {_short(text)}"
    if fields != value:
        return f"fields {_short(fields)}, not {_short(value)}"
    text = value.get("message", value.get("msg"))
    if message != text:
        return f"message {_short(message)}, not {_short(text)}"
    return _level(value, pieces[0].severity_text.lower(), lambda word, _: word)


def _as_otlp(line, pieces):
    bodies = [one.body.encode() if isinstance(one.body, str) else one.body for one in pieces]
    if not all(isinstance(one, bytes) for one in bodies):
        return f"{_short(pieces[0].body)} for {_short(line)}"
    whole = b"".join(bodies)
    if whole != line:
        return f"{_short(whole)}, not {_short(line)}"
    for one, body in zip(pieces, bodies):
        if isinstance(one.body, bytes) and _utf8(body):
            return f"bytes where text would do: {_short(body)}"
    value = valid(line) if len(pieces) == 1 else None
    return value and _level(value, pieces[0].severity, lambda _, number: number)


def _as_map(line, pieces):
    value = valid(line) if len(pieces) == 1 else None
    if value is None or not isinstance(pieces[0].body, dict):
        return _as_otlp(line, pieces)
    body = pieces[0].body
    return {k: _plain(v) for k, v in body.items()} != {k: _plain(v) for k, v in value.items()} and f"{_short(body)}, not {_short(value)}"


def _plain(value):
    """Numbers that OTLP has no room for may be text or double."""
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 63:
        return float(value)
    return value


def _level(value, found, of):
    word = value.get("level")
    wanted = {w: of(w, n) for w, n in said.LEVELS}.get(word.lower() if isinstance(word, str) else None)
    return wanted is not None and found != wanted and f"severity {found!r}, not {wanted!r}"


def _utf8(data):
    try:
        data.decode()
        return True
    except UnicodeDecodeError:
        return False


FORMS = {"ndjson": _as_ndjson, "otlp": _as_otlp, "map": _as_map}
