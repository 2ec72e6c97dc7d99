//! The slots of the throttle: one file for all workers of a machine, so that more workers are not more guesses.
//!
//! Fixed size, sparse, in the directory of the sessions; read and written at a place, never mapped, never synced: what a
//! power cut takes away are a few wrong passwords of the last seconds. It outlives the gateway, so that nobody gets new
//! guesses by a restart. The key by which slots are chosen is drawn when the file is made and stands in it (0600).
//! Where there can be no file, this worker counts for itself.
//!
//! ```text
//! "sfthr01\n" | key, 16 bytes | 8 bytes, nothing yet | slots, u64 little endian: when each budget is whole again
//! ```

use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Slots: a megabyte; that many attackers at once are another problem than passwords.
pub(crate) const SLOTS: usize = 2 * 65_536;
const NAME: &str = "throttle";
const MAGIC: &[u8; 8] = b"sfthr01\n";
const HEAD_BYTES: u64 = 32;
const WHOLE_BYTES: u64 = HEAD_BYTES + 8 * SLOTS as u64;

/// See the module.
#[derive(Debug)]
pub(crate) struct Field {
    key: [u8; 16],
    slots: Slots,
}

#[derive(Debug)]
enum Slots {
    Own(Vec<u64>),
    Shared(File),
}

impl Field {
    /// A field of this worker alone.
    pub(crate) fn own() -> Field {
        Field {
            key: crate::kept::random(),
            slots: Slots::Own(vec![0; SLOTS]),
        }
    }

    /// The field of all workers that keep sessions in this directory; one of our own if there can be none.
    pub(crate) fn shared(dir: &Path) -> Field {
        open(dir).unwrap_or_else(|_| Field::own())
    }

    /// Whether others count here, too.
    #[cfg(test)]
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self.slots, Slots::Shared(_))
    }

    /// The slot of what these parts name, in this range.
    pub(crate) fn slot(&self, range: Range, parts: &[&[u8]]) -> usize {
        slot(&self.key, range, parts)
    }

    /// Reads, decides and writes these slots while nobody else does.
    pub(crate) fn change<T>(&mut self, slots: &[usize], decide: impl FnOnce(&mut [u64]) -> T) -> T {
        match &mut self.slots {
            Slots::Own(all) => {
                let mut values: Vec<u64> = slots.iter().map(|slot| all[*slot]).collect();
                let said = decide(&mut values);
                for (slot, value) in slots.iter().zip(values) {
                    all[*slot] = value;
                }
                said
            }
            Slots::Shared(file) => {
                // Held for microseconds. Refused by the file system: then two tries at once may count as one.
                let _lock = Lock::take(file);
                let place = |slot: &usize| HEAD_BYTES + 8 * *slot as u64;
                let read = |slot: &usize| {
                    let mut bytes = [0; 8];
                    // Not read: counted as nothing. A disk that fails answers no login anyway.
                    match file.read_exact_at(&mut bytes, place(slot)) {
                        Ok(()) => u64::from_le_bytes(bytes),
                        Err(_) => 0,
                    }
                };
                let before: Vec<u64> = slots.iter().map(read).collect();
                let mut values = before.clone();
                let said = decide(&mut values);
                for (slot, (value, before)) in slots.iter().zip(values.iter().zip(&before)) {
                    if value != before {
                        let _full = file.write_all_at(&value.to_le_bytes(), place(slot));
                    }
                }
                said
            }
        }
    }
}

/// Which budget a slot is of. Each has slots of its own: one that is looked at with another's measure would be cut to it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Range {
    Address,
    Pair,
    Account,
    Device,
}

const RANGES: usize = 4;

/// The slot of what these parts name, in this range; who does not know the key cannot choose it.
pub(crate) fn slot(key: &[u8], range: Range, parts: &[&[u8]]) -> usize {
    let mut text = key.to_vec();
    for part in parts {
        // With its length, so that no two lists of parts read alike.
        text.extend_from_slice(&(part.len() as u64).to_le_bytes());
        text.extend_from_slice(part);
    }
    let [a, b, c, d, ..] = session::hash(&text);
    let each = SLOTS / RANGES;
    range as usize * each + u32::from_le_bytes([a, b, c, d]) as usize % each
}

/// Opens the file, or makes it; what is none of ours is made anew.
fn open(dir: &Path) -> io::Result<Field> {
    let file = sys::files::private(&dir.join(NAME))?;
    let lock = Lock::take(&file);
    let mut head = [0; HEAD_BYTES as usize];
    let whole = file.metadata()?.len() == WHOLE_BYTES;
    let known = whole && file.read_exact_at(&mut head, 0).is_ok() && head.starts_with(MAGIC);
    if !known {
        head[..8].copy_from_slice(MAGIC);
        head[8..24].copy_from_slice(&crate::kept::random::<16>());
        file.set_len(0)?;
        file.set_len(WHOLE_BYTES)?;
        file.write_all_at(&head, 0)?;
    }
    drop(lock);
    let mut key = [0; 16];
    key.copy_from_slice(&head[8..24]);
    Ok(Field {
        key,
        slots: Slots::Shared(file),
    })
}

/// Held until it is dropped; of an open file, so that it ends with its process.
struct Lock<'a>(Option<&'a File>);

impl<'a> Lock<'a> {
    fn take(file: &'a File) -> Lock<'a> {
        let taken = rustix::io::retry_on_intr(|| flock(file, FlockOperation::LockExclusive));
        Lock(taken.is_ok().then_some(file))
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        if let Some(file) = self.0 {
            // It ends with the descriptor at the latest.
            let _unlocked = flock(file, FlockOperation::Unlock);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(field: &mut Field, slot: usize) -> u64 {
        field.change(&[slot], |values| {
            values[0] += 1;
            values[0]
        })
    }

    #[test]
    fn workers_share_it_and_it_outlives_them() {
        let dir = tempfile::tempdir().expect("a directory");
        let (mut one, mut two) = (Field::shared(dir.path()), Field::shared(dir.path()));
        assert!(one.is_shared() && two.is_shared());
        let slot = one.slot(Range::Pair, &[b"pair", b"ada"]);
        assert_eq!(slot, two.slot(Range::Pair, &[b"pair", b"ada"]));
        assert_ne!(slot, one.slot(Range::Pair, &[b"paira", b"da"]));
        for n in 0..1000_u32 {
            let ranges = [Range::Address, Range::Pair, Range::Account, Range::Device];
            let slots = ranges.map(|range| one.slot(range, &[&n.to_le_bytes()]));
            assert!(slots.is_sorted() && slots[3] < SLOTS, "{slots:?}");
            assert!(
                slots
                    .iter()
                    .zip(0..)
                    .all(|(slot, n)| slot / (SLOTS / RANGES) == n)
            );
        }
        assert_eq!((add(&mut one, slot), add(&mut two, slot)), (1, 2));
        drop((one, two));
        assert_eq!(add(&mut Field::shared(dir.path()), slot), 3);
        assert_eq!(
            add(&mut Field::shared(dir.path()), SLOTS - 1),
            1,
            "the last one"
        );
    }

    #[test]
    fn nothing_is_lost_between_workers_at_the_same_time() {
        let dir = tempfile::tempdir().expect("a directory");
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let mut field = Field::shared(dir.path());
                std::thread::spawn(move || (0..100).for_each(|_| _ = add(&mut field, 7)))
            })
            .collect();
        for worker in workers {
            worker.join().expect("counted");
        }
        assert_eq!(add(&mut Field::shared(dir.path()), 7), 401);
    }

    #[test]
    fn what_is_none_of_ours_is_made_anew_and_no_link_is_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(NAME);
        std::fs::write(&path, "short").expect("written");
        let mut field = Field::shared(dir.path());
        assert!(field.is_shared());
        assert_eq!(add(&mut field, 0), 1);
        assert_eq!(std::fs::metadata(&path).expect("kept").len(), WHOLE_BYTES);
        std::fs::remove_file(&path).expect("removed");
        let other = dir.path().join("precious");
        std::fs::write(&other, "precious").expect("written");
        std::os::unix::fs::symlink(&other, &path).expect("linked");
        let mut field = Field::shared(dir.path());
        assert!(!field.is_shared());
        assert_eq!((add(&mut field, 0), add(&mut field, 0)), (1, 2));
        assert_eq!(std::fs::read(&other).expect("kept"), b"precious");
        assert!(!Field::shared(&dir.path().join("none")).is_shared());
    }
}
