//! What is listed and warned about; looking changes nothing.

use crate::{OLD, OTHER, Site, site};
use secrets::{
    Env, Request, Status, SystemRandom, Warning, Weakness, find, inspect, list, resolve,
};

#[test]
fn a_look_says_what_a_start_would_say_and_writes_nothing() {
    let site = site()
        .env_file(Some("SECRET_KEY=changeme\n"))
        .environment(OTHER);
    let seen = site.with(inspect).unwrap();
    assert_eq!(seen.keys[0].secret.expose(), OTHER);
    assert!(seen.env_file.is_empty(), "a key is no plain variable");
    let disagree = |warning: &Warning| matches!(warning, Warning::Disagree { .. });
    assert!(seen.warnings.iter().any(disagree), "{:?}", seen.warnings);
    assert!(!site.state().exists());
    assert_eq!(site.text(), "SECRET_KEY=changeme\n");

    let weak = Site {
        env: Env::new(),
        ..site
    };
    let seen = weak.with(inspect).unwrap();
    let is_weak = |warning: &&Warning| matches!(warning, Warning::Weak { .. });
    assert_eq!(seen.warnings.iter().filter(is_weak).count(), 2);
    let none = Site {
        env_file: None,
        ..weak
    };
    assert_eq!(none.with(inspect).unwrap().keys, []);
}

#[test]
fn a_list_says_what_is_weak_also_of_what_only_verifies_and_nothing_of_what_is_not_made() {
    let site = site();
    let rows = site.with(|r| list(&[*r])).unwrap();
    assert_eq!(
        (rows.len(), rows[0].weak.len(), rows[0].origin.clone()),
        (1, 0, None)
    );
    site.set("short").unwrap();
    site.resolve();
    site.set(OTHER).unwrap();
    let rows = site.with(|r| list(&[*r])).unwrap();
    assert_eq!((rows[0].unused, rows[1].unused), (true, false));
    let weak: Vec<(Status, usize)> = rows
        .iter()
        .map(|row| (row.status, row.weak.len()))
        .collect();
    assert_eq!(weak, [(Status::Signs, 0), (Status::Verifies, 1)]);
}

#[test]
fn weak_keys_and_homes_that_do_not_last_are_warned_about() {
    let site = site().env_file(Some("SECRET_KEY=changeme\n"));
    let warnings = site.resolve().warnings;
    let weak = |why| Warning::Weak {
        name: "SECRET_KEY".into(),
        why,
    };
    assert!(
        warnings.contains(&weak(Weakness::Example)) && warnings.contains(&weak(Weakness::Short))
    );

    let shm = tempfile::tempdir_in("/dev/shm").unwrap();
    let names = vec!["SECRET_KEY".to_owned()];
    let state = shm.path().join("state");
    let env = Env::new();
    let request = Request {
        program: "x",
        names: &names,
        environment: &env,
        env_file: None,
        state_dir: &state,
        owner: None,
        now_unix_s: 0,
        life_s: 1_000,
        in_use: None,
    };
    let warnings = resolve(&request, &mut SystemRandom).unwrap().warnings;
    assert!(
        warnings
            .iter()
            .any(|w| matches!(w, Warning::Volatile { .. })),
        "{warnings:?}"
    );
}

#[test]
fn reading_writes_nothing() {
    let site = site().env_file(None);
    assert_eq!(site.with(|r| find(r, "SECRET_KEY")), Ok(None));
    assert_eq!(site.with(|r| list(&[*r])).unwrap()[0].weak, []);
    assert!(!site.state().exists() && !site.root.join(".env").exists());
    let missing = |site: &Site| {
        let resolved = site.with(secrets::load_env_file).unwrap();
        resolved
            .warnings
            .iter()
            .any(|w| matches!(w, Warning::NoEnvFile(_)))
    };
    assert!(!missing(&site));
    assert!(missing(&Site {
        names: vec![],
        ..site
    }));
}

#[test]
fn a_list_has_the_newest_value_first_whichever_of_them_signs() {
    let site = site();
    let shown = |site: &Site| -> Vec<(u32, Status)> {
        let rows = site.with(|r| list(&[*r])).unwrap();
        rows.iter().map(|row| (row.id, row.status)).collect()
    };
    let value = |number: u32| format!("{number}{OLD}");
    for number in 1..=3 {
        site.set(&value(number)).unwrap();
        site.resolve();
    }
    let (signs, verifies) = (Status::Signs, Status::Verifies);
    assert_eq!(shown(&site), [(3, signs), (2, verifies), (1, verifies)]);
    for back in [1, 2] {
        site.set(&value(back)).unwrap();
        let status = |id| if id == back { signs } else { verifies };
        let wanted = [3, 2, 1].map(|id| (id, status(id)));
        assert_eq!(shown(&site), wanted);
    }
}
