//! `steadfast users` and `steadfast sessions`, with and without a daemon, beside a gateway that serves.

use crate::harness::{Backend, Wanted, exe};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use storm::installation::Installation;
use storm::wait;

pub(crate) const PASSWORD: &str = "correct horse battery";

/// A command with this on its standard input: exit status, data, notes.
pub(crate) fn piped(
    installation: &Installation,
    args: &[&str],
    input: &str,
) -> (i32, String, String) {
    let mut command = installation.command();
    command.args(args).arg("-c").arg(installation.config());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("started");
    let mut stdin = child.stdin.take().expect("piped");
    // A command that reads nothing may have ended.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("ended");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let status = output.status.code().unwrap_or(-1);
    (status, text(&output.stdout), text(&output.stderr))
}

fn json(installation: &Installation, args: &[&str]) -> Value {
    let (status, out, notes) = piped(installation, &[args, &["--json"]].concat(), "");
    assert_eq!(status, 0, "{args:?}: {notes}");
    let value: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(value["steadfast"], 1);
    value
}

/// One request to the API of sessions, as a browser on the gateway's own page sends it: status and body.
fn api(port: u16, method: &str, path: &str, credential: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    stream.set_read_timeout(Some(wait::PATIENCE)).expect("set");
    let head = format!(
        "{method} /_steadfast{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n\
         Sec-Fetch-Site: same-origin\r\n{credential}Content-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    let status = answer.split(' ').nth(1).and_then(|text| text.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |parts| parts.1);
    (
        status.expect("a status"),
        serde_json::from_str(body).unwrap_or(Value::Null),
    )
}

fn login(port: u16, password: &str) -> (u16, Value) {
    let body = format!("{{\"username\":\"ada\",\"password\":\"{password}\",\"mode\":\"bearer\"}}");
    api(port, "POST", "/login", "", &body)
}

#[test]
fn users_and_sessions_on_the_command_line_beside_a_gateway() {
    let wanted = Wanted {
        sections: "[sessions]\n",
        ..Wanted::default()
    };
    // The first user is added before anything has ever run.
    let mut installation = Installation::new(exe()).expect("a directory");
    let port = crate::harness::free_port();
    let config = wanted.config(installation.dir(), port);
    installation.configure(&config).expect("written");
    let added = piped(
        &installation,
        &["users", "add", "ada"],
        &format!("{PASSWORD}\n"),
    );
    assert_eq!(added.0, 0, "{}", added.2);
    assert_eq!(
        piped(&installation, &["users", "add", "ada"], PASSWORD).0,
        1,
        "only once"
    );
    assert_eq!(
        piped(&installation, &["users", "add", "eve"], "\n").0,
        1,
        "no password"
    );
    installation.run().expect("started");
    let mut backend = Backend {
        installation,
        port,
        config,
    };
    backend.come_up();
    let installation = &backend.installation;

    let (status, said) = login(port, PASSWORD);
    assert_eq!(status, 200, "{said}");
    let bearer = format!(
        "Authorization: Bearer {}\r\n",
        said["token"].as_str().expect("a token")
    );
    let verify = || api(port, "GET", "/verify", &bearer, "").0;
    assert_eq!(verify(), 200);

    let users = json(installation, &["users", "list"]);
    assert_eq!(users["kind"], "users");
    assert_eq!(users["users"][0]["name"], "ada");
    assert_eq!(users["users"][0]["disabled"], false);
    let listed = json(installation, &["sessions", "list"]);
    assert_eq!(listed["kind"], "sessions");
    let rows = listed["sessions"].as_array().expect("rows");
    assert_eq!(rows.len(), 1, "{listed}");
    assert_eq!(
        (&rows[0]["id"], &rows[0]["user"]),
        (&said["session"], &"ada".into())
    );
    assert!(rows[0]["seen_at_s"].as_u64() > Some(1_700_000_000));
    let text = piped(installation, &["sessions", "list"], "").1;
    assert!(
        text.starts_with(said["session"].as_str().expect("an id")),
        "{text}"
    );
    assert!(!text.contains("sf1."), "no token is shown");

    let id = said["session"].as_str().expect("an id");
    assert_eq!(piped(installation, &["sessions", "revoke", id], "").0, 0);
    assert_eq!(verify(), 401, "at the next verification");
    assert_eq!(
        piped(installation, &["sessions", "revoke", id], "").0,
        1,
        "it is over"
    );
    assert_eq!(
        piped(installation, &["sessions", "revoke", "no id"], "").0,
        1
    );

    let bearers: Vec<String> = (0..2)
        .map(|_| {
            let said = login(port, PASSWORD).1;
            format!(
                "Authorization: Bearer {}\r\n",
                said["token"].as_str().expect("a token")
            )
        })
        .collect();
    let revoked = json(installation, &["sessions", "revoke", "--user", "ada"]);
    assert_eq!(
        (&revoked["kind"], &revoked["ended"]),
        (&"revoked".into(), &2.into())
    );
    for bearer in &bearers {
        assert_eq!(api(port, "GET", "/verify", bearer, "").0, 401);
    }

    let said = login(port, PASSWORD).1;
    let bearer = format!(
        "Authorization: Bearer {}\r\n",
        said["token"].as_str().expect("a token")
    );
    assert_eq!(piped(installation, &["users", "disable", "ada"], "").0, 0);
    assert_eq!(api(port, "GET", "/verify", &bearer, "").0, 401, "disabled");
    assert_eq!(login(port, PASSWORD).0, 401);
    assert_eq!(piped(installation, &["users", "enable", "ada"], "").0, 0);
    let bearer = {
        let said = login(port, PASSWORD).1;
        format!(
            "Authorization: Bearer {}\r\n",
            said["token"].as_str().expect("a token")
        )
    };
    let another = "another long password";
    assert_eq!(
        piped(installation, &["users", "passwd", "ada"], another).0,
        0
    );
    assert_eq!(
        api(port, "GET", "/verify", &bearer, "").0,
        401,
        "another password"
    );
    assert_eq!(
        (login(port, PASSWORD).0, login(port, another).0),
        (401, 200)
    );

    let forgotten = json(installation, &["sessions", "forget-store"]);
    assert_eq!(forgotten["kind"], "store");
    let said = login(port, another).1;
    assert_eq!(said["valid"], true, "what is readable is kept: {said}");

    let bearer = format!(
        "Authorization: Bearer {}\r\n",
        said["token"].as_str().expect("a token")
    );
    let removed = json(installation, &["users", "remove", "ada"]);
    assert_eq!(
        (&removed["kind"], &removed["name"], &removed["done"]),
        (&"user".into(), &"ada".into(), &"removed".into())
    );
    assert_eq!(api(port, "GET", "/verify", &bearer, "").0, 401, "removed");
    assert_eq!(login(port, another).0, 401);
    let again = piped(installation, &["users", "remove", "ada"], "");
    assert_eq!(again.0, 1, "{again:?}");
    for secret in [PASSWORD, another, "sf1.", "argon2id"] {
        let log = installation.output();
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

/// A terminal of our own: what is typed on it, and what is seen.
struct Terminal {
    ours: std::fs::File,
    theirs: OwnedFd,
}

fn terminal() -> Terminal {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&ours).expect("granted");
    unlockpt(&ours).expect("unlocked");
    let name = ptsname(&ours, Vec::new()).expect("a name");
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    let theirs = rustix::fs::open(name.as_c_str(), flags, rustix::fs::Mode::empty());
    Terminal {
        ours: ours.into(),
        theirs: theirs.expect("opened"),
    }
}

#[test]
fn a_password_is_asked_for_twice_and_not_shown() {
    let installation = Installation::new(exe()).expect("a directory");
    let dir = installation.dir().display().to_string();
    let config = format!("[supervisord]\n[steadfast]\nstate_dir = {dir}/state\n[sessions]\n");
    installation.configure(&config).expect("written");
    for (typed, status) in [
        (["my own long password", "my own long password"], 0),
        (["my own long password", "my own lang password"], 1),
        (["\u{3}", "\u{3}"], 1),
    ] {
        let Terminal { mut ours, theirs } = terminal();
        let stdin = theirs.try_clone().expect("cloned");
        let mut command: Command = installation.command();
        command
            .args(["users", "add", "ada", "-c"])
            .arg(installation.config());
        command.stdin(stdin).stderr(theirs);
        let mut child = command.stdout(Stdio::null()).spawn().expect("started");
        let mut seen = String::new();
        let mut read = |until: &str, seen: &mut String| {
            let mut byte = [0];
            while !seen.contains(until) && matches!(ours.read(&mut byte), Ok(1)) {
                seen.push(char::from(byte[0]));
            }
            ours.try_clone().expect("cloned")
        };
        let mut typing = read("password for ada: ", &mut seen);
        typing
            .write_all(format!("{}\n", typed[0]).as_bytes())
            .expect("typed");
        if typed[0] != "\u{3}" {
            let mut typing = read("once more: ", &mut seen);
            typing
                .write_all(format!("{}\n", typed[1]).as_bytes())
                .expect("typed");
        }
        let ended = wait::until(wait::PATIENCE, || child.try_wait().expect("waited"));
        assert_eq!(ended.and_then(|it| it.code()), Some(status), "{seen}");
        assert!(!seen.contains("my own"), "it was shown: {seen}");
        let users = json(&installation, &["users", "list"]);
        let count = users["users"].as_array().map_or(0, Vec::len);
        assert_eq!(
            count, 1,
            "the first one was added, the others changed nothing"
        );
    }
}

#[test]
fn a_key_is_asked_for_and_not_shown() {
    let installation = Installation::new(exe()).expect("a directory");
    let dir = installation.dir().display().to_string();
    let config = format!(
        "[supervisord]\n[steadfast]\nstate_dir = {dir}/state\n[program:a]\ncommand = cat\nsecrets = SECRET_KEY\n"
    );
    installation.configure(&config).expect("written");
    let Terminal { mut ours, theirs } = terminal();
    let stdin = theirs.try_clone().expect("cloned");
    let mut command: Command = installation.command();
    command.args(["secrets", "set", "SECRET_KEY", "-c"]);
    command
        .arg(installation.config())
        .stdin(stdin)
        .stderr(theirs);
    let mut child = command.stdout(Stdio::null()).spawn().expect("started");
    drop(command);
    let mut seen = String::new();
    let mut byte = [0];
    while !seen.contains("value of SECRET_KEY: ") && matches!(ours.read(&mut byte), Ok(1)) {
        seen.push(char::from(byte[0]));
    }
    let key = "8d1f5b2c9a7e4630f1b8d5c2e9a6730418f5b2c9d6a3e7041b8f5c2d9e6a7304";
    ours.write_all(format!("{key}\n").as_bytes())
        .expect("typed");
    assert!(child.wait().expect("ended").success(), "{seen}");
    while matches!(ours.read(&mut byte), Ok(1)) {
        seen.push(char::from(byte[0]));
    }
    assert!(!seen.contains(key), "{seen}");
    let shown = piped(&installation, &["secrets", "show", "SECRET_KEY"], "");
    assert_eq!((shown.0, shown.1.trim()), (0, key), "{}", shown.2);
}

#[test]
fn a_key_with_two_homes_is_named_with_its_program_and_a_weak_one_is_refused() {
    let installation = Installation::new(exe()).expect("a directory");
    let dir = installation.dir().display().to_string();
    let config = format!(
        "[supervisord]\n[steadfast]\nstate_dir = {dir}/state\n[program:a]\ncommand = cat\nsecrets = SECRET_KEY\n\
         env_file = {dir}/a.env\n[program:b]\ncommand = cat\nsecrets = SECRET_KEY\nenv_file = {dir}/b.env\n\
         [program:c]\ncommand = cat\nsecrets = SECRET_KEY\nenv_file = {dir}/b.env\n"
    );
    installation.configure(&config).expect("written");
    let (first, second) = ("8d1f5b2c9a7e4630".repeat(4), "18f5b2c9d6a3e704".repeat(4));
    let say = |args: &[&str], input: &str| {
        let args: Vec<&str> = ["secrets"].iter().chain(args).copied().collect();
        piped(&installation, &args, input)
    };
    let listed = say(&["list"], "");
    assert_eq!(listed.1.lines().count(), 2, "{}", listed.1);
    assert!(!listed.1.contains("weak") && listed.1.contains("made at the first start, in"));
    for args in [
        &["set", "SECRET_KEY"][..],
        &["show", "SECRET_KEY"],
        &["import", "SECRET_KEY", "--stdin"],
    ] {
        let refused = say(args, &first);
        assert_eq!(refused.0, 2, "{}", refused.2);
        for part in ["--program a  in", "--program b  in", "for b, c", "a.env"] {
            assert!(refused.2.contains(part), "{}", refused.2);
        }
    }
    let weak = say(&["set", "SECRET_KEY", "--program", "a"], "changeme");
    assert_eq!(weak.0, 2);
    assert!(weak.2.contains("--weak"), "{}", weak.2);
    assert!(!installation.path("a.env").exists());
    for (program, value) in [("a", &first), ("c", &second)] {
        let set = say(&["set", "SECRET_KEY", "--program", program], value);
        assert_eq!(set.0, 0, "{}", set.2);
    }
    let again = say(&["set", "SECRET_KEY", "--program", "a"], &first);
    assert!(
        again.0 == 0 && again.2.contains("has this value already"),
        "{}",
        again.2
    );
    let listed = say(&["list"], "").1;
    assert!(listed.contains("signs after the next update"), "{listed}");
    for (program, value) in [("a", &first), ("b", &second)] {
        let shown = say(&["show", "SECRET_KEY", "--program", program], "");
        assert_eq!(shown.1.trim(), value, "{}", shown.2);
    }
    let nobody = say(&["show", "SECRET_KEY", "--program", "d"], "");
    assert!(
        nobody
            .2
            .contains("d does not name SECRET_KEY; those that do: a, b, c"),
        "{}",
        nobody.2
    );
    let rotated = say(&["rotate", "SECRET_KEY", "--compromised"], "");
    for file in ["a.env", "b.env"] {
        assert!(rotated.1.contains(file), "{}{}", rotated.1, rotated.2);
    }
    let forced = say(
        &["set", "SECRET_KEY", "--program", "a", "--weak"],
        "changeme",
    );
    assert_eq!(forced.0, 0, "{}", forced.2);
}
