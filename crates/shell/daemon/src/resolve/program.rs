//! One program: a slot for each of its processes.

use std::collections::BTreeMap;
use std::path::Path;

use conf::{AutoRestart, Listen, LogFile, LogTarget, ProcessDef, Ready, Replace, Unhealthy};
use finding::Finding;
use wire::{Address, Autorestart, Credentials, Sink, Spec, Text};

use super::handover::{Handed, hand_over};
use super::{Context, Resolved, config, environment, hash, settings};
use crate::autologs;
use crate::model::Slot;

/// A program and where it stands.
pub(super) struct Program<'a> {
    pub(super) model: &'a conf::Model,
    pub(super) program: &'a conf::Program,
    pub(super) group_priority: i64,
    /// A `[gateway:x]` routes to it.
    pub(super) routed: bool,
}

/// What was made of it.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) slots: Vec<Slot>,
    /// Its own addresses, and whom it trusts: for gateways that have none of their own.
    pub(super) public: Public,
}

/// What a gateway must know of a program that it routes to.
#[derive(Debug, Default, Clone)]
pub(super) struct Public {
    pub(super) addresses: Vec<String>,
    pub(super) trusted: Vec<String>,
}

/// Resolves one program; an error leaves all of it out.
pub(super) fn resolve(
    one: &Program<'_>,
    context: &Context<'_>,
    gateway_user: Option<&super::gateways::User>,
    out: &mut Resolved,
) -> Result<Made, Box<Finding>> {
    let program = one.program;
    let needs_public = !one.routed || needs_its_address(one);
    let mut made = Made::default();
    let mut handed_all = Vec::new();
    for process in &program.processes {
        let env = environment::environment(one.model, program, process, context, out)?;
        let server = servers::read(&process.command.argv(), &env.all);
        let handed = hand_over(program, process, &server, needs_public)?;
        handed_all.push((process, env, handed));
    }
    let shared = handed_all
        .windows(2)
        .all(|pair| pair[0].2.public == pair[1].2.public);
    let credentials = credentials(one)?;
    for (process, env, handed) in handed_all {
        for address in &handed.public {
            if !made.public.addresses.contains(address) {
                made.public.addresses.push(address.clone());
            }
        }
        made.public.trusted.clone_from(&handed.trusted);
        if made.slots.is_empty() {
            for note in &handed.notes {
                let span = program.listen.span.clone();
                out.findings.push(
                    Finding::note("listen", format!("[program:{}] {note}", program.name)).at(span),
                );
            }
        }
        check_address(one, &handed)?;
        let place = Place {
            one,
            process,
            context,
            gateway_user,
            shared,
            credentials: credentials.clone(),
        };
        made.slots.push(slot(&place, env, handed, out));
    }
    Ok(made)
}

/// A gateway that routes to it has no address of its own.
fn needs_its_address(one: &Program<'_>) -> bool {
    one.model.gateways.iter().any(|gateway| {
        gateway.listen.is_empty()
            && gateway
                .routes
                .iter()
                .any(|route| route.target == one.program.name)
    })
}

/// Whoever wants to connect to it must know where it listens.
fn check_address(one: &Program<'_>, handed: &Handed) -> Result<(), Box<Finding>> {
    let program = one.program;
    if one.routed && handed.address == (Address::Unknown {}) {
        let message = format!(
            "[program:{}] cannot be behind a gateway: its address is not visible",
            program.name
        );
        return Err(Box::new(
            Finding::error("listen", message)
                .at(program.header.clone())
                .hint("write: listen = gateway"),
        ));
    }
    let over_network = matches!(
        program.ready.as_ref().map(|ready| &ready.value),
        Some(Ready::Http { .. } | Ready::Tcp)
    );
    if over_network && handed.address == (Address::Unknown {}) {
        let span = program.ready.as_ref().and_then(|ready| ready.span.clone());
        let message = format!(
            "[program:{}] cannot be checked over the network: its address is not visible",
            program.name
        );
        let hint = "name the address on its command line, or use listen = gateway, or ready = log:… or fd:3";
        return Err(Box::new(
            Finding::error("ready", message).at(span).hint(hint),
        ));
    }
    Ok(())
}

/// The user: its own, else that of `[supervisord]`; None keeps ours.
fn credentials(one: &Program<'_>) -> Result<Option<Credentials>, Box<Finding>> {
    let user = one
        .program
        .user
        .as_ref()
        .or(one.model.supervisord.user.as_ref());
    let Some(user) = user.filter(|user| user.uid != sys::users::own_uid()) else {
        return Ok(None);
    };
    let groups = match sys::users::lookup(&user.name) {
        Ok(Some(found)) => found.groups,
        Ok(None) => vec![user.gid],
        Err(why) => {
            let message = format!(
                "[program:{}] the groups of {} cannot be read: {why}",
                one.program.name, user.name
            );
            return Err(Box::new(
                Finding::error("user", message).at(user.span.clone()),
            ));
        }
    };
    Ok(Some(Credentials {
        name: user.name.clone(),
        uid: user.uid,
        gid: user.gid,
        groups,
    }))
}

struct Place<'a> {
    one: &'a Program<'a>,
    process: &'a ProcessDef,
    context: &'a Context<'a>,
    gateway_user: Option<&'a super::gateways::User>,
    shared: bool,
    credentials: Option<Credentials>,
}

fn slot(place: &Place<'_>, env: environment::Made, handed: Handed, out: &mut Resolved) -> Slot {
    let Place {
        one,
        process,
        context,
        ..
    } = place;
    let program = one.program;
    let key = plan::Key::new(program.group.clone(), process.name.clone());
    let before = context.before.slot(&key);
    let number = before.map_or_else(
        || {
            out.active.next_slot += 1;
            out.active.next_slot - 1
        },
        |slot| slot.number,
    );
    let gated = *program.listen == Listen::Gateway || one.routed;
    let target = match (gated, place.shared || one.routed) {
        (false, _) => String::new(),
        (true, true) => program.name.clone(),
        (true, false) => key.to_string(),
    };
    let held = *program.listen == Listen::Held;
    let listeners = if held {
        handed.public.clone()
    } else {
        Vec::new()
    };
    let derived = if *program.listen == Listen::Gateway && !one.routed {
        handed
            .public
            .iter()
            .map(|address| derived(address, &target, &program.name, &handed.trusted))
            .collect()
    } else {
        Vec::new()
    };
    let shown = shown(one, &handed, &key.to_string());
    let spec = spec(
        place,
        number,
        &env,
        handed,
        listeners.len() as u32,
        gated,
        out,
    );
    let mut parts = parts(program, process, &env);
    parts.insert(
        "user".into(),
        spec.credentials
            .as_ref()
            .map_or(String::new(), |user| user.name.clone()),
    );
    let info = config::config(program, process, one.group_priority, &spec);
    let mut slot = Slot {
        number,
        group: program.group.clone(),
        process: process.name.clone(),
        program: program.name.clone(),
        up: *program.autostart,
        group_priority: one.group_priority,
        priority: program.priority.value,
        depends_on: program
            .depends_on
            .iter()
            .map(|name| name.value.clone())
            .collect(),
        listeners,
        target,
        derived,
        shown,
        autostart: *program.autostart,
        config: serde_json::to_string(&info).unwrap_or_default(),
        parts,
        owner: spec.credentials.as_ref().map(|user| user.uid),
        spec,
        ..Slot::default()
    };
    slot.pack(&out.active.base_env);
    slot
}

/// Where people reach it: its own addresses, or those of the gateways that lead to it.
fn shown(one: &Program<'_>, handed: &Handed, label: &str) -> String {
    let program = one.program;
    let to_it = |gateway: &&conf::Gateway| {
        gateway
            .routes
            .iter()
            .any(|route| route.target == program.name)
    };
    let mut addresses: Vec<String> = one
        .model
        .gateways
        .iter()
        .filter(to_it)
        .flat_map(|gateway| &gateway.listen)
        .map(|at| super::gateways::listen_key(&at.value))
        .collect();
    if addresses.is_empty() {
        addresses.clone_from(&handed.public);
    }
    let public = addresses.join(", ");
    match *program.listen {
        Listen::Own | Listen::Held => public,
        Listen::Gateway if public.is_empty() => String::new(),
        Listen::Gateway => format!("{public} -> {label}"),
    }
}

fn derived(address: &str, target: &str, name: &str, trusted: &[String]) -> routes::Listener {
    routes::Listener {
        address: address.to_owned(),
        name: name.to_owned(),
        routes: vec![routes::Route {
            target: target.to_owned(),
            ..routes::Route::default()
        }],
        trusted: trusted.to_vec(),
        ..routes::Listener::default()
    }
}

fn spec(
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
        env: all.into_iter().collect(),
        directory: process
            .directory
            .as_ref()
            .map(|dir| settings::absolute(&dir.value)),
        credentials: place.credentials.clone(),
        umask: program.umask.as_ref().map(|umask| umask.value),
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
        gated,
        restart_window_ms: duration_ms(*program.restart_window),
        open_socket: handed.open_socket && place.gateway_user.is_some_and(|user| user.uid != 0),
        ..Spec::default()
    };
    spec.hash = hash(&spec.to_bytes());
    spec
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

fn ready(program: &conf::Program, gated: bool) -> wire::Ready {
    match program.ready.as_ref().map(|ready| &ready.value) {
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

/// The definition in words, so that a difference can be said. Values of variables appear as digests.
fn parts(
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
        "ready",
        program
            .ready
            .as_ref()
            .map_or(String::new(), |ready| format!("{:?}", ready.value)),
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
        put(&format!("environment {name}"), hash(value.as_bytes()));
    }
    parts
}
