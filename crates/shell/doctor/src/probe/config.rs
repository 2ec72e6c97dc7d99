//! SF3xx: configurations.

use std::collections::{BTreeMap, BTreeSet};

use conf::{AutoRestart, LogFile};
use finding::{Finding, Severity};
use servers::{Address, Kind, Weight};

use crate::change;
use crate::disk;
use crate::model::Hit;
use crate::probe::edits;
use crate::scene::config::is_lacking;
use crate::scene::layers::Layer;
use crate::scene::{Config, Daemon, Scene, Subject};

/// Users and directories that are named.
const LACKING_NAMED_MAX: usize = 8;

/// The reader's findings, each told as one of our rules.
const REFUSED: &[&str] = &[
    "conf.syntax",
    "conf.value",
    "conf.environment",
    "conf.command",
    "conf.no-command",
    "conf.missing-key",
    "conf.name",
    "conf.no-header",
    "conf.unknown-program",
    "conf.not-text",
    "conf.after-header",
    "conf.process-name",
    "conf.no-process",
    "conf.expansion",
    "conf.no-supervisord",
];
const UNKNOWN: &[&str] = &[
    "conf.unknown-key",
    "conf.unknown-section",
    "conf.ignored-key",
    "conf.no-effect",
    "conf.not-supported",
    "conf.include-without-files",
];
const MISLEADING: &[&str] = &[
    "conf.environment-cut",
    "conf.environment-twice",
    "conf.ambiguous-name",
    "conf.ambiguous-program",
    "conf.duplicate-process",
    "conf.duplicate-group",
    "conf.duplicate-member",
    "conf.negative",
    "conf.empty-group",
    "conf.stderr-redirected",
    "conf.no-rpcinterface",
    "conf.overlap",
    "conf.hold-too-short",
    "conf.no-route",
    "conf.depends-on",
    "conf.byte-order-mark",
    "conf.include-itself",
    "conf.include-directory",
];

/// Findings of the reader with one of these codes.
fn told(scene: &Scene, codes: &[&str]) -> Vec<(Option<usize>, Hit)> {
    let mut hits = Vec::new();
    for config in &scene.configs {
        for found in config
            .loaded
            .findings
            .iter()
            .filter(|f| codes.contains(&f.code.as_str()))
        {
            hits.push((None, hit_of(found)));
        }
    }
    hits
}

fn hit_of(found: &Finding) -> Hit {
    let mut hit = Hit::proved(&found.message).at(found.span.clone());
    for related in &found.related {
        hit = hit.said(&related.message).at(related.span.clone());
    }
    if let Some(effect) = &found.effect {
        hit = hit.effect(effect);
    }
    match (&found.fix, &found.hint) {
        (Some(fix), _) => hit.advice(fix),
        (None, Some(hint)) => hit.advice(hint),
        (None, None) => hit,
    }
}

pub(crate) fn twice(scene: &Scene) -> Vec<(Option<usize>, Hit)> {
    let mut hits = Vec::new();
    for config in &scene.configs {
        let duplicates = |code: &str| {
            config
                .loaded
                .findings
                .iter()
                .filter(move |f| f.code == code)
                .collect::<Vec<_>>()
        };
        let keys = duplicates("conf.duplicate-key");
        let mut by_section: BTreeMap<String, Vec<&Finding>> = BTreeMap::new();
        for found in keys {
            let section = found
                .message
                .split(['[', ']'])
                .nth(1)
                .unwrap_or("")
                .to_owned();
            by_section.entry(section).or_default().push(found);
        }
        for (section, keys) in &by_section {
            let different = keys.iter().any(|f| f.message.contains("different values"));
            let command = keys
                .iter()
                .find(|f| f.message.starts_with("`command`"))
                .or_else(|| keys.iter().find(|f| f.message.contains("different values")))
                .or_else(|| keys.first());
            let Some(first) = command else { continue };
            let name = section.strip_prefix("program:");
            let at = name.and_then(|name| {
                scene.subjects.iter().position(|s| {
                    s.name == name && s.config(scene).is_some_and(|c| std::ptr::eq(c, config))
                })
            });
            let which: Vec<&str> = keys
                .iter()
                .filter_map(|f| f.message.split('`').nth(1))
                .collect();
            let what = format!("[{section}]: {}", which.join(", "));
            let mut hit = hit_of(first);
            hit.what = what;
            hit = hit.said("the one that is named first counts");
            hits.push((
                at,
                if different {
                    hit
                } else {
                    hit.weigh(Severity::Note)
                },
            ));
        }
        for found in duplicates("conf.duplicate-section") {
            let section = found.message.split(['[', ']']).nth(1).unwrap_or("");
            if !by_section.contains_key(section) {
                hits.push((None, hit_of(found).weigh(Severity::Note)));
            }
        }
    }
    hits
}

pub(crate) fn unknown(scene: &Scene) -> Vec<(Option<usize>, Hit)> {
    let mut hits = Vec::new();
    for config in &scene.configs {
        for found in &config.loaded.findings {
            if !UNKNOWN.contains(&found.code.as_str()) || is_of_a_plugin(config, found) {
                continue;
            }
            let mut hit = hit_of(found);
            // What only Steadfast leaves out means something to the supervisor that runs it today.
            if found.code == "conf.not-supported" && !is_ours(config) {
                hit = hit.weigh(Severity::Note);
            }
            hits.push((None, hit));
        }
    }
    hits
}

/// Keys that a plugin reads from the same file: those of supervisord-dependent-startup, if it is there.
fn is_of_a_plugin(config: &Config, found: &Finding) -> bool {
    let command = |l: &conf::Program| {
        let mut words = l.processes.iter().flat_map(|p| p.command.argv());
        words.any(|word| word.replace('_', "-").contains("dependent-startup"))
    };
    found.code == "conf.unknown-key"
        && found.message.starts_with("`dependent_startup")
        && config.loaded.model.programs.iter().any(command)
}

/// Whether Steadfast runs it, or is meant to.
fn is_ours(config: &Config) -> bool {
    config.loaded.model.steadfast.is_some() || config.daemon.as_ref().is_some_and(Daemon::is_ours)
}

pub(crate) fn misleading(scene: &Scene) -> Vec<(Option<usize>, Hit)> {
    let mut hits = told(scene, MISLEADING);
    // The reader speaks of Steadfast, which may have nothing to do with this.
    let ours = scene.configs.iter().any(is_ours);
    for (_, hit) in hits.iter_mut().filter(|_| !ours) {
        if hit.what.starts_with("without [rpcinterface:supervisor]") {
            hit.effect = Some("supervisorctl cannot restart or update anything".to_owned());
        }
    }
    hits
}

pub(crate) fn include(scene: &Scene) -> Vec<(Option<usize>, Hit)> {
    told(scene, &["conf.include-empty", "conf.include-unreadable"])
}

pub(crate) fn nested(scene: &Scene) -> Vec<(Option<usize>, Hit)> {
    told(scene, &["conf.include-nested"])
}

pub(crate) fn open(scene: &Scene) -> Vec<(Option<usize>, Hit)> {
    let mut hits = told(scene, &["conf.open-control"]);
    if !hits.is_empty() {
        return hits;
    }
    for inet in scene.configs.iter().flat_map(|c| &c.loaded.model.inet_http) {
        let local = ["127.0.0.1", "localhost", "::1"].contains(&inet.host.as_str());
        if !local {
            let how = if inet.login.is_none() {
                "without a password"
            } else {
                "in clear text"
            };
            let weight = if inet.login.is_none() {
                Severity::Warning
            } else {
                Severity::Note
            };
            hits.push((
                None,
                Hit::proved(format!("port {} {how}", *inet.port))
                    .at(inet.port.span.clone())
                    .weigh(weight),
            ));
        }
    }
    hits
}

pub(crate) fn refused(scene: &Scene) -> Vec<(Option<usize>, Hit)> {
    let mut hits = told(scene, REFUSED);
    let folded: Vec<&Finding> = scene.configs.iter().flat_map(of_other_machines).collect();
    hits.retain(|(_, hit)| !folded.iter().any(|f| f.message == hit.what));
    let running = scene.configs.iter().any(|c| c.daemon.is_some());
    for (_, hit) in &mut hits {
        // A variable of the supervisor's environment, which cannot be seen while it does not run.
        let outside = hit.what.contains("is not set in the environment");
        if outside && !running {
            hit.severity = Some(Severity::Note);
        }
    }
    // The reader knows which of its findings are errors.
    let errors = |hit: &Hit| {
        scene
            .configs
            .iter()
            .flat_map(|c| &c.loaded.findings)
            .any(|f| f.message == hit.what && f.is_error())
    };
    for (_, hit) in &mut hits {
        if hit.severity.is_none() && !errors(hit) {
            hit.severity = Some(Severity::Warning);
        }
    }
    hits.extend(lacks(&folded).map(|hit| (None, hit)));
    hits
}

/// What a configuration names that is not on this machine, if nothing says that it is for this machine.
fn of_other_machines(config: &Config) -> impl Iterator<Item = &Finding> {
    let findings = config.loaded.findings.iter();
    findings.filter(|f| config.is_elsewhere && is_lacking(f))
}

/// One note for all of it: a configuration in a repository is for a machine that has its users and directories.
fn lacks(folded: &[&Finding]) -> Option<Hit> {
    let first = folded.first()?;
    let names = folded.iter().filter_map(|f| f.message.split(": ").last());
    let names: BTreeSet<&str> = names.collect();
    let named: Vec<&str> = names.iter().copied().take(LACKING_NAMED_MAX).collect();
    let more = match names.len() - named.len() {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let hit = Hit::proved("here, where it may not be meant to run")
        .weigh(Severity::Note)
        .at(first.span.clone())
        .said(format!("on this machine {}{more}", named.join(", ")))
        .effect("none, if it is for another machine or a container");
    Some(hit.advice("make them, if it is for this one"))
}

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

/// Words with which Supervisor starts a program, and a process runs: the same but for what an interpreter adds in front.
fn same_words(command: &[String], argv: &[String]) -> bool {
    if argv.ends_with(command) {
        return true;
    }
    let base = |word: &String| word.rsplit('/').next().unwrap_or(word).to_owned();
    // `uvicorn` becomes `/venv/bin/python /venv/bin/uvicorn`.
    let tail = argv.len().checked_sub(command.len()).map(|at| &argv[at..]);
    tail.is_some_and(|tail| {
        tail.first().map(base) == command.first().map(base) && tail[1..] == command[1..]
    })
}

/// Whether a process has written a title over its words: gunicorn with setproctitle, Next.js, whoever sets `process.title`.
fn is_title(argv: &[String], command: &[String]) -> bool {
    let base = |word: &String| word.rsplit('/').next().unwrap_or(word).to_owned();
    argv.len() == 1 && argv.first().map(base) != command.first().map(base)
}

pub(crate) fn not_applied(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let (Some(program), Some(process), Some(config)) = (
        &subject.program,
        subject.processes.first(),
        subject.config(scene),
    ) else {
        return Vec::new();
    };
    let Some(definition) = program.processes.first() else {
        return Vec::new();
    };
    // Ours is handed a socket; and what a shell or a wrapper becomes is not to be foreseen.
    let steadfast = config
        .daemon
        .as_ref()
        .is_some_and(|d| sys::proc::stat(d.pid).is_none_or(|s| s.name.starts_with("steadfast")));
    let wrapped = subject.layers.first().is_none_or(|l| {
        l.server.kind == Kind::Unknown
            || l.server.kind == Kind::PackageScript
            || l.server.through.iter().any(|w| !w.starts_with("python"))
    });
    if steadfast
        || wrapped
        || program.processes.len() > 1
        || same_words(&definition.command.argv(), &process.argv)
    {
        return Vec::new();
    }
    if is_title(&process.argv, &definition.command.argv()) {
        return Vec::new();
    }
    let age = scene.now_unix_s.saturating_sub(process.start_unix_s);
    let hit = Hit::proved("").at(definition.command.span());
    vec![
        hit.said(format!(
            "pid {} was started {} ago as: {}",
            process.pid,
            crate::time::duration(age),
            finding::mask_line(&servers::shell_line(&process.argv))
        ))
        .advice("apply it"),
    ]
}

pub(crate) fn is_back(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let Some(config) = subject.config(scene) else {
        return Vec::new();
    };
    let mut hits = Vec::new();
    for layer in subject.layers.iter().filter(|l| l.file.is_none()) {
        for flag in servers::guard(&layer.server)
            .into_iter()
            .filter(|f| f.weight == Weight::Refuse)
        {
            let Some(span) = layer.span_of_all(&flag.places) else {
                continue;
            };
            let words = removed(scene, subject, &flag.what).or_else(|| backed_up(config, &span));
            hits.extend(words.map(|words| Hit::proved(&flag.what).at(span).said(words)));
        }
    }
    hits
}

/// The change of the definition, in Steadfast's ledger, that took a flag away.
fn removed(scene: &Scene, subject: &Subject, flag: &str) -> Option<String> {
    let has = |command: &str| command.split(' ').any(|word| word == flag);
    subject.happened.iter().rev().find_map(|entry| {
        let ledger::What::Config { changes, by } = &entry.what else {
            return None;
        };
        let took = changes.iter().any(|change| {
            let command = change.strip_prefix("command ");
            let sides = command.and_then(|c| c.split_once(" -> "));
            sides.is_some_and(|(old, new)| has(old) && !has(new))
        });
        let ago = scene.now_unix_s.saturating_sub(entry.at_ms / 1_000);
        took.then(|| {
            let ago = crate::time::duration(ago);
            format!("it was removed before: {ago} ago, {by} (ledger)")
        })
    })
}

/// The copy of a fixed file that has the line as it is again.
fn backed_up(config: &crate::scene::Config, span: &finding::Span) -> Option<String> {
    let path = config.path_of(&span.file)?;
    let had = |backup: &std::path::PathBuf| {
        let text = disk::Disk::default().text(backup, conf::FILE_BYTES_MAX);
        text.is_some_and(|t| t.lines().any(|l| l == &*span.text))
    };
    let backup = change::backups(&path).into_iter().find(had)?;
    Some(format!(
        "it was removed before: {} is the file of then",
        backup.display()
    ))
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
fn shell_above(layer: &crate::scene::layers::Layer) -> bool {
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
