//! SF512 and on: what an experiment shows.

use finding::Severity::{Error, Warning};

use super::rule::{Apply, Probe, Rule};
use crate::probe::live;

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "SF512",
        title: "memory or descriptors grow",
        severity: Warning,
        users: "some day it is killed, or takes no connections, in the middle of their work",
        what: "A process used more memory, or more descriptors, at each of several looks, and never less.",
        why: "What is never given back runs out: the kernel kills the process, or `accept` fails.",
        found: "With --live: VmRSS and the number of open descriptors, looked at several times within 4 s, or within as long as --live=2m says. Where Steadfast runs it, `steadfast explain PROGRAM` tells the growth since its start.",
        fix: "Look at what it keeps: files and connections that are not closed, caches without a bound.",
        ignore: "it was filling a cache that has a bound",
        apply: Apply::Nothing,
        follows: &[],
        probe: Probe::Each(live::grows),
    },
    Rule {
        code: "SF513",
        title: "a new file restarted it",
        severity: Error,
        users: "connections break and people are signed out at every file change",
        what: "A file with a new name was put beside the code, and a process of the program ended.",
        why: "Something watches the directory, and takes every file for a change of the code.",
        found: "With --live: the file is made and taken away; the kernel tells which processes end meanwhile.",
        fix: "Turn the reloader off.",
        ignore: "never: it is what happened",
        apply: Apply::Nothing,
        follows: &[
            "SF101", "SF102", "SF103", "SF104", "SF105", "SF106", "SF504", "SF505",
        ],
        probe: Probe::Each(live::shaken),
    },
    Rule {
        code: "SF514",
        title: "a restart signs people out",
        severity: Error,
        users: "everyone has to sign in again after each restart and each deployment",
        what: "A token that was valid before a restart was not valid after it.",
        why: "The key that signed it was made at the start and is gone, or sessions are kept in memory.",
        found: "With --live --allow-restart and --login or --token-from: the same token is verified before and after.",
        fix: "Keep the signing key outside the process (SF201, SF204), and sessions in a store.",
        ignore: "never: it is what happened",
        apply: Apply::Nothing,
        follows: &["SF201", "SF204"],
        probe: Probe::Each(live::signs_out),
    },
    Rule {
        code: "SF515",
        title: "it does not come back after a restart",
        severity: Error,
        users: "nobody is served until somebody mends it",
        what: "The owner's own command restarted the program, and it did not run or did not answer afterwards.",
        why: "The definition, the code or the environment of now is not what the old process was started with.",
        found: "With --live --allow-restart.",
        fix: "Look at its log.",
        ignore: "never: it is what happened",
        apply: Apply::Nothing,
        follows: &["SF506", "SF507"],
        probe: Probe::Each(live::not_back),
    },
];
