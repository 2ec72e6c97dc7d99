//! The doctor: looks at what runs here as it is, under whatever supervisor, and says what is wrong, how that is known and
//! what mends it.
//!
//! ```text
//! arguments ─> scene (looked at once, everything bounded) ─> rules: data + a small probe each ─> diagnoses ─┬─ text, JSON, SARIF
//!              configurations, command lines, code, keys,     (pure: a scene in, hits out)                  ├─ checklist
//!              processes, logs                                                                             └─ fix, live
//! ```
//! Looking and judging are apart: [`scene`] opens files, `/proc` and sockets, and never judges; a probe in [`probe`] sees only
//! the scene, so that each rule can be tested on a directory of files that must and must not fire.
//!
//! A false alarm is worse than a miss, because it teaches people to look away. So options are read by each server's own grammar
//! (crate `servers`), code is looked at without its comments and strings ([`code`]), and what cannot be seen is said as *not seen*
//! and is never guessed.
//!
//! *Invariant*: without `--fix` or `--live` nothing is written, signalled or restarted. *Invariant*: no value of a key reaches a
//! report. *Invariant*: every file, directory, socket and process is read up to a bound.

mod adopt;
mod args;
mod before;
mod change;
mod checklist;
mod code;
mod disk;
mod fix;
mod io;
mod judge;
mod live;
mod look;
mod model;
mod owner;
mod probe;
mod report;
mod rules;
mod run;
mod scene;
mod time;
mod tools;

pub use io::Io;
pub use rules::markdown as rules_markdown;

/// `steadfast doctor …`: exit status 0 healthy or notes only, 1 a finding of warning or above, 2 could not look.
/// `args` are the words behind `doctor`.
pub fn main(args: &[String], io: &mut Io<'_>) -> u8 {
    run::doctor(args, io)
}

/// `steadfast adopt FILE [--nginx FILE] [--write]`: what makes Steadfast run a configuration of Supervisor's, as a difference.
/// Exit status 0, 1 if a program could not be adopted, 2 if the file cannot be read or written.
pub fn adopt(args: &[String], io: &mut Io<'_>) -> u8 {
    adopt::run(args, io)
}

/// `steadfast explain SF101`: what, why, how it was found, how to fix it, when to ignore it. Exit status 0, or 2 if there is no
/// such rule.
pub fn explain(code: &str, io: &mut Io<'_>) -> u8 {
    match rules::find(code) {
        Some(rule) => {
            let _ = io.out.write_all(rules::explain(rule).as_bytes());
            0
        }
        None => {
            let _ = writeln!(
                io.err,
                "error: there is no rule {}; `steadfast doctor --rules` lists them",
                finding::escape(code)
            );
            2
        }
    }
}

/// Whether a word is the code of a rule: what `steadfast explain` takes for one.
pub fn is_code(word: &str) -> bool {
    rules::find(word).is_some()
}
