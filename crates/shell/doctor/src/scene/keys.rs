//! Signing keys: which a program needs, where they are, what its code does without them. Values stay in here as [`Secret`]s.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::LazyLock;

use finding::Span;
use regex_lite::Regex;
use secrets::Secret;

use crate::code::Language;
use crate::disk::span_in;
use crate::model::Env;
use crate::scene::app::{App, AppFile, EnvText};

/// A literal of so few bytes with its quotes is empty, or stands for nothing.
const SHORT_LITERAL_BYTES: usize = 4;

/// Names that sign sessions and tokens. Keys of other people's services (`STRIPE_SECRET_KEY`, `AWS_SECRET_ACCESS_KEY`) are none.
const NAMES: &[&str] = &[
    "SECRET_KEY",
    "JWT_SECRET",
    "JWT_SECRET_KEY",
    "JWT_KEY",
    "JWT_SIGNING_KEY",
    "SESSION_SECRET",
    "SESSION_KEY",
    "SESSION_SECRET_KEY",
    "APP_SECRET",
    "APP_SECRET_KEY",
    "APP_KEY",
    "SIGNING_KEY",
    "COOKIE_SECRET",
    "AUTH_SECRET",
    "AUTH_SECRET_KEY",
    "NEXTAUTH_SECRET",
    "TOKEN_SECRET",
    "DJANGO_SECRET_KEY",
    "FLASK_SECRET_KEY",
    "SECRET_KEY_BASE",
    "ACCESS_TOKEN_SECRET",
    "REFRESH_TOKEN_SECRET",
];

/// Whether a variable of this name signs sessions or tokens.
pub(crate) fn is_signing_key(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Where a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Home {
    /// Set by the supervisor.
    Environment,
    /// In an env file.
    EnvFile(PathBuf),
    /// In the environment of the running process.
    Process(i32),
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub(crate) secret: Secret,
    pub(crate) home: Home,
    pub(crate) span: Option<Span>,
}

/// What the code does when there is no such variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Without {
    /// It fails, or goes on with nothing.
    Nothing,
    /// It makes a new one at every start.
    Made,
    /// It takes a value that is written in the code.
    Written,
}

/// A place of the code that wants a key.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) span: Span,
    pub(crate) without: Without,
}

/// A signing key of a program.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) name: String,
    /// The values that count first: what the program gets comes before what it may read.
    pub(crate) values: Vec<Value>,
    pub(crate) wanted: Option<Wanted>,
    /// Named in the configuration as a key that Steadfast is to make.
    pub(crate) is_ours: bool,
}

/// Keys that are made or written in the code, without a variable.
#[derive(Debug, Clone)]
pub(crate) struct InCode {
    pub(crate) span: Span,
    pub(crate) without: Without,
}

/// The keys of a program.
pub(crate) fn find(
    app: &App,
    named: &[String],
    env: &Env,
    env_span: Option<&Span>,
    env_files: &[EnvText],
) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    let add = |name: &str, keys: &mut Vec<Key>| -> usize {
        match keys.iter().position(|k| k.name == name) {
            Some(at) => at,
            None => {
                keys.push(Key {
                    name: name.to_owned(),
                    values: Vec::new(),
                    wanted: None,
                    is_ours: false,
                });
                keys.len() - 1
            }
        }
    };
    for name in named {
        let at = add(name, &mut keys);
        keys[at].is_ours = true;
    }
    for file in &app.files {
        for (name, wanted) in lookups(file) {
            let at = add(&name, &mut keys);
            keys[at].wanted.get_or_insert(wanted);
        }
    }
    for (name, value) in env.iter().filter(|(name, _)| is_signing_key(name)) {
        let at = add(name, &mut keys);
        keys[at].values.push(Value {
            secret: Secret::new(value.as_str()),
            home: Home::Environment,
            span: env_span.cloned(),
        });
    }
    for file in env_files.iter().filter(|f| f.is_read) {
        let parsed = secrets::parse(&file.text);
        let values = parsed.values(env);
        for (name, value) in values {
            let wanted = keys.iter().any(|k| k.name == name);
            if !wanted && !is_signing_key(&name) {
                continue;
            }
            let at = add(&name, &mut keys);
            let shown = file.path.display().to_string();
            let span = parsed.last(&name).map(|entry| {
                let line = u32::try_from(entry.line).unwrap_or(u32::MAX);
                // Shown without the value, whatever it looks like.
                Span::line(shown.as_str(), line, format!("{name}=****"))
            });
            keys[at].values.push(Value {
                secret: Secret::new(value),
                home: Home::EnvFile(file.path.clone()),
                span,
            });
        }
    }
    keys
}

/// A lookup of a variable, in Python.
static PYTHON_LOOKUP: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?:os\.environ(?:\.get\(|\[)|(?:os\.)?getenv\(|environ\.get\(|environ\[|\bconfig\(|\benv(?:\.str)?\()\s*["']([A-Z][A-Z0-9_]+)["']"#).ok()
});
/// The same in JavaScript.
static JS_LOOKUP: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"process\.env(?:\.|\[["'])([A-Z][A-Z0-9_]+)"#).ok());
/// An assignment, in Python: its indent, its name, its value.
static PYTHON_ASSIGNMENT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"^([ \t]*)((?:app\.)?(?:config\[["'][_A-Z]+["']\]|[A-Za-z_.]+))[ \t]*(?::[^=\n]+)?=[ \t]*([^=\n][^\n]*)$"#).ok()
});
/// The same in JavaScript.
static JS_ASSIGNMENT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^([ \t]*)(?:export )?(?:const|let|var) ([A-Za-z_]+)[ \t]*=[ \t]*([^=\n][^\n]*)$")
        .ok()
});

/// The lines in which a signing key may be named. Most lines of a program are none, and patterns are slow.
fn lines(text: &str) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
    let mut at = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let start = at;
        at += line.len();
        let names = ["SECRET", "KEY", "secret", "_key"];
        let end = start + line.trim_end_matches(['\n', '\r']).len();
        names.iter().any(|n| line.contains(n)).then_some(start..end)
    })
}

/// Places of a file that look a signing key up in the environment.
fn lookups(file: &AppFile) -> Vec<(String, Wanted)> {
    let pattern = match file.language {
        Some(Language::Python) => &*PYTHON_LOOKUP,
        Some(Language::JavaScript) => &*JS_LOOKUP,
        None => return Vec::new(),
    };
    let Some(pattern) = pattern else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for line in lines(&file.text) {
        // The call may have begun in the line before.
        let from = line_range(&file.text, line.start.saturating_sub(1)).start;
        for hit in pattern.captures_iter(&file.text[from..line.end]) {
            let (Some(all), Some(name)) = (hit.get(0), hit.get(1)) else {
                continue;
            };
            let all = from + all.start()..from + all.end();
            // In a comment or a string it is no lookup: there the masked text differs.
            let head = all.start..(all.start + 3).min(all.end);
            if !is_signing_key(name.as_str())
                || file.masked.get(head.clone()) != file.text.get(head)
                || !seen.insert(all.start)
            {
                continue;
            }
            let rest = file
                .masked
                .get(all.end..line_range(&file.text, all.end).end)
                .unwrap_or("");
            let wanted = Wanted {
                without: without(rest),
                span: span_in(&file.shown(), &file.text, all),
            };
            found.push((name.as_str().to_owned(), wanted));
        }
    }
    found
}

/// What follows a lookup in its line, without strings' contents: `) or secrets.token_hex(32)`, `, "____")`.
fn without(rest: &str) -> Without {
    if makes(rest) {
        return Without::Made;
    }
    let rest = rest.trim_start_matches(['_', '"', '\'', ']']).trim_start();
    let second = rest.strip_prefix(',').map(str::trim_start);
    let second = second.map(|s| s.strip_prefix("default=").unwrap_or(s));
    let after = |words: &str| rest.split_once(words).map(|(_, r)| r.trim_start());
    let alternatives = [
        second,
        after(") or "),
        after("] or "),
        after("|| "),
        after("?? "),
    ];
    let literal = alternatives
        .into_iter()
        .flatten()
        .any(|r| r.starts_with(['"', '\'']) && !r.starts_with("\"\"") && !r.starts_with("''"));
    if literal {
        Without::Written
    } else {
        Without::Nothing
    }
}

/// Whether code makes a random value.
fn makes(code: &str) -> bool {
    const MAKERS: &[&str] = &[
        "secrets.token_",
        "token_hex(",
        "token_urlsafe(",
        "os.urandom(",
        "urandom(",
        "uuid4(",
        "Fernet.generate_key(",
        "get_random_secret_key(",
        "randomBytes(",
        "randomUUID(",
        "generateKeySync(",
    ];
    MAKERS.iter().any(|m| code.contains(m))
}

fn line_range(text: &str, at: usize) -> std::ops::Range<usize> {
    let start = text[..at].rfind('\n').map_or(0, |i| i + 1);
    let end = text[at..].find('\n').map_or(text.len(), |i| at + i);
    start..end
}

/// `SECRET_KEY = "…"` and `SECRET_KEY = secrets.token_hex(32)` at the top of a module, in an app's configuration, or in a class.
pub(crate) fn in_code(file: &AppFile) -> Vec<InCode> {
    let pattern = match file.language {
        Some(Language::Python) => &*PYTHON_ASSIGNMENT,
        Some(Language::JavaScript) => &*JS_ASSIGNMENT,
        None => return Vec::new(),
    };
    let Some(pattern) = pattern else {
        return Vec::new();
    };
    let found = lines(&file.text).filter_map(|line| {
        let hit = pattern.captures(&file.text[line.clone()])?;
        let (indent, name, value) = (hit.get(1)?, hit.get(2)?, hit.get(3)?);
        let name_at = line.start + name.start();
        let value_at = line.start + value.start()..line.start + value.end();
        assigned(
            file,
            name.as_str(),
            name_at,
            value_at,
            indent.as_str().len(),
        )
    });
    found.collect()
}

/// An assignment to a key that is made or written in the code.
fn assigned(
    file: &AppFile,
    name: &str,
    name_at: usize,
    value_at: std::ops::Range<usize>,
    indent: usize,
) -> Option<InCode> {
    let last = name.trim_end_matches(['"', '\'', ']']);
    let last = last.rsplit(['.', '[', '"', '\'']).next().unwrap_or(name);
    let head = name_at..name_at + 1;
    let is_code = file.masked.get(head.clone()) == file.text.get(head);
    if !is_signing_key(&last.to_ascii_uppercase()) || !is_code {
        return None;
    }
    let value = file.text.get(value_at.clone())?;
    let masked = file.masked.get(value_at.clone())?;
    let reads_variable = ["environ", "getenv", "process.env", "config(", "env("];
    if reads_variable.iter().any(|w| masked.contains(w)) || in_function(file, name_at, indent) {
        return None;
    }
    let literal = ["\"", "'", "`", "b\"", "b'"]
        .iter()
        .any(|q| masked.starts_with(q));
    let mut span = span_in(&file.shown(), &file.text, name_at..value_at.end);
    let without = if makes(masked) {
        Without::Made
    } else if literal && value.trim().len() > SHORT_LITERAL_BYTES {
        // The value itself is the secret.
        span.text = format!("{name} = ****").into();
        span = span.marked(1, 0);
        Without::Written
    } else {
        return None;
    };
    Some(InCode { span, without })
}

/// Whether an indented line stands in a function (Python), or in any block (JavaScript).
fn in_function(file: &AppFile, at: usize, indent: usize) -> bool {
    if indent == 0 {
        return false;
    }
    if file.language != Some(Language::Python) {
        return true;
    }
    let before = file.masked.get(..at).unwrap_or("");
    for line in before.lines().rev().skip(1) {
        let trimmed = line.trim_start();
        if trimmed.is_empty() || line.len() - trimmed.len() >= indent {
            continue;
        }
        return !trimmed.starts_with("class ");
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::mask;

    fn file(text: &str) -> AppFile {
        AppFile {
            path: "/app/server.py".into(),
            relative: "server.py".into(),
            text: text.into(),
            masked: mask(text, Language::Python),
            language: Some(Language::Python),
            changed: None,
        }
    }

    #[test]
    fn what_happens_without_a_variable() {
        for (line, want) in [
            ("K = os.environ[\"SECRET_KEY\"]", Some(Without::Nothing)),
            ("K = os.getenv('SECRET_KEY')", Some(Without::Nothing)),
            (
                "K = os.environ.get(\"SECRET_KEY\") or secrets.token_hex(32)",
                Some(Without::Made),
            ),
            (
                "K = os.getenv(\"SECRET_KEY\", secrets.token_hex(32))",
                Some(Without::Made),
            ),
            (
                "K = os.getenv(\"SECRET_KEY\", \"dev\")",
                Some(Without::Written),
            ),
            (
                "K = os.getenv(\"SECRET_KEY\", \"\")",
                Some(Without::Nothing),
            ),
            ("# K = os.getenv('SECRET_KEY')", None),
            ("K = os.getenv('STRIPE_SECRET_KEY')", None),
        ] {
            let found = lookups(&file(line));
            assert_eq!(found.first().map(|(_, w)| w.without), want, "{line}");
        }
    }

    #[test]
    fn keys_in_the_code() {
        for (text, want) in [
            ("SECRET_KEY = secrets.token_hex(32)\n", Some(Without::Made)),
            ("SECRET_KEY = \"09d25e094faa\"\n", Some(Without::Written)),
            (
                "app.config['SECRET_KEY'] = 'abcdef'\n",
                Some(Without::Written),
            ),
            ("app.secret_key = os.urandom(24)\n", Some(Without::Made)),
            (
                "class S(BaseSettings):\n    SECRET_KEY: str = \"abcdef\"\n",
                Some(Without::Written),
            ),
            ("SECRET_KEY = os.environ['SECRET_KEY']\n", None),
            (
                "def make():\n    SECRET_KEY = secrets.token_hex(32)\n",
                None,
            ),
            ("\"\"\"\nSECRET_KEY = 'abcdef'\n\"\"\"\n", None),
            ("SECRET_KEY = load_key()\n", None),
        ] {
            assert_eq!(
                in_code(&file(text)).first().map(|k| k.without),
                want,
                "{text}"
            );
        }
    }
}
