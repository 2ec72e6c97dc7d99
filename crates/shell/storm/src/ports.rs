//! Ports for those who start a server and must tell it where: free now, and nobody else's until this process ends.
//!
//! What the kernel gives for port 0 is free only until it gives it again, to another test or as the own end of some
//! connection. These lie below the range that it gives from, and each is held by a name among the abstract sockets:
//! they live in the same network namespace as ports do, and end with the process.

use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::{Mutex, PoisonError};

/// Below Linux's own range (32768 to 60999), above what services are usually given.
const FIRST: u16 = 20_000;
const COUNT: u32 = 12_000;

static HELD: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// A port that this process may use; None if all are taken.
pub fn free() -> Option<u16> {
    // Each process begins elsewhere, so that it seldom meets what another one holds.
    let start = std::process::id().wrapping_mul(37);
    (0..COUNT).find_map(|step| {
        let offset = u16::try_from(start.wrapping_add(step) % COUNT).ok()?;
        take(FIRST + offset)
    })
}

fn take(port: u16) -> Option<u16> {
    let name = SocketAddr::from_abstract_name(format!("steadfast-port-{port}")).ok()?;
    let held = UnixListener::bind_addr(&name).ok()?;
    // On every address: a server on 0.0.0.0 would be in the way of one on 127.0.0.1, and the other way round.
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).ok()?;
    let mut all = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    all.push(held);
    Some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_and_one_in_use_never() {
        let (first, second) = (free().expect("a port"), free().expect("a port"));
        assert_ne!(first, second);
        assert_eq!(take(first), None, "held by its name");
        let used = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).expect("nobody has it");
        HELD.lock().expect("not poisoned").clear();
        assert_eq!(take(first), None, "somebody listens");
        drop(used);
    }
}
