//! Who listens on a port: the kernel's tables of sockets (`/proc/net/tcp`, proc_pid_net(5)), compared with the descriptors of processes.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;

use crate::scene::procs::{FDS_MAX, Proc};

/// A table of 10,000 connections has some 1.5 MB.
const TABLE_BYTES_MAX: u64 = 8 << 20;
/// `TCP_LISTEN` (include/net/tcp_states.h).
const LISTENS: &str = "0A";

/// The inodes of sockets that listen on a port.
fn sockets(port: u16) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let mut text = String::new();
        let Ok(file) = fs::File::open(table) else {
            continue;
        };
        let _ = file.take(TABLE_BYTES_MAX).read_to_string(&mut text);
        found.extend(text.lines().filter_map(|line| socket(line, port)));
    }
    found
}

/// The inode of a line, if it listens on the port.
fn socket(line: &str, port: u16) -> Option<String> {
    let mut fields = line.split_whitespace().skip(1);
    let (_, hex) = fields.next()?.rsplit_once(':')?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?;
    let same = u16::from_str_radix(hex, 16).ok()? == port;
    (same && state == LISTENS).then(|| inode.to_owned())
}

/// Whether one of these processes listens on a port; `None` if that cannot be seen.
pub(crate) fn listens(processes: &[Proc], port: u16) -> Option<bool> {
    let sockets = sockets(port);
    let mut seen = false;
    for process in processes {
        match holds(process.pid, &sockets) {
            Some(true) => return Some(true),
            Some(false) => seen = true,
            None => {}
        }
    }
    seen.then_some(false)
}

/// The process that listens on a port, if it can be seen.
pub(crate) fn holder(port: u16) -> Option<i32> {
    let sockets = sockets(port);
    if sockets.is_empty() {
        return None;
    }
    let mut pids = sys::proc::pids().into_iter();
    pids.find(|pid| holds(*pid, &sockets) == Some(true))
}

fn holds(pid: i32, sockets: &BTreeSet<String>) -> Option<bool> {
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let links = fds
        .take(FDS_MAX)
        .flatten()
        .filter_map(|fd| fs::read_link(fd.path()).ok());
    let mut inodes = links.filter_map(|link| {
        let text = link.to_string_lossy().into_owned();
        Some(text.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
    });
    Some(inodes.any(|inode| sockets.contains(&inode)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_table() {
        let line = "   0: 0100007F:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 100 0 0 10 0";
        assert_eq!(socket(line, 8001).as_deref(), Some("4242"));
        assert_eq!(socket(line, 8002), None);
        assert_eq!(socket(&line.replace(" 0A ", " 01 "), 8001), None);
        assert_eq!(socket("  sl  local_address rem_address", 1), None);
    }

    #[test]
    fn this_process_is_the_holder_of_its_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = listener.local_addr().expect("bound").port();
        let own = i32::try_from(std::process::id()).expect("a pid");
        assert_eq!(holder(port), Some(own));
        let process = crate::scene::procs::read(own).expect("runs");
        assert_eq!(listens(&[process], port), Some(true));
    }
}
