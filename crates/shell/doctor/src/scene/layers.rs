//! What a command leads to: the command itself, a start script, an entry of package.json. Each is read as a command line of its
//! own, and each of its words knows where it stands.

use std::path::{Path, PathBuf};

use finding::Span;
use servers::{Kind, Place, Server};

use crate::disk::{Disk, span_in};
use crate::model::Env;
use crate::scene::jars;

/// A command leads to a script leads to `npm run x` leads to …: longer chains are not followed.
const LAYERS_MAX: usize = 4;
/// A start script is read up to here; longer ones are programs.
const SCRIPT_BYTES_MAX: u64 = 64 << 10;
/// package.json of large projects: some 100 kB.
const PACKAGE_BYTES_MAX: u64 = 1 << 20;

/// One command line and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    pub(crate) argv: Vec<String>,
    /// Where each word stands.
    pub(crate) words: Vec<Option<Span>>,
    /// The command as a whole.
    pub(crate) whole: Option<Span>,
    /// The file that it stands in, if that is not the configuration.
    pub(crate) file: Option<PathBuf>,
    pub(crate) server: Server,
    /// Spring's developer tools in the jar that is started: the jar, and the entry in it.
    pub(crate) devtools: Option<(PathBuf, String)>,
}

impl Layer {
    pub(crate) fn new(argv: Vec<String>, words: Vec<Option<Span>>, env: &Env) -> Layer {
        let server = servers::read(&argv, env);
        Layer {
            whole: words.first().cloned().flatten(),
            argv,
            words,
            file: None,
            server,
            devtools: None,
        }
    }

    /// Where a place stands in its file.
    pub(crate) fn span(&self, place: &Place) -> Option<Span> {
        match place {
            Place::Word(index) => self.words.get(*index).cloned().flatten(),
            Place::Inside { word, start, end } => {
                let span = self.words.get(*word).cloned().flatten()?;
                let value = self.argv.get(*word)?;
                let before = value.get(..*start)?.chars().count();
                let length = value.get(*start..*end)?.chars().count();
                // A quote stands before the inner command; the range is exact where no quotes are undone within.
                let quote = usize::from(span.length as usize > value.chars().count());
                let column = span.column + u32::try_from(quote + before).ok()?;
                Some(span.marked(column, u32::try_from(length).ok()?))
            }
            Place::Env(_) => None,
        }
    }

    /// Several places as one mark, if they stand side by side in one line; else the first.
    pub(crate) fn span_of_all(&self, places: &[Place]) -> Option<Span> {
        let spans: Vec<Span> = places.iter().filter_map(|p| self.span(p)).collect();
        let (first, last) = (spans.first()?, spans.last()?);
        let mut span = first.clone();
        if first.line == last.line && last.column >= first.column {
            span.length = last.column + last.length - first.column;
        }
        Some(span)
    }

    /// The words as one line.
    pub(crate) fn line(&self) -> String {
        servers::shell_line(&self.argv)
    }
}

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
    found.filter(|layer| layer.server.serves() || !crate::probe::tools::hits(layer).is_empty())
}
