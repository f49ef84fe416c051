//! OpenMetrics 1.0.0 from the same families (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).
//!
//! What differs from text 0.0.4: a counter's family is named without `_total` in TYPE and HELP, an `_info` family is of
//! type info, and the end is said.

use std::fmt::Write as _;

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

/// Writes all families.
pub(super) fn encode(families: &[MetricFamily]) -> String {
    let mut text = String::with_capacity(16 * 1024);
    for family in families {
        // Writing into a String cannot fail.
        let _ = write_family(&mut text, family);
    }
    text.push_str("# EOF\n");
    text
}

fn write_family(text: &mut String, family: &MetricFamily) -> std::fmt::Result {
    let (full, kind) = (family.name(), family.get_field_type());
    let (base, word) = match kind {
        MetricType::COUNTER => (full.strip_suffix("_total").unwrap_or(full), "counter"),
        MetricType::GAUGE => match full.strip_suffix("_info") {
            Some(base) => (base, "info"),
            None => (full, "gauge"),
        },
        MetricType::HISTOGRAM => (full, "histogram"),
        MetricType::SUMMARY => (full, "summary"),
        _ => (full, "unknown"),
    };
    writeln!(text, "# TYPE {base} {word}")?;
    if let Some(unit) = unit(base) {
        writeln!(text, "# UNIT {base} {unit}")?;
    }
    writeln!(text, "# HELP {base} {}", escape(family.help()))?;
    for metric in family.get_metric() {
        match kind {
            MetricType::COUNTER => {
                sample(
                    text,
                    base,
                    "_total",
                    metric,
                    None,
                    metric.get_counter().get_value(),
                )?;
            }
            MetricType::HISTOGRAM => histogram(text, base, metric)?,
            MetricType::SUMMARY => {
                let summary = metric.get_summary();
                sample(
                    text,
                    base,
                    "_count",
                    metric,
                    None,
                    summary.sample_count() as f64,
                )?;
                sample(text, base, "_sum", metric, None, summary.sample_sum())?;
            }
            _ => sample(text, full, "", metric, None, metric.get_gauge().get_value())?,
        }
    }
    Ok(())
}

fn histogram(text: &mut String, base: &str, metric: &Metric) -> std::fmt::Result {
    let histogram = metric.get_histogram();
    for bucket in histogram.get_bucket() {
        let bound = number(bucket.upper_bound());
        let count = bucket.cumulative_count() as f64;
        sample(text, base, "_bucket", metric, Some(&bound), count)?;
    }
    let count = histogram.get_sample_count() as f64;
    sample(text, base, "_bucket", metric, Some("+Inf"), count)?;
    sample(text, base, "_count", metric, None, count)?;
    sample(text, base, "_sum", metric, None, histogram.get_sample_sum())
}

fn sample(
    text: &mut String,
    base: &str,
    suffix: &str,
    metric: &Metric,
    le: Option<&str>,
    value: f64,
) -> std::fmt::Result {
    write!(text, "{base}{suffix}")?;
    let labels: &[LabelPair] = metric.get_label();
    if !labels.is_empty() || le.is_some() {
        let pairs = labels.iter().map(|pair| (pair.name(), pair.value()));
        for (place, (name, value)) in pairs.chain(le.map(|le| ("le", le))).enumerate() {
            let open = if place == 0 { '{' } else { ',' };
            write!(text, "{open}{name}=\"{}\"", escape(value))?;
        }
        text.push('}');
    }
    writeln!(text, " {}", number(value))
}

/// The unit, where the name ends with one; the format wants them to agree.
fn unit(base: &str) -> Option<&'static str> {
    ["seconds", "bytes", "ratio"].into_iter().find(|unit| {
        base.strip_suffix(unit)
            .is_some_and(|before| before.ends_with('_'))
    })
}

fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 {
            "+Inf".to_owned()
        } else {
            "-Inf".to_owned()
        }
    } else {
        // Whole numbers as floats, so that a bound reads the same in every exposition.
        format!("{value:?}")
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::family::Family;

    fn text(family: Family) -> String {
        let mut families = Vec::new();
        family.into(&mut families);
        encode(&families)
    }

    #[test]
    fn a_counter_loses_its_suffix_in_the_head_only() {
        let mut family = Family::counter("a_seconds_total", "Help \"with\"\nall \\ of it.");
        family.add(&[("name", "x\"y\\z\n")], 2.5);
        assert_eq!(
            text(family),
            "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds Help \\\"with\\\"\\nall \\\\ of it.\na_seconds_total{name=\"x\\\"y\\\\z\\n\"} 2.5\n# EOF\n"
        );
    }

    #[test]
    fn info_is_a_type_of_its_own() {
        let mut family = Family::gauge("a_info", "Help.");
        family.add(&[("v", "1")], 1.0);
        assert_eq!(
            text(family),
            "# TYPE a info\n# HELP a Help.\na_info{v=\"1\"} 1.0\n# EOF\n"
        );
    }

    #[test]
    fn numbers_have_one_spelling() {
        assert_eq!(number(f64::INFINITY), "+Inf");
        assert_eq!(number(f64::NAN), "NaN");
        assert_eq!(number(1e21), "1e21");
        assert_eq!(number(3.0), "3.0");
    }
}
