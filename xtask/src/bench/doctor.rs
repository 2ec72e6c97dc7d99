//! The doctor on 50 programs: what is looked at in full, files only and below a real supervisord that runs them.

use super::{binary, median};
use crate::setup;
use crate::shell::{note, say};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use storm::installation::Installation;
use storm::wait;

const PROGRAMS: usize = 50;
/// Source files of each program, of some 3 kB.
const FILES: usize = 20;
const RUNS: usize = 11;
const UP_S_MAX: u64 = 60;
/// What the doctor may take.
const BUDGET_MS: f64 = 300.0;

pub(crate) fn run() -> Result<(), String> {
    let supervisord = setup::venv()?.join("bin/supervisord");
    let steadfast = binary()?;
    let mut ground = Installation::new(&supervisord).map_err(|error| error.to_string())?;
    let text = site(ground.dir()).map_err(|error| error.to_string())?;
    ground.configure(&text).map_err(|error| error.to_string())?;
    let config = ground.config().display().to_string();
    let files = measure(&steadfast, &config)?;
    ground
        .run_with(&["-n", "-c", &config])
        .map_err(|error| error.to_string())?;
    wait::until(Duration::from_secs(UP_S_MAX), || {
        // Its log is made when a program is started.
        let started = |number| ground.path(&format!("p{number}.log")).exists();
        (0..PROGRAMS).all(started).then_some(())
    })
    .ok_or("supervisord did not start its programs")?;
    note(&format!("{PROGRAMS} programs run"));
    let running = measure(&steadfast, &config)?;
    ground.end();
    say(&format!(
        "{PROGRAMS} programs, {FILES} source files each    median of {RUNS}   slowest"
    ));
    for (name, times) in [("only files", &files), ("running", &running)] {
        let slowest = times.iter().copied().fold(0.0, f64::max);
        say(&format!(
            "{name:<40} {:>8.1} ms {slowest:>8.1} ms",
            median(times)
        ));
    }
    match median(&running).max(median(&files)) <= BUDGET_MS {
        true => Ok(()),
        false => Err(format!("the budget is {BUDGET_MS} ms")),
    }
}

/// The directories of all programs, and their configuration.
fn site(dir: &Path) -> std::io::Result<String> {
    let here = dir.display();
    let mut text = format!(
        "[supervisord]\nlogfile = {here}/supervisord.log\npidfile = {here}/supervisord.pid\nchildlogdir = {here}\n\
         [unix_http_server]\nfile = {here}/s.sock\n[rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
    );
    let code = format!(
        "import os\nKEY = os.environ['SECRET_KEY']\n{}",
        "def f(x):\n    return x + 1\n".repeat(100)
    );
    for number in 0..PROGRAMS {
        let app = dir.join(format!("app{number}"));
        std::fs::create_dir_all(&app)?;
        for file in 0..FILES {
            std::fs::write(app.join(format!("m{file}.py")), &code)?;
        }
        let app = app.display();
        text.push_str(&format!(
            "[program:p{number}]\ncommand = sleep 86400\ndirectory = {app}\n\
             startsecs = 0\nstdout_logfile = {here}/p{number}.log\nredirect_stderr = true\n"
        ));
    }
    Ok(text)
}

/// How long whole runs of the binary take, in ms.
fn measure(steadfast: &Path, config: &str) -> Result<Vec<f64>, String> {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let begun = Instant::now();
        let status = Command::new(steadfast)
            .args(["doctor", "-c", config])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(|error| error.to_string())?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        if status.code().is_none_or(|code| code > 1) {
            return Err("the doctor could not look".to_owned());
        }
    }
    Ok(times)
}
