//! The system's log: one datagram a message (syslog(3), RFC 3164).

use crate::clock;
use rustix::fd::OwnedFd;
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sendto, socket_with,
};
use std::io;

/// Where systems have it.
pub const SOCKET: &str = "/dev/log";
/// Facility user (1) times 8, plus level info (6): what Supervisor's lines have.
const PRIORITY: u8 = 14;
/// Bytes of one message; loggers cut or refuse longer ones.
const MESSAGE_BYTES_MAX: usize = 8 * 1024;
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A way to the system's log. It never blocks, and what cannot be sent is lost.
#[derive(Debug)]
pub struct Syslog {
    path: String,
    socket: Option<OwnedFd>,
}

impl Syslog {
    /// `path` empty = [`SOCKET`].
    pub fn new(path: &str) -> Syslog {
        Syslog {
            path: if path.is_empty() { SOCKET } else { path }.to_owned(),
            socket: None,
        }
    }

    /// Where it leads.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Sends one message as `ident`.
    pub fn send(&mut self, ident: &str, text: &[u8], wall_ms: u64) -> io::Result<()> {
        let text = &text[..text.len().min(MESSAGE_BYTES_MAX)];
        let mut message = head(ident, wall_ms, clock::utc_offset_s(wall_ms)).into_bytes();
        message.extend_from_slice(text);
        let socket = match &self.socket {
            Some(socket) => socket,
            None => self.socket.insert(socket_with(
                AddressFamily::UNIX,
                SocketType::DGRAM,
                SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
                None,
            )?),
        };
        let address = SocketAddrUnix::new(self.path.as_str())?;
        sendto(socket, &message, SendFlags::NOSIGNAL, &address)?;
        Ok(())
    }
}

/// `<14>Nov 29 01:14:29 IDENT: ` for the local time.
fn head(ident: &str, wall_ms: u64, offset_s: i32) -> String {
    let seconds = (wall_ms / 1000) as i64 + i64::from(offset_s);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (month, day) = month_day(days);
    let (hours, minutes, seconds) = (second / 3600, second / 60 % 60, second % 60);
    let month = MONTHS[month];
    format!("<{PRIORITY}>{month} {day:2} {hours:02}:{minutes:02}:{seconds:02} {ident}: ")
}

/// Month (from 0) and day of a day since 1970, by counting years of four centuries from March on.
fn month_day(days: i64) -> (usize, i64) {
    let of_era = (days + 719_468).rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    (((from_march + 2) % 12) as usize, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_begins_as_syslog_3_writes_it() {
        assert_eq!(head("a", 0, 0), "<14>Jan  1 00:00:00 a: ");
        assert_eq!(head("a", 951_782_400_000, 0), "<14>Feb 29 00:00:00 a: ");
        assert_eq!(
            head("a", 1_732_842_869_000, 3600),
            "<14>Nov 29 02:14:29 a: "
        );
        assert_eq!(head("a", 1_735_689_599_000, 0), "<14>Dec 31 23:59:59 a: ");
    }
}
