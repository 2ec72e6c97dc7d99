//! Plain proxying: what goes through, and in which form.

mod common;

use std::time::Instant;

use common::{App, Conversation, Gateway, LIMIT, Scene, find, get, ok, post};
use gateway::config::Target;
use wire::Phase;

#[test]
fn requests_go_through_and_connections_are_kept() {
    let scene = Scene::new(Phase::Ready);
    let app = scene.echo();
    let mut client = scene.gateway.client();
    for number in 0..3 {
        client.send(&post(&format!("/{number}"), "hello"));
        let answer = client.answer();
        assert_eq!(
            (answer.status, answer.body),
            (200, format!("POST /{number} HTTP/1.1"))
        );
        assert_eq!(
            app.saw(),
            format!(
                "POST /{number} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX-Forwarded-For: 127.0.0.1\r\n\
                 X-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\r\nhello"
            )
        );
    }
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.is_closed());
}

#[test]
fn one_upstream_connection_serves_many_clients() {
    let scene = Scene::new(Phase::Ready);
    let _app = App::start(&scene.socket(1), |conversation, _| {
        while conversation.request().is_some() {
            let number = conversation.number.to_string();
            conversation.say(&ok(&number));
        }
    });
    for _ in 0..5 {
        assert_eq!(scene.gateway.ask(&get("/")).body, "0");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let scene = Scene::new(Phase::Ready);
    let _app = scene.echo();
    let mut client = scene.gateway.client();
    client.send(&[get("/1"), post("/2", "x"), get("/3")].concat());
    for line in ["GET /1", "POST /2", "GET /3"] {
        assert_eq!(client.answer().body, format!("{line} HTTP/1.1"));
    }
}

#[test]
fn routes_decide_and_what_fits_none_is_not_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let upstream = |name: &str| Target::Upstream {
        address: format!("unix:{}", dir.path().join(name).display()),
        ready: None,
        jwt: None,
    };
    let [web, api] = ["web", "api"].map(|name| {
        App::start(&dir.path().join(name), move |conversation, _| {
            while conversation.request().is_some() {
                conversation.say(&ok(name));
            }
        })
    });
    let targets = [("web", upstream("web")), ("api", upstream("api"))];
    let gateway = Gateway::start(&targets, |config| {
        config.listeners[0].routes[1].host = Some("example.org".into());
        config.listeners[0].sort_routes();
    });
    let ask = |host: &str, path: &str| {
        gateway.ask(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
    };
    assert_eq!(ask("Example.org:80", "/").body, "web");
    assert_eq!(ask("other", "/api/x").body, "api");
    let answer = ask("other", "/apix");
    assert_eq!((answer.status, answer.header("connection")), (404, None));
    drop((web, api));
}

#[test]
fn large_bodies_go_both_ways() {
    let scene = Scene::new(Phase::Ready);
    let _app = App::start(&scene.socket(1), |conversation, _| {
        while let Some(request) = conversation.request() {
            let body = request.split_once("\r\n\r\n").expect("a body").1.to_owned();
            conversation.say(&ok(&body));
        }
    });
    let body: String = (0..300_000).map(|n| format!("{n};")).collect();
    let mut client = scene.gateway.client();
    let mut writer = client.stream.try_clone().expect("cloned");
    let request = post("/", &body);
    let sending =
        std::thread::spawn(move || std::io::Write::write_all(&mut writer, request.as_bytes()));
    let answer = client.answer();
    assert!(
        answer.body == body,
        "{} of {} bytes",
        answer.body.len(),
        body.len()
    );
    sending.join().expect("ended").expect("sent");
    // And the connection is still in step.
    client.send(&post("/", "again"));
    assert_eq!(client.answer().body, "again");
}

fn chunked(conversation: &mut Conversation) {
    while conversation.request().is_some() {
        conversation.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for piece in 0..100 {
            conversation.say(&format!("5;ext=1\r\n{piece:05}\r\n"));
        }
        conversation.say("0\r\nX-Trailer: 1\r\n\r\n");
    }
}

#[test]
fn chunked_answers_go_through_and_old_clients_get_them_plain() {
    let scene = Scene::new(Phase::Ready);
    let _app = App::start(&scene.socket(1), |conversation, _| chunked(conversation));
    let wanted: String = (0..100).map(|piece| format!("{piece:05}")).collect();
    let mut client = scene.gateway.client();
    for _ in 0..2 {
        client.get("/");
        assert_eq!(client.answer().body, wanted);
    }
    let mut old = scene.gateway.client();
    old.send("GET / HTTP/1.0\r\n\r\n");
    _ = old.read_until(|_| false);
    let text = String::from_utf8_lossy(&old.read).into_owned();
    assert!(text.ends_with(&format!("\r\n\r\n{wanted}")), "{text}");
    assert!(!text.contains("chunked"), "{text}");
}

#[test]
fn answers_until_close_are_rechunked() {
    let scene = Scene::new(Phase::Ready);
    let _app = App::start(&scene.socket(1), |conversation, _| {
        if conversation.request().is_some() {
            conversation.say("HTTP/1.1 200 OK\r\n\r\nuntil the end");
        }
    });
    let mut client = scene.gateway.client();
    for _ in 0..2 {
        client.get("/");
        assert_eq!(client.answer().body, "until the end");
    }
}

#[test]
fn heads_without_bodies() {
    let scene = Scene::new(Phase::Ready);
    let _app = App::start(&scene.socket(1), |conversation, _| {
        while let Some(request) = conversation.request() {
            match request.starts_with("HEAD") {
                true => conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"),
                false => conversation.say("HTTP/1.1 204 No Content\r\n\r\n"),
            }
        }
    });
    let mut client = scene.gateway.client();
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    client
        .read_until(|read| read.ends_with(b"\r\n\r\n"))
        .expect("a head");
    assert!(find(&client.read, b"1000000").is_some());
    client.read.clear();
    client.get("/");
    assert_eq!(client.answer().status, 204);
}

#[test]
fn a_client_that_waits_for_100_is_asked_to_go_on() {
    let scene = Scene::new(Phase::Ready);
    let app = scene.echo();
    let mut client = scene.gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    client
        .read_until(|read| read == b"HTTP/1.1 100 Continue\r\n\r\n")
        .expect("100");
    client.read.clear();
    client.send("ok");
    assert_eq!(client.answer().status, 200);
    assert!(!app.saw().contains("Expect"));
}

#[test]
fn an_early_answer_to_a_large_body_arrives() {
    let scene = Scene::new(Phase::Ready);
    let _app = App::start(&scene.socket(1), |conversation, _| {
        conversation.piece();
        conversation.say(
            "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig",
        );
        conversation.ends();
    });
    let mut client = scene.gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
    client.send(&"x".repeat(100_000));
    let answer = client.answer();
    assert_eq!((answer.status, answer.body.as_str()), (413, "big"));
    assert_eq!(answer.header("connection"), Some("close"));
}

#[test]
fn the_programs_own_errors_are_passed_on_and_never_repeated() {
    let scene = Scene::new(Phase::Ready);
    let app = App::start(&scene.socket(1), |conversation, see| {
        while let Some(request) = conversation.request() {
            _ = see.send(request);
            conversation.say("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
        }
    });
    let answer = scene.gateway.ask(&get("/"));
    assert_eq!((answer.status, answer.body.as_str()), (503, "busy"));
    app.saw();
    app.saw_nothing_else();
}

#[test]
fn an_answer_that_is_not_http_is_a_502() {
    let scene = Scene::new(Phase::Ready);
    let _app = App::start(&scene.socket(1), |conversation, _| {
        conversation.request();
        conversation.say("SSH-2.0-OpenSSH\r\n\r\n");
    });
    assert_eq!(scene.gateway.ask(&get("/")).status, 502);
}

#[test]
fn slow_and_half_requests_are_answered_408_or_dropped() {
    let scene = Scene::with(Phase::Ready, |config| {
        config.listeners[0].head_ms_max = 200;
        config.listeners[0].idle_ms_max = 3_000;
    });
    let _app = scene.echo();
    let mut half = scene.gateway.client();
    half.send("GET / HTTP/1.1\r\nHo");
    let mut idle = scene.gateway.client();
    assert_eq!(half.answer().status, 408);
    assert!(half.is_closed());
    assert!(idle.is_closed());
}

#[test]
fn connections_beyond_the_limit_wait_for_a_free_place() {
    let scene = Scene::with(Phase::Ready, |config| config.connections_max = 2);
    let _app = scene.echo();
    let mut first = scene.gateway.client();
    let mut second = scene.gateway.client();
    for client in [&mut first, &mut second] {
        client.get("/");
        client.answer();
    }
    let mut third = scene.gateway.client();
    third.get("/");
    third
        .stream
        .set_read_timeout(Some(std::time::Duration::from_millis(150)))
        .expect("set");
    assert!(third.try_answer().is_err(), "served beyond the limit");
    third.stream.set_read_timeout(Some(LIMIT)).expect("set");
    drop(first);
    let since = Instant::now();
    assert_eq!(third.answer().status, 200);
    assert!(since.elapsed() < LIMIT);
}

#[test]
fn over_tcp_a_request_that_may_not_be_repeated_takes_a_fresh_connection() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("tcp:{}", server.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for (number, stream) in server.incoming().enumerate() {
            let mut stream = stream.expect("accepted");
            std::thread::spawn(move || {
                let mut piece = [0; 4096];
                while matches!(std::io::Read::read(&mut stream, &mut piece), Ok(count) if count > 0)
                {
                    let answer = ok(&number.to_string());
                    std::io::Write::write_all(&mut stream, answer.as_bytes()).expect("written");
                }
            });
        }
    });
    let gateway = Gateway::start(
        &[(
            "app",
            Target::Upstream {
                address,
                ready: None,
                jwt: None,
            },
        )],
        |_| {},
    );
    let mut client = gateway.client();
    let wanted = [
        (get("/"), "0"),
        (get("/"), "0"),
        (post("/", "x"), "1"),
        (post("/", "x"), "2"),
        (get("/"), "2"),
    ];
    for (request, number) in wanted {
        client.send(&request);
        assert_eq!(client.answer().body, number);
    }
}

const HINT: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";

#[test]
fn early_hints_reach_clients_that_know_them_before_the_answer() {
    let scene = Scene::new(Phase::Ready);
    let (answer, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let _app = App::start(&scene.socket(1), move |conversation, _| {
        while let Some(request) = conversation.request() {
            conversation.say(
                "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\
                 Steadfast-Sign-In: ada\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            );
            if request.starts_with("GET /held") {
                let waits = held.lock().expect("one at a time").recv_timeout(LIMIT);
                waits.expect("the client has the hint");
            }
            conversation.say(&ok("page"));
        }
    });
    let mut client = scene.gateway.client();
    client.get("/held");
    client
        .read_until(|read| read == HINT.as_bytes())
        .expect("a hint before the answer");
    client.read.clear();
    answer.send(()).expect("waits");
    assert_eq!(client.answer().body, "page");
    // On the same connection, and to one that asks to be asked for its body.
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    let go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    client
        .read_until(|read| read == go_on.as_bytes())
        .expect("100");
    client.send("ok");
    client
        .read_until(|read| read.starts_with([go_on, HINT, "HTTP/1.1 200 OK"].concat().as_bytes()))
        .expect("both, then the answer");
    client.read.clear();
    let mut old = scene.gateway.client();
    old.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    old.read_until(|read| read.ends_with(b"page"))
        .expect("a page");
    assert!(
        old.read.starts_with(b"HTTP/1.1 200 "),
        "no hint to HTTP/1.0"
    );
}

#[test]
fn hints_are_bounded_and_an_answer_follows_them_whatever_happens() {
    let scene = Scene::new(Phase::Ready);
    let _app = App::start(&scene.socket(1), |conversation, _| {
        while let Some(request) = conversation.request() {
            let path = request.split(' ').nth(1).unwrap_or_default();
            match path {
                "/many" => conversation.say(&HINT.repeat(1000)),
                "/long" => {
                    let long = format!(
                        "HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n",
                        "x".repeat(9000)
                    );
                    conversation.say(&[&long, HINT].concat());
                }
                // It dies with the request in its hands, the first time.
                _ => {
                    conversation.say(HINT);
                    if conversation.number < 2 || path == "/dies" {
                        return;
                    }
                }
            }
            conversation.say(&ok("page"));
        }
    });
    let hints = |request: &str, last: &[u8]| {
        let mut client = scene.gateway.client();
        client.send(request);
        client
            .read_until(|read| read.ends_with(last))
            .expect("an answer");
        let read = String::from_utf8(client.read).expect("text");
        let count = read.matches(HINT).count();
        assert!(
            read[count * HINT.len()..].starts_with("HTTP/1.1 "),
            "{read}"
        );
        (count, read[count * HINT.len() + 9..][..3].to_owned())
    };
    let is = |count: usize, status: &str| (count, status.to_owned());
    // Not the first answer, but a hint before it: it may be repeated, and is.
    assert_eq!(hints(&get("/"), b"page"), is(3, "200"));
    assert_eq!(hints(&get("/many"), b"page"), is(8, "200"));
    assert_eq!(hints(&get("/long"), b"page"), is(1, "200"));
    assert_eq!(hints(&post("/dies", "x"), b"may have run\n"), is(1, "502"));
}
