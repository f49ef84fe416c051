//! `logs:` of one service: bounds, patterns, and what goes together.

use super::{Scope, probe};
use crate::config::logs::{Filter, Multiline, RateLimit, Redact};
use crate::config::model::Service;

const MIN_LINE_BYTES: u64 = 256;
const MAX_LINE_BYTES: u64 = 16 * 1024 * 1024;
const MAX_RING: u32 = 100_000;
/// The most patterns of one list: each costs time on every line.
const MAX_PATTERNS: usize = 32;
/// The most labels of a service: OTLP's and Loki's own bounds are 128.
const MAX_LABELS: usize = 64;

pub(super) fn check(scope: &mut Scope<'_, '_>, service: &Service) {
    let logs = &service.logs;
    if !(MIN_LINE_BYTES..=MAX_LINE_BYTES).contains(&logs.max_line.get()) {
        scope
            .error(
                &["logs", "maxLine"],
                format!("`{}` is out of bounds", logs.max_line),
            )
            .help("256 bytes to 16MiB");
    }
    if logs.ring > MAX_RING {
        scope
            .error(
                &["logs", "ring"],
                format!("`{}` is too many lines", logs.ring),
            )
            .help(format!("{MAX_RING} at most"));
    }
    if let Some(multiline) = &logs.multiline {
        check_multiline(scope, multiline);
    }
    for name in logs.labels.keys() {
        if name.is_empty() || name.chars().any(char::is_control) {
            scope.error_at_key(&["logs", "labels", name], "a label needs a printable name");
        }
    }
    if logs.labels.len() > MAX_LABELS {
        scope.error(
            &["logs", "labels"],
            format!("more than {MAX_LABELS} labels"),
        );
    }
    check_filter(scope, &logs.filter);
    if let Some(limit) = &logs.rate_limit {
        check_rate(scope, limit);
    }
    check_redact(scope, &logs.redact);
}

fn check_multiline(scope: &mut Scope<'_, '_>, multiline: &Multiline) {
    let at = ["logs", "multiline"];
    for (field, text) in [
        ("startPattern", &multiline.start_pattern),
        ("continuePattern", &multiline.continue_pattern),
    ] {
        if let Some(text) = text {
            probe::pattern(scope, &["logs", "multiline", field], text);
        }
    }
    let ways = [
        multiline.start_pattern.is_some(),
        multiline.continue_pattern.is_some(),
        multiline.indent,
        multiline.preset.is_some(),
    ];
    if ways.iter().filter(|way| **way).count() != 1 && !scope.is_incomplete() {
        scope
            .error(
                &at,
                "`multiline` has one of `startPattern`, `continuePattern`, `indent` and `preset`",
            )
            .help("preset: java");
    }
    if !(1..=10_000).contains(&multiline.max_lines) {
        scope
            .error(
                &["logs", "multiline", "maxLines"],
                format!("`{}` is out of bounds", multiline.max_lines),
            )
            .help("1 to 10000");
    }
}

fn check_filter(scope: &mut Scope<'_, '_>, filter: &Filter) {
    for (field, patterns) in [("keep", &filter.keep), ("drop", &filter.drop)] {
        if patterns.len() > MAX_PATTERNS {
            scope.error(
                &["logs", "filter", field],
                format!("more than {MAX_PATTERNS} patterns"),
            );
        }
        for (index, text) in patterns.iter().enumerate().take(MAX_PATTERNS) {
            probe::pattern(scope, &["logs", "filter", field, &index.to_string()], text);
        }
    }
}

fn check_rate(scope: &mut Scope<'_, '_>, limit: &RateLimit) {
    for (field, zero) in [
        ("perSecond", limit.per_second == 0),
        ("burst", limit.burst == Some(0)),
    ] {
        if zero {
            scope
                .error(
                    &["logs", "rateLimit", field],
                    "a limit of 0 would ship nothing",
                )
                .help("to ship nothing, write `filter: { drop: ['.'] }`");
        }
    }
}

fn check_redact(scope: &mut Scope<'_, '_>, redact: &[Redact]) {
    if redact.len() > MAX_PATTERNS {
        scope.error(
            &["logs", "redact"],
            format!("more than {MAX_PATTERNS} patterns"),
        );
    }
    for (index, one) in redact.iter().enumerate().take(MAX_PATTERNS) {
        let index = index.to_string();
        let at = ["logs", "redact", &index];
        if let Some(text) = &one.pattern {
            probe::pattern(scope, &["logs", "redact", &index, "pattern"], text);
        }
        if one.pattern.is_some() == one.builtin.is_some() && !scope.is_incomplete() {
            scope.error(&at, "one of `pattern` and `builtin`");
        }
    }
}
