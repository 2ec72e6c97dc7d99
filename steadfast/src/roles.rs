//! Roles of this binary that people do not start by hand, and the demo.

use crate::{args, printer};
use std::path::PathBuf;
use std::process::ExitCode;

/// Descriptor at which root puts the daemon's socket.
const ROOT_FD: i32 = 3;

/// Runs a hidden role, if this is one.
pub(crate) fn hidden(words: &[String]) -> Option<ExitCode> {
    match words.get(1).map(String::as_str) {
        Some("__daemon") => Some(daemon_role(&words[2..])),
        Some("__gateway") => Some(gateway::run()),
        Some("__demo-app") => Some(ExitCode::from(storm::app::run(
            &words[2..],
            &mut std::io::stderr(),
        ))),
        _ => None,
    }
}

fn daemon_role(words: &[String]) -> ExitCode {
    let Some(root) = sys::fds::take(ROOT_FD) else {
        printer::error("__daemon is started by `steadfast run`, not by hand");
        return ExitCode::from(2);
    };
    let mut options = daemon::DaemonOptions {
        root,
        run_dir: PathBuf::new(),
        state_dir: PathBuf::new(),
        source: daemon::Source::Command(Vec::new()),
        dev: false,
        as_supervisord: false,
        detached: false,
        settings: Vec::new(),
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().cloned().unwrap_or_default();
        match word.as_str() {
            "--run-dir" => options.run_dir = value().into(),
            "--state-dir" => options.state_dir = value().into(),
            "-c" => options.source = daemon::Source::File(value().into()),
            "--dev" => options.dev = true,
            "--as-supervisord" => options.as_supervisord = true,
            "--detached" => options.detached = true,
            "--set" => options.settings.extend(
                value()
                    .split_once('=')
                    .map(|(k, v)| (k.to_owned(), v.to_owned())),
            ),
            "--" => {
                options.source = daemon::Source::Command(words.by_ref().cloned().collect());
            }
            other => {
                printer::error(&format!("__daemon does not know {other}"));
                return ExitCode::from(2);
            }
        }
    }
    sys::signal::ignore_pipe();
    bugs::tell();
    let status = daemon::run(
        options,
        Box::new(|say| match say {
            daemon::Say::Out(line) => printer::out(&line),
            daemon::Say::Err(line) => printer::note(&line),
        }),
    );
    ExitCode::from(u8::try_from(status.clamp(0, 255)).unwrap_or(2))
}

/// `steadfast demo`.
pub(crate) fn demo(demo: &args::Demo, json: bool) -> u8 {
    let storm = match demo.storm.as_deref().map(duration) {
        None => None,
        Some(Some(time)) => Some(time),
        Some(None) => {
            printer::error("--storm takes a time: 20s, 2m");
            return 2;
        }
    };
    let exe = match std::env::current_exe() {
        Ok(exe) => exe,
        Err(error) => {
            printer::error(&format!("cannot find this program's own file: {error}"));
            return 2;
        }
    };
    let users = demo.users.unwrap_or(storm::demo::USERS);
    let options = storm::demo::DemoOptions {
        exe,
        port: demo.port,
        storm,
        users,
        json,
    };
    storm::demo::run(&options, &mut crate::printer::Raw, &mut std::io::stderr())
}

/// `SF101`: the code of a finding, not a process.
pub(crate) fn is_finding(name: &str) -> bool {
    name.strip_prefix("SF")
        .is_some_and(|digits| digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Gives the doctor its way in and out.
pub(crate) fn with_doctor(run: impl FnOnce(&mut doctor::Io<'_>) -> u8) -> u8 {
    let cwd = std::env::current_dir().map(|path| path.to_string_lossy().into_owned());
    run(&mut doctor::Io {
        out: &mut crate::printer::Raw,
        err: &mut std::io::stderr(),
        input: &mut std::io::stdin(),
        env: crate::check::environment(),
        cwd: cwd.unwrap_or_else(|_| "/".into()),
        now_unix_s: sys::clock::wall_ms() / 1000,
    })
}

/// `20s`, `2m`, `90`.
fn duration(text: &str) -> Option<std::time::Duration> {
    let (number, unit) = match text.strip_suffix('m') {
        Some(number) => (number, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    number
        .parse::<u64>()
        .ok()
        .filter(|number| *number > 0)
        .map(|number| std::time::Duration::from_secs(number * unit))
}

#[cfg(test)]
mod tests {
    #[test]
    fn durations() {
        let seconds = |text| super::duration(text).map(|time| time.as_secs());
        assert_eq!(
            [
                seconds("20s"),
                seconds("2m"),
                seconds("9"),
                seconds("x"),
                seconds("0s")
            ],
            [Some(20), Some(120), Some(9), None, None]
        );
    }
}
