//! Stack traces as programs print them: which lines belong together. A small state machine for each language, after the
//! rules of Stackdriver's `detect_exceptions` and Fluent Bit's multi-line parsers.

use memchr::memmem::{Finder, find};

/// Whose stack traces are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Preset {
    /// Java, Kotlin, Scala; also JavaScript, whose frames look alike.
    Java,
    /// Python's tracebacks, also chained ones.
    Python,
    /// Go's panics, fatal errors and goroutine dumps.
    Go,
    /// Ruby's, also those of Rails.
    Ruby,
    /// .NET's exceptions, also inner ones.
    Dotnet,
    /// Java, Python and Go, whichever comes.
    Auto,
}

impl Preset {
    /// All, in the order of the documentation.
    pub const ALL: [Preset; 6] = [
        Preset::Java,
        Preset::Python,
        Preset::Go,
        Preset::Ruby,
        Preset::Dotnet,
        Preset::Auto,
    ];

    /// The word in the config.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Preset::Java => "java",
            Preset::Python => "python",
            Preset::Go => "go",
            Preset::Ruby => "ruby",
            Preset::Dotnet => "dotnet",
            Preset::Auto => "auto",
        }
    }
}

/// Where in a stack trace a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// In none.
    #[default]
    Idle,
    /// After the line that names an exception.
    JavaTop,
    /// After `nested exception is:`.
    JavaNested,
    /// Among frames.
    Java,
    /// After `Traceback`, and among frames.
    Python,
    /// After the line that names the error.
    PythonEnd,
    /// After the blank line behind that.
    PythonBlank,
    /// After `During handling of the above exception`.
    PythonChain,
    /// After `panic:`.
    GoPanic,
    /// Before a goroutine.
    GoBlank,
    /// Among frames.
    Go,
    /// Among frames.
    Ruby,
}

/// The state machines of one [`Preset`].
#[derive(Debug, Clone)]
pub struct Machine {
    preset: Preset,
    exceptions: [Finder<'static>; 4],
    panic: Finder<'static>,
}

impl Machine {
    /// For the stack traces of `preset`.
    #[must_use]
    pub fn new(preset: Preset) -> Self {
        let exceptions = ["Exception", "Error", "Throwable", "V8 errors stack trace"];
        Machine {
            preset,
            exceptions: exceptions.map(Finder::new),
            panic: Finder::new("panic"),
        }
    }

    /// The state after `line`, if it goes on with the stack trace that the stream is in.
    #[must_use]
    pub fn follow(&self, state: State, line: &[u8]) -> Option<State> {
        match state {
            State::Idle => None,
            State::JavaNested => self.java_start(line),
            State::JavaTop | State::Java => java(state, line),
            State::Python | State::PythonEnd | State::PythonBlank | State::PythonChain => {
                python(state, line)
            }
            State::GoPanic | State::GoBlank | State::Go => go(state, line),
            State::Ruby => ruby(line),
        }
    }

    /// The state after `line`, if a stack trace begins with it.
    #[must_use]
    pub fn start(&self, line: &[u8]) -> Option<State> {
        match self.preset {
            Preset::Java | Preset::Dotnet => self.java_start(line),
            Preset::Python => python_start(line),
            Preset::Go => self.go_start(line),
            Preset::Ruby => ruby_start(line),
            Preset::Auto => python_start(line)
                .or_else(|| self.go_start(line))
                .or_else(|| self.java_start(line)),
        }
    }

    /// A name that ends an exception's class, then a colon or the line's end.
    fn java_start(&self, line: &[u8]) -> Option<State> {
        let ends = |at| matches!(line.get(at), None | Some(b':' | b'\r'));
        self.exceptions
            .iter()
            .any(|name| {
                let len = name.needle().len();
                name.find_iter(line).any(|at| ends(at + len))
            })
            .then_some(State::JavaTop)
    }

    fn go_start(&self, line: &[u8]) -> Option<State> {
        if goroutine(line) {
            return Some(State::Go);
        }
        let dump = [&b"fatal error: "[..], b"SIGQUIT: ", b"SIGABRT: "];
        if dump.iter().any(|start| line.starts_with(start)) {
            return Some(State::GoPanic);
        }
        self.panic
            .find_iter(line)
            .any(|at| panics(line, at))
            .then_some(State::GoPanic)
    }
}

/// `panic: …` or `http: panic serving …`, a word by itself.
fn panics(line: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|i| line.get(i));
    let rest = line.get(at + "panic".len()..).unwrap_or(&[]);
    !before.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
        && (rest.starts_with(b": ") || rest.starts_with(b" serving "))
}

/// Without the blanks at its start, and whether there were some.
fn indent(line: &[u8]) -> (&[u8], bool) {
    let start = line.iter().position(|b| !matches!(b, b' ' | b'\t'));
    let text = start.and_then(|at| line.get(at..)).unwrap_or(&[]);
    (text, text.len() < line.len())
}

fn java(state: State, line: &[u8]) -> Option<State> {
    let (text, indented) = indent(line);
    let starts = |words: &[&str]| words.iter().any(|w| text.starts_with(w.as_bytes()));
    if state == State::JavaTop {
        if line.is_empty() {
            return Some(State::JavaTop);
        }
        if starts(&["nested exception is:"]) {
            return Some(State::JavaNested);
        }
    }
    if starts(&["Caused by:", "Suppressed:"]) {
        return Some(State::JavaTop);
    }
    let frame = indented && starts(&["at ", "eval at ", "---> ", "--- End of inner exception"]);
    let seam = starts(&[
        "--- End of stack trace from previous location",
        "[CIRCULAR REFERENCE:",
    ]);
    (frame || seam || omitted(text)).then_some(State::Java)
}

/// `... 12 more`, `... 12 common frames omitted`.
fn omitted(text: &[u8]) -> bool {
    let Some(rest) = text.strip_prefix(b"... ") else {
        return false;
    };
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let rest = rest.get(digits..).unwrap_or(&[]);
    digits > 0 && (rest.starts_with(b" more") || rest.starts_with(b" common frames omitted"))
}

fn python_start(line: &[u8]) -> Option<State> {
    line.starts_with(b"Traceback (most recent call last):")
        .then_some(State::Python)
}

fn python(state: State, line: &[u8]) -> Option<State> {
    let (_, indented) = indent(line);
    let chained = [
        &b"During handling of the above exception"[..],
        b"The above exception was the direct cause",
    ];
    match state {
        State::Python if indented => Some(State::Python),
        State::Python => error_name(line).then_some(State::PythonEnd),
        State::PythonEnd if indented => Some(State::PythonEnd),
        State::PythonEnd if line.is_empty() => Some(State::PythonBlank),
        State::PythonBlank if chained.iter().any(|start| line.starts_with(start)) => {
            Some(State::PythonChain)
        }
        State::PythonChain if line.is_empty() => Some(State::PythonChain),
        State::PythonChain => python_start(line),
        _ => None,
    }
}

/// `KeyError: 'x'`, `a.b.Error`: a dotted name, then a colon or the line's end.
fn error_name(line: &[u8]) -> bool {
    let inside = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.') || !b.is_ascii();
    let len = line.iter().take_while(|b| inside(b)).count();
    let named = line.first().is_some_and(|b| !b.is_ascii_digit());
    named && len > 0 && matches!(line.get(len), None | Some(b':'))
}

/// `goroutine 1 [running]:`
fn goroutine(line: &[u8]) -> bool {
    line.starts_with(b"goroutine ") && line.ends_with(b"]:")
}

fn go(state: State, line: &[u8]) -> Option<State> {
    if line.is_empty() && state != State::GoBlank {
        return Some(State::GoBlank);
    }
    if goroutine(line) {
        return Some(State::Go);
    }
    let (text, indented) = indent(line);
    let starts = |words: &[&str]| words.iter().any(|w| text.starts_with(w.as_bytes()));
    match state {
        State::GoPanic if indented => Some(State::GoPanic),
        State::GoPanic if starts(&["[signal ", "panic: ", "PC=", "runtime: "]) => {
            Some(State::GoPanic)
        }
        State::Go if indented || starts(&["created by ", "..."]) || call(line) => Some(State::Go),
        _ => None,
    }
}

/// `main.(*T).f(0x1, 0x2)`: a name without blanks, then a parenthesis.
fn call(line: &[u8]) -> bool {
    let stop = line
        .iter()
        .position(|b| matches!(b, b' ' | b'\t' | b':' | b'('));
    stop.is_some_and(|at| at > 0 && line.get(at) == Some(&b'('))
}

/// An uncaught exception, `a.rb:3:in 'b': text (Error)`, or Rails' `Error (text):`.
fn ruby_start(line: &[u8]) -> Option<State> {
    let uncaught = line.ends_with(b")") && ruby_frame(line);
    let rails = line.ends_with(b"):") && find(line, b"Error (").is_some();
    (uncaught || rails).then_some(State::Ruby)
}

fn ruby(line: &[u8]) -> Option<State> {
    let (_, indented) = indent(line);
    (indented || ruby_frame(line) && !line.ends_with(b")")).then_some(State::Ruby)
}

fn ruby_frame(line: &[u8]) -> bool {
    find(line, b".rb:").is_some_and(|at| {
        let rest = line.get(at..).unwrap_or(&[]);
        find(rest, b":in ").is_some()
    })
}
