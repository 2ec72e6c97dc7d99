//! Keys in sentences: where they are, what is asked for, what comes out and what lies on disk afterwards.

use secrets::{
    Env, Error, InUse, Origin, Random, Request, Resolved, Secret, Status, SystemRandom, Warning,
    Weakness, find, import, inspect, list, resolve, set, show,
};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

const OLD: &str = "8d1f5b2c9a7e4630f1b8d5c2e9a6730418f5b2c9d6a3e7041b8f5c2d9e6a7304";
const OTHER: &str = "1b8f5c2d9e6a73048d1f5b2c9a7e4630f1b8d5c2e9a6730418f5b2c9d6a3e704";

struct Site {
    _dir: tempfile::TempDir,
    root: PathBuf,
    env: Env,
    env_file: Option<PathBuf>,
    names: Vec<String>,
}

fn site() -> Site {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_owned();
    Site {
        _dir: dir,
        root,
        env: Env::new(),
        env_file: None,
        names: vec!["SECRET_KEY".to_owned()],
    }
}

impl Site {
    fn environment(mut self, value: &str) -> Self {
        self.env.insert("SECRET_KEY".into(), value.into());
        self
    }

    fn env_file(mut self, text: Option<&str>) -> Self {
        let path = self.root.join(".env");
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        self.env_file = Some(path);
        self
    }

    fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.root.join(".env")).unwrap()
    }

    fn with<T>(&self, act: impl FnOnce(&Request<'_>) -> T) -> T {
        act(&Request {
            program: "backend",
            names: &self.names,
            environment: &self.env,
            env_file: self.env_file.as_deref(),
            state_dir: &self.state(),
            owner: None,
            now_unix_s: 1_700_000_000,
            life_s: 1_000,
            in_use: Some(&InUse::nothing()),
        })
    }

    fn resolve(&self) -> Resolved {
        self.with(|r| resolve(r, &mut SystemRandom)).unwrap()
    }

    fn key(&self) -> (String, bool) {
        let resolved = self.resolve();
        (
            resolved.keys[0].secret.expose().to_owned(),
            resolved.keys[0].made,
        )
    }

    fn set(&self, value: &str) -> Result<Origin, Error> {
        self.with(|r| set(r, "SECRET_KEY", &Secret::new(value), &mut SystemRandom))
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn verify_only(resolved: &Resolved) -> Vec<&str> {
    resolved
        .verify_only
        .iter()
        .map(|(_, secret)| secret.expose())
        .collect()
}

#[test]
fn a_key_is_made_once_and_kept_in_the_state_directory() {
    let site = site();
    let (made, first) = site.key();
    assert!(first && made.len() == 64);
    assert_eq!(site.key(), (made, false));
    assert_eq!(mode(&site.state().join("keyring.json")), 0o600);
    assert_eq!(mode(&site.state()), 0o700);
}

#[test]
fn a_key_is_appended_to_the_env_file_and_the_rest_stays() {
    let text = "# mine\nDEBUG = no # x\nLAST='a b'";
    let site = site().env_file(Some(text));
    fs::set_permissions(site.root.join(".env"), fs::Permissions::from_mode(0o644)).unwrap();
    let resolved = site.resolve();
    let key = resolved.keys[0].secret.expose();
    assert_eq!(site.text(), format!("{text}\nSECRET_KEY={key}\n"));
    assert_eq!(mode(&site.root.join(".env")), 0o640);
    let variables: Vec<_> = resolved
        .variables()
        .map(|(n, v)| (n, v.expose().to_owned()))
        .collect();
    assert_eq!(
        variables,
        [
            ("DEBUG", "no".to_owned()),
            ("LAST", "a b".to_owned()),
            ("SECRET_KEY", key.to_owned())
        ]
    );
    assert_eq!(site.key(), (key.to_owned(), false));
    // The keyring knows its number, so that tokens can be signed for it.
    let kept = site.with(|r| secrets::ring(r, "SECRET_KEY")).unwrap();
    assert_eq!((kept.len(), kept[0].id, kept[0].signs), (1, 1, true));
    assert_eq!(mode(&site.state().join("keyring.json")), 0o600);
}

#[test]
fn a_missing_env_file_is_made_for_its_owner_only() {
    let site = site().env_file(None);
    let (key, made) = site.key();
    assert!(made);
    assert_eq!(site.text(), format!("SECRET_KEY={key}\n"));
    assert_eq!(mode(&site.root.join(".env")), 0o600);
}

#[test]
fn an_empty_assignment_is_filled_in() {
    let site = site().env_file(Some("A=1\nSECRET_KEY=\nB=2\n"));
    let (key, made) = site.key();
    assert!(made);
    assert_eq!(site.text(), format!("A=1\nSECRET_KEY={key}\nB=2\n"));
}

#[test]
fn existing_beats_making_and_environment_beats_file_beats_state() {
    assert_eq!(site().environment(OLD).key(), (OLD.to_owned(), false));
    assert_eq!(
        site().env_file(Some(&format!("SECRET_KEY={OLD}"))).key(),
        (OLD.to_owned(), false)
    );

    let site = site()
        .env_file(Some(&format!("SECRET_KEY={OTHER}\n")))
        .environment(OLD);
    let resolved = site.resolve();
    assert_eq!(resolved.keys[0].secret.expose(), OLD);
    assert_eq!(resolved.keys[0].origin, Origin::Environment);
    assert_eq!(verify_only(&resolved), [OTHER]);
    let file = Origin::EnvFile(fs::canonicalize(site.root.join(".env")).unwrap());
    let disagree = Warning::Disagree {
        name: "SECRET_KEY".into(),
        wins: Origin::Environment,
        loses: file,
    };
    assert!(
        resolved.warnings.contains(&disagree),
        "{:?}",
        resolved.warnings
    );
    assert_eq!(site.text(), format!("SECRET_KEY={OTHER}\n"));
}

#[test]
fn a_key_made_before_an_env_file_was_named_still_verifies() {
    let mut site = site();
    let (state_key, _) = site.key();
    site = site.env_file(Some(&format!("SECRET_KEY={OLD}\n")));
    let resolved = site.resolve();
    assert_eq!(resolved.keys[0].secret.expose(), OLD);
    assert_eq!(verify_only(&resolved), [state_key.as_str()]);
    assert!(
        resolved
            .warnings
            .iter()
            .any(|w| matches!(w, Warning::Disagree { .. }))
    );
    // Said once; the file is the home now.
    assert!(
        !site
            .resolve()
            .warnings
            .iter()
            .any(|w| matches!(w, Warning::Disagree { .. }))
    );

    // An env file that lost its line does not make a second one: what it held last is known.
    fs::write(site.root.join(".env"), "A=1\n").unwrap();
    assert_eq!(site.key(), (OLD.to_owned(), false));
}

#[test]
fn a_variable_that_comes_and_goes_does_not_make_a_new_key() {
    let mut site = site();
    let (key, _) = site.key();
    site = site.environment(OLD);
    assert_eq!(site.key().0, OLD);
    site.env.clear();
    assert_eq!(site.key(), (key, false));
}

#[test]
fn setting_a_key_keeps_the_old_one_for_verification() {
    let site = site().env_file(Some(&format!(
        "A=1\nexport SECRET_KEY='{OLD}' # mine\nB=2\n"
    )));
    site.set(OTHER).unwrap();
    assert_eq!(
        site.text(),
        format!("A=1\nexport SECRET_KEY={OTHER} # mine\nB=2\n")
    );
    let resolved = site.resolve();
    assert_eq!(
        (resolved.keys[0].secret.expose(), verify_only(&resolved)),
        (OTHER, vec![OLD])
    );

    let rows = site
        .with(|r| {
            list(&[
                *r,
                Request {
                    program: "worker",
                    ..*r
                },
            ])
        })
        .unwrap();
    let seen: Vec<_> = rows
        .iter()
        .map(|r| (r.status, r.programs.join("+")))
        .collect();
    assert_eq!(
        seen,
        [
            (Status::Signs, "backend+worker".into()),
            (Status::Verifies, "backend+worker".into())
        ]
    );
    assert!(!format!("{rows:?}").contains(OLD) && !format!("{rows:?}").contains(OTHER));
    assert_eq!(
        site.with(|r| show(r, "SECRET_KEY")).unwrap().expose(),
        OTHER
    );
    assert_eq!(
        site.with(|r| show(r, "NO")),
        Err(Error::NoSuchKey { name: "NO".into() })
    );
}

#[test]
fn a_value_that_was_set_and_given_to_no_program_proves_nothing_when_it_is_replaced() {
    let third = OLD.chars().rev().collect::<String>();
    for file in [false, true] {
        let mut site = site();
        if file {
            site = site.env_file(Some(""));
        }
        site.set(OLD).unwrap();
        site.resolve();
        site.set("short").unwrap();
        site.set("short").unwrap();
        site.set(OTHER).unwrap();
        let resolved = site.resolve();
        assert_eq!(resolved.keys[0].secret.expose(), OTHER);
        assert_eq!(verify_only(&resolved), [OLD], "the typo is gone");
        // One that a program was given may have signed tokens, and so may one that comes from elsewhere.
        site.set(&third).unwrap();
        assert_eq!(verify_only(&site.resolve()), [OLD, OTHER]);
        let foreign = format!("{third}{third}");
        site.with(|r| {
            import(
                r,
                "SECRET_KEY",
                &Secret::new(foreign.as_str()),
                &mut SystemRandom,
            )
        })
        .unwrap();
        site.set(OLD).unwrap();
        let verifies = site.resolve();
        assert!(verify_only(&verifies).contains(&foreign.as_str()));
        // Also one that was set here before it was known to have signed elsewhere.
        let moved = format!("{OTHER}{OTHER}");
        site.set(&moved).unwrap();
        let value = Secret::new(moved.as_str());
        site.with(|r| import(r, "SECRET_KEY", &value, &mut SystemRandom))
            .unwrap();
        site.set(&third).unwrap();
        assert!(verify_only(&site.resolve()).contains(&moved.as_str()));
    }
}

#[test]
fn the_program_of_an_upstream_has_its_value_before_it_is_set_here() {
    let site = site().env_file(Some(""));
    let third = OLD.chars().rev().collect::<String>();
    let upstream = |act: &dyn Fn(&Request<'_>)| {
        site.with(|r| {
            act(&Request {
                program: "upstream:legacy",
                ..*r
            });
        });
    };
    for value in [OLD, OTHER, third.as_str()] {
        upstream(&|r| {
            set(r, "SECRET_KEY", &Secret::new(value), &mut SystemRandom).unwrap();
        });
    }
    upstream(&|r| {
        let resolved = resolve(r, &mut SystemRandom).unwrap();
        assert_eq!(verify_only(&resolved), [OLD, OTHER]);
    });
}

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
fn setting_in_the_state_directory_and_what_cannot_be_set() {
    let site = site();
    let (first, _) = site.key();
    site.set("it's fine here: 0123456789abcdef0123456789")
        .unwrap();
    let resolved = site.resolve();
    assert_eq!(
        resolved.keys[0].secret.expose(),
        "it's fine here: 0123456789abcdef0123456789"
    );
    assert_eq!(verify_only(&resolved), [first.as_str()]);

    assert!(matches!(site.set(" "), Err(Error::BadValue { .. })));
    let site = site.env_file(Some(""));
    assert!(matches!(site.set("it's"), Err(Error::BadValue { .. })));
    let site = site.environment(OLD);
    assert!(matches!(
        site.set(OTHER),
        Err(Error::SetInEnvironment { .. })
    ));
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
fn hostile_content_is_an_error_or_a_warning_and_nothing_is_lost() {
    let site = site().env_file(Some(""));
    let path = site.root.join(".env");
    fs::write(&path, [b'A', b'=', 0xff, 0xfe]).unwrap();
    assert!(matches!(
        site.with(|r| resolve(r, &mut SystemRandom)),
        Err(Error::NotAnEnvFile { .. })
    ));
    assert_eq!(fs::read(&path).unwrap().len(), 4);

    fs::write(&path, "a b c\n'\n=\n").unwrap();
    let resolved = site.resolve();
    assert_eq!(
        resolved
            .warnings
            .iter()
            .filter(|w| matches!(w, Warning::Line { .. }))
            .count(),
        3
    );

    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(site.with(|r| resolve(r, &mut SystemRandom)).is_err());
    fs::remove_dir(&path).unwrap();

    let ring = site.state().join("keyring.json");
    for text in [
        "",
        "{",
        "[]",
        r#"{"steadfast_keyring":2,"keys":[]}"#,
        r#"{"steadfast_keyring":"hunter2","keys":[]}"#,
    ] {
        fs::write(&ring, text).unwrap();
        let error = site.with(|r| resolve(r, &mut SystemRandom)).unwrap_err();
        assert!(
            matches!(error, Error::Keyring { .. }) && !error.to_string().contains("hunter2"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&ring).unwrap(), text);
    }
    for name in ["", "A B", "A=B", "1A", "A\n", "é"] {
        let mut site = self::site();
        site.names = vec![name.to_owned()];
        assert!(
            matches!(
                site.with(|r| resolve(r, &mut SystemRandom)),
                Err(Error::BadName { .. })
            ),
            "{name:?}"
        );
    }
}

#[test]
fn no_random_numbers_no_change() {
    struct Dry;
    impl Random for Dry {
        fn fill(&mut self, _: &mut [u8]) -> Result<(), Error> {
            Err(Error::NoSuchKey { name: "dry".into() })
        }
    }
    let site = site().env_file(Some("A=1\n"));
    assert!(site.with(|r| resolve(r, &mut Dry)).is_err());
    assert_eq!(site.text(), "A=1\n");
}

#[test]
fn a_link_stays_a_link() {
    let site = site().env_file(None);
    let real = site.root.join("real");
    fs::write(&real, "A=1\n").unwrap();
    std::os::unix::fs::symlink(&real, site.root.join(".env")).unwrap();
    let (key, _) = site.key();
    assert!(
        fs::symlink_metadata(site.root.join(".env"))
            .unwrap()
            .is_symlink()
    );
    assert_eq!(
        fs::read_to_string(&real).unwrap(),
        format!("A=1\nSECRET_KEY={key}\n")
    );
}

#[test]
fn a_link_that_leads_nowhere_is_not_replaced_by_a_new_key() {
    let site = site();
    let link = site.root.join(".env");
    std::os::unix::fs::symlink(site.root.join("not-mounted-yet"), &link).unwrap();
    let site = Site {
        env_file: Some(link.clone()),
        ..site
    };
    for tried in [
        site.with(|r| resolve(r, &mut SystemRandom)).map(|_| ()),
        site.with(inspect).map(|_| ()),
        site.set(OLD).map(|_| ()),
    ] {
        let words = tried.unwrap_err().to_string();
        assert!(words.contains("a link that leads nowhere"), "{words}");
    }
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    // A key that is known is no new one.
    fs::write(
        site.root.join("not-mounted-yet"),
        format!("SECRET_KEY={OLD}\n"),
    )
    .unwrap();
    assert_eq!(site.key(), (OLD.to_owned(), false));
    fs::remove_file(site.root.join("not-mounted-yet")).unwrap();
    assert_eq!(site.key(), (OLD.to_owned(), false));
}

#[test]
fn many_at_once_agree_on_one_key() {
    let site = site().env_file(Some("A=1\n"));
    let keys: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| site.key().0)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|k| *k == keys[0]));
    assert_eq!(site.text(), format!("A=1\nSECRET_KEY={}\n", keys[0]));
}

/// Runs this test again, alone, in a namespace or as another user; the inner run does the checking.
fn inside(test: &str, wrap: &[&str], script: &str, dir: &Path) {
    let exe = std::env::current_exe().unwrap();
    let line = format!(
        "{script} exec {} '{}' --exact {test} --nocapture",
        wrap.join(" "),
        exe.display()
    );
    let output = Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-ec", &line])
        .env("KEYS_TEST_DIR", dir)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && dir.join("done").exists(),
        "{said}"
    );
}

fn inner() -> Option<Site> {
    let root = PathBuf::from(std::env::var_os("KEYS_TEST_DIR")?);
    let names = vec!["SECRET_KEY".to_owned()];
    let env_file = Some(root.join("app/.env"));
    Some(Site {
        _dir: tempfile::tempdir().unwrap(),
        root,
        env: Env::new(),
        env_file,
        names,
    })
}

#[test]
fn a_bind_mounted_env_file_is_written_in_place() {
    if let Some(site) = inner() {
        let path = site.root.join("app/.env");
        assert!(
            fs::rename(&path, site.root.join("app/x")).is_err(),
            "not a mount point"
        );
        let inode = fs::metadata(&path).unwrap().ino();
        let (key, made) = site.key();
        assert!(made);
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("A=1\nSECRET_KEY={key}\n")
        );
        site.set(OTHER).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("A=1\nSECRET_KEY={OTHER}\n")
        );
        assert_eq!(
            (fs::metadata(&path).unwrap().ino(), mode(&path)),
            (inode, 0o640)
        );
        assert_eq!(fs::read_dir(site.root.join("app")).unwrap().count(), 1);
        fs::write(site.root.join("done"), "").unwrap();
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("app")).unwrap();
    fs::write(dir.path().join("outside"), "A=1\n").unwrap();
    fs::write(dir.path().join("app/.env"), "").unwrap();
    let script = "mount --bind \"$KEYS_TEST_DIR/outside\" \"$KEYS_TEST_DIR/app/.env\";";
    inside(
        "a_bind_mounted_env_file_is_written_in_place",
        &[],
        script,
        dir.path(),
    );
    assert!(
        fs::read_to_string(dir.path().join("outside"))
            .unwrap()
            .contains(OTHER)
    );
}

#[test]
fn a_directory_that_may_not_be_written() {
    if let Some(site) = inner() {
        let path = site.root.join("app/.env");
        assert!(
            fs::write(site.root.join("app/x"), "").is_err(),
            "the directory can be written"
        );
        let (key, made) = site.key();
        assert!(made);
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("A=1\nSECRET_KEY={key}\n")
        );

        // Nothing can be made there: an error that names the file, and no key is handed out.
        let site = Site {
            env_file: Some(site.root.join("app/none")),
            ..site
        };
        assert!(matches!(
            site.with(|r| resolve(r, &mut SystemRandom)),
            Err(Error::Io { .. })
        ));
        fs::write(site.root.join("done"), "").unwrap();
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("app")).unwrap();
    fs::write(dir.path().join("app/.env"), "A=1\n").unwrap();
    fs::write(dir.path().join("outside"), "A=1\n").unwrap();
    let script = "cd \"$KEYS_TEST_DIR\"; mount --bind app app; mount --bind outside app/.env; mount -o remount,bind,ro app;";
    inside(
        "a_directory_that_may_not_be_written",
        &[],
        script,
        dir.path(),
    );
}

#[test]
fn a_leak_ends_the_values_before_it_too() {
    let site = site();
    site.key();
    let rotated = |how| {
        let name = "SECRET_KEY";
        let rotate = |r: &Request<'_>| {
            secrets::rotate(std::slice::from_ref(r), name, how, &mut SystemRandom)
        };
        site.with(rotate).unwrap().remove(0)
    };
    assert_eq!(rotated(secrets::How::Overlap).ended, [0; 0]);
    let leaked = rotated(secrets::How::Compromised);
    assert_eq!(
        (leaked.ended, leaked.old_id, leaked.old),
        (vec![1], 2, secrets::Old::Nothing)
    );
    let ring = site.with(|r| secrets::ring(r, "SECRET_KEY")).unwrap();
    let counts: Vec<(u32, bool)> = ring.iter().map(|key| (key.id, key.compromised)).collect();
    assert_eq!(counts, [(1, true), (2, true), (3, false)]);
    assert!(verify_only(&site.resolve()).is_empty());
}

/// Who is not root reads only what he may anyway.
#[test]
fn root_hands_out_no_file_that_somebodys_link_leads_to() {
    use std::os::unix::fs::lchown;
    let site = site().env_file(None);
    let (secret, link) = (site.root.join("of-another-app"), site.root.join(".env"));
    fs::write(&secret, "TOKEN=1\n").unwrap();
    std::os::unix::fs::symlink(&secret, &link).unwrap();
    if fs::metadata(&secret).unwrap().uid() != 0 {
        return;
    }
    lchown(&link, Some(4_000_001), None).unwrap();
    let refused = site.with(|r| resolve(r, &mut SystemRandom)).unwrap_err();
    assert!(
        refused.to_string().contains("root does not follow it"),
        "{refused}"
    );
    assert_eq!(fs::read_to_string(&secret).unwrap(), "TOKEN=1\n");
    // His own file, and a link of root.
    lchown(&secret, Some(4_000_001), None).unwrap();
    site.resolve();
    lchown(&secret, Some(0), None).unwrap();
    lchown(&link, Some(0), None).unwrap();
    site.resolve();
}
