//! What a running supervisord says of its processes: one read-only call over its socket, with one deadline.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use conf::Model;
use supervisord::xmlrpc::{self, Value};

use crate::scene::http::{self, Target};

/// One process as Supervisor tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) pid: i32,
    pub(crate) spawn_error: String,
    pub(crate) stdout_log: String,
    pub(crate) stderr_log: String,
}

/// Asks the supervisord of a configuration.
///
/// # Errors
/// Why it could not be asked, in words that follow "supervisord at SOCKET: ".
pub(crate) fn processes(model: &Model) -> Result<Vec<Told>, String> {
    let (target, login) = match (model.unix_http.first(), model.inet_http.first()) {
        (Some(unix), _) => (Target::Unix(unix.file.value.clone()), unix.login.as_ref()),
        (None, Some(inet)) => {
            let any = ["", "*", "0.0.0.0"].contains(&inet.host.as_str());
            let host = if any { "127.0.0.1" } else { &inet.host };
            (
                Target::Tcp(host.to_owned(), inet.port.value),
                inet.login.as_ref(),
            )
        }
        (None, None) => return Err("the configuration has no control socket".to_owned()),
    };
    let login = match login {
        Some(login) if login.password.starts_with("{SHA}") => {
            return Err("its password is kept as a hash".to_owned());
        }
        Some(login) => {
            let pair = STANDARD.encode(format!("{}:{}", login.username, login.password));
            format!("Authorization: Basic {pair}\r\n")
        }
        None => String::new(),
    };
    let body = xmlrpc::write_call("supervisor.getAllProcessInfo", &[]);
    let request = format!(
        "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nConnection: close\r\n{login}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = http::ask(&target, request.as_bytes())?;
    if answer.status != 200 {
        return Err(format!("it answers {}", answer.status));
    }
    let value = match xmlrpc::response(&answer.body) {
        Ok(Ok(value)) => value,
        Ok(Err(fault)) => return Err(format!("it refuses: {}", fault.text)),
        Err(_) => return Err("its answer is not XML-RPC".to_owned()),
    };
    let all = value.as_array().unwrap_or_default();
    Ok(all.iter().filter_map(told).collect())
}

fn told(value: &Value) -> Option<Told> {
    let text = |name: &str| {
        value
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or("")
            .to_owned()
    };
    Some(Told {
        group: text("group"),
        name: text("name"),
        state: text("statename"),
        pid: i32::try_from(value.get("pid")?.as_int()?).ok()?,
        spawn_error: text("spawnerr"),
        stdout_log: text("stdout_logfile"),
        stderr_log: text("stderr_logfile"),
    })
}
