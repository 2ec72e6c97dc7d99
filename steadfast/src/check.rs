//! `steadfast check`: every error and warning at once, and what will be run.

use crate::printer;
use std::collections::BTreeMap;
use std::path::Path;

/// Columns of the report.
const WIDTH_COLUMNS: usize = 98;

/// Checks a configuration. Exit status 0 clean or warnings, 1 errors, 2 unreadable.
pub(crate) fn check(file: Option<&Path>, dev: bool, json: bool) -> u8 {
    let path = match file
        .map(|path| Ok(path.to_owned()))
        .unwrap_or_else(crate::run::found)
    {
        Ok(path) => path,
        Err(text) => {
            printer::error(&text);
            return 2;
        }
    };
    let Some(path) = utf8(&path) else { return 2 };
    let checked = daemon::check(path, &environment(), dev);
    if json {
        let mut value = checked.report.to_json("check");
        if let Some(fields) = value.as_object_mut() {
            fields.remove("steadfast");
            fields.insert("will_run".into(), checked.will_run.clone().into());
            fields.insert("exit".into(), checked.exit().into());
        }
        printer::json("check", value);
        return checked.exit();
    }
    for finding in checked.report.findings() {
        printer::out(finding::render_finding(finding, WIDTH_COLUMNS).trim_end());
    }
    checked.will_run.iter().for_each(|line| printer::out(line));
    printer::out(&checked.report.summary());
    checked.exit()
}

/// The environment as text; what is not UTF-8 cannot be named in a configuration.
pub(crate) fn environment() -> BTreeMap<String, String> {
    let text = |(key, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((key.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// The path as text, or a complaint.
pub(crate) fn utf8(path: &Path) -> Option<&str> {
    let text = path.to_str();
    if text.is_none() {
        printer::error(&format!("{}: the path is not UTF-8", path.display()));
    }
    text
}
