//! What a request carries when it leaves for its program: a token for that generation in place of the session's.
//!
//! Asked again at each attempt: a repeat may go to another generation with another key.

use std::borrow::Cow;

use h1::Kind;
use h1::request::RequestHead;
use session::cookie;

use crate::door::Pass;
use crate::door::marks::line;
use crate::tokens::Tokens;
use session::cookie::text;

/// Which of the client's lines the program does not get: ours are in their place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Dress {
    pub(crate) drop_authorization: bool,
    pub(crate) drop_cookies: bool,
}

/// The generation was started with a key that we do not have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoKey;

/// Dresses a request for a generation that was started with the key `told`; 0 is none. Lines for the program are
/// appended to `lines`.
pub(crate) fn dress(
    lines: &mut Vec<u8>,
    pass: Option<&Pass>,
    tokens: Option<&Tokens>,
    told: u32,
    head: &RequestHead,
    buf: &[u8],
) -> Result<Dress, NoKey> {
    let again = tokens.filter(|tokens| tokens.signs_again());
    if pass.is_none() && again.is_none() {
        return Ok(Dress::default());
    }
    let now_s = sys::clock::wall_ms() / 1000;
    let mut dress = Dress {
        drop_authorization: pass.is_some_and(|pass| pass.drop_authorization),
        ..Dress::default()
    };
    match (pass.and_then(|pass| pass.admission.as_ref()), tokens) {
        (Some(admission), Some(tokens)) => {
            // One that was started before it had a key of ours cannot read any token.
            if !tokens.authorize(lines, admission, told, now_s) && told != 0 {
                return Err(NoKey);
            }
        }
        (Some(_), None) => {}
        (None, _) if dress.drop_authorization => {}
        (None, _) => {
            let value = head.value(buf, Kind::Authorization).map(text);
            let parts = value.as_deref().and_then(|value| value.split_once(' '));
            let signed = again.zip(parts).and_then(|(tokens, (scheme, token))| {
                let signed = tokens.signed_again(token.trim(), told, now_s)?;
                Some((scheme, signed))
            });
            if let Some((scheme, token)) = signed {
                line(lines, "Authorization", &format!("{scheme} {token}"));
                dress.drop_authorization = true;
            }
        }
    }
    if !head.has(Kind::Cookie) {
        return Ok(dress);
    }
    let clean = pass.is_some_and(|pass| pass.clean_cookies);
    dress.drop_cookies = match again.and_then(|tokens| Some((tokens, tokens.cookie.as_deref()?))) {
        Some((tokens, name)) => {
            let sign = |value: &str| tokens.signed_again(value, told, now_s);
            replaced(lines, head, buf, clean, (name, &sign))
        }
        None => clean && cleaned(lines, head, buf),
    };
    Ok(dress)
}

/// The client's cookies without ours, if there are any of ours; says whether there are.
fn cleaned(lines: &mut Vec<u8>, head: &RequestHead, buf: &[u8]) -> bool {
    let values = || head.lines.values(buf, Kind::Cookie).map(text);
    if !values().any(|value| cookie::has_ours(&value)) {
        // Untouched they go through as bytes.
        return false;
    }
    for value in values() {
        let begun = lines.len();
        for part in cookie::others(&value) {
            let between: &[u8] = match lines.len() == begun {
                true => b"Cookie: ",
                false => b"; ",
            };
            lines.extend_from_slice(between);
            bytes(lines, matches!(value, Cow::Borrowed(_)), part);
        }
        if lines.len() > begun {
            lines.extend_from_slice(b"\r\n");
        }
    }
    true
}

/// Appends a part of what [`text`] made; `as_sent`: it was text. Else each letter was a byte.
fn bytes(lines: &mut Vec<u8>, as_sent: bool, part: &str) {
    match as_sent {
        true => lines.extend_from_slice(part.as_bytes()),
        false => lines.extend(part.chars().map(|letter| letter as u8)),
    }
}

/// The client's cookies with the program's token signed again, and without ours if `clean`; says whether that is a
/// change. Untouched ones go through as bytes.
fn replaced(
    lines: &mut Vec<u8>,
    head: &RequestHead,
    buf: &[u8],
    clean: bool,
    (name, sign): (&str, &impl Fn(&str) -> Option<String>),
) -> bool {
    let begun = lines.len();
    let mut changed = false;
    for value in head.lines.values(buf, Kind::Cookie) {
        let before = text(value);
        let kept = match clean && cookie::has_ours(&before) {
            true => cookie::without(&before),
            false => Some(before.clone().into_owned()),
        };
        let kept = kept.map(|kept| with(&kept, name, sign));
        changed |= kept.as_deref() != Some(&*before);
        if let Some(kept) = kept {
            lines.extend_from_slice(b"Cookie: ");
            bytes(lines, matches!(before, Cow::Borrowed(_)), &kept);
            lines.extend_from_slice(b"\r\n");
        }
    }
    if !changed {
        lines.truncate(begun);
    }
    changed
}

/// The cookies with the value of `name` replaced by what `sign` makes of it.
fn with(header: &str, name: &str, sign: &impl Fn(&str) -> Option<String>) -> String {
    let part = |part: &str| {
        let (key, value) = part.split_once('=')?;
        let signed = (key.trim() == name).then(|| sign(value.trim()))??;
        Some(format!("{key}={signed}"))
    };
    let parts = header.split(';');
    let parts: Vec<String> = parts
        .map(|it| part(it).unwrap_or_else(|| it.to_owned()))
        .collect();
    parts.join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cookie_is_replaced_and_the_others_stay_as_they_are() {
        let sign = |value: &str| (value == "old").then(|| "new".to_owned());
        assert_eq!(with("a=1; jwt=old;b", "jwt", &sign), "a=1; jwt=new;b");
        assert_eq!(with("jwt=other", "jwt", &sign), "jwt=other");
        assert_eq!(with("ajwt=old", "jwt", &sign), "ajwt=old");
    }
}
