//! `steadfast adopt`: from Supervisor's file to ours, as a difference that a person reads before it is written.
//!
//! Only keys and sections are added that Supervisor ignores, and development flags are taken away: the result still runs under the real
//! supervisord, and going back is taking nothing away. A proxy in front keeps its address, since the gateway takes the program's own.

use std::path::PathBuf;

use clap::Parser;
use finding::escape;
use servers::{Address, Weight};

use crate::args::Args;
use crate::change::{diff, edit, insert, words as words_of, write};
use crate::disk::Disk;
use crate::io::Io;
use crate::look::look;
use crate::model::{Repair, TextEdit};
use crate::probe::edits;
use crate::scene::{Config, Scene, Subject};

/// A configuration, or nginx's.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// A proxy must wait longer than the gateway holds requests (30 s), or it answers 504 during a restart that nobody would notice.
const PROXY_WAIT_S_MIN: u64 = 40;
/// Routes that a health check may ask, in the order in which they are looked for in the code.
const HEALTH_PATHS: &[&str] = &[
    "/api/health",
    "/health",
    "/healthz",
    "/api/healthz",
    "/ping",
];

/// Shows what makes Steadfast run a configuration of Supervisor's; the file stays valid for Supervisor.
#[derive(Debug, Parser)]
#[command(name = "steadfast adopt", disable_version_flag = true)]
struct Words {
    /// The configuration
    #[arg(required_unless_present = "config")]
    file: Option<PathBuf>,
    /// The same, as other commands take it
    #[arg(short, long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
    /// The file of nginx that leads to its programs
    #[arg(long, value_name = "FILE")]
    nginx: Option<PathBuf>,
    /// Writes the changes, with a copy of each old file beside it
    #[arg(long)]
    write: bool,
}

impl Words {
    /// The file, however it was given: one of both is required.
    fn path(&self) -> PathBuf {
        let given = self.file.as_ref().or(self.config.as_ref());
        given.cloned().unwrap_or_default()
    }
}

pub(crate) fn run(words: &[String], io: &mut Io<'_>) -> u8 {
    let with_name = std::iter::once("steadfast adopt".to_owned()).chain(words.iter().cloned());
    let words = match Words::try_parse_from(with_name) {
        Ok(words) => words,
        Err(error) => {
            let _ = io.err.write_all(error.render().to_string().as_bytes());
            return if error.use_stderr() { 2 } else { 0 };
        }
    };
    let args = Args {
        config: Some(words.path()),
        files_only: true,
        ..Args::default()
    };
    let mut disk = Disk::default();
    let adopted = match adopt(&args, &words, &mut disk, io) {
        Ok(adopted) => adopted,
        Err(why) => {
            let _ = writeln!(io.err, "error: {}", escape(&why));
            return 2;
        }
    };
    for (path, bytes) in &disk.overlay {
        let old = Disk::default()
            .text(path, FILE_BYTES_MAX)
            .unwrap_or_default();
        let _ = io
            .out
            .write_all(diff(path, &old, &String::from_utf8_lossy(bytes)).as_bytes());
        if words.write
            && let Err(why) = write(path, bytes)
        {
            let _ = writeln!(
                io.err,
                "error: {} cannot be written: {}",
                escape(&path.display().to_string()),
                escape(&words_of(&why))
            );
            return 2;
        }
    }
    let file = servers::shell_line(&[words.path().display().to_string()]);
    if words.write {
        let _ = writeln!(
            io.err,
            "next: stop supervisord, then: steadfast run -c {file}"
        );
    } else {
        let _ = writeln!(io.err, "next: steadfast adopt {file} --write");
    }
    u8::from(!adopted)
}

/// Lays the changes over the files. `false` if a program stays as it is.
fn adopt(args: &Args, words: &Words, disk: &mut Disk, io: &mut Io<'_>) -> Result<bool, String> {
    let before = look(args, io, disk)?;
    let config = before.configs.first().ok_or("there is no configuration")?;
    if config.loaded.model.has_errors {
        return Err("the configuration has errors; steadfast doctor says which".to_owned());
    }
    let mut whole = true;
    for index in 0..before.subjects.len() {
        // Each change moves lines: the places are those of the file as it is by now.
        let now = look(args, io, disk)?;
        let Some(subject) = now.subjects.get(index) else {
            break;
        };
        undevelop(&now, subject, disk)?;
        let now = look(args, io, disk)?;
        let Some(subject) = now.subjects.get(index) else {
            break;
        };
        match keys(subject) {
            Ok(lines) if lines.is_empty() => {}
            Ok(lines) => {
                let pairs: Vec<(&str, &str)> =
                    lines.iter().map(|(k, v)| (*k, v.as_str())).collect();
                if let Some(repair) = edits::add_keys(&now, subject, &pairs) {
                    lay(disk, &repair)?;
                }
            }
            Err(why) => {
                whole = false;
                let _ = writeln!(
                    io.err,
                    "{}: stays as it is: {}",
                    escape(&subject.name),
                    escape(&why)
                );
            }
        }
    }
    section(config, disk)?;
    if let Some(path) = &words.nginx {
        nginx(path, &before, disk, io)?;
    }
    let after = look(args, io, disk)?;
    let sound = after
        .configs
        .first()
        .is_some_and(|c| !c.loaded.model.has_errors);
    let same = after.subjects.len() == before.subjects.len();
    if sound && same {
        Ok(whole)
    } else {
        Err("the result would not be read as it should; nothing is changed".to_owned())
    }
}

/// Takes development flags away: they would be refused.
fn undevelop(scene: &Scene, subject: &Subject, disk: &mut Disk) -> Result<(), String> {
    for layer in &subject.layers {
        let refused = |f: &servers::DevFlag| f.weight == Weight::Refuse;
        for flag in servers::guard(&layer.server).iter().filter(|f| refused(f)) {
            let repair = match &flag.fix {
                servers::Fix::Command { argv, .. } => edits::words(scene, subject, layer, argv),
                servers::Fix::Unset { name } => edits::variable(scene, subject, name, None),
                servers::Fix::Set { name, value } => {
                    edits::variable(scene, subject, name, Some(value))
                }
                servers::Fix::Advice(_) => None,
            };
            if let Some(repair) = repair {
                lay(disk, &repair)?;
                // One command cures all flags of it at once; what is left comes with the next look.
                break;
            }
        }
    }
    Ok(())
}

/// The keys that a program gets; none for what takes no connections.
fn keys(subject: &Subject) -> Result<Vec<(&'static str, String)>, String> {
    let Some(program) = &subject.program else {
        return Ok(Vec::new());
    };
    let Some(layer) = subject.layers.first() else {
        return Ok(Vec::new());
    };
    let mut lines = Vec::new();
    if subject.serves() && !program.listen.is_set() {
        if !layer.server.serves() {
            return Err("its server is started by a script or by npm; name it in `command`, or use steadfast_command".to_owned());
        }
        layer
            .server
            .public()
            .map_err(|refusal| refusal.to_string())?;
        servers::gateway(&layer.server).map_err(|refusal| refusal.to_string())?;
        lines.push(("listen", "gateway".to_owned()));
        if program.ready.is_none()
            && let Some(path) = health_path(subject)
        {
            lines.push(("ready", format!("http:{path}")));
        }
    }
    let wanted: Vec<&str> = subject
        .keys
        .iter()
        .filter(|k| k.wanted.is_some() && !k.is_ours)
        .map(|k| k.name.as_str())
        .collect();
    if !wanted.is_empty() && program.secrets.is_empty() {
        lines.push(("secrets", wanted.join(",")));
    }
    let has_file = program
        .processes
        .first()
        .is_some_and(|p| p.env_file.is_some());
    let own = subject
        .app
        .env_files
        .iter()
        .any(|f| f.path.ends_with(".env"));
    if !has_file
        && own
        && program
            .processes
            .first()
            .is_some_and(|p| p.directory.is_some())
    {
        lines.push(("env_file", ".env".to_owned()));
    }
    Ok(lines)
}

/// A route for health checks that the code has.
fn health_path(subject: &Subject) -> Option<&'static str> {
    HEALTH_PATHS.iter().copied().find(|path| {
        let quoted = [format!("\"{path}\""), format!("'{path}'")];
        let code = subject.app.files.iter().filter(|f| f.language.is_some());
        code.into_iter()
            .any(|f| quoted.iter().any(|q| f.text.contains(q)))
    })
}

/// `[steadfast]` at the end of the main file.
fn section(config: &Config, disk: &mut Disk) -> Result<(), String> {
    let Some(main) = config
        .loaded
        .tree
        .first()
        .filter(|_| config.loaded.model.steadfast.is_none())
    else {
        return Ok(());
    };
    let path = PathBuf::from(&main.path);
    let mut text = read(disk, &path)?;
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    if !text.ends_with('\n') {
        text.push_str(end);
    }
    text.push_str(&format!("{end}[steadfast]{end}"));
    disk.overlay.insert(path, text.into_bytes());
    Ok(())
}

/// What nginx's file says about the programs. Its addresses stay; a wait that is too short for a held request is made longer.
fn nginx(
    path: &std::path::Path,
    scene: &Scene,
    disk: &mut Disk,
    io: &mut Io<'_>,
) -> Result<(), String> {
    let path = PathBuf::from(&io.cwd).join(path);
    let text = read(disk, &path)?;
    let mut changes = Vec::new();
    for (number, line) in (1u32..).zip(text.lines()) {
        let code = line.split('#').next().unwrap_or("").trim();
        if let Some(target) = code.strip_prefix("proxy_pass ") {
            let target = target
                .trim()
                .trim_end_matches(';')
                .trim_start_matches("http://");
            let authority = target.split('/').next().unwrap_or(target);
            let leads = scene.subjects.iter().find(|s| binds(s, authority));
            let words = leads.map_or("no program of this configuration".to_owned(), |s| {
                format!("{}: stays as it is, the gateway takes that address", s.name)
            });
            let _ = writeln!(
                io.err,
                "{}:{number}: {} leads to {}",
                escape(&path.display().to_string()),
                escape(authority),
                escape(&words)
            );
        }
        let wait = code
            .strip_prefix("proxy_read_timeout ")
            .map(|v| v.trim().trim_end_matches(';').trim());
        let seconds = wait.and_then(|v| v.trim_end_matches('s').parse::<u64>().ok());
        if let (Some(wait), Some(_)) = (wait, seconds.filter(|s| *s < PROXY_WAIT_S_MIN)) {
            let at = line.find(wait).unwrap_or(0);
            changes.push(TextEdit {
                line: number,
                column: u32::try_from(line[..at].chars().count() + 1).unwrap_or(1),
                length: u32::try_from(wait.chars().count()).unwrap_or(0),
                text: "60s".to_owned(),
            });
        }
    }
    if !changes.is_empty() {
        lay(
            disk,
            &Repair::Edit {
                file: path,
                edits: changes,
            },
        )?;
    }
    Ok(())
}

/// Whether a program listens at an address as nginx writes it.
fn binds(subject: &Subject, authority: &str) -> bool {
    let Some((host, port)) = authority.rsplit_once(':') else {
        return false;
    };
    let local = ["127.0.0.1", "localhost", "[::1]"].contains(&host);
    let layer = subject.main_layer();
    layer
        .into_iter()
        .flat_map(|l| &l.server.binds)
        .any(|bind| match &bind.address {
            Address::Tcp { port: own, .. } => local && port.parse() == Ok(*own),
            Address::Unix(path) => authority.strip_prefix("unix:") == Some(path),
            Address::Fd(_) => false,
        })
}

fn read(disk: &Disk, path: &std::path::Path) -> Result<String, String> {
    disk.own_text(path, FILE_BYTES_MAX)
}

fn lay(disk: &mut Disk, repair: &Repair) -> Result<(), String> {
    let (file, new) = match repair {
        Repair::Edit { file, edits } => (file, edit(&read(disk, file)?, edits)?),
        Repair::Insert {
            file,
            after_line,
            lines,
        } => (file, insert(&read(disk, file)?, *after_line, lines)),
        Repair::Key { .. } | Repair::Mode { .. } => return Ok(()),
    };
    disk.overlay.insert(file.clone(), new.into_bytes());
    Ok(())
}
