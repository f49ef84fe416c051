//! OTLP's values, of any type and nested, read without copying.
//!
//! `opentelemetry/proto/common/v1/common.proto`.

use super::wire::{self, Fields, Malformed};

/// How deep arrays and maps may nest in a value. Stays below the 100 messages that protobuf
/// libraries take, at three messages a level.
pub const MAX_DEPTH: u8 = 31;

/// A value of any type. If several are set, the last counts.
#[derive(Debug, Clone, Copy)]
pub enum AnyValue<'a> {
    /// None at all.
    Empty,
    /// Text.
    Str(&'a str),
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Double(f64),
    /// Anything that is not text.
    Bytes(&'a [u8]),
    /// Values in order.
    Array(Array<'a>),
    /// Values by name.
    Map(Map<'a>),
}

impl<'a> AnyValue<'a> {
    /// Reads an `AnyValue` that lies `depth` deep.
    pub(super) fn read(bytes: &'a [u8], depth: u8) -> Result<Self, Malformed> {
        let mut found = AnyValue::Empty;
        for field in wire::fields(bytes) {
            let field = field?;
            let value = field.value;
            found = match field.number {
                1 => AnyValue::Str(value.str()?),
                2 => AnyValue::Bool(value.varint()? != 0),
                3 => AnyValue::Int(value.varint()?.cast_signed()),
                4 => AnyValue::Double(f64::from_bits(value.fixed64()?)),
                5 | 6 if depth >= MAX_DEPTH => return Err(Malformed),
                5 => AnyValue::Array(Array {
                    bytes: value.bytes()?,
                    depth: depth + 1,
                }),
                6 => AnyValue::Map(Map {
                    bytes: value.bytes()?,
                    depth: depth + 1,
                }),
                7 => AnyValue::Bytes(value.bytes()?),
                _ => continue,
            };
        }
        Ok(found)
    }
}

/// Values in order, [`MAX_DEPTH`] deep at most: reading one that lies deeper is an error.
#[derive(Debug, Clone, Copy)]
pub struct Array<'a> {
    bytes: &'a [u8],
    depth: u8,
}

impl<'a> Array<'a> {
    /// The values.
    pub fn iter(&self) -> impl Iterator<Item = Result<AnyValue<'a>, Malformed>> + use<'a> {
        let mut items = Entries::new(self.bytes, 1, self.depth);
        std::iter::from_fn(move || items.next_with(AnyValue::read))
    }
}

/// Values by name, [`MAX_DEPTH`] deep at most: reading one that lies deeper is an error.
#[derive(Debug, Clone, Copy)]
pub struct Map<'a> {
    bytes: &'a [u8],
    depth: u8,
}

impl<'a> Map<'a> {
    /// The entries in their order. Names may occur twice: nobody has checked.
    #[must_use]
    pub fn iter(&self) -> Entries<'a> {
        Entries::new(self.bytes, 1, self.depth)
    }
}

/// Names with their values: attributes of a record, or the entries of a map.
#[derive(Debug, Clone, Copy)]
pub struct Entries<'a> {
    fields: Fields<'a>,
    number: u32,
    depth: u8,
}

impl<'a> Entries<'a> {
    /// Those in the fields `number` of a message, with values that lie `depth` deep.
    pub(super) fn new(bytes: &'a [u8], number: u32, depth: u8) -> Self {
        Entries {
            fields: wire::fields(bytes),
            number,
            depth,
        }
    }

    fn next_with<T>(
        &mut self,
        read: fn(&'a [u8], u8) -> Result<T, Malformed>,
    ) -> Option<Result<T, Malformed>> {
        loop {
            let read = match self.fields.next()? {
                Ok(field) if field.number != self.number => continue,
                Ok(field) => field.value.bytes().and_then(|b| read(b, self.depth)),
                Err(error) => Err(error),
            };
            if read.is_err() {
                self.fields = Fields::default();
            }
            return Some(read);
        }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(&'a str, AnyValue<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_with(key_value)
    }
}

fn key_value(bytes: &[u8], depth: u8) -> Result<(&str, AnyValue<'_>), Malformed> {
    let (mut key, mut found) = ("", AnyValue::Empty);
    for field in wire::fields(bytes) {
        let field = field?;
        match field.number {
            1 => key = field.value.str()?,
            2 => found = AnyValue::read(field.value.bytes()?, depth)?,
            _ => {}
        }
    }
    Ok((key, found))
}
