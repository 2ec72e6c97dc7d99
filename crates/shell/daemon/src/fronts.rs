//! Where commands come in: control.sock (JSON lines) and Supervisor's HTTP servers.
//!
//! Root keeps duplicates of these listeners too: a client that connects while the daemon is being replaced waits in the
//! queue instead of being refused.

use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use control::{Control, Done, Progress, REQUEST_BYTES_MAX, Reply, Request};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use wire::Order;

use crate::calls::Handle;
use crate::lines::Level;
use crate::listeners::{self, duplicate};
use crate::model::{SERVER, Server};
use crate::state::{Served, Shared};

/// Key under which root keeps control.sock.
pub(crate) const CONTROL_KEY: &str = "control";
/// Clients of control.sock at once; more wait in the queue of the socket. All of them are ours.
const CLIENTS_MAX: usize = 256;
/// Pause after a failed accept (no descriptor left): the condition ends when others end.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// Opens control.sock, or takes the listener that root kept.
pub(crate) fn open_control(daemon: &Shared, kept: Option<OwnedFd>) -> Result<UnixListener, String> {
    let path = daemon.run_dir.control_socket();
    let failed = |why: std::io::Error| format!("cannot listen on {}: {why}", path.display());
    let listener: std::os::unix::net::UnixListener = match kept {
        Some(fd) => fd.into(),
        None => {
            // The lock says that nobody else serves here.
            let _ = std::fs::remove_file(&path);
            let listener = std::os::unix::net::UnixListener::bind(&path).map_err(failed)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
                .map_err(failed)?;
            listener
        }
    };
    listener.set_nonblocking(true).map_err(failed)?;
    let copy = listener.try_clone().map_err(failed)?;
    daemon.root.order(
        &Order::KeepListener {
            key: CONTROL_KEY.to_owned(),
        },
        vec![copy.into()],
    );
    UnixListener::from_std(listener).map_err(failed)
}

/// Serves control.sock.
pub(crate) async fn serve_control(listener: UnixListener, handle: Handle) {
    let room = Arc::new(Semaphore::new(CLIENTS_MAX));
    loop {
        // The semaphore is never closed, so there is a place in the end.
        let Ok(place) = room.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let handle = handle.clone();
                tokio::spawn(async move {
                    client(stream, handle).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// One client: a line is a request; its replies are lines.
async fn client(stream: UnixStream, handle: Handle) {
    let own = sys::users::own_uid();
    let allowed = stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == own || peer.uid() == 0);
    let (read, mut write) = stream.into_split();
    if !allowed {
        let _ = write_reply(
            &mut write,
            &Reply::Done(Done::failed(
                2,
                "only the user that runs steadfast may give commands",
            )),
        )
        .await;
        return;
    }
    let mut read = BufReader::new(read);
    loop {
        let mut line = Vec::new();
        let got = (&mut read)
            .take(REQUEST_BYTES_MAX as u64)
            .read_until(b'\n', &mut line)
            .await;
        if got.is_err() || line.is_empty() {
            return;
        }
        let request: Request = match serde_json::from_slice(&line) {
            Ok(request) => request,
            Err(why) => {
                let too_long = line.last() != Some(&b'\n') && line.len() >= REQUEST_BYTES_MAX;
                let text = if too_long {
                    "the request is too long".to_owned()
                } else {
                    format!("not a request: {why}")
                };
                let _ = write_reply(&mut write, &Reply::Done(Done::failed(2, text))).await;
                return;
            }
        };
        let (tell, mut told) = mpsc::unbounded_channel();
        let progress = Progress::to(move |line| {
            let _ = tell.send(line);
        });
        let mut call = handle.call(request, progress);
        let done = loop {
            tokio::select! {
                biased;
                Some(line) = told.recv() => if write_reply(&mut write, &Reply::Progress(line)).await.is_err() {
                    // The client is gone; what it began goes on.
                    return;
                },
                done = &mut call => break done,
            }
        };
        while let Ok(line) = told.try_recv() {
            if write_reply(&mut write, &Reply::Progress(line))
                .await
                .is_err()
            {
                return;
            }
        }
        if write_reply(&mut write, &Reply::Done(done)).await.is_err() {
            return;
        }
    }
}

async fn write_reply(
    write: &mut (impl AsyncWriteExt + Unpin),
    reply: &Reply,
) -> std::io::Result<()> {
    let mut bytes = serde_json::to_vec(reply).map_err(std::io::Error::other)?;
    bytes.push(b'\n');
    write.write_all(&bytes).await
}

/// Opens Supervisor's servers of the active settings that are not open yet, and closes those that are gone. What cannot
/// be opened is said.
pub(crate) async fn serve_supervisor(daemon: &Shared) -> Vec<String> {
    let wanted = daemon.state.borrow().active.settings.servers.clone();
    let gone: Vec<_> = {
        let mut state = daemon.state.borrow_mut();
        // What failed and is not wanted any more is not tried again.
        let keys: Vec<String> = wanted.iter().map(Server::key).collect();
        let failed = &mut state.failed_listeners;
        failed.retain(|key, _| !key.starts_with(SERVER) || keys.contains(key));
        let gone: Vec<Server> = state
            .servers
            .keys()
            .filter(|server| !wanted.contains(server))
            .cloned()
            .collect();
        gone.into_iter()
            .filter_map(|server| state.servers.remove_entry(&server))
            .collect()
    };
    for (server, served) in gone {
        served.task.abort();
        let _ended = served.task.await;
        let key = server.key();
        let stays = wanted.iter().any(|other| other.key() == key);
        if stays && (server.unix.is_empty() || daemon.knows_socket(&server.unix)) {
            // Another password or mode: nobody who connects meanwhile is refused.
            daemon.state.borrow_mut().kept.insert(key, served.listener);
        } else {
            daemon.root.order(&Order::DropListener { key }, Vec::new());
        }
    }
    let mut errors = Vec::new();
    for server in wanted {
        if daemon.state.borrow().servers.contains_key(&server) {
            continue;
        }
        let section = match server.unix.is_empty() {
            true => "[inet_http_server]",
            false => "[unix_http_server]",
        };
        let before = daemon
            .state
            .borrow_mut()
            .failed_listeners
            .remove(&server.key());
        match serve_one(daemon, &server) {
            Ok(()) if before.is_some() => {
                let place = format!("{}{}", server.unix, server.tcp);
                daemon.show(format!("{section}  listening on {place}"));
            }
            Ok(()) => {}
            Err(why) => {
                // What is tried again is not said again.
                if before.as_ref() != Some(&why) {
                    daemon.log(Level::Critical, &format!("{section} {why}"));
                    errors.push(format!("{section} {why}"));
                }
                let mut state = daemon.state.borrow_mut();
                state.failed_listeners.insert(server.key(), why);
            }
        }
    }
    errors
}

fn serve_one(daemon: &Shared, server: &Server) -> Result<(), String> {
    let kept = daemon.state.borrow_mut().kept.remove(&server.key());
    let fd = match kept {
        Some(fd) => {
            if !server.unix.is_empty() {
                listeners::set(&server.unix, server.mode, server.owner)?;
            }
            fd
        }
        None if server.unix.is_empty() => listeners::open(&server.tcp)?,
        None => listeners::open_unix(&server.unix, server.mode, server.owner)?,
    };
    let kept = duplicate(&fd)?;
    daemon.root.order(
        &Order::KeepListener { key: server.key() },
        vec![duplicate(&fd)?],
    );
    let failed = |why: std::io::Error| format!("cannot serve {}{}: {why}", server.unix, server.tcp);
    rustix::io::ioctl_fionbio(&fd, true).map_err(|why| failed(why.into()))?;
    let listener = if server.unix.is_empty() {
        supervisord::Listener::Tcp(TcpListener::from_std(fd.into()).map_err(failed)?)
    } else {
        supervisord::Listener::Unix(UnixListener::from_std(fd.into()).map_err(failed)?)
    };
    daemon.log(Level::Info, "RPC interface 'supervisor' initialized");
    let auth = if server.username.is_empty() {
        let name = if server.unix.is_empty() {
            "inet_http_server"
        } else {
            "unix_http_server"
        };
        daemon.log(
            Level::Critical,
            &format!("Server '{name}' running without any HTTP authentication checking"),
        );
        let host = server.tcp.rsplit_once(':').map_or("", |(host, _)| host);
        supervisord::Auth::open().called(host)
    } else {
        supervisord::Auth::user(&server.username, &server.password)
    };
    daemon.know_socket(&server.unix);
    let control: Arc<dyn Control> = Arc::new(daemon.handle.clone());
    let served = Served {
        task: tokio::spawn(supervisord::serve(listener, auth, control)),
        listener: kept,
    };
    let servers = &mut daemon.state.borrow_mut().servers;
    servers.insert(server.clone(), served);
    Ok(())
}
