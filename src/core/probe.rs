//! Probe verdicts: when to ask, how many answers decide, what an answer is worth.

use std::time::Duration;

use super::action::{Action, Fact};
use super::event::{Incarnation, Notice, ProbeOutcome, ServiceId, Tick};
use super::graph::{ProbeSpec, Source};
use super::service::{State, StopWhy};
use super::tally::ProbeKind;
use super::timers::Key;
use super::{Core, FROZEN};

/// Until a probe first succeeds, podvisor also asks between the configured times, this long after the previous try
/// and doubling: readiness is then noticed when it comes, not up to `periodSeconds` later. Such a try never counts
/// as a failure.
const EAGER_FIRST: Duration = Duration::from_millis(25);

/// How much later than its timeout an answer may come before podvisor takes itself, not the service, for the late one.
const OWN_LATENESS: Duration = Duration::from_secs(1);

/// How many late answers in a row are forgiven.
const MAX_FORGIVEN: u32 = 3;

/// One probe of one run.
#[derive(Debug, Clone, Default)]
pub(super) struct Probing {
    /// It has begun: its turn has come (the startup probe holds back the others).
    pub(super) begun: bool,
    /// What it says, once it says something.
    pub(super) passing: Option<bool>,
    /// It has passed in this run.
    passed_once: bool,
    /// Failures in a row.
    pub(super) failures: u32,
    successes: u32,
    attempt: u64,
    /// The attempt that runs, and whether its failure counts.
    asking: Option<Asking>,
    /// The next time by the user's own schedule.
    due: Tick,
    eager: Duration,
    forgiven: u32,
}

#[derive(Debug, Clone, Copy)]
struct Asking {
    counts: bool,
    void: bool,
}

/// What an answer changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Nothing,
    Passed,
    Failed,
}

impl Probing {
    fn begin(&mut self, spec: &ProbeSpec, now: Tick) -> Tick {
        self.begun = true;
        self.due = now.plus(spec.initial_delay);
        self.eager = EAGER_FIRST;
        self.due
    }

    fn ask(&mut self, spec: &ProbeSpec, now: Tick) -> u64 {
        self.attempt += 1;
        let counts = now >= self.due;
        if counts {
            self.due = now.plus(spec.period);
        }
        self.asking = Some(Asking {
            counts,
            void: false,
        });
        self.attempt
    }

    /// When to ask next.
    fn next(&mut self, spec: &ProbeSpec, kind: ProbeKind, now: Tick) -> Tick {
        let eager = kind != ProbeKind::Liveness && !self.passed_once && spec.success_threshold == 1;
        let at = if eager {
            self.due.min(now.plus(self.eager))
        } else {
            self.due
        };
        self.eager = (self.eager * 2).min(spec.period);
        at.max(now)
    }

    fn answer(&mut self, spec: &ProbeSpec, outcome: ProbeOutcome, counts: bool) -> Turn {
        if outcome == ProbeOutcome::Success {
            self.failures = 0;
            self.successes = self.successes.saturating_add(1);
            if self.successes >= spec.success_threshold && self.passing != Some(true) {
                self.passing = Some(true);
                self.passed_once = true;
                return Turn::Passed;
            }
        } else if counts {
            self.successes = 0;
            self.failures = self.failures.saturating_add(1);
            if self.failures >= spec.failure_threshold && self.passing != Some(false) {
                self.passing = Some(false);
                return Turn::Failed;
            }
        }
        Turn::Nothing
    }

    /// podvisor was frozen: what the running attempt says of time is worth nothing.
    pub(super) fn forgive_running(&mut self) {
        if let Some(asking) = &mut self.asking {
            asking.void = true;
        }
    }
}

impl Core {
    /// Its program runs: the startup probe begins, or without one the others.
    pub(super) fn begin_probes(&mut self, id: ServiceId, now: Tick) {
        if self.graph.spec(id).probe(ProbeKind::Startup).is_some() {
            self.begin_probe(id, ProbeKind::Startup, now);
        } else {
            self.begin_late_probes(id, now);
        }
    }

    fn begin_late_probes(&mut self, id: ServiceId, now: Tick) {
        self.begin_probe(id, ProbeKind::Readiness, now);
        self.begin_probe(id, ProbeKind::Liveness, now);
        self.judge_ready(id, now);
    }

    fn begin_probe(&mut self, id: ServiceId, kind: ProbeKind, now: Tick) {
        let Some(spec) = self.graph.spec(id).probe(kind).copied() else {
            return;
        };
        let Some(run) = self.live(id) else { return };
        let probing = &mut run.probes[kind as usize];
        if probing.begun {
            return;
        }
        let first = probing.begin(&spec, now);
        let told = probing.passing == Some(true);
        match spec.source {
            Source::Asked => self.timers.set(Key::Probe(id, kind), first),
            Source::Notify if kind == ProbeKind::Liveness => {
                let period = spec.patience();
                if let Some(run) = self.live(id) {
                    run.watchdog.get_or_insert(period);
                }
                self.feed_watchdog(id, now);
            }
            Source::Notify | Source::Told => {
                if told {
                    self.probe_passed(id, kind, now);
                } else if kind == ProbeKind::Startup {
                    self.timers
                        .set(Key::StartupPatience(id), now.plus(spec.patience()));
                }
            }
        }
    }

    /// The time of a probe has come: ask, or stop waiting for an answer that never came.
    pub(super) fn probe_due(&mut self, id: ServiceId, kind: ProbeKind, now: Tick) {
        let Some(spec) = self.graph.spec(id).probe(kind).copied() else {
            return;
        };
        let Some(run) = self.live(id) else { return };
        let incarnation = run.incarnation;
        let probing = &mut run.probes[kind as usize];
        if probing.asking.is_some() {
            // The driver bounds every attempt by its timeout; this one's answer got lost.
            let attempt = probing.attempt;
            self.probed(
                id,
                incarnation,
                kind,
                attempt,
                ProbeOutcome::Error,
                spec.timeout,
                now,
            );
            return;
        }
        let attempt = probing.ask(&spec, now);
        self.timers.set(
            Key::Probe(id, kind),
            now.plus(spec.timeout + OWN_LATENESS + FROZEN),
        );
        self.act(Action::Probe {
            service: id,
            incarnation,
            probe: kind,
            attempt,
        });
    }

    /// A probe attempt ended.
    #[expect(clippy::too_many_arguments, reason = "the fields of one event")]
    pub(super) fn probed(
        &mut self,
        id: ServiceId,
        incarnation: Incarnation,
        kind: ProbeKind,
        attempt: u64,
        outcome: ProbeOutcome,
        took: Duration,
        now: Tick,
    ) {
        let spec = self.graph.spec(id).probe(kind).copied();
        let run = self.live(id).filter(|run| run.incarnation == incarnation);
        let (Some(spec), Some(run)) = (spec, run) else {
            return self.stale(id);
        };
        let probing = &mut run.probes[kind as usize];
        let Some(asking) = probing.asking.filter(|_| probing.attempt == attempt) else {
            return self.stale(id);
        };
        probing.asking = None;
        let own_fault = asking.void || took > spec.timeout + OWN_LATENESS;
        let forgive =
            own_fault && outcome != ProbeOutcome::Success && probing.forgiven < MAX_FORGIVEN;
        probing.forgiven = if forgive { probing.forgiven + 1 } else { 0 };
        let turn = if forgive {
            probing.due = now;
            Turn::Nothing
        } else {
            probing.answer(&spec, outcome, asking.counts)
        };
        let next = probing.next(&spec, kind, now);
        let (failures, passed_once) = (probing.failures, probing.passed_once);
        self.timers.set(Key::Probe(id, kind), next);
        self.services[id.index()].tally.probe(kind, outcome, took);
        self.mark(id);
        match turn {
            Turn::Nothing => {}
            Turn::Passed => self.probe_passed(id, kind, now),
            Turn::Failed => {
                // A service that is not ready yet is no news.
                if passed_once || kind != ProbeKind::Readiness {
                    self.report(Fact::ProbeFailed {
                        service: id,
                        probe: kind,
                        failures,
                    });
                }
                self.probe_failed(id, kind, now);
            }
        }
    }

    fn probe_passed(&mut self, id: ServiceId, kind: ProbeKind, now: Tick) {
        match kind {
            ProbeKind::Startup => {
                self.timers.cancel(Key::Probe(id, kind));
                self.timers.cancel(Key::StartupPatience(id));
                self.begin_late_probes(id, now);
            }
            ProbeKind::Readiness => self.judge_ready(id, now),
            ProbeKind::Liveness => {}
        }
    }

    fn probe_failed(&mut self, id: ServiceId, kind: ProbeKind, now: Tick) {
        let grace = self.graph.spec(id).probe(kind).and_then(|spec| spec.grace);
        match kind {
            ProbeKind::Startup => self.start_timed_out(id, grace, now),
            ProbeKind::Readiness => self.judge_ready(id, now),
            ProbeKind::Liveness => self.stop(id, StopWhy::Liveness, grace, now),
        }
    }

    /// Whether the service is ready now, by its probes or by `minReadySeconds`.
    pub(super) fn judge_ready(&mut self, id: ServiceId, now: Tick) {
        let spec = self.graph.spec(id);
        let (ends, min_ready) = (spec.ends(), spec.min_ready);
        let asks = spec.probe(ProbeKind::Readiness).is_some();
        let starts = spec.probe(ProbeKind::Startup).is_some();
        let Some(run) = self.live(id) else { return };
        let Some(exec_at) = run.exec_at else { return };
        let started = !starts || run.probes[ProbeKind::Startup as usize].passing == Some(true);
        let ready = if asks {
            started && run.probes[ProbeKind::Readiness as usize].passing == Some(true)
        } else if starts {
            started
        } else if ends {
            // A oneshot is ready when it is done.
            false
        } else if now.since(exec_at) >= min_ready {
            true
        } else {
            self.timers.set(Key::MinReady(id), exec_at.plus(min_ready));
            false
        };
        self.set_ready(id, ready, now);
    }

    fn set_ready(&mut self, id: ServiceId, ready: bool, now: Tick) {
        let ends = self.graph.spec(id).ends();
        let Some(run) = self.live(id) else { return };
        if run.ready_at.is_some() == ready {
            return;
        }
        run.ready_at = ready.then_some(now);
        let first = ready && !run.was_ready;
        run.was_ready |= ready;
        let took = now.since(run.forked_at);
        self.mark(id);
        if !ready {
            return self.report(Fact::Unready { service: id });
        }
        let service = &mut self.services[id.index()];
        service.last.ready_at = Some(now);
        if first && !ends {
            service.last.start_took = Some(took);
            service.tally.starts_ok += 1;
            self.timers.cancel(Key::StartTimeout(id));
            self.start_durations.observe(took);
        }
        self.report(Fact::Ready { service: id, took });
    }

    /// The service said something about itself.
    pub(super) fn notified(
        &mut self,
        id: ServiceId,
        incarnation: Incarnation,
        probe: Option<ProbeKind>,
        notice: Notice,
        now: Tick,
    ) {
        if self.services[id.index()].run_of(incarnation).is_none() {
            return self.stale(id);
        }
        match notice {
            Notice::Ready => self.told_ready(id, probe, now),
            Notice::Stopping => self.set_ready(id, false, now),
            Notice::Watchdog => self.feed_watchdog(id, now),
            Notice::WatchdogTrigger => self.watchdog_missed(id, now),
            Notice::WatchdogPeriod(period) => {
                if let Some(run) = self.live(id) {
                    run.watchdog = (!period.is_zero()).then_some(period);
                }
                self.feed_watchdog(id, now);
            }
            Notice::ExtendTimeout(by) => self.extend(id, now.plus(by)),
        }
    }

    fn told_ready(&mut self, id: ServiceId, probe: Option<ProbeKind>, now: Tick) {
        for kind in [ProbeKind::Startup, ProbeKind::Readiness] {
            let source = self.graph.spec(id).probe(kind).map(|p| p.source);
            let wanted = match probe {
                Some(only) => only == kind && source == Some(Source::Told),
                None => source == Some(Source::Notify),
            };
            if !wanted {
                continue;
            }
            let Some(run) = self.live(id) else { return };
            let probing = &mut run.probes[kind as usize];
            let first = probing.passing.replace(true) != Some(true);
            let begun = probing.begun;
            if first && begun {
                self.probe_passed(id, kind, now);
            } else if begun && kind == ProbeKind::Readiness {
                self.judge_ready(id, now);
            }
        }
    }

    fn feed_watchdog(&mut self, id: ServiceId, now: Tick) {
        match self.live(id).and_then(|run| run.watchdog) {
            Some(period) => self.timers.set(Key::Watchdog(id), now.plus(period)),
            None => self.timers.cancel(Key::Watchdog(id)),
        }
    }

    pub(super) fn watchdog_missed(&mut self, id: ServiceId, now: Tick) {
        let grace = self
            .graph
            .spec(id)
            .probe(ProbeKind::Liveness)
            .and_then(|spec| spec.grace);
        if self.live(id).is_none() {
            return;
        }
        self.report(Fact::WatchdogMissed { service: id });
        self.stop(id, StopWhy::Watchdog, grace, now);
    }

    /// Puts the running start's or stop's deadline off to `until`, if that is later.
    fn extend(&mut self, id: ServiceId, until: Tick) {
        let keys = match self.services[id.index()].state {
            State::Stopping(..) => [Key::StopTimeout(id), Key::StopTimeout(id)],
            _ => [Key::StartTimeout(id), Key::StartupPatience(id)],
        };
        for key in keys {
            if self.timers.get(key).is_some_and(|at| at < until) {
                self.timers.set(key, until);
            }
        }
    }
}
