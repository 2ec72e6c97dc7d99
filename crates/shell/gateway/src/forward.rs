//! What the program is told about the client: exactly one address, one scheme, one host.
//!
//! uvicorn and gunicorn with `FORWARDED_ALLOW_IPS=*` take the leftmost address of X-Forwarded-For, so a list would let
//! any client name itself. The address handed over is the peer's; if the peer is a proxy that the operator trusts, it
//! is the rightmost one of X-Forwarded-For that is not such a proxy itself.

use std::net::{IpAddr, SocketAddr};

use h1::Kind;
use h1::request::RequestHead;

/// Stands for a peer on a Unix socket: programs want an address.
const UNIX_PEER: &str = "127.0.0.1";

/// Which peers are believed.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    all: bool,
    unix: bool,
    nets: Vec<([u8; 16], u32)>,
}

/// Who is at the other end of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    text: String,
    key: hold::Client,
    /// On this machine.
    near: bool,
    trusted: bool,
}

/// Who sent a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) client: &'a [u8],
    pub(crate) proto: &'static [u8],
    pub(crate) host: &'a [u8],
    pub(crate) key: hold::Client,
    /// The client is on this machine.
    pub(crate) near: bool,
    pub(crate) trusted_proxy: bool,
}

fn bits(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// Whose share of the queue a request takes. A network of IPv6 is 2^64 addresses of one customer, so its first half
/// counts, or one client would have as many shares as it likes.
fn share(bits: [u8; 16]) -> hold::Client {
    let address = std::net::Ipv6Addr::from(bits);
    match address.to_ipv4_mapped() {
        Some(_) => bits,
        None => (u128::from(address) >> 64 << 64).to_be_bytes(),
    }
}

impl Peer {
    /// Under which key its connections are counted. None: it is a proxy or this machine, and speaks for others.
    pub(crate) fn counted(&self) -> Option<hold::Client> {
        (!self.near && !self.trusted).then_some(self.key)
    }
}

impl Trust {
    /// From addresses, `10.0.0.0/8`, `*`, `unix`. What is none of them trusts nobody.
    pub(crate) fn new(list: &[String]) -> Trust {
        let mut trust = Trust::default();
        for item in list {
            match item.as_str() {
                "*" => (trust.all, trust.unix) = (true, true),
                "unix" => trust.unix = true,
                net => trust.nets.extend(read_net(net)),
            }
        }
        trust
    }

    fn holds(&self, key: &[u8; 16]) -> bool {
        self.all
            || self.nets.iter().any(|(net, length)| {
                let shift = 128 - *length;
                let [a, b] = [*net, *key].map(u128::from_be_bytes);
                a.checked_shr(shift) == b.checked_shr(shift)
            })
    }

    /// Whether a peer that connects to this listener from this machine is believed. `address` is the listener's.
    pub(crate) fn believes_neighbour(&self, address: &str) -> bool {
        match neighbour(address) {
            Some(to) => self.holds(&bits(to.ip().to_canonical())),
            None => self.unix,
        }
    }

    /// A peer that was accepted; None is one on a Unix socket.
    pub(crate) fn peer(&self, address: Option<SocketAddr>) -> Peer {
        match address {
            Some(address) => {
                let address = address.ip().to_canonical();
                let key = bits(address);
                Peer {
                    text: address.to_string(),
                    key: share(key),
                    near: address.is_loopback(),
                    trusted: self.holds(&key),
                }
            }
            None => Peer {
                text: UNIX_PEER.to_owned(),
                key: [0; 16],
                near: true,
                trusted: self.unix,
            },
        }
    }

    /// Who sent this request.
    pub(crate) fn origin<'a>(
        &self,
        peer: &'a Peer,
        head: &'a RequestHead,
        buf: &'a [u8],
    ) -> Origin<'a> {
        let mut origin = Origin {
            client: peer.text.as_bytes(),
            proto: b"http",
            host: head.host.map(|span| span.of(buf)).unwrap_or_default(),
            key: peer.key,
            near: peer.near,
            trusted_proxy: peer.trusted,
        };
        if !peer.trusted {
            return origin;
        }
        if head.has(Kind::XForwardedFor) {
            self.follow(head, buf, &mut origin);
        }
        let last = |kind| last_part(head.lines.values(buf, kind).last());
        match last(Kind::XForwardedProto) {
            Some(text) if text.eq_ignore_ascii_case(b"https") => origin.proto = b"https",
            Some(text) if text.eq_ignore_ascii_case(b"wss") => origin.proto = b"https",
            _ => {}
        }
        if let Some(host) = last(Kind::XForwardedHost).filter(|host| is_host(host)) {
            origin.host = host;
        }
        origin
    }

    /// From the right, past proxies that are trusted, to the first address that is not; no further than an entry
    /// that is no address.
    fn follow<'a>(&self, head: &'a RequestHead, buf: &'a [u8], origin: &mut Origin<'a>) {
        let lines = head.lines.as_slice().iter().rev();
        for line in lines.filter(|line| line.kind() == Kind::XForwardedFor) {
            for part in line.value().of(buf).rsplit(|byte| *byte == b',') {
                let text = part.trim_ascii();
                let Some(address) = std::str::from_utf8(text)
                    .ok()
                    .and_then(|text| text.parse::<IpAddr>().ok())
                else {
                    return;
                };
                let key = bits(address.to_canonical());
                (origin.client, origin.key) = (text, share(key));
                origin.near = address.is_loopback();
                if !self.holds(&key) {
                    return;
                }
            }
        }
    }
}

/// Where to connect to reach a listener from this machine, which is then also the peer's address; None: a path.
pub(crate) fn neighbour(address: &str) -> Option<SocketAddr> {
    let mut to: SocketAddr = address.parse().ok()?;
    if to.ip().is_unspecified() {
        to.set_ip(match to.ip() {
            IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    Some(to)
}

fn read_net(text: &str) -> Option<([u8; 16], u32)> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let (width, offset) = match address {
        IpAddr::V4(_) => (32, 96),
        IpAddr::V6(_) => (128, 0),
    };
    let length = length.unwrap_or(width);
    (length <= width).then(|| (bits(address), length + offset))
}

fn last_part(value: Option<&[u8]>) -> Option<&[u8]> {
    let part = value?.rsplit(|byte| *byte == b',').next()?;
    Some(part.trim_ascii())
}

fn is_host(text: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(byte);
    !text.is_empty() && text.len() <= h1::HOST_BYTES_MAX && text.iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(trusted: &[&str], peer: &str, lines: &str, wanted: (&str, &str, &str)) {
        let text = format!("GET / HTTP/1.1\r\nHost: app\r\n{lines}\r\n");
        let mut head = RequestHead::default();
        let parsed = h1::request::parse(
            text.as_bytes(),
            &mut h1::Scan::default(),
            &h1::Limits::default(),
            &mut head,
        );
        assert_eq!(parsed, Ok(h1::Status::Complete));
        let list: Vec<String> = trusted.iter().map(|item| item.to_string()).collect();
        let trust = Trust::new(&list);
        let peer = trust.peer(peer.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 1)));
        let origin = trust.origin(&peer, &head, text.as_bytes());
        let got = [origin.client, origin.proto, origin.host].map(String::from_utf8_lossy);
        assert_eq!((&*got[0], &*got[1], &*got[2]), wanted);
    }

    #[test]
    fn exactly_one_address() {
        let lines =
            "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n";
        check(&[], "9.9.9.9", lines, ("9.9.9.9", "http", "app"));
        check(&["127.0.0.1"], "9.9.9.9", lines, ("9.9.9.9", "http", "app"));
        check(
            &["127.0.0.1"],
            "127.0.0.1",
            lines,
            ("6.6.6.6", "https", "evil"),
        );
        check(&["unix"], "unix", lines, ("6.6.6.6", "https", "evil"));
        check(&[], "unix", lines, ("127.0.0.1", "http", "app"));
        check(
            &["::ffff:127.0.0.1"],
            "::ffff:127.0.0.1",
            "",
            ("127.0.0.1", "http", "app"),
        );
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let key = |text: &str| {
            let ip: IpAddr = text.parse().expect("an address");
            Trust::new(&[]).peer(Some(SocketAddr::new(ip, 1))).key
        };
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:0:0:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
    }

    #[test]
    fn the_rightmost_that_is_not_trusted() {
        let lines = "X-Forwarded-For: 1.1.1.1, 6.6.6.6\r\nX-Forwarded-For: 10.0.0.2,10.9.9.9\r\n";
        check(
            &["10.0.0.0/8"],
            "10.0.0.1",
            lines,
            ("6.6.6.6", "http", "app"),
        );
        check(
            &["10.0.0.0/16"],
            "10.0.0.1",
            lines,
            ("10.9.9.9", "http", "app"),
        );
        check(&["*"], "10.0.0.1", lines, ("1.1.1.1", "http", "app"));
        check(
            &["2001:db8::/32"],
            "2001:db8::1",
            "X-Forwarded-For: junk, 2001:db8::7\r\n",
            ("2001:db8::7", "http", "app"),
        );
        check(
            &["*"],
            "10.0.0.1",
            "X-Forwarded-Proto: http, https\r\nX-Forwarded-Host: a b\r\n",
            ("10.0.0.1", "https", "app"),
        );
    }
}
