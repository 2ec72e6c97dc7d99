//! The count of revocations, shared by all processes of the machine: eight bytes in a file, read at every verification.
//!
//! A read is a load from a mapping ([`sys::shared`]). The number is made in the database, in the transaction that
//! revokes, and only ever rises in the file: a process that is late with its number must not put an older one back, or
//! a verdict that was cached under that one would count again.

use crate::error::{Failure, Step};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use sys::shared::SharedNumber;

pub(crate) struct Count(SharedNumber);

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
        let count = Self(SharedNumber::of(file).map_err(Failure::at(Step::Count))?);
        // Also when it exists: a process may have died between its commit and this file.
        count.raise_to(number)?;
        Ok(count)
    }

    pub(crate) fn read(&self) -> Result<u64, Failure> {
        self.0.read().map_err(Failure::at(Step::Count))
    }

    /// Raises it to `number`, unless another process has raised it further.
    pub(crate) fn raise_to(&self, number: u64) -> Result<(), Failure> {
        self.0.raise_to(number).map_err(Failure::at(Step::Count))
    }
}
