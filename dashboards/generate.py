#!/usr/bin/env python3
"""Writes the Grafana dashboards beside it from the panels below. `--check` only tells whether they are up to date.

A panel is a title, what it shows, a unit and its queries; the rest is the same for all of them. The queries select by
`$job`, `$instance` and, where there is one, `$name`; on Kubernetes `$namespace` and `$pod` narrow the instances.
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
SCHEMA = 42
DATASOURCE = {"type": "prometheus", "uid": "$datasource"}
SELECT = 'job=~"$job",instance=~"$instance"'
NAMED = SELECT + ',name=~"$name"'

STATES = [
    ("pending", 0, "text"), ("blocked", 1, "yellow"), ("starting", 2, "blue"), ("running", 3, "light-green"),
    ("ready", 4, "green"), ("backoff", 5, "orange"), ("stopping", 6, "purple"), ("stopped", 7, "gray"),
    ("completed", 8, "dark-green"), ("failed", 9, "red"),
]


def panel(kind, title, shows, unit, *queries, width=12, height=8, **more):
    """`queries`: (PromQL, legend). `S` and `N` in it stand for the selectors, with and without the service."""
    targets = []
    for number, (expr, legend) in enumerate(queries):
        expr = expr.replace("{N", "{" + NAMED).replace("{S", "{" + SELECT)
        target = {"refId": chr(65 + number), "datasource": DATASOURCE, "expr": expr, "legendFormat": legend}
        if kind in ("stat", "table", "bargauge"):
            target |= {"instant": True, "range": False}
        if kind == "table":
            target["format"] = "table"
        targets.append(target)
    defaults = {"unit": unit, "mappings": more.pop("mappings", [])}
    if "thresholds" in more:
        steps = [{"color": "green", "value": None}] + [{"color": c, "value": v} for c, v in more.pop("thresholds")]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    if kind == "timeseries":
        defaults["min"] = more.pop("min", 0)
        defaults["custom"] = {"fillOpacity": 10, "showPoints": "never", "lineWidth": 1}
        if more.pop("stack", False):
            defaults["custom"] |= {"stacking": {"mode": "normal"}, "fillOpacity": 30}
    options = {
        "timeseries": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "stat": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"},
        "bargauge": {"reduceOptions": {"calcs": ["lastNotNull"]}, "orientation": "horizontal", "displayMode": "basic"},
        "table": {"showHeader": True, "sortBy": more.pop("sort", [])},
        "state-timeline": {"mergeValues": True, "showValue": "never", "rowHeight": 0.9},
    }[kind]
    return {
        "type": kind, "title": title, "description": shows, "datasource": DATASOURCE, "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options,
        "transformations": more.pop("transformations", []), "gridPos": {"w": width, "h": height}, **more,
    }


def stat(title, shows, unit, expr, **more):
    return panel("stat", title, shows, unit, (expr, ""), width=4, height=4, **more)


def graph(title, shows, unit, *queries, **more):
    return panel("timeseries", title, shows, unit, *queries, **more)


def row(title):
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"w": 24, "h": 1}}


STATE_VALUES = " or ".join(f'(podvisor_service_state{{N,state="{state}"}} == 1) * {value}' if value else
                           f'(podvisor_service_state{{N,state="{state}"}} == 1) * 0' for state, value, _ in STATES)
STATE_MAPPINGS = [{"type": "value", "options": {
    str(value): {"text": state, "color": color, "index": value} for state, value, color in STATES}}]
YES_NO = [{"type": "value", "options": {
    "0": {"text": "no", "color": "red", "index": 0}, "1": {"text": "yes", "color": "green", "index": 1}}}]
RED_FROM_1 = [("red", 1)]


def table_of(columns):
    """Instant queries, joined by service: the columns' names by their query's letter."""
    names = {f"Value #{chr(65 + number)}": name for number, name in enumerate(columns)}
    return [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {
            "excludeByName": {"Time": True, "__name__": True, "job": True, "namespace": True, "endpoint": True,
                              "container": True},
            "renameByName": names}},
    ]


OVERVIEW = [
    stat("Containers", "podvisors that answer.", "short", 'count(podvisor_build_info{S})'),
    stat("Required services ready", "Of those that gate readiness, the part that is ready.", "percentunit",
         'sum(podvisor_service_ready{N} * podvisor_service_required{N}) / sum(podvisor_service_required{N})'),
    stat("Failed services", "Services that have failed for good and are not started again.", "short",
         'sum(podvisor_service_state{N,state="failed"})', thresholds=RED_FROM_1),
    stat("Restarts, last hour", "Restarts for whatever reason.", "short",
         'sum(increase(podvisor_service_restarts_total{N}[1h]))', thresholds=[("orange", 1), ("red", 20)]),
    stat("Log records waiting", "In memory and in spools, over all sinks.", "short",
         'sum(podvisor_sink_queue_events{S}) + sum(podvisor_sink_spooled_events{S})'),
    stat("Log records lost, last hour", "Given up by sinks, for whatever reason.", "short",
         'sum(increase(podvisor_sink_dropped_events_total{S}[1h]))', thresholds=RED_FROM_1),
    row("Services"),
    panel("table", "Services that need a look", "Not ready, or restarted within the hour.", "short",
          ('podvisor_service_ready{N} == 0 or podvisor_service_ready{N} * on (job, instance, name) '
           '(sum by (job, instance, name) (increase(podvisor_service_restarts_total{N}[1h])) > 0)', ""),
          ('sum by (job, instance, name) (increase(podvisor_service_restarts_total{N}[1h]))', ""),
          ('time() - podvisor_service_start_time_seconds{N}', ""),
          ('podvisor_service_last_exit_code{N}', ""),
          transformations=table_of(["ready", "restarts 1h", "uptime s", "last exit code"])),
    graph("Services by state", "How many services are in each state, over all containers.", "short",
          ('sum by (state) (podvisor_services{S})', "{{state}}"), stack=True),
    graph("Restarts by reason", "Restarts per minute.", "short",
          ('sum by (reason) (rate(podvisor_service_restarts_total{N}[$__rate_interval])) * 60', "{{reason}}")),
    graph("Exits", "Exits per minute by code or signal.", "short",
          ('sum by (code, signal) (rate(podvisor_service_exits_total{N}[$__rate_interval])) * 60',
           "{{code}}{{signal}}")),
    graph("Required and not ready", "Services that keep their pod from being ready.", "short",
          ('sum by (name) (podvisor_service_required{N} - podvisor_service_ready{N} * podvisor_service_required{N})',
           "{{name}}"), stack=True),
    graph("Start duration", "How long starts take until ready: median and 95th percentile.", "s",
          ('histogram_quantile(0.5, sum by (le) (rate(podvisor_service_start_duration_seconds_bucket{S}'
           '[$__rate_interval])))', "p50"),
          ('histogram_quantile(0.95, sum by (le) (rate(podvisor_service_start_duration_seconds_bucket{S}'
           '[$__rate_interval])))', "p95")),
    row("Containers"),
    graph("Memory of limit", "Working set by memory limit, of containers that have one.", "percentunit",
          ('podvisor_cgroup_memory_working_set_bytes{S} / podvisor_cgroup_memory_limit_bytes{S}', "{{instance}}")),
    graph("CPU", "Cores used by each container.", "cores",
          ('rate(podvisor_cgroup_cpu_usage_seconds_total{S}[$__rate_interval])', "{{instance}}")),
]

POD = [
    stat("Phase", "1 starting, 2 running, 3 draining, 4 stopping.", "short",
         'max(podvisor_state{S,state="starting"} * 1 + ignoring (state) podvisor_state{S,state="running"} * 2 '
         '+ ignoring (state) podvisor_state{S,state="draining"} * 3 '
         '+ ignoring (state) podvisor_state{S,state="stopping"} * 4)',
         mappings=[{"type": "value", "options": {
             "1": {"text": "starting", "color": "blue"}, "2": {"text": "running", "color": "green"},
             "3": {"text": "draining", "color": "orange"}, "4": {"text": "stopping", "color": "purple"}}}]),
    stat("Start took", "From podvisor's start until all required services were ready.", "s",
         'max(podvisor_start_duration_seconds{S})'),
    stat("Uptime", "Since podvisor was started.", "s", 'time() - min(process_start_time_seconds{S})'),
    stat("Restarts", "Of all services, in the time shown.", "short",
         'sum(increase(podvisor_service_restarts_total{N}[$__range]))', thresholds=[("orange", 1)]),
    stat("OOM kills", "Main processes that the kernel killed for want of memory, in the time shown.", "short",
         'sum(increase(podvisor_oom_kills_total{N}[$__range]))', thresholds=RED_FROM_1),
    stat("Processes", "Of all services, with their descendants.", "short", 'sum(podvisor_processes{N})'),
    row("Services"),
    panel("state-timeline", "State", "The state of each service over time.", "short",
          (STATE_VALUES, "{{name}}"), width=24, height=10, mappings=STATE_MAPPINGS),
    panel("state-timeline", "Readiness", "Whether each service counts as ready.", "short",
          ('podvisor_service_ready{N}', "{{name}}"), width=12, mappings=YES_NO),
    panel("state-timeline", "Waits for", "Which dependency a start waits for.", "short",
          ('podvisor_service_blocked_on{N}', "{{name}} for {{dependency}}"), width=12,
          mappings=[{"type": "value", "options": {
              "0": {"text": "no", "color": "transparent"}, "1": {"text": "waits", "color": "yellow"}}}]),
    panel("bargauge", "Start-up", "When each service was ready, from podvisor's start: a waterfall by its ends.", "s",
          ('sort(podvisor_service_last_ready_timestamp_seconds{N} - on (job, instance) group_left () '
           'process_start_time_seconds{S})', "{{name}}")),
    panel("bargauge", "Time to start", "How long each service itself took to be ready, in its last start.", "s",
          ('sort_desc(podvisor_service_last_start_duration_seconds{N})', "{{name}}")),
    panel("table", "Exits", "All exits since podvisor's start, by code or signal.", "short",
          ('podvisor_service_exits_total{N} > 0', ""), ('time() - podvisor_service_last_exit_timestamp_seconds{N}', ""),
          transformations=table_of(["exits", "last, seconds ago"])),
    graph("Restarts", "Restarts per minute, by service.", "short",
          ('sum by (name) (rate(podvisor_service_restarts_total{N}[$__rate_interval])) * 60', "{{name}}")),
    row("Resources"),
    graph("CPU by service", "Cores used, with all descendants; and the container's limit.", "cores",
          ('sum by (name) (rate(podvisor_process_cpu_seconds_total{N}[$__rate_interval]))', "{{name}}"),
          ('podvisor_cgroup_cpu_limit_cores{S}', "limit"), stack=True),
    graph("Memory by service", "Resident memory, with all descendants; shared pages count for each process.", "bytes",
          ('podvisor_process_resident_memory_bytes{N}', "{{name}}"), stack=True),
    graph("Memory of the container", "What the kubelet evicts by, and the limit.", "bytes",
          ('podvisor_cgroup_memory_working_set_bytes{S}', "working set"),
          ('podvisor_cgroup_memory_usage_bytes{S}', "usage"), ('podvisor_cgroup_memory_limit_bytes{S}', "limit")),
    graph("Throttling and pressure", "Part of the time that tasks waited for CPU quota, CPU, memory or I/O.",
          "percentunit",
          ('rate(podvisor_cgroup_cpu_throttled_periods_total{S}[$__rate_interval]) / '
           'rate(podvisor_cgroup_cpu_periods_total{S}[$__rate_interval])', "throttled periods"),
          ('rate(podvisor_cgroup_pressure_waiting_seconds_total{S}[$__rate_interval])', "{{resource}} pressure")),
    graph("Storage", "Bytes per second read (above) and written.", "Bps",
          ('rate(podvisor_process_io_read_bytes_total{N}[$__rate_interval])', "{{name}} read"),
          ('rate(podvisor_process_io_write_bytes_total{N}[$__rate_interval])', "{{name}} written")),
    graph("Open files", "Of the fullest process of each service, the part of its limit.", "percentunit",
          ('podvisor_process_fd_usage_ratio_max{N}', "{{name}}")),
    graph("Processes and threads", "With all descendants.", "short",
          ('podvisor_processes{N}', "{{name}} processes"), ('podvisor_process_threads{N}', "{{name}} threads")),
    graph("Major page faults", "Per second. Many of them: memory is too short for what is mapped.", "short",
          ('rate(podvisor_process_major_page_faults_total{N}[$__rate_interval])', "{{name}}")),
    row("Probes"),
    panel("state-timeline", "Verdicts", "Whether each probe passes.", "short",
          ('podvisor_probe_success{N}', "{{name}} {{probe}}"), mappings=YES_NO),
    graph("Duration", "Mean time of an attempt.", "s",
          ('rate(podvisor_probe_duration_seconds_sum{N}[$__rate_interval]) / '
           'rate(podvisor_probe_duration_seconds_count{N}[$__rate_interval])', "{{name}} {{probe}}")),
    graph("Attempts that did not succeed", "Per minute, by result.", "short",
          ('rate(podvisor_probe_checks_total{N,result!="success"}[$__rate_interval]) * 60',
           "{{name}} {{probe}} {{result}}"), width=24),
    row("Output"),
    graph("Lines", "Lines per second.", "short",
          ('rate(podvisor_log_lines_total{N}[$__rate_interval])', "{{name}} {{stream}}"), width=24),
]

SINK = SELECT + ',sink=~"$sink"'
LOGS = [
    stat("Sinks up", "Sinks whose last answer was good.", "short", 'sum(podvisor_sink_up{K})'),
    stat("Records a second", "Taken by receivers.", "short",
         'sum(rate(podvisor_sink_sent_events_total{K}[$__rate_interval]))'),
    stat("Waiting", "Records in memory and spool.", "short",
         'sum(podvisor_sink_queue_events{K}) + sum(podvisor_sink_spooled_events{K})'),
    stat("Oldest record", "How far the log backend is behind.", "s", 'max(podvisor_sink_oldest_event_age_seconds{K})',
         thresholds=[("orange", 60), ("red", 300)]),
    stat("Lost", "Records given up in the time shown.", "short",
         'sum(increase(podvisor_sink_dropped_events_total{K}[$__range]))', thresholds=RED_FROM_1),
    stat("Compression", "Bytes before compression by bytes on the wire.", "none",
         'sum(rate(podvisor_sink_uncompressed_bytes_total{K}[$__rate_interval])) / '
         'sum(rate(podvisor_sink_sent_bytes_total{K}[$__rate_interval]))'),
    row("Throughput"),
    graph("Records", "Taken in and delivered, per second.", "short",
          ('sum by (sink) (rate(podvisor_sink_taken_events_total{K}[$__rate_interval]))', "{{sink}} in"),
          ('sum by (sink) (rate(podvisor_sink_sent_events_total{K}[$__rate_interval]))', "{{sink}} delivered")),
    graph("Bytes", "Per second, before compression and on the wire.", "Bps",
          ('sum by (sink) (rate(podvisor_sink_uncompressed_bytes_total{K}[$__rate_interval]))', "{{sink}} before"),
          ('sum by (sink) (rate(podvisor_sink_sent_bytes_total{K}[$__rate_interval]))', "{{sink}} on the wire")),
    graph("Lines by service", "Read per second.", "short",
          ('sum by (name) (rate(podvisor_log_lines_total{N}[$__rate_interval]))', "{{name}}")),
    graph("Bytes by service", "Read per second.", "Bps",
          ('sum by (name) (rate(podvisor_log_bytes_total{N}[$__rate_interval]))', "{{name}}")),
    row("Delivery"),
    graph("Requests", "Per second, by what they came to.", "short",
          ('sum by (sink, result) (rate(podvisor_sink_batches_total{K}[$__rate_interval]))', "{{sink}} {{result}}")),
    graph("Retries", "Per second, by reason.", "short",
          ('sum by (sink, reason) (rate(podvisor_sink_retries_total{K}[$__rate_interval]))', "{{sink}} {{reason}}")),
    graph("Latency", "Of a request: median, 95th and 99th percentile.", "s",
          *((f'histogram_quantile({q}, sum by (sink, le) (rate(podvisor_sink_send_duration_seconds_bucket{{K}}'
             '[$__rate_interval])))', f"{{{{sink}}}} p{int(q * 100)}") for q in (0.5, 0.95, 0.99))),
    graph("Size of a request", "Bytes on the wire: median and 99th percentile.", "bytes",
          *((f'histogram_quantile({q}, sum by (sink, le) (rate(podvisor_sink_batch_bytes_bucket{{K}}'
             '[$__rate_interval])))', f"{{{{sink}}}} p{int(q * 100)}") for q in (0.5, 0.99))),
    graph("Pause", "Until the next attempt; 0 while all goes well.", "s",
          ('podvisor_sink_backoff_seconds{K}', "{{sink}}")),
    graph("Under way", "Requests that have not been answered.", "short",
          ('podvisor_sink_inflight_requests{K}', "{{sink}}")),
    row("What waits"),
    graph("Memory", "Bytes that wait, compressed, and what all sinks may hold.", "bytes",
          ('podvisor_sink_queue_bytes{K}', "{{sink}}"), ('max(podvisor_sink_queue_capacity_bytes{K})', "capacity")),
    graph("Spool", "Bytes on disk, and how many there may be.", "bytes",
          ('podvisor_spool_bytes{S}', "{{instance}}"), ('podvisor_spool_capacity_bytes{S}', "capacity")),
    graph("Age", "Of the oldest record that waits: in memory by sink, and in the spool.", "s",
          ('podvisor_sink_oldest_event_age_seconds{K}', "{{sink}}"),
          ('podvisor_spool_oldest_age_seconds{S}', "spool of {{instance}}")),
    graph("Records", "That wait in memory, and on disk.", "short",
          ('podvisor_sink_queue_events{K}', "{{sink}} memory"), ('podvisor_sink_spooled_events{K}', "{{sink}} spool")),
    row("What is lost"),
    graph("By sinks", "Records per second, by reason.", "short",
          ('sum by (sink, reason) (rate(podvisor_sink_dropped_events_total{K}[$__rate_interval]))',
           "{{sink}} {{reason}}")),
    graph("By services", "Lines per second, by reason.", "short",
          ('sum by (name, reason) (rate(podvisor_log_dropped_lines_total{N}[$__rate_interval]))', "{{name}} {{reason}}")),
    graph("Held back", "Part of the time that a service's output waited to be read.", "percentunit",
          ('rate(podvisor_log_pipe_blocked_seconds_total{N}[$__rate_interval])', "{{name}}")),
    graph("Cut lines", "Lines longer than maxLine, per second.", "short",
          ('rate(podvisor_log_truncated_lines_total{N}[$__rate_interval])', "{{name}}")),
]
for each in LOGS:
    for target in each.get("targets", []):
        target["expr"] = target["expr"].replace("{K", "{" + SINK)

SELF = [
    stat("CPU", "Cores that podvisor itself uses.", "cores",
         'sum(rate(process_cpu_seconds_total{S}[$__rate_interval]))'),
    stat("Memory", "Resident memory of podvisor itself, over all containers.", "bytes",
         'sum(process_resident_memory_bytes{S})'),
    stat("Longest turn", "Of the main loop since the scrape before.", "s", 'max(podvisor_event_loop_lag_seconds{S})',
         thresholds=[("orange", 0.1), ("red", 0.5)]),
    stat("Configs refused", "podvisors whose last reload failed.", "short",
         'sum(1 - podvisor_config_last_reload_success{S})', thresholds=RED_FROM_1),
    stat("Versions", "How many different builds there are.", "short",
         'count(count by (version, revision) (podvisor_build_info{S}))'),
    stat("Series", "That podvisors export.", "short", 'sum(scrape_samples_scraped{S})'),
    row("Cost"),
    graph("CPU", "Cores, of podvisor itself.", "cores",
          ('rate(process_cpu_seconds_total{S}[$__rate_interval])', "{{instance}}")),
    graph("Memory", "Of podvisor itself.", "bytes",
          ('process_resident_memory_bytes{S}', "{{instance}} resident")),
    graph("Open files and threads", "Of podvisor itself.", "short",
          ('process_open_fds{S}', "{{instance}} files"), ('process_threads{S}', "{{instance}} threads")),
    graph("A look at all processes", "How long it takes, on a thread of its own.", "s",
          ('podvisor_process_collect_duration_seconds{S}', "{{instance}}")),
    graph("What can't be looked at", "Figures of processes that are missing, per second, by reason.", "short",
          ('sum by (instance, reason) (rate(podvisor_process_collect_errors_total{S}[$__rate_interval]))',
           "{{instance}} {{reason}}")),
    graph("Loop", "The longest turn of the main loop between two scrapes.", "s",
          ('podvisor_event_loop_lag_seconds{S}', "{{instance}}")),
    row("Work"),
    graph("Processes reaped", "Per second: its own, and orphans of others.", "short",
          ('rate(podvisor_zombies_reaped_total{S}[$__rate_interval])', "{{instance}} {{origin}}")),
    graph("Signals", "Received per minute.", "short",
          ('sum by (instance, signal) (rate(podvisor_signals_received_total{S}[$__rate_interval])) * 60',
           "{{instance}} {{signal}}")),
    graph("Requests", "To health and metrics, per second.", "reqps",
          ('sum by (path, code) (rate(podvisor_http_requests_total{S}[$__rate_interval]))', "{{path}} {{code}}")),
    graph("Reloads", "Per hour, by result.", "short",
          ('sum by (result) (increase(podvisor_config_reloads_total{S}[1h]))', "{{result}}")),
    panel("table", "Builds and configs", "What runs where.", "short",
          ('podvisor_build_info{S}', ""), ('podvisor_config_info{S}', ""), width=24,
          transformations=table_of(["build", "config"])),
]


def variable(name, label, query, **more):
    return {"name": name, "label": label, "type": "query", "datasource": DATASOURCE, "refresh": 2, "sort": 1,
            "query": {"query": query, "refId": name}, "definition": query, "multi": True, "includeAll": True,
            "allValue": ".*", "current": {"text": "All", "value": "$__all"}, **more}


def dashboard(slug, title, about, panels, *more_variables):
    x = y = line = 0
    for number, each in enumerate(panels, 1):
        grid = each["gridPos"]
        if x + grid["w"] > 24:
            x, y, line = 0, y + line, 0
        grid |= {"x": x, "y": y}
        x, line = x + grid["w"], max(line, grid["h"])
        each["id"] = number
    found = 'podvisor_build_info{namespace=~"$namespace",pod=~"$pod",job=~"$job"}'
    variables = [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}},
        variable("namespace", "Namespace", "label_values(podvisor_build_info, namespace)"),
        variable("job", "Job", 'label_values(podvisor_build_info{namespace=~"$namespace"}, job)'),
        variable("pod", "Pod", 'label_values(podvisor_build_info{namespace=~"$namespace",job=~"$job"}, pod)'),
        variable("instance", "Instance", f"label_values({found}, instance)"),
        variable("name", "Service", f"label_values(podvisor_service_info{{{SELECT}}}, name)"),
        *more_variables,
    ]
    marks = [
        ("Restarts", "orange", f"sum by (instance, name) (increase(podvisor_service_restarts_total{{{NAMED}}}[1m])) > 0",
         "{{name}} restarted"),
        ("Reloads", "blue", f"changes(podvisor_config_last_reload_timestamp_seconds{{{SELECT}}}[1m]) > 0",
         "config reloaded"),
        ("Starts", "green", f"changes(process_start_time_seconds{{{SELECT}}}[1m]) > 0", "podvisor started"),
    ]
    return {
        "uid": f"podvisor-{slug}", "title": f"podvisor / {title}", "description": about, "id": None, "version": 1,
        "schemaVersion": SCHEMA, "tags": ["podvisor"], "editable": False, "graphTooltip": 1, "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"}, "timezone": "browser",
        "links": [{"type": "dashboards", "title": "podvisor", "tags": ["podvisor"], "asDropdown": True,
                   "includeVars": True, "keepTime": True}],
        "annotations": {"list": [
            {"name": name, "datasource": DATASOURCE, "enable": name != "Restarts", "iconColor": color, "expr": expr,
             "titleFormat": text} for name, color, expr, text in marks]},
        "templating": {"list": variables}, "panels": panels,
    }


DASHBOARDS = {
    "overview": dashboard("overview", "Overview", "All containers under podvisor, and which of them need a look.",
                          OVERVIEW),
    "pod": dashboard("pod", "Pod", "One container: its services over time, what they use, their probes.", POD),
    "logs": dashboard("logs", "Logs", "What is shipped, what waits, what is lost.", LOGS,
                      variable("sink", "Sink", f"label_values(podvisor_sink_info{{{SELECT}}}, sink)")),
    "self": dashboard("self", "Self", "What podvisor itself costs, and how it fares.", SELF),
}


def main():
    check, stale = "--check" in sys.argv, []
    for name, content in DASHBOARDS.items():
        path, text = HERE / f"{name}.json", json.dumps(content, indent=2) + "\n"
        if check:
            if not path.exists() or path.read_text() != text:
                stale.append(path.name)
        else:
            path.write_text(text)
    if stale:
        sys.exit(f"out of date: {', '.join(stale)}; run dashboards/generate.py")


if __name__ == "__main__":
    main()
