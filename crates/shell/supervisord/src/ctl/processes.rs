//! Commands about processes: status, pid, start, stop, restart, signal, clear, fg.

use control::Fault as Kind;

use super::results::{Fared, Words};
use super::shell::{Flow, Ran, Shell, status};
use crate::names;
use crate::xmlrpc::Value;

/// Columns of a name in `status`, as long as no name is longer.
const NAME_COLUMNS: usize = 30;

fn text<'a>(info: &'a Value, key: &str) -> &'a str {
    info.get(key).and_then(Value::as_str).unwrap_or("")
}

fn number(info: &Value, key: &str) -> i32 {
    let number = info.get(key).and_then(Value::as_int).unwrap_or(0);
    i32::try_from(number).unwrap_or(0)
}

/// A command for processes by name.
struct Work<'a> {
    one: &'static str,
    group: &'static str,
    all: &'static str,
    /// Parameters behind the name.
    more: &'a [Value],
    words: Words,
    ignored: Option<Kind>,
    /// Exit status of a group that does not exist.
    no_group: u8,
}

impl Shell<'_, '_> {
    pub(super) fn status(&mut self, arg: &str) -> Ran {
        let up = self.upcheck();
        if !matches!(up, Ok(true)) {
            // Whatever the check says. An unexpected error keeps its own.
            if matches!(up, Ok(false)) {
                self.exit = status::STATUS_UNKNOWN;
            }
            return up.map(|_| Flow::Next);
        }
        let all = self.call("getAllProcessInfo", &[])?;
        let all = all.as_array().unwrap_or(&[]);
        let names: Vec<&str> = arg.split_whitespace().collect();
        let mut shown: Vec<&Value> = Vec::new();
        if names.is_empty() || names.contains(&"all") {
            shown.extend(all);
        } else {
            for name in names {
                shown.extend(self.matching(all, name));
            }
        }
        let spec = |info: &Value| names::join(text(info, "group"), text(info, "name"));
        let longest = shown.iter().map(|info| spec(info).chars().count()).max();
        let width = longest.unwrap_or(0).max(NAME_COLUMNS) + 3;
        for info in &shown {
            let (name, state) = (spec(info), text(info, "statename"));
            let line = format!("{name:<width$}{state:<10}{}", text(info, "description"));
            self.say(&line);
        }
        if shown
            .iter()
            .any(|info| names::is_stopped(number(info, "state")))
        {
            self.exit = status::STATUS_NOT_RUNNING;
        }
        Ok(Flow::Next)
    }

    fn matching<'v>(&mut self, all: &'v [Value], name: &str) -> Vec<&'v Value> {
        let (group, process) = names::split(name);
        let fits = |info: &&Value| {
            text(info, "group") == group && process.is_none_or(|p| text(info, "name") == p)
        };
        let found: Vec<&Value> = all.iter().filter(fits).collect();
        if found.is_empty() {
            let words = match process {
                None => format!("{group}: ERROR (no such group)"),
                Some(_) => format!("{name}: ERROR (no such process)"),
            };
            let _ = self.fail(&words, status::STATUS_UNKNOWN);
        }
        found
    }

    pub(super) fn pid(&mut self, arg: &str) -> Ran {
        if !self.upcheck()? {
            return Ok(Flow::Next);
        }
        let names: Vec<&str> = arg.split_whitespace().collect();
        if names.is_empty() {
            let pid = self.call("getPID", &[])?.as_int().unwrap_or(0);
            self.say(&pid.to_string());
        } else if names.contains(&"all") {
            let all = self.call("getAllProcessInfo", &[])?;
            for info in all.as_array().unwrap_or(&[]) {
                self.say(&number(info, "pid").to_string());
            }
        } else {
            for name in names {
                match self.call("getProcessInfo", &[name.into()]) {
                    Ok(info) => {
                        let pid = number(&info, "pid");
                        self.say(&pid.to_string());
                        if pid == 0 {
                            self.exit = status::NOT_RUNNING;
                        }
                    }
                    Err(error) if error.is(Kind::BadName) => {
                        self.fail(&format!("No such process {name}"), status::GENERIC)?;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(Flow::Next)
    }

    pub(super) fn start(&mut self, arg: &str) -> Ran {
        if !self.upcheck()? {
            return Ok(Flow::Next);
        }
        let names: Vec<&str> = arg.split_whitespace().collect();
        if names.is_empty() {
            let words = "Error: start requires a process name";
            return self.misused(words, status::INVALID_ARGS, "start");
        }
        self.work(
            &names,
            &Work {
                one: "startProcess",
                group: "startProcessGroup",
                all: "startAllProcesses",
                more: &[],
                words: Fared::started,
                ignored: Some(Kind::AlreadyStarted),
                no_group: status::INVALID_ARGS,
            },
        )
    }

    pub(super) fn stop(&mut self, arg: &str) -> Ran {
        if !self.upcheck()? {
            return Ok(Flow::Next);
        }
        let names: Vec<&str> = arg.split_whitespace().collect();
        if names.is_empty() {
            let words = "Error: stop requires a process name";
            return self.misused(words, status::GENERIC, "stop");
        }
        self.work(
            &names,
            &Work {
                one: "stopProcess",
                group: "stopProcessGroup",
                all: "stopAllProcesses",
                more: &[],
                words: Fared::stopped,
                ignored: Some(Kind::NotRunning),
                no_group: status::GENERIC,
            },
        )
    }

    pub(super) fn restart(&mut self, arg: &str) -> Ran {
        if !self.upcheck()? {
            return Ok(Flow::Next);
        }
        if arg.is_empty() {
            let words = "Error: restart requires a process name";
            return self.misused(words, status::GENERIC, "restart");
        }
        self.stop(arg)?;
        self.start(arg)
    }

    pub(super) fn signal(&mut self, arg: &str) -> Ran {
        if !self.upcheck()? {
            return Ok(Flow::Next);
        }
        let words: Vec<&str> = arg.split_whitespace().collect();
        let [signal, names @ ..] = words.as_slice() else {
            return self.signal_misused();
        };
        if names.is_empty() {
            return self.signal_misused();
        }
        self.work(
            names,
            &Work {
                one: "signalProcess",
                group: "signalProcessGroup",
                all: "signalAllProcesses",
                more: &[(*signal).into()],
                words: Fared::signalled,
                ignored: None,
                no_group: status::GENERIC,
            },
        )
    }

    fn signal_misused(&mut self) -> Ran {
        let words = "Error: signal requires a signal name and a process name";
        self.misused(words, status::GENERIC, "signal")
    }

    fn work(&mut self, names: &[&str], work: &Work) -> Ran {
        if names.contains(&"all") {
            let results = self.call(work.all, work.more)?;
            self.show_all(&results, work.words, work.ignored)?;
            return Ok(Flow::Next);
        }
        for name in names {
            let (group, process) = names::split(name);
            let target = if process.is_none() { group } else { name };
            let mut params = vec![Value::from(target)];
            params.extend_from_slice(work.more);
            if process.is_some() {
                let fared = Fared::of_call(name, self.call(work.one, &params))?;
                self.show(&fared, work.words, work.ignored)?;
                continue;
            }
            match self.call(work.group, &params) {
                Ok(results) => self.show_all(&results, work.words, work.ignored)?,
                Err(error) if error.is(Kind::BadName) => {
                    self.fail(&format!("{group}: ERROR (no such group)"), work.no_group)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Flow::Next)
    }

    pub(super) fn clear(&mut self, arg: &str) -> Ran {
        if !self.upcheck()? {
            return Ok(Flow::Next);
        }
        let names: Vec<&str> = arg.split_whitespace().collect();
        if names.is_empty() {
            let words = "Error: clear requires a process name";
            return self.misused(words, status::GENERIC, "clear");
        }
        if names.contains(&"all") {
            let results = self.call("clearAllProcessLogs", &[])?;
            self.show_all(&results, Fared::cleared, None)?;
            return Ok(Flow::Next);
        }
        for name in names {
            let called = self.call("clearProcessLogs", &[name.into()]);
            let fared = Fared::of_call(name, called)?;
            self.show(&fared, Fared::cleared, None)?;
        }
        Ok(Flow::Next)
    }
}
