//! What lies in the directory: logs, their names, the pidfile; what programs are given.

use super::compare;

#[test]
fn output_goes_where_the_file_says() {
    let config = "
[program:apart]
command = sh -c 'echo out; echo err >&2; exec sleep 86419'
startsecs = 0
stdout_logfile = {dir}/apart.log
stderr_logfile = {dir}/apart.err
[program:together]
command = sh -c 'echo out; echo err >&2; exec sleep 86420'
startsecs = 0
redirect_stderr = true
stdout_logfile = {dir}/together.log
[program:nowhere]
command = sh -c 'echo out; exec sleep 86421'
startsecs = 0
stdout_logfile = NONE
stderr_logfile = NONE
";
    compare(config, |side| {
        side.wait_file("apart.log", "out\n");
        side.wait_file("apart.err", "err\n");
        side.wait_file("together.log", "err\n");
        for name in ["apart.log", "apart.err", "together.log"] {
            side.file(name);
        }
        side.listing();
    });
}

#[test]
fn auto_logs_lie_in_childlogdir_under_the_same_names() {
    let config = "
[program:a]
command = sh -c 'echo out; exec sleep 86422'
startsecs = 0
[program:w]
command = sleep 86423
process_name = %(program_name)s_%(process_num)s
numprocs = 2
startsecs = 0
";
    compare(config, |side| {
        side.all_run(&["a", "w:w_0", "w:w_1"]);
        let written = storm::wait::until(storm::wait::PATIENCE, || {
            let told = side.raw(&["tail", "a"]).stdout;
            told.contains("out").then_some(())
        });
        assert!(written.is_some(), "{}", side.name());
        side.listing();
        side.ctl(&["tail", "a"]);
    });
}

#[test]
fn logs_are_rotated_and_the_oldest_goes() {
    // Each line waits for the one before: what is read in one piece is written in one piece, however long.
    let config = "
[program:a]
command = sh -c 'i=100; while [ $i -lt 145 ]; do i=$((i+1)); echo a line of fifty bytes and its number, in all $i; until grep -qs \"in all $i\" {dir}/a.log {dir}/a.log.1; do sleep 0.01; done; done; echo end >&2; exec sleep 86424'
startsecs = 0
stdout_logfile = {dir}/a.log
stdout_logfile_maxbytes = 500
stdout_logfile_backups = 2
stderr_logfile = {dir}/a.err
";
    compare(config, |side| {
        side.wait_file("a.err", "end");
        side.listing();
        let sizes: Vec<bool> = ["a.log.1", "a.log.2"]
            .iter()
            .map(|name| {
                let size =
                    std::fs::metadata(side.installation.path(name)).map_or(0, |data| data.len());
                (500..700).contains(&size)
            })
            .collect();
        side.note(&format!("{sizes:?}"));
    });
}

#[test]
fn the_environment_is_the_files_and_supervisors() {
    let config = "
[program:a]
command = sh -c 'env | grep -E \"^(SUPERVISOR|OWN|QUOTED|HERE|NUM|FROM)\" | sort; echo end; exec sleep 86425'
environment = OWN=\"one two\",QUOTED='a,b=c',HERE=\"%(here)s\",NUM=\"%(process_num)d\",FROM=\"%(ENV_LANG_OF_TEST)s-%(program_name)s\",PERCENT=\"100%%\"
startsecs = 0
stdout_logfile = {dir}/a.log
";
    // The variable that the file takes from the environment.
    compare("", |side| {
        side.configure(&config.replace("%(ENV_LANG_OF_TEST)s", "%(ENV_PATH)s"));
        side.ctl(&["reread"]);
        side.ctl(&["update"]);
        side.wait_file("a.log", "end");
        side.file("a.log");
    });
}

#[test]
fn commands_are_split_and_quoted_the_same_way() {
    let config = r#"
[program:a]
command = sh -c 'for word in "$@"; do echo "<$word>"; done; echo end; exec sleep 86426' name "two words" 'single "inside"' back\ slash "" a'b'c "%(program_name)s" 100%% #nocomment
startsecs = 0
stdout_logfile = {dir}/a.log
"#;
    compare(config, |side| {
        side.wait_file("a.log", "end");
        side.file("a.log");
    });
}

#[test]
fn directory_and_umask_are_set() {
    let config = "
[program:a]
command = sh -c 'pwd; umask; touch made; stat -c %%a made; echo end; exec sleep 86427'
directory = {dir}
umask = 027
startsecs = 0
stdout_logfile = {dir}/a.log
";
    compare(config, |side| {
        side.wait_file("a.log", "end");
        side.file("a.log");
    });
}

#[test]
fn a_program_of_another_user_runs_as_that_user() {
    let user = std::process::Command::new("id")
        .arg("-u")
        .output()
        .expect("id runs");
    // Only root can change users; anybody may name himself.
    let name = if user.stdout.starts_with(b"0\n") {
        "nobody"
    } else {
        "%(ENV_USER)s"
    };
    let config = format!(
        "
[program:a]
command = sh -c 'id -un; id -Gn; echo $USER $LOGNAME; echo end; exec sleep 86428'
user = {name}
startsecs = 0
stdout_logfile = {{dir}}/a.log
[program:b]
command = sleep 1
user = no-such-user
autostart = false
"
    );
    let config = config
        .split("[program:b]")
        .next()
        .expect("a part")
        .to_owned();
    compare(&config, |side| {
        side.wait_file("a.log", "end");
        side.file("a.log");
    });
}

#[test]
fn includes_are_read_in_order() {
    let config = "
[include]
files = conf.d/*.conf more.conf
[program:a]
command = sleep 86429
startsecs = 0
";
    compare("", |side| {
        std::fs::create_dir(side.installation.path("conf.d")).expect("made");
        for (name, number) in [
            ("conf.d/b.conf", 86430),
            ("conf.d/c.conf", 86431),
            ("more.conf", 86432),
        ] {
            let program = name.trim_start_matches("conf.d/").trim_end_matches(".conf");
            let text = format!(
                "[program:{program}]\ncommand = sleep {number}\nstartsecs = 0\ndirectory = %(here)s\n"
            );
            std::fs::write(side.installation.path(name), text).expect("written");
        }
        side.configure(config);
        side.ctl(&["reread"]);
        side.ctl_sorted(&["update"]);
        side.ctl(&["avail"]);
        for name in ["a", "b", "c", "more"] {
            side.settle(name, "RUNNING");
        }
        side.ctl(&["status"]);
    });
}

#[test]
fn standard_input_never_speaks_and_descriptors_are_closed() {
    let config = "
[program:a]
command = sh -c 'timeout 0.5 cat || echo nothing came; ls /proc/self/fd | tr \"\\n\" \" \"; echo; echo end; exec sleep 86433'
startsecs = 0
stdout_logfile = {dir}/a.log
";
    compare(config, |side| {
        side.wait_file("a.log", "end");
        side.file("a.log");
    });
}

#[test]
fn the_pidfile_names_the_process_that_is_asked_for_its_pid() {
    compare(
        "[program:a]\ncommand = sleep 86434\nstartsecs = 0\n",
        |side| {
            side.settle("a", "RUNNING");
            let pid = std::fs::read_to_string(side.installation.path("supervisord.pid"))
                .unwrap_or_default();
            let asked = side.raw(&["pid"]).stdout;
            side.note(&format!(
                "{} {}",
                pid == asked,
                pid.trim() == side.installation.root_pid().to_string()
            ));
        },
    );
}
