//! The table of the design, row by row, against a whole gateway.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use common::{Answer, App, Client, LIMIT, Scene, get, ok, post};
use gateway::config::{Slot, Target};
use wire::{Counts, Fact, Notice, Phase};

/// Holds a request until the test says go.
fn gate() -> (
    std::sync::mpsc::Sender<()>,
    impl Fn() + Send + Sync + 'static,
) {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    (go, move || {
        _ = wait.lock().expect("whole").recv_timeout(LIMIT);
    })
}

fn counts(scene: &Scene, wanted: impl Fn(&Counts) -> bool) -> Counts {
    let fits = |notice: &Notice| matches!(notice, Notice::Counted { counts } if wanted(counts));
    match scene.keeper.hears(fits) {
        Notice::Counted { counts } => counts,
        other => panic!("{other:?}"),
    }
}

fn held(answer: &Answer) -> Option<u64> {
    answer
        .header("server-timing")?
        .strip_prefix("hold;dur=")?
        .parse()
        .ok()
}

/// Reads answers, and asks for more, until one says that it is the last; its status. An answer may have been on its way
/// before the word to leave was.
fn until_last(client: &mut Client) -> u16 {
    let until = Instant::now() + LIMIT;
    loop {
        let answer = client.answer();
        if answer.header("connection") == Some("close") {
            return answer.status;
        }
        assert_eq!(answer.status, 200);
        assert!(Instant::now() < until, "never told to close");
        client.get("/more");
    }
}

#[test]
fn connect_fails_it_waits_and_the_gateway_probes_by_itself() {
    let scene = Scene::new(Phase::Ready);
    let mut clients: Vec<Client> = (0..20).map(|_| scene.gateway.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(&post(&format!("/{number}"), "x"));
    }
    let mut late = scene.gateway.client();
    late.stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("set");
    late.get("/late");
    assert!(late.try_answer().is_err(), "answered without a program");
    let app = scene.echo();
    for client in &mut clients {
        let answer = client.answer();
        assert_eq!(answer.status, 200);
        assert!(held(&answer).is_some_and(|ms| ms >= 50), "{}", answer.head);
    }
    for _ in 0..21 {
        app.saw();
    }
    app.saw_nothing_else();
}

#[test]
fn a_restart_with_hold_drains_parks_and_releases() {
    let mut scene = Scene::new(Phase::Ready);
    let (go, wait) = gate();
    let app = App::start(&scene.socket(1), move |conversation, see| {
        while let Some(request) = conversation.request() {
            let slow = request.starts_with("POST /slow");
            _ = see.send(request);
            if slow {
                wait();
            }
            conversation.say(&ok("old"));
        }
        _ = see.send("closed".into());
    });
    // One idle connection, one request in flight.
    assert_eq!(scene.gateway.ask(&get("/")).body, "old");
    let mut slow = scene.gateway.client();
    slow.send(&post("/slow", "x"));
    app.saw();
    app.saw();
    let mut quick = scene.gateway.client();
    quick.get("/quick");
    quick.answer();
    app.saw();
    assert_eq!(
        scene
            .keeper
            .tell_and_wait(|fact| fact.phase = Phase::Draining),
        1
    );
    assert_eq!(app.saw(), "closed");
    let mut parked = scene.gateway.client();
    parked.send(&post("/parked", "x"));
    let mut heard = scene.keeper.notices.try_iter();
    let drained = heard.any(|notice| matches!(notice, Notice::Drained { .. }));
    assert!(!drained, "drained too early");
    go.send(()).expect("waits");
    assert_eq!(slow.answer().body, "old");
    assert_eq!(scene.keeper.hears_drained(), (1, 1, 0));
    drop(app);
    scene
        .keeper
        .tell_and_wait(|fact| fact.phase = Phase::Restarting);
    let app = App::echo(&scene.socket(2));
    let address = scene.address(2);
    scene.keeper.tell_and_wait(|fact| {
        fact.phase = Phase::Starting;
        fact.generation = 2;
        fact.address = address;
    });
    // It listens already, but its keeper has not said that it is ready.
    app.saw_nothing_else();
    scene.keeper.tell_and_wait(|fact| fact.phase = Phase::Ready);
    let answer = parked.answer();
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "POST /parked HTTP/1.1")
    );
    assert!(held(&answer).is_some());
    let counts = counts(&scene, |counts| counts.requests == 4);
    assert_eq!((counts.waited, counts.failed), (1, 0));
}

#[test]
fn a_restart_with_overlap_goes_on_without_waiting() {
    let mut scene = Scene::new(Phase::Ready);
    let (go, wait) = gate();
    let old = App::start(&scene.socket(1), move |conversation, see| {
        while let Some(request) = conversation.request() {
            _ = see.send(request);
            wait();
            conversation.say(&ok("old"));
        }
    });
    let _new = App::echo(&scene.socket(2));
    let mut slow = scene.gateway.client();
    slow.send(&post("/slow", "x"));
    old.saw();
    let address = scene.address(2);
    let in_flight = scene.keeper.tell_and_wait(|fact| {
        fact.generation = 2;
        fact.address = address;
        fact.leaving = Some(Scene::leaving(1));
    });
    assert_eq!(in_flight, 1);
    let answer = scene.gateway.ask(&get("/new"));
    assert_eq!(
        (answer.body.as_str(), held(&answer)),
        ("GET /new HTTP/1.1", None)
    );
    go.send(()).expect("waits");
    assert_eq!(slow.answer().body, "old");
    assert_eq!(scene.keeper.hears_drained(), (1, 1, 0));
}

#[test]
fn unread_requests_of_any_method_are_sent_again() {
    let scene = Scene::new(Phase::Ready);
    let app = App::start(&scene.socket(1), |conversation, see| {
        if conversation.number < 3 {
            return;
        }
        while let Some(request) = conversation.request() {
            _ = see.send(request);
            conversation.say(&ok("third"));
        }
    });
    let answer = scene.gateway.ask(&post("/", "once"));
    assert_eq!((answer.status, answer.body.as_str()), (200, "third"));
    app.saw();
    app.saw_nothing_else();
}

#[test]
fn unread_on_an_idle_connection_just_as_it_closes() {
    let scene = Scene::new(Phase::Ready);
    let app = App::start(&scene.socket(1), |conversation, see| {
        // One request a connection, then it closes without a word, as at the end of a keep-alive time-out.
        if let Some(request) = conversation.request() {
            _ = see.send(request);
            conversation.say(&ok("x"));
        }
    });
    let mut client = scene.gateway.client();
    for _ in 0..200 {
        client.send(&post("/", "x"));
        assert_eq!(client.answer().status, 200);
        app.saw();
    }
    app.saw_nothing_else();
}

#[test]
fn handed_over_and_not_repeatable_is_a_502() {
    let scene = Scene::new(Phase::Ready);
    let app = App::start(&scene.socket(1), |conversation, see| {
        if let Some(request) = conversation.request() {
            _ = see.send(request);
        }
    });
    let answer = scene.gateway.ask(&post("/", "x"));
    assert_eq!(answer.status, 502);
    assert!(answer.body.contains("may have run"), "{}", answer.body);
    app.saw();
    app.saw_nothing_else();
    let counts = counts(&scene, |counts| counts.failed == 1);
    assert_eq!(counts.may_have_run, 1);
}

#[test]
fn handed_over_and_repeatable_is_repeated_twice_at_most() {
    let scene = Scene::new(Phase::Ready);
    let app = App::start(&scene.socket(1), |conversation, see| {
        if let Some(request) = conversation.request() {
            let kills = request.starts_with("GET /kill");
            _ = see.send(request);
            if !kills && conversation.number >= 1 {
                conversation.say(&ok("second"));
            }
        }
    });
    assert_eq!(scene.gateway.ask(&get("/")).body, "second");
    app.saw();
    app.saw();
    assert_eq!(scene.gateway.ask(&get("/kill")).status, 502);
    for _ in 0..3 {
        app.saw();
    }
    app.saw_nothing_else();
}

#[test]
fn a_second_send_is_handed_over_even_if_it_is_reset() {
    let scene = Scene::new(Phase::Ready);
    let (go, wait) = gate();
    let app = App::start(&scene.socket(1), move |conversation, see| {
        let piece = conversation.piece().unwrap_or_default();
        _ = see.send(String::from_utf8_lossy(&piece).into_owned());
        wait();
    });
    let mut client = scene.gateway.client();
    client.send(&post("/", &"x".repeat(10_000)));
    app.saw();
    go.send(()).expect("waits");
    assert_eq!(client.answer().status, 502);
    app.saw_nothing_else();
}

#[test]
fn a_small_answer_that_breaks_is_repeated_and_a_large_one_aborts() {
    let scene = Scene::new(Phase::Ready);
    let _app = App::start(&scene.socket(1), |conversation, _| {
        let first = conversation.number == 0;
        while let Some(request) = conversation.request() {
            match request.starts_with("GET /large") {
                true => {
                    conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\npart");
                    return;
                }
                false if first => {
                    conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 16384\r\n\r\npart");
                    return;
                }
                false => conversation.say(&ok("whole")),
            }
        }
    });
    assert_eq!(scene.gateway.ask(&get("/small")).body, "whole");
    let mut client = scene.gateway.client();
    client.get("/large");
    assert!(client.try_answer().is_err());
    counts(&scene, |counts| counts.failed == 1);
}

const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";

#[test]
fn event_streams_end_cleanly_when_the_program_ends_and_at_a_drain() {
    let mut scene = Scene::new(Phase::Ready);
    let (go, wait) = gate();
    let _app = App::start(&scene.socket(1), move |conversation, _| {
        let Some(request) = conversation.request() else {
            return;
        };
        if request.starts_with("GET /chunks") {
            conversation.say(&format!(
                "{STREAM}Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n9\r\ndata"
            ));
            wait();
            return;
        }
        conversation.say(&format!("{STREAM}\r\ndata: 1\n\n"));
        conversation.ends();
    });
    let mut ends = scene.gateway.client();
    ends.get("/chunks");
    go.send(()).expect("waits");
    assert_eq!(ends.answer().body, "data: 1\n\ndata");
    let mut endless = scene.gateway.client();
    endless.get("/endless");
    endless
        .read_until(|read| read.ends_with(b"data: 1\n\n\r\n"))
        .expect("an event");
    assert_eq!(
        scene
            .keeper
            .tell_and_wait(|fact| fact.phase = Phase::Draining),
        1
    );
    assert_eq!(endless.answer().body, "data: 1\n\n");
    assert_eq!(scene.keeper.hears_drained(), (1, 0, 1));
}

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[test]
fn websockets_go_through_and_end_at_a_drain() {
    let mut scene = Scene::new(Phase::Ready);
    let app = App::start(&scene.socket(1), |conversation, see| {
        let Some(request) = conversation.request() else {
            return;
        };
        _ = see.send(request);
        conversation.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello");
        while let Some(piece) = conversation.piece() {
            conversation.say(&String::from_utf8_lossy(&piece).to_uppercase());
        }
        _ = see.send("ended".into());
    });
    let mut client = scene.gateway.client();
    client.send(&format!("{UPGRADE}early"));
    let answer = client.answer();
    assert_eq!(
        (answer.status, answer.header("upgrade")),
        (101, Some("websocket"))
    );
    client
        .read_until(|read| read == b"helloEARLY")
        .expect("both ways");
    client.send("more");
    client
        .read_until(|read| read == b"helloEARLYMORE")
        .expect("both ways");
    client.read.clear();
    assert!(app.saw().contains("\r\nUpgrade: websocket\r\n"));
    scene
        .keeper
        .tell_and_wait(|fact| fact.phase = Phase::Draining);
    assert!(client.is_closed());
    assert_eq!(app.saw(), "ended");
    assert_eq!(scene.keeper.hears_drained(), (1, 0, 1));
}

#[test]
fn a_websocket_whose_program_goes_away_is_told_to_come_again() {
    const RESTART: [u8; 4] = [0x88, 0x02, 0x03, 0xf4];
    // What the program has sent, whether it hangs up, and whether the client can be told.
    for (sent, hangs_up, told) in [
        ("", false, true),
        ("\u{1}\u{2}hi", false, true),
        ("\u{1}\u{5}hi", false, false),
        ("\u{1}\u{2}hi", true, true),
        ("\u{1}\u{5}hi", true, false),
    ] {
        let mut scene = Scene::new(Phase::Ready);
        let _app = App::start(&scene.socket(1), move |conversation, _| {
            let Some(_request) = conversation.request() else {
                return;
            };
            conversation.say(&format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n{sent}"
            ));
            if hangs_up {
                return;
            }
            while conversation.piece().is_some() {}
        });
        let mut client = scene.gateway.client();
        client.send(UPGRADE);
        assert_eq!(client.answer().status, 101);
        client
            .read_until(|read| read.starts_with(sent.as_bytes()))
            .expect("what was sent");
        if !hangs_up {
            scene
                .keeper
                .tell_and_wait(|fact| fact.phase = Phase::Draining);
        }
        let mut wanted = sent.as_bytes().to_vec();
        if told {
            wanted.extend(RESTART);
            client
                .read_until(|read| read == wanted)
                .expect("a last word");
            client.read.clear();
        } else {
            client.read.drain(..wanted.len());
        }
        assert!(client.is_closed(), "{sent:?} {hangs_up}");
    }
}

#[test]
fn an_upgrade_that_the_program_refuses_is_an_ordinary_answer() {
    let scene = Scene::new(Phase::Ready);
    let _app = App::start(&scene.socket(1), |conversation, _| {
        while conversation.request().is_some() {
            conversation.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
        }
    });
    let mut client = scene.gateway.client();
    for _ in 0..2 {
        client.send(UPGRADE);
        assert_eq!(client.answer().status, 403);
    }
}

#[test]
fn an_operators_stop_is_a_503_from_the_start_and_a_window_waits() {
    let mut scene = Scene::new(Phase::Ready);
    let mut parked = scene.gateway.client();
    scene
        .keeper
        .tell_and_wait(|fact| fact.phase = Phase::Draining);
    parked.send(&post("/", "x"));
    scene.keeper.tell_and_wait(|fact| {
        fact.phase = Phase::Stopped;
        fact.window_until_ms = u64::MAX;
    });
    let since = Instant::now();
    scene
        .keeper
        .tell_and_wait(|fact| fact.window_until_ms = sys::clock::mono_ms() + 300);
    let answer = parked.answer();
    assert!(
        since.elapsed() >= Duration::from_millis(290),
        "{:?}",
        since.elapsed()
    );
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("5"))
    );
    // Kept alive, and from now on answered at once.
    parked.get("/");
    assert_eq!(parked.answer().status, 503);
    for phase in [Phase::DrainingToStop, Phase::Fatal] {
        scene.keeper.tell_and_wait(|fact| fact.phase = phase);
        assert_eq!(scene.gateway.ask(&get("/")).status, 503);
    }
}

#[test]
fn hold_over_is_a_503_with_retry_after() {
    let scene = Scene::with(Phase::Starting, |config| config.listeners[0].hold_ms = 200);
    let answer = scene.gateway.ask(&post("/", "x"));
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("1"))
    );
    assert!(
        held(&answer).is_some_and(|ms| (200..30_000).contains(&ms)),
        "{}",
        answer.head
    );
}

#[test]
fn bounds_of_waiting_hold_and_a_client_that_leaves_makes_room() {
    let mut scene = Scene::with(Phase::Starting, |config| {
        config.listeners[0].hold_max = 8;
        config.listeners[0].maintenance_page = "<h1>soon</h1>".into();
    });
    // A quarter of eight, for one client.
    let mut clients: Vec<Client> = (0..2).map(|_| scene.gateway.client()).collect();
    for client in &mut clients {
        client.get("/");
    }
    let refused = loop {
        // The two were sent before, but on other connections.
        let mut third = scene.gateway.client();
        third
            .stream
            .set_read_timeout(Some(Duration::from_millis(100)))
            .expect("set");
        third.get("/");
        if let Ok(answer) = third.try_answer() {
            break answer;
        }
    };
    assert_eq!(
        (refused.status, refused.body.as_str()),
        (503, "<h1>soon</h1>")
    );
    drop(clients);
    let app = scene.echo();
    let mut again = loop {
        let mut client = scene.gateway.client();
        client
            .stream
            .set_read_timeout(Some(Duration::from_secs(2)))
            .expect("set");
        client.get("/again");
        match client.try_answer() {
            Ok(answer) => assert_eq!(answer.status, 503),
            Err(_) => break client,
        }
    };
    scene.keeper.tell(|fact| fact.phase = Phase::Ready);
    again.stream.set_read_timeout(Some(LIMIT)).expect("set");
    assert_eq!(again.answer().status, 200);
    // Those that left are not sent.
    assert!(app.saw().starts_with("GET /again"));
    app.saw_nothing_else();
}

#[test]
fn no_answer_in_time_is_a_504() {
    let scene = Scene::with(Phase::Ready, |config| {
        config.listeners[0].answer_ms_max = 200
    });
    let app = App::start(&scene.socket(1), |conversation, see| {
        conversation.request();
        _ = see.send(conversation.ends().to_string());
    });
    assert_eq!(scene.gateway.ask(&get("/")).status, 504);
    assert_eq!(app.saw(), "true");
}

#[test]
fn a_client_that_leaves_closes_the_programs_connection() {
    let scene = Scene::new(Phase::Ready);
    let app = App::start(&scene.socket(1), |conversation, see| {
        _ = see.send(conversation.request().unwrap_or_default());
        _ = see.send(conversation.ends().to_string());
    });
    let mut client = scene.gateway.client();
    client.get("/");
    app.saw();
    drop(client);
    assert_eq!(app.saw(), "true");
}

#[test]
fn a_gateway_that_is_replaced_finishes_what_waits_and_closes_after_the_next_answer() {
    let mut scene = Scene::new(Phase::Ready);
    let mut idle = scene.gateway.client();
    let app = scene.echo();
    idle.get("/");
    assert_eq!(idle.answer().header("connection"), None);
    scene
        .keeper
        .tell_and_wait(|fact| fact.phase = Phase::Draining);
    let mut parked = scene.gateway.client();
    parked.send(&post("/parked", "x"));
    parked
        .stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("set");
    assert!(parked.try_answer().is_err());
    parked.stream.set_read_timeout(Some(LIMIT)).expect("set");
    scene.gateway.leave();
    scene.keeper.tell(|fact| fact.phase = Phase::Ready);
    assert_eq!(until_last(&mut parked), 200);
    assert!(parked.is_closed());
    idle.get("/last");
    assert_eq!(until_last(&mut idle), 200);
    assert!(idle.is_closed());
    drop((parked, idle));
    scene.gateway.left();
    drop(app);
}

#[test]
fn the_time_of_a_gateway_that_is_replaced_ends() {
    let mut scene = Scene::with(Phase::Starting, |config| config.leave_ms_max = 200);
    let mut parked = scene.gateway.client();
    parked.get("/");
    scene.keeper.tell_and_wait(|_| {});
    parked
        .stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("set");
    assert!(parked.try_answer().is_err());
    scene.gateway.leave();
    parked.stream.set_read_timeout(Some(LIMIT)).expect("set");
    assert_eq!(parked.answer().status, 503);
    scene.gateway.left();
}

#[test]
fn a_keeper_that_falls_silent_is_found_again_and_a_crash_is_survived_meanwhile() {
    let mut scene = Scene::new(Phase::Ready);
    let app = scene.echo();
    assert_eq!(scene.gateway.ask(&get("/1")).status, 200);
    scene.keeper.die();
    drop(app);
    let mut client = scene.gateway.client();
    client.send(&post("/2", "x"));
    client
        .stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("set");
    assert!(client.try_answer().is_err());
    client.stream.set_read_timeout(Some(LIMIT)).expect("set");
    let _app = scene.echo();
    assert_eq!(client.answer().status, 200);
    let mut fact = scene.keeper.fact.clone();
    fact.seq = 1;
    let keeper = common::Keeper::start(&scene.keeper.path, fact);
    keeper.hears(|notice| matches!(notice, Notice::Acknowledge { seq: 1, .. }));
}

#[test]
fn a_crash_under_load_loses_no_get_and_repeats_no_post() {
    let scene = Scene::new(Phase::Ready);
    let app = scene.echo();
    let stop = std::sync::atomic::AtomicBool::new(false);
    // Fewer show nothing.
    const DONE_MIN: usize = 100;
    let answered = AtomicUsize::new(0);
    let until = Instant::now() + Duration::from_millis(1_500);
    let address = scene.gateway.address;
    let (done, failed) = std::thread::scope(|scope| {
        let users: Vec<_> = (0..10)
            .map(|user| {
                let (stop, answered) = (&stop, &answered);
                scope.spawn(move || {
                    let mut client = Client::new(address);
                    let (mut done, mut failed) = (0, 0);
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        match user % 2 {
                            0 => client.get("/"),
                            _ => client.send(&post("/", "x")),
                        }
                        let answer = client.answer();
                        done += 1;
                        answered.fetch_add(1, Relaxed);
                        if answer.status != 200 {
                            assert_eq!((user % 2, answer.status), (1, 502));
                            failed += 1;
                        }
                    }
                    (done, failed)
                })
            })
            .collect();
        let mut app = Some(app);
        while Instant::now() < until || answered.load(Relaxed) <= DONE_MIN {
            // A crash: every connection ends, the socket goes, and comes back.
            let seen = app.as_ref().map(App::saw);
            assert!(seen.is_some());
            drop(app.take());
            app = Some(scene.echo());
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        users
            .into_iter()
            .map(|user| user.join().expect("a user"))
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    });
    assert!(done > DONE_MIN, "{done} requests, {failed} failed");
}

#[test]
fn several_processes_share_the_requests_and_one_that_restarts_is_left_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let (apps, keepers): (Vec<App>, Vec<common::Keeper>) = (0..2)
        .map(|at| {
            let socket = dir.path().join(format!("{at}.sock"));
            let fact = Fact {
                seq: 1,
                generation: 1,
                phase: Phase::Ready,
                address: format!("unix:{}", socket.display()),
                ..common::zero_fact()
            };
            let app = App::start(&socket, move |conversation, _| {
                while conversation.request().is_some() {
                    conversation.say(&ok(&at.to_string()));
                }
            });
            (
                app,
                common::Keeper::start(&dir.path().join(format!("events{at}")), fact),
            )
        })
        .unzip();
    let slots = keepers.iter().map(|keeper| Slot {
        name: "app".into(),
        events: keeper.path.display().to_string(),
        ..Slot::default()
    });
    let target = Target::Program {
        slots: slots.collect(),
        jwt: None,
    };
    let gateway = common::Gateway::start(&[("app", target)], |_| {});
    let [mut first, second] =
        <[common::Keeper; 2]>::try_from(keepers).unwrap_or_else(|_| panic!("two"));
    for keeper in [&first, &second] {
        keeper.hears(|notice| matches!(notice, Notice::Acknowledge { .. }));
    }
    assert_eq!(gateway.ask(&get("/")).body, "0");
    first.tell_and_wait(|fact| fact.phase = Phase::Draining);
    for _ in 0..5 {
        let answer = gateway.ask(&post("/", "x"));
        assert_eq!((answer.body.as_str(), held(&answer)), ("1", None));
    }
    first.tell_and_wait(|fact| fact.phase = Phase::Ready);
    assert_eq!(gateway.ask(&get("/")).body, "0");
    drop(apps);
}

#[test]
fn a_large_body_waits_in_part_and_is_sent_whole() {
    let mut scene = Scene::new(Phase::Starting);
    let body = "x".repeat(500_000);
    let mut client = scene.gateway.client();
    let mut writer = client.stream.try_clone().expect("cloned");
    let request = post("/", &body);
    let sending =
        std::thread::spawn(move || std::io::Write::write_all(&mut writer, request.as_bytes()));
    let app = scene.echo();
    scene.keeper.tell_and_wait(|fact| fact.phase = Phase::Ready);
    let answer = client.answer();
    assert_eq!(answer.status, 200);
    let seen = app.saw();
    assert!(seen.ends_with(&body), "{} bytes", seen.len());
    sending.join().expect("ended").expect("sent");
}

#[test]
fn a_client_that_waits_for_100_is_not_asked_while_it_waits_in_the_queue() {
    let mut scene = Scene::new(Phase::Starting);
    let mut client = scene.gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    client
        .stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("set");
    assert!(client.read_until(|read| !read.is_empty()).is_err());
    client.stream.set_read_timeout(Some(LIMIT)).expect("set");
    let _app = scene.echo();
    scene.keeper.tell(|fact| fact.phase = Phase::Ready);
    client
        .read_until(|read| read == b"HTTP/1.1 100 Continue\r\n\r\n")
        .expect("100");
    client.read.clear();
    client.send("ok");
    assert_eq!(client.answer().status, 200);
}

#[test]
fn a_stream_whose_client_does_not_read_holds_no_drain_up() {
    let mut scene = Scene::new(Phase::Ready);
    let _app = App::start(&scene.socket(1), |conversation, see| {
        conversation.request();
        conversation.say(&format!("{STREAM}\r\n"));
        conversation
            .stream
            .set_write_timeout(Some(Duration::from_millis(200)))
            .expect("set");
        let event = format!("data: {}\n\n", "x".repeat(60_000));
        while std::io::Write::write_all(&mut conversation.stream, event.as_bytes()).is_ok() {}
        _ = see.send("stuck".into());
        conversation.ends();
    });
    let mut client = scene.gateway.client();
    client.get("/");
    _app.saw();
    // The keeper gives no time for it: only what is cut ends.
    scene
        .keeper
        .tell_and_wait(|fact| fact.phase = Phase::Draining);
    assert_eq!(scene.keeper.hears_drained(), (1, 0, 1));
}

/// Asks again and again, as a browser does: over a kept connection while it is kept. Gives what failed.
fn user(
    address: std::net::SocketAddr,
    number: usize,
    stop: &std::sync::atomic::AtomicBool,
) -> (usize, Vec<String>) {
    let (mut done, mut failed) = (0, Vec::new());
    let mut client = Client::new(address);
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        match number % 2 {
            0 => client.get("/"),
            _ => client.send(&post("/", "x")),
        }
        match client.try_answer() {
            Ok(answer) if answer.status == 200 => {
                done += 1;
                if answer.header("connection") == Some("close") {
                    client = Client::new(address);
                }
            }
            other => {
                failed.push(format!("{other:?}"));
                client = Client::new(address);
            }
        }
    }
    (done, failed)
}

#[test]
fn gateways_are_replaced_under_load_and_no_request_fails() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("app.sock");
    let _app = App::start(&socket, |conversation, _| {
        while conversation.request().is_some() {
            conversation.say(&ok("x"));
        }
    });
    let target = Target::Upstream {
        address: format!("unix:{}", socket.display()),
        jwt: None,
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let start = || {
        let copy = listener.try_clone().expect("cloned");
        common::Gateway::on(copy, &[("app", target.clone())], |_| {})
    };
    let mut gateway = start();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let results: Vec<_> = std::thread::scope(|scope| {
        let users: Vec<_> = (0..8)
            .map(|number| {
                let stop = &stop;
                scope.spawn(move || user(address, number, stop))
            })
            .collect();
        for _ in 0..10 {
            let mut old = std::mem::replace(&mut gateway, start());
            // Ends only when each of its connections has had its last answer.
            old.left();
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        users
            .into_iter()
            .map(|user| user.join().expect("a user"))
            .collect()
    });
    let done: usize = results.iter().map(|(done, _)| done).sum();
    let failed: Vec<_> = results.into_iter().flat_map(|(_, failed)| failed).collect();
    assert!(
        failed.is_empty(),
        "{} of {done} failed: {:?}",
        failed.len(),
        failed.first()
    );
    assert!(done > 20, "{done}");
}

#[test]
fn idle_connections_are_closed_at_once_only_if_nobody_takes_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("app.sock");
    let _app = App::start(&socket, |conversation, _| {
        while conversation.request().is_some() {
            conversation.say(&ok("x"));
        }
    });
    let target = Target::Upstream {
        address: format!("unix:{}", socket.display()),
        jwt: None,
    };
    let start = || common::Gateway::start(&[("app", target.clone())], |_| {});
    // The end of everything: the time for the longest hold (50 s here) is not waited for.
    let mut gateway = start();
    let mut client = gateway.client();
    client.get("/");
    assert_eq!(client.answer().status, 200);
    gateway.leave_for_good();
    assert!(client.is_closed());
    gateway.left();
    // Replaced: the next request is answered, and is the last.
    let mut gateway = start();
    let mut client = gateway.client();
    client.get("/");
    assert_eq!(client.answer().status, 200);
    gateway.leave();
    let until = std::time::Instant::now() + LIMIT;
    loop {
        client.get("/");
        let answer = client.answer();
        assert_eq!(answer.status, 200);
        // It may have been on its way before the word to leave was.
        if answer.header("Connection") == Some("close") {
            break;
        }
        assert!(std::time::Instant::now() < until, "never told to close");
    }
    gateway.left();
}
