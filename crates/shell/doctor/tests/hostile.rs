//! What is not meant well, or is only broken: nothing hangs, nothing is passed on to the terminal, and what could not be seen is said.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{doctor, findings};

/// What hangs never comes back; a debug build on a loaded machine is slow.
const QUICK: Duration = Duration::from_secs(60);

fn dir() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

/// A configuration with one clean program, its directory `app`.
fn config(dir: &Path, keys: &str) -> String {
    let here = dir.display();
    let text = format!(
        "[supervisord]\npidfile = {here}/s.pid\nlogfile = {here}/s.log\n[unix_http_server]\nfile = {here}/s.sock\n\
         [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n\
         [program:backend]\ncommand = uvicorn server:app --port 8001\ndirectory = {here}/app\n{keys}"
    );
    fs::create_dir_all(dir.join("app")).expect("made");
    fs::write(dir.join("supervisord.conf"), text).expect("written");
    dir.join("supervisord.conf").display().to_string()
}

/// Looks within a time, and shows nothing that drives a terminal.
fn look(config: &str) -> String {
    let start = Instant::now();
    let said = doctor(&["-c", config]);
    assert!(start.elapsed() < QUICK, "{:?}", start.elapsed());
    assert!(
        !said.out.contains(|c: char| c.is_control() && c != '\n'),
        "{:?}",
        said.out
    );
    assert!(said.status < 2, "{}", said.err);
    said.out
}

#[test]
fn a_log_of_five_gigabytes_is_read_from_its_end() {
    let dir = dir();
    let config = config(dir.path(), "stdout_logfile = %(here)s/out.log\n");
    let mut log = fs::File::create(dir.path().join("out.log")).expect("made");
    log.set_len(5 << 30).expect("sparse");
    std::io::Seek::seek(&mut log, std::io::SeekFrom::End(0)).expect("at the end");
    log.write_all(b"\xff\xfe\x00\x01binary\nWARNING:  StatReload detected changes in 'x\x1b[2J\x1b]0;gone\x07.py'. Reloading...\n").expect("written");
    let out = look(&config);
    assert!(out.contains("SF502") && out.contains("[2J"), "{out}");
}

#[test]
fn hostile_names_and_lines_are_shown_escaped() {
    let dir = dir();
    let config = config(
        dir.path(),
        "environment = A=\"\u{202e}evil\x1b[31m\",FLASK_DEBUG=\"1\"\nstderr_logfile = %(here)s/err.log\n",
    );
    fs::write(
        dir.path().join("app/evil\x1b[2J\n.py"),
        "import os, secrets\nSECRET_KEY = secrets.token_hex(32)\n",
    )
    .expect("written");
    fs::write(
        dir.path().join("err.log"),
        "Traceback (most recent call last):\n  x\nValueError: \x1b]52;c;AAAA\x07 \u{202e}\n",
    )
    .expect("written");
    let out = look(&config);
    assert!(out.contains("SF204") && out.contains("SF503"), "{out}");
    assert!(!out.contains('\u{202e}'));
    let json = doctor(&["-c", &config, "--json"]).out;
    assert!(!json.trim_end().contains(|c: char| c.is_control()));
}

#[test]
fn loops_of_links_and_pipes_do_no_harm() {
    let dir = dir();
    let config = config(
        dir.path(),
        "stdout_logfile = %(here)s/pipe\nenv_file = loop\n",
    );
    let app = dir.path().join("app");
    symlink(&app, app.join("again")).expect("linked");
    symlink(app.join("loop"), app.join("loop")).expect("linked");
    symlink(app.join("b.py"), app.join("a.py")).expect("linked");
    symlink(app.join("a.py"), app.join("b.py")).expect("linked");
    for pipe in [
        dir.path().join("pipe"),
        app.join(".env"),
        app.join("server.py"),
        app.join("gunicorn.conf.py"),
    ] {
        let made = std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .expect("mkfifo runs");
        assert!(made.success());
    }
    look(&config);
}

#[test]
fn a_control_socket_that_hangs_costs_two_seconds_and_is_said() {
    let dir = dir();
    let config = config(dir.path(), "");
    let _silent = UnixListener::bind(dir.path().join("s.sock")).expect("bound");
    let start = Instant::now();
    let out = look(&config);
    assert!(
        start.elapsed() >= Duration::from_secs(2) && out.contains("SF509"),
        "{out}"
    );
    assert!(
        out.contains("supervisord's own list of processes: no answer within 2 s"),
        "{out}"
    );
}

#[test]
fn a_number_in_a_pidfile_is_no_supervisord() {
    let dir = dir();
    let config = config(dir.path(), "");
    for pid in [
        std::process::id().to_string(),
        "999999999".into(),
        "-1".into(),
        "0".into(),
        "x".repeat(10_000),
    ] {
        fs::write(dir.path().join("s.pid"), pid).expect("written");
        assert!(look(&config).contains("not running"));
    }
}

#[test]
fn what_cannot_be_read_ends_with_status_2() {
    let dir = dir();
    for path in ["nothing.conf", "."] {
        let said = doctor(&["-c", &dir.path().join(path).display().to_string()]);
        assert_eq!(said.status, 2, "{}", said.out);
        assert!(said.err.starts_with("error: "), "{}", said.err);
    }
    for words in [
        &["--nonsense"][..],
        &["--pid", "999999999"],
        &["--url", "ftp://x"],
        &["--select", "SF999"],
    ] {
        assert_eq!(doctor(words).status, 2, "{words:?}");
    }
    fs::write(dir.path().join("binary.conf"), b"\x00\xff\xfe[program:\x00").expect("written");
    let said = doctor(&["-c", &dir.path().join("binary.conf").display().to_string()]);
    assert!(said.status >= 1, "{}", said.out);
}

/// A server that gives one answer to everything, after a while.
fn server(answer: &'static str, after: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let end = Instant::now() + after;
            while Instant::now() < end {
                std::thread::park_timeout(end.saturating_duration_since(Instant::now()));
            }
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}/api/health")
}

fn check_health(answer: &'static str, after_ms: u64, want: &[&str]) {
    let url = server(answer, Duration::from_millis(after_ms));
    // An answer that the machine kept back for a second is a slow one, whoever is to blame: not what is tested.
    let mut tries = 0..20;
    let found = loop {
        let began = Instant::now();
        let found = findings(&["--url", &url]);
        let kept_back = after_ms == 0 && began.elapsed() >= Duration::from_secs(1);
        if !kept_back || tries.next().is_none() {
            break found;
        }
    };
    let codes: Vec<&str> = found.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(codes, want, "{answer}");
}

#[test]
fn a_healthy_endpoint() {
    check_health(
        "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}",
        0,
        &[],
    );
}

#[test]
fn a_slow_health_endpoint() {
    check_health(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        1_100,
        &["SF402"],
    );
}

#[test]
fn a_lying_health_endpoint() {
    check_health(
        "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"db\": \"down\"}   ",
        0,
        &["SF403"],
    );
    check_health(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<html>hi</html>",
        0,
        &["SF403"],
    );
}

#[test]
fn a_redirecting_health_endpoint() {
    check_health(
        "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
        0,
        &["SF404"],
    );
}

#[test]
fn who_sends_everybody_to_a_sign_in_says_nothing_about_health() {
    for answer in [
        "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
    ] {
        let url = server(answer, Duration::ZERO);
        let base = url.strip_suffix("/api/health").expect("the path");
        assert_eq!(findings(&["--url", base]), [], "{answer}");
    }
}

#[test]
fn a_health_endpoint_that_wants_a_sign_in() {
    check_health(
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
        0,
        &["SF405"],
    );
}

#[test]
fn a_health_endpoint_that_fails() {
    check_health(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        0,
        &["SF406"],
    );
    check_health("\x1b[2J not HTTP\r\n\r\n", 0, &["SF406"]);
    check_health("", 6_000, &["SF406"]);
}

#[test]
fn fifty_programs_are_all_looked_at() {
    let dir = dir();
    let mut text = format!("[supervisord]\npidfile = {}/s.pid\n", dir.path().display());
    for n in 0..50 {
        let app = dir.path().join(format!("app{n}"));
        fs::create_dir(&app).expect("made");
        for file in 0..20 {
            let code = format!(
                "import os\nX = os.environ['SECRET_KEY']\n{}",
                "def f(x):\n    return x + 1\n".repeat(100)
            );
            fs::write(app.join(format!("m{file}.py")), code).expect("written");
        }
        text.push_str(&format!(
            "[program:p{n}]\ncommand = uvicorn s:a --port {} --reload\ndirectory = {}\n",
            9000 + n,
            app.display()
        ));
    }
    fs::write(dir.path().join("supervisord.conf"), text).expect("written");
    let config = dir.path().join("supervisord.conf").display().to_string();
    // How long that takes is measured by `cargo xtask bench doctor`: a test on a busy machine cannot say.
    let out = doctor(&["-c", &config]).out;
    assert!(out.contains("50 errors"), "{out}");
}

#[test]
fn sarif_names_rules_and_places() {
    let dir = dir();
    let config = config(dir.path(), "");
    let text = fs::read_to_string(&config)
        .expect("is read")
        .replace("--port 8001", "--port 8001 --reload");
    fs::write(&config, text).expect("written");
    let sarif: serde_json::Value =
        serde_json::from_str(&doctor(&["-c", &config, "--sarif"]).out).expect("JSON");
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    let result = &run["results"][0];
    assert_eq!(
        (&result["ruleId"], &result["level"]),
        (&"SF101".into(), &"error".into())
    );
    let index = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
    assert_eq!(run["tool"]["driver"]["rules"][index]["id"], "SF101");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(
        place["region"]["endColumn"].as_u64().expect("a column")
            - place["region"]["startColumn"].as_u64().expect("a column"),
        8
    );
    assert!(config.ends_with(place["artifactLocation"]["uri"].as_str().expect("a path")));
}

/// A jar whose table of contents has these names.
fn jar(names: &[&str]) -> Vec<u8> {
    let mut table = Vec::new();
    for name in names {
        table.extend_from_slice(b"PK\x01\x02");
        table.extend_from_slice(&[0; 24]);
        table.extend_from_slice(&u16::try_from(name.len()).expect("short").to_le_bytes());
        table.extend_from_slice(&[0; 16]);
        table.extend_from_slice(name.as_bytes());
    }
    let size = u32::try_from(table.len()).expect("short");
    table.extend_from_slice(b"PK\x05\x06");
    table.extend_from_slice(&[0; 8]);
    table.extend_from_slice(&size.to_le_bytes());
    table.extend_from_slice(&[0; 6]);
    table
}

#[test]
fn developer_tools_in_a_jar_are_seen_in_its_table_of_contents() {
    let dir = dir();
    let config = config(dir.path(), "");
    let text = fs::read_to_string(&config).expect("is read");
    let line = "uvicorn server:app --port 8001";
    fs::write(&config, text.replace(line, "java -jar app.jar")).expect("written");
    let path = dir.path().join("app/app.jar");
    let name = "BOOT-INF/lib/spring-boot-devtools-3.4.1.jar";
    let codes = |words: &[&str]| -> Vec<(String, String)> {
        let mut found = findings(&[&["-c", &config], words].concat());
        found.retain(|(code, _)| code == "SF101");
        found
    };
    let note = vec![("SF101".to_owned(), "note".to_owned())];
    fs::write(&path, jar(&["a.class", name])).expect("written");
    assert_eq!(codes(&[]), note);
    assert!(look(&config).contains(name));
    fs::write(&path, jar(&["a.class"])).expect("written");
    assert_eq!(codes(&[]), []);
    // A table that is said to be larger than the file, a jar of 5 GB that is none, a jar that may be anything.
    let mut lying = jar(&[name]);
    let at = lying.len() - 10;
    lying[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    fs::write(&path, &lying).expect("written");
    assert_eq!(codes(&[]), []);
    fs::File::create(&path)
        .and_then(|f| f.set_len(5 << 30))
        .expect("sparse");
    look(&config);
}

#[test]
fn a_process_that_vanishes_while_it_is_looked_at() {
    // Many that live for a moment only: some are gone between two looks at them.
    let parent = std::process::Command::new("sh")
        .args(["-c", "while :; do sh -c 'exit 0' & sh -c 'exec true'; done"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("sh runs");
    let pid = parent.id().to_string();
    struct End(std::process::Child);
    impl Drop for End {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
    let _end = End(parent);
    for _ in 0..20 {
        let said = doctor(&["--pid", &pid]);
        assert!(said.status < 2, "{}", said.err);
    }
}

#[test]
fn a_health_endpoint_that_sends_without_end_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            while stream.write_all(&[b'x'; 64 << 10]).is_ok() {}
        }
    });
    let start = Instant::now();
    let said = doctor(&["--url", &format!("http://{address}/health")]);
    assert!(start.elapsed() < QUICK, "{:?}", start.elapsed());
    assert!(said.status < 2, "{}", said.err);
}
