//! Paths as text, by Python's `os.path` rules on POSIX.

use crate::files::{Environment, Files, Kind};

/// `os.path.join` of two.
pub(crate) fn join(base: &str, path: &str) -> String {
    if path.starts_with('/') || base.is_empty() {
        path.to_string()
    } else if base.ends_with('/') {
        format!("{base}{path}")
    } else {
        format!("{base}/{path}")
    }
}

/// `os.path.dirname`.
pub(crate) fn dirname(path: &str) -> &str {
    let head = path.rfind('/').map_or("", |at| &path[..=at]);
    let trimmed = head.trim_end_matches('/');
    if trimmed.is_empty() { head } else { trimmed }
}

/// `os.path.normpath`: `.`, `..` and repeated `/` taken out, two leading `/` kept (POSIX leaves them to the system).
pub(crate) fn normpath(path: &str) -> String {
    let leading = match path.bytes().take_while(|byte| *byte == b'/').count() {
        0 => "",
        2 => "//",
        _ => "/",
    };
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." if names.last().is_some_and(|last| *last != "..") => drop(names.pop()),
            ".." if !leading.is_empty() => {}
            name => names.push(name),
        }
    }
    let joined = format!("{leading}{}", names.join("/"));
    if joined.is_empty() {
        ".".to_string()
    } else {
        joined
    }
}

/// `os.path.abspath`.
pub(crate) fn abspath(path: &str, cwd: &str) -> String {
    normpath(&join(cwd, path))
}

/// `os.path.expanduser`: `~` by HOME, `~name` by the accounts; unknown ones stay as they are.
pub(crate) fn expanduser(path: &str, env: &Environment, files: &dyn Files) -> String {
    let Some(rest) = path.strip_prefix('~') else {
        return path.to_string();
    };
    let (name, tail) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let home = match name {
        "" => env.env.get("HOME").cloned(),
        name if name.bytes().all(|byte| byte.is_ascii_digit()) => None,
        name => files.account(name).map(|account| account.home),
    };
    match home {
        Some(home) => {
            let path = format!("{}{tail}", home.trim_end_matches('/'));
            if path.is_empty() {
                "/".to_string()
            } else {
                path
            }
        }
        None => path.to_string(),
    }
}

/// Supervisor's `normalize_path`.
pub(crate) fn normalize(path: &str, env: &Environment, files: &dyn Files) -> String {
    abspath(&expanduser(path, env, files), &env.cwd)
}

/// Supervisor's `existing_directory`.
pub(crate) fn existing_directory(
    path: &str,
    env: &Environment,
    files: &dyn Files,
) -> Result<String, String> {
    let expanded = expanduser(path, env, files);
    if expanded.is_empty() {
        return Err("a directory is missing".to_string());
    }
    match files.kind(&join(&env.cwd, &expanded)) {
        Some(Kind::Dir) => Ok(expanded),
        Some(Kind::File) => Err(format!("`{path}` is not a directory")),
        None => Err(format!("there is no directory `{path}`")),
    }
}

/// Supervisor's `existing_dirpath`: the path itself need not exist, its directory must.
pub(crate) fn existing_dirpath(
    path: &str,
    env: &Environment,
    files: &dyn Files,
) -> Result<String, String> {
    let expanded = expanduser(path, env, files);
    let dir = dirname(&expanded);
    if dir.is_empty() || files.kind(&join(&env.cwd, dir)) == Some(Kind::Dir) {
        return Ok(expanded);
    }
    Err(format!("there is no directory `{dir}`"))
}
