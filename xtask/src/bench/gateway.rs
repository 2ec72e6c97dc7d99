//! The gateway beside nginx: requests per CPU-second of the proxy.
//!
//! One worker each, the same upstream (an nginx that answers 1 kB from memory), the same load (`wrk -t1 -c32`,
//! keep-alive). CPU time from `/proc/PID/stat` of the proxying worker alone. Rounds take turns, so a machine that
//! slows down slows all of them down; what counts is the median of each round's ratio to nginx over loopback TCP.
//! Our limits and time-outs are the defaults, on.

use super::{TICKS_PER_S, binary, median};
use crate::setup;
use crate::shell::{note, output, say};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use storm::installation::Installation;
use storm::{procfs, wait};

/// Many short ones: what else runs on a machine comes and goes within seconds.
pub(super) const ROUNDS: usize = 15;
/// Of one measurement; long against a tick of 10 ms.
const SECONDS: u64 = 2;
const BODY_BYTES: usize = 1024;
const UP_S_MAX: u64 = 15;

pub(super) struct Contender {
    pub(super) name: &'static str,
    pub(super) url: String,
    pub(super) pid: i32,
    /// Lines that each request carries.
    pub(super) headers: Vec<String>,
    /// A script of wrk's that makes the requests.
    pub(super) script: Option<PathBuf>,
    pub(super) rates: Vec<f64>,
    pub(super) per_second: Vec<f64>,
}

/// An nginx of ours; ends with it.
pub(super) struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        procfs::signal(self.0.id() as i32, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

pub(crate) fn run() -> Result<(), String> {
    setup::packages(&setup::BENCHES)?;
    let exe = binary()?;
    let mut ground = Installation::new(&exe).map_err(|error| format!("no directory: {error}"))?;
    let ports: Vec<u16> = (0..5).map(|_| free_port()).collect::<Result<_, _>>()?;
    let dir = ground.dir().to_owned();
    let upstream_socket = dir.join("upstream.sock").display().to_string();
    let upstream_tcp = format!("127.0.0.1:{}", ports[0]);
    let _upstream = nginx(
        &dir,
        "upstream",
        &upstream_config(&upstream_tcp, &upstream_socket),
    )?;
    let over_tcp = nginx(&dir, "over-tcp", &proxy_config(ports[1], &upstream_tcp))?;
    let over_unix = nginx(
        &dir,
        "over-unix",
        &proxy_config(ports[2], &format!("unix:{upstream_socket}")),
    )?;
    ground
        .configure(&our_config(
            &dir,
            ports[3],
            ports[4],
            &upstream_tcp,
            &upstream_socket,
        ))
        .and_then(|()| ground.run())
        .map_err(|error| format!("steadfast does not start: {error}"))?;
    for port in &ports[1..] {
        up(*port).map_err(|why| format!("{why}\n{}", ground.output()))?;
    }
    let gateways = gateways(&ground)?;
    let worker = |nginx: &Nginx| worker_of(nginx.0.id() as i32);
    let contender = |name, port: u16, pid| Contender {
        name,
        url: format!("http://127.0.0.1:{port}/"),
        pid,
        headers: Vec::new(),
        script: None,
        rates: Vec::new(),
        per_second: Vec::new(),
    };
    let mut contenders = [
        contender("nginx over loopback TCP", ports[1], worker(&over_tcp)?),
        contender("nginx over a Unix socket", ports[2], worker(&over_unix)?),
        contender(
            "steadfast over a Unix socket",
            ports[3],
            gateway_for(&gateways, ports[3], &[])?,
        ),
        contender(
            "steadfast over loopback TCP",
            ports[4],
            gateway_for(&gateways, ports[4], &[])?,
        ),
    ];
    for round in 1..=ROUNDS {
        for contender in &mut contenders {
            measure(contender)?;
        }
        note(&format!("round {round} of {ROUNDS}"));
    }
    table(&contenders);
    ground.end();
    Ok(())
}

pub(super) fn free_port() -> Result<u16, String> {
    storm::ports::free().ok_or_else(|| "no free port".to_owned())
}

fn upstream_config(tcp: &str, socket: &str) -> String {
    let body = "x".repeat(BODY_BYTES);
    format!(
        "server {{ listen {tcp}; listen unix:{socket}; location / {{ default_type text/plain; return 200 {body}; }} }}"
    )
}

fn proxy_config(port: u16, upstream: &str) -> String {
    format!(
        "upstream app {{ server {upstream}; keepalive 64; keepalive_requests 100000000; }}
         server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://app; proxy_http_version 1.1;
         proxy_set_header Connection \"\"; proxy_set_header Host $host;
         proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; }} }}"
    )
}

pub(super) fn nginx(dir: &Path, name: &str, servers: &str) -> Result<Nginx, String> {
    let own = dir.join(name);
    std::fs::create_dir_all(&own).map_err(|error| format!("{}: {error}", own.display()))?;
    let config = own.join("nginx.conf");
    let here = own.display();
    let text = format!(
        "daemon off; worker_processes 1; pid {here}/pid; error_log {here}/error.log;
         events {{ worker_connections 1024; }}
         http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {here}/body;
         proxy_temp_path {here}/proxy; fastcgi_temp_path {here}/f; uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;
         {servers} }}"
    );
    std::fs::write(&config, text).map_err(|error| format!("{}: {error}", config.display()))?;
    let program = crate::shell::which("nginx").ok_or("no nginx")?;
    let child = Command::new(program)
        .arg("-e")
        .arg(own.join("error.log"))
        .arg("-c")
        .arg(&config)
        .stdin(Stdio::null())
        .spawn()
        .map_err(|error| format!("nginx: {error}"))?;
    Ok(Nginx(child))
}

fn our_config(dir: &Path, unix_port: u16, tcp_port: u16, tcp: &str, socket: &str) -> String {
    let dir = dir.display();
    format!(
        "[supervisord]
logfile = {dir}/supervisord.log
pidfile = {dir}/supervisord.pid
[steadfast]
state_dir = {dir}/state
[gateway:unix]
listen = 127.0.0.1:{unix_port}
route = / -> app-unix
[gateway:tcp]
listen = 127.0.0.1:{tcp_port}
route = / -> app-tcp
[upstream:app-unix]
connect = unix:{socket}
[upstream:app-tcp]
connect = {tcp}
"
    )
}

pub(super) fn up(port: u16) -> Result<(), String> {
    let target = storm::client::Target::Tcp(([127, 0, 0, 1], port).into());
    let ask = || wrk_less_get(&target);
    wait::until(Duration::from_secs(UP_S_MAX), || {
        (ask() == Some(BODY_BYTES)).then_some(())
    })
    .ok_or_else(|| format!("nothing answers with {BODY_BYTES} bytes on port {port}"))
}

/// The length of one answer's body.
fn wrk_less_get(target: &storm::client::Target) -> Option<usize> {
    use std::io::{Read, Write};
    let storm::client::Target::Tcp(address) = target else {
        return None;
    };
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .ok()?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then_some(body.len())
}

fn worker_of(master: i32) -> Result<i32, String> {
    let children = format!("/proc/{master}/task/{master}/children");
    wait::until(Duration::from_secs(UP_S_MAX), || {
        std::fs::read_to_string(&children)
            .ok()?
            .split_whitespace()
            .next()?
            .parse()
            .ok()
    })
    .ok_or_else(|| "nginx has no worker".to_owned())
}

pub(super) fn gateways(ground: &Installation) -> Result<Vec<i32>, String> {
    let found: Vec<i32> = ground
        .processes()
        .into_iter()
        .filter(|process| process.has("__gateway"))
        .map(|process| process.pid)
        .collect();
    if found.is_empty() {
        Err(format!("no gateway runs\n{}", ground.output()))
    } else {
        Ok(found)
    }
}

/// The gateway process that uses CPU when its port is asked: one may serve both listeners.
pub(super) fn gateway_for(gateways: &[i32], port: u16, headers: &[String]) -> Result<i32, String> {
    let before: Vec<u64> = gateways
        .iter()
        .map(|pid| procfs::cpu_ticks(*pid).unwrap_or(0))
        .collect();
    wrk(&format!("http://127.0.0.1:{port}/"), 1, headers, None)?;
    let used = gateways
        .iter()
        .zip(before)
        .max_by_key(|(pid, before)| procfs::cpu_ticks(**pid).unwrap_or(0) - before);
    used.map(|(pid, _)| *pid)
        .ok_or_else(|| "no gateway runs".to_owned())
}

fn wrk(url: &str, seconds: u64, headers: &[String], script: Option<&Path>) -> Result<u64, String> {
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c32", &format!("-d{seconds}s"), url]);
    for header in headers {
        command.args(["-H", header]);
    }
    if let Some(script) = script {
        command.arg("-s").arg(script);
    }
    let text = output(&mut command)?;
    for bad in ["Non-2xx", "Socket errors"] {
        if let Some(line) = text.lines().find(|line| line.contains(bad)) {
            return Err(format!("{url}: {}", line.trim()));
        }
    }
    let words = text
        .lines()
        .find_map(|line| line.split_once(" requests in "))
        .map(|(count, _)| count.trim());
    words
        .and_then(|count| count.parse().ok())
        .ok_or_else(|| format!("wrk said: {text}"))
}

pub(super) fn measure(contender: &mut Contender) -> Result<(), String> {
    let ticks =
        || procfs::cpu_ticks(contender.pid).ok_or_else(|| format!("{} has ended", contender.name));
    let before = ticks()?;
    let requests = wrk(
        &contender.url,
        SECONDS,
        &contender.headers,
        contender.script.as_deref(),
    )? as f64;
    let used_s = (ticks()? - before) as f64 / TICKS_PER_S;
    if used_s <= 0.0 {
        return Err(format!(
            "{} used no CPU time: pid {} is not what answers",
            contender.name, contender.pid
        ));
    }
    contender.rates.push(requests / used_s);
    contender.per_second.push(requests / SECONDS as f64);
    Ok(())
}

pub(super) fn table(contenders: &[Contender]) {
    let base = &contenders[0].rates;
    say(&format!(
        "gateway, {BODY_BYTES} bytes, wrk -t1 -c32, one worker, median of {ROUNDS} rounds of {SECONDS} s in turn"
    ));
    say(&format!(
        "{:<30} {:>20} {:>14} {:>12}",
        "", "requests/CPU-second", "ratio", "requests/s"
    ));
    for contender in contenders {
        let ratios: Vec<f64> = contender
            .rates
            .iter()
            .zip(base)
            .map(|(own, base)| own / base)
            .collect();
        say(&format!(
            "{:<30} {:>20.0} {:>14.2} {:>12.0}",
            contender.name,
            median(&contender.rates),
            median(&ratios),
            median(&contender.per_second),
        ));
    }
}
