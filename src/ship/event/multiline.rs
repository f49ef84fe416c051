//! Putting the lines of one message together: stack traces, and whatever else a service writes in several lines.
//!
//! Each stream of a service has its own group of lines. A line that is a message by itself is passed on as it lies in the
//! read buffer; only a group of two or more lines, and one that may go on in the next read, is copied, into a buffer that
//! is used again and again. A group ends with the first line that does not belong to it, at its bounds, when its stream
//! goes silent, and with the service's incarnation.

use std::time::{Duration, Instant};

use regex::bytes::Regex;

use super::stack::{Machine, Preset, State};
use crate::logs::{Chunk, Line, Stream};

/// Default for the lines of one record.
pub const DEFAULT_MAX_LINES: u32 = 500;

/// Default for how long a group waits for its next line.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_millis(200);

/// A group's buffer of at most this capacity is kept for the next group; a larger one is given back.
const KEEP_BUFFER: usize = 64 * 1024;

/// How lines are put together.
#[derive(Debug, Clone)]
pub struct Multiline {
    /// By which rule.
    pub how: How,
    /// Lines of one record; what is more becomes another. At least 1.
    pub max_lines: u32,
    /// How long a group waits for its next line.
    pub timeout: Duration,
}

/// Which lines belong together.
#[derive(Debug, Clone)]
pub enum How {
    /// A line that matches begins a record; the others belong to the record before them.
    Start(Regex),
    /// A line that matches belongs to the record before it.
    Continue(Regex),
    /// A line that begins with a blank or a tab belongs to the record before it.
    Indent,
    /// Stack traces; every other line is a record.
    Preset(Preset),
}

/// A record's text before it is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw<'a> {
    pub stream: Stream,
    /// The first line's.
    pub seq: u64,
    pub lines: u32,
    /// When the first line was read.
    pub ts_ns: u64,
    pub text: &'a [u8],
    pub part: u32,
    pub partial: bool,
}

impl<'a> Raw<'a> {
    pub(super) fn line(chunk: &Chunk<'_>, line: &Line<'a>) -> Self {
        Raw {
            stream: chunk.stream,
            seq: line.seq,
            lines: 1,
            ts_ns: chunk.ts_ns,
            text: line.text,
            part: line.part,
            partial: line.partial,
        }
    }
}

/// Where finished records go.
pub(super) type Sink<'s> = &'s mut dyn FnMut(Raw<'_>);

/// What a line is to the group before it.
enum Step {
    /// A record by itself.
    Alone,
    /// The first of a group.
    Opens,
    /// One more of the group, if there is one; else the first.
    Joins,
}

#[derive(Debug)]
enum Rule {
    Start(Regex),
    Continue(Regex),
    Indent,
    Machine(Box<Machine>),
}

impl Rule {
    fn step(&self, state: &mut State, line: &[u8]) -> Step {
        let joins = match self {
            Rule::Start(regex) => !regex.is_match(line),
            Rule::Continue(regex) => regex.is_match(line),
            Rule::Indent => matches!(line.first(), Some(b' ' | b'\t')),
            Rule::Machine(machine) => {
                if let Some(next) = machine.follow(*state, line) {
                    *state = next;
                    return Step::Joins;
                }
                *state = machine.start(line).unwrap_or_default();
                return match *state {
                    State::Idle => Step::Alone,
                    _ => Step::Opens,
                };
            }
        };
        if joins { Step::Joins } else { Step::Opens }
    }
}

/// The unfinished group of one stream.
#[derive(Debug)]
struct Group {
    stream: Stream,
    /// The lines with `\n` between them.
    text: Vec<u8>,
    /// 0 if there is none.
    lines: u32,
    seq: u64,
    ts_ns: u64,
    incarnation: u64,
    state: State,
    /// When it has waited long enough. Known while there is a group between two chunks.
    deadline: Option<Instant>,
}

impl Group {
    fn new(stream: Stream) -> Self {
        Group {
            stream,
            text: Vec::new(),
            lines: 0,
            seq: 0,
            ts_ns: 0,
            incarnation: 0,
            state: State::Idle,
            deadline: None,
        }
    }

    fn open(&mut self, line: &Line<'_>, ts_ns: u64) {
        self.text.clear();
        self.text.extend_from_slice(line.text);
        (self.lines, self.seq, self.ts_ns) = (1, line.seq, ts_ns);
    }

    fn join(&mut self, line: &Line<'_>) {
        self.text.push(b'\n');
        self.text.extend_from_slice(line.text);
        self.lines += 1;
    }

    fn close(&mut self, sink: Sink<'_>) {
        self.deadline = None;
        if self.lines == 0 {
            return;
        }
        sink(Raw {
            stream: self.stream,
            seq: self.seq,
            lines: self.lines,
            ts_ns: self.ts_ns,
            text: &self.text,
            part: 0,
            partial: false,
        });
        self.lines = 0;
        if self.text.capacity() > KEEP_BUFFER {
            self.text = Vec::new();
        }
    }
}

/// The groups of one service.
#[derive(Debug)]
pub(super) struct Merger {
    rule: Rule,
    max_lines: u32,
    max_bytes: usize,
    timeout: Duration,
    groups: [Group; 2],
}

impl Merger {
    /// Records of at most `max_bytes`, unless a single line is longer.
    pub(super) fn new(options: Multiline, max_bytes: usize) -> Self {
        let rule = match options.how {
            How::Start(regex) => Rule::Start(regex),
            How::Continue(regex) => Rule::Continue(regex),
            How::Indent => Rule::Indent,
            How::Preset(preset) => Rule::Machine(Box::new(Machine::new(preset))),
        };
        Merger {
            rule,
            max_lines: options.max_lines.max(1),
            max_bytes,
            timeout: options.timeout,
            groups: Stream::ALL.map(Group::new),
        }
    }

    /// Puts the lines of a chunk together and calls `sink` with every record that is finished.
    pub(super) fn chunk(&mut self, chunk: &Chunk<'_>, now: Instant, sink: Sink<'_>) {
        let [stdout, stderr] = &mut self.groups;
        let group = match chunk.stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        };
        if group.incarnation != chunk.incarnation {
            group.close(sink);
            (group.incarnation, group.state) = (chunk.incarnation, State::Idle);
        }
        // A group of one line of this chunk, which is not copied before it must be.
        let mut single: Option<Line<'_>> = None;
        for line in chunk.iter() {
            // A piece of a long line is never merged: the whole would be longer than a record may be.
            if line.partial || line.part > 0 {
                close(group, &mut single, chunk, sink);
                group.state = State::Idle;
                sink(Raw::line(chunk, &line));
                continue;
            }
            match self.rule.step(&mut group.state, line.text) {
                Step::Alone => {
                    close(group, &mut single, chunk, sink);
                    sink(Raw::line(chunk, &line));
                    continue;
                }
                Step::Opens => close(group, &mut single, chunk, sink),
                Step::Joins => {
                    let held = single.map_or(group.text.len(), |first| first.text.len());
                    if held + 1 + line.text.len() > self.max_bytes {
                        close(group, &mut single, chunk, sink);
                    }
                }
            }
            if let Some(first) = single.take() {
                group.open(&first, chunk.ts_ns);
            }
            if group.lines == 0 {
                single = Some(line);
            } else {
                group.join(&line);
            }
            if group.lines.max(1) >= self.max_lines {
                close(group, &mut single, chunk, sink);
            }
        }
        if let Some(first) = single {
            group.open(&first, chunk.ts_ns);
        }
        group.deadline = match group.lines {
            0 => None,
            _ => now.checked_add(self.timeout),
        };
    }

    /// When the first of the groups has waited long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.groups.iter().filter_map(|group| group.deadline).min()
    }

    /// Finishes the groups that have waited long enough.
    pub(super) fn expire(&mut self, now: Instant, sink: Sink<'_>) {
        for group in &mut self.groups {
            if group.deadline.is_some_and(|at| at <= now) {
                group.close(sink);
            }
        }
    }

    /// Finishes all groups.
    pub(super) fn flush(&mut self, sink: Sink<'_>) {
        for group in &mut self.groups {
            group.close(sink);
            group.state = State::Idle;
        }
    }
}

/// Finishes the group, be it the copied one or the single line.
fn close(group: &mut Group, single: &mut Option<Line<'_>>, chunk: &Chunk<'_>, sink: Sink<'_>) {
    match single.take() {
        Some(line) => sink(Raw::line(chunk, &line)),
        None => group.close(sink),
    }
}

#[cfg(test)]
mod tests;
