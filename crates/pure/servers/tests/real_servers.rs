//! Every way of handing over a socket, proved on the real server: it is started with the rewritten command line and
//! asked whom it sees. The facts that the design builds on (stale socket files, exit statuses, file modes) are proved
//! beside it, so that a new version of a server that behaves otherwise fails here.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use servers::{AddressKind, Env, Places, Refusal, Rewrite, Server, gateway, held, read};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A server that has not answered by now never will, on however busy a machine.
const DEADLINE: Duration = Duration::from_secs(45);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

const ASGI: &str = r#"
import json, os
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    client = scope.get("client")
    body = json.dumps({"client": client and client[0], "scheme": scope["scheme"], "pid": os.getpid()}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
"#;

const WSGI: &str = r#"
import json, os
def app(environ, start_response):
    seen = {"client": environ.get("REMOTE_ADDR"), "scheme": environ["wsgi.url_scheme"], "pid": os.getpid()}
    body = json.dumps(seen).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"#;

const FASTAPI: &str = r#"
import os
from fastapi import FastAPI, Request
app = FastAPI()
@app.get("/")
async def seen(request: Request):
    return {"client": request.client and request.client.host, "scheme": request.url.scheme, "pid": os.getpid()}
"#;

const FLASK: &str = r#"
import os
from flask import Flask, request
app = Flask(__name__)
@app.get("/")
def seen():
    return {"client": request.remote_addr, "scheme": request.scheme, "pid": os.getpid()}
"#;

const DJANGO: &str = r#"
import os, sys
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import JsonResponse
from django.urls import path
settings.configure(SECRET_KEY="not used", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], DEBUG=False)
def seen(request):
    return JsonResponse({"client": request.META["REMOTE_ADDR"], "scheme": request.scheme, "pid": os.getpid()})
urlpatterns = [path("", seen)]
execute_from_command_line(sys.argv)
"#;

const NODE: &str = r#"
require('node:http').createServer((req, res) => {
  res.end(JSON.stringify({ client: req.socket.remoteAddress, scheme: 'http', pid: process.pid }));
}).listen(process.env.PORT, process.env.HOST);
"#;

/// A directory with the apps, and the venv's programs on PATH.
struct Site {
    dir: tempfile::TempDir,
    env: Env,
}

fn site() -> Site {
    let venv = std::env::var_os("STEADFAST_VENV").map(PathBuf::from);
    let venv = venv.expect("STEADFAST_VENV is not set: run cargo xtask test");
    let dir = tempfile::tempdir().unwrap();
    let files = [
        ("app.py", ASGI),
        ("wsgi.py", WSGI),
        ("fast.py", FASTAPI),
        ("flasky.py", FLASK),
        ("manage.py", DJANGO),
        ("server.js", NODE),
    ];
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let path = format!(
        "{}:{}",
        venv.join("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let home = dir.path().display().to_string();
    let env = Env::from([
        ("PATH".into(), path),
        ("HOME".into(), home),
        ("PYTHONDONTWRITEBYTECODE".into(), "1".into()),
    ]);
    Site { dir, env }
}

/// Where a running server is reached.
#[derive(Clone)]
enum At {
    Unix(PathBuf),
    Tcp(u16),
}

struct Running {
    child: Child,
    log: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = kill_process_group(pid(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

impl Site {
    fn with(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("s.sock")
    }

    fn read(&self, line: &str) -> Server {
        let argv: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        read(&argv, &self.env)
    }

    fn start(&self, rewrite: Result<Rewrite, Refusal>, places: &Places) -> Running {
        let command = rewrite.unwrap().fill(places, &self.env).unwrap();
        let log = self.dir.path().join("log");
        let out = std::fs::File::create(&log).unwrap();
        // A usual umask, so that the rewrite's own has to do its work.
        let umask = format!("umask {:03o}; exec \"$@\"", command.umask.unwrap_or(0o022));
        let child = Command::new("sh")
            .args(["-c", &umask, "sh"])
            .args(&command.argv)
            .env_clear()
            .envs(&command.env)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .process_group(0)
            .spawn()
            .unwrap();
        Running { child, log }
    }

    fn gateway(&self, line: &str) -> (Running, At) {
        let rewrite = gateway(&self.read(line));
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let places = Places {
            socket: Some(self.socket().display().to_string()),
            port: Some(port),
            fds: vec![],
        };
        let at = match rewrite.as_ref().unwrap().address {
            AddressKind::Unix => At::Unix(self.socket()),
            AddressKind::Tcp => At::Tcp(port),
            AddressKind::Inherited(_) => unreachable!("the gateway hands over no descriptor"),
        };
        (self.start(rewrite, &places), at)
    }

    fn held(&self, line: &str, listeners: &[&dyn AsFd]) -> Running {
        // A duplicate is not closed on exec: it is what the keeper's child inherits.
        let fds: Vec<OwnedFd> = listeners
            .iter()
            .map(|l| rustix::io::dup(l.as_fd()).unwrap())
            .collect();
        let numbers = fds
            .iter()
            .map(|fd| u32::try_from(fd.as_raw_fd()).unwrap())
            .collect();
        self.start(
            held(&self.read(line)),
            &Places {
                socket: None,
                port: None,
                fds: numbers,
            },
        )
    }

    /// Through the gateway's address: client and scheme that the app sees.
    fn gateway_sees(&self, line: &str, client: &str, scheme: &str) {
        let (mut running, at) = self.gateway(line);
        assert_eq!(
            running.seen(&at),
            (client.to_owned(), scheme.to_owned()),
            "{line}"
        );
        if let At::Unix(path) = &at {
            let mode = std::fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(
                mode & 0o006,
                0o006,
                "{line}: a gateway of another user cannot connect ({mode:o})"
            );
        }
    }
}

fn talk(at: &At) -> std::io::Result<String> {
    fn over(mut stream: impl Read + Write) -> std::io::Result<String> {
        let head = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n\r\n";
        stream.write_all(head.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
    match at {
        At::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(DEADLINE))?;
            over(stream)
        }
        At::Tcp(port) => {
            let stream = TcpStream::connect(("127.0.0.1", *port))?;
            stream.set_read_timeout(Some(DEADLINE))?;
            over(stream)
        }
    }
}

/// Repeats `look` until it finds something.
fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::park_timeout(PAUSE);
    }
}

impl Running {
    /// Client and scheme as the app sees them; `-` for no client.
    fn seen(&mut self, at: &At) -> (String, String) {
        let log = self.log.clone();
        let answer = wait("an answer", || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{status}: {}", std::fs::read_to_string(&log).unwrap());
            }
            talk(at)
                .ok()
                .filter(|answer| answer.starts_with("HTTP/1.1 200"))
        });
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let json = &body[body.find('{').unwrap()..=body.rfind('}').unwrap()];
        let seen: serde_json::Value = serde_json::from_str(json).unwrap();
        let text = |name: &str| {
            seen[name]
                .as_str()
                .map_or_else(|| "-".to_owned(), str::to_owned)
        };
        (text("client"), text("scheme"))
    }

    fn end(&mut self, signal: Signal) -> ExitStatus {
        kill_process(pid(&self.child), signal).unwrap();
        self.ended()
    }

    fn ended(&mut self) -> ExitStatus {
        wait("its end", || self.child.try_wait().unwrap())
    }

    /// Ends it and its workers as the kernel would.
    fn kill_all(mut self) {
        kill_process_group(pid(&self.child), Signal::KILL).unwrap();
        self.ended();
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

#[test]
fn uvicorn_behind_the_gateway_sees_the_client() {
    let site = site();
    site.gateway_sees(
        "uvicorn app:app --host 127.0.0.1 --port 8001",
        "203.0.113.9",
        "https",
    );
    site.gateway_sees(
        "python -m uvicorn --port=8001 app:app --no-proxy-headers",
        "203.0.113.9",
        "https",
    );
    site.gateway_sees(
        "uvicorn app:app --http h11 --loop asyncio --forwarded-allow-ips 10.0.0.1",
        "203.0.113.9",
        "https",
    );
    std::fs::remove_file(site.socket()).unwrap();
    site.gateway_sees(
        "env A=B uvicorn app:app --workers 2",
        "203.0.113.9",
        "https",
    );

    let site = site
        .with("UVICORN_PORT", "8001")
        .with("UVICORN_FD", "77")
        .with("UVICORN_FORWARDED_ALLOW_IPS", "10.0.0.1");
    std::fs::remove_file(site.socket()).unwrap();
    site.gateway_sees("uvicorn app:app", "203.0.113.9", "https");
}

#[test]
fn gunicorn_behind_the_gateway() {
    let site = site();
    // Its own workers leave REMOTE_ADDR empty: the note of the rewrite says so.
    site.gateway_sees(
        "gunicorn wsgi:app -b 127.0.0.1:8001 --no-control-socket -w 2",
        "",
        "https",
    );
    let notes = gateway(&site.read("gunicorn wsgi:app")).unwrap().notes;
    assert!(notes[0].contains("X-Forwarded-For"), "{notes:?}");
    let line = "gunicorn app:app --bind=127.0.0.1:8001 -k uvicorn_worker.UvicornWorker --forwarded-allow-ips 10.0.0.1";
    site.gateway_sees(line, "203.0.113.9", "https");

    let site = site
        .with(
            "GUNICORN_CMD_ARGS",
            "--bind 127.0.0.1:8001 --forwarded-allow-ips 10.0.0.1",
        )
        .with("PORT", "8002");
    site.gateway_sees("gunicorn wsgi:app", "", "https");
}

#[test]
fn hypercorn_and_granian_behind_the_gateway() {
    let site = site();
    site.gateway_sees("hypercorn app:app -b 127.0.0.1:8001", "-", "http");
    std::fs::remove_file(site.socket()).unwrap();
    site.gateway_sees("granian --interface asgi app:app --port 8001", "", "http");
}

#[test]
fn servers_that_are_reached_by_a_port() {
    let site = site().with("PORT", "8001").with("HOST", "0.0.0.0");
    site.gateway_sees("fastapi run fast.py --host 0.0.0.0", "203.0.113.9", "https");
    site.gateway_sees(
        "flask --app flasky run -h 0.0.0.0 -p8001",
        "127.0.0.1",
        "http",
    );
    site.gateway_sees(
        "python manage.py runserver 0.0.0.0:8001 --noreload",
        "127.0.0.1",
        "http",
    );
    site.gateway_sees("node server.js", "127.0.0.1", "http");
}

#[test]
fn a_held_tcp_listener_queues_while_the_server_is_away() {
    for line in [
        "uvicorn app:app --host 0.0.0.0 --port 8001",
        "uvicorn app:app --workers 2",
        "gunicorn wsgi:app -b 127.0.0.1:8001 --no-control-socket",
        "gunicorn app:app -k uvicorn_worker.UvicornWorker --no-control-socket",
        "hypercorn app:app",
    ] {
        let site = site();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = At::Tcp(listener.local_addr().unwrap().port());
        // The client is there before the server is.
        let early = std::thread::spawn({
            let at = at.clone();
            move || talk(&at)
        });
        let mut first = site.held(line, &[&listener]);
        let answer = early.join().unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{line}: {answer}");
        // Peers are loopback, which is trusted by default: the forwarded client is seen where the server reads it.
        let (client, _) = first.seen(&at);
        assert!(
            client == "203.0.113.9" || client == "127.0.0.1",
            "{line}: {client}"
        );
        first.end(Signal::TERM);

        let between = std::thread::spawn({
            let at = at.clone();
            move || talk(&at)
        });
        let _second = site.held(line, &[&listener]);
        assert!(
            between.join().unwrap().unwrap().starts_with("HTTP/1.1 200"),
            "{line}"
        );
    }
}

#[test]
fn several_held_listeners_and_unix_ones() {
    let site = site();
    let (a, b) = (
        TcpListener::bind("127.0.0.1:0").unwrap(),
        TcpListener::bind("127.0.0.1:0").unwrap(),
    );
    let mut two = site.held(
        "gunicorn wsgi:app -b 127.0.0.1:1 -b 127.0.0.1:2 --no-control-socket",
        &[&a, &b],
    );
    for listener in [&a, &b] {
        assert_eq!(
            two.seen(&At::Tcp(listener.local_addr().unwrap().port())).0,
            "127.0.0.1"
        );
    }

    let path = site.socket();
    let unix = UnixListener::bind(&path).unwrap();
    let mut uvicorn = site.held("uvicorn app:app --uds /run/x.sock", &[&unix]);
    uvicorn.seen(&At::Unix(path.clone()));
    uvicorn.end(Signal::TERM);
    assert!(
        path.exists(),
        "uvicorn removed a socket that is not its own"
    );
}

#[test]
fn exit_statuses_of_a_polite_end() {
    let site = site();
    let (mut uvicorn, at) = site.gateway("uvicorn app:app");
    uvicorn.seen(&at);
    let status = uvicorn.end(Signal::TERM);
    assert_eq!(
        status.signal(),
        Some(15),
        "uvicorn ends by the signal it was sent, after it has shut down"
    );
    assert!(
        uvicorn.said().contains("Finished server process"),
        "{}",
        uvicorn.said()
    );
    let (mut gunicorn, at) = site.gateway("gunicorn wsgi:app --no-control-socket");
    gunicorn.seen(&at);
    assert_eq!(gunicorn.end(Signal::TERM).code(), Some(0));
    assert!(!site.socket().exists(), "gunicorn removes its socket");
    let site = site.with("PORT", "1");
    let (mut node, at) = site.gateway("node server.js");
    node.seen(&at);
    assert_eq!(node.end(Signal::TERM).signal(), Some(15));
}

/// What SIGKILL leaves behind. The keeper removes the stale file before each start, since not every server does.
#[test]
fn a_stale_socket_file() {
    let site = site();
    for line in [
        "uvicorn app:app",
        "gunicorn wsgi:app --no-control-socket",
        "hypercorn app:app",
    ] {
        let (mut first, at) = site.gateway(line);
        first.seen(&at);
        first.kill_all();
        assert!(site.socket().exists(), "{line}");
        assert!(talk(&at).is_err());
        let (mut second, at) = site.gateway(line);
        second.seen(&at);
        second.kill_all();
    }
    let (mut workers, _) = site.gateway("uvicorn app:app --workers 2");
    assert_eq!(workers.ended().code(), Some(3), "{}", workers.said());
    assert!(workers.said().contains("Address already in use"));
    // Having failed, uvicorn removes the file that was not its own.
    assert!(!site.socket().exists());
    drop(UnixListener::bind(site.socket()).unwrap());
    let (mut granian, _) = site.gateway("granian --interface asgi app:app");
    assert!(!granian.ended().success());
}

/// Why nobody may remove the socket of a gunicorn that still runs: its stop fails half way.
#[test]
fn gunicorn_needs_its_socket_file_to_stop() {
    let site = site();
    let (mut running, at) = site.gateway("gunicorn wsgi:app --no-control-socket");
    running.seen(&at);
    std::fs::remove_file(Path::new(&site.socket())).unwrap();
    assert_eq!(running.end(Signal::TERM).code(), Some(1));
    assert!(running.said().contains("FileNotFoundError"));
}

/// The guard's corrected command lines are ones that the server takes, and that no longer reload.
#[test]
fn corrected_commands_run() {
    let site = site();
    for line in [
        "uvicorn app:app --reload --reload-dir . --reload-delay 1 --log-level info",
        "gunicorn wsgi:app --reload --reload-engine poll --no-control-socket",
        "fastapi dev fast.py",
        "flask --app flasky run --debug",
        "python manage.py runserver",
        "hypercorn app:app --reload",
        "granian --interface asgi app:app --reload --reload-paths .",
    ] {
        let _ = std::fs::remove_file(site.socket());
        let flags = servers::guard(&site.read(line));
        let servers::Fix::Command { argv, .. } = &flags[0].fix else {
            panic!("{line}: {flags:?}")
        };
        assert!(
            !servers::guard(&read(argv, &site.env))
                .iter()
                .any(|f| f.weight == servers::Weight::Refuse),
            "{argv:?}"
        );
        let (mut running, at) = site.gateway(&argv.join(" "));
        running.seen(&at);
        let said = running.said().to_lowercase();
        for sign in [
            "will watch for changes",
            "started reloader",
            "restarting with stat",
            "watching for file changes",
            "reload workers",
        ] {
            assert!(!said.contains(sign), "{argv:?}: {said}");
        }
    }
}
