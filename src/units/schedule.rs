//! Cron schedules: five fields in a time zone, and when they are next met. No clock: the time is an argument.
//!
//! The syntax is that of Kubernetes' CronJob (robfig/cron's standard parser): `*`, lists, ranges, steps, names of
//! months and days, 7 as Sunday, and `@hourly` and its like. Where both day fields are restricted, either is enough.
//! A time that a zone skips (spring) is skipped, one that it repeats (autumn) comes once, unless the hour is `*`:
//! then every real hour counts.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};

/// How far a schedule is searched: the 29th of February comes every eight years at the rarest.
const MAX_DAYS: usize = 9 * 366;

/// A schedule that can be met.
#[derive(Debug, Clone)]
pub struct Schedule {
    minutes: Field,
    hours: Field,
    days: Field,
    months: Field,
    weekdays: Field,
    zone: TimeZone,
}

/// The values of one field, as bits, and whether it began with `*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Field {
    bits: u64,
    star: bool,
}

impl Field {
    fn has(self, value: i8) -> bool {
        self.bits & (1 << value) != 0
    }
}

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Not five fields.
    #[error(
        "`{text}` has {found} fields; a schedule has 5: minute hour day-of-month month day-of-week"
    )]
    Fields {
        /// The text.
        text: String,
        /// How many there are.
        found: usize,
    },
    /// An `@` word that is none of ours.
    #[error("`{0}` is none of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually")]
    Word(String),
    /// A field that cannot be read.
    #[error("{field} `{text}`: {why}")]
    Field {
        /// Its name.
        field: &'static str,
        /// Its text.
        text: String,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// A day that no month of the schedule has.
    #[error("`{0}` never comes: no month of it has such a day")]
    Never(String),
    /// A time zone that is not known here.
    #[error("time zone `{0}` is not known")]
    Zone(String),
}

/// A field's name, its smallest and largest value, and the names of values.
struct Rule {
    name: &'static str,
    least: i8,
    most: i8,
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const RULES: [Rule; 5] = [
    Rule {
        name: "minute",
        least: 0,
        most: 59,
        names: &[],
    },
    Rule {
        name: "hour",
        least: 0,
        most: 23,
        names: &[],
    },
    Rule {
        name: "day of month",
        least: 1,
        most: 31,
        names: &[],
    },
    Rule {
        name: "month",
        least: 1,
        most: 12,
        names: &MONTHS,
    },
    Rule {
        name: "day of week",
        least: 0,
        most: 7,
        names: &WEEKDAYS,
    },
];

impl Schedule {
    /// Reads a schedule in a time zone; UTC when none is named.
    ///
    /// # Errors
    ///
    /// [`ScheduleError`], which names the field.
    pub fn parse(text: &str, zone: Option<&str>) -> Result<Self, ScheduleError> {
        let zone = match zone {
            None | Some("UTC" | "Etc/UTC") => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| ScheduleError::Zone(name.to_owned()))?,
        };
        let plain = unfold(text.trim())?;
        let words: Vec<&str> = plain.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = words[..] else {
            return Err(ScheduleError::Fields {
                text: text.to_owned(),
                found: words.len(),
            });
        };
        let mut weekdays = field(weekday, &RULES[4])?;
        if weekdays.has(7) {
            weekdays.bits |= 1;
        }
        let schedule = Self {
            minutes: field(minute, &RULES[0])?,
            hours: field(hour, &RULES[1])?,
            days: field(day, &RULES[2])?,
            months: field(month, &RULES[3])?,
            weekdays,
            zone,
        };
        if schedule.next_after(0).is_none() {
            return Err(ScheduleError::Never(text.to_owned()));
        }
        Ok(schedule)
    }

    /// The first time after that moment at which the schedule is met, both in Unix seconds. None past the year 9999.
    pub fn next_after(&self, unix: i64) -> Option<i64> {
        let after = Timestamp::from_second(unix).ok()?;
        let mut date = self.zone.to_datetime(after).date();
        for _ in 0..MAX_DAYS {
            if self.has_day(date)
                && let Some(found) = self.first_of(date, after)
            {
                return Some(found.as_second());
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn has_day(&self, date: Date) -> bool {
        let day = self.days.has(date.day());
        let weekday = self.weekdays.has(date.weekday().to_sunday_zero_offset());
        let either = !self.days.star && !self.weekdays.star;
        self.months.has(date.month())
            && if either {
                day || weekday
            } else {
                day && weekday
            }
    }

    /// The first time of that day after that moment.
    fn first_of(&self, date: Date, after: Timestamp) -> Option<Timestamp> {
        let changes = self.changes_on(date);
        let mut first: Option<Timestamp> = None;
        for hour in (0..24).filter(|hour| self.hours.has(*hour)) {
            for minute in (0..60).filter(|minute| self.minutes.has(*minute)) {
                let local = DateTime::from_parts(date, Time::constant(hour, minute, 0, 0));
                let moments = self.moments(local).into_iter().flatten();
                let next = moments.filter(|at| *at > after).min();
                first = [first, next].into_iter().flatten().min();
                if first.is_some() && !changes {
                    return first;
                }
            }
        }
        first
    }

    /// Whether the zone changes its offset on that day, so that local times are not in the order of real ones.
    fn changes_on(&self, date: Date) -> bool {
        let noon_to_noon = [date.yesterday(), date.tomorrow()].map(|day| {
            let noon = day.ok()?.at(12, 0, 0, 0);
            let moment = self.zone.to_ambiguous_timestamp(noon).compatible().ok()?;
            Some(self.zone.to_offset(moment))
        });
        noon_to_noon[0] != noon_to_noon[1]
    }

    /// The real moments of a local time: none in a gap, one, or two in a fold when the hour is `*`.
    fn moments(&self, local: DateTime) -> [Option<Timestamp>; 2] {
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => [ambiguous.compatible().ok(), None],
            AmbiguousOffset::Gap { .. } => [None, None],
            AmbiguousOffset::Fold { .. } => {
                let later = self.hours.star.then(|| ambiguous.later().ok()).flatten();
                [ambiguous.earlier().ok(), later]
            }
        }
    }
}

/// The five fields that an `@` word stands for.
fn unfold(text: &str) -> Result<&str, ScheduleError> {
    Ok(match text {
        "@hourly" => "0 * * * *",
        "@daily" | "@midnight" => "0 0 * * *",
        "@weekly" => "0 0 * * 0",
        "@monthly" => "0 0 1 * *",
        "@yearly" | "@annually" => "0 0 1 1 *",
        word if word.starts_with('@') => return Err(ScheduleError::Word(word.to_owned())),
        plain => plain,
    })
}

fn field(text: &str, rule: &Rule) -> Result<Field, ScheduleError> {
    let mut bits = 0;
    for part in text.split(',') {
        bits |= range(part, rule).map_err(|why| ScheduleError::Field {
            field: rule.name,
            text: text.to_owned(),
            why,
        })?;
    }
    Ok(Field {
        bits,
        star: text.starts_with('*'),
    })
}

/// `*`, `3`, `1-5`, each with `/2`; a single number with a step goes on to the end, as in robfig/cron.
fn range(part: &str, rule: &Rule) -> Result<u64, String> {
    let (span, step) = match part.split_once('/') {
        Some((span, step)) => (span, Some(step)),
        None => (part, None),
    };
    let step = match step.map(str::parse::<u8>) {
        None => 1,
        Some(Ok(step)) if step > 0 => step,
        Some(_) => return Err("a step is a number above 0".to_owned()),
    };
    let (from, to) = match span.split_once('-') {
        _ if span == "*" => (rule.least, if rule.most == 7 { 6 } else { rule.most }),
        Some((from, to)) => (value(from, rule)?, value(to, rule)?),
        None if part.contains('/') => (value(span, rule)?, rule.most),
        None => {
            let only = value(span, rule)?;
            (only, only)
        }
    };
    if from > to {
        return Err(format!("the range {span} goes backwards"));
    }
    let values = (from..=to).step_by(usize::from(step));
    Ok(values.fold(0, |bits, value| bits | 1 << value))
}

fn value(word: &str, rule: &Rule) -> Result<i8, String> {
    let lower = word.to_ascii_lowercase();
    let number = match rule.names.iter().position(|name| *name == lower) {
        // Months count from 1, days of the week from 0: so does `least`.
        Some(place) => i8::try_from(place).ok().map(|place| place + rule.least),
        None => word
            .parse()
            .ok()
            .filter(|_| word.bytes().all(|b| b.is_ascii_digit())),
    };
    number
        .filter(|number| (rule.least..=rule.most).contains(number))
        .ok_or_else(|| {
            let names = if rule.names.is_empty() {
                String::new()
            } else {
                format!(" or a name such as {}", rule.names[1])
            };
            format!(
                "`{word}` is no {} ({} to {}{names})",
                rule.name, rule.least, rule.most
            )
        })
}

#[cfg(test)]
mod tests;
