//! Names of signals, by the numbers of Linux on x86 and ARM (signal(7)).

/// Every name of a signal without SIG, those that Python knows: where a number has several, the first is what we call it
/// (signal(7), x86 and ARM).
pub const NAMES: [(&str, i32); 36] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
    ("RTMIN", 34),
    ("RTMAX", 64),
];

/// `HUP`, `SIGHUP`, `hup` or `1` as a number.
pub fn number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        // 0 asks only whether it is there (kill(2)), as Supervisor's `signal 0` does.
        return (0..=64).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    NAMES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, number)| *number)
}

/// `SIGTERM`; one without a name by its number: `SIG40`.
pub fn name(number: i32) -> String {
    match NAMES.iter().find(|(_, known)| *known == number) {
        Some((name, _)) => format!("SIG{name}"),
        None => format!("SIG{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_number_and_the_first_is_what_we_say() {
        for (known, number_of) in NAMES {
            assert_eq!(number(&format!("sig{known}")), Some(number_of), "{known}");
        }
        assert_eq!((number("CLD"), name(17)), (Some(17), "SIGCHLD".to_owned()));
        assert_eq!((number("IOT"), name(6)), (Some(6), "SIGABRT".to_owned()));
        assert_eq!((number("40"), name(40)), (Some(40), "SIG40".to_owned()));
        assert_eq!((number("NOPE"), number("65")), (None, None));
    }
}
