//! The gateways of the file. All of them, and the one that follows from `listen = gateway`, are listeners of one hidden
//! program (`workers`).

use std::collections::{BTreeMap, BTreeSet};

use conf::{ListenAddr, UpstreamAddr};
use finding::Finding;
use routes::{Auth, Listener, Route};

use super::context::{Context, Resolved};
use super::program::Public;
use super::settings::address;
use crate::model::GatewayDef;

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
        open: match *gateway.auth {
            conf::Auth::Required => gateway.open.iter().map(|it| it.value.clone()).collect(),
            conf::Auth::Off | conf::Auth::Optional => Vec::new(),
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
