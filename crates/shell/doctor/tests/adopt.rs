//! `steadfast adopt`: the difference, and that its result is still Supervisor's.

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::site::{KEY, Site, until, venv};

const SERVER: &str = "import os
KEY = os.environ['SECRET_KEY']
HEALTH = '/api/health'
async def app(scope, receive, send):
    if scope['type'] == 'lifespan':
        while True:
            message = await receive()
            await send({'type': message['type'] + '.complete'})
            if message['type'] == 'lifespan.shutdown':
                return
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': b'ok'})
";

/// Status, data, the rest.
fn adopt(words: &[&str]) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
    let mut io = doctor::Io {
        out: &mut out,
        err: &mut err,
        input: &mut std::io::empty(),
        env: BTreeMap::new(),
        cwd: "/".to_owned(),
        now_unix_s: sys::clock::wall_ms() / 1000,
    };
    let status = doctor::adopt(&words, &mut io);
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status, text(out), text(err))
}

#[test]
fn the_result_still_runs_under_the_real_supervisord() {
    let command = format!(
        "{} server:app --host 127.0.0.1 --port PORT --reload",
        venv("uvicorn")
    );
    let site = Site::new(
        &command,
        &format!("environment = SECRET_KEY=\"{KEY}\"\n"),
        &[("server.py", SERVER), (".env", "A=1\n")],
    );
    let nginx = site.path("nginx.conf");
    let text = format!(
        "server {{\n  location / {{\n    proxy_pass http://127.0.0.1:{};  # the backend\n    proxy_read_timeout 20s;\n  }}\n}}\n",
        site.port
    );
    fs::write(&nginx, &text).expect("written");
    let before = fs::read_to_string(site.config()).expect("is read");
    let (status, out, err) = adopt(&[&site.config(), "--nginx", &nginx.display().to_string()]);
    assert_eq!(status, 0, "{err}");
    for line in [
        "+listen = gateway",
        "+ready = http:/api/health",
        "+secrets = SECRET_KEY",
        "+env_file = .env",
        "+[steadfast]",
        "+    proxy_read_timeout 60s;",
    ] {
        assert!(out.lines().any(|l| l == line), "{line} is not in:\n{out}");
    }
    assert!(
        !out.contains(KEY) && err.contains("leads to backend: stays as it is"),
        "{out}{err}"
    );
    assert_eq!(
        fs::read_to_string(site.config()).expect("is read"),
        before,
        "it wrote without --write"
    );

    let (status, _, err) = adopt(&[
        &site.config(),
        "--nginx",
        &nginx.display().to_string(),
        "--write",
    ]);
    assert_eq!(status, 0, "{err}");
    assert!(
        !fs::read_to_string(site.config())
            .expect("is read")
            .contains("--reload")
    );
    let old = site.pid();
    let said = site.ctl(&["update", "backend"]);
    assert!(said.contains("updated process group"), "{said}");
    until("a new process", || (site.pid() != old).then_some(()));
    site.answers();
    let (status, out, _) = adopt(&[&site.config()]);
    assert_eq!(
        (status, out.as_str()),
        (0, ""),
        "a second time changes something"
    );
}

#[test]
fn what_cannot_be_adopted_is_named() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let config = dir.path().join("supervisord.conf");
    fs::write(&config, "[supervisord]\n[program:a]\ncommand = npm start\ndirectory = %(here)s\n[program:b]\ncommand = celery -A x worker\n").expect("written");
    fs::write(
        dir.path().join("package.json"),
        "{\"scripts\": {\"start\": \"node server.js\"}}",
    )
    .expect("written");
    let (status, out, err) = adopt(&[&config.display().to_string()]);
    assert_eq!(status, 1, "{out}{err}");
    assert!(err.contains("a: stays as it is: "), "{err}");
    assert!(!out.contains("listen"), "{out}");
    assert_eq!(adopt(&["/nothing/at/all.conf"]).0, 2);
}
