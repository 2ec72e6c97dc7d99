//! One program: a slot for each of its processes.

use conf::{Listen, ProcessDef, Ready};
use finding::Finding;
use wire::{Address, Credentials};

use super::context::{Context, Resolved};
use super::handover::{Handed, hand_over};
use super::spec::{parts, spec};
use super::{config, environment};
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
    /// Every value of the key that signs its tokens.
    pub(super) ring: Vec<secrets::Kept>,
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
        for key in &env.ring {
            if made.ring.iter().all(|known| known.id != key.id) {
                made.ring.push(key.clone());
            }
        }
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
    let over_network = over_network || program.prove.is_some();
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

/// One process and what it is resolved with.
pub(super) struct Place<'a> {
    pub(super) one: &'a Program<'a>,
    pub(super) process: &'a ProcessDef,
    pub(super) context: &'a Context<'a>,
    pub(super) gateway_user: Option<&'a super::gateways::User>,
    shared: bool,
    pub(super) credentials: Option<Credentials>,
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
    let listeners = match &program.kind {
        conf::ProgramKind::FastCgi(fcgi) => vec![super::fastcgi::key(program, fcgi)],
        conf::ProgramKind::Program | conf::ProgramKind::EventListener(_) if held => {
            handed.public.clone()
        }
        conf::ProgramKind::Program | conf::ProgramKind::EventListener(_) => Vec::new(),
    };
    let derived = if *program.listen == Listen::Gateway {
        // Beside a gateway of the file that leads to all its processes, an address of its own leads to its own one.
        let target = if place.shared {
            target.clone()
        } else {
            key.to_string()
        };
        let page = program.extras.maintenance_page.as_ref();
        let page = crate::extras::page(page, &mut out.findings);
        handed
            .public
            .iter()
            .filter(|address| !super::gateways::replaces_derived(one.model, &program.name, address))
            .filter(|address| !super::gateways::is_shut(one.model, &program.name, address))
            .map(|address| routes::Listener {
                maintenance_page: page.clone(),
                ..derived(address, &target, &program.name, &handed.trusted)
            })
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
    parts.extend(crate::extras::parts(program));
    parts.insert(
        "user".into(),
        spec.credentials
            .as_ref()
            .map_or(String::new(), |user| user.name.clone()),
    );
    let pool = match &program.kind {
        conf::ProgramKind::EventListener(pool) => Some(Box::new(crate::model::Pool {
            buffer_size: *pool.buffer_size,
            events: pool.events.value.clone(),
        })),
        conf::ProgramKind::Program | conf::ProgramKind::FastCgi(_) => None,
    };
    if let Some(pool) = &pool {
        parts.insert("events".into(), pool.events.join(","));
        parts.insert("buffer_size".into(), pool.buffer_size.to_string());
    }
    if matches!(program.kind, conf::ProgramKind::FastCgi(_)) {
        parts.insert("socket".into(), listeners.join(", "));
    }
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
        signing: program
            .tokens
            .signer(&program.secrets)
            .unwrap_or_default()
            .to_owned(),
        shown,
        autostart: *program.autostart,
        config: serde_json::to_string(&info).unwrap_or_default(),
        parts: serde_json::to_string(&parts).unwrap_or_default(),
        owner: spec.credentials.as_ref().map(|user| user.uid),
        extras: crate::extras::Extras::of(one.model, program),
        pool,
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
    let is_open = |at: &&String| !super::gateways::is_shut(one.model, &program.name, at);
    for address in handed.public.iter().filter(is_open) {
        if !addresses.contains(address)
            && !super::gateways::replaces_derived(one.model, &program.name, address)
        {
            addresses.push(address.clone());
        }
    }
    if addresses.is_empty() {
        addresses.extend(handed.public.iter().filter(is_open).cloned());
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
