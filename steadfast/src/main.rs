//! `steadfast`: arguments, one printer, exit codes. Also answers to the names supervisord and supervisorctl.
//!
//! Hidden roles come first, before any parsing: `__daemon`, `__gateway`, `__demo-app` are this binary exec'd by
//! root and by keepers.
#![allow(clippy::exit)] // exit codes are this file's business

mod accounts_command;
mod args;
mod check;
mod client;
mod commands;
mod compat;
mod follow;
mod install;
mod printer;
mod roles;
mod run;
mod secrets_command;
mod views;

use args::{Cli, Command};
use clap::{CommandFactory, Parser};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    if let Some(code) = roles::hidden(&words) {
        return code;
    }
    let name = words.first().map(|word| {
        Path::new(word)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    });
    match name.as_deref() {
        Some("supervisord") => return code(compat::supervisord(&words[1..])),
        Some("supervisorctl") => return code(compat::supervisorctl(&words[1..])),
        _ => {}
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let status = if error.use_stderr() { 2 } else { 0 };
            let for_machine = status != 0 && words.iter().any(|word| word == "--json");
            if for_machine {
                printer::for_machine();
                let text = error.to_string();
                let text = text.lines().find(|line| !line.trim().is_empty());
                let text = text.unwrap_or("no command was given; see: steadfast --help");
                let text = text.trim_start_matches("error: ");
                printer::json(
                    "error",
                    serde_json::json!({ "exit": status, "error": text }),
                );
            } else {
                let _ = error.print();
            }
            return ExitCode::from(status);
        }
    };
    // What runs for days has no end to tell, and Supervisor's command line has its own texts.
    if cli.json && !matches!(cli.command, Command::Run(_) | Command::Ctl { .. }) {
        printer::for_machine();
    }
    let status = i32::from(dispatch(cli));
    printer::finish(status);
    code(status)
}

/// Whether the command line ends in `--`, which asks for a command.
fn ends_in_dashes() -> bool {
    std::env::args_os()
        .next_back()
        .is_some_and(|word| word == "--")
}

fn code(status: i32) -> ExitCode {
    ExitCode::from(u8::try_from(status.clamp(0, 255)).unwrap_or(2))
}

fn dispatch(cli: Cli) -> u8 {
    let config = cli.config.as_deref();
    match cli.command {
        Command::Run(run) if run.command.is_empty() && ends_in_dashes() => {
            printer::error(
                "no command stands behind `--`\n  \
                 write it there:        steadfast run -- uvicorn server:app --port 8001\n  \
                 or run a file:         steadfast run -c supervisord.conf",
            );
            2
        }
        Command::Run(run) => {
            let plan = run::Plan {
                config: cli.config.clone(),
                command: run.command,
                detach: run.daemon,
                dev: run.dev,
                as_supervisord: false,
                settings: Vec::new(),
                kept: None,
            };
            u8::try_from(run::run(plan)).unwrap_or(2)
        }
        Command::Check(check) => {
            check::check(check.file.as_deref().or(config), check.dev, cli.json)
        }
        Command::Secrets { action } => secrets_command::run(action, config, cli.json),
        Command::Users { action } => accounts_command::users(action, config, cli.json),
        Command::Sessions { action } => accounts_command::sessions(action, config, cli.json),
        Command::Demo(demo) => roles::demo(&demo, cli.json),
        Command::Ctl { args } => {
            let mut words: Vec<String> = Vec::new();
            if let Some(config) = config {
                words.extend(["-c".to_owned(), config.to_string_lossy().into_owned()]);
            }
            words.extend(args);
            u8::try_from(compat::supervisorctl(&words)).unwrap_or(2)
        }
        Command::Doctor { args } => {
            let mut words: Vec<String> = Vec::new();
            if let Some(config) = config {
                words.extend(["-c".to_owned(), config.to_string_lossy().into_owned()]);
            }
            words.extend(cli.json.then(|| "--json".to_owned()));
            words.extend(args);
            roles::with_doctor(|io| doctor::main(&words, io))
        }
        Command::Adopt { args } => {
            let mut words: Vec<String> = Vec::new();
            if let Some(config) = config {
                words.extend(["-c".to_owned(), config.to_string_lossy().into_owned()]);
            }
            words.extend(args);
            roles::with_doctor(|io| doctor::adopt(&words, io))
        }
        Command::Explain { name } if roles::is_finding(&name) => {
            roles::with_doctor(|io| doctor::explain(&name, io))
        }
        Command::Man { dir } => install::man(dir.as_deref(), cli.json),
        Command::Links { place, dir, remove } => {
            install::links(place.or(dir).as_deref(), remove, cli.json)
        }
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "steadfast", &mut text);
            if cli.json {
                let text = String::from_utf8_lossy(&text).into_owned();
                printer::json(
                    "completions",
                    serde_json::json!({ "text": text, "exit": 0 }),
                );
            } else {
                printer::raw(&text);
            }
            0
        }
        command => commands::run(command, config, cli.json),
    }
}
