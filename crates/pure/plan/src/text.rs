//! Steps in words, for `steadfast plan`.

use crate::model::{Key, Step};

/// One step as one line.
pub fn line(step: &Step) -> String {
    match step {
        Step::Bind { listener } => format!("listen on {listener}"),
        Step::Spawn { slot } => format!("make a place for {slot}"),
        Step::Install { slot } => format!("define {slot}"),
        Step::Start { slot, after } => {
            format!("start {slot}{}", waiting(after, "is ready", "are ready"))
        }
        Step::Restart { slot, after } => {
            format!("restart {slot}{}", waiting(after, "is ready", "are ready"))
        }
        Step::Stop { slot, after } => {
            format!("stop {slot}{}", waiting(after, "is down", "are down"))
        }
        Step::Remove { slot } => format!("remove {slot}"),
        Step::Drop { listener } => format!("close {listener}"),
    }
}

fn waiting(after: &[Key], one: &str, many: &str) -> String {
    let names: Vec<String> = after.iter().map(Key::to_string).collect();
    match names.as_slice() {
        [] => String::new(),
        [only] => format!(" when {only} {one}"),
        _ => format!(" when {} {many}", names.join(", ")),
    }
}
