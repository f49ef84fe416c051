//! `podvisor run`: from the command line to the supervisor, and from its outcome to the exit code.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::args::RunArgs;
use super::shipping;
use super::single;
use super::termination::Message;
use crate::config::logs::ConsoleFormat;
use crate::config::{self, Config, Listen};
use crate::control;
use crate::core::Settings;
use crate::exit;
use crate::http::{self, Pulse};
use crate::logs::ring::fair_ring_bytes;
use crate::logs::{self, Format, LogPlane, ServiceId, ServiceOptions, ServiceSpec, Tap};
use crate::process::{self, terminal::Foreground};
use crate::supervisor::{self, Cause, Setup, Signals, start};
use crate::telemetry::own_log::{self, OwnLog};
use crate::usage::Watcher;
use crate::view::View;

/// How many of a service's last lines the termination message carries.
const LAST_LINES: usize = 20;
/// The most that is kept for the last logs when the user does not say.
const FLUSH: Duration = Duration::from_secs(5);
/// How long podvisor's own last words may take.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Runs until everything has ended.
pub fn run(args: RunArgs) -> u8 {
    process::unblock_signals();
    let own_log = match start_log(&args) {
        Ok(log) => Arc::new(log),
        Err(error) => return internal(&format!("setting up its log: {error}")),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return internal(&format!("starting the event loop: {error}")),
    };
    let _guard = runtime.enter();
    let signals = match Signals::register(!args.exec.is_empty()) {
        Ok(signals) => signals,
        Err(error) => return internal(&format!("registering signals: {error}")),
    };
    on_panic();
    let loaded = if args.exec.is_empty() {
        from_files(&args)
    } else {
        single::load(&args)
    };
    let Some((mut config, hash)) = loaded else {
        return exit::CONFIG;
    };
    if let Err(problem) = flags_beat_the_file(&args, &mut config) {
        eprintln!("podvisor: {problem}");
        return exit::USAGE;
    }
    let code = match supervise(&runtime, args, config, hash, signals, own_log.clone()) {
        Ok(code) => code,
        Err(failure) => failure.tell(),
    };
    own_log.flush(LAST_WORDS);
    code
}

/// podvisor's own log: quiet, and with `run -- CMD` quieter, since whoever comes from tini expects silence.
fn start_log(args: &RunArgs) -> Result<OwnLog, Box<dyn std::error::Error>> {
    let mut options = own_log::Options::from_env()?;
    let single = (!args.exec.is_empty()).then(|| "warn".to_owned());
    options.filter = args.log.clone().or(options.filter).or(single);
    Ok(own_log::init(options)?)
}

/// Why nothing was started.
enum Refused {
    /// The config or the machine it meets.
    Config(String),
    /// podvisor itself.
    Internal(String),
}

impl Refused {
    fn tell(self) -> u8 {
        match self {
            Self::Internal(reason) => internal(&reason),
            Self::Config(reason) => {
                eprintln!("podvisor: {reason}");
                refuse(&reason, exit::CONFIG)
            }
        }
    }
}

fn internal(reason: &str) -> u8 {
    eprintln!("podvisor: internal error: {reason}");
    refuse(reason, exit::INTERNAL)
}

fn refuse(reason: &str, code: u8) -> u8 {
    Message {
        service: None,
        reason,
        code,
        lines: &[],
    }
    .write();
    code
}

fn from_files(args: &RunArgs) -> Option<(Config, String)> {
    let env = |name: &str| std::env::var(name).ok();
    match config::load(&args.config.config, &env) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                tracing::warn!("{warning}");
            }
            Some((loaded.config, loaded.hash))
        }
        Err(report) => {
            let stderr = std::io::stderr();
            eprint!("{}", report.render(crate::logs::colour_wanted(&stderr)));
            refuse(&summary(&report), exit::CONFIG);
            None
        }
    }
}

/// The first error, and how many more there are.
fn summary(report: &config::Report) -> String {
    let (errors, _) = report.counts();
    let first = report
        .problems
        .iter()
        .find(|problem| problem.severity == config::Severity::Error);
    match first {
        Some(first) if errors > 1 => format!("config refused: {first} (and {} more)", errors - 1),
        Some(first) => format!("config refused: {first}"),
        None => "config refused".to_owned(),
    }
}

/// A flag beats `PODVISOR_*`, which beats the file; clap has decided the first already.
fn flags_beat_the_file(args: &RunArgs, config: &mut Config) -> Result<(), String> {
    if let Some(text) = &args.listen {
        config.http.listen = text
            .parse()
            .map_err(|error: config::ListenError| format!("--listen {text}: {error}"))?;
    }
    if let Some(text) = &args.sink {
        config.logs.sinks =
            shipping::sink_of_flag(text).map_err(|error| format!("--sink {error}"))?;
    }
    if let Some(format) = args.console {
        config.logs.console.format = format;
    }
    if let Some(deadline) = args.deadline {
        config.shutdown.deadline = Some(deadline);
    }
    config.shutdown.signals.extend(&args.stop_signals);
    Ok(())
}

fn settings(config: &Config, single: bool) -> Settings {
    let kubernetes = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    let default = Duration::from_secs(if kubernetes { 25 } else { 8 });
    let deadline = config.shutdown.deadline.map_or(default, |d| d.0);
    let flush = config
        .shutdown
        .flush_timeout
        .map_or(FLUSH.min(deadline / 4), |d| d.0);
    let drain_delay = config.shutdown.drain_delay.0;
    Settings {
        deadline,
        drain_delay,
        flush: flush.min(deadline),
        single,
    }
}

/// Opens the control socket. Without one everything else works, and that is said once; whoever comes from tini does not
/// miss it.
fn open_socket(
    runtime_dir: Option<&Path>,
    shared: control::Shared,
    single: bool,
) -> Option<PathBuf> {
    let named = std::env::var_os(control::socket::VARIABLE).filter(|named| !named.is_empty());
    let path = named
        .map(PathBuf::from)
        .or_else(|| Some(runtime_dir?.join(control::socket::NAME)));
    let opened = match &path {
        Some(path) => control::socket::listen(path)
            .and_then(|listener| control::serve(listener, shared))
            .map_err(|error| format!("{}: {error}", path.display())),
        None => Err("no folder for it can be written to".to_owned()),
    };
    match opened {
        Ok(()) => path,
        Err(reason) if single => {
            tracing::debug!(reason, "no control socket");
            None
        }
        Err(reason) => {
            tracing::warn!(
                reason,
                "no control socket: `podvisor status` and the like find nobody"
            );
            None
        }
    }
}

fn supervise(
    runtime: &tokio::runtime::Runtime,
    args: RunArgs,
    config: Config,
    config_hash: String,
    mut signals: Signals,
    own_log: Arc<OwnLog>,
) -> Result<u8, Refused> {
    let single = !args.exec.is_empty();
    let terminal = single.then(Foreground::of_stdin).flatten();
    let foreground = terminal.is_some();
    let stops: Vec<i32> = config
        .shutdown
        .signals
        .iter()
        .map(|signal| signal.0)
        .collect();
    signals
        .also_stop_on(&stops)
        .map_err(|error| Refused::Config(format!("shutdown.signals: {error}")))?;
    let is_pid1 = process::is_pid1();
    if !is_pid1 {
        process::become_subreaper();
    }
    let ground = start::GroundFacts {
        environment: std::env::vars_os().collect(),
        nofile_soft: process::raise_nofile().unwrap_or(1024),
        is_pid1,
    };
    let settings = settings(&config, single);
    let listener = bind(&config.http.listen, single && args.listen.is_none())?;
    let (shipper, tap) = shipping::start(&config).map_err(Refused::Config)?.unzip();
    let (logs, log_events) = log_settings(&config, single, tap)
        .and_then(LogPlane::start)
        .map_err(|e| Refused::Internal(e.to_string()))?;
    let view = Arc::new(ArcSwap::from_pointee(View::empty()));
    let pulse = Arc::new(Pulse::new());
    let shipped = shipper.as_ref().map(|shipper| shipper.counters().clone());
    let usage = match listener {
        Some(_) => Some(Watcher::start(view.clone(), config.http.collect_interval.0))
            .transpose()
            .map_err(|e| Refused::Internal(e.to_string()))?,
        None => None,
    };
    let metrics = crate::metrics::Metrics::new(view.clone(), Some(logs.clone()), shipped)
        .with_usage(usage.clone());
    if let Some(listener) = listener {
        let shared = http::Shared::new(view.clone(), pulse.clone(), metrics);
        listener
            .serve(shared)
            .map_err(|e| Refused::Internal(e.to_string()))?;
    }
    let environment = |name: &str| std::env::var_os(name);
    let runtime_dir: Option<PathBuf> = start::runtime_dir(environment);
    let (revisions, counted) = tokio::sync::watch::channel(0);
    let (ask, asks) = control::asks();
    let controlled = control::Shared {
        view: view.clone(),
        revisions: counted,
        logs: logs.clone(),
        usage: usage.clone(),
        asks: ask,
    };
    let socket = open_socket(runtime_dir.as_deref(), controlled, single);
    let tail = logs.clone();
    let ended = runtime.block_on(supervisor::run(Setup {
        config,
        config_hash,
        settings,
        foreground,
        whole_group: !args.single_child,
        logs,
        log_events,
        shipper,
        usage,
        view,
        revisions,
        asks,
        pulse,
        signals,
        ground,
        own_log,
        runtime_dir,
    }));
    if let Some(socket) = socket {
        // Nobody answers there any more. Should it stay, the next podvisor replaces it.
        let _ = std::fs::remove_file(socket);
    }
    if let Some(terminal) = terminal {
        let _ = terminal.restore();
    }
    let ended = ended.map_err(|error| Refused::Internal(error.to_string()))?;
    if ended.code != exit::OK {
        tell_the_end(ended.code, ended.cause.as_ref(), &tail);
    }
    Ok(ended.code)
}

/// The endpoint's address. One that was asked for must be free; the default of `run -- CMD` may be another's.
fn bind(listen: &Listen, may_fail: bool) -> Result<Option<http::Bound>, Refused> {
    let Listen::Addr(address) = listen else {
        return Ok(None);
    };
    let address: SocketAddr = *address;
    match http::bind(address) {
        Ok(bound) => Ok(Some(bound)),
        Err(error) if may_fail => {
            tracing::warn!(%error, "no health and metrics endpoint");
            Ok(None)
        }
        Err(error) => Err(Refused::Config(format!("http.listen: {error}"))),
    }
}

fn tell_the_end(code: u8, cause: Option<&Cause>, logs: &LogPlane) {
    let lines = cause
        .map(|cause| last_lines(logs, cause.id))
        .unwrap_or_default();
    let reason = cause.map_or("ended by a signal", |cause| cause.reason.as_str());
    Message {
        service: cause.map(|cause| &*cause.service),
        reason,
        code,
        lines: &lines,
    }
    .write();
}

fn last_lines(logs: &LogPlane, service: u32) -> Vec<String> {
    let lines = logs.tail(ServiceId(service), LAST_LINES);
    lines
        .iter()
        .map(|line| String::from_utf8_lossy(&line.text).into_owned())
        .collect()
}

/// `apart`: `run -- CMD`, whose stderr stays a stderr.
fn log_settings(
    config: &Config,
    apart: bool,
    tap: Option<Box<dyn Tap>>,
) -> std::io::Result<logs::Config> {
    let stdout = std::io::stdout();
    let services = config
        .services
        .iter()
        .zip(0..)
        .map(|((name, service), id)| ServiceSpec {
            id: ServiceId(id),
            name: Arc::from(name.as_str()),
            options: ServiceOptions {
                max_line: shipping::max_line(config, &service.logs),
                ring_lines: usize::try_from(service.logs.ring).unwrap_or(usize::MAX),
                ring_bytes: fair_ring_bytes(config.services.len()),
            },
        });
    Ok(logs::Config {
        services: services.collect(),
        format: match config.logs.console.format {
            ConsoleFormat::Raw => Format::Raw,
            ConsoleFormat::Prefixed => Format::Prefixed,
            ConsoleFormat::Json => Format::Json,
            ConsoleFormat::None => Format::None,
        },
        colour: logs::colour_wanted(&stdout),
        console: logs::inherited_stdout()?,
        console_err: apart
            .then(|| std::io::stderr().as_fd().try_clone_to_owned())
            .transpose()?,
        taps: tap.into_iter().collect(),
    })
}

/// A bug in podvisor ends the container with a reason, not with an unexplained signal. What it ran is killed by the
/// kernel with PID 1; elsewhere every service has its parent-death signal.
fn on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        before(info);
        // The log thread catches its own and goes on.
        if std::thread::current().name() == Some("main") {
            std::process::exit(i32::from(refuse(
                &format!("internal error: {info}"),
                exit::INTERNAL,
            )));
        }
    }));
}
