//! What a session costs: the gateway with `auth = required` beside itself without, requests per CPU-second.
//!
//! The same worker, the same upstream, the same load; the requests of one listener carry a session cookie, are verified,
//! and get a token made for each. Rounds take turns; what counts is the median of each round's ratio.

use super::gateway::{
    Contender, ROUNDS, free_port, gateway_for, gateways, measure, nginx, table, up,
};
use super::{binary, median};
use crate::setup;
use crate::shell::{note, say};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;
use storm::installation::Installation;

/// What the listener with sessions has to reach of the one without.
const RATIO_MIN: f64 = 0.9;
const BODY_BYTES: usize = 1024;

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
    ground
        .configure(&config(&dir, off, required, &socket))
        .and_then(|()| ground.run())
        .map_err(|error| format!("steadfast does not start: {error}"))?;
    up(off).map_err(|why| format!("{why}\n{}", ground.output()))?;
    let cookie = sign_in(required).map_err(|why| format!("{why}\n{}", ground.output()))?;
    let cookie = vec![format!("Cookie: {cookie}")];
    let pids = gateways(&ground)?;
    let contender = |name, port: u16, headers: Vec<String>| {
        Ok::<_, String>(Contender {
            name,
            url: format!("http://127.0.0.1:{port}/"),
            pid: gateway_for(&pids, port, &headers)?,
            headers,
            rates: Vec::new(),
            per_second: Vec::new(),
        })
    };
    let mut contenders = [
        contender("without sessions", off, Vec::new())?,
        contender("auth = required", required, cookie)?,
    ];
    for round in 1..=ROUNDS {
        for contender in &mut contenders {
            measure(contender)?;
        }
        note(&format!("round {round} of {ROUNDS}"));
    }
    table(&contenders);
    ground.end();
    let [without, with] = &contenders;
    let ratios: Vec<f64> = with
        .rates
        .iter()
        .zip(&without.rates)
        .map(|(with, without)| with / without)
        .collect();
    let ratio = median(&ratios);
    say(&format!(
        "auth = required: {ratio:.2} of without (at least {RATIO_MIN} is wanted)"
    ));
    Ok(())
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
