//! Supervisor's quoting, for command lines that we print for people to paste into its file.
//!
//! Three readers stand between the file and the words: the ini parser, where a `;` or `#` behind white space begins a
//! comment even within quotes; the expansions, where `%` must be doubled; and `shlex.split`, POSIX rules.

/// One word as it must be written in a `command =` of supervisord.conf.
pub fn quote_word(word: &str) -> String {
    let doubled = word.replace('%', "%%");
    if !doubled.is_empty() && doubled.chars().all(is_plain) {
        return doubled;
    }
    let mut out = String::with_capacity(doubled.len() + 2);
    out.push('\'');
    let mut before = ' ';
    for c in doubled.chars() {
        match c {
            '\'' => out.push_str("'\"'\"'"),
            // Shut the quotes and open them again: then no white space stands before the sign, and it begins no comment.
            ';' | '#' if before.is_whitespace() => {
                out.push_str("''");
                out.push(c);
            }
            other => out.push(other),
        }
        before = c;
    }
    out.push('\'');
    out
}

/// All words of a command line, quoted and joined.
pub fn quote_line<S: AsRef<str>>(words: &[S]) -> String {
    words
        .iter()
        .map(|word| quote_word(word.as_ref()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// All words of a command line as a shell, or `shlex`, reads them: for showing, not for supervisord.conf.
pub fn shell_line<S: AsRef<str>>(words: &[S]) -> String {
    let quote = |word: &str| {
        if !word.is_empty() && word.chars().all(is_plain) {
            word.to_owned()
        } else {
            format!("'{}'", word.replace('\'', "'\"'\"'"))
        }
    };
    let words: Vec<_> = words.iter().map(|word| quote(word.as_ref())).collect();
    words.join(" ")
}

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || "@%+=:,./-_^~[]{}!*?".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_stay_as_they_are() {
        for word in [
            "uvicorn",
            "server:app",
            "--port=8001",
            "0.0.0.0:80",
            "a,b",
            "*",
        ] {
            assert_eq!(quote_word(word), word);
        }
    }

    #[test]
    fn spaces_quotes_percent_and_comment_signs_survive_the_three_readers() {
        assert_eq!(quote_word(""), "''");
        assert_eq!(quote_word("a b"), "'a b'");
        assert_eq!(quote_word("it's"), "'it'\"'\"'s'");
        assert_eq!(quote_word("100%"), "100%%");
        assert_eq!(quote_word("a ;b"), "'a '';b'");
        assert_eq!(quote_word("#x"), "'''#x'");
        let shown = shell_line(&["a b", "it's", "5%", "x;"]);
        assert_eq!(shown, "'a b' 'it'\"'\"'s' 5% 'x;'");
    }
}
