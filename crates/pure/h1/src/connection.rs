//! The `Connection` header: which connection options it names, and which headers it nominates for removal.
//!
//! RFC 9110, section 7.6.1 lets a sender name headers that end at the next hop. Taken literally, a client could have
//! `Authorization` or `X-Forwarded-For` removed on the way, after a check in front and before the program. So names
//! that have a meaning here or that programs base decisions on may not be nominated at all: a request that does is
//! refused, an answer's nomination of them is ignored. Other names are dropped as nominated.

use crate::kind::{Kind, classify};
use crate::limits::CONNECTION_NAMES_MAX;
use crate::span::{Lines, Span};

/// What all Connection lines of a head say together.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    pub(crate) upgrade: bool,
    names: [Span; CONNECTION_NAMES_MAX],
    used: usize,
}

/// What is wrong with a Connection line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not a list of tokens, or too many nominations.
    Invalid,
    /// An end-to-end header is nominated (already left out of the nominations).
    Nominates,
}

/// Beginnings of names without a [`Kind`] that may not be nominated either.
const PROTECTED: [&[u8]; 11] = [
    b"content-",
    b"accept",
    b"sec-",
    b"access-control-",
    b"cache-control",
    b"range",
    b"user-agent",
    b"set-cookie",
    b"x-csrf",
    b"x-xsrf",
    b"x-request",
];

impl Options {
    /// Adds one line's value. On [`Fault::Nominates`] the rest of the line has been read all the same.
    pub(crate) fn read(&mut self, buf: &[u8], value: Span) -> Result<(), Fault> {
        let text = value.of(buf);
        // Nearly all requests say one of these two, or nothing.
        if text.eq_ignore_ascii_case(b"keep-alive") {
            self.keep_alive = true;
            return Ok(());
        }
        if text.eq_ignore_ascii_case(b"close") {
            self.close = true;
            return Ok(());
        }
        let mut nominates = false;
        let mut at = usize::from(value.start);
        for part in text.split(|&byte| byte == b',') {
            let name = part.trim_ascii();
            let start = at + (part.len() - part.trim_ascii_start().len());
            at += part.len() + 1;
            if name.is_empty() {
                continue;
            }
            if !name.iter().all(|&byte| is_token(byte)) {
                return Err(Fault::Invalid);
            }
            nominates |= self.option(name, Span::new(start, start + name.len()))? == Protected::Yes;
        }
        if nominates {
            Err(Fault::Nominates)
        } else {
            Ok(())
        }
    }

    fn option(&mut self, name: &[u8], span: Span) -> Result<Protected, Fault> {
        if name.eq_ignore_ascii_case(b"close") {
            self.close = true;
        } else if name.eq_ignore_ascii_case(b"keep-alive") {
            self.keep_alive = true;
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            self.upgrade = true;
        } else {
            match classify(name) {
                Kind::HopByHop | Kind::Proxy => {}
                Kind::Other | Kind::Underscore if !is_protected(name) => {
                    let slot = self.names.get_mut(self.used).ok_or(Fault::Invalid)?;
                    *slot = span;
                    self.used += 1;
                }
                _ => return Ok(Protected::Yes),
            }
        }
        Ok(Protected::No)
    }

    /// Marks the lines that were nominated.
    pub(crate) fn mark(&self, buf: &[u8], lines: &mut Lines) {
        for nominated in &self.names[..self.used] {
            for line in &mut lines.array[..lines.used] {
                let free = matches!(line.kind, Kind::Other | Kind::Underscore);
                if free && line.name().of(buf).eq_ignore_ascii_case(nominated.of(buf)) {
                    line.kind = Kind::Nominated;
                }
            }
        }
    }
}

#[derive(PartialEq, Eq)]
enum Protected {
    Yes,
    No,
}

fn is_protected(name: &[u8]) -> bool {
    PROTECTED.iter().any(|start| {
        name.get(..start.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(start))
    })
}

/// A token character (RFC 9110, section 5.6.2).
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Result<(), Fault>, Options) {
        let mut options = Options::default();
        let got = options.read(text.as_bytes(), Span::new(0, text.len()));
        (got, options)
    }

    #[test]
    fn options_and_nominations() {
        let (got, options) = read("Upgrade , keep-alive,, X-Hop");
        assert_eq!(got, Ok(()));
        assert!(options.upgrade && options.keep_alive && !options.close);
        assert_eq!(
            options.names[0].of(b"Upgrade , keep-alive,, X-Hop"),
            b"X-Hop"
        );
        assert_eq!(read("close x").0, Err(Fault::Invalid));
        assert_eq!(read("a,b,c,d,e,f,g,h,i").0, Err(Fault::Invalid));
        for name in [
            "Host",
            "authorization",
            "X-Forwarded-For",
            "cookie",
            "content-length",
            "Content-Type",
            "X-Steadfast-User",
        ] {
            assert_eq!(read(name).0, Err(Fault::Nominates), "{name}");
        }
    }
}
