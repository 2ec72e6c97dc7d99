//! What was looked at: configurations, programs, their code, keys, processes and logs. Gathered once, then only read.

pub(crate) mod app;
pub(crate) mod ask;
pub(crate) mod bounded;
pub(crate) mod certificate;
pub(crate) mod config;
pub(crate) mod daemon;
pub(crate) mod discover;
pub(crate) mod follow;
pub(crate) mod history;
pub(crate) mod http;
pub(crate) mod jars;
pub(crate) mod keys;
pub(crate) mod layers;
pub(crate) mod logs;
pub(crate) mod ours;
pub(crate) mod ports;
pub(crate) mod procs;
pub(crate) mod rpc;
pub(crate) mod shown;
pub(crate) mod tls;
pub(crate) mod watches;

use std::path::PathBuf;
use std::sync::Arc;

use finding::Span;

use crate::model::Env;
use app::App;
use keys::Key;
use layers::Layer;
use logs::Log;
use procs::Proc;
use shown::Live;

/// Everything that was seen.
#[derive(Debug, Default)]
pub(crate) struct Scene {
    pub(crate) configs: Vec<Config>,
    pub(crate) subjects: Vec<Subject>,
    /// What could not be looked at, in words.
    pub(crate) unseen: Vec<String>,
    pub(crate) now_unix_s: u64,
    /// What experiments showed, if there were any.
    pub(crate) live: Option<Live>,
}

impl Scene {
    /// Says once that something could not be seen.
    pub(crate) fn not_seen(&mut self, words: impl Into<String>) {
        let words = words.into();
        if !self.unseen.contains(&words) {
            self.unseen.push(words);
        }
    }
}

/// A configuration of Supervisor's.
#[derive(Debug)]
pub(crate) struct Config {
    /// As it was named.
    pub(crate) shown: String,
    pub(crate) loaded: conf::Loaded,
    /// Nothing says that it is for this machine: only files are looked at, or nothing of it is here.
    pub(crate) is_elsewhere: bool,
    /// The supervisord that runs from it.
    pub(crate) daemon: Option<Daemon>,
    /// `supervisorctl -c FILE`: what the owner's commands begin with.
    pub(crate) ctl: String,
    /// Supervisor's own log.
    pub(crate) log: Option<Log>,
    /// What Supervisor says of its processes.
    pub(crate) told: Vec<rpc::Told>,
}

impl Config {
    /// The path of a file by the name that it is shown by.
    pub(crate) fn path_of(&self, shown: &str) -> Option<PathBuf> {
        let file = self.loaded.tree.iter().find(|file| file.name() == shown)?;
        Some(PathBuf::from(&file.path))
    }

    /// Whether `doctor_ignore` of [steadfast] names a rule (`SF401`, or `SF4` for all that begin so).
    pub(crate) fn ignores(&self, code: &str) -> Option<String> {
        let mut inside = false;
        for file in &self.loaded.tree {
            for line in std::str::from_utf8(file.bytes()).unwrap_or("").lines() {
                if line.starts_with('[') {
                    inside = line.starts_with("[steadfast]");
                }
                let Some((key, value)) = line.split_once('=').filter(|_| inside) else {
                    continue;
                };
                let value = value.split(" ;").next().unwrap_or(value);
                let mut codes = value.split([',', ' ']).filter(|c| c.len() >= 3);
                if key.trim() == "doctor_ignore"
                    && codes.any(|c| code.starts_with(&c.to_ascii_uppercase()))
                {
                    return Some("doctor_ignore in [steadfast]".to_owned());
                }
            }
        }
        None
    }

    pub(crate) fn text_of(&self, shown: &str) -> Option<&str> {
        let file = self.loaded.tree.iter().find(|file| file.name() == shown)?;
        std::str::from_utf8(file.bytes()).ok()
    }
}

/// A running supervisord.
#[derive(Debug, Clone)]
pub(crate) struct Daemon {
    pub(crate) pid: i32,
    pub(crate) start_unix_s: u64,
    /// Its variables, if they may be read.
    pub(crate) env: Option<Env>,
    /// Whether its control interface answered.
    pub(crate) answers: bool,
}

impl Daemon {
    /// Whether it is Steadfast.
    pub(crate) fn is_ours(&self) -> bool {
        sys::proc::stat(self.pid).is_some_and(|stat| stat.name.starts_with("steadfast"))
    }
}

/// Where a subject comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A program of a configuration of Supervisor's: its index.
    Supervisor(usize),
    /// A unit of systemd.
    Systemd,
    /// A process that nobody claims.
    Process,
    /// An address, and nothing else is known.
    Address,
}

/// One program: its definition, its code, its keys, its processes.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) source: Source,
    /// Its definition, for programs of Supervisor's.
    pub(crate) program: Option<conf::Program>,
    /// The command, then what it leads to: a script, an entry of package.json.
    pub(crate) layers: Vec<Layer>,
    /// Where they are set.
    pub(crate) env_span: Option<Span>,
    /// Whether more variables may come from somewhere that was not seen.
    pub(crate) env_is_whole: bool,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) app: Arc<App>,
    pub(crate) keys: Vec<Key>,
    /// Its processes, parents first.
    pub(crate) processes: Vec<Proc>,
    pub(crate) logs: Vec<Log>,
    /// Answers of its health endpoint.
    pub(crate) health: Option<http::Health>,
    /// It was looked for one.
    pub(crate) was_asked: bool,
    /// Its certificate, if it speaks TLS.
    pub(crate) certificate: Option<tls::Certificate>,
    /// What Steadfast's ledger tells of it, oldest first.
    pub(crate) happened: Vec<ledger::Entry>,
    /// For a process that is looked at by its number: what restarts it, if its owner could be seen.
    pub(crate) owner: Option<Owner>,
}

/// Who keeps a process that was named by its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Supervisor: what its owner's commands begin with, and the name there (`group:name`).
    Supervisor {
        ctl: String,
        group: String,
        name: String,
    },
    /// A unit of systemd.
    Systemd(String),
}

impl Subject {
    /// One of which nothing else is known.
    pub(crate) fn new(name: String, source: Source) -> Subject {
        Subject {
            name,
            source,
            program: None,
            layers: Vec::new(),
            env_span: None,
            env_is_whole: false,
            dir: None,
            app: Arc::default(),
            keys: Vec::new(),
            processes: Vec::new(),
            logs: Vec::new(),
            health: None,
            was_asked: false,
            certificate: None,
            happened: Vec::new(),
            owner: None,
        }
    }

    /// The layer that says most: the innermost that is a server, else the command.
    pub(crate) fn main_layer(&self) -> Option<&Layer> {
        self.layers
            .iter()
            .rev()
            .find(|layer| layer.server.serves())
            .or_else(|| self.layers.first())
    }

    /// Whether it takes connections, as far as is known.
    pub(crate) fn serves(&self) -> bool {
        self.layers.iter().any(|layer| layer.server.serves())
    }

    pub(crate) fn span(&self) -> Option<Span> {
        self.layers.first().and_then(|layer| layer.whole.clone())
    }

    /// The configuration that it stands in.
    pub(crate) fn config<'a>(&self, scene: &'a Scene) -> Option<&'a Config> {
        match self.source {
            Source::Supervisor(index) => scene.configs.get(index),
            Source::Systemd | Source::Process | Source::Address => None,
        }
    }
}
