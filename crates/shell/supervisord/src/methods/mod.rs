//! The methods: each is a translation to [`control::Command`] and back.
//!
//! Names are resolved here, by Supervisor's rules, from one `Status`; so are the refusals that follow from a
//! state (ALREADY_STARTED, NOT_RUNNING). The daemon then gets full names of processes that exist. It may still
//! refuse (the state may have changed meanwhile, a command may not exist): its outcomes become faults.

mod config;
mod logs;
mod processes;
mod system;
pub mod table;

use std::sync::Arc;

use control::{About, Body, Command, Control, Done, Fault as Kind, Progress, Request};

use crate::xmlrpc::{Fault, Value};
use table::{Call, Method};

/// Version of the interface, of which clients want exactly this one (rpcinterface.py, API_VERSION).
pub const API_VERSION: &str = "3.0";
/// The version of Supervisor whose behaviour this is; what `supervisorctl version` shows.
pub const SUPERVISOR_VERSION: &str = "4.3.0";

/// What a method comes to.
pub type Answer = Result<Value, Fault>;

/// One client's access to the methods.
#[derive(Clone)]
pub struct Rpc {
    control: Arc<dyn Control>,
    operator: String,
}

impl std::fmt::Debug for Rpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rpc({})", self.operator)
    }
}

impl Rpc {
    /// `operator` is who calls, in words for the ledger.
    pub fn new(control: Arc<dyn Control>, operator: String) -> Rpc {
        Rpc { control, operator }
    }

    /// Calls a method by name.
    pub async fn call(&self, name: &str, params: &[Value]) -> Answer {
        match Method::find(name) {
            None => Err(Fault::of(Kind::UnknownMethod)),
            Some(method) if method.call == Call::Multicall => self.multicall(params).await,
            Some(method) => self.call_one(method, params).await,
        }
    }

    async fn call_one(&self, method: &Method, params: &[Value]) -> Answer {
        if !method.takes(params.len()) {
            return Err(Fault::of(Kind::IncorrectParameters));
        }
        let args = Args(params);
        match method.call {
            Call::ListMethods => return Ok(system::list()),
            Call::MethodHelp => return system::help(args.text(0)?),
            Call::MethodSignature => return system::signature(args.text(0)?),
            _ => {}
        }
        let about = self.about().await?;
        match method.call {
            Call::GetApiVersion => Ok(API_VERSION.into()),
            Call::GetSupervisorVersion => Ok(SUPERVISOR_VERSION.into()),
            Call::GetIdentification => Ok(about.identifier.into()),
            Call::GetState => Ok(Value::members([
                ("statecode", about.state_code.into()),
                ("statename", about.state.into()),
            ])),
            Call::GetPid => Ok(about.root_pid.into()),
            Call::Shutdown => self.leave(Command::Shutdown),
            Call::Restart => self.restart().await,
            Call::ReloadConfig => self.reload_config().await,
            Call::AddProcessGroup => self.add_group(args.text(0)?).await,
            Call::RemoveProcessGroup => self.remove_group(args.text(0)?).await,
            Call::GetAllConfigInfo => self.all_config_info().await,
            Call::GetProcessInfo => self.process_info(args.text(0)?).await,
            Call::GetAllProcessInfo => self.all_process_info().await,
            Call::StartProcess => self.start(args.text(0)?, args.truth(1)).await,
            Call::StartProcessGroup => self.start_group(args.text(0)?, args.truth(1)).await,
            Call::StartAllProcesses => self.start_all(args.truth(0)).await,
            Call::StopProcess => self.stop(args.text(0)?, args.truth(1)).await,
            Call::StopProcessGroup => self.stop_group(args.text(0)?, args.truth(1)).await,
            Call::StopAllProcesses => self.stop_all(args.truth(0)).await,
            Call::SignalProcess => self.signal(args.text(0)?, &args.word(1)?).await,
            Call::SignalProcessGroup => self.signal_group(args.text(0)?, &args.word(1)?).await,
            Call::SignalAllProcesses => self.signal_all(&args.word(0)?).await,
            Call::SendProcessStdin => self.send_stdin(args.text(0)?, &args.chars(1)?).await,
            Call::SendRemoteCommEvent => self.remote_event(args.text(0)?, args.text(1)?).await,
            Call::ReadLog => self.read_log(&about, args.int(0)?, args.int(1)?).await,
            Call::ClearLog => self.clear_log(&about).await,
            Call::ReadProcessStdoutLog => self.read_process_log(&args, false).await,
            Call::ReadProcessStderrLog => self.read_process_log(&args, true).await,
            Call::TailProcessStdoutLog => self.tail_process_log(&args, false).await,
            Call::TailProcessStderrLog => self.tail_process_log(&args, true).await,
            Call::ClearProcessLogs => self.clear_process_logs(args.text(0)?).await,
            Call::ClearAllProcessLogs => self.clear_all_process_logs().await,
            // Answered above and in `call`.
            Call::ListMethods | Call::MethodHelp | Call::MethodSignature | Call::Multicall => {
                Err(Fault::of(Kind::UnknownMethod))
            }
        }
    }

    /// Carries a command out. In a task of its own: when the client hangs up, what it began is still ended,
    /// as in Supervisor.
    async fn done(&self, command: Command) -> Result<Done, Fault> {
        let task = tokio::spawn(self.clone().run(command));
        task.await
            .map_err(|error| Fault::with(Kind::Failed, format!("the command was lost: {error}")))
    }

    async fn run(self, command: Command) -> Done {
        let request = Request {
            id: String::new(),
            command,
            operator: self.operator.clone(),
        };
        self.control.call(request, Progress::none()).await
    }

    /// Everything that can be counted, in Prometheus' text format.
    pub(crate) async fn metrics(&self) -> Result<String, Fault> {
        match self.done(Command::Metrics).await? {
            Done {
                body: Body::Metrics { text },
                ..
            } => Ok(text),
            done => Err(failed(&done)),
        }
    }

    async fn remote_event(&self, kind: &str, data: &str) -> Answer {
        let command = Command::RemoteEvent {
            kind: kind.to_owned(),
            data: data.to_owned(),
        };
        match self.done(command).await? {
            Done { exit: 0, .. } => Ok(true.into()),
            done => Err(failed(&done)),
        }
    }

    /// Begins a command whose end nobody can wait for.
    fn leave(&self, command: Command) -> Answer {
        tokio::spawn(self.clone().run(command));
        Ok(true.into())
    }

    /// About the daemon; a fault if it is on its way out, which every method of Supervisor answers first.
    async fn about(&self) -> Result<About, Fault> {
        match self.done(Command::About).await? {
            Done {
                body: Body::About(about),
                ..
            } if about.state_code < 1 => Err(Fault::of(Kind::ShutdownState)),
            Done {
                body: Body::About(about),
                ..
            } => Ok(about),
            done => Err(failed(&done)),
        }
    }
}

/// A command that could not be carried out, for a reason that Supervisor has no fault for.
fn failed(done: &Done) -> Fault {
    match done.error.trim() {
        "" => Fault::of(Kind::Failed),
        error => Fault::with(Kind::Failed, error),
    }
}

/// Parameters; there are as many as the method takes.
struct Args<'a>(&'a [Value]);

impl Args<'_> {
    fn text(&self, index: usize) -> Result<&str, Fault> {
        let text = self.0.get(index).and_then(Value::as_str);
        text.ok_or_else(|| Fault::of(Kind::IncorrectParameters))
    }
    /// A number, or a string of one: Supervisor puts `int()` around it.
    fn int(&self, index: usize) -> Result<i64, Fault> {
        let number = match self.0.get(index) {
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(value) => value.as_int(),
            None => None,
        };
        number.ok_or_else(|| Fault::of(Kind::IncorrectParameters))
    }
    /// A string; Supervisor shows what else it was.
    fn chars(&self, index: usize) -> Result<String, Fault> {
        let wrong = |shown: String| Err(Fault::with(Kind::IncorrectParameters, shown));
        match self.0.get(index) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Int(number)) => wrong(number.to_string()),
            Some(Value::Bool(true)) => wrong("True".to_owned()),
            Some(Value::Bool(false)) => wrong("False".to_owned()),
            _ => Err(Fault::of(Kind::IncorrectParameters)),
        }
    }
    /// A string, or a number in place of one.
    fn word(&self, index: usize) -> Result<String, Fault> {
        match self.0.get(index) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Int(number)) => Ok(number.to_string()),
            _ => Err(Fault::of(Kind::IncorrectParameters)),
        }
    }
    /// Anything, as Python takes it for true or false; true if it was left out.
    fn truth(&self, index: usize) -> bool {
        self.0.get(index).is_none_or(Value::truthy)
    }
}
