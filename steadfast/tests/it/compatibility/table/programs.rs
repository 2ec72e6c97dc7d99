//! Keys of programs.

use super::super::Verdict::{Better, Not, Same};
use super::{Row, row};

pub(super) const ROWS: &[Row] = &[
    // Programs.
    row(
        "key",
        &["[{}:x] command"],
        Better(
            "one that cannot be split is shown by `check` with its place; under the name `supervisord` it becomes FATAL alone, as there",
        ),
        "a_command_that_cannot_be_split_holds_nothing_else_up",
    ),
    row(
        "key",
        &[
            "[{}:x] process_name",
            "[{}:x] numprocs",
            "[{}:x] numprocs_start",
        ],
        Same,
        "several_processes_of_one_program",
    ),
    row(
        "key",
        &["[{}:x] priority"],
        Better("programs of one priority stop beside each other instead of one a second"),
        "programs_start_by_priority_and_stop_the_other_way_round",
    ),
    row(
        "key",
        &["[{}:x] autostart"],
        Same,
        "status_of_running_stopped_and_unknown_processes",
    ),
    row(
        "key",
        &["[{}:x] autorestart", "[{}:x] exitcodes"],
        Same,
        "exit_codes_and_restarts",
    ),
    row(
        "key",
        &["[{}:x] startsecs"],
        Same,
        "starting_is_seen_until_startsecs_are_over",
    ),
    row(
        "key",
        &["[{}:x] startretries"],
        Better(
            "the first restart after a life of some length comes at once instead of after up to two seconds; with `[steadfast]` what is FATAL is tried again every minute",
        ),
        "a_program_that_dies_at_once_backs_off_and_ends_fatal",
    ),
    row(
        "key",
        &["[{}:x] stopsignal"],
        Same,
        "the_stop_signal_is_the_one_of_the_file",
    ),
    row(
        "key",
        &["[{}:x] stopwaitsecs"],
        Same,
        "a_program_that_ignores_its_signal_is_killed",
    ),
    row(
        "key",
        &["[{}:x] stopasgroup", "[{}:x] killasgroup"],
        Better("what is left behind is named in the log"),
        "groups_of_processes_are_stopped_where_the_file_says_so",
    ),
    row(
        "key",
        &["[{}:x] user"],
        Same,
        "a_program_of_another_user_runs_as_that_user",
    ),
    row(
        "key",
        &["[{}:x] umask", "[{}:x] directory"],
        Same,
        "directory_and_umask_are_set",
    ),
    row(
        "key",
        &["[{}:x] environment", "[{}:x] serverurl"],
        Same,
        "the_environment_is_the_files_and_supervisors",
    ),
    row(
        "key",
        &[
            "[{}:x] stdout_logfile",
            "[{}:x] stderr_logfile",
            "[{}:x] redirect_stderr",
        ],
        Same,
        "output_goes_where_the_file_says",
    ),
    row(
        "key",
        &[
            "[{}:x] stdout_logfile_maxbytes",
            "[{}:x] stderr_logfile_maxbytes",
            "[{}:x] stdout_logfile_backups",
            "[{}:x] stderr_logfile_backups",
        ],
        Same,
        "logs_are_rotated_and_the_oldest_goes",
    ),
    row(
        "key",
        &[
            "[{}:x] stdout_capture_maxbytes",
            "[{}:x] stderr_capture_maxbytes",
            "[{}:x] stdout_events_enabled",
            "[{}:x] stderr_events_enabled",
        ],
        Same,
        "output_becomes_events_and_captured_parts_leave_the_log",
    ),
    row(
        "key",
        &["[{}:x] stdout_syslog", "[{}:x] stderr_syslog"],
        Same,
        "lines_reach_the_systems_log_in_the_same_words",
    ),
    row(
        "key",
        &["[eventlistener:x] events"],
        Same,
        "a_pool_hears_what_it_asked_for_and_counts_its_own",
    ),
    row(
        "key",
        &["[eventlistener:x] buffer_size"],
        Same,
        "a_full_buffer_loses_the_oldest_and_says_which",
    ),
    row(
        "key",
        &["[eventlistener:x] result_handler"],
        Not(
            "a handler is Python code that would have to run inside; Supervisor's default handler is what happens",
        ),
        "a_rejected_event_comes_again_before_the_others",
    ),
    row(
        "key",
        &[
            "[fcgi-program:x] socket",
            "[fcgi-program:x] socket_backlog",
            "[fcgi-program:x] socket_mode",
            "[fcgi-program:x] socket_owner",
        ],
        Better("the socket outlives restarts of the daemon"),
        "a_fastcgi_program_takes_connections_from_its_standard_input",
    ),
];
