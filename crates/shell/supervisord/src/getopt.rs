//! Python's `getopt`, whose rules and complaints both of Supervisor's programs have: options end at the first word
//! that is none, a value may be joined to its letter, a long name may be cut as long as it is unique.

/// An option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opt {
    /// `configuration`; empty if it has none.
    pub(crate) long: &'static str,
    /// `c`; NUL if it has none.
    pub(crate) short: char,
    /// Whether a value follows.
    pub(crate) value: bool,
}

/// A row of a table of options.
pub(crate) const fn opt(long: &'static str, short: char, value: bool) -> Opt {
    Opt { long, short, value }
}

/// One option as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    /// As Python names it: `-c`, or the whole `--configuration`.
    pub(crate) written: String,
    /// Its index in the table.
    pub(crate) index: usize,
    /// Its value, empty if it takes none.
    pub(crate) value: String,
}

/// The options, and the words behind them. The error is a complaint of Python's.
pub(crate) fn getopt(known: &[Opt], args: &[String]) -> Result<(Vec<Given>, Vec<String>), String> {
    let mut given = Vec::new();
    let mut rest = args.iter();
    let mut words = Vec::new();
    while let Some(arg) = rest.next() {
        if arg == "--" {
            break;
        }
        if let Some(long) = arg.strip_prefix("--") {
            given.push(long_given(known, long, &mut rest)?);
        } else if arg.len() > 1 && arg.starts_with('-') {
            letters(known, &arg[1..], &mut rest, &mut given)?;
        } else {
            words.push(arg.clone());
            break;
        }
    }
    words.extend(rest.cloned());
    Ok((given, words))
}

fn long_given<'a>(
    known: &[Opt],
    long: &str,
    rest: &mut impl Iterator<Item = &'a String>,
) -> Result<Given, String> {
    let (name, joined) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (long, None),
    };
    let index = find(known, name)?;
    let full = known[index].long;
    let value = match (known[index].value, joined) {
        (true, Some(value)) => value,
        (true, None) => rest
            .next()
            .cloned()
            .ok_or_else(|| format!("option --{full} requires argument"))?,
        (false, None) => String::new(),
        (false, Some(_)) => return Err(format!("option --{full} must not have an argument")),
    };
    Ok(Given {
        written: format!("--{full}"),
        index,
        value,
    })
}

fn letters<'a>(
    known: &[Opt],
    letters: &str,
    rest: &mut impl Iterator<Item = &'a String>,
    given: &mut Vec<Given>,
) -> Result<(), String> {
    let mut letters = letters.chars();
    while let Some(letter) = letters.next() {
        let index = known.iter().position(|opt| opt.short == letter);
        let index = index.ok_or_else(|| format!("option -{letter} not recognized"))?;
        let mut value = String::new();
        if known[index].value {
            value = letters.as_str().to_owned();
            letters = "".chars();
            if value.is_empty() {
                value = rest
                    .next()
                    .cloned()
                    .ok_or_else(|| format!("option -{letter} requires argument"))?;
            }
        }
        given.push(Given {
            written: format!("-{letter}"),
            index,
            value,
        });
    }
    Ok(())
}

fn find(known: &[Opt], name: &str) -> Result<usize, String> {
    let not_known = || format!("option --{name} not recognized");
    let named = |opt: &Opt| !opt.long.is_empty();
    if let Some(exact) = known.iter().position(|opt| named(opt) && opt.long == name) {
        return Ok(exact);
    }
    let mut fits =
        (0..known.len()).filter(|at| named(&known[*at]) && known[*at].long.starts_with(name));
    match (fits.next(), fits.next()) {
        (Some(index), None) => Ok(index),
        (None, _) => Err(not_known()),
        (Some(_), Some(_)) => Err(format!("option --{name} not a unique prefix")),
    }
}

/// The first of Supervisor's places that exists: beside the program's directory, here, then /etc. `program` is
/// `argv[0]` with its path.
pub(crate) fn search(program: &str, cwd: &str) -> Option<String> {
    places(program)
        .into_iter()
        .find(|path| std::path::Path::new(cwd).join(path).exists())
}

/// Supervisor's places, in their order.
pub(crate) fn places(program: &str) -> Vec<String> {
    let parent = |path: &str| match path.rsplit_once('/') {
        Some(("", _)) => "/".to_owned(),
        Some((parent, _)) => parent.to_owned(),
        None => String::new(),
    };
    let here = parent(&parent(program));
    let beside = |name: &str| match here.as_str() {
        "" => name.to_owned(),
        "/" => format!("/{name}"),
        here => format!("{here}/{name}"),
    };
    vec![
        beside("etc/supervisord.conf"),
        beside("supervisord.conf"),
        "supervisord.conf".to_owned(),
        "etc/supervisord.conf".to_owned(),
        "/etc/supervisord.conf".to_owned(),
        "/etc/supervisor/supervisord.conf".to_owned(),
    ]
}
