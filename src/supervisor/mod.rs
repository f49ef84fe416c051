//! The driver: one thread, one loop, events to the core, actions to the world.
//!
//! The loop waits for one of: a signal, a child's death, a message of one of its own tasks (probes, notify
//! sockets, report pipes), a look from the health endpoint, the core's next deadline. It turns each into an event,
//! hands it to the core, does what the core says, and publishes the view. Nothing on it blocks.

mod children;
mod clock;
mod control;
mod cron;
mod dump;
mod environment;
mod launch;
mod listeners;
mod message;
mod perform;
mod plan;
pub mod probes;
mod publish;
mod reap;
mod say;
mod signals;
pub mod start;

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, LocalSet};

use crate::config::Config;
use crate::config::model::Service;
use crate::control::Asks;
use crate::core::{Action, Core, Event, Incarnation, ServiceId, Settings, Tick};
use crate::http::Pulse;
use crate::logs::{LogEvent, LogPlane, Source};
use crate::process::descendants::Descendants;
use crate::process::reaper::Reaper;
use crate::ship::Shipper;
use crate::telemetry::own_log::OwnLog;
use crate::usage::Watcher;
use crate::usage::cgroup::OomEvents;
use crate::view::{LoopLag, View};

use children::Children;
use clock::Clock;
use message::{Mailbox, Message};
use plan::Ground;
pub use signals::Signals;

/// How many messages one turn takes from the mailbox, so that signals and deaths are never kept waiting.
const MESSAGES_A_TURN: usize = 256;
/// How often what was killed is looked for while it is not gone: its death may be its parent's to reap, not ours.
const GONE_LOOK: Duration = Duration::from_millis(20);

/// Everything that the driver is given.
pub struct Setup {
    /// The checked config.
    pub config: Config,
    /// Its hash, for the view.
    pub config_hash: String,
    /// How the container ends.
    pub settings: Settings,
    /// `run -- CMD` on a terminal: the command gets the terminal itself.
    pub foreground: bool,
    /// `run -- CMD`: signals go to the command's whole process group.
    pub whole_group: bool,
    /// The log plane, already started.
    pub logs: LogPlane,
    /// What it tells: awaited lines.
    pub log_events: mpsc::Receiver<LogEvent>,
    /// Where the lines are shipped, if anywhere.
    pub shipper: Option<Shipper>,
    /// Who looks at what the services use, if anybody does.
    pub usage: Option<Watcher>,
    /// Where the view is published.
    pub view: Arc<ArcSwap<View>>,
    /// Where the views are counted.
    pub revisions: tokio::sync::watch::Sender<u64>,
    /// What people ask.
    pub asks: Asks,
    /// How the health endpoint looks whether the loop turns.
    pub pulse: Arc<Pulse>,
    /// Signals, registered before anything else.
    pub signals: Signals,
    /// What is the same for every start.
    pub ground: start::GroundFacts,
    /// podvisor's own log, for USR2.
    pub own_log: Arc<OwnLog>,
    /// A folder for sockets that services write to, if one is writable.
    pub runtime_dir: Option<std::path::PathBuf>,
}

/// How it ended.
pub struct Ended {
    /// The exit code.
    pub code: u8,
    /// The service that decided it, and why, for the termination message.
    pub cause: Option<Cause>,
}

/// Why podvisor ends with a code that is not 0.
pub struct Cause {
    /// The service that decided.
    pub service: Arc<str>,
    /// Its place in name order.
    pub id: u32,
    /// Why, in words.
    pub reason: String,
}

struct Supervisor {
    core: Core,
    clock: Clock,
    services: Vec<(Arc<str>, Rc<Service>)>,
    ground: Ground,
    single: bool,
    foreground: bool,
    whole_group: bool,
    children: Children,
    reaper: Reaper,
    walker: Descendants,
    logs: LogPlane,
    shipper: Option<Shipper>,
    usage: Option<Watcher>,
    oom: OomEvents,
    /// Pipes that the log plane was too busy to take.
    unattached: Vec<Source>,
    mailbox: Mailbox,
    /// Events that wait for the core, in order.
    queue: VecDeque<Event>,
    actions: Vec<Action>,
    /// Probe attempts, listeners and schedules that run as tasks.
    tasks: HashMap<TaskKey, AbortHandle>,
    published: publish::Publisher,
    pulse: Arc<Pulse>,
    lag: Arc<LoopLag>,
    runtime_dir: Option<std::path::PathBuf>,
    /// Zombies were left for the next turn.
    more_zombies: bool,
    /// The last lines are on their way.
    flushing: bool,
    exit: bool,
    own_log: Arc<OwnLog>,
}

/// What a task is for; a new one of the same kind takes the place of the old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum TaskKey {
    Probe(ServiceId, Incarnation, usize),
    Listener(ServiceId, Incarnation, u8),
    Overdue(i32),
    Schedule(ServiceId),
}

/// Runs until the core says exit. Must be called within a current-thread runtime.
///
/// # Errors
///
/// A graph that the config check should have refused.
pub async fn run(setup: Setup) -> Result<Ended, crate::core::GraphError> {
    let local = LocalSet::new();
    local.run_until(drive(setup)).await
}

async fn drive(setup: Setup) -> Result<Ended, crate::core::GraphError> {
    let (mut signals, mut child) = setup.signals.split();
    let mut log_events = setup.log_events;
    let mut asks = setup.asks;
    let graph = crate::core::Graph::new(&setup.config.services)?;
    let mut clock = Clock::start();
    let ground = setup.ground.into_ground();
    let core = Core::new(graph, setup.settings, fastrand::u64(..), clock.now());
    let (mailbox, mut messages) = Mailbox::new();
    let services: Vec<(Arc<str>, Rc<Service>)> = setup
        .config
        .services
        .into_iter()
        .map(|(name, service)| (Arc::from(name), Rc::new(service)))
        .collect();
    let lag = Arc::new(LoopLag::default());
    let started_at = clock.wall(clock.now());
    let published = publish::Publisher::new(
        (setup.view, setup.revisions),
        &core,
        setup.config_hash,
        lag.clone(),
        started_at,
    );
    let mut supervisor = Supervisor {
        core,
        clock,
        services,
        ground,
        single: setup.settings.single,
        foreground: setup.foreground,
        children: Children::default(),
        reaper: Reaper::default(),
        walker: Descendants::new(),
        logs: setup.logs,
        shipper: setup.shipper,
        usage: setup.usage,
        oom: OomEvents::new(&crate::usage::cgroup::Place::of_self()),
        unattached: Vec::new(),
        whole_group: setup.whole_group,
        mailbox,
        queue: VecDeque::new(),
        actions: Vec::new(),
        tasks: HashMap::new(),
        published,
        pulse: setup.pulse,
        lag,
        runtime_dir: setup.runtime_dir,
        more_zombies: false,
        flushing: false,
        exit: false,
        own_log: setup.own_log,
    };
    // A signal that came while the config was read comes before the boot: nothing is started then.
    while let Some(signal) = signals.pending() {
        supervisor.on_signal(signal);
    }
    supervisor.queue.push_back(Event::Boot);
    supervisor.turn();
    while !supervisor.exit {
        let deadline = supervisor.next_look();
        tokio::select! {
            biased;
            signal = signals.next() => supervisor.on_signal(signal),
            () = signals::child_died(&mut child), if !supervisor.more_zombies => {
                supervisor.reap();
            }
            () = std::future::ready(()), if supervisor.more_zombies => supervisor.reap(),
            () = supervisor.pulse.asked() => supervisor.pulse.answer(),
            Some(message) = messages.recv() => {
                supervisor.on_message(message);
                for _ in 1..MESSAGES_A_TURN {
                    let Ok(message) = messages.try_recv() else { break };
                    supervisor.on_message(message);
                }
            }
            Some(event) = log_events.recv() => supervisor.on_log_event(event),
            Some(ask) = asks.recv() => supervisor.on_ask(ask),
            () = sleep_until(deadline) => supervisor.on_time(),
        }
        supervisor.turn();
        tokio::task::yield_now().await;
    }
    Ok(supervisor.ended())
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

impl Supervisor {
    /// One turn: every waiting event through the core, every action done, the view published.
    fn turn(&mut self) {
        let began = self.clock.now();
        if !self.unattached.is_empty() {
            self.attach_late();
        }
        while let Some(event) = self.queue.pop_front() {
            let mut actions = std::mem::take(&mut self.actions);
            let now = self.clock.now();
            self.core.handle(now, event, &mut actions);
            for action in actions.drain(..) {
                self.perform(action);
            }
            self.actions = actions;
        }
        self.published.publish(&mut self.core, &mut self.clock);
        self.lag.note(self.clock.now().since(began));
    }

    /// When to look again at the latest: the core's next deadline, or for what is not gone yet.
    fn next_look(&self) -> Option<tokio::time::Instant> {
        let core = self
            .core
            .next_deadline()
            .map(|tick| self.clock.instant(tick));
        let look = self.children.awaits_gone() || !self.unattached.is_empty();
        let gone = look.then(|| tokio::time::Instant::now() + GONE_LOOK);
        match (core, gone) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn on_time(&mut self) {
        if self.children.awaits_gone() {
            self.look_for_gone();
        }
        self.queue.push_back(Event::Timer);
    }

    fn on_message(&mut self, message: Message) {
        match message {
            Message::Event(event) => {
                self.flushing &= !matches!(event, Event::Flushed);
                if let Event::Probed {
                    service,
                    incarnation,
                    probe,
                    ..
                } = &event
                {
                    self.tasks
                        .remove(&TaskKey::Probe(*service, *incarnation, *probe as usize));
                }
                self.queue.push_back(event);
            }
            Message::Report(service, incarnation) => self.read_report(service, incarnation),
            Message::Overdue(pid) => self.overdue(pid),
            Message::NextRun(service, at) => self.published.set_next_run(service, at),
        }
    }

    fn on_log_event(&mut self, event: LogEvent) {
        let (service, incarnation, probe) = match event {
            LogEvent::Matched {
                service,
                incarnation,
                probe,
            } => (service, incarnation, probe),
            LogEvent::Panicked { message, .. } => {
                tracing::error!(%message, "internal error while reading logs; reading goes on");
                return;
            }
        };
        let kind = crate::core::ProbeKind::ALL.get(probe as usize).copied();
        self.queue.push_back(Event::Notified {
            service: ServiceId(service.0),
            incarnation: Incarnation(incarnation),
            probe: kind,
            notice: crate::core::Notice::Ready,
        });
    }

    fn now(&self) -> Tick {
        self.clock.now()
    }

    fn ended(&self) -> Ended {
        let outcome = self.core.outcome();
        let cause = match outcome {
            crate::core::Outcome::Failed(id, failure) => Some(Cause {
                service: self.core.graph().spec(*id).name.clone(),
                id: id.0,
                reason: self.core.failure_text(failure),
            }),
            _ => None,
        };
        Ended {
            code: outcome.code(),
            cause,
        }
    }
}
