//! Commands for a running installation: ask the daemon, show the answer.

use crate::args::Command as Args;
use crate::{client, printer, views};
use control::{Body, Channel, Command, Done, ProgressLine};
use rustix::event::{PollFd, PollFlags};
use std::path::Path;

/// Lines of a log that are read for `logs`: a line is seldom longer.
const LINE_BYTES: usize = 200;

/// Root has nothing to wait for when everything has ended; seconds.
const ROOT_ENDS_S_MAX: i64 = 5;

/// Carries out one of the commands that the daemon answers. Returns the exit status.
pub(crate) fn run(args: Args, config: Option<&Path>, json: bool) -> u8 {
    match args {
        Args::Status { names, all } => show(
            ask(
                config,
                json,
                Command::Status {
                    names,
                    hidden: all || json,
                    left_out: true,
                },
            ),
            json,
            views::status,
        ),
        Args::Start { names } => show(
            ask(config, json, Command::Start { names, wait: true }),
            json,
            views::outcomes,
        ),
        Args::Stop { names } => {
            let command = Command::Stop {
                names,
                wait: true,
                window: false,
            };
            show(ask(config, json, command), json, views::outcomes)
        }
        Args::Restart { names, mode } => show(
            ask(config, json, Command::Restart { names, mode }),
            json,
            views::outcomes,
        ),
        Args::Reread => show(ask(config, json, Command::Reread), json, views::changes),
        Args::Update { groups } => show(
            ask(config, json, Command::Update { groups }),
            json,
            views::changes,
        ),
        Args::Reload { names, .. } if !names.is_empty() => show(
            ask(config, json, Command::ReloadPrograms { names }),
            json,
            views::outcomes,
        ),
        Args::Reload { all, .. } => show(
            ask(config, json, Command::Reload { all }),
            json,
            views::changes,
        ),
        Args::Metrics => show(ask(config, json, Command::Metrics), json, views::metrics),
        Args::Plan => show(ask(config, json, Command::Plan), json, views::plan),
        Args::Signal { signal, names } => show(
            ask(config, json, Command::Signal { names, signal }),
            json,
            views::outcomes,
        ),
        Args::Pid { names } if names.is_empty() => {
            show(ask(config, json, Command::About), json, views::root_pid)
        }
        Args::Pid { names } => show(
            ask(
                config,
                json,
                Command::Status {
                    names,
                    hidden: true,
                    left_out: false,
                },
            ),
            json,
            views::pids,
        ),
        Args::Shutdown => shutdown(config, json),
        Args::History { name, limit } => {
            let command = Command::History {
                name: name.unwrap_or_default(),
                limit,
            };
            show(ask(config, json, command), json, views::history)
        }
        Args::Explain { name } => explain(config, json, name),
        Args::Tail {
            name,
            channel: word,
            follow,
            stderr,
            bytes,
        } => tail(
            config,
            json,
            &name,
            channel(stderr || word.as_deref() == Some("stderr")),
            i64::from(bytes),
            follow,
        ),
        Args::Logs {
            names,
            lines,
            follow,
            main,
        } => logs(config, json, names, lines, follow, main),
        Args::Run(_)
        | Args::Check(_)
        | Args::Secrets { .. }
        | Args::Users { .. }
        | Args::Sessions { .. }
        | Args::Demo(_)
        | Args::Ctl { .. }
        | Args::Doctor { .. }
        | Args::Adopt { .. }
        | Args::Man { .. }
        | Args::Links { .. }
        | Args::Completions { .. } => {
            unreachable!("dispatched before")
        }
    }
}

/// Ends everything; programs that lost their supervisor are taken over first, so that they end in order as well.
fn shutdown(config: Option<&Path>, json: bool) -> u8 {
    let kept = rundir::Installation::kept(config);
    let find = || rundir::Installation::find(config).one().ok();
    let mut running = find();
    if let ([one], None) = (&kept[..], &running) {
        if !json {
            let name = one.name();
            printer::note(&format!(
                "the supervisor of {name} is gone, its programs are kept; taking them over to end them"
            ));
        }
        let status = crate::run::take_over(one);
        if status != 0 {
            return 2;
        }
        running = find();
    }
    // Whoever ends as PID 1 takes everybody in its container along, and us before it tells its end.
    let root = running.map(|it| it.info.root_pid).filter(|pid| *pid != 1);
    let root = root.and_then(rustix::process::Pid::from_raw);
    // Before anything ends: the number may be another's afterwards.
    let root = root.and_then(|pid| {
        rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
    });
    let done = ask(config, json, Command::Shutdown);
    let ended = done.exit == 0;
    let status = show(done, json, |_| match ended {
        true => vec!["everything has ended".into()],
        false => Vec::new(),
    });
    if let (true, Some(root)) = (ended, root) {
        // Whoever starts the next one now finds its addresses free.
        let timeout = rustix::time::Timespec {
            tv_sec: ROOT_ENDS_S_MAX,
            tv_nsec: 0,
        };
        let mut fds = [PollFd::new(&root, PollFlags::IN)];
        let _ended_or_late = rustix::event::poll(&mut fds, Some(&timeout));
    }
    status
}

/// `secrets rotate`, carried out by the daemon.
pub(crate) fn rotate(config: Option<&Path>, json: bool, command: Command) -> u8 {
    show(ask(config, json, command), json, views::rotated)
}

fn channel(stderr: bool) -> Channel {
    if stderr {
        Channel::Stderr
    } else {
        Channel::Stdout
    }
}

/// Asks; progress goes to stderr unless a machine reads.
fn ask(config: Option<&Path>, json: bool, command: Command) -> Done {
    client::call(config, command, |line: &ProgressLine| {
        if !json {
            printer::note(&views::progress(line));
        }
    })
}

/// Prints an answer and returns its exit status.
fn show(done: Done, json: bool, text: impl Fn(&Body) -> Vec<String>) -> u8 {
    if json {
        let kind = match views::kind(&done.body) {
            "nothing" if done.exit != 0 => "error",
            "nothing" => "done",
            kind => kind,
        };
        let mut value = serde_json::to_value(&done.body).unwrap_or_default();
        if let Some(fields) = value.as_object_mut() {
            fields.insert("exit".into(), done.exit.into());
            if !done.error.is_empty() {
                fields.insert("error".into(), done.error.clone().into());
            }
        }
        printer::json(kind, value);
        return done.exit;
    }
    text(&done.body).iter().for_each(|line| printer::out(line));
    if !done.error.is_empty() && !views::says_what_failed(&done.body) {
        printer::error(&done.error);
    }
    done.exit
}

fn explain(config: Option<&Path>, json: bool, name: String) -> u8 {
    let status = ask(
        config,
        json,
        Command::Status {
            names: vec![name.clone()],
            hidden: true,
            left_out: false,
        },
    );
    let Body::Status { processes, .. } = &status.body else {
        return show(status, json, |_| Vec::new());
    };
    let Some(info) = processes.first().cloned() else {
        return show(status, json, |_| Vec::new());
    };
    let history = ask(
        config,
        json,
        Command::History {
            name: views::label(&info.group, &info.name),
            limit: 1000,
        },
    );
    show(history, json, |body| views::explain(&info, body))
}

fn read(config: Option<&Path>, json: bool, name: &str, channel: Channel, bytes: i64) -> Done {
    let command = Command::ReadLog {
        name: name.into(),
        channel,
        offset: 0,
        length: bytes,
        tail: true,
    };
    ask(config, json, command)
}

fn tail(
    config: Option<&Path>,
    json: bool,
    name: &str,
    channel: Channel,
    bytes: i64,
    follow: bool,
) -> u8 {
    let done = read(config, json, name, channel, bytes);
    let Body::Log { text, path, .. } = &done.body else {
        return show(done, json, |_| Vec::new());
    };
    if json {
        return show(done.clone(), true, |_| Vec::new());
    }
    printer::raw(text.as_bytes());
    if follow {
        return crate::follow::follow(Path::new(path));
    }
    done.exit
}

fn logs(
    config: Option<&Path>,
    json: bool,
    mut names: Vec<String>,
    lines: usize,
    follow: bool,
    main: bool,
) -> u8 {
    if main {
        names = vec![String::new()];
    } else if names.is_empty() || names.iter().any(|name| name == "all") {
        let done = ask(
            config,
            json,
            Command::Status {
                names: Vec::new(),
                hidden: false,
                left_out: false,
            },
        );
        let Body::Status { processes, .. } = &done.body else {
            return show(done, json, |_| Vec::new());
        };
        names = processes
            .iter()
            .map(|process| views::label(&process.group, &process.name))
            .collect();
    }
    let single = names.len() == 1;
    let bytes = i64::try_from(lines.saturating_mul(LINE_BYTES)).unwrap_or(i64::MAX);
    let mut rows: Vec<serde_json::Value> = Vec::new();
    let mut exit = 0;
    let mut last_path = String::new();
    for name in &names {
        let done = read(config, json, name, Channel::Stdout, bytes);
        let Body::Log { text, path, .. } = &done.body else {
            exit = exit.max(show(done, json, |_| Vec::new()));
            continue;
        };
        last_path.clone_from(path);
        let errors = match main {
            true => None,
            false => Some(read(config, json, name, Channel::Stderr, bytes)),
        };
        // Its own log of standard error, if it has one: what a crash says stands there.
        let errors = match errors.as_ref().map(|done| &done.body) {
            Some(Body::Log { text, .. }) => text.as_str(),
            _ => "",
        };
        if json {
            rows.push(
                serde_json::json!({ "name": name, "path": path, "stdout": text, "stderr": errors }),
            );
            continue;
        }
        let all: Vec<&str> = text.lines().collect();
        let bad: Vec<&str> = errors.lines().collect();
        let ends = [&all, &bad].map(|part| &part[part.len().saturating_sub(lines)..]);
        for line in ends.concat() {
            printer::out(&if single {
                line.to_owned()
            } else {
                format!("{name}  {line}")
            });
        }
    }
    if json && exit == 0 {
        printer::json("logs", serde_json::json!({ "logs": rows, "exit": exit }));
    }
    if follow && single && !json && !last_path.is_empty() {
        return crate::follow::follow(Path::new(&last_path));
    }
    exit
}
