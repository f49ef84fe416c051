"""One fault at a time: what passes is sent again, what will never pass is dropped and counted, the rest arrives."""

import oracle
import peers
import reference
import said
from cases import case, same
from faults import GRPC_PASSING, Fault, Plan
from receivers import Grpc, Http, Refused
from supervised import Podvisor

LINES = 3000
SAYS = {"web": LINES, "db": LINES}
SMALL = {"batch": {"maxRecords": 100, "maxBytes": "64KiB", "maxAge": "100ms"}}


def sink(receiver, **more):
    kind = {"type": "http"} if getattr(receiver, "kind", "") == "ndjson" else {"type": "otlp"}
    protocol = {"protocol": "grpc"} if isinstance(receiver, Grpc) else {}
    return {"far": {**kind, **protocol, "endpoint": receiver.url("/" if kind["type"] == "http" else ""), **SMALL, **more}}


def form(receiver):
    return "ndjson" if getattr(receiver, "kind", "") == "ndjson" else "otlp"


def arrives(receiver, *, says=None, dropped=0, refused=0, far=None, meanwhile=None, **how):
    """All that is said arrives; the books say what was dropped. Gives the podvisor's metrics at rest."""
    wanted = says or SAYS
    spoken = {service: LINES for service in wanted}
    try:
        with Podvisor(spoken, sink(receiver, **(far or {})), stay=True, **how) as podvisor:
            if meanwhile:
                meanwhile(podvisor)
            podvisor.all_said()
            books = podvisor.at_rest()
            metrics = podvisor.metrics()
            podvisor.end(term=True)
        same(books["dropped"], dropped, f"dropped, of {books}")
        oracle.check(receiver.records(), wanted, form(receiver), unsure=receiver.unsure, refused=refused)
        same(receiver.count() - len(_again(receiver)), books["sent"] - books["own"], "sent, by the books")
        return metrics
    finally:
        receiver.stop()


def _again(receiver):
    seen, again = set(), []
    for one in receiver.records():
        (again.append if one.uid in seen else seen.add)(one.uid)
    return again


def every(faults, make):
    for fault in faults:
        receiver = make(Plan([None, fault, fault, None, fault]))
        arrives(receiver)
        same(receiver.plan.met, [fault] * 3, "faults met")
    return f"{len(faults)} faults"


@case("faults")
def http_statuses_that_pass():
    plain = [Fault("status", code) for code in (408, 425, 429, 500, 502, 503, 504)]
    return every(plain, lambda plan: Http("ndjson", plan=plan)) and every(plain, lambda plan: Http("otlp", plan=plan))


@case("faults")
def connections_that_break():
    broken = [Fault("reset"), Fault("close"), Fault("lost_ack")]
    return every(broken, lambda plan: Http("ndjson", plan=plan)) and every(broken, lambda plan: Http("otlp", plan=plan))


@case("faults")
def grpc_statuses_that_pass():
    """Also those for which OTLP wants no retry, but Vector answers them when its own sink is down; and
    RESOURCE_EXHAUSTED without RetryInfo, as the Collector says it when it is busy."""
    others = (Fault("grpc", "RESOURCE_EXHAUSTED"), Fault("grpc", "DATA_LOSS"), Fault("grpc", "INTERNAL"), Fault("lost_ack"))
    return every(GRPC_PASSING + others, lambda plan: Grpc(plan=plan))


@case("faults")
def no_answer_ends_by_the_timeout():
    for receiver in (Http("ndjson", plan=Plan([None, Fault("hang")])), Grpc(plan=Plan([None, Fault("hang")]))):
        metrics = arrives(receiver, far={"timeout": "500ms"})
        same(metrics["podvisor_sink_retries_total", (("reason", "timeout"), ("sink", "far"))], 1.0, "timeouts")


@case("faults")
def retry_after_is_waited_for():
    for fault, receiver in (
        (Fault("status", 429, (("Retry-After", "2"),)), Http("ndjson")),
        (Fault("status", 503, (("Retry-After", "2"),)), Http("otlp")),
        (Fault("grpc", "UNAVAILABLE", after=2), Grpc()),
        (Fault("grpc", "RESOURCE_EXHAUSTED", after=2), Grpc()),
    ):
        receiver.plan = Plan([None, fault])
        arrives(receiver)
        (at,) = (i for i, (_, what) in enumerate(receiver.times) if what == fault.code)
        waited = receiver.times[at + 1][0] - receiver.times[at][0]
        assert 1.95 <= waited < 5, f"{fault}: waited {waited:.2f} s"


@case("faults")
def a_poison_record_is_found_and_the_others_pass():
    poison = {100, 101, 777, 1500, LINES - 1}
    says = {"web": [n for n in range(LINES) if n not in poison], "db": LINES}
    pattern = rb"web:(%s)\." % b"|".join(str(n).encode() for n in poison)
    for make in (lambda: Http("ndjson", poison=pattern), lambda: Http("otlp", poison=pattern), lambda: Grpc(poison=pattern)):
        receiver = make()
        # That the last one is missing leaves no gap.
        metrics = arrives(receiver, says=says, dropped=len(poison), refused=len(poison) - 1)
        same(metrics["podvisor_sink_dropped_events_total", (("reason", "rejected"), ("sink", "far"))], float(len(poison)))


@case("faults")
def too_large_is_sent_in_smaller_ones():
    far = {"batch": {"maxBytes": "4MiB", "maxRecords": 100_000, "maxAge": "1s"}}
    for kind in ("ndjson", "otlp"):
        receiver = Http(kind, limit=50_000)
        arrives(receiver, far=far)
        assert receiver.answers[413], "nothing was too large"


@case("faults")
def a_record_that_is_too_large_is_dropped_and_the_others_pass():
    lines = 9000
    long = {n for n in range(lines) if len(said.line("web", n)) > 40_000}
    pieces = sum(len(reference.pieces(said.line("web", n))) for n in long)
    receiver = Http("ndjson", limit=50_000)
    says = {"web": [n for n in range(lines) if n not in long]}
    try:
        with Podvisor({"web": lines}, sink(receiver), stay=True) as podvisor:
            podvisor.all_said()
            books = podvisor.at_rest()
            podvisor.end(term=True)
        # The last piece of a line may be short enough: it has passed.
        came = receiver.records()
        rest = [one for one in came if one.attributes.get("part")]
        kept = [one for one in came if not one.attributes.get("part")]
        same(books["dropped"], pieces - len(rest), f"dropped, of {books}")
        oracle.check(kept, says, "ndjson", refused=pieces)
    finally:
        receiver.stop()


@case("faults")
def a_partial_success_is_counted_and_not_sent_again():
    for receiver in (Http("otlp"), Grpc()):
        receiver.plan = Plan([None, Fault("partial", rejected=7), Fault("partial", rejected=0)])
        try:
            with Podvisor(SAYS, sink(receiver), stay=True) as podvisor:
                podvisor.all_said()
                books = podvisor.at_rest()
                podvisor.end(term=True)
            same(books["dropped"], 7, books)
            same(receiver.count(), books["sent"] - books["own"], "sent, by the books")
            same(_again(receiver), [], "sent again")
        finally:
            receiver.stop()


@case("faults")
def what_only_the_user_can_mend_is_waited_for():
    """401, 403, 404: nothing is wrong with the records."""
    for code in (401, 403, 404):
        receiver = Http("ndjson", plan=Plan([Fault("status", code)] * 3))
        arrives(receiver)
        same(receiver.plan.met, [Fault("status", code)] * 3)


@case("faults")
def a_batch_that_the_receiver_always_fails_over_is_given_up():
    """500 for one record, for ever: it must not keep up all others. What was with it may go too, but is counted."""

    class Failing(Http):
        def poisoned(self, records):
            if super().poisoned(records):
                raise Refused(500, "it fails")
            return False

    receiver = Failing("otlp", poison=rb"web:1234\.")
    try:
        with Podvisor(SAYS, sink(receiver), stay=True) as podvisor:
            podvisor.all_said()
            books = podvisor.at_rest(seconds=180)
            podvisor.end(term=True)
        assert 1 <= books["dropped"] <= 100, books
        same(receiver.count() + books["dropped"], books["taken"] - books["own"], books)
        return f"{books['dropped']} dropped"
    finally:
        receiver.stop()


@case("faults")
def old_connections_are_ended_by_goaway():
    receiver = Grpc(max_age_ms=100)
    arrives(receiver)


@case("faults")
def a_receiver_that_comes_late():
    for receiver in (Http("ndjson"), Grpc()):
        gate = peers.Gate(receiver.port)
        gate.shut()
        url = f"http://127.0.0.1:{gate.port}"

        def meanwhile(podvisor, gate=gate):
            peers.until(lambda: podvisor.total("podvisor_sink_retries_total", reason="connect") >= 3, "three attempts")
            same(podvisor.total("podvisor_sink_up"), 0.0, "up")
            gate.open()

        arrives(receiver, far={"endpoint": url}, meanwhile=meanwhile)
        gate.shut()


@case("faults")
def one_dead_sink_does_not_hold_up_the_other():
    live, dead = Http("ndjson"), peers.free_ports(1)[0]
    sinks = {
        "live": {"type": "http", "endpoint": live.url("/"), **SMALL},
        "dead": {"type": "otlp", "endpoint": f"http://127.0.0.1:{dead}", **SMALL},
    }
    try:
        with Podvisor(SAYS, sinks, stay=True, service_logs={"whenFull": "dropOldest"}) as podvisor:
            podvisor.all_said()
            peers.until(lambda: podvisor.books("live")["sent"] >= sum(SAYS.values()), "all through the live one")
            books = podvisor.books("dead")
            same((books["sent"], books["balance"]), (0, 0), books)
        oracle.check(live.records(), SAYS, "ndjson")
    finally:
        live.stop()


@case("faults")
def no_receiver_at_all_does_not_stop_a_service_and_is_counted():
    """whenFull: dropOldest, memory of 1 MiB: the services get done, the end is in time, the books say what is lost."""
    port = peers.free_ports(1)[0]
    lines = 50_000
    far = {"far": {"type": "http", "endpoint": f"http://127.0.0.1:{port}/"}}
    with Podvisor(
        {"web": lines}, far, stay=True, service_logs={"whenFull": "dropOldest"}, logs={"maxMemory": "1MiB"}
    ) as podvisor:
        podvisor.all_said(seconds=30)
        peers.until(lambda: podvisor.books()["taken"] == podvisor.records, "all is taken")
        books = podvisor.books()
        same((books["balance"], books["sent"]), (0, 0), books)
        assert books["dropped"] > 0, books
    return f"{books['dropped']} of {books['taken']} dropped, {books['queued']} kept"

