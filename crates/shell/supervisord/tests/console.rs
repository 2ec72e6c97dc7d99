//! The console over HTTP: what it shows, and who may press its buttons.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;

use common::fake::Served;
use control::Command;
use supervisord::Auth;

/// chris:thepassword
const LOGIN: &str = "Authorization: Basic Y2hyaXM6dGhlcGFzc3dvcmQ=\r\n";

/// Status, head and body of an answer.
fn ask(served: &Served, request: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", served.port)).expect("connects");
    stream.write_all(request.as_bytes()).expect("written");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("read");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    (status.expect("a status"), head.to_owned(), body.to_owned())
}

fn get(served: &Served, path: &str, headers: &str) -> (u16, String, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    ask(served, &request)
}

fn post(served: &Served, action: &str, form: &str, headers: &str) -> u16 {
    let request = format!(
        "POST /console/{action} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{form}",
        form.len()
    );
    ask(served, &request).0
}

fn token(page: &str) -> Option<&str> {
    page.split("name=\"token\" value=\"")
        .nth(1)?
        .split('"')
        .next()
}

#[test]
fn without_a_password_it_only_shows() {
    let served = Served::new(Auth::open());
    let (status, head, page) = get(&served, "/", "");
    assert_eq!(status, 200);
    assert!(
        head.to_lowercase().contains("content-security-policy"),
        "{head}"
    );
    assert!(
        page.contains("<td>web<td class=\"RUNNING\">RUNNING<td>pid "),
        "{page}"
    );
    assert!(page.contains("Read-only"), "{page}");
    assert!(!page.contains("<form"), "{page}");
    assert_eq!(token(&page), None);
    assert!(get(&served, "/console/status", "").2.starts_with("<table>"));
    assert_eq!(post(&served, "stop", "name=web&token=", ""), 403);
    assert!(served.fake.asked().is_empty());
}

#[test]
fn without_a_password_a_page_of_another_site_reads_nothing_under_its_own_name() {
    let served = Served::new(Auth::open().called("box.example.org"));
    let status = |host: &str, path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        ask(&served, &request).0
    };
    for path in [
        "/",
        "/console/status",
        "/metrics",
        "/mainlogtail",
        "/logtail/web",
    ] {
        assert_eq!(status("evil.example", path), 403, "{path}");
    }
    for host in [
        "127.0.0.1:9001",
        "localhost",
        "box.example.org:9001",
        "compose-name",
    ] {
        assert_eq!(status(host, "/console/status"), 200, "{host}");
    }
    let old = ask(&served, "GET /console/status HTTP/1.0\r\n\r\n");
    assert_eq!(old.0, 200, "no browser");
    // With a password the page does not get in.
    let served = Served::new(Auth::user("chris", "thepassword"));
    let request =
        format!("GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n{LOGIN}\r\n");
    assert_eq!(ask(&served, &request).0, 200);
}

#[test]
fn buttons_need_the_password_the_token_and_the_same_origin() {
    let served = Served::new(Auth::user("chris", "thepassword"));
    assert_eq!(get(&served, "/", "").0, 401);
    let (_, _, page) = get(&served, "/", LOGIN);
    let token = token(&page).expect("a token");
    let form = format!("name=web&token={token}");
    for (what, form, headers, status) in [
        ("no password", form.as_str(), "", 401),
        ("no token", "name=web", LOGIN, 403),
        ("a wrong token", "name=web&token=0123", LOGIN, 403),
        (
            "another site",
            &form,
            &format!("{LOGIN}Origin: http://evil\r\n"),
            403,
        ),
        (
            "another site, as browsers say it",
            &form,
            &format!("{LOGIN}Sec-Fetch-Site: cross-site\r\n"),
            403,
        ),
        ("too much", &"x".repeat(20_000), LOGIN, 413),
    ] {
        assert_eq!(post(&served, "stop", form, headers), status, "{what}");
    }
    assert_eq!(post(&served, "explode", &form, LOGIN), 403);
    // Nothing is done by GET.
    assert_eq!(get(&served, &format!("/console/stop?{form}"), LOGIN).0, 404);
    assert!(served.fake.asked().is_empty());
    let own = format!("{LOGIN}Origin: http://x\r\nSec-Fetch-Site: same-origin\r\n");
    assert_eq!(post(&served, "restart", &form, &own), 303);
    let asked = served.fake.asked();
    let verbs: Vec<&str> = asked
        .iter()
        .map(|(command, by)| {
            assert_eq!(by, "XML-RPC, chris (127.0.0.1)");
            match command {
                Command::Stop { .. } => "stop",
                Command::Start { .. } => "start",
                other => panic!("{other:?}"),
            }
        })
        .collect();
    assert_eq!(verbs, ["stop", "start"]);
    // What does not go as wished is said on the page.
    let form = format!("name=broken&token={token}");
    assert_eq!(post(&served, "start", &form, LOGIN), 200);
}
