//! The words in which a test says what services there are.

use std::sync::Arc;
use std::time::Duration;

use podvisor::config::model::{
    ConcurrencyPolicy, Condition, OnSuccess, Restart, RestartPolicy, ServiceKind,
};
use podvisor::core::{Edge, Graph, ProbeKind, ProbeSpec, ServiceId, Settings, Source, Spec};
use podvisor::units::HumanDuration;

use crate::script::{Life, runs, secs};

/// One service of a test.
#[derive(Debug, Clone)]
pub struct Plan {
    pub spec: Spec,
    needs: Vec<(String, Option<Condition>, bool)>,
    conflicts: Vec<String>,
    /// What each start does; the last one again and again.
    pub lives: Vec<Life>,
}

fn plan(name: &str, kind: ServiceKind, policy: RestartPolicy) -> Plan {
    Plan {
        spec: Spec {
            name: Arc::from(name),
            kind,
            required: kind != ServiceKind::Cron,
            autostart: true,
            policy,
            restart: Restart {
                jitter: 0.0,
                ..Restart::default()
            },
            stop_signal: libc::SIGTERM,
            stop_timeout: secs(10),
            has_stop_command: false,
            min_ready: Duration::ZERO,
            start_timeout: None,
            on_success: OnSuccess::Continue,
            concurrency: ConcurrencyPolicy::Forbid,
            probes: [None; 3],
            needs: Vec::new(),
            conflicts: Vec::new(),
        },
        needs: Vec::new(),
        conflicts: Vec::new(),
        lives: vec![runs()],
    }
}

pub fn daemon(name: &str) -> Plan {
    plan(name, ServiceKind::Daemon, RestartPolicy::Always)
}

pub fn oneshot(name: &str, life: Life) -> Plan {
    plan(name, ServiceKind::Oneshot, RestartPolicy::OnFailure).lives(&[life])
}

pub fn cron(name: &str, life: Life) -> Plan {
    plan(name, ServiceKind::Cron, RestartPolicy::Never).lives(&[life])
}

/// A probe with Kubernetes' defaults.
pub fn probe() -> ProbeSpec {
    ProbeSpec {
        source: Source::Asked,
        initial_delay: Duration::ZERO,
        period: secs(10),
        timeout: secs(1),
        failure_threshold: 3,
        success_threshold: 1,
        grace: None,
    }
}

/// A probe whose answer the service sends by itself.
pub fn notify() -> ProbeSpec {
    ProbeSpec {
        source: Source::Notify,
        ..probe()
    }
}

impl Plan {
    pub fn lives(mut self, lives: &[Life]) -> Self {
        self.lives = lives.to_vec();
        self
    }

    pub fn life(self, life: Life) -> Self {
        self.lives(&[life])
    }

    pub fn optional(mut self) -> Self {
        self.spec.required = false;
        self
    }

    pub fn by_hand(mut self) -> Self {
        self.spec.autostart = false;
        self
    }

    pub fn policy(mut self, policy: RestartPolicy) -> Self {
        self.spec.policy = policy;
        self
    }

    pub fn never(self) -> Self {
        self.policy(RestartPolicy::Never)
    }

    pub fn restarts_at_most(mut self, times: u32, window: Duration) -> Self {
        self.spec.restart.max_restarts = times;
        self.spec.restart.window = HumanDuration(window);
        self
    }

    /// Needs it, until what a dependency without a condition waits for.
    pub fn needs(mut self, name: &str) -> Self {
        self.needs.push((name.to_owned(), None, true));
        self
    }

    pub fn needs_it(mut self, name: &str, condition: Condition) -> Self {
        self.needs.push((name.to_owned(), Some(condition), true));
        self
    }

    pub fn wants(mut self, name: &str) -> Self {
        self.needs.push((name.to_owned(), None, false));
        self
    }

    pub fn edge(mut self, name: &str, condition: Condition, required: bool) -> Self {
        self.needs
            .push((name.to_owned(), Some(condition), required));
        self
    }

    pub fn conflicts(mut self, name: &str) -> Self {
        self.conflicts.push(name.to_owned());
        self
    }

    pub fn with(mut self, kind: ProbeKind, probe: ProbeSpec) -> Self {
        self.spec.probes[kind as usize] = Some(probe);
        self
    }

    pub fn startup(self, probe: ProbeSpec) -> Self {
        self.with(ProbeKind::Startup, probe)
    }

    pub fn readiness(self, probe: ProbeSpec) -> Self {
        self.with(ProbeKind::Readiness, probe)
    }

    pub fn liveness(self, probe: ProbeSpec) -> Self {
        self.with(ProbeKind::Liveness, probe)
    }

    pub fn stop_timeout(mut self, timeout: Duration) -> Self {
        self.spec.stop_timeout = timeout;
        self
    }

    pub fn stop_command(mut self) -> Self {
        self.spec.has_stop_command = true;
        self
    }

    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.spec.start_timeout = Some(timeout);
        self
    }

    pub fn min_ready(mut self, time: Duration) -> Self {
        self.spec.min_ready = time;
        self
    }

    pub fn then_shutdown(mut self) -> Self {
        self.spec.on_success = OnSuccess::Shutdown;
        self
    }

    pub fn concurrency(mut self, policy: ConcurrencyPolicy) -> Self {
        self.spec.concurrency = policy;
        self
    }

    fn default_condition(&self) -> Condition {
        let asks = self.spec.probes[..2].iter().any(Option::is_some);
        match self.spec.kind {
            ServiceKind::Oneshot => Condition::Completed,
            _ if asks || !self.spec.min_ready.is_zero() => Condition::Ready,
            _ => Condition::Started,
        }
    }
}

/// Puts the services in name order and ties them together.
pub fn graph(mut plans: Vec<Plan>) -> (Graph, Vec<Vec<Life>>) {
    plans.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    let find = |name: &str| {
        let place = plans.iter().position(|p| &*p.spec.name == name).unwrap();
        (ServiceId(place as u32), plans[place].default_condition())
    };
    let mut specs = Vec::new();
    for plan in &plans {
        let mut spec = plan.spec.clone();
        for (name, condition, required) in &plan.needs {
            let (to, usual) = find(name);
            spec.needs.push(Edge {
                to,
                condition: condition.unwrap_or(usual),
                required: *required,
            });
        }
        spec.conflicts = plan.conflicts.iter().map(|name| find(name).0).collect();
        specs.push(spec);
    }
    let lives = plans.into_iter().map(|plan| plan.lives).collect();
    (Graph::link(specs).unwrap(), lives)
}

/// 25 s in all, 5 of them for the logs.
pub fn settings() -> Settings {
    Settings {
        deadline: secs(25),
        drain_delay: Duration::ZERO,
        flush: secs(5),
        single: false,
    }
}
