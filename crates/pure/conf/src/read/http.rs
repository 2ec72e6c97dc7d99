//! `[unix_http_server]`, `[inet_http_server]`, `[supervisorctl]`, `[rpcinterface:x]`.

use finding::Finding;

use super::{Keys, Reader, Wrong, here_vars, sections};
use crate::expand::{EnvMap, Vars};
use crate::files::Files;
use crate::findings::Findings;
use crate::known::Kind;
use crate::model::{Ctl, InetHttp, Login, Model, Spanned, UnixHttp};
use crate::paths::normalize;
use crate::tree::strip;
use crate::values;

/// The factory of the interface that everything talks to.
const MAIN_FACTORY: &str = "supervisor.rpcinterface:make_main_rpcinterface";
/// The key that names a factory.
const FACTORY_KEY: &str = "supervisor.rpcinterface_factory";

fn text(text: &str) -> Result<String, String> {
    Ok(text.to_string())
}

/// Every `[unix_http_server]` without an error.
pub(crate) fn unix(reader: &mut Reader<'_>, env: &EnvMap) -> Vec<UnixHttp> {
    let ini = reader.ini;
    sections(ini, Kind::UnixHttp)
        .filter_map(|(section, _)| {
            let (machine, files) = (reader.env, reader.files);
            let here = here_vars(reader, env);
            let vars = Vars::new(env);
            let mut keys = Keys::new(reader, section);
            let file = keys.optional("file", &here, |path| {
                Ok(normalize(strip(path), machine, files))
            });
            if file.is_none() && keys.entry("file").is_none() {
                keys.error(
                    "conf.missing-key",
                    format!("[{}] has no `file`", section.name),
                    section.header.clone(),
                );
            }
            let login = login(&mut keys, &vars);
            let chown = keys
                .optional("chown", &vars, |owner| chown(owner, files))
                .map(|owner| owner.value);
            let chmod = keys.value("chmod", 0o700, &vars, values::octal).value;
            let failed = keys.failed;
            file.filter(|_| !failed).map(|file| UnixHttp {
                file,
                chmod,
                chown,
                login,
            })
        })
        .collect()
}

/// `user` or `user:group`, by name or number.
pub(super) fn chown(owner: &str, files: &dyn Files) -> Result<(u32, Option<u32>), String> {
    let (user, group) = match owner.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (owner, None),
    };
    let uid = files
        .account(&values::owner(user))
        .ok_or_else(|| format!("there is no user `{user}`"))?
        .uid;
    let Some(group) = group else {
        return Ok((uid, None));
    };
    let gid = files
        .group_id(&values::owner(group))
        .ok_or_else(|| format!("there is no group `{group}`"))?;
    Ok((uid, Some(gid)))
}

/// Every `[inet_http_server]` without an error.
pub(crate) fn inet(reader: &mut Reader<'_>, env: &EnvMap) -> Vec<InetHttp> {
    let ini = reader.ini;
    sections(ini, Kind::InetHttp)
        .filter_map(|(section, _)| {
            let vars = Vars::new(env);
            let mut keys = Keys::new(reader, section);
            let address = keys.optional("port", &vars, values::inet_address);
            if address.is_none() && keys.entry("port").is_none() {
                keys.error(
                    "conf.missing-key",
                    format!("[{}] has no `port`", section.name),
                    section.header.clone(),
                );
            }
            let login = login(&mut keys, &vars);
            let failed = keys.failed;
            let Spanned {
                value: (host, port),
                span,
            } = address.filter(|_| !failed)?;
            if login.is_none() && !is_loopback(&host) {
                let finding = Finding::warning(
                    "conf.open-control",
                    "anyone who reaches this port can stop and start programs",
                )
                .at(span.clone())
                .fix("write: port = 127.0.0.1:9001, or set username and password");
                reader.findings.push(finding);
            }
            Some(InetHttp {
                host,
                port: Spanned { value: port, span },
                login,
            })
        })
        .collect()
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.starts_with("127.") || host == "::1" || host == "[::1]"
}

/// User and password: both or none.
fn login(keys: &mut Keys<'_, '_>, vars: &Vars<'_>) -> Option<Login> {
    let failed = keys.failed;
    keys.failed = false;
    let username = keys.optional("username", vars, text);
    let password = keys.optional("password", vars, text);
    let broken = std::mem::replace(&mut keys.failed, failed);
    keys.failed |= broken;
    match (username, password) {
        (Some(username), Some(password)) => Some(Login {
            username: username.value,
            password: password.value,
        }),
        (None, None) => None,
        (username, password) => {
            if !broken {
                let missing = if username.is_some() {
                    "password"
                } else {
                    "username"
                };
                let span = username
                    .and_then(|u| u.span)
                    .or_else(|| password.and_then(|p| p.span));
                let message = format!(
                    "[{}] has no `{missing}`; both or none are needed",
                    keys.section.name
                );
                keys.error("conf.missing-key", message, span);
            }
            None
        }
    }
}

/// `[supervisorctl]` of the main file. The supervisor itself does not read it, so what is wrong with it is a warning.
pub(crate) fn ctl(reader: &mut Reader<'_>) -> Option<Ctl> {
    let ini = reader.ctl;
    let section = ini.section("supervisorctl")?;
    let env = reader.env.env.clone();
    let vars = Vars::new(&env);
    let here = here_vars(reader, &env);
    let mut findings = Findings::default();
    let (machine, files) = (reader.env, reader.files);
    let mut own = Reader {
        findings: &mut findings,
        ini,
        wrong: Wrong::default(),
        shut: Vec::new(),
        ..*reader
    };
    let mut keys = Keys::new(&mut own, section);
    let serverurl = keys.value(
        "serverurl",
        "http://localhost:9001".to_string(),
        &here,
        |url| match url.strip_prefix("unix://") {
            Some(path) => Ok(format!("unix://{}", normalize(path, machine, files))),
            None if url.starts_with("http://") || url.starts_with("https://") => {
                Ok(url.to_string())
            }
            None => Err(format!(
                "{} begins neither with unix:// nor with http://",
                values::shown(url)
            )),
        },
    );
    let username = keys.optional("username", &vars, text);
    let password = keys.optional("password", &vars, text);
    let prompt = keys
        .value("prompt", "supervisor".to_string(), &vars, text)
        .value;
    let history_file = keys.optional("history_file", &here, text);
    let login = match (username, password) {
        (None, None) => None,
        (username, password) => Some(Login {
            username: username.map(|u| u.value).unwrap_or_default(),
            password: password.map(|p| p.value).unwrap_or_default(),
        }),
    };
    for mut finding in findings.into_list() {
        finding.severity = finding::Severity::Warning;
        reader
            .findings
            .push(finding.effect("supervisorctl refuses this file"));
    }
    let history_file = history_file
        .map(|h| h.value)
        .filter(|h| !h.is_empty())
        .map(|h| normalize(&h, machine, files));
    Some(Ctl {
        serverurl: serverurl.value,
        login,
        prompt,
        history_file,
    })
}

/// `[rpcinterface:x]`: ours is always there; others are Python code that we do not run.
pub(crate) fn rpc_interfaces(reader: &mut Reader<'_>, env: &EnvMap, model: &Model) {
    let ini = reader.ini;
    let mut main = false;
    for (section, _) in sections(ini, Kind::RpcInterface) {
        let vars = Vars::new(env);
        let mut keys = Keys::new(reader, section);
        // Supervisor expands every key of this section, known or not.
        for key in section.options.keys().chain(ini.defaults.keys()) {
            keys.text(key, &vars);
        }
        match keys.entry(FACTORY_KEY) {
            None => {
                let message = format!("[{}] has no `{FACTORY_KEY}`", section.name);
                keys.error("conf.missing-key", message, section.header.clone());
            }
            Some(entry) if entry.text.as_str() == MAIN_FACTORY => main = true,
            Some(entry) => {
                let message = format!(
                    "[{}]: an interface of another package is Python code that runs inside of supervisord, and Steadfast runs none",
                    section.name
                );
                let finding = Finding::warning("conf.not-supported", message)
                    .at(entry.span())
                    .effect("its methods are not there; those of supervisor.* and system.* are");
                keys.reader.findings.push(finding);
            }
        }
    }
    if !main && (!model.unix_http.is_empty() || !model.inet_http.is_empty()) {
        let finding = Finding::warning(
            "conf.no-rpcinterface",
            "without [rpcinterface:supervisor] the real supervisord answers no command",
        )
        .at(model
            .unix_http
            .first()
            .and_then(|http| http.file.span.clone())
            .or_else(|| model.inet_http.first()?.port.span.clone()))
        .effect("Steadfast answers anyway")
        .fix(format!(
            "write: [rpcinterface:supervisor]\n       {FACTORY_KEY} = {MAIN_FACTORY}"
        ));
        reader.findings.push(finding);
    }
}
