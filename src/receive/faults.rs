//! Faults to order: what `--fail` can ask for, and when it strikes.

use std::ops::Range;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use http::StatusCode;

use crate::units::{ByteSize, DurationError, HumanDuration, SizeError};

/// What `--fail` takes, for its help.
pub const HELP: &str = "\
Faults (the first that strikes counts; of a request that none strikes, all is kept):
  503                   answer with that status; so for 400 to 599
  503:0.2               a fifth of the requests, by chance; so for hang, reset, lost and partial
  503:3x                the next three requests; so for hang, reset, lost and partial
  429:retry-after=2     with that Retry-After, in seconds
  400-if:TEXT           requests with that text in them, as it stands there; so for 400 to 599
  413-over:1MB          requests longer than that, unpacked; so for 400 to 599
  hang                  never answer
  reset                 keep nothing, and reset the connection
  lost                  keep all, and reset the connection: it will come twice
  partial               OTLP: reject the last record; else keep the first half, and answer 500
  slow:50KB/s           read that fast, together with any other
  down:10s-20s          refuse connections between 10 s and 20 s after the start";

/// One `--fail`.
#[derive(Debug)]
pub struct Fault {
    kind: Kind,
    when: When,
}

#[derive(Debug)]
enum Kind {
    Request(Deed),
    If(StatusCode, String),
    Over(StatusCode, u64),
    Slow(u64),
    Down(Range<Duration>),
}

/// What is done to a whole request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// It is answered so, and nothing of it is kept.
    Refuse {
        /// The answer.
        status: StatusCode,
        /// `Retry-After`, in seconds.
        retry_after: Option<u32>,
    },
    /// It is read and never answered.
    Hang,
    /// It is read and not kept; the connection is reset.
    Reset,
    /// It is kept; the connection is reset.
    Lost,
    /// Some of it is kept.
    Partial,
}

/// Which of the requests it strikes.
#[derive(Debug)]
enum When {
    Always,
    /// This share of them, by chance.
    Share(f64),
    /// The next so many.
    Times(AtomicU32),
}

impl When {
    fn strikes(&self) -> bool {
        match self {
            When::Always => true,
            When::Share(share) => fastrand::f64() < *share,
            When::Times(left) => left
                .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1))
                .is_ok(),
        }
    }
}

/// Why a text is no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// No such word, and no status.
    #[error("`{0}` is no fault: one of 400 to 599, hang, reset, lost, partial, slow, down")]
    Unknown(String),
    /// Not a status that says failure.
    #[error("`{0}` is no status from 400 to 599")]
    Status(String),
    /// How often?
    #[error("`{0}` is neither a share from 0 to 1, nor a number of times (`3x`)")]
    Amount(String),
    /// No whole seconds.
    #[error("`retry-after={0}`: whole seconds, as in HTTP")]
    RetryAfter(String),
    /// Something is missing behind the colon.
    #[error("`{0}` needs something behind a colon, see --help")]
    Missing(String),
    /// A size that is none, or nothing.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// A rate of nothing.
    #[error("`{0}`: nothing would ever arrive")]
    Rate(String),
    /// A duration that is none.
    #[error(transparent)]
    Duration(#[from] DurationError),
    /// Not two durations, the second one later.
    #[error("`{0}` is no span of time: write `10s-20s`")]
    Span(String),
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (name, rest) = match text.split_once(':') {
            Some((name, rest)) => (name, Some(rest)),
            None => (text, None),
        };
        let needed = || rest.ok_or_else(|| FaultError::Missing(text.to_owned()));
        let always = |kind| {
            let when = When::Always;
            Ok(Fault { kind, when })
        };
        if let Some(code) = name.strip_suffix("-if") {
            return always(Kind::If(status(code)?, needed()?.to_owned()));
        }
        if let Some(code) = name.strip_suffix("-over") {
            return always(Kind::Over(
                status(code)?,
                needed()?.parse::<ByteSize>()?.get(),
            ));
        }
        let deed = match name {
            "slow" => return always(Kind::Slow(rate(needed()?)?)),
            "down" => return always(Kind::Down(span(needed()?)?)),
            "hang" => Deed::Hang,
            "reset" => Deed::Reset,
            "lost" => Deed::Lost,
            "partial" => Deed::Partial,
            code if code.bytes().all(|byte| byte.is_ascii_digit()) => Deed::Refuse {
                status: status(code)?,
                retry_after: None,
            },
            other => return Err(FaultError::Unknown(other.to_owned())),
        };
        request(deed, rest)
    }
}

fn request(mut deed: Deed, rest: Option<&str>) -> Result<Fault, FaultError> {
    let mut when = When::Always;
    for option in rest.into_iter().flat_map(|rest| rest.split(':')) {
        match (option.strip_prefix("retry-after="), &mut deed) {
            (Some(seconds), Deed::Refuse { retry_after, .. }) => {
                let whole = seconds.parse();
                *retry_after = Some(whole.map_err(|_| FaultError::RetryAfter(seconds.to_owned()))?);
            }
            _ => when = amount(option)?,
        }
    }
    let kind = Kind::Request(deed);
    Ok(Fault { kind, when })
}

fn status(code: &str) -> Result<StatusCode, FaultError> {
    StatusCode::from_bytes(code.as_bytes())
        .ok()
        .filter(|status| status.is_client_error() || status.is_server_error())
        .ok_or_else(|| FaultError::Status(code.to_owned()))
}

fn amount(text: &str) -> Result<When, FaultError> {
    let times = text.strip_suffix('x').and_then(|times| times.parse().ok());
    let share = text
        .parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share));
    match (times, share) {
        (Some(times), _) => Ok(When::Times(AtomicU32::new(times))),
        (_, Some(share)) => Ok(When::Share(share)),
        _ => Err(FaultError::Amount(text.to_owned())),
    }
}

fn rate(text: &str) -> Result<u64, FaultError> {
    let size: ByteSize = text.strip_suffix("/s").unwrap_or(text).parse()?;
    match size.get() {
        0 => Err(FaultError::Rate(text.to_owned())),
        rate => Ok(rate),
    }
}

fn span(text: &str) -> Result<Range<Duration>, FaultError> {
    let wrong = || FaultError::Span(text.to_owned());
    let (from, to) = text.split_once('-').ok_or_else(wrong)?;
    let (from, to) = (from.parse::<HumanDuration>()?, to.parse::<HumanDuration>()?);
    let span = from.get()..to.get();
    if span.is_empty() {
        return Err(wrong());
    }
    Ok(span)
}

/// All faults of a receiver, in their order.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// None at all.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// These, each as `--fail` has it.
    ///
    /// # Errors
    ///
    /// At the first that is none.
    pub fn parse<'a>(specs: impl IntoIterator<Item = &'a str>) -> Result<Self, FaultError> {
        specs.into_iter().map(str::parse).collect()
    }

    /// What is done to the request that has just been read, if anything.
    pub(super) fn draw(&self) -> Option<Deed> {
        self.0.iter().find_map(|fault| match &fault.kind {
            Kind::Request(deed) if fault.when.strikes() => Some(*deed),
            _ => None,
        })
    }

    /// The answer to a request for what is in it, and the fault in words.
    pub(super) fn spoiled(&self, body: &[u8]) -> Option<(StatusCode, String)> {
        self.0.iter().find_map(|fault| match &fault.kind {
            Kind::If(status, text) if memchr::memmem::find(body, text.as_bytes()).is_some() => {
                Some((*status, format!("there is {text:?} in it")))
            }
            Kind::Over(status, limit) if body.len() as u64 > *limit => {
                Some((*status, format!("it is longer than {limit} bytes")))
            }
            _ => None,
        })
    }

    /// Bytes a second.
    pub(super) fn rate(&self) -> Option<u64> {
        let rates = self.0.iter().filter_map(|fault| match fault.kind {
            Kind::Slow(rate) => Some(rate),
            _ => None,
        });
        rates.min()
    }

    /// Whether connections are refused, so long after the start.
    pub(super) fn down(&self, after: Duration) -> bool {
        self.downs().any(|span| span.contains(&after))
    }

    /// When the next span of refusing begins or ends.
    pub(super) fn next_change(&self, after: Duration) -> Option<Duration> {
        let times = self.downs().flat_map(|span| [span.start, span.end]);
        times.filter(|time| *time > after).min()
    }

    fn downs(&self) -> impl Iterator<Item = &Range<Duration>> {
        self.0.iter().filter_map(|fault| match &fault.kind {
            Kind::Down(span) => Some(span),
            _ => None,
        })
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        Faults(faults.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<Fault>().unwrap_err().to_string()
    }

    #[test]
    fn the_next_so_many_and_then_no_more() {
        let faults = Faults::parse(["503:2x:retry-after=7", "reset:1x"]).unwrap();
        let refuse = Deed::Refuse {
            status: StatusCode::SERVICE_UNAVAILABLE,
            retry_after: Some(7),
        };
        let drawn: Vec<_> = (0..4).map(|_| faults.draw()).collect();
        let want = [Some(refuse), Some(refuse), Some(Deed::Reset), None];
        assert_eq!(drawn, want);
    }

    #[test]
    fn shares_are_kept_by_chance() {
        for (spec, range) in [
            ("hang:0", 0..=0),
            ("hang:1", 1000..=1000),
            ("hang:0.5", 300..=700),
        ] {
            let faults = Faults::parse([spec]).unwrap();
            let struck = (0..1000).filter(|_| faults.draw().is_some()).count();
            assert!(range.contains(&struck), "{spec}: {struck}");
        }
    }

    #[test]
    fn what_is_in_it_spoils_it() {
        let faults = Faults::parse(["400-if:a:b", "413-over:1KB"]).unwrap();
        let status = |body: &[u8]| faults.spoiled(body).map(|(status, _)| status.as_u16());
        assert_eq!(status(b"x a:b x"), Some(400));
        assert_eq!(status(&[0; 1001]), Some(413));
        assert_eq!(status(&[0; 1000]), None);
        assert_eq!(faults.draw(), None);
    }

    #[test]
    fn it_is_down_between_two_times() {
        let faults = Faults::parse(["down:10s-20s", "down:1m-2m", "slow:50KB/s"]).unwrap();
        let at = |seconds| {
            let after = Duration::from_secs(seconds);
            let next = faults.next_change(after).map(|next| next.as_secs());
            (faults.down(after), next)
        };
        assert_eq!(at(0), (false, Some(10)));
        assert_eq!(at(10), (true, Some(20)));
        assert_eq!(at(20), (false, Some(60)));
        assert_eq!(at(130), (false, None));
        assert_eq!(faults.rate(), Some(50_000));
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for (text, part) in [
            ("expolde", "`expolde` is no fault"),
            ("200", "no status from 400 to 599"),
            ("503:2", "neither a share"),
            ("503:-1x", "neither a share"),
            ("hang:retry-after=2", "neither a share"),
            ("429:retry-after=soon", "whole seconds"),
            ("400-if", "behind a colon"),
            ("413-over:much", "not a size"),
            ("slow:0", "nothing would ever arrive"),
            ("down:20s-10s", "no span of time"),
            ("down:10-20s", "has no unit"),
            ("down", "behind a colon"),
            ("", "is no"),
        ] {
            assert!(error(text).contains(part), "{text}: {}", error(text));
        }
    }
}
