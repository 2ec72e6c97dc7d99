//! What of a certificate rustls does not tell: when it is valid, and whether it signed itself (RFC 5280 section 4.1).

use crate::time;

/// The parts of a certificate that are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    /// Seconds since 1970.
    pub(crate) from_unix_s: u64,
    pub(crate) until_unix_s: u64,
    /// Issuer and subject are the same name.
    pub(crate) is_self_signed: bool,
}

const SEQUENCE: u8 = 0x30;
/// `[0]`: the version, which old certificates leave out.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Reads a certificate in DER; `None` if it is none.
pub(crate) fn read(der: &[u8]) -> Option<Read> {
    let certificate = Element::first(der)?.of(SEQUENCE)?;
    let mut rest = Element::first(certificate)?.of(SEQUENCE)?;
    let mut next = || {
        let element = Element::first(rest)?;
        rest = element.rest;
        Some(element)
    };
    let first = next()?;
    // The serial number; the signature's algorithm.
    if first.tag == VERSION {
        next()?;
    }
    next()?;
    let issuer = next()?.of(SEQUENCE)?;
    let validity = next()?.of(SEQUENCE)?;
    let subject = next()?.of(SEQUENCE)?;
    let from = Element::first(validity)?;
    let until = Element::first(from.rest)?;
    Some(Read {
        from_unix_s: from.time()?,
        until_unix_s: until.time()?,
        is_self_signed: issuer == subject,
    })
}

/// One element (X.690 section 8.1).
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Element<'a> {
    fn first(bytes: &'a [u8]) -> Option<Element<'a>> {
        let (tag, rest) = bytes.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            // The length itself takes so many bytes; no certificate needs more than four.
            0x81..=0x84 => {
                let (length, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
                let length = length.iter().fold(0, |n, b| n << 8 | usize::from(*b));
                (length, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        let tag = *tag;
        Some(Element { tag, content, rest })
    }

    fn of(&self, tag: u8) -> Option<&'a [u8]> {
        (self.tag == tag).then_some(self.content)
    }

    /// `YYMMDDHHMMSSZ` until 2049, `YYYYMMDDHHMMSSZ` after it.
    fn time(&self) -> Option<u64> {
        let text = std::str::from_utf8(self.content).ok()?;
        let long = match self.tag {
            UTC_TIME => {
                let century = if text.get(..2)? < "50" { "20" } else { "19" };
                format!("{century}{text}")
            }
            GENERALIZED_TIME => text.to_owned(),
            _ => return None,
        };
        let part = |from: usize| long.get(from..from + 2);
        let stamp = format!(
            "{}-{}-{} {}:{}:{}",
            long.get(..4)?,
            part(4)?,
            part(6)?,
            part(8)?,
            part(10)?,
            part(12)?
        );
        u64::try_from(time::stamp(&stamp)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate that says nothing but what is looked at.
    fn made(from: &str, until: &str, subject: &[u8]) -> Vec<u8> {
        let element = |tag: u8, content: &[u8]| {
            let mut out = vec![tag, 0x82];
            out.extend(u16::try_from(content.len()).expect("short").to_be_bytes());
            out.extend(content);
            out
        };
        let time = |text: &str| match text.len() {
            13 => element(UTC_TIME, text.as_bytes()),
            _ => element(GENERALIZED_TIME, text.as_bytes()),
        };
        let validity = [time(from), time(until)].concat();
        let parts = [
            element(VERSION, &[2, 1, 2]),
            element(2, &[1]),
            element(SEQUENCE, &[]),
            element(SEQUENCE, b"issuer"),
            element(SEQUENCE, &validity),
            element(SEQUENCE, subject),
        ];
        element(SEQUENCE, &element(SEQUENCE, &parts.concat()))
    }

    #[test]
    fn when_it_is_valid_and_who_signed_it() {
        let read_made = |from, until, subject: &[u8]| read(&made(from, until, subject));
        let want = |from_unix_s, until_unix_s, is_self_signed| {
            Some(Read {
                from_unix_s,
                until_unix_s,
                is_self_signed,
            })
        };
        assert_eq!(
            read_made("700101000001Z", "240229120000Z", b"a server"),
            want(1, 1_709_208_000, false)
        );
        assert_eq!(
            read_made("19700101000001Z", "20500101000000Z", b"issuer"),
            want(1, 2_524_608_000, true)
        );
        assert_eq!(read_made("not a time", "240229120000Z", b"issuer"), None);
    }

    #[test]
    fn what_is_cut_short_is_no_certificate() {
        let whole = made("700101000001Z", "240229120000Z", b"issuer");
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]), None, "{length}");
        }
        assert_eq!(read(&[SEQUENCE, 0x88, 255, 255]), None);
    }
}
