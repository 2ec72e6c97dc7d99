//! The catalogue in sentences: a command line, what is seen in it, what becomes of it.
//! That the rewritten command lines really serve is proved against the real servers in `real_servers.rs`.

use servers::{
    Address, Env, Fix, Kind, Place, Places, Server, Trust, Weight, gateway, guard, held, read,
};

struct Check {
    server: Server,
    env: Env,
}

/// Words by white space; a word in `'…'` keeps its spaces.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted, mut any) = (String::new(), false, false);
    for c in line.chars() {
        match c {
            '\'' => (quoted, any) = (!quoted, true),
            ' ' if !quoted => {
                if any {
                    words.push(std::mem::take(&mut word));
                    any = false;
                }
            }
            c => {
                word.push(c);
                any = true;
            }
        }
    }
    if any {
        words.push(word);
    }
    words
}

fn check(line: &str) -> Check {
    check_with("", line)
}

/// `env` is `A=1 B=2`.
fn check_with(env: &str, line: &str) -> Check {
    let env: Env = split(env)
        .iter()
        .filter_map(|w| w.split_once('='))
        .map(|(n, v)| (n.into(), v.into()))
        .collect();
    Check {
        server: read(&split(line), &env),
        env,
    }
}

impl Check {
    fn is(self, kind: Kind) -> Self {
        assert_eq!(self.server.kind, kind);
        self
    }

    fn binds(self, want: &[&str]) -> Self {
        let binds: Vec<_> = self
            .server
            .binds
            .iter()
            .map(|b| b.address.to_string())
            .collect();
        assert_eq!(binds, want);
        self
    }

    fn quiet(self) -> Self {
        assert_eq!(
            guard(&self.server),
            [],
            "{:?}",
            self.server.argv_for_tests()
        );
        self
    }

    /// The rules that fire, and the corrected command line.
    fn dev(self, rules: &[&str], line: &str) -> Self {
        let flags = guard(&self.server);
        assert_eq!(flags.iter().map(|f| f.rule).collect::<Vec<_>>(), rules);
        let lines: Vec<_> = flags
            .iter()
            .filter_map(|f| match &f.fix {
                Fix::Command { line, .. } => Some(line.as_str()),
                Fix::Unset { .. } | Fix::Set { .. } | Fix::Advice(_) => None,
            })
            .collect();
        assert!(lines.iter().all(|l| *l == line), "{lines:?}, wanted {line}");
        assert!(line.is_empty() || !lines.is_empty());
        self
    }

    fn at(self, places: &[Place]) -> Self {
        assert_eq!(guard(&self.server)[0].places, places);
        self
    }

    fn shown(rewrite: Result<servers::Rewrite, servers::Refusal>) -> String {
        let places = Places {
            socket: Some("/s".into()),
            port: Some(4444),
            fds: vec![7, 8],
        };
        match rewrite {
            Ok(rewrite) => rewrite.shown(&places).unwrap(),
            Err(refusal) => format!("refused: {}", refusal.reason),
        }
    }

    fn gateway(self, line: &str) -> Self {
        assert_eq!(Self::shown(gateway(&self.server)), line);
        self
    }

    fn held(self, line: &str) -> Self {
        assert_eq!(Self::shown(held(&self.server)), line);
        self
    }

    fn loses(self, name: &str) -> Self {
        let places = Places {
            socket: Some("/s".into()),
            port: Some(4444),
            fds: vec![7],
        };
        let command = gateway(&self.server)
            .unwrap()
            .fill(&places, &self.env)
            .unwrap();
        assert!(!command.env.contains_key(name), "{:?}", command.env);
        self
    }
}

trait ForTests {
    fn argv_for_tests(&self) -> String;
}

impl ForTests for Server {
    fn argv_for_tests(&self) -> String {
        format!("{} {:?}", self.kind, self.through)
    }
}

const RELOAD: &str = "uvicorn server:app --host 0.0.0.0 --port 8001 --workers 1 --reload";

#[test]
fn the_storys_command() {
    check(RELOAD)
        .is(Kind::Uvicorn)
        .binds(&["0.0.0.0:8001"])
        .dev(
            &["uvicorn-reload"],
            "uvicorn server:app --host 0.0.0.0 --port 8001 --workers 1",
        )
        .at(&[Place::Word(8)])
        .gateway("FORWARDED_ALLOW_IPS=* uvicorn server:app --uds /s --workers 1 --reload")
        .held("uvicorn server:app --fd 7 --workers 1 --reload");
}

#[test]
fn uvicorn_addresses() {
    check("uvicorn a:b")
        .binds(&["127.0.0.1:8000"])
        .gateway("FORWARDED_ALLOW_IPS=* uvicorn a:b --uds /s");
    check("uvicorn --port=8001 a:b --host=::1")
        .binds(&["[::1]:8001"])
        .gateway("FORWARDED_ALLOW_IPS=* uvicorn --uds /s a:b");
    check("uvicorn a:b --uds /run/x.sock --port 1")
        .binds(&["unix:/run/x.sock"])
        .held("uvicorn a:b --fd 7");
    check("uvicorn a:b --fd 3 --uds /x")
        .binds(&["fd://3"])
        .held("refused: it already takes descriptor 3");
    check("uvicorn a:b --port 0").held("refused: its port is 0, a random one");
    check_with(
        "UVICORN_PORT=9000 UVICORN_HOST=0.0.0.0 UVICORN_FD=",
        "uvicorn a:b",
    )
    .binds(&["0.0.0.0:9000"])
    .gateway("FORWARDED_ALLOW_IPS=* uvicorn a:b --uds /s")
    .loses("UVICORN_PORT");
    check("uvicorn a:b --ssl-certfile c.pem --ssl-keyfile k.pem")
        .gateway("refused: it speaks TLS itself, and the gateway does not")
        .held("uvicorn a:b --ssl-certfile c.pem --ssl-keyfile k.pem --fd 7");
}

#[test]
fn whom_a_server_believes_moves_to_the_gateway() {
    let trusts = |env: &str, line: &str| check_with(env, line).server.trusts;
    let local = Trust::Addresses(vec!["127.0.0.1".into(), "::1".into()]);
    assert_eq!(trusts("", "uvicorn a:b"), local);
    assert_eq!(
        trusts("FORWARDED_ALLOW_IPS=10.0.0.1", "uvicorn a:b"),
        Trust::Addresses(vec!["10.0.0.1".into()])
    );
    assert_eq!(
        trusts(
            "FORWARDED_ALLOW_IPS=10.0.0.1",
            "uvicorn a:b --forwarded-allow-ips '*'"
        ),
        Trust::Everyone
    );
    assert_eq!(trusts("", "uvicorn a:b --no-proxy-headers"), Trust::Nobody);
    assert_eq!(
        trusts("UVICORN_PROXY_HEADERS=false", "uvicorn a:b"),
        Trust::Nobody
    );
    assert_eq!(trusts("", "node server.js"), Trust::Nobody);
    assert_eq!(trusts("", "gunicorn a:b"), local);

    check_with(
        "UVICORN_FORWARDED_ALLOW_IPS=10.0.0.1",
        "uvicorn a:b --no-proxy-headers --forwarded-allow-ips 10.0.0.2",
    )
    .gateway("FORWARDED_ALLOW_IPS=* uvicorn a:b --uds /s")
    .loses("UVICORN_FORWARDED_ALLOW_IPS");
    check("env FORWARDED_ALLOW_IPS=1.2.3.4 uvicorn a:b")
        .gateway("FORWARDED_ALLOW_IPS=* env uvicorn a:b --uds /s");
    check("env -i PATH=/bin uvicorn a:b")
        .gateway("refused: its command line clears the environment, and FORWARDED_ALLOW_IPS must reach it")
        .held("env -i PATH=/bin uvicorn a:b --fd 7");
}

#[test]
fn gunicorn() {
    check("gunicorn a:b")
        .binds(&["127.0.0.1:8000"])
        .held("gunicorn a:b --bind fd://7");
    check("gunicorn -w4 -b0.0.0.0:8001 -k uvicorn.workers.UvicornWorker a:b")
        .is(Kind::Gunicorn)
        .binds(&["0.0.0.0:8001"])
        .gateway("FORWARDED_ALLOW_IPS=* gunicorn -w4 --bind unix:/s --forwarded-allow-ips=* -k uvicorn.workers.UvicornWorker a:b")
        .held("gunicorn -w4 --bind fd://7 -k uvicorn.workers.UvicornWorker a:b");
    check("gunicorn -Rb :80 a:b")
        .binds(&["0.0.0.0:80"])
        .held("gunicorn -R --bind fd://7 a:b");
    check("gunicorn -b 127.0.0.1:1 --bind=127.0.0.1:2 a:b")
        .binds(&["127.0.0.1:1", "127.0.0.1:2"])
        .held("gunicorn --bind fd://7 --bind fd://8 a:b");
    check("gunicorn --bin 127.0.0.1:1 a:b")
        .binds(&["127.0.0.1:1"])
        .held("gunicorn --bind fd://7 a:b");
    check_with("PORT=5000", "gunicorn a:b").binds(&["0.0.0.0:5000"]);
    check_with(
        "PORT=5000 'GUNICORN_CMD_ARGS=--bind 1.2.3.4:80 --workers 3'",
        "gunicorn a:b",
    )
    .binds(&["1.2.3.4:80"]);
    check("gunicorn -b unix:/x a:b")
        .held("refused: gunicorn removes a Unix socket that it was given when it stops");
    check("gunicorn -c conf.py a:b")
        .binds(&[])
        .held("refused: its address may be set in conf.py, which is not read here");
    check("gunicorn -D a:b").gateway("refused: it puts itself into the background");
    check("gunicorn -b 1.1.1.1:1 a:b -- x")
        .gateway("FORWARDED_ALLOW_IPS=* gunicorn --bind unix:/s --forwarded-allow-ips=* a:b -- x");
    check("gunicorn -- a:b").held("gunicorn --bind fd://7 -- a:b");
    let forks = |env: &str, line: &str| check_with(env, line).server.forks.workers;
    assert_eq!(forks("", "gunicorn -w 3 a:b"), 3);
    assert_eq!(forks("WEB_CONCURRENCY=5", "gunicorn a:b"), 5);
    assert_eq!(forks("'GUNICORN_CMD_ARGS=-w 6'", "gunicorn a:b"), 6);
}

#[test]
fn servers_reached_by_a_port() {
    check("fastapi run app.py --port 80")
        .binds(&["0.0.0.0:80"])
        .gateway("FORWARDED_ALLOW_IPS=127.0.0.1 fastapi run app.py --host 127.0.0.1 --port 4444")
        .held("refused: fastapi cannot take a listener that is already open");
    check_with("PORT=9", "fastapi run").binds(&["0.0.0.0:9"]);
    check_with("PORT=3000", "node server.js --port 1")
        .binds(&["[::]:3000"])
        .gateway("PORT=4444 node server.js --port 1")
        .held("refused: node cannot take a listener that is already open");
    check_with("PORT=3000 HOST=0.0.0.0", "node s.js")
        .binds(&["0.0.0.0:3000"])
        .gateway("PORT=4444 HOST=127.0.0.1 node s.js");
    check("env PORT=3000 node s.js")
        .binds(&["[::]:3000"])
        .gateway("PORT=4444 env node s.js");
    check("node server.js")
        .binds(&[])
        .gateway("PORT=4444 node server.js");
    assert!(check("node server.js").server.public().is_err());
    check_with("PORT=1", "npm start")
        .is(Kind::PackageScript)
        .gateway("PORT=4444 npm start");
    check("flask --app x run -p5001 -h 0.0.0.0")
        .binds(&["0.0.0.0:5001"])
        .gateway("flask --app x run --host 127.0.0.1 --port 4444");
    check("python manage.py runserver 0:8000 --noreload")
        .is(Kind::Django)
        .binds(&["0.0.0.0:8000"])
        .gateway("python manage.py runserver 127.0.0.1:4444 --noreload");
    check("hypercorn a:b -b 0.0.0.0:1")
        .binds(&["0.0.0.0:1"])
        .gateway("hypercorn a:b --bind unix:/s");
    check("granian --interface asgi a:b --port 1")
        .binds(&["127.0.0.1:1"])
        .gateway("granian --interface asgi a:b --uds /s");
}

#[test]
fn what_is_unknown_stays_unknown() {
    for line in [
        "python main.py",
        "./server --reload",
        "uwsgi --http :80",
        "php -S 0:80",
        "",
        "sh",
        "sh -c",
        "python -m",
        "env",
    ] {
        let check = check(line).is(Kind::Unknown).binds(&[]).quiet();
        check.gateway("refused: this server is not in the catalogue");
    }
    check("celery -A x worker")
        .is(Kind::Celery)
        .quiet()
        .gateway("refused: this celery command takes no connections");
    check("manage.py migrate")
        .quiet()
        .gateway("refused: this django command takes no connections");
}

#[test]
fn wrappers_are_looked_through() {
    for line in [
        "/opt/venv/bin/uvicorn a:b --reload",
        "python -m uvicorn a:b --reload",
        "python3.11 -u -X dev -m uvicorn a:b --reload",
        "python3 -um uvicorn a:b --reload",
        "python3 /opt/venv/bin/uvicorn a:b --reload",
        "env A=B C=D uvicorn a:b --reload",
        "env -u X -- A=1 uvicorn a:b --reload",
        "nice -n 5 uvicorn a:b --reload",
        "nice -5 uvicorn a:b --reload",
        "timeout 60 uvicorn a:b --reload",
        "gosu app uvicorn a:b --reload",
        "tini -g -- uvicorn a:b --reload",
        "poetry run uvicorn a:b --reload",
        "pipenv run python -m uvicorn a:b --reload",
        "uv run --with rich uvicorn a:b --reload",
        "uv run -- uvicorn a:b --reload",
        "sh -c 'uvicorn a:b --reload'",
        "bash -lc 'cd /app && A=1 exec uvicorn a:b --reload >>/tmp/log 2>&1'",
        "sudo -u app -- env X=1 nice uvicorn a:b --reload",
    ] {
        let flags = guard(&check(line).is(Kind::Uvicorn).server);
        assert_eq!(flags.len(), 1, "{line}");
        let Fix::Command { line: fixed, .. } = &flags[0].fix else {
            panic!("{line}")
        };
        assert!(
            !fixed.contains("reload") && fixed.contains("a:b"),
            "{fixed}"
        );
    }
    check("bash -lc 'cd /app && exec uvicorn a:b --reload --port 1'")
        .dev(
            &["uvicorn-reload"],
            "bash -lc 'cd /app && exec uvicorn a:b --port 1'",
        )
        .at(&[Place::Inside {
            word: 2,
            start: 28,
            end: 36,
        }])
        .gateway("refused: it is started through a shell");
    let hint = gateway(&check("sh -c 'exec uvicorn a:b'").server)
        .unwrap_err()
        .hint;
    assert_eq!(hint, "write it without the shell: command = uvicorn a:b");
    check("poetry run uvicorn a:b --port 1")
        .gateway("FORWARDED_ALLOW_IPS=* poetry run uvicorn a:b --uds /s");
    check("sh -c 'python manage.py migrate; exec gunicorn a:b --reload'")
        .is(Kind::Gunicorn)
        .binds(&["127.0.0.1:8000"]);
    check("poetry install").is(Kind::Unknown);
    check("sh -c 'uvicorn $(cat args)'").is(Kind::Unknown);
}

#[test]
fn guard_uvicorn_and_gunicorn() {
    check("uvicorn a:b --reload --reload-dir src --reload-include *.py --port 1")
        .dev(&["uvicorn-reload"], "uvicorn a:b --port 1");
    check("uvicorn a:b --reload-dir src").quiet();
    check("uvicorn a:b --root-path --reload").quiet();
    check_with("UVICORN_RELOAD=true", "uvicorn a:b")
        .dev(&["uvicorn-reload-env"], "")
        .at(&[Place::Env("UVICORN_RELOAD".into())]);
    check_with("UVICORN_RELOAD=0", "uvicorn a:b").quiet();
    check_with("UVICORN_RELOAD=1", "gunicorn a:b").quiet();
    check("env UVICORN_RELOAD=1 uvicorn a:b")
        .dev(&["uvicorn-reload-env"], "env uvicorn a:b")
        .at(&[Place::Word(1)]);
    check("gunicorn a:b --reload --reload-engine poll -b :80")
        .dev(&["gunicorn-reload"], "gunicorn a:b -b :80");
    check("gunicorn a:b --reload-engine poll").quiet();
    check("gunicorn a:b -- --reload").quiet();
    let flags =
        guard(&check_with("'GUNICORN_CMD_ARGS=--reload --bind :80'", "gunicorn a:b").server);
    assert_eq!(
        flags[0].fix,
        Fix::Set {
            name: "GUNICORN_CMD_ARGS".into(),
            value: "--bind :80".into()
        }
    );
}

#[test]
fn guard_fastapi_flask_django() {
    check("fastapi dev app.py").dev(&["fastapi-dev"], "fastapi run --host 127.0.0.1 app.py");
    check("fastapi dev --host 0.0.0.0 --reload-dir x")
        .dev(&["fastapi-dev"], "fastapi run --host 0.0.0.0");
    check("fastapi run --reload app.py").dev(&["fastapi-reload"], "fastapi run app.py");
    check("fastapi run app.py").quiet();
    check("fastapi dev --no-reload app.py").quiet();
    check("flask run --debug -p 1").dev(&["flask-debug", "flask-server"], "flask run -p 1");
    check("flask --debug run").dev(&["flask-debug", "flask-server"], "flask run");
    check("flask run --reload").dev(&["flask-reload", "flask-server"], "flask run");
    check("flask run --reload --no-reload").dev(&["flask-server"], "");
    check("flask --debug shell").quiet();
    check_with("FLASK_DEBUG=1", "flask run").dev(&["flask-debug-env", "flask-server"], "");
    check_with("FLASK_DEBUG=0", "flask run").dev(&["flask-server"], "");
    check_with("FLASK_DEBUG=1", "flask run --no-debug").dev(&["flask-server"], "");
    check_with("FLASK_DEBUG=1", "gunicorn a:b").quiet();
    check("python manage.py runserver 0:80").dev(
        &["django-reload", "django-server"],
        "python manage.py runserver --noreload 0:80",
    );
    check("django-admin runserver --noreload").dev(&["django-server"], "");
    check("python manage.py -- runserver").quiet();
    let weights: Vec<_> = guard(&check("manage.py runserver").server)
        .iter()
        .map(|f| f.weight)
        .collect();
    assert_eq!(weights, [Weight::Refuse, Weight::Warn]);
}

#[test]
fn guard_node() {
    check("node --watch server.js --watch x").dev(&["node-watch"], "node server.js --watch x");
    check("node --watch-path=src --watch-path lib --watch-preserve-output s.js")
        .dev(&["node-watch", "node-watch"], "node s.js");
    check("node server.js --watch").quiet();
    check("node -r ./x --watch s.js").dev(&["node-watch"], "node -r ./x s.js");
    check("nodemon server.js --port 1").dev(&["nodemon"], "node server.js --port 1");
    check("npx nodemon -w src -e js,json server.mjs").dev(&["nodemon"], "node server.mjs");
    check("nodemon --exec 'node --enable-source-maps' s.js")
        .dev(&["nodemon"], "node --enable-source-maps s.js");
    check("nodemon").dev(&["nodemon"], "");
    check("nodemon --exec env nodemon s.js").dev(&["nodemon"], "");
    check("tsx watch server.ts").dev(&["tsx-watch"], "tsx server.ts");
    check("npx tsx watch --include x server.ts --watch")
        .dev(&["tsx-watch"], "npx tsx server.ts --watch");
    check("tsx watch --clear-screen=false watch").dev(&["tsx-watch"], "tsx ./watch");
    check("tsx --watch watch").dev(&["tsx-watch-flag"], "tsx ./watch");
    check("tsx server.ts watch").quiet();
    check("node_modules/.bin/nodemon s.js").dev(&["nodemon"], "node s.js");
}

#[test]
fn never_a_false_alarm() {
    for line in [
        "python -m celery --reload-x",
        "python main.py --reload",
        "mycli --reload --debug",
        "echo uvicorn --reload",
        "sh -c 'echo uvicorn --reload'",
        "supervisord --reload",
        "gunicorn --name reload a:b",
        "uvicorn a:b --header x:--reload",
        "uvicorn a:b --factory --no-access-log",
        "hypercorn --log-file --reload.log a:b",
        "celery -A app worker --autoscale 1 --reload",
        "npm run dev",
        "watchdog uvicorn a:b --reload",
    ] {
        check(line).quiet();
    }
}

#[test]
fn templates() {
    let template = |line: &str| servers::by_template(&split(line));
    let places = Places {
        socket: Some("/s".into()),
        port: Some(5),
        fds: vec![9],
    };
    let shown = |line: &str| template(line).map(|r| r.shown(&places).unwrap());
    assert_eq!(
        shown("node s.js --socket=%(socket)s").unwrap(),
        "node s.js --socket=/s"
    );
    assert_eq!(template("x %(socket)s").unwrap().umask, Some(0));
    assert_eq!(shown("x -p %(port)s").unwrap(), "x -p 5");
    assert_eq!(shown("x fd:%(fd)s").unwrap(), "x fd:9");
    for wrong in ["x", "x %(port)s %(fd)s", "x %(port)s%(port)s"] {
        assert!(template(wrong).is_err(), "{wrong}");
    }
    assert!(
        template("x %(socket)s")
            .unwrap()
            .fill(&Places::default(), &Env::new())
            .is_none()
    );
}

#[test]
fn a_place_that_is_not_known_yet_is_not_filled() {
    let rewrite = held(&check("uvicorn a:b").server).unwrap();
    assert!(rewrite.fill(&Places::default(), &Env::new()).is_none());
    assert_eq!(rewrite.address, servers::AddressKind::Inherited(1));
}

#[test]
fn hostile_command_lines_do_no_harm() {
    let deep = format!("{} uvicorn a:b", "env ".repeat(200));
    check(&deep).is(Kind::Unknown);
    for words in [
        vec![""],
        vec!["env", "-u"],
        vec!["uvicorn", "--port"],
        vec!["uvicorn", "-"],
        vec!["gunicorn", "-é"],
        vec!["sh", "-c", "a\0b 'x"],
        vec!["python", "-mm", "-"],
        vec!["uvicorn", "--port=99999999999"],
        vec!["sh", "-c", "é\\"],
    ] {
        let argv: Vec<_> = words.into_iter().map(str::to_owned).collect();
        let server = read(&argv, &Env::new());
        let _ = (gateway(&server), held(&server), guard(&server));
    }
    let odd = check("uvicorn a:b --port 8o01");
    assert!(matches!(
        odd.server.binds[0].address,
        Address::Tcp { port: 8000, .. }
    ));
}
