//! The connection to root.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use sys::seq::Conn;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use wire::{Order, Tell};

use super::Frame;
use crate::state::Shared;

/// What root said first.
#[derive(Debug)]
pub(crate) struct Welcome {
    /// The connection.
    pub(crate) conn: AsyncFd<Conn>,
    /// Our epoch.
    pub(crate) epoch: u64,
    /// Root's pid.
    pub(crate) root_pid: i32,
    /// An earlier daemon of the same root is gone.
    pub(crate) restarted: bool,
    /// Listeners that root kept.
    pub(crate) listeners: BTreeMap<String, OwnedFd>,
}

/// Waits for root's welcome and the listeners that follow it.
pub(crate) async fn welcome(root: OwnedFd) -> Result<Welcome, String> {
    let failed = |why: std::io::Error| format!("the connection to root broke: {why}");
    // Deprecated for descriptors that their owner may close; a `Conn` owns its descriptor for life.
    #[allow(deprecated)]
    let conn = Conn::from_fd(root).and_then(AsyncFd::new).map_err(failed)?;
    let closed = || "root closed the connection".to_owned();
    let (frame, _) = super::recv(&conn)
        .await
        .map_err(failed)?
        .ok_or_else(closed)?;
    let Ok(Tell::Welcome {
        epoch,
        listeners,
        root_pid,
        restarted,
    }) = wire::decode::<Tell>(&frame)
    else {
        return Err("root did not welcome us".to_owned());
    };
    let mut kept = BTreeMap::new();
    for _ in 0..listeners {
        let (frame, fds) = super::recv(&conn)
            .await
            .map_err(failed)?
            .ok_or_else(closed)?;
        if let (Ok(Tell::Listener { key }), Some(fd)) =
            (wire::decode::<Tell>(&frame), fds.into_iter().next())
        {
            kept.insert(key, fd);
        }
    }
    Ok(Welcome {
        conn,
        epoch,
        root_pid,
        restarted,
        listeners: kept,
    })
}

/// The sending end. Orders are as many as slots and listeners, so they need no bound of their own.
#[derive(Debug, Clone)]
pub(crate) struct Link(mpsc::UnboundedSender<Frame>);

impl Link {
    /// A link whose orders can be read from the other end.
    pub(crate) fn new() -> (Link, mpsc::UnboundedReceiver<Frame>) {
        let (send, receive) = mpsc::unbounded_channel();
        (Link(send), receive)
    }
    /// Gives an order. If root is gone, so are we soon.
    pub(crate) fn order(&self, order: &Order, fds: Vec<OwnedFd>) {
        let _ = self.0.send((wire::encode(order), fds));
    }
}

/// Serves the connection until root closes it.
pub(crate) async fn serve(
    daemon: Shared,
    conn: AsyncFd<Conn>,
    mut out: mpsc::UnboundedReceiver<Frame>,
) {
    loop {
        tokio::select! {
            frame = out.recv() => match frame {
                Some(frame) => if super::send(&conn, &frame).await.is_err() { return },
                None => return,
            },
            frame = super::recv(&conn) => match frame {
                Ok(Some((frame, _))) => if let Ok(tell) = wire::decode::<Tell>(&frame) { crate::keepers::told(&daemon, tell) },
                Ok(None) | Err(_) => return,
            },
        }
    }
}
