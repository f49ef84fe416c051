//! NDJSON as Vector's `http_server` source reads it: one bad line, and nothing is taken.
//!
//! As strict as Vector's parser, which is the same one: text is checked for its escapes, numbers for
//! their range. Stricter in two things that podvisor never sends: a line must be an object (Vector
//! makes events of an array's elements), and the whole must be UTF-8 (Vector mends it).

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Origin, Refused, Seen};

pub(super) fn each(body: &[u8], take: &mut dyn FnMut(&Seen<'_>)) -> Result<u64, Refused> {
    let text = std::str::from_utf8(body).map_err(Refused::undecodable)?;
    let mut records = 0;
    for (at, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let read: Line<'_> = serde_json::from_str(line)
            .map_err(|error| Refused::undecodable(format_args!("line {}: {error}", at + 1)))?;
        take(&read.seen(line));
        records += 1;
    }
    Ok(records)
}

/// The members of a line that have a meaning here. Of a name that is there twice the last counts, as
/// with Vector.
#[derive(Default)]
struct Line<'a> {
    timestamp: Text<'a>,
    source_id: Text<'a>,
    service: Text<'a>,
    stream: Text<'a>,
    level: Text<'a>,
    message: Text<'a>,
    seq: Text<'a>,
}

impl<'a> Line<'a> {
    fn seen(self, line: &'a str) -> Seen<'a> {
        Seen {
            time: self.timestamp.0,
            source: self.source_id.0,
            service: self.service.0,
            stream: self.stream.0,
            level: self.level.0,
            message: self.message.0,
            seq: self.seq.0.parse().ok(),
            origin: Origin::Line(line),
        }
    }
}

impl<'de> Deserialize<'de> for Line<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Line<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line<'de>, A::Error> {
                let mut line = Line::default();
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    let value = map.next_value()?;
                    match &*key.0 {
                        "timestamp" => line.timestamp = value,
                        "source_id" => line.source_id = value,
                        "service" => line.service = value,
                        "stream" => line.stream = value,
                        "level" => line.level = value,
                        "message" => line.message = value,
                        "seq" => line.seq = value,
                        _ => {}
                    }
                }
                Ok(line)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Any JSON value, read to its end: a text or a number as text, all else as nothing.
#[derive(Default)]
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Text<'de>, E> {
        Ok(Text::default())
    }

    fn visit_unit<E>(self) -> Result<Text<'de>, E> {
        Ok(Text::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Text<'de>, A::Error> {
        while items.next_element::<Text<'de>>()?.is_some() {}
        Ok(Text::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text<'de>, A::Error> {
        while map.next_entry::<Text<'de>, Text<'de>>()?.is_some() {}
        Ok(Text::default())
    }
}
