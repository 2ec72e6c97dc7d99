//! A gateway in this process, a keeper played by a thread, programs that do as they are told.
#![allow(dead_code, unused_imports, unreachable_pub)] // each test binary uses its part

mod app;
mod client;
pub mod door;
mod keeper;

pub use app::{App, Conversation};
pub use client::{Answer, Client, find, get, ok, post};
pub use keeper::{Keeper, zero_fact};

use gateway::Leave;
use gateway::config::{Config, Listener, Route, Slot, Target};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;
use wire::{Fact, Leaving, Phase};

/// Nothing here takes longer unless it is broken, not even on a machine that is out of breath.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Requests may wait so long, unless that is what is tested.
const HOLD_MS: u64 = 40_000;

/// A gateway with one listener and one program of one slot.
pub struct Gateway {
    pub address: SocketAddr,
    /// Its socket once more, for a successor.
    pub socket: TcpListener,
    stop: Option<tokio::sync::oneshot::Sender<Leave>>,
    thread: Option<JoinHandle<Result<(), gateway::Error>>>,
}

impl Gateway {
    /// Starts it; `change` adapts the configuration.
    pub fn start(targets: &[(&str, Target)], change: impl FnOnce(&mut Config)) -> Gateway {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Gateway::on(socket, targets, change)
    }

    /// The same on a socket that others may have, too.
    pub fn on(
        socket: TcpListener,
        targets: &[(&str, Target)],
        change: impl FnOnce(&mut Config),
    ) -> Gateway {
        let address = socket.local_addr().expect("bound");
        let again = socket.try_clone().expect("cloned");
        let routes = targets.iter().rev().map(|(name, _)| Route {
            target: name.to_string(),
            path_prefix: if *name == targets[0].0 {
                String::new()
            } else {
                format!("/{name}")
            },
            ..Route::default()
        });
        let mut config = Config {
            listeners: vec![Listener {
                address: address.to_string(),
                routes: routes.collect(),
                hold_ms: HOLD_MS,
                ..Listener::default()
            }],
            targets: targets
                .iter()
                .map(|(name, target)| (name.to_string(), target.clone()))
                .collect(),
            ..Config::default()
        };
        change(&mut config);
        let (stop, stopped) = tokio::sync::oneshot::channel::<Leave>();
        let (ready, is_ready) = channel();
        let thread = std::thread::spawn(move || {
            let leave = async { stopped.await.unwrap_or(Leave::Replaced) };
            gateway::serve(
                config,
                vec![socket.into()],
                move |news| {
                    if matches!(news, gateway::News::Ready) {
                        ready.send(()).expect("awaited");
                    }
                    true
                },
                leave,
            )
        });
        is_ready.recv_timeout(LIMIT).expect("the gateway starts");
        Gateway {
            address,
            socket: again,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// One request on a connection of its own.
    pub fn ask(&self, request: &str) -> Answer {
        let mut client = self.client();
        client.send(request);
        client.answer()
    }

    /// Asks it to leave, as if another one had taken over.
    pub fn leave(&mut self) {
        self.stop.take().map(|stop| stop.send(Leave::Replaced));
    }

    /// Asks it to leave, and nobody comes after it.
    pub fn leave_for_good(&mut self) {
        self.stop.take().map(|stop| stop.send(Leave::ForGood));
    }

    /// Waits until it has left.
    pub fn left(&mut self) {
        self.leave();
        let result = self.thread.take().map(JoinHandle::join);
        assert!(matches!(result, Some(Ok(Ok(())))), "{result:?}");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.leave();
        // Joined only by tests that ask for it: an idle connection may keep it for its time-out.
    }
}

/// A program behind a gateway: its directory, keeper, gateway.
pub struct Scene {
    pub dir: tempfile::TempDir,
    pub keeper: Keeper,
    pub gateway: Gateway,
}

impl Scene {
    /// The keeper's first word is `phase`, generation 1, `1.sock`.
    pub fn new(phase: Phase) -> Scene {
        Scene::with(phase, |_| {})
    }

    pub fn with(phase: Phase, change: impl FnOnce(&mut Config)) -> Scene {
        let dir = tempfile::tempdir().expect("a directory");
        let fact = Fact {
            seq: 1,
            generation: 1,
            phase,
            pid: 100,
            address: format!("unix:{}", dir.path().join("1.sock").display()),
            ..zero_fact()
        };
        let keeper = Keeper::start(&dir.path().join("events"), fact);
        let target = Target::Program {
            slots: vec![Slot {
                name: "app".into(),
                events: keeper.path.display().to_string(),
                ..Slot::default()
            }],
            jwt: None,
        };
        let gateway = Gateway::start(&[("app", target)], change);
        Scene {
            dir,
            keeper,
            gateway,
        }
    }

    pub fn socket(&self, generation: u64) -> PathBuf {
        self.dir.path().join(format!("{generation}.sock"))
    }

    pub fn address(&self, generation: u64) -> String {
        format!("unix:{}", self.socket(generation).display())
    }

    /// An app that echoes at generation 1.
    pub fn echo(&self) -> App {
        App::echo(&self.socket(1))
    }

    /// An overlap's old generation.
    pub fn leaving(generation: u64) -> Leaving {
        Leaving {
            generation,
            deadline_ms: sys::clock::mono_ms() + 60_000,
            key: 0,
        }
    }
}
