//! Gateways: those of the file, and the one that follows from `listen = gateway`. All of them are listeners of one hidden
//! program, `steadfast:gateway`; its definition follows from the slots that are there, so it is made anew at each change
//! and is replaced by overlap if its hash differs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use conf::{ListenAddr, UpstreamAddr};
use finding::Finding;
use routes::{Auth, Config, Listener, Route, Target};
use wire::{Autorestart, Credentials, Ready, Replace, Sink, Spec, Text};

use super::inherit::Asked;
use super::program::Public;
use super::settings::address;
use super::{Context, Resolved, handover};
use crate::model::{Active, GatewayDef, Slot};

/// Group of our own programs.
pub(crate) const GROUP: &str = "steadfast";
/// A gateway that is not ready by then never will be: it only opens what it was given.
const READY_MS_MAX: u64 = 10_000;
/// Beyond the longest hold: what was released last still gets its answer.
const LEAVE_MS: u64 = 10_000;
/// Beyond the gateway's own time to leave.
const STOP_MS: u64 = 2_000;
/// Restarts of a gateway are never used up.
const RETRIES: u32 = u32::MAX;

/// The user of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
}

/// Who the gateway runs as: the first that a section names, else `steadfast` if it exists, else as we do.
pub(super) fn user(model: &conf::Model, findings: &mut Vec<Finding>) -> Option<User> {
    let own = sys::users::own_uid();
    let behind = model
        .programs
        .iter()
        .any(|program| *program.listen == conf::Listen::Gateway);
    let none = !behind && model.gateways.is_empty();
    if own != 0 || none {
        return None;
    }
    let named = model
        .gateways
        .iter()
        .find_map(|gateway| gateway.user.as_ref());
    let name = named.map_or("steadfast", |user| user.name.as_str());
    match sys::users::lookup(name) {
        Ok(Some(user)) => Some(User {
            name: user.name,
            uid: user.uid,
            gid: user.gid,
            groups: user.groups,
        }),
        Ok(None) | Err(_) => {
            let message = "the gateway runs as root: there is no user steadfast on this machine";
            findings.push(
                Finding::note("gateway-user", message)
                    .fix("useradd --system steadfast, or user = … in [gateway:x]"),
            );
            None
        }
    }
}

/// The gateways of the file.
pub(super) fn definition(
    model: &conf::Model,
    user: Option<User>,
    public: &BTreeMap<String, Public>,
    context: &Context<'_>,
    resolved: &mut Resolved,
) -> GatewayDef {
    let owner = user.as_ref().map(|user| (user.uid, user.gid));
    let mut out = GatewayDef {
        workers: 1,
        connections_max: routes::CONNECTIONS_MAX,
        user: user.map(|user| (user.name, user.uid, user.gid, user.groups)),
        notify: crate::extras::Notify::everybody(model),
        ..GatewayDef::default()
    };
    out.sessions = super::tokens::sessions(model, owner, context.dry, resolved);
    for upstream in &model.upstreams {
        let jwt = match super::tokens::upstream(upstream, context, resolved) {
            Ok(jwt) => jwt,
            Err(finding) => {
                resolved.findings.push(*finding);
                continue;
            }
        };
        out.jwts.extend(jwt.map(|jwt| (upstream.name.clone(), jwt)));
        let at = match &upstream.connect.value {
            UpstreamAddr::Unix(path) => format!("unix:{path}"),
            UpstreamAddr::Tcp { host, port } => format!("tcp:{}", address(host, *port)),
        };
        out.upstreams.insert(upstream.name.clone(), at);
        let ready = upstream.ready.as_ref().map(|path| routes::Ready {
            path: path.value.clone(),
            host: upstream.ready_host.value.clone(),
        });
        out.upstreams_ready
            .extend(ready.map(|ready| (upstream.name.clone(), ready)));
    }
    for gateway in &model.gateways {
        out.workers = out.workers.max(*gateway.workers);
        if let Some(most) = &gateway.limits.connections_max {
            out.connections_max = most.value;
        }
        let routed = gateway
            .routes
            .iter()
            .filter_map(|route| public.get(&route.target));
        let mut addresses: Vec<String> = gateway
            .listen
            .iter()
            .map(|at| listen_key(&at.value))
            .collect();
        if addresses.is_empty() {
            addresses.extend(routed.clone().flat_map(|public| public.addresses.clone()));
            addresses.dedup();
        }
        let has_none = addresses.is_empty();
        addresses.retain(|address| !is_closed(model, address));
        if has_none {
            let message = format!("[gateway:{}] has no address to listen on", gateway.name);
            resolved.findings.push(
                Finding::error("gateway", message)
                    .at(gateway.header.clone())
                    .fix("write: listen = HOST:PORT"),
            );
        }
        let trusted: Vec<String> = match &gateway.trust {
            Some(peers) => peers.iter().map(|peer| peer.value.clone()).collect(),
            None => routed
                .flat_map(|public| public.trusted.clone())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
        };
        let page = gateway.maintenance_page.as_ref().or_else(|| {
            let routed = gateway.routes.iter();
            routed
                .filter_map(|route| model.program(&route.target))
                .find_map(|program| program.extras.maintenance_page.as_ref())
        });
        let page = crate::extras::page(page, &mut resolved.findings);
        out.listeners
            .extend(addresses.into_iter().map(|at| Listener {
                maintenance_page: page.clone(),
                ..listener(gateway, at, &trusted)
            }));
    }
    out
}

/// Whether a gateway of the file takes everything that comes to an address: the derived one is not needed there.
pub(super) fn replaces_derived(model: &conf::Model, program: &str, address: &str) -> bool {
    model.gateways.iter().any(|gateway| {
        let mut whole = gateway.routes.iter().filter(|route| route.path == "/");
        if gateway.listen.is_empty() {
            // It listens where its programs would.
            return whole.any(|route| route.target == program);
        }
        let mut addresses = gateway.listen.iter().map(|at| listen_key(&at.value));
        whole.next().is_some() && addresses.any(|at| at == address)
    })
}

/// Whether nothing is opened at an address, because what would ask for a sign-in there has an error.
fn is_closed(model: &conf::Model, address: &str) -> bool {
    let mut closed = model.closed.listen.iter();
    closed.any(|at| listen_key(at) == address)
}

/// Whether a program's own address stays closed, likewise.
pub(super) fn is_shut(model: &conf::Model, program: &str, address: &str) -> bool {
    model.closed.programs.contains(program) || is_closed(model, address)
}

/// The key of an address to listen on.
pub(super) fn listen_key(at: &ListenAddr) -> String {
    match at {
        ListenAddr::Tcp { host, port } => address(host, *port),
        ListenAddr::Unix(path) => format!("unix:{path}"),
    }
}

fn listener(gateway: &conf::Gateway, at: String, trusted: &[String]) -> Listener {
    let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let limits = &gateway.limits;
    let path = |path: &Option<conf::Spanned<String>>| path.as_ref().map(|path| path.value.clone());
    let route = |route: &conf::Spanned<conf::Route>| Route {
        host: route.host.clone(),
        path_prefix: route.path.clone(),
        target: route.target.clone(),
        auth: match *gateway.auth {
            conf::Auth::Off => Auth::Off,
            conf::Auth::Optional => Auth::Optional,
            conf::Auth::Required => Auth::Required,
        },
        login: path(&gateway.login),
        logout: path(&gateway.logout),
        realm: path(&gateway.realm),
        fresh: *gateway.fresh,
    };
    let defaults = Listener::default();
    Listener {
        address: at,
        name: gateway.name.clone(),
        routes: gateway.routes.iter().map(route).collect(),
        trusted: trusted.to_vec(),
        hold_ms: ms(*gateway.hold),
        hold_max: *gateway.hold_max,
        hold_bytes_max: limits
            .hold_bytes_max
            .as_ref()
            .map_or(defaults.hold_bytes_max, |bytes| bytes.value),
        answer_ms_max: limits
            .answer_timeout
            .as_ref()
            .map_or(defaults.answer_ms_max, |time| ms(time.value)),
        idle_ms_max: limits
            .idle_timeout
            .as_ref()
            .map_or(defaults.idle_ms_max, |time| ms(time.value)),
        head_ms_max: limits
            .head_timeout
            .as_ref()
            .map_or(defaults.head_ms_max, |time| ms(time.value)),
        body_bytes_max: limits
            .body_bytes_max
            .as_ref()
            .map_or(defaults.body_bytes_max, |bytes| bytes.value),
        realm: path(&gateway.realm).unwrap_or_default(),
        fresh: *gateway.fresh,
        forward_auth: path(&gateway.forward_auth),
        ..defaults
    }
}

/// Two programs on one port: the second cannot start.
pub(super) fn conflicts(
    model: &conf::Model,
    env: &BTreeMap<String, String>,
    findings: &mut Vec<Finding>,
) {
    let mut taken: BTreeMap<String, (&conf::Program, &conf::ProcessDef)> = BTreeMap::new();
    for program in &model.programs {
        for process in &program.processes {
            let mut all = env.clone();
            all.extend(process.environment.clone());
            let server = servers::read(&process.command.argv(), &all);
            let shared = *program.listen != conf::Listen::Own;
            for at in handover::public(&server, process).unwrap_or_default() {
                let Some((other, earlier)) = taken.get(&at) else {
                    taken.insert(at, (program, process));
                    continue;
                };
                let same = other.name == program.name;
                if same && (shared || other.group != program.group) {
                    continue;
                }
                let message = format!(
                    "{} and {} both listen on {at}",
                    wire::spec::label(&other.group, &earlier.name),
                    wire::spec::label(&program.group, &process.name)
                );
                let mut finding = Finding::error("conflict", message).at(process.command.span());
                if let Some(span) = earlier.command.span().filter(|_| !same) {
                    finding = finding.related("the other one", span);
                }
                findings.push(
                    finding
                        .effect("whichever starts second fails")
                        .fix("give one of them another port"),
                );
            }
        }
    }
}

/// Brings the gateway's slots in line with the other slots and with the listeners that could be bound.
pub(crate) fn refresh_gateway(active: &mut Active, failed: &BTreeSet<String>, run_dir: &Path) {
    let listeners = open_listeners(active, failed);
    let before: Vec<Slot> = active
        .slots
        .iter()
        .filter(|slot| slot.first)
        .cloned()
        .collect();
    active.slots.retain(|slot| !slot.first);
    if listeners.is_empty() {
        return;
    }
    let longest = listeners
        .iter()
        .map(|listener| listener.hold_ms)
        .max()
        .unwrap_or(routes::HOLD_MS);
    let config = Config {
        targets: targets(active, &listeners, run_dir),
        connections_max: active.gateway.connections_max,
        leave_ms_max: longest.saturating_add(LEAVE_MS),
        listeners,
        sessions: active.gateway.sessions.clone(),
    };
    let workers = active.gateway.workers.max(1);
    let lent = crate::reach::lent(active, run_dir);
    for worker in 0..workers {
        let process = if workers == 1 {
            "gateway".to_owned()
        } else {
            format!("gateway_{worker:02}")
        };
        let number = before
            .iter()
            .find(|slot| slot.process == process)
            .map(|slot| slot.number);
        let number = number.unwrap_or_else(|| {
            active.next_slot += 1;
            active.next_slot - 1
        });
        let slot = gateway_slot(active, &config, &lent, process, number, run_dir);
        active.slots.push(slot);
    }
}

/// The listeners of the file, then the derived ones; the first route of an address counts.
fn open_listeners(active: &Active, failed: &BTreeSet<String>) -> Vec<Listener> {
    let mut all: BTreeMap<String, Listener> = BTreeMap::new();
    // Also those that could not be bound: an occupied port makes no other one laxer.
    let asked = Asked::new(&active.gateway.listeners);
    let slots = active.slots.iter().filter(|slot| !slot.first);
    let derived: Vec<Listener> = slots
        .flat_map(|slot| {
            let of = |listener| asked.of_slot(listener, slot);
            slot.derived.iter().map(of).collect::<Vec<_>>()
        })
        .collect();
    for listener in active.gateway.listeners.iter().chain(&derived) {
        if failed.contains(&listener.address) {
            continue;
        }
        let known = all
            .entry(listener.address.clone())
            .or_insert_with(|| Listener {
                routes: Vec::new(),
                ..listener.clone()
            });
        for route in &listener.routes {
            let whole = |path: &str| path.trim_end_matches('/').len();
            let taken = known.routes.iter().any(|other| {
                other.host == route.host
                    && whole(&other.path_prefix) == whole(&route.path_prefix)
                    && (whole(&route.path_prefix) == 0 || other.path_prefix == route.path_prefix)
            });
            if !taken {
                known.routes.push(route.clone());
            }
        }
    }
    let sorted = all.into_values().map(|mut listener| {
        listener.sort_routes();
        listener
    });
    sorted.collect()
}

/// Addresses that gateways want to open.
pub(crate) fn wanted_addresses(active: &Active) -> BTreeSet<String> {
    let derived = active
        .slots
        .iter()
        .filter(|slot| !slot.first)
        .flat_map(|slot| &slot.derived);
    active
        .gateway
        .listeners
        .iter()
        .chain(derived)
        .map(|listener| listener.address.clone())
        .collect()
}

fn targets(active: &Active, listeners: &[Listener], run_dir: &Path) -> BTreeMap<String, Target> {
    let named: BTreeSet<&str> = listeners
        .iter()
        .flat_map(|l| {
            let routes = l.routes.iter().map(|route| route.target.as_str());
            routes.chain(l.forward_auth.as_deref())
        })
        .collect();
    let mut targets = BTreeMap::new();
    for name in named {
        if let Some(address) = active.gateway.upstreams.get(name) {
            targets.insert(
                name.to_owned(),
                Target::Upstream {
                    address: address.clone(),
                    ready: active.gateway.upstreams_ready.get(name).cloned(),
                    jwt: active.gateway.jwts.get(name).cloned(),
                },
            );
            continue;
        }
        let meant = slots_of(active, name);
        let jwt = meant
            .first()
            .and_then(|slot| active.gateway.jwts.get(&slot.program))
            .cloned();
        let slots: Vec<routes::Slot> = meant
            .into_iter()
            .map(|slot| routes::Slot {
                name: slot.key().to_string(),
                events: run_dir
                    .join(format!("slots/{}/events", slot.number))
                    .display()
                    .to_string(),
                // Root's programs may become whoever they like.
                owner: slot.owner.filter(|uid| *uid != 0),
            })
            .collect();
        targets.insert(name.to_owned(), Target::Program { slots, jwt });
    }
    targets
}

/// The slots that routes mean by a name; else those of a program that only a forward-auth listener names; else the one
/// of this name.
fn slots_of<'a>(active: &'a Active, name: &str) -> Vec<&'a Slot> {
    let of = |is: &dyn Fn(&Slot) -> bool| -> Vec<&'a Slot> {
        let slots = active.slots.iter().filter(|slot| !slot.first);
        slots.filter(|slot| is(slot)).collect()
    };
    let by_target = of(&|slot| slot.target == name);
    if !by_target.is_empty() {
        return by_target;
    }
    let by_program = of(&|slot| slot.program == name);
    if !by_program.is_empty() {
        return by_program;
    }
    of(&|slot| slot.key().to_string() == name)
}

/// One worker. `lent` are groups of directories that still belong to the gateway of another user.
fn gateway_slot(
    active: &Active,
    config: &Config,
    lent: &BTreeSet<u32>,
    process: String,
    number: u32,
    run_dir: &Path,
) -> Slot {
    let user = active.gateway.user.clone();
    let credentials = user.map(|(name, uid, gid, mut groups)| {
        let more: Vec<u32> = lent
            .iter()
            .filter(|it| !groups.contains(it))
            .copied()
            .collect();
        groups.extend(more);
        Credentials {
            name,
            uid,
            gid,
            groups,
        }
    });
    let keys: Vec<String> = config
        .listeners
        .iter()
        .map(|listener| listener.address.clone())
        .collect();
    // The configuration's descriptor follows the listeners, readiness comes behind it.
    let ready = 3 + keys.len() as i32 + 1;
    let env = active
        .base_env
        .iter()
        .map(|(name, value)| (name.clone(), Text::from(value.as_str())));
    let mut spec = Spec {
        program: format!("{GROUP}:gateway"),
        group: GROUP.to_owned(),
        process: process.clone(),
        argv: vec!["steadfast".into(), "__gateway".into()],
        env: env.collect(),
        directory: Some("/".to_owned()),
        credentials,
        stdout: Sink::RootStderr {},
        redirect_stderr: true,
        autorestart: Autorestart::Always,
        start_secs: 0,
        start_retries: RETRIES,
        stop_signal: rustix::process::Signal::TERM.as_raw(),
        stop_wait_ms: config.leave_ms_max.saturating_add(STOP_MS),
        kill_leftovers: true,
        retry_fatal: true,
        ready: Ready::Descriptor { number: ready },
        ready_timeout_ms: READY_MS_MAX,
        replace: Replace::Overlap,
        app_dir: run_dir
            .join(format!("slots/{number}/app"))
            .display()
            .to_string(),
        listeners: keys.len() as u32,
        role_of_ours: true,
        config: config.to_bytes(),
        hidden: true,
        ..Spec::default()
    };
    spec.hash = super::hash(&spec.to_bytes());
    let mut slot = Slot {
        number,
        group: GROUP.to_owned(),
        process,
        program: spec.program.clone(),
        up: true,
        first: true,
        shown: keys.join(", "),
        listeners: keys,
        extras: crate::extras::Extras {
            notify: active.gateway.notify.clone(),
            ..Default::default()
        },
        spec,
        ..Slot::default()
    };
    slot.pack(&active.base_env);
    slot
}
