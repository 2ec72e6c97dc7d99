//! Processes: what they were started with, since when, as whom, and what they have open. Any of it may be gone or hidden.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::model::Env;

/// Bytes of a command line or an environment that are read: the kernel allows 2 MiB, people write some hundred.
const ARGS_BYTES_MAX: u64 = 256 << 10;
/// Processes of one program.
pub(crate) const TREE_MAX: usize = 200;
/// Descriptors of one process that are looked at.
pub(crate) const FDS_MAX: usize = 4_096;

/// A process.
#[derive(Debug, Clone)]
pub(crate) struct Proc {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) argv: Vec<String>,
    /// `None` if it may not be read.
    pub(crate) env: Option<Env>,
    pub(crate) cwd: Option<PathBuf>,
    pub(crate) uid: u32,
    pub(crate) start_unix_s: u64,
    pub(crate) start_ticks: u64,
    /// Descriptors in use; `None` if they may not be seen.
    pub(crate) fds: Option<usize>,
    /// The soft limit of descriptors.
    pub(crate) fds_max: Option<usize>,
}

/// Reads a process; `None` if it is gone.
pub(crate) fn read(pid: i32) -> Option<Proc> {
    let stat = sys::proc::stat(pid).filter(|stat| stat.state != 'Z')?;
    let dir = format!("/proc/{pid}");
    let argv = words(&bytes(&format!("{dir}/cmdline"))?);
    let env = bytes(&format!("{dir}/environ")).map(|b| variables(&b));
    let fds = fs::read_dir(format!("{dir}/fd"))
        .ok()
        .map(|d| d.take(FDS_MAX).count());
    Some(Proc {
        pid,
        parent: stat.parent,
        argv,
        env: env.filter(|e| !e.is_empty() || fds.is_some()),
        cwd: fs::read_link(format!("{dir}/cwd")).ok(),
        uid: fs::metadata(&dir).ok()?.uid(),
        start_unix_s: boot_unix_s()? + stat.start_ticks / TICKS_PER_S,
        start_ticks: stat.start_ticks,
        fds,
        fds_max: limit(&dir),
    })
}

/// A process and those below it, parents first.
pub(crate) fn tree(pid: i32) -> Vec<Proc> {
    let mut found: Vec<Proc> = read(pid).into_iter().collect();
    if !found.is_empty() {
        let below = sys::proc::descendants(pid, TREE_MAX);
        found.extend(below.into_iter().filter_map(|stat| read(stat.pid)));
    }
    found
}

fn bytes(path: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).ok()?;
    file.take(ARGS_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn words(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    text.trim_end_matches('\0')
        .split('\0')
        .map(str::to_owned)
        .filter(|_| !text.is_empty())
        .collect()
}

fn variables(bytes: &[u8]) -> Env {
    words(bytes)
        .iter()
        .filter_map(|word| word.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect::<BTreeMap<_, _>>()
}

fn limit(dir: &str) -> Option<usize> {
    let text = fs::read_to_string(format!("{dir}/limits")).ok()?;
    let line = text.lines().find(|l| l.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

/// When this machine started, in seconds since 1970.
pub(crate) fn boot_unix_s() -> Option<u64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}

/// The kernel's USER_HZ: 100 on every architecture that we run on (include/asm-generic/param.h).
const TICKS_PER_S: u64 = 100;
