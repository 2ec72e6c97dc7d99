//! What the derived listener of a program asks of its clients: what the gateways of the file ask that lead to it.
//!
//! `listen = gateway` opens the program's own address, and a `[gateway:x]` at another address does not close it. If it
//! asked for nothing there, `auth = required` could be walked around by another port. So each of its paths asks for the
//! strictest of what the addresses of the file ask for that path on their way to the program, with the login, logout and
//! realm of that gateway; `open` is there only what each of them leaves open. Who wants the open port says so: a gateway of
//! the file at that address replaces this one.

use std::collections::{BTreeMap, BTreeSet};

use finding::Finding;
use routes::{Auth, Listener, Route};

use crate::model::{Active, Slot};

/// Public listeners of the file, one for each address: what is asked there on a path is decided together.
pub(super) struct Asked(Vec<Listener>);

impl Asked {
    pub(super) fn new(explicit: &[Listener]) -> Asked {
        let mut all: BTreeMap<&str, Listener> = BTreeMap::new();
        for listener in explicit.iter().filter(|it| it.forward_auth.is_none()) {
            let routes = listener.routes.iter().map(|route| Route {
                realm: Some(route.realm.as_ref().unwrap_or(&listener.realm).clone()),
                ..route.clone()
            });
            all.entry(&listener.address)
                .or_default()
                .routes
                .extend(routes);
        }
        let mut all: Vec<Listener> = all.into_values().collect();
        all.iter_mut().for_each(Listener::sort_routes);
        Asked(all)
    }

    /// The derived listener with what is asked on the way to one of these targets, the names of its program.
    fn of(&self, derived: &Listener, names: &[&str]) -> Listener {
        let leads = |route: &&Route| names.contains(&route.target.as_str());
        let all = || self.0.iter().flat_map(|listener| &listener.routes);
        let mut paths: BTreeSet<&str> = all()
            .filter(leads)
            .map(|it| whole(&it.path_prefix))
            .collect();
        paths.insert("/");
        let mut out = derived.clone();
        out.routes.clear();
        for own in &derived.routes {
            for path in &paths {
                let strictest = self.strictest(path, names);
                if strictest.is_none() && *path != "/" {
                    continue;
                }
                let of =
                    |pick: fn(&Route) -> &Option<String>| strictest.and_then(|it| pick(it).clone());
                out.routes.push(Route {
                    path_prefix: match *path {
                        "/" => own.path_prefix.clone(),
                        path => path.to_owned(),
                    },
                    auth: strictest.map_or(own.auth, |it| it.auth),
                    open: self.open(path, names),
                    login: of(|it| &it.login),
                    logout: of(|it| &it.logout),
                    realm: of(|it| &it.realm),
                    fresh: strictest.is_some_and(|it| it.fresh),
                    ..own.clone()
                });
            }
        }
        out.sort_routes();
        // What asks no more than the rest of the address needs no route of its own.
        if out.routes.iter().all(|route| route.auth == Auth::Off) {
            out.routes.retain(|route| whole(&route.path_prefix) == "/");
        }
        out
    }

    /// Says where a program's own address asks for what gateways ask.
    pub(super) fn notes(&self, model: &conf::Model, active: &Active, findings: &mut Vec<Finding>) {
        let mut told: BTreeSet<&str> = BTreeSet::new();
        for slot in &active.slots {
            let Some(program) = model.program(&slot.program) else {
                continue;
            };
            for derived in &slot.derived {
                let made = self.of_slot(derived, slot);
                let asks = made.routes.iter().any(|route| route.auth != Auth::Off);
                if !asks || !told.insert(&derived.address) {
                    continue;
                }
                let (name, address) = (&program.name, &derived.address);
                let message = format!(
                    "[program:{name}] listens on {address} as well, and asks there for the same sign-in as the gateways \
                     that lead to it"
                );
                findings.push(
                    Finding::note("inherited", message)
                        .at(program.listen.span.clone())
                        .fix(format!(
                            "to let anyone in there, write a gateway of its own: listen = {address}, route = / -> {name}, auth = off"
                        )),
                );
            }
        }
    }

    /// [`Asked::of`], for a slot's own listener.
    pub(super) fn of_slot(&self, derived: &Listener, slot: &Slot) -> Listener {
        let key = slot.key().to_string();
        self.of(derived, &[&slot.program, &slot.target, &key])
    }

    /// Of all addresses and hosts, the routes that lead to the program on this path.
    fn leading(&self, path: &str, names: &[&str]) -> Vec<&Route> {
        let mut found = Vec::new();
        for listener in &self.0 {
            let hosts: BTreeSet<Option<&str>> = listener
                .routes
                .iter()
                .map(|it| it.host.as_deref())
                .collect();
            let routes = hosts
                .into_iter()
                .filter_map(|host| listener.route(host.unwrap_or_default(), path));
            found.extend(routes.filter(|route| names.contains(&route.target.as_str())));
        }
        found
    }

    /// The one of them that asks most; the first of equals.
    fn strictest(&self, path: &str, names: &[&str]) -> Option<&Route> {
        let asks = |route: &Route| (route.auth, route.fresh);
        let mut all = self.leading(path, names).into_iter();
        let first = all.next()?;
        Some(
            all.fold(first, |found, route| match asks(found) < asks(route) {
                true => route,
                false => found,
            }),
        )
    }

    /// What each of them that asks for a session leaves open below this path. A route that fits a path below and leads
    /// to the program has a path of its own here.
    fn open(&self, path: &str, names: &[&str]) -> Vec<String> {
        let routes = self.leading(path, names).into_iter();
        let asking = routes.filter(|route| route.auth == Auth::Required);
        let all = asking.map(|route| route.open.clone());
        all.reduce(|one, two| in_both(&one, &two))
            .unwrap_or_default()
    }
}

/// Path prefixes that are under one of each.
fn in_both(one: &[String], two: &[String]) -> Vec<String> {
    let within = |path: &String, of: &[String]| of.iter().any(|it| routes::under(path, it));
    let mut both: BTreeSet<String> = BTreeSet::new();
    both.extend(one.iter().filter(|path| within(path, two)).cloned());
    both.extend(two.iter().filter(|path| within(path, one)).cloned());
    both.into_iter().collect()
}

fn whole(path: &str) -> &str {
    match path {
        "" => "/",
        path => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(address: &str, routes: &[(&str, &str, &str, Auth)]) -> Listener {
        let route = |(host, path, target, auth): &(&str, &str, &str, Auth)| Route {
            host: (!host.is_empty()).then(|| (*host).to_owned()),
            path_prefix: (*path).to_owned(),
            target: (*target).to_owned(),
            auth: *auth,
            login: (*auth == Auth::Required).then(|| "/login".to_owned()),
            ..Route::default()
        };
        let mut made = Listener {
            address: address.into(),
            routes: routes.iter().map(route).collect(),
            ..Listener::default()
        };
        made.sort_routes();
        made
    }

    /// What is asked on these paths at the derived listener of `app`.
    fn check(explicit: &[Listener], wanted: &[(&str, Auth)]) {
        let derived = listener(":8001", &[("", "", "app:app_00", Auth::Off)]);
        let made = Asked::new(explicit).of(&derived, &["app", "app:app_00"]);
        for (path, auth) in wanted {
            let route = made.route("any.example", path).expect("a route");
            assert_eq!(
                (route.auth, route.target.as_str()),
                (*auth, "app:app_00"),
                "{path} {made:#?}"
            );
        }
    }

    #[test]
    fn the_strictest_of_each_path() {
        use Auth::{Off, Optional, Required};
        check(&[], &[("/", Off)]);
        check(
            &[listener(":80", &[("", "/", "app", Required)])],
            &[("/", Required), ("/x", Required)],
        );
        // What one address asks for is asked here, whatever another one does not ask for.
        check(
            &[
                listener(":80", &[("", "/", "app", Required)]),
                listener(
                    ":81",
                    &[("", "/", "app", Off), ("", "/api", "app", Optional)],
                ),
            ],
            &[("/", Required), ("/api", Required)],
        );
        // One address is one word, however many gateways share it.
        check(
            &[
                listener(":80", &[("", "/", "app", Required)]),
                listener(":80", &[("", "/public", "app", Off)]),
            ],
            &[("/", Required), ("/public/x", Off)],
        );
        check(
            &[listener(
                ":80",
                &[
                    ("", "/admin", "app", Required),
                    ("a.example", "/", "app", Optional),
                    ("", "/", "other", Required),
                ],
            )],
            &[
                ("/", Optional),
                ("/admin/x", Required),
                ("/adminx", Optional),
            ],
        );
        check(
            &[listener(":80", &[("", "/", "other", Required)])],
            &[("/", Off)],
        );
    }

    #[test]
    fn what_is_open_is_open_at_all_that_ask() {
        let asking = |address: &str, prefix: &str, open: &[&str]| {
            let mut made = listener(address, &[("", prefix, "app", Auth::Required)]);
            made.routes[0].open = open.iter().map(|it| (*it).to_owned()).collect();
            made
        };
        let check = |explicit: &[Listener], open: &[&str], shut: &[&str]| {
            let derived = listener(":8001", &[("", "", "app:app_00", Auth::Off)]);
            let made = Asked::new(explicit).of(&derived, &["app", "app:app_00"]);
            for (paths, auth) in [(open, Auth::Optional), (shut, Auth::Required)] {
                for path in paths {
                    let route = made.route("any.example", path).expect("a route");
                    assert_eq!(route.asks(path), auth, "{path} {made:#?}");
                }
            }
        };
        let web = || asking(":80", "/", &["/static", "/health"]);
        check(&[web()], &["/static/x", "/health"], &["/", "/x"]);
        let mut others = [web(), asking(":81", "/", &["/static/css", "/x"])];
        let (open, shut) = (["/static/css/a"], ["/static/js", "/health", "/x"]);
        check(&others, &open, &shut);
        others.reverse();
        check(&others, &open, &shut);
        // Who asks for nothing leaves all of it open.
        let all = listener(":81", &[("", "/", "app", Auth::Optional)]);
        check(&[web(), all], &["/static/x", "/health"], &["/x"]);
        // What one of them leaves open is a path that another one guards.
        let below = asking(":81", "/static/js", &[]);
        check(&[web(), below], &["/static/css"], &["/static/js/x", "/"]);
        let below = asking(":80", "/static/js", &["/static/js/free"]);
        let open = ["/static/css", "/static/js/free/x"];
        check(&[web(), below], &open, &["/static/js/x", "/"]);
    }

    #[test]
    fn login_realm_and_freshness_come_along() {
        let mut web = listener(":80", &[("", "/", "app", Auth::Required)]);
        web.realm = "forum".into();
        web.routes[0].fresh = true;
        let derived = listener(":8001", &[("", "", "app", Auth::Off)]);
        let made = Asked::new(&[web]).of(&derived, &["app"]);
        let [route] = made.routes.as_slice() else {
            panic!("{made:#?}");
        };
        assert_eq!(
            (
                route.login.as_deref(),
                route.realm.as_deref(),
                route.path_prefix.as_str(),
                route.fresh
            ),
            (Some("/login"), Some("forum"), "", true)
        );
    }
}
