//! Listening sockets: bound here and nowhere else, once, and then handed on.
//!
//! SO_REUSEADDR so that a restart of everything does not wait for TIME_WAIT; never SO_REUSEPORT, since closing one of
//! several such sockets resets what is queued on it. TCP_NODELAY is set on the listener because accepted sockets inherit
//! it and servers that take the listener by `--fd` do not set it (measured: a quarter of the throughput otherwise).

use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

/// What the key of a FastCGI program's socket begins with.
const FASTCGI: &str = "fcgi";
/// Backlog without `socket_backlog`: as Supervisor, as many as the system allows (listen(2) cuts it).
const SOMAXCONN: i32 = 4096;
/// Connections that may wait for accept. A restart of 2 s at 1000 new connections a second fits.
const BACKLOG: i32 = 4096;
/// Processes that are looked through for the holder of a port; more would make a failed start slow.
const PROCESSES_MAX: usize = 20_000;

/// Binds `key`: `HOST:PORT`, `[V6]:PORT` or `unix:PATH`. The error says who holds it if that can be seen.
pub(crate) fn open(key: &str) -> Result<OwnedFd, String> {
    if let Some(fcgi) = FastCgiKey::parse(key) {
        let listener = match fcgi.address.strip_prefix("unix:") {
            Some(path) => open_unix(path, fcgi.mode, fcgi.owner)?,
            None => open_tcp(&fcgi.address)?,
        };
        fcgi.apply(&listener)?;
        return Ok(listener);
    }
    match key.strip_prefix("unix:") {
        // Everybody may connect, as to the TCP port in its place and as the servers themselves do.
        Some(path) => open_unix(path, 0o666, None),
        None => open_tcp(key),
    }
}

/// A duplicate to be sent away.
pub(crate) fn duplicate(fd: &OwnedFd) -> Result<OwnedFd, String> {
    fd.as_fd()
        .try_clone_to_owned()
        .map_err(|why| format!("no descriptor left: {why}"))
}

/// The file of a listener at a Unix socket.
pub(crate) fn path_of(key: &str) -> Option<String> {
    let address = FastCgiKey::parse(key).map_or_else(|| key.to_owned(), |fcgi| fcgi.address);
    address.strip_prefix("unix:").map(str::to_owned)
}

/// Device and inode of a socket's file.
pub(crate) fn file_of(path: &str) -> Option<(u64, u64)> {
    let meta = std::fs::symlink_metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}

/// Everything about a FastCGI program's socket, as the key of its listener:
/// `fcgi mode=700 owner=33:33 backlog=128 unix:/run/x.sock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FastCgiKey {
    /// `unix:PATH` or `HOST:PORT`.
    pub(crate) address: String,
    /// Mode of the file.
    pub(crate) mode: u32,
    /// Owner of the file.
    pub(crate) owner: Option<Owner>,
    /// Connections that may wait.
    pub(crate) backlog: Option<u32>,
}

impl std::fmt::Display for FastCgiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{FASTCGI}")?;
        if self.address.starts_with("unix:") {
            write!(f, " mode={:o}", self.mode)?;
        }
        match self.owner {
            Some((uid, Some(gid))) => write!(f, " owner={uid}:{gid}")?,
            Some((uid, None)) => write!(f, " owner={uid}")?,
            None => {}
        }
        if let Some(backlog) = self.backlog {
            write!(f, " backlog={backlog}")?;
        }
        write!(f, " {}", self.address)
    }
}

impl FastCgiKey {
    /// Reads a key; `None` if it is another kind of listener's.
    pub(crate) fn parse(key: &str) -> Option<FastCgiKey> {
        let mut rest = key.strip_prefix(FASTCGI)?.strip_prefix(' ')?;
        let (mut mode, mut owner, mut backlog) = (0, None, None);
        while let Some((word, after)) = rest.split_once(' ') {
            match word.split_once('=') {
                Some(("mode", digits)) => mode = u32::from_str_radix(digits, 8).ok()?,
                Some(("owner", ids)) => {
                    let (uid, gid) = ids
                        .split_once(':')
                        .map_or((ids, None), |(uid, gid)| (uid, Some(gid)));
                    let gid = gid.map(str::parse).transpose().ok()?;
                    owner = Some((uid.parse().ok()?, gid));
                }
                Some(("backlog", number)) => backlog = Some(number.parse().ok()?),
                // The path has a blank.
                Some(_) | None => break,
            }
            rest = after;
        }
        let address = rest.to_owned();
        Some(FastCgiKey {
            address,
            mode,
            owner,
            backlog,
        })
    }

    /// Gives a socket that is open this backlog, mode and owner: a change of them closes nothing.
    pub(crate) fn apply(&self, listener: &OwnedFd) -> Result<(), String> {
        let failed = |why: rustix::io::Errno| {
            format!(
                "cannot listen on {}: {}",
                self.address,
                std::io::Error::from(why)
            )
        };
        let backlog = self.backlog.and_then(|backlog| i32::try_from(backlog).ok());
        listen(listener, backlog.unwrap_or(SOMAXCONN)).map_err(failed)?;
        if let Some(path) = self.address.strip_prefix("unix:") {
            set(path, self.mode, self.owner)?;
        }
        Ok(())
    }
}

fn open_tcp(key: &str) -> Result<OwnedFd, String> {
    let address = resolve(key)?;
    match bind_tcp(address) {
        Ok(fd) => Ok(fd),
        Err(rustix::io::Errno::ADDRINUSE) => Err(match holder(address.port()) {
            Some(who) => format!("{key} is in use by {who}"),
            None => format!("{key} is in use by another program"),
        }),
        // Every address, on a machine without IPv6.
        Err(rustix::io::Errno::AFNOSUPPORT)
            if address.ip().is_unspecified() && address.is_ipv6() =>
        {
            let v4 = SocketAddr::from(([0, 0, 0, 0], address.port()));
            bind_tcp(v4)
                .map_err(|why| format!("cannot listen on {key}: {}", std::io::Error::from(why)))
        }
        Err(why) => Err(format!(
            "cannot listen on {key}: {}",
            std::io::Error::from(why)
        )),
    }
}

/// The address of `HOST:PORT`, IPv4 first for names that have both (as people's `localhost` is meant).
fn resolve(key: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = key.parse::<SocketAddr>() {
        return Ok(address);
    }
    let found: Vec<SocketAddr> = match key.to_socket_addrs() {
        Ok(found) => found.collect(),
        Err(why) => return Err(format!("cannot find the address of {key}: {why}")),
    };
    let first = found
        .iter()
        .find(|address| address.is_ipv4())
        .or(found.first());
    first
        .copied()
        .ok_or_else(|| format!("{key} has no address"))
}

fn bind_tcp(address: SocketAddr) -> Result<OwnedFd, rustix::io::Errno> {
    let family = if address.is_ipv6() {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, !address.ip().is_unspecified())?;
    }
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    // Programs expect a blocking listener unless they change it themselves.
    rustix::io::ioctl_fionbio(&socket, false)?;
    Ok(socket)
}

/// Who a socket file belongs to; the group stays if there is none.
pub(crate) type Owner = (u32, Option<u32>);

/// Binds a Unix socket. Mode and owner are set before it listens, so that nobody gets in meanwhile: whoever connects
/// earlier is refused, and whoever connected later was allowed to.
pub(crate) fn open_unix(path: &str, mode: u32, owner: Option<Owner>) -> Result<OwnedFd, String> {
    let failed =
        |why: rustix::io::Errno| format!("cannot listen on {path}: {}", std::io::Error::from(why));
    clear_stale(Path::new(path))?;
    let flags = SocketFlags::CLOEXEC;
    let socket =
        socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(failed)?;
    let address = rustix::net::SocketAddrUnix::new(path).map_err(failed)?;
    bind(&socket, &address).map_err(failed)?;
    set(path, mode, owner)?;
    listen(&socket, BACKLOG).map_err(failed)?;
    Ok(socket)
}

/// Its directory may be somebody's, who could put a link to another file there.
pub(crate) fn set(path: &str, mode: u32, owner: Option<Owner>) -> Result<(), String> {
    sys::files::set_socket(Path::new(path), mode, owner)
        .map_err(|why| format!("cannot change mode and owner of {path}: {why}"))
}

/// Removes a socket file that nobody listens on any more; refuses to touch anything else.
pub(crate) fn clear_stale(path: &Path) -> Result<(), String> {
    let Ok(meta) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !meta.file_type().is_socket() {
        return Err(format!(
            "{} exists and is not a socket; remove it",
            path.display()
        ));
    }
    if answers(path).map_err(|why| format!("cannot ask who serves {}: {why}", path.display()))? {
        return Err(format!("{} is in use by another program", path.display()));
    }
    sys::named::remove(path)
        .map_err(|why| format!("cannot remove the stale socket {}: {why}", path.display()))
}

/// Whether somebody listens at a socket; one whose queue is full does as well, and is not waited for.
fn answers(path: &Path) -> rustix::io::Result<bool> {
    use rustix::io::Errno;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    let connected = rustix::net::connect(&socket, &rustix::net::SocketAddrUnix::new(path)?);
    Ok(matches!(connected, Ok(()) | Err(Errno::AGAIN)))
}

/// Who listens on a TCP port: `pid 842 (uvicorn)`, by /proc/net/tcp and the descriptors of processes that we may see.
pub(crate) fn holder(port: u16) -> Option<String> {
    let inodes: Vec<u64> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .flat_map(|table| listening_inodes(&table, port))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    for pid in sys::proc::pids().into_iter().take(PROCESSES_MAX) {
        let Ok(fds) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
            continue;
        };
        // The metadata of the link's target: a socket's inode, the same number as in the table.
        let holds = fds.flatten().any(|fd| {
            std::fs::metadata(fd.path())
                .is_ok_and(|meta| meta.file_type().is_socket() && inodes.contains(&meta.ino()))
        });
        if holds {
            let name = sys::proc::stat(pid)
                .map(|stat| stat.name)
                .unwrap_or_default();
            return Some(format!("pid {pid} ({name})"));
        }
    }
    None
}

/// Inodes of listening sockets (state 0A) on `port` in a table of /proc/net/tcp (proc_net(5)).
fn listening_inodes(table: &str, port: u16) -> Vec<u64> {
    let of_line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, hex) = fields.get(1)?.rsplit_once(':')?;
        let matches = u16::from_str_radix(hex, 16) == Ok(port) && fields.get(3) == Some(&"0A");
        if matches {
            fields.get(9)?.parse().ok()
        } else {
            None
        }
    };
    table.lines().skip(1).filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_occupied_port_names_its_holder() {
        let held = std::net::TcpListener::bind("127.0.0.1:0").expect("free port");
        let key = held.local_addr().expect("address").to_string();
        let error = open(&key).expect_err("occupied");
        let own = std::process::id();
        assert!(
            error.starts_with(&format!("{key} is in use by pid {own} (")),
            "{error}"
        );
        drop(held);
        open(&key).expect("free again");
    }

    #[test]
    fn accepted_sockets_inherit_nodelay() {
        let listener: std::net::TcpListener = open("127.0.0.1:0").expect("bound").into();
        let client = std::net::TcpStream::connect(listener.local_addr().expect("address"))
            .expect("connected");
        let (accepted, _) = listener.accept().expect("accepted");
        assert!(accepted.nodelay().expect("option"));
        drop(client);
    }

    #[test]
    fn a_shutdown_ends_every_duplicate_and_frees_the_address() {
        let listener = open("127.0.0.1:0").expect("bound");
        let duplicate: std::net::TcpListener = listener.try_clone().expect("duplicate").into();
        let address = duplicate.local_addr().expect("address");
        std::net::TcpStream::connect(address).expect("connected");
        rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).expect("shut down");
        let refused = std::net::TcpStream::connect(address).expect_err("nobody listens");
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        open(&address.to_string()).expect("free for a new one");
    }

    #[test]
    fn a_socket_has_its_mode_and_nobody_else_may_connect() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("s");
        let text = path.to_str().expect("path");
        let _open = open_unix(text, 0o600, None).expect("bound");
        let mode = std::fs::metadata(&path).expect("socket").mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn stale_sockets_are_replaced_and_nothing_else() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("s");
        let key = format!("unix:{}", path.display());
        let first = open(&key).expect("bound");
        assert!(open(&key).expect_err("in use").contains("in use"));
        drop(first);
        open(&key).expect("stale is replaced");
        let file = dir.path().join("f");
        std::fs::write(&file, "precious").expect("written");
        assert!(
            open(&format!("unix:{}", file.display()))
                .expect_err("a file")
                .contains("not a socket")
        );
        assert_eq!(
            std::fs::read_to_string(&file).expect("still there"),
            "precious"
        );
    }

    #[test]
    fn the_key_of_a_fastcgi_socket_says_all_of_it() {
        let key = FastCgiKey {
            address: "unix:/run/a b.sock".into(),
            mode: 0o660,
            owner: Some((33, Some(34))),
            backlog: Some(128),
        };
        assert_eq!(
            key.to_string(),
            "fcgi mode=660 owner=33:34 backlog=128 unix:/run/a b.sock"
        );
        assert_eq!(FastCgiKey::parse(&key.to_string()), Some(key));
        assert_eq!(
            FastCgiKey::parse("fcgi localhost:9000")
                .map(|key| key.to_string())
                .as_deref(),
            Some("fcgi localhost:9000")
        );
        assert_eq!(FastCgiKey::parse("unix:/x"), None);
        assert_eq!(path_of("fcgi mode=700 unix:/x").as_deref(), Some("/x"));
        assert_eq!(path_of("fcgi localhost:9000"), None);
    }

    #[test]
    fn a_change_of_mode_keeps_the_socket() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("s");
        let key = |mode| format!("fcgi mode={mode} unix:{}", path.display());
        let open = open(&key("600")).expect("bound");
        let mode = || std::fs::metadata(&path).expect("socket").mode() & 0o777;
        assert_eq!(mode(), 0o600);
        FastCgiKey::parse(&key("666"))
            .expect("a key")
            .apply(&open)
            .expect("applied");
        assert_eq!(mode(), 0o666);
        std::os::unix::net::UnixStream::connect(&path).expect("it listens");
    }

    #[test]
    fn unknown_hosts_are_said() {
        assert!(
            open("no-such-host.invalid:1")
                .expect_err("unknown")
                .contains("no-such-host.invalid:1")
        );
    }
}
