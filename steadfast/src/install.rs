//! What belongs to an installation and is not run: manual pages, and the names of Supervisor's programs.

use crate::args::Cli;
use crate::printer;
use clap::CommandFactory;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Supervisor's names, under which this program is its replacement.
const NAMES: [&str; 2] = ["supervisord", "supervisorctl"];

/// Prints steadfast(1), or writes all pages into `dir`.
pub(crate) fn man(dir: Option<&Path>, json: bool) -> u8 {
    let command = Cli::command();
    let Some(dir) = dir else {
        let mut text = Vec::new();
        return match clap_mangen::Man::new(command).render(&mut text) {
            Ok(()) if json => {
                let text = String::from_utf8_lossy(&text).into_owned();
                printer::json("man", serde_json::json!({ "text": text, "exit": 0 }));
                0
            }
            Ok(()) => {
                printer::raw(&text);
                0
            }
            Err(why) => could_not(&format!("no manual page: {why}")),
        };
    };
    let written =
        std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(command, dir));
    match written {
        Ok(()) => 0,
        Err(why) => could_not(&format!("{}: {why}", dir.display())),
    }
}

fn could_not(why: &str) -> u8 {
    printer::error(why);
    2
}

/// Makes or removes the links. A file that is not a link to this program is never touched: it may be Supervisor's.
pub(crate) fn links(dir: Option<&Path>, remove: bool, json: bool) -> u8 {
    let own = match std::env::current_exe() {
        Ok(own) => own,
        Err(why) => return could_not(&format!("where this program is cannot be read: {why}")),
    };
    // As it was called: a link on the PATH has its neighbours there, not where the file is.
    let called = PathBuf::from(crate::run::program());
    let called = std::path::absolute(&called)
        .ok()
        .filter(|called| called.canonicalize().ok() == own.canonicalize().ok());
    let own = called.unwrap_or(own);
    let beside = own.parent().unwrap_or(Path::new("/")).to_owned();
    let dir = dir.map_or(beside.clone(), Path::to_owned);
    let target = match own.file_name().filter(|_| dir == beside) {
        Some(name) => PathBuf::from(name),
        None => own.clone(),
    };
    let mut exit = 0;
    let mut rows = Vec::new();
    for name in NAMES {
        let path = dir.join(name);
        let (word, failed) = if remove {
            unlink(&path, &own)
        } else {
            link(&path, &target, &own)
        };
        exit = exit.max(u8::from(failed));
        if json {
            let row = serde_json::json!({ "path": path, "result": word, "failed": failed });
            rows.push(row);
        } else if failed {
            printer::error(&format!("{}: {word}", path.display()));
        } else {
            printer::out(&format!("{}  {word}", path.display()));
        }
    }
    if json {
        printer::json("links", serde_json::json!({ "links": rows, "exit": exit }));
    }
    exit
}

fn is_ours(path: &Path, own: &Path) -> bool {
    let resolved = |path: &Path| path.canonicalize().ok();
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink())
        && resolved(path) == resolved(own)
}

fn link(path: &Path, target: &Path, own: &Path) -> (String, bool) {
    match std::os::unix::fs::symlink(target, path) {
        Ok(()) => (format!("-> {}", target.display()), false),
        Err(why) if why.kind() == ErrorKind::AlreadyExists && is_ours(path, own) => {
            (format!("-> {} already", target.display()), false)
        }
        Err(why) if why.kind() == ErrorKind::AlreadyExists => (
            "it is there and is not a link to this program; it stays. Remove it (pip uninstall supervisor), or name another directory: steadfast links DIR"
                .to_owned(),
            true,
        ),
        Err(why) => (why.to_string(), true),
    }
}

fn unlink(path: &Path, own: &Path) -> (String, bool) {
    if !is_ours(path, own) {
        return ("is not a link to this program; it stays".to_owned(), false);
    }
    match std::fs::remove_file(path) {
        Ok(()) => ("removed".to_owned(), false),
        Err(why) => (why.to_string(), true),
    }
}
