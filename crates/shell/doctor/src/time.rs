//! Times as people read them, and the times that logs are written with.

/// `1h 02m`, `3d 02h`, `40s`.
pub(crate) fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match seconds {
        86_400.. => format!("{days}d {hours:02}h"),
        3600.. => format!("{hours}h {minutes:02}m"),
        60.. => format!("{minutes}m {:02}s", seconds % 60),
        _ => format!("{seconds}s"),
    }
}

/// `21:14:02`, of seconds since 1970 in whatever time zone they are in.
pub(crate) fn clock(at: i64) -> String {
    let of_day = at.rem_euclid(86_400);
    format!(
        "{:02}:{:02}:{:02}",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    )
}

/// `2026-01-31`, of seconds since 1970.
pub(crate) fn date(unix_s: u64) -> String {
    ledger::Zone::UTC.date(unix_s.saturating_mul(1000))
}

/// `2026-01-31 21:14:02` (also with `T`) at the start of a text, as seconds since 1970 without regard to the time zone.
pub(crate) fn stamp(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let part = bytes.get(from..to)?;
        part.iter()
            .all(u8::is_ascii_digit)
            .then(|| part.iter().fold(0, |n, b| n * 10 + i64::from(b - b'0')))
    };
    let separators = [(4, b"-"), (7, b"-"), (13, b":"), (16, b":")];
    if !separators.iter().all(|(at, s)| bytes.get(*at) == s.first())
        || !matches!(bytes.get(10), Some(b' ' | b'T'))
    {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since 1970 by Howard Hinnant's days_from_civil.
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y - era * 400;
    let doy = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    let days = era * 146_097 + doe - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_stamps() {
        assert_eq!(duration(59), "59s");
        assert_eq!(duration(3720), "1h 02m");
        assert_eq!(duration(3 * 86_400 + 2 * 3600), "3d 02h");
        assert_eq!(stamp("1970-01-02 00:00:01,123 INFO"), Some(86_401));
        assert_eq!(date(1_709_208_000), "2024-02-29");
        assert_eq!(clock(86_400 + 3 * 3600 + 5), "03:00:05");
        assert_eq!(stamp("2024-02-29T12:00:00Z"), Some(1_709_208_000));
        for wrong in [
            "",
            "2024-13-01 00:00:00",
            "not a time at all, no",
            "2024-02-2é 1",
        ] {
            assert_eq!(stamp(wrong), None, "{wrong}");
        }
    }
}
