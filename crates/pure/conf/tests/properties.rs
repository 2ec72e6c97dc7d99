//! What holds for every input: nothing is lost, nothing panics, every place exists, junk ends soon.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use conf::{Environment, Loaded, MapFiles, load};
use finding::Report;
use proptest::prelude::*;

fn environment() -> Environment {
    let env: BTreeMap<String, String> = [("HOME".to_string(), "/root".to_string())].into();
    Environment {
        env,
        cwd: "/etc".to_string(),
        hostname: "h".to_string(),
    }
}

fn read(main: &[u8], included: &[u8]) -> Loaded {
    let machine = MapFiles::new()
        .file("/etc/main.conf", main)
        .file("/etc/conf.d/x.conf", included);
    load("main.conf", &machine, &environment())
}

/// The tokens of every file are its bytes, in order.
fn assert_lossless(loaded: &Loaded, expected: &[&[u8]]) {
    for (file, expected) in loaded.tree.iter().zip(expected) {
        assert_eq!(file.bytes(), *expected);
        let mut at = 0;
        for token in file.tokens() {
            assert_eq!(token.range.start, at, "tokens follow each other");
            assert!(token.range.end > at, "no token is empty");
            at = token.range.end;
        }
        assert_eq!(at, file.bytes().len(), "the last token ends the file");
    }
}

/// Every place that is named exists, and the report can be shown.
fn assert_sound(loaded: &Loaded) {
    for finding in &loaded.findings {
        if let Some(span) = &finding.span {
            let file = loaded.tree.iter().find(|file| file.name() == &*span.file);
            let file = file.unwrap_or_else(|| panic!("{} is a file", span.file));
            let lines = 1 + file
                .bytes()
                .iter()
                .filter(|byte| **byte == b'\n' || **byte == b'\r')
                .count();
            assert!(span.line >= 1 && span.line as usize <= lines, "{finding:?}");
            let chars = span.text.chars().count();
            assert!(
                span.text.is_empty() || (span.column + span.length) as usize <= chars + 1,
                "{finding:?}"
            );
        }
    }
    assert_eq!(
        loaded.model.has_errors,
        loaded.findings.iter().any(finding::Finding::is_error)
    );
    let report = Report::new(loaded.findings.clone());
    report.to_json("check");
    for line in report.render_text(80).lines() {
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    for program in &loaded.model.programs {
        for process in &program.processes {
            for index in 0..process.command.words().len() {
                assert!(process.command.span_of_word(index).is_some());
            }
        }
    }
}

/// Pieces of which configurations are made, whole and broken.
fn piece() -> impl Strategy<Value = String> {
    let fragments = vec![
        "[supervisord]",
        "[program:a]",
        "[program:b]",
        "[group:g]",
        "[include]",
        "[DEFAULT]",
        "[steadfast]",
        "[gateway:w]",
        "[upstream:u]",
        "[unix_http_server]",
        "[inet_http_server]",
        "[supervisorctl]",
        "[rpcinterface:x]",
        "[eventlistener:e]",
        "[",
        "]",
        "command=",
        "environment=",
        "programs=a,b",
        "files=conf.d/*.conf",
        "route=/ -> a",
        "listen=gateway",
        "connect=unix:/x",
        "depends_on=a b",
        "numprocs=3",
        "process_name=%(process_num)d",
        "stdout_logfile=/tmp/x",
        "ready=log:(",
        "steadfast_command=x %(socket)s",
        "secrets=A,B",
        "password=x",
        "port=*:1",
        "%(here)s",
        "%(ENV_HOME)s",
        "%%",
        "%",
        "%(",
        "%(x)99999999999d",
        "\"",
        "'",
        "\\",
        "#",
        ";",
        " ;",
        " #",
        "=",
        ":",
        ",",
        " ",
        "  ",
        "\t",
        "\n",
        "\n ",
        "\r",
        "\r\n",
        "\u{feff}",
        "\u{a0}",
        "\u{1c}",
        "\u{e4}",
        "\u{4e16}",
        "\u{1f600}",
        "\u{202e}",
        "\x1b[2J",
        "a",
        "A=1",
        "\0",
    ];
    prop_oneof![9 => proptest::sample::select(fragments).prop_map(str::to_string), 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_are_read_without_loss(main in proptest::collection::vec(piece(), 0..60), included in proptest::collection::vec(piece(), 0..20)) {
        let (main, included) = (main.concat(), included.concat());
        let loaded = read(main.as_bytes(), included.as_bytes());
        assert_lossless(&loaded, &[main.as_bytes(), included.as_bytes()]);
        assert_sound(&loaded);
    }

    #[test]
    fn bytes_are_read_without_loss(main in proptest::collection::vec(any::<u8>(), 0..400)) {
        let loaded = read(&main, b"");
        assert_lossless(&loaded, &[&main]);
        assert_sound(&loaded);
    }

    #[test]
    fn lines_of_pieces_are_read_without_loss(lines in proptest::collection::vec((piece(), piece(), piece()), 0..40)) {
        let main: String = lines.iter().map(|(a, b, c)| format!("{a}{b}{c}\n")).collect();
        let main = format!("[supervisord]\n[include]\nfiles=conf.d/*.conf\n{main}");
        let loaded = read(main.as_bytes(), main.as_bytes());
        assert_lossless(&loaded, &[main.as_bytes(), main.as_bytes()]);
        assert_sound(&loaded);
    }
}

/// A megabyte or two of the same, of every kind that could take long. Unoptimized they take half a second, ten thousand processes three.
#[test]
fn junk_ends_soon() {
    let repeat = |text: &str, bytes: usize| text.repeat(bytes / text.len());
    let one = 1 << 20;
    let cases: Vec<(&str, String)> = vec![
        ("lines without meaning", repeat("x\n", one)),
        (
            "sections",
            (0..one / 10).map(|i| format!("[a{i}]\n")).collect(),
        ),
        (
            "programs",
            (0..one / 60)
                .map(|i| format!("[program:p{i}]\ncommand=cat\nunknown=1\n"))
                .collect(),
        ),
        ("the same key", format!("[a]\n{}", repeat("a=b\n", one))),
        (
            "unknown keys",
            format!(
                "[supervisord]\n{}",
                (0..one / 10)
                    .map(|i| format!("k{i}=1\n"))
                    .collect::<String>()
            ),
        ),
        (
            "semicolons",
            format!(
                "[supervisord]\n[program:a]\ncommand={}",
                repeat("a;#", one - 100)
            ),
        ),
        (
            "quotes",
            format!(
                "[supervisord]\n[program:a]\ncommand={}x",
                repeat("'\"' ", one - 100)
            ),
        ),
        (
            "words",
            format!(
                "[supervisord]\n[program:a]\ncommand={}",
                repeat("a ", one - 100)
            ),
        ),
        (
            "percents",
            format!(
                "[supervisord]\n[program:a]\ncommand={}",
                repeat("%%", one - 100)
            ),
        ),
        (
            "expansions",
            format!(
                "[supervisord]\n[program:a]\ncommand=cat {}",
                repeat("%(here)s", one - 100)
            ),
        ),
        (
            "open parentheses",
            format!(
                "[supervisord]\n[program:a]\ncommand={}",
                repeat("%(", one - 100)
            ),
        ),
        (
            "wide fields",
            format!(
                "[supervisord]\n[program:a]\ncommand={}",
                repeat("%(here)9999s", one - 100)
            ),
        ),
        (
            "variables",
            format!(
                "[supervisord]\n[program:a]\ncommand=cat\nenvironment={}",
                repeat("A=1,", one - 100)
            ),
        ),
        (
            "cut variables",
            format!(
                "[supervisord]\n[program:a]\ncommand=cat\nenvironment={}",
                repeat("A=1;", one - 100)
            ),
        ),
        (
            "continuations",
            format!(
                "[supervisord]\n[program:a]\ncommand=cat\n{}",
                repeat(" x\n", one)
            ),
        ),
        (
            "many processes",
            format!(
                "[supervisord]\n[program:a]\nnumprocs=10000\nprocess_name=%(process_num)d\ncommand=cat {}",
                repeat("x", 100_000)
            ),
        ),
        (
            "members",
            format!(
                "[supervisord]\n[group:g]\nprograms={}a",
                repeat("a,", one - 100)
            ),
        ),
        (
            "names",
            format!(
                "[supervisord]\n[program:a]\ncommand=cat\ndepends_on={}",
                (0..9_000).map(|i| format!("n{i} ")).collect::<String>()
            ),
        ),
        (
            "a chain",
            format!(
                "[supervisord]\n{}",
                (0..9_000)
                    .map(|i| format!("[program:p{i}]\ncommand=cat\ndepends_on=p{}\n", i + 1))
                    .collect::<String>()
            ),
        ),
        (
            "a line of 10 MB",
            format!(
                "[supervisord]\n[program:a]\ncommand={}\n",
                repeat("a", 10 * one)
            ),
        ),
        (
            "stars",
            format!("[supervisord]\n[include]\nfiles={}b", repeat("*a", 10_000)),
        ),
        ("zeros", repeat("\0", one)),
    ];
    for (name, text) in cases {
        let start = Instant::now();
        let loaded = read(text.as_bytes(), b"");
        let took = start.elapsed();
        assert_lossless(&loaded, &[text.as_bytes()]);
        assert!(
            loaded.findings.len() < 1000,
            "{name}: {} findings",
            loaded.findings.len()
        );
        let shown = Report::new(loaded.findings.clone()).render_text(99);
        assert!(
            shown.len() < 1 << 20,
            "{name}: the report has {} bytes",
            shown.len()
        );
        assert!(took < Duration::from_secs(20), "{name} took {took:?}");
    }
}
