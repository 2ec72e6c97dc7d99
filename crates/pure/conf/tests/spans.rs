//! Every word of a command knows its place in the file, through continuation lines, expansions and quotes.

use std::collections::BTreeMap;

use conf::{Environment, MapFiles, Model, load};

fn model(config: &str) -> Model {
    let env: BTreeMap<String, String> = [("FLAGS".to_string(), "--x --y".to_string())].into();
    let environment = Environment {
        env,
        cwd: "/etc/app".to_string(),
        hostname: "h".to_string(),
    };
    let machine = MapFiles::new()
        .file("/etc/app/supervisord.conf", config)
        .file("/etc/app/conf.d/none", "");
    let loaded = load("supervisord.conf", &machine, &environment);
    assert!(!loaded.model.has_errors, "{:?}", loaded.findings);
    loaded.model
}

/// The words of the first command, each with the line and the characters of the file that it stands for.
#[track_caller]
fn check(config: &str, expected: &[(&str, u32, &str)]) {
    let model = model(config);
    let command = &model.programs[0].processes[0].command;
    let got: Vec<(String, u32, String)> = (0..command.words().len())
        .map(|index| {
            let span = command.span_of_word(index).expect("a place");
            let marked = span
                .text
                .chars()
                .skip(span.column as usize - 1)
                .take(span.length as usize)
                .collect();
            (command.argv()[index].clone(), span.line, marked)
        })
        .collect();
    let got: Vec<(&str, u32, &str)> = got
        .iter()
        .map(|(word, line, marked)| (word.as_str(), *line, marked.as_str()))
        .collect();
    assert_eq!(got, expected);
}

#[test]
fn words_of_one_line() {
    check(
        "[supervisord]\n[program:a]\n  command = uvicorn  'server: app' --re\\load ; why\n",
        &[
            ("uvicorn", 3, "uvicorn"),
            ("server: app", 3, "'server: app'"),
            ("--reload", 3, "--re\\load"),
        ],
    );
}

#[test]
fn words_of_continuation_lines() {
    check(
        "[supervisord]\n[program:a]\ncommand = uvicorn\n\n   ; no\n   \u{e4}:app --reload # yes\n\t--x\n",
        &[
            ("uvicorn", 3, "uvicorn"),
            ("\u{e4}:app", 6, "\u{e4}:app"),
            ("--reload", 6, "--reload"),
            ("--x", 7, "--x"),
        ],
    );
}

#[test]
fn words_of_expansions() {
    check(
        "[supervisord]\n[program:a]\ncommand = a%%b %(ENV_FLAGS)s z=%(program_name)s-%(process_num)02d!\n",
        &[
            ("a%b", 3, "a%%b"),
            ("--x", 3, "%(ENV_FLAGS)s"),
            ("--y", 3, "%(ENV_FLAGS)s"),
            ("z=a-00!", 3, "z=%(program_name)s-%(process_num)02d!"),
        ],
    );
}

#[test]
fn words_where_the_directory_was_put_in_as_text() {
    check(
        "[supervisord]\n[include]\nfiles = conf.d/*\n[program:a]\ncommand = %(here)s/run --config=%(here)s/%(program_name)s.toml\n",
        &[
            ("/etc/app/run", 5, "%(here)s/run"),
            (
                "--config=/etc/app/a.toml",
                5,
                "--config=%(here)s/%(program_name)s.toml",
            ),
        ],
    );
}

#[test]
fn a_part_of_a_word() {
    let model = model("[supervisord]\n[program:a]\ncommand = sh -c 'exec uvicorn x --reload'\n");
    let command = &model.programs[0].processes[0].command;
    let at = command.as_str().find("--reload").expect("there");
    let span = command.span_of(at..at + 8).expect("a place");
    assert_eq!((span.line, span.column, span.length), (3, 33, 8));
}

#[test]
fn values_know_their_places_and_defaults_have_none() {
    let model =
        model("[supervisord]\n[program:a]\ncommand = cat\nstartsecs = 10 ; long\nlisten=gateway\n");
    let program = &model.programs[0];
    let span = program.startsecs.span.as_ref().expect("set");
    assert_eq!((span.line, span.column, span.length), (4, 13, 2));
    assert!(program.listen.is_set() && !program.autostart.is_set());
    assert_eq!(program.header.line, 2);
}
