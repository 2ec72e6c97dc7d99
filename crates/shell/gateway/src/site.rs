//! A listener with its routes resolved.

use std::rc::Rc;

use h1::request::{Path, RequestHead};

use crate::forward::Trust;
use crate::target::Target;

/// See the module.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) config: routes::Listener,
    pub(crate) limits: h1::Limits,
    pub(crate) trust: Trust,
    targets: Vec<Option<Rc<Target>>>,
    by_host: bool,
}

impl Site {
    /// `find` gives the target of a name. A route whose target does not exist answers 404.
    pub(crate) fn new(config: routes::Listener, find: impl Fn(&str) -> Option<Rc<Target>>) -> Site {
        let body_bytes_max = match config.body_bytes_max {
            0 => u64::MAX,
            max => max,
        };
        Site {
            limits: h1::Limits {
                body_bytes_max,
                ..h1::Limits::default()
            },
            trust: Trust::new(&config.trusted),
            targets: config
                .routes
                .iter()
                .map(|route| find(&route.target))
                .collect(),
            by_host: config.routes.iter().any(|route| route.host.is_some()),
            config,
        }
    }

    /// Who answers this request.
    pub(crate) fn target(&self, head: &RequestHead, buf: &[u8]) -> Option<&Rc<Target>> {
        if let ([route], [target]) = (self.config.routes.as_slice(), self.targets.as_slice()) {
            let all = matches!(route.path_prefix.as_str(), "" | "/");
            if all && route.host.is_none() {
                return target.as_ref();
            }
        }
        let path = match head.path_as {
            Path::AsIs => head.path.of(buf),
            Path::SlashBefore | Path::Asterisk => b"/",
        };
        let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
        // The codec lets only ASCII pass in both.
        let path = std::str::from_utf8(path).unwrap_or("/");
        let host = match head.host {
            Some(host) if self.by_host => host_name(host.of(buf)),
            Some(_) | None => String::new(),
        };
        let route = self.config.route(&host, path)?;
        let at = self
            .config
            .routes
            .iter()
            .position(|other| std::ptr::eq(other, route))?;
        self.targets.get(at)?.as_ref()
    }
}

/// Without port and final dot, in lower case.
fn host_name(host: &[u8]) -> String {
    let host = String::from_utf8_lossy(host).to_ascii_lowercase();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host.as_str(),
    };
    name.strip_suffix('.').unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_hosts() {
        for (host, name) in [
            ("Example.ORG:8001", "example.org"),
            ("example.org.", "example.org"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(host_name(host.as_bytes()), name);
        }
    }
}
