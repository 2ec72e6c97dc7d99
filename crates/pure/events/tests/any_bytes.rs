//! Whatever a listener writes, in whatever pieces.

use events::{Conversation, Heard, LINE_BYTES_MAX, ListenerState, Piece, Tap};
use proptest::prelude::*;

fn said() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        8 => Just(b"READY\n".to_vec()),
        6 => Just(b"RESULT 2\nOK".to_vec()),
        3 => Just(b"RESULT 4\nFAIL".to_vec()),
        1 => Just(b"RESULT x\n".to_vec()),
        1 => Just(b"RESULT 0\n".to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
    ];
    proptest::collection::vec(word, 0..12).prop_map(|words| words.concat())
}

/// Events are handed over as soon as it is ready, between any two bytes.
fn by_bytes(bytes: &[u8]) -> (Vec<Heard>, ListenerState) {
    let mut talk = Conversation::default();
    let mut heard = Vec::new();
    for byte in bytes {
        heard.extend(talk.hear(&[*byte]));
        talk.send();
        assert!(talk.kept_bytes() <= LINE_BYTES_MAX + 3);
    }
    (heard, talk.state())
}

proptest! {
    #[test]
    fn results_and_events_alternate(bytes in said()) {
        let (heard, state) = by_bytes(&bytes);
        let mut busy = false;
        for (at, one) in heard.iter().enumerate() {
            match one {
                Heard::Ready => { prop_assert!(!busy); busy = true; }
                Heard::Result { .. } => { prop_assert!(busy); busy = false; }
                Heard::BadResult { .. } => prop_assert!(busy && at + 2 == heard.len()),
                Heard::Broken => prop_assert_eq!(at + 1, heard.len()),
            }
        }
        prop_assert_eq!(state == ListenerState::Unknown, heard.last() == Some(&Heard::Broken));
    }

    #[test]
    fn nothing_of_the_output_is_lost_or_invented(
        words in proptest::collection::vec(prop_oneof![
            Just("<!--XSUPERVISOR:BEGIN-->"), Just("<!--XSUPERVISOR:END-->"), Just("<!--XSUP"), Just("text"), Just("\n"),
        ], 0..12),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let whole = words.concat().into_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(whole.len() + 1)).collect();
        cuts.sort_unstable();
        let run = |parts: &[&[u8]]| -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
            let mut tap = Tap::new(1 << 20, false, false)?;
            let mut pieces: Vec<Piece> = parts.iter().flat_map(|part| tap.take(part)).collect();
            pieces.extend(tap.end());
            let mut log = Vec::new();
            let mut captured = Vec::new();
            for piece in pieces {
                match piece { Piece::Log(bytes) | Piece::Event(bytes) => log.extend(bytes), Piece::Captured(bytes) => captured.push(bytes) }
            }
            Some((log, captured))
        };
        let mut parts = Vec::new();
        let mut from = 0;
        for cut in cuts { parts.push(&whole[from..cut]); from = cut; }
        parts.push(&whole[from..]);
        prop_assert_eq!(run(&parts), run(&[&whole]));
    }
}
