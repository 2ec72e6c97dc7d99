//! What stands in the file beside programs.

use super::super::Verdict::{Better, Not, Same};
use super::{Row, row};

pub(super) const ROWS: &[Row] = &[
    // Sections.
    row(
        "section",
        &["[supervisord]"],
        Same,
        "options_beat_the_file_in_the_background",
    ),
    row(
        "section",
        &["[unix_http_server]"],
        Same,
        "the_socket_has_the_mode_of_the_file",
    ),
    row(
        "section",
        &["[inet_http_server]"],
        Better(
            "without a password it answers only to addresses, names without a dot, `*.localhost` and its configured host: \
             a page of another site reads nothing by a name of its own (DNS rebinding)",
        ),
        "without_a_password_a_page_of_another_site_reads_nothing_under_its_own_name",
    ),
    row(
        "section",
        &["[supervisorctl]"],
        Same,
        "every_command_says_the_same_at_a_terminal",
    ),
    row(
        "section",
        &["[include]"],
        Same,
        "includes_are_read_in_order",
    ),
    row(
        "section",
        &["[program:x]"],
        Same,
        "several_processes_of_one_program",
    ),
    row("section", &["[group:x]"], Same, "groups_and_their_members"),
    row(
        "section",
        &["[eventlistener:x]"],
        Same,
        "a_pool_hears_what_it_asked_for_and_counts_its_own",
    ),
    row(
        "section",
        &["[fcgi-program:x]"],
        Same,
        "a_fastcgi_program_takes_connections_from_its_standard_input",
    ),
    row(
        "section",
        &["[rpcinterface:x]"],
        Not(
            "Supervisor's own interface is always there; others are Python code that would have to run inside",
        ),
        "the_server_tells_of_itself",
    ),
    row(
        "section",
        &["[ctlplugin:x]"],
        Not(
            "a plugin is Python code that would have to run inside supervisorctl; the section is named by `check` and the rest works",
        ),
        "every_section_and_key_is_read_or_answered",
    ),
    // [supervisord].
    row(
        "key",
        &[
            "[supervisord] logfile",
            "[supervisord] logfile_maxbytes",
            "[supervisord] logfile_backups",
            "[supervisord] pidfile",
            "[supervisord] identifier",
            "[supervisord] childlogdir",
            "[supervisord] directory",
            "[supervisord] environment",
        ],
        Same,
        "options_beat_the_file_in_the_background",
    ),
    row(
        "key",
        &["[supervisord] loglevel"],
        Same,
        "the_least_level_of_the_log_counts",
    ),
    row(
        "key",
        &["[supervisord] nodaemon"],
        Better(
            "as PID 1 of a container it stays in the foreground also without it: going to the background would end the container",
        ),
        "the_foreground_shows_the_log_unless_it_is_silent",
    ),
    row(
        "key",
        &["[supervisord] silent"],
        Same,
        "the_foreground_shows_the_log_unless_it_is_silent",
    ),
    row(
        "key",
        &["[supervisord] nocleanup"],
        Same,
        "old_automatic_logs_go_unless_they_are_kept",
    ),
    row(
        "key",
        &["[supervisord] minfds", "[supervisord] minprocs"],
        Same,
        "wrong_options_are_complained_of_in_the_same_words",
    ),
    row(
        "key",
        &["[supervisord] umask"],
        Better("holds in the foreground too; Supervisor sets it only on its way to the background"),
        "directory_and_umask_are_set",
    ),
    row(
        "key",
        &["[supervisord] user"],
        Better(
            "with `[steadfast]` in the file the daemon keeps its rights, so that the gateway can listen where only root may, and programs run as that user; without it the whole of it becomes that user, as Supervisor does",
        ),
        "it_becomes_the_user_that_the_file_names",
    ),
    row(
        "key",
        &["[supervisord] strip_ansi"],
        Same,
        "escapes_are_stripped_from_log_and_events",
    ),
    // The servers and the client.
    row(
        "key",
        &[
            "[unix_http_server] file",
            "[unix_http_server] chmod",
            "[unix_http_server] chown",
        ],
        Same,
        "the_socket_has_the_mode_of_the_file",
    ),
    row(
        "key",
        &[
            "[unix_http_server] username",
            "[unix_http_server] password",
            "[inet_http_server] port",
            "[inet_http_server] username",
            "[inet_http_server] password",
        ],
        Better("passwords are compared in constant time"),
        "wrong_credentials_and_hashed_ones",
    ),
    row(
        "key",
        &[
            "[supervisorctl] serverurl",
            "[supervisorctl] username",
            "[supervisorctl] password",
            "[supervisorctl] prompt",
        ],
        Same,
        "the_command_line_before_the_file",
    ),
    row(
        "key",
        &["[supervisorctl] history_file"],
        Same,
        "lines_of_a_session_are_there_in_the_next",
    ),
    row(
        "key",
        &["[include] files"],
        Same,
        "includes_are_read_in_order",
    ),
    row(
        "key",
        &["[group:x] programs", "[group:x] priority"],
        Same,
        "groups_and_their_members",
    ),
];
