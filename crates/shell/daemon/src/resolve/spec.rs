//! The definition itself: every key of a program as its keeper needs it.

use std::collections::BTreeMap;
use std::path::Path;

use conf::{AutoRestart, Listen, LogFile, LogTarget, ProcessDef, Ready, Replace, Unhealthy};
use finding::Finding;
use wire::{Autorestart, Sink, Spec, Text};

use super::context::Resolved;
use super::handover::Handed;
use super::program::Place;
use super::{environment, settings};
use crate::autologs;
use crate::digits::hash;

/// Supervisor's default of `[supervisord] umask`.
const UMASK_DEFAULT: u32 = 0o022;

pub(super) fn spec(
    place: &Place<'_>,
    number: u32,
    env: &environment::Made,
    handed: Handed,
    listeners: u32,
    gated: bool,
    out: &mut Resolved,
) -> Spec {
    let Place {
        one,
        process,
        context,
        ..
    } = place;
    let program = one.program;
    let mut all: BTreeMap<String, Text> = env
        .all
        .iter()
        .map(|(name, value)| (name.clone(), Text::from(value.as_str())))
        .collect();
    for (name, value) in handed.env {
        match value {
            Some(value) => all.insert(name, value),
            None => all.remove(&name),
        };
    }
    let steadfast = out.active.settings.steadfast;
    let ms = |seconds: u64| seconds.saturating_mul(1000);
    let duration_ms =
        |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let mut spec = Spec {
        program: program.name.clone(),
        group: program.group.clone(),
        process: process.name.clone(),
        argv: handed.argv,
        unparsable: unparsable(&process.command),
        env: all.into_iter().collect(),
        directory: process
            .directory
            .as_ref()
            .map(|dir| &dir.value)
            .or(one.model.supervisord.directory.as_ref())
            .map(|dir| settings::absolute(dir)),
        credentials: place.credentials.clone(),
        // The supervisor's own, where the file names another than the default, is what its programs inherit.
        umask: program.umask.as_ref().map(|umask| umask.value).or_else(|| {
            let own = one.model.supervisord.umask;
            (own != UMASK_DEFAULT).then_some(own)
        }),
        min_fds: one.model.supervisord.minfds,
        min_procs: one.model.supervisord.minprocs,
        stdout: sink(place, &process.stdout, "stdout"),
        stderr: sink(place, &process.stderr, "stderr"),
        redirect_stderr: *program.redirect_stderr,
        autorestart: match *program.autorestart {
            AutoRestart::Never => Autorestart::Never,
            AutoRestart::Unexpected => Autorestart::Unexpected,
            AutoRestart::Always => Autorestart::Always,
        },
        start_secs: u32::try_from(*program.startsecs).unwrap_or(u32::MAX),
        start_retries: u32::try_from(*program.startretries).unwrap_or(u32::MAX),
        exit_codes: program
            .exitcodes
            .iter()
            .map(|code| i32::from(*code))
            .collect(),
        stop_signal: program.stopsignal.0,
        stop_wait_ms: ms(*program.stopwaitsecs),
        stop_as_group: *program.stopasgroup,
        kill_as_group: *program.killasgroup,
        kill_leftovers: steadfast || *program.listen != Listen::Own,
        retry_fatal: steadfast,
        ready: ready(program, gated),
        ready_timeout_ms: duration_ms(*program.ready_timeout),
        keepalive_ms: program
            .keepalive
            .as_ref()
            .map_or(0, |period| duration_ms(period.value)),
        unhealthy_after: match *program.unhealthy {
            Unhealthy::Report => 0,
            Unhealthy::RestartAfter(count) => count,
        },
        replace: replace(program, &handed.public, out),
        drain_timeout_ms: duration_ms(*program.drain_timeout),
        address: handed.address,
        app_dir: context
            .run_dir
            .join(format!("slots/{number}/app"))
            .display()
            .to_string(),
        listeners,
        listener: matches!(program.kind, conf::ProgramKind::EventListener(_)),
        socket_stdin: matches!(program.kind, conf::ProgramKind::FastCgi(_)),
        stdout_events: process.stdout.events_enabled,
        stderr_events: process.stderr.events_enabled,
        stdout_capture: process.stdout.capture_maxbytes,
        stderr_capture: process.stderr.capture_maxbytes,
        strip_ansi: one.model.supervisord.strip_ansi,
        stdout_syslog: process.stdout.syslog,
        stderr_syslog: process.stderr.syslog,
        syslog: crate::syslog::socket(context.base_env),
        gated,
        restart_window_ms: duration_ms(*program.restart_window),
        key: env.key,
        prove: prove(program),
        open_socket: handed.open_socket && place.gateway_user.is_some_and(|user| user.uid != 0),
        ..Spec::default()
    };
    extras(program, &mut spec);
    spec.hash = hash(&spec.to_bytes());
    spec
}

/// Supervisor's words for a command that it finds unusable when it starts it (process.py `get_execv_args`).
fn unparsable(command: &conf::Command) -> String {
    match command.wrong() {
        None => String::new(),
        Some(conf::SplitError::Empty) => conf::SplitError::Empty.words().to_owned(),
        Some(why) => {
            let quoted = supervisord::repr(command.as_str());
            format!("can't parse command {quoted}: {}", why.words())
        }
    }
}

/// What the keys of [`conf::Extras`] change about the definition. `oneshot` and `essential` have other defaults for
/// what follows an end; what the file says itself counts.
fn extras(program: &conf::Program, spec: &mut Spec) {
    let more = &program.extras;
    spec.restart_delay_ms = u64::try_from(more.restart_delay.as_millis()).unwrap_or(u64::MAX);
    spec.log_prefix = match more.log_prefix.as_ref().map(|prefix| &prefix.value) {
        None => String::new(),
        Some(conf::LogPrefix::Name) => format!("{} |", spec.label()),
        Some(conf::LogPrefix::Text(text)) => text.clone(),
    };
    spec.log_json = *more.log_format == conf::LogFormat::Json;
    if *more.oneshot {
        spec.oneshot = true;
        spec.start_secs = 0;
        if !program.ready_timeout.is_set() {
            // A migration takes as long as it takes.
            spec.ready_timeout_ms = u64::MAX;
        }
    }
    if *more.oneshot || *more.essential {
        if !program.autorestart.is_set() {
            spec.autorestart = Autorestart::Never;
        }
        if !program.startretries.is_set() && spec.autorestart == Autorestart::Never {
            spec.start_retries = 0;
        }
        // Tried again after FATAL, it would never have failed.
        spec.retry_fatal = false;
    }
}

/// Two processes cannot listen on one address of their own, so an overlap would never get ready.
fn replace(program: &conf::Program, public: &[String], out: &mut Resolved) -> wire::Replace {
    match *program.replace {
        Replace::Hold => wire::Replace::Hold,
        Replace::Overlap if *program.listen == Listen::Own && !public.is_empty() => {
            let message = format!(
                "[program:{}] cannot overlap: the old process still holds {} when the new one starts",
                program.name,
                public.join(", ")
            );
            let finding = Finding::error("replace", message)
                .at(program.replace.span.clone())
                .effect("it is replaced by hold instead")
                .fix("write: listen = gateway, or replace = hold");
            if !out.findings.contains(&finding) {
                out.findings.push(finding);
            }
            wire::Replace::Hold
        }
        Replace::Overlap => wire::Replace::Overlap,
    }
}

fn prove(program: &conf::Program) -> Option<wire::Prove> {
    let path = program.prove.as_ref()?;
    let variable = program.tokens.signer(&program.secrets)?;
    let text = |value: &Option<conf::Spanned<String>>, default: &str| {
        value
            .as_ref()
            .map_or_else(|| default.to_owned(), |value| value.value.clone())
    };
    Some(wire::Prove {
        path: path.value.clone(),
        variable: variable.to_owned(),
        alg: text(&program.tokens.alg, "HS256"),
        user: text(&program.prove_user, "steadfast"),
        claims: text(&program.tokens.claims, ""),
    })
}

fn ready(program: &conf::Program, gated: bool) -> wire::Ready {
    match program.ready.as_ref().map(|ready| &ready.value) {
        // RUNNING means ready: a program that refuses the token has not started.
        None if program.prove.is_some() => wire::Ready::Tcp {},
        None if gated => wire::Ready::Connect {},
        None => wire::Ready::Lived {},
        Some(Ready::Http { path }) => wire::Ready::Http {
            path: path.clone(),
            host: program.ready_host.value.clone(),
        },
        Some(Ready::Tcp) => wire::Ready::Tcp {},
        Some(Ready::Fd(number)) => wire::Ready::Descriptor { number: *number },
        Some(Ready::Log(pattern)) => wire::Ready::Log {
            pattern: pattern.clone(),
        },
        Some(Ready::Notify) => wire::Ready::Notify {},
        Some(Ready::Exec(argv)) => wire::Ready::Exec { argv: argv.clone() },
    }
}

fn sink(place: &Place<'_>, target: &LogTarget, channel: &'static str) -> Sink {
    let file = |path: String| Sink::File {
        path,
        max_bytes: target.maxbytes,
        backups: target.backups,
    };
    match &target.file.value {
        LogFile::None => Sink::Nowhere {},
        LogFile::Auto => file(auto_log(place, channel)),
        LogFile::Path(path) => match path.as_str() {
            "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1" => Sink::RootStdout {},
            "/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2" => Sink::RootStderr {},
            path => {
                let path = settings::absolute(path);
                if is_device(&path) {
                    Sink::Device { path }
                } else {
                    file(path)
                }
            }
        },
    }
}

fn is_device(path: &str) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::metadata(Path::new(path)).is_ok_and(|meta| {
        let kind = meta.file_type();
        kind.is_fifo() || kind.is_char_device() || kind.is_socket()
    })
}

/// The AUTO log of a process: the one that it has, else a new one.
fn auto_log(place: &Place<'_>, channel: &'static str) -> String {
    let Place {
        one,
        process,
        context,
        ..
    } = place;
    let own = &one.model.supervisord;
    let key = plan::Key::new(one.program.group.clone(), process.name.clone());
    let before = context.before.slot(&key).map(|slot| {
        if channel == "stdout" {
            &slot.spec.stdout
        } else {
            &slot.spec.stderr
        }
    });
    let name = autologs::Name {
        dir: &own.childlogdir,
        process: &process.name,
        channel,
        identifier: &own.identifier,
    };
    match before {
        Some(Sink::File { path, .. }) if name.fits(path) => path.clone(),
        Some(_) | None => name.make(context.dry),
    }
}

/// `1.5 s`; empty for none.
fn seconds(time: std::time::Duration) -> String {
    if time.is_zero() {
        String::new()
    } else {
        format!("{} s", time.as_secs_f64())
    }
}

/// The definition in words, so that a difference can be said. Values of variables appear as digests.
pub(super) fn parts(
    program: &conf::Program,
    process: &ProcessDef,
    env: &environment::Made,
) -> BTreeMap<String, String> {
    let mut parts = BTreeMap::new();
    parts.insert("command".to_owned(), process.command.as_str().to_owned());
    if let Some(template) = &process.steadfast_command {
        parts.insert("steadfast_command".to_owned(), template.as_str().to_owned());
    }
    let mut put = |name: &str, value: String| parts.insert(name.to_owned(), value);
    put(
        "directory",
        process
            .directory
            .as_ref()
            .map_or(String::new(), |dir| dir.value.clone()),
    );
    put("listen", format!("{:?}", *program.listen).to_lowercase());
    put("replace", format!("{:?}", *program.replace).to_lowercase());
    put("priority", program.priority.value.to_string());
    put("autostart", program.autostart.to_string());
    put(
        "autorestart",
        format!("{:?}", *program.autorestart).to_lowercase(),
    );
    put("startsecs", program.startsecs.to_string());
    put("startretries", program.startretries.to_string());
    put("stopsignal", sys::signal::name(program.stopsignal.0));
    put("stopwaitsecs", program.stopwaitsecs.to_string());
    put("stdout_logfile", format!("{:?}", process.stdout.file.value));
    put("stderr_logfile", format!("{:?}", process.stderr.file.value));
    put(
        "prove",
        program
            .prove
            .as_ref()
            .map_or(String::new(), |path| path.value.clone()),
    );
    put(
        "ready",
        program
            .ready
            .as_ref()
            .map_or(String::new(), |ready| format!("{:?}", ready.value)),
    );
    let more = &program.extras;
    put("restart_delay", seconds(more.restart_delay.value));
    put("oneshot", more.oneshot.to_string());
    put(
        "log_prefix",
        format!("{:?}", more.log_prefix.as_ref().map(|prefix| &prefix.value)),
    );
    put(
        "log_format",
        format!("{:?}", *more.log_format).to_lowercase(),
    );
    let depends: Vec<&str> = program
        .depends_on
        .iter()
        .map(|name| name.value.as_str())
        .collect();
    put("depends_on", depends.join(","));
    for (name, value) in process
        .environment
        .iter()
        .chain(env.all.iter().filter(|(name, _)| env.secret.contains(name)))
    {
        let from_file = env.from_file.contains(name) && !process.environment.contains_key(name);
        let source = if from_file { "env_file" } else { "environment" };
        put(&format!("{source} {name}"), hash(value.as_bytes()));
    }
    parts
}
