//! Descriptors that come and go by number.

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::FdFlags;
use std::io;

/// First descriptor of LISTEN_FDS (sd_listen_fds(3)).
pub const LISTEN_FDS_START: RawFd = 3;

/// Sets or clears close-on-exec.
pub fn cloexec(fd: impl AsFd, on: bool) -> io::Result<()> {
    rustix::io::fcntl_setfd(
        fd,
        if on {
            FdFlags::CLOEXEC
        } else {
            FdFlags::empty()
        },
    )?;
    Ok(())
}

fn is_open(number: RawFd) -> bool {
    // SAFETY: F_GETFD only looks.
    unsafe { libc::fcntl(number, libc::F_GETFD) != -1 }
}

/// Takes ownership of descriptor `number` if it is open. The caller is the only one that may take it, once.
pub fn take(number: RawFd) -> Option<OwnedFd> {
    if number < 0 || !is_open(number) {
        return None;
    }
    // SAFETY: it is open, and by this function's contract nobody else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    cloexec(&fd, true).ok()?;
    Some(fd)
}

/// The listeners handed over as LISTEN_FDS, none if LISTEN_PID is another process.
pub fn listeners_from_env() -> Vec<OwnedFd> {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<i32>().ok())
    };
    if number("LISTEN_PID") != Some(std::process::id() as i32) {
        return Vec::new();
    }
    (0..number("LISTEN_FDS").unwrap_or(0).clamp(0, 253))
        .filter_map(|at| take(LISTEN_FDS_START + at))
        .collect()
}

/// The descriptor whose number stands in the environment variable `name`.
pub fn fd_from_env(name: &str) -> Option<OwnedFd> {
    take(std::env::var(name).ok()?.parse().ok()?)
}

/// Closes every descriptor above 2 but `keep` (close_range(2)).
pub fn close_all_except(keep: &[RawFd]) {
    let mut keep: Vec<RawFd> = keep.iter().copied().filter(|fd| *fd > 2).collect();
    keep.sort_unstable();
    let mut from = 3u32;
    for fd in keep {
        if fd as u32 > from {
            close_range(from, fd as u32 - 1);
        }
        from = from.max(fd as u32 + 1);
    }
    close_range(from, u32::MAX);
}

fn close_range(from: u32, to: u32) {
    // SAFETY: descriptors named here belong to nobody after a fork; their Rust owners are never dropped.
    unsafe {
        libc::syscall(libc::SYS_close_range, from, to, 0);
    }
}

/// Puts a duplicate of `fd` at `number` (dup2), not close-on-exec.
pub fn place(fd: impl AsFd, number: RawFd) -> io::Result<()> {
    // SAFETY: plain dup2 on an open descriptor; the caller owns `number`.
    match unsafe { libc::dup2(fd.as_fd().as_raw_fd(), number) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// A pipe with both ends close-on-exec; the first is for reading.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?)
}

/// A descriptor that this process certainly has (0, 1, 2), borrowed.
pub fn standard(number: RawFd) -> BorrowedFd<'static> {
    assert!(
        (0..=2).contains(&number),
        "not a standard descriptor: {number}"
    );
    // SAFETY: the standard descriptors are open for the life of the process (root opens /dev/null on closed ones).
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Opens /dev/null on each of 0, 1, 2 that is closed, so that no later descriptor takes its number.
pub fn ensure_standard() -> io::Result<()> {
    for number in 0..=2 {
        if !is_open(number) {
            let null = rustix::fs::open(
                "/dev/null",
                rustix::fs::OFlags::RDWR,
                rustix::fs::Mode::empty(),
            )?;
            if null.as_raw_fd() == number {
                std::mem::forget(null);
            } else {
                place(&null, number)?;
            }
        }
    }
    Ok(())
}
