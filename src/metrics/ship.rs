//! The families of sinks and spool, read from their counters.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::proto::MetricFamily;

use super::family::Family;
use crate::ship::counters::{
    Cell, DURATION_BOUNDS, Histogram, Loss, Outcome, SIZE_BOUNDS, ShipCounters, SinkCounters,
    SinkInfo, SpoolCounters,
};
use crate::ship::verdict::Reason;

/// A gauge or counter of a sink that has no further label: name, help, whether it counts, value.
type Plain = (&'static str, &'static str, bool, fn(&SinkCounters) -> f64);

const PLAIN: [Plain; 12] = [
    (
        "podvisor_sink_up",
        "1 while the sink's last answer was good.",
        false,
        |c| whole(&c.up),
    ),
    (
        "podvisor_sink_queue_events",
        "Records that wait in memory.",
        false,
        |c| whole(&c.queue_events),
    ),
    (
        "podvisor_sink_queue_bytes",
        "Bytes that wait in memory, compressed.",
        false,
        |c| whole(&c.queue_bytes),
    ),
    (
        "podvisor_sink_spooled_events",
        "Records that wait in the spool.",
        false,
        |c| whole(&c.spooled_events),
    ),
    (
        "podvisor_sink_oldest_event_age_seconds",
        "Age of the oldest record that waits in memory.",
        false,
        |c| age(&c.oldest_ns),
    ),
    (
        "podvisor_sink_last_success_timestamp_seconds",
        "When the receiver last took something; 0 if never.",
        false,
        |c| seconds(&c.last_success_ns),
    ),
    (
        "podvisor_sink_inflight_requests",
        "Requests under way.",
        false,
        |c| whole(&c.in_flight),
    ),
    (
        "podvisor_sink_backoff_seconds",
        "Until the next attempt.",
        false,
        |c| whole(&c.backoff_ms) / 1e3,
    ),
    (
        "podvisor_sink_taken_events_total",
        "Records given to the sink: taken = sent + dropped + queued + spooled.",
        true,
        |c| whole(&c.taken),
    ),
    (
        "podvisor_sink_sent_events_total",
        "Records that the receiver has taken.",
        true,
        |c| whole(&c.sent),
    ),
    (
        "podvisor_sink_sent_bytes_total",
        "Their bytes on the wire, compressed.",
        true,
        |c| whole(&c.sent_bytes),
    ),
    (
        "podvisor_sink_uncompressed_bytes_total",
        "The same before compression.",
        true,
        |c| whole(&c.uncompressed_bytes),
    ),
];

pub(super) fn families(ship: &ShipCounters, out: &mut Vec<MetricFamily>) {
    let mut info = Family::gauge("podvisor_sink_info", "The sinks of the config.");
    let mut capacity = Family::gauge(
        "podvisor_sink_queue_capacity_bytes",
        "Bytes that all sinks together may hold in memory.",
    );
    for sink in &ship.sinks {
        info.add(
            &[
                ("sink", &sink.name),
                ("type", sink.kind),
                ("compression", sink.compression),
            ],
            1.0,
        );
        capacity.add(&[("sink", &sink.name)], ship.budget.limit() as f64);
    }
    info.into(out);
    capacity.into(out);
    for (name, help, counts, value) in PLAIN {
        let mut family = match counts {
            true => Family::counter(name, help),
            false => Family::gauge(name, help),
        };
        for sink in &ship.sinks {
            family.add(&[("sink", &sink.name)], value(&sink.counters));
        }
        family.into(out);
    }
    labelled(&ship.sinks, out);
    histograms(&ship.sinks, out);
    services(ship, out);
    if let Some(spool) = &ship.spool {
        spool_families(spool, out);
    }
}

fn labelled(sinks: &[SinkInfo], out: &mut Vec<MetricFamily>) {
    let mut batches = Family::counter(
        "podvisor_sink_batches_total",
        "Requests, by what they came to.",
    );
    let mut retries = Family::counter(
        "podvisor_sink_retries_total",
        "Requests to be sent again, by reason.",
    );
    let mut dropped = Family::counter(
        "podvisor_sink_dropped_events_total",
        "Records lost, by reason.",
    );
    for sink in sinks {
        let (name, counters) = (sink.name.as_str(), &sink.counters);
        for outcome in Outcome::ALL {
            batches.add(
                &[("sink", name), ("result", outcome.as_str())],
                whole(counters.batches(outcome)),
            );
        }
        for reason in Reason::ALL {
            retries.add(
                &[("sink", name), ("reason", reason.as_str())],
                whole(counters.retries(reason)),
            );
        }
        for loss in Loss::ALL {
            dropped.add(
                &[("sink", name), ("reason", loss.as_str())],
                whole(counters.dropped(loss)),
            );
        }
    }
    for family in [batches, retries, dropped] {
        family.into(out);
    }
}

fn histograms(sinks: &[SinkInfo], out: &mut Vec<MetricFamily>) {
    let mut duration = Family::histogram(
        "podvisor_sink_send_duration_seconds",
        "How long a request took.",
    );
    let mut size = Family::histogram(
        "podvisor_sink_batch_bytes",
        "Bytes of a request on the wire.",
    );
    for sink in sinks {
        add(
            &mut duration,
            &sink.name,
            &DURATION_BOUNDS,
            &sink.counters.duration,
        );
        add(&mut size, &sink.name, &SIZE_BOUNDS, &sink.counters.size);
    }
    duration.into(out);
    size.into(out);
}

fn add<const N: usize>(family: &mut Family, sink: &str, bounds: &[f64; N], from: &Histogram<N>) {
    let buckets = bounds
        .iter()
        .copied()
        .zip(from.counts.iter().map(Cell::get));
    family.add_histogram(
        &[("sink", sink)],
        buckets,
        from.beyond.get(),
        whole(&from.sum_micros) / 1e6,
    );
}

/// What becomes of each service's lines on the way.
fn services(ship: &ShipCounters, out: &mut Vec<MetricFamily>) {
    let mut records = Family::counter(
        "podvisor_log_records_total",
        "Records made of a service's lines.",
    );
    let mut merged = Family::counter(
        "podvisor_log_merged_lines_total",
        "Lines that became part of the record of a line before.",
    );
    let mut invalid = Family::counter(
        "podvisor_log_invalid_json_lines_total",
        "Lines that are no JSON object, with `parse: json`.",
    );
    for service in &ship.services {
        let labels = [("name", &*service.name)];
        records.add(&labels, whole(&service.records));
        merged.add(&labels, whole(&service.merged));
        invalid.add(&labels, whole(&service.invalid_json));
    }
    for family in [records, merged, invalid] {
        family.into(out);
    }
}

fn spool_families(spool: &SpoolCounters, out: &mut Vec<MetricFamily>) {
    for (name, help, value) in [
        (
            "podvisor_spool_bytes",
            "Bytes in the spool.",
            whole(&spool.bytes),
        ),
        (
            "podvisor_spool_capacity_bytes",
            "Bytes that the spool may hold.",
            whole(&spool.capacity),
        ),
        (
            "podvisor_spool_segments",
            "Files of the spool.",
            whole(&spool.segments),
        ),
        (
            "podvisor_spool_oldest_age_seconds",
            "Age of the oldest record in the spool.",
            age(&spool.oldest_ns),
        ),
    ] {
        let mut family = Family::gauge(name, help);
        family.add(&[], value);
        family.into(out);
    }
    for (name, help, cell) in [
        (
            "podvisor_spool_write_errors_total",
            "Writes to the spool that failed.",
            &spool.write_errors,
        ),
        (
            "podvisor_spool_corrupt_records_total",
            "Damaged records found in the spool.",
            &spool.corrupt,
        ),
        (
            "podvisor_spool_unclaimed_events_total",
            "Records removed from the spool unsent, for no sink takes their form any more.",
            &spool.unclaimed,
        ),
        (
            "podvisor_spool_replayed_events_total",
            "Records of earlier runs taken up from the spool.",
            &spool.replayed,
        ),
    ] {
        let mut family = Family::counter(name, help);
        family.add(&[], whole(cell));
        family.into(out);
    }
}

fn whole(cell: &Cell) -> f64 {
    cell.get() as f64
}

fn seconds(cell: &Cell) -> f64 {
    cell.get() as f64 / 1e9
}

/// How long ago that was; 0 if it never was.
fn age(cell: &Cell) -> f64 {
    let at = cell.get();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    match at {
        0 => 0.0,
        at => (now.as_secs_f64() - at as f64 / 1e9).max(0.0),
    }
}

/// Losses on the way, as the log families show them: (name, reason, lines).
pub(super) fn dropped(ship: Option<&Arc<ShipCounters>>, name: &str) -> [(&'static str, u64); 3] {
    let of = ship.and_then(|ship| ship.services.iter().find(|service| &*service.name == name));
    let get = |cell: fn(&crate::ship::counters::ServiceCounters) -> u64| of.map_or(0, cell);
    [
        ("rate_limit", get(|it| it.rate_limited.get())),
        ("filter", get(|it| it.filtered.get())),
        ("queue_full", get(|it| it.refused.get() + it.lost.get())),
    ]
}
