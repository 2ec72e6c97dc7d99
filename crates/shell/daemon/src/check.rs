//! `steadfast check`: everything that can be said about a configuration without running it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use finding::{Finding, Report};
use rundir::{Identity, Layout, RunDir, Surroundings};
use wire::{Spec, Text};

use crate::commands::{ANOTHER_STORE, another_store};
use crate::guard;
use crate::machine::{Machine, environment};
use crate::model::Active;
use crate::resolve::{Context, refresh_gateway, resolve};

/// The result of a check.
#[derive(Debug)]
pub struct Checked {
    /// Everything found.
    pub report: Report,
    /// The configuration itself could not be read: exit status 2.
    pub unreadable: bool,
    /// `backend will run: uvicorn server:app --uds …/1.sock`, one for each program that is started otherwise than its
    /// command says.
    pub will_run: Vec<String>,
}

impl Checked {
    /// Exit status of `check`: 0 clean or warnings, 1 errors, 2 unreadable.
    pub fn exit(&self) -> u8 {
        match (self.unreadable, self.report.has_errors()) {
            (true, _) => 2,
            (false, true) => 1,
            (false, false) => 0,
        }
    }
}

/// Checks the configuration at `path` as it would run with the environment `env`; `dev` leaves the guard out.
pub fn check(path: &str, env: &BTreeMap<String, String>, dev: bool) -> Checked {
    let loaded = conf::load(path, &Machine::default(), &environment(env));
    let mut findings = loaded.findings.clone();
    if loaded.unreadable {
        return Checked {
            report: Report::new(findings),
            unreadable: true,
            will_run: Vec::new(),
        };
    }
    let model = &loaded.model;
    let strictness = guard::strictness(model, dev, false);
    findings.extend(
        guard::findings(model, env, strictness, &|_| false)
            .into_iter()
            .map(|found| found.finding),
    );

    let identity =
        Identity::of_file(Path::new(path)).unwrap_or_else(|_| Identity::File(path.into()));
    let layout = Layout::of(&identity, &Surroundings::here());
    let before = Active::default();
    let context = Context {
        before: &before,
        base_env: env,
        run_dir: &layout.run,
        state_dir: &layout.state,
        in_use: None,
        dry: true,
    };
    let mut resolved = resolve(model, &context);
    findings.append(&mut resolved.findings);
    refresh_gateway(&mut resolved.active, &Default::default(), &layout.run);
    for slot in resolved.active.programs() {
        let place = model
            .programs
            .iter()
            .find(|program| program.name == slot.program);
        findings.extend(on_this_machine(&resolved.active.spec(slot), place));
    }
    findings.extend(store_in_use(model, &resolved.active, &layout.run));
    findings.dedup();
    Checked {
        report: Report::new(findings),
        unreadable: false,
        will_run: will_run(model, &resolved.active),
    }
}

/// It runs already, and keeps its sessions in another store.
fn store_in_use(model: &conf::Model, active: &Active, run_dir: &Path) -> Option<Finding> {
    // Somebody else's, or none: nothing is known.
    let bytes = RunDir::open(run_dir).ok()?.read_active().ok()??;
    let running = Active::from_bytes(&bytes).ok()?;
    let stores = [&running, active].map(|model| model.gateway.sessions.as_ref());
    let (old, new) = another_store(stores[0], stores[1])?;
    let text = format!("sessions are kept in another store than the one in use: {old} -> {new}");
    let span = model
        .sessions
        .as_ref()
        .and_then(|own| own.store.span.clone());
    let finding = Finding::warning("sessions", text).at(span);
    Some(finding.effect(format!("after `steadfast update` {ANOTHER_STORE}")))
}

/// What is missing on this machine now; it may be there when it runs, so these are warnings.
fn on_this_machine(spec: &Spec, program: Option<&conf::Program>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let process = program.and_then(|program| program.processes.first());
    let name = &spec.program;
    if let Some(dir) = spec
        .directory
        .as_ref()
        .filter(|dir| !Path::new(dir).is_dir())
    {
        let span = process
            .and_then(|process| process.directory.as_ref())
            .and_then(|dir| dir.span.clone());
        let finding = Finding::warning(
            "missing",
            format!("[program:{name}] the directory {dir} does not exist"),
        );
        findings.push(finding.at(span).effect("it cannot be started"));
    }
    if let Some(Text::Plain { text }) = spec.argv.first()
        && !executable(text, spec)
    {
        let span = process.and_then(|process| process.command.span_of_word(0));
        let there = text.contains('/')
            && Path::new(spec.directory.as_deref().unwrap_or(""))
                .join(text)
                .exists();
        let message = match there {
            true => format!("[program:{name}] `{text}` is not an executable file"),
            false => format!("[program:{name}] there is no command `{text}`"),
        };
        let finding = Finding::warning("missing", message);
        findings.push(finding.at(span).effect("it cannot be started"));
    }
    findings
}

fn executable(command: &str, spec: &Spec) -> bool {
    let is = |path: &Path| {
        std::fs::metadata(path)
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if command.contains('/') {
        let dir = spec.directory.as_deref().unwrap_or("");
        return is(&Path::new(dir).join(command));
    }
    let path = spec.env.iter().find(|(name, _)| name == "PATH");
    let dirs = match path {
        Some((_, Text::Plain { text })) => text.as_str(),
        Some((_, Text::Socket { .. } | Text::Port { .. })) | None => "/usr/local/bin:/usr/bin:/bin",
    };
    dirs.split(':').any(|dir| is(&Path::new(dir).join(command)))
}

/// The lines of programs whose command is rewritten, the first process of each.
fn will_run(model: &conf::Model, active: &Active) -> Vec<String> {
    let mut lines = Vec::new();
    for program in &model.programs {
        let Some(slot) = active.programs().find(|slot| slot.program == program.name) else {
            continue;
        };
        let Some(process) = program
            .processes
            .iter()
            .find(|process| process.name == slot.process)
        else {
            continue;
        };
        let words = shown_argv(&slot.spec);
        if words != process.command.argv() {
            lines.push(format!(
                "{} will run: {}",
                program.name,
                finding::mask_line(&servers::quote_line(&words).replace("%%", "%"))
            ));
        }
    }
    lines
}

/// The command line of a first generation; a port is known only when it starts.
fn shown_argv(spec: &Spec) -> Vec<String> {
    let word = |text: &Text| match text {
        Text::Plain { text } => text.clone(),
        Text::Socket { before, after } => format!("{before}{}/1.sock{after}", spec.app_dir),
        Text::Port { before, after } => format!("{before}PORT{after}"),
    };
    spec.argv.iter().map(word).collect()
}
