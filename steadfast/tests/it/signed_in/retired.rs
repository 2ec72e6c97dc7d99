//! A key that was replaced while something still runs with it: kept for as long as that runs, however short tokens live.

use super::people::{People, sign_in};
use super::{kill, l1_with, say};
use crate::harness::{eventually, seconds};
use storm::installation::Installation;

fn listed(installation: &Installation) -> String {
    installation.say(&["secrets", "list"]).expect("runs").text()
}

fn now_s() -> u64 {
    sys::clock::wall_ms() / 1000
}

#[test]
fn a_key_that_something_runs_with_is_kept_beyond_the_life_of_tokens() {
    let (installation, port) = l1_with("sqlite", "replace = overlap\ntoken_lifetime = 1s\n");
    let people = People::start(port, vec![sign_in(port, "ann")]);
    people.everyone_is_well("the beginning");
    let env_file = installation.path(".env");
    let good = std::fs::read_to_string(&env_file).expect("an env file");
    // No Python starts with this.
    std::fs::write(&env_file, format!("{good}PYTHONHOME=/nowhere\n")).expect("written");
    let failed = |args: &[&str]| {
        let said = installation.say(args).expect("runs");
        assert_eq!(said.exit, 1, "{args:?}: {}", said.text());
        said.text()
    };
    let said = failed(&["secrets", "rotate", "SECRET_KEY"]);
    assert!(
        said.contains("key 1 verifies while anything runs with it"),
        "{said}"
    );
    // As after a crash in the middle of it.
    kill("daemon", || installation.daemon_pid());
    let rotated_s = now_s();
    eventually("the end of tokens of then", seconds(30), || {
        (now_s() > rotated_s + 2).then_some(())
    });
    for _ in 0..2 {
        failed(&["update"]);
        people.everyone_is_well("an update that failed");
        let list = listed(&installation);
        let old = list.lines().find(|line| line.contains("key 1  "));
        assert!(
            old.is_some_and(|line| line.contains("verifies") && !line.contains("until")),
            "{list}"
        );
    }
    let rotated = std::fs::read_to_string(&env_file).expect("an env file");
    std::fs::write(&env_file, rotated.replace("PYTHONHOME=/nowhere\n", "")).expect("written");
    say(&installation, &["update"]);
    people.everyone_is_well("the update that brought the new key");
    // Nothing runs with it any more: it has an end, and is forgotten after it.
    eventually("the end of the old key", seconds(30), || {
        let list = listed(&installation);
        (list.contains("key 1  verifies until") || !list.contains("key 1  ")).then_some(())
    });
    people.stop("a key beyond its tokens' life");
}
