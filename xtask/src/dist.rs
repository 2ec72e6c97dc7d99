//! `cargo xtask dist`: one binary in three wrappings, for people who have no Rust.
//!
//! The binary is for musl where that target is installed (no library at all), else for glibc, with libc and libgcc as
//! its only libraries: glibc cannot be linked statically without losing user look-ups (NSS). What it needs is read
//! from the binary itself and written into the packages.

mod deb;
mod wheel;

use crate::shell::{cargo, note, output, run, say, target, which, workspace};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target without libraries.
const MUSL: &str = "x86_64-unknown-linux-musl";

/// What is packed.
pub(crate) struct Parts {
    pub(crate) version: String,
    /// `x86_64`, `aarch64`.
    pub(crate) machine: &'static str,
    /// The stripped binary.
    pub(crate) binary: PathBuf,
    /// `(2, 34)`: the least glibc; None = it needs none.
    pub(crate) glibc: Option<(u32, u32)>,
    /// Directory with man pages and completions.
    pub(crate) extras: PathBuf,
    /// Little compression: the packages are only tried.
    pub(crate) fast: bool,
}

struct Options {
    binary: Option<PathBuf>,
    out: PathBuf,
    fast: bool,
}

fn options(words: &[&str]) -> Result<Options, String> {
    let mut options = Options {
        binary: None,
        out: target().join("dist"),
        fast: false,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || {
            let path = words.next().ok_or(format!("{word} needs a path"))?;
            Ok::<PathBuf, String>(PathBuf::from(path))
        };
        match *word {
            "--binary" => options.binary = Some(value()?),
            "--out" => options.out = value()?,
            "--fast" => options.fast = true,
            other => return Err(format!("dist has no option {other}")),
        }
    }
    Ok(options)
}

/// Builds and packs.
pub(crate) fn pack(words: &[&str]) -> Result<(), String> {
    let options = options(words)?;
    let binary = match options.binary {
        Some(binary) => binary,
        None => release()?,
    };
    let io = |what: &Path| {
        let what = what.display().to_string();
        move |why: std::io::Error| format!("{what}: {why}")
    };
    let work = options.out.join("work");
    let _ = std::fs::remove_dir_all(&work);
    let extras = work.join("extras");
    std::fs::create_dir_all(&extras).map_err(io(&extras))?;
    let stripped = work.join("steadfast");
    std::fs::copy(&binary, &stripped).map_err(io(&binary))?;
    match which("strip") {
        Some(strip) => run_quiet(Command::new(strip).arg(&stripped))?,
        None => note("there is no `strip`: the binary keeps its symbols"),
    }
    let glibc = glibc(&std::fs::read(&stripped).map_err(io(&stripped))?);
    match glibc {
        None => say("the binary needs no library"),
        Some((major, minor)) => say(&format!(
            "the binary needs glibc {major}.{minor} or newer, and libgcc"
        )),
    }
    run_quiet(
        Command::new(&stripped)
            .arg("man")
            .arg("--dir")
            .arg(extras.join("man")),
    )?;
    for shell in ["bash", "zsh", "fish"] {
        let text = output(Command::new(&stripped).args(["completions", shell]))?;
        let path = extras.join(shell);
        std::fs::write(&path, text).map_err(io(&path))?;
    }
    let parts = Parts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        machine: std::env::consts::ARCH,
        binary: stripped,
        glibc,
        extras,
        fast: options.fast,
    };
    let packages = [
        tarball(&parts, &work, &options.out)?,
        deb::build(&parts, &work, &options.out)?,
        wheel::build(&parts, &options.out)?,
    ];
    for package in packages {
        let size = std::fs::metadata(&package).map_or(0, |meta| meta.len());
        say(&format!("{}  {} KB", package.display(), size / 1024));
    }
    std::fs::remove_dir_all(&work).map_err(io(&work))
}

pub(crate) fn run_quiet(command: &mut Command) -> Result<(), String> {
    output(command).map(|_| ())
}

/// The release binary, for musl if that is installed.
fn release() -> Result<PathBuf, String> {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let libraries = output(rustc.args(["--print", "target-libdir", "--target", MUSL]))?;
    let musl = std::env::consts::ARCH == "x86_64" && Path::new(libraries.trim()).exists();
    let mut command = cargo();
    command.args(["build", "--release", "--locked", "--package", "steadfast"]);
    if musl {
        run(command.args(["--target", MUSL]))?;
        return Ok(target().join(MUSL).join("release/steadfast"));
    }
    note(&format!(
        "{MUSL} is not installed (rustup target add {MUSL}): the binary is for glibc"
    ));
    run(&mut command)?;
    Ok(target().join("release/steadfast"))
}

/// The newest version of glibc that the binary asks for by name.
fn glibc(bytes: &[u8]) -> Option<(u32, u32)> {
    let mark = b"GLIBC_2.";
    let versions = bytes
        .windows(mark.len())
        .enumerate()
        .filter(|(_, window)| window == mark)
        .filter_map(|(at, _)| {
            let digits = bytes[at + mark.len()..].iter();
            let text: String = digits
                .take_while(|byte| byte.is_ascii_digit())
                .map(|byte| char::from(*byte))
                .collect();
            text.parse().ok()
        });
    versions.max().map(|minor| (2, minor))
}

/// Everything under one directory, for people who copy files.
fn tarball(parts: &Parts, work: &Path, out: &Path) -> Result<PathBuf, String> {
    let name = format!("steadfast-{}-{}-linux", parts.version, parts.machine);
    let dir = work.join(&name);
    let root = workspace();
    copy(&parts.binary, &dir.join("bin/steadfast"))?;
    copy_all(&parts.extras.join("man"), &dir.join("share/man/man1"))?;
    for shell in ["bash", "zsh", "fish"] {
        copy(
            &parts.extras.join(shell),
            &dir.join("completions").join(shell),
        )?;
    }
    for file in [
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "README.md",
        "packaging/steadfast.service",
    ] {
        let name = Path::new(file).file_name().unwrap_or_default();
        copy(&root.join(file), &dir.join(name))?;
    }
    let package = out.join(format!("{name}.tar.gz"));
    run_quiet(
        Command::new("tar")
            .env("GZIP", if parts.fast { "-1" } else { "-9" })
            .args(["--owner=0", "--group=0", "--sort=name", "-C"])
            .arg(work)
            .arg("-czf")
            .arg(&package)
            .arg(&name),
    )?;
    Ok(package)
}

/// Copies a file, with the directories above it.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |why: std::io::Error| format!("{} -> {}: {why}", from.display(), to.display());
    if let Some(dir) = to.parent() {
        std::fs::create_dir_all(dir).map_err(failed)?;
    }
    std::fs::copy(from, to).map(|_| ()).map_err(failed)
}

/// Copies every file of a directory.
pub(crate) fn copy_all(from: &Path, to: &Path) -> Result<(), String> {
    let entries = std::fs::read_dir(from).map_err(|why| format!("{}: {why}", from.display()))?;
    for entry in entries.flatten() {
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_glibc_counts() {
        assert_eq!(
            glibc(b"\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.17\0"),
            Some((2, 34))
        );
        assert_eq!(glibc(b"no version"), None);
    }
}
