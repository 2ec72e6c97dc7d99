//! `steadfast demo`: the main job with nothing but this binary. A sample app is supervised behind the gateway,
//! in a directory that is gone afterwards; with a storm, it is broken on purpose while users are busy.

use crate::client::Target;
use crate::fault::{self, Ground, PROGRAM, Strike};
use crate::installation::Installation;
use crate::load::{Plan, Running};
use crate::{app, report, wait};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The port that the story's backend has.
pub const PORT: u16 = 8001;
/// Users of a storm unless told otherwise.
pub const USERS: usize = 50;
/// The app is up after half a second; a loaded machine gets longer.
const UP_S_MAX: u64 = 30;
/// A user rests so long between two requests: 50 users make about 2,000 requests a second, as many as leave
/// the faults, not the load, to decide.
const PAUSE_MS: u64 = 20;
/// Undisturbed time after a strike, before the next.
const CALM_MS: u64 = 400;
/// Requests before the first strike: everybody has signed in.
const WARM_REQUESTS: usize = 200;

/// What was asked for.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// This binary.
    pub exe: PathBuf,
    /// Port; [`PORT`] becomes a free one if it is taken, any other must be free.
    pub port: u16,
    /// Storm for so long instead of waiting for Ctrl-C.
    pub storm: Option<Duration>,
    /// Users of the storm.
    pub users: usize,
    /// The report as JSON.
    pub json: bool,
}

/// Runs the demo; the exit status (0 the promise held or Ctrl-C, 1 it did not hold, 2 could not). Data goes to
/// `out`, the rest to `notes`.
pub fn run(options: &DemoOptions, out: &mut dyn Write, notes: &mut dyn Write) -> u8 {
    match demo(options, out, notes) {
        Ok(status) => status,
        Err(why) => {
            let _ = writeln!(notes, "error: {why}");
            2
        }
    }
}

fn demo(options: &DemoOptions, out: &mut dyn Write, notes: &mut dyn Write) -> Result<u8, String> {
    let stop = stop_flag().map_err(|error| format!("signals cannot be caught: {error}"))?;
    let stopped = || stop.load(Ordering::Relaxed);
    let port = port(options.port, notes)?;
    let mut installation = Installation::new(&options.exe)
        .map_err(|error| format!("no directory for the demo: {error}"))?;
    let sound = configuration(options, &installation, port, false);
    let broken = configuration(options, &installation, port, true);
    installation
        .configure(&sound)
        .and_then(|()| installation.run())
        .map_err(|error| format!("{} cannot be started: {error}", options.exe.display()))?;
    come_up(&mut installation, &stopped)?;
    if stopped() {
        installation.end();
        return Ok(0);
    }
    let status = match options.storm {
        Some(time) => {
            let ground = Weather {
                installation: &installation,
                sound: &sound,
                broken: &broken,
                port,
            };
            storm(options, time, &ground, out, notes, &stopped)
        }
        None => {
            tell(&installation, options, port, out);
            wait_for_end(&mut installation, &stopped)
        }
    };
    installation.end();
    status
}

/// True as soon as SIGINT or SIGTERM came.
fn stop_flag() -> std::io::Result<Arc<AtomicBool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let flag = Arc::new(AtomicBool::new(false));
    let inside = flag.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            });
            inside.store(true, Ordering::Relaxed);
        })?;
    Ok(flag)
}

fn port(asked: u16, notes: &mut dyn Write) -> Result<u16, String> {
    let free = |port: u16| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.local_addr().map(|address| address.port())
    };
    match free(asked) {
        Ok(port) => Ok(port),
        Err(_) if asked == PORT => {
            let port = free(0).map_err(|error| format!("no free port: {error}"))?;
            let _ = writeln!(notes, "port {PORT} is taken, so the demo takes {port}");
            Ok(port)
        }
        Err(error) => Err(format!("port {asked} cannot be had: {error}")),
    }
}

/// The supervisord.conf of the demo: valid for the real supervisord, too.
fn configuration(
    options: &DemoOptions,
    installation: &Installation,
    port: u16,
    broken: bool,
) -> String {
    let dir = installation.dir().display();
    let exe = options.exe.display();
    let broken = if broken { " --broken" } else { "" };
    // A storm measures the app alone; a page has buttons, and somebody who is signed in.
    let (signing, routes, operator) = match options.storm {
        Some(_) => ("", format!("route = / -> {PROGRAM}\n"), String::new()),
        None => (
            "signing = SECRET_KEY\n",
            format!(
                "route = / -> {PROGRAM}\n    /demo -> operator\nauth = optional\nlogin = /api/auth/login\n"
            ),
            operator(options, installation),
        ),
    };
    format!(
        "[supervisord]
logfile = {dir}/supervisord.log
pidfile = {dir}/supervisord.pid
childlogdir = {dir}

[unix_http_server]
file = {dir}/supervisor.sock

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl = unix://{dir}/supervisor.sock

[steadfast]
state_dir = {dir}/state

[program:{PROGRAM}]
command = \"{exe}\" __demo-app --port {port}{broken}
steadfast_command = \"{exe}\" __demo-app --uds %(socket)s{broken}
directory = {dir}
environment = EFFECT_LOG=\"{dir}/effects.log\"
redirect_stderr = true
stdout_logfile = {dir}/{PROGRAM}.log
listen = gateway
env_file = .env
secrets = SECRET_KEY
{signing}ready = http:/api/health
keepalive = 1s
unhealthy = restart after 3
replace = overlap

[gateway:web]
listen = 127.0.0.1:{port}
{routes}{operator}"
    )
}

/// The hand on the page's buttons, and where sessions are kept.
fn operator(options: &DemoOptions, installation: &Installation) -> String {
    let dir = installation.dir().display();
    let config = installation.config();
    let (exe, config) = (options.exe.display(), config.display());
    format!(
        "
[program:operator]
command = \"{exe}\" __demo-app --operate \"{config}\" --port 0
steadfast_command = \"{exe}\" __demo-app --operate \"{config}\" --uds %(socket)s
directory = {dir}
redirect_stderr = true
stdout_logfile = {dir}/operator.log
listen = gateway

[sessions]
store = sqlite
"
    )
}

fn come_up(installation: &mut Installation, stopped: &dyn Fn() -> bool) -> Result<(), String> {
    let up = wait::until(Duration::from_secs(UP_S_MAX), || {
        if stopped() {
            return Some(Ok(()));
        }
        if let Some(status) = installation.root_ended() {
            return Some(Err(format!("steadfast run ended with status {status}")));
        }
        installation
            .wait_ready(PROGRAM, Duration::ZERO)
            .map(|_| Ok(()))
    });
    let why = match up {
        Some(Ok(())) => return Ok(()),
        Some(Err(why)) => why,
        None => format!("the app was not ready within {UP_S_MAX} s"),
    };
    Err(format!(
        "{why}; steadfast run said:\n{}",
        installation.output().trim_end()
    ))
}

fn tell(installation: &Installation, options: &DemoOptions, port: u16, out: &mut dyn Write) {
    let exe = options.exe.display();
    let run_dir = installation.path("run");
    let config = installation.config();
    let (run_dir, config) = (run_dir.display(), config.display());
    let _ = write!(
        out,
        "open http://127.0.0.1:{port} and leave it open while you try, in another terminal:

  export STEADFAST_RUN_DIR={run_dir}
  {exe} status -c {config}
  {exe} restart {PROGRAM} -c {config}
  {exe} history -c {config}
  curl -X POST http://127.0.0.1:{port}/api/crash
  kill -9 $({exe} pid {PROGRAM} -c {config})

its supervisord.conf is {config}
or let it be broken for you: {exe} demo --storm 20s
Ctrl-C ends it and leaves nothing behind
"
    );
    let _ = out.flush();
}

fn wait_for_end(installation: &mut Installation, stopped: &dyn Fn() -> bool) -> Result<u8, String> {
    /// Somebody's afternoon; the wait ends with a signal or with root.
    const DAY_S: u64 = 24 * 3600;
    let ended = wait::until(Duration::from_secs(DAY_S), || {
        if stopped() {
            return Some(Ok(0));
        }
        let status = installation.root_ended()?;
        // `steadfast shutdown` in the other terminal is a good end.
        Some(if status == 0 {
            Ok(0)
        } else {
            Err(format!("steadfast run ended with status {status}"))
        })
    });
    ended.unwrap_or(Ok(0))
}

struct Weather<'a> {
    installation: &'a Installation,
    sound: &'a str,
    broken: &'a str,
    port: u16,
}

fn storm(
    options: &DemoOptions,
    time: Duration,
    weather: &Weather<'_>,
    out: &mut dyn Write,
    notes: &mut dyn Write,
    stopped: &dyn Fn() -> bool,
) -> Result<u8, String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, weather.port));
    let plan = Plan {
        pause: Duration::from_millis(PAUSE_MS),
        ..Plan::new(Target::Tcp(address), options.users.max(1))
    };
    let load = Running::start(plan).map_err(|error| format!("no thread for the users: {error}"))?;
    let _ = writeln!(
        notes,
        "open http://{address} and leave it open; {} users are busy for {} s.",
        options.users,
        time.as_secs()
    );
    if !load.wait_good(
        WARM_REQUESTS.max(options.users),
        Duration::from_secs(UP_S_MAX),
    ) {
        let log = load.stop();
        return Err(format!(
            "the app does not answer through the gateway: {}",
            log.describe_bad()
        ));
    }
    let ground = Ground {
        installation: weather.installation,
        load: &load,
        sound: weather.sound,
        broken: weather.broken,
    };
    let strikes = strikes(time, &ground, notes, stopped);
    let log = load.stop();
    let effects = app::count_effects(&weather.installation.path("effects.log"));
    let report = report::report(&strikes, &log, &effects);
    let text = if options.json {
        format!("{}\n", report.json())
    } else {
        report.text()
    };
    out.write_all(text.as_bytes())
        .map_err(|error| format!("the report cannot be written: {error}"))?;
    Ok(if report.held() { 0 } else { 1 })
}

fn strikes(
    time: Duration,
    ground: &Ground<'_>,
    notes: &mut dyn Write,
    stopped: &dyn Fn() -> bool,
) -> Vec<Strike> {
    let begun = Instant::now();
    let mut strikes = Vec::new();
    while begun.elapsed() < time && !stopped() {
        let fault = fault::in_turn(strikes.len());
        let strike = fault::strike(fault, ground);
        if let Some(why) = &strike.wrong {
            let _ = writeln!(notes, "{}: {why}", fault.name());
        }
        strikes.push(strike);
        wait::pace(Duration::from_millis(CALM_MS), stopped);
    }
    strikes
}
