//! Percent-escapes of paths and forms.

/// The text with its percent-escapes resolved; None if they are none, or not UTF-8.
pub(super) fn unquoted(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_escapes() {
        assert_eq!(
            unquoted("/logtail/a%3Ab%20c"),
            Some("/logtail/a:b c".into())
        );
        assert_eq!(unquoted("/plain"), Some("/plain".into()));
        for bad in ["/%", "/%4", "/%zz", "/%ff", "/%é"] {
            assert_eq!(unquoted(bad), None, "{bad}");
        }
    }
}
