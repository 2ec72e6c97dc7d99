//! The configuration of a gateway worker: resolved by the daemon, frozen in the worker's spec, read by the worker.
//!
//! It stands in a crate of its own because arrows never go sideways between daemon and gateway. The daemon writes it
//! as JSON into the memfd that `STEADFAST_CONFIG_FD` names; the gateway reads nothing else. A keeper may start a worker
//! again from a configuration that is months old, so the type is additive: every field has a default, a field that a
//! reader does not know is skipped, and a number that bounds something carries its unit in its name.
//!
//! It holds keys ([`JwtKey`]) and may hold a store's password ([`Sessions::store`]): the bytes travel by memfd, are never
//! logged, and `Debug` does not show them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How long a request may wait while its program cannot answer: longer than a usual start with its drain.
pub const HOLD_MS: u64 = 30_000;
/// How many requests may wait, per worker: ten thousand small heads are some tens of megabytes.
pub const HOLD_MAX: u32 = 10_000;
/// Bytes that waiting requests may take, per worker.
pub const HOLD_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// An answer's head has to begin within this time after the request was handed over.
pub const ANSWER_MS_MAX: u64 = 60_000;
/// An idle keep-alive connection of a client is closed after this time.
pub const IDLE_MS_MAX: u64 = 75_000;
/// A client has to take at least one byte of what there is for it within this time, or it is cut off: it holds a program's
/// connection. As long as nginx's send_timeout and HAProxy's timeout client; a phone in a tunnel is back sooner.
pub const TAKE_MS_MAX: u64 = 60_000;
/// A request's head has to arrive within this time.
pub const HEAD_MS_MAX: u64 = 30_000;
/// Bytes of the largest request body; 0 = no limit. Uploads are the program's business, so there is none by default.
pub const BODY_BYTES_MAX: u64 = 0;
/// Client connections per worker.
pub const CONNECTIONS_MAX: u32 = 10_000;
/// Where the API of sessions is served.
pub const PREFIX: &str = "/_steadfast";
/// Idle time-out of a session: 14 days, as `session::IDLE_MS_DEFAULT`.
pub const SESSION_IDLE_MS: u64 = 14 * 24 * 60 * 60 * 1000;
/// Absolute time-out of a session: 90 days, as `session::ABSOLUTE_MS_DEFAULT`.
pub const SESSION_ABSOLUTE_MS: u64 = 90 * 24 * 60 * 60 * 1000;

/// All of it. `listeners[i]` is descriptor `3 + i` of the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// In the order of the descriptors that come with the spec.
    pub listeners: Vec<Listener>,
    /// Who answers, by the name that routes use (a program's or an upstream's).
    pub targets: BTreeMap<String, Target>,
    /// Client connections per worker.
    pub connections_max: u32,
    /// After SIGTERM, what is in flight or waits has so long; then the worker exits.
    pub leave_ms_max: u64,
    /// Sessions of ours; None: the gateway keeps none, and every path belongs to the programs.
    pub sessions: Option<Sessions>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listeners: Vec::new(),
            targets: BTreeMap::new(),
            connections_max: CONNECTIONS_MAX,
            leave_ms_max: HOLD_MS + 10_000,
            sessions: None,
        }
    }
}

/// Where sessions are kept, and for how long they live (`[sessions]`).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sessions {
    /// `sqlite:/var/lib/steadfast/…` (a directory of ours) or `postgres://…`; the latter may hold a password.
    pub store: String,
    /// A directory of ours for the marker that says which PostgreSQL store was seen last; with SQLite it is the store's.
    pub state_dir: String,
    /// Path under which the API is served, without a slash at its end.
    pub prefix: String,
    /// Origins other than a gateway's own from which people may act (`https://app.example`).
    pub origins: Vec<String>,
    /// A session ends after so long without active traffic.
    pub idle_ms: u64,
    /// A session ends so long after its sign-in; the cookie's Max-Age.
    pub absolute_ms: u64,
}

impl Default for Sessions {
    fn default() -> Sessions {
        Sessions {
            store: String::new(),
            state_dir: String::new(),
            prefix: PREFIX.to_owned(),
            origins: Vec::new(),
            idle_ms: SESSION_IDLE_MS,
            absolute_ms: SESSION_ABSOLUTE_MS,
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("prefix", &self.prefix)
            .field("origins", &self.origins)
            .finish_non_exhaustive()
    }
}

/// What requests of a route need, from the least to the most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// Nothing: sessions are not looked at, the program decides.
    #[default]
    Off,
    /// Who is signed in is told to the program; who is not passes as well.
    Optional,
    /// Who is not signed in gets a 401.
    Required,
}

/// The tokens that a program reads: how they are made for it at dispatch, and signed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Jwt {
    /// `HS256`, `HS384` or `HS512`.
    pub alg: String,
    /// All keys of its ring. Which one a generation was started with is `wire::Fact::key`.
    pub keys: Vec<JwtKey>,
    /// The program reads several keys (`secrets_fallbacks`): nothing is signed again for it.
    pub reads_all: bool,
    /// A cookie in which the program keeps a token of its own; signed again like Authorization.
    pub cookie: Option<String>,
    /// As `session::claims::Shape` parses it; empty: plain claims.
    pub claims: String,
    /// How long a token of the program lives at most, seconds: a retired key whose end is not known yet
    /// ([`JwtKey::until_s`]) verifies for so long after the last generation with it.
    pub life_s: u64,
}

/// 30 days: `token_lifetime` where it is not set.
const LIFE_S: u64 = 30 * 24 * 60 * 60;

impl Default for Jwt {
    fn default() -> Jwt {
        Jwt {
            alg: "HS256".to_owned(),
            keys: Vec::new(),
            reads_all: false,
            cookie: None,
            claims: String::new(),
            life_s: LIFE_S,
        }
    }
}

/// One key of a program. `Debug` does not show it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JwtKey {
    /// Its number in the ring, from 1; 0 in `wire::Fact::key` means that a generation has none of them.
    pub id: u32,
    /// The one that new generations get.
    pub signs: bool,
    /// Its tokens verify until then, Unix seconds; 0: no end yet.
    pub until_s: u64,
    /// It leaked: it verifies nothing, and nothing is signed with it again.
    pub compromised: bool,
    /// The value, as the program reads it from its environment.
    pub secret: String,
}

impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtKey")
            .field("id", &self.id)
            .field("signs", &self.signs)
            .finish_non_exhaustive()
    }
}

/// One listening socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listener {
    /// For people and for `Forwarded` headers: `0.0.0.0:8001`, `[::]:80`, `unix:/run/web.sock`.
    pub address: String,
    /// Name of the `[gateway:x]` section, or of the program it was derived from.
    pub name: String,
    /// The first route that fits decides; the daemon sorts them: with host before without, longer prefix first.
    pub routes: Vec<Route>,
    /// Peers whose X-Forwarded-* headers are believed: addresses, `10.0.0.0/8`, or `*`. Peers of a Unix socket are
    /// believed if `unix` stands here.
    pub trusted: Vec<String>,
    /// How long a request may wait.
    pub hold_ms: u64,
    /// How many may wait, per worker.
    pub hold_max: u32,
    /// Bytes that those may take, per worker.
    pub hold_bytes_max: u64,
    /// See [`ANSWER_MS_MAX`].
    pub answer_ms_max: u64,
    /// See [`IDLE_MS_MAX`].
    pub idle_ms_max: u64,
    /// See [`TAKE_MS_MAX`].
    pub take_ms_max: u64,
    /// See [`HEAD_MS_MAX`].
    pub head_ms_max: u64,
    /// See [`BODY_BYTES_MAX`].
    pub body_bytes_max: u64,
    /// Body of the 503 while a program is down (HTML, already read from the file); empty = a short text of ours.
    pub maintenance_page: String,
    /// Which sessions count here ([`Route::realm`]): for a private listener, and for the API where no route fits.
    pub realm: String,
    /// As [`Route::fresh`], for a private listener.
    pub fresh: bool,
    /// A private listener for nginx, Caddy and Traefik: it answers whether a request may pass, with a token for this
    /// target, and proxies nothing.
    pub forward_auth: Option<String>,
}

impl Default for Listener {
    fn default() -> Listener {
        Listener {
            address: String::new(),
            name: String::new(),
            routes: Vec::new(),
            trusted: Vec::new(),
            hold_ms: HOLD_MS,
            hold_max: HOLD_MAX,
            hold_bytes_max: HOLD_BYTES_MAX,
            answer_ms_max: ANSWER_MS_MAX,
            idle_ms_max: IDLE_MS_MAX,
            take_ms_max: TAKE_MS_MAX,
            head_ms_max: HEAD_MS_MAX,
            body_bytes_max: BODY_BYTES_MAX,
            maintenance_page: String::new(),
            realm: String::new(),
            fresh: false,
            forward_auth: None,
        }
    }
}

/// Where requests of a host and path go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Route {
    /// Host without port, lower case; None fits every host.
    pub host: Option<String>,
    /// Path prefix with its leading slash, matched at segment ends; empty or `/` fits every path.
    pub path_prefix: String,
    /// Key of [`Config::targets`].
    pub target: String,
    /// See [`Auth`]; what is asked of a path is [`Route::asks`].
    pub auth: Auth,
    /// Path prefixes that everybody may reach although the route asks for a session: a style sheet, a health path. What
    /// comes with a session is told to the program there as well.
    pub open: Vec<String>,
    /// Where people sign in: reachable without a session, and the only path where `Steadfast-Sign-In` counts. The route
    /// that leads to a path says what it means: several gateways may share an address.
    pub login: Option<String>,
    /// Where they sign out: an answer below 400 ends the session.
    pub logout: Option<String>,
    /// Sessions that begin behind this route count where the realm has the same name; those of another one are no
    /// credential here. None: the listener's.
    pub realm: Option<String>,
    /// Where the store cannot be asked and no lease says that nothing has ended, a cached verdict is not enough: 503.
    pub fresh: bool,
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Target {
    /// A program of this installation: one slot for each process.
    Program {
        /// In the order of the process numbers.
        slots: Vec<Slot>,
        /// Its tokens; None: it has no key of ours.
        #[serde(default)]
        jwt: Option<Jwt>,
    },
    /// A server that somebody else runs.
    Upstream {
        /// `unix:/run/legacy.sock` or `tcp:127.0.0.1:9000`.
        address: String,
        /// How it is asked whether it is ready, once it was unreachable; None: who can connect is served.
        #[serde(default)]
        ready: Option<Ready>,
        /// Its tokens; None: it has no key of ours.
        #[serde(default)]
        jwt: Option<Jwt>,
    },
}

/// The question whether an upstream is ready: a GET that it answers with 2xx.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ready {
    /// Path with query.
    pub path: String,
    /// Host header.
    pub host: String,
}

/// A slot as a gateway sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Slot {
    /// `group:process`, for messages.
    pub name: String,
    /// Path of the keeper's events socket (`…/slots/N/events`).
    pub events: String,
    /// User that the program runs as, if it is not the supervisor's own: its sockets are that user's or root's.
    pub owner: Option<u32>,
}

impl Config {
    /// The bytes for the memfd.
    pub fn to_bytes(&self) -> Vec<u8> {
        // A struct of strings, numbers and string-keyed maps always serializes.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads them; the error names the place in the JSON.
    pub fn from_bytes(bytes: &[u8]) -> Result<Config, String> {
        serde_json::from_slice(bytes).map_err(|error| format!("gateway configuration: {error}"))
    }
}

impl Listener {
    /// Brings the routes into the order in which the first that fits decides.
    pub fn sort_routes(&mut self) {
        self.routes.sort_by(|a, b| {
            (b.host.is_some(), b.path_prefix.len()).cmp(&(a.host.is_some(), a.path_prefix.len()))
        });
    }

    /// The route of a request: `host` without port in lower case, `path` without query.
    pub fn route(&self, host: &str, path: &str) -> Option<&Route> {
        self.routes.iter().find(|route| {
            route.host.as_deref().is_none_or(|wanted| wanted == host)
                && under(path, &route.path_prefix)
        })
    }
}

impl Route {
    /// What is asked of a path of this route.
    pub fn asks(&self, path: &str) -> Auth {
        match self.auth {
            Auth::Required if self.open.iter().any(|open| under(path, open)) => Auth::Optional,
            auth => auth,
        }
    }
}

/// Whether `path` is `prefix` or below it; `/api` holds `/api` and `/api/x`, not `/apix`.
pub fn under(path: &str, prefix: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(routes: &[(&str, &str, &str)]) -> Listener {
        let mut listener = Listener {
            routes: routes
                .iter()
                .map(|(host, path, target)| Route {
                    host: (!host.is_empty()).then(|| host.to_string()),
                    path_prefix: path.to_string(),
                    target: target.to_string(),
                    ..Route::default()
                })
                .collect(),
            ..Listener::default()
        };
        listener.sort_routes();
        listener
    }

    #[test]
    fn the_most_special_route_decides() {
        let listener = listener(&[
            ("", "", "all"),
            ("", "/api", "api"),
            ("a.example", "/", "host"),
            ("", "/api/v2/", "v2"),
        ]);
        let to = |host, path| {
            listener
                .route(host, path)
                .map(|route| route.target.as_str())
        };
        assert_eq!(to("x", "/"), Some("all"));
        assert_eq!(to("x", "/api"), Some("api"));
        assert_eq!(to("x", "/apix"), Some("all"));
        assert_eq!(to("x", "/api/v2"), Some("v2"));
        assert_eq!(to("x", "/api/v2/y"), Some("v2"));
        assert_eq!(to("a.example", "/api"), Some("host"));
    }

    #[test]
    fn what_is_open_asks_for_no_session_and_for_no_more_than_its_route() {
        let asks = |auth, path: &str| {
            let open = vec!["/static/".into(), "/favicon.ico".into()];
            let route = Route {
                auth,
                open,
                ..Route::default()
            };
            route.asks(path)
        };
        for path in ["/static", "/static/", "/static/x.css", "/favicon.ico"] {
            assert_eq!(asks(Auth::Required, path), Auth::Optional, "{path}");
        }
        for path in ["/", "/statics", "/favicon.icon", "/x/static", "/Static"] {
            assert_eq!(asks(Auth::Required, path), Auth::Required, "{path}");
        }
        assert_eq!(asks(Auth::Optional, "/static"), Auth::Optional);
        assert_eq!(asks(Auth::Off, "/static"), Auth::Off);
    }

    #[test]
    fn old_readers_and_new_writers_understand_each_other() {
        let config = Config::from_bytes(
            br#"{"listeners":[{"address":"0.0.0.0:80","newer":1}],"newest":{}}"#,
        )
        .expect("reads");
        assert_eq!(config.listeners[0].hold_ms, HOLD_MS);
        assert_eq!(Config::from_bytes(&config.to_bytes()), Ok(config));
        assert!(Config::from_bytes(b"[").is_err());
    }
}
