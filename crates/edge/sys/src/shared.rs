//! One number that all processes of the machine share: eight bytes of a file, mapped into each of them.
//!
//! Reading it is a load, where a `pread` is a system call, and it is read at every request. The number only rises, by
//! one atomic step, so that a process that is late with its number cannot put an older one back.
//!
//! A file that is cut short under its mapping (a backup that is copied over it is) would end the process by SIGBUS, as it
//! does where SQLite's own mapping is cut.
//! So the handler here puts an empty page where ours has nothing behind it any more and says so in [`CUT`]; what was
//! read from that page counts for nothing, and from then on this number is read by system calls here. It is raised by a
//! mapping of its own, for others may have theirs still: a system call would put a lower number over a step of theirs.

use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Once, OnceLock};

/// Mappings of one process: a gateway has one or two; a further one uses system calls.
const MAPPINGS_MAX: usize = 16;

/// Which pages of ours lost their file.
static CUT: [AtomicBool; MAPPINGS_MAX] = [const { AtomicBool::new(false) }; MAPPINGS_MAX];
/// Where the mappings are; 0: free.
static PAGES: [AtomicUsize; MAPPINGS_MAX] = [const { AtomicUsize::new(0) }; MAPPINGS_MAX];
static PAGE_BYTES: AtomicUsize = AtomicUsize::new(0);
/// What stood there before our handler.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// See the module.
#[derive(Debug)]
pub struct SharedNumber {
    file: File,
    mapped: Option<Mapped>,
}

impl SharedNumber {
    /// The number in this file, opened to be read and written; 0 in a new one.
    ///
    /// # Errors
    /// The file cannot be made eight bytes long.
    pub fn of(file: File) -> io::Result<Self> {
        if file.metadata()?.len() < 8 {
            // Makes it longer and writes nothing: another process may have raised the number already.
            file.set_len(8)?;
        }
        let mapped = Mapped::new(&file);
        Ok(Self { file, mapped })
    }

    /// The number now.
    ///
    /// # Errors
    /// The file does not hold eight bytes any more.
    pub fn read(&self) -> io::Result<u64> {
        if let Some(mapped) = &self.mapped {
            let number = u64::from_le(mapped.number().load(Ordering::Acquire));
            // Looked at afterwards: the load itself may have found the page gone.
            if !mapped.is_cut() {
                return Ok(number);
            }
        }
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Raises it to `number`, unless it is there or further already.
    ///
    /// # Errors
    /// It is not known whether others see it.
    pub fn raise_to(&self, number: u64) -> io::Result<()> {
        if self.mapped.as_ref().is_some_and(|it| it.raise_to(number)) {
            return Ok(());
        }
        if self.file.metadata()?.len() < 8 {
            self.file.set_len(8)?;
        }
        if Mapped::new(&self.file).is_some_and(|it| it.raise_to(number)) {
            return Ok(());
        }
        flock(&self.file, FlockOperation::LockExclusive)?;
        let mut bytes = [0; 8];
        let held = match self.file.read_exact_at(&mut bytes, 0) {
            Ok(()) => u64::from_le_bytes(bytes),
            Err(_) => 0,
        };
        let raised = self.file.write_all_at(&number.max(held).to_le_bytes(), 0);
        flock(&self.file, FlockOperation::Unlock)?;
        raised
    }
}

/// The first page of a file.
#[derive(Debug)]
struct Mapped {
    page: NonNull<AtomicU64>,
    slot: usize,
}

// SAFETY: the page is only used as an AtomicU64, and unmapped by its one owner.
unsafe impl Send for Mapped {}
// SAFETY: as above.
unsafe impl Sync for Mapped {}

impl Mapped {
    /// None where the system refuses, or too many are mapped.
    fn new(file: &File) -> Option<Self> {
        let page_bytes = rustix::param::page_size();
        PAGE_BYTES.store(page_bytes, Ordering::Release);
        guard();
        // SAFETY: a new mapping at an address that the kernel chooses.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                page_bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return None;
        }
        let free = |slot: &AtomicUsize| {
            let taken =
                slot.compare_exchange(0, page as usize, Ordering::AcqRel, Ordering::Relaxed);
            taken.is_ok()
        };
        match (PAGES.iter().position(free), NonNull::new(page.cast())) {
            (Some(slot), Some(page)) => {
                CUT[slot].store(false, Ordering::Release);
                Some(Self { page, slot })
            }
            (_, _) => {
                // SAFETY: ours, and nobody has its address.
                unsafe { libc::munmap(page, page_bytes) };
                None
            }
        }
    }

    /// Whether what was read from it counts for nothing.
    fn is_cut(&self) -> bool {
        CUT[self.slot].load(Ordering::Acquire)
    }

    /// Whether others see at least this number now.
    fn raise_to(&self, number: u64) -> bool {
        let higher = |held| (u64::from_le(held) < number).then_some(number.to_le());
        let held = self.number();
        // An error says that it is as high already.
        let _already = held.fetch_update(Ordering::AcqRel, Ordering::Acquire, higher);
        !self.is_cut()
    }

    fn number(&self) -> &AtomicU64 {
        // SAFETY: mapped as long as self lives, aligned as a page is, and valid whatever its bits are. Other processes
        // change it by atomic steps of their own.
        unsafe { self.page.as_ref() }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // First: the address may be somebody else's a moment later.
        PAGES[self.slot].store(0, Ordering::Release);
        // SAFETY: made by `new` with this size; no borrow outlives self.
        unsafe {
            libc::munmap(
                self.page.as_ptr().cast(),
                PAGE_BYTES.load(Ordering::Acquire),
            )
        };
    }
}

/// Installs the handler, once for each process.
fn guard() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the old action is read into zeroed memory of its type, and kept before ours can be called; ours does
        // only what a handler may.
        unsafe {
            let mut before: libc::sigaction = std::mem::zeroed();
            libc::sigaction(libc::SIGBUS, std::ptr::null(), &mut before);
            let _first = BEFORE.set(before);
            let mut ours: libc::sigaction = std::mem::zeroed();
            ours.sa_sigaction = cut as *const () as usize;
            ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&mut ours.sa_mask);
            libc::sigaction(libc::SIGBUS, &ours, std::ptr::null_mut());
        }
    });
}

/// SIGBUS. Only loads, stores and system calls.
extern "C" fn cut(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let page_bytes = PAGE_BYTES.load(Ordering::Acquire);
    // SAFETY: the kernel hands over a valid siginfo with SA_SIGINFO.
    let page = unsafe { (*info).si_addr() } as usize & !(page_bytes - 1);
    let ours = |at: &AtomicUsize| at.load(Ordering::Acquire) == page;
    if page != 0
        && let Some(slot) = PAGES.iter().position(ours)
    {
        CUT[slot].store(true, Ordering::Release);
        // SAFETY: replaces a page of ours, whose owner only reads and writes a number in it. Errno is put back, for
        // the interrupted code may be about to read it.
        let replaced = unsafe {
            let errno = *libc::__errno_location();
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let replaced = libc::mmap(page as *mut libc::c_void, page_bytes, access, flags, -1, 0);
            *libc::__errno_location() = errno;
            replaced
        };
        if replaced != libc::MAP_FAILED {
            return;
        }
    }
    if let Some(before) = BEFORE.get() {
        // SAFETY: puts back what stood there; the same fault comes again and finds it.
        unsafe { libc::sigaction(libc::SIGBUS, before, std::ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::path::PathBuf;

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let name = format!("steadfast-shared-{name}-{}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }

        fn open(&self) -> File {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            options.open(&self.0).expect("opened")
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn whoever_opens_the_file_sees_the_number_and_it_only_rises() {
        let place = Place::new("rises");
        let [one, other] = [(); 2].map(|()| SharedNumber::of(place.open()).expect("shared"));
        assert_eq!(other.read().expect("read"), 0);
        one.raise_to(7).expect("raised");
        assert_eq!(other.read().expect("read"), 7);
        other.raise_to(5).expect("as high already");
        assert_eq!(one.read().expect("read"), 7);
        // What system calls write, the mapping shows, and the reverse.
        place
            .open()
            .write_all_at(&9_u64.to_le_bytes(), 0)
            .expect("written");
        assert_eq!(one.read().expect("read"), 9);
        one.raise_to(u64::MAX - 1).expect("raised");
        let mut bytes = [0; 8];
        place.open().read_exact_at(&mut bytes, 0).expect("read");
        assert_eq!(u64::from_le_bytes(bytes), u64::MAX - 1);
    }

    #[test]
    fn a_file_that_is_cut_short_is_an_error_and_not_the_end() {
        let place = Place::new("cut");
        let number = SharedNumber::of(place.open()).expect("shared");
        let beside = Place::new("beside");
        let other = SharedNumber::of(beside.open()).expect("shared");
        number.raise_to(3).expect("raised");
        other.raise_to(4).expect("raised");
        place.open().set_len(0).expect("cut");
        assert!(number.read().is_err());
        number.raise_to(6).expect("written anew");
        assert_eq!(number.read().expect("read"), 6);
        number.raise_to(5).expect("as high already");
        assert_eq!(number.read().expect("read"), 6);
        assert_eq!(other.read().expect("not touched"), 4);
        // Whoever opened it since then has a mapping: no step of either puts the other's back.
        let later = SharedNumber::of(place.open()).expect("shared");
        later.raise_to(9).expect("raised");
        number.raise_to(7).expect("as high already");
        assert_eq!(later.read().expect("read"), 9);
        number.raise_to(10).expect("raised");
        assert_eq!(later.read().expect("read"), 10);
        // The other number is still a mapping, by atomic steps.
        assert!(other.mapped.as_ref().is_some_and(|it| !it.is_cut()));
    }

    #[test]
    fn more_than_can_be_mapped_are_read_all_the_same() {
        let place = Place::new("many");
        let all: Vec<_> = (0..MAPPINGS_MAX + 2)
            .map(|_| SharedNumber::of(place.open()).expect("shared"))
            .collect();
        all[MAPPINGS_MAX + 1].raise_to(2).expect("raised");
        assert!(
            all.iter()
                .all(|number| number.read().is_ok_and(|read| read == 2))
        );
    }
}
