//! What the daemon orders root to do.

use super::Root;
use rustix::fd::OwnedFd;
use rustix::process::PidfdFlags;
use std::ffi::CString;
use sys::spawn::Fork;
use wire::{Order, Tell};

impl Root {
    pub(super) fn daemon_spoke(&mut self) -> Option<i32> {
        if let Some(daemon) = &mut self.daemon {
            daemon.link.flush();
        }
        if let Some(status) = self.read_orders() {
            return Some(status);
        }
        if let Some(daemon) = self.daemon.as_mut().filter(|daemon| daemon.link.dead)
            && !std::mem::replace(&mut daemon.killed, true)
        {
            // A daemon that closed its socket but lives is of no use: it is started again when it is dead.
            let _ = sys::signal::send(daemon.pid, 9);
        }
        None
    }

    pub(super) fn read_orders(&mut self) -> Option<i32> {
        let mut frame = Vec::new();
        while let Some(fds) = self.daemon.as_mut()?.link.recv(&mut frame) {
            if let Ok(order) = wire::decode::<Order>(&frame)
                && let Some(status) = self.order(order, fds)
            {
                return Some(status);
            }
        }
        None
    }

    fn order(&mut self, order: Order, fds: Vec<OwnedFd>) -> Option<i32> {
        match order {
            Order::SpawnKeeper {
                slot,
                dir,
                events_gid,
                name,
            } => self.spawn_keeper(slot, dir, events_gid, &name),
            Order::KeepListener { key } => {
                self.listeners.retain(|(known, _)| *known != key);
                self.listeners
                    .extend(fds.into_iter().next().map(|fd| (key, fd)));
            }
            Order::DropListener { key } => self.listeners.retain(|(known, _)| *known != key),
            Order::AdoptKeeper { pid } => {
                let own = self.keepers.iter().any(|(keeper, _)| *keeper == pid);
                let known = self.adopted.iter().any(|(keeper, _)| *keeper == pid);
                if let Some(typed) = rustix::process::Pid::from_raw(pid)
                    && !own
                    && !known
                    && let Ok(pidfd) = rustix::process::pidfd_open(typed, PidfdFlags::empty())
                {
                    self.adopted.push((pid, pidfd));
                }
            }
            Order::Up {} => {
                if let Some(daemon) = &mut self.daemon {
                    daemon.up = true;
                }
            }
            Order::Started {} => {
                // The first time, and at the end of a reload; a daemon that was started again is no news to systemd,
                // unless its predecessor died while it reloaded.
                if self.systemd != Systemd::Ready && self.systemd != Systemd::Stopping {
                    tell_systemd("READY=1");
                    self.systemd = Systemd::Ready;
                }
                if let Some(starter) = self.options.starter.take() {
                    let _ = rustix::io::write(starter.ready, b"1");
                }
            }
            Order::ShuttingDown {} => {
                // By a command as by a signal: a daemon that dies in the middle is followed by one that goes on with it.
                self.shutdown.get_or_insert(15);
                self.answer_by_ms = None;
                tell_systemd("STOPPING=1");
                self.systemd = Systemd::Stopping;
            }
            Order::Reloading {} => {
                if self.systemd == Systemd::Ready {
                    // systemd compares the time with that of its own request (`Type=notify-reload`).
                    let us = sys::clock::mono_us();
                    tell_systemd(&format!("RELOADING=1\nMONOTONIC_USEC={us}"));
                    self.systemd = Systemd::Reloading;
                }
            }
            Order::Exit { status } => return Some(status),
        }
        None
    }

    fn spawn_keeper(&mut self, slot: u32, dir: String, events_gid: Option<u32>, name: &str) {
        match sys::spawn::fork() {
            Ok(Fork::Child) => {
                sys::fds::close_all_except(&[]);
                sys::signal::reset();
                let title = CString::new(format!("keeper {name}")).unwrap_or_default();
                let _ = rustix::thread::set_name(&title);
                let status = crate::run_keeper(crate::KeeperOptions {
                    slot,
                    dir: dir.into(),
                    events_gid,
                });
                std::process::exit(status);
            }
            Ok(Fork::Parent(pid)) => {
                self.keepers.push((pid, slot));
                self.tell(&Tell::KeeperStarted {
                    slot,
                    pid,
                    error: String::new(),
                });
            }
            Err(error) => self.tell(&Tell::KeeperStarted {
                slot,
                pid: 0,
                error: error.to_string(),
            }),
        }
    }
}

/// What systemd was told last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Systemd {
    /// Nothing yet.
    #[default]
    Starting,
    Ready,
    Reloading,
    Stopping,
}

/// sd_notify(3), where systemd asks for it (`Type=notify`). What is wrong with its socket is its affair.
fn tell_systemd(text: &str) {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let address = match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest),
        _ => SocketAddr::from_pathname(&name),
    };
    if let (Ok(address), Ok(socket)) = (address, UnixDatagram::unbound()) {
        let _ = socket.set_nonblocking(true);
        let _ = socket.send_to_addr(text.as_bytes(), &address);
    }
}
