//! Every method there is. A name that is not in this table is UNKNOWN_METHOD: nothing is ever looked up in
//! anything else (CVE-2017-11610 walked from the interface object to the operating system).

/// What a method does; [`super::Rpc::call`] has one arm for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names are the protocol's
pub enum Call {
    AddProcessGroup,
    ClearAllProcessLogs,
    ClearLog,
    ClearProcessLogs,
    GetApiVersion,
    GetAllConfigInfo,
    GetAllProcessInfo,
    GetIdentification,
    GetPid,
    GetProcessInfo,
    GetState,
    GetSupervisorVersion,
    ReadLog,
    ReadProcessStderrLog,
    ReadProcessStdoutLog,
    ReloadConfig,
    RemoveProcessGroup,
    Restart,
    SendProcessStdin,
    SendRemoteCommEvent,
    Shutdown,
    SignalAllProcesses,
    SignalProcess,
    SignalProcessGroup,
    StartAllProcesses,
    StartProcess,
    StartProcessGroup,
    StopAllProcesses,
    StopProcess,
    StopProcessGroup,
    TailProcessStderrLog,
    TailProcessStdoutLog,
    ListMethods,
    MethodHelp,
    MethodSignature,
    Multicall,
}

/// A row.
#[derive(Debug)]
pub struct Method {
    /// `supervisor.startProcess`.
    pub name: &'static str,
    /// What it does.
    pub call: Call,
    /// Type of the result, then of the parameters, as `system.methodSignature` says it.
    pub types: &'static [&'static str],
    /// How many parameters may be left out, from the end.
    pub optional: usize,
    /// For `system.methodHelp`.
    pub help: &'static str,
}

impl Method {
    /// The method of this name.
    pub fn find(name: &str) -> Option<&'static Method> {
        METHODS.iter().find(|method| method.name == name)
    }
    /// Whether so many parameters fit.
    pub fn takes(&self, count: usize) -> bool {
        let most = self.types.len() - 1;
        (most - self.optional..=most).contains(&count)
    }
}

const fn row(
    name: &'static str,
    call: Call,
    types: &'static [&'static str],
    optional: usize,
    help: &'static str,
) -> Method {
    Method {
        name,
        call,
        types,
        optional,
        help,
    }
}

/// In the order of `system.listMethods`, which is that of the bytes of the names.
pub const METHODS: &[Method] = &[
    row(
        "supervisor.addProcessGroup",
        Call::AddProcessGroup,
        &["boolean", "string"],
        0,
        "Puts a group of the file, as last read, in service.",
    ),
    row(
        "supervisor.clearAllProcessLogs",
        Call::ClearAllProcessLogs,
        &["array"],
        0,
        "Empties the logs of every process.",
    ),
    row(
        "supervisor.clearLog",
        Call::ClearLog,
        &["boolean"],
        0,
        "Empties the activity log.",
    ),
    row(
        "supervisor.clearProcessLog",
        Call::ClearProcessLogs,
        &["boolean", "string"],
        0,
        "The older name of clearProcessLogs.",
    ),
    row(
        "supervisor.clearProcessLogs",
        Call::ClearProcessLogs,
        &["boolean", "string"],
        0,
        "Empties the logs of a process (`name` or `group:name`).",
    ),
    row(
        "supervisor.getAPIVersion",
        Call::GetApiVersion,
        &["string"],
        0,
        "The version of this interface.",
    ),
    row(
        "supervisor.getAllConfigInfo",
        Call::GetAllConfigInfo,
        &["array"],
        0,
        "A struct for every process of the file, as last read.",
    ),
    row(
        "supervisor.getAllProcessInfo",
        Call::GetAllProcessInfo,
        &["array"],
        0,
        "A struct for every process, as getProcessInfo has it.",
    ),
    row(
        "supervisor.getIdentification",
        Call::GetIdentification,
        &["string"],
        0,
        "The `identifier` of this installation.",
    ),
    row(
        "supervisor.getPID",
        Call::GetPid,
        &["int"],
        0,
        "The pid of the supervisor itself.",
    ),
    row(
        "supervisor.getProcessInfo",
        Call::GetProcessInfo,
        &["struct", "string"],
        0,
        "The state of a process (`name` or `group:name`).",
    ),
    row(
        "supervisor.getState",
        Call::GetState,
        &["struct"],
        0,
        "The state of the supervisor itself: statecode and statename.",
    ),
    row(
        "supervisor.getSupervisorVersion",
        Call::GetSupervisorVersion,
        &["string"],
        0,
        "The version of Supervisor whose behaviour this is.",
    ),
    row(
        "supervisor.getVersion",
        Call::GetApiVersion,
        &["string"],
        0,
        "The older name of getAPIVersion.",
    ),
    row(
        "supervisor.readLog",
        Call::ReadLog,
        &["string", "int", "int"],
        0,
        "Bytes of the activity log: offset and length; a negative offset counts from the end, then length is 0.",
    ),
    row(
        "supervisor.readMainLog",
        Call::ReadLog,
        &["string", "int", "int"],
        0,
        "The older name of readLog.",
    ),
    row(
        "supervisor.readProcessLog",
        Call::ReadProcessStdoutLog,
        &["string", "string", "int", "int"],
        0,
        "The older name of readProcessStdoutLog.",
    ),
    row(
        "supervisor.readProcessStderrLog",
        Call::ReadProcessStderrLog,
        &["string", "string", "int", "int"],
        0,
        "Bytes of a process's stderr log: name, offset, length; see readLog.",
    ),
    row(
        "supervisor.readProcessStdoutLog",
        Call::ReadProcessStdoutLog,
        &["string", "string", "int", "int"],
        0,
        "Bytes of a process's stdout log: name, offset, length; see readLog.",
    ),
    row(
        "supervisor.reloadConfig",
        Call::ReloadConfig,
        &["array"],
        0,
        "Reads the file again; [[added, changed, removed]] names the groups that differ. What runs is not touched.",
    ),
    row(
        "supervisor.removeProcessGroup",
        Call::RemoveProcessGroup,
        &["boolean", "string"],
        0,
        "Takes a stopped group out of service.",
    ),
    row(
        "supervisor.restart",
        Call::Restart,
        &["boolean"],
        0,
        "Reads the file again and replaces everything.",
    ),
    row(
        "supervisor.sendProcessStdin",
        Call::SendProcessStdin,
        &["boolean", "string", "string"],
        0,
        "Not possible: programs read /dev/null, so the answer is NO_FILE.",
    ),
    row(
        "supervisor.sendRemoteCommEvent",
        Call::SendRemoteCommEvent,
        &["boolean", "string", "string"],
        0,
        "An event for event listeners: type and data.",
    ),
    row(
        "supervisor.shutdown",
        Call::Shutdown,
        &["boolean"],
        0,
        "Ends every process, then the supervisor.",
    ),
    row(
        "supervisor.signalAllProcesses",
        Call::SignalAllProcesses,
        &["array", "string"],
        0,
        "Sends a signal (`HUP` or `1`) to every process.",
    ),
    row(
        "supervisor.signalProcess",
        Call::SignalProcess,
        &["boolean", "string", "string"],
        0,
        "Sends a process (`name`, `group:name`, `group:*`) a signal (`HUP` or `1`).",
    ),
    row(
        "supervisor.signalProcessGroup",
        Call::SignalProcessGroup,
        &["array", "string", "string"],
        0,
        "Sends every process of a group a signal (`HUP` or `1`).",
    ),
    row(
        "supervisor.startAllProcesses",
        Call::StartAllProcesses,
        &["array", "boolean"],
        1,
        "Starts every process; with wait (the default) the answer comes when they are RUNNING or failed.",
    ),
    row(
        "supervisor.startProcess",
        Call::StartProcess,
        &["boolean", "string", "boolean"],
        1,
        "Starts a process (`name`, `group:name`, `group:*`); see startAllProcesses for wait.",
    ),
    row(
        "supervisor.startProcessGroup",
        Call::StartProcessGroup,
        &["array", "string", "boolean"],
        1,
        "Starts every process of a group; see startAllProcesses for wait.",
    ),
    row(
        "supervisor.stopAllProcesses",
        Call::StopAllProcesses,
        &["array", "boolean"],
        1,
        "Stops every process; with wait (the default) the answer comes when they are dead.",
    ),
    row(
        "supervisor.stopProcess",
        Call::StopProcess,
        &["boolean", "string", "boolean"],
        1,
        "Stops a process (`name`, `group:name`, `group:*`); see stopAllProcesses for wait.",
    ),
    row(
        "supervisor.stopProcessGroup",
        Call::StopProcessGroup,
        &["array", "string", "boolean"],
        1,
        "Stops every process of a group; see stopAllProcesses for wait.",
    ),
    row(
        "supervisor.tailProcessLog",
        Call::TailProcessStdoutLog,
        &["array", "string", "int", "int"],
        0,
        "The older name of tailProcessStdoutLog.",
    ),
    row(
        "supervisor.tailProcessStderrLog",
        Call::TailProcessStderrLog,
        &["array", "string", "int", "int"],
        0,
        "[bytes, offset, overflow] of a process's stderr log: name, offset, length; the offset of the answer is the log's end.",
    ),
    row(
        "supervisor.tailProcessStdoutLog",
        Call::TailProcessStdoutLog,
        &["array", "string", "int", "int"],
        0,
        "[bytes, offset, overflow] of a process's stdout log: name, offset, length; the offset of the answer is the log's end.",
    ),
    row(
        "system.listMethods",
        Call::ListMethods,
        &["array"],
        0,
        "The names of all methods.",
    ),
    row(
        "system.methodHelp",
        Call::MethodHelp,
        &["string", "string"],
        0,
        "What a method does.",
    ),
    row(
        "system.methodSignature",
        Call::MethodSignature,
        &["array", "string"],
        0,
        "The types of a method: result, then parameters.",
    ),
    row(
        "system.multicall",
        Call::Multicall,
        &["array", "array"],
        0,
        "Many calls in one: structs of methodName and params; each result is the value, or a struct of faultCode and faultString.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_and_unique() {
        let names: Vec<&str> = METHODS.iter().map(|m| m.name).collect();
        assert!(names.windows(2).all(|w| w[0] < w[1]), "{names:?}");
    }

    #[test]
    fn nothing_but_the_table() {
        for name in [
            "",
            "supervisor",
            "startProcess",
            "supervisor.supervisord.options.warnings.linecache.os.system",
            "supervisor.__init__",
            "supervisor._update",
            "system.namespaces",
            "Supervisor.getPID",
            "supervisor.getPID ",
        ] {
            assert!(Method::find(name).is_none(), "{name}");
        }
    }

    #[test]
    fn counts_of_parameters() {
        let takes = |name: &str, counts: &[usize]| {
            let method = Method::find(name).expect(name);
            let fits: Vec<usize> = (0..5).filter(|count| method.takes(*count)).collect();
            assert_eq!(fits, counts, "{name}");
        };
        takes("supervisor.getPID", &[0]);
        takes("supervisor.startProcess", &[1, 2]);
        takes("supervisor.stopAllProcesses", &[0, 1]);
        takes("supervisor.readProcessLog", &[3]);
    }
}
