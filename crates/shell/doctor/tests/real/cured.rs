//! Development mode, found and mended by what the report says.

use std::fs;
use std::process::Command;

use crate::apps::{ASGI, DJANGO, FLASK, NODE, VITE, WSGI, key, npm};
use crate::common::site::{Site, until, venv};
use crate::{cure, healthy, stays, touch};

#[test]
fn the_story_uvicorn_reload_under_the_real_supervisord() {
    let command = format!(
        "{} server:app --host 127.0.0.1 --port PORT --workers 1 --reload",
        venv("uvicorn")
    );
    let site = Site::new(&command, &key(), &[("server.py", ASGI)]);
    until("it watches", || {
        site.logs()
            .contains("Started reloader process")
            .then_some(())
    });
    touch(&site, "server.py", "detected changes in 'server.py'");
    let report = site.report(&[]);
    let first = &report["findings"][0];
    // The root cause first, the flag underlined, the watches proved, the file named.
    assert_eq!(
        (&first["code"], &first["certainty"]),
        (&"SF101".into(), &"proved".into()),
        "{}",
        site.text()
    );
    let text = site.text();
    let lines: Vec<&str> = text.lines().collect();
    let marked = lines
        .iter()
        .position(|l| l.contains("^^^^^^^^") && !l.contains("^^^^^^^^^"))
        .expect("a mark");
    let at = lines[marked]
        .chars()
        .position(|c| c == '^')
        .expect("a mark");
    let under: String = lines[marked - 1].chars().skip(at).take(8).collect();
    assert_eq!(under, "--reload", "{text}");
    assert!(
        text.contains(&format!("pid {} has it in argv and watches ", site.pid())),
        "{text}"
    );
    // As the story tells it, in one line.
    let line = text.lines().find(|l| l.contains("has it in argv"));
    let line = line.expect("the evidence").trim();
    let rest = line.strip_prefix(&format!("pid {} has it in argv and watches ", site.pid()));
    let (watched, rest) = rest.and_then(|r| r.split_once(" paths; ")).expect(line);
    let (restarts, last) = rest
        .split_once(" restarts in 24 h, ")
        .or_else(|| rest.split_once(" restart in 24 h, "))
        .expect(line);
    assert!(watched.parse::<u32>().is_ok_and(|n| n > 0), "{line}");
    assert!(restarts.parse::<u32>().is_ok_and(|n| n > 0), "{line}");
    assert_eq!(last, "the last by server.py");
    assert!(
        text.contains("users: connections break and people are signed out at every file change"),
        "{text}"
    );
    let moved = site.report(&["--live"]);
    let list = moved["checklist"].as_array().expect("a checklist");
    assert!(
        list.iter()
            .any(|p| p["name"] == "file changes do not restart" && p["state"] == "no"),
        "{moved}"
    );
    let shaken = moved["findings"].as_array().expect("findings").iter();
    let mut shaken = shaken.filter(|f| f["code"] == "SF513" && f["follows"] == "SF101");
    assert!(shaken.next().is_some(), "{moved}");
    assert!(
        site.text().contains("the last by server.py"),
        "our own file is no evidence"
    );

    let before = fs::read_to_string(site.path("supervisord.conf")).expect("is read");
    let old = site.pid();
    cure(&site, "SF101");
    let since = &site.report(&[])["since_fix"][0];
    assert_eq!(
        (
            since["before"]["pid"].as_i64(),
            since["now"]["pid"].as_i64()
        ),
        (Some(old.into()), Some(site.pid().into())),
        "{since}"
    );
    assert!(
        since["before"]["watches"].as_u64() > Some(0) && since["now"]["watches"] == 0,
        "{since}"
    );
    assert!(
        since["before"]["argv"]
            .as_str()
            .is_some_and(|a| a.contains("--reload")),
        "{since}"
    );
    let after = fs::read_to_string(site.path("supervisord.conf")).expect("is read");
    assert_eq!(after, before.replace(" --reload", ""));
    healthy(&site);
}

#[test]
fn gunicorn_reload() {
    let command = format!(
        "{} server:app --bind 127.0.0.1:PORT --workers 2 --reload --reload-engine poll",
        venv("gunicorn")
    );
    let site = Site::new(&command, &key(), &[("server.py", WSGI)]);
    touch(&site, "server.py", "Worker reloading");
    assert!(site.text().contains("the last by"), "{}", site.text());
    cure(&site, "SF101");
    healthy(&site);
}

#[test]
fn flask_debug() {
    let command = format!(
        "{} --app server run --host 127.0.0.1 --port PORT --debug",
        venv("flask")
    );
    let site = Site::new(&command, "", &[("server.py", FLASK)]);
    until("the reloader runs", || {
        site.logs().contains("Restarting with").then_some(())
    });
    touch(&site, "server.py", "Detected change in");
    let report = site.report(&[]);
    assert_eq!(report["findings"][0]["code"], "SF104", "{}", site.text());
    assert!(site.text().contains("WERKZEUG_RUN_MAIN"), "{}", site.text());
    cure(&site, "SF104");
    // A development server remains one, and stays at a touch.
    stays(&site, &["SF103"], &[]);
    let line = format!(
        "{} --threads 8 --bind 127.0.0.1:{} server:app",
        venv("gunicorn"),
        site.port
    );
    replaced(&site, "SF103", &line);
    healthy(&site);
}

/// The line that is advised takes the place of the command; then the owner's command runs.
fn replaced(site: &Site, code: &str, line: &str) {
    let finding = site.finding(code);
    let fix = finding["fix"].as_str().expect("a fix");
    let (write, command) = fix.split_once("; then ").expect("two steps");
    assert_eq!(write, format!("write: command = {line}"));
    let text = fs::read_to_string(site.config()).expect("is read");
    let is_command = |l: &&str| l.starts_with("command = ");
    let old = text.lines().find(is_command).expect("a command");
    let text = text.replace(old, &format!("command = {line}"));
    fs::write(site.config(), text).expect("written");
    let before = site.pid();
    let status = Command::new("sh").args(["-c", command]).status();
    assert!(status.expect("sh runs").success(), "{command}");
    until("a new process", || (site.pid() != before).then_some(()));
    site.answers();
}

#[test]
fn django_runserver() {
    let command = format!("{} manage.py runserver 127.0.0.1:PORT", venv("python"));
    let site = Site::new(
        &command,
        "environment = PYTHONUNBUFFERED=\"1\"\n",
        &[("manage.py", DJANGO)],
    );
    touch(&site, "manage.py", "changed, reloading");
    assert!(site.text().contains("the last by"), "{}", site.text());
    cure(&site, "SF101");
    stays(&site, &["SF103"], &["--ignore", "SF210,SF203"]);
}

#[test]
fn node_watch() {
    let site = Site::new(
        "sh -c \"BIND=PORT exec node --watch server.js\"",
        "",
        &[("server.js", NODE)],
    );
    let finding = site.finding("SF101");
    assert_eq!(finding["certainty"], "proved");
    touch(&site, "server.js", "Restarting 'server.js'");
    assert!(
        site.text().contains("the last by server.js"),
        "{}",
        site.text()
    );
    cure(&site, "SF101");
    healthy(&site);
}

#[test]
fn nodemon() {
    let command = format!("env BIND=PORT {} server.js", npm("nodemon"));
    let site = Site::new(&command, "", &[("server.js", NODE)]);
    let before = site.logs().matches("restarting due to changes").count();
    assert_eq!(before, 0);
    touch(&site, "server.js", "restarting due to changes");
    let report = site.report(&[]);
    assert_eq!(report["findings"][0]["code"], "SF102", "{}", site.text());
    cure(&site, "SF102");
    healthy(&site);
}

#[test]
fn vite() {
    let command = format!("{} --host 127.0.0.1 --port PORT --strictPort", npm("vite"));
    let site = Site::new(&command, "", VITE);
    let finding = site.finding("SF103");
    assert_eq!(finding["certainty"], "proved");
    assert!(site.text().contains("watches "), "{}", site.text());
    // What is printed builds the app first.
    assert!(
        finding["command"]
            .as_str()
            .is_some_and(|c| c.contains("vite build) && ")),
        "{finding}"
    );
    cure(&site, "SF103");
    let text = fs::read_to_string(site.path("supervisord.conf")).expect("is read");
    assert!(
        text.contains("vite preview --host 127.0.0.1 --port "),
        "{text}"
    );
    healthy(&site);
}
