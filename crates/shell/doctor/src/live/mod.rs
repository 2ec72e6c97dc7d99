//! `--live`: what only an experiment shows.
//!
//! ```text
//! plan, said ──> token, if restarts are allowed ──> a new file beside the code, for 4 s ──> restarts ──> token again
//!                                                    meanwhile: deaths, pings, growth, writers
//!                                                    (growth, pings and writers on, with --live=TIME)
//! ```
//! Everything is said before it is done. Only files of a new name are made, and they are taken away again, also if something fails.
//! Nothing is restarted without `--allow-restart`, and then only by the owner's own command, which is printed first.

mod growth;
mod pings;
mod restart;
mod shell;
mod token;
mod touch;
mod writes;

use std::time::Duration;

use crate::args::{Args, TOUCH};
use crate::io::Io;
use crate::scene::Scene;
use crate::scene::shown::Live;

/// Looks within that time: at deaths, growth and writes.
const LOOKS: u32 = 5;

/// Looks after it: enough that the least of each part of the time is known.
const MORE_LOOKS_MAX: u32 = 300;

/// Does the experiments that the arguments allow.
///
/// # Errors
/// Why they could not begin: nothing has been done then.
pub(crate) fn run(scene: &Scene, args: &Args, io: &mut Io<'_>) -> Result<Live, String> {
    let restarts = if args.allow_restart {
        restart::plan(scene)
    } else {
        Vec::new()
    };
    let asker = token::Asker::new(args, &io.env)?;
    let time = args.live.unwrap_or(TOUCH);
    let processes = touch::settled(scene);
    let files = touch::files(scene, &processes);
    announce(scene, &files, time, &restarts, asker.as_ref(), io);
    let token = match asker.filter(|_| args.allow_restart) {
        Some(asker) => Some(asker.ask(io)?),
        None => None,
    };
    let mut live = observe(scene, &processes, &files, time);
    for plan in restarts {
        let restart = restart::run(plan, token.as_ref(), args, io);
        say(io, &restart.words());
        live.restarts.push(restart);
    }
    for pings in &live.pings {
        say(
            io,
            &format!(
                "{}: pings of {}: {}",
                pings.who.name,
                pings.url,
                pings.words()
            ),
        );
    }
    Ok(live)
}

fn say(io: &mut Io<'_>, words: &str) {
    let _ = writeln!(io.err, "live: {}", finding::escape(words));
}

/// Says what is about to be done.
fn announce(
    scene: &Scene,
    files: &touch::Files,
    time: Duration,
    restarts: &[restart::Plan],
    asker: Option<&token::Asker>,
    io: &mut Io<'_>,
) {
    for (dir, name) in files {
        let path = dir.join(name).display().to_string();
        let seconds = TOUCH.as_secs();
        say(
            io,
            &format!("a new file {path} for {seconds} s, then it is taken away"),
        );
    }
    if time > TOUCH {
        let time = crate::time::duration(time.as_secs());
        say(
            io,
            &format!("memory and descriptors are watched for {time}"),
        );
    }
    for health in scene.subjects.iter().filter_map(|s| s.health.as_ref()) {
        if health.at.is_some() {
            let count = pings::count(time);
            say(io, &format!("{count} pings of {}", health.url));
        }
    }
    if let Some(asker) = asker.filter(|_| !restarts.is_empty()) {
        say(io, &asker.words());
    }
    for plan in restarts {
        say(
            io,
            &format!("{} is restarted by: {}", plan.who.name, plan.command),
        );
    }
}

/// The touch test, what is looked at meanwhile, and what is looked at on.
fn observe(
    scene: &Scene,
    processes: &touch::Processes,
    files: &touch::Files,
    time: Duration,
) -> Live {
    let mut live = Live::default();
    let writers = match writes::Listening::new(scene, files.keys()) {
        Ok(writers) => Some(writers),
        Err(why) => {
            live.unseen
                .push(format!("which process writes the watched files: {why}"));
            None
        }
    };
    let mut growth = growth::Looks::new(scene, processes);
    let (touched, unseen) = touch::make(files);
    live.unseen.extend(unseen);
    let mut watched = touch::watch(processes);
    watched.retain(|w| {
        let subject = scene.subjects.get(w.subject);
        subject.is_some_and(|s| touched.iter().any(|t| t.is_of(s)))
    });
    std::thread::scope(|scope| {
        let pings = pings::start(scope, scene, time);
        let mut dead = Vec::new();
        let mut look = |dead: &mut Vec<usize>, slice| {
            touch::wait(&watched, dead, slice);
            growth.look();
            if let Some(writers) = &writers {
                live.writes = writes::merge(std::mem::take(&mut live.writes), writers.take());
            }
            !dead.is_empty() && touch::all_known(&watched, dead)
        };
        // Once each touched program has ended, its test is over.
        let _ = (0..LOOKS).any(|_| look(&mut dead, TOUCH / LOOKS));
        let tests = touch::judge(scene, processes, &touched, &watched, &dead);
        drop(touched);
        let more = time.saturating_sub(TOUCH);
        let slice = (TOUCH / LOOKS).max(more / MORE_LOOKS_MAX);
        let looks = more.as_millis() / slice.as_millis();
        // A worker that ends now was not ended by the file. Growth and writers of all programs are looked at in any case.
        (0..looks).for_each(|_| {
            look(&mut dead, slice);
        });
        live.tests = tests;
        live.pings = pings.into_iter().filter_map(|p| p.join().ok()).collect();
    });
    live.growth = growth.grown(scene, time);
    live
}
