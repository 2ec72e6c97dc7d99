//! Times and durations as people read them. Pure: the zone is an argument.

/// Seconds east of UTC. One offset for a whole listing: a change of summer time within it would only confuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Zone {
    /// Seconds east of UTC.
    pub offset_s: i32,
}

impl Zone {
    /// UTC.
    pub const UTC: Zone = Zone { offset_s: 0 };

    /// `21:14:02`.
    pub fn time(self, wall_ms: u64) -> String {
        let second = self.local_s(wall_ms).rem_euclid(DAY_S);
        format!(
            "{:02}:{:02}:{:02}",
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }

    /// `2026-11-25`.
    pub fn date(self, wall_ms: u64) -> String {
        let (year, month, day) = sys::clock::civil(self.local_s(wall_ms).div_euclid(DAY_S));
        format!("{year:04}-{month:02}-{day:02}")
    }

    fn local_s(self, wall_ms: u64) -> i64 {
        (wall_ms / 1000) as i64 + i64::from(self.offset_s)
    }
}

const DAY_S: i64 = 86_400;

/// `0.4 s`, `12.0 s`, `4 min 05 s`, `1h 02m`, `3d 02h`.
pub fn duration(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0..60 => format!("{}.{} s", s, ms % 1000 / 100),
        60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        3600..86_400 => format!("{}h {:02}m", s / 3600, s / 60 % 60),
        _ => format!("{}d {:02}h", s / 86_400, s / 3600 % 24),
    }
}

/// A life so far, coarser than [`duration`]: `12 s`, `4 min`, `1h 02m`, `3d 02h`.
pub fn ago(ms: u64) -> String {
    match ms / 1000 {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3600 => format!("{} min", s / 60),
        _ => duration(ms),
    }
}

/// `1 request`, `2 requests`, `0 requests`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let ms = 1_764_034_442_999; // 2025-11-25 01:34:02 UTC
        assert_eq!(Zone::UTC.time(ms), "01:34:02");
        assert_eq!(Zone::UTC.date(ms), "2025-11-25");
        let west = Zone {
            offset_s: -5 * 3600,
        };
        assert_eq!(
            (west.date(ms), west.time(ms)),
            ("2025-11-24".into(), "20:34:02".into())
        );
        assert_eq!(Zone::UTC.date(951_782_400_000), "2000-02-29");
        assert_eq!(west.date(0), "1969-12-31");
    }

    #[test]
    fn durations() {
        let words: Vec<String> = [0, 1449, 59_999, 245_000, 3_720_000, 266_400_000]
            .map(duration)
            .into();
        assert_eq!(
            words,
            ["0.0 s", "1.4 s", "59.9 s", "4 min 05 s", "1h 02m", "3d 02h"]
        );
        assert_eq!((ago(12_900), ago(245_000)), ("12 s".into(), "4 min".into()));
    }
}
