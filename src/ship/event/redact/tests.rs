//! What is replaced, and what is left alone.

use super::*;

fn named(builtin: Builtin, text: &str) -> String {
    let mut redact = Redact::default();
    redact.builtin(builtin).unwrap();
    let done = redact.apply(text.as_bytes(), 1 << 20);
    done.map_or_else(
        || text.to_owned(),
        |d| String::from_utf8(d.to_vec()).unwrap(),
    )
}

fn check(builtin: Builtin, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(named(builtin, text), *expected, "{builtin:?}");
    }
}

#[test]
fn mail_addresses() {
    check(
        Builtin::Email,
        &[
            ("from a.b+c@example.co.uk, ok", "from [redacted], ok"),
            ("<x@y.de>", "<[redacted]>"),
            ("user@host", "user@host"),
            ("@handle", "@handle"),
        ],
    );
}

#[test]
fn ipv4_addresses() {
    check(
        Builtin::Ipv4,
        &[
            ("client 10.0.0.1:80", "client [redacted]:80"),
            ("1.2.3", "1.2.3"),
            ("300.1.1.1", "300.1.1.1"),
            ("255.255.255.255", "[redacted]"),
        ],
    );
}

#[test]
fn card_numbers() {
    check(
        Builtin::CreditCard,
        &[
            ("card 4111111111111111.", "card [redacted]."),
            ("card 4111 1111 1111 1111 12/28", "card [redacted] 12/28"),
            ("4111-1111-1111-1111", "[redacted]"),
            ("5 4111111111111111", "5 [redacted]"),
            ("99 12 4111 1111 1111 1111", "99 12 [redacted]"),
            ("378282246310005", "[redacted]"),
            ("4111111111111112", "4111111111111112"),
            ("order 1795429230123456781", "order 1795429230123456781"),
        ],
    );
}

#[test]
fn bearer_tokens() {
    check(
        Builtin::Bearer,
        &[
            (
                "Authorization: Bearer abc.DEF-_~+/==",
                "Authorization: Bearer [redacted]",
            ),
            (
                "authorization: bearer x",
                "authorization: bearer [redacted]",
            ),
            ("jwt=eyJhbGciOi.eyJzdWIi.sig", "jwt=[redacted]"),
            ("the bearer", "the bearer"),
        ],
    );
}

#[test]
fn passwords() {
    check(
        Builtin::Password,
        &[
            ("password=abc user=x", "password=[redacted] user=x"),
            ("DB_PASSWORD=abc", "DB_PASSWORD=[redacted]"),
            ("url?token=abc&x=1", "url?token=[redacted]&x=1"),
            ("password: abc", "password: [redacted]"),
            ("password=\"a b, c\" x", "password=\"[redacted]\" x"),
            ("{'password': 'a b'}", "{'password': '[redacted]'}"),
            (
                r#"{"password":"a b\"c","x":1}"#,
                r#"{"password":"[redacted]","x":1}"#,
            ),
            (
                r#"{"apiKey" : 123, "x":1}"#,
                r#"{"apiKey" : "[redacted]", "x":1}"#,
            ),
            (r#"{"token":null}"#, r#"{"token":"[redacted]"}"#),
            (
                r#"{"m":"{\"pwd\":\"a b\"}"}"#,
                r#"{"m":"{\"pwd\":\"[redacted]\"}"}"#,
            ),
            ("the password is wrong", "the password is wrong"),
            ("tokens used: 5", "tokens used: 5"),
        ],
    );
}

#[test]
fn redacted_passwords_leave_json_whole() {
    for line in [
        r#"{"password":"a\\","b":"c"}"#,
        r#"{"a":{"secret":-1.5e3}}"#,
        r#"{"secret":{"a":1}}"#,
        r#"{"secret":["a"]}"#,
        r#"{"secret":true}"#,
        r#"{"m":"token=abc"}"#,
        r#"{"m":"token=abc\n"}"#,
    ] {
        let done = named(Builtin::Password, line);
        assert!(
            crate::ship::json::scan(done.as_bytes()).is_some(),
            "{line} {done}"
        );
    }
}

#[test]
fn aws_keys() {
    check(
        Builtin::AwsKey,
        &[
            ("id AKIAIOSFODNN7EXAMPLE.", "id [redacted]."),
            (
                "aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                "aws_secret_access_key=[redacted]",
            ),
            ("AKIASHORT", "AKIASHORT"),
        ],
    );
}

fn ruled(rules: &[(&str, &str)], text: &str) -> Option<String> {
    let mut redact = Redact::default();
    for (pattern, replacement) in rules {
        redact.rule(pattern, replacement).unwrap();
    }
    let done = redact.apply(text.as_bytes(), 100)?;
    Some(String::from_utf8(done.to_vec()).unwrap())
}

#[test]
fn rules_with_groups() {
    let done = |rule, text| ruled(&[rule], text).unwrap();
    assert_eq!(
        done((r"(\w+)=(\w+)", "$2-${1}x$$"), "a=b c=d"),
        "b-ax$ d-cx$"
    );
    assert_eq!(done((r"u=(?P<name>\w)\w*", "u=$name*"), "u=bob"), "u=b*");
    assert_eq!(done(("x", "$"), "axb"), "a$b");
    assert_eq!(done(("b*", "-"), "abc"), "-a-c-");
    assert_eq!(done(("a", ""), "banana"), "bnn");
}

#[test]
fn rules_apply_in_order() {
    assert_eq!(
        ruled(&[("a", "b"), ("b", "c"), ("x", "y")], "ab").as_deref(),
        Some("cc")
    );
    assert_eq!(ruled(&[("x", "y")], "ab"), None);
}

#[test]
fn a_rule_cannot_blow_a_record_up() {
    let long = "y".repeat(50);
    assert_eq!(
        ruled(&[("x", &long), ("y", &long)], "xxxx").unwrap().len(),
        200
    );
}

#[test]
fn what_cannot_be_used() {
    let error = |pattern, replacement| Redact::default().rule(pattern, replacement).is_err();
    assert!(error("(", ""));
    assert!(error("a", "$1"));
    assert!(error("a", "${name}"));
    assert!(error("a", "${1"));
    assert!(!error("(a)", "$1"));
}
