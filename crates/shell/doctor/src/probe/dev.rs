//! SF1xx: development mode, wherever it comes from.

use finding::{Severity, Span};
use regex_lite::Regex;
use servers::{Fix, Kind, Place, Weight};

use crate::code::{self, Language};
use crate::disk::span_in;
use crate::model::{Hit, Repair, TextEdit};
use crate::probe::evidence::running;
use crate::probe::{edits, production};
use crate::scene::app::AppFile;
use crate::scene::layers::Layer;
use crate::scene::{Scene, Subject};
use crate::tools;

/// The arguments of a call that are looked at.
const CALL_BYTES_MAX: usize = 4_000;

pub(crate) fn reloader(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    flags(scene, subject, "SF101")
}

pub(crate) fn watcher(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    flags(scene, subject, "SF102")
}

pub(crate) fn dev_server(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    flags(scene, subject, "SF103")
}

/// Which rule a flag of the catalogue belongs to.
fn code_of(flag: &servers::DevFlag) -> &'static str {
    match flag.rule {
        "flask-debug" | "flask-debug-env" => "SF104",
        "nodemon" => "SF102",
        _ => match flag.weight {
            Weight::Refuse => "SF101",
            Weight::Warn => "SF103",
        },
    }
}

/// Flags of the catalogue and signs of tools, of one rule.
fn flags(scene: &Scene, subject: &Subject, code: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (depth, layer) in subject.layers.iter().enumerate() {
        for flag in servers::guard(&layer.server)
            .iter()
            .filter(|f| code_of(f) == code)
        {
            hits.push(catalogue(scene, subject, layer, flag));
        }
        let followed = depth + 1 < subject.layers.len();
        for seen in tools::hits(layer).iter().filter(|s| s.code == code) {
            // What `npm run dev` leads to was read: that is what counts.
            if followed && layer.server.kind == Kind::PackageScript {
                continue;
            }
            let guessed = layer.server.kind == Kind::PackageScript;
            let mut hit = if guessed {
                Hit::likely(&seen.what)
            } else {
                Hit::proved(&seen.what)
            };
            hit = place(subject, layer, &seen.places, hit).advice(seen.advice);
            if seen.drop {
                let wanted = without(layer, &seen.places);
                hit = hit.repair(edits::words(scene, subject, layer, &wanted));
            }
            if let Some(built) = &seen.built {
                hit = hit.repair(edits::words(scene, subject, layer, &built.argv));
                hit.prepare = build(subject, built).filter(|_| hit.repair.is_some());
            }
            hits.push(hit);
        }
    }
    if code == "SF101" {
        hits.extend(subject.layers.iter().filter_map(devtools));
    }
    for hit in &mut hits {
        running(scene, subject, hit);
    }
    hits.extend(overruled(scene, subject, code));
    hits
}

/// Spring's developer tools in a jar: they do nothing below `java -jar` unless they are told to, so it is a note.
fn devtools(layer: &Layer) -> Option<Hit> {
    let (jar, entry) = layer.devtools.as_ref()?;
    let told = layer
        .server
        .variable("SPRING_DEVTOOLS_RESTART_ENABLED")
        .is_some_and(|(value, _)| value == "true");
    let hit = Hit::likely("spring-boot-devtools in the jar")
        .said(format!("{} holds {entry}", jar.display()))
        .at(layer.whole.clone())
        .advice("build the jar without the developer tools (developmentOnly, optional)");
    Some(match told {
        true => hit.said("SPRING_DEVTOOLS_RESTART_ENABLED turns them on"),
        false => hit
            .weigh(Severity::Note)
            .effect("none while it is started by java -jar; spring.devtools.restart.enabled would turn them on"),
    })
}

/// The command that builds an app, wherever it is pasted.
fn build(subject: &Subject, built: &tools::Built) -> Option<String> {
    let dir = subject.dir.as_ref()?.display().to_string();
    let line = servers::shell_line(&built.build);
    Some(format!("(cd {} && {line})", servers::shell_line(&[dir])))
}

/// Definitions of the same program that another one overrules: a flag in them comes back as soon as the other goes.
fn overruled(scene: &Scene, subject: &Subject, code: &str) -> Vec<Hit> {
    let (Some(program), Some(config)) = (&subject.program, subject.config(scene)) else {
        return Vec::new();
    };
    let start = format!("`command` of [program:{}]", program.name);
    let duplicates = config.loaded.findings.iter();
    let duplicates =
        duplicates.filter(|f| f.code == "conf.duplicate-key" && f.message.starts_with(&start));
    let mut hits = Vec::new();
    for related in duplicates.flat_map(|f| &f.related) {
        let Some(layer) = of_line(&related.span) else {
            continue;
        };
        for flag in servers::guard(&layer.server) {
            if code_of(&flag) == code {
                let hit = catalogue(scene, subject, &layer, &flag).weigh(Severity::Note);
                hits.push(hit.said("this definition does not count now: another one overrules it"));
            }
        }
    }
    hits
}

/// The command in a line `command = …` of a configuration.
fn of_line(span: &Span) -> Option<Layer> {
    let (key, value) = span.text.split_once('=')?;
    let value = value.split(" ;").next().unwrap_or(value);
    let column = u32::try_from(key.chars().count() + 2).ok()?;
    let words = conf::argv::split(value).ok()?;
    let spans = words.iter().map(|w| {
        let before = value.get(..w.range.start)?.chars().count();
        let length = value.get(w.range.clone())?.chars().count();
        let column = column + u32::try_from(before).ok()?;
        Some(span.clone().marked(column, u32::try_from(length).ok()?))
    });
    let spans = spans.collect();
    let argv = words.iter().map(|w| w.value.clone()).collect();
    Some(Layer::new(argv, spans, &crate::model::Env::new()))
}

/// A layer's words without some.
fn without(layer: &Layer, places: &[Place]) -> Vec<String> {
    let keep = |i: usize| !places.contains(&Place::Word(i));
    let words = layer.argv.iter().enumerate().filter(|(i, _)| keep(*i));
    let mut argv: Vec<String> = words.map(|(_, w)| w.clone()).collect();
    let mut inside: Vec<(usize, usize, usize)> = Vec::new();
    for place in places {
        if let Place::Inside { word, start, end } = place {
            inside.push((*word, *start, *end));
        }
    }
    inside.sort_unstable_by(|a, b| b.cmp(a));
    for (word, start, end) in inside {
        if let Some(script) = argv.get_mut(word)
            && script.get(start..end).is_some()
        {
            let head = script[..start].trim_end_matches([' ', '\t']).len();
            script.replace_range(head..end, "");
        }
    }
    argv
}

fn catalogue(scene: &Scene, subject: &Subject, layer: &Layer, flag: &servers::DevFlag) -> Hit {
    let mut hit = Hit::proved(&flag.what);
    // What a reloader does is said by the rule, the same for all of them.
    if flag.weight == Weight::Warn || code_of(flag) == "SF104" {
        hit = hit.effect(flag.effect);
    }
    hit = place(subject, layer, &flag.places, hit);
    match &flag.fix {
        Fix::Command { argv, line } => hit
            .advice(format!("write: {line}"))
            .repair(edits::words(scene, subject, layer, argv)),
        Fix::Unset { name } => hit
            .advice(format!("remove {name} from the environment"))
            .repair(edits::variable(scene, subject, name, None)),
        Fix::Set { name, value } => hit
            .advice(format!("set {name}=\"{value}\""))
            .repair(edits::variable(scene, subject, name, Some(value))),
        Fix::Advice(words) => {
            let exact = production::advice(subject, layer);
            hit.advice(exact.unwrap_or_else(|| (*words).to_owned()))
        }
    }
}

/// Evidence: where the words stand.
fn place(subject: &Subject, layer: &Layer, places: &[Place], mut hit: Hit) -> Hit {
    match layer.span_of_all(places) {
        Some(span) => hit = hit.at(span),
        None => {
            let variables: Vec<&str> = places
                .iter()
                .filter_map(|p| match p {
                    Place::Env(name) => Some(name.as_str()),
                    Place::Word(_) | Place::Inside { .. } => None,
                })
                .collect();
            match (
                variables.first(),
                &subject.env_span,
                subject.processes.first(),
            ) {
                (Some(name), _, _) => hit = variable_place(subject, name, hit),
                (None, _, Some(process)) => {
                    hit = hit.said(format!(
                        "pid {} runs: {}",
                        process.pid,
                        finding::mask_line(&layer.line())
                    ));
                }
                (None, _, None) => hit = hit.at(layer.whole.clone()),
            }
        }
    }
    if let Some(first) = subject
        .layers
        .first()
        .filter(|first| first.file != layer.file)
    {
        hit = hit.at(first.whole.clone());
    }
    hit
}

/// Where a variable is set: the program's environment, an env file, or something above.
fn variable_place(subject: &Subject, name: &str, hit: Hit) -> Hit {
    let own = subject
        .program
        .as_ref()
        .and_then(|p| p.processes.first())
        .is_some_and(|p| p.environment.contains_key(name));
    if own || subject.program.is_none() && subject.env_span.is_some() {
        if let Some(span) = &subject.env_span {
            return hit.at(edits::variable_span(span, name));
        }
        return hit.said(format!("{name} is set in [supervisord]'s environment"));
    }
    for file in subject.app.env_files.iter().rev() {
        if let Some(entry) = secrets::parse(&file.text).last(name) {
            let shown = file.path.display().to_string();
            let line = u32::try_from(entry.line).unwrap_or(u32::MAX);
            return hit.at(finding::Span::line(
                shown.as_str(),
                line,
                crate::disk::line_of(&file.text, line),
            ));
        }
    }
    hit.said(format!(
        "{name} is set in the environment of the process that starts it"
    ))
}

pub(crate) fn debug(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let mut hits = flags(scene, subject, "SF104");
    let django = |f: &&AppFile| {
        f.relative.rsplit('/').next() == Some("settings.py") && f.masked.contains("INSTALLED_APPS")
    };
    let settings: Vec<&AppFile> = subject.app.files.iter().filter(django).collect();
    // With several settings files it is not known which one counts.
    if let ([file], true) = (settings.as_slice(), subject.serves())
        && let Ok(pattern) = Regex::new(r"(?m)^DEBUG[ \t]*=[ \t]*([^\n]*)$")
        && let Some(last) = pattern
            .captures_iter(&file.masked)
            .last()
            .and_then(|c| c.get(1))
        && last.as_str().trim() == "True"
    {
        let start = last.start();
        let span = span_in(&file.shown(), &file.text, start..start + 4);
        hits.push(
            Hit::proved("DEBUG = True in Django's settings")
                .at(span)
                .advice("write: DEBUG = False"),
        );
    }
    hits
}

/// Files that a server reads by itself.
pub(crate) fn file_setting(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let mut hits = Vec::new();
    for layer in &subject.layers {
        let name = layer.server.program().map_or("", |p| p.name);
        if layer.server.kind == Kind::Gunicorn {
            let named = layer
                .server
                .config_file
                .as_deref()
                .unwrap_or("gunicorn.conf.py");
            let named = named
                .strip_prefix("file:")
                .unwrap_or(named)
                .trim_start_matches("./");
            let pattern = r"(?m)^reload[ \t]*=[ \t]*(True|1)\b";
            hits.extend(setting(subject, named, pattern, "reload = True", "False"));
        } else if ["pm2", "pm2-runtime", "pm2-docker"].contains(&name) {
            for (word, _) in layer.server.program().iter().flat_map(|p| &p.args) {
                let pattern = r#"(?m)\bwatch["']?[ \t]*:[ \t]*(true)\b"#;
                hits.extend(setting(
                    subject,
                    word.trim_start_matches("./"),
                    pattern,
                    "watch: true",
                    "false",
                ));
            }
        } else if name == "uwsgi" {
            for (word, _) in layer.server.program().iter().flat_map(|p| &p.args) {
                let word = word.strip_prefix("--ini=").unwrap_or(word);
                let pattern = r"(?m)^[ \t]*py-auto-?reload[ \t]*=[ \t]*([1-9][0-9]*)";
                hits.extend(setting(subject, word, pattern, "py-autoreload", "0"));
            }
        }
    }
    for hit in &mut hits {
        running(scene, subject, hit);
    }
    hits
}

fn setting(subject: &Subject, name: &str, pattern: &str, what: &str, off: &str) -> Option<Hit> {
    let dir = subject.app.dir.as_ref()?;
    let file = subject
        .app
        .files
        .iter()
        .find(|f| f.path == dir.join(name))?;
    let code = if file.language.is_some() {
        &file.masked
    } else {
        &file.text
    };
    let all: Vec<_> = Regex::new(pattern).ok()?.captures_iter(code).collect();
    let last = all.last()?;
    let (all, value) = (last.get(0)?, last.get(1)?);
    let value_span = span_in(&file.shown(), &file.text, value.range());
    let repair = Repair::Edit {
        file: file.path.clone(),
        edits: vec![TextEdit {
            line: value_span.line,
            column: value_span.column,
            length: value_span.length,
            text: off.to_owned(),
        }],
    };
    Some(
        Hit::proved(format!("{what} in {}", file.relative))
            .at(span_in(&file.shown(), &file.text, all.range()))
            .repair(repair),
    )
}

/// `uvicorn.run(…, reload=True)` in the script that is started.
pub(crate) fn in_code(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let mut hits = Vec::new();
    for layer in &subject.layers {
        let Some((file, true)) = subject.app.entry(layer) else {
            continue;
        };
        if file.language != Some(Language::Python) || layer.server.serves() {
            continue;
        }
        for hit in call_flags(file) {
            hits.push(hit.at(layer.whole.clone()));
        }
    }
    for hit in &mut hits {
        running(scene, subject, hit);
    }
    hits
}

fn call_flags(file: &AppFile) -> Vec<Hit> {
    let calls = [
        (r"\buvicorn\.run\(", "reload"),
        (r"\bgranian\.Granian\(", "reload"),
        (r"\bapp(?:lication)?\.run\(", "debug"),
        (r"\bapp(?:lication)?\.run\(", "use_reloader"),
        (r"\bapp(?:lication)?\.run\(", "auto_reload"),
        (r"\bsocketio\.run\(", "debug"),
        (r"\bui\.run\(", "reload"),
        (r"\brun_simple\(", "use_reloader"),
    ];
    let mut hits = Vec::new();
    for (call, argument) in calls {
        let (Ok(call), Ok(flag)) = (
            Regex::new(call),
            Regex::new(&format!(r"\b{argument}[ \t]*=[ \t]*True\b")),
        ) else {
            continue;
        };
        for found in call.find_iter(&file.masked) {
            let inside = code::call(&file.masked, found.end() - 1, CALL_BYTES_MAX);
            let Some(hit) = file.masked.get(inside.clone()).and_then(|t| flag.find(t)) else {
                continue;
            };
            let range = inside.start + hit.start()..inside.start + hit.end();
            let name = found.as_str().trim_end_matches('(');
            hits.push(
                Hit::proved(format!("{name}({argument}=True)"))
                    .at(span_in(&file.shown(), &file.text, range))
                    .advice(format!("take {argument}=True out")),
            );
        }
    }
    hits
}

pub(crate) fn environment(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    const NAMES: &[&str] = &[
        "NODE_ENV",
        "RAILS_ENV",
        "RACK_ENV",
        "ASPNETCORE_ENVIRONMENT",
        "DOTNET_ENVIRONMENT",
        "FLASK_ENV",
        "MIX_ENV",
        "APP_DEBUG",
    ];
    let mut hits = Vec::new();
    let Some(layer) = subject.main_layer() else {
        return hits;
    };
    for name in NAMES {
        let Some((value, place)) = layer.server.variable(name) else {
            continue;
        };
        let bad = match *name {
            "APP_DEBUG" => value == "true",
            "MIX_ENV" => value == "dev",
            _ => value.eq_ignore_ascii_case("development"),
        };
        if bad {
            let hit = Hit::proved(format!("{name}={value}"));
            let hit = match layer.span(&place) {
                Some(span) => hit.at(span),
                None => variable_place(subject, name, hit),
            };
            let good = match *name {
                "APP_DEBUG" => "false",
                "MIX_ENV" => "prod",
                "ASPNETCORE_ENVIRONMENT" | "DOTNET_ENVIRONMENT" => "Production",
                _ => "production",
            };
            hits.push(
                hit.advice(format!("set {name}={good}"))
                    .repair(edits::variable(scene, subject, name, Some(good))),
            );
        }
    }
    if let Some(program) = layer.server.program().filter(|p| p.name == "puma") {
        for (i, (text, place)) in program.args.iter().enumerate() {
            let value = program.args.get(i + 1).map(|(t, _)| *t);
            if ["-e", "--environment"].contains(text) && value == Some("development") {
                hits.push(
                    Hit::proved("puma in the development environment")
                        .at(layer.span(place))
                        .weigh(Severity::Warning)
                        .advice("write: -e production"),
                );
            }
        }
    }
    hits
}
