//! Look, judge, report: one run of the doctor.

use clap::Parser;
use finding::Severity;

use crate::args::Args;
use crate::disk::Disk;
use crate::io::Io;
use crate::judge::{Diagnosis, judge};
use crate::look::look;
use crate::scene::Scene;
use crate::scene::shown::Live;
use crate::{checklist, fix, live, report, rules};

/// Exit statuses.
const HEALTHY: u8 = 0;

const FOUND: u8 = 1;

const COULD_NOT_LOOK: u8 = 2;

/// `steadfast doctor`.
pub(crate) fn doctor(words: &[String], io: &mut Io<'_>) -> u8 {
    let with_name = std::iter::once("steadfast doctor".to_owned()).chain(words.iter().cloned());
    let args = match Args::try_parse_from(with_name) {
        Ok(args) => args,
        Err(error) => {
            let (door, status): (&mut dyn std::io::Write, u8) = if error.use_stderr() {
                (io.err, COULD_NOT_LOOK)
            } else {
                (io.out, HEALTHY)
            };
            let _ = door.write_all(error.render().to_string().as_bytes());
            return status;
        }
    };
    if args.rules {
        for rule in rules::all() {
            let _ = writeln!(
                io.out,
                "{}  {:7}  {}",
                rule.code,
                rule.severity.word(),
                rule.title
            );
        }
        return HEALTHY;
    }
    for code in args
        .fix
        .iter()
        .flatten()
        .chain(&args.select)
        .chain(&args.ignore)
    {
        if !rules::all().any(|r| r.code.starts_with(&code.to_ascii_uppercase())) {
            let _ = writeln!(
                io.err,
                "error: there is no rule {}; `steadfast doctor --rules` lists them",
                finding::escape(code)
            );
            return COULD_NOT_LOOK;
        }
    }
    let disk = Disk::default();
    let mut scene = match look(&args, io, &disk) {
        Ok(scene) => scene,
        Err(why) => {
            let _ = writeln!(io.err, "error: {}", finding::escape(&why));
            return COULD_NOT_LOOK;
        }
    };
    if let Some(codes) = &args.fix {
        let judged = judge(&scene, &args);
        return fix::run(&scene, &judged, codes, &args, io);
    }
    if args.live.is_some() {
        match experiment(scene, &args, io, &disk) {
            Ok(after) => scene = after,
            Err(why) => {
                let _ = writeln!(io.err, "error: {}", finding::escape(&why));
                return COULD_NOT_LOOK;
            }
        }
    }
    report(&scene, &args, io)
}

/// `--live`: the scene with what the experiments showed. Where they restarted something, everything is looked at again.
fn experiment(scene: Scene, args: &Args, io: &mut Io<'_>, disk: &Disk) -> Result<Scene, String> {
    let live = live::run(&scene, args, io)?;
    let mut after = match live.any_restarted() || !live.restarts.is_empty() {
        true => look(args, io, disk)?,
        false => scene,
    };
    for words in &live.unseen {
        after.not_seen(words.as_str());
    }
    after.live = Some(live);
    Ok(after)
}

/// Judges and reports.
fn report(scene: &Scene, args: &Args, io: &mut Io<'_>) -> u8 {
    let judged = judge(scene, args);
    let list = checklist::list(scene, &judged);
    let text = if args.json {
        report::json(scene, &judged, &list)
    } else if args.sarif {
        report::sarif(&judged)
    } else {
        report::text(scene, &judged, &list)
    };
    let _ = io.out.write_all(text.as_bytes());
    let bad = |d: &Diagnosis| d.severity() <= Severity::Warning;
    let shaken = scene.live.as_ref().is_some_and(Live::any_restarted);
    if judged.diagnoses.iter().any(bad) || shaken {
        FOUND
    } else {
        HEALTHY
    }
}
