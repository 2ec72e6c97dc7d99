//! SF512 to SF515: what only an experiment shows (`--live`). Without one, these find nothing.

use crate::model::Hit;
use crate::scene::shown::Live;
use crate::scene::{Scene, Subject};
use crate::time::duration;

/// What the experiments showed of a program.
fn of<'a, T>(
    scene: &'a Scene,
    list: fn(&'a Live) -> &'a Vec<T>,
    is: impl Fn(&T) -> bool,
) -> Vec<&'a T> {
    let all = scene.live.iter().flat_map(list);
    all.filter(|one| is(one)).collect()
}

pub(crate) fn grows(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let grown = of(scene, |l| &l.growth, |g| g.who.is(subject));
    let hits = grown
        .into_iter()
        .map(|g| Hit::likely(g.what).said(g.words()));
    hits.collect()
}

pub(crate) fn shaken(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let tests = of(scene, |l| &l.tests, |t| t.who.is(subject) && t.restarted);
    let hits = tests.into_iter().map(|test| {
        Hit::proved("").said(format!(
            "pid {}, up {}, or a process below it ended when {} was made",
            test.pid,
            duration(test.up_before_s),
            test.file.display()
        ))
    });
    hits.collect()
}

pub(crate) fn signs_out(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let lost = of(
        scene,
        |l| &l.restarts,
        |r| r.who.is(subject) && r.token_is_valid == Some(false),
    );
    let hits = lost
        .into_iter()
        .map(|restart| Hit::proved("").said(restart.words()));
    hits.collect()
}

pub(crate) fn not_back(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let failed = of(
        scene,
        |l| &l.restarts,
        |r| r.who.is(subject) && r.failure.is_some(),
    );
    let hits = failed
        .into_iter()
        .map(|restart| Hit::proved("").said(restart.words()));
    hits.collect()
}
