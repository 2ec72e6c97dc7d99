//! Properties that hold for every command line, however odd.

use conf::{Environment, MapFiles};
use proptest::prelude::*;
use servers::{Env, Fix, Place, Places, Weight, gateway, guard, held, quote_line, read};

/// Words that mean something to some server, and any others.
fn word() -> impl Strategy<Value = String> {
    let known = vec![
        "uvicorn",
        "gunicorn",
        "fastapi",
        "flask",
        "node",
        "nodemon",
        "npx",
        "tsx",
        "python3",
        "-m",
        "manage.py",
        "env",
        "sh",
        "-c",
        "bash",
        "exec",
        "nice",
        "poetry",
        "run",
        "dev",
        "watch",
        "runserver",
        "--",
        "-",
        "--reload",
        "--no-reload",
        "--host",
        "--port",
        "--port=80",
        "-b",
        "-b:80",
        "-Rb",
        "--uds",
        "--fd",
        "3",
        "--workers",
        "2",
        "-k",
        "a:b",
        "A=B",
        "--watch",
        "--watch-path",
        "--exec",
        "--debug",
        "-i",
        "-u",
        "uvicorn a:b --reload; gunicorn b:c",
        "server.js",
        "--ssl-keyfile",
        "--forwarded-allow-ips",
        "hypercorn",
        "granian",
        "0:80",
        "$(x)",
        "'",
        "-é",
    ];
    prop_oneof![
        8 => prop::sample::select(known).prop_map(str::to_owned),
        1 => "\\PC{0,8}",
    ]
}

fn environment() -> impl Strategy<Value = Env> {
    let names = vec![
        "PORT",
        "HOST",
        "FLASK_DEBUG",
        "UVICORN_RELOAD",
        "UVICORN_FD",
        "GUNICORN_CMD_ARGS",
        "WEB_CONCURRENCY",
    ];
    let values = vec![
        "",
        "1",
        "true",
        "--reload --bind :1",
        "x",
        "'",
        "99999999999",
    ];
    let pair = (prop::sample::select(names), prop::sample::select(values));
    prop::collection::btree_map(
        pair.clone().prop_map(|(n, _)| n.to_owned()),
        pair.prop_map(|(_, v)| v.to_owned()),
        0..4,
    )
}

/// The words of a `command =` as Supervisor's reader sees them.
fn read_back(line: &str) -> Vec<String> {
    let text = format!("[supervisord]\n[program:x]\ncommand = {line}\n");
    let env = Environment {
        env: Env::new(),
        cwd: "/".into(),
        hostname: "host".into(),
    };
    let loaded = conf::load("/c.conf", &MapFiles::new().file("/c.conf", text), &env);
    let found: Vec<_> = loaded
        .model
        .programs
        .iter()
        .flat_map(|p| &p.processes)
        .map(|p| p.command.argv())
        .collect();
    assert_eq!(found.len(), 1, "{line}: {:?}", loaded.findings);
    found.into_iter().flatten().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_makes_it_panic_and_places_are_real(words in prop::collection::vec(word(), 0..12), env in environment()) {
        let server = read(&words, &env);
        let places = Places { socket: Some("/s".into()), port: Some(1), fds: (0..16).collect() };
        for rewrite in [held(&server), gateway(&server)].into_iter().flatten() {
            prop_assert!(rewrite.fill(&places, &env).is_some());
        }
        for flag in guard(&server) {
            for place in flag.places {
                match place {
                    Place::Word(i) => prop_assert!(i < words.len()),
                    Place::Inside { word, start, end } => prop_assert!(words[word].get(start..end).is_some()),
                    Place::Env(name) => prop_assert!(env.contains_key(&name)),
                }
            }
        }
    }

    /// A corrected command line needs no second correction, and handing a socket to it adds no development flag.
    #[test]
    fn a_cure_cures(words in prop::collection::vec(word(), 0..12), env in environment()) {
        let server = read(&words, &env);
        for flag in guard(&server) {
            let Fix::Command { argv, .. } = flag.fix else { continue };
            let again = guard(&read(&argv, &env));
            let left: Vec<_> = again.iter().filter(|f| f.weight == Weight::Refuse && f.rule == flag.rule).collect();
            prop_assert!(left.is_empty(), "{:?} -> {:?}: {:?}", words, argv, left);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// What we print for people to paste is read back by Supervisor's rules as the same words.
    #[test]
    fn quoted_lines_are_read_back(first in "[a-z]{1,5}", rest in prop::collection::vec("[ -~é]{0,10}", 0..5)) {
        let mut words = vec![first];
        words.extend(rest);
        prop_assert_eq!(read_back(&quote_line(&words)), words);
    }
}
