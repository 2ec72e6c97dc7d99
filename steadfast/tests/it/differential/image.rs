//! A typical image: nginx before gunicorn and a worker in the manner of celery, logs on `/dev/stdout`, supervisord as
//! PID 1 by `CMD ["supervisord", "-n", "-c", …]`. Run by the real supervisord and by ours.

use super::started::{Started, both};
use crate::harness::{eventually, free_port, seconds, venv, workspace};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::thread::JoinHandle;
use storm::wait::PATIENCE;

const SUPERVISORD: &str = "[supervisord]
nodaemon = true
user = root
logfile = /dev/null
logfile_maxbytes = 0
pidfile = {dir}/var/run/supervisord.pid

[unix_http_server]
file = {dir}/var/run/supervisor.sock

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl = unix://{dir}/var/run/supervisor.sock

[include]
files = conf.d/*.conf
";

const PROGRAMS: &str = "[program:nginx]
command = nginx -p {dir} -c {dir}/etc/nginx/nginx.conf -g \"daemon off;\"
priority = 30
stdout_logfile = /dev/stdout
stdout_logfile_maxbytes = 0
stderr_logfile = /dev/stderr
stderr_logfile_maxbytes = 0
startsecs = 0
stopsignal = QUIT

[program:web]
command = {gunicorn} wsgi:app --bind unix:{dir}/var/run/web.sock --workers 2 --access-logfile -
directory = {apps}
environment = EFFECT_LOG=\"{dir}/var/effects.log\",PYTHONDONTWRITEBYTECODE=\"1\"
priority = 10
stdout_logfile = /dev/stdout
stdout_logfile_maxbytes = 0
redirect_stderr = true
startsecs = 0

[program:worker]
command = {python} -u {dir}/app/worker.py
process_name = %(program_name)s_%(process_num)02d
numprocs = 2
priority = 20
stdout_logfile = /dev/stdout
stdout_logfile_maxbytes = 0
redirect_stderr = true
startsecs = 0
stopwaitsecs = 10
";

const NGINX: &str = "worker_processes 1;
pid {dir}/var/run/nginx.pid;
error_log stderr;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path {dir}/var/tmp; proxy_temp_path {dir}/var/tmp;
    fastcgi_temp_path {dir}/var/tmp; uwsgi_temp_path {dir}/var/tmp; scgi_temp_path {dir}/var/tmp;
    server {
        listen 127.0.0.1:{port};
        location / { proxy_pass http://unix:{dir}/var/run/web.sock; }
    }
}
";

/// Warm shutdown as celery has it: what is on its way is finished first.
const WORKER: &str = "import signal, sys, time
stopping = False
def stop(signum, frame):
    global stopping
    stopping = True
    print('worker: Warm shutdown (MainProcess)')
signal.signal(signal.SIGTERM, stop)
print('worker: ready.')
while not stopping:
    time.sleep(0.1)
print('worker: done')
";

struct Container {
    child: Child,
    /// Ends when nobody is left who could write.
    copied: JoinHandle<std::io::Result<u64>>,
}

impl Container {
    /// Its exit status, once all that it said is in the file.
    fn end(mut self) -> Option<i32> {
        let status = self.child.wait().expect("ends");
        self.copied.join().expect("no panic").expect("copied");
        status.code()
    }
}

impl Started {
    fn image(&self, port: u16) {
        std::fs::create_dir_all(self.path("var/run")).expect("made");
        std::fs::create_dir_all(self.path("var/tmp")).expect("made");
        let fill = |text: &str| {
            text.replace("{port}", &port.to_string())
                .replace("{gunicorn}", &venv("gunicorn").display().to_string())
                .replace("{python}", &venv("python").display().to_string())
                .replace(
                    "{apps}",
                    &workspace()
                        .join("steadfast/tests/apps")
                        .display()
                        .to_string(),
                )
        };
        self.write("etc/supervisor/supervisord.conf", SUPERVISORD);
        self.write("etc/supervisor/conf.d/app.conf", &fill(PROGRAMS));
        self.write("etc/nginx/nginx.conf", &fill(NGINX));
        self.write("app/worker.py", WORKER);
    }

    /// The container: supervisord is PID 1 of it.
    fn contain(&self) -> Container {
        // A pipe, as a container runtime has it: a file would be opened anew by each program and written over.
        let (mut read, write) = std::io::pipe().expect("a pipe");
        let mut out = std::fs::File::create(self.path("out")).expect("made");
        let copied = std::thread::spawn(move || std::io::copy(&mut read, &mut out));
        let supervisord = self.path("bin/supervisord");
        let supervisord = supervisord.display().to_string();
        let mut args = vec!["--pid", "--fork", "--mount-proc", "--kill-child=KILL"];
        if !rustix::process::geteuid().is_root() {
            args.splice(0..0, ["--user", "--map-root-user"]);
        }
        let mut command = std::process::Command::new("unshare");
        let child = command
            .args(args)
            .args([&supervisord, "-n", "-c", "etc/supervisor/supervisord.conf"])
            .current_dir(self.path("."))
            .env("STEADFAST_RUN_DIR", self.path("run"))
            .env(
                "PATH",
                format!(
                    "/usr/sbin:/sbin:{}",
                    std::env::var("PATH").unwrap_or_default()
                ),
            )
            .stdin(Stdio::null())
            .stderr(write.try_clone().expect("a second handle"))
            .stdout(write)
            .spawn()
            .expect("unshare runs");
        Container { child, copied }
    }

    fn ctl(&self, words: &[&str]) -> String {
        let mut args = vec!["-c", "etc/supervisor/supervisord.conf"];
        args.extend(words);
        let output = self.command("supervisorctl", &args).output().expect("runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until so many workers said that they are ready.
    fn ready(&self, count: usize) {
        let there = storm::wait::until(PATIENCE, || {
            let text = self.read("out");
            (text.matches("worker: ready.").count() >= count).then_some(())
        });
        assert!(
            there.is_some(),
            "ours: {}, not {count} yet:\n{}",
            self.ours,
            self.read("out")
        );
    }

    /// Waits until every process has this state.
    fn all(&self, state: &str) {
        eventually(&format!("all {state}"), seconds(40), || {
            let told = self.ctl(&["status"]);
            let lines: Vec<&str> = told.lines().collect();
            let fits = |line: &&str| line.split_whitespace().nth(1) == Some(state);
            (lines.len() == 4 && lines.iter().all(fits)).then_some(())
        });
    }
}

/// The status of the page behind nginx.
fn page(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream
        .write_all(b"GET /api/health HTTP/1.0\r\nHost: x\r\n\r\n")
        .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.split_whitespace().nth(1).map(str::to_owned)
}

/// Lines of the container's output that a person looks for, each as often as it is there; what is said again while
/// something takes its time counts once.
fn told(text: &str) -> String {
    let looked_for = [
        "worker: ready.",
        "worker: Warm shutdown (MainProcess)",
        "worker: done",
        "INFO Included extra file",
        "INFO supervisord started with pid 1",
        "WARN received SIGTERM indicating exit request",
        "to die",
        "INFO stopped: worker_00 (exit status 0)",
        "INFO stopped: worker_01 (exit status 0)",
        "INFO stopped: web (exit status 0)",
        "INFO stopped: nginx (exit status 0)",
        "Starting gunicorn",
        "Listening at: unix:",
        "\"GET /api/health HTTP/1.0\" 200",
    ];
    let again = ["to die", "\"GET /api/health HTTP/1.0\" 200"];
    let count = |words: &&str| {
        let most = if again.contains(words) { 1 } else { usize::MAX };
        format!("{words}: {}\n", text.matches(*words).count().min(most))
    };
    looked_for.iter().map(count).collect()
}

#[test]
fn a_typical_image_runs_the_same_under_both() {
    let ports = [free_port(), free_port()];
    both(|side| {
        let port = ports[usize::from(side.ours)];
        side.image(port);
        let container = side.contain();
        eventually("supervisorctl is answered", seconds(30), || {
            side.ctl(&["version"]).starts_with("4.3.0").then_some(())
        });
        side.all("RUNNING");
        let answered = eventually("a page", seconds(30), || {
            page(port).filter(|status| status == "200")
        });
        side.note(&format!("the page: {answered}"));
        let status = side.ctl(&["status"]);
        side.note(&status);
        let pid = side.ctl(&["pid"]);
        side.note(&format!("it is PID {}", pid.trim()));
        side.ready(2);
        // A worker that is killed comes back, one that is restarted by hand finishes its work first.
        let before = side.ctl(&["pid", "worker:worker_00"]);
        side.ctl(&["signal", "KILL", "worker:worker_00"]);
        eventually("another worker", seconds(20), || {
            let pid = side.ctl(&["pid", "worker:worker_00"]);
            (pid != before && pid.trim() != "0").then_some(())
        });
        side.ready(3);
        let restarted = side.ctl(&["restart", "worker:worker_01"]);
        side.note(&restarted);
        side.ready(4);
        // `docker stop`.
        let inner = eventually("PID 1", seconds(5), || {
            let children = std::fs::read_to_string(format!(
                "/proc/{0}/task/{0}/children",
                container.child.id()
            ));
            children.ok()?.trim().parse::<i32>().ok()
        });
        let inner = rustix::process::Pid::from_raw(inner).expect("a pid");
        rustix::process::kill_process(inner, rustix::process::Signal::TERM).expect("signalled");
        let status = container.end();
        side.note(&format!("the container ends with {status:?}"));
        let output = told(&side.read("out"));
        side.note(&output);
        assert!(output.contains("worker: done: 3"), "{}", side.read("out"));
        side.note(&format!("the page afterwards: {:?}", page(port)));
    });
}
