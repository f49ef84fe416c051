//! `logs:` and `telemetry:`: addresses, compression, spool; and what has no effect in this version.

use http::Uri;

use super::{Checker, Scope, command};
use crate::config::sink::{Compression, Sink, SinkKind, Tls};

/// What is read and checked already, and used by a later version.
const NOT_YET: [(&str, &[&str]); 3] = [
    ("logs", &["sinks"]),
    ("logs", &["spool"]),
    ("telemetry", &["otlp"]),
];
/// The same, within a service.
const NOT_YET_OF_SERVICE: [&[&str]; 3] = [
    &["logs", "parse"],
    &["logs", "multiline"],
    &["logs", "whenFull"],
];

pub(super) fn check(checker: &mut Checker<'_>) {
    let config = checker.config();
    if let Some(mut scope) = checker.section("logs") {
        for (name, sink) in &config.logs.sinks {
            check_sink(&mut scope, name, sink);
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
    endpoint(scope, &["sinks", name, "endpoint"], &sink.endpoint);
    tls(scope, &["sinks", name, "tls"], &sink.tls);
    if sink.kind == SinkKind::Http && sink.protocol.is_some() {
        scope
            .error_at_key(
                &["sinks", name, "protocol"],
                "`protocol` is for `type: otlp` only",
            )
            .help("remove it, or use `type: otlp`");
    }
    let most = match sink.compression {
        Compression::Gzip => 9,
        Compression::Zstd => 22,
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
        && auth.bearer.is_some() == auth.basic.is_some()
        && !scope.is_incomplete()
    {
        scope.error(
            &["sinks", name, "auth"],
            "`auth` has one of `bearer` and `basic`",
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
    for (field, zero) in [
        ("timeout", sink.timeout.get().is_zero()),
        ("maxQueue", sink.max_queue.get() == 0),
    ] {
        if zero {
            scope.error(&["sinks", name, field], format!("`{field}` can't be 0"));
        }
    }
    for (field, zero) in [
        ("maxBytes", sink.batch.max_bytes.get() == 0),
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
    for path in NOT_YET_OF_SERVICE {
        // Once is enough, however many services say it.
        for (name, _) in checker.services() {
            if let Some(mut scope) = checker.service(name)
                && scope.is_written(path)
            {
                scope.warn(
                    path,
                    format!("`{}` has no effect in this version", path.join(".")),
                );
                break;
            }
        }
    }
}
