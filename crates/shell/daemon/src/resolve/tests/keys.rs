//! Keys of programs and upstreams, and what a gateway is told of them.

use routes::Target;

use super::{case, config_of, value};

#[test]
fn keys_are_made_once_and_stay() {
    let case = case();
    let text = "[program:a]\ncommand = cat\nsecrets = SECRET_KEY\nstdout_logfile = NONE\nstderr_logfile = NONE\n";
    let first = case.spec(text);
    let key = value(&first, "SECRET_KEY").expect("made").to_owned();
    assert!(key.len() >= 32);
    assert_eq!(case.spec(text).hash, first.hash);
    assert_eq!(value(&case.spec(text), "SECRET_KEY"), Some(key.as_str()));
}

#[test]
fn two_apps_with_a_key_of_one_name_do_not_share_their_rings() {
    let case = case();
    for name in ["a", "b"] {
        let file = case.dir.path().join(format!("{name}.env"));
        std::fs::write(file, format!("KEY=of-{name}\n")).expect("written");
    }
    let one = |name: &str, port: u16| {
        format!(
            "[program:{name}]\ncommand = uvicorn x:y --port {port}\nlisten = gateway\nsecrets = KEY\nenv_file = DIR/{name}.env\n\
             stdout_logfile = NONE\nstderr_logfile = NONE\n"
        )
    };
    for _ in 0..2 {
        let mut resolved = case.resolve(&format!("{}{}", one("a", 8001), one("b", 8002)));
        let said = format!("{:?}", resolved.findings);
        assert!(!said.contains("differs"), "{said}");
        let config = config_of(&mut resolved);
        for (name, id) in [("a", 1), ("b", 2)] {
            let Some(Target::Program { jwt: Some(jwt), .. }) = config.targets.get(name) else {
                panic!("{config:?}");
            };
            let keys: Vec<_> = jwt
                .keys
                .iter()
                .map(|key| (key.id, key.secret.clone()))
                .collect();
            assert_eq!(keys, [(id, format!("of-{name}"))]);
        }
    }
}

#[test]
fn a_dry_run_says_what_is_wrong_with_keys() {
    let case = case();
    let said = |text: &str| {
        let resolved = case.dry(&format!(
            "[program:app]\ncommand = cat\nstdout_logfile = NONE\nstderr_logfile = NONE\nsecrets = SECRET_KEY\n{text}"
        ));
        let words = resolved.findings.iter().filter(|it| it.code == "secrets");
        words.map(|it| it.message.clone()).collect::<Vec<_>>()
    };
    let made = said("env_file = DIR/gone\nnumprocs = 2\nprocess_name = %(process_num)d\n");
    assert_eq!(made.len(), 1, "{made:#?}");
    assert!(
        made[0].contains("gone, which does not exist: it will be made"),
        "{made:#?}"
    );
    std::fs::write(case.dir.path().join(".env"), "SECRET_KEY=changeme\n").expect("written");
    let weak = said("env_file = DIR/.env\n").join("\n");
    assert!(
        weak.contains("SECRET_KEY is weak: it is an example"),
        "{weak}"
    );
    let differ = said("env_file = DIR/.env\nenvironment = SECRET_KEY=\"other\"\n").join("\n");
    assert!(
        differ.contains("SECRET_KEY differs between the environment and"),
        "{differ}"
    );
}

#[test]
fn a_dry_run_says_what_going_back_and_a_rotation_would_lose() {
    let case = case();
    let said = |keys: &str| {
        let resolved = case.dry(&format!(
            "[program:app]\ncommand = uvicorn server:app --port 8001\nstdout_logfile = NONE\nstderr_logfile = NONE\n\
             secrets = SECRET_KEY\n{keys}"
        ));
        let notes = resolved
            .findings
            .iter()
            .filter(|it| it.code == "secrets" && it.severity == finding::Severity::Note);
        let text = |it: &finding::Finding| {
            let lines = finding::render_finding(it, finding::WIDTH_COLUMNS_MAX);
            lines.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        notes.map(text).collect::<Vec<_>>()
    };
    let with = |keys: &str, wanted: &[&str]| {
        let said = said(keys);
        assert_eq!(said.len(), wanted.len(), "{keys}{said:#?}");
        for (said, wanted) in said.iter().zip(wanted) {
            assert!(said.contains(wanted), "{keys}{said}");
        }
    };
    let in_file = "env_file = DIR/.env\n";
    let back = "back under Supervisor everyone stays signed in if the app reads that file itself";
    with(in_file, &[back]);
    with("", &["alone, where Supervisor does not look"]);
    let ends = "JWTs in Authorization go on; cookies and links that it signs with SECRET_KEY itself do not";
    with(&format!("{in_file}listen = gateway\n"), &[back, ends]);
    // What exists: nothing more is said of a file.
    let key = "8d1f5b2c9a7e4630".repeat(4);
    std::fs::write(case.dir.path().join(".env"), format!("SECRET_KEY={key}\n")).expect("written");
    with(in_file, &[]);
    with(&format!("{in_file}listen = gateway\n"), &[ends]);
    let read = "listen = gateway\nsecrets_fallbacks = OLDER:json\n";
    with(&format!("{in_file}{read}"), &[]);
    // Made, and kept here alone.
    let made = "[program:app]\ncommand = cat\nstdout_logfile = NONE\nstderr_logfile = NONE\nsecrets = SECRET_KEY\n";
    case.resolve(made);
    with("", &["back under Supervisor it would be gone"]);
    with(
        "env_file = DIR/other.env\n",
        &[
            "to be able to go back, put it into its env_file: steadfast secrets show SECRET_KEY --program app | steadfast secrets import",
        ],
    );
}

#[test]
fn a_dry_run_says_when_a_wrong_key_is_found_too_late() {
    let case = case();
    let said = |keys: &str| {
        let resolved = case.dry(&format!(
            "[program:app]\ncommand = uvicorn server:app --port 8001\nstdout_logfile = NONE\nstderr_logfile = NONE\n\
             secrets = SECRET_KEY\n{keys}"
        ));
        let notes = resolved.findings.iter().filter(|it| it.code == "prove");
        notes.count()
    };
    let proved = "listen = gateway\nprove = /verify\n";
    assert_eq!(said(proved), 1);
    for silent in [
        "listen = gateway\n".to_owned(),
        "prove = /verify\n".to_owned(),
        format!("{proved}replace = overlap\n"),
        format!("{proved}replace = hold\n"),
    ] {
        assert_eq!(said(&silent), 0, "{silent}");
    }
}

#[test]
fn the_key_of_an_upstream_is_never_made() {
    let case = case();
    let text = "[gateway:web]\nlisten = 127.0.0.1:80\nroute = / -> legacy\n[upstream:legacy]\nconnect = 127.0.0.1:81\n\
                env_file = DIR/legacy.env\nsecrets = SECRET_KEY\n";
    for dry in [true, false] {
        let resolved = case.resolved(text, dry);
        let said = |it: &&finding::Finding| it.message.contains("nobody here knows its SECRET_KEY");
        let finding = resolved.findings.iter().find(said).expect("a finding");
        // Asked elsewhere, it may be where it runs.
        assert_eq!(finding.is_error(), !dry);
        assert!(resolved.active.gateway.upstreams.is_empty());
        assert!(!case.dir.path().join("legacy.env").exists());
    }
    let key = "8d1f5b2c9a7e4630".repeat(4);
    std::fs::write(
        case.dir.path().join("legacy.env"),
        format!("SECRET_KEY={key}\n"),
    )
    .expect("written");
    let resolved = case.resolve(text);
    assert!(
        !resolved.findings.iter().any(finding::Finding::is_error),
        "{:#?}",
        resolved.findings
    );
    assert_eq!(resolved.active.gateway.upstreams.len(), 1);
}
