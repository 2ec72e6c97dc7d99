//! The table of rules, against which everything else is checked: `docs/rules.md` is made from it, and each rule has something that it
//! must fire on and something near to it that it must not.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::case::lay_out;
use common::{doctor, findings};

#[test]
fn the_page_of_rules_is_fresh() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/rules.md");
    let made = doctor::rules_markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).expect("is written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == made,
        "docs/rules.md is old; write it anew: UPDATE_DOCS=1 cargo nextest run -p doctor the_page_of_rules_is_fresh"
    );
}

/// Where a rule is tried: a case of the corpus (`tests/corpus/NAME.case`), or a test that needs processes (`FILE::TEST`), which names
/// the code.
const TRIED: &[(&str, &str, &str)] = &[
    // code, must fire, must not fire
    ("SF101", "uvicorn_reload", "clean_word_reload"),
    ("SF102", "watchfiles", "clean_celery"),
    ("SF103", "vite", "clean_vite_build"),
    ("SF104", "flask_debug", "clean_django"),
    ("SF105", "gunicorn_conf", "clean_gunicorn"),
    ("SF106", "uvicorn_run_code", "clean_uvicorn"),
    ("SF107", "node_env", "clean_node"),
    ("SF201", "key_missing", "key_there"),
    ("SF202", "key_example", "key_there"),
    ("SF203", "key_short", "key_there"),
    ("SF204", "key_made", "key_made_not_used"),
    ("SF205", "key_differs", "key_there"),
    ("SF206", "shared_key", "shared_key_one_user"),
    ("SF207", "key_leaked_readme", "key_there"),
    ("SF208", "key_readable", "key_there"),
    (
        "SF209",
        "runtime::a_key_in_memory_does_not_last",
        "runtime::a_key_on_a_disk_lasts",
    ),
    ("SF210", "key_in_code", "key_third_party"),
    ("SF301", "twice", "include_two_files"),
    (
        "SF302",
        "real::named::an_edit_that_is_not_applied_is_named_with_its_command",
        "not_running",
    ),
    (
        "SF303",
        "corpus::comments_and_layout_survive_a_fix",
        "uvicorn_reload",
    ),
    ("SF304", "unknown_key", "clean_uvicorn"),
    ("SF305", "include_empty", "include_two_files"),
    ("SF306", "no_rotation", "rotation_device"),
    ("SF307", "group", "group_set"),
    ("SF308", "root", "root_nginx"),
    ("SF309", "no_autorestart", "no_autorestart_job"),
    ("SF310", "nested", "include_two_files"),
    ("SF311", "refused", "clean_uvicorn"),
    ("SF312", "cut_short", "clean_quoted_reload"),
    ("SF313", "background", "root_nginx"),
    ("SF314", "same_address", "shared_key"),
    ("SF315", "open_control", "closed_control"),
    ("SF316", "shell_above", "group_exec"),
    ("SF401", "health_missing", "health_set"),
    (
        "SF402",
        "hostile::a_slow_health_endpoint",
        "hostile::a_healthy_endpoint",
    ),
    (
        "SF403",
        "hostile::a_lying_health_endpoint",
        "hostile::a_healthy_endpoint",
    ),
    (
        "SF404",
        "hostile::a_redirecting_health_endpoint",
        "hostile::a_healthy_endpoint",
    ),
    (
        "SF405",
        "hostile::a_health_endpoint_that_wants_a_sign_in",
        "hostile::a_healthy_endpoint",
    ),
    (
        "SF406",
        "hostile::a_health_endpoint_that_fails",
        "hostile::a_healthy_endpoint",
    ),
    (
        "SF410",
        "tls::a_certificate_that_is_not_accepted_is_found_with_the_reason",
        "tls::a_good_certificate_and_the_answer_behind_it",
    ),
    (
        "SF411",
        "tls::a_certificate_that_is_not_accepted_is_found_with_the_reason",
        "tls::a_good_certificate_and_the_answer_behind_it",
    ),
    ("SF501", "exits", "exits_two"),
    ("SF502", "log_reloads", "log_reloads_explained"),
    ("SF503", "log_tracebacks", "clean_uvicorn"),
    (
        "SF504",
        "runtime::a_process_that_watches_its_code",
        "runtime::a_process_that_watches_something_else",
    ),
    (
        "SF505",
        "runtime::a_process_with_the_mark_of_a_reloader",
        "runtime::a_process_that_watches_something_else",
    ),
    (
        "SF506",
        "real::named::a_taken_port_is_named_with_its_holder",
        "not_running",
    ),
    ("SF507", "log_port_taken", "log_tracebacks"),
    ("SF508", "killed", "killed_by_stop"),
    (
        "SF509",
        "not_running",
        "real::clean::clean_uvicorn_and_hypercorn",
    ),
    (
        "SF510",
        "runtime::descriptors_that_run_out",
        "runtime::a_process_that_watches_something_else",
    ),
    ("SF511", "log_announced", "log_reloads_explained"),
    (
        "SF512",
        "runtime::memory_that_grows",
        "runtime::memory_that_stays",
    ),
    (
        "SF513",
        "real::cured::the_story_uvicorn_reload_under_the_real_supervisord",
        "real::clean::clean_uvicorn_and_hypercorn",
    ),
    (
        "SF514",
        "real::restarts::a_restart_that_signs_out",
        "real::restarts::a_restart_that_keeps_the_key",
    ),
    (
        "SF515",
        "real::restarts::a_restart_that_fails",
        "real::restarts::a_restart_that_keeps_the_key",
    ),
];

/// What a case of the corpus makes the doctor find.
fn codes(name: &str, known: &mut BTreeMap<String, Vec<String>>) -> Vec<String> {
    if let Some(codes) = known.get(name) {
        return codes.clone();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/corpus/{name}.case"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{name}.case: {e}"));
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    lay_out(&text, dir.path());
    let config = dir.path().join("supervisord.conf").display().to_string();
    let found = findings(&["-c", &config]);
    let codes: Vec<String> = found.into_iter().map(|(code, _)| code).collect();
    known.insert(name.to_owned(), codes.clone());
    codes
}

/// The test `FILE::TEST` as text.
fn test(name: &str) -> String {
    let (file, test) = name.rsplit_once("::").expect("FILE::TEST");
    let file = file.replace("::", "/");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/{file}.rs"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
    let start = text.find(&format!("\n#[test]\nfn {test}()"));
    let start = start.unwrap_or_else(|| panic!("there is no test {name}"));
    let end = text[start..].find("\n}\n").expect("an end");
    text[start..start + end].to_owned()
}

#[test]
fn every_rule_fires_and_is_silent_where_it_must() {
    let rules = doctor(&["--rules"]).out;
    let rules: Vec<&str> = rules
        .lines()
        .filter_map(|l| l.split_whitespace().next())
        .collect();
    let tried: Vec<&str> = TRIED.iter().map(|(code, _, _)| *code).collect();
    assert_eq!(tried, rules, "each rule has a line in the table");
    let mut known = BTreeMap::new();
    let mut wrong = Vec::new();
    for (code, fires, silent) in TRIED {
        for (name, wanted) in [(fires, true), (silent, false)] {
            if name.contains("::") {
                // The test itself says it; here only that it is there and is about this rule.
                let text = test(name);
                if wanted && !text.contains(code) {
                    wrong.push(format!("{name} does not name {code}"));
                }
            } else if codes(name, &mut known).iter().any(|c| c == code) != wanted {
                wrong.push(format!("{code} in {name}: {:?}", known.get(*name)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_help_is_narrower_than_a_terminal() {
    let help = doctor(&["--help"]).out;
    assert!(help.contains("--live[=<TIME>]"), "{help}");
    for line in help.lines() {
        assert!(line.chars().count() < 100, "{line}");
    }
}
