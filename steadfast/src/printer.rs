//! The one door for output: data to stdout, the rest to stderr. Nothing else in the binary prints.

use std::io::Write;
use std::sync::Mutex;

/// What was said while a machine reads, for the envelope of a command that had nothing else to say.
#[derive(Debug)]
struct Machine {
    /// Something went to stdout.
    answered: bool,
    notes: Vec<String>,
}

/// What every error begins with: ours, those of findings, of the doctor and of the command line. What is no error but
/// has to be known begins with [`WARNING`]; all else (progress, what was done, what to do next) begins with itself.
const ERROR: &str = "error: ";
const WARNING: &str = "warning: ";
/// Notes that an envelope repeats.
const NOTES_MAX: usize = 64;

static MACHINE: Mutex<Option<Machine>> = Mutex::new(None);

fn machine(act: impl FnOnce(&mut Machine)) {
    if let Ok(mut machine) = MACHINE.lock()
        && let Some(machine) = machine.as_mut()
    {
        act(machine);
    }
}

/// From now on a machine reads: [`finish`] gives it an envelope if nothing else did.
pub(crate) fn for_machine() {
    if let Ok(mut machine) = MACHINE.lock() {
        *machine = Some(Machine {
            answered: false,
            notes: Vec::new(),
        });
    }
}

/// The end of the command. A machine that was told nothing is told how it ended, and why.
pub(crate) fn finish(status: i32) {
    let mut left = None;
    machine(|machine| {
        left = (!machine.answered).then(|| std::mem::take(&mut machine.notes));
    });
    let Some(notes) = left else { return };
    let text = notes.join("\n");
    let text = text.trim_start_matches(ERROR).to_owned();
    if status == 0 {
        json("done", serde_json::json!({ "exit": 0, "text": text }));
    } else {
        json(
            "error",
            serde_json::json!({ "exit": status, "error": text }),
        );
    }
}

/// Writes a line of data. A reader that went away (`| head`) is not an error of ours.
pub(crate) fn out(line: &str) {
    machine(|machine| machine.answered = true);
    let mut stdout = std::io::stdout().lock();
    let _ = stdout
        .write_all(line.as_bytes())
        .and_then(|()| stdout.write_all(b"\n"));
    let _ = stdout.flush();
}

/// Writes bytes of data as they are.
pub(crate) fn raw(bytes: &[u8]) {
    machine(|machine| machine.answered = true);
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(bytes);
    let _ = stdout.flush();
}

/// [`raw`] for those that write by themselves.
pub(crate) struct Raw;

impl std::io::Write for Raw {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        raw(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Writes bytes for people beside the data, as they are.
pub(crate) fn raw_note(bytes: &[u8]) {
    let _ = std::io::stderr().lock().write_all(bytes);
}

/// Writes a line for people beside the data: progress, errors, hints.
pub(crate) fn note(line: &str) {
    machine(|machine| {
        if machine.notes.len() < NOTES_MAX {
            machine.notes.push(line.to_owned());
        }
    });
    let mut stderr = std::io::stderr().lock();
    let _ = stderr
        .write_all(line.as_bytes())
        .and_then(|()| stderr.write_all(b"\n"));
}

/// Writes why a command could not do what it was asked. What says so already is not told twice.
pub(crate) fn error(text: &str) {
    note(&format!("{ERROR}{}", text.trim_start_matches(ERROR)));
}

/// Writes what should be known although the command goes on.
pub(crate) fn warning(text: &str) {
    note(&format!("{WARNING}{}", text.trim_start_matches(WARNING)));
}

/// Writes a question whose answer is typed behind it.
pub(crate) fn ask(question: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(question.as_bytes());
    let _ = stderr.flush();
}

/// The envelope of every `--json` answer: `{"steadfast": 1, "kind": …, …}`.
pub(crate) fn json(kind: &str, mut value: serde_json::Value) {
    let mut envelope = serde_json::Map::new();
    envelope.insert("steadfast".into(), 1.into());
    envelope.insert("kind".into(), kind.into());
    if let Some(fields) = value.as_object_mut() {
        fields.remove("kind");
        envelope.append(fields);
    }
    out(&serde_json::Value::Object(envelope).to_string());
}
