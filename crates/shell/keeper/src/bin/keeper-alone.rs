//! One keeper without root, for the tests of this crate: `keeper-alone SLOT_DIR`.

fn main() {
    let Some(dir) = std::env::args_os().nth(1) else {
        std::process::exit(2)
    };
    std::process::exit(keeper::run_keeper(keeper::KeeperOptions {
        slot: 0,
        dir: dir.into(),
        events_gid: None,
    }));
}
