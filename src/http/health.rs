//! `/livez`, `/readyz`, `/startupz`: the API server's text form (apiserver/pkg/server/healthz/healthz.go), from the view.
//!
//! Two things differ from the API server on purpose: a failure is 503, which load balancers understand, and the
//! reason is said (one word), since there is nothing secret in it.

use std::fmt::Write as _;

use http::StatusCode;
use serde_json::json;

use super::reply::{JSON, Reply, TEXT, parameters, reply};
use crate::core::ServiceState;
use crate::view::{Phase, ServiceView, View};

/// The longest body; the kubelet reads 10 KiB.
const MAX_BODY: usize = 8 * 1024 - 256;

/// One check: its name, and why it fails.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Check {
    name: String,
    failed: Option<&'static str>,
}

impl Check {
    fn new(name: impl Into<String>, failed: Option<&'static str>) -> Self {
        Self {
            name: name.into(),
            failed,
        }
    }
}

/// `/livez`: podvisor's own loop turns. Nothing else: a failing service, a full disk or a drain must not make the
/// kubelet kill the container.
pub(super) fn livez(alive: bool, query: &str) -> Reply {
    answer(
        "livez",
        vec![Check::new("loop", (!alive).then_some("stuck"))],
        query,
    )
}

/// `/readyz`: not draining, and every required service is ready.
pub(super) fn readyz(view: &View, query: &str) -> Reply {
    let up = matches!(view.phase, Phase::Starting | Phase::Running);
    let mut checks = vec![
        Check::new("config", view.services.is_empty().then_some("loading")),
        Check::new("not-draining", (!up).then_some(view.phase.name())),
    ];
    let required = view.services.iter().filter(|service| service.required);
    checks.extend(required.map(|service| of_service(service)));
    answer("readyz", checks, query)
}

/// `/startupz`: all required services have been ready once.
pub(super) fn startupz(view: &View, query: &str) -> Reply {
    let mut checks = vec![Check::new("started", (!view.started).then_some("starting"))];
    if !view.started {
        let required = view.services.iter().filter(|service| service.required);
        checks.extend(required.map(|service| of_service(service)));
    }
    answer("startupz", checks, query)
}

/// `/readyz/<name>`: that one service is ready.
pub(super) fn readyz_of(view: &View, name: &str, query: &str) -> Reply {
    match view.services.iter().find(|service| &*service.name == name) {
        Some(service) => answer("readyz", vec![of_service(service)], query),
        None => reply(StatusCode::NOT_FOUND, TEXT, "no such service\n"),
    }
}

fn of_service(service: &ServiceView) -> Check {
    let failed = (!service.ready).then_some(match service.state {
        // Ready by its own account and yet not what a user of the container needs: a oneshot that still runs.
        ServiceState::Ready => ServiceState::Running.name(),
        state => state.name(),
    });
    Check::new(format!("service/{}", service.name), failed)
}

fn answer(endpoint: &str, checks: Vec<Check>, query: &str) -> Reply {
    let excluded: Vec<String> = parameters(query, "exclude").collect();
    let is_excluded = |check: &Check| {
        let bare = check.name.trim_start_matches("service/");
        excluded
            .iter()
            .any(|name| *name == check.name || name == bare)
    };
    let unknown: Vec<&String> = excluded
        .iter()
        .filter(|name| {
            !checks
                .iter()
                .any(|c| c.name == **name || c.name.trim_start_matches("service/") == **name)
        })
        .collect();
    let mut passed = true;
    let mut rows: Vec<(&Check, bool)> = Vec::with_capacity(checks.len());
    for check in &checks {
        let excluded = is_excluded(check);
        passed &= excluded || check.failed.is_none();
        rows.push((check, excluded));
    }
    let status = if passed {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    if parameters(query, "format").any(|format| format == "json") {
        return reply(status, JSON, as_json(passed, &mut rows));
    }
    if passed && parameters(query, "verbose").next().is_none() {
        return reply(status, TEXT, "ok");
    }
    reply(status, TEXT, as_text(endpoint, passed, &mut rows, &unknown))
}

/// What failed comes first where not everything fits.
fn failed_first(rows: &mut [(&Check, bool)]) {
    rows.sort_by_key(|(check, excluded)| *excluded || check.failed.is_none());
}

fn as_text(
    endpoint: &str,
    passed: bool,
    rows: &mut [(&Check, bool)],
    unknown: &[&String],
) -> String {
    let size: usize = rows.iter().map(|(check, _)| check.name.len() + 24).sum();
    if size > MAX_BODY {
        failed_first(rows);
    }
    let mut text = String::new();
    let mut left = rows.len();
    for (check, excluded) in rows {
        if text.len() + check.name.len() > MAX_BODY - 512 {
            break;
        }
        left -= 1;
        // Writing into a String cannot fail.
        let _ = match (*excluded, check.failed) {
            (true, _) => writeln!(text, "[+]{} excluded: ok", check.name),
            (false, None) => writeln!(text, "[+]{} ok", check.name),
            (false, Some(why)) => writeln!(text, "[-]{} failed: {why}", check.name),
        };
    }
    if left > 0 {
        let _ = writeln!(text, "… and {left} more");
    }
    if !unknown.is_empty() {
        let names: Vec<String> = unknown
            .iter()
            .take(4)
            .map(|name| format!("{name:?}"))
            .collect();
        let mut names = names.join(", ");
        names.truncate(names.floor_char_boundary(256));
        let _ = writeln!(
            text,
            "warn: some health checks cannot be excluded: no matches for {names}"
        );
    }
    let _ = writeln!(
        text,
        "{endpoint} check {}",
        if passed { "passed" } else { "failed" }
    );
    text
}

fn as_json(passed: bool, rows: &mut [(&Check, bool)]) -> String {
    failed_first(rows);
    let mut size = 64;
    let mut checks = serde_json::Map::new();
    let mut left = rows.len();
    for (check, excluded) in rows {
        size += check.name.len() + 64;
        if size > MAX_BODY {
            break;
        }
        left -= 1;
        let status = if *excluded || check.failed.is_none() {
            "pass"
        } else {
            "fail"
        };
        let mut row = json!({ "status": status });
        if let (false, Some(why)) = (*excluded, check.failed) {
            row["reason"] = json!(why);
        }
        if *excluded {
            row["excluded"] = json!(true);
        }
        checks.insert(check.name.clone(), row);
    }
    let mut body = json!({ "status": if passed { "pass" } else { "fail" }, "checks": checks });
    if left > 0 {
        body["more"] = json!(left);
    }
    format!("{body}\n")
}

#[cfg(test)]
mod tests;
