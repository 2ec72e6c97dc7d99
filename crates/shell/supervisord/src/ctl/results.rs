//! What became of one process, in Supervisor's words (`_startresult`, `_signalresult`, `_clearresult`), and the exit status of it.

use control::Fault as Kind;

use super::client::CallError;
use super::shell::{Shell, status};
use crate::names;
use crate::xmlrpc::Value;

/// How one process fared, from a struct of a result or from a fault.
#[derive(Debug, Clone)]
pub(super) struct Fared {
    pub(super) name: String,
    pub(super) status: i32,
    pub(super) description: String,
}

impl Fared {
    /// Of the result of a call for many.
    pub(super) fn of_struct(result: &Value) -> Fared {
        let text = |key: &str| result.get(key).and_then(Value::as_str).unwrap_or("");
        let status = result.get("status").and_then(Value::as_int).unwrap_or(0);
        Fared {
            name: names::join(text("group"), text("name")),
            status: i32::try_from(status).unwrap_or(0),
            description: text("description").to_owned(),
        }
    }

    /// Of a call for the one that the user named so.
    pub(super) fn of_call(
        name: &str,
        called: Result<Value, CallError>,
    ) -> Result<Fared, CallError> {
        let (status, description) = match called {
            Ok(_) => (Kind::Success.code(), "OK".to_owned()),
            Err(CallError::Fault(fault)) => (fault.code, fault.text),
            Err(other) => return Err(other),
        };
        let (group, process) = names::split(name);
        Ok(Fared {
            // Only `clear` comes here with `group:*`; Python shows its None.
            name: names::join(group, process.unwrap_or("None")),
            status,
            description,
        })
    }

    fn is(&self, kind: Kind) -> bool {
        self.status == kind.code()
    }

    fn words(&self, success: &str, errors: &[(Kind, &str)]) -> Result<String, CallError> {
        let name = &self.name;
        if self.is(Kind::Success) {
            return Ok(format!("{name}: {success}"));
        }
        match errors.iter().find(|(kind, _)| self.is(*kind)) {
            Some((_, words)) => Ok(format!("{name}: ERROR ({words})")),
            None => Err(CallError::Value(format!(
                "Unknown result code {} for {name}",
                self.status
            ))),
        }
    }

    pub(super) fn started(&self) -> Result<String, CallError> {
        let errors = [
            (Kind::BadName, "no such process"),
            (Kind::NoFile, "no such file"),
            (Kind::NotExecutable, "file is not executable"),
            (Kind::AlreadyStarted, "already started"),
            (Kind::SpawnError, "spawn error"),
            (Kind::AbnormalTermination, "abnormal termination"),
        ];
        self.words("started", &errors)
    }

    pub(super) fn stopped(&self) -> Result<String, CallError> {
        self.signalled_as("stopped")
    }

    pub(super) fn signalled(&self) -> Result<String, CallError> {
        self.signalled_as("signalled")
    }

    fn signalled_as(&self, success: &str) -> Result<String, CallError> {
        if self.is(Kind::Failed) {
            return Ok(self.description.clone());
        }
        let errors = [
            (Kind::BadName, "no such process"),
            (Kind::BadSignal, "bad signal name"),
            (Kind::NotRunning, "not running"),
        ];
        self.words(success, &errors)
    }

    pub(super) fn cleared(&self) -> Result<String, CallError> {
        let errors = [(Kind::BadName, "no such process"), (Kind::Failed, "failed")];
        self.words("cleared", &errors)
    }
}

/// Words of one result.
pub(super) type Words = fn(&Fared) -> Result<String, CallError>;

impl Shell<'_, '_> {
    /// Shows one result; `ignored` is the fault that does not count.
    pub(super) fn show(
        &mut self,
        fared: &Fared,
        words: Words,
        ignored: Option<Kind>,
    ) -> Result<(), CallError> {
        let line = words(fared)?;
        self.say(&line);
        if fared.is(Kind::Success) || ignored.is_some_and(|kind| fared.is(kind)) {
            return Ok(());
        }
        let dead = [
            Kind::SpawnError,
            Kind::AbnormalTermination,
            Kind::NotRunning,
        ];
        self.exit = match dead.into_iter().any(|kind| fared.is(kind)) {
            true => status::NOT_RUNNING,
            false => status::GENERIC,
        };
        Ok(())
    }

    /// Shows the results of a call for many.
    pub(super) fn show_all(
        &mut self,
        results: &Value,
        words: Words,
        ignored: Option<Kind>,
    ) -> Result<(), CallError> {
        for result in results.as_array().unwrap_or(&[]) {
            self.show(&Fared::of_struct(result), words, ignored)?;
        }
        Ok(())
    }
}
