//! Twenty people who are signed in: by tokens of the app (L0), and by sessions of the gateway (L1) in PostgreSQL, while
//! everything that can restart does. Nobody is signed out, no request fails.

mod examples;
mod killed;
pub(crate) mod people;
mod retired;
#[path = "../../../crates/edge/store/tests/kit/server.rs"]
mod server;

use crate::harness::{eventually, exe, free_port, head, seconds, venv, workspace};
use people::{People, sign_in};
use rustix::process::Signal;
use server::Server;
use storm::installation::Installation;
use storm::procfs;

/// As in the story.
const PEOPLE: usize = 20;

/// The FastAPI app of `examples/fastapi-l1`, in a directory and on a port of its own.
fn l1(store: &str) -> (Installation, u16) {
    l1_with(store, "")
}

/// Likewise with these keys of the program.
fn l1_with(store: &str, keys: &str) -> (Installation, u16) {
    let mut installation = Installation::new(exe()).expect("a directory");
    let port = free_port();
    let dir = installation.dir().display().to_string();
    let config = format!(
        "{head}
[steadfast]
state_dir = {dir}/state
[program:backend]
command = {uvicorn} server:app --host 127.0.0.1 --port {port} --workers 1
directory = {app}
environment = PYTHONDONTWRITEBYTECODE=\"1\"
redirect_stderr = true
stdout_logfile = {dir}/backend.log
listen = gateway
ready = http:/api/health
env_file = {dir}/.env
secrets = SECRET_KEY
prove = /api/auth/verify
{keys}[gateway:web]
listen = 127.0.0.1:{port}
route = / -> backend
auth = required
login = /api/auth/login
logout = /api/auth/logout
[sessions]
store = {store}
",
        head = head(installation.dir()),
        uvicorn = venv("uvicorn").display(),
        app = workspace().join("examples/fastapi-l1").display(),
    );
    installation.configure(&config).expect("written");
    installation.run().expect("started");
    let up = installation.wait_ready("backend", storm::wait::PATIENCE);
    assert!(up.is_some(), "{}", installation.output());
    (installation, port)
}

fn say(installation: &Installation, args: &[&str]) {
    let said = installation.say(args).expect("runs");
    assert_eq!(said.exit, 0, "{args:?}: {}", said.text());
}

/// Kills one process and waits until another one has its place.
fn kill(what: &str, pid: impl Fn() -> Option<i32>) {
    let old = eventually(what, seconds(30), &pid);
    procfs::signal(old, Signal::KILL);
    eventually(what, seconds(30), || pid().filter(|new| *new != old));
}

/// Everything that can happen to an installation, each three times; everyone gets a good answer after each.
fn strike_everything(installation: &Installation, people: &People) {
    for _ in 0..3 {
        say(installation, &["secrets", "rotate", "SECRET_KEY"]);
        people.everyone_is_well("a rotation");
        say(installation, &["restart", "backend"]);
        people.everyone_is_well("a restart");
        kill("backend", || installation.pid("backend"));
        people.everyone_is_well("a kill of the backend");
        people.while_connections_break("a kill of the gateway", || {
            kill("gateway", || installation.pid("steadfast:gateway"));
        });
        kill("daemon", || installation.daemon_pid());
        people.everyone_is_well("a kill of the daemon");
    }
}

#[test]
fn twenty_people_with_tokens_of_the_app_stay_signed_in() {
    let backend = crate::harness::Backend::example("");
    let credentials = (0..PEOPLE)
        .map(|number| sign_in(backend.port, &format!("ann{number}")))
        .collect();
    let people = People::start(backend.port, credentials);
    people.everyone_is_well("the beginning");
    strike_everything(&backend.installation, &people);
    people.stop("L0");
}

#[test]
fn twenty_people_with_sessions_in_postgresql_stay_signed_in() {
    let mut store = Server::start();
    let (installation, port) = l1(&store.as_store());
    let credentials = (0..PEOPLE)
        .map(|number| sign_in(port, &format!("ann{number}")))
        .collect();
    let people = People::start(port, credentials);
    people.everyone_is_well("the beginning");
    strike_everything(&installation, &people);
    for _ in 0..2 {
        store.kill();
        people.everyone_is_well("the end of the store");
        store.run();
        people.everyone_is_well("the store's return");
    }
    // Whoever signs in now gets a session that all know: the store came back by itself.
    let mut late = None;
    eventually("sign-in after the store's return", seconds(30), || {
        late = people::try_sign_in(port, "late");
        late.is_some().then_some(())
    });
    people.stop("L1");
}

#[test]
fn a_session_of_the_gateway_is_told_to_the_app_by_a_token_that_pyjwt_verifies() {
    let (installation, port) = l1("sqlite");
    assert_eq!(people::status(port, "GET", "/api/auth/verify", ""), 401);
    let cookie = sign_in(port, "ann");
    assert!(cookie.starts_with("Cookie: "), "{cookie}");
    let (status, body) = people::ask(port, "GET", "/api/auth/verify", &cookie, "");
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"user\":\"ann\""), "{body}");
    // An identity that came from outside is worth nothing.
    for forged in [
        "Steadfast-Sign-In: ann\r\n",
        "X-Steadfast-User: ann\r\n",
        "Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJleHAiOjk5OTk5OTk5OTl9.\r\n",
    ] {
        assert_eq!(
            people::status(port, "GET", "/api/auth/verify", forged),
            401,
            "{forged}"
        );
    }
    // A program's token is no session.
    assert_eq!(
        people::status(port, "POST", "/api/auth/logout", &cookie),
        200
    );
    assert_eq!(
        people::status(port, "GET", "/api/auth/verify", &cookie),
        401
    );
    drop(installation);
}

#[test]
fn sessions_outlive_a_key_that_leaked() {
    let (installation, port) = l1("sqlite");
    let cookie = sign_in(port, "ann");
    say(
        &installation,
        &["secrets", "rotate", "SECRET_KEY", "--compromised"],
    );
    // The cookie was never signed with it; the app gets tokens of its new key.
    assert_eq!(
        people::status(port, "GET", "/api/auth/verify", &cookie),
        200
    );
}

#[test]
fn a_program_that_asks_for_its_audience_gets_it_and_refuses_another() {
    let (installation, port) = l1("sqlite");
    let cookie = sign_in(port, "ann");
    let app = workspace().join("examples/fastapi-l1");
    let server = std::fs::read_to_string(app.join("server.py")).expect("read");
    let asks = server.replace(
        "algorithms=[\"HS256\"],",
        "algorithms=[\"HS256\"], audience=\"orders\",",
    );
    assert_ne!(asks, server);
    std::fs::write(installation.path("server.py"), asks).expect("written");
    let config = std::fs::read_to_string(installation.config()).expect("read");
    let dir = installation.dir().display().to_string();
    let config = config.replace(&app.display().to_string(), &dir);
    let named = |audience: &str| {
        let keys = format!("secrets = SECRET_KEY\nclaims = aud=\"{audience}\"\n");
        config.replace("secrets = SECRET_KEY\n", &keys)
    };
    installation.configure(&named("orders")).expect("written");
    // It is ready only if PyJWT took a token of ours.
    say(&installation, &["update"]);
    let (status, body) = people::ask(port, "GET", "/api/auth/verify", &cookie, "");
    assert_eq!(status, 200, "{body}");
    let other = named("billing").replace("prove = /api/auth/verify\n", "");
    installation.configure(&other).expect("written");
    say(&installation, &["update"]);
    // The gateway knows who it is; the program refuses a token that is for another one.
    let (status, body) = people::ask(port, "GET", "/api/auth/verify", &cookie, "");
    assert_eq!(status, 401, "{body}");
    assert!(body.contains("this token is not valid"), "{body}");
}

#[test]
fn where_verdicts_have_to_be_fresh_a_store_that_is_away_is_unknown() {
    let mut store = Server::start();
    let (installation, port) = l1(&store.as_store());
    let strict = free_port();
    let config = std::fs::read_to_string(installation.config()).expect("read");
    let config = format!(
        "{config}[gateway:strict]\nlisten = 127.0.0.1:{strict}\nroute = / -> backend\nauth = required\nfresh = yes\n"
    );
    installation.configure(&config).expect("written");
    say(&installation, &["update"]);
    let cookie = sign_in(port, "ann");
    let status = |port: u16| people::status(port, "GET", "/api/auth/verify", &cookie);
    assert_eq!((status(port), status(strict)), (200, 200));
    store.kill();
    eventually("the end of the lease", seconds(60), || {
        (status(strict) == 503).then_some(())
    });
    assert_eq!(status(port), 200, "a cached verdict is good enough");
    store.run();
    eventually("the store's return", seconds(60), || {
        (status(strict) == 200).then_some(())
    });
}
