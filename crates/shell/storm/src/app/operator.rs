//! The hand on the demo page's buttons: a second small program that uses Steadfast's command line as an operator would.
//!
//! It is no part of the app, so it answers while the app is down. It acts by POST only, for this machine's own pages.

use super::routes::{Reply, json, not_allowed};
use crate::fault::PROGRAM;
use crate::procfs;
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;

/// Where it is mounted.
pub(super) const PREFIX: &str = "/demo/";
/// More text than a page can show.
const SAID_BYTES_MAX: usize = 4 * 1024;

/// See the module.
pub(super) struct Operator {
    exe: PathBuf,
    config: PathBuf,
}

impl Operator {
    /// Of the installation with this configuration, whose run directory is in the environment.
    pub(super) fn new(config: PathBuf) -> std::io::Result<Operator> {
        let exe = std::env::current_exe()?;
        Ok(Operator { exe, config })
    }

    fn say(&self, args: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(&self.exe);
        command.args(args).arg("-c").arg(&self.config);
        match command.stdin(Stdio::null()).output() {
            Ok(output) => {
                let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
                text.push_str(&String::from_utf8_lossy(&output.stderr));
                (output.status.code(), text)
            }
            Err(error) => (None, format!("steadfast {}: {error}", args.join(" "))),
        }
    }

    fn signal(&self, signal: Signal, done: &str) -> String {
        let (_, text) = self.say(&["pid", PROGRAM]);
        match text.trim().parse() {
            Ok(pid) if procfs::signal(pid, signal) => format!("pid {pid} {done}"),
            Ok(pid) => format!("pid {pid} is gone already"),
            Err(_) => format!("no process to signal: {}", text.trim()),
        }
    }

    /// The next deploy does not start; the one that runs goes on. Then the file is mended.
    fn broken_deploy(&self) -> String {
        let Ok(sound) = std::fs::read_to_string(&self.config) else {
            return format!("{} cannot be read", self.config.display());
        };
        let write = |text: &str| write_whole(&self.config, text);
        if let Err(error) = write(&broken(&sound)) {
            return format!("{}: {error}", self.config.display());
        }
        let (exit, said) = self.say(&["update"]);
        let said = about_program(&said);
        let mended = write(&sound).map(|()| self.say(&["update"]));
        let exit = exit.map_or_else(|| "a signal".to_owned(), |exit| exit.to_string());
        let mended = match mended {
            Ok((Some(0), _)) => "The file is mended, and updated again.".to_owned(),
            Ok((_, said)) => format!("The file is mended; update says: {}", said.trim()),
            Err(error) => format!("{}: {error}", self.config.display()),
        };
        format!(
            "steadfast update ended with {exit}:\n{}\n{mended}",
            said.trim()
        )
    }

    fn act(&self, what: &str) -> Option<String> {
        Some(match what {
            "crash" => self.signal(Signal::KILL, "got SIGKILL"),
            "hang" => self.signal(
                Signal::STOP,
                "is stopped; three checks in a row have to fail",
            ),
            "restart" => self.say(&["restart", PROGRAM]).1,
            "deploy" => self.broken_deploy(),
            "rotate" => self.say(&["secrets", "rotate", "SECRET_KEY"]).1,
            _ => return None,
        })
    }
}

/// From the first line about the app on: what `update` says about the file comes before it.
fn about_program(said: &str) -> String {
    let lines = said.lines().skip_while(|line| !line.starts_with(PROGRAM));
    let text: Vec<&str> = lines.collect();
    match text.is_empty() {
        true => said.to_owned(),
        false => text.join("\n"),
    }
}

/// In one piece: a reader sees the old file or the new one.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text)?;
    std::fs::rename(beside, path)
}

/// The configuration with an app that fails as a broken deploy does.
fn broken(sound: &str) -> String {
    let lines = sound.lines().map(|line| {
        let app = line.contains("__demo-app") && !line.contains("--operate");
        let end = if app { " --broken" } else { "" };
        format!("{line}{end}\n")
    });
    lines.collect()
}

/// A page of this machine asks, not one of another site that the browser has open as well.
fn is_own(request: &Request<Incoming>) -> bool {
    let header = |name: &str| {
        let value = request.headers().get(name);
        value.and_then(|value| value.to_str().ok())
    };
    let host = header("host").unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let here = matches!(name, "127.0.0.1" | "localhost" | "[::1]");
    let same_site = header("sec-fetch-site").is_none_or(|site| site == "same-origin");
    let same_origin = header("origin").is_none_or(|origin| origin == format!("http://{host}"));
    here && same_site && same_origin
}

/// Answers one request.
pub(super) async fn answer(operator: Rc<Operator>, request: Request<Incoming>) -> Reply {
    if request.method() != Method::POST {
        return Ok(not_allowed());
    }
    if !is_own(&request) {
        let why = "the demo's buttons work from its own page only";
        return Ok(json(
            StatusCode::FORBIDDEN,
            &serde_json::json!({"said": why}),
        ));
    }
    let what = request.uri().path().strip_prefix(PREFIX).unwrap_or("");
    let what = what.to_owned();
    let (exe, config) = (operator.exe.clone(), operator.config.clone());
    // Commands take their time; several buttons may be pressed.
    let acted = tokio::task::spawn_blocking(move || Operator { exe, config }.act(&what)).await;
    Ok(match acted {
        Ok(Some(mut said)) => {
            while said.len() > SAID_BYTES_MAX {
                said.pop();
            }
            json(StatusCode::OK, &serde_json::json!({"said": said}))
        }
        Ok(None) => json(
            StatusCode::NOT_FOUND,
            &serde_json::json!({"said": "no such button"}),
        ),
        Err(error) => json(
            StatusCode::INTERNAL_SERVER_ERROR,
            &serde_json::json!({"said": error.to_string()}),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_deploy_breaks_the_app_and_not_the_operator() {
        let sound = "[program:backend]\nsteadfast_command = x __demo-app --uds %(socket)s\n\
                     [program:operator]\nsteadfast_command = x __demo-app --operate /c --uds %(socket)s\n";
        let broken = broken(sound);
        assert_eq!(broken.matches("--broken").count(), 1);
        assert!(
            broken.contains("__demo-app --uds %(socket)s --broken\n"),
            "{broken}"
        );
    }
}
