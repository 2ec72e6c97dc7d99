//! Supervisor's faults.

use serde::{Deserialize, Serialize};

/// Supervisor's faults, by their names (supervisor/xmlrpc.py).
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Fault {
    /// 1
    UnknownMethod,
    /// 2
    IncorrectParameters,
    /// 3
    BadArguments,
    /// 4
    SignatureUnsupported,
    /// 6
    ShutdownState,
    /// 10
    BadName,
    /// 11
    BadSignal,
    /// 20
    NoFile,
    /// 21
    NotExecutable,
    /// 30
    Failed,
    /// 40
    AbnormalTermination,
    /// 50
    SpawnError,
    /// 60
    AlreadyStarted,
    /// 70
    NotRunning,
    /// 80
    Success,
    /// 90
    AlreadyAdded,
    /// 91
    StillRunning,
    /// 92
    CantReread,
}

impl Fault {
    /// Supervisor's number.
    pub fn code(self) -> i32 {
        match self {
            Fault::UnknownMethod => 1,
            Fault::IncorrectParameters => 2,
            Fault::BadArguments => 3,
            Fault::SignatureUnsupported => 4,
            Fault::ShutdownState => 6,
            Fault::BadName => 10,
            Fault::BadSignal => 11,
            Fault::NoFile => 20,
            Fault::NotExecutable => 21,
            Fault::Failed => 30,
            Fault::AbnormalTermination => 40,
            Fault::SpawnError => 50,
            Fault::AlreadyStarted => 60,
            Fault::NotRunning => 70,
            Fault::Success => 80,
            Fault::AlreadyAdded => 90,
            Fault::StillRunning => 91,
            Fault::CantReread => 92,
        }
    }
    /// Supervisor's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Fault::UnknownMethod => "UNKNOWN_METHOD",
            Fault::IncorrectParameters => "INCORRECT_PARAMETERS",
            Fault::BadArguments => "BAD_ARGUMENTS",
            Fault::SignatureUnsupported => "SIGNATURE_UNSUPPORTED",
            Fault::ShutdownState => "SHUTDOWN_STATE",
            Fault::BadName => "BAD_NAME",
            Fault::BadSignal => "BAD_SIGNAL",
            Fault::NoFile => "NO_FILE",
            Fault::NotExecutable => "NOT_EXECUTABLE",
            Fault::Failed => "FAILED",
            Fault::AbnormalTermination => "ABNORMAL_TERMINATION",
            Fault::SpawnError => "SPAWN_ERROR",
            Fault::AlreadyStarted => "ALREADY_STARTED",
            Fault::NotRunning => "NOT_RUNNING",
            Fault::Success => "SUCCESS",
            Fault::AlreadyAdded => "ALREADY_ADDED",
            Fault::StillRunning => "STILL_RUNNING",
            Fault::CantReread => "CANT_REREAD",
        }
    }
}
