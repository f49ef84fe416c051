"""What goes wrong at a receiver, on purpose."""

import random
import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """`kind`:

    status: answered with `code` (HTTP) and `headers`, nothing kept
    grpc: answered with the gRPC status `code` (its name), with RetryInfo if `after` (seconds), nothing kept
    reset: the connection is reset before the request has been read whole, nothing kept
    close: the whole request is read, then the connection is closed without an answer, nothing kept
    lost_ack: the same, but all was kept: the sender can't know
    hang: no answer until the sender gives up, nothing kept
    partial: OTLP's partial_success: `rejected` records are refused, the others kept
    """

    kind: str
    code: object = 0
    headers: tuple = ()
    body: bytes = b"no"
    after: float = None
    rejected: int = 0


class Plan:
    """Which request meets which fault. A plan is asked once for each request, in the order they come."""

    def __init__(self, faults=()):
        self.lock = threading.Lock()
        self.left = list(faults)
        self.asked = 0
        self.met = []

    def next(self):
        with self.lock:
            self.asked += 1
            fault = self._choose()
            if fault:
                self.met.append(fault)
            return fault

    def _choose(self):
        return self.left.pop(0) if self.left else None


class Random(Plan):
    """`count` faults in all, each request meeting one with the given likelihood."""

    def __init__(self, kinds, count, likelihood, seed):
        super().__init__()
        self.kinds, self.count, self.likelihood = kinds, count, likelihood
        self.random = random.Random(seed)

    def _choose(self):
        if len(self.met) >= self.count or self.random.random() >= self.likelihood:
            return None
        return self.random.choice(self.kinds)


# Soon again, so that a thousand take no hour.
SOON = (("Retry-After", "0"),)

HTTP_PASSING = (
    Fault("status", 429, SOON),
    Fault("status", 502),
    Fault("status", 503, SOON),
    Fault("status", 504),
    Fault("reset"),
    Fault("close"),
    Fault("lost_ack"),
)

GRPC_PASSING = (
    Fault("grpc", "UNAVAILABLE"),
    Fault("grpc", "UNAVAILABLE", after=0.001),
    Fault("grpc", "RESOURCE_EXHAUSTED", after=0.001),
    Fault("grpc", "DEADLINE_EXCEEDED"),
    Fault("grpc", "ABORTED"),
    Fault("grpc", "CANCELLED"),
    Fault("grpc", "OUT_OF_RANGE"),
)
