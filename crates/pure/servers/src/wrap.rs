//! Looks through what stands before a server: `env A=B`, `nice`, `python -m`, `poetry run`, `sh -c '…'` and the like.

use crate::shell;
use crate::words::{SeenEnv, Token, assignment, base_name};

/// How a wrapper finds the command that it starts.
struct Wrapper {
    name: &'static str,
    /// A word that must follow (`poetry run`), after options.
    sub: &'static [&'static str],
    /// Options that take a value in the next word.
    values: &'static [&'static str],
    /// Own words before the command (`timeout 5`, `gosu app`).
    own: usize,
    /// `A=B` words before the command set the environment.
    assigns: bool,
}

const fn w(name: &'static str, values: &'static [&'static str], own: usize) -> Wrapper {
    Wrapper {
        name,
        sub: &[],
        values,
        own,
        assigns: false,
    }
}

const fn run(
    name: &'static str,
    sub: &'static [&'static str],
    values: &'static [&'static str],
) -> Wrapper {
    Wrapper {
        name,
        sub,
        values,
        own: 0,
        assigns: false,
    }
}

/// Programs that end up as, or start, the command behind them.
const WRAPPERS: &[Wrapper] = &[
    Wrapper {
        name: "env",
        sub: &[],
        values: &["-u", "--unset", "-C", "--chdir"],
        own: 0,
        assigns: true,
    },
    Wrapper {
        name: "sudo",
        sub: &[],
        values: &["-u", "--user", "-g", "--group", "-C", "-D"],
        own: 0,
        assigns: true,
    },
    w("exec", &["-a"], 0),
    w("command", &[], 0),
    w("nohup", &[], 0),
    w("nice", &["-n", "--adjustment"], 0),
    w("ionice", &["-c", "-n", "--class", "--classdata"], 0),
    w("chrt", &[], 1),
    w("taskset", &[], 1),
    w("setsid", &[], 0),
    w("stdbuf", &["-i", "-o", "-e"], 0),
    w("timeout", &["-k", "-s", "--kill-after", "--signal"], 1),
    w("tini", &["-p", "-e"], 0),
    w("dumb-init", &["-r", "--rewrite"], 0),
    w("catatonit", &[], 0),
    w("gosu", &[], 1),
    w("su-exec", &[], 1),
    w("setpriv", &["--reuid", "--regid", "--groups"], 0),
    w(
        "chpst",
        &[
            "-u", "-U", "-b", "-e", "-/", "-n", "-m", "-o", "-p", "-f", "-c",
        ],
        0,
    ),
    w("ddtrace-run", &[], 0),
    w(
        "opentelemetry-instrument",
        &["--traces_exporter", "--metrics_exporter", "--service_name"],
        0,
    ),
    run("newrelic-admin", &["run-program"], &[]),
    run(
        "poetry",
        &["run"],
        &["-C", "--directory", "-P", "--project"],
    ),
    run("pipenv", &["run"], &["--python"]),
    run("pdm", &["run"], &["-p", "--project"]),
    run("rye", &["run"], &["-f"]),
    run("hatch", &["run"], &["-e", "--env"]),
    run("conda", &["run"], &["-n", "--name", "-p", "--prefix"]),
    run(
        "uv",
        &["run"],
        &[
            "--with",
            "--extra",
            "--group",
            "--only-group",
            "--no-group",
            "--python",
            "-p",
            "--env-file",
            "--project",
            "--directory",
            "--package",
            "--with-requirements",
            "--with-editable",
            "--index",
            "--default-index",
            "--cache-dir",
            "--config-file",
        ],
    ),
    run("dotenv", &["run"], &["-f", "--file"]),
    run("npm", &["exec"], &["-p", "--package", "--prefix"]),
    run("pnpm", &["exec", "dlx"], &["-C", "--dir"]),
    run("bun", &["x"], &[]),
    w("uvx", &["--from", "--with", "--python", "-p"], 0),
    w("npx", &["-p", "--package"], 0),
    w("bunx", &[], 0),
];

const SHELLS: &[&str] = &["sh", "bash", "dash", "zsh", "ash", "ksh"];

/// Wrappers are looked through at most this often; a longer chain is hostile or generated, and stays unknown.
const WRAPPER_DEPTH_MAX: usize = 16;

/// The innermost command that was found.
#[derive(Debug, Clone)]
pub(crate) struct Inner {
    /// What is started: a base name, or the module of `python -m`.
    pub(crate) name: String,
    /// All tokens of the command line in which the server stands (argv, or a command within `sh -c`).
    pub(crate) tokens: Vec<Token>,
    /// Index in `tokens` of the server's own first argument.
    pub(crate) args: usize,
    pub(crate) env: SeenEnv,
    /// Names of what was looked through, outermost first.
    pub(crate) through: Vec<String>,
    pub(crate) in_shell: bool,
    /// Commands in the shell script around it; 1 outside of a shell.
    pub(crate) commands: usize,
    /// Token at which the last wrapper begins, with its name.
    pub(crate) last: Option<(usize, &'static str)>,
}

/// Looks through wrappers. `known` says whether a name is a server of the catalogue, which decides between several
/// commands of one shell script.
pub(crate) fn unwrap(
    tokens: Vec<Token>,
    env: SeenEnv,
    known: &dyn Fn(&Inner) -> bool,
) -> Option<Inner> {
    let start = Inner {
        name: String::new(),
        tokens,
        args: 0,
        env,
        through: Vec::new(),
        in_shell: false,
        commands: 1,
        last: None,
    };
    step(start, 0, known)
}

fn step(mut inner: Inner, depth: usize, known: &dyn Fn(&Inner) -> bool) -> Option<Inner> {
    if depth > WRAPPER_DEPTH_MAX {
        return None;
    }
    if inner.in_shell {
        while let Some((name, value)) = inner
            .tokens
            .get(inner.args)
            .and_then(|t| assignment(&t.text))
        {
            let at = inner.tokens[inner.args].at.clone();
            inner.env.assign(name, value, at);
            inner.args += 1;
        }
    }
    let word = inner.tokens.get(inner.args)?;
    let name = base_name(&word.text).to_owned();
    if SHELLS.contains(&name.as_str()) {
        return shell_step(inner, &name, depth, known);
    }
    if is_python(&name) {
        return Some(python(inner, &name));
    }
    for wrapper in WRAPPERS.iter().filter(|w| w.name == name) {
        if let Some(next) = through(&inner, wrapper) {
            return step(next, depth + 1, known);
        }
    }
    inner.name = name;
    inner.args += 1;
    Some(inner)
}

/// Steps over one wrapper; `None` if its words do not start a command.
fn through(inner: &Inner, wrapper: &Wrapper) -> Option<Inner> {
    let mut next = inner.clone();
    next.through.push(wrapper.name.to_owned());
    next.last = Some((next.args, wrapper.name));
    next.args += 1;
    let mut sub_seen = wrapper.sub.is_empty();
    let mut options = true;
    let mut own = wrapper.own;
    loop {
        let token = next.tokens.get(next.args)?.clone();
        let text = token.text.as_str();
        if options && text == "--" {
            options = false;
            next.args += 1;
        } else if options && text.starts_with('-') && (text.len() > 1 || wrapper.assigns) {
            next.args += env_option(&mut next, wrapper, text)?;
        } else if !sub_seen {
            if !wrapper.sub.contains(&text) {
                return None;
            }
            sub_seen = true;
            next.args += 1;
        } else if let (true, Some((name, value))) = (wrapper.assigns, assignment(text)) {
            next.env.assign(name, value, token.at.clone());
            next.args += 1;
        } else if own > 0 {
            own -= 1;
            next.args += 1;
        } else {
            return Some(next);
        }
    }
}

/// Words that this option takes, with its effect on the environment; `None` for `env -S`, which we do not split.
fn env_option(next: &mut Inner, wrapper: &Wrapper, text: &str) -> Option<usize> {
    if wrapper.name == "env" {
        if text == "-" || text == "-i" || text == "--ignore-environment" {
            next.env.clear();
            return Some(1);
        }
        if text.starts_with("-S") || text.starts_with("--split-string") {
            return None;
        }
        if let Some(name) = text.strip_prefix("--unset=") {
            next.env.unset(name);
            return Some(1);
        }
        if text == "-u" || text == "--unset" {
            let name = next.tokens.get(next.args + 1)?.text.clone();
            next.env.unset(&name);
            return Some(2);
        }
    }
    Some(if wrapper.values.contains(&text) { 2 } else { 1 })
}

fn shell_step(
    inner: Inner,
    name: &str,
    depth: usize,
    known: &dyn Fn(&Inner) -> bool,
) -> Option<Inner> {
    let mut i = inner.args + 1;
    loop {
        let text = &inner.tokens.get(i)?.text;
        if !text.starts_with(['-', '+']) {
            return Some(script_of(inner, i));
        }
        if !text.starts_with("--") && text.contains('c') {
            break;
        }
        i += if text == "-o" || text == "+o" || text == "--rcfile" {
            2
        } else {
            1
        };
    }
    let script = inner.tokens.get(i + 1)?;
    // A shell within a shell: the place would be a range of a range; it stays unknown.
    let crate::words::Place::Word(word) = script.at else {
        return None;
    };
    let mut found = None;
    let all = shell::commands(&script.text, word)?;
    let commands = all.len();
    for tokens in all {
        let mut through = inner.through.clone();
        through.push(format!("{name} -c"));
        let env = inner.env.clone();
        let start = Inner {
            name: String::new(),
            tokens,
            args: 0,
            env,
            through,
            in_shell: true,
            commands,
            last: None,
        };
        let Some(candidate) = step(start, depth + 1, known) else {
            continue;
        };
        if known(&candidate) {
            return Some(candidate);
        }
        found = Some(candidate);
    }
    found
}

/// A script file: its own base name is what runs.
fn script_of(mut inner: Inner, at: usize) -> Inner {
    inner.name = base_name(&inner.tokens[at].text).to_owned();
    inner.args = at + 1;
    inner
}

fn is_python(name: &str) -> bool {
    let rest = name
        .strip_prefix("python")
        .or_else(|| name.strip_prefix("pypy"));
    rest.is_some_and(|version| version.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

/// `python -m module …` and `python /path/script …`; options of the interpreter are stepped over.
fn python(mut inner: Inner, name: &str) -> Inner {
    inner.through.push(name.to_owned());
    inner.last = None;
    let mut i = inner.args + 1;
    while let Some(token) = inner.tokens.get(i) {
        let text = token.text.as_str();
        let Some(cluster) = text.strip_prefix('-').filter(|c| !c.is_empty()) else {
            return script_of(inner, i);
        };
        if cluster.starts_with('-') {
            i += 1;
            continue;
        }
        let Some(at) = cluster.find(['m', 'c', 'W', 'X']) else {
            i += 1;
            continue;
        };
        let rest = cluster[at + 1..].to_owned();
        let inline = !rest.is_empty();
        match cluster.as_bytes()[at] {
            b'm' => {
                let module = if inline {
                    Some(rest)
                } else {
                    inner.tokens.get(i + 1).map(|t| t.text.clone())
                };
                inner.name = module.unwrap_or_default();
                inner.args = (i + if inline { 1 } else { 2 }).min(inner.tokens.len());
                return inner;
            }
            b'c' => break,
            _ => i += if inline { 1 } else { 2 },
        }
    }
    inner.name = String::new();
    inner.args = inner.tokens.len();
    inner
}
