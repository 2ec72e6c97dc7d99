//! What may stand in `Host`: a name or an address, and a port. Stricter than RFC 3986 (no percent-encoding, no
//! sub-delimiters, no user): programs build links and pick tenants from it.

use crate::limits::HOST_BYTES_MAX;
use std::net::Ipv6Addr;

/// Longest port, digits.
const PORT_DIGITS_MAX: usize = 5;

/// True for `name`, `name:port`, `[v6]`, `[v6]:port`; names of letters, digits, `-`, `.` and `_`.
pub(crate) fn valid(host: &[u8]) -> bool {
    if host.is_empty() || host.len() > HOST_BYTES_MAX {
        return false;
    }
    let rest = if host[0] == b'[' {
        let Some(end) = host.iter().position(|&byte| byte == b']') else {
            return false;
        };
        let address = std::str::from_utf8(&host[1..end])
            .ok()
            .and_then(|text| text.parse::<Ipv6Addr>().ok());
        if address.is_none() {
            return false;
        }
        &host[end + 1..]
    } else {
        let named = |&byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let end = host
            .iter()
            .position(|byte| !named(byte))
            .unwrap_or(host.len());
        if end == 0 {
            return false;
        }
        &host[end..]
    };
    match rest {
        [] => true,
        [b':', port @ ..] => {
            (1..=PORT_DIGITS_MAX).contains(&port.len())
                && crate::digits::decimal(port).is_some_and(|number| number <= u64::from(u16::MAX))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::valid;

    #[test]
    fn names_addresses_ports() {
        for good in [
            "a",
            "example.org",
            "EXAMPLE.org.",
            "a_b:8001",
            "127.0.0.1:80",
            "[::1]",
            "[::1]:8001",
            "[::ffff:1.2.3.4]",
        ] {
            assert!(valid(good.as_bytes()), "{good}");
        }
        let long = "a".repeat(260);
        for bad in [
            "", ":80", "a:", "a:b", "a:65536", "a:000080", "a b", "a/b", "a@b", "a,b", "a%2e", "[",
            "[]", "[::1", "::1", "[::1]x", "[v1.a]", "a\u{e4}", "a;b", "a\"", "a#b", "a?b", "a\\b",
            &long,
        ] {
            assert!(!valid(bad.as_bytes()), "{bad}");
        }
    }
}
