//! Whatever is wrong: a clear message, and nothing else is harmed.

use crate::harness::{Backend, Wanted, eventually, exe, free_port, head, seconds, venv, workspace};
use crate::pid1;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use storm::client::Request;
use storm::installation::{Installation, Said};

/// `steadfast check` on a file of these bytes: exit status and all words.
fn check(bytes: &[u8], exit: i32, words: &[&str]) {
    let installation = Installation::new(exe()).expect("a directory");
    std::fs::write(installation.config(), bytes).expect("written");
    let said = installation.say(&["check"]).expect("runs");
    let what = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    assert_eq!(said.exit, exit, "{what}\n{}", said.text());
    for word in words {
        assert!(
            said.text().contains(word),
            "{word:?} is not said of\n{what}\n{}",
            said.text()
        );
    }
    assert!(!said.text().contains("panicked"), "{}", said.text());
}

#[test]
fn a_broken_configuration_is_told_with_its_line() {
    check(
        b"[supervisord]\n[program:x]\ncommand = sleep 1\n[no_such_section]\na = b\n",
        0,
        &["no_such_section", ":4"],
    );
    check(
        b"[supervisord]\n[program:x]\ncommand = sleep 1\nnumprocs = many\n",
        1,
        &["many", ":4"],
    );
    check(
        b"[supervisord]\n[program:x]\nautostart = true\n",
        1,
        &["command", ":2"],
    );
    check(
        b"[supervisord]\n[program:x]\ncommand = sleep %(no_such)s\n",
        1,
        &["no_such", ":3"],
    );
    check(
        b"[supervisord]\n[program:x]\ncommand = sleep 1\nstopsignal = NOPE\n",
        1,
        &["NOPE", ":4"],
    );
    check(
        b"[supervisord]\n[program:x]\ncommand = sleep 1\nstdout_logfile_maxbyte = 1\n",
        0,
        &["stdout_logfile_maxbytes"],
    );
    check(b"no section\n", 1, &[":1"]);
    check(b"", 1, &[]);
}

#[test]
fn a_mistyped_auth_lets_nobody_in() {
    let mut installation = Installation::new(exe()).expect("a directory");
    let (own, web) = (free_port(), free_port());
    let config = format!(
        "{head}
[steadfast]
state_dir = {dir}/state
[program:backend]
command = {uvicorn} backend:app --host 127.0.0.1 --port {own} --workers 1
directory = {apps}
environment = PYTHONDONTWRITEBYTECODE=\"1\",EFFECT_LOG=\"{dir}/effects.log\"
listen = gateway
secrets = SECRET_KEY
ready = http:/api/health
[gateway:web]
listen = 127.0.0.1:{web}
route = / -> backend
auth = required
",
        head = head(installation.dir()),
        dir = installation.dir().display(),
        uvicorn = venv("uvicorn").display(),
        apps = workspace().join("steadfast/tests/apps").display(),
    );
    let mistyped = config.replace("auth =", "auht =");
    installation.configure(&mistyped).expect("written");
    installation.run().expect("runs");
    let up = installation.wait_ready("backend", storm::wait::PATIENCE);
    assert!(up.is_some(), "{}", installation.output());
    for port in [own, web] {
        let there = std::net::TcpStream::connect(("127.0.0.1", port));
        assert!(there.is_err(), "{port}: {}", installation.output());
    }
    let said = installation.say(&["status"]).expect("runs").text();
    assert!(said.contains("web") && said.contains("auht"), "{said}");
    installation.configure(&config).expect("written");
    let said = installation.say(&["update"]).expect("runs");
    assert_eq!(said.exit, 0, "{}", said.text());
    eventually("both addresses", seconds(20), || {
        let is_there = |port: u16| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        (is_there(own) && is_there(web)).then_some(())
    });
}

#[test]
fn without_a_section_of_supervisord_it_runs_and_under_that_name_it_refuses() {
    let text = "[program:x]\ncommand = sleep 86499\n";
    check(text.as_bytes(), 0, &["warning", "no [supervisord] section"]);
    let mut installation = Installation::new(exe()).expect("a directory");
    installation.configure(text).expect("written");
    installation.run().expect("runs");
    assert!(
        installation
            .wait_ready("x", storm::wait::PATIENCE)
            .is_some()
    );
    drop(installation);
    // As the real supervisord does.
    use std::os::unix::process::CommandExt;
    let installation = Installation::new(exe()).expect("a directory");
    installation.configure(text).expect("written");
    let said = Said::of(
        installation
            .command()
            .arg0("supervisord")
            .args(["-n", "-c"])
            .arg(installation.config()),
    )
    .expect("runs");
    assert_eq!(said.exit, 2, "{}", said.text());
    assert!(
        said.text().contains("no [supervisord] section"),
        "{}",
        said.text()
    );
}

#[test]
fn every_error_is_told_at_once() {
    let text = b"[supervisord]\n[program:a]\ncommand = a\nnumprocs = x\n[program:b]\ncommand = b\nstopsignal = y\n[program:c]\n";
    check(text, 1, &[":4", ":7", ":8"]);
}

#[test]
fn binary_junk_and_a_line_of_ten_megabytes_are_told() {
    check(&[0u8, 159, 146, 150, 255, 10, 7, 8], 1, &[":1"]);
    let mut long = b"[supervisord]\n[program:x]\ncommand = sleep ".to_vec();
    long.resize(10_000_000, b'9');
    long.push(b'\n');
    let installation = Installation::new(exe()).expect("a directory");
    std::fs::write(installation.config(), &long).expect("written");
    let said = installation.say(&["check"]).expect("runs");
    assert!(
        said.text().len() < 100_000,
        "the message is not the line: {} bytes",
        said.text().len()
    );
    assert!((0..=2).contains(&said.exit));
}

#[test]
fn an_include_loop_and_an_absent_file_are_told() {
    let installation = Installation::new(exe()).expect("a directory");
    installation
        .configure(
            "[supervisord]\n[include]\nfiles = supervisord.conf\n[program:x]\ncommand = sleep 1\n",
        )
        .expect("written");
    let said = installation.say(&["check"]).expect("runs");
    assert!(
        said.exit <= 1 && said.text().contains("supervisord.conf"),
        "{}",
        said.text()
    );
    let said = Said::of(
        installation
            .command()
            .args(["check", "-c", "/no/such/file.conf"]),
    )
    .expect("runs");
    assert_eq!(said.exit, 2, "{}", said.text());
    assert!(
        said.text().contains("/no/such/file.conf"),
        "{}",
        said.text()
    );
    let said = Said::of(
        installation
            .command()
            .args(["run", "-c", "/no/such/file.conf"]),
    )
    .expect("runs");
    assert_eq!(said.exit, 2, "{}", said.text());
}

#[test]
fn the_guard_underlines_the_flag_and_says_what_to_write() {
    let text = b"[supervisord]\n[steadfast]\n[program:backend]\ncommand = uvicorn server:app --host 0.0.0.0 --port 8001 --workers 1 --reload\n";
    check(
        text,
        1,
        &[
            "--reload",
            ":4",
            "^^^^^^^^",
            "uvicorn server:app --host 0.0.0.0 --port 8001 --workers 1",
            "signed out",
        ],
    );
}

fn others(sections: &'static str) -> Backend {
    Wanted {
        sections,
        ..Wanted::default()
    }
    .start()
}

fn state_of(backend: &Backend, name: &str) -> Option<(String, String)> {
    let process = backend.installation.process(name)?;
    let text = |key: &str| {
        process
            .get(key)
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Some((text("state"), text("spawn_error") + &text("description")))
}

fn assert_serves(backend: &Backend) {
    assert_eq!(
        backend
            .ask(&Request::get("/api/health"))
            .expect("an answer")
            .status,
        200
    );
}

#[test]
fn a_missing_executable_and_a_program_that_dies_at_once_end_fatal_and_harm_nobody() {
    let backend = others(
        "[program:missing]\ncommand = /no/such/program\nstartretries = 0\n[program:dies]\ncommand = sh -c 'exit 3'\nstartretries = 0\n",
    );
    for name in ["missing", "dies"] {
        eventually("FATAL", seconds(20), || {
            state_of(&backend, name).filter(|(state, _)| state == "FATAL" || state == "BACKOFF")
        });
    }
    let said = backend.supervisorctl(&["status", "missing"]);
    assert!(
        said.stdout
            .contains("can't find command '/no/such/program'"),
        "{}",
        said.text()
    );
    assert_serves(&backend);
}

#[test]
fn an_occupied_port_fails_that_program_only_and_names_the_holder() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = holder.local_addr().expect("bound").port();
    let mut installation = Installation::new(exe()).expect("a directory");
    let free = crate::harness::free_port();
    let second = format!(
        "[program:second]\ncommand = {} backend:app --port {port}\ndirectory = {}\nlisten = gateway\n",
        crate::harness::venv("uvicorn").display(),
        crate::harness::workspace()
            .join("steadfast/tests/apps")
            .display(),
    );
    let config = Wanted::default().config(installation.dir(), free) + &second;
    installation.configure(&config).expect("written");
    installation.run().expect("started");
    let mut backend = Backend {
        installation,
        port: free,
        config,
    };
    backend.come_up();
    assert_serves(&backend);
    let told = eventually("the port and its holder in words", seconds(10), || {
        let text =
            backend.installation.output() + &backend.installation.say(&["status"]).ok()?.text();
        text.contains(&port.to_string()).then_some(text)
    });
    assert!(
        told.contains(&std::process::id().to_string()),
        "the holder is this test: {told}"
    );
}

#[test]
fn an_unreadable_log_directory_fails_with_a_clear_message() {
    let installation = Installation::new(exe()).expect("a directory");
    let dir = installation.dir().display().to_string();
    installation
        .configure(&format!(
            "{}[program:x]\ncommand = sleep 86394\nstdout_logfile = {dir}/no/such/dir/x.log\n",
            head(installation.dir())
        ))
        .expect("written");
    let said = installation.say(&["check"]).expect("runs");
    assert_eq!(said.exit, 1, "{}", said.text());
    assert!(said.text().contains("no/such/dir"), "{}", said.text());
}

#[test]
fn a_full_disk_for_logs_stops_no_program() {
    let config = |dir: &Path| {
        format!(
            "{}\n[steadfast]\nstate_dir = {dir}/state\n[program:loud]\ncommand = sh -c 'i=0; while :; do i=$((i+1)); echo \"line $i of a log that is too long for this disk\"; echo $i > {dir}/progress; done'\nstdout_logfile = {dir}/small/loud.log\nstdout_logfile_maxbytes = 0\n",
            head(dir),
            dir = dir.display(),
        )
    };
    let installation = pid1::contained(
        config,
        "mkdir small; mount -t tmpfs -o size=64k tmpfs small;",
    );
    let progress = || {
        std::fs::read_to_string(installation.path("progress"))
            .ok()?
            .trim()
            .parse::<u64>()
            .ok()
    };
    // 64 kB hold some 1,300 of its lines.
    eventually("progress beyond the full disk", seconds(40), || {
        progress().filter(|count| *count > 5_000)
    });
    for command in ["status", "shutdown"] {
        let said = pid1::say(&installation, &[command]);
        assert_eq!(said.exit, 0, "{}", said.text());
    }
}

#[test]
fn malformed_xml_rpc_and_half_requests_harm_nobody() {
    let backend = Backend::start();
    let socket = backend.installation.path("s.sock");
    let pid = backend.pid();
    let post = |body: &str| {
        format!(
            "POST /RPC2 HTTP/1.1\r\nHost: a\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let deep = "<value><array><data>".repeat(2_000);
    let cases = [
        post("<not xml"),
        post("<methodCall></methodCall>"),
        post("<methodCall><methodName>no.such</methodName></methodCall>"),
        post(
            "<!DOCTYPE a [<!ENTITY b \"bbbb\">]><methodCall><methodName>&b;</methodName></methodCall>",
        ),
        post(&format!(
            "<methodCall><methodName>system.multicall</methodName><params><param>{deep}</param></params></methodCall>"
        )),
        "POST /RPC2 HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n".to_owned(),
        "GET /no HTTP/1.1\r\n\r\n".to_owned(),
        "\u{1}\u{2}\r\n\r\n".to_owned(),
    ];
    for case in &cases {
        let mut stream = UnixStream::connect(&socket).expect("connects");
        stream.set_read_timeout(Some(seconds(3))).expect("set");
        let _ = stream.write_all(case.as_bytes());
        let _ = stream.read(&mut [0u8; 4096]);
    }
    let halves: Vec<UnixStream> = (0..20)
        .map(|_| {
            let mut stream = UnixStream::connect(&socket).expect("connects");
            stream
                .write_all(b"POST /RPC2 HTTP/1.1\r\nContent-Length: 500\r\n\r\n<method")
                .expect("sent");
            stream
        })
        .collect();
    let said = backend.supervisorctl(&["status", "backend"]);
    assert_eq!(said.exit, 0, "{}", said.text());
    assert!(
        said.stdout.contains(&format!("pid {pid}")),
        "{}",
        said.stdout
    );
    drop(halves);
}

#[test]
fn rubbish_on_the_control_socket_harms_nobody() {
    let backend = Backend::start();
    let sockets = find(&backend.installation.path("run"), "control.sock");
    let socket = sockets.first().expect("a control socket");
    for bytes in [
        &b"\n"[..],
        b"{}\n",
        b"{\"command\":{\"cmd\":\"no-such\"}}\n",
        b"\xff\xfe\n",
        &[b'x'; 400_000],
    ] {
        let mut stream = UnixStream::connect(socket).expect("connects");
        stream.set_read_timeout(Some(seconds(3))).expect("set");
        let _ = stream.write_all(bytes);
        let _ = stream.read(&mut [0u8; 4096]);
    }
    backend.say(&["status"], 0);
}

fn find(dir: &Path, name: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(find(&path, name));
        } else if entry.file_name() == name {
            found.push(path);
        }
    }
    found
}

#[test]
fn names_with_colons_and_newlines_do_nothing_bad() {
    let backend = Backend::start();
    for name in [
        "a:b:c",
        "x\ny",
        "",
        "*",
        ":",
        "backend:*:x",
        "%s%n",
        "../../etc/passwd",
    ] {
        let said = backend.installation.say(&["stop", name]).expect("runs");
        assert!(
            said.exit == 2 || said.exit == 1,
            "{name:?}: {}",
            said.text()
        );
        assert!(!said.text().contains("panicked"));
    }
    backend.pid();
    assert_serves(&backend);
}
