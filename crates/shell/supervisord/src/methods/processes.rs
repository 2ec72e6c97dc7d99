//! Start, stop, signal, and what is true of processes.

use control::{Body, Command, Done, Fault as Kind, Outcome, ProcessInfo};

use super::{Answer, Rpc, failed};
use crate::names;
use crate::xmlrpc::{Fault, Value};

/// What a name means (rpcinterface.py `_getGroupAndProcess`).
enum Target {
    Process(Box<ProcessInfo>),
    Group(Vec<ProcessInfo>),
}

fn full_name(info: &ProcessInfo) -> String {
    names::join(&info.group, &info.name)
}

impl Rpc {
    /// Every process, in the order of the daemon: group priority, then process priority.
    pub(crate) async fn all(&self) -> Result<Vec<ProcessInfo>, Fault> {
        let command = Command::Status {
            names: vec![],
            hidden: false,
            left_out: false,
        };
        match self.done(command).await? {
            Done {
                body: Body::Status { processes, .. },
                ..
            } => Ok(processes.into_iter().filter(|info| !info.hidden).collect()),
            done => Err(failed(&done)),
        }
    }

    async fn group(&self, group: &str) -> Result<Vec<ProcessInfo>, Fault> {
        let mut all = self.all().await?;
        all.retain(|info| info.group == group);
        match all.is_empty() {
            true => Err(Fault::with(Kind::BadName, group)),
            false => Ok(all),
        }
    }

    async fn target(&self, name: &str) -> Result<Target, Fault> {
        let (group, process) = names::split(name);
        let bad_name = |_| Fault::with(Kind::BadName, name);
        let members = self.group(group).await.map_err(bad_name)?;
        let Some(process) = process else {
            return Ok(Target::Group(members));
        };
        match members.into_iter().find(|info| info.name == process) {
            Some(info) => Ok(Target::Process(Box::new(info))),
            None => Err(Fault::with(Kind::BadName, name)),
        }
    }

    /// The one process of this name.
    pub(crate) async fn process(&self, name: &str) -> Result<ProcessInfo, Fault> {
        match self.target(name).await? {
            Target::Process(info) => Ok(*info),
            Target::Group(_) => Err(Fault::with(Kind::BadName, name)),
        }
    }

    pub(super) async fn process_info(&self, name: &str) -> Answer {
        Ok(info_struct(&self.process(name).await?))
    }

    pub(super) async fn all_process_info(&self) -> Answer {
        let mut all = self.all().await?;
        all.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name)));
        Ok(Value::Array(all.iter().map(info_struct).collect()))
    }

    pub(super) async fn start(&self, name: &str, wait: bool) -> Answer {
        match self.target(name).await? {
            Target::Group(members) => self.start_those(members, wait).await,
            Target::Process(info) if names::is_running(info.state_code) => {
                Err(Fault::with(Kind::AlreadyStarted, name))
            }
            Target::Process(info) => {
                let names = vec![full_name(&info)];
                self.single(Command::Start { names, wait }, name).await
            }
        }
    }

    pub(super) async fn start_group(&self, group: &str, wait: bool) -> Answer {
        let members = self.group(group).await?;
        self.start_those(members, wait).await
    }

    pub(super) async fn start_all(&self, wait: bool) -> Answer {
        let all = self.all().await?;
        self.start_those(all, wait).await
    }

    async fn start_those(&self, mut those: Vec<ProcessInfo>, wait: bool) -> Answer {
        those.retain(|info| !names::is_running(info.state_code));
        let names: Vec<String> = those.iter().map(full_name).collect();
        self.many(names, |names| Command::Start { names, wait })
            .await
    }

    pub(super) async fn stop(&self, name: &str, wait: bool) -> Answer {
        match self.target(name).await? {
            Target::Group(members) => self.stop_those(members, wait).await,
            // The daemon says what does not run. It is told all the same: what is EXITED, FATAL or was unhealthy may be
            // about to be started again.
            Target::Process(info) => {
                let command = Command::Stop {
                    names: vec![full_name(&info)],
                    wait,
                    window: true,
                };
                self.single(command, name).await
            }
        }
    }

    pub(super) async fn stop_group(&self, group: &str, wait: bool) -> Answer {
        let members = self.group(group).await?;
        self.stop_those(members, wait).await
    }

    pub(super) async fn stop_all(&self, wait: bool) -> Answer {
        let all = self.all().await?;
        self.stop_those(all, wait).await
    }

    /// What does not run is stopped likewise (see [`Rpc::stop`]), and not named in the answer, as in Supervisor.
    async fn stop_those(&self, those: Vec<ProcessInfo>, wait: bool) -> Answer {
        let names: Vec<String> = those.iter().map(full_name).collect();
        let stop = |names| Command::Stop {
            names,
            wait,
            window: true,
        };
        self.many_but(names, stop, |outcome| outcome.status == Kind::NotRunning)
            .await
    }

    pub(super) async fn signal(&self, name: &str, signal: &str) -> Answer {
        let info = match self.target(name).await? {
            Target::Group(members) => return self.signal_those(members, signal).await,
            Target::Process(info) => info,
        };
        let Some(number) = names::signal_number(signal) else {
            return Err(Fault::with(Kind::BadSignal, signal));
        };
        if !names::is_signallable(info.state_code) {
            return Err(Fault::with(Kind::NotRunning, name));
        }
        let command = Command::Signal {
            names: vec![full_name(&info)],
            signal: number.to_string(),
        };
        self.single(command, name).await
    }

    pub(super) async fn signal_group(&self, group: &str, signal: &str) -> Answer {
        let members = self.group(group).await?;
        self.signal_those(members, signal).await
    }

    pub(super) async fn signal_all(&self, signal: &str) -> Answer {
        let all = self.all().await?;
        self.signal_those(all, signal).await
    }

    async fn signal_those(&self, mut those: Vec<ProcessInfo>, signal: &str) -> Answer {
        those.retain(|info| names::is_signallable(info.state_code));
        let Some(number) = names::signal_number(signal) else {
            let fault = Fault::with(Kind::BadSignal, signal);
            let results = those
                .iter()
                .map(|info| result_struct(&info.name, &info.group, fault.code, &fault.text));
            return Ok(Value::Array(results.collect()));
        };
        let names: Vec<String> = those.iter().map(full_name).collect();
        let command = |names| Command::Signal {
            names,
            signal: number.to_string(),
        };
        self.many(names, command).await
    }

    pub(super) async fn send_stdin(&self, name: &str, chars: &str) -> Answer {
        let info = self.process(name).await?;
        if info.pid == 0 || info.state_code == 40 {
            return Err(Fault::with(Kind::NotRunning, name));
        }
        let command = Command::Stdin {
            names: vec![full_name(&info)],
            text: chars.to_owned(),
        };
        match self.done(command).await? {
            Done {
                body: Body::Outcomes { outcomes },
                ..
            } => match outcomes.first().map(|outcome| outcome.status) {
                Some(Kind::Success) | None => Ok(true.into()),
                // Supervisor's words are the name, whatever happened.
                Some(kind) => Err(Fault::with(kind, name)),
            },
            done => Err(failed(&done)),
        }
    }

    /// A command for one process, which the caller named `name`: true, or its fault.
    pub(super) async fn single(&self, command: Command, name: &str) -> Answer {
        match self.done(command).await? {
            Done {
                body: Body::Outcomes { outcomes },
                ..
            } => match outcomes.first() {
                Some(outcome) if outcome.status != Kind::Success => Err(fault_of(outcome, name)),
                Some(_) | None => Ok(true.into()),
            },
            Done { exit: 0, .. } => Ok(true.into()),
            done => Err(failed(&done)),
        }
    }

    /// A command for many processes: a struct of how it went for each.
    pub(super) async fn many(
        &self,
        names: Vec<String>,
        command: impl FnOnce(Vec<String>) -> Command,
    ) -> Answer {
        self.many_but(names, command, |_| false).await
    }

    /// The same, but for those that are not worth a word.
    async fn many_but(
        &self,
        names: Vec<String>,
        command: impl FnOnce(Vec<String>) -> Command,
        silent: fn(&Outcome) -> bool,
    ) -> Answer {
        if names.is_empty() {
            return Ok(Value::Array(vec![]));
        }
        match self.done(command(names)).await? {
            Done {
                body: Body::Outcomes { outcomes },
                ..
            } => {
                let told = outcomes.iter().filter(|outcome| !silent(outcome));
                Ok(Value::Array(told.map(outcome_struct).collect()))
            }
            done => Err(failed(&done)),
        }
    }
}

/// Supervisor's words: the name for most, the reason where it knows one.
pub(super) fn fault_of(outcome: &Outcome, name: &str) -> Fault {
    let words = outcome.text.trim();
    match outcome.status {
        Kind::NoFile | Kind::NotExecutable | Kind::Failed if !words.is_empty() => {
            Fault::with(outcome.status, words)
        }
        status => Fault::with(status, name),
    }
}

fn outcome_struct(outcome: &Outcome) -> Value {
    if outcome.status == Kind::Success {
        return result_struct(&outcome.name, &outcome.group, outcome.status.code(), "OK");
    }
    let fault = fault_of(outcome, &names::join(&outcome.group, &outcome.name));
    result_struct(&outcome.name, &outcome.group, fault.code, &fault.text)
}

fn result_struct(name: &str, group: &str, status: i32, description: &str) -> Value {
    Value::members([
        ("name", name.into()),
        ("group", group.into()),
        ("status", status.into()),
        ("description", description.into()),
    ])
}

/// Supervisor's getProcessInfo. Times are whole seconds.
fn info_struct(info: &ProcessInfo) -> Value {
    let seconds = |ms: u64| Value::Int(i64::try_from(ms / 1000).unwrap_or(i64::MAX));
    Value::members([
        ("name", info.name.as_str().into()),
        ("group", info.group.as_str().into()),
        ("start", seconds(info.started_ms)),
        ("stop", seconds(info.stopped_ms)),
        ("now", seconds(info.now_ms)),
        ("state", info.state_code.into()),
        ("statename", info.state.as_str().into()),
        ("spawnerr", info.spawn_error.as_str().into()),
        ("exitstatus", info.exit_status.into()),
        ("logfile", info.stdout_logfile.as_str().into()),
        ("stdout_logfile", info.stdout_logfile.as_str().into()),
        ("stderr_logfile", info.stderr_logfile.as_str().into()),
        ("pid", info.pid.into()),
        ("description", info.description.as_str().into()),
    ])
}
