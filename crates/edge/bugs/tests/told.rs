//! What a process that tells its panics writes. It has to be one of its own: the hook is the whole process's.

use std::process::Command;

/// Set in the process that panics.
const CHILD: &str = "BUGS_CHILD";

#[tokio::test]
async fn a_panic_is_told_with_its_place_and_without_what_was_handled() {
    if std::env::var_os(CHILD).is_some() {
        return panics().await;
    }
    let name = "a_panic_is_told_with_its_place_and_without_what_was_handled";
    let itself = std::env::current_exe().expect("this test");
    let mut child = Command::new(itself);
    child.args(["--exact", name, "--nocapture"]).env(CHILD, "1");
    let done = child.output().expect("started");
    assert!(done.status.success(), "it went on: {done:?}");
    let said = String::from_utf8_lossy(&done.stderr);
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("bug")).collect();
    let [slice, literal] = lines.as_slice() else {
        panic!("{said}");
    };
    assert!(
        slice.contains("\"in\":\"a task\",\"at\":\"crates/edge/bugs/tests/told.rs:"),
        "{slice}"
    );
    assert!(!said.contains("s3cret"), "{said}");
    assert!(literal.contains("\"says\":\"it was not so\""), "{literal}");
}

async fn panics() {
    bugs::tell();
    let turn = std::cell::Cell::new(0);
    bugs::again("a task", || async {
        turn.set(turn.get() + 1);
        let token = format!("s3cret\u{e9}{}", turn.get());
        match turn.get() {
            1 => assert!(token[..7].is_empty(), "a slice that cuts a letter in two"),
            2 => panic!("it was not so"),
            _ => {}
        }
    })
    .await;
}
