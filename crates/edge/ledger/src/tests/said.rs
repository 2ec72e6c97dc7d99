//! What is said about it.

use wire::{Counts, State, Why};

use super::{KEEPER, transition};
use crate::{Entry, Happened, Now, What, Zone, explain, history};

/// 2026-11-25 21:00:00 UTC.
const EVENING_MS: u64 = 1_795_640_400_000;

struct Story {
    seq: u64,
    entries: Vec<Entry>,
}

impl Story {
    fn add(&mut self, at_s: u64, from: State, to: State, why: Why, text: &str) -> &mut Happened {
        self.seq += 1;
        let t = transition(self.seq, EVENING_MS + at_s * 1000, from, to, why, text);
        self.entries
            .push(Entry::transition("backend", 3, KEEPER, &t));
        match self.entries.last_mut().map(|e| &mut e.what) {
            Some(What::Transition(h)) => h,
            _ => unreachable!("just pushed"),
        }
    }
}

/// Boot, an operator's restart that 27 requests waited for, an OOM kill, an overlap.
fn evening() -> Story {
    use State::{Exited, Running, Starting, Stopped, Stopping};
    let mut s = Story {
        seq: 0,
        entries: vec![],
    };
    s.add(0, Stopped, Starting, Why::Boot, "");
    s.add(1, Starting, Running, Why::Boot, "").took_ms = 1400;
    s.add(
        600,
        Running,
        Stopping,
        Why::Operator,
        "restart by root (pts/0)",
    )
    .requests = 900;
    let end = s.add(
        601,
        Stopping,
        Stopped,
        Why::Operator,
        "restart by root (pts/0)",
    );
    (end.exit, end.lived_ms, end.requests) = (Some(0), 600_000, 900);
    s.add(
        601,
        Stopped,
        Starting,
        Why::Operator,
        "restart by root (pts/0)",
    );
    s.add(
        602,
        Starting,
        Running,
        Why::Operator,
        "restart by root (pts/0)",
    )
    .away_ms = 1400;
    let oom = s.add(1800, Running, Exited, Why::OutOfMemory, "1.9 GB");
    (oom.exit, oom.waited, oom.requests, oom.lived_ms) = (Some(-9), 27, 2000, 1_198_000);
    s.add(1800, Exited, Starting, Why::OutOfMemory, "1.9 GB");
    s.add(1802, Starting, Running, Why::OutOfMemory, "1.9 GB")
        .away_ms = 1600;
    let over = s.add(
        3600,
        Running,
        Running,
        Why::ConfigChange,
        "environment +LOG_LEVEL",
    );
    (
        over.replaced,
        over.pid,
        over.waited,
        over.failed,
        over.may_have_run,
    ) = (true, 2203, 39, 1, 1);
    s
}

fn now(phase: &str) -> Now {
    Now {
        wall_ms: EVENING_MS + 3840 * 1000,
        phase: phase.to_owned(),
        pid: 2203,
        started_ms: EVENING_MS + 3600 * 1000,
        gated: true,
        counts: Counts {
            waited: 39,
            failed: 1,
            may_have_run: 1,
            ..Counts::default()
        },
        keeper: Some(KEEPER),
        ..Now::default()
    }
}

#[test]
fn explained() {
    let lines = explain("backend", &evening().entries, &now("ready"));
    assert_eq!(
        lines.join("\n"),
        "\
backend is ready, pid 2203, up 4 min. It started 4 times in the last 24 h:
  22:00:00  config change: environment +LOG_LEVEL         away 0.0 s (overlap), 0 requests waited, 0 failed
  21:30:02  killed by the kernel, out of memory (1.9 GB)  away 1.6 s, 12 waited, 1 failed (may have run)
  21:10:02  operator: restart by root (pts/0)             away 1.4 s, 27 waited, 0 failed
  21:00:01  boot                                          ready in 1.4 s
The kernel ended it 1 time for lack of memory, and will again: run fewer workers, or give it more memory."
    );
}

#[test]
fn a_crash_loop_is_one_episode_with_a_hint_and_the_last_words() {
    let mut s = evening();
    use State::{Backoff, Fatal, Running, Starting};
    let end = s.add(3700, Running, Backoff, Why::Crash, "");
    (end.exit, end.lived_ms) = (Some(-11), 100_000);
    (end.waited, end.failed, end.may_have_run) = (39, 1, 1);
    for at_s in [3701, 3703, 3706] {
        s.add(at_s, Backoff, Starting, Why::Crash, "status 1");
        let end = s.add(at_s, Starting, Backoff, Why::Crash, "status 1");
        (end.exit, end.lived_ms) = (Some(1), 300);
        end.note = "Traceback:\nModuleNotFoundError: No module named 'x\u{1b}[2J'".to_owned();
    }
    s.add(3707, Backoff, Fatal, Why::Crash, "status 1");
    let lines = explain(
        "backend",
        &s.entries,
        &Now {
            pid: 0,
            reloader: Some("--reload".into()),
            ..now("fatal")
        },
    );
    let text = lines.join("\n");
    for part in [
        "backend is fatal. It started 5 times",
        "\n  22:01:40  crash: SIGSEGV (3 tries)",
        "not back, 0 requests waited",
        "\nIts last words:\n  Traceback:\n  ModuleNotFoundError: No module named 'x\\x1b[2J'",
        "\nCrash loop: it ended by itself 4 times in 10 min, the last with status 1 after 0.3 s.\n  see: steadfast logs backend",
        "\n`--reload` restarts it",
        "\n  steadfast start backend",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

/// A gateway's program: ready before RUNNING, and an overlap whose old generation leaves.
#[test]
fn remarks_are_neither_starts_nor_ends() {
    use State::{Exited, Running, Starting};
    let mut s = Story {
        seq: 0,
        entries: vec![],
    };
    let end = s.add(0, Running, Exited, Why::Crash, "SIGKILL");
    (end.exit, end.lived_ms) = (Some(-9), 5000);
    s.add(0, Exited, Starting, Why::Crash, "SIGKILL");
    let ready = s.add(1, Starting, Starting, Why::Crash, "SIGKILL");
    (ready.note, ready.took_ms, ready.away_ms) = ("ready".into(), 340, 350);
    s.add(1, Starting, Running, Why::Crash, "SIGKILL").took_ms = 1000;
    let over = s.add(9, Running, Running, Why::Operator, "restart by root");
    (over.replaced, over.pid, over.generation) = (true, 2203, 2);
    let left = s.add(10, Running, Running, Why::Operator, "restart by root");
    (left.exit, left.note, left.generation, left.lived_ms) = (Some(0), "left".into(), 1, 9000);
    let refused = s.add(20, Running, Running, Why::Operator, "restart by root");
    refused.note = "generation 3 exited with status 1".into();
    let mut now = now("ready");
    now.gated = false;
    assert_eq!(
        explain("backend", &s.entries, &now).join("\n"),
        "\
backend is ready, pid 2203, up 4 min. It started 2 times in the last 24 h:
  21:00:09  operator: restart by root  away 0.0 s (overlap)
  21:00:01  crash: SIGKILL             away 0.3 s
  21:00:20  replacement refused: generation 3 exited with status 1"
    );
    assert_eq!(
        history(&s.entries, Zone::UTC)[1..].join("\n"),
        "  21:00:00  backend            ended, lived 5.0 s  crash: SIGKILL
  21:00:00  backend            starting  crash: SIGKILL
  21:00:01  backend            ready after 0.3 s, pid 1067, away 0.3 s
  21:00:01  backend            running after 1.0 s, pid 1067
  21:00:09  backend            replaced without a gap, pid 2203  operator: restart by root
  21:00:10  backend            generation 1 left, status 0, lived 9.0 s
  21:00:20  backend            generation 3 exited with status 1"
    );
}

#[test]
fn history_in_words() {
    let mut entries = evening().entries;
    entries.truncate(4);
    let changes = vec!["environment +LOG_LEVEL".into(), "command".into()];
    entries.push(Entry::config(
        EVENING_MS + 86_400_000,
        "backend",
        changes,
        "update by root",
    ));
    entries.push(Entry::command(
        EVENING_MS + 86_400_000,
        "",
        "reread",
        "root",
        Some(2),
        "line 3: bad",
    ));
    assert_eq!(
        history(&entries, Zone { offset_s: 3600 }).join("\n"),
        "\
2026-11-25
  22:00:00  backend            starting  boot
  22:00:01  backend            running after 1.4 s, pid 1067
  22:10:00  backend            stopping, pid 1067  operator: restart by root (pts/0)
  22:10:01  backend            stopped, status 0, lived 10 min 00 s  operator: restart by root (pts/0)
2026-11-26
  22:00:00  backend            configuration changed: environment +LOG_LEVEL; command (update by root)
  22:00:00  -                  reread by root: could not: line 3: bad"
    );
}

#[test]
fn a_program_that_never_got_up_was_tried_not_started() {
    use State::{Backoff, Starting, Stopped};
    let mut s = Story {
        seq: 0,
        entries: vec![],
    };
    for second in 0..3 {
        s.add(
            second,
            if second == 0 { Stopped } else { Backoff },
            Starting,
            Why::Boot,
            "autostart",
        );
        s.add(second, Starting, Backoff, Why::Crash, "not started");
    }
    let mut now = now("fatal");
    (now.pid, now.started_ms) = (0, 0);
    let text = explain("backend", &s.entries, &now).join("\n");
    assert!(
        text.contains("was tried 3 times in the last 24 h and did not get up"),
        "{text}"
    );
}

#[test]
fn memory_that_grows_says_where_it_is_heading() {
    const MB: u64 = 1 << 20;
    let mut now = now("ready");
    let hours = 2;
    let growing = crate::Memory {
        bytes: 580 * MB,
        first_bytes: 500 * MB,
        first_ms: now.wall_ms - hours * 3_600_000,
        max_bytes: 0,
        limit_bytes: 820 * MB,
    };
    now.memory = Some(growing);
    let text = |now: &Now| explain("backend", &evening().entries, now).join("\n");
    let shown = text(&now);
    assert!(
        shown.contains("Most likely next: memory grew 40 MB per hour since "),
        "{shown}"
    );
    assert!(
        shown.contains("; at this pace it ends at about "),
        "{shown}"
    );
    assert!(
        shown.contains("\n  try: memory_max = 650MB in [program:backend]"),
        "{shown}"
    );
    now.memory = Some(crate::Memory {
        max_bytes: 600 * MB,
        ..growing
    });
    assert!(text(&now).contains("it reaches memory_max = 600MB at about "));
    // A cache that fills in the first minutes is no trend.
    now.memory = Some(crate::Memory {
        first_ms: now.wall_ms - 60_000,
        ..growing
    });
    assert!(!text(&now).contains("memory grew"));
}

#[test]
fn each_failed_start_has_its_reason_and_a_boot_is_not_added_to_what_was_before() {
    use State::{Backoff, Starting, Stopped, Stopping};
    let mut s = Story {
        seq: 0,
        entries: vec![],
    };
    // An operator's start in vain, everything ended, a boot in vain by another keeper.
    s.add(0, Stopped, Starting, Why::Operator, "restart by root");
    s.add(
        3,
        Starting,
        Stopping,
        Why::NotReady,
        "not ready within 3 s: GET /: 500",
    );
    let end = s.add(
        4,
        Stopping,
        Backoff,
        Why::NotReady,
        "not ready within 3 s: GET /: 500",
    );
    end.exit = Some(-15);
    let boot = s.add(600, Stopped, Starting, Why::Boot, "autostart");
    (boot.keeper_pid, boot.keeper_started) = (99, 99);
    let end = s.add(601, Starting, Backoff, Why::Boot, "autostart");
    (end.keeper_pid, end.keeper_started) = (99, 99);
    end.note = "couldn't chdir to /no/dir: ENOENT\nmore".to_owned();
    let mut now = now("restarting");
    (now.pid, now.started_ms) = (0, 0);
    let text = explain("backend", &s.entries, &now).join("\n");
    assert!(
        text.contains("  couldn't chdir to /no/dir: ENOENT"),
        "{text}"
    );
    assert!(
        text.contains("  not ready within 3 s: GET /: 500"),
        "{text}"
    );
    assert!(!text.contains("tries"), "{text}");
    assert!(!text.contains("not ready: not ready"), "{text}");
}

#[test]
fn a_command_that_failed_is_told_by_its_reason_not_by_the_output_behind_it() {
    let text =
        "backend  generation 2 was not ready within 3 s\nlast lines of its output:\nINFO: Finished";
    let entry = Entry::command(EVENING_MS, "", "restart backend", "root", Some(1), text);
    let told = history(&[entry], Zone::UTC).join("\n");
    assert!(
        told.ends_with("not as wished: backend  generation 2 was not ready within 3 s"),
        "{told}"
    );
}
