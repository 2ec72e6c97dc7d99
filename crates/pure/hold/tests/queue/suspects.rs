//! Suspects: requests that were being served when the program died, twice.

use super::{Scene, get, post, program};
use hold::{Proof, Why};
use wire::Phase;

/// One of the two was being served in each of two crashes; one goes, the other waits for it.
fn two_suspects() -> Scene {
    let mut scene = program(Phase::Ready);
    scene.comes(1, get());
    scene.comes(2, get());
    for _ in 0..2 {
        scene.says(Phase::Restarting);
        scene.crashes(Proof::Read);
        scene.says(Phase::Ready);
        scene.goes();
    }
    scene
}

#[test]
fn after_a_crash_during_a_repeat_the_suspects_go_one_at_a_time() {
    let mut scene = program(Phase::Ready);
    for number in 1..4 {
        scene.comes(number, get());
    }
    scene.says(Phase::Restarting);
    scene.crashes(Proof::Read);
    scene.says(Phase::Ready);
    assert_eq!(scene.goes(), [1, 2, 3], "once together");
    scene.says(Phase::Restarting);
    assert_eq!(scene.crashes(Proof::Read), []);
    scene.comes(9, post());
    scene.says(Phase::Ready);
    assert_eq!(scene.goes(), [1]);
    assert!(
        !scene.comes(10, post()),
        "a suspect has the program for itself"
    );
    scene.answers(1);
    assert_eq!(scene.goes(), [2]);
    // This one kills: it alone gets the 502.
    scene.says(Phase::Restarting);
    assert_eq!(scene.crashes(Proof::Read), [(2, Why::Spent)]);
    scene.says(Phase::Ready);
    assert_eq!(scene.goes(), [3]);
    scene.answers(3);
    assert_eq!(scene.goes(), [9, 10]);
}

#[test]
fn a_slow_suspect_holds_up_other_suspects_only() {
    let mut scene = two_suspects();
    assert_eq!(scene.out.len(), 1);
    scene.now += 999;
    assert_eq!(scene.goes(), []);
    // The other suspect stands in front; whoever is none passes it once the first had its time alone.
    scene.comes(9, post());
    assert_eq!(scene.goes(), []);
    scene.now += 1;
    assert_eq!(scene.goes(), [9]);
    let first = scene.out[0].0;
    scene.answers(first);
    assert_eq!(scene.goes(), [3 - first], "the other suspect");
}

#[test]
fn suspects_that_wait_for_a_slow_one_wait_for_no_time() {
    let mut scene = two_suspects();
    for number in 3..10 {
        scene.comes(number, post());
    }
    scene.now += 1_000;
    assert_eq!(scene.goes(), [3, 4, 5, 6, 7, 8, 9], "the window is full");
    scene.now += 1_000;
    assert_eq!(scene.goes(), []);
    assert_eq!(scene.program.next_timer(scene.now), None, "nothing is due");
}
