//! What a server's options and variables say: where it listens, how many processes serve, whom it believes.

use crate::bind::{self, Address, Bind, Origin};
use crate::grammar::{Item, Role};
use crate::server::{Forks, Kind, Server, Trust};
use crate::words::{Place, click_true};

/// uvicorn's and gunicorn's FORWARDED_ALLOW_IPS when nothing is set.
const TRUST_DEFAULT: &str = "127.0.0.1,::1";

impl Server {
    fn host_port(&self, host: &str, port: u16, port_variable: Option<&str>) -> Bind {
        let mut places = Vec::new();
        let host = self.given(Role::Host).map_or_else(
            || host.to_owned(),
            |(value, at)| {
                places.extend(at);
                value
            },
        );
        let from_variable = || {
            port_variable
                .and_then(|name| self.env(name))
                .map(|(v, at)| (v, vec![at]))
        };
        let port = match self.given(Role::Port).or_else(from_variable) {
            Some((value, at)) => {
                places.extend(at);
                value.trim().parse().unwrap_or(port)
            }
            None => port,
        };
        let origin = if places.is_empty() {
            Origin::Default
        } else {
            Origin::Given(places)
        };
        Bind {
            address: Address::Tcp { host, port },
            origin,
        }
    }

    /// uvicorn with one process takes `--fd` before `--uds` before host and port (uvicorn/server.py `startup`).
    fn one_of(&self, host: &str, port: u16) -> Vec<Bind> {
        if let Some((fd, at)) = self
            .given(Role::Fd)
            .and_then(|(v, at)| Some((v.parse().ok()?, at)))
        {
            return vec![Bind {
                address: Address::Fd(fd),
                origin: Origin::Given(at),
            }];
        }
        if let Some((path, at)) = self.given(Role::Uds) {
            return vec![Bind {
                address: Address::Unix(path),
                origin: Origin::Given(at),
            }];
        }
        vec![self.host_port(host, port, None)]
    }

    fn bind_list(&self, default_port: u16) -> Vec<Bind> {
        let parse = |value: &str, at: Vec<Place>| -> Vec<Bind> {
            let texts = value
                .split(',')
                .filter_map(|text| bind::parse(text.trim(), default_port));
            texts
                .map(|address| Bind {
                    address,
                    origin: Origin::Given(at.clone()),
                })
                .collect()
        };
        let mut found: Vec<_> = self
            .with(Role::Bind)
            .filter_map(|i| Some(parse(i.value.as_deref()?, self.places(i))))
            .flatten()
            .collect();
        if found.is_empty()
            && let Some((_, items, at)) = self.cmd_args()
        {
            let binds = items.iter().filter(|i| i.role == Some(Role::Bind));
            found = binds
                .filter_map(|i| Some(parse(i.value.as_deref()?, vec![at.clone()])))
                .flatten()
                .collect();
        }
        found
    }

    pub(crate) fn read_binds(&self) -> Vec<Bind> {
        let tcp = |host: &str, port, origin| Bind {
            address: Address::Tcp {
                host: host.to_owned(),
                port,
            },
            origin,
        };
        if !self.serves() {
            return Vec::new();
        }
        match self.kind {
            Kind::Uvicorn | Kind::Granian => self.one_of("127.0.0.1", 8000),
            Kind::Gunicorn => {
                let given = self.bind_list(8000);
                if !given.is_empty() {
                    return given;
                }
                // A settings file may bind elsewhere: then nothing is known here.
                if self.config_file.is_some() {
                    return Vec::new();
                }
                match self
                    .env("PORT")
                    .and_then(|(v, at)| Some((v.trim().parse().ok()?, at)))
                {
                    Some((port, at)) => vec![tcp("0.0.0.0", port, Origin::Given(vec![at]))],
                    None => vec![tcp("127.0.0.1", 8000, Origin::Default)],
                }
            }
            Kind::Hypercorn => {
                let given = self.bind_list(8000);
                match (given.is_empty(), &self.config_file) {
                    (false, _) => given,
                    (true, Some(_)) => Vec::new(),
                    (true, None) => vec![tcp("127.0.0.1", 8000, Origin::Default)],
                }
            }
            Kind::Fastapi => {
                let host = if self.subcommand.as_deref() == Some("dev") {
                    "127.0.0.1"
                } else {
                    "0.0.0.0"
                };
                vec![self.host_port(host, 8000, Some("PORT"))]
            }
            Kind::Flask => vec![self.host_port("127.0.0.1", 5000, None)],
            Kind::Django => vec![self.django_bind()],
            Kind::Node | Kind::Nodemon | Kind::Tsx | Kind::PackageScript => {
                let port = self
                    .env("PORT")
                    .and_then(|(v, at)| Some((v.trim().parse().ok()?, at)));
                let host = self.env("HOST");
                port.map(|(port, at)| match host {
                    Some((host, host_at)) => tcp(&host, port, Origin::Given(vec![host_at, at])),
                    None => tcp("::", port, Origin::Given(vec![at])),
                })
                .into_iter()
                .collect()
            }
            Kind::Celery | Kind::Unknown => Vec::new(),
        }
    }

    pub(crate) fn django_address(&self) -> Option<&Item> {
        let at = self
            .items
            .iter()
            .position(|i| i.positional && i.name == "runserver")?;
        self.items[at + 1..].iter().find(|i| i.positional)
    }

    fn django_bind(&self) -> Bind {
        let given = self
            .django_address()
            .and_then(|i| Some((bind::parse_django(&i.name)?, self.places(i))));
        match given {
            Some((address, at)) => Bind {
                address,
                origin: Origin::Given(at),
            },
            None => Bind {
                address: Address::Tcp {
                    host: "127.0.0.1".into(),
                    port: 8000,
                },
                origin: Origin::Default,
            },
        }
    }

    pub(crate) fn read_forks(&self) -> Forks {
        let asked = self.given(Role::Workers).map(|(value, _)| value);
        let asked = asked.or_else(|| match self.kind {
            Kind::Uvicorn | Kind::Gunicorn | Kind::Fastapi => {
                self.env("WEB_CONCURRENCY").map(|(v, _)| v)
            }
            _ => None,
        });
        let workers = asked
            .and_then(|v| v.trim().parse().ok())
            .unwrap_or(1)
            .max(1);
        let master = match self.kind {
            Kind::Gunicorn | Kind::Hypercorn | Kind::Granian => true,
            Kind::Uvicorn | Kind::Fastapi => workers > 1,
            Kind::Nodemon | Kind::PackageScript | Kind::Tsx => true,
            Kind::Flask | Kind::Django | Kind::Node | Kind::Celery | Kind::Unknown => false,
        };
        Forks { workers, master }
    }

    pub(crate) fn read_trust(&self) -> (Trust, bool) {
        match self.kind {
            Kind::Uvicorn | Kind::Fastapi | Kind::Gunicorn => {}
            _ => return (Trust::Nobody, false),
        }
        if self.headers_off() {
            return (Trust::Nobody, false);
        }
        let given = self.given(Role::Trust).map(|(v, _)| v);
        let value = given.or_else(|| self.env("FORWARDED_ALLOW_IPS").map(|(v, _)| v));
        let value = value.unwrap_or_else(|| TRUST_DEFAULT.to_owned());
        let list: Vec<_> = value
            .split(',')
            .map(|v| v.trim().to_owned())
            .filter(|v| !v.is_empty())
            .collect();
        // gunicorn's own workers put the scheme right, but leave the client's address to the app.
        let reads = self.kind != Kind::Gunicorn || self.uvicorn_worker();
        let trust = if list.iter().any(|v| v == "*") {
            Trust::Everyone
        } else {
            Trust::Addresses(list)
        };
        (trust, reads)
    }

    /// True for gunicorn with uvicorn's worker class (`uvicorn.workers…`, `uvicorn_worker…`).
    pub(crate) fn uvicorn_worker(&self) -> bool {
        self.worker_class
            .as_deref()
            .is_some_and(|class| class.starts_with("uvicorn"))
    }

    fn headers_off(&self) -> bool {
        let last = self.items.iter().rev().find_map(|i| match i.role {
            Some(Role::ProxyHeaders) => Some(false),
            Some(Role::NoProxyHeaders) => Some(true),
            _ => None,
        });
        let variable = || {
            let names = self.variable_names(Role::ProxyHeaders);
            names
                .iter()
                .find_map(|n| self.env(n))
                .is_some_and(|(v, _)| !click_true(&v))
        };
        last.unwrap_or_else(variable)
    }
}
