//! The file: read again, groups in and out of service, what could be run.

use control::{Body, Command, ConfigInfo, Done, Fault as Kind};
use serde_json::Value as Json;

use super::processes::fault_of;
use super::{Answer, Rpc, failed};
use crate::xmlrpc::{Fault, Value};

/// Keys of getAllConfigInfo (rpcinterface.py), each with what it is for a program that says nothing.
const KEYS: [(&str, Default); 29] = [
    ("autostart", Default::Truth(true)),
    ("directory", Default::Text("none")),
    ("uid", Default::Text("none")),
    ("command", Default::Text("none")),
    ("exitcodes", Default::Codes),
    ("group", Default::Text("")),
    ("group_prio", Default::Number(999)),
    ("inuse", Default::Truth(false)),
    ("killasgroup", Default::Truth(false)),
    ("name", Default::Text("")),
    ("process_prio", Default::Number(999)),
    ("redirect_stderr", Default::Truth(false)),
    ("startretries", Default::Number(3)),
    ("startsecs", Default::Number(1)),
    ("stdout_capture_maxbytes", Default::Number(0)),
    ("stdout_events_enabled", Default::Truth(false)),
    ("stdout_logfile", Default::Text("auto")),
    ("stdout_logfile_backups", Default::Number(10)),
    ("stdout_logfile_maxbytes", Default::Number(52_428_800)),
    ("stdout_syslog", Default::Truth(false)),
    ("stopsignal", Default::Number(15)),
    ("stopwaitsecs", Default::Number(10)),
    ("stderr_capture_maxbytes", Default::Number(0)),
    ("stderr_events_enabled", Default::Truth(false)),
    ("stderr_logfile", Default::Text("auto")),
    ("stderr_logfile_backups", Default::Number(10)),
    ("stderr_logfile_maxbytes", Default::Number(52_428_800)),
    ("stderr_syslog", Default::Truth(false)),
    ("serverurl", Default::Text("auto")),
];

#[derive(Clone, Copy)]
enum Default {
    Truth(bool),
    Number(i64),
    Text(&'static str),
    Codes,
}

impl Rpc {
    pub(super) async fn reload_config(&self) -> Answer {
        match self.done(Command::Reread).await? {
            Done {
                body:
                    Body::Changes {
                        added,
                        changed,
                        removed,
                        ..
                    },
                exit: 0,
                ..
            } => {
                let names = |groups: Vec<String>| {
                    Value::Array(groups.into_iter().map(Value::from).collect())
                };
                let changes = Value::Array(vec![names(added), names(changed), names(removed)]);
                Ok(Value::Array(vec![changes]))
            }
            done => Err(Fault::with(Kind::CantReread, done.error.trim())),
        }
    }

    /// Supervisor answers before it looks at the file, and ends if the file is broken. Here the file is read
    /// first, so that a broken one is refused and everything goes on.
    pub(super) async fn restart(&self) -> Answer {
        self.reload_config().await?;
        self.leave(Command::Reload { all: true })
    }

    pub(super) async fn add_group(&self, name: &str) -> Answer {
        let command = Command::AddGroup {
            name: name.to_owned(),
        };
        self.group_changed(command, name).await
    }

    pub(super) async fn remove_group(&self, name: &str) -> Answer {
        let command = Command::RemoveGroup {
            name: name.to_owned(),
        };
        self.group_changed(command, name).await
    }

    /// Only what concerns the group is a fault; how the starts of its processes went is not part of the answer.
    async fn group_changed(&self, command: Command, name: &str) -> Answer {
        let done = self.done(command).await?;
        let Body::Outcomes { outcomes } = &done.body else {
            return match done.exit {
                0 => Ok(true.into()),
                _ => Err(failed(&done)),
            };
        };
        let of_group = outcomes.iter().find(|outcome| {
            matches!(
                outcome.status,
                Kind::AlreadyAdded | Kind::BadName | Kind::StillRunning | Kind::CantReread
            )
        });
        match of_group {
            Some(outcome) => Err(fault_of(outcome, name)),
            None => Ok(true.into()),
        }
    }

    pub(super) async fn all_config_info(&self) -> Answer {
        match self.done(Command::Available).await? {
            Done {
                body: Body::Available { mut configs },
                ..
            } => {
                configs.sort_by(|a, b| a.name.cmp(&b.name));
                Ok(Value::Array(configs.iter().map(config_struct).collect()))
            }
            done => Err(failed(&done)),
        }
    }
}

fn config_struct(config: &ConfigInfo) -> Value {
    let member = |&(key, default): &(&str, Default)| {
        let value = match key {
            "name" => config.name.as_str().into(),
            "group" => config.group.as_str().into(),
            "inuse" => config.in_use.into(),
            "autostart" => config.autostart.into(),
            "group_prio" => config.group_priority.into(),
            "process_prio" => config.process_priority.into(),
            _ => match config.fields.get(key) {
                Some(value) => from_json(value),
                None => default.value(),
            },
        };
        (key.to_owned(), value)
    };
    Value::Struct(KEYS.iter().map(member).collect())
}

impl Default {
    fn value(self) -> Value {
        match self {
            Default::Truth(truth) => truth.into(),
            Default::Number(number) => Value::Int(number),
            Default::Text(text) => text.into(),
            Default::Codes => Value::Array(vec![Value::Int(0)]),
        }
    }
}

/// `null` is Supervisor's `none`.
fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => "none".into(),
        Json::Bool(truth) => (*truth).into(),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Double(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => Value::Array(items.iter().map(from_json).collect()),
        Json::Object(members) => Value::Struct(
            members
                .iter()
                .map(|(name, value)| (name.clone(), from_json(value)))
                .collect(),
        ),
    }
}
