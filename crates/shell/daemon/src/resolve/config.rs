//! Supervisor's view of a process's configuration: everything that getAllConfigInfo tells (rpcinterface.py).

use conf::{LogFile, LogTarget, ProcessDef};
use control::ConfigInfo;
use serde_json::{Map, Value, json};
use wire::{Sink, Spec};

/// The struct of one process.
pub(super) fn config(
    program: &conf::Program,
    process: &ProcessDef,
    group_priority: i64,
    spec: &Spec,
) -> ConfigInfo {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put(
        "directory",
        json!(process.directory.as_ref().map(|dir| dir.value.clone())),
    );
    put("uid", json!(program.user.as_ref().map(|user| user.uid)));
    put("command", json!(process.command.as_str()));
    put("exitcodes", json!(*program.exitcodes));
    put("killasgroup", json!(*program.killasgroup));
    put("redirect_stderr", json!(*program.redirect_stderr));
    put("startretries", json!(*program.startretries));
    put("startsecs", json!(*program.startsecs));
    put("stopsignal", json!(program.stopsignal.0));
    put("stopwaitsecs", json!(*program.stopwaitsecs));
    put(
        "serverurl",
        json!(
            program
                .serverurl
                .as_ref()
                .map_or("none", |url| url.value.as_str())
        ),
    );
    for (channel, target, sink) in [
        ("stdout", &process.stdout, &spec.stdout),
        ("stderr", &process.stderr, &spec.stderr),
    ] {
        put(&format!("{channel}_logfile"), logfile(target, sink));
        put(&format!("{channel}_logfile_backups"), json!(target.backups));
        put(
            &format!("{channel}_logfile_maxbytes"),
            json!(target.maxbytes),
        );
        put(
            &format!("{channel}_capture_maxbytes"),
            json!(target.capture_maxbytes),
        );
        put(
            &format!("{channel}_events_enabled"),
            json!(target.events_enabled),
        );
        put(&format!("{channel}_syslog"), json!(target.syslog));
    }
    ConfigInfo {
        name: process.name.clone(),
        group: program.group.clone(),
        in_use: false,
        autostart: *program.autostart,
        group_priority: clamp(group_priority),
        process_priority: clamp(program.priority.value),
        fields,
    }
}

/// XML-RPC has 32-bit integers.
fn clamp(priority: i64) -> i32 {
    i32::try_from(priority).unwrap_or(if priority < 0 { i32::MIN } else { i32::MAX })
}

fn logfile(target: &LogTarget, sink: &Sink) -> Value {
    match (&target.file.value, sink) {
        (LogFile::None, _) => Value::Null,
        (LogFile::Auto, Sink::File { path, .. }) if !path.is_empty() => json!(path),
        (LogFile::Auto, _) => json!("auto"),
        (LogFile::Path(path), _) => json!(path),
    }
}
