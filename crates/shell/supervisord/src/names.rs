//! Supervisor's names and sets of states (options.py `split_namespec`, `make_namespec`; states.py).

use wire::signals::NAMES;

/// A name as people write it: `(group, Some(process))`, or `(group, None)` for `group:*` and `group:`.
pub fn split(name: &str) -> (&str, Option<&str>) {
    match name.split_once(':') {
        Some((group, "" | "*")) => (group, None),
        Some((group, process)) => (group, Some(process)),
        None => (name, Some(name)),
    }
}

/// `group:process`, or just the name where both are the same.
pub fn join(group: &str, process: &str) -> String {
    if group == process {
        process.to_owned()
    } else {
        format!("{group}:{process}")
    }
}

/// STARTING, RUNNING, BACKOFF.
pub fn is_running(state: i32) -> bool {
    matches!(state, 10 | 20 | 30)
}

/// STOPPED, EXITED, FATAL, UNKNOWN.
pub fn is_stopped(state: i32) -> bool {
    matches!(state, 0 | 100 | 200 | 1000)
}

/// RUNNING, STARTING, STOPPING.
pub fn is_signallable(state: i32) -> bool {
    matches!(state, 10 | 20 | 40)
}

/// The number of a signal by Supervisor's rule (datatypes.py `signal_number`): a number that is one, or a name,
/// with or without `SIG`, in any case. Linux's numbers.
pub fn signal_number(text: &str) -> Option<i32> {
    if let Ok(number) = text.trim().parse::<i32>() {
        let known = number == 0 || NAMES.iter().any(|(_, n)| *n == number);
        return known.then_some(number);
    }
    let name = text.trim().to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    NAMES.iter().find(|(n, _)| *n == name).map(|(_, n)| *n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(split("a"), ("a", Some("a")));
        assert_eq!(split("a:b"), ("a", Some("b")));
        assert_eq!(split("a:*"), ("a", None));
        assert_eq!(split("a:"), ("a", None));
        assert_eq!(split("a:b:c"), ("a", Some("b:c")));
        assert_eq!((join("a", "a"), join("a", "b")), ("a".into(), "a:b".into()));
    }

    #[test]
    fn signals() {
        for text in ["HUP", "SIGHUP", "hup", " 1 "] {
            assert_eq!(signal_number(text), Some(1), "{text}");
        }
        for text in ["", "SIG", "NOPE", "999", "-1", "1.0"] {
            assert_eq!(signal_number(text), None, "{text}");
        }
    }
}
