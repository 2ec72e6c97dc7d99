//! Options of a server, read as its own parser reads them: a `--reload` that is another option's value is no flag.

use crate::words::Token;
use std::ops::Range;

/// What an option means to us. Options without a role are only stepped over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// `--host`.
    Host,
    /// `--port`.
    Port,
    /// A Unix socket's path.
    Uds,
    /// An inherited descriptor.
    Fd,
    /// gunicorn's and hypercorn's `--bind`; may be repeated.
    Bind,
    /// A further listener that is not the main one (hypercorn's `--insecure-bind`, `--quic-bind`).
    OtherBind,
    /// Number of worker processes.
    Workers,
    /// gunicorn's `-k`.
    WorkerClass,
    /// Addresses whose forwarded headers are believed.
    Trust,
    /// Forwarded headers are read.
    ProxyHeaders,
    /// Forwarded headers are not read.
    NoProxyHeaders,
    /// A file of settings that the server reads.
    Config,
    /// The server speaks TLS itself.
    Tls,
    /// Restarts the server when files change.
    Reload,
    /// Takes `Reload` back.
    NoReload,
    /// Does nothing but tune `Reload`.
    Companion,
    /// Debug mode, which implies reloading.
    Debug,
    /// Takes `Debug` back.
    NoDebug,
    /// nodemon's `--exec`.
    Exec,
    /// gunicorn's `--daemon`.
    Daemonize,
    /// Code on the command line (`node -e`): no script follows.
    Eval,
}

/// How a family of parsers treats words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parser {
    /// click and typer: no abbreviations; an option takes the next word, whatever it looks like.
    Click,
    /// argparse: unambiguous abbreviations; a word that begins with `-` is never a value.
    Argparse,
    /// Node's: options end at the script.
    Node,
}

/// One option with a role.
#[derive(Debug)]
pub(crate) struct Opt {
    pub(crate) names: &'static [&'static str],
    pub(crate) takes_value: bool,
    pub(crate) role: Role,
}

/// All options of one server.
#[derive(Debug)]
pub(crate) struct Grammar {
    pub(crate) parser: Parser,
    pub(crate) options: &'static [Opt],
    /// Options without a role that take a value.
    pub(crate) values: &'static [&'static str],
    /// Options without a role that take none (needed for abbreviations and clusters).
    pub(crate) flags: &'static [&'static str],
    /// `UVICORN` if `--port` may be given as `UVICORN_PORT`.
    pub(crate) env_prefix: Option<&'static str>,
}

/// One thing on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) role: Option<Role>,
    /// Canonical name (`--bind` for `-b`), or the positional itself.
    pub(crate) name: String,
    pub(crate) value: Option<String>,
    /// Tokens that it covers.
    pub(crate) tokens: Range<usize>,
    /// What stays of its first token when it is taken out of a cluster (`-Rb x` without `-b` leaves `-R`).
    pub(crate) leaves: Option<String>,
    pub(crate) positional: bool,
}

/// Reads `tokens[from..]`.
pub(crate) fn parse(grammar: &Grammar, tokens: &[Token], from: usize) -> Vec<Item> {
    let mut items = Vec::new();
    let mut i = from;
    let mut options = true;
    while let Some(token) = tokens.get(i) {
        let text = token.text.as_str();
        if options && text == "--" {
            options = false;
            i += 1;
        } else if options && text.starts_with("--") {
            i = long(grammar, tokens, i, &mut items);
        } else if options && text.len() > 1 && text.starts_with('-') {
            i = short(grammar, tokens, i, &mut items);
        } else {
            items.push(Item {
                role: None,
                name: text.to_owned(),
                value: None,
                tokens: i..i + 1,
                leaves: None,
                positional: true,
            });
            i += 1;
            options &= grammar.parser != Parser::Node;
        }
    }
    items
}

struct Found {
    name: &'static str,
    takes_value: bool,
    role: Option<Role>,
}

impl Grammar {
    fn exact(&self, name: &str) -> Option<Found> {
        if let Some(opt) = self.options.iter().find(|o| o.names.contains(&name)) {
            return Some(Found {
                name: opt.names[0],
                takes_value: opt.takes_value,
                role: Some(opt.role),
            });
        }
        let plain = |list: &'static [&'static str], takes_value| {
            let name = *list.iter().find(|n| **n == name)?;
            Some(Found {
                name,
                takes_value,
                role: None,
            })
        };
        plain(self.values, true).or_else(|| plain(self.flags, false))
    }

    /// The option that argparse takes an abbreviation for: exactly one begins with it.
    fn abbreviated(&self, name: &str) -> Option<Found> {
        let all = self
            .options
            .iter()
            .flat_map(|o| o.names)
            .chain(self.values)
            .chain(self.flags);
        let mut hits = all.filter(|full| full.starts_with("--") && full.starts_with(name));
        let hit = hits.next()?;
        if hits.next().is_some() {
            None
        } else {
            self.exact(hit)
        }
    }

    fn find(&self, name: &str) -> Option<Found> {
        let exact = self.exact(name);
        match self.parser {
            Parser::Argparse => exact.or_else(|| self.abbreviated(name)),
            Parser::Click | Parser::Node => exact,
        }
    }

    /// The variable by which an option may be given as well.
    pub(crate) fn env_names(&self, role: Role) -> impl Iterator<Item = String> + '_ {
        self.options
            .iter()
            .filter(move |o| o.role == role)
            .flat_map(move |o| {
                self.env_prefix.map(|prefix| {
                    let long = o
                        .names
                        .iter()
                        .find(|n| n.starts_with("--"))
                        .unwrap_or(&"--");
                    format!(
                        "{prefix}_{}",
                        long.trim_start_matches('-')
                            .replace('-', "_")
                            .to_uppercase()
                    )
                })
            })
    }
}

/// The next word, if this parser would take it as a value.
fn next_value(parser: Parser, tokens: &[Token], i: usize) -> Option<String> {
    let text = &tokens.get(i)?.text;
    let refused = match parser {
        Parser::Argparse | Parser::Node => {
            text.len() > 1 && text.starts_with('-') && text.parse::<f64>().is_err()
        }
        Parser::Click => false,
    };
    (!refused).then(|| text.clone())
}

fn long(grammar: &Grammar, tokens: &[Token], i: usize, items: &mut Vec<Item>) -> usize {
    let text = &tokens[i].text;
    let (name, attached) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text.as_str(), None),
    };
    let found = grammar.find(name);
    let wants = found.as_ref().is_some_and(|f| f.takes_value);
    let (value, next) = match attached {
        Some(value) => (Some(value), i + 1),
        None if wants => match next_value(grammar.parser, tokens, i + 1) {
            Some(value) => (Some(value), i + 2),
            None => (None, i + 1),
        },
        None => (None, i + 1),
    };
    items.push(Item {
        role: found.as_ref().and_then(|f| f.role),
        name: found.map_or_else(|| name.to_owned(), |f| f.name.to_owned()),
        value,
        tokens: i..next,
        leaves: None,
        positional: false,
    });
    next
}

/// `-b addr`, `-baddr`, `-Rb addr`: letters until one takes the rest, or the next word, as its value.
fn short(grammar: &Grammar, tokens: &[Token], i: usize, items: &mut Vec<Item>) -> usize {
    let text = &tokens[i].text;
    for (at, letter) in text.char_indices().skip(1) {
        let end = at + letter.len_utf8();
        let found = grammar.exact(&format!("-{letter}"));
        let wants = found.as_ref().is_some_and(|f| f.takes_value);
        let rest = &text[end..];
        let (value, next) = if !wants {
            (None, i + 1)
        } else if !rest.is_empty() {
            (
                Some(rest.strip_prefix('=').unwrap_or(rest).to_owned()),
                i + 1,
            )
        } else {
            match next_value(grammar.parser, tokens, i + 1) {
                Some(value) => (Some(value), i + 2),
                None => (None, i + 1),
            }
        };
        let without = if wants {
            text[..at].to_owned()
        } else {
            format!("{}{rest}", &text[..at])
        };
        items.push(Item {
            role: found.as_ref().and_then(|f| f.role),
            name: found.map_or_else(|| format!("-{letter}"), |f| f.name.to_owned()),
            value,
            tokens: i..next,
            leaves: (without != "-").then_some(without),
            positional: false,
        });
        if wants {
            return next;
        }
    }
    i + 1
}
