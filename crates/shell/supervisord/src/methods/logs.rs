//! Logs: read by Supervisor's rules, emptied.
//!
//! The files are read here and not by the daemon's loop: they are regular files that keepers write, their
//! paths are in the status, and a read of 16 MiB must not hold a restart up.

use control::{About, Command, Done, Fault as Kind};

use super::{Answer, Args, Rpc, failed};
use crate::logfile::{self, ReadError};
use crate::names;
use crate::xmlrpc::{Fault, Value};

impl Rpc {
    pub(super) async fn read_log(&self, about: &About, offset: i64, length: i64) -> Answer {
        read(&about.logfile, offset, length).await
    }

    /// The path of the activity log, or empty; for whoever follows it.
    pub(crate) async fn main_log(&self) -> Result<String, Fault> {
        Ok(self.about().await?.logfile)
    }

    pub(super) async fn clear_log(&self, about: &About) -> Answer {
        if !logfile::exists(&about.logfile) {
            return Err(Fault::of(Kind::NoFile));
        }
        let command = Command::ClearLogs {
            names: vec![],
            main: true,
        };
        match self.done(command).await? {
            Done { exit: 0, .. } => Ok(true.into()),
            done => Err(failed(&done)),
        }
    }

    async fn log_of(&self, name: &str, stderr: bool) -> Result<String, Fault> {
        let info = self.process(name).await?;
        Ok(if stderr {
            info.stderr_logfile
        } else {
            info.stdout_logfile
        })
    }

    pub(super) async fn read_process_log(&self, args: &Args<'_>, stderr: bool) -> Answer {
        let (offset, length) = (args.int(1)?, args.int(2)?);
        let path = self.log_of(args.text(0)?, stderr).await?;
        read(&path, offset, length).await
    }

    pub(super) async fn tail_process_log(&self, args: &Args<'_>, stderr: bool) -> Answer {
        let (offset, length) = (args.int(1)?, args.int(2)?);
        let path = self.log_of(args.text(0)?, stderr).await?;
        let tail = blocking(move || logfile::tail(&path, offset, length)).await?;
        Ok(Value::Array(vec![
            tail.text.into(),
            Value::Int(tail.offset),
            tail.overflow.into(),
        ]))
    }

    pub(super) async fn clear_process_logs(&self, name: &str) -> Answer {
        let info = self.process(name).await?;
        let command = Command::ClearLogs {
            names: vec![names::join(&info.group, &info.name)],
            main: false,
        };
        self.single(command, name).await
    }

    pub(super) async fn clear_all_process_logs(&self) -> Answer {
        let all = self.all().await?;
        let names = all.iter().map(|info| names::join(&info.group, &info.name));
        let command = |names| Command::ClearLogs { names, main: false };
        self.many(names.collect(), command).await
    }
}

async fn read(path: &str, offset: i64, length: i64) -> Answer {
    if path.is_empty() {
        return Err(Fault::of(Kind::NoFile));
    }
    if !logfile::exists(path) {
        return Err(Fault::with(Kind::NoFile, path));
    }
    let path = path.to_owned();
    match blocking(move || logfile::read(&path, offset, length)).await? {
        Ok(text) => Ok(text.into()),
        Err(ReadError::BadArguments) => Err(Fault::of(Kind::BadArguments)),
        Err(ReadError::Failed) => Err(Fault::of(Kind::Failed)),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Fault::with(Kind::Failed, error))
}
