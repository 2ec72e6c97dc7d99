//! Faults, and one strike of each: what is done, and how it is known to be over.

use crate::installation::Installation;
use crate::load::Running;
use crate::procfs;
use crate::wait;
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// A strike that is not over after this has broken the promise.
const OVER_S_MAX: u64 = 30;
/// Name of the program in the demo's configuration.
pub const PROGRAM: &str = "backend";

/// What can be done to the installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// `steadfast restart`, the old process ends before the new one starts.
    RestartHold,
    /// `steadfast restart`, the new process is ready before the old one ends.
    RestartOverlap,
    /// SIGKILL for the program.
    KillProgram,
    /// SIGSTOP for the program: it lives and does not answer.
    Hang,
    /// An update to a program that does not start.
    BrokenDeploy,
    /// SIGKILL for our own daemon.
    KillDaemon,
}

/// In the order of the table.
pub const FAULTS: [Fault; 6] = [
    Fault::RestartHold,
    Fault::RestartOverlap,
    Fault::KillProgram,
    Fault::Hang,
    Fault::BrokenDeploy,
    Fault::KillDaemon,
];

impl Fault {
    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Fault::RestartHold => "restart (hold)",
            Fault::RestartOverlap => "restart (overlap)",
            Fault::KillProgram => "kill -9 the program",
            Fault::Hang => "hang",
            Fault::BrokenDeploy => "broken deploy",
            Fault::KillDaemon => "kill -9 the daemon",
        }
    }
    /// Its name in JSON.
    pub fn key(self) -> &'static str {
        match self {
            Fault::RestartHold => "restart-hold",
            Fault::RestartOverlap => "restart-overlap",
            Fault::KillProgram => "kill-program",
            Fault::Hang => "hang",
            Fault::BrokenDeploy => "broken-deploy",
            Fault::KillDaemon => "kill-daemon",
        }
    }
    /// May a POST that the program had read fail by it? Nothing can bring such a request back without the risk of
    /// running it twice.
    pub fn may_lose_posts(self) -> bool {
        match self {
            Fault::KillProgram | Fault::Hang => true,
            Fault::RestartHold
            | Fault::RestartOverlap
            | Fault::BrokenDeploy
            | Fault::KillDaemon => false,
        }
    }
}

/// The `number`th fault of a storm: first each once, the slow ones in the middle; then the quick ones in turn.
pub fn in_turn(number: usize) -> Fault {
    const FIRST: [Fault; 6] = [
        Fault::RestartHold,
        Fault::KillProgram,
        Fault::RestartOverlap,
        Fault::BrokenDeploy,
        Fault::Hang,
        Fault::KillDaemon,
    ];
    const THEN: [Fault; 4] = [
        Fault::KillProgram,
        Fault::RestartHold,
        Fault::RestartOverlap,
        Fault::KillDaemon,
    ];
    match FIRST.get(number) {
        Some(fault) => *fault,
        None => THEN[(number - FIRST.len()) % THEN.len()],
    }
}

/// One strike.
#[derive(Debug, Clone)]
pub struct Strike {
    /// Which.
    pub fault: Fault,
    /// When it began.
    pub begun: Instant,
    /// How long until what was struck was back, where that is not seen in the requests.
    pub back: Option<Duration>,
    /// What did not go as it should, in words.
    pub wrong: Option<String>,
}

/// What a strike is made on.
pub struct Ground<'a> {
    /// The installation.
    pub installation: &'a Installation,
    /// The users.
    pub load: &'a Running,
    /// The sound configuration.
    pub sound: &'a str,
    /// The configuration of the broken deploy.
    pub broken: &'a str,
}

/// Strikes once and waits until it is over.
pub fn strike(fault: Fault, ground: &Ground<'_>) -> Strike {
    let begun = Instant::now();
    let mut back = None;
    let ended = match fault {
        Fault::RestartHold => restart(ground, "hold"),
        Fault::RestartOverlap => restart(ground, "overlap"),
        Fault::KillProgram => end_program(ground, Signal::KILL),
        Fault::Hang => end_program(ground, Signal::STOP),
        Fault::BrokenDeploy => broken_deploy(ground),
        Fault::KillDaemon => kill_daemon(ground).map(|time| back = Some(time)),
    };
    let ended = ended.and_then(|()| {
        let now = Instant::now();
        let good = wait::until(over(), || ground.load.good_since(now).then_some(()));
        good.ok_or_else(|| format!("no request succeeded within {OVER_S_MAX} s after it"))
    });
    Strike {
        fault,
        begun,
        back,
        wrong: ended.err(),
    }
}

fn over() -> Duration {
    Duration::from_secs(OVER_S_MAX)
}

fn say(ground: &Ground<'_>, args: &[&str], expected: i32) -> Result<String, String> {
    let said = ground
        .installation
        .say(args)
        .map_err(|error| format!("steadfast {}: {error}", args.join(" ")))?;
    if said.exit == expected {
        return Ok(said.text());
    }
    Err(format!(
        "steadfast {}: {expected} was expected, but {}",
        args.join(" "),
        said.text().trim_end()
    ))
}

fn restart(ground: &Ground<'_>, mode: &str) -> Result<(), String> {
    let before = pid(ground)?;
    say(ground, &["restart", PROGRAM, "--mode", mode], 0)?;
    match pid(ground)? {
        after if after != before => Ok(()),
        same => Err(format!("after the restart it is still pid {same}")),
    }
}

fn pid(ground: &Ground<'_>) -> Result<i32, String> {
    let pid = wait::until(over(), || ground.installation.pid(PROGRAM));
    pid.ok_or_else(|| format!("{PROGRAM} has no process"))
}

fn end_program(ground: &Ground<'_>, signal: Signal) -> Result<(), String> {
    let before = pid(ground)?;
    if !procfs::signal(before, signal) {
        return Err(format!("pid {before} of the status does not exist"));
    }
    let after = wait::until(over(), || {
        let now = ground.installation.wait_ready(PROGRAM, Duration::ZERO)?;
        (now != before).then_some(())
    });
    after.ok_or_else(|| format!("not ready again within {OVER_S_MAX} s"))
}

fn broken_deploy(ground: &Ground<'_>) -> Result<(), String> {
    let before = pid(ground)?;
    let write = |text: &str| {
        ground
            .installation
            .configure(text)
            .map_err(|error| format!("configuration: {error}"))
    };
    write(ground.broken)?;
    let failed = say(ground, &["update"], 1);
    let kept = pid(ground);
    write(ground.sound)?;
    let mended = say(ground, &["update"], 0);
    failed?;
    mended?;
    match kept? {
        after if after == before => Ok(()),
        after => Err(format!(
            "pid {before} became {after} although the new program does not start"
        )),
    }
}

fn kill_daemon(ground: &Ground<'_>) -> Result<Duration, String> {
    let program = pid(ground)?;
    let before = ground
        .installation
        .daemon_pid()
        .ok_or("no daemon was found")?;
    let begun = Instant::now();
    if !procfs::signal(before, Signal::KILL) {
        return Err(format!("daemon {before} does not exist"));
    }
    let back = wait::until(over(), || {
        ground.installation.pid(PROGRAM)?;
        Some(begun.elapsed())
    });
    let back = back.ok_or_else(|| format!("the daemon did not answer within {OVER_S_MAX} s"))?;
    match pid(ground)? {
        after if after == program => Ok(back),
        after => Err(format!("pid {program} of the program became {after}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_strikes_with_every_fault_before_it_repeats_one() {
        let first: std::collections::HashSet<Fault> = (0..FAULTS.len()).map(in_turn).collect();
        assert_eq!(first.len(), FAULTS.len());
        assert!(
            (FAULTS.len()..100)
                .map(in_turn)
                .all(|fault| !matches!(fault, Fault::Hang | Fault::BrokenDeploy))
        );
    }
}
