//! Sessions: whose count where, what signing in needs, and what proxies may ask.

use routes::Target;

use super::{case, config_of, value};

const SIGNED_IN: &str = "[program:app]\ncommand = uvicorn server:app --port 8001\nlisten = gateway\nsecrets = KEY\nenv_file = DIR/.env\n\
     claims = simplejwt\njwt_cookie = token\nsecrets_fallbacks = KEY_OLD:json\nstdout_logfile = NONE\nstderr_logfile = NONE\n\
     [gateway:web]\nlisten = 127.0.0.1:8080\nroute = / -> app\nauth = required\nlogin = /in\nlogout = /out\n";

#[test]
fn a_gateway_is_told_of_sessions_and_keys() {
    let case = case();
    std::fs::write(case.dir.path().join(".env"), "KEY=the-old-one\n").expect("written");
    case.resolve(SIGNED_IN);
    std::fs::write(case.dir.path().join(".env"), "KEY=the-new-one\n").expect("written");
    let mut resolved = case.resolve(&format!(
        "{SIGNED_IN}[sessions]\nprefix = /auth\norigins = https://a.example\nidle_timeout = 1h\n"
    ));
    let spec = resolved.active.spec(&resolved.active.slots[0]);
    assert_eq!(
        (spec.key, value(&spec, "KEY"), value(&spec, "KEY_OLD")),
        (2, Some("the-new-one"), Some("[\"the-old-one\"]"))
    );
    let config = config_of(&mut resolved);
    let listener = |at: &str| {
        let found = config.listeners.iter().find(|it| it.address == at);
        found.unwrap_or_else(|| panic!("{at} in {config:?}"))
    };
    let web = listener("127.0.0.1:8080");
    assert_eq!(web.routes[0].auth, routes::Auth::Required);
    assert_eq!(
        (
            web.routes[0].login.as_deref(),
            web.routes[0].logout.as_deref()
        ),
        (Some("/in"), Some("/out"))
    );
    // The program's own address stays, and asks for the same.
    let own = &listener("127.0.0.1:8001").routes[0];
    assert_eq!(
        (own.auth, own.login.as_deref(), own.logout.as_deref()),
        (routes::Auth::Required, Some("/in"), Some("/out"))
    );
    let notes = resolved
        .findings
        .iter()
        .filter(|found| found.code == "inherited");
    assert_eq!(notes.count(), 1, "{:#?}", resolved.findings);
    let sessions = config.sessions.clone().expect("sessions");
    let dir = case.dir.path().join("sessions");
    assert_eq!(sessions.store, format!("sqlite:{}", dir.display()));
    assert!(dir.is_dir());
    assert_eq!(
        (sessions.prefix.as_str(), sessions.idle_ms),
        ("/auth", 3_600_000)
    );
    let Some(Target::Program {
        jwt: Some(jwt),
        slots,
    }) = config.targets.get("app")
    else {
        panic!("{config:?}");
    };
    assert_eq!(slots.len(), 1);
    let keys: Vec<_> = jwt
        .keys
        .iter()
        .map(|key| (key.id, key.signs, key.secret.as_str()))
        .collect();
    assert_eq!(keys, [(1, false, "the-old-one"), (2, true, "the-new-one")]);
    assert!(jwt.keys[0].until_s > jwt.keys[1].until_s && !jwt.reads_all);
    assert_eq!(
        (jwt.claims.as_str(), jwt.cookie.as_deref()),
        ("simplejwt", Some("token"))
    );
    let shown = format!("{config:?} {:?}", resolved.active.gateway);
    assert!(!shown.contains("-one"), "{shown}");
}

#[test]
fn what_is_open_is_told_to_every_gateway_that_asks() {
    let case = case();
    let open = |auth: &str| {
        let mut resolved = case.resolve(&format!(
            "[program:app]\ncommand = uvicorn server:app --host 0.0.0.0 --port 8001\nlisten = gateway\n\
             stdout_logfile = NONE\nstderr_logfile = NONE\n[gateway:web]\nlisten = 0.0.0.0:8080\nroute = / -> app\n\
             auth = {auth}\nlogin = /login\nopen = /static, /health\n"
        ));
        let config = config_of(&mut resolved);
        let all = config.listeners.iter().flat_map(|it| &it.routes);
        all.map(|route| route.open.join(" ")).collect::<Vec<_>>()
    };
    assert_eq!(open("required"), ["/static /health", "/static /health"]);
    assert_eq!(open("optional"), ["", ""]);
}

#[test]
fn there_is_no_way_past_the_sign_in_but_one_that_the_file_names() {
    let case = case();
    let asked = |gateway: &str| {
        let mut resolved = case.resolve(&format!(
            "[program:app]\ncommand = uvicorn server:app --host 0.0.0.0 --port 8001\nlisten = gateway\n\
             stdout_logfile = NONE\nstderr_logfile = NONE\n[gateway:web]\n{gateway}"
        ));
        let said: Vec<_> = resolved
            .findings
            .iter()
            .filter(|found| found.code == "inherited")
            .map(|found| found.message.clone())
            .collect();
        let config = config_of(&mut resolved);
        let at = |it: &&routes::Listener| it.address == "0.0.0.0:8001";
        let own = config.listeners.iter().find(at).expect("its own address");
        let auth = |path: &str| own.route("any.example", path).map(|route| route.auth);
        (auth("/"), auth("/admin/x"), said)
    };
    use routes::Auth::{Off, Required};
    let elsewhere = "listen = 0.0.0.0:8080\nroute = / -> app\n";
    let asks = "auth = required\nlogin = /login\n";
    let (whole, part, said) = asked(&format!("{elsewhere}{asks}"));
    assert_eq!((whole, part), (Some(Required), Some(Required)));
    assert_eq!(
        said,
        [
            "[program:app] listens on 0.0.0.0:8001 as well, and asks there for the same sign-in as the gateways that lead to it"
        ]
    );
    let part = format!("listen = 0.0.0.0:8080\nroute = /admin -> app\n{asks}");
    let (whole, part, said) = asked(&part);
    assert_eq!((whole, part, said.len()), (Some(Off), Some(Required), 1));
    assert_eq!(asked(elsewhere), (Some(Off), Some(Off), vec![]));
    // On purpose.
    let open = format!(
        "{elsewhere}{asks}[gateway:open]\nlisten = 0.0.0.0:8001\nroute = / -> app\nauth = off\n"
    );
    assert_eq!(asked(&open), (Some(Off), Some(Off), vec![]));
}

#[test]
fn what_signing_in_needs_is_said() {
    let case = case();
    let said = |gateway: &str| {
        let resolved = case.dry(&format!(
            "[program:app]\ncommand = uvicorn server:app --host 0.0.0.0 --port 8001\nlisten = gateway\n\
             secrets = SECRET_KEY\nstdout_logfile = NONE\nstderr_logfile = NONE\n[gateway:web]\nroute = / -> app\n{gateway}"
        ));
        let notes = resolved.findings.iter();
        let notes = notes.filter(|found| found.code == "sign-in");
        notes
            .map(|found| found.message.clone())
            .collect::<Vec<_>>()
            .join("\n")
    };
    for (gateway, words) in [
        (
            "auth = required\n",
            &[
                "POST /_steadfast/login",
                "SECRET_KEY is a 401",
                "on 0.0.0.0:8001",
            ][..],
        ),
        (
            "auth = required\nlisten = 127.0.0.1:80\n",
            &["POST /_steadfast/login", "SECRET_KEY is a 401"],
        ),
        (
            "auth = required\nlogin = /login\ntrust = 10.0.0.1\n",
            &["SECRET_KEY is a 401"],
        ),
        (
            "login = /login\nlisten = [::1]:80 0.0.0.0:81\n",
            &["on 0.0.0.0:81"],
        ),
        (
            "auth = optional\nlogin = /login\nlisten = unix:/run/x.sock\n",
            &[],
        ),
        ("auth = off\n", &[]),
    ] {
        let said = said(gateway);
        assert_eq!(said.lines().count(), words.len(), "{gateway}{said}");
        for word in words {
            assert!(said.contains(word), "{gateway}{said}");
        }
    }
}

#[test]
fn gateways_of_programs_with_keys_of_their_own_say_whose_sessions_count() {
    let own = ["forum.env", "billing.env"];
    for (forum, billing, files, wrong) in [
        ("", "", own, true),
        ("realm = forum", "", own, true),
        ("", "realm = billing", own, true),
        ("realm = forum", "realm = billing", own, false),
        ("realm = both", "realm = both", own, false),
        // One key: each can forge for the other anyway.
        ("", "", ["one.env", "one.env"], false),
    ] {
        for dry in [true, false] {
            let case = case();
            let text = two_apps(forum, billing, files);
            let resolved = if dry {
                case.dry(&text)
            } else {
                case.resolve(&text)
            };
            let found: Vec<_> = resolved
                .findings
                .iter()
                .filter(|found| found.is_error())
                .collect();
            assert_eq!(found.len(), usize::from(wrong), "{text} {found:#?}");
            assert!(
                found.iter().all(|found| found.code == "realm"),
                "{found:#?}"
            );
        }
    }
    let case = case();
    let mut resolved = case.resolve(&two_apps("realm = forum", "", own));
    let config = config_of(&mut resolved);
    let realm = |at: &str| {
        let found = config.listeners.iter().find(|it| it.address == at);
        found.and_then(|it| it.routes[0].realm.as_deref())
    };
    assert_eq!(
        (realm("127.0.0.1:8001"), realm("127.0.0.1:8002")),
        (Some("forum"), None)
    );
}

/// Two apps behind gateways with sessions; `{forum}` and `{billing}` are what each section says beside.
fn two_apps(forum: &str, billing: &str, files: [&str; 2]) -> String {
    let app = |name: &str, port: u16, file: &str, more: &str| {
        format!(
            "[program:{name}]\ncommand = uvicorn x:y --port {port}\nlisten = gateway\nsecrets = KEY\nenv_file = DIR/{file}\n\
             stdout_logfile = NONE\nstderr_logfile = NONE\n\
             [gateway:{name}]\nroute = / -> {name}\nauth = required\nlogin = /login\n{more}\n"
        )
    };
    let forum = app("forum", 8001, files[0], forum);
    forum + &app("billing", 8002, files[1], billing)
}

#[test]
fn a_proxy_may_ask_about_a_program_that_keeps_its_port_and_about_an_upstream() {
    let case = case();
    let key = "8d1f5b2c9a7e4630".repeat(4);
    std::fs::write(
        case.dir.path().join("legacy.env"),
        format!("THEIRS={key}\n"),
    )
    .expect("written");
    let mut resolved = case.resolve(
        "[program:app]\ncommand = uvicorn server:app --port 8001\nsecrets = KEY\nstdout_logfile = NONE\nstderr_logfile = NONE\n\
         [upstream:legacy]\nconnect = 127.0.0.1:9000\nready = http:/health\nsecrets = THEIRS\nenv_file = DIR/legacy.env\nclaims = nonsense\n\
         [gateway:ask]\nlisten = 127.0.0.1:9011\nforward_auth = app\nrealm = app\nfresh = yes\n[gateway:ask2]\nlisten = 127.0.0.1:9012\n\
         forward_auth = legacy\nrealm = legacy\n",
    );
    let wrong: Vec<_> = resolved
        .findings
        .iter()
        .filter(|found| found.is_error())
        .map(|found| found.message.clone())
        .collect();
    assert!(
        wrong.len() == 1 && wrong[0].contains("`nonsense` is none of"),
        "{wrong:?}"
    );
    let config = config_of(&mut resolved);
    assert!(config.listeners.iter().all(|it| it.forward_auth.is_some()));
    let realms: Vec<_> = config
        .listeners
        .iter()
        .map(|it| (it.realm.as_str(), it.fresh))
        .collect();
    assert_eq!(realms, [("app", true), ("legacy", false)]);
    let Some(Target::Program {
        jwt: Some(jwt),
        slots,
    }) = config.targets.get("app")
    else {
        panic!("{config:?}");
    };
    assert_eq!((jwt.keys.len(), slots.len()), (1, 1));
    let Some(Target::Upstream {
        ready: Some(ready),
        jwt: Some(jwt),
        ..
    }) = config.targets.get("legacy")
    else {
        panic!("{config:?}");
    };
    assert_eq!(
        (ready.path.as_str(), ready.host.as_str()),
        ("/health", "localhost")
    );
    assert_eq!(jwt.keys[0].secret, key);
}

#[test]
fn the_configuration_for_other_proxies_is_in_order() {
    let text = include_str!("../../../../../../docs/forward-auth.md");
    let (_, rest) = text.split_once("```ini\n").expect("a configuration");
    let (text, _) = rest.split_once("\n```").expect("its end");
    let case = case();
    let mut resolved = case.resolve(text);
    let said: Vec<_> = resolved
        .findings
        .iter()
        .filter(|found| found.severity != finding::Severity::Note)
        .collect();
    assert!(said.is_empty(), "{said:#?}");
    let config = config_of(&mut resolved);
    let at = |address: &str| {
        let found = config.listeners.iter().find(|it| it.address == address);
        found.unwrap_or_else(|| panic!("{address} in {config:?}"))
    };
    assert_eq!(
        at("127.0.0.1:9091").forward_auth.as_deref(),
        Some("backend")
    );
    let paths: Vec<_> = at("127.0.0.1:9090")
        .routes
        .iter()
        .map(|route| (route.path_prefix.as_str(), route.login.as_deref()))
        .collect();
    assert_eq!(
        paths,
        [("/logout", Some("/login")), ("/login", Some("/login"))]
    );
    assert!(config.sessions.is_some());
}
