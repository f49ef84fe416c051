//! Everything in any order, against a list.

use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

use proptest::prelude::*;

use super::tests::{FORMS_USED, meta, open, payload, put, segment_files};
use super::*;

/// Bytes after which a file is closed here.
const SEGMENT: u64 = 2000;

#[derive(Debug, Clone, Copy)]
enum Op {
    Append {
        form: usize,
        records: u32,
        len: usize,
        /// Whoever is at the end takes it from memory.
        skip: bool,
    },
    Next {
        reader: usize,
        times: usize,
    },
    Ack {
        reader: usize,
        of_handed: usize,
    },
    Rewind {
        reader: usize,
    },
    Save {
        force: bool,
    },
    Resubscribe {
        reader: usize,
    },
    /// The disk is full after so many bytes.
    Fail {
        room: u64,
    },
    /// A start after an orderly end, or after a crash that cut so much off the last file.
    Reopen {
        crash: Option<u64>,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let append = (0..2usize, 1..9u32, 0..700usize, any::<bool>());
    let crash = prop::option::of(prop_oneof![Just(0), 0..1500u64]);
    prop_oneof![
        8 => append.prop_map(|(form, records, len, skip)| Op::Append { form, records, len, skip }),
        6 => (0..3usize, 1..6usize).prop_map(|(reader, times)| Op::Next { reader, times }),
        4 => (0..3usize, 0..6usize).prop_map(|(reader, of_handed)| Op::Ack { reader, of_handed }),
        1 => (0..3usize).prop_map(|reader| Op::Rewind { reader }),
        1 => any::<bool>().prop_map(|force| Op::Save { force }),
        1 => (0..3usize).prop_map(|reader| Op::Resubscribe { reader }),
        1 => (0..800u64).prop_map(|room| Op::Fail { room }),
        2 => crash.prop_map(|crash| Op::Reopen { crash }),
    ]
}

#[derive(Debug, Clone, Copy)]
struct Parcel {
    seq: u64,
    form: Form,
    records: u64,
    end: Position,
}

#[derive(Debug)]
struct Sink {
    name: String,
    form: Form,
    id: ReaderId,
    todo: VecDeque<Parcel>,
    handed: VecDeque<Parcel>,
    cap: u64,
}

struct Model {
    dir: tempfile::TempDir,
    max_bytes: u64,
    /// None only while it is closed.
    spool: Option<Spool>,
    seq: u64,
    /// What is in files that exist.
    there: Vec<Parcel>,
    sinks: Vec<Sink>,
}

impl Model {
    fn new(forms: &[usize], max_bytes: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = open(dir.path(), max_bytes, SEGMENT);
        let sink = |(i, form): (usize, &usize)| {
            let (name, form) = (format!("sink-{i}"), FORMS_USED[*form]);
            Sink {
                id: spool.subscribe(&name, form),
                name,
                form,
                todo: VecDeque::new(),
                handed: VecDeque::new(),
                cap: 0,
            }
        };
        Self {
            sinks: forms.iter().enumerate().map(sink).collect(),
            spool: Some(spool),
            dir,
            max_bytes,
            seq: 0,
            there: Vec::new(),
        }
    }

    /// A sink, the spool, and the numbers of what is there.
    fn parts(&mut self, reader: usize) -> (Option<&mut Sink>, &mut Spool, BTreeSet<u64>) {
        let there = self.there.iter().map(|p| p.seq).collect();
        let spool = self.spool.as_mut().unwrap();
        (self.sinks.get_mut(reader), spool, there)
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Append {
                form,
                records,
                len,
                skip,
            } => self.append(FORMS_USED[form], records, len, skip),
            Op::Next { reader, times } => (0..times).for_each(|_| self.next(reader)),
            Op::Ack { reader, of_handed } => self.ack(reader, of_handed),
            Op::Rewind { reader } => self.rewind(reader),
            Op::Save { force } => self.parts(0).1.save(force, Instant::now()),
            Op::Resubscribe { reader } => self.resubscribe(reader),
            Op::Fail { room } => self.fail(room),
            Op::Reopen { crash } => self.reopen(crash),
        }
        self.forget_removed();
        self.check();
    }

    fn append(&mut self, form: Form, records: u32, len: usize, skip: bool) {
        let seq = self.seq;
        self.seq += 1;
        let end = put(self.parts(0).1, seq, form, records, len);
        let parcel = Parcel {
            seq,
            form,
            records: records.into(),
            end,
        };
        self.there.push(parcel);
        // First what had to go for it, for only then is it clear who is at the end.
        self.forget_removed();
        for i in 0..self.sinks.len() {
            let (Some(sink), spool, _) = self.parts(i) else {
                unreachable!()
            };
            let at_end = sink.todo.is_empty() && sink.form == form;
            if skip {
                assert_eq!(spool.skip_appended(sink.id, end), at_end);
            }
            if skip && at_end {
                sink.handed.push_back(parcel);
            } else if sink.form == form {
                sink.todo.push_back(parcel);
            }
        }
    }

    fn next(&mut self, reader: usize) {
        let (Some(sink), spool, _) = self.parts(reader) else {
            return;
        };
        let stored = spool.next(sink.id);
        let expected = sink.todo.pop_front();
        assert_eq!(stored.as_ref().map(|s| s.meta.seq), expected.map(|p| p.seq));
        if let (Some(stored), Some(parcel)) = (stored, expected) {
            assert_eq!(stored.payload, payload(parcel.seq, stored.payload.len()));
            assert_eq!(stored.end, parcel.end);
            sink.handed.push_back(parcel);
        }
    }

    fn ack(&mut self, reader: usize, of_handed: usize) {
        let (Some(sink), spool, _) = self.parts(reader) else {
            return;
        };
        let done = of_handed.min(sink.handed.len());
        if let Some(last) = sink.handed.drain(..done).next_back() {
            spool.ack(sink.id, last.end);
        }
    }

    fn rewind(&mut self, reader: usize) {
        let (Some(sink), spool, there) = self.parts(reader) else {
            return;
        };
        spool.rewind(sink.id);
        while let Some(parcel) = sink.handed.pop_back() {
            if there.contains(&parcel.seq) {
                sink.todo.push_front(parcel);
            } else {
                sink.cap += parcel.records;
            }
        }
    }

    fn resubscribe(&mut self, reader: usize) {
        let (Some(sink), spool, there) = self.parts(reader) else {
            return;
        };
        assert_eq!(spool.take_losses(sink.id).cap, sink.cap);
        sink.cap = 0;
        spool.unsubscribe(sink.id);
        sink.id = spool.subscribe(&sink.name, sink.form);
        while let Some(parcel) = sink.handed.pop_back() {
            if there.contains(&parcel.seq) {
                sink.todo.push_front(parcel);
            }
        }
    }

    fn fail(&mut self, room: u64) {
        let spool = self.parts(0).1;
        spool.faults.room = Some(room);
        let failed = spool.append(&meta(0, FORMS_USED[0], 1), &[0; 800]);
        assert!(failed.is_err());
        spool.faults.room = None;
    }

    fn reopen(&mut self, crash: Option<u64>) {
        let mut old = self.spool.take().unwrap();
        if crash.is_none() {
            old.save(true, Instant::now());
        }
        drop(old);
        self.forget_removed();
        if let Some(cut) = crash {
            self.cut(cut);
        }
        let mut spool = open(self.dir.path(), self.max_bytes, SEGMENT);
        let found = spool.recovered();
        let there: u64 = self.there.iter().map(|p| p.records).sum();
        assert_eq!((found.records, found.damaged, found.bad), (there, 0, 0));
        for sink in &mut self.sinks {
            sink.id = spool.subscribe(&sink.name, sink.form);
            sink.cap = 0;
            let must: Vec<_> = (sink.handed.drain(..).chain(sink.todo.drain(..)))
                .map(|p| p.seq)
                .filter(|seq| self.there.iter().any(|p| p.seq == *seq))
                .collect();
            // It goes on somewhere, and from there all must come.
            let mut left = spool.unread(sink.id).records;
            for parcel in self.there.iter().rev().filter(|p| p.form == sink.form) {
                if left == 0 {
                    break;
                }
                left -= parcel.records;
                sink.todo.push_front(*parcel);
            }
            let will: Vec<_> = sink.todo.iter().map(|p| p.seq).collect();
            assert!(will.ends_with(&must), "{must:?} of {will:?}");
            assert!(crash.is_some() || will == must, "{must:?} is not {will:?}");
        }
        self.spool = Some(spool);
    }

    fn cut(&mut self, bytes: u64) {
        let files = segment_files(self.dir.path());
        let Some(last) = files.last() else { return };
        let file = fs::OpenOptions::new().write(true).open(last).unwrap();
        let len = file.metadata().unwrap().len().saturating_sub(bytes);
        file.set_len(len).unwrap();
        let dir = self.dir.path();
        let in_last = |p: &Parcel| Spool::segment_path(dir, p.end.segment) == *last;
        self.there.retain(|p| !in_last(p) || p.end.offset <= len);
    }

    /// What is in no file any more was removed: rightly, when nobody needs it; for the cap, when somebody does.
    fn forget_removed(&mut self) {
        let dir = self.dir.path();
        let exists = |p: &Parcel| Spool::segment_path(dir, p.end.segment).exists();
        self.there.retain(exists);
        for sink in &mut self.sinks {
            let cap = &mut sink.cap;
            sink.todo.retain(|p| {
                let exists = exists(p);
                *cap += if exists { 0 } else { p.records };
                exists
            });
        }
    }

    fn check(&mut self) {
        let files = segment_files(self.dir.path());
        let sizes = files.iter().map(|f| fs::metadata(f).unwrap().len());
        let used: u64 = sizes.sum();
        let spool = self.spool.as_ref().unwrap();
        assert_eq!(spool.stats().bytes, used);
        assert!(used <= self.max_bytes);
        for sink in &self.sinks {
            let todo: u64 = sink.todo.iter().map(|p| p.records).sum();
            assert_eq!(spool.unread(sink.id).records, todo);
        }
    }

    /// To the end, and nothing is left over.
    fn finish(mut self) {
        for i in 0..self.sinks.len() {
            while !self.sinks[i].todo.is_empty() {
                self.next(i);
            }
            self.next(i);
            self.ack(i, usize::MAX);
            let (Some(sink), spool, _) = self.parts(i) else {
                unreachable!()
            };
            let cap = sink.cap;
            assert_eq!(spool.take_losses(sink.id), Losses { cap, corrupt: 0 });
        }
        let spool = self.parts(0).1;
        spool.save(true, Instant::now());
        let stats = spool.stats();
        assert_eq!((stats.bytes, stats.segments, stats.read_errors), (0, 0, 0));
        assert_eq!(stats.oldest_ts_ns, None);
        assert_eq!(segment_files(self.dir.path()).len(), 0);
    }
}

fn run(forms: &[usize], max_bytes: u64, ops: Vec<Op>) {
    let mut model = Model::new(forms, max_bytes);
    for op in ops {
        model.apply(op);
    }
    model.finish();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn nothing_is_lost_with_room_enough(
        forms in prop::collection::vec(0..2usize, 1..=3),
        ops in prop::collection::vec(op(), 1..80),
    ) {
        run(&forms, 1 << 20, ops);
    }

    #[test]
    fn under_the_cap_the_books_balance(
        forms in prop::collection::vec(0..2usize, 1..=3),
        ops in prop::collection::vec(op(), 1..80),
    ) {
        run(&forms, 5000, ops);
    }
}
