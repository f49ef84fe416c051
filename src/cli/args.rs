//! The command line: what was typed, as types. Their doc comments are the help.

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand};

use super::analyze::AnalyzeArgs;
use super::check::CheckArgs;
use super::graph::GraphArgs;
use super::install::InstallArgs;
use super::logs::LogsArgs;
use super::order::{OrderArgs, SignalArgs};
use super::receive::ReceiveArgs;
use super::schema::SchemaArgs;
use super::sink::SinkArgs;
use super::status::StatusArgs;
use super::validate::ValidateArgs;
use super::why::WhyArgs;
use crate::config::logs::ConsoleFormat;
use crate::units::{HumanDuration, SignalName};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Runs the processes of one container: dependency order, probes, metrics, logs.
#[derive(Debug, Parser)]
#[command(name = "podvisor", version, styles = STYLES, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the services of a config, or one command with no config at all
    Run(Box<RunArgs>),
    /// Check a config: every error and warning at once
    Validate(ValidateArgs),
    /// Print the JSON Schema of the config, for editors, or its reference
    Schema(SchemaArgs),
    /// Show the dependency graph of a config
    Graph(GraphArgs),
    /// Show how the services of a running podvisor are
    Status(StatusArgs),
    /// Tell why a service is not ready: the chain of causes, down to the first
    Why(WhyArgs),
    /// Start services, and what they need; wait until they are ready
    Start(OrderArgs),
    /// Stop services, and what needs them; wait until they have ended
    Stop(OrderArgs),
    /// Stop services and start them; wait until they are ready
    Restart(OrderArgs),
    /// Send a signal to the main processes of services
    Signal(SignalArgs),
    /// Show the services' last lines, and follow them
    Logs(LogsArgs),
    /// Tell where the time of the start-up went
    Analyze(AnalyzeArgs),
    /// Ask a running podvisor for its health: exit code 0 or 1, one line of reason
    Check(CheckArgs),
    /// Try the sinks of a config
    Sink(SinkArgs),
    /// Copy this binary into a folder, atomically: for init containers
    Install(InstallArgs),
    /// Receive what the sinks send, show and count it, and fail on request: for trying things out
    Receive(ReceiveArgs),
}

/// Where the config is.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// Config file, or folder of *.yaml files merged in name order; may be given more than once
    #[arg(
        short,
        long = "config",
        value_name = "PATH",
        env = "PODVISOR_CONFIG",
        default_value = "/etc/podvisor/podvisor.yaml"
    )]
    pub config: Vec<PathBuf>,
}

/// `podvisor run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  podvisor run -c podvisor.yaml         the services of a config
  podvisor run -- nginx -g 'daemon off;'   one command: a drop-in for tini and dumb-init

Exit codes: 0 asked to stop, or all work done; N or 128+n of the first required service that
failed for good; 126/127 it could not be run; 64, 70, 71, 78 podvisor itself; 100 not ready in
time; 101 a dependency failed; 102 liveness; 131 QUIT; 137 killed at the deadline.")]
pub struct RunArgs {
    /// Where the config is.
    #[command(flatten)]
    pub config: ConfigArgs,

    /// Address of the health and metrics endpoint, or `off`
    #[arg(long, value_name = "ADDR", env = "PODVISOR_LISTEN")]
    pub listen: Option<String>,

    /// How the services' lines are written to stdout: raw, prefixed, json, none
    #[arg(long, value_name = "FORMAT", value_parser = console_format)]
    pub console: Option<ConsoleFormat>,

    /// Where the services' lines are shipped, in place of the config's sinks: http://HOST:PORT/ (NDJSON, as Vector
    /// takes it), otlp+http://HOST:4318, otlp+grpc://HOST:4317, or otlp (what the OTEL_* variables say)
    #[arg(long, value_name = "URL", env = "PODVISOR_SINK")]
    pub sink: Option<String>,

    /// How long the whole shutdown may take
    #[arg(long, value_name = "DURATION", value_parser = parse::<HumanDuration>)]
    pub deadline: Option<HumanDuration>,

    /// A further signal that asks podvisor to end; may be given more than once
    #[arg(long = "stop-signal", value_name = "SIGNAL", value_parser = parse::<SignalName>)]
    pub stop_signals: Vec<SignalName>,

    /// podvisor's own log: a level, or levels by target such as `info,podvisor::core=trace`
    #[arg(long, value_name = "FILTER", env = "PODVISOR_LOG")]
    pub log: Option<String>,

    /// With `-- CMD`: hand signals on to the command alone, not to its process group (as tini without -g)
    #[arg(long, requires = "exec")]
    pub single_child: bool,

    /// One command to run, with no config
    #[arg(last = true, value_name = "CMD", id = "exec")]
    pub exec: Vec<String>,
}

pub(super) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn console_format(text: &str) -> Result<ConsoleFormat, String> {
    match text {
        "raw" => Ok(ConsoleFormat::Raw),
        "prefixed" => Ok(ConsoleFormat::Prefixed),
        "json" => Ok(ConsoleFormat::Json),
        "none" => Ok(ConsoleFormat::None),
        other => Err(format!("`{other}` is none of raw, prefixed, json, none")),
    }
}
