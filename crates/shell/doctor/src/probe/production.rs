//! What takes the place of Flask's and Django's development servers: one line to paste, with a server that is installed beside them.
//!
//! It is said and never written by `--fix`: how many processes an app bears and who serves its files is its owner's to decide.

use std::path::{Path, PathBuf};

use regex_lite::Regex;
use servers::{Address, Kind};

use crate::scene::Subject;
use crate::scene::app::AppFile;
use crate::scene::layers::Layer;

/// Servers for WSGI, the best known first. gunicorn's threads are what the development servers have.
const WSGI: &[&str] = &["gunicorn", "waitress-serve", "granian", "hypercorn"];
/// Where people keep an environment beside an app.
const BESIDE: &[&str] = &[".venv/bin", "venv/bin", "env/bin"];

/// `write: command = /venv/bin/gunicorn --threads 8 --bind 127.0.0.1:8000 site.wsgi:application`; `None` if it cannot be said
/// which app it is.
pub(crate) fn advice(subject: &Subject, layer: &Layer) -> Option<String> {
    let app = match layer.server.kind {
        Kind::Flask => flask(subject, layer)?,
        Kind::Django => django(subject, layer)?,
        _ => return None,
    };
    let bind = layer.server.binds.iter().find_map(|b| match &b.address {
        Address::Tcp { .. } => Some(b.address.to_string()),
        Address::Unix(_) | Address::Fd(_) => None,
    })?;
    let dirs = dirs(subject, layer);
    let installed = |name: &&&str| dirs.iter().find(|dir| dir.join(name).is_file());
    let found = WSGI.iter().find(|name| installed(name).is_some());
    let name = found.copied().unwrap_or("gunicorn");
    let of = installed(&&name).or_else(|| dirs.first().filter(|_| says_where(layer)));
    let path = match of.filter(|_| says_where(layer)) {
        Some(dir) => dir.join(name).display().to_string(),
        None => name.to_owned(),
    };
    let mut words = vec![path.as_str()];
    words.extend(match name {
        "waitress-serve" => vec!["--listen", bind.as_str()],
        "granian" => {
            let (host, port) = bind.rsplit_once(':')?;
            vec!["--interface", "wsgi", "--host", host, "--port", port]
        }
        "hypercorn" => vec!["--bind", bind.as_str()],
        _ => vec!["--threads", "8", "--bind", bind.as_str()],
    });
    // waitress calls a factory by an option of its own.
    let (call, bare) = match (name, app.strip_suffix("()")) {
        ("waitress-serve", Some(bare)) => (Some("--call"), bare),
        ("granian", Some(bare)) => (Some("--factory"), bare),
        _ => (None, app.as_str()),
    };
    words.extend(call);
    words.push(bare);
    let write = format!("write: command = {}", servers::quote_line(&words));
    if found.is_some() {
        return Some(write);
    }
    let pip = match of {
        Some(dir) => dir.join("pip").display().to_string(),
        None => "pip".to_owned(),
    };
    Some(format!("{pip} install gunicorn, and {write}"))
}

/// Whether the command names its program by a path, so that the other one is to be named by one as well.
fn says_where(layer: &Layer) -> bool {
    layer.argv.iter().any(|word| word.contains("/bin/"))
}

/// Where programs beside the one that runs are.
fn dirs(subject: &Subject, layer: &Layer) -> Vec<PathBuf> {
    let named = layer.argv.iter().take(4).filter(|w| w.contains("/bin/"));
    let mut dirs: Vec<PathBuf> = named
        .filter_map(|word| Some(Path::new(word).parent()?.to_path_buf()))
        .map(|dir| match &subject.dir {
            Some(base) => base.join(dir),
            None => dir,
        })
        .collect();
    if !dirs.is_empty() {
        return dirs;
    }
    let process = subject.processes.first();
    let path = process.and_then(|p| p.env.as_ref()?.get("PATH"));
    dirs.extend(
        path.iter()
            .flat_map(|path| path.split(':'))
            .map(PathBuf::from),
    );
    let beside = |base: &PathBuf| BESIDE.iter().map(|dir| base.join(dir)).collect::<Vec<_>>();
    dirs.extend(subject.dir.iter().flat_map(beside));
    dirs
}

/// `module:app` of `flask --app …`, FLASK_APP, or the file that Flask finds by itself.
fn flask(subject: &Subject, layer: &Layer) -> Option<String> {
    let program = layer.server.program()?;
    let mut words = program.args.iter().map(|(text, _)| *text);
    let mut named = None;
    while let Some(word) = words.next() {
        match word.split_once('=') {
            Some(("--app", value)) => named = Some(value.to_owned()),
            _ if ["--app", "-A"].contains(&word) => named = words.next().map(str::to_owned),
            _ => {}
        }
    }
    let named = named.or_else(|| layer.server.variable("FLASK_APP").map(|(value, _)| value));
    let Some(named) = named else {
        // flask/cli.py: wsgi.py, then app.py.
        let has = |name: &&&str| subject.app.files.iter().any(|f| f.relative == **name);
        let file = ["wsgi.py", "app.py"].iter().find(has)?;
        return Some(with_name(subject, file.strip_suffix(".py")?));
    };
    let (module, name) = match named.split_once(':') {
        Some((module, name)) => (module, Some(name)),
        None => (named.as_str(), None),
    };
    let module = module.strip_suffix(".py").unwrap_or(module);
    let module = module.trim_start_matches("./").replace('/', ".");
    Some(match name {
        Some(name) => format!("{module}:{name}"),
        None => with_name(subject, &module),
    })
}

/// A module with the app in it, as its code says.
fn with_name(subject: &Subject, module: &str) -> String {
    let base = module.replace('.', "/");
    let names = [format!("{base}.py"), format!("{base}/__init__.py")];
    let file = subject
        .app
        .files
        .iter()
        .find(|f| names.contains(&f.relative));
    let name = file.and_then(|file| {
        let app = Regex::new(r"(?m)^(\w+)[ \t]*(?::[^=\n]*)?=[ \t]*(?:flask\.)?Flask\(").ok()?;
        let factory = Regex::new(r"(?m)^def (create_app|make_app)\(").ok()?;
        let of =
            |pattern: &Regex| Some(pattern.captures(&file.masked)?.get(1)?.as_str().to_owned());
        of(&app).or_else(|| of(&factory).map(|name| format!("{name}()")))
    });
    format!("{module}:{}", name.unwrap_or_else(|| "app".to_owned()))
}

/// `project.wsgi:application`.
fn django(subject: &Subject, layer: &Layer) -> Option<String> {
    // In another directory its modules have other names.
    if layer.argv.iter().any(|word| word.ends_with("/manage.py")) {
        return None;
    }
    let is_wsgi = |f: &&AppFile| {
        f.relative.rsplit('/').next() == Some("wsgi.py")
            && f.masked.contains("get_wsgi_application")
    };
    let files = subject.app.files.iter().filter(is_wsgi);
    let file = files.min_by_key(|f| f.relative.len())?;
    let module = file.relative.strip_suffix(".py")?.replace('/', ".");
    Some(format!("{module}:application"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::{self, Language};
    use crate::model::Env;
    use crate::scene::Source;
    use crate::scene::app::App;

    fn subject(dir: &Path, files: &[(&str, &str)]) -> Subject {
        let file = |(name, text): &(&str, &str)| AppFile {
            path: dir.join(name),
            relative: (*name).to_owned(),
            text: (*text).to_owned(),
            masked: code::mask(text, Language::Python),
            language: Some(Language::Python),
            changed: None,
        };
        Subject {
            dir: Some(dir.to_path_buf()),
            app: std::sync::Arc::new(App {
                dir: Some(dir.to_path_buf()),
                files: files.iter().map(file).collect(),
                ..App::default()
            }),
            ..Subject::new("backend".to_owned(), Source::Process)
        }
    }

    fn said(dir: &Path, command: &str, files: &[(&str, &str)]) -> Option<String> {
        let argv: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let layer = Layer::new(argv.clone(), vec![None; argv.len()], &Env::new());
        advice(&subject(dir, files), &layer)
    }

    const FLASK: (&str, &str) = (
        "server.py",
        "from flask import Flask\napi = Flask(__name__)\n",
    );
    const WSGI: (&str, &str) = ("site/wsgi.py", "application = get_wsgi_application()\n");

    #[test]
    fn the_server_that_is_installed_beside_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let here = dir.path().display().to_string();
        let bin = dir.path().join("venv/bin");
        std::fs::create_dir_all(&bin).expect("made");
        let flask = format!("{here}/venv/bin/flask --app server run --port 8001");
        let say = |files: &[(&str, &str)]| said(dir.path(), &flask, files).expect("a line");
        assert_eq!(
            say(&[FLASK]),
            format!(
                "{here}/venv/bin/pip install gunicorn, and write: command = {here}/venv/bin/gunicorn --threads 8 --bind 127.0.0.1:8001 server:api"
            )
        );
        std::fs::write(bin.join("waitress-serve"), "").expect("written");
        assert_eq!(
            say(&[("server.py", "def create_app():\n    pass\n")]),
            format!(
                "write: command = {here}/venv/bin/waitress-serve --listen 127.0.0.1:8001 --call server:create_app"
            )
        );
        std::fs::write(bin.join("gunicorn"), "").expect("written");
        assert_eq!(
            said(dir.path(), "python manage.py runserver 0:8000", &[WSGI]).as_deref(),
            Some("write: command = gunicorn --threads 8 --bind 0.0.0.0:8000 site.wsgi:application")
        );
        assert_eq!(
            said(dir.path(), "flask run", &[("app.py", FLASK.1)]).as_deref(),
            Some("write: command = gunicorn --threads 8 --bind 127.0.0.1:5000 app:api")
        );
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        let dir = Path::new("/app");
        assert_eq!(said(dir, "flask run", &[FLASK]), None);
        assert_eq!(said(dir, "python manage.py runserver", &[]), None);
        assert_eq!(
            said(dir, "python backend/manage.py runserver", &[WSGI]),
            None
        );
        assert_eq!(said(dir, "uvicorn server:app", &[FLASK]), None);
    }
}
