//! Steps are carried out: those of one slot in their order, different slots beside each other.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use plan::{Key, Step};
use tokio::sync::watch;
use wire::{Cause, Command, Fact, Outcome, Phase, Replace};

use crate::lines::Level;
use crate::listeners::duplicate;
use crate::state::{Mood, Shared};
use crate::turns::{Turn, turns};
use crate::{keepers, listeners};

/// What could not be started for a reason outside of it (an occupied port, a dependency) is tried again this often.
pub(crate) const RETRY: Duration = Duration::from_secs(15);

/// What is said of such a thing.
pub(crate) fn again() -> String {
    format!("it is tried again every {} s", RETRY.as_secs())
}

/// Why something is done to a slot.
pub(crate) type CauseOf = Rc<dyn Fn(&Key) -> Cause>;

/// How steps are carried out.
#[derive(Clone)]
pub(crate) struct How {
    /// The cause that goes along.
    pub(crate) cause: CauseOf,
    /// Requests may wait after a stop until it is answered and `restart_window` is over.
    pub(crate) window: bool,
    /// Instead of the configured way.
    pub(crate) mode: Option<Replace>,
}

impl How {
    /// As configured, for this cause.
    pub(crate) fn as_configured(cause: CauseOf) -> How {
        How {
            cause,
            window: true,
            mode: None,
        }
    }
}

/// How it went for one slot: that of its last step, or of the first that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Slot.
    pub(crate) key: Key,
    /// The step.
    pub(crate) step: Step,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// Words.
    pub(crate) text: String,
}

impl Ended {
    /// It is as it should be.
    pub(crate) fn is_well(&self) -> bool {
        matches!(self.outcome, Outcome::Done | Outcome::AlreadySo)
    }
}

/// The ends of the slots of one plan: None while under way, then whether it went well.
type Ends = Rc<BTreeMap<Key, watch::Receiver<Option<bool>>>>;

/// Carries out all steps and returns how it went for each slot, in the order in which they began.
pub(crate) async fn execute(daemon: &Shared, steps: Vec<Step>, how: &How) -> Vec<Ended> {
    let mut order: Vec<Key> = Vec::new();
    let mut by_slot: BTreeMap<Key, Vec<Step>> = BTreeMap::new();
    let mut drops = Vec::new();
    for step in steps {
        match step {
            Step::Bind { listener } => bind(daemon, &listener),
            Step::Drop { listener } => drops.push(listener),
            step => {
                let Some(key) = step.slot().cloned() else {
                    continue;
                };
                if !by_slot.contains_key(&key) {
                    order.push(key.clone());
                }
                by_slot.entry(key).or_default().push(step);
            }
        }
    }
    let mut senders = BTreeMap::new();
    let mut ends = BTreeMap::new();
    for key in &order {
        let (send, receive) = watch::channel(None);
        senders.insert(key.clone(), send);
        ends.insert(key.clone(), receive);
    }
    let ends: Ends = Rc::new(ends);
    let mut turns = turns(&levels(daemon, &order));
    let mut tasks = Vec::new();
    for key in order {
        let (Some(steps), Some(end), Some(turn)) = (
            by_slot.remove(&key),
            senders.remove(&key),
            turns.remove(&key),
        ) else {
            continue;
        };
        let (daemon, how, ends) = (daemon.clone(), how.clone(), ends.clone());
        tasks.push(tokio::task::spawn_local(async move {
            let result = slot(&daemon, key, steps, Course { how, ends, turn }).await;
            end.send_replace(Some(result.is_well()));
            result
        }));
    }
    let mut results = Vec::new();
    for task in tasks {
        if let Ok(result) = task.await {
            results.push(result);
        }
    }
    for listener in drops {
        drop_listener(daemon, &listener);
    }
    results
}

/// Gateways or not, priority of the group, priority.
type Rank = Option<(bool, i64, i64)>;

/// Slots with their levels of priority.
fn levels(daemon: &Shared, order: &[Key]) -> Vec<(Key, Rank)> {
    let state = daemon.state.borrow();
    let level = |key: &Key| {
        state
            .active
            .slot(key)
            .map(|slot| (slot.first, slot.group_priority, slot.priority))
    };
    order.iter().map(|key| (key.clone(), level(key))).collect()
}

/// What the steps of one slot run under.
struct Course {
    how: How,
    ends: Ends,
    turn: Turn,
}

async fn slot(daemon: &Shared, key: Key, steps: Vec<Step>, mut course: Course) -> Ended {
    let mut last = Ended {
        step: Step::Install { slot: key.clone() },
        key,
        outcome: Outcome::Done,
        text: String::new(),
    };
    for step in steps {
        let (outcome, text) = one(daemon, &last.key, &step, &mut course).await;
        last = Ended {
            step,
            outcome,
            text,
            ..last
        };
        if !last.is_well() {
            break;
        }
    }
    last
}

async fn one(daemon: &Shared, key: &Key, step: &Step, course: &mut Course) -> (Outcome, String) {
    let failed = |text: String| {
        daemon.log(Level::Warn, &format!("{key}: {text}"));
        daemon
            .state
            .borrow_mut()
            .trouble
            .insert(key.clone(), text.clone());
        (Outcome::Failed, text)
    };
    let plain = |result: Result<(), String>| match result {
        Ok(()) => (Outcome::Done, String::new()),
        Err(text) => failed(text),
    };
    let ending = daemon.state.borrow().mood == Mood::Shutdown;
    match step {
        Step::Spawn { .. } | Step::Install { .. } | Step::Start { .. } | Step::Restart { .. }
            if ending =>
        {
            (
                Outcome::Superseded,
                "everything is being shut down".to_owned(),
            )
        }
        Step::Spawn { .. } => plain(keepers::spawn(daemon, key).await),
        Step::Install { .. } => plain(keepers::install(daemon, key).await),
        Step::Start { after, .. } | Step::Restart { after, .. } => {
            if !after.is_empty() {
                course.turn.there();
            }
            if let Err(text) = ready(daemon, after, &course.ends).await {
                return failed(text);
            }
            start(daemon, key, matches!(step, Step::Restart { .. }), course).await
        }
        Step::Stop { after, .. } => {
            down(after, &course.ends).await;
            let (cause, window) = ((course.how.cause)(key), course.how.window);
            let command = move |op| Command::Stop { op, cause, window };
            daemon
                .ask(key, command, Vec::new())
                .await
                .unwrap_or_else(|text| (Outcome::Failed, text))
        }
        Step::Remove { .. } => match keepers::remove(daemon, key).await {
            Ok(()) => (Outcome::Done, String::new()),
            Err(text) => (Outcome::Failed, text),
        },
        Step::Bind { .. } | Step::Drop { .. } => (Outcome::Done, String::new()),
    }
}

async fn start(
    daemon: &Shared,
    key: &Key,
    restart: bool,
    course: &mut Course,
) -> (Outcome, String) {
    course.turn.wait().await;
    // A stop or a shutdown that came meanwhile counts.
    let wanted = {
        let state = daemon.state.borrow();
        state.mood != Mood::Shutdown && state.active.slot(key).is_some_and(|slot| slot.up)
    };
    if !wanted {
        return (Outcome::Superseded, "stopped meanwhile".to_owned());
    }
    daemon.state.borrow_mut().trouble.remove(key);
    let (cause, mode) = ((course.how.cause)(key), course.how.mode);
    let command = move |op| {
        if restart {
            Command::Restart { op, cause, mode }
        } else {
            Command::Start { op, cause }
        }
    };
    let facts = daemon.follow(key);
    let mut answer = match daemon.request(key, command, Vec::new()) {
        Ok(answer) => answer,
        Err(text) => return (Outcome::Failed, text),
    };
    course.turn.sent();
    let there = async {
        if let Some(mut facts) = facts {
            let _ = facts
                .wait_for(|fact| fact.wanted && (fact.pid > 0 || fact.backoff > 0))
                .await;
        }
    };
    let early = tokio::select! {
        biased;
        answer = &mut answer => Some(answer),
        () = there => None,
    };
    course.turn.there();
    let answer = match early {
        Some(answer) => answer,
        None => answer.await,
    };
    match answer {
        Ok((Outcome::AlreadySo, text)) if restart => under_way(daemon, key, text).await,
        Ok(answer) => answer,
        Err(_) => (Outcome::Failed, format!("the keeper of {key} ended")),
    }
}

/// The same replacement was under way already: its end is the answer.
async fn under_way(daemon: &Shared, key: &Key, text: String) -> (Outcome, String) {
    let Some(mut facts) = daemon.follow(key) else {
        return (Outcome::Failed, text);
    };
    let hash = daemon
        .state
        .borrow()
        .active
        .slot(key)
        .map(|slot| slot.spec.hash.clone())
        .unwrap_or_default();
    match facts.wait_for(|fact| fact.next_pid == 0).await {
        Ok(fact) if fact.refused_hash == hash && fact.spec_hash != hash => (
            Outcome::Abnormal,
            format!("{text}; it failed, and the old process goes on"),
        ),
        Ok(_) => (Outcome::Done, String::new()),
        Err(_) => (Outcome::Failed, format!("the keeper of {key} ended")),
    }
}

/// Waits until everything in `after` has done its steps and is ready; the error names what is not.
async fn ready(daemon: &Shared, after: &[Key], ends: &Ends) -> Result<(), String> {
    for key in after {
        if let Some(mut end) = ends.get(key).cloned() {
            let well = end
                .wait_for(Option::is_some)
                .await
                .is_ok_and(|end| *end == Some(true));
            // A start that failed once may succeed at the next try of its keeper; only what will not is final.
            if !well && daemon.fact(key).is_none_or(|fact| is_over(&fact)) {
                return Err(format!("{key} is not ready: it could not be started"));
            }
        }
        let (up, limit_ms, codes) = {
            let state = daemon.state.borrow();
            state.active.slot(key).map_or((false, 0, vec![0]), |slot| {
                let spec = &slot.spec;
                (slot.up, ready_within_ms(spec), spec.exit_codes.clone())
            })
        };
        let is_ready = |fact: &Fact| is_ready(fact, &codes);
        let Some(mut facts) = daemon.follow(key) else {
            return Err(format!("{key} is not ready: it has no keeper"));
        };
        if !up && !is_ready(&facts.borrow()) {
            return Err(format!("{key} is not ready: it is stopped; start it first"));
        }
        let wait = facts.wait_for(|fact| is_ready(fact) || is_over(fact));
        match tokio::time::timeout(Duration::from_millis(limit_ms), wait).await {
            Ok(Ok(fact)) if is_ready(&fact) => {}
            Ok(Ok(fact)) => return Err(format!("{key} is not ready: it is {}", fact.state)),
            Ok(Err(_)) => return Err(format!("{key} is not ready: its keeper ended")),
            Err(_) => return Err(format!("{key} is not ready after {} s", limit_ms / 1000)),
        }
    }
    Ok(())
}

/// How long a process may take to be ready: one that only has to live takes `startsecs`, and a moment to be told.
fn ready_within_ms(spec: &wire::Spec) -> u64 {
    let lived_ms = u64::from(spec.start_secs) * 1000 + 1000;
    spec.ready_timeout_ms.max(lived_ms)
}

/// Ready to be depended on: serving, or (a migration) ended as it should.
fn is_ready(fact: &Fact, exit_codes: &[i32]) -> bool {
    match fact.phase {
        Phase::Ready => true,
        Phase::Exited => exit_codes.contains(&fact.exit_status),
        Phase::Starting
        | Phase::Draining
        | Phase::Restarting
        | Phase::Stopped
        | Phase::Fatal
        | Phase::Removed
        | Phase::DrainingToStop => false,
    }
}

/// Will not get ready by itself.
fn is_over(fact: &Fact) -> bool {
    matches!(fact.phase, Phase::Fatal | Phase::Exited)
}

async fn down(after: &[Key], ends: &Ends) {
    for key in after {
        if let Some(mut end) = ends.get(key).cloned() {
            let _ = end.wait_for(Option::is_some).await;
        }
    }
}

/// Binds an address unless it is bound; root gets a duplicate. Failure is remembered with its reason.
pub(crate) fn bind(daemon: &Shared, address: &str) {
    if daemon.state.borrow().listeners.contains_key(address) {
        return;
    }
    let opened = match changed(daemon, address) {
        Some(changed) => changed,
        None => {
            let opened = listeners::open(address);
            if let (Ok(_), Some(path)) = (&opened, listeners::path_of(address)) {
                daemon.know_socket(&path);
            }
            opened
        }
    };
    let (mut complaint, mut freed) = (None, false);
    {
        let mut state = daemon.state.borrow_mut();
        match opened {
            Ok(listener) => {
                if let Ok(copy) = duplicate(&listener) {
                    daemon.root.order(
                        &wire::Order::KeepListener {
                            key: address.to_owned(),
                        },
                        vec![copy],
                    );
                }
                freed = state.failed_listeners.remove(address).is_some();
                state.listeners.insert(address.to_owned(), listener);
            }
            Err(why) => {
                let before = state
                    .failed_listeners
                    .insert(address.to_owned(), why.clone());
                complaint = (before.as_ref() != Some(&why)).then_some(why);
            }
        }
    }
    if let Some(why) = complaint {
        daemon.log(Level::Error, &why);
        let (who, follows) = kept_from(daemon, address);
        daemon.show(format!("{who}  {follows}: {why}; {}", again()));
    } else if freed {
        let (who, _) = kept_from(daemon, address);
        daemon.log(Level::Info, &format!("{address} became free"));
        daemon.show(format!("{who}  listening on {address}, which became free"));
    }
}

/// Whom an address that is taken keeps from what.
fn kept_from(daemon: &Shared, address: &str) -> (String, &'static str) {
    let state = daemon.state.borrow();
    let mut slots = state.active.programs();
    let found = slots.find_map(|slot| {
        if slot.listeners.iter().any(|own| own == address) {
            return Some((slot.key().to_string(), "not started"));
        }
        let derived = slot.derived.iter().any(|one| one.address == address);
        derived.then(|| (slot.key().to_string(), "nobody can reach it"))
    });
    found.unwrap_or_else(|| ("gateway".to_owned(), "nobody can reach it"))
}

/// The socket of a FastCGI program that is open under other options: the same one, with the new ones.
fn changed(daemon: &Shared, address: &str) -> Option<Result<OwnedFd, String>> {
    let wanted = listeners::FastCgiKey::parse(address)?;
    let state = daemon.state.borrow();
    let (_, open) = same_socket(&state.listeners, &wanted)?;
    Some(duplicate(open).and_then(|copy| wanted.apply(&copy).map(|()| copy)))
}

fn same_socket<'a>(
    open: &'a std::collections::BTreeMap<String, OwnedFd>,
    wanted: &listeners::FastCgiKey,
) -> Option<(&'a String, &'a OwnedFd)> {
    open.iter().find(|(key, _)| {
        listeners::FastCgiKey::parse(key).is_some_and(|other| other.address == wanted.address)
    })
}

/// Closes an address, here, at root and in every keeper that still has a duplicate of an older definition: `shutdown`
/// ends the listening of all duplicates, so that clients are refused instead of waiting in a queue that nobody serves.
fn drop_listener(daemon: &Shared, address: &str) {
    let removed = daemon.state.borrow_mut().listeners.remove(address);
    // Only its options changed: the socket listens on under another key.
    let stays = listeners::FastCgiKey::parse(address)
        .is_some_and(|key| same_socket(&daemon.state.borrow().listeners, &key).is_some());
    if let Some(listener) = removed.filter(|_| !stays) {
        let _ = rustix::net::shutdown(&listener, rustix::net::Shutdown::Both);
    }
    daemon.root.order(
        &wire::Order::DropListener {
            key: address.to_owned(),
        },
        Vec::new(),
    );
    if let Some(path) = listeners::path_of(address).filter(|_| !stays) {
        daemon.remove_socket(&path);
    }
}

#[cfg(test)]
mod tests {
    use super::ready_within_ms;
    use wire::Spec;

    #[test]
    fn what_is_depended_on_may_live_for_all_of_startsecs_first() {
        let within = |start_secs, ready_timeout_ms| {
            ready_within_ms(&Spec {
                start_secs,
                ready_timeout_ms,
                ..Spec::default()
            })
        };
        assert_eq!(within(1, 60_000), 60_000);
        assert_eq!(within(90, 60_000), 91_000);
        assert_eq!(within(0, u64::MAX), u64::MAX);
    }
}
