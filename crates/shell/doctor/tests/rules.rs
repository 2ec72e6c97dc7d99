//! `docs/rules.md` is made from the rules. `UPDATE_DOCS=1 cargo nextest run -p doctor` writes it.

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
