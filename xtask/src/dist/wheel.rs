//! The Python wheel (PEP 427): the binary as a script, and nothing of Python.
//!
//! It brings `steadfast` only. Images that `pip install supervisor` today have programs named supervisord and
//! supervisorctl already; `steadfast links` makes those names where that is wanted and nothing is in the way.

use super::Parts;
use base64::Engine;
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;

/// The oldest glibc that wheels can name.
const GLIBC_MIN: (u32, u32) = (2, 17);

pub(super) fn build(parts: &Parts, out: &Path) -> Result<PathBuf, String> {
    let version = &parts.version;
    let tag = match parts.glibc {
        Some(glibc) => {
            let (major, minor) = glibc.max(GLIBC_MIN);
            format!("py3-none-manylinux_{major}_{minor}_{}", parts.machine)
        }
        // Linked statically it runs under either C library; pip has one tag for each.
        None => format!(
            "py3-none-manylinux_2_17_{machine}.musllinux_1_1_{machine}",
            machine = parts.machine
        ),
    };
    let path = out.join(format!("steadfast-{version}-{tag}.whl"));
    let failed = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let binary = std::fs::read(&parts.binary).map_err(|why| failed(&why))?;
    let readme = include_str!("../../../README.md");
    let metadata = format!(
        "Metadata-Version: 2.1\nName: steadfast\nVersion: {version}\n\
         Summary: Process supervisor and gateway that keeps users signed in\n\
         License: MIT OR Apache-2.0\nRequires-Python: >=3.7\n\
         Description-Content-Type: text/markdown\n\n{readme}"
    );
    let tags: String = match parts.glibc {
        Some(_) => format!("Tag: {tag}\n"),
        None => {
            let machine = parts.machine;
            format!(
                "Tag: py3-none-manylinux_2_17_{machine}\nTag: py3-none-musllinux_1_1_{machine}\n"
            )
        }
    };
    let wheel =
        format!("Wheel-Version: 1.0\nGenerator: cargo xtask dist\nRoot-Is-Purelib: false\n{tags}");
    let info = format!("steadfast-{version}.dist-info");
    let files: [(String, &[u8], u32); 3] = [
        (
            format!("steadfast-{version}.data/scripts/steadfast"),
            &binary,
            0o755,
        ),
        (format!("{info}/METADATA"), metadata.as_bytes(), 0o644),
        (format!("{info}/WHEEL"), wheel.as_bytes(), 0o644),
    ];
    let mut record = String::new();
    let file = std::fs::File::create(&path).map_err(|why| failed(&why))?;
    let mut zip = zip::ZipWriter::new(file);
    let options = SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated)
        .compression_level(Some(if parts.fast { 1 } else { 9 }));
    for (name, bytes, mode) in files {
        let digest = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(bytes));
        record += &format!("{name},sha256={digest},{}\n", bytes.len());
        zip.start_file(&name, options.unix_permissions(mode | 0o100_000))
            .map_err(|why| failed(&why))?;
        zip.write_all(bytes).map_err(|why| failed(&why))?;
    }
    record += &format!("{info}/RECORD,,\n");
    zip.start_file(
        format!("{info}/RECORD"),
        options.unix_permissions(0o100_644),
    )
    .map_err(|why| failed(&why))?;
    zip.write_all(record.as_bytes())
        .map_err(|why| failed(&why))?;
    zip.finish().map_err(|why| failed(&why))?;
    Ok(path)
}
