//! From words and variables to a [`Server`].

use crate::grammar::{self, Grammar, Item, Role};
use crate::guard;
use crate::server::{Forks, Kind, Program, Server, Trust};
use crate::tables;
use crate::words::{Env, Place, SeenEnv, tokens};
use crate::wrap::{self, Inner};

/// Names by which servers are started (base name of the program, or `python -m` module).
const NAMES: &[(&str, Kind)] = &[
    ("uvicorn", Kind::Uvicorn),
    ("gunicorn", Kind::Gunicorn),
    ("gunicorn3", Kind::Gunicorn),
    ("gunicorn.app.wsgiapp", Kind::Gunicorn),
    ("fastapi", Kind::Fastapi),
    ("fastapi_cli", Kind::Fastapi),
    ("flask", Kind::Flask),
    ("manage.py", Kind::Django),
    ("django-admin", Kind::Django),
    ("django-admin.py", Kind::Django),
    ("django", Kind::Django),
    ("hypercorn", Kind::Hypercorn),
    ("granian", Kind::Granian),
    ("node", Kind::Node),
    ("nodejs", Kind::Node),
    ("nodemon", Kind::Nodemon),
    ("tsx", Kind::Tsx),
    ("npm", Kind::PackageScript),
    ("yarn", Kind::PackageScript),
    ("pnpm", Kind::PackageScript),
    ("bun", Kind::PackageScript),
    ("celery", Kind::Celery),
];

impl Kind {
    fn named(name: &str) -> Self {
        NAMES
            .iter()
            .find(|(n, _)| *n == name)
            .map_or(Self::Unknown, |(_, kind)| *kind)
    }

    fn grammar(self) -> &'static Grammar {
        match self {
            Self::Uvicorn => &tables::UVICORN,
            Self::Gunicorn => &tables::GUNICORN,
            Self::Fastapi => &tables::FASTAPI,
            Self::Flask => &tables::FLASK,
            Self::Django => &tables::DJANGO,
            Self::Hypercorn => &tables::HYPERCORN,
            Self::Granian => &tables::GRANIAN,
            Self::Node => &tables::NODE,
            Self::Nodemon => &tables::NODEMON,
            Self::Tsx => &tables::TSX,
            Self::PackageScript | Self::Celery | Self::Unknown => &tables::PLAIN,
        }
    }
}

/// Reads a command line (split into words) with the environment that it is started in.
pub fn read(argv: &[String], env: &Env) -> Server {
    // Of several commands in a shell script, the one that serves is meant (`migrate && gunicorn …`).
    let known = |inner: &Inner| {
        let kind = Kind::named(&inner.name);
        let items = items(kind, inner);
        serves(
            kind,
            subcommand(kind, Some(inner), &items).as_deref(),
            &items,
        )
    };
    let inner = wrap::unwrap(tokens(argv), SeenEnv::new(env), &known);
    let kind = inner
        .as_ref()
        .map_or(Kind::Unknown, |i| Kind::named(&i.name));
    let items = inner
        .as_ref()
        .map_or_else(Vec::new, |inner| items(kind, inner));
    let subcommand = subcommand(kind, inner.as_ref(), &items);
    let mut server = Server {
        kind,
        subcommand,
        worker_class: None,
        binds: Vec::new(),
        reloads: Vec::new(),
        forks: Forks {
            workers: 1,
            master: false,
        },
        trusts: Trust::Nobody,
        reads_forwarded: false,
        tls: false,
        daemonizes: false,
        config_file: None,
        through: inner.as_ref().map_or_else(Vec::new, |i| i.through.clone()),
        argv: argv.to_vec(),
        inner,
        items,
    };
    server.worker_class = server.given(Role::WorkerClass).map(|(value, _)| value);
    server.config_file = server.given(Role::Config).map(|(value, _)| value);
    server.tls = server.given(Role::Tls).is_some();
    server.daemonizes = server.has(Role::Daemonize) || server.cmd_args_has(Role::Daemonize);
    server.binds = server.read_binds();
    server.forks = server.read_forks();
    (server.trusts, server.reads_forwarded) = server.read_trust();
    server.reloads = guard::find(&server);
    server
}

fn items(kind: Kind, inner: &Inner) -> Vec<Item> {
    let watch = kind == Kind::Tsx
        && inner
            .tokens
            .get(inner.args)
            .is_some_and(|t| t.text == "watch");
    grammar::parse(
        kind.grammar(),
        &inner.tokens,
        inner.args + usize::from(watch),
    )
}

fn subcommand(kind: Kind, inner: Option<&Inner>, items: &[Item]) -> Option<String> {
    match kind {
        Kind::Fastapi | Kind::Flask | Kind::Celery | Kind::PackageScript => {
            items.iter().find(|i| i.positional).map(|i| i.name.clone())
        }
        // Its first word, whatever that is (`ManagementUtility.execute`): no option may stand before it.
        Kind::Django => {
            let first = items.iter().find(|i| i.positional)?;
            (first.tokens.start == inner?.args).then(|| first.name.clone())
        }
        Kind::Tsx => {
            let inner = inner?;
            inner
                .tokens
                .get(inner.args)
                .filter(|t| t.text == "watch")
                .map(|t| t.text.clone())
        }
        Kind::Uvicorn
        | Kind::Gunicorn
        | Kind::Hypercorn
        | Kind::Granian
        | Kind::Node
        | Kind::Nodemon
        | Kind::Unknown => None,
    }
}

fn serves(kind: Kind, subcommand: Option<&str>, items: &[Item]) -> bool {
    match kind {
        Kind::Uvicorn | Kind::Gunicorn | Kind::Hypercorn | Kind::Granian => true,
        Kind::Node | Kind::Nodemon | Kind::Tsx => !items.iter().any(|i| i.role == Some(Role::Eval)),
        Kind::PackageScript => true,
        Kind::Fastapi => matches!(subcommand, Some("run" | "dev")),
        Kind::Flask => subcommand == Some("run"),
        Kind::Django => subcommand == Some("runserver"),
        Kind::Celery | Kind::Unknown => false,
    }
}

impl Server {
    /// True if this command line starts something that takes connections, as far as the catalogue knows.
    pub fn serves(&self) -> bool {
        serves(self.kind, self.subcommand.as_deref(), &self.items)
    }

    /// The program that is meant, looked up behind its wrappers. `None` if nothing but wrappers stands there.
    pub fn program(&self) -> Option<Program<'_>> {
        let inner = self.inner.as_ref()?;
        let args = inner.tokens.get(inner.args..).unwrap_or_default();
        let word = inner.args.checked_sub(1).and_then(|i| inner.tokens.get(i));
        Some(Program {
            name: &inner.name,
            written: word.map_or("", |t| t.text.as_str()),
            place: word.map(|t| t.at.clone()),
            args: args
                .iter()
                .map(|t| (t.text.as_str(), t.at.clone()))
                .collect(),
            in_shell: inner.in_shell,
        })
    }

    /// A variable as the server sees it: the given environment, changed by the command line (`env A=B`).
    pub fn variable(&self, name: &str) -> Option<(String, Place)> {
        self.env(name)
    }

    pub(crate) fn has(&self, role: Role) -> bool {
        self.items.iter().any(|i| i.role == Some(role))
    }

    pub(crate) fn with(&self, role: Role) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(move |i| i.role == Some(role))
    }

    pub(crate) fn env(&self, name: &str) -> Option<(String, Place)> {
        let (value, at) = self.inner.as_ref()?.env.get(name)?;
        (!value.is_empty()).then(|| (value.to_owned(), at))
    }

    pub(crate) fn places(&self, item: &Item) -> Vec<Place> {
        let Some(inner) = &self.inner else {
            return Vec::new();
        };
        inner.tokens[item.tokens.clone()]
            .iter()
            .map(|t| t.at.clone())
            .collect()
    }

    /// The options in gunicorn's GUNICORN_CMD_ARGS (shlex words), read by the same grammar.
    pub(crate) fn cmd_args(&self) -> Option<(Vec<String>, Vec<Item>, Place)> {
        if self.kind != Kind::Gunicorn {
            return None;
        }
        let (value, at) = self.env("GUNICORN_CMD_ARGS")?;
        let words: Vec<_> = crate::shell::commands(&value, 0)?
            .into_iter()
            .flatten()
            .map(|t| t.text)
            .collect();
        let items = grammar::parse(self.kind.grammar(), &tokens(&words), 0);
        Some((words, items, at))
    }

    fn cmd_args_has(&self, role: Role) -> bool {
        self.cmd_args()
            .is_some_and(|(_, items, _)| items.iter().any(|i| i.role == Some(role)))
    }

    /// The value that wins for an option: the last on the command line, else the server's own variable.
    pub(crate) fn given(&self, role: Role) -> Option<(String, Vec<Place>)> {
        let word = self
            .with(role)
            .filter_map(|i| Some((i.value.clone()?, self.places(i))))
            .last();
        let from_prefix = || {
            self.kind.grammar().env_names(role).find_map(|name| {
                let (value, at) = self.env(&name)?;
                Some((value, vec![at]))
            })
        };
        let from_cmd_args = || {
            let (_, items, at) = self.cmd_args()?;
            items
                .into_iter()
                .rev()
                .find(|i| i.role == Some(role))
                .and_then(|i| Some((i.value?, vec![at])))
        };
        word.or_else(from_prefix).or_else(from_cmd_args)
    }

    pub(crate) fn variable_names(&self, role: Role) -> Vec<String> {
        self.kind.grammar().env_names(role).collect()
    }
}
