//! How a program may read a path that we read as it is.
//!
//! Routes are matched as bytes, and programs decode: `/%61dmin`, `//admin` and `/x/../admin` are `/admin` to most of
//! them, `/Admin` is to some, `/admin;a=1` to those that take parameters off, and to one that leaves dots in,
//! `/admin/..` is a page below `/admin`. If a stricter route fits what a program may read, the stricter one decides
//! about `auth`. Which program reads how is not known here, so every reading counts: each time it is decoded once more,
//! as a whole or segment by segment (servlet containers split first: in `/;%2fx/%61dmin` they find no `/x`), with
//! parameters and without, with empty segments and without, each place on the way before and after a `..` is removed, and
//! all of it without removing any; and where it begins with two slashes, what comes behind a host's name too, for to
//! `new URL(path, base)` and Python's `urlparse` that is `//x` in `//x/admin`.

/// Decoded that often programs read it behind a proxy that decodes, and one more: more is nobody's.
const DECODES_MAX: usize = 3;

/// Readings of one path: an honest one has some dozens, and who sends thousands wants them to be looked at.
const READINGS_MAX: usize = 4096;

/// Tells every reading of a path, in lower case; none where there is nothing to read in two ways. False: there are more
/// than anybody needs, and not all were told.
pub(crate) fn readings(path: &str, mut hear: impl FnMut(&str)) -> bool {
    let mut told = 0;
    let mut tell = |reading: &str| {
        told += 1;
        if told <= READINGS_MAX {
            hear(reading);
        }
        told <= READINGS_MAX
    };
    let odd = |byte: u8| b"%\\;".contains(&byte) || byte.is_ascii_uppercase();
    if !path.bytes().any(odd) && !path.contains("//") && !path.contains("/.") {
        return true;
    }
    let mut bytes = path.as_bytes().to_vec();
    for _ in 0..=DECODES_MAX {
        let text = lower(&bytes).replace('\\', "/");
        if !walk_all(&text, &mut tell) {
            return false;
        }
        if let Some(rest) = behind_host(&text)
            && !walk_all(rest, &mut tell)
        {
            return false;
        }
        let decoded = decode(&bytes);
        if decoded == bytes {
            return true;
        }
        bytes = decoded;
    }
    true
}

/// The path in `//host/path`, for who takes it so.
fn behind_host(text: &str) -> Option<&str> {
    let from_host = text.strip_prefix("//")?.trim_start_matches('/');
    Some(from_host.find('/').map_or("/", |at| &from_host[at..]))
}

fn walk_all(text: &str, tell: &mut impl FnMut(&str) -> bool) -> bool {
    for split_first in [false, true] {
        for parameters in [true, false] {
            for empty in [true, false] {
                let way = Walk {
                    split_first,
                    parameters,
                    empty,
                };
                if !way.walk(text, tell) {
                    return false;
                }
            }
        }
    }
    true
}

fn lower(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).to_ascii_lowercase()
}

/// A way to read the segments.
struct Walk {
    /// They are decoded now, after the path was split.
    split_first: bool,
    parameters: bool,
    empty: bool,
}

impl Walk {
    /// Goes along the segments, while `tell` wants more. What is kept grows and shrinks in place: a long path with many dots is
    /// walked once.
    fn walk(&self, text: &str, tell: &mut impl FnMut(&str) -> bool) -> bool {
        let root = |path: &str, tell: &mut dyn FnMut(&str) -> bool| match path {
            "" => tell("/"),
            path => tell(path),
        };
        let (mut path, mut ends) = (String::with_capacity(text.len() + 1), Vec::new());
        let mut dotted = String::with_capacity(text.len() + 1);
        for segment in text.strip_prefix('/').unwrap_or(text).split('/') {
            let segment = match segment.split_once(';') {
                Some((name, _)) if !self.parameters => name,
                Some(_) | None => segment,
            };
            if segment.is_empty() && !self.empty {
                continue;
            }
            let decoded = match self.split_first && segment.contains('%') {
                true => lower(&decode(segment.as_bytes())),
                false => String::new(),
            };
            let segment = match decoded.as_str() {
                "" => segment,
                decoded => decoded,
            };
            dotted.push('/');
            dotted.push_str(segment);
            match segment {
                "." => {}
                ".." => {
                    let before = root(&path, tell);
                    path.truncate(ends.pop().unwrap_or(0));
                    if !before || !root(&path, tell) {
                        return false;
                    }
                }
                other => {
                    ends.push(path.len());
                    path.push('/');
                    path.push_str(other);
                }
            }
        }
        root(&path, tell) && root(&dotted, tell)
    }
}

fn decode(path: &[u8]) -> Vec<u8> {
    let digit = |at: usize| {
        let letter = char::from(*path.get(at)?);
        letter.to_digit(16).map(|digit| digit as u8)
    };
    let mut out = Vec::with_capacity(path.len());
    let mut at = 0;
    while at < path.len() {
        match (path[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                at += 3;
            }
            (byte, _, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(path: &str) -> Vec<String> {
        let mut all = Vec::new();
        assert!(readings(path, |reading| all.push(reading.to_owned())));
        all
    }

    #[test]
    fn who_sends_thousands_of_readings_is_told_apart() {
        let long = format!("/%2525252561{}{}", "/".repeat(4500), "/..".repeat(1220));
        let mut told = 0;
        assert!(!readings(&long, |_| told += 1));
        assert_eq!(told, READINGS_MAX);
        assert!(readings(&format!("/x{}", "/../y".repeat(60)), |_| ()));
    }

    #[test]
    fn spellings_of_one_path() {
        for path in [
            "/%61dmin",
            "//admin",
            "/x/../admin",
            "/Admin",
            "/./admin",
            "/x/..%2fadmin",
            "\\admin",
            // A program that leaves dots in has been below it.
            "/admin/..",
            "/Admin/x/../..",
            "/%61dmin/x/../../y",
            "/admin;a=1",
            "/;/admin",
            "/x/..;/admin",
            "/x/.%2e;a/admin",
            "/%2561dmin",
            "/%2525252561dmin/..",
            // Split before they are decoded.
            "/;%2fx/%61dmin",
            "/y;%2fz/../%61dmin",
            "/y%2fz/../%61dmin",
            "/y%2fz/%2e%2e/%61dmin",
            // The name of a host, to some.
            "//x/admin",
            "///x/admin",
            "/\\x:1/admin",
            "//a@x/y/../admin",
            "/%2fx/admin",
        ] {
            let read = all(path);
            let wanted = !path.contains("252525");
            let found = read
                .iter()
                .any(|it| it == "/admin" || it.starts_with("/admin/"));
            assert_eq!(found, wanted, "{path} {read:?}");
        }
        assert_eq!(all("/admin"), [] as [String; 0]);
        assert_eq!(all("/public/x-y.css"), [] as [String; 0]);
    }

    /// One way in which a program may read a path, written the plain way.
    #[derive(Debug, Clone)]
    struct Reader {
        decodes: usize,
        parameters: bool,
        empty: bool,
        dots: bool,
        split_first: bool,
        host: bool,
    }

    impl Reader {
        fn read(&self, path: &str) -> String {
            let mut bytes = path.as_bytes().to_vec();
            for _ in 0..self.decodes {
                bytes = decode(&bytes);
            }
            let text = String::from_utf8_lossy(&bytes).to_lowercase();
            let mut out: Vec<String> = Vec::new();
            let mut text = text.replace('\\', "/");
            if self.host && text.starts_with("//") {
                let from_host = text.trim_start_matches('/');
                text = match from_host.split_once('/') {
                    Some((_, path)) => format!("/{path}"),
                    None => "/".to_owned(),
                };
            }
            for segment in text.strip_prefix('/').unwrap_or(&text).split('/') {
                let segment = match self.parameters {
                    true => segment,
                    false => segment.split(';').next().unwrap_or_default(),
                };
                if segment.is_empty() && !self.empty {
                    continue;
                }
                let segment = match self.split_first {
                    true => String::from_utf8_lossy(&decode(segment.as_bytes())).to_lowercase(),
                    false => segment.to_owned(),
                };
                match segment.as_str() {
                    "." if !self.dots => {}
                    ".." if !self.dots => drop(out.pop()),
                    _ => out.push(segment),
                }
            }
            format!("/{}", out.join("/"))
        }
    }

    proptest! {
        #[test]
        fn no_program_reads_a_path_that_was_not_looked_at(
            path in prop::collection::vec(
                prop::sample::select(vec![
                    "/", "/", "/admin", "/Admin", "/%61dmin", "/%2561dmin", "/x", "/..", "/.", "/%2e%2e", "/.%252e",
                    ";a=1", "/..;b", "%2f", "%5c", "\\", "%3b", "/y", "%", "%zz",
                ]),
                1..9,
            ),
            reader in (0..=DECODES_MAX, any::<[bool; 5]>()).prop_map(
                |(decodes, [parameters, empty, dots, split_first, host])| Reader { decodes, parameters, empty, dots, split_first, host },
            ),
        ) {
            let path = format!("/{}", path.concat());
            let (read, known) = (reader.read(&path), all(&path));
            // What matters is where a route can tell it apart: below the same segments.
            let below = |it: &str| it.trim_end_matches('/').to_owned();
            let found = known.iter().any(|it| below(it) == below(&read));
            prop_assert!(found || known.is_empty() && below(&read) == below(&path), "{path} read as {read}: {known:?}");
        }
    }
}
