//! Which records are sent at all: by pattern and by level.

use regex::bytes::RegexSet;

use crate::ship::record::Severity;

/// What is left out. The default leaves out nothing.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    drop: Option<RegexSet>,
    keep: Option<RegexSet>,
    min: Severity,
}

impl Filter {
    /// A record that matches one of `drop` is left out; else, if there is any `keep`, one that matches none of them; else
    /// one whose level is known and below `min`. The patterns see the record as the service wrote it, before redaction.
    ///
    /// # Errors
    /// A pattern is no regular expression, or all together are too large for one.
    pub fn new(drop: &[String], keep: &[String], min: Severity) -> Result<Self, regex::Error> {
        let set = |patterns: &[String]| match patterns {
            [] => Ok(None),
            patterns => RegexSet::new(patterns).map(Some),
        };
        Ok(Filter {
            drop: set(drop)?,
            keep: set(keep)?,
            min,
        })
    }

    /// Whether the patterns let `text` pass.
    #[must_use]
    pub fn admits(&self, text: &[u8]) -> bool {
        !self.drop.as_ref().is_some_and(|set| set.is_match(text))
            && self.keep.as_ref().is_none_or(|set| set.is_match(text))
    }

    /// Whether a record of this level passes. One whose level is unknown always does.
    #[must_use]
    pub fn admits_level(&self, severity: Severity) -> bool {
        severity >= self.min || severity == Severity::UNKNOWN
    }

    /// Whether levels matter.
    #[must_use]
    pub fn has_level(&self) -> bool {
        self.min > Severity::UNKNOWN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(drop: &[&str], keep: &[&str]) -> Filter {
        let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        Filter::new(&owned(drop), &owned(keep), Severity::WARN).unwrap()
    }

    #[test]
    fn drop_wins_over_keep() {
        let both = filter(&["health", "^#"], &["GET", "POST"]);
        assert!(both.admits(b"GET /"));
        assert!(!both.admits(b"GET /health"));
        assert!(!both.admits(b"PUT /"));
        assert!(filter(&[], &[]).admits(b"\xff"));
        assert!(!filter(&["b"], &[]).admits(b"abc"));
    }

    #[test]
    fn an_unknown_level_passes() {
        let filter = filter(&[], &[]);
        assert!(filter.admits_level(Severity::UNKNOWN));
        assert!(filter.admits_level(Severity::WARN));
        assert!(!filter.admits_level(Severity::NOTICE));
        assert!(Filter::default().admits_level(Severity::TRACE));
    }

    #[test]
    fn a_bad_pattern_is_an_error() {
        assert!(Filter::new(&["(".into()], &[], Severity::UNKNOWN).is_err());
    }
}
