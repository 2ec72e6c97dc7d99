//! The count of revocations, shared by all processes of the machine: eight bytes in a file, read at every verification.
//!
//! A read is a load from a mapping ([`sys::shared`]). The number is made in the database, in the transaction that
//! revokes, and only ever rises in the file: a process that is late with its number must not put an older one back, or
//! a verdict that was cached under that one would count again.
//!
//! Another file may stand in its place: whatever puts a directory back from a copy writes beside and renames. Whoever has
//! the old one mapped would never hear of a revocation again. So every process looks for that a few times a second
//! ([`Count::follow`]), a raise looks first, and the database notes which file was raised last: the first revocation
//! after a replacement waits until all have looked ([`COUNT_SETTLES_MS`](crate::limits::COUNT_SETTLES_MS)).

use crate::error::{Failure, Step};
use crate::place::{FileId, Place};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use sys::shared::SharedNumber;

/// A number, or nothing yet.
const COUNT_BYTES: u64 = 8;

pub(crate) struct Count {
    place: Place,
    open: RwLock<Open>,
}

struct Open {
    number: SharedNumber,
    file: FileId,
}

impl Open {
    fn at(place: &Place) -> Result<Self, Failure> {
        let path = place.count();
        let file = sys::files::private(&path).map_err(Failure::at(Step::Files))?;
        let meta = file.metadata().map_err(Failure::at(Step::Files))?;
        // What is longer is no count: it was moved here.
        if meta.len() <= COUNT_BYTES {
            place.hand_over(&file)?;
        }
        Ok(Self {
            number: SharedNumber::of(file).map_err(Failure::at(Step::Count))?,
            file: (meta.dev(), meta.ino()),
        })
    }
}

impl Count {
    /// Opens it, or makes it with the database's number.
    pub(crate) fn open(place: &Place, number: u64) -> Result<Self, Failure> {
        let count = Self {
            place: place.clone(),
            open: RwLock::new(Open::at(place)?),
        };
        // Also when it exists: a process may have died between its commit and this file.
        count.raise_to(number)?;
        Ok(count)
    }

    fn opened(&self) -> RwLockReadGuard<'_, Open> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read(&self) -> Result<u64, Failure> {
        self.opened()
            .number
            .read()
            .map_err(Failure::at(Step::Count))
    }

    /// What stands in the file that is there now; 0 where that cannot be read, as in one that was cut short: a raise mends it,
    /// or fails.
    pub(crate) fn held(&self) -> u64 {
        self.follow().and_then(|_| self.read()).unwrap_or(0)
    }

    /// Raises it to `number`, unless another process has raised it further.
    pub(crate) fn raise_to(&self, number: u64) -> Result<(), Failure> {
        self.opened()
            .number
            .raise_to(number)
            .map_err(Failure::at(Step::Count))
    }

    /// The file that stands there now, opened if it is another one than before. Nothing that was remembered under a
    /// number of the old one counts under the new one's.
    pub(crate) fn follow(&self) -> Result<FileId, Failure> {
        let there = match std::fs::symlink_metadata(self.place.count()) {
            Ok(meta) => Some((meta.dev(), meta.ino())),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(Failure::new(Step::Files, error)),
        };
        let known = self.opened().file;
        if there == Some(known) {
            return Ok(known);
        }
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let next = Open::at(&self.place)?;
        if next.file != open.file {
            // A file that was cut short says nothing any more; then the new one's number is as good as any.
            let before = open.number.read().unwrap_or(0);
            let above = next.number.raise_to(before.saturating_add(1));
            above.map_err(Failure::at(Step::Count))?;
            *open = next;
        }
        Ok(open.file)
    }
}
