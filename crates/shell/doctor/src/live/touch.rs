//! The touch test: a new file beside the code must not restart anything.
//!
//! Restarts are noticed by the deaths of processes themselves (pidfd), so nothing is missed between two looks.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use sys::named::Named;

use crate::code::Language;
use crate::scene::logs::TOUCHED;
use crate::scene::procs::{self, Proc};
use crate::scene::shown::{Test, Who};
use crate::scene::{Scene, Subject};

/// A program whose processes stay the same for so long is not in the middle of a restart.
const SETTLE_MS: u64 = 500;

/// Looks until it is: a program that restarts all the time is tested all the same.
const SETTLE_LOOKS_MAX: usize = 10;

/// Processes that are watched.
const PROCESSES_MAX: usize = 500;

/// The processes of every program of the scene.
pub(crate) type Processes = Vec<Vec<Proc>>;

/// Directories, and the name of the file that is made in each.
pub(crate) type Files = BTreeMap<PathBuf, String>;

/// A file that is taken away when this is dropped.
#[derive(Debug)]
pub(crate) struct Touched {
    dir: PathBuf,
    path: PathBuf,
}

impl Touched {
    /// Whether it lies beside the code of a program.
    pub(crate) fn is_of(&self, subject: &Subject) -> bool {
        subject.dir.as_ref() == Some(&self.dir)
    }
}

impl Drop for Touched {
    fn drop(&mut self) {
        let _ = sys::named::remove(&self.path);
    }
}

/// A process and a descriptor that becomes readable when it ends.
pub(crate) struct Watched {
    pub(crate) subject: usize,
    process: Proc,
    fd: OwnedFd,
}

/// The processes of every program now, once they have settled.
pub(crate) fn settled(scene: &Scene) -> Processes {
    let look = || -> Processes {
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
        let mut dead = Vec::new();
        wait(&watched, &mut dead, Duration::from_millis(SETTLE_MS));
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
pub(crate) fn watch(all: &[Vec<Proc>]) -> Vec<Watched> {
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

/// Where a file is made: in the directory of every program that runs.
pub(crate) fn files(scene: &Scene, processes: &Processes) -> Files {
    let mut files = Files::new();
    for (subject, processes) in scene.subjects.iter().zip(processes) {
        if let (Some(dir), Some(_)) = (&subject.dir, processes.first()) {
            files.insert(dir.clone(), file_name(subject));
        }
    }
    files
}

/// Makes them; what could not be made is not seen.
pub(crate) fn make(files: &Files) -> (Vec<Touched>, Vec<String>) {
    let (mut made, mut unseen) = (Vec::new(), Vec::new());
    for (dir, name) in files {
        match touch(dir, name) {
            Ok(file) => made.push(file),
            Err(why) => {
                let (dir, why) = (dir.display(), why.kind());
                unseen.push(format!("the touch test in {dir} ({why})"));
            }
        }
    }
    (made, unseen)
}

/// Which programs stayed.
pub(crate) fn judge(
    scene: &Scene,
    processes: &Processes,
    touched: &[Touched],
    watched: &[Watched],
    dead: &[usize],
) -> Vec<Test> {
    let mut tests = Vec::new();
    for (index, (subject, processes)) in scene.subjects.iter().zip(processes).enumerate() {
        let Some(file) = touched.iter().find(|t| t.is_of(subject)) else {
            continue;
        };
        let Some(first) = processes.first() else {
            continue;
        };
        let stayed = procs::read(first.pid).filter(|now| now.start_ticks == first.start_ticks);
        let is_of = |i: &usize| watched.get(*i).is_some_and(|w| w.subject == index);
        let now = sys::clock::wall_ms() / 1000;
        tests.push(Test {
            who: Who::of(subject),
            file: file.path.clone(),
            pid: first.pid,
            start_unix_s: first.start_unix_s,
            restarted: stayed.is_none() || dead.iter().any(is_of),
            up_before_s: scene.now_unix_s.saturating_sub(first.start_unix_s),
            up_s: now.saturating_sub(first.start_unix_s),
        });
    }
    tests
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
    format!("{TOUCHED}{}.{ending}", std::process::id())
}

fn touch(dir: &Path, name: &str) -> std::io::Result<Touched> {
    let path = dir.join(name);
    let mut file = Named::of(&path)?.create(name.as_ref(), 0o666)?;
    let touched = Touched {
        dir: dir.to_path_buf(),
        path,
    };
    file.write_all(b"\n")?;
    Ok(touched)
}

/// Waits until the time is over, and adds those that ended meanwhile to the dead.
pub(crate) fn wait(watched: &[Watched], dead: &mut Vec<usize>, time: Duration) {
    let deadline = Instant::now() + time;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        let alive: Vec<usize> = (0..watched.len()).filter(|i| !dead.contains(i)).collect();
        let mut fds: Vec<PollFd<'_>> = alive
            .iter()
            .map(|i| PollFd::new(&watched[*i].fd, PollFlags::IN))
            .collect();
        let timeout = Timespec::try_from(left).ok();
        match poll(&mut fds, timeout.as_ref()) {
            Ok(0) => return,
            Ok(_) => dead.extend(
                fds.iter()
                    .zip(&alive)
                    .filter(|(fd, _)| !fd.revents().is_empty())
                    .map(|(_, i)| *i),
            ),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// Whether every program that is watched has lost a process: one death is enough to know.
pub(crate) fn all_known(watched: &[Watched], dead: &[usize]) -> bool {
    let lost = |w: &Watched| {
        let is = |i: &usize| watched.get(*i).is_some_and(|d| d.subject == w.subject);
        dead.iter().any(is)
    };
    watched.iter().all(lost)
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pid {}", self.process.pid)
    }
}
