//! `--json` everywhere: one envelope, whose schema is generated from the types and checked here: that the file is
//! fresh, and that what the commands print fits it by a validator that is not ours.
//!
//! After a change that is meant: `UPDATE_EXPECTED=1 cargo test -p steadfast --test it json`.

use crate::harness::{exe, head, venv, workspace};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};
use storm::installation::Installation;

/// Answers that are made by the command itself: kind, and the members that are always there.
const OWN: [(&str, &[&str]); 18] = [
    ("calibrated", &["argon2id", "target_ms"]),
    ("check", &["findings", "will_run", "exit"]),
    ("completions", &["text", "exit"]),
    ("doctor", &["findings", "checklist", "errors", "warnings"]),
    ("done", &["exit"]),
    ("error", &["exit", "error"]),
    ("links", &["links", "exit"]),
    ("logs", &["logs", "exit"]),
    ("man", &["text", "exit"]),
    (
        "news",
        &["event", "program", "process", "state", "text", "at_ms"],
    ),
    ("revoked", &["ended"]),
    ("rotated", &["name", "lines", "exit"]),
    ("secrets", &["secrets"]),
    ("sessions", &["sessions"]),
    ("store", &["id"]),
    ("storm", &["faults", "total", "held"]),
    ("user", &["name", "done"]),
    ("users", &["users"]),
];

/// The schema of every envelope.
fn schema() -> Value {
    let mut generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    let body = generator.subschema_for::<control::Body>();
    let definitions = generator.take_definitions(true);
    let own = OWN.iter().map(|(kind, required)| {
        let mut all = vec!["kind"];
        all.extend(*required);
        json!({ "properties": { "kind": { "const": kind } }, "required": all })
    });
    let mut any: Vec<Value> = own.collect();
    any.push(body.to_value());
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What steadfast prints with --json, and sends to `notify`",
        "description": "One object. Members may be added; a member that is there keeps its meaning while `steadfast` is 1. Times and sizes are in the unit that ends the member's name.",
        "type": "object",
        "properties": {
            "steadfast": { "const": 1, "description": "Version of the envelope." },
            "kind": { "type": "string", "description": "What it is." },
            "exit": { "type": "integer", "description": "Exit status of the command: 0 done, 1 not as wished, 2 could not." },
            "error": { "type": "string", "description": "What, where, why, what to do." },
        },
        "required": ["steadfast", "kind"],
        "anyOf": any,
        "$defs": definitions,
    })
}

#[test]
fn the_schema_in_the_documents_is_that_of_the_types() {
    let path = workspace().join("docs/schema.json");
    let text = serde_json::to_string_pretty(&schema()).expect("JSON") + "\n";
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, &text).expect("written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == text,
        "docs/schema.json is stale: UPDATE_EXPECTED=1 cargo test -p steadfast --test it json"
    );
}

/// Reads a schema, then one answer a line: the command, a tab, the JSON.
const VALIDATE: &str = "import json,sys,jsonschema
schema=json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
validator=jsonschema.Draft202012Validator(schema)
for line in sys.stdin:
 command,answer=line.rstrip('\\n').split('\\t',1)
 for error in validator.iter_errors(json.loads(answer)):
  print(command,'|',error.message[:300])";

#[test]
fn every_command_answers_a_machine_in_the_envelope() {
    let mut tree = Installation::new(exe()).expect("a directory");
    let dir = tree.dir().display().to_string();
    let text = format!(
        "{}[steadfast]\nstate_dir = {dir}/state\n[program:web]\ncommand = sh -c 'echo hi; exec sleep 1000'\nreload_signal = WINCH\n[program:broken]\ncommand = /no/such\n",
        head(tree.dir())
    );
    tree.configure(&text).expect("written");
    tree.run().expect("started");
    tree.wait_ready("web", storm::wait::PATIENCE)
        .expect("ready");
    let commands: [(&[&str], &str); 27] = [
        (&["status"], "status"),
        (&["status", "web"], "status"),
        (&["status", "nobody"], "status"),
        (&["restart", "web"], "outcomes"),
        (&["start", "web"], "outcomes"),
        (&["start", "nobody"], "outcomes"),
        (&["reload", "web"], "outcomes"),
        (&["signal", "WINCH", "web"], "outcomes"),
        (&["reread"], "changes"),
        (&["update"], "changes"),
        (&["reload"], "changes"),
        (&["plan"], "plan"),
        (&["pid"], "about"),
        (&["pid", "web"], "status"),
        (&["tail", "web"], "log"),
        (&["tail", "nobody"], "error"),
        (&["logs"], "logs"),
        (&["history"], "history"),
        (&["explain", "web"], "history"),
        (&["metrics"], "metrics"),
        (&["check"], "check"),
        (&["secrets", "list"], "secrets"),
        (&["man"], "man"),
        (&["completions", "bash"], "completions"),
        (&["restart"], "error"),
        (&["stop", "web"], "outcomes"),
        (&["shutdown"], "done"),
    ];
    let mut lines = String::new();
    let mut ask = |args: &[&str], wanted: &str| {
        let said = tree.say(&[args, &["--json"]].concat()).expect("said");
        let answer: Value = serde_json::from_str(&said.stdout)
            .unwrap_or_else(|why| panic!("{args:?}: {why}\n{}", said.text()));
        assert_eq!(answer["steadfast"], 1, "{args:?}");
        assert_eq!(answer["kind"], wanted, "{args:?}: {}", said.text());
        if let Some(exit) = answer.get("exit") {
            assert_eq!(exit, said.exit, "{args:?}");
        }
        lines.push_str(&format!("{}\t{answer}\n", args.join(" ")));
    };
    for (args, wanted) in commands {
        ask(args, wanted);
    }
    // Nothing runs any more.
    ask(&["status"], "error");
    let mut python = Command::new(venv("python"))
        .args(["-c", VALIDATE])
        .arg(workspace().join("docs/schema.json"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python");
    let mut stdin = python.stdin.take().expect("piped");
    stdin.write_all(lines.as_bytes()).expect("written");
    drop(stdin);
    let output = python.wait_with_output().expect("ended");
    assert!(output.status.success(), "the validator ran");
    let wrong = String::from_utf8_lossy(&output.stdout);
    assert!(wrong.is_empty(), "{wrong}");
}
