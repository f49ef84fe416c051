//! `podvisor why`: why a service is not ready, down to the first cause.

use clap::Args;

use super::live;
use crate::control::client::{Client, ClientError};
use crate::control::status::{ServiceStatus, Status};
use crate::exit;

/// `podvisor why`.
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// The service
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// Tells why. Exit code 0 whatever the answer is.
pub fn run(args: &WhyArgs) -> u8 {
    live::report(Client::find().and_then(|client| tell(&client, args)))
}

fn tell(client: &Client, args: &WhyArgs) -> Result<u8, ClientError> {
    let status = client.status(None)?;
    live::only(status.clone(), std::slice::from_ref(&args.name))?;
    live::print(&(chain(&status, &args.name).join("\n") + "\n"));
    Ok(exit::OK)
}

/// The causes, from the service down to the first. A graph has no cycles; should the view be torn, each is told once.
#[must_use]
pub fn chain(status: &Status, name: &str) -> Vec<String> {
    let (mut lines, mut told) = (Vec::new(), Vec::new());
    follow(status, name, 0, &mut told, &mut lines);
    lines
}

fn follow(
    status: &Status,
    name: &str,
    depth: usize,
    told: &mut Vec<String>,
    lines: &mut Vec<String>,
) {
    let Some(service) = status.service(name) else {
        return;
    };
    let indent = "  ".repeat(depth);
    if told.iter().any(|known| known == name) {
        lines.push(format!("{indent}{name}: see above"));
        return;
    }
    told.push(name.to_owned());
    lines.push(format!(
        "{indent}{name} {}",
        state_text(service, status.now)
    ));
    for detail in details(service, status.now) {
        lines.push(format!("{indent}  {detail}"));
    }
    for dependency in service.depends_on.iter().filter(|on| on.waits) {
        follow(status, &dependency.name, depth + 1, told, lines);
    }
}

fn state_text(service: &ServiceStatus, now: f64) -> String {
    let since =
        |at: Option<f64>| at.map_or_else(String::new, |at| format!(" for {}", live::ago(now - at)));
    let waits: Vec<&str> = service
        .depends_on
        .iter()
        .filter(|on| on.waits)
        .map(|on| on.name.as_str())
        .collect();
    match service.state.as_str() {
        "ready" => format!("is ready{}", since(service.ready_at)),
        "completed" => "has completed".to_owned(),
        _ if !waits.is_empty() => format!("waits for {}", waits.join(" and ")),
        "running" => format!("runs and is not ready{}", since(service.started_at)),
        "starting" => format!("is starting{}", since(service.started_at)),
        "backoff" => format!(
            "waits {} before it is started again, after {} failures in a row",
            live::ago(service.backoff_seconds),
            service.failures
        ),
        "failed" => "has failed, and is not started again".to_owned(),
        "stopped" => "was stopped".to_owned(),
        "stopping" => "is being stopped".to_owned(),
        "pending" if service.kind == "cron" => match service.next_run {
            Some(at) => format!("is scheduled, next in {}", live::ago(at - now)),
            None => "is scheduled".to_owned(),
        },
        other => format!("is {other}"),
    }
}

fn details(service: &ServiceStatus, now: f64) -> Vec<String> {
    let mut details = Vec::new();
    if service.ready || service.state == "completed" {
        return details;
    }
    // That it waits is said already.
    if !service.reason.is_empty() && !service.depends_on.iter().any(|on| on.waits) {
        details.push(format!("because: {}", service.reason));
    }
    for probe in &service.probes {
        match probe.passing {
            Some(false) => details.push(format!(
                "its {} probe fails, {} times in a row",
                probe.probe, probe.failures
            )),
            None if service.pid.is_some() => {
                details.push(format!("its {} probe has not passed yet", probe.probe));
            }
            _ => {}
        }
    }
    if let Some(exit) = &service.last_exit {
        let (how, when) = (live::exit_text(exit), live::ago(now - exit.at));
        details.push(format!(
            "last exit: {how}, {when} ago; `podvisor logs {}` has its last lines",
            service.name
        ));
    }
    details
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::status::{Dependency, ExitStatus, ProbeStatus};

    fn service(name: &str, state: &str, waits_for: &[&str]) -> ServiceStatus {
        ServiceStatus {
            name: name.to_owned(),
            kind: "daemon".to_owned(),
            required: true,
            state: state.to_owned(),
            reason: String::new(),
            ready: state == "ready",
            pid: None,
            started_at: None,
            ready_at: Some(90.0),
            first_started_at: None,
            first_ready_at: None,
            restarts: 0,
            failures: 3,
            backoff_seconds: 2.0,
            last_exit: None,
            depends_on: waits_for
                .iter()
                .map(|name| Dependency {
                    name: (*name).to_owned(),
                    waits: true,
                })
                .collect(),
            probes: Vec::new(),
            next_run: None,
            usage: None,
        }
    }

    fn status(services: Vec<ServiceStatus>) -> Status {
        Status {
            version: "1".to_owned(),
            pid: 1,
            phase: "starting".to_owned(),
            began_at: 0.0,
            now: 100.0,
            started: false,
            start_seconds: None,
            config_hash: String::new(),
            revision: 1,
            services,
        }
    }

    #[test]
    fn the_chain_goes_down_to_the_first_cause() {
        let mut db = service("db", "backoff", &[]);
        db.last_exit = Some(ExitStatus {
            code: Some(3),
            signal: None,
            at: 99.0,
        });
        let mut cache = service("cache", "running", &[]);
        cache.started_at = Some(95.0);
        cache.pid = Some(7);
        cache.probes.push(ProbeStatus {
            probe: "readiness".to_owned(),
            passing: Some(false),
            failures: 4,
        });
        let web = service("web", "blocked", &["migrate", "cache"]);
        let migrate = service("migrate", "blocked", &["db"]);
        let status = status(vec![web, migrate, db, cache]);
        assert_eq!(
            chain(&status, "web"),
            [
                "web waits for migrate and cache",
                "  migrate waits for db",
                "    db waits 2.0s before it is started again, after 3 failures in a row",
                "      last exit: code 3, 1.0s ago; `podvisor logs db` has its last lines",
                "  cache runs and is not ready for 5.0s",
                "    its readiness probe fails, 4 times in a row",
            ]
        );
    }

    #[test]
    fn a_ready_service_has_nothing_to_explain_and_a_torn_view_ends() {
        let all = status(vec![
            service("ok", "ready", &[]),
            service("a", "blocked", &["b"]),
            service("b", "blocked", &["a", "gone"]),
        ]);
        assert_eq!(chain(&all, "ok"), ["ok is ready for 10s"]);
        assert_eq!(chain(&all, "a").last().unwrap(), "    a: see above");
    }
}
