//! The HTTP server of `[unix_http_server]` and `[inet_http_server]`: XML-RPC, and the logs as they grow.
//!
//! ```text
//!   POST /RPC2                         methods
//!   GET  /logtail/NAME[/stdout|stderr] the last 1024 bytes, then what is added, until the client goes
//!   GET  /mainlogtail                  the same of the activity log
//!   GET  /                             the console: a page, and what it asks for below /console
//! ```
//! It runs inside the daemon, on its current-thread runtime, and shares it with keepers' events: so everything
//! has a limit, nothing blocks, and a call of the control API runs in a task of its own. A refused client costs
//! one small answer.

mod auth;
mod console;
mod follow;
mod host;
mod left;
mod patience;
mod percent;
mod service;

pub use auth::Auth;

use std::sync::Arc;
use std::time::Duration;

use control::Control;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::methods::Rpc;
use service::Service;

/// Connections at once, each with its buffers of some 16 kB; a busy installation has a handful. More wait in
/// the listen queue.
pub const CONNECTIONS_MAX: usize = 256;
/// Logs followed at once. They hold a connection, an inotify instance (128 per user by default) and a file.
pub const FOLLOWERS_MAX: usize = 64;
/// Milliseconds for a request's head, which is also how long an idle connection is kept.
pub const HEAD_MS_MAX: u64 = 30_000;
/// Milliseconds for a request's body once the head is there: 1 MiB at a modem's pace is not a client of ours.
pub const BODY_MS_MAX: u64 = 30_000;
/// Milliseconds that an answer may stand still because the client does not read: it holds up to 16 MiB of a log.
const WRITE_MS_MAX: u64 = 60_000;
/// Bytes of a request's head. hyper's least is 8 kB; XML-RPC clients send 300 bytes.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Milliseconds to wait after accept has failed (usually: no descriptor left), instead of spinning.
const ACCEPT_PAUSE_MS: u64 = 100;

/// A listening socket, non-blocking, as tokio has it.
#[derive(Debug)]
pub enum Listener {
    /// `[unix_http_server]`.
    Unix(tokio::net::UnixListener),
    /// `[inet_http_server]`.
    Tcp(tokio::net::TcpListener),
}

/// Serves until it is dropped; then its connections end with it. Never returns.
///
/// The daemon spawns it once for each socket. Commands that a client has begun go on when the client is gone.
pub async fn serve(listener: Listener, auth: Auth, control: Arc<dyn Control>) {
    let console = Arc::new(console::Console::new(auth.wants_password()));
    let auth = Arc::new(auth);
    let followers = Arc::new(Semaphore::new(FOLLOWERS_MAX));
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // The semaphore is never closed, so there is always a slot in the end.
        let Ok(slot) = slots.clone().acquire_owned().await else {
            return;
        };
        let accepted = match &listener {
            Listener::Unix(listener) => listener.accept().await.map(|(stream, _)| {
                let peer = unix_peer(&stream);
                (Stream::Unix(stream), peer)
            }),
            Listener::Tcp(listener) => listener.accept().await.map(|(stream, address)| {
                // Answers are short and whole: there is nothing to wait for.
                let _ = stream.set_nodelay(true);
                (Stream::Tcp(stream), address.ip().to_string())
            }),
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
            continue;
        };
        let left = match &stream {
            Stream::Unix(stream) => left::Left::of(stream),
            Stream::Tcp(stream) => left::Left::of(stream),
        };
        // No descriptor left: as after a failed accept.
        let Ok(left) = left else {
            tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
            continue;
        };
        let service = Service {
            left,
            auth: auth.clone(),
            rpc: Rpc::new(control.clone(), auth.operator(&peer)),
            followers: followers.clone(),
            console: console.clone(),
            anybodys: matches!(stream, Stream::Tcp(_)) && !auth.wants_password(),
        };
        connections.spawn(async move {
            match stream {
                Stream::Unix(stream) => connection(stream, service).await,
                Stream::Tcp(stream) => connection(stream, service).await,
            }
            drop(slot);
        });
    }
}

enum Stream {
    Unix(tokio::net::UnixStream),
    Tcp(tokio::net::TcpStream),
}

fn unix_peer(stream: &tokio::net::UnixStream) -> String {
    match stream.peer_cred() {
        Ok(peer) => format!("uid {}", peer.uid()),
        Err(_) => "unix socket".to_owned(),
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin + Send, service: Service) {
    let service = Arc::new(service);
    let answer = service_fn(move |request| {
        let service = service.clone();
        async move { Ok::<_, std::convert::Infallible>(service.answer(request).await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // Who closes its sending half behind the request still wants the answer.
        .half_close(true)
        .header_read_timeout(Duration::from_millis(HEAD_MS_MAX))
        .max_buf_size(HEAD_BYTES_MAX);
    // An error here is the client's: gone, too slow or not HTTP (hyper has answered 400 then).
    let stream = patience::Patient::new(stream, Duration::from_millis(WRITE_MS_MAX));
    let _ = builder.serve_connection(TokioIo::new(stream), answer).await;
}
