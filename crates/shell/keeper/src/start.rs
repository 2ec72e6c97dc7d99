//! From a spec to a process: words and environment of this generation, files found, descriptors placed.

use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use std::ffi::CString;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use wire::{Address, Outcome, Ready, Spec, Text};

/// What a generation got that only its start could know.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    /// Path of its Unix socket; empty = none.
    pub(crate) socket: String,
    /// Its loopback port; 0 = none.
    pub(crate) port: u16,
    /// `unix:PATH`, `tcp:HOST:PORT` or empty.
    pub(crate) address: String,
    /// NOTIFY_SOCKET; empty = none.
    pub(crate) notify: String,
}

/// The ends of the pipes that the keeper holds.
#[derive(Debug)]
pub(crate) struct Pipes {
    pub(crate) stdin: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: Option<OwnedFd>,
    pub(crate) ready: Option<OwnedFd>,
}

/// Decides the generation's address and clears the way for it: the file of a dead generation's socket is
/// removed, since most servers refuse to bind over it.
pub(crate) fn place(spec: &Spec, generation: u64) -> Result<Place, String> {
    let mut place = Place::default();
    match &spec.address {
        Address::Unknown {} => {}
        Address::GenerationSocket {} => {
            place.socket = format!("{}/{generation}.sock", spec.app_dir);
            place.address = format!("unix:{}", place.socket);
            let _ = std::fs::remove_file(&place.socket);
        }
        Address::GenerationPort {} => {
            // Reserved only for a moment: the kernel hands out another number to everybody else for a while.
            let free =
                std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
            place.port = free
                .map_err(|error| format!("no free port: {error}"))?
                .port();
            place.address = format!("tcp:127.0.0.1:{}", place.port);
        }
        Address::Unix { path } => place.address = format!("unix:{path}"),
        Address::Tcp { address } => place.address = format!("tcp:{address}"),
    }
    Ok(place)
}

fn text(text: &Text, place: &Place) -> String {
    match text {
        Text::Plain { text } => text.clone(),
        Text::Socket { before, after } => format!("{before}{}{after}", place.socket),
        Text::Port { before, after } => format!("{before}{}{after}", place.port),
    }
}

fn c_string(text: String) -> Result<CString, String> {
    CString::new(text).map_err(|_| "a NUL byte in the command or its environment".to_owned())
}

/// The file to execute, or Supervisor's words for why there is none.
pub(crate) fn find(spec: &Spec) -> Result<String, (Outcome, String)> {
    if spec.role_of_ours {
        return Ok("/proc/self/exe".into());
    }
    if !spec.unparsable.is_empty() {
        return Err((Outcome::NotExecutable, spec.unparsable.clone()));
    }
    let name = match spec.argv.first() {
        Some(first) => text(first, &Place::default()),
        None => return Err((Outcome::NoFile, "command is empty".into())),
    };
    let check = |path: &str| -> Result<(), (Outcome, String)> {
        let relative = spec.directory.as_deref().filter(|_| !path.starts_with('/'));
        let path_on_disk =
            relative.map_or_else(|| path.into(), |directory| Path::new(directory).join(path));
        match std::fs::metadata(&path_on_disk) {
            Err(_) => Err((Outcome::NoFile, format!("can't find command '{path}'"))),
            Ok(meta) if meta.is_dir() => Err((
                Outcome::NotExecutable,
                format!("command at '{path}' is a directory"),
            )),
            Ok(meta) if meta.permissions().mode() & 0o111 == 0 => Err((
                Outcome::NotExecutable,
                format!("command at '{path}' is not executable"),
            )),
            Ok(_) => Ok(()),
        }
    };
    if name.contains('/') {
        return check(&name).map(|()| name);
    }
    let path = spec
        .env
        .iter()
        .find(|(key, _)| key == "PATH")
        .map(|(_, value)| text(value, &Place::default()));
    let path = path.unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let mut best = (Outcome::NoFile, format!("can't find command '{name}'"));
    for directory in path.split(':').filter(|directory| !directory.is_empty()) {
        let candidate = format!("{directory}/{name}");
        match check(&candidate) {
            Ok(()) => return Ok(candidate),
            Err((Outcome::NotExecutable, why)) => best = (Outcome::NotExecutable, why),
            Err(_) => {}
        }
    }
    Err(best)
}

/// True for a word of a command line that names the first listener. gunicorn takes those *and* LISTEN_FDS: the same
/// descriptor twice, closed after the first time, so that it ends with "Bad file descriptor".
fn names_listener(word: &str) -> bool {
    word.ends_with(&format!("fd://{}", sys::fds::LISTEN_FDS_START))
}

/// Starts the process. Errors are Supervisor's `spawnerr` texts where it has one.
pub(crate) fn start(
    spec: &Spec,
    place: &Place,
    listeners: &[OwnedFd],
) -> Result<(i32, Pipes), String> {
    let file = find(spec).map_err(|(_, text)| text)?;
    let io = |error: std::io::Error| format!("no pipe: {error}");
    let (stdin_read, stdin_write) = sys::fds::pipe().map_err(io)?;
    // Only this end: the program's is another description.
    rustix::io::ioctl_fionbio(&stdin_write, true).map_err(|error| io(error.into()))?;
    let (stdout_read, stdout_write) = sys::fds::pipe().map_err(io)?;
    let stderr = if spec.redirect_stderr {
        None
    } else {
        Some(sys::fds::pipe().map_err(io)?)
    };
    let ready = match spec.ready {
        Ready::Descriptor { number } => Some((sys::fds::pipe().map_err(io)?, number)),
        Ready::Lived {}
        | Ready::Connect {}
        | Ready::Http { .. }
        | Ready::Tcp {}
        | Ready::Log { .. }
        | Ready::Notify {}
        | Ready::Exec { .. } => None,
    };
    let config = match spec.config.is_empty() {
        true => None,
        false => Some(
            sys::memfd::sealed("steadfast-config", &spec.config)
                .map_err(|error| format!("no memory file: {error}"))?,
        ),
    };

    let mut env = Vec::with_capacity(spec.env.len() + 4);
    for (key, value) in &spec.env {
        env.push(c_string(format!("{key}={}", text(value, place)))?);
    }
    // A FastCGI program takes connections from its standard input.
    let on_stdin = listeners.first().filter(|_| spec.socket_stdin);
    let listeners = if on_stdin.is_some() { &[] } else { listeners };
    let mut fds = Vec::new();
    for (at, listener) in listeners.iter().enumerate() {
        fds.push((listener.as_fd(), sys::fds::LISTEN_FDS_START + at as i32));
    }
    if !listeners.is_empty()
        && !spec
            .argv
            .iter()
            .any(|word| names_listener(&text(word, place)))
    {
        env.push(c_string(format!("LISTEN_FDS={}", listeners.len()))?);
        env.push(c"LISTEN_PID=".to_owned());
    }
    if let Some(config) = &config {
        let number = sys::fds::LISTEN_FDS_START + listeners.len() as i32;
        fds.push((config.as_fd(), number));
        env.push(c_string(format!("STEADFAST_CONFIG_FD={number}"))?);
    }
    if let Some(((_, write), number)) = &ready {
        fds.push((write.as_fd(), *number));
        env.push(c_string(format!("STEADFAST_READY_FD={number}"))?);
    }
    if !place.notify.is_empty() {
        env.push(c_string(format!("NOTIFY_SOCKET={}", place.notify))?);
    }
    let argv: Result<Vec<CString>, String> = spec
        .argv
        .iter()
        .map(|word| c_string(text(word, place)))
        .collect();
    let stderr_write = stderr
        .as_ref()
        .map_or(stdout_write.as_fd(), |(_, write)| write.as_fd());
    let mut exec = sys::spawn::Exec {
        file: c_string(file)?,
        argv: argv?,
        env,
        directory: spec.directory.clone().map(c_string).transpose()?,
        credentials: credentials(spec),
        umask: if spec.open_socket {
            Some(0)
        } else {
            spec.umask
        },
        standard: [
            on_stdin.map_or(stdin_read.as_fd(), AsFd::as_fd),
            stdout_write.as_fd(),
            stderr_write,
        ],
        fds,
        limits_min: (spec.min_fds, spec.min_procs),
        die_with_parent: true,
    };
    let pid = sys::spawn::spawn(&mut exec).map_err(|error| spawn_error(spec, &error))?;
    for fd in [
        Some(&stdout_read),
        stderr.as_ref().map(|(read, _)| read),
        ready.as_ref().map(|((read, _), _)| read),
    ]
    .into_iter()
    .flatten()
    {
        let _ = rustix::io::ioctl_fionbio(fd, true);
    }
    debug_assert!(stdout_read.as_raw_fd() > 2);
    Ok((
        pid,
        Pipes {
            stdin: stdin_write,
            stdout: stdout_read,
            stderr: stderr.map(|(read, _)| read),
            ready: ready.map(|((read, _), _)| read),
        },
    ))
}

/// Runs the command of `ready = exec:CMD` as the program would run; its output comes out of the pipe.
pub(crate) fn run_check(
    spec: &Spec,
    argv: &[String],
    place: &Place,
) -> Result<(i32, OwnedFd), String> {
    let io = |error: std::io::Error| format!("no pipe: {error}");
    let (read, write) = sys::fds::pipe().map_err(io)?;
    let (nothing, _) = sys::fds::pipe().map_err(io)?;
    let own = Spec {
        argv: argv.iter().map(|word| Text::from(word.as_str())).collect(),
        directory: spec.directory.clone(),
        env: spec.env.clone(),
        ..Spec::default()
    };
    let file = find(&own).map_err(|(_, text)| text)?;
    let env: Result<Vec<CString>, String> = spec
        .env
        .iter()
        .map(|(key, value)| c_string(format!("{key}={}", text(value, place))))
        .collect();
    let mut exec = sys::spawn::Exec {
        file: c_string(file)?,
        argv: argv
            .iter()
            .map(|word| c_string(word.clone()))
            .collect::<Result<_, _>>()?,
        env: env?,
        directory: spec.directory.clone().map(c_string).transpose()?,
        credentials: credentials(spec),
        umask: spec.umask,
        standard: [nothing.as_fd(), write.as_fd(), write.as_fd()],
        fds: Vec::new(),
        limits_min: (0, 0),
        die_with_parent: true,
    };
    let pid = sys::spawn::spawn(&mut exec).map_err(|error| spawn_error(&own, &error))?;
    let _ = rustix::io::ioctl_fionbio(&read, true);
    Ok((pid, read))
}

fn credentials(spec: &Spec) -> Option<sys::spawn::Become> {
    spec.credentials.as_ref().map(|user| sys::spawn::Become {
        uid: user.uid,
        gid: user.gid,
        groups: user.groups.clone(),
    })
}

fn spawn_error(spec: &Spec, error: &sys::spawn::SpawnError) -> String {
    use sys::spawn::Step;
    match error.step {
        Step::Directory => format!(
            "couldn't chdir to {}: {}",
            spec.directory.as_deref().unwrap_or(""),
            error.error
        ),
        Step::User => {
            let user = spec
                .credentials
                .as_ref()
                .map_or("", |user| user.name.as_str());
            format!("couldn't setuid to {user}: {}", error.error)
        }
        Step::Exec => format!(
            "couldn't exec {}: {}",
            text(&spec.argv[0], &Place::default()),
            error.error
        ),
        Step::Fork | Step::Session | Step::Descriptors => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(command: &str) -> Spec {
        Spec {
            argv: vec![command.into()],
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            ..Spec::default()
        }
    }

    #[test]
    fn a_listener_is_announced_once() {
        assert!(names_listener("fd://3"));
        assert!(names_listener("--bind=fd://3"));
        assert!(!names_listener("fd://30"));
        assert!(!names_listener("127.0.0.1:80"));
    }

    #[test]
    fn commands_are_found_as_supervisor_finds_them() {
        assert!(find(&spec("sh")).unwrap().ends_with("/sh"));
        let outcome = |command: &str| find(&spec(command)).unwrap_err();
        assert_eq!(
            outcome("no-such-command"),
            (
                Outcome::NoFile,
                "can't find command 'no-such-command'".into()
            )
        );
        assert_eq!(
            outcome("/etc/passwd"),
            (
                Outcome::NotExecutable,
                "command at '/etc/passwd' is not executable".into()
            )
        );
        assert_eq!(
            outcome("/etc"),
            (
                Outcome::NotExecutable,
                "command at '/etc' is a directory".into()
            )
        );
    }

    #[test]
    fn a_command_that_cannot_be_split_is_found_at_the_start() {
        let mut spec = spec("sh \"");
        spec.unparsable = "can't parse command 'sh \"': No closing quotation".into();
        let words = spec.unparsable.clone();
        assert_eq!(find(&spec), Err((Outcome::NotExecutable, words)));
    }

    #[test]
    fn socket_and_port_stand_where_the_spec_says() {
        let place = Place {
            socket: "/x/1.sock".into(),
            port: 81,
            ..Place::default()
        };
        assert_eq!(
            text(
                &Text::Socket {
                    before: "--uds=".into(),
                    after: "!".into()
                },
                &place
            ),
            "--uds=/x/1.sock!"
        );
        assert_eq!(
            text(
                &Text::Port {
                    before: "".into(),
                    after: "".into()
                },
                &place
            ),
            "81"
        );
    }
}
