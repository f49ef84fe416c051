//! A batch: what one request carries, and what has been tried with it.

use std::ops::Range;

/// Some records of one parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Which parcel, by the order in which they came.
    pub key: u64,
    /// Which records of it.
    pub range: Range<u32>,
    /// It is the whole parcel.
    pub whole: bool,
}

impl Piece {
    pub fn records(&self) -> u32 {
        self.range.end - self.range.start
    }
}

/// What one request carries.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    /// In order. Never empty.
    pub pieces: Vec<Piece>,
    /// Requests so far.
    pub attempts: u32,
    /// Failures in a row that may be this batch's own fault.
    pub suspects: u32,
    /// It was set aside, and others have passed meanwhile: it fails once more, and is given up.
    pub last_chance: bool,
    /// It has had its immediate repetition after a stale connection.
    pub stale_used: bool,
    /// It is one of a request that was refused when they were joined.
    pub on_trial: bool,
    /// Pauses of the sink before it was last sent.
    pub pauses: u64,
}

impl Batch {
    pub fn new(pieces: Vec<Piece>) -> Self {
        Self {
            pieces,
            attempts: 0,
            suspects: 0,
            last_chance: false,
            stale_used: false,
            on_trial: false,
            pauses: 0,
        }
    }

    pub fn records(&self) -> u64 {
        self.pieces
            .iter()
            .map(|piece| u64::from(piece.records()))
            .sum()
    }

    /// Where it stands in the order of all records.
    pub fn place(&self) -> (u64, u32) {
        self.pieces
            .first()
            .map_or((u64::MAX, u32::MAX), |piece| (piece.key, piece.range.start))
    }

    pub fn holds(&self, key: u64) -> bool {
        self.pieces.iter().any(|piece| piece.key == key)
    }

    /// Smaller ones with the same records: each parcel alone, or one parcel in halves; none if it is a single record.
    pub fn split(&self) -> Vec<Batch> {
        if let [piece] = self.pieces.as_slice() {
            if piece.records() < 2 {
                return Vec::new();
            }
            let middle = piece.range.start + piece.records() / 2;
            let half = |range: Range<u32>| {
                Batch::new(vec![Piece {
                    key: piece.key,
                    range,
                    whole: false,
                }])
            };
            return vec![
                half(piece.range.start..middle),
                half(middle..piece.range.end),
            ];
        }
        let alone = |piece: &Piece| Batch::new(vec![piece.clone()]);
        self.pieces.iter().map(alone).collect()
    }
}
