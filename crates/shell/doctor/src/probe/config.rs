//! SF3xx: programs as a configuration defines them.

use std::collections::BTreeMap;

use conf::{AutoRestart, LogFile};
use finding::Severity;
use servers::Address;

use crate::model::Hit;
use crate::probe::edits;
use crate::scene::layers::Layer;
use crate::scene::{Scene, Subject};

pub(crate) fn rotation(scene: &Scene) -> Vec<(Option<usize>, Hit)> {
    let mut hits = Vec::new();
    for (index, subject) in scene.subjects.iter().enumerate() {
        let Some(process) = subject.program.as_ref().and_then(|p| p.processes.first()) else {
            continue;
        };
        for (name, target) in [
            ("stdout_logfile", &process.stdout),
            ("stderr_logfile", &process.stderr),
        ] {
            let LogFile::Path(path) = &target.file.value else {
                continue;
            };
            let device = path.starts_with("/dev/") || path.starts_with("/proc/");
            if target.maxbytes == 0 && !device {
                let mut hit = Hit::proved(format!("{name} = {path}")).at(target.file.span.clone());
                if let Ok(meta) = std::fs::metadata(path) {
                    hit = hit.said(format!("it has {} MB now", meta.len() >> 20));
                }
                hits.push((
                    Some(index),
                    hit.advice(format!("write: {name}_maxbytes = 50MB")),
                ));
            }
        }
    }
    hits
}

pub(crate) fn group(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let (Some(program), Some(layer)) = (&subject.program, subject.layers.first()) else {
        return Vec::new();
    };
    let inner = subject.main_layer().filter(|l| l.server.serves());
    let forks = inner.is_some_and(|l| l.server.forks.master || l.server.forks.workers > 1);
    // npm and its like pass signals on.
    let script = subject.layers.get(1).is_some_and(|l| {
        l.file
            .as_ref()
            .is_some_and(|f| f.file_name().is_none_or(|n| n != "package.json"))
    });
    let shell = shell_above(layer) || script && !is_exec(subject);
    if *program.stopasgroup || !forks || !shell {
        return Vec::new();
    }
    let keys: &[(&str, &str)] = if *program.killasgroup {
        &[("stopasgroup", "true")]
    } else {
        &[("stopasgroup", "true"), ("killasgroup", "true")]
    };
    let repair = if program.stopasgroup.is_set() {
        edits::value(scene, subject, program.stopasgroup.span.as_ref(), "true")
    } else {
        edits::add_keys(scene, subject, keys)
    };
    vec![
        Hit::likely("")
            .at(layer.whole.clone())
            .advice("write: stopasgroup = true and killasgroup = true")
            .repair(repair),
    ]
}

/// Whether a shell stays above the server of a command.
fn shell_above(layer: &Layer) -> bool {
    let in_shell = layer.server.through.iter().any(|w| w.ends_with(" -c"));
    in_shell && !layer.server.through.iter().any(|w| w == "exec")
}

/// Whether the script that a command leads to replaces itself by the server.
fn is_exec(subject: &Subject) -> bool {
    subject
        .layers
        .iter()
        .skip(1)
        .any(|l| l.server.through.iter().any(|w| w == "exec"))
}

pub(crate) fn shell(_scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let (Some(program), Some(layer)) = (&subject.program, subject.layers.first()) else {
        return Vec::new();
    };
    if !shell_above(layer) || *program.stopasgroup || !layer.server.serves() {
        return Vec::new();
    }
    vec![
        Hit::likely("")
            .at(layer.whole.clone())
            .advice("write `exec` before the server, or stopasgroup = true"),
    ]
}

/// Whether a command itself becomes somebody else: `gosu app …`, `gunicorn --user app …`.
fn hands_over(layer: &Layer) -> bool {
    const BECOME: &[&str] = &[
        "gosu",
        "su-exec",
        "setpriv",
        "runuser",
        "su",
        "sudo",
        "chpst",
        "setuidgid",
        "s6-setuidgid",
    ];
    const OPTIONS: &[&str] = &["--user", "-u", "--uid"];
    let mut words = layer.argv.iter().map(String::as_str);
    let first = words.next().unwrap_or("");
    let serving = ["gunicorn", "uwsgi"].contains(&layer.server.program().map_or("", |p| p.name));
    let named = |word: &str| OPTIONS.contains(&word.split('=').next().unwrap_or(word));
    BECOME.contains(&first.rsplit('/').next().unwrap_or(first)) || serving && words.any(named)
}

pub(crate) fn root(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    const DROP: &[&str] = &[
        "nginx", "php-fpm", "sshd", "cron", "crond", "dockerd", "apache2", "httpd", "haproxy",
        "rsyslogd", "postfix", "dovecot", "caddy", "traefik",
    ];
    let name = subject
        .layers
        .first()
        .and_then(|l| l.server.program())
        .map_or("", |p| p.name);
    if DROP.iter().any(|d| name.starts_with(d)) {
        return Vec::new();
    }
    let set = subject.program.as_ref().and_then(|p| p.user.as_ref());
    // What takes no connections may have a reason: a scheduler, a mount, an init.
    let weight = match subject.serves() {
        true => Severity::Warning,
        false => Severity::Note,
    };
    if let Some(process) = subject.processes.first() {
        // A child that runs as somebody else means that the master gives root up.
        let drops = subject.processes.iter().any(|p| p.uid != 0);
        if process.uid == 0 && !drops {
            let span = set.and_then(|u| u.span.clone()).or_else(|| subject.span());
            return vec![
                Hit::proved("")
                    .weigh(weight)
                    .at(span)
                    .said(format!("pid {} runs as root", process.pid))
                    .advice("set: user = NAME"),
            ];
        }
        return Vec::new();
    }
    if subject.layers.first().is_some_and(hands_over) {
        return Vec::new();
    }
    match (set, subject.config(scene)) {
        (Some(user), _) if user.uid == 0 => vec![
            Hit::proved("")
                .weigh(weight)
                .at(user.span.clone())
                .advice("set: user = NAME"),
        ],
        (None, Some(config))
            if subject.serves()
                && config
                    .loaded
                    .model
                    .supervisord
                    .user
                    .as_ref()
                    .is_none_or(|u| u.uid == 0) =>
        {
            vec![
                Hit::likely("no user is set")
                    .weigh(Severity::Note)
                    .at(subject.span())
                    .said("it runs as root if supervisord does")
                    .advice("set: user = NAME"),
            ]
        }
        _ => Vec::new(),
    }
}

pub(crate) fn autorestart(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let Some(program) = subject.program.as_ref().filter(|_| subject.serves()) else {
        return Vec::new();
    };
    if *program.autorestart != AutoRestart::Never {
        return Vec::new();
    }
    let span = program.autorestart.span.clone();
    let repair = edits::value(scene, subject, span.as_ref(), "true");
    vec![
        Hit::proved("autorestart = false")
            .at(span)
            .advice("write: autorestart = true")
            .repair(repair),
    ]
}

pub(crate) fn background(_scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let mut hits = Vec::new();
    for layer in &subject.layers {
        let program = layer.server.program();
        let name = program.as_ref().map_or("", |p| p.name);
        let words = || program.iter().flat_map(|p| p.args.iter().map(|(t, _)| *t));
        let found = match name {
            "nginx" => {
                let off = words().any(|w| w.contains("daemon off"));
                let in_file = std::fs::read_to_string("/etc/nginx/nginx.conf")
                    .is_ok_and(|t| t.lines().any(|l| l.trim_start().starts_with("daemon off")));
                let other_file = words().any(|w| w == "-c");
                let tests = words().any(|w| ["-t", "-v", "-V", "-T"].contains(&w));
                (!off && !in_file && !other_file && !tests).then_some("nginx without `daemon off;`")
            }
            "redis-server" => words()
                .collect::<Vec<_>>()
                .windows(2)
                .any(|w| w[0] == "--daemonize" && w[1] == "yes")
                .then_some("--daemonize yes"),
            "celery" => words().any(|w| w == "--detach").then_some("--detach"),
            "uwsgi" => words()
                .any(|w| w == "-d" || w.starts_with("--daemonize"))
                .then_some("--daemonize"),
            "php-fpm" => words()
                .any(|w| w == "-D" || w == "--daemonize")
                .then_some("--daemonize"),
            _ => layer
                .server
                .daemonizes
                .then_some("it is told to run in the background"),
        };
        if let Some(what) = found.filter(|_| subject.program.is_some()) {
            hits.push(Hit::proved(what).at(layer.whole.clone()));
        }
    }
    hits
}

pub(crate) fn same_address(scene: &Scene) -> Vec<(Option<usize>, Hit)> {
    let mut hits = Vec::new();
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for (index, subject) in scene.subjects.iter().enumerate() {
        let Some(layer) = subject.main_layer().filter(|l| l.server.serves()) else {
            continue;
        };
        let starts = subject.program.as_ref().is_none_or(|p| *p.autostart);
        // A default may be changed by a file that the server reads by itself.
        for bind in layer.server.binds.iter().filter(|b| starts && b.is_given()) {
            let address = match &bind.address {
                Address::Tcp { port: 0, .. } | Address::Fd(_) => continue,
                Address::Tcp { host, port } => {
                    let host = if host == "localhost" {
                        "127.0.0.1"
                    } else {
                        host
                    };
                    format!("{host}:{port}")
                }
                Address::Unix(path) => format!("unix:{path}"),
            };
            let Some(other) = taken
                .insert(address.clone(), index)
                .filter(|other| *other != index)
            else {
                continue;
            };
            let Some(other) = scene
                .subjects
                .get(other)
                .filter(|o| o.source == subject.source && o.program.is_some())
            else {
                continue;
            };
            let hit = Hit::proved(&address);
            hits.push((
                Some(index),
                hit.at(subject.span())
                    .said(format!("{} wants it too", other.name))
                    .at(other.span()),
            ));
        }
    }
    hits
}
