//! A rotation that was cut short: a value that leaked must not stay in use.

use control::Progress;
use ledger::Entry;
use secrets::{How as Treatment, Old, Rotated};

use super::{UnderWay, Wanted, begin, carry_out};
use crate::commands::change::load;
use crate::keys::{ProgramKeys, of_model};
use crate::lines::Level;
use crate::model::{Active, Slot};
use crate::state::Shared;

/// A daemon has come: programs that still run with a value that was given up get their new one.
pub(crate) async fn resume(daemon: &Shared) {
    for (name, homes) in given_up(daemon) {
        let old: Vec<String> = homes.iter().map(|home| home.old_id.to_string()).collect();
        let text = format!(
            "{name} was given up as compromised, and programs still run with its key {}",
            old.join(", ")
        );
        daemon.log(Level::Error, &format!("{text}: the rotation goes on"));
        daemon.state.borrow_mut().rotating = Some(name.clone());
        let _mark = UnderWay(daemon.clone());
        let wanted = Wanted {
            name: &name,
            how: Treatment::Compromised,
            by: "the rotation that was cut short".to_owned(),
            progress: &Progress::none(),
        };
        let done = match begin(daemon, &wanted, Some(homes)) {
            Ok(begun) => carry_out(daemon, &wanted, begun).await,
            Err(done) => *done,
        };
        let (level, end) = if done.exit == 0 {
            let end = format!(
                "the rotation of {name}, which was cut short, has ended: nothing runs with the old key"
            );
            (Level::Info, end)
        } else {
            (Level::Error, format!("{text}: {}", done.error))
        };
        daemon.log(level, &end);
        daemon.note(&Entry::note(sys::clock::wall_ms(), "", &end));
        daemon.show(end);
    }
}

/// Keys of which definitions in force still have a compromised value, and where.
fn given_up(daemon: &Shared) -> Vec<(String, Vec<Rotated>)> {
    let before = daemon.state.borrow().active.clone();
    if before.slots.iter().all(|slot| slot.spec.key == 0) {
        return Vec::new();
    }
    let loaded = load(daemon, &before.base_env);
    let state_dir = before.settings.state_dir.as_ref();
    let mut all: Vec<(String, Vec<Rotated>)> = Vec::new();
    for program in of_model(&loaded.model, &before.base_env, state_dir) {
        for name in &program.names {
            let Some(home) = given_up_in(daemon, &program, name, &before) else {
                continue;
            };
            match all.iter_mut().find(|(known, _)| known == name) {
                Some((_, homes)) => homes.push(home),
                None => all.push((name.clone(), vec![home])),
            }
        }
    }
    all
}

/// Nothing runs: a value that was given up, and still stands in an env file because the power went before its successor
/// was written there, is handed out to nobody. Before any key is resolved: from then on it would count as somebody's wish.
pub(crate) fn finish(daemon: &Shared, model: &conf::Model, before: &Active) {
    let settings = crate::resolve::settings_of(model, &daemon.state_dir);
    for program in of_model(model, &before.base_env, settings.state_dir.as_ref()) {
        for name in &program.names {
            let request = program.request(sys::clock::wall_ms() / 1000, None);
            if secrets::ring(&request, name).is_ok_and(|ring| ring.iter().any(stands_given_up)) {
                finished(daemon, &request, name);
            }
        }
    }
}

fn stands_given_up(kept: &secrets::Kept) -> bool {
    kept.compromised && kept.signs
}

/// Says whether it was cut short, and has its end now.
fn finished(daemon: &Shared, request: &secrets::Request<'_>, name: &str) -> bool {
    match secrets::finish(request, name, &mut secrets::SystemRandom) {
        Ok(done) => done,
        Err(error) => {
            let text = format!("{name} was given up as compromised, and still signs: {error}");
            daemon.log(Level::Error, &text);
            false
        }
    }
}

fn given_up_in(
    daemon: &Shared,
    program: &ProgramKeys,
    name: &str,
    before: &Active,
) -> Option<Rotated> {
    let request = program.request(sys::clock::wall_ms() / 1000, None);
    let mut ring = secrets::ring(&request, name).ok()?;
    let theirs = |slot: &&Slot| slot.program == program.program && slot.signing == name;
    let run_with = |kept: &secrets::Kept| {
        let slots = before.slots.iter().filter(theirs);
        slots.into_iter().any(|slot| kept.id == slot.spec.key)
    };
    // It was given up, and the crash came before its successor stood in the env file.
    let stands = |kept: &secrets::Kept| stands_given_up(kept) && run_with(kept);
    if ring.iter().any(stands) && finished(daemon, &request, name) {
        ring = secrets::ring(&request, name).ok()?;
    }
    let old = ring
        .iter()
        .find(|kept| kept.compromised && !kept.signs && run_with(kept))?;
    let new = ring.iter().find(|kept| kept.signs)?;
    Some(Rotated {
        origin: secrets::find(&request, name).ok()??.origin,
        new_id: new.id,
        old_id: old.id,
        ended: Vec::new(),
        old: Old::Nothing,
        programs: vec![program.program.clone()],
    })
}
