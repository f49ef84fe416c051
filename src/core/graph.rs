//! The services as the core sees them: indices for names, edges both ways, only what decides something.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::event::ServiceId;
use super::tally::ProbeKind;
use crate::config::model::{
    ConcurrencyPolicy, Condition, OnSuccess, Restart, RestartPolicy, Service, ServiceKind,
    ServiceName,
};
use crate::config::probe::{Check, Probe};

/// One service, as far as it decides what happens.
#[derive(Debug, Clone)]
#[expect(
    missing_docs,
    reason = "the fields are those of config::model::Service"
)]
pub struct Spec {
    pub name: Arc<str>,
    pub kind: ServiceKind,
    pub required: bool,
    pub autostart: bool,
    pub policy: RestartPolicy,
    pub restart: Restart,
    pub stop_signal: i32,
    pub stop_timeout: Duration,
    pub has_stop_command: bool,
    pub min_ready: Duration,
    pub start_timeout: Option<Duration>,
    pub on_success: OnSuccess,
    pub concurrency: ConcurrencyPolicy,
    /// In the order of [`ProbeKind::ALL`].
    pub probes: [Option<ProbeSpec>; 3],
    /// What it waits for.
    pub needs: Vec<Edge>,
    pub conflicts: Vec<ServiceId>,
}

/// One dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// What is waited for.
    pub to: ServiceId,
    /// Until it is what.
    pub condition: Condition,
    /// Whether the dependent fails with it.
    pub required: bool,
}

/// Who tells whether a probe passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// podvisor asks, again and again.
    Asked,
    /// The service says so through sd_notify.
    Notify,
    /// The service says so once, by a log line or on a descriptor.
    Told,
}

/// One probe, as far as it decides what happens.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of config::probe::Probe")]
pub struct ProbeSpec {
    pub source: Source,
    pub initial_delay: Duration,
    pub period: Duration,
    pub timeout: Duration,
    pub failure_threshold: u32,
    pub success_threshold: u32,
    pub grace: Option<Duration>,
}

impl ProbeSpec {
    fn of(probe: &Probe) -> Self {
        let seconds = |n: u32| Duration::from_secs(u64::from(n));
        Self {
            source: match probe.check {
                Check::Notify => Source::Notify,
                Check::LogMatch(_) | Check::NotifyFd(_) => Source::Told,
                _ => Source::Asked,
            },
            initial_delay: seconds(probe.initial_delay_seconds),
            period: seconds(probe.period_seconds.max(1)),
            timeout: seconds(probe.timeout_seconds.max(1)),
            failure_threshold: probe.failure_threshold.max(1),
            success_threshold: probe.success_threshold.max(1),
            grace: probe.termination_grace_period_seconds.map(seconds),
        }
    }

    /// How long a service that must speak up by itself may take: what an asked one would be given.
    pub fn patience(&self) -> Duration {
        self.initial_delay + self.period * self.failure_threshold
    }
}

impl Spec {
    /// One of its probes.
    pub fn probe(&self, kind: ProbeKind) -> Option<&ProbeSpec> {
        self.probes[kind as usize].as_ref()
    }

    /// Whether being ready is more than having been started.
    pub fn has_readiness(&self) -> bool {
        let probed = [ProbeKind::Startup, ProbeKind::Readiness];
        probed.into_iter().any(|kind| self.probe(kind).is_some()) || !self.min_ready.is_zero()
    }

    /// Whether it ends by itself when it has done its work.
    pub fn ends(&self) -> bool {
        self.kind != ServiceKind::Daemon
    }
}

/// Why services do not make a graph. A checked config never does this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// A name that is no service's.
    #[error("`{of}` names `{unknown}`, which is no service")]
    Unknown {
        /// Who names it.
        of: ServiceName,
        /// What it names.
        unknown: ServiceName,
    },
    /// Services that wait for each other.
    #[error("services wait for each other: {0}")]
    Cycle(String),
    /// More services than an index can number.
    #[error("too many services")]
    TooMany,
}

/// All services, in name order.
#[derive(Debug, Clone)]
pub struct Graph {
    specs: Vec<Spec>,
    dependents: Vec<Vec<ServiceId>>,
}

impl Graph {
    /// Builds the graph of a config's services.
    ///
    /// # Errors
    ///
    /// Unknown names and cycles, which a checked config does not have.
    pub fn new(services: &BTreeMap<ServiceName, Service>) -> Result<Self, GraphError> {
        let mut ids = BTreeMap::new();
        for (place, name) in services.keys().enumerate() {
            let id = ServiceId(u32::try_from(place).map_err(|_| GraphError::TooMany)?);
            ids.insert(name.as_str(), id);
        }
        let find = |of: &str, name: &str| {
            ids.get(name).copied().ok_or_else(|| GraphError::Unknown {
                of: of.to_owned(),
                unknown: name.to_owned(),
            })
        };
        let mut specs = Vec::with_capacity(services.len());
        for (name, service) in services {
            let mut needs = Vec::with_capacity(service.depends_on.len());
            for (on, dependency) in &service.depends_on {
                let to = find(name, on)?;
                let condition = dependency
                    .condition
                    .unwrap_or_else(|| services[on].default_condition());
                needs.push(Edge {
                    to,
                    condition,
                    required: dependency.required,
                });
            }
            let mut conflicts = Vec::new();
            for other in &service.conflicts_with {
                conflicts.push(find(name, other)?);
            }
            let probe = |p: &Option<Probe>| p.as_ref().map(ProbeSpec::of);
            specs.push(Spec {
                name: Arc::from(name.as_str()),
                kind: service.kind,
                required: service.is_required(),
                autostart: service.autostart,
                policy: service.restart_policy(),
                restart: service.restart.clone(),
                stop_signal: service.stop.signal.0,
                stop_timeout: service.stop.timeout.0,
                has_stop_command: !service.stop.command.is_empty(),
                min_ready: Duration::from_secs(u64::from(service.min_ready_seconds)),
                start_timeout: service.start_timeout.map(|t| t.0),
                on_success: service.on_success,
                concurrency: service.concurrency_policy,
                probes: [
                    probe(&service.startup_probe),
                    probe(&service.readiness_probe),
                    probe(&service.liveness_probe),
                ],
                needs,
                conflicts,
            });
        }
        Self::link(specs)
    }

    /// Builds the graph of ready-made specs: edges are completed to both sides, cycles are refused.
    ///
    /// # Errors
    ///
    /// [`GraphError::Cycle`].
    pub fn link(mut specs: Vec<Spec>) -> Result<Self, GraphError> {
        for place in 0..specs.len() {
            for other in specs[place].conflicts.clone() {
                let own = ServiceId(place as u32);
                let back = &mut specs[other.index()].conflicts;
                if !back.contains(&own) {
                    back.push(own);
                }
            }
        }
        let mut dependents = vec![Vec::new(); specs.len()];
        for (place, spec) in specs.iter().enumerate() {
            for edge in &spec.needs {
                dependents[edge.to.index()].push(ServiceId(place as u32));
            }
        }
        let graph = Self { specs, dependents };
        graph.refuse_cycles()?;
        Ok(graph)
    }

    /// Takes away, again and again, what waits for nothing that is left; what stays waits for itself.
    fn refuse_cycles(&self) -> Result<(), GraphError> {
        let mut waiting: Vec<usize> = self.specs.iter().map(|s| s.needs.len()).collect();
        let mut free: Vec<usize> = (0..waiting.len()).filter(|i| waiting[*i] == 0).collect();
        while let Some(done) = free.pop() {
            for dependent in &self.dependents[done] {
                let left = &mut waiting[dependent.index()];
                *left -= 1;
                if *left == 0 {
                    free.push(dependent.index());
                }
            }
        }
        let stuck: Vec<&str> = (0..waiting.len())
            .filter(|i| waiting[*i] > 0)
            .map(|i| &*self.specs[i].name)
            .collect();
        if stuck.is_empty() {
            Ok(())
        } else {
            Err(GraphError::Cycle(stuck.join(", ")))
        }
    }

    /// Every service's place.
    pub fn ids(&self) -> impl Iterator<Item = ServiceId> + use<> {
        (0..self.specs.len() as u32).map(ServiceId)
    }

    /// One service.
    pub fn spec(&self, id: ServiceId) -> &Spec {
        &self.specs[id.index()]
    }

    /// Who waits for it.
    pub fn dependents(&self, id: ServiceId) -> &[ServiceId] {
        &self.dependents[id.index()]
    }

    /// How many services there are.
    pub fn len(&self) -> usize {
        self.specs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }

    /// The service of that name.
    pub fn find(&self, name: &str) -> Option<ServiceId> {
        let place = self
            .specs
            .binary_search_by(|spec| (*spec.name).cmp(name))
            .ok()?;
        Some(ServiceId(place as u32))
    }
}
