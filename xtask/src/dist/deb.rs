//! The Debian package, by `dpkg-deb` alone.

use super::{Parts, copy, run_quiet};
use crate::shell::workspace;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Scripts that dpkg runs.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

pub(super) fn build(parts: &Parts, work: &Path, out: &Path) -> Result<PathBuf, String> {
    let root = work.join("deb");
    let packaging = workspace().join("packaging");
    copy(&parts.binary, &root.join("usr/bin/steadfast"))?;
    mode(&root.join("usr/bin/steadfast"), 0o755)?;
    let unit = "lib/systemd/system/steadfast.service";
    copy(&packaging.join("steadfast.service"), &root.join(unit))?;
    copy(
        &packaging.join("supervisord.conf"),
        &root.join("etc/steadfast/supervisord.conf"),
    )?;
    for (shell, place) in [
        ("bash", "usr/share/bash-completion/completions/steadfast"),
        ("zsh", "usr/share/zsh/vendor-completions/_steadfast"),
        ("fish", "usr/share/fish/vendor_completions.d/steadfast.fish"),
    ] {
        copy(&parts.extras.join(shell), &root.join(place))?;
    }
    pages(parts, &root)?;
    documents(parts, &root)?;
    control(parts, &root, &packaging.join("debian"))?;
    let arch = architecture(parts);
    let package = out.join(format!("steadfast_{}_{arch}.deb", parts.version));
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.args(["--root-owner-group", "--build"]);
    dpkg.args(if parts.fast {
        ["-Zgzip", "-z1"]
    } else {
        ["-Zxz", "-z6"]
    });
    run_quiet(dpkg.arg(&root).arg(&package))
        .map_err(|why| format!("{why}\n(dpkg-deb comes with Debian; elsewhere install `dpkg`)"))?;
    Ok(package)
}

fn architecture(parts: &Parts) -> &'static str {
    match parts.machine {
        "aarch64" => "arm64",
        _ => "amd64",
    }
}

fn mode(path: &Path, mode: u32) -> Result<(), String> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(|why| format!("{}: {why}", path.display()))
}

/// Manual pages, compressed as Debian's policy asks (without a time, so that a build can be repeated).
fn pages(parts: &Parts, root: &Path) -> Result<(), String> {
    let dir = root.join("usr/share/man/man1");
    super::copy_all(&parts.extras.join("man"), &dir)?;
    let pages = std::fs::read_dir(&dir).map_err(|why| why.to_string())?;
    let pages: Vec<PathBuf> = pages.flatten().map(|entry| entry.path()).collect();
    run_quiet(Command::new("gzip").args(["-9", "-n"]).args(pages))
}

fn documents(parts: &Parts, root: &Path) -> Result<(), String> {
    let dir = root.join("usr/share/doc/steadfast");
    copy(&workspace().join("CHANGELOG.md"), &dir.join("changelog"))?;
    run_quiet(
        Command::new("gzip")
            .args(["-9", "-n"])
            .arg(dir.join("changelog")),
    )?;
    let mit = std::fs::read_to_string(workspace().join("LICENSE-MIT"))
        .map_err(|why| format!("LICENSE-MIT: {why}"))?;
    let text = format!(
        "Steadfast {} may be used under the MIT license or the Apache License, version 2.0\n(/usr/share/common-licenses/Apache-2.0), as you like.\n\n{mit}",
        parts.version
    );
    let path = dir.join("copyright");
    std::fs::write(&path, text).map_err(|why| format!("{}: {why}", path.display()))
}

fn control(parts: &Parts, root: &Path, templates: &Path) -> Result<(), String> {
    let dir = root.join("DEBIAN");
    std::fs::create_dir_all(&dir).map_err(|why| why.to_string())?;
    let read = |name: &str| {
        std::fs::read_to_string(templates.join(name)).map_err(|why| format!("{name}: {why}"))
    };
    let write = |name: &str, text: &str| {
        std::fs::write(dir.join(name), text).map_err(|why| format!("{name}: {why}"))
    };
    let depends = match parts.glibc {
        None => String::new(),
        Some((major, minor)) => format!("Depends: libc6 (>= {major}.{minor}), libgcc-s1\n"),
    };
    let size = std::fs::metadata(&parts.binary).map_or(0, |meta| meta.len());
    let text = read("control")?
        .replace("@VERSION@", &parts.version)
        .replace("@ARCH@", architecture(parts))
        .replace("@SIZE@", &(size / 1024 + 256).to_string())
        .replace("@DEPENDS@", &depends);
    write("control", &text)?;
    write("conffiles", &read("conffiles")?)?;
    for script in SCRIPTS {
        write(script, &read(script)?)?;
        mode(&dir.join(script), 0o755)?;
    }
    Ok(())
}
