//! `--fix`: the fewest changes that make a finding go away, each proved before anything is written.
//!
//! A change is first laid over the file in memory and everything is looked at again: the finding must be gone, every other program must
//! mean what it meant, and no new error may have come. Only then the file is written: a copy of the old one first (a hidden file, which no
//! pattern of an include matches), then the new one is renamed over it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use finding::escape;

use crate::args::Args;
use crate::before;
use crate::change::{diff, edit, insert, set_mode, words, write};
use crate::disk::Disk;
use crate::io::Io;
use crate::judge::{Diagnosis, Judged, judge};
use crate::look::look;
use crate::model::Repair;
use crate::scene::Scene;

/// Changes of one run; more than that is a misunderstanding.
const CHANGES_MAX: usize = 200;
/// Files that are changed: configurations, env files.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Rules whose fix changes what the operator may have meant: only when named.
const ON_REQUEST: &[&str] = &["SF107", "SF309"];
/// Bytes of a new key: 256 bits.
const KEY_BYTES: usize = 32;

/// What was done.
#[derive(Default)]
struct Done {
    disk: Disk,
    modes: Vec<(PathBuf, u32)>,
    /// One line for each change.
    lines: Vec<String>,
    /// Repairs that were not proved.
    failed: Vec<String>,
    commands: Vec<String>,
}

/// Mends what is wanted. Exit status 0 if all of it could be, else 1; 2 if a file could not be written.
pub(crate) fn run(
    scene: &Scene,
    judged: &Judged,
    codes: &[String],
    args: &Args,
    io: &mut Io<'_>,
) -> u8 {
    let wanted = |d: &Diagnosis| {
        if codes.is_empty() {
            !ON_REQUEST.contains(&d.rule.code)
        } else {
            codes
                .iter()
                .any(|c| d.rule.code.starts_with(&c.to_ascii_uppercase()))
        }
    };
    let mut done = Done::default();
    let mut todo: Vec<Diagnosis> = judged
        .diagnoses
        .iter()
        .filter(|d| wanted(d))
        .cloned()
        .collect();
    let by_hand = todo
        .iter()
        .filter(|d| d.hit.repair.is_none() && !codes.is_empty())
        .count();
    let mut rounds = 0;
    while let Some(next) = todo.iter().find(|d| d.hit.repair.is_some()).cloned() {
        rounds += 1;
        if rounds > CHANGES_MAX {
            break;
        }
        let earlier = done.disk.clone();
        match lay(&mut done, &next)
            .and_then(|()| prove(scene, &next, &earlier, &done.disk, args, io))
        {
            Ok(again) => {
                done.lines
                    .push(format!("{} {}", next.rule.code, next.title()));
                if let Some(command) = &next.command
                    && !done.commands.contains(command)
                {
                    done.commands.push(command.clone());
                }
                // Lines may have moved: what is left is found anew.
                let left: Vec<Diagnosis> = match again {
                    Some(judged) => judged.diagnoses.into_iter().filter(|d| wanted(d)).collect(),
                    None => todo
                        .iter()
                        .filter(|d| key(d) != key(&next))
                        .cloned()
                        .collect(),
                };
                todo = left;
                todo.retain(|d| !done.failed.contains(&key(d)));
            }
            Err(why) => {
                done.disk = earlier;
                done.failed.push(key(&next));
                let _ = writeln!(
                    io.err,
                    "{} {}: not changed: {}",
                    next.rule.code,
                    escape(&next.title()),
                    escape(&why)
                );
                todo.retain(|d| key(d) != key(&next));
            }
        }
    }
    if !args.diff && !done.lines.is_empty() {
        before::note(scene);
    }
    finish(&done, by_hand, args, io)
}

fn key(d: &Diagnosis) -> String {
    format!("{} {}", d.rule.code, d.title())
}

/// Lays a repair over the files.
fn lay(done: &mut Done, diagnosis: &Diagnosis) -> Result<(), String> {
    match diagnosis.hit.repair.as_ref().ok_or("there is no repair")? {
        Repair::Edit { file, edits } => {
            let text = read(&done.disk, file)?;
            done.disk
                .overlay
                .insert(file.clone(), edit(&text, edits)?.into_bytes());
        }
        Repair::Insert {
            file,
            after_line,
            lines,
        } => {
            let text = read(&done.disk, file)?;
            done.disk
                .overlay
                .insert(file.clone(), insert(&text, *after_line, lines).into_bytes());
        }
        Repair::Key { file, name } => {
            let mut text = if done.disk.is_file(file) {
                read(&done.disk, file)?
            } else {
                String::new()
            };
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&format!("{name}={}\n", new_key()?));
            done.disk.overlay.insert(file.clone(), text.into_bytes());
        }
        Repair::Mode { file, mode } => done.modes.push((file.clone(), *mode)),
    }
    Ok(())
}

fn read(disk: &Disk, file: &Path) -> Result<String, String> {
    disk.own_text(file, FILE_BYTES_MAX)
}

fn new_key() -> Result<String, String> {
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes).map_err(|e| e.to_string())?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// Looks at everything again with the change laid over it.
fn prove(
    scene: &Scene,
    fixed: &Diagnosis,
    before: &Disk,
    after: &Disk,
    args: &Args,
    io: &Io<'_>,
) -> Result<Option<Judged>, String> {
    if let Some(Repair::Mode { .. }) = fixed.hit.repair {
        return Ok(None);
    }
    // Only files; what %(ENV_x)s means is known from the running supervisord.
    let args = Args {
        files_only: args.config.is_some(),
        ..args.clone()
    };
    let env = scene
        .configs
        .first()
        .and_then(|c| c.daemon.as_ref())
        .and_then(|d| d.env.clone());
    let (mut out, mut err) = (std::io::sink(), std::io::sink());
    let quiet = Io {
        out: &mut out,
        err: &mut err,
        input: &mut std::io::empty(),
        env: env.unwrap_or_else(|| io.env.clone()),
        cwd: io.cwd.clone(),
        now_unix_s: io.now_unix_s,
    };
    let (old, new) = (look(&args, &quiet, before)?, look(&args, &quiet, after)?);
    let judged = judge(&new, &args);
    let place = |d: &Diagnosis| (d.rule.code, d.program.clone(), d.hit.what.clone());
    let count = |all: &[Diagnosis]| all.iter().filter(|d| place(d) == place(fixed)).count();
    if count(&judged.diagnoses) >= count(&judge(&old, &args).diagnoses).max(1) {
        return Err("the change would not help".to_owned());
    }
    for (was, is) in old.configs.iter().zip(&new.configs) {
        let errors =
            |c: &crate::scene::Config| c.loaded.findings.iter().filter(|f| f.is_error()).count();
        if errors(is) > errors(was)
            || is.loaded.model.programs.len() != was.loaded.model.programs.len()
        {
            return Err("the file would not be read as before".to_owned());
        }
        for (a, b) in was
            .loaded
            .model
            .programs
            .iter()
            .zip(&is.loaded.model.programs)
        {
            if Some(&a.name) != fixed.program.as_ref() && meaning(a) != meaning(b) {
                return Err(format!("the program {} would change as well", a.name));
            }
        }
    }
    Ok(Some(judged))
}

/// What a program means, without places.
fn meaning(program: &conf::Program) -> Vec<(Vec<String>, BTreeMap<String, String>)> {
    let of = |p: &conf::ProcessDef| (p.command.argv(), p.environment.clone());
    program.processes.iter().map(of).collect()
}

/// Writes, or shows, and says what is left to do.
fn finish(done: &Done, by_hand: usize, args: &Args, io: &mut Io<'_>) -> u8 {
    for (path, bytes) in &done.disk.overlay {
        let old = Disk::default().text(path, FILE_BYTES_MAX);
        let new = String::from_utf8_lossy(bytes);
        if args.diff {
            let _ = io
                .out
                .write_all(diff(path, old.as_deref().unwrap_or(""), &new).as_bytes());
            continue;
        }
        match write(path, bytes) {
            Ok(Some(backup)) => {
                let _ = writeln!(
                    io.out,
                    "written: {}\n  the old one: {}",
                    escape(&path.display().to_string()),
                    escape(&backup.display().to_string())
                );
            }
            Ok(None) => {
                let _ = writeln!(io.out, "written: {}", escape(&path.display().to_string()));
            }
            Err(why) => {
                let _ = writeln!(
                    io.err,
                    "error: {} cannot be written: {}",
                    escape(&path.display().to_string()),
                    escape(&words(&why))
                );
                return 2;
            }
        }
    }
    for (path, mode) in &done.modes {
        let shown = escape(&path.display().to_string());
        if args.diff {
            let _ = writeln!(io.out, "chmod {mode:04o} {shown}");
        } else if let Err(why) = set_mode(path, *mode) {
            let _ = writeln!(
                io.err,
                "error: the permissions of {shown} cannot be changed: {}",
                escape(&words(&why))
            );
            return 2;
        } else {
            let _ = writeln!(io.out, "permissions of {shown} are {mode:04o} now");
        }
    }
    let verb = if args.diff { "would fix" } else { "fixed" };
    for line in &done.lines {
        let _ = writeln!(io.err, "{verb}: {}", escape(line));
    }
    if done.lines.is_empty() && by_hand == 0 && done.failed.is_empty() {
        let _ = writeln!(io.err, "there is nothing to fix");
    }
    if by_hand > 0 {
        let _ = writeln!(
            io.err,
            "{by_hand} finding{} only people can fix: steadfast doctor says how",
            if by_hand == 1 { "" } else { "s" }
        );
    }
    for command in &done.commands {
        let _ = writeln!(io.err, "then run: {command}");
    }
    u8::from(by_hand > 0 || !done.failed.is_empty())
}
