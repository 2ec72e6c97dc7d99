//! Without an argument: what runs here? Running supervisords and the usual places of their configurations, systemd's own units,
//! and servers that listen without anybody above them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use finding::Span;
use supervisord::command;

use crate::disk::Disk;
use crate::model::Env;
use crate::scene::app::Apps;
use crate::scene::config::{self, Look};
use crate::scene::layers::Layer;
use crate::scene::{Owner, Scene, Source, Subject, follow, keys, procs};
use crate::tools;

/// Where Supervisor looks for its configuration (supervisor/options.py), below `/`.
const PLACES: &[&str] = &["/etc/supervisord.conf", "/etc/supervisor/supervisord.conf"];
/// Processes of a machine that are looked at.
const PROCESSES_MAX: usize = 4_096;
/// Units of the administrator's own.
const UNITS_MAX: usize = 500;
/// A unit file.
const UNIT_BYTES_MAX: u64 = 64 << 10;

/// Configurations of Supervisor's: of those that run, then of the usual places.
pub(crate) fn configurations() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    let pids = sys::proc::pids();
    for pid in pids.into_iter().take(PROCESSES_MAX) {
        let Some(process) = procs::read(pid).filter(|p| command::is_supervisor(&p.argv)) else {
            continue;
        };
        let cwd = process.cwd.clone().unwrap_or_else(|| "/".into());
        found.extend(command::file_of(&process.argv, &cwd));
    }
    found.extend(PLACES.iter().map(PathBuf::from).filter(|p| p.is_file()));
    let mut seen = BTreeSet::new();
    found.retain(|path| seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())));
    found
}

/// A process as a subject, with what is below it.
pub(crate) fn process(scene: &mut Scene, pid: i32, disk: &Disk, apps: &mut Apps) -> bool {
    let tree = procs::tree(pid);
    let Some(first) = tree.first() else {
        return false;
    };
    if first.env.is_none() {
        scene.not_seen(format!(
            "the environment and open files of process {pid} (run as its user or root to see them)"
        ));
    }
    let env = first.env.clone().unwrap_or_default();
    let dir = first.cwd.clone();
    let layer = Layer::new(first.argv.clone(), vec![None; first.argv.len()], &env);
    let owner = owner(first);
    let name = layer
        .server
        .program()
        .map_or_else(|| format!("process {pid}"), |p| format!("{} {pid}", p.name));
    let app = config::app_of(dir.as_deref(), disk, apps);
    let keys = keys::find(&app, &[], &env, None, &app.env_files);
    scene.subjects.push(Subject {
        layers: follow::follow(layer, dir.as_deref(), &env, disk),
        env_is_whole: first.env.is_some(),
        dir,
        app,
        keys,
        processes: tree,
        owner,
        ..Subject::new(name, Source::Process)
    });
    true
}

/// Who keeps a process, by its own environment and its control group.
fn owner(process: &procs::Proc) -> Option<Owner> {
    let env = process.env.as_ref();
    let of = |name: &str| env.and_then(|e| e.get(name)).filter(|v| !v.is_empty());
    let parent = procs::read(process.parent).filter(|p| command::is_supervisor(&p.argv));
    if let (Some(group), Some(name), Some(parent)) = (
        of("SUPERVISOR_GROUP_NAME"),
        of("SUPERVISOR_PROCESS_NAME"),
        parent,
    ) {
        let base = parent.cwd.clone().unwrap_or_else(|| "/".into());
        let file = command::named(&parent.argv).map(|path| base.join(path).display().to_string());
        let ctl = match (file, of("SUPERVISOR_SERVER_URL")) {
            (Some(file), _) => format!("supervisorctl -c {}", servers::shell_line(&[file])),
            (None, Some(url)) => format!("supervisorctl -s {}", servers::shell_line(&[url])),
            (None, None) => "supervisorctl".to_owned(),
        };
        return Some(Owner::Supervisor {
            ctl,
            group: group.clone(),
            name: name.clone(),
        });
    }
    let text = fs::read_to_string(format!("/proc/{}/cgroup", process.pid)).ok()?;
    let unit = text.lines().find_map(|l| l.rsplit('/').next())?;
    unit.ends_with(".service")
        .then(|| Owner::Systemd(unit.to_owned()))
}

/// Servers of the catalogue that run, and that no subject has yet.
pub(crate) fn listening(scene: &mut Scene, disk: &Disk, apps: &mut Apps) {
    let known: BTreeSet<i32> = scene
        .subjects
        .iter()
        .flat_map(|s| s.processes.iter().map(|p| p.pid))
        .collect();
    let mut found: BTreeMap<i32, bool> = BTreeMap::new();
    for pid in sys::proc::pids().into_iter().take(PROCESSES_MAX) {
        if known.contains(&pid) {
            continue;
        }
        let Some(process) = procs::read(pid).filter(|p| !p.argv.is_empty()) else {
            continue;
        };
        let layer = Layer::new(
            process.argv.clone(),
            vec![None; process.argv.len()],
            &Env::new(),
        );
        let plain_node = layer.server.kind == servers::Kind::Node;
        if layer.server.serves() && !plain_node && !found.contains_key(&process.parent) {
            found.insert(pid, true);
        } else if found.contains_key(&process.parent) {
            found.insert(pid, false);
        }
    }
    for (pid, _) in found.into_iter().filter(|(_, is_first)| *is_first) {
        process(scene, pid, disk, apps);
    }
}

/// Units of systemd that the administrator wrote and that start something of the catalogue.
pub(crate) fn units(scene: &mut Scene, root: &Path, disk: &Disk, apps: &mut Apps, look: Look) {
    let Ok(entries) = fs::read_dir(root.join("etc/systemd/system")) else {
        return;
    };
    for entry in entries.flatten().take(UNITS_MAX) {
        let path = entry.path();
        if path.extension().is_some_and(|e| e == "service")
            && let Some(text) = disk.text(&path, UNIT_BYTES_MAX)
        {
            unit(scene, &path, &text, disk, apps, look);
        }
    }
}

/// One unit: `ExecStart=`, `Environment=`, `WorkingDirectory=` (systemd.exec(5)).
pub(crate) fn unit(
    scene: &mut Scene,
    path: &Path,
    text: &str,
    disk: &Disk,
    apps: &mut Apps,
    look: Look,
) {
    let shown = path.display().to_string();
    let mut env = Env::new();
    let (mut dir, mut exec, mut env_span) = (None, None, None);
    for (number, line) in (1u32..).zip(text.lines()) {
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let column = u32::try_from(key.chars().count() + 2).unwrap_or(u32::MAX);
        match key.trim() {
            "WorkingDirectory" => dir = Some(PathBuf::from(value.trim().trim_start_matches('-'))),
            "Environment" => {
                env_span = Some(Span::line(shown.as_str(), number, line));
                let words = conf::argv::split(value).unwrap_or_default();
                env.extend(words.iter().filter_map(|w| {
                    let (name, value) = w.value.split_once('=')?;
                    Some((name.to_owned(), value.to_owned()))
                }));
            }
            "ExecStart" => {
                let prefix = value.len()
                    - value
                        .trim_start_matches([' ', '@', '-', ':', '+', '!'])
                        .len();
                exec = Some((
                    number,
                    line,
                    column + u32::try_from(prefix).unwrap_or(0),
                    &value[prefix..],
                ));
            }
            _ => {}
        }
    }
    let Some((number, line, column, command)) = exec else {
        return;
    };
    let Ok(words) = conf::argv::split(command) else {
        return;
    };
    let span = |range: &std::ops::Range<usize>| {
        let before = command.get(..range.start).map_or(0, |t| t.chars().count());
        let length = command.get(range.clone()).map_or(0, |t| t.chars().count());
        Span::line(shown.as_str(), number, line).marked(
            column + u32::try_from(before).unwrap_or(0),
            u32::try_from(length).unwrap_or(0),
        )
    };
    let argv = words.iter().map(|w| w.value.clone()).collect();
    let spans = words.iter().map(|w| Some(span(&w.range))).collect();
    let first = Layer::new(argv, spans, &env);
    let layers = follow::follow(first, dir.as_deref(), &env, disk);
    let known = layers
        .iter()
        .any(|l| l.server.serves() || !tools::hits(l).is_empty());
    if !known {
        return;
    }
    let name = path
        .file_name()
        .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let app = config::app_of(dir.as_deref(), disk, apps);
    let keys = keys::find(&app, &[], &env, env_span.as_ref(), &app.env_files);
    let processes = if look.running {
        unit_processes(&name)
    } else {
        Vec::new()
    };
    scene.subjects.push(Subject {
        layers,
        env_span,
        dir,
        app,
        keys,
        processes,
        ..Subject::new(name, Source::Systemd)
    });
}

/// The processes whose control group is the unit's.
fn unit_processes(unit: &str) -> Vec<procs::Proc> {
    let ends = format!("/{unit}");
    let in_unit = |pid: &i32| {
        fs::read_to_string(format!("/proc/{pid}/cgroup"))
            .is_ok_and(|t| t.lines().any(|l| l.ends_with(&ends)))
    };
    let pids = sys::proc::pids().into_iter().take(PROCESSES_MAX);
    pids.filter(in_unit)
        .filter_map(procs::read)
        .take(procs::TREE_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Scene {
        let mut scene = Scene::default();
        let look = Look { running: false };
        let path = Path::new("/etc/systemd/system/backend.service");
        unit(
            &mut scene,
            path,
            text,
            &Disk::default(),
            &mut Apps::new(),
            look,
        );
        scene
    }

    #[test]
    fn a_unit_is_a_program_with_places() {
        let scene = read(
            "[Service]\nEnvironment=\"A=b c\" UVICORN_RELOAD=1\nExecStart=-/venv/bin/uvicorn server:app --reload\n",
        );
        let subject = &scene.subjects[0];
        assert_eq!(subject.name, "backend.service");
        let flags = &subject.layers[0].server.reloads;
        let rules: Vec<&str> = flags.iter().map(|f| f.rule).collect();
        assert_eq!(rules, ["uvicorn-reload", "uvicorn-reload-env"]);
        let span = subject.layers[0]
            .span_of_all(&flags[0].places)
            .expect("a place");
        let marked: String = span
            .text
            .chars()
            .skip(span.column as usize - 1)
            .take(span.length as usize)
            .collect();
        assert_eq!((span.line, marked.as_str()), (3, "--reload"));
    }

    #[test]
    fn units_that_serve_nothing_are_left_alone() {
        for text in [
            "",
            "[Service]\nExecStart=/usr/sbin/sshd -D --reload\n",
            "[Service]\nExecStart='\n",
            "[Unit]\n",
        ] {
            assert!(read(text).subjects.is_empty(), "{text}");
        }
    }
}
