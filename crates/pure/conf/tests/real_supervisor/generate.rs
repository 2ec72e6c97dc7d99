//! Configurations put together at random, many of them mutilated.

use proptest::prelude::*;

/// One of the right values, one time in forty one of the wrong ones.
fn mostly(right: &[&'static str], wrong: &[&'static str]) -> BoxedStrategy<String> {
    let right = proptest::sample::select(right.to_vec());
    if wrong.is_empty() {
        return right.prop_map(str::to_string).boxed();
    }
    let wrong = proptest::sample::select(wrong.to_vec());
    prop_oneof![40 => right, 1 => wrong]
        .prop_map(str::to_string)
        .boxed()
}

/// Values for a key.
fn value_of(key: &str) -> BoxedStrategy<String> {
    match key {
        "command" => mostly(
            &[
                "/bin/cat",
                "uvicorn server:app --port %(ENV_PORT)s",
                "sh -c 'echo \"a b\"; sleep 1'",
                "cat %(process_num)d %(numprocs)s ; comment",
                "cat %(here)s/x",
                "cat %%h",
                "a \\\n  \"b c\"",
                "%(program_name)s %(group_name)s %(host_node_name)s",
                "cat # none",
                "cat a;b ;c #d",
                "a\\ b \"c\\\"d\\e\" 'f\\' '' g\"h\"i",
                "x\\\n  y",
                "a\\ b \"c\\\"d\\e\" 'f\\' '' g\"h\"i",
                "x\\\n  y",
                "cat\n   --one\n\n   --two ; why",
                "%(process_num)-4d|%(process_num)+d|%(program_name).1s|%(process_num)#x|%(numprocs)r %(program_name)8s",
            ],
            &[
                "cat %(ENV_OWN)s",
                "cat %(nothing)s",
                "cat 'x",
                "cat %",
                "cat %(here)d",
                "cat %(here",
            ],
        ),
        "process_name" => mostly(
            &["%(program_name)s_%(process_num)02d", "p%(process_num)d"],
            &["fixed", "%(process_num)5d", "a b", "a:b", "%(ENV_WORD)s"],
        ),
        "numprocs" => mostly(&["1", " 1 ", "0", "-1", "1"], &["2", "x", "1_0"]),
        "numprocs_start" => mostly(&["0", "5", "-2"], &["1.5"]),
        "priority" => mostly(
            &["1", "999", "-5", "+7", "10", "%(ENV_PORT)s"],
            &["ten", "%(program_name)s"],
        ),
        "autostart" | "redirect_stderr" | "killasgroup" => {
            mostly(&["true", "False", "YES", "off", "1", "0"], &["maybe", ""])
        }
        "stopasgroup" => mostly(&["false", "no"], &["true"]),
        "autorestart" => mostly(
            &["true", "false", "unexpected", "UNEXPECTED", "1"],
            &["never"],
        ),
        "startsecs" | "startretries" | "stopwaitsecs" => {
            mostly(&["0", "10", "-1", "3", "1_0"], &["1e3", ""])
        }
        "stopsignal" => mostly(
            &[
                "TERM", "sigint", "KILL", "9", "QUIT", "SIGRTMIN", "usr1", "64", " hup ",
            ],
            &["35", "NONE"],
        ),
        "exitcodes" => mostly(&["0", "0,2", " 0 , 3 ", ""], &["256", "a", "0,"]),
        "user" => mostly(&["root", "0", "daemon"], &["nobody_here", "99999"]),
        "umask" => mostly(&["022", "0o27", "777", "-1"], &["9", ""]),
        "directory" => mostly(
            &[
                "/tmp",
                "%(here)s",
                "/nowhere/%(process_num)d",
                "rel",
                "~/x",
                "%(ENV_WORD)s",
            ],
            &["%(x)s"],
        ),
        "environment" => mostly(
            &[
                "A=1",
                "A=\"1\",B='two words'",
                "A=1,\n  B=2",
                "OWN=x,A=%(ENV_PORT)s",
                "A=50%%",
                "A=a#b,C=d",
                "A=b\"c d\"",
                "A=\"%(here)s\",B=%(process_num)d",
                "A=1;B=2",
                "PATH=\"/x:%(ENV_PATH)s\"",
                "E%(process_num)d=\"x\"",
                "A='it''s',B=\"#;\",C=/a.b+c-d(e):f",
                "A=\"1\" # x\n  ,B=2",
                "A=\"two\n lines\",",
            ],
            &["A", "A=", "A=\"open", "A=1 B=2", "A=\u{e4},B=2", "=1"],
        ),
        "stdout_logfile" | "stderr_logfile" => mostly(
            &[
                "AUTO",
                "none",
                "/dev/stdout",
                "/tmp/%(program_name)s.log",
                "x.log",
                "%(here)s/o%(process_num)d.log",
                "OFF",
                "/tmp/a%%%%b",
                "~/x.log",
                "syslog",
                "%(here)s",
                "/tmp/%%(process_num)d.log",
            ],
            &["/nowhere/x.log", "/tmp/%(ENV_PERCENT)s", "/tmp/a%%b"],
        ),
        "stdout_logfile_maxbytes" | "stderr_logfile_maxbytes" => mostly(
            &["0", "1MB", "50mb", "10 KB", "-1", "2GB", "-3kb"],
            &["1.5MB", "5M"],
        ),
        "stdout_logfile_backups" | "stderr_logfile_backups" => mostly(&["0", "3", "-1"], &["x"]),
        "stdout_capture_maxbytes" | "stderr_capture_maxbytes" => {
            mostly(&["0", "1MB", "512", "-1"], &["x", "1.5MB"])
        }
        "stdout_events_enabled" | "stderr_events_enabled" | "stdout_syslog" | "stderr_syslog" => {
            mostly(&["true", "off", "1", "NO"], &["maybe"])
        }
        "events" => mostly(
            &[
                "EVENT",
                "process_state, TICK_5",
                "TICK_60,TICK_60",
                "PROCESS_LOG_STDERR,\n  REMOTE_COMMUNICATION",
                "PROCESS_GROUP",
            ],
            &["TICK_6", "", "TICK,", "%(here)s", "PROCESS_STATE_REPLACED"],
        ),
        "buffer_size" => mostly(&["1", "10", "5000", " 7 "], &["0", "-1", "x"]),
        "result_handler" => mostly(
            &["supervisor.dispatchers:default_handler"],
            &["nothing.there:at_all"],
        ),
        "socket" => mostly(
            &[
                "tcp://localhost:9000",
                "tcp://127.0.0.1:1",
                "unix:///tmp/a/../%(program_name)s.sock",
                "unix://%(here)s/s",
            ],
            &[
                "tcp://127.0.0.1:0",
                "tcp://:80",
                "tcp://a:b:80",
                "unix://rel",
                "http://x:1",
                "",
                "tcp://a b:80",
                "tcp://a:80 x",
                "unix:///%(group_name)s",
            ],
        ),
        "socket_owner" => mostly(
            &["root", "daemon:daemon", "0:0"],
            &["nobody_here", "root:none_here"],
        ),
        "socket_mode" => mostly(&["0600", "777", "0o660"], &["9"]),
        "socket_backlog" => mostly(&["1", "128", "65535"], &["0", "65536", "x"]),
        "serverurl" => mostly(
            &["AUTO", "auto ", "http://127.0.0.1:9001", "unix:///x", ""],
            &[],
        ),
        _ => mostly(&["x", "%(here)s", "%", "50%", ""], &[]),
    }
}

const PROGRAM_KEYS: [&str; 34] = [
    "process_name",
    "numprocs",
    "numprocs_start",
    "priority",
    "autostart",
    "autorestart",
    "startsecs",
    "startretries",
    "exitcodes",
    "stopsignal",
    "stopwaitsecs",
    "stopasgroup",
    "killasgroup",
    "user",
    "umask",
    "directory",
    "environment",
    "redirect_stderr",
    "serverurl",
    "stdout_logfile",
    "stdout_logfile_maxbytes",
    "stdout_logfile_backups",
    "stderr_logfile",
    "stderr_logfile_maxbytes",
    "stderr_logfile_backups",
    "stdout_capture_maxbytes",
    "stdout_events_enabled",
    "stdout_syslog",
    "stderr_capture_maxbytes",
    "stderr_events_enabled",
    "stderr_syslog",
    "unknown_key",
    "Startsecs",
    "environment",
];

/// Keys of a section, in any order, a few of them twice, written in several ways.
fn section(
    header: String,
    keys: Vec<&'static str>,
    always: Vec<&'static str>,
) -> impl Strategy<Value = String> {
    let some = proptest::sample::subsequence(keys.clone(), 0..=keys.len().min(4)).prop_shuffle();
    let delimiter = proptest::sample::select(vec!["=", " = ", ":", "= ", " : "]);
    (some, delimiter).prop_flat_map(move |(some, delimiter)| {
        let header = header.clone();
        let keys: Vec<&str> = always.iter().copied().chain(some).collect();
        let values: Vec<_> = keys
            .iter()
            .map(|key| value_of(&key.to_lowercase()))
            .collect();
        values.prop_map(move |values| {
            let lines: String = keys
                .iter()
                .zip(values)
                .map(|(key, value)| format!("{key}{delimiter}{value}\n"))
                .collect();
            format!("[{header}]\n{lines}")
        })
    })
}

/// A main file, perhaps with an included one, sometimes with a character changed.
pub(crate) fn configuration() -> impl Strategy<Value = Vec<(String, String)>> {
    let program = |names: &[&'static str], wrong: &[&'static str]| {
        mostly(names, wrong).prop_flat_map(|name| {
            section(
                format!("program:{name}"),
                PROGRAM_KEYS.to_vec(),
                vec!["command"],
            )
        })
    };
    let first = program(&["a"], &[]);
    let others = proptest::collection::vec(
        program(
            &["a", "b", "web", " c ", "d", "a-b", "x.y"],
            &["a b", "a/b", ""],
        ),
        0..3,
    );
    let with =
        |kind: &'static str, more: &'static [&'static str], always: &'static [&'static str]| {
            mostly(&["l", "m", "a"], &["a b"]).prop_flat_map(move |name| {
                let keys = PROGRAM_KEYS.iter().chain(more).copied().collect();
                section(format!("{kind}:{name}"), keys, always.to_vec())
            })
        };
    let listener = with(
        "eventlistener",
        &["buffer_size", "result_handler"],
        &["command", "events"],
    );
    let unix = &["socket_owner", "socket_mode", "socket_backlog"];
    let fcgi = with("fcgi-program", unix, &["command", "socket"]);
    let special = proptest::option::weighted(0.5, prop_oneof![listener, fcgi])
        .prop_map(Option::unwrap_or_default);
    let included = program(&["a", "b", "e", "f"], &["a:b"]);
    let group = mostly(
        &[
            "",
            "",
            "[group:g]\nprograms=a\n",
            "[group:g]\nprograms = a,  a\npriority=5\n",
            "[group:b]\nprograms=a\npriority=-1\n",
            "[group:g]\n",
            "[group:g]\nprograms=a\n[group:h]\nprograms=a\n",
            "[DEFAULT]\nstartsecs=4\ndirectory=%(here)s\n",
            "[DEFAULT]\nunknown=%\npriority=3\n",
        ],
        &[
            "[group:g]\nprograms=nothing\n",
            "[group:g:h]\nprograms=a\n",
            "[group:g]\nprograms=a,\n",
            "[group:g]\npriority=x\n",
        ],
    );
    let supervisord = mostly(
        &[
            "[supervisord]\n",
            "[supervisord]\nenvironment=OWN=1,B=\"%(ENV_PORT)s\"\n",
            "[supervisord]\nlogfile=/tmp/s.log\npidfile=%(here)s/p.pid\nloglevel=DEBUG\nminfds=10\n",
            "[supervisord]\nlogfile_maxbytes=1KB\nlogfile_backups=2\nidentifier=me\nnodaemon=true\nchildlogdir=%(here)s\numask=077\nuser=root\n",
            "[supervisord]\nenvironment=PATH=\"/own\",X='%%(host_node_name)s'\ndirectory=/tmp\nsilent=1\nnocleanup=on\n",
            "[supervisord]\nstrip_ansi=1\nlogfile=syslog\nminprocs=7\nlogfile=syslog\n",
        ],
        &[
            "[supervisord]\nlogfile=/nowhere/x\n",
            "",
            "[supervisord]\nenvironment=X='%(host_node_name)s'\n",
            "[supervisord]\nloglevel=loud\n",
        ],
    );
    let servers = mostly(
        &[
            "",
            "",
            "[unix_http_server]\nfile=/tmp/s.sock\nchmod=0770\nchown=root:root\n",
            "[inet_http_server]\nport=*:9001\nusername=u\npassword=p\n",
            "[inet_http_server]\nport=LOCALHOST:1\n",
            "[unix_http_server:x]\nfile=s\nchown=daemon\n",
            "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n",
        ],
        &[
            "[unix_http_server]\nfile = %(here)s/../s.sock ; x\nusername=u\n",
            "[inet_http_server]\nport=127.0.0.1:70000\n",
            "[unix_http_server]\nchmod=9\nfile=x\n",
        ],
    );
    let include = mostly(
        &[
            "",
            "",
            "[include]\nfiles = conf.d/*.conf\n",
            "[include]\nfiles = %(here)s/conf.d/[a-c].conf\n  none*.conf\n",
            "[include]\nfiles=conf.d/b.conf\n",
        ],
        &["[include]\n", "[include]\nfiles=%(x)s\n"],
    );
    let inserts = vec![
        " ", "\n", "\t", ";", "#", "=", ":", "%", "\"", "'", "[", "]", "(", " ;", "\\", "\r",
        "\u{a0}", "\n  ", "\u{1c}", "\n[", ",",
    ];
    let change = (
        proptest::option::weighted(0.3, 0usize..4000),
        proptest::sample::select(inserts),
        any::<bool>(),
    );
    (
        supervisord,
        servers,
        include,
        group,
        first,
        others,
        (included, special),
        change,
    )
        .prop_map(
            |(
                supervisord,
                servers,
                include,
                group,
                first,
                others,
                (included, special),
                (at, insert, delete),
            )| {
                let mut main = format!(
                    "; generated\n{supervisord}{servers}{include}{group}\n{first}\n{}\n{special}",
                    others.join("\n")
                );
                let at = at.and_then(|at| {
                    (at % (main.len() + 1)..main.len()).find(|at| main.is_char_boundary(*at))
                });
                if let Some(at) = at {
                    if delete {
                        main.remove(at);
                    }
                    main.insert_str(at, insert);
                }
                vec![
                    ("supervisord.conf".to_string(), main),
                    ("conf.d/b.conf".to_string(), included),
                ]
            },
        )
}
