//! What /proc says of processes. Everything may vanish while it is read; that is None or an empty list.

use std::fs;
use std::io::Read;

/// Bytes of one read: the kernel writes so much of a text at a time. `fs::read_to_string` begins with 32 bytes and
/// doubles them, since these files say that they are empty.
const READ_BYTES: usize = 4096;

/// The parts of /proc/PID/stat that we use (proc_pid_stat(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Process id.
    pub pid: i32,
    /// Name, at most 15 bytes.
    pub name: String,
    /// One letter; Z = dead, not reaped.
    pub state: char,
    /// Parent.
    pub parent: i32,
    /// Process group.
    pub group: i32,
    /// Session.
    pub session: i32,
    /// User + system time, clock ticks.
    pub cpu_ticks: u64,
    /// Start after boot, clock ticks: tells a reused pid from the old one.
    pub start_ticks: u64,
}

/// Reads /proc/PID/stat.
pub fn stat(pid: i32) -> Option<Stat> {
    let mut buffer = [0; 1024];
    let mut file = fs::File::open(format!("/proc/{pid}/stat")).ok()?;
    // One line of 52 numbers and a name, which is made as a whole.
    let length = file.read(&mut buffer).ok()?;
    parse_stat(std::str::from_utf8(&buffer[..length]).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The name stands in parentheses and may contain both spaces and parentheses: cut at the last one.
    let open = text.find('(')?;
    let close = text.rfind(')')?;
    let fields: Vec<&str> = text.get(close + 2..)?.split(' ').collect();
    let number = |at: usize| fields.get(at)?.parse::<i64>().ok();
    Some(Stat {
        pid: text[..open].trim().parse().ok()?,
        name: text.get(open + 1..close)?.to_owned(),
        state: fields.first()?.chars().next()?,
        parent: number(1)? as i32,
        group: number(2)? as i32,
        session: number(3)? as i32,
        cpu_ticks: (number(11)? + number(12)?) as u64,
        start_ticks: number(19)? as u64,
    })
}

/// Every process, in order of its number.
pub fn pids() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut pids: Vec<i32> = entries
        .flatten()
        .filter_map(|entry| {
            entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
        })
        .collect();
    pids.sort_unstable();
    pids
}

/// Live processes of a session (zombies are dead).
pub fn session_members(session: i32) -> Vec<Stat> {
    pids()
        .into_iter()
        .filter_map(stat)
        .filter(|stat| stat.session == session && stat.state != 'Z')
        .collect()
}

/// Direct children of `pid`, zombies included (/proc/PID/task/PID/children, where the kernel has it).
pub fn children(pid: i32) -> Vec<i32> {
    match fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")) {
        Ok(text) => text
            .split_ascii_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect(),
        Err(_) => pids()
            .into_iter()
            .filter_map(stat)
            .filter(|stat| stat.parent == pid)
            .map(|stat| stat.pid)
            .collect(),
    }
}

/// Live descendants of `pid`, parents before children, at most `count_max`.
pub fn descendants(pid: i32, count_max: usize) -> Vec<Stat> {
    let mut found: Vec<Stat> = Vec::new();
    let mut queue = children(pid);
    while let Some(next) = queue.pop() {
        if found.len() >= count_max || found.iter().any(|stat| stat.pid == next) {
            continue;
        }
        if let Some(stat) = stat(next) {
            if stat.state != 'Z' {
                found.push(stat);
            }
            queue.extend(children(next));
        }
    }
    found
}

/// The command line, words joined by spaces, at most `bytes_max`.
pub fn command_line(pid: i32, bytes_max: usize) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(bytes_max)]).replace('\0', " ");
    text.trim_end().to_owned()
}

/// Bytes of a process that are in memory, pages shared with others counted whole (`RssAnon` and the rest of
/// /proc/PID/status would cost more to read); 0 where it is gone.
pub fn rss_bytes(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages: u64 = text
        .split_ascii_whitespace()
        .nth(1)
        .and_then(|word| word.parse().ok())
        .unwrap_or(0);
    pages.saturating_mul(rustix::param::page_size() as u64)
}

/// Bytes of a process with each shared page divided by its users (`Pss`); None where it may not be read. The kernel
/// walks its page tables for it: milliseconds for a large one.
pub fn pss_bytes(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kb: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kb * 1024)
}

/// What programs can still get: `MemAvailable` of /proc/meminfo, or what is left of the container's limit.
pub fn memory_available_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kb: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    // A container has its own limit (cgroup v2, as it sees itself).
    let number = |name: &str| -> Option<u64> {
        let text = fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?;
        text.trim().parse().ok()
    };
    let own = number("memory.max")
        .zip(number("memory.current"))
        .map(|(max, current)| max.saturating_sub(current));
    Some(own.map_or(kb * 1024, |own| own.min(kb * 1024)))
}

/// `oom_kill` of /proc/vmstat: how many processes the kernel has killed for memory; None where it is not told.
pub fn oom_kills() -> Option<u64> {
    number_after(fs::File::open("/proc/vmstat").ok()?, b"oom_kill ")
}

/// The number on the line that begins with `name`. Each read of /proc/vmstat costs the kernel a sum over all processors
/// and zones, and every start of a program asks, so it is read in as few pieces as it has.
fn number_after(mut file: impl Read, name: &[u8]) -> Option<u64> {
    // Not on the stack, whose pages a keeper has to itself from then on.
    let mut buffer = vec![0; READ_BYTES];
    let mut length = 0;
    loop {
        let count = file.read(&mut buffer[length..]).ok()?;
        length += count;
        let mut rest = &buffer[..length];
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            if let Some(number) = rest[..end].strip_prefix(name) {
                return std::str::from_utf8(number).ok()?.trim().parse().ok();
            }
            rest = &rest[end + 1..];
        }
        if count == 0 {
            return None;
        }
        // The beginning of a line.
        let from = length - rest.len();
        buffer.copy_within(from..length, 0);
        length -= from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_wherever_the_pieces_end() {
        struct Pieces<'a>(&'a [u8], usize);
        impl Read for Pieces<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                let size = self.1.min(buffer.len());
                self.0.read(&mut buffer[..size])
            }
        }
        let text = format!("{}oom_kill 12\nrest 3\n", "oom_killer 5\n".repeat(1000));
        for size in [1, 2, 7, 4096, 100_000] {
            let number = |name| number_after(Pieces(text.as_bytes(), size), name);
            assert_eq!(number(b"oom_kill "), Some(12), "{size}");
            assert_eq!(number(b"rest "), Some(3), "{size}");
            assert_eq!(number(b"none "), None, "{size}");
        }
        // A line that no piece holds is no reason to read for ever.
        assert_eq!(number_after(&*vec![b'x'; 10_000], b"x"), None);
        assert!(oom_kills().is_some());
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let line = "12 (a) b (c)) S 1 12 11 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 999 1 1";
        let stat = parse_stat(line).unwrap();
        assert_eq!(
            (stat.name.as_str(), stat.state, stat.parent, stat.session),
            ("a) b (c)", 'S', 1, 11)
        );
        assert_eq!((stat.cpu_ticks, stat.start_ticks), (11, 999));
        assert_eq!(parse_stat("12 (x"), None);
    }

    #[test]
    fn this_process_is_there() {
        let own = std::process::id() as i32;
        assert_eq!(stat(own).unwrap().pid, own);
        assert!(pids().contains(&own));
        assert!(!command_line(own, 4096).is_empty());
    }
}
