//! The code of a program: its source files, the one that is started, its env file, what git tracks of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::code::{self, Language};
use crate::disk::Disk;
use crate::scene::layers::Layer;

/// Files of one program that are looked at: a backend has some hundred, a checkout with vendored code many thousand.
const FILES_MAX: usize = 300;
/// One source file; generated ones are larger.
const FILE_BYTES_MAX: u64 = 256 << 10;
/// All of them: what can be looked through in some 10 ms.
const TOTAL_BYTES_MAX: usize = 4 << 20;
/// Directories below the program's own.
const DEPTH_MAX: usize = 4;
/// Names looked at in all directories together.
const NAMES_MAX: usize = 5_000;
/// An env file.
const ENV_BYTES_MAX: u64 = 1 << 20;
/// The index of a large repository: 100,000 files take some 10 MB.
const GIT_INDEX_BYTES_MAX: u64 = 16 << 20;

/// Directories that hold other people's code, or none.
const SKIPPED: &[&str] = &[
    "node_modules",
    "site-packages",
    "__pycache__",
    "venv",
    "env",
    "virtualenv",
    "vendor",
    "dist",
    "build",
    "target",
    "tests",
    "test",
    "logs",
    "log",
    "static",
    "media",
    "migrations",
];

/// A text file of a program.
#[derive(Debug)]
pub(crate) struct AppFile {
    pub(crate) path: PathBuf,
    /// Below the program's directory.
    pub(crate) relative: String,
    pub(crate) text: String,
    /// The code without comments and strings; empty for other files.
    pub(crate) masked: String,
    pub(crate) language: Option<Language>,
    /// When it changed last.
    pub(crate) changed: Option<SystemTime>,
}

impl AppFile {
    pub(crate) fn shown(&self) -> String {
        self.path.display().to_string()
    }
}

/// An env file.
#[derive(Debug, Clone)]
pub(crate) struct EnvText {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// The program reads it: its code does, or its supervisor hands it over.
    pub(crate) is_read: bool,
}

/// The code of a program.
#[derive(Debug, Default)]
pub(crate) struct App {
    pub(crate) dir: Option<PathBuf>,
    pub(crate) files: Vec<AppFile>,
    /// Env files, the one with the last word last.
    pub(crate) env_files: Vec<EnvText>,
    /// Whether the code reads `.env`.
    pub(crate) reads_dotenv: bool,
    /// Paths that git tracks below the directory.
    pub(crate) tracked: Option<Vec<u8>>,
    /// The repository's root, above or at `dir`.
    pub(crate) git_root: Option<PathBuf>,
    /// Not everything was looked at.
    pub(crate) is_partial: bool,
}

/// Applications by directory: programs of one directory share one.
pub(crate) type Apps = BTreeMap<PathBuf, Arc<App>>;

/// Looks through a directory.
pub(crate) fn read(dir: &Path, disk: &Disk) -> App {
    let mut app = App {
        dir: Some(dir.to_path_buf()),
        ..App::default()
    };
    // A home, a root or /tmp is not the directory of an application.
    if dir.parent().is_none()
        || [
            "/tmp", "/usr", "/etc", "/var", "/home", "/root", "/opt", "/srv",
        ]
        .iter()
        .any(|d| Path::new(d) == dir)
    {
        app.is_partial = true;
        return app;
    }
    walk(&mut app, dir, disk);
    app.reads_dotenv = app
        .files
        .iter()
        .any(|f| f.language.is_some() && reads_dotenv(f));
    for name in [".env", ".env.production", ".env.local"] {
        let path = dir.join(name);
        if let Some(text) = disk.text(&path, ENV_BYTES_MAX) {
            let is_read = app.reads_dotenv && name == ".env";
            app.env_files.push(EnvText {
                path,
                text,
                is_read,
            });
        }
    }
    if let Some(root) = dir.ancestors().find(|d| d.join(".git").exists()) {
        app.tracked = disk
            .bytes(&root.join(".git/index"), GIT_INDEX_BYTES_MAX)
            .ok();
        app.git_root = Some(root.to_path_buf());
    }
    app
}

fn walk(app: &mut App, dir: &Path, disk: &Disk) {
    let (mut names, mut bytes) = (0, 0);
    let mut queue = vec![(dir.to_path_buf(), 0)];
    while let Some((here, depth)) = queue.pop() {
        let Ok(entries) = fs::read_dir(&here) else {
            continue;
        };
        let mut found: Vec<fs::DirEntry> = entries.flatten().take(NAMES_MAX).collect();
        found.sort_by_key(fs::DirEntry::file_name);
        for entry in found {
            names += 1;
            if names > NAMES_MAX || app.files.len() >= FILES_MAX || bytes > TOTAL_BYTES_MAX {
                app.is_partial = true;
                return;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() {
                // Links to directories are not followed, so there are no loops.
                let skip = name.starts_with('.')
                    || SKIPPED.contains(&name.as_str())
                    || entry.path().join("pyvenv.cfg").exists();
                if !skip && depth < DEPTH_MAX {
                    queue.push((entry.path(), depth + 1));
                }
                continue;
            }
            if !interesting(&name) {
                continue;
            }
            let Some(text) = disk.text(&entry.path(), FILE_BYTES_MAX) else {
                continue;
            };
            bytes += text.len();
            let language = Language::of(&name);
            let path = entry.path();
            app.files.push(AppFile {
                relative: path
                    .strip_prefix(dir)
                    .unwrap_or(&path)
                    .display()
                    .to_string(),
                changed: entry.metadata().ok().and_then(|m| m.modified().ok()),
                masked: language.map_or_else(String::new, |l| code::mask(&text, l)),
                path,
                text,
                language,
            });
        }
    }
}

fn interesting(name: &str) -> bool {
    const KINDS: &[&str] = &[
        "py", "js", "mjs", "cjs", "ts", "mts", "cts", "md", "rst", "txt", "yml", "yaml", "toml",
        "json", "sh", "html", "example", "ini",
    ];
    let extension = name.rsplit_once('.').map_or("", |(_, e)| e);
    KINDS.contains(&extension) && name != "package-lock.json"
        || name == "Dockerfile"
        || name == "README"
}

fn reads_dotenv(file: &AppFile) -> bool {
    match file.language {
        Some(Language::Python) => {
            ["load_dotenv", "dotenv_values", "find_dotenv"]
                .iter()
                .any(|w| file.masked.contains(w))
                || file.masked.contains("env_file")
                    && file.text.contains(".env")
                    && file.masked.contains("BaseSettings")
                || file.masked.contains("Config(") && file.text.contains("\".env\"")
                || file.masked.contains("read_env(")
        }
        Some(Language::JavaScript) => {
            file.text.contains("dotenv")
                && (file.masked.contains(".config(") || file.text.contains("dotenv/config"))
        }
        None => false,
    }
}

impl App {
    /// The file that a server starts: `server:app` is server.py, `server.js` itself. With it, whether it runs as a script.
    pub(crate) fn entry(&self, layer: &Layer) -> Option<(&AppFile, bool)> {
        let program = layer.server.program()?;
        let dir = self.dir.as_ref()?;
        let as_path = |word: &str| {
            let path = dir.join(word);
            self.files.iter().find(|f| f.path == path)
        };
        if let Some(file) = as_path(program.written).filter(|f| f.language.is_some()) {
            return Some((file, true));
        }
        let is_module = layer.argv.iter().any(|w| w == "-m") && !program.written.contains('/');
        if is_module && !layer.server.serves() {
            let base = program.written.replace('.', "/");
            let found =
                as_path(&format!("{base}.py")).or_else(|| as_path(&format!("{base}/__main__.py")));
            return found.map(|file| (file, true));
        }
        for (word, _) in &program.args {
            if word.starts_with('-') {
                continue;
            }
            if let Some((module, _)) = word.split_once(':') {
                let base = module.replace('.', "/");
                let found = as_path(&format!("{base}.py"))
                    .or_else(|| as_path(&format!("{base}/__init__.py")));
                if let Some(file) = found {
                    return Some((file, false));
                }
            }
            if let Some(file) = as_path(word).filter(|f| f.language.is_some()) {
                return Some((file, true));
            }
        }
        None
    }

    /// Whether git tracks a file.
    pub(crate) fn is_tracked(&self, path: &Path) -> bool {
        let (Some(index), Some(root)) = (&self.tracked, &self.git_root) else {
            return false;
        };
        let Ok(relative) = path.strip_prefix(root) else {
            return false;
        };
        let name = relative.as_os_str().as_encoded_bytes();
        // An entry of the index ends with 16 bits of flags, whose lowest 12 are the length of the path that follows (gitformat-index).
        index.windows(name.len() + 3).any(|w| {
            let length = usize::from(u16::from_be_bytes([w[0], w[1]]) & 0xfff);
            length == name.len() && &w[2..2 + name.len()] == name && w[w.len() - 1] == 0
        })
    }
}
