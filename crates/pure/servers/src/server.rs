//! What a command line says about its server.

use crate::bind::Bind;
use crate::grammar::Item;
use crate::words::Place;
use crate::wrap::Inner;

/// Which server a command line starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `uvicorn app:app`.
    Uvicorn,
    /// `gunicorn app:app`, with any worker class.
    Gunicorn,
    /// `fastapi run` or `fastapi dev`.
    Fastapi,
    /// `flask run`: Flask's development server.
    Flask,
    /// `manage.py runserver` or `django-admin runserver`: Django's development server.
    Django,
    /// `hypercorn app:app`.
    Hypercorn,
    /// `granian app:app`.
    Granian,
    /// `node script.js`.
    Node,
    /// `nodemon …`: restarts Node when files change.
    Nodemon,
    /// `tsx script.ts`.
    Tsx,
    /// `npm start`, `npm run x` and those of yarn, pnpm, bun: what runs is written in package.json.
    PackageScript,
    /// `celery …`: takes no connections.
    Celery,
    /// Not in the catalogue.
    Unknown,
}

impl Kind {
    /// The name that people know it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uvicorn => "uvicorn",
            Self::Gunicorn => "gunicorn",
            Self::Fastapi => "fastapi",
            Self::Flask => "flask",
            Self::Django => "django",
            Self::Hypercorn => "hypercorn",
            Self::Granian => "granian",
            Self::Node => "node",
            Self::Nodemon => "nodemon",
            Self::Tsx => "tsx",
            Self::PackageScript => "package script",
            Self::Celery => "celery",
            Self::Unknown => "unknown",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Processes that serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forks {
    /// Worker processes asked for; 1 if nothing says otherwise.
    pub workers: u32,
    /// True if a parent process stays above the workers (it answers signals; stopasgroup matters).
    pub master: bool,
}

/// Whose forwarded headers (X-Forwarded-For, X-Forwarded-Proto) the server believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// These addresses, networks and literals, as written.
    Addresses(Vec<String>),
    /// Everyone (`*`).
    Everyone,
    /// Nobody: headers are not read (`--no-proxy-headers`), or the server has no such setting.
    Nobody,
}

/// What a command line says about its server.
#[derive(Debug, Clone)]
pub struct Server {
    /// Which server it is.
    pub kind: Kind,
    /// Its subcommand, where it has them (`run`, `dev`, `runserver`).
    pub subcommand: Option<String>,
    /// gunicorn's and hypercorn's worker class.
    pub worker_class: Option<String>,
    /// Addresses that it listens on. Empty if that is not visible here (Node without `PORT`, an unknown server).
    pub binds: Vec<Bind>,
    /// Development flags ([`crate::guard()`] returns the same).
    pub reloads: Vec<DevFlag>,
    /// Worker processes.
    pub forks: Forks,
    /// Whose forwarded headers it believes as it is configured now.
    pub trusts: Trust,
    /// True if the server itself turns forwarded headers into the client's address and scheme for the app.
    pub reads_forwarded: bool,
    /// True if it speaks TLS itself.
    pub tls: bool,
    /// True if it puts itself into the background (`gunicorn --daemon`): nothing can keep such a process.
    pub daemonizes: bool,
    /// A settings file named on the command line that is not looked at here; it may set what the words do not.
    pub config_file: Option<String>,
    /// What was looked through, outermost first (`env`, `poetry`, `sh -c`, `python3`).
    pub through: Vec<String>,
    pub(crate) argv: Vec<String>,
    pub(crate) inner: Option<Inner>,
    pub(crate) items: Vec<Item>,
}

/// What a command line starts once its wrappers are looked through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program<'a> {
    /// Its base name; the module for `python -m`; empty for code on the command line (`python -c`).
    pub name: &'a str,
    /// The word that names it, as written: a path, a name, a module.
    pub written: &'a str,
    /// Where that word stands.
    pub place: Option<Place>,
    /// Its arguments and their places.
    pub args: Vec<(&'a str, Place)>,
    /// Whether it stands in a script of `sh -c`.
    pub in_shell: bool,
}

/// One sign of development mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevFlag {
    /// Name of the rule, stable (`uvicorn-reload`).
    pub rule: &'static str,
    /// Where it stands; more than one place for an option with its value in the next word.
    pub places: Vec<Place>,
    /// The flag as written (`--reload`, `FLASK_DEBUG=1`, `runserver`).
    pub what: String,
    /// What it does to users, one sentence without a full stop.
    pub effect: &'static str,
    /// Whether it is refused in production.
    pub weight: Weight,
    /// What to write instead.
    pub fix: Fix,
}

/// The cure of a [`DevFlag`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fix {
    /// This command line: it cures every flag of the command at once. The other words are as they were.
    Command {
        /// Split into words.
        argv: Vec<String>,
        /// As it is written in supervisord.conf.
        line: String,
    },
    /// Remove this variable from the environment.
    Unset {
        /// Its name.
        name: String,
    },
    /// Give this variable another value.
    Set {
        /// Its name.
        name: String,
        /// The value without the flag.
        value: String,
    },
    /// Nothing that a machine can write: advice for a person.
    Advice(&'static str),
}

/// How much a development flag weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weight {
    /// Not made for production, but it does not restart by itself.
    Warn,
    /// Breaks the promise: refused in production.
    Refuse,
}
