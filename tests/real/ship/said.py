"""What the test services say: line `number` of a service is always the same, so that the far end can be held to it.

    python3 said.py SERVICE LINES [FIRST]

says them at full speed, one in five to stderr. `SAID_DONE=FILE`: that file is there from when all is said; `SAID_STAY=1`:
it then stays until it is ended. Nothing but Python's own modules: it runs as a service.
"""

import json
import os
import signal
import sys

# Long enough to be cut in three at podvisor's default of 256 KiB, once cut in two and a JSON object, and just under it.
CUT_AT = 256 * 1024
LONG = {4999: 2 * CUT_AT + 1234, 5999: CUT_AT + 1, 6999: CUT_AT, 7999: CUT_AT - 1}
LONG_EVERY = 10_000

LEVELS = [("trace", 1), ("debug", 5), ("info", 9), ("warn", 13), ("error", 17), ("fatal", 21)]


def stream(number):
    return "stderr" if number % 5 == 4 else "stdout"


def line(service, number):
    """The line's bytes without their end. `service:number.` is in each, so that none is like another."""
    size = LONG.get(number % LONG_EVERY)
    if size:
        return _long(service, number, size)
    return KINDS[(number * 7 + number // 97) % len(KINDS)](service, number, f"{service}:{number}.")


def records(first, count):
    """How many records so many lines of a service are."""
    return sum(-(-LONG.get(n % LONG_EVERY, 1) // CUT_AT) for n in range(first, first + count))


def end(number):
    """How the line ends: some services have come from elsewhere."""
    return b"\r\n" if number % 31 == 7 else b"\n"


def _long(service, number, size):
    mark = f"{service}:{number}."
    head, tail = (f'{{"msg":"{mark} ', '"}') if size == CUT_AT + 1 else (f"{mark} ", " end")
    return (head + "0123456789abcdef" * (size // 16 + 1))[: size - len(tail)].encode() + tail.encode()


def _text(_service, number, mark):
    return f"GET /cart/{number} 200 {number % 89} ms {mark} {'x' * (number % 120)}".encode()


def _json(_service, number, mark):
    word, _ = LEVELS[number % len(LEVELS)]
    return json.dumps({"level": word, "msg": f"{mark} done", "n": number, "took": 1.5, "ok": True, "none": None}).encode()


def _nested(_service, number, mark):
    value = {"message": mark, "http": {"status": 200, "path": "/a\"b\\c", "tags": ["a", 1, None, {"deep": [[]]}]}, "n": -number}
    return json.dumps(value, separators=(",", ":")).encode()


def _unicode(_service, _number, mark):
    return f"{mark} grüße, 日本語, 🚀, \u2028 and \x7f".encode()


def _trace(_service, number, mark):
    return (f"\tat com.example.Cart.add(Cart.java:{number}) {mark}" if number % 2 else f"Caused by: Trouble: {mark}").encode()


def _broken_utf8(_service, number, mark):
    return b"\xff\xfe " + mark.encode() + b" \xc3(\xe2\x82 \xed\xa0\x80 \xf0\x9f\x98" + bytes([0x80 + number % 64])


def _controls(_service, _number, mark):
    return b"\x1b[31m" + mark.encode() + b"\x1b[0m\ta\x00b\x01\x08\x0c\"\\/ \r mid"


def _almost_json(_service, number, mark):
    """What lax parsers take and strict ones refuse, or what they disagree about."""
    forms = (
        '{"msg":"%s","n":NaN}', '{"msg":"%s",}', "{'msg':'%s'}", '{"msg":"%s"} trailing', '{"msg":"%s","n":01}',
        '{"msg":"%s \\ud800"}', '{"msg":"%s","n":1e999}', '{"msg":"%s\t"}', '{"msg":"%s"', '["%s"]', '"%s"',
        '{"msg":"%s","a":' + "[" * 200 + "]" * 200 + "}", '{"msg":"%s","n":-}', '\ufeff{"msg":"%s"}', '{"msg":"%s","a":"\x01"}',
    )  # fmt: skip
    return (forms[number % len(forms)] % mark).encode()


def _own_words(_service, number, mark):
    """JSON whose keys are those that the records themselves use."""
    value = {
        "timestamp": "yesterday", "message": mark, "service": "other", "stream": "stdin", "seq": -1, "source_id": 7,
        "path": "/p", "source_type": "s", "kubernetes": {"pod_name": "not-me"}, "host": None, "fields": {"fields": number},
        "_msg": "m", "_time": "t", "_stream": "{}",
    }  # fmt: skip
    return json.dumps(value).encode()


def _twice(_service, number, mark):
    return f'{{"msg":"{mark}","a":{number},"a":2,"big":123456789012345678901234567890,"f":1.0,"e":1E5,"u":"\\u00e9\\u0000"}}'.encode()


def _padded(_service, _number, mark):
    return f'  {{ "msg" : "{mark}" , "level" : "WARN" }}  '.encode()


KINDS = (
    _text, _json, _text, _nested, _json, _unicode, _text, _trace, _json, _broken_utf8, _text, _controls, _json,
    _almost_json, _text, _own_words, _json, _twice, _text, _padded,
)  # fmt: skip


def main(service, count, first=0):
    out = {"stdout": (1, bytearray()), "stderr": (2, bytearray())}
    for number in range(int(first), int(first) + int(count)):
        descriptor, held = out[stream(number)]
        held += line(service, number) + end(number)
        if len(held) > 60_000:
            _write(descriptor, held)
    for descriptor, held in out.values():
        _write(descriptor, held)
    if done := os.environ.get("SAID_DONE"):
        open(done, "w").close()
    if os.environ.get("SAID_STAY"):
        signal.pause()


def _write(descriptor, held):
    while held:
        del held[: os.write(descriptor, held)]


if __name__ == "__main__":
    main(*sys.argv[1:])
