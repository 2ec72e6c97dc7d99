//! Look, judge, report: one run of the doctor.

use std::collections::BTreeSet;
use std::path::Path;

use clap::Parser;
use finding::Severity;

use crate::args::Args;
use crate::disk::Disk;
use crate::model::{Diagnosis, Env, Hit, Repair};
use crate::probe::ignore::{ignores, section_of};
use crate::rules::{self, Apply, Probe, Rule};
use crate::scene::app::Apps;
use crate::scene::config::Look;
use crate::scene::{Owner, Scene, Source, Subject, ask, config, discover, http};
use crate::{Io, checklist, fix, live, report};

/// Exit statuses.
const HEALTHY: u8 = 0;
const FOUND: u8 = 1;
const COULD_NOT_LOOK: u8 = 2;

/// What was judged.
pub(crate) struct Judged {
    pub(crate) diagnoses: Vec<Diagnosis>,
    /// Ignored ones: code, reason.
    pub(crate) ignored: Vec<(String, String)>,
}

/// `steadfast doctor`.
pub(crate) fn doctor(words: &[String], io: &mut Io<'_>) -> u8 {
    let with_name = std::iter::once("steadfast doctor".to_owned()).chain(words.iter().cloned());
    let args = match Args::try_parse_from(with_name) {
        Ok(args) => args,
        Err(error) => {
            let (door, status): (&mut dyn std::io::Write, u8) = if error.use_stderr() {
                (io.err, COULD_NOT_LOOK)
            } else {
                (io.out, HEALTHY)
            };
            let _ = door.write_all(error.render().to_string().as_bytes());
            return status;
        }
    };
    if args.rules {
        for rule in rules::all() {
            let _ = writeln!(
                io.out,
                "{}  {:7}  {}",
                rule.code,
                rule.severity.word(),
                rule.title
            );
        }
        return HEALTHY;
    }
    for code in args
        .fix
        .iter()
        .flatten()
        .chain(&args.select)
        .chain(&args.ignore)
    {
        if !rules::all().any(|r| r.code.starts_with(&code.to_ascii_uppercase())) {
            let _ = writeln!(
                io.err,
                "error: there is no rule {}; `steadfast doctor --rules` lists them",
                finding::escape(code)
            );
            return COULD_NOT_LOOK;
        }
    }
    let disk = Disk::default();
    let mut scene = match look(&args, io, &disk) {
        Ok(scene) => scene,
        Err(why) => {
            let _ = writeln!(io.err, "error: {}", finding::escape(&why));
            return COULD_NOT_LOOK;
        }
    };
    if let Some(codes) = &args.fix {
        let judged = judge(&scene, &args);
        return fix::run(&scene, &judged, codes, &args, io);
    }
    if args.live.is_some() {
        match experiment(scene, &args, io, &disk) {
            Ok(after) => scene = after,
            Err(why) => {
                let _ = writeln!(io.err, "error: {}", finding::escape(&why));
                return COULD_NOT_LOOK;
            }
        }
    }
    report(&scene, &args, io)
}

/// `--live`: the scene with what the experiments showed. Where they restarted something, everything is looked at again.
fn experiment(scene: Scene, args: &Args, io: &mut Io<'_>, disk: &Disk) -> Result<Scene, String> {
    let live = live::run(&scene, args, io)?;
    let mut after = match live.any_restarted() || !live.restarts.is_empty() {
        true => look(args, io, disk)?,
        false => scene,
    };
    for words in &live.unseen {
        after.not_seen(words.as_str());
    }
    after.live = Some(live);
    Ok(after)
}

/// Judges and reports.
fn report(scene: &Scene, args: &Args, io: &mut Io<'_>) -> u8 {
    let judged = judge(scene, args);
    let list = checklist::list(scene, &judged);
    let text = if args.json {
        report::json(scene, &judged, &list)
    } else if args.sarif {
        report::sarif(&judged)
    } else {
        report::text(scene, &judged, &list)
    };
    let _ = io.out.write_all(text.as_bytes());
    let bad = |d: &Diagnosis| d.severity() <= Severity::Warning;
    let shaken = scene.live.as_ref().is_some_and(live::Live::any_restarted);
    if judged.diagnoses.iter().any(bad) || shaken {
        FOUND
    } else {
        HEALTHY
    }
}

/// Gathers the scene that the arguments ask for.
///
/// # Errors
/// Why nothing could be looked at.
pub(crate) fn look(args: &Args, io: &Io<'_>, disk: &Disk) -> Result<Scene, String> {
    let mut scene = Scene {
        now_unix_s: io.now_unix_s,
        ..Scene::default()
    };
    let look = Look {
        running: !args.files_only,
    };
    let around = conf::Environment {
        env: io.env.clone(),
        cwd: io.cwd.clone(),
        hostname: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
    };
    let mut apps = Apps::new();
    if let Some(path) = &args.config {
        let shown = path.display().to_string();
        if !config::add(&mut scene, &shown, disk, &around, look) {
            return Err(unreadable(path, disk));
        }
    } else if let Some(pid) = args.pid {
        if !discover::process(&mut scene, pid, disk, &mut apps) {
            return Err(format!("there is no process {pid}"));
        }
    } else if let Some(url) = &args.url {
        at_url(&mut scene, url, &io.env)?;
        return Ok(scene);
    } else {
        for path in discover::configurations() {
            config::add(&mut scene, &path.display().to_string(), disk, &around, look);
        }
        if !args.supervisord {
            discover::units(&mut scene, Path::new("/"), disk, &mut apps, look);
            if look.running {
                discover::listening(&mut scene, disk, &mut apps);
            }
        }
        if scene.configs.is_empty() && scene.subjects.is_empty() {
            return Err(
                "nothing that it knows runs here; name it: -c FILE, --pid N or --url URL"
                    .to_owned(),
            );
        }
    }
    if look.running {
        ask::ask_health(&mut scene);
    }
    Ok(scene)
}

/// A server of which only the address is known.
fn at_url(scene: &mut Scene, url: &str, env: &Env) -> Result<(), String> {
    let http::Place {
        target,
        host: authority,
        path,
    } = http::address(url, env)?;
    let path = Some(path).filter(|p| p != "/");
    let certificate = http::certificate(&target, scene.now_unix_s);
    let refused = certificate.as_ref().is_some_and(|c| c.refused.is_some());
    let health = match refused {
        true => None,
        false => http::health(&target, &authority, path.as_deref()),
    };
    if refused {
        scene.not_seen(format!(
            "the health of {authority}: it is not asked while its certificate is not accepted"
        ));
    }
    scene.subjects.push(Subject {
        health,
        was_asked: true,
        certificate,
        ..Subject::new(authority, Source::Address)
    });
    Ok(())
}

/// Runs every rule that is wanted.
pub(crate) fn judge(scene: &Scene, args: &Args) -> Judged {
    let mut diagnoses = Vec::new();
    let scope = scope(args);
    for rule in rules::all().filter(|rule| args.wants(rule.code)) {
        for (subject, hit) in hits(rule, scene) {
            diagnoses.push(diagnosis(scene, rule, subject, hit, &scope));
        }
    }
    dedup(&mut diagnoses);
    let (diagnoses, ignored) = without_ignored(scene, diagnoses);
    Judged {
        diagnoses: order(diagnoses),
        ignored,
    }
}

/// The words that name what was looked at.
pub(crate) fn scope(args: &Args) -> String {
    match (&args.config, args.pid) {
        (Some(path), _) => format!(" -c {}", servers::shell_line(&[path.display().to_string()])),
        (None, Some(pid)) => format!(" --pid {pid}"),
        (None, None) if args.supervisord => " --supervisord".to_owned(),
        (None, None) => String::new(),
    }
}

/// The hits of one rule.
pub(crate) fn hits(rule: &Rule, scene: &Scene) -> Vec<(Option<usize>, Hit)> {
    match &rule.probe {
        Probe::All(probe) => probe(scene),
        Probe::Each(probe) => scene
            .subjects
            .iter()
            .enumerate()
            .flat_map(|(i, subject)| {
                probe(scene, subject)
                    .into_iter()
                    .map(move |hit| (Some(i), hit))
            })
            .collect(),
    }
}

fn diagnosis(
    scene: &Scene,
    rule: &'static Rule,
    subject: Option<usize>,
    hit: Hit,
    scope: &str,
) -> Diagnosis {
    let about = subject.and_then(|i| scene.subjects.get(i));
    let apply = match &hit.repair {
        Some(Repair::Key { .. }) => Apply::Restart,
        Some(Repair::Mode { .. }) => Apply::Nothing,
        Some(Repair::Edit { .. } | Repair::Insert { .. }) | None => rule.apply,
    };
    let owners = about.and_then(|s| command(scene, s, apply));
    let all = hit.prepare.iter().cloned().chain(owners);
    let command = all.reduce(|first, then| format!("{first} && {then}"));
    Diagnosis {
        rule,
        hit,
        subject,
        program: about.map(|s| s.name.clone()),
        command,
        scope: scope.to_owned(),
    }
}

/// The owner's own command.
pub(crate) fn command(scene: &Scene, subject: &Subject, apply: Apply) -> Option<String> {
    let word = match apply {
        Apply::Update => "update",
        Apply::Restart => "restart",
        Apply::Nothing => return None,
    };
    match subject.source {
        Source::Supervisor(_) => {
            let config = subject.config(scene)?;
            let program = subject.program.as_ref()?;
            let name = match apply {
                Apply::Update => program.group.clone(),
                Apply::Restart | Apply::Nothing
                    if program.group == program.name && program.processes.len() == 1 =>
                {
                    program.name.clone()
                }
                Apply::Restart | Apply::Nothing => format!("{}:*", program.group),
            };
            let start = if config.daemon.is_none() && config.told.is_empty() {
                return None;
            } else {
                &config.ctl
            };
            Some(format!("{start} {word} {}", servers::shell_line(&[name])))
        }
        Source::Systemd => Some(systemctl(&subject.name, apply)),
        Source::Address => None,
        Source::Process => match subject.owner.as_ref()? {
            Owner::Systemd(unit) => Some(systemctl(unit, apply)),
            Owner::Supervisor { ctl, group, name } => {
                let full = match (apply, group == name) {
                    (Apply::Update, _) | (_, true) => group.clone(),
                    (Apply::Restart | Apply::Nothing, false) => format!("{group}:{name}"),
                };
                Some(format!("{ctl} {word} {}", servers::shell_line(&[full])))
            }
        },
    }
}

fn systemctl(unit: &str, apply: Apply) -> String {
    let unit = servers::shell_line(&[unit]);
    match apply {
        Apply::Update => format!("systemctl daemon-reload && systemctl restart {unit}"),
        Apply::Restart | Apply::Nothing => format!("systemctl restart {unit}"),
    }
}

/// Several programs of one directory see the same code and the same files: it is said once.
fn dedup(diagnoses: &mut Vec<Diagnosis>) {
    let mut seen = BTreeSet::new();
    diagnoses.retain(|d| {
        let Some(span) = d.span() else { return true };
        seen.insert((
            d.rule.code,
            span.file.to_string(),
            span.line,
            span.column,
            d.hit.what.clone(),
        ))
    });
}

/// Findings that a comment beside them, or in their section, ignores.
fn without_ignored(scene: &Scene, all: Vec<Diagnosis>) -> (Vec<Diagnosis>, Vec<(String, String)>) {
    let mut kept = Vec::new();
    let mut ignored = Vec::new();
    for diagnosis in all {
        match ignored_by(scene, &diagnosis) {
            Some(reason) => ignored.push((diagnosis.rule.code.to_owned(), reason)),
            None => kept.push(diagnosis),
        }
    }
    (kept, ignored)
}

fn ignored_by(scene: &Scene, diagnosis: &Diagnosis) -> Option<String> {
    let is = |code: &str| code == diagnosis.rule.code;
    let spans = diagnosis.hit.evidence.iter().filter_map(|e| match e {
        crate::model::Evidence::Place(span) => Some(span),
        crate::model::Evidence::Said(_) => None,
    });
    if let Some(reason) = scene
        .configs
        .iter()
        .find_map(|c| c.ignores(diagnosis.rule.code))
    {
        return Some(reason);
    }
    let subject = diagnosis.subject.and_then(|i| scene.subjects.get(i));
    let header = subject.and_then(|s| s.program.as_ref()).map(|p| &p.header);
    for span in spans.chain(header) {
        for config in &scene.configs {
            let Some(text) = config.text_of(&span.file) else {
                continue;
            };
            let section =
                section_of(config, &span.file, span.line).unwrap_or((span.line, span.line));
            let found = ignores(text)
                .into_iter()
                .find(|(line, code, _)| is(code) && (section.0..=section.1).contains(line));
            if let Some((_, _, reason)) = found {
                return Some(reason);
            }
        }
        let app = subject
            .map(|s| &s.app)
            .iter()
            .flat_map(|a| a.files.iter())
            .find(|f| f.shown() == *span.file);
        if let Some(file) = app {
            let beside = |line: u32| line == span.line || line + 1 == span.line;
            if let Some((_, _, reason)) = ignores(&file.text)
                .into_iter()
                .find(|(line, code, _)| is(code) && beside(*line))
            {
                return Some(reason);
            }
        }
    }
    None
}

/// Errors first, then by code; what follows from another finding of the same program comes right behind it.
fn order(mut all: Vec<Diagnosis>) -> Vec<Diagnosis> {
    all.sort_by_key(|d| (d.severity(), d.rule.code, d.subject));
    let mut out: Vec<Diagnosis> = Vec::new();
    let (followers, roots): (Vec<Diagnosis>, Vec<Diagnosis>) = {
        let causes: Vec<(Option<usize>, &'static str)> =
            all.iter().map(|d| (d.subject, d.rule.code)).collect();
        all.into_iter().partition(|d| cause(d, &causes).is_some())
    };
    let mut left: Vec<Option<Diagnosis>> = followers.into_iter().map(Some).collect();
    for root in roots {
        let key = (root.subject, root.rule.code);
        out.push(root);
        for slot in &mut left {
            if slot
                .as_ref()
                .is_some_and(|d| d.subject == key.0 && d.rule.follows.contains(&key.1))
            {
                out.extend(slot.take());
            }
        }
    }
    out.extend(left.into_iter().flatten());
    out
}

/// The finding that explains another, if it is among these.
pub(crate) fn cause(
    diagnosis: &Diagnosis,
    all: &[(Option<usize>, &'static str)],
) -> Option<&'static str> {
    diagnosis
        .rule
        .follows
        .iter()
        .copied()
        .find(|code| all.contains(&(diagnosis.subject, code)))
}

/// Why a configuration could not be read.
fn unreadable(path: &Path, disk: &Disk) -> String {
    let why = match disk.bytes(path, conf::FILE_BYTES_MAX) {
        Ok(_) => "it is no text".to_owned(),
        Err(error) => error.words(),
    };
    format!("{} cannot be read: {why}", path.display())
}
