//! Who listens on a port: the kernel's tables of sockets (`/proc/net/tcp`, proc_pid_net(5)), compared with the descriptors of processes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::net::Ipv4Addr;

use crate::scene::procs::{FDS_MAX, Proc};

/// A table of 10,000 connections has some 1.5 MB.
const TABLE_BYTES_MAX: u64 = 8 << 20;
/// `TCP_LISTEN` (include/net/tcp_states.h).
const LISTENS: &str = "0A";

const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

fn table_of(path: &str) -> String {
    let mut text = String::new();
    if let Ok(file) = fs::File::open(path) {
        let _ = file.take(TABLE_BYTES_MAX).read_to_string(&mut text);
    }
    text
}

/// The inodes of sockets that listen on a port.
fn sockets(port: u16) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for table in TABLES {
        let text = table_of(table);
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

/// node's inspector (`--inspect`): no server.
const INSPECTOR: u16 = 9229;

/// Where these processes listen, as somebody on this machine connects to it; `None` unless it is one port.
pub(crate) fn only(processes: &[Proc]) -> Option<(String, u16)> {
    let mut listening: BTreeMap<String, (String, u16)> = BTreeMap::new();
    for table in TABLES {
        let text = table_of(table);
        listening.extend(text.lines().filter_map(|line| {
            let (host, port, inode) = listener(line)?;
            (port != INSPECTOR).then_some((inode, (host, port)))
        }));
    }
    let mut found: BTreeMap<u16, String> = BTreeMap::new();
    for inode in processes.iter().flat_map(|p| inodes(p.pid)) {
        if let Some((host, port)) = listening.get(&inode) {
            found.insert(*port, host.clone());
        }
    }
    let (port, host) = found.pop_first()?;
    found.is_empty().then_some((host, port))
}

/// The address that reaches a listener from here, its port, its inode.
fn listener(line: &str) -> Option<(String, u16, String)> {
    let (address, port) = line.split_whitespace().nth(1)?.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let inode = socket(line, port)?;
    let host = match address.len() {
        // Four bytes in the order of this machine.
        8 => {
            let bits = u32::from_str_radix(address, 16).ok()?;
            let host = Ipv4Addr::from(bits.to_ne_bytes());
            match host.is_unspecified() {
                true => Ipv4Addr::LOCALHOST,
                false => host,
            }
            .to_string()
        }
        _ if address.bytes().all(|b| b == b'0') => Ipv4Addr::LOCALHOST.to_string(),
        _ if address == "00000000000000000000000001000000" => "::1".to_owned(),
        _ => return None,
    };
    Some((host, port, inode))
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
    Some(sockets_of(fds).any(|inode| sockets.contains(&inode)))
}

/// The sockets of a process, as far as they may be seen.
fn inodes(pid: i32) -> Vec<String> {
    let fds = fs::read_dir(format!("/proc/{pid}/fd"));
    fds.map_or_else(|_| Vec::new(), |fds| sockets_of(fds).collect())
}

fn sockets_of(fds: fs::ReadDir) -> impl Iterator<Item = String> {
    let links = fds
        .take(FDS_MAX)
        .flatten()
        .filter_map(|fd| fs::read_link(fd.path()).ok());
    links.filter_map(|link| {
        let text = link.to_string_lossy().into_owned();
        Some(text.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_table() {
        let line = "   0: 0100007F:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 100 0 0 10 0";
        assert_eq!(socket(line, 8001).as_deref(), Some("4242"));
        assert_eq!(socket(line, 8002), None);
        if cfg!(target_endian = "little") {
            let want = |host: &str| Some((host.to_owned(), 8001, "4242".to_owned()));
            assert_eq!(listener(line), want("127.0.0.1"));
            let on = |address: &str| listener(&line.replace("0100007F", address));
            assert_eq!(on("00000000"), want("127.0.0.1"));
            assert_eq!(on("0200A8C0"), want("192.168.0.2"));
            assert_eq!(on("00000000000000000000000000000000"), want("127.0.0.1"));
            assert_eq!(on("00000000000000000000000001000000"), want("::1"));
        }
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
        assert_eq!(listens(std::slice::from_ref(&process), port), Some(true));
        assert_eq!(only(&[process]), Some(("127.0.0.1".to_owned(), port)));
    }
}
