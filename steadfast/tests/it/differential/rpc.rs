//! XML-RPC: values and faults.

use super::compare;

const CONFIG: &str = "
[program:a]
command = sh -c 'echo hello; echo error >&2; exec sleep 86435'
startsecs = 0
stdout_logfile = {dir}/a.log
stderr_logfile = {dir}/a.err
priority = 5
[program:off]
command = sleep 86436
autostart = false
stdout_logfile = NONE
stderr_logfile = NONE
startsecs = 0
[group:g]
programs = m
priority = 7
[program:m]
command = sleep 86437
startsecs = 0
stdout_logfile = NONE
stderr_logfile = NONE
";

#[test]
fn the_server_tells_of_itself() {
    compare(CONFIG, |side| {
        side.settle("a", "RUNNING");
        side.rpc(
            "[\"supervisor.getState\"]
[\"supervisor.getAPIVersion\"]
[\"supervisor.getSupervisorVersion\"]
[\"supervisor.getIdentification\"]
[\"supervisor.getVersion\"]
[\"system.listMethods\"]
[\"system.methodSignature\", \"supervisor.startProcess\"]
[\"supervisor.noSuchMethod\"]
[\"nothing\"]
[\"supervisor.getState\", 1]
",
        );
    });
}

#[test]
fn processes_are_told_with_every_key() {
    compare(CONFIG, |side| {
        side.settle("a", "RUNNING");
        side.settle("g:m", "RUNNING");
        side.rpc(
            "[\"supervisor.getProcessInfo\", \"a\"]
[\"supervisor.getProcessInfo\", \"off\"]
[\"supervisor.getProcessInfo\", \"g:m\"]
[\"supervisor.getProcessInfo\", \"m\"]
[\"supervisor.getProcessInfo\", \"nobody\"]
[\"supervisor.getAllProcessInfo\"]
",
        );
    });
}

#[test]
fn the_configuration_is_told_with_every_key() {
    compare(CONFIG, |side| {
        side.all_run(&["a", "g:m"]);
        side.rpc("[\"supervisor.getAllConfigInfo\"]\n[\"supervisor.reloadConfig\"]\n");
    });
}

#[test]
fn starts_and_stops_and_their_faults() {
    compare(CONFIG, |side| {
        side.settle("a", "RUNNING");
        side.settle("g:m", "RUNNING");
        side.rpc(
            "[\"supervisor.startProcess\", \"a\"]
[\"supervisor.startProcess\", \"off\"]
[\"supervisor.startProcess\", \"off\", false]
[\"supervisor.stopProcess\", \"off\", true]
[\"supervisor.stopProcess\", \"off\"]
[\"supervisor.startProcess\", \"nobody\"]
[\"supervisor.stopProcess\", \"nobody\"]
[\"supervisor.stopProcessGroup\", \"g\"]
[\"supervisor.startProcessGroup\", \"g\"]
[\"supervisor.startProcessGroup\", \"nogroup\"]
[\"supervisor.signalProcess\", \"a\", \"CONT\"]
[\"supervisor.signalProcess\", \"a\", \"NOPE\"]
[\"supervisor.signalProcess\", \"off\", \"CONT\"]
[\"supervisor.signalProcessGroup\", \"g\", 18]
[\"supervisor.addProcessGroup\", \"g\"]
[\"supervisor.addProcessGroup\", \"nogroup\"]
[\"supervisor.removeProcessGroup\", \"g\"]
[\"supervisor.removeProcessGroup\", \"nogroup\"]
",
        );
    });
}

#[test]
fn logs_are_read_by_offset_and_length() {
    compare(CONFIG, |side| {
        side.wait_file("a.log", "hello");
        side.wait_file("a.err", "error");
        side.rpc(
            "[\"supervisor.readProcessStdoutLog\", \"a\", 0, 0]
[\"supervisor.readProcessStdoutLog\", \"a\", 1, 3]
[\"supervisor.readProcessStdoutLog\", \"a\", -3, 0]
[\"supervisor.readProcessStdoutLog\", \"a\", -3, 1]
[\"supervisor.readProcessStdoutLog\", \"a\", 100, 0]
[\"supervisor.readProcessStdoutLog\", \"nobody\", 0, 0]
[\"supervisor.readProcessStdoutLog\", \"off\", 0, 0]
[\"supervisor.readProcessStderrLog\", \"a\", 0, 0]
[\"supervisor.tailProcessStdoutLog\", \"a\", 0, 3]
[\"supervisor.tailProcessStdoutLog\", \"a\", 100, 3]
[\"supervisor.tailProcessStderrLog\", \"a\", 0, 100]
[\"supervisor.clearProcessLogs\", \"a\"]
[\"supervisor.readProcessStdoutLog\", \"a\", 0, 0]
[\"supervisor.clearProcessLogs\", \"nobody\"]
",
        );
    });
}

#[test]
fn multicall_answers_each() {
    compare(CONFIG, |side| {
        side.settle("a", "RUNNING");
        side.rpc("[\"system.multicall\", [{\"methodName\": \"supervisor.getState\", \"params\": []}, {\"methodName\": \"supervisor.startProcess\", \"params\": [\"a\"]}, {\"methodName\": \"no.such\", \"params\": []}, {\"params\": []}]]\n");
    });
}

#[test]
fn standard_input_is_written_to() {
    let config = "
[program:reader]
command = sh -c 'while read line; do echo got $line; done; echo end'
startsecs = 0
autorestart = false
stdout_logfile = {dir}/reader.log
[program:closed]
command = sh -c 'exec <&-; echo closed; exec sleep 86438'
startsecs = 0
stdout_logfile = {dir}/closed.log
[program:off]
command = cat
autostart = false
";
    compare(config, |side| {
        side.settle("reader", "RUNNING");
        side.wait_file("closed.log", "closed");
        side.rpc(
            "[\"supervisor.sendProcessStdin\", \"reader\", \"one\\ntwo \\u00e9\\n\"]
[\"supervisor.sendProcessStdin\", \"reader:reader\", \"three\\n\"]
[\"supervisor.sendProcessStdin\", \"closed\", \"x\\n\"]
[\"supervisor.sendProcessStdin\", \"off\", \"x\"]
[\"supervisor.sendProcessStdin\", \"nobody\", \"x\"]
[\"supervisor.sendProcessStdin\", \"reader\", 3]
[\"supervisor.sendProcessStdin\", \"reader\"]
[\"supervisor.sendProcessStdin\", \"reader:*\", \"x\"]
[\"supervisor.sendRemoteCommEvent\", \"deploy\", \"now\"]
[\"supervisor.sendRemoteCommEvent\", \"deploy\"]
",
        );
        side.wait_file("reader.log", "got three");
        side.file("reader.log");
    });
}
