//! What a session costs: the gateway with `auth = required` beside itself without, requests per CPU-second.
//!
//! The same worker, the same upstream, the same load; the requests of one listener carry a session cookie, are verified,
//! and leave with a token for the program: of one session, and of [`SESSIONS`] in turn on the same connections, as
//! behind another proxy. wrk makes the latter by a script, slower, and a gateway with less to do at a time needs more for
//! each request; so those are compared with requests by the same script, with a program's cookie of the same length.
//! Rounds take turns; what counts is the median of each round's ratio.

use super::gateway::{
    Contender, ROUNDS, free_port, gateway_for, gateways, measure, nginx, table, up,
};
use super::{binary, median};
use crate::setup;
use crate::shell::{note, say};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use storm::installation::Installation;

/// What the listener with sessions has to reach of the one without.
const RATIO_MIN: f64 = 0.9;
const BODY_BYTES: usize = 1024;
/// People at once.
const SESSIONS: usize = 1000;

pub(crate) fn run() -> Result<(), String> {
    setup::packages(&setup::BENCHES)?;
    let exe = binary()?;
    let mut ground = Installation::new(&exe).map_err(|error| format!("no directory: {error}"))?;
    let (off, required) = (free_port()?, free_port()?);
    let dir = ground.dir().to_owned();
    let socket = dir.join("upstream.sock").display().to_string();
    let body = "x".repeat(BODY_BYTES);
    let _upstream = nginx(
        &dir,
        "upstream",
        &format!(
            "server {{ listen unix:{socket}; default_type text/plain; location / {{ return 200 {body}; }}
             location = /login {{ add_header Steadfast-Sign-In ada; return 200 ok; }} }}"
        ),
    )?;
    // The key of an upstream is its program's, and never made.
    let key = format!("SECRET_KEY={}\n", "8d1f5b2c9a7e4630".repeat(4));
    std::fs::write(dir.join("app.env"), key).map_err(|error| format!("app.env: {error}"))?;
    ground
        .configure(&config(&dir, off, required, &socket))
        .and_then(|()| ground.run())
        .map_err(|error| format!("steadfast does not start: {error}"))?;
    up(off).map_err(|why| format!("{why}\n{}", ground.output()))?;
    let cookie = sign_in(required).map_err(|why| format!("{why}\n{}", ground.output()))?;
    let cookie = vec![format!("Cookie: {cookie}")];
    let many: Vec<String> = (0..SESSIONS)
        .map(|_| sign_in(required))
        .collect::<Result<_, _>>()?;
    // As long, and nobody's to look at.
    let plain = many
        .iter()
        .map(|cookie| cookie.replacen("steadfast", "programs_", 1));
    let (script, plain_script) = (dir.join("many.lua"), dir.join("plain.lua"));
    for (path, text) in [
        (&script, in_turn(many.iter().cloned())),
        (&plain_script, in_turn(plain)),
    ] {
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let pids = gateways(&ground)?;
    let contender = |name, port: u16, headers: Vec<String>, script: Option<PathBuf>| {
        Ok::<_, String>(Contender {
            name,
            url: format!("http://127.0.0.1:{port}/"),
            pid: gateway_for(&pids, port, &headers)?,
            headers,
            script,
            rates: Vec::new(),
            per_second: Vec::new(),
        })
    };
    let mut contenders = [
        contender("without sessions", off, Vec::new(), None)?,
        contender("auth = required", required, cookie.clone(), None)?,
        contender("without, 1000 cookies", off, Vec::new(), Some(plain_script))?,
        contender(
            "auth = required, 1000 sessions",
            required,
            cookie,
            Some(script),
        )?,
    ];
    for round in 1..=ROUNDS {
        for contender in &mut contenders {
            measure(contender)?;
        }
        note(&format!("round {round} of {ROUNDS}"));
    }
    table(&contenders);
    ground.end();
    for pair in contenders.chunks_exact(2) {
        let [without, with] = pair else { continue };
        let each = with.rates.iter().zip(&without.rates);
        let ratios: Vec<f64> = each.map(|(with, without)| with / without).collect();
        let spread = ratios
            .iter()
            .copied()
            .fold((f64::MAX, f64::MIN), |(low, high), ratio| {
                (low.min(ratio), high.max(ratio))
            });
        let ratio = median(&ratios);
        let met = if ratio >= RATIO_MIN { "met" } else { "MISSED" };
        say(&format!(
            "{}: {ratio:.2} of without ({:.2} to {:.2}; at least {RATIO_MIN} is wanted: {met})",
            with.name, spread.0, spread.1
        ));
    }
    Ok(())
}

/// A script of wrk's: each request brings the next cookie.
fn in_turn(cookies: impl Iterator<Item = String>) -> String {
    let cookies: String = cookies.map(|cookie| format!("{cookie:?},\n")).collect();
    format!(
        "local cookies = {{\n{cookies}}}\nlocal made, at = {{}}, 0
         init = function()
           for i, cookie in ipairs(cookies) do made[i] = wrk.format(nil, nil, {{Cookie = cookie, Host = wrk.headers.Host}}) end
         end
         request = function() at = at % #made + 1; return made[at] end\n"
    )
}

fn config(dir: &Path, off: u16, required: u16, socket: &str) -> String {
    let dir = dir.display();
    format!(
        "[supervisord]
logfile = {dir}/supervisord.log
pidfile = {dir}/supervisord.pid
[steadfast]
state_dir = {dir}/state
[sessions]
store = sqlite
[gateway:off]
listen = 127.0.0.1:{off}
route = / -> plain
[gateway:required]
listen = 127.0.0.1:{required}
route = / -> app
auth = required
login = /login
[upstream:plain]
connect = unix:{socket}
[upstream:app]
connect = unix:{socket}
secrets = SECRET_KEY
env_file = {dir}/app.env
"
    )
}

/// The session cookie, as a client sends it.
fn sign_in(port: u16) -> Result<String, String> {
    let ask = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let text = "POST /login HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 0\r\n\
                    Connection: close\r\n\r\n";
        stream.write_all(text.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    };
    let answer = ask().ok_or_else(|| format!("nothing answers on port {port}"))?;
    let set = answer
        .lines()
        .find_map(|line| line.strip_prefix("Set-Cookie: "))
        .ok_or_else(|| format!("no cookie: {answer}"))?;
    Ok(set.split(';').next().unwrap_or_default().to_owned())
}
