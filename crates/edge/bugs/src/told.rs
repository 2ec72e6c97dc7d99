//! One JSON line on stderr for each panic, up to a rate: loud for operators, and without what was being handled.
//!
//! The words of a panic may quote that (a slice of text out of bounds prints the text: a token, say), so only words that
//! stand in the source as they are get out. The place says the rest.

use std::any::Any;
use std::cell::Cell;
use std::io::Write as _;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};

/// Lines per second: a bug in every request is not a full disk.
const TOLD_PER_SECOND_MAX: u64 = 10;

thread_local! {
    static DOING: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// What this thread does, while the value lives.
pub(crate) struct Doing(Option<&'static str>);

impl Doing {
    pub(crate) fn begin(what: &'static str) -> Doing {
        Doing(DOING.replace(Some(what)))
    }
}

impl Drop for Doing {
    fn drop(&mut self) {
        DOING.set(self.0);
    }
}

/// From now on panics of this process are told so. For a process that is ours alone, once.
pub fn tell() {
    let rate = Rate::default();
    std::panic::set_hook(Box::new(move |panic| {
        if !rate.admits(sys::clock::mono_ms() / 1000) {
            return;
        }
        let thread = std::thread::current();
        let doing = DOING.get().or(thread.name()).unwrap_or_default();
        let line = line(doing, panic.location(), panic.payload());
        // Where stderr is gone, what serves goes on all the same.
        let _gone = std::io::stderr().write_all(line.as_bytes());
    }));
}

fn line(doing: &str, at: Option<&Location<'_>>, words: &(dyn Any + Send)) -> String {
    let at = at.map_or_else(String::new, ToString::to_string);
    let words = words.downcast_ref::<&'static str>();
    let words = words.unwrap_or(&"not shown: it may quote what was being handled");
    let [doing, at, words] = [doing, &at, words].map(plain);
    format!(
        "{{\"bug\":\"Steadfast has a bug: please report it\",\"in\":\"{doing}\",\"at\":\"{at}\",\"says\":\"{words}\"}}\n"
    )
}

/// Nothing of it needs an escape.
fn plain(text: &str) -> String {
    text.replace(
        |letter: char| letter < ' ' || matches!(letter, '"' | '\\'),
        " ",
    )
}

/// Bounds the lines. Two threads in the same moment may tell one more or less.
#[derive(Default)]
struct Rate {
    second: AtomicU64,
    told: AtomicU64,
}

impl Rate {
    fn admits(&self, second: u64) -> bool {
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.told.store(0, Ordering::Relaxed);
        }
        self.told.fetch_add(1, Ordering::Relaxed) < TOLD_PER_SECOND_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_and_quotes_nothing_that_was_handled() {
        let place = Location::caller();
        let said = line("accept", Some(place), &"a \"literal\"\n");
        assert_eq!(
            said,
            format!(
                "{{\"bug\":\"Steadfast has a bug: please report it\",\"in\":\"accept\",\"at\":\"{place}\",\
                 \"says\":\"a  literal  \"}}\n"
            )
        );
        let made = line("accept", None, &"quotes a token".to_owned());
        assert!(!made.contains("token") && made.ends_with("}\n"), "{made}");
    }

    #[test]
    fn a_storm_of_them_is_a_few_lines_a_second() {
        let rate = Rate::default();
        let told = |second| (0..1_000).filter(|_| rate.admits(second)).count() as u64;
        assert_eq!([told(5), told(6)], [TOLD_PER_SECOND_MAX; 2]);
    }
}
