//! Ansible's `community.general.supervisorctl`, the module that playbooks for Supervisor use.
//!
//! On PyPI the collection `community.general` is found only inside the `ansible` wheel (54 MB packed, 600 MB on the
//! disk). One module of it is needed, so the wheel is downloaded, three files are taken out and the rest goes. They
//! are kept in the venv, where a collection's path has to look for them.

use crate::shell::{note, run};
use std::io::Read;
use std::path::Path;
use std::process::Command;

/// Made for the `ansible-core` of `requirements.txt` (its metadata asks for `~=2.19.5`).
const ANSIBLE: &str = "ansible==12.3.0";

/// Where the collection is inside the wheel, and below the venv's `collections`.
const GENERAL: &str = "ansible_collections/community/general";

/// What makes one module of it usable: who the collection is, which names it forwards, the module.
const FILES: [&str; 3] = [
    "MANIFEST.json",
    "meta/runtime.yml",
    "plugins/modules/supervisorctl.py",
];

/// The largest of them has 42 kB; what is much larger is not what we mean.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Puts the module into the venv, or finds it there.
pub(super) fn supervisorctl(venv: &Path) -> Result<(), String> {
    let collections = venv.join("collections");
    let stamp = collections.join("steadfast-stamp");
    if super::is_made(&stamp, ANSIBLE) {
        note(&format!(
            "have community.general.supervisorctl of {ANSIBLE}: {}",
            collections.display()
        ));
        return Ok(());
    }
    note(&format!(
        "taking community.general.supervisorctl out of {ANSIBLE}, into {}",
        collections.display()
    ));
    let _ = std::fs::remove_dir_all(&collections);
    let download = venv.join("download");
    let _ = std::fs::remove_dir_all(&download);
    let pip = ["-m", "pip", "download", "--quiet", "--no-deps"];
    run(Command::new(venv.join("bin/python"))
        .args(pip)
        .args(["--disable-pip-version-check", "--dest"])
        .arg(&download)
        .arg(ANSIBLE))?;
    let taken = take(&download, &collections);
    let _ = std::fs::remove_dir_all(&download);
    taken?;
    std::fs::write(&stamp, ANSIBLE).map_err(|why| format!("{}: {why}", stamp.display()))
}

/// Takes [`FILES`] out of the one wheel in `download`.
fn take(download: &Path, collections: &Path) -> Result<(), String> {
    let failed = |what: &Path, why: &dyn std::fmt::Display| format!("{}: {why}", what.display());
    let wheel = std::fs::read_dir(download)
        .map_err(|why| failed(download, &why))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "whl"))
        .ok_or_else(|| failed(download, &"pip downloaded no wheel"))?;
    let file = std::fs::File::open(&wheel).map_err(|why| failed(&wheel, &why))?;
    let mut zip = zip::ZipArchive::new(file).map_err(|why| failed(&wheel, &why))?;
    for file in FILES {
        let name = format!("{GENERAL}/{file}");
        let entry = zip
            .by_name(&name)
            .map_err(|why| failed(&wheel, &format!("{name}: {why}")))?;
        let mut bytes = Vec::new();
        entry
            .take(FILE_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(|why| failed(&wheel, &format!("{name}: {why}")))?;
        let path = collections.join(&name);
        let dir = path.parent().unwrap_or(collections);
        std::fs::create_dir_all(dir).map_err(|why| failed(dir, &why))?;
        std::fs::write(&path, bytes).map_err(|why| failed(&path, &why))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_core_is_the_one_of_the_venv() {
        let requirements = include_str!("../../requirements.txt");
        assert!(
            requirements.contains("ansible-core==2.19."),
            "{ANSIBLE} wants ansible-core 2.19: change both together"
        );
    }
}
