//! The gateway in front of a real uvicorn: races, streams, WebSockets, what the app sees, malformed requests.

use crate::harness::{Backend, Wanted, ask, eventually, on_runtime, seconds};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use storm::client::{Client, Request};
use storm::wait::PATIENCE;

/// Posters that send at the same moment.
const POSTERS: usize = 60;
/// Rounds; with the posters 600 requests.
const ROUNDS: usize = 10;

#[test]
fn posts_sent_just_as_uvicorn_closes_idle_connections_all_succeed_once() {
    let backend = Wanted {
        args: "--timeout-keep-alive 1",
        ..Wanted::default()
    }
    .start();
    let failures = on_runtime(async {
        let mut tasks = tokio::task::JoinSet::new();
        for poster in 0..POSTERS {
            let mut client = Client::new(backend.target(), true, seconds(30));
            tasks.spawn(async move {
                let mut failures = Vec::new();
                for round in 0..ROUNDS {
                    let body = format!(r#"{{"id":"race-{poster}-{round}"}}"#);
                    match client.ask(&Request::post("/api/effect", &body)).await {
                        Ok(answer) if answer.status == 200 => {}
                        other => failures.push(format!("{poster}-{round}: {other:?}")),
                    }
                    // Around the second after which uvicorn closes: 960 to 1040 ms, each poster elsewhere.
                    let gap = 960 + (poster * 80 / POSTERS + round * 7) % 80;
                    tokio::time::sleep(Duration::from_millis(gap as u64)).await;
                }
                failures
            });
        }
        tasks.join_all().await.concat()
    });
    assert!(failures.is_empty(), "{failures:#?}");
    let effects = backend.effects();
    let races = effects.iter().filter(|(id, _)| id.starts_with("race-"));
    assert_eq!(races.clone().count(), POSTERS * ROUNDS);
    assert!(races.clone().all(|(_, count)| *count == 1));
}

fn connect(backend: &Backend) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", backend.port)).expect("connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream
}

/// Reads until `done` says that it is enough or the connection ends.
fn read_until(stream: &mut TcpStream, done: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = [0u8; 4096];
    while !done(&bytes) {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
    bytes
}

fn contains(bytes: &[u8], word: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(word)
}

#[test]
fn a_websocket_goes_through_and_ends_when_the_program_is_replaced() {
    let backend = Backend::start();
    let mut socket = connect(&backend);
    let head = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    socket.write_all(head.as_bytes()).expect("sent");
    let answer = read_until(&mut socket, |bytes| contains(bytes, "\r\n\r\n"));
    assert!(
        contains(&answer, "101 Switching Protocols"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert!(
        contains(&answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    // A text frame "hello" with the mask 0 (RFC 6455, 5.2); the app answers with its pid and the text.
    socket
        .write_all(b"\x81\x85\x00\x00\x00\x00hello")
        .expect("sent");
    let pid = backend.pid();
    let echoed = read_until(&mut socket, |bytes| contains(bytes, "hello"));
    assert!(contains(&echoed, &format!("{pid} hello")), "{echoed:?}");
    backend.say(&["restart", "backend"], 0);
    read_until(&mut socket, |_| false);
    assert_ne!(
        backend.pid(),
        pid,
        "the restart was not held up, and the socket has ended"
    );
}

#[test]
fn large_bodies_stream_through_both_ways() {
    let backend = Backend::start();
    let body = "x".repeat(20_000_000);
    let answer = backend
        .ask(&Request::post("/api/echo", &body))
        .expect("an answer");
    assert_eq!((answer.status, answer.body.len()), (200, body.len()));
    assert!(answer.body == body.as_bytes());
    let answer = backend
        .ask(&Request::get("/api/big?n=30000000"))
        .expect("an answer");
    assert_eq!(answer.body.len(), 30_000_000);
}

#[test]
fn the_app_sees_the_client_the_host_and_nothing_that_a_client_made_up() {
    let backend = Backend::start();
    let mut stream = connect(&backend);
    let head = "GET /api/seen HTTP/1.1\r\nHost: example.org\r\nX-Custom: kept\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("sent");
    let text = String::from_utf8_lossy(&read_until(&mut stream, |_| false)).into_owned();
    assert!(
        text.contains(r#"["host", "example.org"]"#) && text.contains(r#"["x-custom", "kept"]"#),
        "{text}"
    );
    assert!(
        text.contains(r#""client": ["127.0.0.1""#),
        "the client, not the gateway: {text}"
    );
    assert!(
        !text.contains("x-hop"),
        "hop-by-hop headers end here: {text}"
    );
}

#[test]
fn a_stopped_program_answers_503_with_retry_after_and_is_back_after_start() {
    let backend = Backend::start();
    backend.say(&["stop", "backend"], 0);
    let answer = backend
        .ask(&Request::get("/api/health"))
        .expect("an answer");
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.header("retry-after").is_some());
    backend.say(&["start", "backend"], 0);
    assert_eq!(
        backend
            .ask(&Request::get("/api/health"))
            .expect("an answer")
            .status,
        200
    );
}

#[test]
fn requests_sent_while_it_restarts_say_how_long_they_were_held() {
    let backend = Wanted {
        environment: ",BOOT_S=\"3\"",
        ..Wanted::default()
    }
    .start();
    let restart = backend
        .installation
        .command()
        .args(["restart", "backend", "-c"])
        .arg(backend.installation.config())
        .spawn();
    let mut restart = restart.expect("runs");
    let held = eventually("request that was held", seconds(10), || {
        let answer = backend
            .ask(&Request::get("/api/health"))
            .expect("an answer");
        assert_eq!(answer.status, 200);
        answer.held_ms()
    });
    assert!((100..60_000).contains(&held), "{held} ms");
    assert!(restart.wait().expect("ends").success());
}

#[test]
fn malformed_requests_are_refused_and_harm_nobody() {
    let backend = Backend::start();
    let cases: [(&str, &[u8], &str); 12] = [
        ("two lengths", b"POST /api/effect HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi", "400"),
        ("length and chunks", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
        ("no host", b"GET / HTTP/1.1\r\n\r\n", "400"),
        ("two hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
        ("bare line feeds", b"GET / HTTP/1.1\nHost: a\n\n", "400"),
        ("folded header", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", "400"),
        ("space before colon", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400"),
        ("nul in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", "400"),
        ("connect", b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "HTTP/1.1 4"),
        ("trace", b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 4"),
        ("bad chunk size", b"POST /api/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", "400"),
        ("binary junk", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "400"),
    ];
    for (name, bytes, expected) in cases {
        let mut stream = connect(&backend);
        stream.write_all(bytes).expect("sent");
        let answer = read_until(&mut stream, |_| false);
        let first = String::from_utf8_lossy(&answer)
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned();
        assert!(first.contains(expected), "{name}: {first:?}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(200_000));
    let mut stream = connect(&backend);
    // It may answer and close before everything is written.
    let _ = stream.write_all(long.as_bytes());
    let answer = read_until(&mut stream, |_| false);
    assert!(
        answer.is_empty() || contains(&answer, "HTTP/1.1 4"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert_eq!(
        ask(backend.target(), &Request::get("/api/health"))
            .expect("an answer")
            .status,
        200
    );
    assert_eq!(
        backend.pid(),
        backend.installation.pid("backend").expect("a pid")
    );
}

#[test]
fn half_requests_and_clients_that_go_away_harm_nobody() {
    let backend = Backend::start();
    let mut halves = Vec::new();
    for bytes in [
        &b""[..],
        b"GET",
        b"GET / HTTP/1.1\r\nHo",
        b"POST /api/effect HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{\"id\"",
    ] {
        for _ in 0..50 {
            let mut stream = connect(&backend);
            stream.write_all(bytes).expect("sent");
            halves.push(stream);
        }
    }
    assert_eq!(
        ask(backend.target(), &Request::get("/api/health"))
            .expect("an answer")
            .status,
        200
    );
    drop(halves);
    for _ in 0..50 {
        let mut stream = connect(&backend);
        stream
            .write_all(b"GET /api/slow?s=30 HTTP/1.1\r\nHost: a\r\n\r\n")
            .expect("sent");
    }
    backend.say(&["restart", "backend"], 0);
    assert_eq!(
        ask(backend.target(), &Request::get("/api/health"))
            .expect("an answer")
            .status,
        200
    );
    assert!(
        backend.effects().is_empty(),
        "a body that never came was never run"
    );
}

/// Answers every request with `text` until the test ends.
fn upstream(text: &'static str) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
                text.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

fn body(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connects");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read");
    answer
}

#[test]
fn a_gateway_section_routes_by_path_to_a_program_and_to_an_upstream() {
    use crate::harness::{exe, free_port, head};
    use storm::installation::Installation;

    let mut installation = Installation::new(exe()).expect("a directory");
    let (port, legacy) = (free_port(), upstream("from legacy"));
    let app = exe().display();
    let text = format!(
        "{}\n[steadfast]\n\n[gateway:web]\nlisten = 127.0.0.1:{port}\nroute =\n    / -> legacy\n    /api -> backend\n\n\
         [upstream:legacy]\nconnect = 127.0.0.1:{legacy}\n\n\
         [program:backend]\ncommand = {app} __demo-app\nsteadfast_command = {app} __demo-app --uds %(socket)s\n\
         listen = gateway\nready = http:/api/health\n",
        head(installation.dir())
    );
    installation.configure(&text).expect("written");
    installation.run().expect("starts");
    installation.wait_ready("backend", PATIENCE).expect("ready");
    assert!(body(port, "/").ends_with("from legacy"));
    assert!(
        body(port, "/apix").ends_with("from legacy"),
        "a prefix ends at a slash"
    );
    assert!(
        body(port, "/api/health").contains("\"status\""),
        "{}",
        body(port, "/api/health")
    );
}
