//! What tests and benches need beside Rust, on a bare Debian 12: packages of the distribution and a venv.
//!
//! Versions: Debian's are fixed by the release; those of the venv by `requirements.txt`.

mod collection;
pub(crate) mod debian;

use crate::shell::{note, output, run, target, which, workspace};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program and the Debian package that has it.
pub(crate) struct Needed {
    /// Looked up first: what is there is used.
    pub(crate) program: &'static str,
    /// Installed otherwise.
    pub(crate) package: &'static str,
}

/// For the tests.
pub(crate) const TESTS: [Needed; 9] = [
    // superlance's memmon asks it.
    Needed {
        program: "ps",
        package: "procps",
    },
    Needed {
        program: "python3",
        package: "python3",
    },
    Needed {
        program: "node",
        package: "nodejs",
    },
    Needed {
        program: "npm",
        package: "npm",
    },
    Needed {
        program: "unshare",
        package: "util-linux",
    },
    Needed {
        program: "mount",
        package: "mount",
    },
    // The snippets of docs/forward-auth.md run under them.
    Needed {
        program: "nginx",
        package: "nginx-light",
    },
    Needed {
        program: "caddy",
        package: "caddy",
    },
    // The store's tests start a server of their own from it; Debian's own cluster is not used.
    Needed {
        program: "/usr/lib/postgresql/15/bin/initdb",
        package: "postgresql-15",
    },
];

/// For the browser client.
pub(crate) const BROWSER: [Needed; 3] = [
    Needed {
        program: "node",
        package: "nodejs",
    },
    Needed {
        program: "npm",
        package: "npm",
    },
    Needed {
        program: "chromium",
        package: "chromium",
    },
];

/// For the benches.
pub(crate) const BENCHES: [Needed; 3] = [
    Needed {
        program: "nginx",
        package: "nginx-light",
    },
    Needed {
        program: "wrk",
        package: "wrk",
    },
    Needed {
        program: "s6-svscan",
        package: "s6",
    },
];

/// Installs what is not there.
pub(crate) fn packages(needed: &[Needed]) -> Result<(), String> {
    let missing: Vec<&str> = needed
        .iter()
        .filter(|each| which(each.program).is_none())
        .map(|each| each.package)
        .collect();
    install(&missing)?;
    for each in needed {
        match which(each.program) {
            Some(path) => note(&format!("have {}: {}", each.program, path.display())),
            None => {
                return Err(format!(
                    "{} is missing although package {} was installed",
                    each.program, each.package
                ));
            }
        }
    }
    Ok(())
}

fn install(packages: &[&str]) -> Result<(), String> {
    if packages.is_empty() {
        return Ok(());
    }
    note(&format!(
        "installing Debian packages: {}",
        packages.join(" ")
    ));
    let install = || {
        run(apt()
            .args(["install", "-y", "--no-install-recommends"])
            .args(packages))
    };
    // Fresh images have no package lists, old ones have stale ones; both are mended by an update.
    install().or_else(|_| {
        run(apt().arg("update"))?;
        install()
    })
}

fn apt() -> Command {
    privileged("apt-get")
}

/// Whether the stamp says that something was made with this.
pub(crate) fn is_made(stamp: &Path, with: &str) -> bool {
    std::fs::read_to_string(stamp).is_ok_and(|made| made == with)
}

/// A program that only root may run.
fn privileged(program: &str) -> Command {
    let mut command = if rustix::process::geteuid().is_root() {
        Command::new(program)
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["--preserve-env=DEBIAN_FRONTEND", program]);
        sudo
    };
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Makes the venv of `requirements.txt`, or finds the one that was made from the same.
pub(crate) fn venv() -> Result<PathBuf, String> {
    let venv = target().join("venv");
    let stamp = venv.join("requirements.txt");
    let wanted_path = workspace().join("xtask/requirements.txt");
    let wanted = std::fs::read_to_string(&wanted_path)
        .map_err(|error| format!("{}: {error}", wanted_path.display()))?;
    if is_made(&stamp, &wanted) {
        note(&format!("have the venv {}", venv.display()));
        collection::supervisorctl(&venv)?;
        return Ok(venv);
    }
    let python = python()?;
    note(&format!(
        "making the venv {} with:\n{}",
        venv.display(),
        wanted.trim_end()
    ));
    run(Command::new(python)
        .args(["-m", "venv", "--clear"])
        .arg(&venv))?;
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
    ];
    run(Command::new(venv.join("bin/python"))
        .args(pip)
        .arg(&wanted_path))?;
    std::fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
    let list = output(Command::new(venv.join("bin/python")).args([
        "-m",
        "pip",
        "list",
        "--format=freeze",
        "--disable-pip-version-check",
    ]))?;
    note(&format!(
        "installed in it: {}",
        list.split_whitespace().collect::<Vec<_>>().join(" ")
    ));
    collection::supervisorctl(&venv)?;
    Ok(venv)
}

/// Programs of npm's that the doctor is tried on, and what an example needs, with fixed versions.
const NODE: [&str; 3] = ["nodemon@3.1.14", "vite@6.4.6", "jose@5.10.0"];

/// Installs them below the target directory, or finds them there.
pub(crate) fn node() -> Result<PathBuf, String> {
    let node = target().join("node");
    let stamp = node.join("steadfast-stamp");
    let wanted = NODE.join("\n");
    if is_made(&stamp, &wanted) {
        note(&format!("have {}", node.display()));
        return Ok(node);
    }
    std::fs::create_dir_all(&node).map_err(|error| format!("{}: {error}", node.display()))?;
    note(&format!(
        "installing in {}: {}",
        node.display(),
        NODE.join(" ")
    ));
    run(Command::new("npm")
        .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
        .arg(&node)
        .args(NODE))?;
    std::fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
    Ok(node)
}

/// A Python that can make venvs.
fn python() -> Result<PathBuf, String> {
    let able = |python: &PathBuf| {
        output(Command::new(python).args(["-c", "import venv, ensurepip"])).is_ok()
    };
    if let Some(python) = which("python3").filter(able) {
        return Ok(python);
    }
    install(&["python3", "python3-venv"])?;
    [which("python3"), Some(PathBuf::from("/usr/bin/python3"))]
        .into_iter()
        .flatten()
        .find(able)
        .ok_or_else(|| {
            "no Python that can make a venv, although python3-venv was installed".to_owned()
        })
}
