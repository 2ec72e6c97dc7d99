//! Fork a role, or fork and exec a program.
//!
//! Everything that can fail or allocate happens before the fork; between fork and exec only system calls run,
//! and a failure travels back through a close-on-exec pipe with the step that failed.
//!
//! A child that stays our user borrows our memory until its exec, as with posix_spawn(3): page tables that are thrown
//! away at once need not be copied, and our own pages need no second copy when we write to them next. One that becomes
//! another user gets a copy: from setuid(2) on, a process with our memory would be in the reach of that user.

use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ffi::CString;
use std::io;

/// How often the list of threads is read before a second one counts as real: a few milliseconds in all.
const THREAD_EXIT_LOOKS: usize = 500;

/// Stack of a child between clone and exec. Its few calls need a tenth of it, also without optimization.
const CHILD_STACK_BYTES: usize = 64 * 1024;

/// Which side of a fork this is.
#[derive(Debug)]
pub enum Fork {
    /// The new process.
    Child,
    /// The old one; the child's pid.
    Parent(i32),
}

/// Forks this process as it is, without exec.
///
/// # Panics
/// If the process has more than one thread: the child would hold locks that nobody releases.
pub fn fork() -> io::Result<Fork> {
    let count = || std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    // A helper thread that was joined may still be on its way out of the kernel's list.
    let threads = (0..THREAD_EXIT_LOOKS)
        .map(|_| count())
        .find(|count| *count == 1);
    assert!(
        threads.is_some(),
        "fork from a process with {} threads",
        count()
    );
    // SAFETY: single-threaded (asserted), so the child's memory is consistent.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid)),
    }
}

/// User and groups to become.
#[derive(Debug, Clone)]
pub struct Become {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// All that a new program gets.
#[derive(Debug)]
pub struct Exec<'a> {
    /// File to execute.
    pub file: CString,
    /// Words of the command line, the name first.
    pub argv: Vec<CString>,
    /// `NAME=value`; an entry that is exactly `LISTEN_PID=` gets the child's pid.
    pub env: Vec<CString>,
    /// Working directory.
    pub directory: Option<CString>,
    /// User to become.
    pub credentials: Option<Become>,
    /// File mode mask.
    pub umask: Option<u32>,
    /// Standard input, output, error.
    pub standard: [BorrowedFd<'a>; 3],
    /// Further descriptors and the numbers they shall have in the child.
    pub fds: Vec<(BorrowedFd<'a>, RawFd)>,
    /// Open files and processes that it may have at least; 0 = as inherited. What the kernel refuses stays as it is.
    pub limits_min: (u64, u64),
    /// Die with the parent (PR_SET_PDEATHSIG SIGKILL, set after the user changed, which clears it).
    pub die_with_parent: bool,
}

/// The step that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// fork(2)
    Fork = 1,
    /// setsid(2)
    Session = 2,
    /// dup2(2) of the descriptors
    Descriptors = 3,
    /// setgroups, setgid, setuid
    User = 4,
    /// chdir(2)
    Directory = 5,
    /// execve(2)
    Exec = 6,
}

/// Why a program could not be started.
#[derive(Debug)]
pub struct SpawnError {
    /// Where it failed.
    pub step: Step,
    /// The system's word for it.
    pub error: io::Error,
}

impl std::fmt::Display for SpawnError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let step = match self.step {
            Step::Fork => "fork",
            Step::Session => "making its session",
            Step::Descriptors => "handing over its descriptors",
            Step::User => "becoming its user",
            Step::Directory => "changing to its directory",
            Step::Exec => "executing it",
        };
        write!(f, "{step}: {}", self.error)
    }
}

impl std::error::Error for SpawnError {}

/// Starts the program in a session of its own and returns its pid once exec has succeeded.
pub fn spawn(exec: &mut Exec<'_>) -> Result<i32, SpawnError> {
    let fail = |step| move |error: io::Error| SpawnError { step, error };
    let (report_read, report_write) = crate::fds::pipe().map_err(fail(Step::Fork))?;
    let pointers = |words: &[CString]| -> Vec<*const libc::c_char> {
        words
            .iter()
            .map(|word| word.as_ptr())
            .chain([std::ptr::null()])
            .collect()
    };
    let mut moves: Vec<(RawFd, RawFd)> = exec
        .standard
        .iter()
        .enumerate()
        .map(|(to, fd)| (fd.as_raw_fd(), to as RawFd))
        .collect();
    moves.extend(exec.fds.iter().map(|(fd, to)| (fd.as_raw_fd(), *to)));
    let mut prepared = Prepared {
        argv: pointers(&exec.argv),
        env: pointers(&exec.env),
        listen_pid: exec
            .env
            .iter()
            .position(|entry| entry.as_bytes() == b"LISTEN_PID="),
        pid_text: *b"LISTEN_PID=\0\0\0\0\0\0\0\0\0\0\0\0\0",
        // Above every number that a descriptor shall get, so that no dup2 closes a source or the report.
        above: moves.iter().map(|(_, to)| *to).max().unwrap_or(2) + 1,
        moves,
        report: report_write.as_raw_fd(),
        parent: std::process::id() as i32,
    };
    let begun = match &exec.credentials {
        None => begin_on_our_memory(exec, &mut prepared),
        Some(_) => begin_on_a_copy(exec, &mut prepared),
    };
    let pid = begun.map_err(fail(Step::Fork))?;
    drop(report_write);
    confirm(pid, &report_read)
}

fn begin_on_a_copy(exec: &Exec<'_>, prepared: &mut Prepared) -> io::Result<i32> {
    // SAFETY: the child only makes async-signal-safe calls on memory that was prepared, then execs or exits.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => unsafe { child(exec, prepared) },
        pid => Ok(pid),
    }
}

/// Returns when the child has exec'd or ended: until then we stand still (CLONE_VFORK).
fn begin_on_our_memory(exec: &Exec<'_>, prepared: &mut Prepared) -> io::Result<i32> {
    struct Borrowed<'a, 'b>(&'a Exec<'b>, &'a mut Prepared);
    extern "C" fn begin(borrowed: *mut libc::c_void) -> libc::c_int {
        // SAFETY: what it points to outlives the child, whose parent stands still.
        let Borrowed(exec, prepared) = unsafe { &mut *borrowed.cast::<Borrowed<'_, '_>>() };
        // SAFETY: only system calls on memory that was prepared. Signal dispositions, descriptors, limits and the mask
        // are its own; errno is ours, and nobody looks at it after this.
        unsafe { child(exec, prepared) }
    }
    let mut borrowed = Borrowed(exec, prepared);
    // SAFETY: a mapping of its own is its stack, which grows down from the end and is unmapped when it is gone.
    unsafe {
        let stack = libc::mmap(
            std::ptr::null_mut(),
            CHILD_STACK_BYTES,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK,
            -1,
            0,
        );
        if stack == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        let top = stack.byte_add(CHILD_STACK_BYTES);
        let pid = libc::clone(begin, top, flags, (&raw mut borrowed).cast());
        let result = match pid {
            -1 => Err(io::Error::last_os_error()),
            pid => Ok(pid),
        };
        libc::munmap(stack, CHILD_STACK_BYTES);
        result
    }
}

struct Prepared {
    argv: Vec<*const libc::c_char>,
    env: Vec<*const libc::c_char>,
    listen_pid: Option<usize>,
    pid_text: [u8; 24],
    above: RawFd,
    moves: Vec<(RawFd, RawFd)>,
    report: RawFd,
    parent: i32,
}

/// Waits until exec has closed the report pipe, or reads the failure from it and reaps the child.
fn confirm(pid: i32, report: &OwnedFd) -> Result<i32, SpawnError> {
    let mut bytes = [0u8; 5];
    let got = loop {
        match rustix::io::read(report, &mut bytes) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(got) => break got,
            Err(_) => break 0,
        }
    };
    if got < bytes.len() {
        return Ok(pid);
    }
    // SAFETY: our own child, which has exited or is about to.
    unsafe {
        libc::waitpid(pid, std::ptr::null_mut(), 0);
    }
    let step = match bytes[0] {
        2 => Step::Session,
        3 => Step::Descriptors,
        4 => Step::User,
        5 => Step::Directory,
        _ => Step::Exec,
    };
    let errno = i32::from_le_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]);
    Err(SpawnError {
        step,
        error: io::Error::from_raw_os_error(errno),
    })
}

/// Runs in the child: only system calls on prepared memory.
unsafe fn child(exec: &Exec<'_>, prepared: &mut Prepared) -> ! {
    unsafe {
        let report = libc::fcntl(prepared.report, libc::F_DUPFD_CLOEXEC, prepared.above);
        let step = child_steps(exec, prepared, report);
        let errno = (*libc::__errno_location()).to_le_bytes();
        let bytes = [step as u8, errno[0], errno[1], errno[2], errno[3]];
        libc::write(report, bytes.as_ptr().cast(), bytes.len());
        libc::_exit(127)
    }
}

/// Returns only when a step failed, with errno set.
unsafe fn child_steps(exec: &Exec<'_>, prepared: &mut Prepared, report: RawFd) -> Step {
    unsafe {
        if libc::setsid() == -1 {
            return Step::Session;
        }
        for (from, _) in &mut prepared.moves {
            *from = libc::fcntl(*from, libc::F_DUPFD_CLOEXEC, prepared.above);
            if *from == -1 {
                return Step::Descriptors;
            }
        }
        for (from, to) in &prepared.moves {
            if libc::dup2(*from, *to) == -1 {
                return Step::Descriptors;
            }
        }
        // Descriptors that were inherited without close-on-exec by whoever started root must not leak through.
        libc::syscall(
            libc::SYS_close_range,
            prepared.above,
            u32::MAX,
            4, /* CLOSE_RANGE_CLOEXEC */
        );
        close_gaps(prepared, report);
        crate::dumps::restore();
        raise_limit(libc::RLIMIT_NOFILE, exec.limits_min.0);
        raise_limit(libc::RLIMIT_NPROC, exec.limits_min.1);
        if let Some(become_user) = &exec.credentials
            && (libc::setgroups(become_user.groups.len(), become_user.groups.as_ptr()) == -1
                || libc::setgid(become_user.gid) == -1
                || libc::setuid(become_user.uid) == -1)
        {
            return Step::User;
        }
        if exec.die_with_parent {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if libc::getppid() != prepared.parent {
                libc::_exit(127);
            }
        }
        if let Some(directory) = &exec.directory
            && libc::chdir(directory.as_ptr()) == -1
        {
            return Step::Directory;
        }
        if let Some(mask) = exec.umask {
            libc::umask(mask as libc::mode_t);
        }
        if let Some(at) = prepared.listen_pid {
            write_pid(&mut prepared.pid_text, libc::getpid());
            prepared.env[at] = prepared.pid_text.as_ptr().cast();
        }
        crate::signal::reset();
        libc::execve(
            exec.file.as_ptr(),
            prepared.argv.as_ptr(),
            prepared.env.as_ptr(),
        );
        Step::Exec
    }
}

/// Supervisor's rule (options.py `set_rlimits_or_exit`): a soft limit below `min` is raised to it, the hard one too
/// if it must be.
unsafe fn raise_limit(resource: libc::__rlimit_resource_t, min: u64) {
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        if min > 0 && libc::getrlimit(resource, &mut limit) == 0 && limit.rlim_cur < min {
            limit.rlim_cur = min;
            limit.rlim_max = limit.rlim_max.max(min);
            libc::setrlimit(resource, &limit);
        }
    }
}

/// Closes numbers between 3 and the highest placed one that nothing was placed at.
unsafe fn close_gaps(prepared: &Prepared, report: RawFd) {
    for number in 3..prepared.above {
        if number != report && !prepared.moves.iter().any(|(_, to)| *to == number) {
            unsafe {
                libc::close(number);
            }
        }
    }
}

/// Appends the decimal digits of `pid` to `LISTEN_PID=` without allocating.
fn write_pid(text: &mut [u8; 24], pid: i32) {
    let mut digits = [0u8; 10];
    let mut rest = pid.unsigned_abs();
    let mut count = 0;
    while rest > 0 || count == 0 {
        digits[count] = b'0' + (rest % 10) as u8;
        rest /= 10;
        count += 1;
    }
    for at in 0..count {
        text[11 + at] = digits[count - 1 - at];
    }
    text[11 + count] = 0;
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::AsFd;
    use std::io::Read;

    fn exec(words: &[&str], out: BorrowedFd<'_>, null: BorrowedFd<'_>) -> Result<i32, SpawnError> {
        spawn(&mut Exec {
            file: CString::new(words[0]).unwrap(),
            argv: words
                .iter()
                .map(|word| CString::new(*word).unwrap())
                .collect(),
            env: vec![c"A=b".to_owned(), c"LISTEN_PID=".to_owned()],
            directory: Some(c"/".to_owned()),
            credentials: None,
            umask: Some(0o27),
            limits_min: (0, 0),
            standard: [null, out, null],
            fds: vec![(out, 5)],
            die_with_parent: false,
        })
    }

    #[test]
    fn a_program_gets_what_was_prepared_and_nothing_else() {
        let (read, write) = crate::fds::pipe().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        let script = "echo $A $(umask) $(pwd) $((LISTEN_PID == $$)); ls /proc/self/fd | tr '\\n' ' '; echo x >&5";
        let pid = exec(&["/bin/sh", "-c", script], write.as_fd(), null.as_fd()).unwrap();
        drop(write);
        let mut text = String::new();
        std::fs::File::from(read).read_to_string(&mut text).unwrap();
        assert_eq!(text, "b 0027 / 1\n0 1 2 3 5 x\n");
        assert_eq!(crate::proc::stat(pid).map(|stat| stat.session), Some(pid));
        // SAFETY: our own child.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    }

    #[test]
    fn what_a_child_does_before_its_exec_is_its_own() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let own = || {
            let text = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            let ours = ["Umask", "Uid", "Groups", "NSsid", "SigBlk", "SigIgn"];
            let lines = text
                .lines()
                .filter(|line| ours.iter().any(|name| line.starts_with(name)));
            let lines: Vec<String> = lines.map(str::to_owned).collect();
            assert!(lines.len() >= ours.len() - 1, "{text}");
            (lines, std::env::current_dir().unwrap())
        };
        crate::signal::ignore_pipe();
        let before = own();
        // On our memory and on a copy of it; only root may say whom it becomes.
        let nobody = Become {
            uid: 65534,
            gid: 65534,
            groups: vec![65534],
        };
        let root = rustix::process::geteuid().is_root();
        for credentials in [None, Some(nobody).filter(|_| root)] {
            let mut exec = Exec {
                file: c"/bin/true".to_owned(),
                argv: vec![c"true".to_owned()],
                env: vec![],
                directory: Some(c"/".to_owned()),
                credentials,
                umask: Some(0o27),
                limits_min: (0, 0),
                standard: [null.as_fd(); 3],
                fds: vec![],
                die_with_parent: true,
            };
            let pid = spawn(&mut exec).unwrap();
            // SAFETY: our own child.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
            assert_eq!(own(), before, "{exec:?}");
        }
    }

    #[test]
    fn a_limit_below_the_wanted_one_is_raised() {
        let (read, write) = crate::fds::pipe().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        let words = ["/bin/sh", "-c", "ulimit -n"];
        // Ours is lowered a little, so that raising it again needs no privilege.
        let resource = rustix::process::Resource::Nofile;
        let own = rustix::process::getrlimit(resource);
        let wanted = own.current.unwrap_or(1024);
        let lower = rustix::process::Rlimit {
            current: Some(wanted - 8),
            maximum: own.maximum,
        };
        rustix::process::setrlimit(resource, lower).unwrap();
        let pid = spawn(&mut Exec {
            file: CString::new(words[0]).unwrap(),
            argv: words
                .iter()
                .map(|word| CString::new(*word).unwrap())
                .collect(),
            env: vec![],
            directory: None,
            credentials: None,
            umask: None,
            limits_min: (wanted, 0),
            standard: [null.as_fd(), write.as_fd(), null.as_fd()],
            fds: vec![],
            die_with_parent: false,
        })
        .unwrap();
        drop(write);
        let mut text = String::new();
        std::fs::File::from(read).read_to_string(&mut text).unwrap();
        // SAFETY: our own child.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
        assert_eq!(text.trim(), wanted.to_string());
    }

    #[test]
    fn a_failed_step_is_named() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let error = exec(&["/no/such/file"], null.as_fd(), null.as_fd()).unwrap_err();
        assert_eq!(
            (error.step, error.error.raw_os_error()),
            (Step::Exec, Some(libc::ENOENT))
        );
    }
}
