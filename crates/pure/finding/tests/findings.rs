//! How findings look, what they hide, in which order they come.

use finding::{Certainty, Finding, Report, Span, looks_secret, mask_line, render_finding};

fn at(line: u32, text: &str, marked: &str) -> Span {
    let byte = text.find(marked).expect("the mark is in the text");
    let column = u32::try_from(text[..byte].chars().count() + 1).expect("small");
    let length = u32::try_from(marked.chars().count()).expect("small");
    Span::line("supervisord.conf", line, text).marked(column, length)
}

#[track_caller]
fn check(finding: &Finding, width: usize, expected: &str) {
    let shown = render_finding(finding, width);
    assert_eq!(
        shown,
        expected
            .strip_prefix('\n')
            .expect("begins with a line break"),
        "\n{shown}"
    );
}

#[test]
fn the_picture() {
    let text = "command = uvicorn server:app --host 0.0.0.0 --port 8001 --workers 1 --reload";
    let finding = Finding::error("guard", "development server in production")
        .at(at(12, text, "--reload"))
        .effect("the server restarts whenever a file changes: connections break and people are signed out")
        .fix("write: command = uvicorn server:app --host 0.0.0.0 --port 8001 --workers 1");
    check(
        &finding,
        99,
        "
error: development server in production                                                     [guard]
  supervisord.conf:12  command = uvicorn server:app --host 0.0.0.0 --port 8001 --workers 1 --reload
                                                                                           ^^^^^^^^
  the server restarts whenever a file changes: connections break and people are signed out
  write: command = uvicorn server:app --host 0.0.0.0 --port 8001 --workers 1
",
    );
}

#[test]
fn a_long_line_is_cut_around_its_mark_and_words_are_wrapped() {
    let text = format!("command = {} --reload {}", "a".repeat(200), "b".repeat(200));
    let finding = Finding::warning(
        "SF101",
        "a message that is longer than the line of forty columns",
    )
    .certainty(Certainty::Likely)
    .at(at(3, &text, "--reload"));
    check(
        &finding,
        60,
        "
warning: a message that is longer than the line of forty
  columns                                     likely [SF101]
  supervisord.conf:3  …aaaaaaaaaaaaaaaaaaaaaaa --reload bbb…
                                               ^^^^^^^^
",
    );
}

#[test]
fn related_places_follow_and_a_place_without_text_is_a_place() {
    let finding = Finding::note("x", "two of them")
        .at(Span::line("a.conf", 7, ""))
        .related("the other is here", at(2, "  colour = 1", "colour"))
        .hint("keep one");
    check(
        &finding,
        99,
        "
note: two of them                                                                               [x]
  a.conf:7
  the other is here
  supervisord.conf:2  colour = 1
                      ^^^^^^
  keep one
",
    );
}

#[test]
fn a_long_file_name_gets_a_line_of_its_own() {
    let name = format!("/etc/{}/supervisord.conf", "deep/".repeat(10));
    let finding =
        Finding::note("x", "m").at(Span::line(name.as_str(), 1, "colour = 1").marked(1, 6));
    let shown = render_finding(&finding, 99);
    assert!(
        shown.contains(":1\n    colour = 1\n    ^^^^^^\n"),
        "{shown}"
    );
}

#[test]
fn control_characters_are_shown_and_wide_ones_counted() {
    let finding = Finding::error("x", "it says \x1b[31m and \u{202e}")
        .at(at(1, "a\x07\u{4e16}\u{754c}\tb --x", "--x"))
        .effect("\r\n");
    check(
        &finding,
        60,
        "
error: it says \\x1b[31m and \\u{202e}                     [x]
  supervisord.conf:1  a\\x07\u{4e16}\u{754c} b --x
                                  ^^^
  \\r\\n
",
    );
}

#[test]
fn no_secret_is_shown() {
    let cases = [
        ("SECRET_KEY=abc", "SECRET_KEY=****"),
        ("password = a b c", "password = ****"),
        ("  password: x ; why", "  password: ****"),
        (
            "environment=A=1,API_TOKEN='a,b',B=2",
            "environment=A=1,API_TOKEN='****',B=2",
        ),
        (
            "environment=A=1,API_TOKEN=ab,B=2",
            "environment=A=1,API_TOKEN=****,B=2",
        ),
        (
            "command = x --api-key abc --y",
            "command = x --api-key **** --y",
        ),
        (
            "command = x --api-key=abc --y",
            "command = x --api-key=**** --y",
        ),
        (
            "command = env TOKEN=\"a b\" x",
            "command = env TOKEN=\"****\" x",
        ),
        ("KEY=\"never closed, here", "KEY=\"****"),
        (
            "db = postgres://u:p@ss@h/x,redis://:pw@h",
            "db = postgres://u:****@h/x,redis://:****@h",
        ),
        ("{\"token\": \"abc\"}", "{\"token\": \"****\"}"),
        (
            "secrets = SECRET_KEY, JWT_KEY",
            "secrets = SECRET_KEY, JWT_KEY",
        ),
        (
            "env = SECRET_KEY=%(ENV_SECRET_KEY)s",
            "env = SECRET_KEY=%(ENV_SECRET_KEY)s",
        ),
        ("keepalive = 30s", "keepalive = 30s"),
        (
            "url = http://127.0.0.1:8001/x@y",
            "url = http://127.0.0.1:8001/x@y",
        ),
        ("SECRET_KEY=", "SECRET_KEY="),
        // Code is shown by the names in it, without the texts.
        (
            "KEY = os.environ['SECRET_KEY']",
            "KEY = os.environ['SECRET_KEY']",
        ),
        (
            "SECRET_KEY = os.getenv(\"SECRET_KEY\") or secrets.token_hex(32)",
            "SECRET_KEY = os.getenv(\"SECRET_KEY\") or secrets.token_hex(32)",
        ),
        (
            "KEY = os.getenv('SECRET_KEY', 'abc') or \"def\"",
            "KEY = os.getenv('SECRET_KEY', '****') or \"****\"",
        ),
        (
            "const secret = process.env.JWT_SECRET || 'abc'",
            "const secret = process.env.JWT_SECRET || '****'",
        ),
        (
            "app.secret_key = os.urandom(24)",
            "app.secret_key = os.urandom(24)",
        ),
        ("KEY = os.environ[\"never closed", "KEY = ****"),
        ("KEY = token_hex(32abc)", "KEY = ****"),
        (
            "app.config['SECRET_KEY'] = 'abc'",
            "app.config['SECRET_KEY'] = '****'",
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(mask_line(line), expected);
    }
}

#[test]
fn names_of_secrets() {
    for name in [
        "SECRET_KEY",
        "jwt-secret",
        "--db-password",
        "AWS_ACCESS_KEY_ID",
        "GITHUB_TOKEN",
        "PGPASSWORD",
        "SENTRY_DSN",
    ] {
        assert!(looks_secret(name), "{name}");
    }
    for name in [
        "PORT",
        "LOG_LEVEL",
        "secrets",
        "PWD",
        "PATH",
        "keepalive",
        "--timeout-keep-alive",
    ] {
        assert!(!looks_secret(name), "{name}");
    }
}

#[test]
fn a_mark_on_a_secret_marks_the_mask() {
    let finding = Finding::error("x", "m").at(at(1, "A=1,KEY=abcdefgh,B=2", "cde"));
    let shown = render_finding(&finding, 60);
    assert!(
        shown.contains("A=1,KEY=****,B=2\n                              ^^^^\n"),
        "{shown}"
    );
    assert!(!finding.to_json().to_string().contains("abcdefgh"));
}

#[test]
fn a_report_sorts_counts_and_sums_up() {
    let report = Report::new(vec![
        Finding::note("n", "third"),
        Finding::error("e", "second").at(Span::line("b.conf", 1, "x")),
        Finding::warning("w", "w").at(Span::line("a.conf", 9, "x")),
        Finding::error("e", "first").at(Span::line("a.conf", 10, "x")),
        Finding::error("e", "zeroth").at(Span::line("a.conf", 9, "x").marked(1, 1)),
    ]);
    let order: Vec<&str> = report
        .findings()
        .iter()
        .map(|f| f.message.as_str())
        .collect();
    assert_eq!(order, ["zeroth", "first", "second", "w", "third"]);
    assert_eq!(report.summary(), "3 errors, 1 warning, 1 note");
    assert!(
        report
            .render_text(99)
            .ends_with("3 errors, 1 warning, 1 note\n")
    );
    assert_eq!(Report::new(Vec::new()).render_text(99), "");
}

#[test]
fn the_envelope() {
    let finding = Finding::error("guard", "m")
        .certainty(Certainty::Proved)
        .at(at(12, "x --reload", "--reload"))
        .fix("write: x");
    let expected = serde_json::json!({
        "steadfast": 1, "kind": "check", "errors": 1, "warnings": 0, "notes": 0,
        "findings": [{
            "code": "guard", "severity": "error", "certainty": "proved", "message": "m", "file": "supervisord.conf", "line": 12,
            "column": 3, "length": 8, "text": "x --reload", "fix": "write: x",
        }],
    });
    assert_eq!(Report::new(vec![finding]).to_json("check"), expected);
}
