//! The socket of an `[fcgi-program:x]`, written into the key of its listener: what it takes to open it is all there.

use conf::{FastCgi, FastCgiSocket, Program};

use super::settings::address;
use crate::listeners::FastCgiKey;

/// The key. Without `socket_owner` the file is the program's user's, as in Supervisor.
pub(super) fn key(program: &Program, fcgi: &FastCgi) -> String {
    let backlog = fcgi.backlog.as_ref().map(|backlog| backlog.value);
    let key = match &fcgi.socket.value {
        FastCgiSocket::Tcp { host, port } => FastCgiKey {
            address: address(host, *port),
            mode: 0,
            owner: None,
            backlog,
        },
        FastCgiSocket::Unix { path, owner, mode } => {
            let user = program
                .user
                .as_ref()
                .filter(|user| user.uid != sys::users::own_uid());
            FastCgiKey {
                address: format!("unix:{path}"),
                mode: *mode,
                owner: owner.or(user.map(|user| (user.uid, Some(user.gid)))),
                backlog,
            }
        }
    };
    key.to_string()
}
