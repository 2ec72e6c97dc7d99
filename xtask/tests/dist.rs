//! What `cargo xtask dist` packs is installed into clean places and tried. The binary is the one that the tests
//! build: what is tried is the packing.
#![allow(missing_docs)]

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

#[path = "dist/installed.rs"]
mod installed;

fn output(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|why| panic!("{command:?}: {why}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The debug binary; built already when the whole workspace is tested.
fn binary() -> PathBuf {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--locked", "--package", "steadfast"]);
    output(build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")));
    let xtask = Path::new(env!("CARGO_BIN_EXE_xtask"));
    xtask.with_file_name("steadfast")
}

fn package(dir: &Path, end: &str) -> PathBuf {
    let found = std::fs::read_dir(dir)
        .expect("packages")
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.to_string_lossy().ends_with(end));
    found.unwrap_or_else(|| panic!("no {end} in {}", dir.display()))
}

/// Runs an installed binary as systemd would and waits until it says that it is ready.
fn becomes_ready(binary: &Path, dir: &Path) {
    std::fs::create_dir_all(dir).expect("a directory");
    let config = dir.join("supervisord.conf");
    let text = format!(
        "[supervisord]\nlogfile = {dir}/log\npidfile = {dir}/pid\nchildlogdir = {dir}\n[steadfast]\nrun_dir = {dir}/run\nstate_dir = {dir}/state\n[program:web]\ncommand = sleep 1000\n",
        dir = dir.display()
    );
    std::fs::write(&config, text).expect("written");
    let socket = UnixDatagram::bind(dir.join("notify")).expect("bound");
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("set");
    let mut root = Command::new(binary)
        .args(["run", "-c"])
        .arg(&config)
        .env("NOTIFY_SOCKET", dir.join("notify"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("started");
    let mut words = [0u8; 64];
    let mut said = || {
        let count = socket.recv(&mut words).expect("word from it");
        String::from_utf8_lossy(&words[..count]).into_owned()
    };
    assert_eq!(said(), "READY=1");
    let status = output(Command::new(binary).arg("-c").arg(&config).arg("status"));
    assert!(status.contains("web"), "{status}");
    output(Command::new(binary).arg("-c").arg(&config).arg("shutdown"));
    assert_eq!(said(), "STOPPING=1");
    assert!(root.wait().expect("ended").success());
}

/// The directory of the packages.
fn packed(dir: &Path) -> PathBuf {
    let out = dir.join("dist");
    output(
        Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(["dist", "--fast", "--binary"])
            .arg(binary())
            .arg("--out")
            .arg(&out),
    );
    out
}

#[test]
fn the_deb_installs_into_a_bare_debian_and_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().expect("a directory");
    let out = packed(temporary.path());
    installed::into_a_bare_debian(&package(&out, ".deb"), temporary.path());
}

#[test]
fn each_package_installs_into_a_clean_place_and_runs() {
    let temporary = tempfile::tempdir().expect("a directory");
    let dir = temporary.path();
    let out = packed(dir);
    debian(&package(&out, ".deb"), dir);
    wheel(&package(&out, ".whl"), dir);
    let unpacked = dir.join("tar");
    std::fs::create_dir(&unpacked).expect("made");
    let tarball = package(&out, ".tar.gz");
    output(
        Command::new("tar")
            .arg("-xzf")
            .arg(&tarball)
            .arg("-C")
            .arg(&unpacked),
    );
    let top = package(&unpacked, "-linux");
    let version = output(Command::new(top.join("bin/steadfast")).arg("--version"));
    assert!(version.starts_with("steadfast "), "{version}");
}

fn debian(package: &Path, dir: &Path) {
    let fields = output(Command::new("dpkg-deb").arg("-f").arg(package));
    assert!(fields.contains("Package: steadfast\n"), "{fields}");
    assert!(fields.contains("Depends: libc6 (>= 2."), "{fields}");
    let root = dir.join("deb");
    output(Command::new("dpkg-deb").arg("-x").arg(package).arg(&root));
    let control = dir.join("control");
    output(
        Command::new("dpkg-deb")
            .arg("-e")
            .arg(package)
            .arg(&control),
    );
    let conffiles = std::fs::read_to_string(control.join("conffiles")).expect("conffiles");
    for file in conffiles.lines() {
        assert!(root.join(file.trim_start_matches('/')).is_file(), "{file}");
    }
    for script in ["postinst", "prerm", "postrm"] {
        output(Command::new("sh").arg("-n").arg(control.join(script)));
    }
    let unit = std::fs::read_to_string(root.join("lib/systemd/system/steadfast.service"));
    let unit = unit.expect("a unit");
    for line in ["Type=notify", "KillMode=mixed", "Delegate=yes"] {
        assert!(unit.lines().any(|there| there == line), "{line}");
    }
    let page = root.join("usr/share/man/man1/steadfast.1.gz");
    let page = output(Command::new("gzip").arg("-dc").arg(page));
    assert!(page.contains(".TH"), "{page}");
    assert!(
        root.join("usr/share/man/man1/steadfast-restart.1.gz")
            .is_file()
    );
    let completions = root.join("usr/share/bash-completion/completions/steadfast");
    output(Command::new("bash").arg("-n").arg(completions));
    let binary = root.join("usr/bin/steadfast");
    // postinst makes its directory of logs; here another one stands for it.
    let config = std::fs::read_to_string(root.join("etc/steadfast/supervisord.conf"));
    let config = config
        .expect("a configuration")
        .replace("/var/log/steadfast", &dir.display().to_string());
    std::fs::write(dir.join("etc.conf"), config).expect("written");
    output(Command::new(&binary).arg("check").arg(dir.join("etc.conf")));
    becomes_ready(&binary, &dir.join("as-deb"));
}

fn wheel(package: &Path, dir: &Path) {
    let venv = dir.join("venv");
    output(Command::new("python3").args(["-m", "venv"]).arg(&venv));
    let bin = venv.join("bin");
    output(
        Command::new(bin.join("pip"))
            .args([
                "install",
                "--no-index",
                "--no-deps",
                "--disable-pip-version-check",
            ])
            .arg(package),
    );
    let steadfast = bin.join("steadfast");
    let version = output(Command::new(&steadfast).arg("--version"));
    assert!(version.starts_with("steadfast "), "{version}");
    // A supervisord that is there is somebody's; it stays.
    std::fs::write(bin.join("supervisord"), "somebody's").expect("written");
    let refused = Command::new(&steadfast).arg("links").output().expect("run");
    assert_eq!(refused.status.code(), Some(1));
    let there = std::fs::read_to_string(bin.join("supervisord")).expect("there");
    assert_eq!(there, "somebody's");
    std::fs::remove_file(bin.join("supervisord")).expect("removed");
    output(Command::new(&steadfast).arg("links"));
    let version = output(Command::new(bin.join("supervisord")).arg("--version"));
    assert!(version.starts_with("4."), "Supervisor's version: {version}");
    output(Command::new(&steadfast).args(["links", "--remove"]));
    assert!(!bin.join("supervisorctl").exists());
    becomes_ready(&steadfast, &dir.join("as-wheel"));
    let files = output(Command::new(bin.join("pip")).args(["show", "-f", "steadfast"]));
    assert!(files.contains("bin/steadfast"), "{files}");
}
