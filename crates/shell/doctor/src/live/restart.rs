//! `--allow-restart`: one restart by the owner's own command; does it come back, and does the token of before still count?

use std::time::{Duration, Instant};

use crate::args::Args;
use crate::disk::Disk;
use crate::io::Io;
use crate::live::shell;
use crate::live::token::Token;
use crate::look::look;
use crate::owner;
use crate::rules::Apply;
use crate::scene::shown::{Restart, Who};
use crate::scene::{Scene, Subject};

/// A restart: Supervisor waits 10 s (`stopwaitsecs`) for the old process and `startsecs` for the new one.
const RESTART_S_MAX: u64 = 60;

/// How often it is looked whether it is back.
const LOOK_MS: u64 = 200;

/// Programs that are restarted: each is away for a moment, one after the other.
const PROGRAMS_MAX: usize = 50;

/// A restart that will be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) who: Who,
    pub(crate) command: String,
    pid: i32,
    /// It answered its health check before.
    answered: bool,
}

/// What can be restarted: what runs, and whose owner has a command for it.
pub(crate) fn plan(scene: &Scene) -> Vec<Plan> {
    let plans = scene.subjects.iter().filter_map(|subject| {
        let process = subject.processes.first()?;
        Some(Plan {
            who: Who::of(subject),
            command: owner::command(scene, subject, Apply::Restart)?,
            pid: process.pid,
            answered: answers(subject),
        })
    });
    plans.take(PROGRAMS_MAX).collect()
}

fn answers(subject: &Subject) -> bool {
    let health = subject.health.as_ref();
    health.is_some_and(|h| h.answer.as_ref().is_ok_and(|a| a.status < 500))
}

/// Restarts, waits until it is back, and asks for the token.
pub(crate) fn run(plan: Plan, token: Option<&Token>, args: &Args, io: &Io<'_>) -> Restart {
    let start = Instant::now();
    let within = Duration::from_secs(RESTART_S_MAX);
    let done = shell::run(&plan.command, within);
    let back = match done {
        Ok(_) => back(&plan, start + within, args, io),
        Err(why) => Err(format!("its command failed: {why}")),
    };
    let took_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (token_is_valid, token_words) = match (&back, token) {
        (Ok(_), Some(token)) => match token.is_valid() {
            Ok(true) => (Some(true), Some("the token of before is valid".to_owned())),
            Ok(false) => (
                Some(false),
                Some("the token of before is not valid any more".to_owned()),
            ),
            Err(why) => (
                None,
                Some(format!("the token could not be verified: {why}")),
            ),
        },
        (Ok(_) | Err(_), _) => (None, None),
    };
    Restart {
        who: plan.who,
        command: plan.command,
        pid_before: plan.pid,
        pid_after: back.as_ref().ok().copied(),
        took_ms,
        failure: back.err(),
        token_is_valid,
        token_words,
    }
}

/// The pid of the new process, once there is one and it answers as the old one did.
fn back(plan: &Plan, deadline: Instant, args: &Args, io: &Io<'_>) -> Result<i32, String> {
    loop {
        let scene = look(args, io, &Disk::default())?;
        let now = scene.subjects.iter().find(|s| plan.who.is(s));
        let other = now.and_then(|subject| {
            let pid = subject.processes.first()?.pid;
            let is_back = pid != plan.pid && (answers(subject) || !plan.answered);
            is_back.then_some(pid)
        });
        if let Some(pid) = other {
            return Ok(pid);
        }
        if Instant::now() >= deadline {
            return Err(format!("it is not back after {RESTART_S_MAX} s"));
        }
        std::thread::park_timeout(Duration::from_millis(LOOK_MS));
    }
}
