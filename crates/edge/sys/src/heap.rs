//! The heap of this process.

/// Gives memory that was freed back to the kernel (malloc_trim(3)); nothing with another libc than glibc. For the moment
/// after a peak that will not come again soon: it walks the whole heap, a few milliseconds for tens of megabytes.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no preconditions; it takes the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
