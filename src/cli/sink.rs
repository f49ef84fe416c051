//! `podvisor sink test`: one marked record through each sink, and what came back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::{Args, Subcommand};

use super::args::ConfigArgs;
use crate::config::{self, Config};
use crate::exit;
use crate::logs::{ServiceId, Stream};
use crate::ship::arena::Arena;
use crate::ship::compress::Packer;
use crate::ship::encoder::{Encoder, Framer};
use crate::ship::identity::Identity;
use crate::ship::parcel::Form;
use crate::ship::plan::{self, SinkPlan};
use crate::ship::record::{Record, Severity};
use crate::ship::send::Sender;
use crate::ship::verdict::Verdict;

/// The service that the record is of.
const SERVICE: &str = "podvisor-sink-test";

/// `podvisor sink`.
#[derive(Debug, Args)]
pub struct SinkArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: SinkCommand,
}

/// What can be done with sinks.
#[derive(Debug, Subcommand)]
pub enum SinkCommand {
    /// Send one marked record through each sink of the config, and say what came back
    Test(TestArgs),
}

/// `podvisor sink test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Where the config is.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Only these sinks
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

/// Sends, and prints a line for each sink.
pub fn run(args: &SinkArgs) -> u8 {
    let SinkCommand::Test(args) = &args.command;
    let env = |name: &str| std::env::var(name).ok();
    let config = match config::load(&args.config.config, &env) {
        Ok(loaded) => loaded.config,
        Err(report) => {
            let stderr = std::io::stderr();
            eprint!("{}", report.render(crate::logs::colour_wanted(&stderr)));
            return exit::CONFIG;
        }
    };
    if let Some(unknown) = args
        .names
        .iter()
        .find(|name| !config.logs.sinks.contains_key(*name))
    {
        eprintln!("podvisor: {}", no_such(unknown, &config));
        return exit::USAGE;
    }
    match test(&config, &args.names, &env) {
        Ok(true) => exit::OK,
        Ok(false) => exit::FAILED,
        Err(error) => {
            eprintln!("podvisor: {error}");
            exit::CONFIG
        }
    }
}

fn no_such(name: &str, config: &Config) -> String {
    let known: Vec<&str> = config.logs.sinks.keys().map(String::as_str).collect();
    match known.as_slice() {
        [] => "the config has no sinks".to_owned(),
        known => format!("there is no sink `{name}`; there are: {}", known.join(", ")),
    }
}

/// Whether all were good.
fn test(
    config: &Config,
    names: &[String],
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<bool, Box<dyn std::error::Error>> {
    let plan = plan::plan(&config.logs, env)?;
    let (identity, bad) = Identity::find();
    for warning in plan
        .warnings
        .iter()
        .cloned()
        .chain(bad.map(|bad| bad.to_string()))
    {
        eprintln!("podvisor: {warning}");
    }
    if plan.sinks.is_empty() {
        println!("the config has no sinks");
        return Ok(true);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let width = plan
        .sinks
        .iter()
        .map(|sink| sink.name.len())
        .max()
        .unwrap_or(0);
    let mut all_good = true;
    for sink in &plan.sinks {
        if !names.is_empty() && !names.contains(&sink.name) {
            continue;
        }
        let form = plan.lanes[sink.lane].form;
        let (good, said) = runtime.block_on(try_one(sink, form, &identity));
        let mark = if good { "ok    " } else { "failed" };
        println!("{:width$}  {mark}  {said}", sink.name);
        all_good &= good;
    }
    Ok(all_good)
}

async fn try_one(sink: &SinkPlan, form: Form, identity: &Identity) -> (bool, String) {
    let sender = match Sender::new(sink.target.clone()) {
        Ok(sender) => sender,
        Err(error) => return (false, error.to_string()),
    };
    let Some((body, raw)) = body(form, identity) else {
        return (false, "the record could not be compressed".to_owned());
    };
    let bytes = body.len();
    let started = Instant::now();
    let batch = format!("{:016x}-test", identity.source_id);
    let verdict = sender.send(vec![body], sink.timeout, &batch).await;
    let (good, said) = judge(verdict);
    let took = rounded(started.elapsed());
    (
        good,
        format!("{said}: {bytes} bytes ({raw} before compression), answered in {took:?}"),
    )
}

fn rounded(took: Duration) -> Duration {
    Duration::from_micros(u64::try_from(took.as_micros() / 100 * 100).unwrap_or(u64::MAX))
}

fn judge(verdict: Verdict) -> (bool, String) {
    match verdict {
        Verdict::Delivered { rejected: 0 } => {
            (true, "the receiver has taken the record".to_owned())
        }
        Verdict::Delivered { .. } => (
            false,
            "the receiver took the request and refused the record".to_owned(),
        ),
        Verdict::TooLarge => (false, "too large for the receiver".to_owned()),
        Verdict::Malformed { message } => (false, format!("the receiver can't read it: {message}")),
        Verdict::Retry(failure) => (
            false,
            format!("{}: {}", failure.reason.as_str(), failure.message),
        ),
    }
}

fn body(form: Form, identity: &Identity) -> Option<(Bytes, usize)> {
    let id = ServiceId(0);
    let mut encoder = Encoder::new(form.encoding, identity);
    encoder.set_service(id, SERVICE, &BTreeMap::new());
    encoder.set_process(id, Some(std::process::id()), Some("podvisor"));
    let record = Record {
        service: id,
        stream: Stream::Stdout,
        seq: 0,
        lines: 1,
        ts_ns: crate::logs::stamp::now_ns(),
        time_ns: None,
        message: b"podvisor sink test: this record was sent by hand",
        part: 0,
        partial: false,
        severity: Severity::INFO,
        severity_text: b"INFO",
        json: false,
        json_message: None,
        trace_id: None,
        span_id: None,
    };
    let mut arena = Arena::default();
    encoder.encode(&record, &mut arena.bytes);
    arena.wrote(id, 0, record.ts_ns);
    let mut framer = Framer::default();
    let raw = framer.frame(&arena, encoder.resources().as_deref());
    let mut packed = Vec::new();
    let mut packer = Packer::new(form.codec, None).ok()?;
    packer.pack(raw, &mut packed).ok()?;
    Some((packed.into(), raw.len()))
}
