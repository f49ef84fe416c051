"""Every way to ship, to every receiver: all that the services said arrives, once, in order, unaltered, as who said it."""

from collections import Counter

import oracle
import peers
import victoria
from cases import case, same
from receivers import Grpc, Http
from supervised import ATTRIBUTES, KUBERNETES, Podvisor

LINES = 20_000
SAYS = {"web": LINES, "worker": LINES, "db": LINES}


def sink(kind, endpoint, **more):
    return {"far": {"type": kind, "endpoint": endpoint, **more}}


def ships(sinks, receiver, form, *, read=None, ordered=True, names=None, says=None, **how):
    """Both ends: by completion and by TERM."""
    told = []
    for stay in (False, True):
        target = receiver()
        try:
            with Podvisor(says or SAYS, sinks(target), stay=stay, **how) as podvisor:
                if stay:
                    podvisor.all_said()
                podvisor.end(term=stay)
                records = read(target) if read else target.records()
                told.append(oracle.check(records, says or SAYS, form, ordered=ordered, names=names))
                same_fields(records, form)
        finally:
            target.stop()
    return f"{told[0]} records by completion, {told[1]} by TERM"


def same_fields(records, form):
    """Who said it, on each record; one run is one source."""
    if form in ("otlp", "map", "victoria otlp"):
        for wanted in ATTRIBUTES.items():
            if form == "victoria otlp" and not wanted[0].startswith("k8s."):
                continue
            found = Counter(one.resource.get(wanted[0]) for one in records)
            same(found, Counter({wanted[1]: len(records)}), wanted[0])
    elif form == "ndjson":
        found = Counter(tuple(sorted(one.resource.items())) for one in records)
        same(found, Counter({tuple(sorted(KUBERNETES.items())): len(records)}), "kubernetes")
    same(len({one.source for one in records}), 1, "sources")
    if form == "otlp":
        odd = [one for one in records if not (0 < one.observed and abs(one.time - one.observed) <= 86_400 * 10**9)]
        same(odd, [], "times")


@case("deliver")
def otlp_over_grpc_to_the_collector():
    return ships(lambda c: sink("otlp", c.grpc_url(), protocol="grpc"), peers.Collector, "otlp")


@case("deliver")
def otlp_over_grpc_to_the_collector_with_zstd():
    return ships(lambda c: sink("otlp", c.grpc_url(), protocol="grpc", compression="zstd"), peers.Collector, "otlp")


@case("deliver")
def otlp_over_http_to_the_collector():
    return ships(lambda c: sink("otlp", c.http_url()), peers.Collector, "otlp")


@case("deliver")
def otlp_over_http_to_the_collector_with_zstd():
    return ships(lambda c: sink("otlp", c.http_url(), compression="zstd"), peers.Collector, "otlp")


@case("deliver")
def otlp_over_http_to_the_collector_without_compression():
    return ships(lambda c: sink("otlp", c.http_url(), compression="none"), peers.Collector, "otlp")


@case("deliver")
def json_lines_as_maps_to_the_collector():
    return ships(lambda c: sink("otlp", c.http_url(), body="map"), peers.Collector, "map")


@case("deliver")
def lines_to_victoria_logs():
    def read(logs):
        return [victoria.from_ndjson(row) for row in logs.query("*")]

    far = {"preset": "victorialogs"}
    return ships(lambda v: sink("http", v.url(), **far), peers.VictoriaLogs, "victoria ndjson", read=read, ordered=False)


@case("deliver")
def lines_to_victoria_logs_with_zstd():
    def read(logs):
        return [victoria.from_ndjson(row) for row in logs.query("*")]

    far = {"preset": "victorialogs", "compression": "zstd"}
    return ships(lambda v: sink("http", v.url(), **far), peers.VictoriaLogs, "victoria ndjson", read=read, ordered=False)


@case("deliver")
def otlp_to_victoria_logs():
    def read(logs):
        return [victoria.from_otlp(row) for row in logs.query("*")]

    far = {"preset": "victorialogs"}
    return ships(lambda v: sink("otlp", v.url(), **far), peers.VictoriaLogs, "victoria otlp", read=read, ordered=False)


def own(function_of, form, receiver):
    """Our own receivers, by every compression."""
    return "; ".join(f"{c}: {ships(lambda r: function_of(r, c), receiver, form)}" for c in ("gzip", "zstd", "none"))


@case("deliver")
def lines_to_a_strict_receiver_as_vector_is():
    return own(lambda r, c: sink("http", r.url("/"), preset="vector", compression=c), "ndjson", lambda: Http("ndjson"))


@case("deliver")
def otlp_over_http_to_googles_protobuf():
    return own(lambda r, c: sink("otlp", r.url(), compression=c), "otlp", lambda: Http("otlp"))


@case("deliver")
def otlp_over_grpc_to_googles_library():
    return "; ".join(
        f"{c}: {ships(lambda r: sink('otlp', r.url(), protocol='grpc', compression=c), Grpc, 'otlp')}" for c in ("gzip", "none")
    )


@case("deliver")
def every_request_says_who_sends_it():
    for receiver, far in ((Http("ndjson"), {"type": "http"}), (Http("otlp"), {"type": "otlp"}), (Grpc(), {"type": "otlp", "protocol": "grpc"})):
        with Podvisor({"web": 1000}, {"far": {"endpoint": receiver.url("/"), **far, "headers": {"X-Scope-OrgID": "one"}}}) as podvisor:
            podvisor.end()
        for headers, _, _ in receiver.requests:
            same((headers.get("user-agent", "").startswith("podvisor/"), headers.get("x-scope-orgid")), (True, "one"), headers)
        receiver.stop()


@case("deliver")
def the_pods_name_goes_before_the_services():
    names = {service: f"shop-{service}" for service in SAYS}
    env = {"OTEL_SERVICE_NAME": "shop", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test%20one,k8s.pod.name=other"}

    def read(receiver):
        records = receiver.records()
        same({one.resource["deployment.environment.name"] for one in records}, {"test one"})
        return records

    return ships(lambda r: sink("otlp", r.url()), lambda: Http("otlp"), "otlp", names=names, env=env, read=read)


@case("deliver")
def several_sinks_get_the_same():
    receivers = {"vector": Http("ndjson"), "http": Http("otlp"), "grpc": Grpc()}
    sinks = {
        "vector": {"type": "http", "endpoint": receivers["vector"].url("/")},
        "http": {"type": "otlp", "endpoint": receivers["http"].url(), "compression": "zstd"},
        "grpc": {"type": "otlp", "endpoint": receivers["grpc"].url(), "protocol": "grpc"},
    }
    with Podvisor(SAYS, sinks) as podvisor:
        podvisor.end()
    for name, receiver in receivers.items():
        oracle.check(receiver.records(), SAYS, "ndjson" if name == "vector" else "otlp")
        receiver.stop()
    same(len({frozenset(one.uid for one in receiver.records()) for receiver in receivers.values()}), 1, "the same uids")
