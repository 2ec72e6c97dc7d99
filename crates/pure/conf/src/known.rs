//! Every section and key that Supervisor 4.3 or Steadfast knows, and what becomes of it.

use crate::suggest::did_you_mean;

/// What a key is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Read.
    Yes,
    /// Supervisor knows the word and does nothing with it.
    Ignored,
    /// A key of ours that never did anything; files may have it.
    Without,
}

/// The kinds of sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Supervisord,
    UnixHttp,
    InetHttp,
    Ctl,
    Include,
    RpcInterface,
    Program,
    Group,
    EventListener,
    FcgiProgram,
    CtlPlugin,
    Steadfast,
    Gateway,
    Upstream,
    Sessions,
}

/// Names of sections, with `:` where a name follows.
const SECTIONS: [(&str, Kind); 15] = [
    ("supervisord", Kind::Supervisord),
    ("unix_http_server", Kind::UnixHttp),
    ("inet_http_server", Kind::InetHttp),
    ("supervisorctl", Kind::Ctl),
    ("include", Kind::Include),
    ("rpcinterface:", Kind::RpcInterface),
    ("program:", Kind::Program),
    ("group:", Kind::Group),
    ("eventlistener:", Kind::EventListener),
    ("fcgi-program:", Kind::FcgiProgram),
    ("ctlplugin:", Kind::CtlPlugin),
    ("steadfast", Kind::Steadfast),
    ("gateway:", Kind::Gateway),
    ("upstream:", Kind::Upstream),
    ("sessions", Kind::Sessions),
];

/// The kind of a section, and its own name if it has one. Supervisor takes anything that begins with `unix_http_server` or
/// `inet_http_server` for one.
pub(crate) fn section(name: &str) -> Option<(Kind, &str)> {
    SECTIONS
        .iter()
        .find_map(|(known, kind)| match (known.ends_with(':'), kind) {
            (true, _) => name.strip_prefix(known).map(|own| (*kind, own)),
            (false, Kind::UnixHttp | Kind::InetHttp) => {
                name.strip_prefix(known).map(|own| (*kind, own))
            }
            (false, _) => (name == *known).then_some((*kind, "")),
        })
}

impl Kind {
    /// Whether Supervisor knows no such section.
    pub(crate) fn is_ours(self) -> bool {
        match self {
            Kind::Steadfast | Kind::Gateway | Kind::Upstream | Kind::Sessions => true,
            Kind::Supervisord
            | Kind::UnixHttp
            | Kind::InetHttp
            | Kind::Ctl
            | Kind::Include
            | Kind::RpcInterface
            | Kind::Program
            | Kind::Group
            | Kind::EventListener
            | Kind::FcgiProgram
            | Kind::CtlPlugin => false,
        }
    }
}

/// The section that was probably meant.
pub(crate) fn suggest_section(name: &str) -> Option<String> {
    let (kind, own) = match name.split_once(':') {
        Some((kind, own)) => (format!("{}:", kind.trim()), own),
        None => (name.trim().to_string(), ""),
    };
    let names = SECTIONS.iter().map(|(known, _)| *known);
    if let Some((known, _)) = SECTIONS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(&kind))
    {
        return Some(format!("{known}{own}"));
    }
    did_you_mean(&kind, names).map(|known| format!("{known}{own}"))
}

const SUPERVISORD: [&str; 17] = [
    "minfds",
    "minprocs",
    "directory",
    "user",
    "umask",
    "logfile",
    "logfile_maxbytes",
    "logfile_backups",
    "loglevel",
    "pidfile",
    "identifier",
    "nodaemon",
    "silent",
    "childlogdir",
    "nocleanup",
    "strip_ansi",
    "environment",
];
const UNIX_HTTP: [&str; 5] = ["file", "chmod", "chown", "username", "password"];
const INET_HTTP: [&str; 3] = ["port", "username", "password"];
const CTL: [&str; 5] = [
    "serverurl",
    "username",
    "password",
    "prompt",
    "history_file",
];
const PROGRAM: [&str; 32] = [
    "command",
    "process_name",
    "numprocs",
    "numprocs_start",
    "priority",
    "autostart",
    "autorestart",
    "startsecs",
    "startretries",
    "exitcodes",
    "stopsignal",
    "stopwaitsecs",
    "stopasgroup",
    "killasgroup",
    "user",
    "umask",
    "directory",
    "environment",
    "redirect_stderr",
    "serverurl",
    "stdout_logfile",
    "stdout_logfile_maxbytes",
    "stdout_logfile_backups",
    "stdout_capture_maxbytes",
    "stdout_events_enabled",
    "stdout_syslog",
    "stderr_logfile",
    "stderr_logfile_maxbytes",
    "stderr_logfile_backups",
    "stderr_capture_maxbytes",
    "stderr_events_enabled",
    "stderr_syslog",
];
const PROGRAM_OURS: [&str; 24] = [
    "listen",
    "env_file",
    "secrets",
    "ready",
    "ready_host",
    "ready_timeout",
    "keepalive",
    "unhealthy",
    "replace",
    "drain_timeout",
    "restart_window",
    "depends_on",
    "steadfast_command",
    "repeat",
    "restart_delay",
    "oneshot",
    "essential",
    "log_prefix",
    "log_format",
    "memory_max",
    "reload_signal",
    "notify",
    "keepalive_url",
    "maintenance_page",
];
/// What a program or an upstream says about its keys and tokens.
const TOKENS: [&str; 7] = [
    "secrets",
    "signing",
    "jwt_alg",
    "claims",
    "jwt_cookie",
    "secrets_fallbacks",
    "token_lifetime",
];
const PROGRAM_PROOF: [&str; 2] = ["prove", "prove_user"];
/// `doctor_ignore` is read by the doctor alone.
const STEADFAST: [&str; 4] = ["guard", "state_dir", "doctor_ignore", "notify"];
/// Keys of ours that mean something for a process of any kind.
const PROGRAM_OURS_ANY: [&str; 9] = [
    "env_file",
    "secrets",
    "depends_on",
    "restart_delay",
    "essential",
    "log_prefix",
    "log_format",
    "memory_max",
    "notify",
];
/// `steadfast_events` names events that only we have.
const LISTENER: [&str; 4] = [
    "buffer_size",
    "events",
    "result_handler",
    "steadfast_events",
];
const FASTCGI: [&str; 4] = ["socket", "socket_owner", "socket_mode", "socket_backlog"];
const GATEWAY: [&str; 16] = [
    "listen",
    "route",
    "hold",
    "hold_max",
    "hold_bytes_max",
    "workers",
    "trust",
    "user",
    "body_max",
    "head_timeout",
    "idle_timeout",
    "answer_timeout",
    "connections_max",
    "auth",
    "open",
    "maintenance_page",
];
const GATEWAY_AUTH: [&str; 6] = ["auth", "login", "logout", "realm", "fresh", "forward_auth"];
const UPSTREAM: [&str; 6] = [
    "connect",
    "env_file",
    "ready",
    "ready_host",
    "ready_timeout",
    "keepalive",
];
const SESSIONS: [&str; 5] = [
    "store",
    "prefix",
    "origins",
    "idle_timeout",
    "absolute_timeout",
];

/// Lists of keys of one kind of section, each with what becomes of them.
type Lists = &'static [(&'static [&'static str], Known)];

/// The keys of a kind of section; `None` if it may have any.
fn keys(kind: Kind) -> Option<Lists> {
    Some(match kind {
        Kind::Supervisord => &[
            (&SUPERVISORD, Known::Yes),
            (&["profile_options"], Known::Ignored),
        ],
        Kind::UnixHttp => &[(&UNIX_HTTP, Known::Yes)],
        Kind::InetHttp => &[(&INET_HTTP, Known::Yes)],
        Kind::Ctl => &[(&CTL, Known::Yes)],
        Kind::Include => &[(&["files"], Known::Yes)],
        Kind::Program => &[
            (&PROGRAM, Known::Yes),
            (&PROGRAM_OURS, Known::Yes),
            (&TOKENS, Known::Yes),
            (&PROGRAM_PROOF, Known::Yes),
        ],
        Kind::Group => &[(&["programs", "priority"], Known::Yes)],
        Kind::Steadfast => &[(&STEADFAST, Known::Yes), (&["run_dir"], Known::Without)],
        Kind::Gateway => &[(&GATEWAY, Known::Yes), (&GATEWAY_AUTH, Known::Yes)],
        Kind::Upstream => &[(&UPSTREAM, Known::Yes), (&TOKENS, Known::Yes)],
        Kind::Sessions => &[(&SESSIONS, Known::Yes)],
        Kind::EventListener => &[
            (&PROGRAM, Known::Yes),
            (&LISTENER, Known::Yes),
            (&PROGRAM_OURS_ANY, Known::Yes),
        ],
        Kind::FcgiProgram => &[
            (&PROGRAM, Known::Yes),
            (&FASTCGI, Known::Yes),
            (&PROGRAM_OURS_ANY, Known::Yes),
        ],
        Kind::RpcInterface | Kind::CtlPlugin => return None,
    })
}

/// What a key of a section is to us; `Err` carries the key that was probably meant.
pub(crate) fn key(kind: Kind, name: &str) -> Result<Known, Option<&'static str>> {
    let Some(lists) = keys(kind) else {
        return Ok(Known::Yes);
    };
    if let Some((_, known)) = lists.iter().find(|(names, _)| names.contains(&name)) {
        return Ok(*known);
    }
    Err(did_you_mean(
        name,
        lists.iter().flat_map(|(names, _)| names.iter().copied()),
    ))
}

/// Whether [`key`] would be an error, without looking for what was meant.
pub(crate) fn key_is_unknown(kind: Kind, name: &str) -> bool {
    keys(kind).is_some_and(|lists| !lists.iter().any(|(names, _)| names.contains(&name)))
}

/// Whether a key of this kind of section is one that only we know.
pub(crate) fn key_is_ours(kind: Kind, name: &str) -> bool {
    let lists = keys(kind).unwrap_or_default();
    let known = lists.iter().any(|(names, _)| names.contains(&name));
    let theirs = [&PROGRAM[..], &FASTCGI, &LISTENER[..3]];
    let is_program = matches!(
        kind,
        Kind::Program | Kind::EventListener | Kind::FcgiProgram
    );
    let only_ours = || !theirs.iter().any(|names| names.contains(&name));
    known && (kind.is_ours() || (is_program && only_ours()))
}

/// Whether a key decides who is asked to sign in: in a section where it does nothing, nobody is.
pub(crate) fn is_about_sign_in(name: &str) -> bool {
    GATEWAY_AUTH.contains(&name)
}

/// The key about signing in that was probably meant.
pub(crate) fn near_sign_in(name: &str) -> Option<&'static str> {
    did_you_mean(name, GATEWAY_AUTH)
}

/// The sections in which a key of ours belongs, as people write them: `[gateway:x]`.
pub(crate) fn where_it_belongs(name: &str) -> Vec<String> {
    let kinds = SECTIONS
        .iter()
        .filter(|(_, kind)| kind.is_ours() || *kind == Kind::Program);
    kinds
        .filter(|(_, kind)| key_is_ours(*kind, name))
        .map(|(section, _)| match section.ends_with(':') {
            true => format!("[{section}x]"),
            false => format!("[{section}]"),
        })
        .collect()
}

/// Whether any section knows the key: what `[DEFAULT]` may hold.
pub(crate) fn any_key(name: &str) -> bool {
    let kinds = SECTIONS.iter().map(|(_, kind)| *kind);
    kinds
        .filter_map(keys)
        .any(|lists| lists.iter().any(|(names, _)| names.contains(&name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The keys in backquotes of one section of docs/configuration.md: the first cell of its rows, and its sentences
    /// that list keys.
    fn documented(section: &str) -> BTreeSet<String> {
        let text = include_str!("../../../../docs/configuration.md");
        let heading = format!("## [{section}]\n");
        let part = text.split(&heading).nth(1).unwrap_or("");
        let part = part.split("\n## ").next().unwrap_or("");
        let mut found = BTreeSet::new();
        for line in part.lines() {
            let cell = match line.strip_prefix("| `") {
                Some(_) => line.split(" | ").next().unwrap_or(""),
                None if line.starts_with("Supervisor's keys; of ours") => line,
                None => continue,
            };
            found.extend(cell.split('`').skip(1).step_by(2).map(str::to_owned));
        }
        found
    }

    #[test]
    fn the_page_of_keys_has_exactly_the_keys_of_this_table() {
        let of_supervisor: BTreeSet<&str> = PROGRAM
            .iter()
            .chain(&FASTCGI)
            .chain(&["buffer_size", "events", "result_handler"])
            .copied()
            .collect();
        let same = "as for `[eventlistener:x]`";
        assert!(include_str!("../../../../docs/configuration.md").contains(same));
        for (section, kind) in [
            ("program:x", Kind::Program),
            ("eventlistener:x", Kind::EventListener),
            ("steadfast", Kind::Steadfast),
            ("gateway:x", Kind::Gateway),
            ("upstream:x", Kind::Upstream),
            ("sessions", Kind::Sessions),
        ] {
            let lists = keys(kind).expect("a table");
            let ours: BTreeSet<String> = lists
                .iter()
                .filter(|(_, known)| *known != Known::Without)
                .flat_map(|(names, _)| names.iter())
                .filter(|name| kind == Kind::Gateway || !of_supervisor.contains(*name))
                .map(|name| (*name).to_owned())
                .collect();
            assert_eq!(documented(section), ours, "[{section}]");
        }
    }
}
