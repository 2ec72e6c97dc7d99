//! Several machines with one key: docs/keys.md says in which order they get a new value, and its commands are run here. No
//! token is refused on the way, wherever it was signed.

use crate::harness::{Backend, eventually, exe, seconds, workspace};
use crate::people::piped;
use crate::signed_in::people::{People, sign_in, status};
use std::process::Command;
use storm::installation::Said;

/// The blocks of commands in the page's section: make a value, announce it, sign with it.
fn commands() -> [String; 3] {
    let page = std::fs::read_to_string(workspace().join("docs/keys.md")).expect("the page");
    let section = page.split("\n## Several machines\n").nth(1);
    let section = section.and_then(|rest| rest.split("\n## ").next());
    let blocks = section
        .expect("its section")
        .split("\n```\n")
        .collect::<Vec<_>>();
    let [_, make, _, announce, _, sign, _] = blocks[..] else {
        panic!("not three blocks: {blocks:#?}");
    };
    [make, announce, sign].map(str::to_owned)
}

/// Runs them on a machine as they stand there.
fn run(machine: &Backend, commands: &str) {
    let installation = &machine.installation;
    let path = std::env::var("PATH").unwrap_or_default();
    let bin = exe().parent().expect("a directory").display();
    let mut shell = Command::new("sh");
    for (name, value) in installation.command().get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    shell
        .args(["-ec", commands])
        .current_dir(installation.dir());
    let said = Said::of(shell.env("PATH", format!("{bin}:{path}"))).expect("a shell");
    assert_eq!(said.exit, 0, "{commands}: {}", said.text());
}

/// Whoever signs in at either machine now is known at both.
fn assert_one_for_the_other(machines: &[&Backend; 2], after: &str) {
    for signs in machines {
        let credential = sign_in(signs.port, "ann");
        for asked in machines {
            let status = status(asked.port, "GET", "/api/auth/verify", &credential);
            assert_eq!(status, 200, "after {after}");
        }
    }
}

#[test]
fn machines_that_share_a_key_get_a_new_one_in_an_order_that_refuses_nobody() {
    let machines = [Backend::example(""), Backend::example("")];
    let [first, second] = &machines;
    let export = first.say(&["secrets", "export", "--stdout"], 0).stdout;
    let taken = piped(
        &second.installation,
        &["secrets", "import", "--stdin"],
        &export,
    );
    assert_eq!(taken.0, 0, "{}", taken.2);
    second.say(&["update"], 0);
    let machines = [first, second];
    assert_one_for_the_other(&machines, "the import");
    let everyone = || -> Vec<String> {
        let signed_in = machines.iter().map(|machine| sign_in(machine.port, "ada"));
        signed_in.collect()
    };
    let people = machines.map(|machine| People::start(machine.port, everyone()));
    let all_well = |after: &str| {
        people
            .iter()
            .for_each(|people| people.everyone_is_well(after));
        assert_one_for_the_other(&machines, after);
    };

    let [make, announce, sign] = commands();
    run(first, &make);
    let key = |machine: &Backend| {
        let said = machine.say(&["secrets", "show", "SECRET_KEY"], 0);
        said.stdout.trim().to_owned()
    };
    let (old, new) = (key(first), first.installation.path("new.key"));
    std::fs::copy(&new, second.installation.path("new.key")).expect("copied");
    let new = std::fs::read_to_string(new)
        .expect("a key")
        .trim()
        .to_owned();
    assert_ne!(old, new);
    for (step, commands) in [("announced", &announce), ("signs", &sign)] {
        for (machine, place) in machines.iter().zip(["here", "there"]) {
            run(machine, commands);
            all_well(&format!("{step} {place}"));
        }
        let signs = if step == "signs" { &new } else { &old };
        assert_eq!(machines.map(key), [signs.clone(), signs.clone()]);
    }
    for people in people {
        people.stop("several machines with one key");
    }
    assert!(!first.installation.path("new.key").exists());
    let list = second.say(&["secrets", "list"], 0).stdout;
    eventually("the end of the old value", seconds(30), || {
        let list = second.say(&["secrets", "list"], 0).stdout;
        list.contains("verifies until").then_some(())
    });
    assert!(!list.contains(&new), "{list}");
}

#[test]
fn a_value_that_is_announced_needs_one_that_signs_and_no_program_is_given_it() {
    let backend = Backend::example("");
    let pid = backend.pid();
    let value = "8d1f5b2c9a7e4630".repeat(4);
    let announce = [
        "secrets",
        "import",
        "SECRET_KEY",
        "--stdin",
        "--verify-only",
    ];
    let said = piped(&backend.installation, &announce, &value);
    assert!(
        said.0 == 0 && said.2.contains("key 2 verifies and signs nothing yet"),
        "{}",
        said.2
    );
    let again = piped(&backend.installation, &announce, &value);
    assert!(
        again.0 == 0 && again.2.contains("verifies already"),
        "{}",
        again.2
    );
    backend.say(&["update"], 0);
    assert_eq!(backend.pid(), pid, "nothing of it has changed");
    let weak = piped(&backend.installation, &announce, "changeme");
    assert!(weak.0 == 2 && weak.2.contains("--weak"), "{}", weak.2);
    let whole = ["secrets", "import", "--stdin", "--verify-only"];
    let whole = piped(&backend.installation, &whole, "");
    assert!(whole.0 == 2 && whole.2.contains("NAME"), "{}", whole.2);
    backend.say(&["secrets", "rotate", "SECRET_KEY", "--compromised"], 0);
    let given_up = piped(&backend.installation, &announce, &value);
    assert!(
        given_up.0 == 2 && given_up.2.contains("given up as compromised"),
        "{}",
        given_up.2
    );
}
