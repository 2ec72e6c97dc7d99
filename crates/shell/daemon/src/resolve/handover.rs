//! `listen`: how a program is handed its socket, and where it is reached.

use conf::{Listen, ProcessDef};
use finding::Finding;
use servers::{AddressKind, EnvChange, Refusal, Rewrite, Server, Trust, Word};
use wire::{Address, Text};

use super::settings::{absolute, address};

/// First inherited listener (sd_listen_fds(3)).
const FIRST_FD: usize = 3;

/// How one process is started.
#[derive(Debug, Default)]
pub(super) struct Handed {
    /// The command line.
    pub(super) argv: Vec<Text>,
    /// Variables to set (Some) or to leave out (None).
    pub(super) env: Vec<(String, Option<Text>)>,
    /// umask 0 at bind time.
    pub(super) open_socket: bool,
    /// Where it will answer.
    pub(super) address: Address,
    /// Addresses that are taken over from it, as keys.
    pub(super) public: Vec<String>,
    /// Whose forwarded headers the gateway believes for it.
    pub(super) trusted: Vec<String>,
    /// Sentences for the operator.
    pub(super) notes: Vec<String>,
}

/// Decides it for one process. `needs_public`: some gateway has to open the program's own address.
pub(super) fn hand_over(
    program: &conf::Program,
    process: &ProcessDef,
    server: &Server,
    needs_public: bool,
) -> Result<Handed, Box<Finding>> {
    let refuse = |refusal: Refusal| {
        let span = program
            .listen
            .span
            .clone()
            .or_else(|| process.command.span());
        let message = format!(
            "[program:{}] cannot be started with listen = {}: {}",
            program.name,
            word(*program.listen),
            refusal.reason
        );
        Box::new(
            Finding::error("listen", message)
                .at(span)
                .hint(refusal.hint),
        )
    };
    match *program.listen {
        Listen::Own => Ok(own(process, server)),
        Listen::Held => {
            let rewrite = rewrite(process, server, servers::held).map_err(refuse)?;
            if !matches!(rewrite.address, AddressKind::Inherited(_)) {
                return Err(refuse(only(
                    "listen = held hands over a descriptor",
                    "name it %(fd)s in steadfast_command",
                )));
            }
            let public = public(server, process).map_err(refuse)?;
            let at = public
                .first()
                .map_or(Address::Unknown {}, |key| reached_at(key));
            Ok(handed(rewrite, at, public))
        }
        Listen::Gateway => {
            let rewrite = rewrite(process, server, servers::gateway).map_err(refuse)?;
            let at = match rewrite.address {
                AddressKind::Unix => Address::GenerationSocket {},
                AddressKind::Tcp => Address::GenerationPort {},
                AddressKind::Inherited(_) => {
                    let reason = only(
                        "listen = gateway hands over a path or a port",
                        "name it %(socket)s or %(port)s in steadfast_command",
                    );
                    return Err(refuse(reason));
                }
            };
            let public = match public(server, process) {
                Ok(public) => public,
                Err(_) if !needs_public => Vec::new(),
                Err(refusal) => return Err(refuse(refusal)),
            };
            Ok(handed(rewrite, at, public))
        }
    }
}

fn word(listen: Listen) -> &'static str {
    match listen {
        Listen::Own => "own",
        Listen::Held => "held",
        Listen::Gateway => "gateway",
    }
}

fn only(reason: &str, hint: &str) -> Refusal {
    Refusal {
        reason: reason.to_owned(),
        hint: hint.to_owned(),
    }
}

fn rewrite(
    process: &ProcessDef,
    server: &Server,
    by_catalogue: fn(&Server) -> Result<Rewrite, Refusal>,
) -> Result<Rewrite, Refusal> {
    match &process.steadfast_command {
        Some(template) => servers::by_template(&template.argv()),
        None => by_catalogue(server),
    }
}

/// The addresses that the server's command names, as keys.
pub(super) fn public(server: &Server, process: &ProcessDef) -> Result<Vec<String>, Refusal> {
    Ok(server
        .public()?
        .iter()
        .filter_map(|bind| key(&bind.address, process))
        .collect())
}

/// The key of an address; None for a descriptor.
pub(super) fn key(at: &servers::Address, process: &ProcessDef) -> Option<String> {
    match at {
        servers::Address::Tcp { host, port } => Some(address(host, *port)),
        servers::Address::Unix(path) if path.starts_with('/') => Some(format!("unix:{path}")),
        servers::Address::Unix(path) => {
            let dir = process
                .directory
                .as_ref()
                .map_or(String::new(), |dir| format!("{}/", dir.value));
            Some(format!("unix:{}", absolute(&format!("{dir}{path}"))))
        }
        servers::Address::Fd(_) => None,
    }
}

/// Where a client on this machine connects to reach a listener.
pub(super) fn reached_at(key: &str) -> Address {
    if let Some(path) = key.strip_prefix("unix:") {
        return Address::Unix {
            path: path.to_owned(),
        };
    }
    let (host, port) = key.rsplit_once(':').unwrap_or((key, ""));
    let host = match host {
        "0.0.0.0" | "[::]" | "" => "127.0.0.1",
        host => host,
    };
    Address::Tcp {
        address: format!("{host}:{port}"),
    }
}

fn own(process: &ProcessDef, server: &Server) -> Handed {
    let public: Vec<String> = public(server, process).unwrap_or_default();
    let at = match public.as_slice() {
        [only] => reached_at(only),
        [] | [_, ..] => Address::Unknown {},
    };
    Handed {
        argv: process.command.argv().into_iter().map(Text::from).collect(),
        address: at,
        public,
        trusted: trusted(&server.trusts),
        ..Handed::default()
    }
}

fn handed(rewrite: Rewrite, address: Address, public: Vec<String>) -> Handed {
    let changes = rewrite.env.into_iter().map(|change| match change {
        EnvChange::Set { name, value } => (name, Some(text(value))),
        EnvChange::Remove { name } => (name, None),
    });
    Handed {
        env: changes.collect(),
        argv: rewrite.argv.into_iter().map(text).collect(),
        open_socket: rewrite.umask == Some(0),
        address,
        public,
        trusted: trusted(&rewrite.trusts),
        notes: rewrite.notes,
    }
}

fn text(word: Word) -> Text {
    match word {
        Word::Text(text) => Text::Plain { text },
        Word::Socket { before, after } => Text::Socket { before, after },
        Word::Port { before, after } => Text::Port { before, after },
        Word::Fd {
            index,
            before,
            after,
        } => Text::Plain {
            text: format!("{before}{}{after}", FIRST_FD + index),
        },
    }
}

fn trusted(trust: &Trust) -> Vec<String> {
    match trust {
        Trust::Addresses(addresses) => addresses.clone(),
        Trust::Everyone => vec!["*".to_owned()],
        Trust::Nobody => Vec::new(),
    }
}
