//! Supervisor's words for a process, letter for letter (rpcinterface.py `_interpretProcessInfo`).

use wire::State;

const DAY_S: i64 = 86_400;

/// What the description is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    /// Process name without its group.
    pub(crate) name: &'a str,
    /// State.
    pub(crate) state: State,
    /// Pid.
    pub(crate) pid: i32,
    /// When the last life began, wall clock; 0 = never.
    pub(crate) started_ms: u64,
    /// When it ended, wall clock; 0 = never.
    pub(crate) stopped_ms: u64,
    /// Now, wall clock.
    pub(crate) now_ms: u64,
    /// `spawnerr`.
    pub(crate) spawn_error: &'a str,
    /// Seconds east of UTC.
    pub(crate) utc_offset_s: i32,
}

/// Supervisor's description.
pub(crate) fn description(facts: &Facts<'_>) -> String {
    match facts.state {
        State::Running => {
            let up_s = (facts.now_ms / 1000).saturating_sub(facts.started_ms / 1000);
            format!("pid {}, uptime {}", facts.pid, uptime(up_s))
        }
        State::Fatal | State::Backoff if facts.spawn_error.is_empty() => {
            format!("unknown error (try \"tail {}\")", facts.name)
        }
        State::Fatal | State::Backoff => facts.spawn_error.to_owned(),
        State::Stopped | State::Exited if facts.started_ms == 0 => "Not started".to_owned(),
        State::Stopped | State::Exited => short_time(facts.stopped_ms, facts.utc_offset_s),
        State::Starting | State::Stopping | State::Unknown => String::new(),
    }
}

/// Python's `str(timedelta)`: `0:00:03`, `1 day, 2:00:00`, `3 days, 0:00:00`.
fn uptime(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let time = format!("{}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    match days {
        0 => time,
        1 => format!("1 day, {time}"),
        _ => format!("{days} days, {time}"),
    }
}

/// `%b %d %I:%M %p` of local time: `Nov 25 01:02 AM`.
fn short_time(wall_ms: u64, utc_offset_s: i32) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let local = Local::of(wall_ms, utc_offset_s);
    let half = if local.hour < 12 { "AM" } else { "PM" };
    let hour = match local.hour % 12 {
        0 => 12,
        hour => hour,
    };
    let month = MONTHS
        .get(local.month as usize - 1)
        .copied()
        .unwrap_or("Jan");
    format!(
        "{month} {:02} {hour:02}:{:02} {half}",
        local.day, local.minute
    )
}

/// A wall time taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Local {
    /// Year.
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: u32,
    /// 1 to 31.
    pub(crate) day: u32,
    /// 0 to 23.
    pub(crate) hour: u32,
    /// 0 to 59.
    pub(crate) minute: u32,
    /// 0 to 59.
    pub(crate) second: u32,
    /// 0 to 999.
    pub(crate) ms: u32,
}

impl Local {
    /// Days to a date by Howard Hinnant's `civil_from_days` ("chrono-Compatible Low-Level Date Algorithms").
    pub(crate) fn of(wall_ms: u64, utc_offset_s: i32) -> Local {
        let seconds = (wall_ms / 1000) as i64 + i64::from(utc_offset_s);
        let (days, rest) = (seconds.div_euclid(DAY_S), seconds.rem_euclid(DAY_S) as u32);
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        Local {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month: month as u32,
            day: (day_of_year - (153 * shifted + 2) / 5 + 1) as u32,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
            ms: (wall_ms % 1000) as u32,
        }
    }

    /// `2026-11-25 01:02:03,456`, as Supervisor's log has it.
    pub(crate) fn stamp(self) -> String {
        format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02},{:03}",
            self.year, self.month, self.day, self.hour, self.minute, self.second, self.ms
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_795_568_523_456; // 2026-11-25 01:02:03.456 UTC

    fn check(state: State, started_ms: u64, spawn_error: &str) -> String {
        description(&Facts {
            name: "backend",
            state,
            pid: 1067,
            started_ms,
            stopped_ms: NOW_MS,
            now_ms: NOW_MS,
            spawn_error,
            utc_offset_s: 0,
        })
    }

    #[test]
    fn running_has_pid_and_uptime() {
        assert_eq!(
            check(State::Running, NOW_MS - 3_000, ""),
            "pid 1067, uptime 0:00:03"
        );
        assert_eq!(
            check(State::Running, NOW_MS - 266_400_000, ""),
            "pid 1067, uptime 3 days, 2:00:00"
        );
        assert_eq!(
            check(State::Running, NOW_MS - 86_405_000, ""),
            "pid 1067, uptime 1 day, 0:00:05"
        );
        // The clock was set back: no negative time.
        assert_eq!(
            check(State::Running, NOW_MS + 9_000, ""),
            "pid 1067, uptime 0:00:00"
        );
    }

    #[test]
    fn what_is_down_says_since_when_or_why() {
        assert_eq!(check(State::Stopped, 0, ""), "Not started");
        assert_eq!(check(State::Stopped, 1, ""), "Nov 25 01:02 AM");
        assert_eq!(check(State::Exited, 1, ""), "Nov 25 01:02 AM");
        assert_eq!(
            check(State::Fatal, 1, "can't find command 'x'"),
            "can't find command 'x'"
        );
        assert_eq!(
            check(State::Backoff, 1, ""),
            "unknown error (try \"tail backend\")"
        );
        assert_eq!(check(State::Starting, 1, ""), "");
        assert_eq!(check(State::Stopping, 1, ""), "");
    }

    #[test]
    fn times_are_local() {
        assert_eq!(Local::of(NOW_MS, 0).stamp(), "2026-11-25 01:02:03,456");
        assert_eq!(
            Local::of(NOW_MS, -2 * 3600).stamp(),
            "2026-11-24 23:02:03,456"
        );
        assert_eq!(short_time(NOW_MS, -2 * 3600), "Nov 24 11:02 PM");
        assert_eq!(short_time(NOW_MS, 11 * 3600), "Nov 25 12:02 PM");
        assert_eq!(short_time(NOW_MS, -3600), "Nov 25 12:02 AM");
    }
}
