//! What a command leads to: a start script, an entry of package.json, as far as they can be read.

use std::path::{Path, PathBuf};

use servers::Kind;

use crate::disk::{Disk, span_in};
use crate::model::Env;
use crate::scene::jars;
use crate::scene::layers::Layer;
use crate::tools;

/// A command leads to a script leads to `npm run x` leads to …: longer chains are not followed.
const LAYERS_MAX: usize = 4;

/// A start script is read up to here; longer ones are programs.
const SCRIPT_BYTES_MAX: u64 = 64 << 10;

/// package.json of large projects: some 100 kB.
const PACKAGE_BYTES_MAX: u64 = 1 << 20;

/// Follows a command into scripts and package.json, as far as they can be read.
pub(crate) fn follow(first: Layer, dir: Option<&Path>, env: &Env, disk: &Disk) -> Vec<Layer> {
    let mut layers = vec![first];
    while layers.len() < LAYERS_MAX {
        let Some(last) = layers.last() else { break };
        let Some(next) =
            package_script(last, dir, env, disk).or_else(|| script(last, dir, env, disk))
        else {
            break;
        };
        if layers.iter().any(|layer| layer.argv == next.argv) {
            break;
        }
        layers.push(next);
    }
    for layer in &mut layers {
        layer.devtools = devtools(layer, dir);
    }
    layers
}

/// What the jar of `java -jar app.jar` holds.
fn devtools(layer: &Layer, dir: Option<&Path>) -> Option<(PathBuf, String)> {
    let program = layer.server.program().filter(|p| p.name == "java")?;
    let mut words = program.args.iter().map(|(text, _)| *text);
    words.find(|word| *word == "-jar")?;
    let jar = resolve(words.next()?, dir)?;
    let entry = jars::devtools(&jar)?;
    Some((jar, entry))
}

fn resolve(path: &str, dir: Option<&Path>) -> Option<PathBuf> {
    if path.starts_with('/') {
        return Some(PathBuf::from(path));
    }
    dir.map(|dir| dir.join(path))
}

/// `npm run x`, `yarn x`: the entry of package.json.
fn package_script(layer: &Layer, dir: Option<&Path>, env: &Env, disk: &Disk) -> Option<Layer> {
    if layer.server.kind != Kind::PackageScript {
        return None;
    }
    let program = layer.server.program()?;
    let mut dir = dir?.to_path_buf();
    let mut words = program.args.iter().map(|(text, _)| *text).peekable();
    let mut name = None;
    while let Some(word) = words.next() {
        match word {
            "--prefix" | "-C" | "--cwd" | "--dir" => dir = dir.join(words.next()?),
            "--" => break,
            "run" | "run-script" if name.is_none() => {}
            flag if flag.starts_with('-') => {}
            word if name.is_none() => name = Some(word),
            _ => {}
        }
    }
    let name = name?;
    let path = dir.join("package.json");
    let text = disk.text(&path, PACKAGE_BYTES_MAX)?;
    let json: serde_json::Value = serde_json::from_str(&text).ok()?;
    let script = json.get("scripts")?.get(name)?.as_str()?;
    let range = script_range(&text, name, script);
    let shown = path.display().to_string();
    let span = range.map(|range| span_in(&shown, &text, range));
    let argv = vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()];
    let mut next = Layer::new(argv, vec![None, None, span.clone()], env);
    next.whole = span;
    next.file = Some(path);
    Some(next)
}

/// The bytes of a script's value in package.json, without its quotes; `None` if it is written with escapes.
fn script_range(text: &str, name: &str, script: &str) -> Option<std::ops::Range<usize>> {
    let scripts = text.find("\"scripts\"")?;
    let key = format!("\"{name}\"");
    let at = scripts + text.get(scripts..)?.find(&key)? + key.len();
    let value = text.get(at..)?;
    let start = at + value.find('"')? + 1;
    let found = text.get(start..start + script.len())? == script;
    found.then_some(start..start + script.len())
}

/// A shell script: the first of its lines that starts a server.
fn script(layer: &Layer, dir: Option<&Path>, env: &Env, disk: &Disk) -> Option<Layer> {
    if layer.server.serves() || layer.file.is_some() && layer.server.kind == Kind::PackageScript {
        return None;
    }
    let program = layer.server.program()?;
    let path = resolve(program.written, dir)?;
    if !program.written.contains('/') && !program.written.ends_with(".sh") {
        return None;
    }
    let text = disk.text(&path, SCRIPT_BYTES_MAX)?;
    let first = text.lines().next().unwrap_or("");
    let is_shell =
        first.starts_with("#!") && first.contains("sh") || program.written.ends_with(".sh");
    if !is_shell {
        return None;
    }
    let shown = path.display().to_string();
    let mut at = 0;
    let mut found: Option<Layer> = None;
    for line in text.split_inclusive('\n') {
        let begin = at;
        at += line.len();
        let code = line.trim();
        if code.is_empty() || code.starts_with('#') {
            continue;
        }
        let start = begin + (line.len() - line.trim_start().len());
        let argv = vec!["sh".to_owned(), "-c".to_owned(), code.to_owned()];
        let span = span_in(&shown, &text, start..start + code.len());
        let mut next = Layer::new(argv, vec![None, None, Some(span.clone())], env);
        next.whole = Some(span);
        next.file = Some(path.clone());
        let is_last_word = code.starts_with("exec ");
        let serves = next.server.serves();
        if serves || is_last_word || found.is_none() && next.server.program().is_some() {
            found = Some(next);
        }
        if serves {
            break;
        }
    }
    found.filter(|layer| layer.server.serves() || !tools::hits(layer).is_empty())
}
