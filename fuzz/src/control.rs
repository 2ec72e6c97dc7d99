//! What the roles tell each other: frames between root, daemon, keepers and gateways, and the lines of `control.sock`.

use std::fmt::Debug;
use wire::{Command, Fact, Hello, Notice, Order, Publish, Report, Spec, Tell};

/// Whatever comes on one of the sockets: it is refused, or it is a message that is written and read again as the same.
/// The first byte says on which.
pub fn control(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else {
        return;
    };
    match choice % 10 {
        0 => frame::<Order>(bytes),
        1 => frame::<Tell>(bytes),
        2 => frame::<Command>(bytes),
        3 => frame::<Report>(bytes),
        4 => frame::<Notice>(bytes),
        5 => frame::<Publish>(bytes),
        6 => frame::<Hello>(bytes),
        7 => frame::<Fact>(bytes),
        8 => frame::<Spec>(bytes),
        _ => line(bytes),
    }
}

fn frame<T: wire::Field + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(message) = wire::decode::<T>(bytes) else {
        return;
    };
    let written = wire::encode(&message);
    let again = wire::decode::<T>(&written).expect("what we write we read");
    assert_eq!(again, message, "a frame changes on its way");
    assert_eq!(wire::encode(&again), written, "a frame has one form");
    // Cut anywhere, it is another message or none, never a panic.
    for end in 0..written.len() {
        let _ = wire::decode::<T>(&written[..end]);
    }
}

fn line(bytes: &[u8]) {
    let Ok(request) = serde_json::from_slice::<::control::Request>(bytes) else {
        return;
    };
    let written = serde_json::to_vec(&request).expect("a request is JSON");
    assert!(!written.contains(&b'\n'), "a request is one line");
    let again: ::control::Request = serde_json::from_slice(&written).expect("read again");
    assert_eq!(again, request, "a request changes on its way");
}
