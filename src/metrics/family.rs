//! Building one family: short words for prometheus' plain model.

use std::time::Duration;

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType, Summary,
};

use crate::core;

/// A family that is being built.
pub(super) struct Family(MetricFamily);

/// Label names and values.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

impl Family {
    fn new(name: &str, help: &str, kind: MetricType) -> Self {
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        Self(family)
    }

    pub(super) fn counter(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::COUNTER)
    }

    pub(super) fn gauge(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::GAUGE)
    }

    pub(super) fn histogram(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::HISTOGRAM)
    }

    pub(super) fn summary(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::SUMMARY)
    }

    /// Adds one sample of a counter or gauge.
    pub(super) fn add(&mut self, labels: Labels<'_>, value: f64) {
        let mut metric = labelled(labels);
        if self.0.get_field_type() == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        self.0.mut_metric().push(metric);
    }

    /// Adds one summary without quantiles.
    pub(super) fn add_summary(&mut self, labels: Labels<'_>, count: u64, sum: Duration) {
        let mut metric = labelled(labels);
        let mut summary = Summary::default();
        summary.set_sample_count(count);
        summary.set_sample_sum(sum.as_secs_f64());
        metric.set_summary(summary);
        self.0.mut_metric().push(metric);
    }

    /// Adds one histogram: bounds with the count of each bucket alone, all observations, their sum.
    pub(super) fn add_histogram(
        &mut self,
        labels: Labels<'_>,
        buckets: impl Iterator<Item = (f64, u64)>,
        beyond: u64,
        sum: f64,
    ) {
        let mut histogram = Histogram::default();
        let mut cumulated = 0;
        let mut filled = Vec::new();
        for (bound, count) in buckets {
            cumulated += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(cumulated);
            filled.push(bucket);
        }
        histogram.set_bucket(filled);
        histogram.set_sample_count(cumulated + beyond);
        histogram.set_sample_sum(sum);
        let mut metric = labelled(labels);
        metric.set_histogram(histogram);
        self.0.mut_metric().push(metric);
    }

    /// Adds one histogram of durations.
    pub(super) fn add_durations(&mut self, from: &core::Histogram) {
        let bounds = core::DURATION_BUCKETS.iter().copied();
        let beyond = from.counts.iter().skip(core::DURATION_BUCKETS.len()).sum();
        self.add_histogram(&[], bounds.zip(from.counts), beyond, from.sum.as_secs_f64());
    }

    pub(super) fn into(self, families: &mut Vec<MetricFamily>) {
        families.push(self.0);
    }
}

fn labelled(labels: Labels<'_>) -> Metric {
    let mut pairs: Vec<LabelPair> = labels
        .iter()
        .map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        })
        .collect();
    pairs.sort();
    Metric::from_label(pairs)
}

/// 1 or 0.
pub(super) fn flag(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}
