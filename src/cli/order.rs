//! `podvisor start`, `stop`, `restart` and `signal`: asks, then waits until it is so, and tells what happens meanwhile.

use std::time::Instant;

use clap::Args;

use super::live;
use crate::control::client::{Client, ClientError};
use crate::control::status::ServiceStatus;
use crate::exit;
use crate::units::HumanDuration;

/// `podvisor start`, `stop` and `restart`.
#[derive(Debug, Args)]
pub struct OrderArgs {
    /// The services
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
    /// Wait until it is done (the default)
    #[arg(long, overrides_with = "no_wait")]
    pub wait: bool,
    /// Only ask
    #[arg(long)]
    pub no_wait: bool,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = super::args::parse::<HumanDuration>)]
    pub timeout: HumanDuration,
}

/// `podvisor signal`.
#[derive(Debug, Args)]
pub struct SignalArgs {
    /// The signal, by name or number
    #[arg(value_name = "SIG")]
    pub signal: String,
    /// The services: their main processes get it
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
}

/// What is to become of services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// They run, and are ready.
    Start,
    /// They do not run.
    Stop,
    /// They run anew.
    Restart,
}

impl Order {
    fn path(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }
}

/// Where a service stands on the way.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    Going,
    There,
    Failed,
}

/// Asks and waits.
pub fn run(order: Order, args: &OrderArgs) -> u8 {
    live::report(Client::find().and_then(|client| carry_out(&client, order, args)))
}

/// Sends a signal.
pub fn signal(args: &SignalArgs) -> u8 {
    let send = |client: Client| {
        live::only(client.status(None)?, &args.names)?;
        client.order("signal", &args.names, Some(&args.signal))?;
        Ok(exit::OK)
    };
    live::report(Client::find().and_then(send))
}

fn carry_out(client: &Client, order: Order, args: &OrderArgs) -> Result<u8, ClientError> {
    let before = live::only(client.status(None)?, &args.names)?;
    client.order(order.path(), &args.names, None)?;
    if args.no_wait {
        return Ok(exit::OK);
    }
    let until = Instant::now() + args.timeout.get();
    let mut told: Vec<String> = before.services.iter().map(text).collect();
    // The core has it already, so the first answer may be the last.
    let mut after = None;
    loop {
        let status = match after {
            None => Some(client.status(None)?),
            Some(after) => client.status_before(after, until)?,
        };
        let Some(status) = status else {
            return Ok(late(client, order, &args.names, args.timeout));
        };
        let (mut going, mut failed) = (false, false);
        for (at, was) in before.services.iter().enumerate() {
            let Some(now) = status.service(&was.name) else {
                continue;
            };
            tell(now, status.now, &mut told[at]);
            match way(order, was, now, before.now) {
                Way::Going => going = true,
                Way::Failed => failed = true,
                Way::There => {}
            }
        }
        if !going {
            return Ok(if failed { exit::FAILED } else { exit::OK });
        }
        after = Some(status.revision);
    }
}

fn late(client: &Client, order: Order, names: &[String], timeout: HumanDuration) -> u8 {
    eprintln!("podvisor: not done after {timeout}: {}", order.path());
    if let Ok(status) = client.status(None) {
        for name in names {
            for line in super::why::chain(&status, name) {
                eprintln!("  {line}");
            }
        }
    }
    exit::FAILED
}

fn text(service: &ServiceStatus) -> String {
    let reason = match service.reason.as_str() {
        "" => String::new(),
        reason => format!(" ({reason})"),
    };
    format!("{}: {}{reason}", service.name, service.state)
}

fn tell(service: &ServiceStatus, now: f64, told: &mut String) {
    let text = text(service);
    if *told != text {
        let took = service
            .started_at
            .filter(|_| service.ready)
            .map_or_else(String::new, |at| {
                format!(", up for {}", live::ago(now - at))
            });
        eprintln!("{text}{took}");
        *told = text;
    }
}

fn way(order: Order, was: &ServiceStatus, now: &ServiceStatus, asked_at: f64) -> Way {
    let anew = |at: Option<f64>| at.is_some_and(|at| at > asked_at) || now.pid != was.pid;
    match (order, now.state.as_str()) {
        (Order::Stop, "stopped" | "completed" | "failed" | "pending") => Way::There,
        (Order::Stop, _) => Way::Going,
        (Order::Start, "ready" | "completed") => Way::There,
        (Order::Restart, "ready") if anew(now.started_at) => Way::There,
        (Order::Restart, "completed") if anew(now.last_exit.as_ref().map(|exit| exit.at)) => {
            Way::There
        }
        (Order::Restart, "failed") if was.state != "failed" || anew(None) => Way::Failed,
        (Order::Start, "failed") => Way::Failed,
        // It fails, and is tried again by itself: that may go on for long, and is no success.
        (_, "backoff") if now.failures > was.failures + 2 => Way::Failed,
        _ => Way::Going,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(state: &str, pid: Option<i32>, started_at: f64) -> ServiceStatus {
        let text = format!(
            r#"{{"name":"web","type":"daemon","required":true,"state":"{state}","reason":"","ready":{},"pid":{},
            "startedAt":{started_at},"restarts":0,"failures":0,"backoffSeconds":0,"dependsOn":[],"probes":[]}}"#,
            state == "ready",
            pid.map_or("null".to_owned(), |pid| pid.to_string()),
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_restart_is_there_only_once_it_is_another_process() {
        let was = service("ready", Some(7), 50.0);
        let way_to = |now: &ServiceStatus| way(Order::Restart, &was, now, 100.0);
        assert_eq!(way_to(&was), Way::Going);
        assert_eq!(way_to(&service("stopping", Some(7), 50.0)), Way::Going);
        assert_eq!(way_to(&service("starting", Some(8), 101.0)), Way::Going);
        assert_eq!(way_to(&service("ready", Some(8), 101.0)), Way::There);
        assert_eq!(way_to(&service("failed", None, 101.0)), Way::Failed);
    }

    #[test]
    fn start_and_stop_are_there_when_it_is_so() {
        let was = service("stopped", None, 0.0);
        assert_eq!(
            way(Order::Start, &was, &service("starting", Some(1), 1.0), 0.0),
            Way::Going
        );
        assert_eq!(
            way(Order::Start, &was, &service("ready", Some(1), 1.0), 0.0),
            Way::There
        );
        assert_eq!(
            way(Order::Start, &was, &service("failed", None, 1.0), 0.0),
            Way::Failed
        );
        assert_eq!(
            way(Order::Stop, &was, &service("stopped", None, 1.0), 0.0),
            Way::There
        );
        assert_eq!(
            way(Order::Stop, &was, &service("stopping", Some(1), 1.0), 0.0),
            Way::Going
        );
    }
}
