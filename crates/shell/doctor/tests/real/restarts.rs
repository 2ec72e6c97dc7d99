//! A restart, and whether tokens of before count after it.

use std::fs;

use crate::apps::key;
use crate::common::site::{Site, bad, venv};
use crate::common::with_password;

/// An app whose tokens are signed by a key: of the environment, or made at the start.
const TOKENS: &str = "import hashlib, hmac, json, os, secrets
KEY = os.environ.get('SECRET_KEY') or secrets.token_hex(32)
TOKEN = hmac.new(KEY.encode(), b'anna', hashlib.sha256).hexdigest()
async def app(scope, receive, send):
    if scope['type'] != 'http':
        return
    body = (await receive()).get('body', b'')
    status, answer = 200, {'status': 'ok'}
    if scope['path'] == '/api/login':
        right = json.loads(body or b'{}') == {'username': 'anna', 'password': 'right horse'}
        status, answer = (200, {'access_token': TOKEN}) if right else (401, {})
    if scope['path'] == '/api/verify':
        given = dict(scope['headers']).get(b'authorization', b'').decode()
        status, answer = (200, {'valid': True}) if given == 'Bearer ' + TOKEN else (401, {})
    await send({'type': 'http.response.start', 'status': status, 'headers': [(b'content-type', b'application/json')]})
    await send({'type': 'http.response.body', 'body': json.dumps(answer).encode()})
";

/// A site with it, and a report of one restart with a token before and after.
fn restarted(keys: &str) -> (Site, serde_json::Value, String) {
    let command = format!(
        "{} server:app --host 127.0.0.1 --port PORT --lifespan off",
        venv("uvicorn")
    );
    let site = Site::new(&command, keys, &[("server.py", TOKENS)]);
    let login = format!("http://127.0.0.1:{}/api/login", site.port);
    let config = site.config();
    let mut words = vec!["-c", &config, "--json", "--live", "--allow-restart"];
    words.extend(["--login", &login, "--user", "anna"]);
    let said = with_password(&words, "right horse");
    let report = serde_json::from_str(&said.out);
    let report = report.unwrap_or_else(|e| panic!("{e}: {} {}", said.out, said.err));
    assert!(!said.out.contains("right horse") && !said.err.contains("right horse"));
    (site, report, said.err)
}

#[test]
fn a_restart_that_signs_out() {
    let (site, report, err) = restarted("");
    assert!(bad(&report).contains(&"SF514".to_owned()), "{report}");
    let restart = &report["live"]["restarts"][0];
    assert_eq!(restart["token_is_valid"], false, "{restart}");
    assert_eq!(restart["pid_after"].as_i64(), Some(site.pid().into()));
    // The owner's own command, said before it is run.
    let command = restart["command"].as_str().expect("a command");
    assert!(command.ends_with("restart backend"), "{command}");
    let said = err.find(&format!("backend is restarted by: {command}"));
    assert!(said < err.find("became"), "{err}");
    assert!(said.is_some(), "{err}");
}

#[test]
fn a_restart_that_keeps_the_key() {
    let (site, report, err) = restarted(&key());
    assert_eq!(bad(&report), Vec::<String>::new(), "{report}");
    assert_eq!(report["live"]["restarts"][0]["token_is_valid"], true);
    let list = report["checklist"].as_array().expect("a checklist");
    let point = list.iter().find(|p| p["name"] == "sessions persist");
    let words = point.expect("the point")["evidence"].as_str();
    assert!(
        words.is_some_and(|w| w.ends_with("the token of before is valid")),
        "{words:?} {err}"
    );
    // A wrong password: nothing is restarted.
    let pid = site.pid();
    let login = format!("http://127.0.0.1:{}/api/login", site.port);
    let config = site.config();
    let words = [
        "-c",
        &config,
        "--live",
        "--allow-restart",
        "--login",
        &login,
        "--user",
        "anna",
    ];
    let said = with_password(&words, "wrong");
    assert_eq!(said.status, 2, "{}", said.err);
    assert!(said.err.contains("answers 401 to anna"), "{}", said.err);
    assert_eq!(site.pid(), pid);
}

#[test]
fn a_restart_that_fails() {
    let command = format!(
        "{} server:app --host 127.0.0.1 --port PORT --lifespan off",
        venv("uvicorn")
    );
    let keys = format!("{}startretries = 0\nstartsecs = 30\n", key());
    let site = Site::new(&command, &keys, &[("server.py", TOKENS)]);
    // What runs is older than its code.
    fs::write(site.path("app/server.py"), "raise SystemExit(1)\n").expect("written");
    let report = site.report(&["--live", "--allow-restart"]);
    assert!(bad(&report).contains(&"SF515".to_owned()), "{report}");
}
