//! The clocks. Pure crates take times as arguments; shells take them from here.

use rustix::time::{ClockId, Timespec, clock_gettime};

fn ms(time: Timespec) -> u64 {
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
}

/// Milliseconds of CLOCK_MONOTONIC: the same for every process of this machine, for deadlines.
pub fn mono_ms() -> u64 {
    ms(clock_gettime(ClockId::Monotonic))
}

/// Microseconds of CLOCK_MONOTONIC, as sd_notify(3) wants them.
pub fn mono_us() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000
}

/// Milliseconds since 1970, for people.
pub fn wall_ms() -> u64 {
    ms(clock_gettime(ClockId::Realtime))
}

/// Year, month, day of a number of days since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `civil_from_days`).
pub fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Nanoseconds since boot: a number that only rises while this machine is up, used as the daemon's epoch.
pub fn boottime_ns() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Seconds that local time (TZ, /etc/localtime) is east of UTC at a wall time in milliseconds. Times for people only.
pub fn utc_offset_s(wall_ms: u64) -> i32 {
    let seconds = (wall_ms / 1000) as libc::time_t;
    // SAFETY: both pointers are to live values; localtime_r writes the second and keeps neither.
    unsafe {
        let mut local: libc::tm = std::mem::zeroed();
        if libc::localtime_r(&seconds, &mut local).is_null() {
            return 0;
        }
        local.tm_gmtoff as i32
    }
}
