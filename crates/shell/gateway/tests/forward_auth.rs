//! docs/forward-auth.md: its snippets under the real nginx and the real Caddy, and what Traefik sends.

mod common;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use common::door::{Asked, Door, claims, jwt, ring};
use common::{Answer, Client, Gateway, LIMIT};
use gateway::config::{Auth, Slot, Target};
use session::jws::Compact;

const DOC: &str = include_str!("../../../../docs/forward-auth.md");

/// The fenced block of a language.
fn snippet(language: &str) -> &'static str {
    let fence = format!("```{language}\n");
    let (_, rest) = DOC.split_once(&fence).expect("a snippet");
    rest.split_once("\n```").expect("its end").0
}

/// A gateway that signs in, and a private one over the same store.
struct Both {
    ask: Gateway,
    door: Door,
}

impl Both {
    fn new() -> Both {
        let door = Door::with(Auth::Required, |config| {
            config.listeners[0].trusted = vec!["127.0.0.1".into()];
        });
        let target = Target::Program {
            slots: vec![Slot {
                name: "app".into(),
                events: door.scene.keeper.path.display().to_string(),
                ..Slot::default()
            }],
            jwt: None,
        };
        let sessions = door.sessions();
        let ask = Gateway::start(&[("app", target)], |config| {
            config.listeners[0].routes.clear();
            config.listeners[0].forward_auth = Some("app".into());
            config.sessions = Some(sessions);
            ring(config, |_| {});
        });
        Both { ask, door }
    }

    /// A snippet with the addresses of this test.
    fn adapted(&self, text: &str, program: &str) -> String {
        text.replace("127.0.0.1:9091", &self.ask.address.to_string())
            .replace(
                "127.0.0.1:9090",
                &self.door.scene.gateway.address.to_string(),
            )
            .replace("127.0.0.1:8000", program)
    }
}

/// A proxy of somebody else; ends with it.
struct Proxy {
    child: Child,
    address: SocketAddr,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Not SIGKILL: nginx has a worker that would stay.
        let pid = rustix::process::Pid::from_child(&self.child);
        _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        _ = self.child.wait();
    }
}

impl Proxy {
    /// Starts it on a port that is free; once more on another one if somebody took it meanwhile.
    fn start(make: impl Fn(u16) -> Command) -> Proxy {
        let (_keep, never) = channel::<()>();
        for _ in 0..5 {
            let address = TcpListener::bind("127.0.0.1:0")
                .and_then(|free| free.local_addr())
                .expect("a free port");
            let mut child = make(address.port())
                .stdin(Stdio::null())
                .spawn()
                .expect("nginx and caddy are installed: cargo xtask setup");
            let until = Instant::now() + LIMIT;
            while Instant::now() < until {
                if TcpStream::connect(address).is_ok() {
                    return Proxy { child, address };
                }
                if child.try_wait().expect("waited").is_some() {
                    break;
                }
                _ = never.recv_timeout(Duration::from_millis(10));
            }
            _ = child.kill();
            _ = child.wait();
        }
        panic!("it does not start");
    }

    fn ask(&self, asked: Asked) -> Answer {
        let mut client = Client::new(self.address);
        let host = format!("localhost:{}", self.address.port());
        client.send(&asked.host(&host).line("Connection: close").text());
        client.answer()
    }
}

/// What holds through every proxy.
fn check(proxy: &Proxy, both: &Both) {
    let none = proxy.ask(Asked::get("/data"));
    assert_eq!(none.status, 401, "{none:?}");
    let challenge = none.header("www-authenticate").expect("a challenge");
    assert!(
        challenge.starts_with("Bearer realm=\"steadfast\""),
        "{challenge}"
    );
    let forged = Asked::get("/data").line("Authorization: Bearer e30.e30.x");
    assert_eq!(proxy.ask(forged).status, 401);

    let login = proxy.ask(Asked::post("/login", "ada").line("Sec-Fetch-Site: same-origin"));
    assert_eq!(login.status, 200, "{login:?}");
    let set = login.header("set-cookie").expect("a cookie").to_owned();
    let cookie = set.split(';').next().expect("a pair");

    let seen = proxy.ask(
        Asked::get("/data?x=1")
            .cookie(cookie)
            .line("Authorization: Basic eDp5"),
    );
    assert_eq!(seen.status, 200, "{seen:?}");
    assert!(seen.body.starts_with("GET /data?x=1 "), "{}", seen.body);
    let token = jwt(&seen.body).expect("a token");
    assert!(Compact::read(&token).expect("a JWT").proved_by(b"secret-1"));
    assert_eq!(claims(&seen.body)["sub"], "ada");
    assert!(!seen.body.contains("Basic"), "{}", seen.body);

    // The proxy passes on that nobody did anything.
    let [pat, sam] = ["pat", "sam"].map(|user| both.door.sign_in(user));
    both.door.age();
    let asked = Asked::get("/data").cookie(&pat);
    let passive = proxy.ask(asked.line("Steadfast-Passive: 1"));
    assert_eq!(passive.status, 200, "{passive:?}");
    assert_eq!(proxy.ask(Asked::get("/data").cookie(&sam)).status, 200);
    let until = Instant::now() + LIMIT;
    while !both.door.is_renewed("sam") {
        assert!(Instant::now() < until, "sam is not seen");
        std::thread::yield_now();
    }
    assert!(!both.door.is_renewed("pat"));

    // Forms and WebSockets of another origin.
    let cross = "Sec-Fetch-Site: cross-site\r\nOrigin: https://evil.example";
    let form = Asked::post("/data", "a=b").cookie(cookie);
    assert_eq!(proxy.ask(form.clone().line(cross)).status, 403);
    assert_eq!(
        proxy.ask(form.line("Sec-Fetch-Site: same-origin")).status,
        200
    );
    let own = format!("Origin: http://localhost:{}", proxy.address.port());
    assert_eq!(
        proxy
            .ask(Asked::post("/data", "x").cookie(cookie).line(&own))
            .status,
        200
    );
    let socket = Asked::get("/data")
        .cookie(cookie)
        .line("Sec-WebSocket-Key: x")
        .line(cross);
    assert_eq!(proxy.ask(socket).status, 403);

    // The program's own errors are its own.
    let own = Asked::post("/data", "400")
        .cookie(cookie)
        .line("Sec-Fetch-Site: none");
    assert_eq!(proxy.ask(own).status, 400);

    // A 503 stays a 503: the session is kept in another store.
    let other = Door::new(Auth::Required).sign_in("bob");
    let lost = proxy.ask(Asked::get("/data").cookie(&other));
    assert_eq!(lost.status, 503, "{lost:?}");
    assert_eq!(lost.header("retry-after"), Some("1"), "{lost:?}");
    assert_eq!(lost.header("set-cookie"), None);
}

#[test]
fn nginx_asks_and_keeps_a_503_a_503() {
    let both = Both::new();
    let dir = tempfile::tempdir().expect("a directory");
    let program = format!("unix:{}:", both.door.scene.socket(1).display());
    let server = both.adapted(snippet("nginx"), &program);
    let proxy = Proxy::start(|port| {
        let server = server.replace("listen 80;", &format!("listen 127.0.0.1:{port};"));
        let path = dir.path().display();
        let temp = |of: &str| format!("{of}_temp_path {path}/{of};\n");
        let temps: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(temp)
            .concat();
        // As root its worker is root, too, so that it may reach the program's socket in the test's directory.
        let user = match rustix::process::geteuid().is_root() {
            true => "user root;\n",
            false => "",
        };
        let whole = format!(
            "daemon off;\nmaster_process on;\nworker_processes 1;\n{user}pid {path}/pid;\nerror_log stderr warn;\n\
             events {{}}\nhttp {{\naccess_log off;\n{temps}{server}\n}}\n"
        );
        std::fs::write(dir.path().join("nginx.conf"), whole).expect("written");
        let mut command = Command::new("nginx");
        command.args(["-e", "stderr", "-p"]).arg(dir.path());
        command.arg("-c").arg(dir.path().join("nginx.conf"));
        command
    });
    check(&proxy, &both);
    // Another spelling of a path that goes to the gateway does not get past the question.
    for path in ["/data/../login", "/x/../_steadfast/verify", "/%6cogin"] {
        let asked = Asked::post(path, "ada").line("Sec-Fetch-Site: same-origin");
        let answer = proxy.ask(asked);
        assert_eq!(answer.status, 404, "{path} {answer:?}");
    }
}

#[test]
fn caddy_asks_and_keeps_a_503_a_503() {
    let both = Both::new();
    let dir = tempfile::tempdir().expect("a directory");
    let program = format!("unix/{}", both.door.scene.socket(1).display());
    let site = both.adapted(snippet("caddyfile"), &program);
    let proxy = Proxy::start(|port| {
        let site = site.replace("app.example {", &format!("http://localhost:{port} {{"));
        let whole = format!("{{\n\tadmin off\n\tauto_https off\n}}\n{site}\n");
        let file = dir.path().join("Caddyfile");
        std::fs::write(&file, whole).expect("written");
        let mut command = Command::new("caddy");
        command.args(["run", "--adapter", "caddyfile", "--config"]);
        command.arg(&file).env("HOME", dir.path());
        command.env("XDG_DATA_HOME", dir.path());
        command.env("XDG_CONFIG_HOME", dir.path());
        command.stderr(Stdio::null());
        command
    });
    check(&proxy, &both);
}

/// Traefik's forwardAuth (v3, trustForwardHeader off): the client's lines without those of its connection, then these
/// five, its own words over whatever the client said.
#[test]
fn what_traefik_sends_is_understood() {
    let both = Both::new();
    let yaml = snippet("yaml");
    let address = yaml
        .lines()
        .find_map(|line| line.trim().strip_prefix("address: "))
        .expect("an address");
    let path = address
        .strip_prefix("http://127.0.0.1:9091")
        .expect("the private listener");
    assert!(yaml.contains("authResponseHeaders: [Authorization]"));
    assert!(Path::new(path).starts_with("/_steadfast"));
    let ask = |method: &str, proto: &str, lines: &str| {
        both.ask.ask(&format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:9091\r\nUser-Agent: Go-http-client/1.1\r\n{lines}\
             X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Host: app.example\r\nX-Forwarded-Method: {method}\r\n\
             X-Forwarded-Proto: {proto}\r\nX-Forwarded-Uri: /data?x=1\r\nAccept-Encoding: gzip\r\n\r\n"
        ))
    };
    // Signed in at https://app.example, through the proxy.
    let login = both.door.ask(
        Asked::post("/login", "ada")
            .host("app.example")
            .line("X-Forwarded-Proto: https")
            .line("X-Forwarded-Host: app.example")
            .line("X-Forwarded-For: 203.0.113.7")
            .line("Origin: https://app.example"),
    );
    let set = login.header("set-cookie").expect("a cookie");
    assert!(set.starts_with("__Host-steadfast="), "{set}");
    let cookie = format!("Cookie: {}\r\n", set.split(';').next().expect("a pair"));

    let yes = ask("GET", "https", &cookie);
    assert_eq!((yes.status, &*yes.body), (200, ""), "{yes:?}");
    let bearer = yes.header("authorization").expect("a token");
    let token = bearer.strip_prefix("Bearer ").expect("a bearer token");
    let token = Compact::read(token).expect("a JWT");
    assert!(token.proved_by(b"secret-1"));
    assert_eq!(token.claims().expect("claims")["sub"], "ada");
    assert!(yes.header("steadfast-session").is_some());

    let bare = ask("GET", "https", "");
    let problem = Some("application/problem+json");
    assert_eq!((bare.status, bare.header("content-type")), (401, problem));
    // What it asks about is a person's way to a page, or a form's.
    let navigates = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\n";
    let page = ask("GET", "https", navigates);
    assert_eq!(page.status, 401);
    assert!(page.body.contains("<h1>Sign in first</h1>"), "{page:?}");
    let form = ask("POST", "https", navigates);
    assert_eq!((form.status, form.header("content-type")), (401, problem));
    let evil = "Origin: https://evil.example\r\n";
    assert_eq!(ask("POST", "https", &format!("{cookie}{evil}")).status, 403);
    assert_eq!(ask("POST", "https", &cookie).status, 403);
    let own = format!("{cookie}Origin: https://app.example\r\n");
    assert_eq!(ask("POST", "https", &own).status, 200);
    let socket = "Sec-WebSocket-Key: x\r\n";
    assert_eq!(ask("GET", "wss", &format!("{own}{socket}")).status, 200);
    assert_eq!(
        ask("GET", "wss", &format!("{cookie}{evil}{socket}")).status,
        403
    );
    // A proxy that does not say what its client does: nothing that a browser of another site sends passes for harmless.
    let unsaid = |lines: &str| {
        both.ask.ask(&format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:9091\r\n{cookie}{lines}\
             X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Host: app.example\r\nX-Forwarded-Proto: https\r\n\r\n"
        ))
    };
    assert_eq!(unsaid("").status, 200, "no browser");
    assert_eq!(unsaid(evil).status, 403);
    assert_eq!(unsaid("Sec-Fetch-Site: cross-site\r\n").status, 403);
    assert_eq!(unsaid("Sec-Fetch-Site: same-origin\r\n").status, 200);
    // A header is heard where the cookie is good for nothing.
    both.door.add_user("bob", "correct horse battery");
    let login = r#"{"username":"bob","password":"correct horse battery","mode":"bearer"}"#;
    let login = Asked::post("/_steadfast/login", login)
        .line("Content-Type: application/json")
        .line("Sec-Fetch-Site: none");
    let said = both.door.ask(login);
    let said: serde_json::Value = serde_json::from_str(&said.body).expect("JSON");
    let bearer = format!(
        "Authorization: Bearer {}\r\n",
        said["token"].as_str().expect("a token")
    );
    for lines in [
        bearer.clone(),
        format!("Cookie: __Host-steadfast=sf1.c.x.y\r\n{bearer}"),
        format!("{bearer}{}", cookie.replace("=sf1.c.", "=sf1.c.x")),
    ] {
        let heard = ask("GET", "https", &lines);
        assert_eq!(heard.status, 200, "{heard:?}");
        let token = heard.header("authorization").expect("a token");
        let token = token.strip_prefix("Bearer ").expect("a bearer token");
        let token = Compact::read(token).expect("a JWT");
        assert_eq!(token.claims().expect("claims")["sub"], "bob");
    }
    // Before a request to another origin a browser asks without credentials; the program answers that.
    let preflight = "Access-Control-Request-Method: PUT\r\n";
    let passed = ask(
        "OPTIONS",
        "https",
        &format!("Origin: https://app.example\r\n{preflight}"),
    );
    assert_eq!(
        (passed.status, passed.header("authorization")),
        (200, None),
        "{passed:?}"
    );
    let own = "Origin: https://app.example\r\n";
    for (method, lines) in [
        ("OPTIONS", format!("{evil}{preflight}")),
        ("OPTIONS", own.to_owned()),
        ("OPTIONS", preflight.to_owned()),
        ("GET", format!("{own}{preflight}")),
        // No browser sends that: whoever does wants it to reach the program.
        (
            "OPTIONS",
            format!("{own}{preflight}Authorization: Bearer e30.e30.x\r\n"),
        ),
        (
            "OPTIONS",
            format!("{own}{preflight}Cookie: __Host-steadfast=sf1.c.x.y\r\n"),
        ),
    ] {
        assert_eq!(ask(method, "https", &lines).status, 401, "{method} {lines}");
    }
    // The cookie of https counts for nothing on plain http.
    assert_eq!(ask("GET", "http", &cookie).status, 401);
    // A token of another store, and a store that is gone.
    let other = Door::new(Auth::Required).sign_in("ada");
    let value = other.split_once('=').expect("a pair").1;
    let foreign = ask(
        "GET",
        "https",
        &format!("Cookie: __Host-steadfast={value}\r\n"),
    );
    assert_eq!(
        (foreign.status, foreign.header("retry-after")),
        (503, Some("1"))
    );
}
