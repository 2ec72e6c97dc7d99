//! The guard: development mode in a command line or its environment, with the corrected command line.
//!
//! It never guesses. Only servers of the catalogue have rules, options are read by the server's own grammar, and a
//! later `--no-reload` takes an earlier `--reload` back, as it does in the server.

use crate::edit::Edits;
use crate::grammar::{Item, Role};
use crate::quote::{quote_line, shell_line};
use crate::rules::{Cure, RULES, Rule, When};
use crate::server::{DevFlag, Fix, Kind, Server};
use crate::words::{Place, click_true};

/// Signs of development mode in this server's command line and environment, in the order of the rules.
pub fn guard(server: &Server) -> Vec<DevFlag> {
    server.reloads.clone()
}

/// A rule that fired.
struct Hit {
    rule: &'static Rule,
    places: Vec<Place>,
    what: String,
}

pub(crate) fn find(server: &Server) -> Vec<DevFlag> {
    if !server.serves() {
        return Vec::new();
    }
    let hits: Vec<_> = RULES
        .iter()
        .filter(|r| r.kind == server.kind)
        .flat_map(|r| fire(server, r))
        .collect();
    let mut edits = Edits::default();
    for hit in &hits {
        plan(server, hit, &mut edits);
    }
    let command = (!edits.is_empty()).then(|| {
        let argv = edits.apply(&server.argv);
        Fix::Command {
            line: quote_line(&argv),
            argv,
        }
    });
    let mut flags: Vec<_> = hits
        .into_iter()
        .map(|hit| flag(server, hit, command.as_ref()))
        .collect();
    flags.extend(in_cmd_args(server));
    flags
}

fn flag(server: &Server, hit: Hit, command: Option<&Fix>) -> DevFlag {
    let variable = match hit.places.first() {
        Some(Place::Env(name)) => Some(name.clone()),
        _ => None,
    };
    let fix = match (&hit.rule.cure, variable, command) {
        (Cure::Advice(words), ..) => Fix::Advice(words),
        (Cure::Unset, Some(name), _) => Fix::Unset { name },
        (_, _, Some(command)) => command.clone(),
        (_, _, None) => Fix::Advice(no_line(server.kind)),
    };
    let Hit { rule, places, what } = hit;
    DevFlag {
        rule: rule.id,
        places,
        what,
        effect: rule.effect,
        weight: rule.weight,
        fix,
    }
}

/// What to say when no line could be derived.
fn no_line(kind: Kind) -> &'static str {
    match kind {
        Kind::Nodemon => "start the script that nodemon starts by itself: node SCRIPT",
        _ => "start the server without its development mode",
    }
}

fn fire(server: &Server, rule: &'static Rule) -> Vec<Hit> {
    let hit = |places: Vec<Place>, what: String| Hit { rule, places, what };
    let item = |i: &Item| {
        hit(
            server.places(i),
            i.value
                .as_ref()
                .map_or_else(|| i.name.clone(), |v| format!("{} {v}", i.name)),
        )
    };
    match &rule.when {
        When::Option(role, back) => {
            let last_back = back
                .and_then(|b| server.with(b).last())
                .map_or(0, |i| i.tokens.end);
            server
                .with(*role)
                .filter(|i| i.tokens.start >= last_back)
                .map(item)
                .collect()
        }
        When::Switch(name) => switch(server, name, click_true)
            .map(|(p, w)| hit(p, w))
            .into_iter()
            .collect(),
        When::FlaskSwitch(name) => switch(server, name, flask_true)
            .map(|(p, w)| hit(p, w))
            .into_iter()
            .collect(),
        When::Subcommand(name, unless) => {
            if server.subcommand.as_deref() != Some(name)
                || unless.is_some_and(|role| server.has(role))
            {
                return Vec::new();
            }
            sub_place(server)
                .map(|place| hit(vec![place], (*name).to_owned()))
                .into_iter()
                .collect()
        }
        When::Program => {
            let Some(inner) = &server.inner else {
                return Vec::new();
            };
            let at = inner.args.checked_sub(1).and_then(|i| inner.tokens.get(i));
            at.map(|token| hit(vec![token.at.clone()], inner.name.clone()))
                .into_iter()
                .collect()
        }
    }
}

/// Flask's `get_debug_flag` (flask/helpers.py).
fn flask_true(value: &str) -> bool {
    !matches!(value.to_lowercase().as_str(), "" | "0" | "false" | "no")
}

/// A variable that is on, and that no option of the command line overrules.
fn switch(server: &Server, name: &str, is_true: fn(&str) -> bool) -> Option<(Vec<Place>, String)> {
    let back = if name == "FLASK_DEBUG" {
        Role::NoDebug
    } else {
        Role::NoReload
    };
    if server.has(back) {
        return None;
    }
    let (value, at) = server.env(name).filter(|(value, _)| is_true(value))?;
    Some((vec![at], format!("{name}={value}")))
}

fn sub_place(server: &Server) -> Option<Place> {
    let inner = server.inner.as_ref()?;
    let at = match server.kind {
        Kind::Tsx => inner.args,
        _ => server.items.iter().find(|i| i.positional)?.tokens.start,
    };
    inner.tokens.get(at).map(|t| t.at.clone())
}

/// Adds what a hit needs to the changes of the command line.
fn plan(server: &Server, hit: &Hit, edits: &mut Edits) {
    match &hit.rule.cure {
        Cure::Advice(_) => {}
        Cure::Unset => hit
            .places
            .iter()
            .filter(|p| !matches!(p, Place::Env(_)))
            .for_each(|p| edits.drop(p)),
        Cure::Drop => {
            hit.places.iter().for_each(|p| edits.drop(p));
            companions(server, edits);
        }
        Cure::Replace(word) => {
            let mut words = vec![(*word).to_owned()];
            // `fastapi dev` listens on 127.0.0.1 and `fastapi run` on 0.0.0.0: the address must not change.
            if server.kind == Kind::Fastapi && !server.has(Role::Host) {
                words.extend(["--host".to_owned(), "127.0.0.1".to_owned()]);
            }
            hit.places
                .iter()
                .for_each(|p| edits.become_words(p, words.clone()));
            server
                .with(Role::Reload)
                .for_each(|i| server.places(i).iter().for_each(|p| edits.drop(p)));
            companions(server, edits);
        }
        Cure::Add(word) => {
            let words = vec![hit.what.clone(), (*word).to_owned()];
            hit.places
                .iter()
                .for_each(|p| edits.become_words(p, words.clone()));
        }
        Cure::Tsx => {
            hit.places.iter().for_each(|p| edits.drop(p));
            companions(server, edits);
            // A script of that name would be the subcommand again.
            let script = server.items.iter().find(|i| i.positional);
            if let Some(script) = script.filter(|i| i.name == "watch") {
                let words = vec!["./watch".to_owned()];
                server
                    .places(script)
                    .iter()
                    .for_each(|p| edits.become_words(p, words.clone()));
            }
        }
        Cure::Nodemon => nodemon(server, edits),
    }
}

/// Options that only tune the reloader: without it they do nothing, and uvicorn warns about them.
fn companions(server: &Server, edits: &mut Edits) {
    for item in server.with(Role::Companion) {
        for place in server.places(item) {
            edits.drop(&place);
        }
    }
}

/// `nodemon server.js a` becomes `node server.js a`; `nodemon --exec "tsx" server.ts` becomes `tsx server.ts`.
fn nodemon(server: &Server, edits: &mut Edits) {
    let Some(inner) = &server.inner else { return };
    let Some(program) = inner.args.checked_sub(1) else {
        return;
    };
    let options: Vec<_> = server.items.iter().filter(|i| !i.positional).collect();
    let script = server.items.iter().find(|i| i.positional);
    let unknown = options.iter().any(|i| {
        i.role.is_none() && i.value.is_none() && i.name.starts_with("--") && !is_quiet(&i.name)
    });
    let exec = server.with(Role::Exec).last().and_then(|i| i.value.clone());
    let starts: Vec<String> = match (&exec, script) {
        _ if unknown => return,
        (Some(exec), _) => match crate::shell::commands(exec, 0) {
            Some(all) if all.len() == 1 => all.into_iter().flatten().map(|t| t.text).collect(),
            _ => return,
        },
        (None, Some(script))
            if [".js", ".mjs", ".cjs"]
                .iter()
                .any(|e| script.name.ends_with(e)) =>
        {
            vec!["node".to_owned()]
        }
        (None, _) => return,
    };
    // One that starts another one, also by way of `--exec env`, is nothing that a rule can write anew.
    let again = |word: &String| word.rsplit('/').next() == Some("nodemon");
    let positional = server.items.iter().filter(|i| i.positional);
    if starts.iter().chain(positional.map(|i| &i.name)).any(again) {
        return;
    }
    let from = match inner.last {
        Some((start, "npx" | "bunx" | "npm" | "pnpm" | "bun")) => start,
        _ => program,
    };
    edits.become_words(&inner.tokens[from].at, starts);
    inner.tokens[from..=program]
        .iter()
        .skip(1)
        .for_each(|t| edits.drop(&t.at));
    options
        .iter()
        .for_each(|i| server.places(i).iter().for_each(|p| edits.drop(p)));
}

/// nodemon's options that change nothing about what runs.
fn is_quiet(name: &str) -> bool {
    matches!(
        name,
        "--quiet" | "--verbose" | "--legacy-watch" | "--no-stdin" | "--no-colors" | "--spawn"
    )
}

/// gunicorn's `--reload` inside GUNICORN_CMD_ARGS, which no option of the command line takes back.
fn in_cmd_args(server: &Server) -> Option<DevFlag> {
    let rule = RULES.iter().find(|r| r.kind == Kind::Gunicorn)?;
    let (words, items, at) = server.cmd_args()?;
    items.iter().find(|i| i.role == Some(Role::Reload))?;
    let dev = |i: &&Item| matches!(i.role, Some(Role::Reload | Role::Companion));
    let gone: Vec<_> = items
        .iter()
        .filter(dev)
        .flat_map(|i| i.tokens.clone())
        .collect();
    let kept: Vec<_> = words
        .iter()
        .enumerate()
        .filter(|(i, _)| !gone.contains(i))
        .map(|(_, w)| w.clone())
        .collect();
    let name = "GUNICORN_CMD_ARGS".to_owned();
    let fix = if kept.is_empty() {
        Fix::Unset { name }
    } else {
        Fix::Set {
            name,
            value: shell_line(&kept),
        }
    };
    Some(DevFlag {
        rule: "gunicorn-reload-env",
        places: vec![at],
        what: "--reload in GUNICORN_CMD_ARGS".to_owned(),
        effect: rule.effect,
        weight: rule.weight,
        fix,
    })
}
