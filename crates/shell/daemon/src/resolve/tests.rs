//! Files in, definitions out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use routes::Target;
use wire::{Address, Ready, Sink, Spec, Text};

use super::{Context, Resolved, refresh_gateway, resolve};
use crate::machine::{Machine, environment};
use crate::model::Active;

struct Case {
    dir: tempfile::TempDir,
    env: BTreeMap<String, String>,
    before: Active,
}

fn case() -> Case {
    let env: BTreeMap<String, String> = [("PATH", "/bin"), ("TZ", "UTC")]
        .map(|(a, b)| (a.into(), b.into()))
        .into();
    Case {
        dir: tempfile::tempdir().expect("directory"),
        before: Active {
            base_env: env.clone(),
            ..Active::default()
        },
        env,
    }
}

impl Case {
    fn resolve(&self, text: &str) -> Resolved {
        self.resolved(text, false)
    }

    fn dry(&self, text: &str) -> Resolved {
        self.resolved(text, true)
    }

    fn resolved(&self, text: &str, dry: bool) -> Resolved {
        self.resolved_with(text, dry, false)
    }

    fn resolved_with(&self, text: &str, dry: bool, has_errors: bool) -> Resolved {
        let dir = self.dir.path().display().to_string();
        let text = format!(
            "[supervisord]\nchildlogdir = {dir}\nlogfile = NONE\n{}",
            text.replace("DIR", &dir)
        );
        let path = format!("{dir}/supervisord.conf");
        let loaded = conf::load(
            &path,
            &Machine {
                memory: Some((path.clone(), text)),
            },
            &environment(&self.env),
        );
        assert!(
            has_errors || !loaded.model.has_errors,
            "{:#?}",
            loaded.findings
        );
        let context = Context {
            before: &self.before,
            base_env: &self.env,
            run_dir: Path::new("/run/x"),
            state_dir: self.dir.path(),
            in_use: Some(&secrets::InUse::nothing()),
            dry,
        };
        resolve(&loaded.model, &context)
    }

    fn spec(&self, text: &str) -> Spec {
        let resolved = self.resolve(text);
        assert_eq!(
            resolved
                .findings
                .iter()
                .filter(|found| found.is_error())
                .count(),
            0,
            "{:#?}",
            resolved.findings
        );
        let slot = resolved.active.slots.first().expect("a slot");
        resolved.active.spec(slot)
    }
}

fn value<'a>(spec: &'a Spec, name: &str) -> Option<&'a str> {
    let (_, value) = spec.env.iter().find(|(known, _)| known == name)?;
    match value {
        Text::Plain { text } => Some(text),
        Text::Socket { .. } | Text::Port { .. } => None,
    }
}

fn words(spec: &Spec) -> Vec<String> {
    let word = |text: &Text| match text {
        Text::Plain { text } => text.clone(),
        Text::Socket { before, after } => format!("{before}SOCKET{after}"),
        Text::Port { before, after } => format!("{before}PORT{after}"),
    };
    spec.argv.iter().map(word).collect()
}

#[test]
fn the_environment_has_supervisors_variables_and_its_own_win() {
    let case = case();
    std::fs::write(case.dir.path().join(".env"), "FROM_FILE=1\nOWN=file\n").expect("written");
    let spec = case.spec(
        "environment = ALL=\"s\",OWN=\"s\"\n[unix_http_server]\nfile = DIR/s.sock\n[group:g]\nprograms = a\n[program:a]\ncommand = cat\n\
         environment = OWN=\"p\"\nenv_file = DIR/.env\n",
    );
    assert_eq!(value(&spec, "SUPERVISOR_ENABLED"), Some("1"));
    assert_eq!(value(&spec, "SUPERVISOR_PROCESS_NAME"), Some("a"));
    assert_eq!(value(&spec, "SUPERVISOR_GROUP_NAME"), Some("g"));
    let url = format!("unix://{}/s.sock", case.dir.path().display());
    assert_eq!(value(&spec, "SUPERVISOR_SERVER_URL"), Some(url.as_str()));
    assert_eq!(
        (
            value(&spec, "ALL"),
            value(&spec, "OWN"),
            value(&spec, "FROM_FILE")
        ),
        (Some("s"), Some("p"), Some("1"))
    );
    assert_eq!(value(&spec, "PATH"), Some("/bin"));
}

#[test]
fn keys_are_made_once_and_stay() {
    let case = case();
    let text = "[program:a]\ncommand = cat\nsecrets = SECRET_KEY\nstdout_logfile = NONE\nstderr_logfile = NONE\n";
    let first = case.spec(text);
    let key = value(&first, "SECRET_KEY").expect("made").to_owned();
    assert!(key.len() >= 32);
    assert_eq!(case.spec(text).hash, first.hash);
    assert_eq!(value(&case.spec(text), "SECRET_KEY"), Some(key.as_str()));
}

#[test]
fn equal_files_give_equal_hashes_and_every_change_another() {
    let mut case = case();
    let text = "[program:a]\ncommand = cat\n";
    case.before = case.resolve(text).active;
    let hash = case.spec(text).hash;
    assert_eq!(
        hash, case.before.slots[0].spec.hash,
        "AUTO logs keep their names"
    );
    for change in [
        "environment = A=\"1\"",
        "startsecs = 2",
        "stopsignal = INT",
        "umask = 022",
        "directory = /tmp",
        "ready = log:x",
    ] {
        assert_ne!(
            case.spec(&format!("{text}{change}\n")).hash,
            hash,
            "{change}"
        );
    }
    // Not part of what the keeper gets: no reason to restart.
    assert_eq!(
        case.spec(&format!("{text}priority = 1\nautostart = false\n"))
            .hash,
        hash
    );
}

#[test]
fn logs_go_where_supervisor_puts_them() {
    let case = case();
    let logs = |keys: &str| {
        let spec = case.spec(&format!("[program:a]\ncommand = cat\n{keys}"));
        (spec.stdout, spec.stderr)
    };
    let (stdout, stderr) = logs(
        "stdout_logfile = /dev/stdout\nstdout_logfile_maxbytes = 0\nstderr_logfile = /dev/fd/2\nstderr_logfile_maxbytes = 0\n",
    );
    assert_eq!((stdout, stderr), (Sink::RootStdout {}, Sink::RootStderr {}));
    let (stdout, stderr) = logs(
        "stdout_logfile = DIR/x.log\nstdout_logfile_maxbytes = 1KB\nstdout_logfile_backups = 3\nstderr_logfile = NONE\n",
    );
    let path = format!("{}/x.log", case.dir.path().display());
    assert_eq!(
        (stdout, stderr),
        (
            Sink::File {
                path,
                max_bytes: 1024,
                backups: 3
            },
            Sink::Nowhere {}
        )
    );
    let (stdout, _) = logs("stdout_logfile = /dev/null\n");
    assert_eq!(
        stdout,
        Sink::Device {
            path: "/dev/null".into()
        }
    );
    let (
        Sink::File {
            path,
            max_bytes,
            backups,
        },
        _,
    ) = logs("redirect_stderr = true\n")
    else {
        panic!("AUTO is a file")
    };
    assert!(
        path.contains("/a-stdout---supervisor-") && Path::new(&path).exists(),
        "{path}"
    );
    assert_eq!((max_bytes, backups), (50 * 1024 * 1024, 10));
}

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
fn a_held_program_inherits_its_listeners() {
    let case = case();
    let resolved = case.resolve("[program:g]\ncommand = gunicorn a:a -b 127.0.0.1:81 -b 0.0.0.0:82\nlisten = held\nready = tcp\n");
    let slot = &resolved.active.slots[0];
    assert_eq!(
        words(&slot.spec),
        ["gunicorn", "a:a", "--bind", "fd://3", "--bind", "fd://4"]
    );
    assert_eq!(
        (slot.listeners.as_slice(), slot.spec.listeners),
        (&["127.0.0.1:81".to_owned(), "0.0.0.0:82".to_owned()][..], 2)
    );
    assert_eq!(
        slot.spec.address,
        Address::Tcp {
            address: "127.0.0.1:81".into()
        }
    );
}

#[test]
fn a_command_of_ours_takes_the_place_where_it_is_needed() {
    let case = case();
    let text = "[program:n]\ncommand = node server.js\nenvironment = PORT=\"3000\"\nlisten = gateway\nsteadfast_command = node server.js --socket=%(socket)s\n";
    let resolved = case.resolve(text);
    assert_eq!(
        words(&resolved.active.slots[0].spec),
        ["node", "server.js", "--socket=SOCKET"]
    );
    assert_eq!(resolved.active.slots[0].derived[0].address, "[::]:3000");
}

#[test]
fn places_are_kept_and_numbers_are_not_reused() {
    let mut case = case();
    case.before = case
        .resolve("[program:a]\ncommand = cat\n[program:b]\ncommand = cat\n")
        .active;
    case.before.slots.retain(|slot| slot.process == "b");
    let after = case
        .resolve("[program:b]\ncommand = cat\n[program:c]\ncommand = cat\n")
        .active;
    let numbers: Vec<(&str, u32)> = after
        .slots
        .iter()
        .map(|slot| (slot.process.as_str(), slot.number))
        .collect();
    assert_eq!(numbers, [("b", 1), ("c", 2)]);
    assert_eq!(after.next_slot, 3);
}

const SIGNED_IN: &str = "[program:app]\ncommand = uvicorn server:app --port 8001\nlisten = gateway\nsecrets = KEY\nenv_file = DIR/.env\n\
     claims = simplejwt\njwt_cookie = token\nsecrets_fallbacks = KEY_OLD:json\nstdout_logfile = NONE\nstderr_logfile = NONE\n\
     [gateway:web]\nlisten = 127.0.0.1:8080\nroute = / -> app\nauth = required\nlogin = /in\nlogout = /out\n";

fn config_of(resolved: &mut Resolved) -> routes::Config {
    refresh_gateway(&mut resolved.active, &BTreeSet::new(), Path::new("/run/x"));
    let gateway = resolved.active.slots.iter().find(|slot| slot.first);
    let bytes = &gateway.expect("a gateway").spec.config;
    routes::Config::from_bytes(bytes).expect("reads")
}

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
fn two_apps_with_a_key_of_one_name_do_not_share_their_rings() {
    let case = case();
    for name in ["a", "b"] {
        let file = case.dir.path().join(format!("{name}.env"));
        std::fs::write(file, format!("KEY=of-{name}\n")).expect("written");
    }
    let one = |name: &str, port: u16| {
        format!(
            "[program:{name}]\ncommand = uvicorn x:y --port {port}\nlisten = gateway\nsecrets = KEY\nenv_file = DIR/{name}.env\n\
             stdout_logfile = NONE\nstderr_logfile = NONE\n"
        )
    };
    for _ in 0..2 {
        let mut resolved = case.resolve(&format!("{}{}", one("a", 8001), one("b", 8002)));
        let said = format!("{:?}", resolved.findings);
        assert!(!said.contains("differs"), "{said}");
        let config = config_of(&mut resolved);
        for (name, id) in [("a", 1), ("b", 2)] {
            let Some(Target::Program { jwt: Some(jwt), .. }) = config.targets.get(name) else {
                panic!("{config:?}");
            };
            let keys: Vec<_> = jwt
                .keys
                .iter()
                .map(|key| (key.id, key.secret.clone()))
                .collect();
            assert_eq!(keys, [(id, format!("of-{name}"))]);
        }
    }
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
fn a_dry_run_says_what_is_wrong_with_keys() {
    let case = case();
    let said = |text: &str| {
        let resolved = case.dry(&format!(
            "[program:app]\ncommand = cat\nstdout_logfile = NONE\nstderr_logfile = NONE\nsecrets = SECRET_KEY\n{text}"
        ));
        let words = resolved.findings.iter().filter(|it| it.code == "secrets");
        words.map(|it| it.message.clone()).collect::<Vec<_>>()
    };
    let made = said("env_file = DIR/gone\nnumprocs = 2\nprocess_name = %(process_num)d\n");
    assert_eq!(made.len(), 1, "{made:#?}");
    assert!(
        made[0].contains("gone, which does not exist: it will be made"),
        "{made:#?}"
    );
    std::fs::write(case.dir.path().join(".env"), "SECRET_KEY=changeme\n").expect("written");
    let weak = said("env_file = DIR/.env\n").join("\n");
    assert!(
        weak.contains("SECRET_KEY is weak: it is an example"),
        "{weak}"
    );
    let differ = said("env_file = DIR/.env\nenvironment = SECRET_KEY=\"other\"\n").join("\n");
    assert!(
        differ.contains("SECRET_KEY differs between the environment and"),
        "{differ}"
    );
}

#[test]
fn the_key_of_an_upstream_is_never_made() {
    let case = case();
    let text = "[gateway:web]\nlisten = 127.0.0.1:80\nroute = / -> legacy\n[upstream:legacy]\nconnect = 127.0.0.1:81\n\
                env_file = DIR/legacy.env\nsecrets = SECRET_KEY\n";
    for dry in [true, false] {
        let resolved = case.resolved(text, dry);
        let said = |it: &&finding::Finding| it.message.contains("nobody here knows its SECRET_KEY");
        let finding = resolved.findings.iter().find(said).expect("a finding");
        // Asked elsewhere, it may be where it runs.
        assert_eq!(finding.is_error(), !dry);
        assert!(resolved.active.gateway.upstreams.is_empty());
        assert!(!case.dir.path().join("legacy.env").exists());
    }
    let key = "8d1f5b2c9a7e4630".repeat(4);
    std::fs::write(
        case.dir.path().join("legacy.env"),
        format!("SECRET_KEY={key}\n"),
    )
    .expect("written");
    let resolved = case.resolve(text);
    assert!(
        !resolved.findings.iter().any(finding::Finding::is_error),
        "{:#?}",
        resolved.findings
    );
    assert_eq!(resolved.active.gateway.upstreams.len(), 1);
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

/// Addresses that are opened although the file has an error, and who is left out.
fn opened(case: &Case, text: &str) -> BTreeSet<String> {
    let mut resolved = case.resolved_with(text, true, true);
    refresh_gateway(&mut resolved.active, &BTreeSet::new(), Path::new("/run/x"));
    super::wanted_addresses(&resolved.active)
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

#[test]
fn the_configuration_for_other_proxies_is_in_order() {
    let text = include_str!("../../../../../docs/forward-auth.md");
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
