//! The corpus: for each case the findings as people see them, and the model in a few words, beside the case in `NAME.expected`.
//!
//! After a change that is meant: `UPDATE_EXPECTED=1 cargo test -p conf --test corpus`, and read the difference.

mod common;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use conf::{Environment, Loaded, MapFiles, Program, Spanned, load};
use finding::Report;

fn machine(case: &common::Case) -> MapFiles {
    let machine = MapFiles::new()
        .dir("/root")
        .user("daemon", 1, 1, "/usr/sbin");
    case.files.iter().fold(machine, |machine, (name, content)| {
        machine.file(&format!("/etc/app/{name}"), content.as_str())
    })
}

fn loaded(case: &common::Case) -> Loaded {
    let pairs = [
        ("HOME", "/root"),
        ("PORT", "8001"),
        ("WORD", "two words"),
        ("API_TOKEN", "hunter4"),
    ];
    let env: BTreeMap<String, String> = pairs
        .into_iter()
        .map(|(n, v)| (n.to_string(), v.to_string()))
        .collect();
    let environment = Environment {
        env,
        cwd: "/etc/app".to_string(),
        hostname: "host1".to_string(),
    };
    load("supervisord.conf", &machine(case), &environment)
}

fn shown(loaded: &Loaded) -> String {
    let mut out = Report::new(loaded.findings.clone()).render_text(99);
    let model = &loaded.model;
    if out.is_empty() {
        out.push_str("no findings\n");
    }
    out.push_str("---\n");
    if !model.supervisord.environment.is_empty() {
        writeln!(out, "environment {:?}", model.supervisord.environment).expect("written");
    }
    for group in &model.groups {
        writeln!(
            out,
            "group {} {} {:?}",
            group.name, group.priority, group.programs
        )
        .expect("written");
    }
    for program in &model.programs {
        program_shown(&mut out, program);
    }
    let debug: Vec<String> = model
        .unix_http
        .iter()
        .map(|x| format!("{x:?}"))
        .chain(model.inet_http.iter().map(|x| format!("{x:?}")))
        .collect();
    for server in debug.iter().chain(
        &model
            .ctl
            .iter()
            .map(|ctl| format!("{ctl:?}"))
            .collect::<Vec<_>>(),
    ) {
        writeln!(out, "{}", without_spans(server)).expect("written");
    }
    if model.closed != conf::Closed::default() {
        writeln!(out, "{:?}", model.closed).expect("written");
    }
    for line in model
        .steadfast
        .iter()
        .map(|x| format!("{x:?}"))
        .chain(model.gateways.iter().map(|x| format!("{x:?}")))
        .chain(model.upstreams.iter().map(|x| format!("{x:?}")))
        .chain(
            model
                .sessions
                .iter()
                .map(|x| format!("{x:?} store set {}", x.store.value != "sqlite")),
        )
    {
        writeln!(out, "{}", without_spans(&line)).expect("written");
    }
    out
}

/// What differs from a program in which only the command is set.
fn program_shown(out: &mut String, program: &Program) {
    writeln!(out, "program {}:{}", program.group, program.name).expect("written");
    let mut line = |name: &str, set: bool, value: String| {
        if set {
            writeln!(out, "  {name} = {value}").expect("written");
        }
    };
    fn of<T: std::fmt::Debug>(value: &Spanned<T>) -> String {
        format!("{:?}", value.value)
    }
    line("priority", program.priority.is_set(), of(&program.priority));
    line(
        "autostart",
        program.autostart.is_set(),
        of(&program.autostart),
    );
    line(
        "autorestart",
        program.autorestart.is_set(),
        of(&program.autorestart),
    );
    line(
        "startsecs",
        program.startsecs.is_set(),
        of(&program.startsecs),
    );
    line(
        "startretries",
        program.startretries.is_set(),
        of(&program.startretries),
    );
    line(
        "exitcodes",
        program.exitcodes.is_set(),
        of(&program.exitcodes),
    );
    line(
        "stopsignal",
        program.stopsignal.is_set(),
        program.stopsignal.name().to_string(),
    );
    line(
        "stopwaitsecs",
        program.stopwaitsecs.is_set(),
        of(&program.stopwaitsecs),
    );
    line(
        "stopasgroup",
        program.stopasgroup.is_set(),
        of(&program.stopasgroup),
    );
    line(
        "killasgroup",
        program.killasgroup.value,
        of(&program.killasgroup),
    );
    line(
        "user",
        program.user.is_some(),
        format!("{:?}", program.user.as_ref().map(|u| (u.uid, u.gid))),
    );
    line(
        "umask",
        program.umask.is_some(),
        format!("{:?}", program.umask.as_ref().map(|u| u.value)),
    );
    line(
        "redirect_stderr",
        program.redirect_stderr.is_set(),
        of(&program.redirect_stderr),
    );
    line(
        "serverurl",
        program.serverurl.is_some(),
        format!("{:?}", program.serverurl.as_ref().map(|u| &u.value)),
    );
    line("listen", program.listen.is_set(), of(&program.listen));
    line(
        "secrets",
        !program.secrets.is_empty(),
        format!(
            "{:?}",
            program.secrets.iter().map(|s| &s.value).collect::<Vec<_>>()
        ),
    );
    line(
        "tokens",
        program.tokens != conf::Tokens::default(),
        tokens(&program.tokens),
    );
    line(
        "prove",
        program.prove.is_some(),
        format!(
            "{:?} {:?}",
            program.prove.as_ref().map(|it| &it.value),
            program.prove_user.as_ref().map(|it| &it.value)
        ),
    );
    line(
        "ready",
        program.ready.is_some(),
        format!("{:?}", program.ready.as_ref().map(|r| &r.value)),
    );
    line(
        "ready_host",
        program.ready_host.is_set(),
        of(&program.ready_host),
    );
    line(
        "ready_timeout",
        program.ready_timeout.is_set(),
        of(&program.ready_timeout),
    );
    line(
        "keepalive",
        program.keepalive.is_some(),
        format!("{:?}", program.keepalive.as_ref().map(|k| k.value)),
    );
    line(
        "unhealthy",
        program.unhealthy.is_set(),
        of(&program.unhealthy),
    );
    line("replace", program.replace.is_set(), of(&program.replace));
    line(
        "drain_timeout",
        program.drain_timeout.is_set(),
        of(&program.drain_timeout),
    );
    line(
        "restart_window",
        program.restart_window.is_set(),
        of(&program.restart_window),
    );
    line(
        "depends_on",
        !program.depends_on.is_empty(),
        format!(
            "{:?}",
            program
                .depends_on
                .iter()
                .map(|s| &s.value)
                .collect::<Vec<_>>()
        ),
    );
    for process in &program.processes {
        line(
            "process",
            true,
            format!("{} {}", process.name, process.process_num),
        );
        line("  argv", true, format!("{:?}", process.command.argv()));
        line(
            "  steadfast",
            process.steadfast_command.is_some(),
            format!("{:?}", process.steadfast_command.as_ref().map(|t| t.argv())),
        );
        line(
            "  environment",
            !process.environment.is_empty(),
            format!("{:?}", process.environment),
        );
        line(
            "  directory",
            process.directory.is_some(),
            format!("{:?}", process.directory.as_ref().map(|d| &d.value)),
        );
        line(
            "  env_file",
            process.env_file.is_some(),
            format!("{:?}", process.env_file.as_ref().map(|d| &d.value)),
        );
        for (name, log) in [("  stdout", &process.stdout), ("  stderr", &process.stderr)] {
            line(
                name,
                log.file.is_set(),
                format!("{:?} {} {}", log.file.value, log.maxbytes, log.backups),
            );
        }
    }
}

/// `Debug` without the places, which the findings show.
fn without_spans(debug: &str) -> String {
    let mut out = String::new();
    let mut rest = debug;
    while let Some((before, after)) = rest.split_once("Span {") {
        out.push_str(before);
        out.push('@');
        // A span ends with its text, whose closing quote is followed by ` }`.
        rest = after.split_once("\" }").map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    out
}

#[test]
fn every_case_is_read_and_reported_as_expected() {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut wrong = Vec::new();
    for case in common::corpus() {
        let got = shown(&loaded(&case));
        let path = common::corpus_dir().join(format!("{}.expected", case.name));
        if update {
            fs::write(&path, &got).expect("written");
        } else if fs::read_to_string(&path).unwrap_or_default() != got {
            wrong.push(format!("--- {}\n{got}", case.name));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} cases changed:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn a_case_that_is_stricter_has_an_error() {
    for case in common::corpus() {
        let loaded = loaded(&case);
        assert_eq!(
            loaded.model.has_errors,
            loaded.findings.iter().any(finding::Finding::is_error),
            "{}",
            case.name
        );
        assert!(
            !case.stricter || loaded.model.has_errors,
            "{} has no error",
            case.name
        );
        assert!(
            !case.partly || !loaded.model.has_errors,
            "{} has an error",
            case.name
        );
    }
}

#[test]
fn no_line_is_wider_than_a_terminal_or_drives_it() {
    for case in common::corpus() {
        for width in [40, 60, 99] {
            let text = Report::new(loaded(&case).findings).render_text(width);
            for line in text.lines() {
                // A correction is there to be copied and is never broken.
                let fits = line.chars().count() <= width
                    || line.trim_start().starts_with("write:")
                    || line.contains("supervisor.rpc");
                assert!(fits, "{}: {line}", case.name);
                assert!(
                    !line.chars().any(|c| c.is_control() || c == '\u{202e}'),
                    "{}: {line}",
                    case.name
                );
            }
        }
    }
}

#[test]
fn no_secret_of_the_corpus_is_shown() {
    for case in common::corpus() {
        let findings = loaded(&case).findings;
        let shown = Report::new(findings.clone()).render_text(99)
            + &Report::new(findings).to_json("check").to_string();
        for secret in [
            "abc-def",
            "hunter2",
            "hunter3",
            "hunter4",
            "abcdef",
            ":pw@",
            "very secret",
            "do not show",
        ] {
            assert!(
                !shown.contains(secret),
                "{}: {secret} in\n{shown}",
                case.name
            );
        }
    }
}

fn tokens(tokens: &conf::Tokens) -> String {
    let text = |it: &Option<Spanned<String>>| it.as_ref().map(|it| it.value.clone());
    format!(
        "signing {:?} alg {:?} claims {:?} cookie {:?} fallbacks {:?} lifetime {:?}",
        text(&tokens.signing),
        text(&tokens.alg),
        text(&tokens.claims),
        text(&tokens.cookie),
        tokens.fallbacks.as_ref().map(|it| &it.value),
        tokens.lifetime.as_ref().map(|it| it.value),
    )
}
