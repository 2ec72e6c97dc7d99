//! Accepting connections: as many as there is room for, and never in a hurry when the system has none.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, sockopt};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;

use crate::client::{self, Client};
use crate::limits::ACCEPT_PAUSE_MS;
use crate::note::Failed;
use crate::site::Site;
use crate::stream::Stream;
use crate::worker::Worker;

/// A listening socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Socket {
    /// Takes a descriptor that listens, whatever its family.
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Socket> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        if sockopt::socket_domain(&fd)? == AddressFamily::UNIX {
            let listener = std::os::unix::net::UnixListener::from(fd);
            return Ok(Socket::Unix(UnixListener::from_std(listener)?));
        }
        // Accepted sockets inherit it: one call here instead of one for each.
        sockopt::set_tcp_nodelay(&fd, true)?;
        let listener = std::net::TcpListener::from(fd);
        Ok(Socket::Tcp(TcpListener::from_std(listener)?))
    }

    async fn accept(&self) -> io::Result<(Stream, Option<std::net::SocketAddr>)> {
        match self {
            Socket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Stream::Tcp(stream), Some(peer)))
            }
            Socket::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), None))
            }
        }
    }
}

/// Accepts in a task of its own until that is ended; what is queued on the socket then is the next worker's.
pub(crate) fn start(worker: Rc<Worker>, site: Rc<Site>, socket: Socket) -> JoinHandle<()> {
    let socket = Rc::new(socket);
    let accepts = move || accept(worker.clone(), site.clone(), socket.clone());
    tokio::task::spawn_local(bugs::again("accept", accepts))
}

async fn accept(worker: Rc<Worker>, site: Rc<Site>, socket: Rc<Socket>) {
    let mut troubled = false;
    loop {
        worker.has_room().await;
        match socket.accept().await {
            Ok((stream, peer)) => {
                troubled = false;
                let peer = site.trust.peer(peer);
                if !worker.admits(&peer) {
                    refused(&worker);
                    continue;
                }
                let client = Client::new(worker.clone(), site.clone(), stream, peer);
                tokio::task::spawn_local(client::serve(client));
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                // No descriptor or no memory: the socket stays readable, so without a pause this would spin.
                if !std::mem::replace(&mut troubled, true) {
                    let address = &site.config.address;
                    worker.notes.say(&format!("accept on {address}: {error}"));
                }
                tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
            }
        }
    }
}

/// Closed at once: an answer would cost what the client has used up.
fn refused(worker: &Worker) {
    let failed = Failed {
        program: "",
        method: b"",
        path: b"",
        status: 503,
        why: "one address has a quarter of all connections",
        waited_ms: 0,
        repeats: 0,
    };
    worker.notes.failed(&failed, worker.now());
}
