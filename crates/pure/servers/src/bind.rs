//! Addresses that servers are told to listen on, and where they were told.

use crate::words::Place;

/// What a server listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A TCP address. `host` is as written (a name, an address without brackets); `port` 0 means a random one.
    Tcp {
        /// Host name or address.
        host: String,
        /// Port number.
        port: u16,
    },
    /// A Unix socket's path.
    Unix(String),
    /// A descriptor that the server inherits.
    Fd(u32),
}

/// Where an address was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// From these places (words of argv, variables), at least one.
    Given(Vec<Place>),
    /// Nothing was given: the server's own default.
    Default,
}

/// One address of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// The address.
    pub address: Address,
    /// Where it comes from.
    pub origin: Origin,
}

impl Bind {
    /// True if the address was written by someone, not taken as the server's default.
    pub fn is_given(&self) -> bool {
        matches!(self.origin, Origin::Given(_))
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{path}"),
            Self::Fd(fd) => write!(f, "fd://{fd}"),
        }
    }
}

/// gunicorn's and hypercorn's way of writing an address (gunicorn/util.py `parse_address`): `HOST`, `HOST:PORT`,
/// `[V6]:PORT`, `unix:PATH`, `unix://PATH`, `fd://N`, `tcp://HOST:PORT`. `None` if the server would refuse it.
pub(crate) fn parse(text: &str, default_port: u16) -> Option<Address> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Some(Address::Unix(
            path.strip_prefix("//").unwrap_or(path).to_owned(),
        ));
    }
    if let Some(fd) = text.strip_prefix("fd://") {
        return fd.parse().ok().map(Address::Fd);
    }
    let text = text.strip_prefix("tcp://").unwrap_or(text);
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':')?)),
        None if text.is_empty() => ("0.0.0.0", None),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().ok()?,
        None => default_port,
    };
    let host = if host.is_empty() { "0.0.0.0" } else { host };
    Some(Address::Tcp {
        host: host.to_lowercase(),
        port,
    })
}

/// Django's `addrport`: `8000`, `0:8000`, `1.2.3.4:8000`, `[::1]:8000`, `host:8000`.
pub(crate) fn parse_django(text: &str) -> Option<Address> {
    if let Ok(port) = text.parse() {
        return Some(Address::Tcp {
            host: "127.0.0.1".into(),
            port,
        });
    }
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.trim_start_matches('[').trim_end_matches(']') {
        "0" => "0.0.0.0",
        other => other,
    };
    Some(Address::Tcp {
        host: host.to_owned(),
        port: port.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        parse(text, 8000).map_or_else(|| "refused".into(), |address| address.to_string())
    }

    #[test]
    fn gunicorn_addresses() {
        for (text, want) in [
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("localhost", "localhost:8000"),
            (":9000", "0.0.0.0:9000"),
            ("", "0.0.0.0:8000"),
            ("[::1]:80", "[::1]:80"),
            ("[::]", "[::]:8000"),
            ("unix:/run/a.sock", "unix:/run/a.sock"),
            ("unix:///run/a.sock", "unix:/run/a.sock"),
            ("fd://3", "fd://3"),
            ("fd://x", "refused"),
            ("a:b", "refused"),
            ("a:70000", "refused"),
        ] {
            assert_eq!(shown(text), want, "{text}");
        }
    }

    #[test]
    fn django_addresses() {
        for (text, want) in [
            ("8000", "127.0.0.1:8000"),
            ("0:80", "0.0.0.0:80"),
            ("[::1]:80", "[::1]:80"),
            ("host:1", "host:1"),
        ] {
            assert_eq!(parse_django(text).unwrap().to_string(), want);
        }
        assert_eq!(parse_django("nonsense"), None);
    }
}
