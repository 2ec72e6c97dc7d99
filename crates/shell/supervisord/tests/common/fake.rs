//! A control that is a table of processes, and a server in front of it.

use std::path::Path;
use std::sync::{Arc, Mutex};

use control::{
    About, Answer, Body, Command, ConfigInfo, Control, Done, Fault, Outcome, ProcessInfo, Progress,
    Request,
};
use supervisord::{Auth, Listener};

/// How the start of a process ends, by its name.
const STARTS: [(&str, Fault, &str); 4] = [
    ("broken", Fault::NoFile, "can't find command '/nonexistent'"),
    (
        "noexec",
        Fault::NotExecutable,
        "command at '/etc/passwd' is not executable",
    ),
    ("dies", Fault::AbnormalTermination, "exited with status 3"),
    ("nospawn", Fault::SpawnError, ""),
];

pub struct Fake {
    pub state: Mutex<State>,
}

pub struct State {
    pub processes: Vec<ProcessInfo>,
    pub about: About,
    /// Everything asked but About and Status, and by whom.
    pub asked: Vec<(Command, String)>,
    /// What `reread` finds.
    pub changes: (Vec<String>, Vec<String>, Vec<String>),
    pub broken_file: Option<String>,
}

fn process(group: &str, name: &str, running: bool, pid: i32, dir: &Path) -> ProcessInfo {
    let log = |channel: &str| format!("{}/{name}-{channel}.log", dir.display());
    let mut info = ProcessInfo {
        name: name.into(),
        group: group.into(),
        now_ms: 1_700_000_100_999,
        stdout_logfile: log("stdout"),
        stderr_logfile: log("stderr"),
        ..ProcessInfo::default()
    };
    set(&mut info, running, pid);
    info
}

fn set(info: &mut ProcessInfo, running: bool, pid: i32) {
    if running {
        (info.state, info.state_code, info.pid) = ("RUNNING".into(), 20, pid);
        info.started_ms = 1_700_000_000_500;
        info.description = format!("pid {pid}, uptime 0:01:40");
    } else {
        (info.state, info.state_code, info.pid) = ("STOPPED".into(), 0, 0);
        info.description = "Not started".into();
    }
}

impl Fake {
    pub fn new(dir: &Path) -> Arc<Fake> {
        let mut processes = vec![
            process("web", "web", true, 100, dir),
            process("pair", "pair_00", true, 101, dir),
            process("pair", "pair_01", false, 0, dir),
            process("idle", "idle", false, 0, dir),
            process("broken", "broken", false, 0, dir),
            process("noexec", "noexec", false, 0, dir),
            process("dies", "dies", false, 0, dir),
            process("nospawn", "nospawn", false, 0, dir),
            process("steadfast", "gateway", true, 99, dir),
        ];
        processes[8].hidden = true;
        let logfile = dir.join("main.log").display().to_string();
        let about = About {
            root_pid: 42,
            identifier: "fake".into(),
            state: "RUNNING".into(),
            state_code: 1,
            logfile,
            ..About::default()
        };
        Arc::new(Fake {
            state: Mutex::new(State {
                processes,
                about,
                asked: vec![],
                changes: (vec!["new".into()], vec!["web".into()], vec!["idle".into()]),
                broken_file: None,
            }),
        })
    }

    pub fn asked(&self) -> Vec<(Command, String)> {
        std::mem::take(&mut self.state.lock().expect("state").asked)
    }
}

impl State {
    fn carry_out(&mut self, command: &Command) -> Done {
        match command {
            Command::About => Done::ok(Body::About(self.about.clone())),
            Command::Status { .. } => Done::ok(Body::Status {
                processes: self.processes.clone(),
                store: None,
            }),
            Command::Start { names, .. } => self.each(names, |info| {
                let special = STARTS.iter().find(|start| start.0 == info.name);
                if let Some((_, fault, text)) = special {
                    return (*fault, (*text).to_owned());
                }
                set(info, true, 200);
                (Fault::Success, String::new())
            }),
            Command::Stop { names, .. } => self.each(names, |info| {
                // RUNNING_STATES of Supervisor, or about to be started again.
                let up = matches!(info.state_code, 10 | 20 | 30) || info.name == "returns";
                set(info, false, 0);
                match up {
                    true => (Fault::Success, String::new()),
                    false => (Fault::NotRunning, "not running".into()),
                }
            }),
            Command::Signal { names, .. } => self.each(names, |_| (Fault::Success, String::new())),
            Command::Stdin { names, .. } => self.each(names, |info| match info.name.as_str() {
                "web" => (Fault::Success, String::new()),
                _ => (Fault::NoFile, "it has closed its standard input".into()),
            }),
            Command::RemoteEvent { .. } => Done::ok(Body::Nothing),
            Command::ClearLogs { main: true, .. } => {
                let _ = std::fs::write(&self.about.logfile, "");
                Done::ok(Body::Nothing)
            }
            Command::ClearLogs { names, .. } => self.each(names, |info| {
                if info.name == "dies" {
                    return (Fault::Failed, String::new());
                }
                let _ = std::fs::write(&info.stdout_logfile, "");
                (Fault::Success, String::new())
            }),
            Command::Reread => match &self.broken_file {
                Some(why) => Done::failed(2, why.clone()),
                None => Done::ok(Body::Changes {
                    added: self.changes.0.clone(),
                    changed: self.changes.1.clone(),
                    removed: self.changes.2.clone(),
                    detail: vec![],
                    findings: vec![],
                    beside: vec![],
                    outcomes: vec![],
                }),
            },
            Command::AddGroup { name } => self.group(name, |running, known| match known {
                true => Fault::AlreadyAdded,
                false if running => Fault::Failed,
                false => Fault::Success,
            }),
            Command::RemoveGroup { name } => self.group(name, |running, known| match known {
                false => Fault::BadName,
                true if running => Fault::StillRunning,
                true => Fault::Success,
            }),
            Command::Available => Done::ok(Body::Available {
                configs: vec![
                    config("web", "web", true),
                    config("new", "new", false),
                    config("pair", "pair_00", true),
                ],
            }),
            Command::Reload { .. } | Command::Shutdown => {
                self.about.state_code = -1;
                Done::ok(Body::Nothing)
            }
            other => Done::failed(2, format!("not in the table: {other:?}")),
        }
    }

    fn each(
        &mut self,
        names: &[String],
        mut act: impl FnMut(&mut ProcessInfo) -> (Fault, String),
    ) -> Done {
        let mut outcomes = vec![];
        for name in names {
            let (group, process) = name.split_once(':').unwrap_or((name, name));
            let found = self
                .processes
                .iter_mut()
                .find(|info| info.group == group && info.name == process);
            let (status, text) = match found {
                Some(info) => act(info),
                None => (Fault::BadName, String::new()),
            };
            outcomes.push(Outcome {
                name: process.into(),
                group: group.into(),
                status,
                text,
            });
        }
        Done::ok(Body::Outcomes { outcomes })
    }

    fn group(&mut self, name: &str, decide: impl Fn(bool, bool) -> Fault) -> Done {
        let members = || self.processes.iter().filter(|info| info.group == name);
        let status = decide(members().any(|info| info.pid != 0), members().count() > 0);
        let status = match name {
            "nonesuch" => Fault::BadName,
            _ => status,
        };
        let outcome = Outcome {
            name: name.into(),
            group: name.into(),
            status,
            text: String::new(),
        };
        Done::ok(Body::Outcomes {
            outcomes: vec![outcome],
        })
    }
}

fn config(group: &str, name: &str, in_use: bool) -> ConfigInfo {
    let fields = serde_json::json!({
        "command": "/bin/cat", "directory": null, "exitcodes": [0, 2], "startsecs": 5, "killasgroup": true,
    });
    ConfigInfo {
        name: name.into(),
        group: group.into(),
        in_use,
        autostart: in_use,
        group_priority: 999,
        process_priority: 10,
        fields: fields.as_object().cloned().unwrap_or_default(),
    }
}

impl Control for Fake {
    fn call<'a>(&'a self, request: Request, _progress: Progress) -> Answer<'a> {
        Box::pin(async move {
            let mut state = self.state.lock().expect("state");
            let done = state.carry_out(&request.command);
            if !matches!(request.command, Command::About | Command::Status { .. }) {
                state.asked.push((request.command, request.operator));
            }
            done
        })
    }
}

/// A server on a thread of its own, until it is dropped.
pub struct Served {
    pub fake: Arc<Fake>,
    pub dir: tempfile::TempDir,
    pub port: u16,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Served {
    /// On `DIR/s.sock` for everybody, and on a TCP port of the loopback for `auth`.
    pub fn new(auth: Auth) -> Served {
        let dir = tempfile::tempdir().expect("dir");
        let fake = Fake::new(dir.path());
        let unix = std::os::unix::net::UnixListener::bind(dir.path().join("s.sock")).expect("bind");
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = tcp.local_addr().expect("address").port();
        unix.set_nonblocking(true).expect("unix");
        tcp.set_nonblocking(true).expect("tcp");
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let control: Arc<dyn Control> = fake.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("runtime");
            runtime.block_on(async move {
                let unix = tokio::net::UnixListener::from_std(unix).expect("unix");
                let tcp = tokio::net::TcpListener::from_std(tcp).expect("tcp");
                let open = Auth::open();
                tokio::spawn(supervisord::serve(
                    Listener::Unix(unix),
                    open,
                    control.clone(),
                ));
                tokio::spawn(supervisord::serve(Listener::Tcp(tcp), auth, control));
                let _ = stopped.await;
            });
        });
        let conf = format!(
            "[supervisorctl]\nserverurl = unix://{}/s.sock\n",
            dir.path().display()
        );
        std::fs::write(dir.path().join("ctl.conf"), conf).expect("write");
        Served {
            fake,
            dir,
            port,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
