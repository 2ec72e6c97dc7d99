//! Takes options out of a command line and puts others in, keeping every other word where it was.

use crate::grammar::{Item, Role};
use crate::quote::quote_line;
use crate::rewrite::{AddressKind, EnvChange, Refusal, Rewrite, Word, refusal};
use crate::server::{Kind, Server};
use crate::words::Place;

/// Builds a [`Rewrite`] from the server's words.
pub(crate) struct Rewriter<'a> {
    server: &'a Server,
    /// For each word of argv: what stands there now.
    words: Vec<Vec<Word>>,
    env: Vec<EnvChange>,
    pub(crate) umask: Option<u32>,
    pub(crate) notes: Vec<String>,
}

/// Options by which a server is told where to listen.
const BIND_ROLES: [Role; 5] = [Role::Host, Role::Port, Role::Uds, Role::Fd, Role::Bind];

impl<'a> Rewriter<'a> {
    pub(crate) fn new(server: &'a Server, hint: &str) -> Result<Self, Refusal> {
        let Some(inner) = server
            .inner
            .as_ref()
            .filter(|_| server.kind != Kind::Unknown)
        else {
            return Err(refusal("this server is not in the catalogue", hint));
        };
        if server.daemonizes {
            return Err(refusal(
                "it puts itself into the background",
                "leave --daemon out: the process must stay",
            ));
        }
        if inner.in_shell {
            let words: Vec<_> = inner
                .tokens
                .iter()
                .map(|t| t.text.clone())
                .filter(|t| t != "exec")
                .collect();
            let computed = words.iter().any(|w| w.contains('$'));
            let hint = if inner.commands == 1 && !computed {
                format!(
                    "write it without the shell: command = {}",
                    quote_line(&words)
                )
            } else {
                hint.to_owned()
            };
            return Err(refusal("it is started through a shell", &hint));
        }
        if !server.serves() {
            return Err(refusal(
                &format!("this {} command takes no connections", server.kind),
                "leave `listen` out",
            ));
        }
        let words = server
            .argv
            .iter()
            .map(|text| vec![Word::text(text)])
            .collect();
        Ok(Self {
            server,
            words,
            env: Vec::new(),
            umask: None,
            notes: Vec::new(),
        })
    }

    /// Takes an option out; returns the argv index at which it stood.
    fn take_out(&mut self, item: &Item) -> Option<usize> {
        let mut first = None;
        for place in self.server.places(item) {
            if let Place::Word(i) = place {
                let stays = item
                    .leaves
                    .as_ref()
                    .filter(|_| first.is_none())
                    .map(|text| Word::text(text));
                self.words[i] = stays.into_iter().collect();
                first = first.or(Some(i));
            }
        }
        first
    }

    /// Puts `words` where the first bind option stood, and takes every bind option and variable out.
    pub(crate) fn in_place_of_binds(&mut self, words: Vec<Word>) {
        let server = self.server;
        let mut spot = None;
        for item in server
            .items
            .iter()
            .filter(|i| i.role.is_some_and(|r| BIND_ROLES.contains(&r)))
        {
            let at = self.take_out(item);
            spot = spot.or(at);
        }
        if server.kind == Kind::Django
            && let Some(item) = server.django_address()
        {
            spot = self.take_out(item);
        }
        match spot {
            Some(i) => self.words[i].extend(words),
            None => self.append(words),
        }
        for name in BIND_ROLES
            .iter()
            .flat_map(|role| server.variable_names(*role))
        {
            self.forget(&name);
        }
    }

    /// At the end, or before a `--` that ends the options.
    fn append(&mut self, words: Vec<Word>) {
        let Some(inner) = &self.server.inner else {
            return;
        };
        let end = inner.tokens[inner.args..]
            .iter()
            .find(|t| t.text == "--")
            .map(|t| &t.at);
        match end {
            Some(Place::Word(i)) => {
                let rest = std::mem::replace(&mut self.words[*i], words);
                self.words[*i].extend(rest);
            }
            _ => self.words.push(words),
        }
    }

    /// Makes the server believe the gateway's headers, whatever it was told before.
    pub(crate) fn trust(&mut self, addresses: &str) -> Result<(), Refusal> {
        for item in self
            .server
            .items
            .iter()
            .filter(|i| matches!(i.role, Some(Role::Trust | Role::NoProxyHeaders)))
        {
            self.take_out(item);
        }
        for role in [Role::Trust, Role::ProxyHeaders] {
            for name in self.server.variable_names(role) {
                self.forget(&name);
            }
        }
        self.set("FORWARDED_ALLOW_IPS", Word::text(addresses))
    }

    /// Removes a variable, if it is set.
    fn forget(&mut self, name: &str) {
        let Some(inner) = &self.server.inner else {
            return;
        };
        if let Some(Place::Word(i)) = inner.env.inline_place(name) {
            self.words[*i].clear();
        }
        if let Some((_, Place::Env(name))) = inner.env.get(name) {
            self.env.push(EnvChange::Remove { name });
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: Word) -> Result<(), Refusal> {
        let Some(inner) = &self.server.inner else {
            return Ok(());
        };
        if inner.env.is_cleared() || inner.env.is_unset(name) {
            let reason =
                format!("its command line clears the environment, and {name} must reach it");
            return Err(refusal(
                &reason,
                "write `environment =` in place of `env -i` or `env -u`",
            ));
        }
        if let Some(Place::Word(i)) = inner.env.inline_place(name) {
            self.words[*i].clear();
        }
        self.env.push(EnvChange::Set {
            name: name.to_owned(),
            value,
        });
        Ok(())
    }

    /// The server does not turn forwarded headers into the app's client address.
    pub(crate) fn client_in_header(&mut self) {
        self.notes.push(format!(
            "{} does not tell the app the client's address: it is in X-Forwarded-For, which the app must read itself",
            self.server.kind
        ));
    }

    pub(crate) fn over_tcp(&mut self, why: &str) {
        self.notes.push(format!(
            "{why}; over TCP a request that was sent cannot be proved unread, so fewer are repeated"
        ));
    }

    pub(crate) fn done(self, address: AddressKind) -> Rewrite {
        Rewrite {
            argv: self.words.into_iter().flatten().collect(),
            env: self.env,
            umask: self.umask,
            address,
            trusts: self.server.trusts.clone(),
            notes: self.notes,
        }
    }
}
