//! Before and after a fix, side by side: what ran when the file was changed, and what runs now.
//!
//! A fix only takes effect once the owner's command has run, which the doctor does not do. So `--fix` notes beside the file what runs then;
//! later runs show it beside what runs now, for a day.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::disk::Disk;
use crate::scene::{Scene, Source, watches};

/// A note that is older than a day tells nothing new.
const AGE_S_MAX: u64 = 86_400;
/// Some hundred bytes for each program.
const NOTE_BYTES_MAX: u64 = 1 << 20;

/// What a program was, or is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Was {
    pub(crate) program: String,
    pub(crate) pid: i64,
    pub(crate) argv: String,
    pub(crate) watches: u64,
}

/// The hidden file beside a configuration: no pattern of an include matches it.
fn path(config: &str) -> PathBuf {
    let path = Path::new(config);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.steadfast-before"))
}

/// What runs now from a configuration.
fn now(scene: &Scene, index: usize) -> Vec<Was> {
    let of_config = scene
        .subjects
        .iter()
        .filter(|s| s.source == Source::Supervisor(index));
    let was = of_config.filter_map(|subject| {
        let process = subject.processes.first()?;
        let watches = watches::find(&subject.processes, None).map_or(0, |w| w.count);
        Some(Was {
            program: subject.name.clone(),
            pid: process.pid.into(),
            argv: finding::mask_line(&servers::shell_line(&process.argv)),
            watches: u64::try_from(watches).unwrap_or(u64::MAX),
        })
    });
    was.collect()
}

/// Notes what runs, when a file is about to be changed. That it cannot be noted is no reason not to mend.
pub(crate) fn note(scene: &Scene) {
    for (index, config) in scene.configs.iter().enumerate() {
        let programs = now(scene, index);
        let Some(main) = config.loaded.tree.first().filter(|_| !programs.is_empty()) else {
            continue;
        };
        let list: Vec<Value> = programs
            .iter()
            .map(|w| json!({ "program": w.program, "pid": w.pid, "argv": w.argv, "watches": w.watches }))
            .collect();
        let text = json!({ "steadfast": 1, "kind": "before", "at_unix_s": scene.now_unix_s, "programs": list }).to_string();
        let _ = sys::named::Named::of(&path(&main.path)).and_then(|beside| {
            let _ = beside.remove(beside.name());
            let mut file = beside.create(beside.name(), 0o600)?;
            file.write_all(text.as_bytes())
        });
    }
}

/// Programs that were noted and run as another process now: then and now.
pub(crate) fn pairs(scene: &Scene) -> Vec<(Was, Was)> {
    let mut pairs = Vec::new();
    for (index, config) in scene.configs.iter().enumerate() {
        let Some(main) = config.loaded.tree.first() else {
            continue;
        };
        let text = Disk::default().text(&path(&main.path), NOTE_BYTES_MAX);
        let Some(value) = text.and_then(|t| serde_json::from_str::<Value>(&t).ok()) else {
            continue;
        };
        let at = value["at_unix_s"].as_u64().unwrap_or(0);
        if scene.now_unix_s.saturating_sub(at) > AGE_S_MAX {
            continue;
        }
        let programs = value["programs"].as_array().cloned().unwrap_or_default();
        let then: Vec<Was> = programs.iter().filter_map(was).collect();
        for is in now(scene, index) {
            let before = then
                .iter()
                .find(|w| w.program == is.program && w.pid != is.pid);
            pairs.extend(before.map(|w| (w.clone(), is.clone())));
        }
    }
    pairs
}

fn was(value: &Value) -> Option<Was> {
    Some(Was {
        program: value["program"].as_str()?.to_owned(),
        pid: value["pid"].as_i64()?,
        argv: value["argv"].as_str()?.to_owned(),
        watches: value["watches"].as_u64()?,
    })
}
