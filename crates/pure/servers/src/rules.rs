//! The guard's rules, as data: what marks development mode in which server, what it does to users, and the cure.

use crate::grammar::Role;
use crate::server::{Kind, Weight};

/// What makes a rule fire.
#[derive(Debug)]
pub(crate) enum When {
    /// An option of this role, that no later option takes back.
    Option(Role, Option<Role>),
    /// A variable that is true by click's rule.
    Switch(&'static str),
    /// A variable that is true by Flask's rule (anything but empty, `0`, `false`, `no`).
    FlaskSwitch(&'static str),
    /// The subcommand, unless an option of the second role is given.
    Subcommand(&'static str, Option<Role>),
    /// The program itself.
    Program,
}

/// How the command line is put right.
#[derive(Debug)]
pub(crate) enum Cure {
    /// Without the words that fired, and without options that only tune them.
    Drop,
    /// With this word in place of the one that fired; the address stays as it was.
    Replace(&'static str),
    /// With this word added behind the subcommand.
    Add(&'static str),
    /// Without the variable.
    Unset,
    /// As `Drop`, and tsx's script is not taken for its subcommand, whatever it is called.
    Tsx,
    /// nodemon's script, started by node or by what `--exec` names.
    Nodemon,
    /// No command line can be derived: words for a person.
    Advice(&'static str),
}

/// One rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: &'static str,
    pub(crate) kind: Kind,
    pub(crate) when: When,
    pub(crate) effect: &'static str,
    pub(crate) weight: Weight,
    pub(crate) cure: Cure,
}

const RELOADS: &str =
    "the server restarts whenever a file changes: connections break and people are signed out";

const DEBUGS: &str = "the server restarts whenever a file changes, and its debugger runs code for whoever opens an error page";

const DEV_SERVER: &str =
    "a development server: one process that its makers do not support in production";

const fn rule(id: &'static str, kind: Kind, when: When, cure: Cure) -> Rule {
    Rule {
        id,
        kind,
        when,
        effect: RELOADS,
        weight: Weight::Refuse,
        cure,
    }
}

/// Every rule. A server may have several; each that fires is reported.
pub(crate) static RULES: &[Rule] = &[
    rule(
        "uvicorn-reload",
        Kind::Uvicorn,
        When::Option(Role::Reload, None),
        Cure::Drop,
    ),
    rule(
        "uvicorn-reload-env",
        Kind::Uvicorn,
        When::Switch("UVICORN_RELOAD"),
        Cure::Unset,
    ),
    rule(
        "gunicorn-reload",
        Kind::Gunicorn,
        When::Option(Role::Reload, None),
        Cure::Drop,
    ),
    rule(
        "fastapi-dev",
        Kind::Fastapi,
        When::Subcommand("dev", Some(Role::NoReload)),
        Cure::Replace("run"),
    ),
    rule(
        "fastapi-reload",
        Kind::Fastapi,
        When::Option(Role::Reload, Some(Role::NoReload)),
        Cure::Drop,
    ),
    rule(
        "hypercorn-reload",
        Kind::Hypercorn,
        When::Option(Role::Reload, None),
        Cure::Drop,
    ),
    rule(
        "granian-reload",
        Kind::Granian,
        When::Option(Role::Reload, Some(Role::NoReload)),
        Cure::Drop,
    ),
    rule(
        "granian-reload-env",
        Kind::Granian,
        When::Switch("GRANIAN_RELOAD"),
        Cure::Unset,
    ),
    rule(
        "flask-reload",
        Kind::Flask,
        When::Option(Role::Reload, Some(Role::NoReload)),
        Cure::Drop,
    ),
    rule(
        "flask-reload-env",
        Kind::Flask,
        When::Switch("FLASK_RUN_RELOAD"),
        Cure::Unset,
    ),
    Rule {
        id: "flask-debug",
        kind: Kind::Flask,
        when: When::Option(Role::Debug, Some(Role::NoDebug)),
        effect: DEBUGS,
        weight: Weight::Refuse,
        cure: Cure::Drop,
    },
    Rule {
        id: "flask-debug-env",
        kind: Kind::Flask,
        when: When::FlaskSwitch("FLASK_DEBUG"),
        effect: DEBUGS,
        weight: Weight::Refuse,
        cure: Cure::Unset,
    },
    Rule {
        id: "flask-server",
        kind: Kind::Flask,
        when: When::Subcommand("run", None),
        effect: DEV_SERVER,
        weight: Weight::Warn,
        cure: Cure::Advice(
            "serve the app with a production server: gunicorn --bind ADDRESS module:app",
        ),
    },
    rule(
        "django-reload",
        Kind::Django,
        When::Subcommand("runserver", Some(Role::NoReload)),
        Cure::Add("--noreload"),
    ),
    Rule {
        id: "django-server",
        kind: Kind::Django,
        when: When::Subcommand("runserver", None),
        effect: DEV_SERVER,
        weight: Weight::Warn,
        cure: Cure::Advice(
            "serve the project with a production server: gunicorn --bind ADDRESS project.wsgi",
        ),
    },
    rule("nodemon", Kind::Nodemon, When::Program, Cure::Nodemon),
    rule(
        "node-watch",
        Kind::Node,
        When::Option(Role::Reload, None),
        Cure::Drop,
    ),
    rule(
        "tsx-watch",
        Kind::Tsx,
        When::Subcommand("watch", None),
        Cure::Tsx,
    ),
    rule(
        "tsx-watch-flag",
        Kind::Tsx,
        When::Option(Role::Reload, None),
        Cure::Tsx,
    ),
];
