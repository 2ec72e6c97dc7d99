//! The catalogue: which server a command line is, where it binds, whether it reloads or forks, and how to hand it a
//! socket. Guard, gateway and doctor use this one table.
//!
//! ```text
//! argv, env ──wrap──> the server's own words ──grammar──> options ──read──> Server ─┬─ guard     ─> DevFlag…
//!            (env, nice, poetry run, sh -c …)   (tables.rs)                         ├─ held      ─> Rewrite
//!                                                                                   └─ gateway   ─> Rewrite
//! ```
//! Everything here is pure: words and variables come in, values go out. A server that is not in the catalogue is
//! [`Kind::Unknown`]: nothing is claimed about it, no flag of it is ever reported, and it is handed a socket only by a
//! `steadfast_command` ([`by_template`]).
//!
//! What a server does with its options was read in its source and is proved against the real one by
//! `tests/real_servers.rs` (uvicorn 0.54, gunicorn 27, fastapi-cli 0.0, hypercorn 0.18, granian 2.8, Flask 3.1, Node 20).
//!
//! Known limits, on purpose: files that a server reads by itself (`gunicorn.conf.py`, `.flaskenv`, `package.json`) are
//! not looked at here; [`Server::config_file`] names the one on the command line, so that a caller can say so.

mod bind;
mod edit;
mod facts;
mod grammar;
mod guard;
mod handover;
mod quote;
mod read;
mod rewrite;
mod rewriter;
mod rules;
mod server;
mod shell;
mod tables;
mod template;
mod words;
mod wrap;

pub use bind::{Address, Bind, Origin};
pub use guard::guard;
pub use handover::{gateway, held};
pub use quote::{quote_line, quote_word, shell_line};
pub use read::read;
pub use rewrite::{AddressKind, Command, EnvChange, Places, Refusal, Rewrite, Word};
pub use server::{DevFlag, Fix, Forks, Kind, Program, Server, Trust, Weight};
pub use template::by_template;
pub use words::{Env, Place};
