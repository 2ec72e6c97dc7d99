//! The count of revocations, shared by all processes of the machine: eight bytes in a file, read at every verification.
//!
//! A read is one `pread` of a cached page (no memory mapping: this crate has no `unsafe`). The number is made in the
//! database, in the transaction that revokes, and only ever rises in the file: a process that is late with its number
//! must not put an older one back, or a verdict that was cached under that one would count again.

use crate::error::{Failure, Step};
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

pub(crate) struct Count(File);

impl Count {
    /// Opens it, or makes it with the database's number.
    pub(crate) fn open(path: &Path, number: u64) -> Result<Self, Failure> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            // A command may run as root in a directory that the gateway's user owns.
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
        let file = options.open(path).map_err(Failure::at(Step::Files))?;
        let count = Self(file);
        // Also when it exists: a process may have died between its commit and this file.
        count.raise_to(number)?;
        Ok(count)
    }

    pub(crate) fn read(&self) -> Result<u64, Failure> {
        let mut bytes = [0; 8];
        self.0
            .read_exact_at(&mut bytes, 0)
            .map_err(Failure::at(Step::Count))?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Raises it to `number`, unless another process has raised it further.
    pub(crate) fn raise_to(&self, number: u64) -> Result<(), Failure> {
        flock(&self.0, FlockOperation::LockExclusive).map_err(Failure::at(Step::Count))?;
        let known = self.read().unwrap_or(0);
        let raised = if number > known || number == 0 {
            self.0
                .write_all_at(&number.max(known).to_le_bytes(), 0)
                .map_err(Failure::at(Step::Count))
        } else {
            Ok(())
        };
        let unlocked = flock(&self.0, FlockOperation::Unlock).map_err(Failure::at(Step::Count));
        raised.and(unlocked)
    }
}
