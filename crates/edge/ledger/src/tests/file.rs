//! The file: torn lines, full disks, rotation, replays.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use proptest::prelude::*;
use wire::{State, Why};

use super::{KEEPER, transition};
use crate::{Entry, FILE_NAME, Filter, Keeper, LINE_BYTES_MAX, Ledger, What, Written, read};

fn started(seq: u64) -> Entry {
    let t = transition(
        seq,
        1000 + seq,
        State::Stopped,
        State::Starting,
        Why::Boot,
        "",
    );
    Entry::transition("backend", 3, KEEPER, &t)
}

fn seqs(dir: &Path, filter: &Filter) -> Vec<u64> {
    let entries = read(dir, filter).expect("read");
    entries
        .iter()
        .filter_map(|e| e.happened().map(|h| h.seq))
        .collect()
}

#[test]
fn what_is_appended_is_read_once_and_only_by_the_owner() {
    let dir = tempfile::tempdir().expect("dir");
    let mut ledger = Ledger::open(dir.path()).expect("open");
    for seq in [1, 2, 2, 1, 3] {
        ledger.append(&started(seq), 5000).expect("append");
    }
    let other = Keeper {
        pid: 40,
        started: 10,
    };
    let mut of_other = started(1);
    if let What::Transition(h) = &mut of_other.what {
        h.keeper_started = other.started;
    }
    assert_eq!(
        ledger.append(&of_other, 5000).expect("append"),
        Written::New,
        "a new keeper counts anew"
    );
    assert_eq!(seqs(dir.path(), &Filter::default()), [1, 1, 2, 3]);
    let mode = fs::metadata(dir.path().join(FILE_NAME))
        .expect("file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_torn_last_line_is_cut_off_and_its_transition_written_again() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join(FILE_NAME);
    let mut ledger = Ledger::open(dir.path()).expect("open");
    ledger.append(&started(1), 5000).expect("append");
    ledger.append(&started(2), 5000).expect("append");
    drop(ledger);
    let whole = fs::read(&path).expect("bytes");
    fs::write(&path, &whole[..whole.len() - 9]).expect("tear");
    assert_eq!(
        seqs(dir.path(), &Filter::default()),
        [1],
        "a reader skips it"
    );

    let mut ledger = Ledger::open(dir.path()).expect("open");
    assert_eq!(
        ledger.append(&started(1), 5000).expect("append"),
        Written::Known
    );
    assert_eq!(
        ledger.append(&started(2), 5000).expect("append"),
        Written::New
    );
    assert_eq!(fs::read(&path).expect("bytes"), whole);
}

#[test]
fn a_full_segment_makes_room_and_what_was_known_stays_known() {
    let dir = tempfile::tempdir().expect("dir");
    let mut ledger = Ledger::open_bounded(dir.path(), 4096).expect("open");
    for seq in 1..=100 {
        ledger.append(&started(seq), 5000).expect("append");
    }
    let length = |name: &str| fs::metadata(dir.path().join(name)).expect("file").len();
    assert!(length("ledger.jsonl") <= 4096 && length("ledger.jsonl.1") <= 4096);
    assert_eq!(fs::read_dir(dir.path()).expect("dir").count(), 2);
    assert_eq!(seqs(dir.path(), &Filter::last(3)), [98, 99, 100]);
    let kept = seqs(dir.path(), &Filter::default());
    assert!(kept.windows(2).all(|w| w[0] + 1 == w[1]), "{kept:?}");

    // A slot that was quiet since before the rotation is remembered too.
    let mut quiet = started(7);
    if let What::Transition(h) = &mut quiet.what {
        h.slot = 4;
    }
    ledger.append(&quiet, 5000).expect("append");
    for seq in 101..=200 {
        ledger.append(&started(seq), 5000).expect("append");
    }
    drop(ledger);
    let mut ledger = Ledger::open_bounded(dir.path(), 4096).expect("open");
    assert_eq!(ledger.append(&quiet, 5000).expect("append"), Written::Known);
    assert_eq!(ledger.last(3).map(|mark| mark.seq), Some(200));
}

#[test]
fn filters() {
    let dir = tempfile::tempdir().expect("dir");
    let mut ledger = Ledger::open(dir.path()).expect("open");
    for at_ms in [100, 200, 300] {
        ledger
            .append(&Entry::note(at_ms, "web:a", "a"), at_ms)
            .expect("append");
        ledger
            .append(&Entry::note(at_ms, "web:b", "b"), at_ms)
            .expect("append");
    }
    // Told an hour later: older than its neighbours, and still found.
    ledger
        .append(&Entry::note(250, "web:a", "late"), 400)
        .expect("append");
    let times = |filter: &Filter| -> Vec<u64> {
        let entries = ledger.read(filter).expect("read");
        entries.iter().map(|e| e.at_ms).collect()
    };
    assert_eq!(times(&Filter::default().of("web:b")), [100, 200, 300]);
    assert_eq!(
        times(&Filter::default().of("web:a").since(200)),
        [200, 250, 300]
    );
    assert_eq!(times(&Filter::last(2).of("web:*")), [250, 300]);
    assert_eq!(times(&Filter::last(2).of("we")), [0; 0]);
    assert_eq!(
        read(Path::new("/nonexistent"), &Filter::default()).expect("empty"),
        []
    );
}

#[test]
fn a_segment_of_many_steps_and_an_overlong_line_is_read_whole() {
    let dir = tempfile::tempdir().expect("dir");
    let mut ledger = Ledger::open(dir.path()).expect("open");
    for seq in 1..=500 {
        ledger.append(&started(seq), 5000).expect("append");
    }
    let path = dir.path().join(FILE_NAME);
    let mut bytes = fs::read(&path).expect("bytes");
    let cut = bytes.len() / 2;
    let cut = cut + bytes[cut..].iter().position(|b| *b == b'\n').expect("line") + 1;
    let junk = [vec![b'x'; 2 * LINE_BYTES_MAX], vec![b'\n']].concat();
    bytes.splice(cut..cut, junk);
    fs::write(&path, bytes).expect("write");
    let all: Vec<u64> = (1..=500).collect();
    assert_eq!(seqs(dir.path(), &Filter::default()), all);
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let dir = tempfile::tempdir().expect("dir");
        fs::write(dir.path().join(FILE_NAME), &bytes).expect("write");
        let mut ledger = Ledger::open(dir.path()).expect("open");
        ledger.append(&started(1), 5000).expect("append");
        prop_assert_eq!(seqs(dir.path(), &Filter::default()), vec![1]);
    }
}
