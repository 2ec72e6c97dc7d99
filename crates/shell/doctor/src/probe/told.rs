//! SF3xx: what the reader of configurations found, each told as one of our rules.

use std::collections::{BTreeMap, BTreeSet};

use finding::{Finding, Severity};

use crate::model::Hit;
use crate::scene::config::is_lacking;
use crate::scene::{Config, Daemon, Scene};

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
