//! From a service's `logs:` to what its pipeline does.

use regex::bytes::RegexBuilder;

use super::event::{
    Builtin, Filter, How, Limit, Multiline, Options, Parse, Preset, Redact, RedactError,
};
use super::record::Severity;
use crate::config::logs::{self as config, ServiceLogs};

/// What stands where something was blotted out.
const REDACTED: &str = "[redacted]";

/// Why a service's lines can't be treated as asked. The config check has refused all of these that it knows.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// A pattern.
    #[error(transparent)]
    Pattern(#[from] regex::Error),
    /// A rule of `redact`.
    #[error("redact: {0}")]
    Redact(#[from] RedactError),
}

/// What the pipeline of a service is to do.
///
/// # Errors
/// See [`OptionsError`].
pub fn options(logs: &ServiceLogs) -> Result<Options, OptionsError> {
    let max_bytes = usize::try_from(logs.max_line.get()).unwrap_or(usize::MAX);
    let filter = &logs.filter;
    let min = filter.min_level.map_or(Severity::UNKNOWN, severity);
    Ok(Options {
        parse: match logs.parse {
            config::Parse::Auto => Parse::Auto,
            config::Parse::Json => Parse::Json,
            config::Parse::None => Parse::None,
        },
        detect_level: logs.parse != config::Parse::None,
        multiline: logs.multiline.as_ref().map(multiline).transpose()?,
        max_bytes,
        filter: Filter::new(&filter.drop, &filter.keep, min)?,
        limit: logs.rate_limit.map(|limit| Limit {
            per_second: limit.per_second,
            burst: limit.burst.unwrap_or(limit.per_second),
        }),
        redact: redact(&logs.redact)?,
    })
}

fn severity(level: config::Level) -> Severity {
    match level {
        config::Level::Trace => Severity::TRACE,
        config::Level::Debug => Severity::DEBUG,
        config::Level::Info => Severity::INFO,
        config::Level::Warn => Severity::WARN,
        config::Level::Error => Severity::ERROR,
        config::Level::Fatal => Severity::FATAL,
    }
}

fn multiline(from: &config::Multiline) -> Result<Multiline, OptionsError> {
    let regex = |text: &str| RegexBuilder::new(text).build();
    let how = match (&from.start_pattern, &from.continue_pattern, from.preset) {
        (Some(start), _, _) => How::Start(regex(start)?),
        (None, Some(more), _) => How::Continue(regex(more)?),
        (None, None, Some(preset)) => How::Preset(match preset {
            config::MultilinePreset::Java => Preset::Java,
            config::MultilinePreset::Python => Preset::Python,
            config::MultilinePreset::Go => Preset::Go,
            config::MultilinePreset::Ruby => Preset::Ruby,
            config::MultilinePreset::Dotnet => Preset::Dotnet,
            config::MultilinePreset::Auto => Preset::Auto,
        }),
        (None, None, None) => How::Indent,
    };
    Ok(Multiline {
        how,
        max_lines: from.max_lines,
        timeout: from.timeout.get(),
    })
}

fn redact(rules: &[config::Redact]) -> Result<Redact, RedactError> {
    let mut redact = Redact::default();
    for rule in rules {
        match (&rule.pattern, rule.builtin) {
            (Some(pattern), _) => {
                redact.rule(pattern, rule.replacement.as_deref().unwrap_or(REDACTED))?;
            }
            (None, Some(builtin)) => redact.builtin(match builtin {
                config::Builtin::Email => Builtin::Email,
                config::Builtin::Ipv4 => Builtin::Ipv4,
                config::Builtin::CreditCard => Builtin::CreditCard,
                config::Builtin::Bearer => Builtin::Bearer,
                config::Builtin::Password => Builtin::Password,
                config::Builtin::AwsKey => Builtin::AwsKey,
            })?,
            (None, None) => {}
        }
    }
    Ok(redact)
}
