//! New connections to programs and upstreams.
//!
//! The socket of a program lies in a directory that is the program's own. Whoever took the program over may put a link
//! there that leads to any socket this gateway may open, Docker's among them, and have strangers' requests sent to it. So
//! the last part of the path is opened without following links, has to be a socket, and that very file is connected to;
//! whoever listens has to be the program's user, or root. It costs nothing but at a new connection. An upstream's path
//! is the operator's word and is followed.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use sys::files;
use tokio::net::{TcpStream, UnixStream};

use crate::limits::CONNECT_MS_MAX;
use crate::stream::Stream;

/// Whom a Unix socket may belong to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Nothing is asked.
    #[default]
    Anybody,
    /// A program's.
    Program {
        /// Its user; None: the supervisor's own, and root's programs may become whoever they like.
        owner: Option<u32>,
    },
}

/// Connects to `unix:PATH` or `tcp:HOST:PORT`.
pub(crate) async fn open(address: &str, whose: Whose) -> io::Result<Stream> {
    if let Some(path) = address.strip_prefix("unix:") {
        let stream = match whose {
            Whose::Anybody => UnixStream::connect(path).await?,
            Whose::Program { owner } => own(Path::new(path), owner).await?,
        };
        return Ok(Stream::Unix(stream));
    }
    let address = address.strip_prefix("tcp:").unwrap_or(address);
    let connect = async {
        match address.parse::<SocketAddr>() {
            Ok(address) => TcpStream::connect(address).await,
            // A name, looked up by the system off this thread.
            Err(_) => TcpStream::connect(address).await,
        }
    };
    let limit = Duration::from_millis(CONNECT_MS_MAX);
    let stream = tokio::time::timeout(limit, connect)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    stream.set_nodelay(true)?;
    Ok(Stream::Tcp(stream))
}

async fn own(path: &Path, owner: Option<u32>) -> io::Result<UnixStream> {
    let (found, _) = files::socket(path)?;
    let stream = match UnixStream::connect(files::by_descriptor(&found)).await {
        // A machine without /proc: the name, which was a socket a moment ago.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !files::has_descriptors() => {
            UnixStream::connect(path).await?
        }
        connected => connected?,
    };
    if let Some(owner) = owner {
        let listens = stream.peer_cred()?.uid();
        if !may_listen(listens, owner) {
            let text = format!("user {listens} listens on {}", path.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
    }
    Ok(stream)
}

/// Servers that root starts and that give their rights up later have begun to listen as root.
fn may_listen(uid: u32, owner: u32) -> bool {
    uid == owner || uid == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    #[tokio::test]
    async fn a_link_in_the_place_of_a_socket_leads_nowhere() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        let address = |name: &str| format!("unix:{}", at(name).display());
        let _docker = UnixListener::bind(at("docker")).expect("bound");
        symlink(at("docker"), at("link")).expect("a link");
        std::fs::write(at("file"), "").expect("a file");
        let own = Whose::Program { owner: None };
        for (name, whose, fine) in [
            ("docker", own, true),
            ("link", own, false),
            ("file", own, false),
            ("none", own, false),
            ("link", Whose::Anybody, true),
        ] {
            let opened = open(&address(name), whose).await;
            assert_eq!(opened.is_ok(), fine, "{name} {opened:?}");
        }
        let missing = open(&address("none"), own).await.expect_err("none");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let uid = rustix::process::geteuid().as_raw();
        let mine = Whose::Program { owner: Some(uid) };
        assert!(open(&address("docker"), mine).await.is_ok());
    }

    #[test]
    fn who_may_listen() {
        assert!(may_listen(1000, 1000));
        assert!(may_listen(0, 1000), "it gives its rights up later");
        assert!(!may_listen(1001, 1000));
        assert!(!may_listen(1000, 0));
    }
}
