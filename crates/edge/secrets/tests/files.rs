//! Files of keys in directories of others: what their owners put there, also while we are at work.

use secrets::{
    End, Env, Error, How, InUse, Random, Request, Resolved, Secret, SystemRandom, list, resolve,
    rotate, set,
};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

const OLD: &str = "8d1f5b2c9a7e4630f1b8d5c2e9a6730418f5b2c9d6a3e7041b8f5c2d9e6a7304";
const NEW: &str = "1b8f5c2d9e6a73048d1f5b2c9a7e4630f1b8d5c2e9a6730418f5b2c9d6a3e704";
/// Nobody on this machine.
const SOMEBODY: u32 = 4_000_001;
/// Something that waits for ever is found by this.
const PATIENCE: Duration = Duration::from_secs(60);

/// An app whose directory is another user's, with its env file at `app/.env`.
struct Site {
    _dir: tempfile::TempDir,
    root: PathBuf,
}

fn site(text: &str) -> Site {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_owned();
    fs::create_dir(root.join("app")).unwrap();
    fs::write(root.join("app/.env"), text).unwrap();
    Site { _dir: dir, root }
}

impl Site {
    fn with<T>(&self, act: impl FnOnce(&Request<'_>) -> T) -> T {
        act(&Request {
            program: "backend",
            names: &["SECRET_KEY".to_owned()],
            environment: &Env::new(),
            env_file: Some(&self.root.join("app/.env")),
            state_dir: &self.root.join("state"),
            owner: None,
            now_unix_s: 1_700_000_000,
            life_s: 1_000,
            in_use: Some(&InUse::nothing()),
        })
    }

    fn resolve(&self, random: &mut dyn Random) -> Result<Resolved, Error> {
        self.with(|r| resolve(r, random))
    }

    fn rotate(&self, how: How, random: &mut dyn Random) -> Result<(), Error> {
        self.with(|r| rotate(&[*r], "SECRET_KEY", how, random))
            .map(|_| ())
    }

    fn set(&self, value: &str, random: &mut dyn Random) -> Result<(), Error> {
        let value = Secret::new(value);
        self.with(|r| set(r, "SECRET_KEY", &value, random))
            .map(|_| ())
    }

    /// Numbers and what they are, as a list shows them.
    fn listed(&self) -> String {
        let mut rows = self.with(|r| list(&[*r])).unwrap();
        rows.sort_by_key(|row| row.id);
        let row = |row: &secrets::Listed| format!("{} {:?}", row.id, row.status);
        rows.iter().map(row).collect::<Vec<_>>().join(", ")
    }

    fn keyring(&self) -> String {
        fs::read_to_string(self.root.join("state/keyring.json")).unwrap()
    }
}

/// Does something when it is asked, and that is after a file was read and before it is written.
struct Meanwhile<F>(Option<F>);

impl<F: FnOnce()> Random for Meanwhile<F> {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        if let Some(act) = self.0.take() {
            act();
        }
        SystemRandom.fill(bytes)
    }
}

#[test]
fn a_directory_that_is_exchanged_meanwhile_gets_nothing_of_anothers_file() {
    type Act = fn(&Site, &mut dyn Random) -> Result<(), Error>;
    let acts: [(&str, Act); 3] = [
        ("made", |site, random| site.resolve(random).map(|_| ())),
        (OLD, |site, random| site.set(NEW, random)),
        (OLD, |site, random| site.rotate(How::Overlap, random)),
    ];
    for (before, act) in acts {
        let before = match before {
            "made" => "DEBUG=1\n".to_owned(),
            key => format!("SECRET_KEY={key}\n"),
        };
        let site = site(&before);
        let at = |name: &str| site.root.join(name);
        fs::create_dir(at("theirs")).unwrap();
        fs::write(at("theirs/.env"), "SECRET_KEY=theirs\n").unwrap();
        fs::set_permissions(at("theirs/.env"), fs::Permissions::from_mode(0o600)).unwrap();
        let of_theirs = || fs::metadata(at("theirs/.env")).unwrap().ino();
        let inode = of_theirs();
        let mut exchange = Meanwhile(Some(|| {
            fs::rename(at("app"), at("away")).unwrap();
            symlink("theirs", at("app")).unwrap();
            if fs::metadata(at("away")).unwrap().uid() == 0 {
                std::os::unix::fs::lchown(at("app"), Some(SOMEBODY), None).unwrap();
            }
        }));
        act(&site, &mut exchange).unwrap();
        assert!(exchange.0.is_none());
        let text = |path: PathBuf| fs::read_to_string(path).unwrap();
        assert_eq!(text(at("theirs/.env")), "SECRET_KEY=theirs\n");
        assert_eq!(of_theirs(), inode);
        assert_eq!(fs::read_dir(at("theirs")).unwrap().count(), 1);
        let own = text(at("away/.env"));
        assert!(own.contains("SECRET_KEY=") && !own.contains(OLD), "{own}");
    }
}

#[test]
fn nothing_waits_for_a_fifo_in_the_place_of_an_env_file() {
    let site = site("");
    let path = site.root.join("app/.env");
    fs::remove_file(&path).unwrap();
    let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
    rustix::fs::mknodat(rustix::fs::CWD, &path, fifo, mode, 0).unwrap();
    let (send, said) = std::sync::mpsc::channel();
    std::thread::spawn(move || send.send(site.resolve(&mut SystemRandom).map(|_| ())));
    let said = said.recv_timeout(PATIENCE).expect("it does not wait");
    assert!(matches!(said, Err(Error::NotAnEnvFile { .. })), "{said:?}");
}

/// Makes the env file one that can be read and not be written any more.
fn shut(path: &Path) {
    let immutable = fs::Permissions::from_mode(0o500);
    fs::set_permissions(path.parent().unwrap(), immutable).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o400)).unwrap();
}

#[test]
fn a_change_that_fails_leaves_no_value_behind() {
    for exchanged in [false, true] {
        let site = site(&format!("SECRET_KEY={OLD}\n"));
        let path = site.root.join("app/.env");
        site.resolve(&mut SystemRandom).unwrap();
        let before = (site.keyring(), site.listed());
        assert_eq!(before.1, "1 Signs");
        // Either it cannot be written at all, or it is found out at the very end, when the keyring has been written.
        let end = || match exchanged {
            true => {
                fs::write(site.root.join("app/new"), format!("SECRET_KEY={OLD}\n")).unwrap();
                fs::rename(site.root.join("app/new"), &path).unwrap();
            }
            false => shut(&path),
        };
        if !exchanged && rustix::process::geteuid().is_root() {
            continue;
        }
        for how in [How::Overlap, How::Compromised] {
            for _ in 0..=secrets::VERIFY_MAX {
                let failed = site.rotate(how, &mut Meanwhile(Some(end)));
                assert!(matches!(failed, Err(Error::Io { .. })), "{failed:?}");
            }
        }
        assert!(site.set(NEW, &mut Meanwhile(Some(end))).is_err());
        assert_eq!((site.keyring(), site.listed()), before);
        let files = fs::read_dir(site.root.join("app")).unwrap().count();
        assert_eq!(files, 1, "nothing is left beside it");
        let dir = fs::Permissions::from_mode(0o700);
        fs::set_permissions(site.root.join("app"), dir).unwrap();
    }
}

#[test]
fn a_rotation_of_a_compromised_key_that_was_cut_short_is_ended() {
    let site = site(&format!("A=1\nSECRET_KEY={OLD}\n"));
    let path = site.root.join("app/.env");
    let finish = || {
        site.with(|r| secrets::finish(r, "SECRET_KEY", &mut SystemRandom))
            .unwrap()
    };
    site.resolve(&mut SystemRandom).unwrap();
    assert!(!finish(), "nothing was rotated");
    site.rotate(How::Compromised, &mut SystemRandom).unwrap();
    let new = fs::read_to_string(&path).unwrap();
    assert!(!finish(), "it has ended");
    // The keyring was written, and the power went.
    fs::write(&path, format!("A=1\nSECRET_KEY={OLD}\n")).unwrap();
    assert_eq!(site.listed(), "1 Compromised, 2 Verifies");
    assert!(finish());
    assert_eq!(fs::read_to_string(&path).unwrap(), new);
    assert_eq!(site.listed(), "1 Compromised, 2 Signs");
    // Somebody wants it so.
    fs::write(&path, format!("SECRET_KEY={OLD}\n")).unwrap();
    site.resolve(&mut SystemRandom).unwrap();
    assert!(!finish());
    assert_eq!(site.listed(), "1 Compromised, 2 Verifies");
}

#[test]
fn a_value_that_was_given_up_is_not_taken_again() {
    let site = site(&format!("SECRET_KEY={OLD}\n"));
    site.resolve(&mut SystemRandom).unwrap();
    site.rotate(How::Compromised, &mut SystemRandom).unwrap();
    let before = site.keyring();
    assert!(matches!(
        site.set(OLD, &mut SystemRandom),
        Err(Error::GivenUp { .. })
    ));
    let old = Secret::new(OLD);
    let imported = site.with(|r| secrets::import(r, "SECRET_KEY", &old, &mut SystemRandom));
    assert!(matches!(imported, Err(Error::GivenUp { .. })));
    assert_eq!(site.keyring(), before);
}

#[test]
fn a_retired_value_of_another_installation_ends_when_its_tokens_have() {
    let site = site(&format!("SECRET_KEY={OLD}\n"));
    site.resolve(&mut SystemRandom).unwrap();
    let (now_s, until_s) = (1_700_000_000, 1_700_000_300);
    let values = [
        (Secret::new(NEW), End::After(1_000)),
        (Secret::new("until then"), End::Until(until_s)),
        (Secret::new("announced"), End::Open),
    ];
    let taken = site.with(|r| secrets::admit(r, "SECRET_KEY", &values, &mut SystemRandom));
    assert_eq!(taken, Ok(3));
    site.resolve(&mut SystemRandom).unwrap();
    let kept = site.with(|r| secrets::ring(r, "SECRET_KEY")).unwrap();
    let ends: Vec<u64> = kept.iter().map(|kept| kept.until_unix_s).collect();
    assert_eq!(ends, [0, now_s + 1_000, until_s, 0]);
}
