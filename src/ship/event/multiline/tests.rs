//! Which lines are put together.

use super::*;
use crate::ship::event::Options;
use crate::ship::event::tests::rig::{Cut, Rig};

fn options(how: How, max_lines: u32) -> Options {
    let timeout = DEFAULT_TIMEOUT;
    let multiline = Some(Multiline {
        how,
        max_lines,
        timeout,
    });
    Options {
        multiline,
        ..Options::default()
    }
}

fn rig(how: How) -> Rig {
    Rig::new(options(how, DEFAULT_MAX_LINES))
}

fn start() -> How {
    How::Start(Regex::new(r"^\d{4}-").unwrap())
}

/// Records of `text`, read at once and, the same, line by line.
fn records(how: &How, text: &str) -> Vec<String> {
    let (mut whole, mut single) = (rig(how.clone()), rig(how.clone()));
    whole.read(text, 0);
    for line in text.split('\n') {
        single.cut(Stream::Stdout, &[(line.as_bytes(), 0, false)], 0);
    }
    whole.flush();
    single.flush();
    assert_eq!(whole.texts(), single.texts());
    whole.texts()
}

/// `traces`, each between two ordinary lines, come out whole, and the ordinary lines alone.
fn whole(presets: &[Preset], traces: &[&str]) {
    for preset in presets {
        for trace in traces {
            let text = format!("before it\n{trace}\nafter it\nand more");
            let expected = ["before it", trace, "after it", "and more"];
            assert_eq!(
                records(&How::Preset(*preset), &text),
                expected,
                "{preset:?}"
            );
        }
    }
}

#[test]
fn by_the_first_line() {
    let text = "lost\nhead\n2026-1\n a\nb\n2026-2\n2026-3\nc";
    assert_eq!(
        records(&start(), text),
        ["lost\nhead", "2026-1\n a\nb", "2026-2", "2026-3\nc"]
    );
}

#[test]
fn by_the_following_lines() {
    let how = How::Continue(Regex::new(r"^(\s|\+)").unwrap());
    assert_eq!(records(&how, "+a\n b\nc\n+d\ne"), ["+a\n b", "c\n+d", "e"]);
}

#[test]
fn by_indentation() {
    let text = "a\n  b\n\tc\n\nd";
    assert_eq!(records(&How::Indent, text), ["a\n  b\n\tc", "", "d"]);
}

#[test]
fn java_traces() {
    whole(
        &[Preset::Java, Preset::Dotnet, Preset::Auto],
        &[
            "java.lang.IllegalStateException: gone\n\tat a.B.c(B.java:12)\n\tat a.B.d(B.java:9)\nCaused by: java.io.IOException: closed\n\tat a.C.e(C.java:1)\n\t... 12 more",
            "Exception in thread \"main\" java.lang.NullPointerException\n\tat a.B.main(B.java:3)",
            "ERROR a.B - java.lang.Error: x\n    at a.B.c(B.java:12)\n    Suppressed: java.lang.Error: y\n        at a.B.c(B.java:13)\n    ... 3 common frames omitted",
            "javax.mail.MessagingException: x;\n  nested exception is: \n\tjava.lang.Error: y\n\tat a.B.c(B.java:1)",
            "TypeError: Cannot read properties of undefined (reading 'x')\n    at Object.<anonymous> (/app/index.js:3:7)\n    at node:internal/main/run_main_module:28:49",
        ],
    );
}

#[test]
fn dotnet_traces() {
    whole(
        &[Preset::Dotnet],
        &[
            "Unhandled exception. System.InvalidOperationException: outer\n ---> System.ArgumentException: inner\n   at App.Program.F() in /app/Program.cs:line 3\n   --- End of inner exception stack trace ---\n   at App.Program.Main() in /app/Program.cs:line 9\n--- End of stack trace from previous location ---\n   at App.Program.G()",
        ],
    );
}

#[test]
fn python_traces() {
    whole(
        &[Preset::Python, Preset::Auto],
        &[
            "Traceback (most recent call last):\n  File \"/app/a.py\", line 3, in <module>\n    f()\n    ~^^\n  [Previous line repeated 9 more times]\nValueError: bad",
            "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\nKeyError: 'x'\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"a.py\", line 3, in g\napp.errors.NotFound: x\n  detail",
            "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\nKeyboardInterrupt",
        ],
    );
}

#[test]
fn a_python_trace_that_breaks_off() {
    let text = "Traceback (most recent call last):\n  File \"a.py\"\n2026-11-23 10:20:30 INFO x\ny";
    let expected = [
        "Traceback (most recent call last):\n  File \"a.py\"",
        "2026-11-23 10:20:30 INFO x",
        "y",
    ];
    assert_eq!(records(&How::Preset(Preset::Python), text), expected);
}

#[test]
fn go_traces() {
    whole(
        &[Preset::Go, Preset::Auto],
        &[
            "panic: runtime error: index out of range [3] with length 3\n\ngoroutine 1 [running]:\nmain.f(...)\n\t/app/main.go:9\nmain.main()\n\t/app/main.go:5 +0x1d",
            "panic: x [recovered]\n\tpanic: y\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x47]\n\ngoroutine 7 [running]:\nmain.(*T).f(0x0, {0x1, 0x2})\n\t/app/main.go:9 +0x1d\ncreated by main.main in goroutine 1\n\t/app/main.go:5 +0x1d\n\ngoroutine 8 [chan receive]:\nmain.g()\n\t/app/main.go:3",
            "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\nmain.main()\n\t/app/main.go:5 +0x1d",
            "2026/11/23 10:20:30 http: panic serving 10.0.0.1:5: x\ngoroutine 5 [running]:\nnet/http.(*conn).serve.func1()\n\t/usr/local/go/src/net/http/server.go:1 +0x1d",
        ],
    );
}

#[test]
fn ruby_traces() {
    whole(
        &[Preset::Ruby],
        &[
            "a.rb:3:in 'Object#f': gone (RuntimeError)\n\tfrom a.rb:7:in 'Object#g'\n\tfrom a.rb:9:in '<main>'",
            "ActionController::RoutingError (No route matches [GET] \"/x\"):\n  \n  app/models/a.rb:3:in `f'\napp/controllers/b.rb:9:in `g'",
        ],
    );
}

#[test]
fn a_preset_holds_no_ordinary_line() {
    let mut rig = rig(How::Preset(Preset::Auto));
    rig.read("a\nb", 0);
    assert_eq!(rig.texts(), ["a", "b"]);
    assert_eq!(rig.pipeline.deadline(), None);
    rig.read("x Error: y", 0);
    assert_eq!(rig.got.len(), 2);
    assert!(rig.pipeline.deadline().is_some());
}

#[test]
fn a_group_goes_on_in_the_next_read() {
    let mut rig = rig(start());
    rig.read("2026-1\na", 0);
    rig.read("b", 150);
    rig.expire(300);
    assert!(rig.got.is_empty());
    assert_eq!(
        rig.pipeline.deadline(),
        Some(rig.start + Duration::from_millis(350))
    );
    rig.expire(350);
    assert_eq!(rig.texts(), ["2026-1\na\nb"]);
    // Its number and time are the first line's.
    assert_eq!((rig.got[0].seq, rig.got[0].lines), (0, 3));
    assert_eq!(rig.got[0].ts_ns % 1_000_000_000, 0);
    assert_eq!(rig.pipeline.deadline(), None);
    rig.read("late", 400);
    rig.flush();
    assert_eq!(rig.texts(), ["2026-1\na\nb", "late"]);
}

#[test]
fn streams_do_not_mix() {
    let mut rig = rig(How::Indent);
    rig.cut(Stream::Stdout, &[(b"out", 0, false)], 0);
    rig.cut(Stream::Stderr, &[(b"err", 0, false)], 50);
    rig.cut(Stream::Stdout, &[(b" more", 0, false)], 100);
    rig.expire(250);
    assert_eq!(rig.texts(), ["err"]);
    rig.flush();
    assert_eq!(rig.texts(), ["err", "out\n more"]);
}

#[test]
fn a_restart_ends_the_group() {
    let mut rig = rig(How::Indent);
    rig.read("a", 0);
    rig.incarnation = 1;
    rig.read(" b", 0);
    rig.flush();
    assert_eq!(rig.texts(), ["a", " b"]);
}

#[test]
fn bounds_cut_a_group() {
    let mut lines = Rig::new(options(How::Indent, 3));
    lines.read("a\n 1\n 2\n 3\n 4\nb", 0);
    lines.flush();
    assert_eq!(lines.texts(), ["a\n 1\n 2", " 3\n 4", "b"]);
    let mut bytes = Rig::new(Options {
        max_bytes: 5,
        ..options(How::Indent, 100)
    });
    bytes.read("a\n 1\n 2\n 3", 0);
    bytes.read(" 4\n 123456\n 5", 0);
    bytes.flush();
    assert_eq!(bytes.texts(), ["a\n 1", " 2\n 3", " 4", " 123456", " 5"]);
    let mut one = Rig::new(options(How::Indent, 1));
    one.read("a\n 1", 0);
    assert_eq!(one.texts(), ["a", " 1"]);
}

#[test]
fn pieces_of_a_long_line_stay_alone() {
    let mut rig = rig(How::Indent);
    let lines: &[Cut<'_>] = &[
        (b"a", 0, false),
        (b" b", 0, true),
        (b" c", 1, false),
        (b" d", 0, false),
    ];
    rig.cut(Stream::Stdout, lines, 0);
    rig.flush();
    assert_eq!(rig.texts(), ["a", " b", " c", " d"]);
    assert!(rig.got[1].partial);
}

#[test]
fn a_group_has_its_first_lines_level() {
    let mut rig = rig(How::Indent);
    rig.read("ERROR: boom\n  INFO: detail\nplain\n  ERROR: detail", 0);
    rig.flush();
    let words: Vec<_> = rig.got.iter().map(|got| got.word).collect();
    assert_eq!(words, [Some("error"), None]);
}
