//! Whether the services' own stop times fit into the shutdown's.

use std::time::Duration;

use super::Checker;
use super::graph::Graph;
use crate::config::model::{Service, ServiceKind};
use crate::units::HumanDuration;

/// Signals that podvisor needs for itself, or that can't be caught.
const NOT_FOR_STOPPING: [i32; 12] = [4, 5, 6, 7, 8, 9, 11, 13, 17, 18, 19, 31];

pub(super) fn check(checker: &mut Checker<'_>) {
    let in_kubernetes = checker.in_kubernetes();
    let shutdown = &checker.config().shutdown;
    let deadline = shutdown.deadline(in_kubernetes);
    let flush = shutdown.flush_timeout(in_kubernetes);
    let drain = shutdown.drain_delay;
    if let Some(mut scope) = checker.section("shutdown") {
        if deadline.get().is_zero() {
            scope
                .error(&["deadline"], "nothing stops in no time")
                .help("a deadline such as 25s; leave it out for the default");
            return;
        }
        for (field, part) in [("flushTimeout", flush), ("drainDelay", drain)] {
            if part >= deadline {
                scope
                    .error(
                        &[field],
                        format!("`{field}` ({part}) takes the whole deadline ({deadline})"),
                    )
                    .help(format!(
                        "it is a part of `deadline`: keep it well below {deadline}"
                    ));
            }
        }
        for (index, signal) in shutdown.signals.iter().enumerate() {
            let index = index.to_string();
            if NOT_FOR_STOPPING.contains(&signal.number()) {
                scope.error(
                    &["signals", &index],
                    format!("{signal} can't ask podvisor to stop"),
                );
            } else if let Some(meaning) = own_meaning(signal.number()) {
                scope.warn(
                    &["signals", &index],
                    format!("{signal} stops podvisor now, and no longer {meaning}"),
                );
            }
        }
    }
    stop_times(checker, deadline);
    longest_chain(checker, deadline, drain, flush);
}

/// What a signal does when it is not named in `shutdown.signals`.
fn own_meaning(signal: i32) -> Option<&'static str> {
    match signal {
        1 => Some("reloads its config"),
        3 => Some("kills everything"),
        10 => Some("prints its state"),
        12 => Some("toggles its debug log"),
        _ => None,
    }
}

/// A stop time that the user wrote, and that the container's own end cuts short.
fn stop_times(checker: &mut Checker<'_>, deadline: HumanDuration) {
    let said = checker.config().shutdown.deadline.is_some();
    for (name, service) in checker.services() {
        let timeout = service.stop.timeout;
        if timeout <= deadline {
            continue;
        }
        let Some(mut scope) = checker.service(name) else {
            continue;
        };
        if !scope.is_written(&["stop", "timeout"]) {
            continue;
        }
        let which = if said {
            "`shutdown.deadline`"
        } else {
            "the default `shutdown.deadline`"
        };
        scope
            .warn(
                &["stop", "timeout"],
                format!("`{name}` may take {timeout} to stop, but {which} ends the container after {deadline}"),
            )
            .help("raise `shutdown.deadline` and the pod's terminationGracePeriodSeconds");
    }
}

/// Services stop one after the other along their dependencies: the longest such chain must fit. Only daemons count:
/// what ends by itself has mostly ended.
fn longest_chain(
    checker: &mut Checker<'_>,
    deadline: HumanDuration,
    drain: HumanDuration,
    flush: HumanDuration,
) {
    let graph = Graph::new(checker);
    let mut longest: Vec<(Duration, Option<usize>)> =
        vec![(Duration::ZERO, None); graph.names.len()];
    let mut end: Option<usize> = None;
    for own in graph.order() {
        let below = graph.needs[own]
            .iter()
            .map(|(other, _)| (longest[*other].0, Some(*other)))
            .max()
            .unwrap_or_default();
        let timeout = graph.services[own].map_or(Duration::ZERO, stop_time);
        longest[own] = (below.0.saturating_add(timeout), below.1);
        if end.is_none_or(|end| longest[own].0 > longest[end].0) {
            end = Some(own);
        }
    }
    let Some(end) = end else {
        return;
    };
    let mut chain = vec![end];
    while let Some((_, Some(next))) = chain.last().map(|it| longest[*it]) {
        chain.push(next);
    }
    let total = longest[end]
        .0
        .saturating_add(drain.get())
        .saturating_add(flush.get());
    // Where defaults are part of the sum, it is no decision of the user's; one service alone is told above.
    let decided = checker.config().shutdown.deadline.is_some()
        || chain.iter().all(|it| {
            let scope = checker.service(graph.names[*it]);
            scope.is_some_and(|scope| scope.is_written(&["stop", "timeout"]))
        });
    if total <= deadline.get() || !decided {
        return;
    }
    let parts: Vec<String> = chain
        .iter()
        .filter_map(|it| graph.services[*it].map(|service| (graph.names[*it], stop_time(service))))
        .filter(|(_, time)| !time.is_zero())
        .map(|(name, time)| format!("{name} {}", HumanDuration(time)))
        .collect();
    if parts.len() < 2 {
        return;
    }
    let message = format!(
        "stopping may take {}, longer than the deadline of {deadline}: {}, drain {drain}, logs {flush}",
        HumanDuration(total),
        parts.join(", "),
    );
    let help = "what is left at the deadline is killed: shorten `stop.timeout`, or raise `shutdown.deadline`";
    if let Some(mut scope) = checker.section("shutdown") {
        scope.warn(&["deadline"], message).help(help);
    } else if let Some(mut scope) = checker.service(graph.names[end]) {
        scope.warn(&["stop", "timeout"], message).help(help);
    }
}

/// How long a service may take to stop, when it still runs at the end.
fn stop_time(service: &Service) -> Duration {
    match service.kind {
        ServiceKind::Daemon => service.stop.timeout.get(),
        ServiceKind::Oneshot | ServiceKind::Cron => Duration::ZERO,
    }
}
