//! `[supervisord]`, `[unix_http_server]`, `[inet_http_server]` as the daemon needs them.

use std::path::Path;

use conf::{LogFile, LogLevel};

use super::context::Context;
use crate::machine::cwd;
use crate::model::{Server, Settings};

/// The settings of a model.
pub(super) fn settings(model: &conf::Model, context: &Context<'_>) -> Settings {
    settings_of(model, context.state_dir)
}

/// The same before anything else is resolved; `state_dir` where the file names none.
pub(crate) fn settings_of(model: &conf::Model, default_state_dir: &Path) -> Settings {
    let own = &model.supervisord;
    let state_dir = model
        .steadfast
        .as_ref()
        .and_then(|ours| ours.state_dir.as_ref());
    let mut servers = Vec::new();
    for unix in &model.unix_http {
        let (username, password) = login(unix.login.as_ref());
        let owner = unix.chown;
        servers.push(Server {
            unix: unix.file.value.clone(),
            mode: unix.chmod,
            owner,
            username,
            password,
            ..Server::default()
        });
    }
    for inet in &model.inet_http {
        let (username, password) = login(inet.login.as_ref());
        let tcp = address(&inet.host, *inet.port);
        servers.push(Server {
            tcp,
            username,
            password,
            ..Server::default()
        });
    }
    Settings {
        steadfast: model.steadfast.is_some(),
        logfile: match &own.logfile {
            LogFile::Path(path) => absolute(path),
            LogFile::Auto | LogFile::None => String::new(),
        },
        syslog: own.syslog,
        logfile_bytes_max: own.logfile_maxbytes,
        logfile_backups: own.logfile_backups,
        loglevel: level(own.loglevel),
        pidfile: own.pidfile.clone(),
        nodaemon: own.nodaemon,
        silent: own.silent,
        identifier: own.identifier.clone(),
        childlogdir: own.childlogdir.clone(),
        nocleanup: own.nocleanup,
        state_dir: state_dir.map_or_else(
            || default_state_dir.display().to_string(),
            |dir| dir.value.clone(),
        ),
        servers,
    }
}

/// `SUPERVISOR_SERVER_URL` of programs that name none (options.py: the first Unix socket, else the TCP port).
pub(super) fn server_url(model: &conf::Model) -> Option<String> {
    if let Some(unix) = model.unix_http.first() {
        return Some(format!("unix://{}", unix.file.value));
    }
    let inet = model.inet_http.first()?;
    let host = if inet.host.is_empty() {
        "localhost"
    } else {
        &inet.host
    };
    Some(format!("http://{host}:{}", *inet.port))
}

/// `HOST:PORT` as a listener's key; an empty host is every address.
pub(super) fn address(host: &str, port: u16) -> String {
    match host {
        "" | "*" => format!("[::]:{port}"),
        host if host.contains(':') => format!("[{host}]:{port}"),
        host => format!("{host}:{port}"),
    }
}

/// A path of the daemon's, absolute.
pub(super) fn absolute(path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        Path::new(&cwd()).join(path).display().to_string()
    }
}

fn login(login: Option<&conf::Login>) -> (String, String) {
    login.map_or_else(Default::default, |login| {
        (login.username.clone(), login.password.clone())
    })
}

/// Supervisor's numbers (loggers.py).
fn level(level: LogLevel) -> u32 {
    match level {
        LogLevel::Blather => 3,
        LogLevel::Trace => 5,
        LogLevel::Debug => 10,
        LogLevel::Info => 20,
        LogLevel::Warn => 30,
        LogLevel::Error => 40,
        LogLevel::Critical => 50,
    }
}
