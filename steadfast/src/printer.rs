//! The one door for output: data to stdout, the rest to stderr. Nothing else in the binary prints.

use std::io::Write;

/// Writes a line of data. A reader that went away (`| head`) is not an error of ours.
pub(crate) fn out(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout
        .write_all(line.as_bytes())
        .and_then(|()| stdout.write_all(b"\n"));
    let _ = stdout.flush();
}

/// Writes bytes of data as they are.
pub(crate) fn raw(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(bytes);
    let _ = stdout.flush();
}

/// Writes bytes for people beside the data, as they are.
pub(crate) fn raw_note(bytes: &[u8]) {
    let _ = std::io::stderr().lock().write_all(bytes);
}

/// Writes a line for people beside the data: progress, errors, hints.
pub(crate) fn note(line: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr
        .write_all(line.as_bytes())
        .and_then(|()| stderr.write_all(b"\n"));
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
