//! Probes: what Kubernetes would refuse, and what podvisor's own kinds need.

use regex::RegexBuilder;

use super::{Scope, command};
use crate::config::http::{Http, Listen};
use crate::config::model::{Service, ServiceKind};
use crate::config::probe::{Check, HttpGet, Probe};

/// The most memory that one compiled user pattern may take, in bytes.
pub const MAX_PATTERN_BYTES: usize = 1024 * 1024;

pub(super) fn check(scope: &mut Scope<'_, '_>, service: &Service, http: &Http) {
    for (field, probe) in service.probes() {
        numbers(scope, field, probe);
        kind(scope, field, probe);
        own_port(scope, field, probe, http);
    }
    if service.kind != ServiceKind::Daemon && service.readiness_probe.is_some() {
        scope
            .warn(
                &["readinessProbe"],
                "only a daemon is asked for readiness: others are done when they have ended",
            )
            .help("remove it, or make it a `livenessProbe`");
    }
}

fn numbers(scope: &mut Scope<'_, '_>, field: &str, probe: &Probe) {
    for (name, value) in [
        ("periodSeconds", probe.period_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("failureThreshold", probe.failure_threshold),
        ("successThreshold", probe.success_threshold),
    ] {
        if value == 0 {
            scope
                .error(&[field, name], format!("`{name}` must be at least 1"))
                .help("Kubernetes reads 0 as its default: leave it out for that");
        }
    }
    let readiness = field == "readinessProbe";
    if !readiness && probe.success_threshold > 1 {
        scope.error(
            &[field, "successThreshold"],
            format!("a {field}'s `successThreshold` must be 1, as in Kubernetes"),
        );
    }
    match probe.termination_grace_period_seconds {
        Some(_) if readiness => {
            scope.error_at_key(
                &[field, "terminationGracePeriodSeconds"],
                "a readiness probe stops nothing: no `terminationGracePeriodSeconds`, as in Kubernetes",
            );
        }
        Some(0) => {
            scope.error(
                &[field, "terminationGracePeriodSeconds"],
                "`terminationGracePeriodSeconds` must be at least 1",
            );
        }
        Some(_) | None => {}
    }
}

fn kind(scope: &mut Scope<'_, '_>, field: &str, probe: &Probe) {
    match &probe.check {
        Check::HttpGet(http) => http_get(scope, field, http),
        Check::TcpSocket(tcp) => host(scope, &[field, "tcpSocket", "host"], tcp.host.as_deref()),
        Check::Exec(exec) => match exec.command.first() {
            None => {
                scope.error(&[field, "exec", "command"], "the command is empty");
            }
            Some(program) if program.trim().is_empty() => {
                scope.error(
                    &[field, "exec", "command", "0"],
                    "the program's name is empty",
                );
            }
            Some(_) => {}
        },
        Check::Grpc(_) | Check::Notify => {}
        Check::LogMatch(text) => {
            pattern(scope, &[field, "logMatch"], text);
            once_only(scope, field, "logMatch");
        }
        Check::FileExists(path) => command::absolute(scope, &[field, "fileExists"], path),
        Check::NotifyFd(fd) => {
            if !(3..=1000).contains(fd) {
                scope
                    .error(
                        &[field, "notifyFd"],
                        format!("`{fd}` can't be the notification descriptor"),
                    )
                    .help("3 to 1000: 0, 1 and 2 are stdin, stdout and stderr");
            }
            once_only(scope, field, "notifyFd");
        }
    }
}

/// What is said once and stays said can't tell that a service has died.
fn once_only(scope: &mut Scope<'_, '_>, field: &str, check: &str) {
    if field == "livenessProbe" {
        scope
            .error_at_key(
                &[field, check],
                format!("`{check}` can't be a liveness probe: once passed it stays passed"),
            )
            .help("use httpGet, tcpSocket, exec, grpc, fileExists or notify (a watchdog)");
    }
}

fn http_get(scope: &mut Scope<'_, '_>, field: &str, http: &HttpGet) {
    host(scope, &[field, "httpGet", "host"], http.host.as_deref());
    let path = http.path.as_deref().unwrap_or("/");
    let at = [field, "httpGet", "path"];
    if path.contains("://") && !path.contains('?') {
        scope
            .error(&at, format!("`{path}` is an address, a path is asked for"))
            .help("write the part after the host, and the port into `port`");
    } else if path.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        scope.error(&at, "a path can't hold spaces or control characters");
    }
    for (index, header) in http.http_headers.iter().enumerate() {
        let index = index.to_string();
        if !is_header_name(&header.name) {
            scope.error(
                &[field, "httpGet", "httpHeaders", &index, "name"],
                format!("`{}` can't be the name of a header", header.name),
            );
        }
        if header
            .value
            .bytes()
            .any(|byte| byte < b' ' && byte != b'\t')
        {
            scope.error(
                &[field, "httpGet", "httpHeaders", &index, "value"],
                "a header's value can't hold line ends or control characters",
            );
        }
    }
}

fn is_header_name(name: &str) -> bool {
    http::HeaderName::from_bytes(name.as_bytes()).is_ok()
}

fn host(scope: &mut Scope<'_, '_>, at: &[&str], host: Option<&str>) {
    let Some(host) = host else {
        return;
    };
    if host.is_empty() || host.contains('/') || host.bytes().any(|byte| byte <= b' ') {
        scope
            .error(at, format!("`{host}` is no host"))
            .help("a name or an IP address, without `http://` and without a port");
    }
}

/// A user's regular expression.
pub(super) fn pattern(scope: &mut Scope<'_, '_>, at: &[&str], text: &str) {
    let built = RegexBuilder::new(text)
        .size_limit(MAX_PATTERN_BYTES)
        .dfa_size_limit(MAX_PATTERN_BYTES)
        .build();
    match built {
        Ok(_) if text.is_empty() => {
            scope.error(at, "an empty pattern matches every line");
        }
        Ok(_) => {}
        Err(regex::Error::CompiledTooBig(_)) => {
            scope.error(at, "the pattern is too large once compiled");
        }
        Err(error) => {
            // Its last line says what is wrong; those before draw the pattern, as we do.
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            let why = last.strip_prefix("error: ").unwrap_or(last).to_owned();
            scope.error(at, format!("not a regular expression: {why}"));
        }
    }
}

/// A probe of podvisor's own port says nothing about the service.
fn own_port(scope: &mut Scope<'_, '_>, field: &str, probe: &Probe, http: &Http) {
    let Listen::Addr(own) = http.listen else {
        return;
    };
    let (check, port, host) = match &probe.check {
        Check::HttpGet(http) => ("httpGet", http.port, http.host.as_deref()),
        Check::TcpSocket(tcp) => ("tcpSocket", tcp.port, tcp.host.as_deref()),
        Check::Grpc(grpc) => ("grpc", grpc.port, None),
        _ => return,
    };
    let local = host.is_none_or(|host| matches!(host, "127.0.0.1" | "localhost" | "::1"));
    if port == own.port() && local {
        scope
            .warn(
                &[field, check, "port"],
                format!("port {port} is podvisor's own: this probe asks podvisor, not the service"),
            )
            .help("set the service's port, or another `http.listen`");
    }
}
