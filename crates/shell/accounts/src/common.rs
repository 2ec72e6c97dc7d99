//! Passwords that everybody tries first: what guessing programs make of few words, a keyboard and a calendar.
//!
//! A list of the thousands that were seen most is a list of variants: `password1`, `P@ssw0rd!`, `qwerty123456`,
//! `iloveyou2`. So the words are listed here and the variants are rules:
//!
//! ```text
//!  digits only, fewer than 12                      12345678, 19841206
//!  one short unit again and again                  aaaaaaaa, abcabcabc, 1q1q1q1q
//!  walks over the keyboard, or along the alphabet  qwertyui, 1qaz2wsx, asdf1234, abcd1234
//!  one or two words of the list, forwards or       password12, letmein!, monkeydragon, drowssap,
//!  backwards, digits and signs around them,        p4ssw0rd, Summer2024!
//!  letters written as digits
//!  the user's own name with such ends              ada1990!!
//! ```
//! Whatever is refused is among the first few million guesses; what is not may be as bad. It is no measure of strength.

use std::collections::HashSet;
use std::sync::OnceLock;

/// Digits and signs around a word that make it no better: a year and a sign.
const ENDS_CHARS_MAX: usize = 6;
/// Digits alone are ten guesses a place: dates, telephone numbers.
const DIGITS_CHARS_MAX: usize = 11;
/// A unit that comes again and again: the longest of `abcdabcd`, and of a word twice.
const UNIT_CHARS_MAX: usize = 6;
/// The beginning of a word counts from here on.
const CUT_CHARS_MIN: usize = 7;
/// Longer ones are looked at for repetition only: a phrase is not made of one word and its ends.
const LOOKED_AT_CHARS_MAX: usize = 32;
/// Neighbours in a walk: three keys in a row are none yet in a word, so parts have to be longer or all of it.
const WALK_CHARS_MIN: usize = 3;

/// Rows and columns of keyboards, the alphabet, the digits; each is walked both ways.
const WALKS: &[&str] = &[
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "yxcvbnm",
    "!@#$%^&*()",
    "!\"§$%&/()=",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "qazwsxedcrfvtgbyhnujmikolp",
    "qawsedrftgyhujikolp",
    "aqwzsxedcrfvtgbyhnujm",
    "zaq12wsxcde34rfvbgt56yhn",
    "zaq1xsw2cde3vfr4bgt5",
    "147258369",
    "159753",
    "741852963",
    "aabbccddeeffgghhiijjkk",
    "112233445566778899",
    "a1b2c3d4e5f6g7h8i9",
    "1a2b3c4d5e6f7g8h9i",
];

/// Lower case, letters only, by theme; lines that begin with `#` are ours.
const TEXT: &str = include_str!("../assets/words.txt");

fn is_word(word: &str) -> bool {
    static WORDS: OnceLock<HashSet<&str>> = OnceLock::new();
    let lines = || TEXT.lines().filter(|line| !line.starts_with('#'));
    let words = WORDS.get_or_init(|| lines().flat_map(str::split_whitespace).collect());
    // Eight letters were the limit of many systems: `liverpoo` is on everybody's list.
    let cut = word.len() >= CUT_CHARS_MIN && words.iter().any(|whole| whole.starts_with(word));
    cut || words.contains(word)
}

/// Whether it is one of those. `user` is who wants it.
pub(crate) fn is_common(password: &str, user: &str) -> bool {
    let text: Vec<char> = password.chars().flat_map(char::to_lowercase).collect();
    if text.is_empty() {
        return true;
    }
    let digits = text.iter().all(char::is_ascii_digit) && text.len() <= DIGITS_CHARS_MAX;
    let short = text.len() <= LOOKED_AT_CHARS_MAX;
    digits || repeats(&text) || short && (walks(&text) || words(&text, user))
}

/// One short unit again and again, the last one perhaps cut short.
fn repeats(text: &[char]) -> bool {
    let units = 1..=UNIT_CHARS_MAX.min(text.len() / 2);
    let again = |unit: usize| (unit..text.len()).all(|at| text[at] == text[at - unit]);
    units.into_iter().any(again)
}

/// Nothing but walks, each of a few keys at least.
fn walks(text: &[char]) -> bool {
    // How far walks reach that begin at the beginning.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for from in 0..text.len() {
        if !reached[from] {
            continue;
        }
        for to in from + WALK_CHARS_MIN..=text.len() {
            if !is_walk(&text[from..to]) {
                break;
            }
            reached[to] = true;
        }
    }
    reached[text.len()]
}

fn is_walk(part: &[char]) -> bool {
    let forwards: String = part.iter().collect();
    let backwards: String = part.iter().rev().collect();
    let same = part.iter().all(|it| *it == part[0]);
    same || WALKS
        .iter()
        .any(|row| row.contains(&forwards) || row.contains(&backwards))
}

/// A word or two of the list, or the user's name, with such ends.
fn words(text: &[char], user: &str) -> bool {
    let name: String = user.split('@').next().unwrap_or_default().to_lowercase();
    let listed = |word: &str| is_word(word) || (word.len() > 2 && word == name);
    let known = |word: &[char]| {
        let forwards: String = word.iter().collect();
        let backwards: String = word.iter().rev().collect();
        let two = |whole: &str| {
            whole
                .char_indices()
                .skip(1)
                .any(|(at, _)| listed(&whole[..at]) && listed(&whole[at..]))
        };
        let walk = word.len() > WALK_CHARS_MIN && is_walk(word);
        listed(&forwards) || listed(&backwards) || two(&forwards) || walk
    };
    let is_end = |it: &char| !it.is_alphabetic();
    let ends = |from: usize, to: usize| {
        let (before, after) = (&text[..from], &text[to..]);
        before.iter().chain(after).all(is_end)
            || [before, after]
                .iter()
                .all(|it| it.is_empty() || is_walk(it))
    };
    let longest = text.len();
    let shortest = longest.saturating_sub(ENDS_CHARS_MAX).max(3);
    for length in shortest..=longest {
        for from in 0..=longest - length {
            let to = from + length;
            let part = &text[from..to];
            if ends(from, to) && readings(part).iter().any(|word| known(word)) {
                return true;
            }
        }
    }
    false
}

/// What digits and signs in a word may stand for.
fn readings(word: &[char]) -> Vec<Vec<char>> {
    let as_written = word.to_vec();
    let letter = |one: char| {
        move |it: &char| match it {
            '0' => 'o',
            '1' | '!' | '|' => one,
            '3' | '€' => 'e',
            '4' | '@' => 'a',
            '5' | '$' => 's',
            '6' | '9' => 'g',
            '7' | '+' => 't',
            '8' => 'b',
            other => *other,
        }
    };
    let mut all = vec![as_written];
    for one in ['i', 'l'] {
        let read: Vec<char> = word.iter().map(letter(one)).collect();
        if !all.contains(&read) {
            all.push(read);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_tries_first_is_common() {
        for password in [
            "12345678",
            "123456789",
            "1234567890",
            "87654321",
            "11111111",
            "00000000",
            "19841206",
            "password",
            "Password",
            "PASSWORD1",
            "password123",
            "password!",
            "P@ssw0rd",
            "P4$$w0rd1!",
            "passw0rd",
            "1password",
            "drowssap",
            "passwordpassword",
            "qwertyui",
            "qwertyuiop",
            "qwerty123",
            "qwerty123456",
            "123qweasd",
            "1q2w3e4r",
            "1qaz2wsx",
            "zaq12wsx",
            "asdfghjkl",
            "asdf1234",
            "zxcvbnm1",
            "qazwsxedc",
            "abcd1234",
            "abcdefgh",
            "a1b2c3d4",
            "aaaaaaaa",
            "abababab",
            "abcabcabc",
            "12341234",
            "asdasdasd",
            "q1w2e3r4",
            "iloveyou",
            "iloveyou2",
            "ilovejesus",
            "letmein1",
            "welcome1",
            "Welcome2024!",
            "Summer2025!",
            "admin123",
            "administrator",
            "trustno1",
            "sunshine",
            "princess1",
            "football1",
            "baseball",
            "superman",
            "batman123",
            "starwars",
            "computer1",
            "michelle",
            "jennifer1",
            "daniel123",
            "monkeydragon",
            "blink182",
            "changeme",
            "liverpool1",
            "chocolate",
            "!@#$%^&*",
            "77777777",
            "liverpoo",
            "monkey99",
        ] {
            assert!(is_common(password, "grace"), "{password}");
        }
        for (password, user) in [
            ("grace1990", "grace"),
            ("Grace!!!", "grace"),
            ("hopper42", "hopper@navy.example"),
            ("ecarg123", "grace"),
        ] {
            assert!(is_common(password, user), "{password}");
        }
    }

    #[test]
    fn what_few_would_try_is_not() {
        for password in [
            "correct horse battery",
            "my own long password",
            "another long password",
            "wrong horse battery",
            "tr0ub4dor&3xyz",
            "Xk9#mQ2vLp",
            "giraffes eat telephones",
            "493817264950",
            "h7Gq-92Lm-x0Pz",
            "verschwommener Uhu",
            "zweiundvierzig Enten",
            "пароль из многих слов",
            "fvtgnhujmzkrl",
            "password is a long phrase",
            "sunshine moonlight starlight rainbow",
        ] {
            assert!(!is_common(password, "grace"), "{password}");
        }
        assert!(!is_common("grace hopper's cobol", "grace"));
    }

    #[test]
    fn words_are_as_they_are_read() {
        let lines = TEXT.lines().filter(|line| !line.starts_with('#'));
        let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
        assert!(words.len() > 1_000, "{}", words.len());
        for word in words {
            let letters = word.bytes().all(|byte| byte.is_ascii_lowercase());
            assert!(letters && word.len() > 1, "{word}");
        }
        assert!(is_common("", "x") && is_common(&"abc".repeat(300), "x"));
    }
}
