//! Addresses: who listens where, and what gateways that share one may say.

use std::collections::BTreeSet;
use std::path::Path;

use routes::Target;
use wire::{Address, Ready};

use super::{Case, case, config_of, value, words};
use crate::resolve::{refresh_gateway, wanted_addresses};

#[test]
fn a_gateway_program_listens_on_a_generations_socket() {
    let case = case();
    let text = "[program:web]\ncommand = uvicorn app:a --host 0.0.0.0 --port 8001\nlisten = gateway\nready = http:/health\n";
    let spec = case.spec(text);
    assert_eq!(words(&spec), ["uvicorn", "app:a", "--uds", "SOCKET"]);
    assert_eq!(value(&spec, "FORWARDED_ALLOW_IPS"), Some("*"));
    assert_eq!(spec.address, Address::GenerationSocket {});
    assert_eq!(spec.app_dir, "/run/x/slots/0/app");
    assert_eq!(
        spec.ready,
        Ready::Http {
            path: "/health".into(),
            host: "localhost".into()
        }
    );
    assert!(spec.gated && spec.kill_leftovers);

    let mut active = case.resolve(text).active;
    refresh_gateway(&mut active, &BTreeSet::new(), Path::new("/run/x"));
    let gateway = active.slots.last().expect("a gateway");
    assert_eq!(
        (
            gateway.key().to_string().as_str(),
            gateway.first,
            gateway.number
        ),
        ("steadfast:gateway", true, 1)
    );
    assert_eq!(gateway.listeners, ["0.0.0.0:8001"]);
    assert_eq!(
        gateway.spec.ready,
        Ready::Descriptor { number: 5 },
        "listener 3, configuration 4, readiness 5"
    );
    let config = routes::Config::from_bytes(&gateway.spec.config).expect("ours");
    assert_eq!(config.listeners[0].routes[0].target, "web");
    assert_eq!(config.listeners[0].trusted, ["127.0.0.1", "::1"]);
    let Target::Program { slots, .. } = &config.targets["web"] else {
        panic!("a program")
    };
    assert_eq!(slots[0].events, "/run/x/slots/0/events");
    let hash = gateway.spec.hash.clone();
    refresh_gateway(&mut active, &BTreeSet::new(), Path::new("/run/x"));
    assert_eq!(active.slots.last().expect("a gateway").spec.hash, hash);
    refresh_gateway(
        &mut active,
        &BTreeSet::from(["0.0.0.0:8001".to_owned()]),
        Path::new("/run/x"),
    );
    assert!(
        active.slots.iter().all(|slot| !slot.first),
        "nothing to open, no gateway"
    );
}

#[test]
fn processes_of_one_address_share_a_target_and_others_have_their_own() {
    let case = case();
    let program = |command: &str| {
        format!(
            "[program:w]\ncommand = {command}\nnumprocs = 2\nprocess_name = w_%(process_num)d\nlisten = gateway\n"
        )
    };
    let shared = case.resolve(&program("uvicorn a:a --port 81")).active;
    assert!(shared.slots.iter().all(|slot| slot.target == "w"));
    let own = case
        .resolve(&program("uvicorn a:a --port 81%(process_num)02d"))
        .active;
    let targets: Vec<(&str, &str)> = own
        .slots
        .iter()
        .map(|slot| (slot.target.as_str(), slot.derived[0].address.as_str()))
        .collect();
    assert_eq!(
        targets,
        [("w:w_0", "127.0.0.1:8100"), ("w:w_1", "127.0.0.1:8101")]
    );
}

#[test]
fn a_gateway_of_the_file_replaces_the_derived_one_only_where_it_takes_everything() {
    let case = case();
    let routes_at = |gateway: &str| {
        let mut resolved = case.resolve(&format!(
            "[program:app]\ncommand = uvicorn server:app --port 8001\nlisten = gateway\nstdout_logfile = NONE\n\
             stderr_logfile = NONE\n[upstream:other]\nconnect = 127.0.0.1:9000\n[gateway:web]\n{gateway}"
        ));
        let config = config_of(&mut resolved);
        let mut all: Vec<String> = config
            .listeners
            .iter()
            .flat_map(|listener| {
                let address = listener.address.clone();
                listener.routes.iter().map(move |route| {
                    let host = route.host.clone().unwrap_or_default();
                    format!("{address} {host}{} {}", route.path_prefix, route.target)
                })
            })
            .collect();
        all.sort();
        all
    };
    assert_eq!(
        routes_at("listen = 127.0.0.1:8080\nroute = / -> app\n"),
        ["127.0.0.1:8001  app", "127.0.0.1:8080 / app"]
    );
    assert_eq!(
        routes_at("listen = 127.0.0.1:8001\nroute = /x -> other\n"),
        ["127.0.0.1:8001  app", "127.0.0.1:8001 /x other"]
    );
    assert_eq!(
        routes_at("listen = 127.0.0.1:8001\nroute = a.example/ -> app\n"),
        ["127.0.0.1:8001 a.example/ app"]
    );
    assert_eq!(routes_at("route = / -> app\n"), ["127.0.0.1:8001 / app"]);
}

#[test]
fn what_a_gateway_with_an_error_would_guard_is_not_opened_without_it() {
    let case = case();
    let app = "[steadfast]\n[program:app]\ncommand = uvicorn server:app --host 0.0.0.0 --port 8001\nlisten = gateway\n\
               stdout_logfile = NONE\nstderr_logfile = NONE\n";
    let web = "listen = 0.0.0.0:8080\nroute = / -> app\n";
    let all = |gateways: &str| opened(&case, &format!("{app}{gateways}"));
    let none = BTreeSet::new();
    assert_eq!(all(&format!("[gateway:web]\n{web}")).len(), 2);
    for wrong in [
        format!("[gateway:web]\n{web}auht = required\n"),
        format!("[gateway:web]\n{web}auth = requird\n"),
        format!("[gateway:web]\n{web}auth = required\nhold = soon\n"),
        format!("[gateway:web]\n{web}auth required\n"),
        format!("[gatway:web]\n{web}auth = required\n"),
        format!("[gateway]\n{web}auth = required\n"),
        "[gateway:web]\nroute = / -> app\nauht = required\n".to_owned(),
        "[gateway:web]\nlisten = 0.0.0.0:8001\nroute = / -> ap\nauht = required\n".to_owned(),
        format!("[gateway:web]\n{web}auth = required\n[sesions]\nstore = sqlite\n"),
        format!("[gateway:web]\n{web}auth = required\n[sessions]\nstroe = sqlite\n"),
        format!("[sessions]\nauth = required\n[gateway:web]\n{web}"),
        format!("auth = required\n[gateway:web]\n{web}"),
        format!(
            "[gateway:all]\n{web}[gateway:web]\nlisten = 0.0.0.0:8080\nroute = /x -> app\nauht = required\n"
        ),
    ] {
        assert_eq!(all(&wrong), none, "{wrong}");
    }
    let other = format!(
        "[gateway:web]\n{web}auht = required\n[gateway:open]\nlisten = 0.0.0.0:8081\nroute = / -> app\n"
    );
    let said = BTreeSet::from(["0.0.0.0:8081".to_owned()]);
    assert_eq!(all(&other), said, "the file says so");
}

#[test]
fn gateways_on_one_address_say_the_same_about_its_connections() {
    let check = |one: &str, two: &str, wanted: &[&str]| {
        let case = case();
        let resolved = case.resolve(&format!(
            "[program:app]\ncommand = uvicorn server:app --port 8001\nlisten = gateway\nstdout_logfile = NONE\n\
             stderr_logfile = NONE\n[gateway:site]\nroute = / -> app\n{one}\n[gateway:zadmin]\nroute = /admin -> app\n\
             auth = required\nlogin = /admin/login\n{two}\n"
        ));
        let found: Vec<_> = resolved
            .findings
            .iter()
            .filter(|found| found.is_error())
            .collect();
        assert_eq!(found.len(), wanted.len(), "{found:#?}");
        for (found, key) in found.iter().zip(wanted) {
            let text = finding::Report::new(vec![(*found).clone()]).render_text(100);
            assert!(found.message.contains(key), "{text}");
            let places = text.matches("supervisord.conf:").count();
            assert_eq!(places, 2, "both places: {text}");
        }
    };
    check("", "", &[]);
    check("body_max = 1MB", "body_max = 1MB", &[]);
    check("body_max = 1MB", "", &["`body_max`"]);
    check("trust = 10.0.0.1", "", &["`trust`"]);
    check("trust = 10.0.0.1, ::1", "trust = ::1, 10.0.0.1", &[]);
    check(
        "hold = 5s",
        "hold = 6s\nidle_timeout = 9s",
        &["`hold`", "`idle_timeout`"],
    );
    // `auth`, `login` and `realm` are of each route, but one host name has one cookie.
    check("realm = a", "realm = b", &[]);
    check(
        "realm = a\nauth = optional",
        "realm = b",
        &["of two realms"],
    );
}

/// Addresses that are opened although the file has an error, and who is left out.
fn opened(case: &Case, text: &str) -> BTreeSet<String> {
    let mut resolved = case.resolved_with(text, true, true);
    refresh_gateway(&mut resolved.active, &BTreeSet::new(), Path::new("/run/x"));
    wanted_addresses(&resolved.active)
}
