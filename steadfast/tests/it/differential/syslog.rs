//! `stdout_syslog` and `logfile = syslog` beside the real supervisord: in a mount namespace of each side `/dev/log` is a
//! socket of the test's.

use super::{Side, both, same};
use crate::harness::{exe, head, seconds, venv};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use storm::installation::Installation;

const PROGRAMS: &str = "
[program:talks]
command = sh -c 'printf \"one\\\\n\\\\ntwo\\\\nthree\\\\n\"; echo wrong >&2; exec sleep 86497'
startsecs = 0
stdout_syslog = true
stderr_syslog = true
stdout_logfile = {dir}/talks.log
[program:plain]
command = sh -c 'echo not for the log of the system; exec sleep 86498'
startsecs = 0
stdout_logfile = {dir}/plain.log
";

/// /dev with the devices that programs need, and our socket; the true one is below it, out of the way.
const DEV: &str = "mkdir $D/dev && mount --rbind /dev $D/dev && mount -t tmpfs dev /dev && \
for each in null zero full random urandom tty; do touch /dev/$each && mount --bind $D/dev/$each /dev/$each; done && \
ln -s /proc/self/fd /dev/fd && ln -s $D/log /dev/log";

/// What comes before a line: `<14>Nov 29 11:52:00 supervisord: `.
fn message(text: &str) -> (String, String) {
    let (priority, rest) = text.split_once('>').expect("a priority");
    let (_time, rest) = rest.split_at_checked(16).expect("a time");
    (
        format!("{priority}>"),
        rest.trim_end_matches('\n').to_owned(),
    )
}

/// Starts it with a socket of ours as its `/dev/log`.
fn started(ours: bool, config: impl Fn(&Path) -> String) -> (Side, UnixDatagram) {
    let mut installation = Installation::new(Path::new("/usr/bin/unshare")).expect("a directory");
    let config = config(installation.dir());
    let dir = installation.dir().display().to_string();
    let config = config.replace("{dir}", &dir);
    installation.configure(&config).expect("written");
    let socket = UnixDatagram::bind(installation.path("log")).expect("bound");
    let patience = Some(seconds(30));
    socket.set_read_timeout(patience).expect("set");
    let command = match ours {
        true => format!("{} run", exe().display()),
        false => format!("{} -n", venv("supervisord").display()),
    };
    let conf = installation.config().display().to_string();
    let script = format!("D={dir}; {DEV} && exec {command} -c {conf}");
    let mut args = vec!["--mount", "sh", "-c", &script];
    if !rustix::process::geteuid().is_root() {
        args.splice(0..0, ["--user", "--map-root-user"]);
    }
    installation.run_with(&args).expect("unshare starts");
    let side = Side {
        installation,
        ours,
        transcript: String::new(),
    };
    (side, socket)
}

/// The next message.
fn received(side: &Side, socket: &UnixDatagram) -> (String, String) {
    let mut bytes = [0; 1024];
    let count = socket
        .recv(&mut bytes)
        .unwrap_or_else(|why| panic!("{}: {why}\n{}", side.name(), side.installation.output()));
    message(&String::from_utf8_lossy(&bytes[..count]))
}

fn play(ours: bool) -> String {
    let (mut side, socket) = started(ours, |dir| head(dir) + PROGRAMS);
    side.wait_up();
    side.settle("plain", "RUNNING");
    // Both channels have their own order; all five lines come.
    let mut messages: Vec<(String, String)> = (0..5).map(|_| received(&side, &socket)).collect();
    messages.sort();
    for (priority, text) in messages {
        side.note(&format!("{priority}{text}|"));
    }
    side.wait_file("talks.log", "three");
    side.file("talks.log");
    side.wait_file("plain.log", "log of the system");
    side.transcript
}

#[test]
fn lines_reach_the_systems_log_in_the_same_words() {
    let (real, ours) = both(play);
    assert!(real.contains("talks three|"), "{real}");
    same(&real, &ours);
}

/// The activity log in the system's: what is said from the first line to the program's RUNNING.
fn activity(ours: bool) -> String {
    let (mut side, socket) = started(ours, |dir| {
        let file = format!("logfile = {}/supervisord.log", dir.display());
        head(dir).replace(&file, "logfile = syslog")
            + "[program:plain]\ncommand = sleep 86511\nstartsecs = 0\n"
    });
    side.wait_up();
    side.settle("plain", "RUNNING");
    loop {
        let (priority, text) = received(&side, &socket);
        // Ours warns of that only under the name supervisord.
        if !text.contains("Supervisor is running as root") {
            side.note(&format!("{priority}{text}|"));
        }
        if text.contains("entered RUNNING state") {
            return side.transcript;
        }
    }
}

#[test]
fn the_activity_log_reaches_the_systems_log_in_the_same_words() {
    let (real, ours) = both(activity);
    assert!(real.contains("entered RUNNING state"), "{real}");
    same(&real, &ours);
}
