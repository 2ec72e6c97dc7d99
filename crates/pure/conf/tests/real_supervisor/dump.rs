//! What we read in the words of `dump.py`, and how it differs.

use conf::{
    AutoRestart, FastCgiSocket, Loaded, LogFile, LogLevel, LogTarget, Model, ProcessDef, Program,
    ProgramKind,
};
use serde_json::{Value, json};

/// Errors that only we report; the crate's documentation lists them.
const STRICTER: [&str; 6] = [
    "conf.command",
    "conf.name",
    "conf.include-unreadable",
    "conf.not-text",
    "conf.line-too-long",
    "conf.depends-on",
];

/// What we read, in the words of `dump.py`.
fn dump(model: &Model) -> Value {
    let groups: Vec<Value> = model
        .groups
        .iter()
        .map(|group| {
            let processes: Vec<Value> = group
                .programs
                .iter()
                .filter_map(|name| {
                    model
                        .programs
                        .iter()
                        .find(|p| p.name == *name && p.group == group.name)
                })
                .flat_map(|program| {
                    program
                        .processes
                        .iter()
                        .map(|process| process_json(program, process))
                })
                .collect();
            let mut told =
                json!({"name": group.name, "priority": group.priority, "processes": processes});
            shared(&mut told, model, group);
            told
        })
        .collect();
    let inet = model.inet_http.iter().map(|http| {
        let login = http.login.as_ref();
        json!({"username": login.map(|l| &l.username), "password": login.map(|l| &l.password), "host": http.host, "port": http.port.value})
    });
    let unix = model.unix_http.iter().map(|http| {
        let login = http.login.as_ref();
        let chown = http.chown.map_or([-1, -1], |(uid, gid)| {
            [i64::from(uid), gid.map_or(-1, i64::from)]
        });
        json!({
            "username": login.map(|l| &l.username), "password": login.map(|l| &l.password),
            "file": http.file.value, "chmod": http.chmod, "chown": chown,
        })
    });
    let servers: Vec<Value> = inet.chain(unix).collect();
    let top = &model.supervisord;
    let level = match top.loglevel {
        LogLevel::Blather => 3,
        LogLevel::Trace => 5,
        LogLevel::Debug => 10,
        LogLevel::Info => 20,
        LogLevel::Warn => 30,
        LogLevel::Error => 40,
        LogLevel::Critical => 50,
    };
    json!({
        "groups": groups,
        "servers": servers,
        "supervisord": {
            "logfile": file_json(&top.logfile), "logfile_maxbytes": top.logfile_maxbytes, "logfile_backups": top.logfile_backups,
            "loglevel": level, "pidfile": top.pidfile, "umask": top.umask, "nodaemon": top.nodaemon, "silent": top.silent,
            "minfds": top.minfds, "minprocs": top.minprocs, "nocleanup": top.nocleanup, "childlogdir": top.childlogdir,
            "strip_ansi": top.strip_ansi, "identifier": top.identifier, "directory": top.directory,
            "uid": top.user.as_ref().map(|user| user.uid), "environment": top.environment,
        },
    })
}

/// What the processes of a pool or of a FastCGI group share.
fn shared(told: &mut Value, model: &Model, group: &conf::Group) {
    let Some(program) = model.programs_of(group).next().filter(|_| !group.explicit) else {
        return;
    };
    match &program.kind {
        ProgramKind::Program => {}
        ProgramKind::EventListener(pool) => {
            told["buffer_size"] = json!(pool.buffer_size.value);
            told["events"] = json!(pool.events.value);
        }
        ProgramKind::FastCgi(fcgi) => {
            let (url, owner, mode) = match &fcgi.socket.value {
                FastCgiSocket::Tcp { host, port } => (format!("tcp://{host}:{port}"), None, None),
                FastCgiSocket::Unix { path, owner, mode } => {
                    let user = program.user.as_ref().filter(|user| user.uid != 0);
                    let owner = owner.or(user.map(|user| (user.uid, Some(user.gid))));
                    (format!("unix://{path}"), owner, Some(mode))
                }
            };
            let owner = owner.map(|(uid, gid)| [i64::from(uid), gid.map_or(-1, i64::from)]);
            told["socket"] = json!({
                "url": url, "owner": owner, "mode": mode, "backlog": fcgi.backlog.as_ref().map(|backlog| backlog.value),
            });
        }
    }
}

fn file_json(file: &LogFile) -> Value {
    match file {
        LogFile::Auto => json!("AUTO"),
        LogFile::None => Value::Null,
        LogFile::Path(path) => json!(path),
    }
}

fn process_json(program: &Program, process: &ProcessDef) -> Value {
    let mut object = json!({
        "name": process.name, "uid": program.user.as_ref().map(|user| user.uid), "command": process.command.as_str(), "argv": process.command.argv(),
        "directory": process.directory.as_ref().map(|dir| &dir.value), "umask": program.umask.as_ref().map(|umask| umask.value),
        "priority": program.priority.value, "autostart": program.autostart.value,
        "autorestart": match program.autorestart.value {
            AutoRestart::Never => json!(false),
            AutoRestart::Unexpected => json!("unexpected"),
            AutoRestart::Always => json!("always"),
        },
        "startsecs": program.startsecs.value, "startretries": program.startretries.value, "stopsignal": program.stopsignal.value.0,
        "stopwaitsecs": program.stopwaitsecs.value, "stopasgroup": program.stopasgroup.value, "killasgroup": program.killasgroup.value,
        "exitcodes": program.exitcodes.value, "redirect_stderr": program.redirect_stderr.value, "environment": process.environment,
        "serverurl": program.serverurl.as_ref().map(|url| &url.value),
    });
    let mut stream = |name: &str, log: &LogTarget| {
        object[format!("{name}_logfile")] = file_json(&log.file.value);
        object[format!("{name}_logfile_maxbytes")] = json!(log.maxbytes);
        object[format!("{name}_logfile_backups")] = json!(log.backups);
        object[format!("{name}_syslog")] = json!(log.syslog);
        object[format!("{name}_capture_maxbytes")] = json!(log.capture_maxbytes);
        object[format!("{name}_events_enabled")] = json!(log.events_enabled);
    };
    stream("stdout", &process.stdout);
    stream("stderr", &process.stderr);
    object
}

/// Brings what the real one says into our shape: no negative counts, no fields that we only warn about.
fn settle(real: &mut Value) {
    let clamp = |object: &mut Value, names: &[&str]| {
        for name in names {
            if object[*name].as_i64().is_some_and(|number| number < 0) {
                object[*name] = json!(0);
            }
        }
    };
    for group in real["groups"].as_array_mut().expect("groups") {
        for process in group["processes"].as_array_mut().expect("processes") {
            let counts = [
                "startsecs",
                "startretries",
                "stopwaitsecs",
                "stdout_logfile_maxbytes",
                "stderr_logfile_maxbytes",
                "stdout_logfile_backups",
                "stderr_logfile_backups",
                "stdout_capture_maxbytes",
                "stderr_capture_maxbytes",
            ];
            clamp(process, &counts);
            let object = process.as_object_mut().expect("an object");
            if let Some(umask) = object["umask"].as_i64() {
                object["umask"] = json!(umask & 0o7777);
            }
            if object["serverurl"] == json!("") {
                object["serverurl"] = Value::Null;
            }
        }
        // Of processes of one name in a group, the last counts (in ProcessGroup, later).
        let processes = group["processes"].as_array_mut().expect("processes");
        let names: Vec<Value> = processes.iter().map(|p| p["name"].clone()).collect();
        let mut index = 0;
        processes.retain(|p| {
            index += 1;
            !names[index..].contains(&p["name"])
        });
    }
    // Of groups of one name, the first counts (in Supervisor.add_process_group, later).
    let mut seen = Vec::new();
    real["groups"]
        .as_array_mut()
        .expect("groups")
        .retain(|group| {
            let new = !seen.contains(&group["name"]);
            seen.push(group["name"].clone());
            new
        });
    clamp(
        &mut real["supervisord"],
        &["logfile_maxbytes", "logfile_backups", "minfds", "minprocs"],
    );
    if real["supervisord"]["logfile"] == json!("syslog") {
        real["supervisord"]["logfile"] = Value::Null;
    }
    real.as_object_mut().expect("an object").remove("warnings");
}

/// Groups without a process are ours to drop; the real one has them and does nothing with them.
fn drop_empty(value: &mut Value) {
    value["groups"]
        .as_array_mut()
        .expect("groups")
        .retain(|group| group["processes"].as_array().is_some_and(|p| !p.is_empty()));
}

/// Compares what both made of one file; the difference in words, or `None`.
pub(crate) fn difference(
    loaded: &Loaded,
    mut real: Value,
    stricter: bool,
    partly: bool,
) -> Option<String> {
    let errors: Vec<_> = loaded
        .findings
        .iter()
        .filter(|finding| finding.is_error())
        .collect();
    let text = || {
        errors
            .iter()
            .map(|f| finding::render_finding(f, 99))
            .collect::<String>()
    };
    if let Some(why) = real.get("refused") {
        // It imports Python code by name; we do not.
        let about_python = why
            .as_str()
            .is_some_and(|why| why.contains("cannot be resolved within"));
        // Without the section we warn and run what is there; under the name `supervisord` the warning is a refusal.
        let warned = |f: &finding::Finding| f.code == "conf.no-supervisord";
        let about_section = why
            .as_str()
            .is_some_and(|why| why.contains("does not include supervisord section"))
            && loaded.findings.iter().any(warned);
        return (errors.is_empty() && !about_python && !about_section)
            .then(|| format!("the real one refuses, we do not: {why}"));
    }
    if !errors.is_empty() {
        let ours_only = stricter
            || errors.iter().all(|f| {
                STRICTER.contains(&f.code.as_str()) || f.message.starts_with("a `%` begins")
            });
        return (!ours_only).then(|| format!("we refuse, the real one does not:\n{}", text()));
    }
    if stricter {
        return Some("the case says that we are stricter, but we are not".to_string());
    }
    if partly {
        return None;
    }
    settle(&mut real);
    let mut own = dump(&loaded.model);
    drop_empty(&mut own);
    drop_empty(&mut real);
    (own != real).then(|| {
        let pretty = |value: &Value| serde_json::to_string_pretty(value).expect("JSON");
        let (own, real) = (pretty(&own), pretty(&real));
        let lines = own
            .lines()
            .zip(real.lines())
            .filter(|(a, b)| a != b)
            .take(8);
        lines
            .map(|(a, b)| format!("  ours {}\n  real {}\n", a.trim(), b.trim()))
            .collect()
    })
}
