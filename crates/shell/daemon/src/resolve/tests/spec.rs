//! What a process is started with.

use std::path::Path;

use wire::{Address, Sink};

use super::{case, value, words};

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
