//! The daemon with keepers that obey: what it tells them, and what it answers.

mod fake;

use control::{Body, Command as Ask, Fault};
use fake::{World, outcomes};

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| name.to_string()).collect()
}

fn start(list: &[&str]) -> Ask {
    Ask::Start {
        names: names(list),
        wait: true,
    }
}

fn stop(list: &[&str], window: bool) -> Ask {
    Ask::Stop {
        names: names(list),
        wait: true,
        window,
    }
}

fn restart(list: &[&str]) -> Ask {
    Ask::Restart {
        names: names(list),
        mode: None,
    }
}

const THREE: &str = "[program:db]\ncommand = cat\npriority = 900\n[program:web]\ncommand = cat\ndepends_on = db\npriority = 1\n\
                     [program:later]\ncommand = cat\nautostart = false\n";

#[test]
fn a_first_start_goes_in_order_and_waits_for_dependencies() {
    let world = World::started(THREE);
    world.until_states(&["web RUNNING", "db RUNNING", "later STOPPED"]);
    assert_eq!(
        world.heard(),
        [
            "db: start (boot: autostart)",
            "web: start (boot: autostart)"
        ]
    );
}

#[test]
fn a_priority_waits_for_those_before_it() {
    let world = World::started(
        "[program:c]\ncommand = cat\npriority = 5\n[program:b]\ncommand = cat\n[program:a]\ncommand = cat\n[program:z]\n\
         command = cat\npriority = 1\n",
    );
    world.until_states(&["z RUNNING", "c RUNNING", "a RUNNING", "b RUNNING"]);
    let order: Vec<String> = world
        .heard()
        .iter()
        .map(|line| line[..1].to_owned())
        .collect();
    // Equal ones are told at the same time: whose keeper hears it first is chance.
    assert_eq!(order[..2], ["z", "c"]);
}

#[test]
fn start_and_stop_answer_with_supervisors_faults() {
    let world = World::started(
        "[program:a]\ncommand = cat\n[program:missing]\ncommand = cat\nautostart = false\n[program:bad]\ncommand = cat\nautostart = false\n",
    );
    world.until_states(&["a RUNNING", "bad STOPPED", "missing STOPPED"]);
    world.heard();
    let done = world.ask(start(&["a", "missing", "bad", "nope"]));
    assert_eq!(
        outcomes(&done),
        [
            "nope BAD_NAME",
            "a ALREADY_STARTED",
            "bad SPAWN_ERROR",
            "missing NO_FILE"
        ]
    );
    assert_eq!(done.exit, 1);
    assert_eq!(world.ask(start(&["a"])).exit, 0, "it is as wished");
    let done = world.ask(stop(&["a"], true));
    assert_eq!(outcomes(&done), ["a SUCCESS"]);
    world.until("the window begins", || {
        world
            .read_heard()
            .contains(&"a: stop was answered".to_owned())
    });
    assert_eq!(outcomes(&world.ask(stop(&["a"], false))), ["a NOT_RUNNING"]);
    assert_eq!(
        outcomes(&world.ask(Ask::Signal {
            names: names(&["a"]),
            signal: "HUP".into()
        })),
        ["a NOT_RUNNING"]
    );
    assert_eq!(
        outcomes(&world.ask(Ask::Signal {
            names: names(&["a"]),
            signal: "XYZ".into()
        })),
        ["a BAD_SIGNAL"]
    );
    assert_eq!(outcomes(&world.ask(start(&["a"]))), ["a SUCCESS"]);
    assert!(
        world
            .heard()
            .contains(&"a: start (operator: start by tester)".to_owned())
    );
}

#[test]
fn a_start_that_is_not_seen_yet_is_stopped_all_the_same() {
    let world = World::started("[program:unseen]\ncommand = cat\nautostart = false\n");
    world.until_states(&["unseen STOPPED"]);
    let begin = Ask::Start {
        names: names(&["unseen"]),
        wait: false,
    };
    assert_eq!(outcomes(&world.ask(begin)), ["unseen SUCCESS"]);
    world.until("it is told", || {
        world.read_heard().contains(&"unseen: start".to_owned())
    });
    assert_eq!(world.states(), ["unseen STOPPED"]);
    assert_eq!(
        outcomes(&world.ask(stop(&["unseen"], false))),
        ["unseen SUCCESS"]
    );
}

#[test]
fn steadfasts_own_stop_has_no_window() {
    let world = World::started("[program:a]\ncommand = cat\n");
    world.until_states(&["a RUNNING"]);
    world.heard();
    world.ask(stop(&["a"], false));
    world.until_states(&["a STOPPED"]);
    assert_eq!(world.heard(), ["a: stop (operator)"]);
}

#[test]
fn a_restart_replaces_and_starts_what_was_down() {
    let world = World::started(THREE);
    world.until_states(&["web RUNNING", "db RUNNING", "later STOPPED"]);
    world.heard();
    let (progress, done) = world.ask_as("1", restart(&["all"]));
    assert_eq!(
        outcomes(&done),
        ["db SUCCESS", "web SUCCESS", "later SUCCESS"]
    );
    world.until_states(&["web RUNNING", "db RUNNING", "later RUNNING"]);
    let heard = world.heard();
    let at = |name: &str| {
        heard
            .iter()
            .position(|line| line.starts_with(name))
            .expect("restarted")
    };
    assert!(at("db") < at("web"), "{heard:?}");
    assert!(
        progress.iter().any(|line| line.starts_with("db  ready in")),
        "{progress:?}"
    );
    // Asked again with the same id: the same answer, and nothing is done.
    assert_eq!(world.ask_as("1", restart(&["all"])).1, done);
    assert_eq!(world.ask(Ask::Outcome { id: "1".into() }), done);
    assert_eq!(world.ask(Ask::Outcome { id: "2".into() }).exit, 2);
    assert!(world.heard().is_empty());
}

#[test]
fn what_a_dependency_keeps_down_is_told() {
    let world = World::started(
        "[program:bad]\ncommand = cat\n[program:web]\ncommand = cat\ndepends_on = bad\n",
    );
    world.until_states(&["bad FATAL", "web FATAL"]);
    let web = world.processes().pop().expect("two");
    assert_eq!(web.description, "bad is not ready: it could not be started");
    let done = world.ask(start(&["web"]));
    assert_eq!(outcomes(&done), ["web FAILED"]);
    assert!(done.error.contains("bad is not ready"), "{}", done.error);
}

#[test]
fn reread_tells_and_update_does() {
    let world = World::started(
        "[program:same]\ncommand = cat\n[program:changed]\ncommand = cat\n[program:gone]\ncommand = cat\n",
    );
    world.until_states(&["changed RUNNING", "gone RUNNING", "same RUNNING"]);
    world.heard();
    world.write("[program:same]\ncommand = cat\n[program:changed]\ncommand = cat -u\nenvironment = A=\"1\"\n[program:new]\ncommand = cat\n");
    let Body::Changes {
        added,
        changed,
        removed,
        detail,
        ..
    } = world.ask(Ask::Reread).body
    else {
        panic!("no changes")
    };
    assert_eq!(
        (added, changed, removed),
        (names(&["new"]), names(&["changed"]), names(&["gone"]))
    );
    assert_eq!(
        detail,
        [
            "changed: command cat -> cat -u",
            "changed: environment +A",
            "new: new",
            "gone: removed"
        ]
    );
    assert!(world.heard().is_empty());
    let Body::Plan { steps } = world.ask(Ask::Plan).body else {
        panic!("no plan")
    };
    assert_eq!(
        steps,
        [
            "stop gone (gone from the file)",
            "restart changed (command cat -> cat -u; environment +A)",
            "start new (new)"
        ]
    );

    let done = world.ask(Ask::Update { groups: vec![] });
    assert_eq!(
        outcomes(&done),
        ["gone SUCCESS", "changed SUCCESS", "new SUCCESS"]
    );
    world.until_states(&["changed RUNNING", "new RUNNING", "same RUNNING"]);
    let heard = world.heard();
    assert!(
        heard.contains(
            &"changed: restart (config change: command cat -> cat -u, environment +A)".to_owned()
        ),
        "{heard:?}"
    );
    assert!(
        !heard.iter().any(|line| line.starts_with("same")),
        "{heard:?}"
    );
    let Body::Changes {
        added,
        changed,
        removed,
        ..
    } = world.ask(Ask::Reread).body
    else {
        panic!("no changes")
    };
    assert!(added.is_empty() && changed.is_empty() && removed.is_empty());
}

#[test]
fn a_broken_file_changes_nothing() {
    let world = World::started("[program:a]\ncommand = cat\n");
    world.until_states(&["a RUNNING"]);
    world.write("[program:a]\ncommand = cat\nstartsecs = soon\n");
    for command in [
        Ask::Reread,
        Ask::Update { groups: vec![] },
        Ask::Reload { all: true },
        Ask::Plan,
    ] {
        let done = world.ask(command);
        assert_eq!(done.exit, 1);
        assert!(done.error.contains("startsecs"), "{}", done.error);
    }
    assert_eq!(world.states(), ["a RUNNING"]);
    std::fs::remove_file(world.config()).expect("removed");
    assert_eq!(world.ask(Ask::Reread).exit, 2);
}

#[test]
fn supervisors_update_is_stop_remove_add_and_the_place_is_kept() {
    let world = World::started("[program:a]\ncommand = cat\n[program:b]\ncommand = cat\n");
    world.until_states(&["a RUNNING", "b RUNNING"]);
    let group = |name: &str| name.to_owned();
    assert_eq!(
        outcomes(&world.ask(Ask::RemoveGroup { name: group("a") })),
        ["a STILL_RUNNING"]
    );
    assert_eq!(
        outcomes(&world.ask(Ask::AddGroup { name: group("a") })),
        ["a ALREADY_ADDED"]
    );
    assert_eq!(
        outcomes(&world.ask(Ask::AddGroup { name: group("x") })),
        ["x BAD_NAME"]
    );
    world.ask(stop(&["a"], true));
    world.write("[program:a]\ncommand = cat -u\n[program:b]\ncommand = cat\n");
    world.ask(Ask::Reread);
    world.heard();
    assert_eq!(
        outcomes(&world.ask(Ask::RemoveGroup { name: group("a") })),
        ["a SUCCESS"]
    );
    assert_eq!(world.states(), ["b RUNNING"]);
    assert_eq!(
        outcomes(&world.ask(Ask::RemoveGroup { name: group("a") })),
        ["a BAD_NAME"]
    );
    let Body::Available { configs } = world.ask(Ask::Available).body else {
        panic!("no list")
    };
    let in_use: Vec<(String, bool)> = configs
        .into_iter()
        .map(|config| (config.name, config.in_use))
        .collect();
    assert_eq!(in_use, [("a".to_owned(), false), ("b".to_owned(), true)]);
    assert_eq!(
        outcomes(&world.ask(Ask::AddGroup { name: group("a") })),
        ["a SUCCESS"]
    );
    world.until_states(&["a RUNNING", "b RUNNING"]);
    let heard = world.heard();
    assert!(
        !heard.contains(&"a: leave".to_owned()),
        "its keeper was kept: {heard:?}"
    );
}

#[test]
fn what_is_removed_leaves_after_its_window() {
    let world = World::started(
        "[program:a]\ncommand = cat\nrestart_window = 50ms\n[program:b]\ncommand = cat\n",
    );
    world.until_states(&["a RUNNING", "b RUNNING"]);
    world.write("[program:b]\ncommand = cat\n");
    world.ask(Ask::Update { groups: vec![] });
    assert_eq!(world.states(), ["b RUNNING"]);
    world.until("its keeper leaves", || {
        world.read_heard().contains(&"a: leave".to_owned())
    });
}

#[test]
fn a_new_daemon_takes_over_and_leaves_alone() {
    let mut world = World::started(THREE);
    world.until_states(&["web RUNNING", "db RUNNING", "later STOPPED"]);
    world.ask(stop(&["web"], true));
    let before: Vec<i32> = world.processes().iter().map(|info| info.pid).collect();
    assert_eq!(world.kill_root(), 0);
    world.heard();
    // The file may be half edited meanwhile.
    world.write("[program:db]\ncommand = broken 'quote\n");
    world.start();
    world.until_states(&["web STOPPED", "db RUNNING", "later STOPPED"]);
    assert_eq!(
        world
            .processes()
            .iter()
            .map(|info| info.pid)
            .collect::<Vec<_>>(),
        before
    );
    assert_eq!(world.heard(), Vec::<String>::new());
    let Body::About(about) = world.ask(Ask::About).body else {
        panic!("nothing")
    };
    assert!(about.file_differs);
}

#[test]
fn a_refused_replacement_is_not_tried_again_by_the_next_daemon() {
    let mut world = World::started("[program:stubborn]\ncommand = cat\n");
    world.until_states(&["stubborn RUNNING"]);
    world.write("[program:stubborn]\ncommand = cat -u\n");
    let done = world.ask(Ask::Update { groups: vec![] });
    assert_eq!(
        (outcomes(&done), done.exit),
        (vec!["stubborn ABNORMAL_TERMINATION".to_owned()], 1)
    );
    assert!(done.error.contains("the old one goes on"), "{}", done.error);
    world.kill_root();
    world.heard();
    world.start();
    world.until_states(&["stubborn RUNNING"]);
    assert_eq!(world.heard(), Vec::<String>::new());
    world.ask(Ask::Update { groups: vec![] });
    assert_eq!(
        world.heard(),
        ["stubborn: restart (config change: update by tester)"]
    );
}

#[test]
fn a_lost_keeper_is_made_again() {
    let world = World::started(
        "[program:a]\ncommand = cat\n[program:b]\ncommand = cat\nautostart = false\n",
    );
    world.until_states(&["a RUNNING", "b STOPPED"]);
    world.heard();
    world.kill_keeper(0);
    world.kill_keeper(1);
    world.until("a runs again", || {
        world
            .read_heard()
            .contains(&"a: start (keeper lost: its keeper ended)".to_owned())
    });
    world.until_states(&["a RUNNING", "b STOPPED"]);
    assert_eq!(world.heard().len(), 1);
}

#[test]
fn development_servers_are_refused_at_first_and_only_warned_about_later() {
    let reload = "[steadfast]\n[program:dev]\ncommand = uvicorn server:app --reload\n";
    let mut world = World::new(reload);
    world.start_daemon();
    let (status, said) = world.failed();
    assert_eq!(status, 2);
    assert!(
        said.contains("development server in production")
            && said.contains("write: command = uvicorn server:app"),
        "{said}"
    );

    let mut world = World::started("[steadfast]\n[program:dev]\ncommand = uvicorn server:app\n");
    world.until_states(&["dev RUNNING"]);
    world.write(reload);
    assert_eq!(
        world.ask(Ask::Update { groups: vec![] }).exit,
        0,
        "it ran before: a refusal would be an outage"
    );
    world.ask(Ask::Shutdown);
    assert_eq!(world.exit_status(), Some(0));
    // After a boot of the machine too.
    world.start();
    world.until_states(&["dev RUNNING"]);
}

#[test]
fn everything_ends_in_order() {
    let mut world = World::started(THREE);
    world.until_states(&["web RUNNING", "db RUNNING", "later STOPPED"]);
    world.heard();
    world.signal(15);
    assert_eq!(world.exit_status(), Some(0));
    let heard = world.heard();
    let at = |line: &str| {
        heard
            .iter()
            .position(|other| other == line)
            .unwrap_or_else(|| panic!("{line} in {heard:?}"))
    };
    assert!(at("web: stop (shutdown)") < at("db: stop (shutdown)"));
    assert!(at("db: stop (shutdown)") < at("db: leave"));
    assert!(!world.dir.path().join("pid").exists());
    let log = std::fs::read_to_string(world.dir.path().join("log")).expect("log");
    assert!(
        log.contains(" WARN received SIGTERM indicating exit request\n"),
        "{log}"
    );
    assert!(log.contains(" INFO spawned: 'db' with pid "), "{log}");
}

#[test]
fn a_hangup_replaces_everything() {
    let world = World::started(THREE);
    world.until_states(&["web RUNNING", "db RUNNING", "later STOPPED"]);
    world.ask(stop(&["db"], false));
    world.heard();
    world.signal(1);
    world.until_states(&["web RUNNING", "db RUNNING", "later STOPPED"]);
    world.until("both", || world.read_heard().len() >= 2);
    let heard = world.heard();
    assert!(
        heard.iter().any(|line| line.starts_with("db: "))
            && heard.iter().any(|line| line.starts_with("web: restart")),
        "{heard:?}"
    );
}

#[test]
fn an_occupied_address_fails_its_slot_only() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").expect("free");
    let port = held.local_addr().expect("address").port();
    let world = World::started(&format!(
        "[program:a]\ncommand = cat\n[program:held]\ncommand = uvicorn x:app --port {port}\nlisten = held\n"
    ));
    world.until_states(&["a RUNNING", "held FATAL"]);
    let text = world.processes().pop().expect("two").description;
    assert!(
        text.starts_with(&format!(
            "127.0.0.1:{port} is in use by pid {} (",
            std::process::id()
        )),
        "{text}"
    );
    let done = world.ask(start(&["held"]));
    assert_eq!(outcomes(&done), ["held SPAWN_ERROR"]);
    drop(held);
    assert_eq!(outcomes(&world.ask(start(&["held"]))), ["held SUCCESS"]);
}

#[test]
fn bad_requests_are_answered_and_harm_nobody() {
    use std::io::{Read, Write};
    let world = World::started("[program:a]\ncommand = cat\n");
    world.until_states(&["a RUNNING"]);
    for junk in [
        &b"junk\n"[..],
        b"{\"command\":{\"cmd\":\"fly\"}}\n",
        b"\xff\xfe\n",
        &[b'x'; 300 * 1024],
    ] {
        let run = world.dir.path().join("run");
        let id = std::fs::read_dir(&run)
            .expect("run")
            .flatten()
            .find(|entry| entry.path().join("control.sock").exists());
        let socket = id.expect("running").path().join("control.sock");
        let mut stream = std::os::unix::net::UnixStream::connect(socket).expect("connected");
        let _ = stream.write_all(junk);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert!(answer.contains("\"exit\":2"), "{answer}");
    }
    let done = world.ask(Ask::ReadLog {
        name: String::new(),
        channel: control::Channel::Stdout,
        offset: -20,
        length: 0,
        tail: false,
    });
    assert!(matches!(done.body, Body::Log { .. }), "{done:?}");
    assert_eq!(world.states(), ["a RUNNING"]);
    assert_eq!(Fault::Success.code(), 80);
}

#[test]
fn a_shutdown_in_the_middle_of_a_start_leaves_nothing_behind() {
    let programs: String = (0..40)
        .map(|number| format!("[program:p{number}]\ncommand = cat\n"))
        .collect();
    let mut world = World::new(&programs);
    world.start_daemon();
    world.signal(15);
    assert_eq!(world.exit_status(), Some(0));
    let heard = world.heard();
    let count = |what: &str| heard.iter().filter(|line| line.contains(what)).count();
    assert!(count("stop (shutdown)") >= count("start ("), "{heard:?}");
    world.until("all keepers leave", || world.keepers() == 0);
}

#[test]
fn two_programs_on_one_port_are_warned_about_and_run() {
    let world = World::started(
        "[program:a]\ncommand = uvicorn a:a --port 81\n[program:b]\ncommand = uvicorn b:b --port 81\nreplace = overlap\n",
    );
    world.until_states(&["a RUNNING", "b RUNNING"]);
    let Body::Changes { findings, .. } = world.ask(Ask::Reread).body else {
        panic!("refused")
    };
    assert!(
        findings
            .iter()
            .any(|text| text.contains("both listen on 127.0.0.1:81")),
        "{findings:?}"
    );
}
