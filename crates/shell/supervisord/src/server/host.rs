//! Whom a request without a password is addressed to.
//!
//! A page of any site can have its own name lead to this machine (DNS rebinding): its visitor's browser then takes the
//! server here for that site's, and lets the page read what is answered. The name stays the page's, in `Host`. So a
//! server on TCP without a password answers only to names that nobody outside can have: an address, a name without a
//! dot (`localhost`, a service of a compose file), names below `.localhost`, and what the file calls it. Programs send
//! what their URL says, so `supervisorctl` and `xmlrpc.client` notice nothing. Who has no `Host` is no browser.

use std::net::{IpAddr, Ipv6Addr};

/// Whether a request for this `Host` is meant for us. `called`: the file's name for the server.
pub(super) fn ours(host: Option<&[u8]>, called: &str) -> bool {
    let Some(host) = host else { return true };
    let Ok(host) = std::str::from_utf8(host) else {
        return false;
    };
    if let Some(rest) = host.strip_prefix('[') {
        let address = rest.split_once(']').map(|(address, _)| address);
        return address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let name = host.split(':').next().unwrap_or("");
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let here = name.parse::<IpAddr>().is_ok()
        || !name.contains('.')
        || name.ends_with(".localhost")
        || name.eq_ignore_ascii_case(called);
    here && !name.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_names_of_this_place_and_the_files_own() {
        for host in [
            "127.0.0.1:9001",
            "10.0.0.7",
            "[::1]:9001",
            "[fe80::1]",
            "localhost",
            "LOCALHOST:9001",
            "localhost.",
            "supervisor:9001",
            "a.localhost:9001",
            "box.example.org:9001",
            "BOX.example.org.",
        ] {
            assert!(ours(Some(host.as_bytes()), "box.example.org"), "{host}");
        }
        assert!(ours(None, ""));
    }

    #[test]
    fn names_that_somebody_outside_may_have() {
        for host in [
            "evil.example",
            "evil.example:9001",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "[evil.example]:9001",
            "[::1",
            "",
            ":9001",
            "xbox.example.org",
        ] {
            assert!(!ours(Some(host.as_bytes()), "box.example.org"), "{host}");
        }
        assert!(!ours(Some(b"\xff"), ""));
        assert!(!ours(Some(b"."), "") && !ours(Some(b"evil.example"), ""));
    }
}
