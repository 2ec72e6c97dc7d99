//! What must not be shown in a quoted line.
//!
//! A line of a configuration is not parsed again here: it may come from any file, or be a continuation line. It is searched
//! for `NAME=VALUE` (also `NAME: VALUE`, `--name VALUE`) with a name that looks secret, and for `scheme://user:password@`.

use std::ops::Range;

/// What stands in place of a secret. Its length says nothing about the secret's.
pub(crate) const MASK: &str = "****";

/// Parts of names that make a value a secret. `KEY` also catches names that are none; that is the side to err on.
const SECRET_PARTS: [&str; 14] = [
    "SECRET",
    "TOKEN",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "PWD",
    "KEY",
    "CREDENTIAL",
    "PRIVATE",
    "DSN",
    "SALT",
    "PEPPER",
    "COOKIE",
    "SIGNATURE",
];

/// Names whose value is a list of names, or a path, and not a secret itself.
const HARMLESS: [&str; 10] = [
    "SECRETS",
    "SECRETS_FALLBACKS",
    "PWD",
    "OLDPWD",
    "KEYFILE",
    "SSL_KEYFILE",
    "JWT_COOKIE",
    "TOKEN_LIFETIME",
    "KEEPALIVE",
    "TIMEOUT_KEEP_ALIVE",
];

/// Code that reads a variable: what follows is its name, and no secret.
const READS: [&str; 13] = [
    "os.environ.get(",
    "os.environ[",
    "os.getenv(",
    "environ.get(",
    "environ[",
    "getenv(",
    "process.env.",
    "process.env[",
    "config(",
    "env(",
    "env.str(",
    "ENV[",
    "ENV.fetch(",
];
/// Code that makes a value: the number of its bytes may follow.
const MAKES: [&str; 11] = [
    "secrets.token_hex(",
    "secrets.token_urlsafe(",
    "secrets.token_bytes(",
    "token_hex(",
    "token_urlsafe(",
    "os.urandom(",
    "get_random_secret_key(",
    "Fernet.generate_key(",
    "crypto.randomBytes(",
    "crypto.randomUUID(",
    "uuid.uuid4(",
];

/// Whether the value of a variable, key or option of this name is to be treated as a secret. Case and `-` or `_` do not matter.
///
/// ```
/// assert!(finding::looks_secret("DJANGO_SECRET_KEY"));
/// assert!(finding::looks_secret("--api-token"));
/// assert!(!finding::looks_secret("LOG_LEVEL"));
/// ```
pub fn looks_secret(name: &str) -> bool {
    let name = name
        .trim_start_matches('-')
        .to_ascii_uppercase()
        .replace('-', "_");
    !HARMLESS.contains(&name.as_str()) && SECRET_PARTS.iter().any(|part| name.contains(part))
}

/// `line` with its secrets replaced by `****`.
///
/// ```
/// assert_eq!(finding::mask_line("environment=A=1,SECRET_KEY=\"abc, d\",B=2"), "environment=A=1,SECRET_KEY=\"****\",B=2");
/// assert_eq!(finding::mask_line("KEY = os.environ['SECRET_KEY']"), "KEY = os.environ['SECRET_KEY']");
/// assert_eq!(finding::mask_line("KEY = os.getenv('SECRET_KEY', 'abc')"), "KEY = os.getenv('SECRET_KEY', '****')");
/// assert_eq!(finding::mask_line("url = postgres://u:pw@db/x"), "url = postgres://u:****@db/x");
/// ```
pub fn mask_line(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut at = 0;
    for range in secret_ranges(line) {
        out.push_str(&line[at..range.start]);
        out.push_str(MASK);
        at = range.end;
    }
    out.push_str(&line[at..]);
    out
}

/// The byte ranges of the secrets in a line, in order, not overlapping. One pass for each rule, so linear in the line.
pub(crate) fn secret_ranges(line: &str) -> Vec<Range<usize>> {
    let mut ranges = named_values(line);
    ranges.extend(url_passwords(line));
    ranges.sort_by_key(|r| (r.start, std::cmp::Reverse(r.end)));
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' || byte == b'.'
}

/// Values that follow a name that looks secret.
fn named_values(line: &str) -> Vec<Range<usize>> {
    let bytes = line.as_bytes();
    let mut ranges = Vec::new();
    let mut first_name = true;
    let mut at = 0;
    while at < bytes.len() {
        if !is_name(bytes[at]) {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && is_name(bytes[at]) {
            at += 1;
        }
        let name = &line[start..at];
        let whole_line = std::mem::take(&mut first_name) && line[..start].trim().is_empty();
        if !looks_secret(name) {
            continue;
        }
        let Some(range) = value_after(line, at, name.starts_with("--"), whole_line) else {
            continue;
        };
        match code(&line[range.start..]) {
            // Code is shown but for what stands in it as text.
            Some(length) => {
                at = line.len();
                ranges.extend(texts(line, range.start + length));
            }
            None => {
                at = range.end;
                ranges.push(range);
            }
        }
    }
    ranges
}

/// The bytes of code that reads a variable or makes a value, if that is what a value begins with.
fn code(value: &str) -> Option<usize> {
    let head = |heads: &'static [&'static str]| heads.iter().find(|h| value.starts_with(**h));
    if let Some(head) = head(&READS) {
        let rest = &value[head.len()..];
        let quote = rest.chars().next().filter(|c| *c == '"' || *c == '\'');
        let name = &rest[quote.map_or(0, |_| 1)..];
        let length = name
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(name.len());
        let closed = quote.is_none_or(|q| name[length..].starts_with(q));
        let quotes = if quote.is_some() { 2 } else { 0 };
        return (length > 0 && closed).then_some(head.len() + length + quotes);
    }
    let head = head(&MAKES)?;
    let rest = &value[head.len()..];
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[digits..]
        .starts_with(')')
        .then_some(head.len() + digits + 1)
}

/// The insides of the quoted texts of a line, from `at` on.
fn texts(line: &str, mut at: usize) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    while let Some(start) = line[at..].find(['"', '\'', '`']).map(|i| at + i) {
        let quote = &line[start..=start];
        let end = line[start + 1..]
            .find(quote)
            .map_or(line.len(), |i| start + 1 + i);
        if end > start + 1 {
            found.push(start + 1..end);
        }
        at = (end + 1).min(line.len());
    }
    found
}

/// The value after a name that ends at `at`. The first name of a line may be a key of the file: its value goes on to the end.
fn value_after(line: &str, at: usize, flag: bool, whole_line: bool) -> Option<Range<usize>> {
    let rest = &line[at..];
    let after_quote = rest.strip_prefix(['"', '\'']).unwrap_or(rest);
    // `config["SECRET_KEY"] = …`
    let after_quote = after_quote.strip_prefix(']').unwrap_or(after_quote);
    let skipped = after_quote.trim_start();
    let start = match skipped.strip_prefix(['=', ':']) {
        Some(value) => line.len() - value.trim_start().len(),
        None if flag && rest.starts_with(' ') => line.len() - skipped.len(),
        None => return None,
    };
    let value = &line[start..];
    let quote = value.chars().next().filter(|c| *c == '"' || *c == '\'');
    let range = match quote {
        Some(quote) => match value[1..].find(quote) {
            Some(length) => start + 1..start + 1 + length,
            None => start + 1..line.len(),
        },
        None if whole_line && !flag => start..start + value.trim_end().len(),
        None => {
            start
                ..start
                    + value
                        .find([' ', '\t', ',', '"', '\''])
                        .unwrap_or(value.len())
        }
    };
    // A reference to a variable is a name, not a secret.
    let is_reference =
        line[range.clone()].starts_with("%(") || line[range.clone()].starts_with('$');
    (!range.is_empty() && !is_reference).then_some(range)
}

/// Passwords in `scheme://user:password@host`.
fn url_passwords(line: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut at = 0;
    while let Some(found) = line[at..].find("://") {
        let start = at + found + 3;
        let end = line[start..]
            .find(['/', ' ', '\t', '"', '\'', ','])
            .map_or(line.len(), |length| start + length);
        let authority = &line[start..end];
        if let (Some(at_sign), Some(colon)) = (authority.rfind('@'), authority.find(':'))
            && colon + 1 < at_sign
        {
            ranges.push(start + colon + 1..start + at_sign);
        }
        at = end.max(start);
    }
    ranges
}
