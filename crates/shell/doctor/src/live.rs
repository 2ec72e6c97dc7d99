//! The touch test: a new file beside the code must not restart anything.
//!
//! It is said before it is done; only a file of a new name is made, and it is taken away again, also if something fails. Restarts are
//! noticed by the deaths of processes themselves (pidfd), so nothing is missed between two looks.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::Io;
use crate::code::Language;
use crate::scene::http::Health;
use crate::scene::procs::{self, Proc};
use crate::scene::{Scene, Subject};

/// The slowest reloader known looks once a second and may need another second to stop what runs.
const WAIT_MS: u64 = 4_000;
/// A program whose processes stay the same for so long is not in the middle of a restart.
const SETTLE_MS: u64 = 500;
/// Looks until it is: a program that restarts all the time is tested all the same.
const SETTLE_LOOKS_MAX: usize = 10;
/// Processes that are watched.
const PROCESSES_MAX: usize = 500;

/// One program's test.
#[derive(Debug, Clone)]
pub(crate) struct Test {
    pub(crate) name: String,
    pub(crate) pid: i32,
    pub(crate) restarted: bool,
    pub(crate) up_s: u64,
}

/// What the tests showed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Live {
    pub(crate) tests: Vec<Test>,
    pub(crate) unseen: Vec<String>,
}

impl Live {
    pub(crate) fn any_restarted(&self) -> bool {
        self.tests.iter().any(|t| t.restarted)
    }

    pub(crate) fn words(&self) -> String {
        let words = self.tests.iter().map(|t| {
            if t.restarted {
                format!("{}: a new file restarted it", t.name)
            } else {
                format!(
                    "{}: pid {} stayed, up {}",
                    t.name,
                    t.pid,
                    crate::time::duration(t.up_s)
                )
            }
        });
        words.collect::<Vec<_>>().join("; ")
    }
}

/// A file that is taken away when this is dropped.
struct Touched(PathBuf);

impl Drop for Touched {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A process and a descriptor that becomes readable when it ends.
struct Watched {
    subject: usize,
    process: Proc,
    fd: OwnedFd,
}

/// The processes of every program now, once they have settled.
fn settled(scene: &Scene) -> Vec<Vec<Proc>> {
    let look = || -> Vec<Vec<Proc>> {
        let tree = |subject: &Subject| {
            let roots = subject
                .processes
                .iter()
                .filter(|p| !subject.processes.iter().any(|other| other.pid == p.parent));
            roots.flat_map(|p| procs::tree(p.pid)).collect()
        };
        scene.subjects.iter().map(tree).collect()
    };
    let pids = |all: &[Vec<Proc>]| -> Vec<i32> { all.iter().flatten().map(|p| p.pid).collect() };
    let mut before = look();
    for _ in 0..SETTLE_LOOKS_MAX {
        let watched = watch(&before);
        let dead = wait(&watched, Duration::from_millis(SETTLE_MS));
        let after = look();
        let same = dead.is_empty() && pids(&before) == pids(&after);
        before = after;
        if same {
            break;
        }
    }
    before
}

/// Descriptors that tell of the end of processes.
fn watch(all: &[Vec<Proc>]) -> Vec<Watched> {
    let mut watched = Vec::new();
    for (subject, processes) in all.iter().enumerate() {
        for process in processes {
            let fd = Pid::from_raw(process.pid)
                .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
                .filter(|_| watched.len() < PROCESSES_MAX);
            if let Some(fd) = fd {
                watched.push(Watched {
                    subject,
                    process: process.clone(),
                    fd,
                });
            }
        }
    }
    watched
}

/// Touches a new file in the directory of every running program, and sees which processes stay.
pub(crate) fn run(scene: &Scene, io: &mut Io<'_>) -> Live {
    let mut live = Live::default();
    let processes = settled(scene);
    let mut dirs: BTreeMap<PathBuf, String> = BTreeMap::new();
    for (subject, processes) in scene.subjects.iter().zip(&processes) {
        if let (Some(dir), Some(_)) = (&subject.dir, processes.first()) {
            dirs.insert(dir.clone(), file_name(subject));
        }
    }
    let mut watched = watch(&processes);
    let mut touched = Vec::new();
    for (dir, name) in &dirs {
        let path = dir.join(name);
        let _ = writeln!(
            io.err,
            "live: a new file {} for {} s, then it is taken away",
            finding::escape(&path.display().to_string()),
            WAIT_MS / 1000
        );
        match touch(&path) {
            Ok(file) => touched.push((dir.clone(), file)),
            Err(why) => live.unseen.push(format!(
                "the touch test in {} ({})",
                dir.display(),
                why.kind()
            )),
        }
    }
    let tested = |subject: &Subject| {
        touched
            .iter()
            .any(|(dir, _)| Some(dir) == subject.dir.as_ref())
    };
    watched.retain(|w| scene.subjects.get(w.subject).is_some_and(&tested));
    let dead = wait(&watched, Duration::from_millis(WAIT_MS));
    for (index, subject) in scene.subjects.iter().enumerate() {
        let now = processes.get(index).and_then(|all| all.first());
        let Some(first) = now.filter(|_| tested(subject)) else {
            continue;
        };
        let stayed = procs::read(first.pid).filter(|now| now.start_ticks == first.start_ticks);
        let lost = dead
            .iter()
            .any(|i| watched.get(*i).is_some_and(|w| w.subject == index));
        let now = sys::clock::wall_ms() / 1000;
        live.tests.push(Test {
            name: subject.name.clone(),
            pid: first.pid,
            restarted: lost || stayed.is_none(),
            up_s: now.saturating_sub(first.start_unix_s),
        });
    }
    drop(touched);
    if live.any_restarted() {
        let words =
            "which process writes the watched files (that needs fanotify and CAP_SYS_ADMIN)";
        live.unseen.push(words.to_owned());
    }
    for (subject, test) in scene
        .subjects
        .iter()
        .filter(|s| tested_by(s, &live))
        .zip(&live.tests)
    {
        if let Some(Health {
            url,
            answer: Ok(answer),
        }) = &subject.health
        {
            let _ = writeln!(
                io.err,
                "live: {}: {} answered {} in {} ms",
                finding::escape(&test.name),
                finding::escape(url),
                answer.status,
                answer.took_ms
            );
        }
    }
    live
}

fn tested_by(subject: &Subject, live: &Live) -> bool {
    live.tests.iter().any(|t| t.name == subject.name)
}

/// A name that nobody has, with the ending that a reloader of this program looks at.
fn file_name(subject: &Subject) -> String {
    let js = subject
        .app
        .files
        .iter()
        .filter(|f| f.language == Some(Language::JavaScript))
        .count();
    let py = subject
        .app
        .files
        .iter()
        .filter(|f| f.language == Some(Language::Python))
        .count();
    let ending = if js > py { "js" } else { "py" };
    format!("steadfast_touch_{}.{ending}", std::process::id())
}

fn touch(path: &Path) -> std::io::Result<Touched> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)?;
    let touched = Touched(path.to_path_buf());
    file.write_all(b"\n")?;
    Ok(touched)
}

/// Waits until the time is over; which of them ended meanwhile.
fn wait(watched: &[Watched], time: Duration) -> Vec<usize> {
    let deadline = Instant::now() + time;
    let mut dead: Vec<usize> = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let alive: Vec<usize> = (0..watched.len()).filter(|i| !dead.contains(i)).collect();
        // One death of a program is enough to know.
        if left.is_zero() || alive.is_empty() {
            return dead;
        }
        let mut fds: Vec<PollFd<'_>> = alive
            .iter()
            .map(|i| PollFd::new(&watched[*i].fd, PollFlags::IN))
            .collect();
        let timeout = Timespec::try_from(left).ok();
        match poll(&mut fds, timeout.as_ref()) {
            Ok(0) => return dead,
            Ok(_) => dead.extend(
                fds.iter()
                    .zip(&alive)
                    .filter(|(fd, _)| !fd.revents().is_empty())
                    .map(|(_, i)| *i),
            ),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return dead,
        }
        let subjects: std::collections::BTreeSet<usize> =
            watched.iter().map(|w| w.subject).collect();
        let known: std::collections::BTreeSet<usize> =
            dead.iter().map(|i| watched[*i].subject).collect();
        if subjects == known {
            return dead;
        }
    }
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pid {}", self.process.pid)
    }
}
