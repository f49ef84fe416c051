"""Longer: podvisor killed, the receiver away, a thousand faults."""

import os
import random
import tempfile
import time

import oracle
import peers
from cases import case, same
from cases_faults import sink
from faults import GRPC_PASSING, HTTP_PASSING, Fault, Random
from receivers import Grpc, Http
from supervised import Podvisor

SEED = int(os.environ.get("SEED", "20261123"))
OUTAGE = float(os.environ.get("OUTAGE", "20"))  # seconds
FAULTS = int(os.environ.get("FAULTS", "340"))
KILLS = int(os.environ.get("KILLS", "5"))


def spool(folder, mode):
    return {"path": os.path.join(folder, "spool"), "maxBytes": "256MiB", "mode": mode}


@case("chaos")
def killed_while_the_receiver_is_away():
    """spool.mode always: all that had gone to the spool when podvisor was killed is sent by the next one, exactly."""
    lines = 30_000
    for receiver in (Http("ndjson"), Http("otlp"), Grpc()):
        gate = peers.Gate(receiver.port)
        gate.shut()
        with tempfile.TemporaryDirectory() as folder:
            far = sink(receiver, endpoint=gate.url())
            how = {"stay": True, "spool": spool(folder, "always")}
            with Podvisor({"web": lines, "db": lines}, far, **how) as podvisor:
                podvisor.all_said()

                def spooled(podvisor=podvisor):
                    books = podvisor.books()
                    # In mode always, what waits in memory is on disk too.
                    return books["spooled"] + books["queued"] == books["taken"] == podvisor.records

                peers.until(spooled, "all is in the spool", 60)
                podvisor.kill()
            gate.open()
            with Podvisor({"web": lines, "db": lines}, far, first=lines, **how) as podvisor:
                podvisor.all_said()
                podvisor.at_rest()
                podvisor.end(term=True)
        records = receiver.records()
        same(len({one.source for one in records}), 2, "runs")
        # The first run's before the second's; nothing twice, as the receiver had nothing of it.
        oracle.check(_by_run(records), {"web": 2 * lines, "db": 2 * lines}, oracle_form(receiver))
        gate.shut()
        receiver.stop()


@case("chaos")
def killed_in_the_middle_again_and_again():
    """At a random moment, while it sends: the receiver has a prefix of each run, without gaps, that holds at least what
    the spool had; what comes twice is the same record."""
    generator = random.Random(SEED)
    lines = 60_000
    told = []
    for receiver in (Http("ndjson"), Grpc()):
        for _ in range(KILLS):
            before = receiver.count()
            with tempfile.TemporaryDirectory() as folder:
                far = sink(receiver)
                spooling = {"spool": spool(folder, "always")}
                with Podvisor({"web": lines}, far, stay=True, **spooling) as podvisor:
                    goal = generator.randrange(1, lines * 3 // 4)
                    peers.until(lambda: receiver.count() - before >= goal or podvisor.ended(), "so many have come", 60)
                    taken = podvisor.books()["taken"]
                    podvisor.kill()
                with Podvisor({"late": 10}, far, stay=True, **spooling) as podvisor:
                    podvisor.all_said()
                    podvisor.at_rest()
                    podvisor.end(term=True)
            came = [one for one in receiver.records()[before:] if one.service == "web"]
            unique = {one.seq: one for one in came}
            same(sorted(unique), list(range(len(unique))), "a prefix of what was said")
            for one in came:
                same((one.body, one.stream), (unique[one.seq].body, unique[one.seq].stream), one.uid)
            # What had been taken when the metrics were read was in the spool, but for the batch that was still open.
            assert len(unique) >= taken, f"{len(unique)} have come, {taken} had been taken"
            told.append(f"{len(unique)} came ({len(came) - len(unique)} twice)")
        receiver.stop()
    return "; ".join(told)


def _by_run(records):
    order = {}
    for one in records:
        order.setdefault(one.source, len(order))
    return sorted(records, key=lambda one: order[one.source])


def oracle_form(receiver):
    return "ndjson" if getattr(receiver, "kind", "") == "ndjson" else "otlp"


@case("chaos")
def an_outage_of_the_receiver():
    """Cut in the middle, away for OUTAGE seconds (connections refused, then swallowed), and back; overflow to the spool."""
    lines = 150_000
    for receiver in (Http("ndjson"), Grpc()):
        gate = peers.Gate(receiver.port)
        with tempfile.TemporaryDirectory() as folder:
            far = sink(receiver, endpoint=gate.url(), timeout="2s", batch={"maxBytes": "256KiB"})
            how = {"stay": True, "spool": spool(folder, "overflow"), "logs": {"maxMemory": "2MiB"}}
            with Podvisor({"web": lines, "db": lines}, far, **how) as podvisor:
                peers.until(lambda: receiver.count() > 5000, "it flows")
                gate.shut()
                peers.until(lambda: podvisor.books()["spooled"] > 0, "records in the spool", 60)
                _away(OUTAGE / 2)
                gate.open(swallow=True)
                _away(OUTAGE / 2)
                gate.cut()
                gate.swallow = False
                podvisor.all_said()
                books = podvisor.at_rest(120)
                same(books["dropped"], 0, books)
                podvisor.end(term=True)
        # A request whose answer was cut off has come for all that the sender can know.
        oracle.check(receiver.records(), {"web": lines, "db": lines}, oracle_form(receiver), across_kill=True)
        gate.shut()
        receiver.stop()


def _away(seconds):
    """An outage takes time by its nature."""
    time.sleep(seconds)


@case("chaos")
def a_thousand_faults():
    told = []
    for make, kinds in (
        (lambda plan: Http("ndjson", plan=plan), HTTP_PASSING),
        (lambda plan: Http("otlp", plan=plan), HTTP_PASSING),
        (lambda plan: Grpc(plan=plan), (*GRPC_PASSING, Fault("lost_ack"))),
    ):
        plan = Random(kinds, FAULTS, 0.4, SEED)
        receiver = make(plan)
        lines = FAULTS * 50
        far = sink(receiver, batch={"maxRecords": 50, "maxBytes": "64KiB", "maxAge": "50ms"})
        with Podvisor({"web": lines, "db": lines}, far, stay=True) as podvisor:
            podvisor.all_said(seconds=900)
            books = podvisor.at_rest(900)
            podvisor.end(term=True)
        same(len(plan.met), FAULTS, "faults met")
        same(books["dropped"], 0, books)
        oracle.check(receiver.records(), {"web": lines, "db": lines}, oracle_form(receiver), unsure=receiver.unsure)
        told.append(f"{len(receiver.times)} requests for {books['sent']} records")
        receiver.stop()
    return "; ".join(told)
