//! A listener with its routes resolved.

use std::rc::Rc;

use h1::request::{Path, RequestHead};
use routes::Auth;
use session::Realm;

use crate::door::path::readings;
use crate::door::{Door, Way};
use crate::forward::Trust;
use crate::target::Target;

/// Peers that a private listener believes: it is on loopback or a Unix socket, and its proxy speaks for its clients.
const PRIVATE_PEERS: [&str; 3] = ["127.0.0.0/8", "::1", "unix"];

/// What the gateway of a route says about sessions.
#[derive(Debug)]
pub(crate) struct Gate {
    /// See [`Needs::realm`].
    pub(crate) realm: Realm,
    /// See [`Needs::fresh`].
    pub(crate) fresh: bool,
    login: Option<String>,
    logout: Option<String>,
}

/// Where a request goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed<'a> {
    pub(crate) target: &'a Rc<Target>,
    pub(crate) gate: &'a Gate,
    pub(crate) needs: Needs<'a>,
}

/// What is asked of a request: the strictest of what its path may mean to its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Needs<'a> {
    pub(crate) auth: Auth,
    /// Sessions of another realm are no credential here.
    pub(crate) realm: &'a Realm,
    /// A verdict that nobody can confirm is *unknown* here.
    pub(crate) fresh: bool,
}

impl Gate {
    /// Where no route fits, and for a private listener.
    fn of_listener(config: &routes::Listener) -> Result<Gate, String> {
        Ok(Gate {
            realm: realm(&config.realm)?,
            fresh: config.fresh,
            login: None,
            logout: None,
        })
    }

    fn of_route(config: &routes::Listener, route: &routes::Route) -> Result<Gate, String> {
        Ok(Gate {
            realm: realm(route.realm.as_deref().unwrap_or(&config.realm))?,
            fresh: route.fresh,
            login: route.login.clone(),
            logout: route.logout.clone(),
        })
    }

    /// Whether the program may read the path as the one that signs out, although it is spelled in another way.
    pub(crate) fn may_sign_out(&self, head: &RequestHead, buf: &[u8]) -> bool {
        let Some(logout) = &self.logout else {
            return false;
        };
        let logout = logout.strip_suffix('/').unwrap_or(logout).as_bytes();
        let (path, mut may) = (path(head, buf), false);
        let mut hear = |it: &str| {
            let (front, rest) = it.as_bytes().split_at(logout.len().min(it.len()));
            may |= front.eq_ignore_ascii_case(logout) && matches!(rest, b"" | b"/");
        };
        hear(path);
        let all = readings(path, &mut hear);
        may || !all
    }

    fn is_plain(&self) -> bool {
        self.login.is_none() && self.logout.is_none()
    }

    /// What the path means for sessions.
    pub(crate) fn way(&self, head: &RequestHead, buf: &[u8]) -> Way {
        if self.is_plain() {
            return Way::Plain;
        }
        let path = Some(path(head, buf));
        if self.login.as_deref() == path {
            Way::Login
        } else if self.logout.as_deref() == path {
            Way::Logout
        } else {
            Way::Plain
        }
    }
}

/// A name that cannot be one would be taken for the nameless realm.
fn realm(name: &str) -> Result<Realm, String> {
    Realm::parse(name).ok_or_else(|| format!("{name:?} is not the name of a realm"))
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) config: routes::Listener,
    pub(crate) limits: h1::Limits,
    pub(crate) trust: Trust,
    /// Sessions; None: every path is the programs'.
    pub(crate) door: Option<Rc<Door>>,
    /// Sessions take part in some request here.
    pub(crate) watched: bool,
    /// Whose tokens a private listener gives out; the listener is one if the configuration says so.
    pub(crate) spoken_for: Option<Rc<Target>>,
    targets: Vec<Option<Rc<Target>>>,
    /// One for each route.
    gates: Vec<Gate>,
    /// Where no route fits, and for a private listener.
    pub(crate) gate: Gate,
    by_host: bool,
    /// The routes as a lenient program reads their paths; None where all of them ask for the same on every path.
    lenient: Option<routes::Listener>,
}

impl Site {
    /// `find` gives the target of a name. A route whose target does not exist answers 404.
    ///
    /// # Errors
    /// A realm has no possible name.
    pub(crate) fn new(
        mut config: routes::Listener,
        door: Option<Rc<Door>>,
        find: impl Fn(&str) -> Option<Rc<Target>>,
    ) -> Result<Site, String> {
        let body_bytes_max = match config.body_bytes_max {
            0 => u64::MAX,
            max => max,
        };
        if config.forward_auth.is_some() {
            config.trusted.extend(PRIVATE_PEERS.map(str::to_owned));
        }
        let asked = |route: &routes::Route| (route.auth, route.fresh, route.realm.clone());
        let first = config.routes.first().map(asked);
        let differs = config
            .routes
            .iter()
            .any(|route| Some(asked(route)) != first || !route.open.is_empty());
        let guarded = config.routes.iter().any(|route| route.auth != Auth::Off);
        let routes = config.routes.iter();
        let gates: Vec<Gate> = routes
            .map(|route| Gate::of_route(&config, route))
            .collect::<Result<_, String>>()?;
        let gate = Gate::of_listener(&config)?;
        Ok(Site {
            limits: h1::Limits {
                body_bytes_max,
                ..h1::Limits::default()
            },
            trust: Trust::new(&config.trusted),
            watched: door.is_some()
                || guarded
                || gates.iter().any(|gate| !gate.is_plain())
                || config.forward_auth.is_some(),
            door,
            spoken_for: config.forward_auth.as_deref().and_then(&find),
            targets: config
                .routes
                .iter()
                .map(|route| find(&route.target))
                .collect(),
            gates,
            gate,
            by_host: config.routes.iter().any(|route| route.host.is_some()),
            lenient: differs.then(|| lenient(&config)),
            config,
        })
    }

    /// Who answers this request, and what it needs.
    pub(crate) fn place(&self, head: &RequestHead, buf: &[u8]) -> Option<Placed<'_>> {
        let path = path(head, buf);
        let host = self.host(head, buf);
        let at = self.route(&host, path)?;
        Some(Placed {
            target: self.targets.get(at)?.as_ref()?,
            gate: self.gates.get(at)?,
            needs: self.needs(at, &host, path)?,
        })
    }

    /// What a request of this route needs. None: its program may read the path as one of another realm, and nobody can
    /// be of both; or it can be read in more ways than anybody needs.
    fn needs(&self, at: usize, host: &str, path: &str) -> Option<Needs<'_>> {
        let needs = |config: &routes::Listener, at: usize, path: &str| {
            let (route, gate) = (config.routes.get(at)?, self.gates.get(at)?);
            Some(Needs {
                auth: route.asks(path),
                realm: &gate.realm,
                fresh: gate.fresh,
            })
        };
        let target = &self.config.routes.get(at)?.target;
        let (mut strictest, mut torn) = (needs(&self.config, at, path)?, false);
        let Some(lenient) = &self.lenient else {
            return Some(strictest);
        };
        // What is open to one reading is open only if it is to every other.
        let mut hear = |reading: &str| {
            let Some(other) = number(lenient, host, reading) else {
                return;
            };
            let asked = needs(lenient, other, reading);
            let Some(asked) = asked.filter(|asked| asked.auth != Auth::Off) else {
                return;
            };
            let same = self.config.routes.get(other).map(|it| &it.target) == Some(target);
            if asked.auth > strictest.auth {
                torn = false;
                strictest.auth = asked.auth;
                if same {
                    strictest.realm = asked.realm;
                }
            } else if asked.auth == strictest.auth {
                torn |= same && asked.realm != strictest.realm;
            }
            strictest.fresh |= asked.fresh;
        };
        // Also one that is read in one way: a route may be written in capitals. One with capitals is told below.
        if !path.bytes().any(|byte| byte.is_ascii_uppercase()) {
            hear(path);
        }
        let all = readings(path, &mut hear);
        (all && !torn).then_some(strictest)
    }

    /// Whose sessions count on a path that no program gets, as those of the API, and whether a verdict has to be fresh there.
    pub(crate) fn here(&self, head: &RequestHead, buf: &[u8]) -> (&Realm, bool) {
        self.here_at(&self.host(head, buf), path(head, buf))
    }

    /// Fresh where any route of this host and realm wants it: what the API calls valid is so on each of their pages.
    fn here_at(&self, host: &str, path: &str) -> (&Realm, bool) {
        let at = self.route(host, path);
        let gate = at.and_then(|at| self.gates.get(at)).unwrap_or(&self.gate);
        let of_host = |route: &routes::Route| route.host.as_deref().is_none_or(|it| it == host);
        let mut others = self.config.routes.iter().zip(&self.gates);
        let wanted =
            others.any(|(route, other)| other.fresh && other.realm == gate.realm && of_host(route));
        (&gate.realm, gate.fresh || wanted)
    }

    /// Where people sign in who asked for this path.
    pub(crate) fn login(&self, head: &RequestHead, buf: &[u8]) -> Option<&str> {
        let at = self.route(&self.host(head, buf), path(head, buf))?;
        self.gates.get(at)?.login.as_deref()
    }

    fn host(&self, head: &RequestHead, buf: &[u8]) -> String {
        match head.host {
            Some(host) if self.by_host => host_name(host.of(buf)),
            Some(_) | None => String::new(),
        }
    }

    /// The number of the route that fits.
    fn route(&self, host: &str, path: &str) -> Option<usize> {
        if let [route] = self.config.routes.as_slice()
            && matches!(route.path_prefix.as_str(), "" | "/")
            && route.host.is_none()
        {
            return Some(0);
        }
        number(&self.config, host, path)
    }

    /// Whether no program gets this request.
    pub(crate) fn is_ours(&self, head: &RequestHead, buf: &[u8]) -> bool {
        self.config.forward_auth.is_some() || self.is_api(head, buf)
    }

    /// Whether the path is the API's.
    fn is_api(&self, head: &RequestHead, buf: &[u8]) -> bool {
        let Some(door) = &self.door else { return false };
        let path = path(head, buf);
        let rest = path.strip_prefix(door.config.prefix.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Origins other than the gateway's own that may act.
    pub(crate) fn origins(&self) -> &[String] {
        match &self.door {
            Some(door) => &door.config.origins,
            None => &[],
        }
    }
}

/// The path without its query.
pub(crate) fn path<'a>(head: &RequestHead, buf: &'a [u8]) -> &'a str {
    let path = match head.path_as {
        Path::AsIs => head.path.of(buf),
        Path::SlashBefore | Path::Asterisk => b"/",
    };
    let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
    // The codec lets only ASCII pass.
    std::str::from_utf8(path).unwrap_or("/")
}

fn lenient(config: &routes::Listener) -> routes::Listener {
    let mut lenient = config.clone();
    for route in &mut lenient.routes {
        route.path_prefix.make_ascii_lowercase();
        route
            .open
            .iter_mut()
            .for_each(|open| open.make_ascii_lowercase());
    }
    lenient
}

/// The number of the route that fits.
fn number(config: &routes::Listener, host: &str, path: &str) -> Option<usize> {
    let route = config.route(host, path)?;
    let mut routes = config.routes.iter();
    routes.position(|other| std::ptr::eq(other, route))
}

/// Without port and final dot, in lower case.
pub(crate) fn host_name(host: &[u8]) -> String {
    bare_name(&String::from_utf8_lossy(host)).to_ascii_lowercase()
}

/// Without port and final dot.
pub(crate) fn bare_name(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
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

    #[test]
    fn a_realm_without_a_possible_name_is_an_error_wherever_it_stands() {
        let too_long = "x".repeat(session::REALM_BYTES_MAX + 1);
        let site = |listener: &str, route: Option<&str>| {
            let config = routes::Listener {
                realm: listener.to_owned(),
                routes: vec![routes::Route {
                    realm: route.map(str::to_owned),
                    ..routes::Route::default()
                }],
                ..routes::Listener::default()
            };
            Site::new(config, None, |_| None).map(|site| site.gates[0].realm.to_string())
        };
        assert_eq!(site("", None), Ok(String::new()));
        assert_eq!(site("people", None), Ok("people".to_owned()));
        assert_eq!(site("people", Some("")), Ok(String::new()));
        for (listener, route) in [
            (too_long.as_str(), Some("staff")),
            ("", Some(&too_long)),
            ("a b", None),
        ] {
            let why = site(listener, route).expect_err("no realm");
            assert!(why.ends_with("is not the name of a realm"), "{why}");
        }
    }

    fn auth_at(site: &Site, path: &str) -> Auth {
        let at = site.route("", path).expect("a route");
        site.needs(at, "", path).expect("one realm").auth
    }

    #[test]
    fn the_stricter_reading_decides() {
        let route = |path: &str, auth| routes::Route {
            path_prefix: path.to_owned(),
            auth,
            ..routes::Route::default()
        };
        let mut config = routes::Listener {
            routes: vec![route("/", Auth::Off), route("/Admin", Auth::Required)],
            ..routes::Listener::default()
        };
        config.sort_routes();
        let site = Site::new(config, None, |_| None).expect("realms");
        let auth = |path: &str| auth_at(&site, path);
        for path in [
            "/Admin",
            "/admin",
            "/%61dmin/x",
            "//ADMIN",
            "/x/..%2Fadmin",
            "/Admin/..",
            "/%61dmin/x/../..",
            "/admin;a=1/x",
            "/;/admin",
            "/x/..;/admin",
            "/%2561dmin",
        ] {
            assert_eq!(auth(path), Auth::Required, "{path}");
        }
        for path in ["/x/%41", "/x;admin", "/x/..", "/adminx", "/x/admin"] {
            assert_eq!(auth(path), Auth::Off, "{path}");
        }
    }

    #[test]
    fn a_path_is_open_only_if_every_reading_of_it_is() {
        let config = routes::Listener {
            routes: vec![routes::Route {
                path_prefix: "/".to_owned(),
                auth: Auth::Required,
                open: ["/static", "/Health", "/a/b"].map(str::to_owned).to_vec(),
                ..routes::Route::default()
            }],
            ..routes::Listener::default()
        };
        let site = Site::new(config, None, |_| None).expect("realms");
        let auth = |path: &str| auth_at(&site, path);
        for path in [
            "/static",
            "/static/",
            "/static/x.css",
            "/static/X.css",
            "/static/a%20b.css",
            "/static//x",
            "/static/x;v=1",
            "/static/x/../y",
            "/Health",
            "/Health/x",
            "/a/b",
        ] {
            assert_eq!(auth(path), Auth::Optional, "{path}");
        }
        for path in [
            "/",
            "/x",
            "/statics",
            "/a",
            "/a/bc",
            // Another spelling may be another page to the program.
            "/Static",
            "/health",
            "/%73tatic",
            "//static",
            "/static;x/y",
            "/x/../static",
            "/static\\..\\x",
            "/static/..",
            "/static/../x",
            "/static/../static/x",
            "/static/..;/x",
            "/static/;/../../x",
            "/static/%2e%2e/x",
            "/static/%252e%252e/x",
            "/static/..%2fx",
            "/static/..%5cx",
            "/static%2f../x",
            "/a/b/../x",
        ] {
            assert_eq!(auth(path), Auth::Required, "{path}");
        }
    }

    #[test]
    fn an_open_reading_opens_no_route_that_asks() {
        let route = |path: &str, open: &[&str]| routes::Route {
            path_prefix: path.to_owned(),
            auth: Auth::Required,
            open: open.iter().map(|it| (*it).to_owned()).collect(),
            ..routes::Route::default()
        };
        let mut config = routes::Listener {
            routes: vec![route("/", &["/x"]), route("/x/admin", &[])],
            ..routes::Listener::default()
        };
        config.sort_routes();
        let site = Site::new(config, None, |_| None).expect("realms");
        let auth = |path: &str| auth_at(&site, path);
        assert_eq!(auth("/x/y"), Auth::Optional);
        for path in ["/x/admin", "/x/Admin", "/x/y/../admin", "/x/%61dmin/z"] {
            assert_eq!(auth(path), Auth::Required, "{path}");
        }
    }

    #[test]
    fn a_stricter_reading_brings_its_realm_and_its_freshness() {
        let route = |path: &str, target: &str, auth, realm: &str, fresh| routes::Route {
            path_prefix: path.to_owned(),
            target: target.to_owned(),
            auth,
            realm: Some(realm.to_owned()),
            fresh,
            ..routes::Route::default()
        };
        let mut config = routes::Listener {
            routes: vec![
                route("/", "app", Auth::Optional, "people", false),
                route("/admin", "app", Auth::Required, "staff", true),
                route("/new", "app", Auth::Optional, "new", false),
                route("/other", "other", Auth::Optional, "other", false),
            ],
            ..routes::Listener::default()
        };
        config.sort_routes();
        let site = Site::new(config, None, |_| None).expect("realms");
        let needs = |path: &str| {
            let at = site.route("", path).expect("a route");
            let needs = site.needs(at, "", path)?;
            Some((needs.auth, needs.realm.to_string(), needs.fresh))
        };
        let of = |auth, realm: &str, fresh| Some((auth, realm.to_owned(), fresh));
        for path in ["/admin", "/Admin", "/x/..;/admin", "/%61dmin"] {
            assert_eq!(needs(path), of(Auth::Required, "staff", true), "{path}");
        }
        assert_eq!(needs("/x"), of(Auth::Optional, "people", false));
        assert_eq!(needs("/new"), of(Auth::Optional, "new", false));
        assert_eq!(needs("/New"), None, "of two realms");
        let api = |host: &str| {
            let (realm, fresh) = site.here_at(host, "/_steadfast/verify");
            (realm.to_string(), fresh)
        };
        assert_eq!(api(""), ("people".to_owned(), false), "staff is elsewhere");
        // The path of another program does not lead there.
        assert_eq!(needs("/Other"), of(Auth::Optional, "people", false));
    }
    #[test]
    fn the_api_is_as_fresh_as_the_pages_of_its_host_and_realm() {
        let route = |host: &str, path: &str, fresh| routes::Route {
            host: (!host.is_empty()).then(|| host.to_owned()),
            path_prefix: path.to_owned(),
            fresh,
            ..routes::Route::default()
        };
        let mut config = routes::Listener {
            routes: vec![
                route("shop.example", "/", false),
                route("shop.example", "/admin", true),
                route("blog.example", "/", false),
            ],
            fresh: true,
            ..routes::Listener::default()
        };
        config.sort_routes();
        let site = Site::new(config, None, |_| None).expect("realms");
        let fresh = |host: &str| site.here_at(host, "/_steadfast/verify").1;
        assert!(fresh("shop.example") && !fresh("blog.example"));
        assert!(fresh("elsewhere"), "no route: as the listener says");
    }
}
