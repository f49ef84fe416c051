//! Rules between services: unknown names, cycles, conditions that never come, conflicts that can't be kept.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Checker;
use crate::config::model::{Condition, Dependency, Service, ServiceKind};
use crate::config::problem::Severity;
use crate::config::words;

/// The services by number, in name order, with what each waits for.
pub(super) struct Graph<'a> {
    /// The names.
    pub names: Vec<&'a str>,
    /// The services; `None` for one that could not be used.
    pub services: Vec<Option<&'a Service>>,
    /// For each: what it waits for. Unknown names and itself are left out.
    pub needs: Vec<Vec<(usize, Dependency)>>,
}

impl<'a> Graph<'a> {
    /// The graph of a config.
    pub fn new(checker: &Checker<'a>) -> Self {
        let names: Vec<&str> = checker
            .assembled
            .services
            .keys()
            .map(String::as_str)
            .collect();
        let numbers: BTreeMap<&str, usize> = names.iter().copied().zip(0..).collect();
        let services: Vec<Option<&Service>> = names
            .iter()
            .map(|name| checker.config().services.get(*name))
            .collect();
        let needs = services
            .iter()
            .enumerate()
            .map(|(own, service)| {
                service
                    .iter()
                    .flat_map(|service| &service.depends_on)
                    .filter_map(|(name, dependency)| {
                        Some((*numbers.get(name.as_str())?, *dependency))
                    })
                    .filter(|(other, _)| *other != own)
                    .collect()
            })
            .collect();
        Self {
            names,
            services,
            needs,
        }
    }

    /// The services so that each comes after all it waits for; those on cycles, and what waits for them, are left out.
    pub fn order(&self) -> Vec<usize> {
        let mut missing: Vec<usize> = self.needs.iter().map(Vec::len).collect();
        let mut dependents = vec![Vec::new(); self.names.len()];
        for (own, needs) in self.needs.iter().enumerate() {
            for (other, _) in needs {
                dependents[*other].push(own);
            }
        }
        let mut queue: VecDeque<usize> =
            (0..missing.len()).filter(|it| missing[*it] == 0).collect();
        let mut order = Vec::with_capacity(missing.len());
        while let Some(next) = queue.pop_front() {
            order.push(next);
            for dependent in &dependents[next] {
                missing[*dependent] -= 1;
                if missing[*dependent] == 0 {
                    queue.push_back(*dependent);
                }
            }
        }
        order
    }

    /// All that is reached from `from` (with `from`) by dependencies that `follow` takes.
    pub fn reach(
        &self,
        from: impl IntoIterator<Item = usize>,
        follow: impl Fn(&Dependency) -> bool,
    ) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<usize> = from.into_iter().collect();
        while let Some(next) = open.pop() {
            if reached.insert(next) {
                open.extend(
                    self.needs[next]
                        .iter()
                        .filter(|(_, dependency)| follow(dependency))
                        .map(|(other, _)| *other),
                );
            }
        }
        reached
    }

    /// The shortest way from `from` to `to` over nodes that `allowed` takes, both ends included. A way from a node to
    /// itself is a cycle.
    fn path(&self, from: usize, to: usize, allowed: impl Fn(usize) -> bool) -> Option<Vec<usize>> {
        let mut came_from: BTreeMap<usize, usize> = BTreeMap::new();
        let mut queue = VecDeque::from([from]);
        while let Some(at) = queue.pop_front() {
            for (next, _) in &self.needs[at] {
                if *next == to {
                    let mut path = vec![to, at];
                    let mut back = at;
                    while back != from {
                        back = *came_from.get(&back)?;
                        path.push(back);
                    }
                    path.reverse();
                    return Some(path);
                }
                if allowed(*next) && *next != from && !came_from.contains_key(next) {
                    came_from.insert(*next, at);
                    queue.push_back(*next);
                }
            }
        }
        None
    }

    fn arrows(&self, path: &[usize]) -> String {
        let names: Vec<&str> = path.iter().map(|it| self.names[*it]).collect();
        names.join(" → ")
    }

    /// The services that run once the container has started: what is started with it, and what those wait for.
    pub fn started(&self) -> BTreeSet<usize> {
        let roots = (0..self.names.len())
            .filter(|it| self.services[*it].is_some_and(|service| service.autostart));
        self.reach(roots, |_| true)
    }
}

pub(super) fn check(checker: &mut Checker<'_>) {
    let graph = Graph::new(checker);
    unknown_names(checker, &graph);
    cycles(checker, &graph);
    conditions(checker);
    conflicts(checker, &graph);
    let all_decoded = graph.services.iter().all(Option::is_some);
    if checker.complete
        && all_decoded
        && !graph.names.is_empty()
        && graph.started().is_empty()
        && let Some(mut section) = checker.section("services")
    {
        section
            .warn(&[], "no service is started with the container")
            .help("remove `autostart: false` from at least one");
    }
}

fn unknown_names(checker: &mut Checker<'_>, graph: &Graph<'_>) {
    for (name, service) in checker.services() {
        let needs = service.depends_on.keys().map(|other| ("dependsOn", other));
        let conflicts = service
            .conflicts_with
            .iter()
            .map(|other| ("conflictsWith", other));
        for (field, other) in needs.chain(conflicts) {
            let known = graph.names.contains(&other.as_str());
            let complete = checker.complete;
            let Some(mut scope) = checker.service(name) else {
                continue;
            };
            let node = scope.name_node(field, other);
            if other == name {
                let message = match field {
                    "dependsOn" => format!("`{name}` depends on itself"),
                    _ => format!("`{name}` conflicts with itself"),
                };
                scope.note(Severity::Error, node, message).help("remove it");
            } else if !known && complete {
                let near = words::nearest(other, graph.names.iter().copied());
                let help = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if field == "dependsOn" => {
                        format!("name a service below `services:`, or remove `{other}`")
                    }
                    None => format!("remove `{other}`"),
                };
                scope
                    .note(
                        Severity::Error,
                        node,
                        format!("there is no service `{other}`"),
                    )
                    .help(help);
            }
        }
    }
}

fn cycles(checker: &mut Checker<'_>, graph: &Graph<'_>) {
    let acyclic: BTreeSet<usize> = graph.order().into_iter().collect();
    let mut told = BTreeSet::new();
    for start in 0..graph.names.len() {
        if acyclic.contains(&start) || told.contains(&start) {
            continue;
        }
        let open = |it: usize| !acyclic.contains(&it) && !told.contains(&it);
        let Some(cycle) = graph.path(start, start, open) else {
            continue;
        };
        told.extend(cycle.iter().copied());
        let message = format!("the dependencies go in a circle: {}", graph.arrows(&cycle));
        let next = cycle.get(1).map_or("", |it| graph.names[*it]);
        if let Some(mut scope) = checker.service(graph.names[start]) {
            let node = scope.name_node("dependsOn", next);
            scope
                .note(Severity::Error, node, message)
                .help("none of them could ever start: remove one of these dependencies");
        }
    }
}

/// Dependencies whose condition never comes, or says less than it seems.
fn conditions(checker: &mut Checker<'_>) {
    for (name, service) in checker.services() {
        for (other, dependency) in &service.depends_on {
            let Some(target) = checker.config().services.get(other) else {
                continue;
            };
            let incomplete = checker
                .service(other)
                .is_some_and(|scope| scope.is_incomplete());
            let Some(mut scope) = checker.service(name) else {
                continue;
            };
            let condition = dependency.condition.unwrap_or(target.default_condition());
            let at = ["dependsOn", other.as_str(), "condition"];
            match (condition, target.kind) {
                _ if incomplete => {}
                (_, ServiceKind::Cron) => {
                    let node = scope.name_node("dependsOn", other);
                    scope.note(
                        Severity::Warning,
                        node,
                        format!("`{name}` waits until the schedule of `{other}` has come for the first time"),
                    );
                }
                (Condition::Completed, ServiceKind::Daemon) => {
                    scope
                        .error(&at, format!("`{other}` is a daemon, which never completes"))
                        .help(format!(
                            "wait for `started` or `ready`, or give `{other}` `type: oneshot`"
                        ));
                }
                (Condition::Ready, ServiceKind::Oneshot) if !target.has_readiness() => {
                    scope
                        .error(&at, format!("`{other}` is a oneshot, which is never ready"))
                        .help("wait for `completed`");
                }
                (Condition::Ready, ServiceKind::Daemon) if !target.has_readiness() => {
                    scope
                        .warn(
                            &at,
                            format!(
                                "`{other}` has no probe: it is ready as soon as it has started"
                            ),
                        )
                        .help(format!(
                            "give `{other}` a readinessProbe, or wait for `started`"
                        ));
                }
                _ => {}
            }
        }
    }
}

/// Conflicts that can't be kept: both are needed by one service, or both start with the container.
fn conflicts(checker: &mut Checker<'_>, graph: &Graph<'_>) {
    let pairs = conflicting_pairs(graph);
    if pairs.is_empty() {
        return;
    }
    let order = graph.order();
    let started = graph.started();
    for ((one, other), declared_by) in pairs {
        if needed_together(checker, graph, &order, one, other) {
            continue;
        }
        let (Some(first), Some(second)) = (graph.services[one], graph.services[other]) else {
            continue;
        };
        let scheduled = first.kind == ServiceKind::Cron || second.kind == ServiceKind::Cron;
        if scheduled || !started.contains(&one) || !started.contains(&other) {
            continue;
        }
        let both_required = first.is_required() && second.is_required();
        let partner = if declared_by == one { other } else { one };
        let (name, partner) = (graph.names[declared_by], graph.names[partner]);
        let Some(mut scope) = checker.service(name) else {
            continue;
        };
        let node = scope.name_node("conflictsWith", partner);
        let (severity, message) = if both_required {
            let why = "both are required and start with the container";
            (
                Severity::Error,
                format!("`{name}` and `{partner}` conflict, but {why}"),
            )
        } else {
            let why = "both start with the container: only one of them will run";
            (
                Severity::Warning,
                format!("`{name}` and `{partner}` conflict, but {why}"),
            )
        };
        scope
            .note(severity, node, message)
            .help("give one of them `autostart: false`");
    }
}

/// Every pair that conflicts, the lower number first, with the one that says so.
fn conflicting_pairs(graph: &Graph<'_>) -> BTreeMap<(usize, usize), usize> {
    let mut pairs = BTreeMap::new();
    for (own, service) in graph.services.iter().enumerate() {
        for name in service.iter().flat_map(|service| &service.conflicts_with) {
            if let Ok(other) = graph.names.binary_search(&name.as_str())
                && other != own
            {
                pairs.entry((own.min(other), own.max(other))).or_insert(own);
            }
        }
    }
    pairs
}

/// Notes the first service that needs both, directly or through others. What needs that service is only an echo.
fn needed_together(
    checker: &mut Checker<'_>,
    graph: &Graph<'_>,
    order: &[usize],
    one: usize,
    other: usize,
) -> bool {
    for service in order {
        let needed = graph.reach([*service], |dependency| dependency.required);
        if !needed.contains(&one) || !needed.contains(&other) {
            continue;
        }
        let name = graph.names[*service];
        let way = |to: usize| graph.path(*service, to, |it| needed.contains(&it));
        let (message, to) = if *service == one || *service == other {
            let to = if *service == one { other } else { one };
            let way = way(to).unwrap_or_default();
            let message = if way.len() > 2 {
                format!(
                    "`{name}` needs `{}` ({}), but they conflict",
                    graph.names[to],
                    graph.arrows(&way)
                )
            } else {
                format!("`{name}` needs `{}`, but they conflict", graph.names[to])
            };
            (message, to)
        } else {
            let (first, second) = (graph.names[one], graph.names[other]);
            let message = format!(
                "`{name}` needs both `{first}` ({}) and `{second}` ({}), which conflict",
                graph.arrows(&way(one).unwrap_or_default()),
                graph.arrows(&way(other).unwrap_or_default()),
            );
            (message, one)
        };
        let next = way(to).and_then(|way| way.get(1).copied()).unwrap_or(to);
        if let Some(mut scope) = checker.service(name) {
            let node = scope.name_node("dependsOn", graph.names[next]);
            scope
                .note(Severity::Error, node, message)
                .help("remove the conflict, or one of the dependencies");
        }
        return true;
    }
    false
}
