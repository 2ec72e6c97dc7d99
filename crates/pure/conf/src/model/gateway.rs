//! `[gateway:x]` and `[upstream:x]` as typed values.

use std::time::Duration;

use finding::Span;

use super::tokens::{Auth, Tokens};
use super::value::{Spanned, User};

/// `[gateway:x]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// The `x`.
    pub name: String,
    /// The line of the section.
    pub header: Span,
    /// Addresses to listen on; empty: those of the programs it routes to.
    pub listen: Vec<Spanned<ListenAddr>>,
    /// Routes in the order written; the gateway takes the most specific.
    pub routes: Vec<Spanned<Route>>,
    /// How long a request may wait.
    pub hold: Spanned<Duration>,
    /// How many requests may wait, per worker.
    pub hold_max: Spanned<u32>,
    /// Worker processes.
    pub workers: Spanned<u32>,
    /// Proxies whose `X-Forwarded-*` is believed: addresses, networks (`10.0.0.0/8`), `*` or `unix`; nobody for an empty list.
    /// `None`: those that the program's server was told to trust.
    pub trust: Option<Vec<Spanned<String>>>,
    /// The user the gateway runs as; `None`: `steadfast` if there is one.
    pub user: Option<Spanned<User>>,
    /// Limits on what a client may send.
    pub limits: Limits,
    /// File that browsers see instead of our 503, absolute.
    pub maintenance_page: Option<Spanned<String>>,
    /// What requests of its routes need.
    pub auth: Spanned<Auth>,
    /// Path prefixes that need no session where `auth` is required.
    pub open: Vec<Spanned<String>>,
    /// Path where people sign in.
    pub login: Option<Spanned<String>>,
    /// Path where they sign out.
    pub logout: Option<Spanned<String>>,
    /// Sessions count where the realm has this name; `None`: in the nameless one.
    pub realm: Option<Spanned<String>>,
    /// Verdicts have to be fresh: what was cached before the store could not be asked any more does not count.
    pub fresh: Spanned<bool>,
    /// Program or upstream for which it answers whether a request may pass, to a proxy that asks; it has no routes then.
    pub forward_auth: Option<Spanned<String>>,
}

/// Limits of a gateway; what is `None` has the gateway's own default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// `body_max`: largest request body, bytes.
    pub body_bytes_max: Option<Spanned<u64>>,
    /// `hold_bytes_max`: bytes that waiting requests may take, per worker.
    pub hold_bytes_max: Option<Spanned<u64>>,
    /// `head_timeout`: time for a request head to arrive.
    pub head_timeout: Option<Spanned<Duration>>,
    /// `idle_timeout`: how long a client connection may wait for its next request.
    pub idle_timeout: Option<Spanned<Duration>>,
    /// `answer_timeout`: how long a program may take until its answer begins.
    pub answer_timeout: Option<Spanned<Duration>>,
    /// `connections_max`: client connections, per worker.
    pub connections_max: Option<Spanned<u32>>,
}

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenAddr {
    /// `HOST:PORT`, `[V6]:PORT`, `:PORT` or `PORT`; an empty host is every address.
    Tcp {
        /// Host without brackets; empty for every address.
        host: String,
        /// Port, at least 1.
        port: u16,
    },
    /// `unix:PATH`, absolute.
    Unix(String),
}

/// `HOST/PATH -> program`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Host in lower case, without port; `None` for any.
    pub host: Option<String>,
    /// Path prefix, begins with `/`; `/` for all. Matches whole segments: `/api` is `/api` and `/api/x`, not `/apis`.
    pub path: String,
    /// Name of a program or upstream that exists.
    pub target: String,
}

/// `[upstream:x]`: a program that something else runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// The `x`.
    pub name: String,
    /// The line of the section.
    pub header: Span,
    /// Where it listens.
    pub connect: Spanned<UpstreamAddr>,
    /// Path that it answers with 2xx when it is ready.
    pub ready: Option<Spanned<String>>,
    /// Host header of that question.
    pub ready_host: Spanned<String>,
    /// Names of the keys that it reads.
    pub secrets: Vec<Spanned<String>>,
    /// File in which they are, absolute; a relative one starts from `%(here)s`.
    pub env_file: Option<Spanned<String>>,
    /// What it says about its tokens.
    pub tokens: Tokens,
}

/// Where an upstream listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamAddr {
    /// `HOST:PORT`.
    Tcp {
        /// Host without brackets.
        host: String,
        /// Port, at least 1.
        port: u16,
    },
    /// `unix:PATH`, absolute.
    Unix(String),
}
