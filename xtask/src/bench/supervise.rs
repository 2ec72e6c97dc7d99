//! Supervision beside the real supervisord and s6: from a kill to a new pid, a thousand programs, memory, idle CPU.
//!
//! What is looked at is the same for all: /proc. The children of whoever keeps the program say when a new process
//! has been exec'd; no log and no own word counts.

use super::s6::S6;
use super::{binary, median, pass, spin};
use crate::setup;
use crate::shell::{note, say};
use std::path::Path;
use std::time::{Duration, Instant};
use storm::installation::Installation;
use storm::{procfs, wait};

const KILLS: usize = 15;
const PROGRAMS: usize = 1_000;
const IDLE_S: u64 = 10;
const UP_S_MAX: u64 = 60;
/// Lives longer than this are good ones for every contender (startsecs is 1 s).
const LIFE_MS: u64 = 1_600;

/// Tasks for each program: itself, and the process that keeps it if it has one of its own.
const ALONE: usize = 1;
const KEPT: usize = 2;

/// Figures of one contender.
#[derive(Default)]
struct Figures {
    kill_ms: f64,
    thousand_s: f64,
    idle_ticks: u64,
    memory_one: Vec<(String, u64, u64)>,
    memory: Vec<(String, u64, u64)>,
}

pub(crate) fn run() -> Result<(), String> {
    setup::packages(&setup::BENCHES)?;
    let supervisord = setup::venv()?.join("bin/supervisord");
    let steadfast = binary()?;
    let ours = supervisor_like(&steadfast, &["run", "-c"], KEPT)?;
    note("steadfast measured");
    let theirs = supervisor_like(&supervisord, &["-n", "-c"], ALONE)?;
    note("supervisord measured");
    let s6 = s6()?;
    note("s6 measured");
    table(&[("steadfast", &ours), ("supervisord", &theirs), ("s6", &s6)]);
    Ok(())
}

fn config(dir: &Path, count: usize, word: &str) -> String {
    let dir = dir.display();
    let many = if count == 1 {
        String::new()
    } else {
        format!("process_name = %(program_name)s_%(process_num)04d\nnumprocs = {count}\n")
    };
    format!(
        "[supervisord]
logfile = {dir}/supervisord.log
pidfile = {dir}/supervisord.pid
childlogdir = {dir}
minfds = 10000
[program:p]
command = sleep {word}
{many}stdout_logfile = NONE
stderr_logfile = NONE
"
    )
}

/// Measures whatever reads a supervisord.conf.
fn supervisor_like(exe: &Path, args: &[&str], tasks_each: usize) -> Result<Figures, String> {
    let mut figures = Figures::default();
    let start = |count: usize, word: &str| -> Result<(Installation, Instant), String> {
        let mut ground =
            Installation::new(exe).map_err(|error| format!("no directory: {error}"))?;
        let path = ground.config().display().to_string();
        ground
            .configure(&config(ground.dir(), count, word))
            .map_err(|error| error.to_string())?;
        let begun = Instant::now();
        let all: Vec<&str> = args.iter().copied().chain([path.as_str()]).collect();
        ground
            .run_with(&all)
            .map_err(|error| format!("{}: {error}", exe.display()))?;
        Ok((ground, begun))
    };
    {
        let word = "86440";
        let (ground, _) = start(1, word)?;
        figures.kill_ms = kills(word).map_err(|why| format!("{why}\n{}", ground.output()))?;
        figures.memory_one = memory(&ground, &keepers(&ground, word));
    }
    let word = "86441";
    let tasks_wanted = tasks() + PROGRAMS * tasks_each;
    let (ground, begun) = start(PROGRAMS, word)?;
    figures.thousand_s =
        thousand(word, begun, tasks_wanted).map_err(|why| format!("{why}\n{}", ground.output()))?;
    // Everything is RUNNING, logs are written, the allocator has calmed down.
    pass(Duration::from_secs(5));
    let keepers = keepers(&ground, word);
    figures.idle_ticks = idle(
        &keepers
            .iter()
            .map(|process| process.pid)
            .collect::<Vec<_>>(),
    );
    figures.memory = memory(&ground, &keepers);
    Ok(figures)
}

/// All processes of ours: not the programs.
fn keepers(ground: &Installation, word: &str) -> Vec<procfs::Process> {
    let all = ground.processes().into_iter();
    all.filter(|process| !process.has(word)).collect()
}

fn s6() -> Result<Figures, String> {
    let mut figures = Figures::default();
    {
        let word = "86442";
        let _services = S6::start(1, word)?.0;
        figures.kill_ms = kills(word)?;
    }
    let word = "86443";
    let tasks_wanted = tasks() + PROGRAMS * KEPT;
    let (services, begun) = S6::start(PROGRAMS, word)?;
    figures.thousand_s = thousand(word, begun, tasks_wanted)?;
    pass(Duration::from_secs(5));
    let supervisors = services.supervisors();
    figures.idle_ticks = idle(&supervisors);
    let root = services.root();
    let keepers: Vec<i32> = supervisors
        .iter()
        .copied()
        .filter(|pid| *pid != root)
        .collect();
    figures.memory = vec![
        row("s6-svscan", &[root]),
        row("each s6-supervise (median)", &keepers),
    ];
    Ok(figures)
}

/// Processes `sleep WORD` that have been exec'd.
fn sleepers(word: &str) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let argv = format!("sleep\0{word}\0");
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|text| text == argv.as_bytes())
        })
        .collect()
}

/// Median time from SIGKILL to a new process, in milliseconds.
fn kills(word: &str) -> Result<f64, String> {
    let up = wait::until(Duration::from_secs(UP_S_MAX), || {
        sleepers(word).first().copied()
    });
    let mut pid = up.ok_or("the program was not started")?;
    let parent = procfs::read(pid).ok_or("the program has ended")?.parent;
    let children = format!("/proc/{parent}/task/{parent}/children");
    let mut times = Vec::new();
    for _ in 0..KILLS {
        pass(Duration::from_millis(LIFE_MS));
        let begun = Instant::now();
        procfs::signal(pid, rustix::process::Signal::KILL);
        let next = spin(Duration::from_secs(10), || {
            let text = std::fs::read_to_string(&children).ok()?;
            let next = text
                .split_whitespace()
                .filter_map(|word| word.parse::<i32>().ok())
                .find(|child| *child != pid)?;
            let argv = std::fs::read(format!("/proc/{next}/cmdline")).ok()?;
            argv.starts_with(b"sleep\0").then_some(next)
        });
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
        pid = next.ok_or("no new process within 10 s of the kill")?;
    }
    Ok(median(&times))
}

/// From `begun` until all programs have been exec'd. Looking at a thousand processes costs a core for 20 ms, so
/// that is done only once the kernel counts about as many tasks as there will be; the few less are other people's ends.
fn thousand(word: &str, begun: Instant, tasks_wanted: usize) -> Result<f64, String> {
    let all = wait::until(Duration::from_secs(UP_S_MAX), || {
        if tasks() + PROGRAMS / 10 < tasks_wanted {
            return None;
        }
        let count = sleepers(word).len();
        (count >= PROGRAMS).then(|| begun.elapsed().as_secs_f64())
    });
    all.ok_or_else(|| {
        format!(
            "only {} of {PROGRAMS} programs run after {UP_S_MAX} s",
            sleepers(word).len()
        )
    })
}

/// Tasks of the machine: the number behind the slash in /proc/loadavg.
fn tasks() -> usize {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let words = text
        .split_whitespace()
        .nth(3)
        .and_then(|word| word.split_once('/'));
    words
        .and_then(|(_, all)| all.parse().ok())
        .unwrap_or(usize::MAX / 2)
}

fn idle(pids: &[i32]) -> u64 {
    let ticks = || {
        pids.iter()
            .filter_map(|pid| procfs::cpu_ticks(*pid))
            .sum::<u64>()
    };
    let before = ticks();
    pass(Duration::from_secs(IDLE_S));
    ticks() - before
}

fn memory(ground: &Installation, processes: &[procfs::Process]) -> Vec<(String, u64, u64)> {
    let root = ground.root_pid();
    let daemon = ground.daemon_pid();
    let Some(daemon) = daemon else {
        return vec![row("supervisord", &[root])];
    };
    let keepers: Vec<i32> = processes
        .iter()
        .map(|each| each.pid)
        .filter(|pid| *pid != root && *pid != daemon)
        .collect();
    vec![
        row("root", &[root]),
        row("daemon", &[daemon]),
        row("each keeper (median)", &keepers),
    ]
}

/// Medians of PSS and private dirty memory, in kB.
fn row(name: &str, pids: &[i32]) -> (String, u64, u64) {
    let of = |field: &str| {
        let values: Vec<f64> = pids
            .iter()
            .filter_map(|pid| procfs::memory_kb(*pid, field))
            .map(|kb| kb as f64)
            .collect();
        median(&values) as u64
    };
    (name.to_owned(), of("Pss"), of("Private_Dirty"))
}

fn table(all: &[(&str, &Figures)]) {
    let ours = all[0].1;
    say(&format!(
        "supervision, {KILLS} kills, {PROGRAMS} programs; in parentheses: so many times ours"
    ));
    let head: Vec<String> = all.iter().map(|(name, _)| format!("{name:>22}")).collect();
    say(&format!("{:<28}{}", "", head.concat()));
    let line = |name: &str, value: &dyn Fn(&Figures) -> f64, unit: &str, digits: usize| {
        let cells: Vec<String> = all
            .iter()
            .map(|(_, each)| {
                let ratio = value(each) / value(ours);
                let cell = format!("{:.digits$} {unit} ({ratio:.1})", value(each));
                format!("{cell:>22}")
            })
            .collect();
        say(&format!("{name:<28}{}", cells.concat()));
    };
    line("kill to a new pid, median", &|each| each.kill_ms, "ms", 2);
    line("1000 programs exec'd", &|each| each.thousand_s, "s", 2);
    let ticks: Vec<String> = all
        .iter()
        .map(|(_, each)| format!("{:>22}", each.idle_ticks))
        .collect();
    say(&format!(
        "{:<28}{}",
        format!("CPU ticks, idle {IDLE_S} s"),
        ticks.concat()
    ));
    for (count, of) in [("1 program", true), ("1000 programs", false)] {
        say(&format!("memory at {count:<24} PSS kB   private dirty"));
        for (_, each) in all {
            for (name, pss, dirty) in if of { &each.memory_one } else { &each.memory } {
                say(&format!("  {name:<30} {pss:>8} {dirty:>15}"));
            }
        }
    }
}
