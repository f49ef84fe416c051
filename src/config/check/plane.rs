//! `logs:` and `telemetry:`: addresses, compression, spool; and what has no effect in this version.

use std::time::Duration;

use http::Uri;

use super::{Checker, Scope, command};
use crate::config::sink::{Compression, Preset, Sink, SinkKind, Tls};

/// What is read and checked already, and used by a later version.
const NOT_YET: [(&str, &[&str]); 1] = [("telemetry", &["otlp"])];

/// The least memory for what waits to be sent.
const MIN_MEMORY: u64 = 1024 * 1024;
/// A batch's bounds. A gRPC server takes 4 MiB by default.
const BATCH_BYTES: std::ops::RangeInclusive<u64> = 64 * 1024..=4 * 1024 * 1024;
/// How often `/proc` is looked at.
const COLLECT: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(300);
/// The most sinks: each costs memory and a label value.
const MAX_SINKS: usize = 16;

pub(super) fn check(checker: &mut Checker<'_>) {
    let config = checker.config();
    if let Some(mut scope) = checker.section("logs") {
        for (name, sink) in &config.logs.sinks {
            check_sink(&mut scope, name, sink);
        }
        if config.logs.sinks.len() > MAX_SINKS {
            scope.error(&["sinks"], format!("more than {MAX_SINKS} sinks"));
        }
        if let Some(memory) = config.logs.max_memory
            && memory.get() < MIN_MEMORY
        {
            scope
                .error(&["maxMemory"], format!("`{memory}` is too small"))
                .help("1MiB at least");
        }
        if let Some(spool) = &config.logs.spool {
            command::absolute(&mut scope, &["spool", "path"], &spool.path);
            if spool.max_bytes.get() < 1024 * 1024 {
                scope
                    .error(
                        &["spool", "maxBytes"],
                        format!("`{}` is too small", spool.max_bytes),
                    )
                    .help("1MiB at least");
            }
            if config.logs.sinks.is_empty() && !scope.is_incomplete() {
                scope.warn(&["spool"], "nothing is spooled without a sink");
            }
        }
    }
    let interval = config.http.collect_interval;
    if let Some(mut scope) = checker.section("http")
        && !COLLECT.contains(&interval.get())
    {
        scope
            .error(
                &["collectInterval"],
                format!("`{interval}` is out of bounds"),
            )
            .help("between 1s and 5m");
    }
    if let (Some(otlp), Some(mut scope)) = (&config.telemetry.otlp, checker.section("telemetry")) {
        endpoint(&mut scope, &["otlp", "endpoint"], &otlp.endpoint);
        tls(&mut scope, &["otlp", "tls"], &otlp.tls);
        if otlp.interval.get().is_zero() {
            scope.error(&["otlp", "interval"], "an interval is longer than nothing");
        }
    }
    not_yet(checker);
}

fn check_sink(scope: &mut Scope<'_, '_>, name: &str, sink: &Sink) {
    let at = ["sinks", name, "endpoint"];
    match (&sink.endpoint, sink.kind) {
        (Some(text), _) => endpoint(scope, &at, text),
        (None, SinkKind::Otlp) => {}
        (None, SinkKind::Http) if scope.is_incomplete() => {}
        (None, SinkKind::Http) => {
            scope
                .error_at_key(
                    &["sinks", name],
                    "a sink of `type: http` needs its `endpoint`",
                )
                .help("endpoint: http://vector:8080/");
        }
    }
    tls(scope, &["sinks", name, "tls"], &sink.tls);
    if sink.kind == SinkKind::Http {
        for (field, written) in [
            ("protocol", sink.protocol.is_some()),
            ("body", sink.body.is_some()),
        ] {
            if written {
                scope
                    .error_at_key(
                        &["sinks", name, field],
                        format!("`{field}` is for `type: otlp` only"),
                    )
                    .help("remove it, or use `type: otlp`");
            }
        }
        if sink.preset == Some(Preset::Loki) {
            scope
                .error(&["sinks", name, "preset"], "Loki is reached by OTLP")
                .help("type: otlp");
        }
    }
    let most = match sink.compression.unwrap_or_default() {
        Compression::Gzip => 9,
        Compression::Zstd => 19,
        Compression::None => 0,
    };
    if let Some(level) = sink.level
        && !(1..=most).contains(&level)
    {
        let path = ["sinks", name, "level"];
        if most == 0 {
            scope.error_at_key(&path, "there is no level without compression");
        } else {
            scope.error(
                &path,
                format!("`{level}` is no level of this compression: 1 to {most}"),
            );
        }
    }
    if let Some(auth) = &sink.auth
        && !scope.is_incomplete()
    {
        let ways = [
            auth.bearer.is_some(),
            auth.bearer_file.is_some(),
            auth.basic.is_some(),
        ];
        if ways.iter().filter(|way| **way).count() != 1 {
            scope.error(
                &["sinks", name, "auth"],
                "`auth` has one of `bearer`, `bearerFile` and `basic`",
            );
        }
    }
    if let Some(file) = sink
        .auth
        .as_ref()
        .and_then(|auth| auth.bearer_file.as_ref())
    {
        command::absolute(scope, &["sinks", name, "auth", "bearerFile"], file);
    }
    if !(1..=4).contains(&sink.concurrency) {
        scope.error(
            &["sinks", name, "concurrency"],
            format!("`{}` is out of bounds: 1 to 4", sink.concurrency),
        );
    }
    for header in sink.headers.keys() {
        if http::HeaderName::from_bytes(header.as_bytes()).is_err() {
            scope.error_at_key(
                &["sinks", name, "headers", header],
                format!("`{header}` can't be the name of a header"),
            );
        }
    }
    if sink.timeout.is_some_and(|timeout| timeout.get().is_zero()) {
        scope.error(&["sinks", name, "timeout"], "`timeout` can't be 0");
    }
    if !BATCH_BYTES.contains(&sink.batch.max_bytes.get()) {
        scope
            .error(
                &["sinks", name, "batch", "maxBytes"],
                format!("`{}` is out of bounds", sink.batch.max_bytes),
            )
            .help("64KiB to 4MiB");
    }
    for (field, zero) in [
        ("maxRecords", sink.batch.max_records == 0),
        ("maxAge", sink.batch.max_age.get().is_zero()),
    ] {
        if zero {
            scope.error(
                &["sinks", name, "batch", field],
                format!("`{field}` can't be 0"),
            );
        }
    }
}

fn endpoint(scope: &mut Scope<'_, '_>, path: &[&str], text: &str) {
    let good = text.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri
                .authority()
                .is_some_and(|authority| !authority.as_str().contains('@'))
    });
    if !good {
        // An address may hold a user and a password.
        let shown = if text.contains('@') {
            "this".to_owned()
        } else {
            format!("`{text}`")
        };
        scope
            .error(path, format!("{shown} is no address of a server"))
            .help("write `http://host:port/` or `https://host:port/`; a user and password go into `auth`");
    }
}

fn tls(scope: &mut Scope<'_, '_>, path: &[&str], tls: &Tls) {
    if tls.cert_file.is_some() != tls.key_file.is_some() {
        scope.error(path, "`certFile` and `keyFile` go together");
    }
    for (field, file) in [
        ("caFile", &tls.ca_file),
        ("certFile", &tls.cert_file),
        ("keyFile", &tls.key_file),
    ] {
        if let Some(file) = file {
            let at: Vec<&str> = path.iter().copied().chain([field]).collect();
            command::absolute(scope, &at, file);
        }
    }
}

fn not_yet(checker: &mut Checker<'_>) {
    for (section, path) in NOT_YET {
        if let Some(mut scope) = checker.section(section)
            && scope.is_written(path)
        {
            scope.warn(
                path,
                format!(
                    "`{section}.{}` has no effect in this version",
                    path.join(".")
                ),
            );
        }
    }
}
