//! `[supervisord]`.

use std::collections::BTreeMap;

use finding::{Finding, Span};

use super::{Keys, Reader, here_vars};
use crate::expand::{EnvMap, Vars};
use crate::model::{LogFile, LogLevel, Spanned, Supervisord};
use crate::paths::{existing_directory, existing_dirpath, normalize};
use crate::values;

/// Reads the section, and the environment that `%(ENV_x)s` sees from then on: the daemon's with the section's in front.
pub(crate) fn read(reader: &mut Reader<'_>) -> (Supervisord, EnvMap) {
    let mut global_env: EnvMap = reader.env.env.clone();
    let mut out = defaults(reader);
    let ini = reader.ini;
    let Some(section) = ini.section("supervisord") else {
        if reader.is_text {
            reader.findings.push(no_section(reader));
        }
        return (out, global_env);
    };
    let env = reader.env.env.clone();
    let vars = here_vars(reader, &env);
    let with_host = vars
        .clone()
        .with("host_node_name", reader.env.hostname.clone());
    let mut keys = Keys::new(reader, section);
    plain(&mut keys, &vars, &mut out);
    paths(&mut keys, &vars, &mut out);
    // Supervisor expands this value twice, and knows the node name only the second time.
    if let Some(entry) = keys.entry("environment")
        && let Some(once) = keys.expanded(&entry.text, &vars, entry)
        && let Some(text) = keys.expanded(&once, &with_host, entry)
        && let Some(variables) = keys.environment(&text, entry)
    {
        global_env.extend(variables.clone());
        out.environment = variables;
    }
    (out, global_env)
}

/// With programs in it, everything that the file asks for can be done, so we do it and warn; without, it is most likely
/// not the file that was meant.
fn no_section(reader: &Reader<'_>) -> Finding {
    let programs = ["program:", "fcgi-program:", "eventlistener:"];
    let runs = |name: &str| programs.iter().any(|p| name.starts_with(p));
    let words = "there is no [supervisord] section";
    let (found, effect) = if reader.ini.sections.iter().any(|s| runs(&s.name)) {
        (
            Finding::warning("conf.no-supervisord", words),
            "Supervisor refuses such a file; Steadfast takes the defaults",
        )
    } else {
        (
            Finding::error("conf.no-supervisord", words),
            "Supervisor refuses such a file",
        )
    };
    found
        .at(Span::line(reader.path, 1, ""))
        .effect(effect)
        .fix("write: [supervisord]")
}

fn defaults(reader: &Reader<'_>) -> Supervisord {
    Supervisord {
        logfile: LogFile::Path(normalize("supervisord.log", reader.env, reader.files)),
        syslog: false,
        logfile_maxbytes: 50 << 20,
        logfile_backups: 10,
        loglevel: LogLevel::Info,
        pidfile: normalize("supervisord.pid", reader.env, reader.files),
        umask: 0o022,
        nodaemon: false,
        silent: false,
        minfds: 1024,
        minprocs: 200,
        nocleanup: false,
        childlogdir: temporary_directory(reader),
        user: None,
        directory: None,
        strip_ansi: false,
        environment: BTreeMap::new(),
        identifier: "supervisor".to_string(),
    }
}

/// Python's `tempfile.gettempdir()`, without its attempt to write there.
fn temporary_directory(reader: &Reader<'_>) -> String {
    let named = ["TMPDIR", "TEMP", "TMP"]
        .into_iter()
        .filter_map(|name| reader.env.env.get(name).map(String::as_str));
    named
        .chain(["/tmp", "/var/tmp", "/usr/tmp"])
        .find(|dir| existing_directory(dir, reader.env, reader.files).is_ok())
        .unwrap_or("/tmp")
        .to_string()
}

fn plain(keys: &mut Keys<'_, '_>, vars: &Vars<'_>, out: &mut Supervisord) {
    let text = |text: &str| Ok(text.to_string());
    out.minfds = keys.value("minfds", out.minfds, vars, values::count).value;
    out.minprocs = keys
        .value("minprocs", out.minprocs, vars, values::count)
        .value;
    out.umask = keys.value("umask", out.umask, vars, values::octal).value;
    out.logfile_maxbytes = keys
        .value(
            "logfile_maxbytes",
            out.logfile_maxbytes,
            vars,
            values::byte_size,
        )
        .value;
    out.logfile_backups = keys
        .value(
            "logfile_backups",
            out.logfile_backups,
            vars,
            values::count32,
        )
        .value;
    out.loglevel = keys
        .value("loglevel", out.loglevel, vars, values::log_level)
        .value;
    out.nodaemon = keys.value("nodaemon", false, vars, values::boolean).value;
    out.silent = keys.value("silent", false, vars, values::boolean).value;
    out.nocleanup = keys.value("nocleanup", false, vars, values::boolean).value;
    out.strip_ansi = keys.value("strip_ansi", false, vars, values::boolean).value;
    out.identifier = keys
        .value("identifier", out.identifier.clone(), vars, text)
        .value;
    out.user = keys.user("user", vars);
}

fn paths(keys: &mut Keys<'_, '_>, vars: &Vars<'_>, out: &mut Supervisord) {
    let (env, files) = (keys.reader.env, keys.reader.files);
    out.directory = keys
        .optional("directory", vars, |dir| existing_directory(dir, env, files))
        .map(|dir| dir.value);
    let childlogdir = keys.optional("childlogdir", vars, |dir| {
        existing_directory(dir, env, files)
    });
    if let Some(dir) = childlogdir {
        out.childlogdir = dir.value;
    }
    if let Some(pidfile) = keys.optional("pidfile", vars, |path| existing_dirpath(path, env, files))
    {
        out.pidfile = normalize(&pidfile.value, env, files);
    }
    if let Some(Spanned { value, .. }) =
        keys.optional("logfile", vars, |path| existing_dirpath(path, env, files))
    {
        out.logfile = if value == "syslog" {
            out.syslog = true;
            LogFile::None
        } else {
            LogFile::Path(normalize(&value, env, files))
        };
    }
}
