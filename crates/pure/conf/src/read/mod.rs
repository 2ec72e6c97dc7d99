//! From sections to the model. Each file here reads one kind of section; this one has what they share.

mod checks;
mod closed;
mod depends;
mod extras;
mod fastcgi;
mod gateway;
mod group;
mod http;
mod listener;
mod names;
mod ours;
mod process;
mod program;
mod supervisord;
mod tokens;

use std::collections::BTreeMap;
use std::ops::Range;

use finding::{Finding, Severity, Span, looks_secret, mask_line};

use crate::environ;
use crate::expand::{EnvMap, Vars, expand};
use crate::files::{Environment, Files};
use crate::findings::Findings;
use crate::ini::{Entry, Ini, Section};
use crate::known;
use crate::mapped::Text;
use crate::model::{Closed, Model, Spanned, User};
use crate::values;

pub(crate) use closed::Shut;
pub(crate) use names::Wrong;

/// Bytes of all expanded values of one configuration, with the lines that are quoted for them. A long command that a thousand
/// processes expand, or a long variable, would otherwise fill memory from a small file.
const EXPANDED_BYTES_MAX: usize = 256 << 20;

/// Everything that reading needs.
pub(crate) struct Reader<'a> {
    pub(crate) path: &'a str,
    pub(crate) here: &'a str,
    pub(crate) files: &'a dyn Files,
    pub(crate) env: &'a Environment,
    pub(crate) ini: &'a Ini,
    pub(crate) ctl: &'a Ini,
    /// Whether the main file could be read; if not, that was said, and nothing is missing from it.
    pub(crate) is_text: bool,
    pub(crate) findings: &'a mut Findings,
    /// Bytes that expanded values took so far; see [`EXPANDED_BYTES_MAX`].
    pub(crate) expanded_bytes: usize,
    /// A command that cannot be split leaves nothing out; see [`crate::load_as_supervisor`].
    pub(crate) keeps_unsplit: bool,
    /// Names that nobody reads, where that is an error.
    pub(crate) wrong: Wrong,
    /// Gateways that are left out.
    pub(crate) shut: Vec<Shut>,
}

/// Reads every section into a model.
pub(crate) fn read_model(mut reader: Reader<'_>) -> Model {
    names::check(&mut reader);
    let (supervisord, global_env) = supervisord::read(&mut reader);
    let (programs, groups) = group::read(&mut reader, &global_env, &supervisord.environment);
    let mut model = Model {
        path: reader.path.to_string(),
        here: reader.here.to_string(),
        has_errors: false,
        supervisord,
        unix_http: http::unix(&mut reader, &global_env),
        inet_http: http::inet(&mut reader, &global_env),
        ctl: http::ctl(&mut reader),
        programs,
        groups,
        steadfast: ours::steadfast(&mut reader, &global_env),
        gateways: gateway::gateways(&mut reader, &global_env),
        upstreams: gateway::upstreams(&mut reader, &global_env),
        sessions: tokens::sessions(&mut reader, &global_env),
        closed: Closed::default(),
    };
    http::rpc_interfaces(&mut reader, &global_env, &model);
    checks::check(&mut reader, &mut model);
    closed::close(&mut reader, &mut model);
    model
}

/// The warning for what is understood and not done yet.
fn not_supported(what: &str) -> Finding {
    Finding::warning(
        "conf.not-supported",
        format!("{what} is not supported yet; it is left out"),
    )
}

/// A section while it is read: gets values, collects errors, remembers whether there were any.
struct Keys<'r, 'a> {
    reader: &'r mut Reader<'a>,
    section: &'r Section,
    /// Whether a value, or a name of ours, had an error.
    failed: bool,
}

impl<'r, 'a> Keys<'r, 'a> {
    fn new(reader: &'r mut Reader<'a>, section: &'r Section) -> Keys<'r, 'a> {
        let failed = reader.wrong.sections.contains(&section.name);
        Keys {
            reader,
            section,
            failed,
        }
    }

    /// The entry of a key; its life is that of the configuration, not of the borrow.
    fn entry(&self, key: &str) -> Option<&'r Entry>
    where
        'a: 'r,
    {
        self.reader.ini.entry(self.section, key)
    }

    /// The text of a key, expanded.
    fn text(&mut self, key: &str, vars: &Vars<'_>) -> Option<(Text, Span)> {
        let entry = self.entry(key)?;
        let text = self.expanded(&entry.text, vars, entry)?;
        Some((text, entry.span()))
    }

    /// Expands a text of an entry, or complains.
    fn expanded(&mut self, text: &Text, vars: &Vars<'_>, entry: &Entry) -> Option<Text> {
        match expand(text, vars) {
            Ok(text) => {
                let shown = entry.shown_bytes();
                self.reader.expanded_bytes = self
                    .reader
                    .expanded_bytes
                    .saturating_add(text.as_str().len() + shown);
                if self.reader.expanded_bytes > EXPANDED_BYTES_MAX {
                    let message = format!(
                        "the values of this configuration take more than {} MB when expanded",
                        EXPANDED_BYTES_MAX >> 20
                    );
                    self.error("conf.too-much", message, None);
                    return None;
                }
                Some(text)
            }
            Err(error) => {
                let span = text.span(error.range).unwrap_or_else(|| entry.span());
                self.error("conf.expansion", error.message, span);
                None
            }
        }
    }

    /// A value that the file may set; an error counts as not set, and is remembered.
    fn optional<T>(
        &mut self,
        key: &str,
        vars: &Vars<'_>,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Spanned<T>> {
        let (text, span) = self.text(key, vars)?;
        match read(text.as_str()) {
            Ok(value) => Some(Spanned {
                value,
                span: Some(span),
            }),
            Err(words) => {
                self.bad_value(key, &words, span);
                None
            }
        }
    }

    /// A value with a default.
    fn value<T>(
        &mut self,
        key: &str,
        default: T,
        vars: &Vars<'_>,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Spanned<T> {
        self.optional(key, vars, read)
            .unwrap_or_else(|| Spanned::default_of(default))
    }

    /// A user who must exist.
    fn user(&mut self, key: &str, vars: &Vars<'_>) -> Option<Spanned<User>> {
        let files = self.reader.files;
        self.optional(key, vars, |written| {
            let account = files
                .account(&values::owner(written))
                .ok_or_else(|| format!("there is no user `{written}`"))?;
            Ok(User {
                written: written.to_string(),
                uid: account.uid,
                gid: account.gid,
                name: account.name,
                home: account.home,
            })
        })
    }

    /// The variables of an `environment`, with a warning for what is cut off in silence.
    fn environment(&mut self, text: &Text, entry: &Entry) -> Option<BTreeMap<String, String>> {
        let parsed = match environ::parse(text.as_str()) {
            Ok(parsed) => parsed,
            Err(error) => {
                let span = text.span(error.range).unwrap_or_else(|| entry.span());
                let message = format!(
                    "`environment` of [{}]: {}",
                    self.section.name, error.message
                );
                self.failed = true;
                let finding = Finding::error("conf.environment", message)
                    .at(span)
                    .fix("write: environment = NAME=\"value\",OTHER=\"value\"");
                self.reader.findings.push(finding);
                return None;
            }
        };
        for range in parsed.comments {
            let message = "in an `environment`, `#` begins a comment, even inside a word; put the value into quotes";
            self.warn_in("conf.environment-cut", message.to_string(), text, range);
        }
        let mut variables = BTreeMap::new();
        for pair in parsed.pairs {
            if let Some(range) = pair.cut {
                let message = format!(
                    "the value of {} ends before this character; put the value into quotes",
                    pair.key
                );
                self.warn_in("conf.environment-cut", message, text, range);
            }
            if variables.contains_key(&pair.key) {
                let message = format!("{} is set twice; this one counts", pair.key);
                self.warn_in("conf.environment-twice", message, text, pair.range);
            }
            variables.insert(pair.key, pair.value);
        }
        Some(variables)
    }

    /// Complains about a value, without showing it if it may be a secret.
    fn bad_value(&mut self, key: &str, words: &str, span: Span) {
        let raw = self.entry(key).map_or("", |entry| entry.text.as_str());
        let mut variables = raw
            .split("%(ENV_")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        let secret = looks_secret(key) || variables.any(looks_secret);
        let what = if secret {
            "the value cannot be used".to_string()
        } else {
            mask_line(words)
        };
        self.error(
            "conf.value",
            format!("`{key}` of [{}]: {what}", self.section.name),
            span,
        );
    }

    fn error(&mut self, code: &str, message: String, span: impl Into<Option<Span>>) {
        self.failed = true;
        self.reader
            .findings
            .push(Finding::error(code, message).at(span));
    }

    /// A warning at a range of a text, whose place is looked for only if the warning is kept.
    fn warn_in(&mut self, code: &str, message: String, text: &Text, range: Range<usize>) {
        let full = self.reader.findings.is_full(code, Severity::Warning);
        let span = if full { None } else { text.span(range) };
        self.warn(code, message, span);
    }

    fn warn(&mut self, code: &str, message: String, span: impl Into<Option<Span>>) {
        self.reader
            .findings
            .push(Finding::warning(code, message).at(span));
    }
}

/// Sections of a kind, with their own names, in order.
fn sections<'a>(
    ini: &'a Ini,
    wanted: known::Kind,
) -> impl Iterator<Item = (&'a Section, &'a str)> + 'a {
    ini.sections
        .iter()
        .filter_map(move |section| match known::section(&section.name) {
            Some((kind, own)) if kind == wanted => Some((section, own)),
            Some(_) | None => None,
        })
}

/// The names that may be used in most sections of ours.
fn here_vars<'e>(reader: &Reader<'_>, env: &'e EnvMap) -> Vars<'e> {
    Vars::new(env).with("here", reader.here)
}
