//! Metrics in Prometheus' text format (version 0.0.4): for `/metrics` of Supervisor's HTTP servers and `steadfast metrics`.
//!
//! `node_supervisord_*` has the names and labels of node_exporter's supervisord collector, so that dashboards and alerts
//! written for it go on; `steadfast_*` is ours. Counters of a process are its keeper's and start again with it; of the
//! restarts, the reasons are counted by the daemon, and those before its own start are `reason="unknown"`.

use std::collections::BTreeMap;
use std::fmt::Write;

use control::{Body, Done, ProcessInfo};
use wire::Trouble;

use crate::state::Shared;

/// The metrics of now.
pub(super) fn metrics(daemon: &Shared) -> Done {
    let names = vec!["all".to_owned()];
    let Body::Status { processes, .. } = super::status::status(daemon, &names, false, false).body
    else {
        return Done::failed(2, "the state is not known");
    };
    let state = daemon.state.borrow();
    let programs: Vec<Process<'_>> = processes
        .iter()
        .map(|info| {
            let key = plan::Key::new(info.group.clone(), info.name.clone());
            Process {
                info,
                program: state.active.slot(&key).map_or("", |slot| &slot.program),
                reasons: state.restarts.get(&key).cloned().unwrap_or_default(),
            }
        })
        .collect();
    Done::ok(Body::Metrics {
        text: text(
            &programs,
            state.mood.code(),
            crate::stores::now(&state).as_ref(),
        ),
    })
}

/// One process and what only the daemon knows of it.
struct Process<'a> {
    info: &'a ProcessInfo,
    program: &'a str,
    reasons: BTreeMap<String, u64>,
}

/// A family of samples: name, type, help.
struct Family<'a> {
    out: &'a mut String,
    name: &'static str,
}

impl Family<'_> {
    fn sample(
        &mut self,
        process: &Process<'_>,
        more: &[(&str, &str)],
        value: impl std::fmt::Display,
    ) {
        let _ = write!(self.out, "{}{{", self.name);
        let info = process.info;
        label(self.out, "name", &info.name);
        self.out.push(',');
        label(self.out, "group", &info.group);
        for (name, text) in more {
            self.out.push(',');
            label(self.out, name, text);
        }
        let _ = writeln!(self.out, "}} {value}");
    }
}

fn family<'a>(out: &'a mut String, name: &'static str, kind: &str, help: &str) -> Family<'a> {
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    Family { out, name }
}

fn label(out: &mut String, name: &str, text: &str) {
    let _ = write!(out, "{name}=\"");
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Milliseconds as seconds.
fn seconds(ms: u64) -> f64 {
    // Wall clocks stay far below 2^53 ms.
    #[allow(clippy::cast_precision_loss, reason = "see above")]
    let seconds = ms as f64 / 1000.0;
    seconds
}

/// `store`: None where it is not known; inside, what is wrong with it.
fn text(processes: &[Process<'_>], mood: i32, store: Option<&Option<Trouble>>) -> String {
    let mut out = String::new();
    node_exporter(&mut out, processes);
    let _ = write!(
        out,
        "# HELP steadfast_info Version.\n# TYPE steadfast_info gauge\nsteadfast_info{{version=\"{}\"}} 1\n\
         # HELP steadfast_state State of the supervisor: 1 running, 0 restarting, -1 shutting down.\n\
         # TYPE steadfast_state gauge\nsteadfast_state {mood}\n",
        env!("CARGO_PKG_VERSION")
    );
    if let Some(trouble) = store {
        let help = "Whether the session store can be used; the reason why not.";
        let name = "steadfast_session_store_up";
        let _ = family(&mut out, name, "gauge", help);
        out.push_str(name);
        if let Some(trouble) = trouble {
            out.push('{');
            label(&mut out, "reason", &trouble.kind);
            out.push('}');
        }
        let _ = writeln!(out, " {}", u8::from(trouble.is_none()));
    }
    let ready = "Whether it is ready: what depends on it and requests may go on.";
    let mut family_ = family(&mut out, "steadfast_ready", "gauge", ready);
    for process in processes {
        let labels = [("program", process.program)];
        family_.sample(process, &labels, u8::from(process.info.phase == "ready"));
    }
    restarts(&mut out, processes);
    let help = "Checks of `keepalive` that failed in a row.";
    let mut family_ = family(&mut out, "steadfast_unhealthy_checks", "gauge", help);
    for process in processes {
        family_.sample(process, &[], process.info.unhealthy);
    }
    let help = "Memory of its process tree in bytes.";
    let mut family_ = family(&mut out, "steadfast_memory_bytes", "gauge", help);
    for process in processes {
        if let Some(bytes) = process.info.memory_bytes {
            family_.sample(process, &[], bytes);
        }
    }
    requests(&mut out, processes);
    out
}

/// prometheus/node_exporter, collector/supervisord.go: names, labels and meanings.
fn node_exporter(out: &mut String, processes: &[Process<'_>]) {
    let running = |process: &Process<'_>| {
        matches!(
            process.info.state.as_str(),
            "RUNNING" | "STARTING" | "STOPPING"
        )
    };
    let mut up = family(out, "node_supervisord_up", "gauge", "Process Up");
    for process in processes {
        up.sample(process, &[], u8::from(running(process)));
    }
    let mut state = family(out, "node_supervisord_state", "gauge", "Process State");
    for process in processes {
        state.sample(process, &[], process.info.state_code);
    }
    let name = "node_supervisord_exit_status";
    let mut status = family(out, name, "gauge", "Process Exit Status");
    for process in processes {
        status.sample(process, &[], process.info.exit_status);
    }
    let name = "node_supervisord_start_time_seconds";
    let mut start = family(out, name, "counter", "Process start time");
    for process in processes.iter().filter(|process| running(process)) {
        start.sample(process, &[], seconds(process.info.started_ms));
    }
}

fn restarts(out: &mut String, processes: &[Process<'_>]) {
    let help = "Starts after the first, by reason.";
    let mut family = family(out, "steadfast_restarts_total", "counter", help);
    for process in processes {
        let known: u64 = process.reasons.values().sum();
        let rest = u64::from(process.info.restarts).saturating_sub(known);
        for (reason, number) in &process.reasons {
            family.sample(process, &[("reason", reason)], number);
        }
        if rest > 0 || known == 0 {
            family.sample(process, &[("reason", "unknown")], rest);
        }
    }
}

fn requests(out: &mut String, processes: &[Process<'_>]) {
    type Get = fn(&ProcessInfo) -> Option<u64>;
    let families: [(&'static str, &str, Get); 3] = [
        (
            "steadfast_requests_total",
            "Requests that the gateway passed on.",
            |info| info.requests,
        ),
        (
            "steadfast_requests_waited_total",
            "Requests that waited while it was restarted.",
            |info| info.waited,
        ),
        (
            "steadfast_requests_failed_total",
            "Requests that failed because it ended.",
            |info| info.failed,
        ),
    ];
    for (name, help, get) in families {
        let mut family = family(out, name, "counter", help);
        for process in processes {
            if let Some(number) = get(process.info) {
                family.sample(process, &[], number);
            }
        }
    }
    let help = "The longest that a request waited.";
    let mut family = family(out, "steadfast_longest_wait_seconds", "gauge", help);
    for process in processes {
        if let Some(ms) = process.info.longest_wait_ms {
            family.sample(process, &[], seconds(ms));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_are_those_of_node_exporter() {
        let info = ProcessInfo {
            name: "we\"b\\".into(),
            group: "g".into(),
            state: "RUNNING".into(),
            state_code: 20,
            started_ms: 1_500,
            restarts: 3,
            phase: "ready".into(),
            requests: Some(7),
            ..ProcessInfo::default()
        };
        let process = Process {
            info: &info,
            program: "web",
            reasons: BTreeMap::from([("operator".to_owned(), 2)]),
        };
        let missing = Some(Trouble {
            kind: "missing".into(),
            text: "/x/sessions.db is missing".into(),
        });
        let down = text(&[], 1, Some(&missing));
        assert!(
            down.contains("\nsteadfast_session_store_up{reason=\"missing\"} 0\n"),
            "{down}"
        );
        let shown = text(&[process], 1, Some(&None));
        for line in [
            "node_supervisord_up{name=\"we\\\"b\\\\\",group=\"g\"} 1",
            "node_supervisord_state{name=\"we\\\"b\\\\\",group=\"g\"} 20",
            "node_supervisord_exit_status{name=\"we\\\"b\\\\\",group=\"g\"} 0",
            "node_supervisord_start_time_seconds{name=\"we\\\"b\\\\\",group=\"g\"} 1.5",
            "steadfast_restarts_total{name=\"we\\\"b\\\\\",group=\"g\",reason=\"operator\"} 2",
            "steadfast_restarts_total{name=\"we\\\"b\\\\\",group=\"g\",reason=\"unknown\"} 1",
            "steadfast_session_store_up 1",
            "steadfast_requests_total{name=\"we\\\"b\\\\\",group=\"g\"} 7",
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
        }
    }
}
