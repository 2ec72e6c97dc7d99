//! Evidence from what runs, beside what stands in files: who has a flag in argv, who watches, what restarted it.
//!
//! One line says it, because it is the line that people paste into a ticket:
//! `pid 842 has it in argv and watches 214 paths; 14 restarts in 24 h, the last by server.py`.

use crate::model::Evidence::Said;
use crate::model::Hit;
use crate::scene::logs::{Log, Reload};
use crate::scene::procs::Proc;
use crate::scene::{Scene, Subject, watches};
use crate::time::clock;

/// "In 24 h".
pub(crate) const DAY_S: u64 = 86_400;
/// Restarts that are told one by one.
const RESTARTS_TOLD_MAX: usize = 5;
/// Writers that are told of.
const WRITERS_TOLD_MAX: usize = 5;
/// Watched paths that are named.
const PATHS_NAMED_MAX: usize = 3;
/// Variables by which a reloader marks the child that it starts again and again; it compares times of files, and watches nothing.
pub(crate) const MARKS: &[&str] = &["WERKZEUG_RUN_MAIN", "RUN_MAIN", "DJANGO_AUTORELOAD_ENV"];

/// Adds what runs to a hit about a flag: argv, watches, restarts.
pub(crate) fn running(scene: &Scene, subject: &Subject, hit: &mut Hit) {
    let told = restarts(scene, subject);
    let mut words = Vec::new();
    let mut watched = None;
    if let Some(process) = subject.processes.first() {
        let (line, paths) = processes(subject, process, hit);
        words.push(line);
        watched = paths;
    }
    words.extend(told.as_ref().map(Restarts::words));
    if !words.is_empty() {
        hit.evidence.push(Said(words.join("; ")));
    }
    hit.evidence.extend(watched.map(Said));
    if let Some(told) = &told {
        hit.evidence.extend(told.lines().into_iter().map(Said));
    }
    hit.evidence.extend(writers(scene, subject).map(Said));
}

/// Who wrote below the program's directory, if that was looked at.
fn writers<'a>(scene: &'a Scene, subject: &'a Subject) -> impl Iterator<Item = String> + 'a {
    let writes = scene.live.iter().flat_map(|live| &live.writes);
    let of = writes.filter(|write| write.who.is(subject));
    of.take(WRITERS_TOLD_MAX).map(|write| write.words())
}

/// `pid 842 has it in argv and watches 214 paths`, and which.
fn processes(subject: &Subject, first: &Proc, hit: &Hit) -> (String, Option<String>) {
    let flag = hit.what.split([' ', '=']).next().unwrap_or("");
    let has = |p: &&Proc| {
        let is = |w: &String| w == flag || w.rsplit('/').next() == Some(flag);
        !flag.is_empty() && p.argv.iter().any(is)
    };
    let set = |p: &&Proc| p.env.as_ref().is_some_and(|env| env.contains_key(flag));
    let all = &subject.processes;
    let (process, how) = match (all.iter().find(has), all.iter().find(set)) {
        (Some(process), _) => (process, "has it in argv"),
        (None, Some(process)) => (process, "has it in its environment"),
        (None, None) => (first, "runs it"),
    };
    let mut words = format!("pid {} {how}", process.pid);
    let Some(watches) = watches::find(all, subject.dir.as_deref()) else {
        if let Some((pid, mark)) = marked(all) {
            words.push_str(&format!(
                " and pid {pid} below it has {mark}=true: its reloader compares times of files"
            ));
        }
        return (words, None);
    };
    if watches.pid == process.pid {
        words.push_str(&format!(" and watches {} paths", watches.count));
    } else {
        let (pid, count) = (watches.pid, watches.count);
        words.push_str(&format!(" and pid {pid} of it watches {count} paths"));
    }
    let inside = watches.inside.iter().take(PATHS_NAMED_MAX);
    let names: Vec<String> = inside.map(|p| p.display().to_string()).collect();
    let named = (!names.is_empty()).then(|| format!("among the watched: {}", names.join(", ")));
    (words, named)
}

/// A process that carries the mark of a reloader.
pub(crate) fn marked(processes: &[Proc]) -> Option<(i32, &'static str)> {
    processes.iter().find_map(|process| {
        let env = process.env.as_ref()?;
        let is = |mark: &&&str| env.get(**mark).is_some_and(|value| value == "true");
        let mark = MARKS.iter().find(is)?;
        Some((process.pid, *mark))
    })
}

/// Restarts by files that the logs of a program tell of.
pub(crate) struct Restarts<'a> {
    all: Vec<(&'a Log, &'a Reload)>,
    /// Those that are known to be of the last day.
    in_24_h: usize,
    /// Whether that can be known of all.
    is_dated: bool,
    /// The file that changed last, where the reloader names none.
    newest: Option<String>,
}

/// What the logs tell.
pub(crate) fn restarts<'a>(scene: &Scene, subject: &'a Subject) -> Option<Restarts<'a>> {
    let logs = subject.logs.iter();
    let all: Vec<(&Log, &Reload)> = logs
        .flat_map(|log| log.reloads.iter().map(move |reload| (log, reload)))
        .collect();
    let (_, last) = all.last()?;
    let dated: Vec<Option<bool>> = all.iter().map(|(l, r)| is_of_today(scene, l, r)).collect();
    let newest = match &last.file {
        Some(_) => None,
        None => newest(subject),
    };
    Some(Restarts {
        in_24_h: dated.iter().filter(|d| **d == Some(true)).count(),
        is_dated: dated.iter().all(Option::is_some),
        all,
        newest,
    })
}

/// Whether a restart was within the last 24 h; `None` if nothing tells.
fn is_of_today(scene: &Scene, log: &Log, reload: &Reload) -> Option<bool> {
    let is_young = |at: u64| scene.now_unix_s.saturating_sub(at) < DAY_S;
    if let Some(written) = log.written_unix_s
        && !is_young(written)
    {
        return Some(false);
    }
    match (reload.at, log.newest) {
        // The log's own clock: its time zone is not known.
        (Some(at), Some(newest)) => {
            Some(newest.saturating_sub(at) < i64::try_from(DAY_S).unwrap_or(i64::MAX))
        }
        // A line without a time is younger than its file.
        (Some(_) | None, _) => log.born_unix_s.filter(|at| is_young(*at)).map(|_| true),
    }
}

/// The source file that changed last.
fn newest(subject: &Subject) -> Option<String> {
    let files = subject.app.files.iter().filter(|f| f.language.is_some());
    let dated = files.filter_map(|f| Some((f.changed?, &f.relative)));
    let (_, name) = dated.max_by_key(|(changed, _)| *changed)?;
    Some(name.clone())
}

impl Restarts<'_> {
    /// `14 restarts in 24 h, the last by server.py`.
    pub(crate) fn words(&self) -> String {
        let count = if self.is_dated {
            self.in_24_h
        } else {
            self.all.len()
        };
        let s = if count == 1 { "" } else { "s" };
        let mut words = format!("{count} restart{s}");
        match self.all.last() {
            Some(_) if self.is_dated => words.push_str(" in 24 h"),
            Some((log, _)) => {
                words.push_str(&format!(" in {}, which has no times", log.path.display()))
            }
            None => {}
        }
        let last = self.all.last().and_then(|(_, reload)| reload.file.as_ref());
        match (last, &self.newest) {
            (Some(file), _) => words.push_str(&format!(", the last by {file}")),
            (None, Some(file)) => words.push_str(&format!(
                ", the last by {file} (the file that changed last; the reloader names none)"
            )),
            (None, None) => {}
        }
        words
    }

    /// The last restarts with their files, oldest first, and the line of the last.
    pub(crate) fn lines(&self) -> Vec<String> {
        let skipped = self.all.len().saturating_sub(RESTARTS_TOLD_MAX);
        let each = self.all.iter().skip(skipped).map(|(_, reload)| {
            let file = reload.file.as_deref().unwrap_or("a file that is not named");
            match reload.at {
                Some(at) => format!("{} {file}", clock(at)),
                None => file.to_owned(),
            }
        });
        let each: Vec<String> = each.collect();
        let mut lines = Vec::new();
        if self.all.len() > 1 {
            lines.push(format!("restarted by, oldest first: {}", each.join(", ")));
        }
        if let Some((log, reload)) = self.all.last() {
            lines.push(format!("{}: {}", log.path.display(), reload.line));
        }
        lines
    }
}
