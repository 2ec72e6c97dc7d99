//! Development tools beyond the catalogue of servers: what gives each away on a command line.
//!
//! A name alone is enough only for tools that have no other purpose than to restart or to develop. `vite build` is none of it.

use servers::{Kind, Place};

use crate::scene::layers::Layer;

/// What makes a tool a development tool.
enum When {
    /// Always.
    Name,
    /// Its first word that is no option is one of these.
    Sub(&'static [&'static str]),
    /// None of its first words is one of these: it does this unless it is told to do something else.
    Unless(&'static [&'static str]),
    /// One of these options, anywhere before `--`.
    Flag(&'static [&'static str]),
    /// One of these options, before the first word that is no option.
    FlagFirst(&'static [&'static str]),
    /// A subcommand and one of these options.
    SubFlag(&'static str, &'static [&'static str]),
    /// A first word and a second one.
    Pair(&'static str, &'static str),
}

struct Tool {
    names: &'static [&'static str],
    when: When,
    code: &'static str,
    /// The words that fired can be taken away.
    drop: bool,
    advice: &'static str,
}

const fn tool(
    names: &'static [&'static str],
    when: When,
    code: &'static str,
    advice: &'static str,
) -> Tool {
    Tool {
        names,
        when,
        code,
        drop: false,
        advice,
    }
}

const fn flag(names: &'static [&'static str], when: When) -> Tool {
    Tool {
        names,
        when,
        code: "SF101",
        drop: true,
        advice: "start it without this option",
    }
}

const ITSELF: &str = "start the program itself";
const BUILT: &str = "build the app, and serve what was built with its production server";
const SERVER: &str = "serve the app with its production server";

static TOOLS: &[Tool] = &[
    // what restarts other programs
    tool(
        &[
            "watchfiles",
            "watchexec",
            "entr",
            "air",
            "reflex",
            "modd",
            "CompileDaemon",
            "wgo",
            "gow",
            "ts-node-dev",
            "tsnd",
            "node-dev",
            "onchange",
            "chokidar",
            "cargo-watch",
            "bacon",
            "rerun",
            "shotgun",
            "jurigged",
        ],
        When::Name,
        "SF102",
        ITSELF,
    ),
    tool(
        &["watchmedo"],
        When::Sub(&["auto-restart", "shell-command"]),
        "SF102",
        ITSELF,
    ),
    tool(
        &["cargo"],
        When::Sub(&["watch"]),
        "SF102",
        "build it, and start the binary",
    ),
    tool(
        &["dotnet"],
        When::Sub(&["watch"]),
        "SF102",
        "dotnet publish, and start what was published",
    ),
    // options of servers and runtimes
    flag(
        &["sanic"],
        When::Flag(&["--auto-reload", "--reload", "-r", "--dev", "-d"]),
    ),
    flag(&["quart"], When::SubFlag("run", &["--reload"])),
    flag(
        &["litestar"],
        When::SubFlag("run", &["--reload", "-r", "--reload-dir"]),
    ),
    flag(&["chainlit"], When::SubFlag("run", &["--watch", "-w"])),
    flag(&["pserve"], When::Flag(&["--reload"])),
    flag(&["robyn"], When::Flag(&["--dev"])),
    flag(
        &["nest"],
        When::SubFlag("start", &["--watch", "-w", "--watchAssets"]),
    ),
    flag(
        &["pm2", "pm2-runtime", "pm2-docker"],
        When::Flag(&["--watch"]),
    ),
    flag(&["bun"], When::FlagFirst(&["--watch", "--hot"])),
    flag(&["deno"], When::SubFlag("run", &["--watch", "--watch-hmr"])),
    flag(&["webpack"], When::Flag(&["--watch", "-w"])),
    flag(&["tsc"], When::Flag(&["--watch", "-w"])),
    // development servers
    tool(
        &["vite"],
        When::Unless(&[
            "build",
            "preview",
            "optimize",
            "optimise",
            "--version",
            "-v",
            "--help",
            "-h",
        ]),
        "SF103",
        BUILT,
    ),
    tool(
        &["next", "nuxt", "nuxi", "astro", "remix", "rsbuild", "farm"],
        When::Sub(&["dev"]),
        "SF103",
        BUILT,
    ),
    tool(&["gatsby"], When::Sub(&["develop"]), "SF103", BUILT),
    tool(
        &["ng", "webpack", "vue-cli-service", "ember"],
        When::Sub(&["serve", "server"]),
        "SF103",
        BUILT,
    ),
    tool(&["webpack-dev-server"], When::Name, "SF103", BUILT),
    tool(&["react-scripts"], When::Sub(&["start"]), "SF103", BUILT),
    tool(
        &["quart"],
        When::Sub(&["run"]),
        "SF103",
        "serve the app with hypercorn",
    ),
    tool(&["adev"], When::Sub(&["runserver"]), "SF103", SERVER),
    tool(
        &["http.server", "SimpleHTTPServer"],
        When::Name,
        "SF103",
        "serve files with nginx or Caddy",
    ),
    tool(
        &["php"],
        When::FlagFirst(&["-S"]),
        "SF103",
        "serve the app with php-fpm",
    ),
    tool(
        &["php", "artisan"],
        When::Pair("artisan", "serve"),
        "SF103",
        "serve the app with php-fpm or octane",
    ),
    tool(
        &["symfony"],
        When::Sub(&["serve", "server:start", "local:server:start"]),
        "SF103",
        "serve the app with php-fpm",
    ),
    tool(
        &["mvn", "mvnw", "./mvnw"],
        When::Sub(&["spring-boot:run"]),
        "SF103",
        "build the jar, and start it with java -jar",
    ),
    tool(
        &["gradle", "gradlew"],
        When::Sub(&["bootRun"]),
        "SF103",
        "build the jar, and start it with java -jar",
    ),
    tool(&["mkdocs"], When::Sub(&["serve"]), "SF103", BUILT),
    tool(
        &["hugo", "jekyll"],
        When::Sub(&["serve", "server"]),
        "SF103",
        BUILT,
    ),
    tool(
        &["manage.py", "django-admin", "django"],
        When::Sub(&["runserver_plus", "livereload"]),
        "SF104",
        SERVER,
    ),
];

/// A sign of development mode.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) code: &'static str,
    /// As written.
    pub(crate) what: String,
    pub(crate) places: Vec<Place>,
    /// These words may be taken away.
    pub(crate) drop: bool,
    pub(crate) advice: &'static str,
    /// The same app as it was built, if the words say enough to know how.
    pub(crate) built: Option<Built>,
}

/// What takes the place of a development server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Built {
    /// The command line that serves what was built.
    pub(crate) argv: Vec<String>,
    /// The command line that builds it.
    pub(crate) build: Vec<String>,
}

/// Options of `vite` and `next dev` that mean the same when they serve what was built, and whether a value follows.
const KEPT: &[(&str, &str, bool)] = &[
    ("vite", "--host", true),
    ("vite", "--port", true),
    ("vite", "--strictPort", false),
    ("next", "-p", true),
    ("next", "--port", true),
    ("next", "-H", true),
    ("next", "--hostname", true),
];

/// `vite --port 1` becomes `vite preview --port 1` after `vite build`; `next dev` becomes `next start` after `next build`.
fn built(layer: &Layer, program: &servers::Program<'_>) -> Option<Built> {
    let Some(Place::Word(at)) = program.place else {
        return None;
    };
    let (from, to): (&[&str], &str) = match program.name {
        "vite" => (&["dev", "serve"], "preview"),
        "next" => (&["dev"], "start"),
        _ => return None,
    };
    let mut argv: Vec<String> = layer.argv.get(..=at)?.to_vec();
    let build = [argv.clone(), vec!["build".to_owned()]].concat();
    argv.push(to.to_owned());
    let mut rest = layer.argv.get(at + 1..)?.iter().peekable();
    if rest.peek().is_some_and(|w| from.contains(&w.as_str())) {
        rest.next();
    }
    while let Some(word) = rest.next() {
        let name = word.split('=').next().unwrap_or(word);
        let kept = KEPT
            .iter()
            .find(|(p, n, _)| *p == program.name && *n == name);
        let (_, _, takes_value) = kept?;
        argv.push(word.clone());
        let next = rest.peek().filter(|w| !w.starts_with('-'));
        if *takes_value && !word.contains('=') && next.is_some() {
            argv.extend(rest.next().cloned());
        }
    }
    Some(Built { argv, build })
}

/// Signs of development tools in a command line.
pub(crate) fn hits(layer: &Layer) -> Vec<Seen> {
    let Some(program) = layer.server.program() else {
        return Vec::new();
    };
    let mut found: Vec<Seen> = TOOLS
        .iter()
        .filter(|tool| tool.names.contains(&program.name))
        .filter_map(|tool| see(tool, &program))
        .collect();
    for seen in found.iter_mut().filter(|seen| seen.code == "SF103") {
        seen.built = built(layer, &program);
    }
    found.extend(rails(layer, &program));
    found.extend(options_of_others(layer, &program));
    // `quart run --reload` is one thing, not two.
    if found.iter().any(|s| s.code == "SF101") {
        found.retain(|s| s.code != "SF103" || program.name != "quart");
    }
    found
}

fn see(tool: &Tool, program: &servers::Program<'_>) -> Option<Seen> {
    let words = || program.args.iter().take_while(|(t, _)| *t != "--");
    let sub = words().find(|(t, _)| !t.starts_with('-'));
    let is = |flags: &[&str], word: &str| {
        flags.iter().any(|f| {
            word == *f
                || word
                    .strip_prefix(f)
                    .is_some_and(|r| r.starts_with('=') && f.starts_with("--"))
        })
    };
    let flagged = |flags: &'static [&'static str]| -> Vec<(&str, Place)> {
        words()
            .filter(|(t, _)| is(flags, t))
            .map(|(t, p)| (*t, p.clone()))
            .collect()
    };
    let name = || program.place.clone().map(|p| vec![(program.name, p)]);
    let hits: Vec<(&str, Place)> = match &tool.when {
        When::Name => name()?,
        When::Sub(subs) => vec![sub.filter(|(t, _)| subs.contains(t))?.clone()],
        When::Unless(others) => {
            if words().take(2).any(|(t, _)| others.contains(t)) {
                return None;
            }
            name()?
        }
        When::Flag(flags) => flagged(flags),
        When::FlagFirst(flags) => words()
            .take_while(|(t, _)| t.starts_with('-'))
            .filter(|(t, _)| is(flags, t))
            .cloned()
            .collect(),
        When::SubFlag(name, flags) => {
            sub.filter(|(t, _)| t == name)?;
            flagged(flags)
        }
        When::Pair(first, second) => {
            let mut plain = words().filter(|(t, _)| !t.starts_with('-'));
            if program.name == *first {
                vec![plain.next().filter(|(t, _)| t == second)?.clone()]
            } else {
                plain
                    .next()
                    .filter(|(t, _)| t.rsplit('/').next() == Some(*first))?;
                vec![plain.next().filter(|(t, _)| t == second)?.clone()]
            }
        }
    };
    let (first, _) = hits.first()?;
    Some(Seen {
        code: tool.code,
        what: if *first == program.name {
            program.name.to_owned()
        } else {
            format!("{} {first}", program.name)
        },
        places: hits.iter().map(|(_, p)| p.clone()).collect(),
        drop: tool.drop,
        advice: tool.advice,
        built: None,
    })
}

/// `rails server` without a production environment.
fn rails(layer: &Layer, program: &servers::Program<'_>) -> Option<Seen> {
    let (sub, place) = program.args.first()?;
    if program.name != "rails" || !["s", "server"].contains(sub) {
        return None;
    }
    let args: Vec<&str> = program.args.iter().map(|(t, _)| *t).collect();
    let option = args.iter().enumerate().find_map(|(i, t)| match *t {
        "-e" | "--environment" => args.get(i + 1).copied(),
        _ => t.strip_prefix("--environment="),
    });
    let variable = ["RAILS_ENV", "RACK_ENV"]
        .iter()
        .find_map(|n| layer.server.variable(n).map(|(v, _)| v));
    let environment = option.map(str::to_owned).or(variable);
    // Without any, it may still come from the supervisor's own environment.
    if environment.as_deref() != Some("development") {
        return None;
    }
    Some(Seen {
        code: "SF103",
        what: "rails server in the development environment".to_owned(),
        places: vec![place.clone()],
        drop: false,
        advice: "set RAILS_ENV=production",
        built: None,
    })
}

/// Options and variables of programs that are none of the tools: java, streamlit, uwsgi, sanic.
fn options_of_others(layer: &Layer, program: &servers::Program<'_>) -> Vec<Seen> {
    let mut found = Vec::new();
    for (i, (text, place)) in program.args.iter().enumerate() {
        let next = program.args.get(i + 1);
        let on = |name: &str, values: &[&str]| {
            let own = text.strip_prefix(name).and_then(|r| r.strip_prefix('='));
            match own {
                Some(value) => values.contains(&value).then(|| vec![place.clone()]),
                None if text == &name => next
                    .filter(|(v, _)| values.contains(v))
                    .map(|(_, p)| vec![place.clone(), p.clone()]),
                None => None,
            }
        };
        let places = match program.name {
            "java" if *text == "-Dspring.devtools.restart.enabled=true" => {
                Some(vec![place.clone()])
            }
            // Started from its classes, an application with the tools in its class path restarts when they change.
            "java" if ["-cp", "-classpath", "--class-path"].contains(text) => next
                .filter(|(path, _)| path.contains("spring-boot-devtools-"))
                .map(|(_, p)| vec![place.clone(), p.clone()]),
            "streamlit" => on("--server.runOnSave", &["true", "True"]),
            "uwsgi" => on("--py-autoreload", &["1", "2", "3", "5"])
                .or_else(|| on("--py-auto-reload", &["1", "2", "3", "5"])),
            _ => None,
        };
        if let Some(places) = places {
            found.push(Seen {
                code: "SF101",
                what: match program.name {
                    "java" if !text.starts_with("-D") => {
                        "spring-boot-devtools in the class path".to_owned()
                    }
                    _ => (*text).to_owned(),
                },
                drop: program.name != "java" || text.starts_with("-D"),
                places,
                advice: match program.name {
                    "java" if !text.starts_with("-D") => {
                        "build a jar without the developer tools, and start it with java -jar"
                    }
                    _ => "start it without this option",
                },
                built: None,
            });
        }
    }
    let is_on = |name: &str| {
        layer
            .server
            .variable(name)
            .filter(|(v, _)| ["1", "true", "yes", "on"].contains(&v.to_ascii_lowercase().as_str()))
    };
    for (tool, name, code) in [
        ("sanic", "SANIC_AUTO_RELOAD", "SF101"),
        ("quart", "QUART_DEBUG", "SF104"),
    ] {
        if program.name == tool
            && let Some((value, place)) = is_on(name)
        {
            found.push(Seen {
                code,
                what: format!("{name}={value}"),
                places: vec![place],
                drop: false,
                advice: "remove the variable",
                built: None,
            });
        }
    }
    if layer.server.kind == Kind::PackageScript && program.name != "bun" {
        found.extend(dev_script(program));
    }
    found
}

/// `npm run dev` whose package.json cannot be read: the name says it, likely.
fn dev_script(program: &servers::Program<'_>) -> Option<Seen> {
    let mut words = program.args.iter().filter(|(t, _)| !t.starts_with('-'));
    let (mut text, mut place) = words.next()?.clone();
    if ["run", "run-script"].contains(&text) {
        (text, place) = words.next()?.clone();
    }
    ["dev", "start:dev", "watch", "develop"]
        .contains(&text)
        .then(|| Seen {
            code: "SF103",
            what: format!("{} run {text}", program.name),
            places: vec![place],
            drop: false,
            advice: BUILT,
            built: None,
        })
}
