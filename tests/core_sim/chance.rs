//! Random worlds: graphs, processes, and what befalls them.

use std::time::Duration;

use podvisor::config::model::{ConcurrencyPolicy, Condition, RestartPolicy, ServiceKind};
use podvisor::core::{
    Ending, Event, Halt, Notice, ProbeKind, ProbeOutcome, ProbeSpec, Request, ServiceId, Settings,
    Source,
};
use podvisor::units::HumanDuration;

use crate::plan::{Plan, cron, daemon, oneshot};
use crate::script::{Exec, Life, OnStop, Others, ms, runs, secs};
use crate::world::{Coming, World};

pub struct Chance(fastrand::Rng);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed ^ 0x9e37_79b9_7f4a_7c15))
    }

    /// True in so many of a hundred cases.
    fn often(&mut self, percent: u8) -> bool {
        self.0.u8(..100) < percent
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.0.usize(..of.len())]
    }

    /// Short times are as frequent as long ones.
    fn time(&mut self) -> Duration {
        let most = self.one(&[1, 20, 500, 3_000, 15_000, 60_000]);
        ms(self.0.u64(0..=most))
    }

    fn probe(&mut self) -> ProbeSpec {
        ProbeSpec {
            source: self.one(&[Source::Asked, Source::Asked, Source::Notify, Source::Told]),
            initial_delay: secs(self.one(&[0, 0, 2])),
            period: secs(self.one(&[1, 1, 10])),
            timeout: secs(self.one(&[1, 1, 5])),
            failure_threshold: self.one(&[1, 3]),
            success_threshold: self.one(&[1, 1, 2]),
            grace: self.one(&[None, None, Some(secs(0)), Some(secs(2))]),
        }
    }

    fn ending(&mut self) -> Ending {
        self.one(&[
            Ending::Code(0),
            Ending::Code(0),
            Ending::Code(1),
            Ending::Code(42),
            Ending::Code(143),
            Ending::Signal(9),
            Ending::Signal(15),
        ])
    }

    fn life(&mut self, kind: ServiceKind) -> Life {
        let ends = if kind == ServiceKind::Daemon { 40 } else { 95 };
        let exec = match self.0.u8(..100) {
            0..=2 => Exec::Fails {
                code: 127,
                permanent: true,
            },
            3..=6 => Exec::Fails {
                code: 126,
                permanent: false,
            },
            7..=10 => Exec::NoFork,
            _ => Exec::Works,
        };
        let on_stop = match self.0.u8(..100) {
            0..=59 => OnStop::Dies(self.time()),
            60..=84 => OnStop::Exits(self.time(), self.one(&[0, 0, 1, 143])),
            _ => OnStop::Ignores,
        };
        let others = match self.0.u8(..100) {
            0..=79 => Others::None,
            80..=89 => Others::Polite,
            90..=97 => Others::Stubborn,
            _ => Others::Unkillable,
        };
        let mut life = Life {
            exec,
            fork_takes: self.one(&[Duration::ZERO, Duration::ZERO, ms(3)]),
            exec_takes: self.one(&[Duration::ZERO, ms(1), ms(200), secs(7)]),
            ends: self.often(ends).then(|| (self.time(), self.ending())),
            on_stop,
            dies_in: if self.often(3) { None } else { Some(ms(1)) },
            others,
            up_after: self.time(),
            ready_until: self.often(20).then(|| self.time()),
            alive_until: self.often(20).then(|| self.time()),
            answer_takes: self.one(&[Duration::ZERO, ms(1), ms(900), ms(1500)]),
            late: if self.often(5) {
                secs(3)
            } else {
                Duration::ZERO
            },
            loses: self.one(&[0, 0, 0, 20]),
            flaps: self.one(&[0, 0, 0, 30]),
            command_takes: self.one(&[Some(ms(0)), Some(ms(100)), Some(secs(20)), None]),
            ..runs()
        };
        for _ in 0..self.0.usize(..4) {
            let notice = self.notice();
            let probe = self.one(&[
                None,
                None,
                Some(ProbeKind::Startup),
                Some(ProbeKind::Readiness),
            ]);
            life.says.push((self.time(), probe, notice));
        }
        life
    }

    fn notice(&mut self) -> Notice {
        self.one(&[
            Notice::Ready,
            Notice::Ready,
            Notice::Ready,
            Notice::Stopping,
            Notice::Watchdog,
            Notice::WatchdogTrigger,
            Notice::WatchdogPeriod(secs(2)),
            Notice::WatchdogPeriod(Duration::ZERO),
            Notice::ExtendTimeout(secs(20)),
        ])
    }

    fn service(&mut self, name: &str) -> Plan {
        let mut plan = match self.0.u8(..100) {
            0..=59 => daemon(name),
            60..=84 => oneshot(name, runs()),
            _ => cron(name, runs()),
        };
        let kind = plan.spec.kind;
        plan.lives = (0..self.0.usize(1..4)).map(|_| self.life(kind)).collect();
        let spec = &mut plan.spec;
        spec.required ^= self.often(35);
        spec.autostart = self.often(85);
        if self.often(40) {
            spec.policy = self.one(&[
                RestartPolicy::Always,
                RestartPolicy::OnFailure,
                RestartPolicy::Never,
            ]);
        }
        spec.restart.jitter = self.one(&[0.0, 0.1, 1.0]);
        spec.restart.max_restarts = self.one(&[0, 1, 3, 10]);
        spec.restart.window = HumanDuration(self.one(&[secs(5), secs(600)]));
        spec.restart.initial_delay = HumanDuration(self.one(&[ms(0), ms(500), secs(3)]));
        spec.stop_signal = self.one(&[15, 15, 2]);
        spec.stop_timeout = self.one(&[secs(0), secs(2), secs(10), secs(60)]);
        spec.has_stop_command = self.often(20);
        spec.min_ready = secs(self.one(&[0, 0, 0, 4]));
        spec.start_timeout = self.one(&[None, None, Some(secs(1)), Some(secs(30))]);
        spec.concurrency = self.one(&[
            ConcurrencyPolicy::Allow,
            ConcurrencyPolicy::Forbid,
            ConcurrencyPolicy::Replace,
        ]);
        for kind in ProbeKind::ALL {
            if self.often(20) {
                let mut probe = self.probe();
                if kind != ProbeKind::Readiness {
                    probe.success_threshold = 1;
                }
                plan = plan.with(kind, probe);
            }
        }
        if self.often(5) {
            plan = plan.then_shutdown();
        }
        plan
    }

    fn plans(&mut self) -> Vec<Plan> {
        let count = self.0.usize(1..=8);
        let mut names: Vec<String> = (0..count)
            .map(|i| char::from(b'a' + i as u8).to_string())
            .collect();
        // Who depends on whom has nothing to do with the names.
        self.0.shuffle(&mut names);
        let mut plans: Vec<Plan> = Vec::new();
        for (place, name) in names.iter().enumerate() {
            let mut plan = self.service(name);
            for other in &plans {
                let on = other.spec.name.clone();
                if self.often(30) {
                    let mut condition =
                        self.one(&[Condition::Started, Condition::Ready, Condition::Started]);
                    if other.spec.kind == ServiceKind::Oneshot && self.often(80) {
                        condition = Condition::Completed;
                    }
                    let required = self.often(70);
                    plan = plan.edge(&on, condition, required);
                } else if self.often(4) {
                    plan = plan.conflicts(&on);
                }
            }
            assert_eq!(place, plans.len());
            plans.push(plan);
        }
        plans
    }

    fn settings(&mut self) -> Settings {
        Settings {
            deadline: secs(self.one(&[1, 8, 25])),
            drain_delay: secs(self.one(&[0, 0, 0, 3, 30])),
            flush: secs(self.one(&[0, 2, 5])),
            single: false,
        }
    }

    fn misfortune(&mut self, world: &World, count: u32) -> Coming {
        let service = ServiceId(self.0.u32(..count));
        match self.0.u8(..100) {
            0..=44 => Coming::Event(Event::Asked {
                service,
                request: self.one(&[
                    Request::Start,
                    Request::Start,
                    Request::Stop,
                    Request::Restart,
                ]),
            }),
            45..=64 => {
                let graph = world.core.graph();
                let is_cron = |id: &ServiceId| graph.spec(*id).kind == ServiceKind::Cron;
                match graph.ids().find(is_cron) {
                    Some(service) => Coming::Event(Event::CronDue { service }),
                    None => Coming::Event(Event::Timer),
                }
            }
            65..=67 => Coming::Freeze(secs(60)),
            68..=69 => Coming::Event(Event::Timer),
            _ => Coming::Echo(self.0.u64(..)),
        }
    }

    /// A world of that seed, with all that will befall it.
    pub fn world(seed: u64) -> World {
        let mut chance = Self::new(seed);
        let mut plans = chance.plans();
        if chance.often(70) {
            // Nothing that fails ends this world: it lives until it is asked to end.
            for plan in &mut plans {
                plan.spec.required = false;
                plan.spec.on_success = podvisor::config::model::OnSuccess::Continue;
            }
        }
        let mut settings = chance.settings();
        if chance.often(3) {
            settings.single = true;
            plans = vec![daemon("cmd").never().life(chance.life(ServiceKind::Daemon))];
        }
        let count = u32::try_from(plans.len()).unwrap();
        let mut world = World::with(plans, settings, seed.max(1));
        world.flush_takes = chance.one(&[Some(ms(0)), Some(ms(20)), None]);
        world.later(
            chance.one(&[Duration::ZERO, ms(5)]),
            Coming::Event(Event::Boot),
        );
        let short = chance.time();
        let span = chance.one(&[short, secs(30), secs(120), secs(300)]);
        for _ in 0..chance.one(&[0, 5, 20, 150]) {
            let at = ms(chance.0.u64(0..=2 * span.as_millis() as u64 + 1));
            let coming = chance.misfortune(&world, count);
            world.later(at, coming);
        }
        let mut at = span;
        for _ in 0..chance.one(&[1, 1, 1, 2, 3, 4]) {
            let halt = chance.one(&[Halt::Stop, Halt::Stop, Halt::Stop, Halt::Quit]);
            world.later(at, Coming::Event(Event::Halt(halt)));
            at += chance.one(&[ms(0), ms(300), ms(1000), secs(2), secs(5)]);
        }
        world
    }
}

/// Every outcome, for tests that script them.
pub const YES: ProbeOutcome = ProbeOutcome::Success;
/// No.
pub const NO: ProbeOutcome = ProbeOutcome::Failure;
