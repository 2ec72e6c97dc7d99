//! How a server is handed a socket: the command line and environment that it is started with instead.
//!
//! | server | `gateway` | `held` |
//! |---|---|---|
//! | uvicorn | `--uds PATH`, FORWARDED_ALLOW_IPS=* | `--fd N` |
//! | gunicorn | `--bind unix:PATH`, `--forwarded-allow-ips=*` | `--bind fd://N`, one per address |
//! | hypercorn | `--bind unix:PATH`, umask 0 | `--bind fd://N` |
//! | granian | `--uds PATH`, umask 0 | no |
//! | fastapi run | 127.0.0.1 and a port (it has no Unix socket) | no |
//! | flask, django | 127.0.0.1 and a port | no |
//! | node, tsx, npm start | a port in `PORT` | no |
//! | anything else | `steadfast_command` | `steadfast_command` |

use crate::bind::{Address, Bind};
use crate::grammar::Role;
use crate::rewrite::{AddressKind, Refusal, Rewrite, Word, refusal};
use crate::rewriter::Rewriter;
use crate::server::{Kind, Server};

/// The hint for servers that the catalogue cannot hand a Unix socket.
const HINT_SOCKET: &str = "tell it how with: steadfast_command = … %(socket)s (or %(port)s)";

/// The hint for servers that the catalogue cannot hand a descriptor.
const HINT_FD: &str = "use listen = gateway, or tell it how with: steadfast_command = … %(fd)s";

impl Server {
    /// The addresses that the gateway or the keeper takes over.
    ///
    /// # Errors
    /// If they are not visible here, or cannot be taken over.
    pub fn public(&self) -> Result<&[Bind], Refusal> {
        let refuse = |reason: String, hint: &str| {
            Err(Refusal {
                reason,
                hint: hint.to_owned(),
            })
        };
        if let Some(Bind {
            address: Address::Fd(fd),
            ..
        }) = self
            .binds
            .iter()
            .find(|b| matches!(b.address, Address::Fd(_)))
        {
            return refuse(
                format!("it already takes descriptor {fd}"),
                "give its address in place of the descriptor",
            );
        }
        if self
            .binds
            .iter()
            .any(|b| matches!(b.address, Address::Tcp { port: 0, .. }))
        {
            return refuse("its port is 0, a random one".to_owned(), "name a port");
        }
        if !self.binds.is_empty() {
            return Ok(&self.binds);
        }
        match self.kind {
            Kind::Gunicorn | Kind::Hypercorn => refuse(
                format!(
                    "its address may be set in {}, which is not read here",
                    self.config_file.as_deref().unwrap_or("a file")
                ),
                "write the address on the command line: --bind HOST:PORT",
            ),
            Kind::Node | Kind::Nodemon | Kind::Tsx | Kind::PackageScript => refuse(
                "its port is not visible: PORT is not set in its environment".to_owned(),
                "set environment = PORT=\"3000\" (and let the program listen on it), or name the address in [gateway:x]",
            ),
            kind => refuse(
                format!("the address of this command is not known ({kind})"),
                "name the address in [gateway:x]",
            ),
        }
    }
}

/// The command line that takes the listener as an inherited descriptor (`listen = held`).
///
/// # Errors
/// If this server has no way to take one.
pub fn held(server: &Server) -> Result<Rewrite, Refusal> {
    let mut rewrite = Rewriter::new(server, HINT_FD)?;
    let binds = server.public()?;
    let unix = binds.iter().any(|b| matches!(b.address, Address::Unix(_)));
    match server.kind {
        Kind::Uvicorn => {
            rewrite.in_place_of_binds(vec![Word::text("--fd"), Word::fd(0, "")]);
            Ok(rewrite.done(AddressKind::Inherited(1)))
        }
        Kind::Gunicorn if unix => Err(refusal(
            "gunicorn removes a Unix socket that it was given when it stops",
            "use listen = gateway",
        )),
        Kind::Gunicorn | Kind::Hypercorn => {
            let words = (0..binds.len())
                .flat_map(|i| [Word::text("--bind"), Word::fd(i, "fd://")])
                .collect();
            rewrite.in_place_of_binds(words);
            Ok(rewrite.done(AddressKind::Inherited(binds.len())))
        }
        kind => Err(refusal(
            &format!("{kind} cannot take a listener that is already open"),
            HINT_FD,
        )),
    }
}

/// The command line that serves to the gateway (`listen = gateway`): on a Unix socket where the server can.
///
/// # Errors
/// If the server cannot be told where to listen, or speaks TLS itself.
pub fn gateway(server: &Server) -> Result<Rewrite, Refusal> {
    let mut rewrite = Rewriter::new(server, HINT_SOCKET)?;
    if server.tls {
        let hint = "remove the certificate options here and let a proxy before the gateway speak TLS, or use listen = held";
        return Err(refusal(
            "it speaks TLS itself, and the gateway does not",
            hint,
        ));
    }
    match server.kind {
        Kind::Uvicorn => {
            rewrite.in_place_of_binds(vec![Word::text("--uds"), Word::socket("")]);
            rewrite.trust("*")?;
            Ok(rewrite.done(AddressKind::Unix))
        }
        Kind::Granian => {
            rewrite.in_place_of_binds(vec![Word::text("--uds"), Word::socket("")]);
            rewrite.umask = Some(0);
            rewrite.client_in_header();
            Ok(rewrite.done(AddressKind::Unix))
        }
        Kind::Gunicorn => {
            rewrite.in_place_of_binds(vec![
                Word::text("--bind"),
                Word::socket("unix:"),
                Word::text("--forwarded-allow-ips=*"),
            ]);
            rewrite.trust("*")?;
            if !server.reads_forwarded {
                rewrite.client_in_header();
            }
            Ok(rewrite.done(AddressKind::Unix))
        }
        Kind::Hypercorn => {
            if let Some(item) = server.with(Role::OtherBind).next() {
                return Err(refusal(
                    &format!("{} opens a second address", item.name),
                    "leave it out, or use listen = own",
                ));
            }
            rewrite.in_place_of_binds(vec![Word::text("--bind"), Word::socket("unix:")]);
            rewrite.umask = Some(0);
            rewrite.client_in_header();
            Ok(rewrite.done(AddressKind::Unix))
        }
        Kind::Fastapi => {
            rewrite.in_place_of_binds(vec![
                Word::text("--host"),
                Word::text("127.0.0.1"),
                Word::text("--port"),
                Word::port(""),
            ]);
            rewrite.trust("127.0.0.1")?;
            rewrite.over_tcp("`fastapi run` has no Unix socket; `uvicorn MODULE:app` has one");
            Ok(rewrite.done(AddressKind::Tcp))
        }
        Kind::Flask => {
            rewrite.in_place_of_binds(vec![
                Word::text("--host"),
                Word::text("127.0.0.1"),
                Word::text("--port"),
                Word::port(""),
            ]);
            rewrite.client_in_header();
            rewrite.over_tcp("Flask's own server is reached by a port");
            Ok(rewrite.done(AddressKind::Tcp))
        }
        Kind::Django => {
            rewrite.in_place_of_binds(vec![Word::port("127.0.0.1:")]);
            rewrite.client_in_header();
            rewrite.over_tcp("Django's own server is reached by a port");
            Ok(rewrite.done(AddressKind::Tcp))
        }
        Kind::Node | Kind::Nodemon | Kind::Tsx | Kind::PackageScript => {
            rewrite.set("PORT", Word::port(""))?;
            if server.env("HOST").is_some() {
                rewrite.set("HOST", Word::text("127.0.0.1"))?;
            } else {
                rewrite.notes.push("unless the program names a host, its port is open on every interface beside the gateway".to_owned());
            }
            rewrite.client_in_header();
            rewrite.over_tcp(
                "Node is reached by the port in PORT; for a Unix socket use steadfast_command",
            );
            Ok(rewrite.done(AddressKind::Tcp))
        }
        Kind::Celery => Err(refusal("celery takes no connections", "leave `listen` out")),
        Kind::Unknown => Err(refusal("this server is not in the catalogue", HINT_SOCKET)),
    }
}
