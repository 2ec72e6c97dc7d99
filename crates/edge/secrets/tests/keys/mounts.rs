//! Files and directories that cannot be replaced: each test runs again in a namespace of its own.

use crate::{OTHER, Site, mode};
use secrets::{Env, Error, SystemRandom, resolve};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

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
        "mounts::a_bind_mounted_env_file_is_written_in_place",
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
        "mounts::a_directory_that_may_not_be_written",
        &[],
        script,
        dir.path(),
    );
}
