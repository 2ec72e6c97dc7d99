//! `steadfast_command`: how a server that is not in the catalogue is handed its socket, in the operator's words.

use crate::rewrite::{AddressKind, Refusal, Rewrite, Word, refusal};
use crate::server::Trust;

/// The rewrite for a `steadfast_command`, split into words: `%(socket)s`, `%(port)s` and `%(fd)s` are the places.
///
/// # Errors
/// If it names no place, or places of two kinds.
pub fn by_template(words: &[String]) -> Result<Rewrite, Refusal> {
    let mut kinds = Vec::new();
    let argv = words
        .iter()
        .map(|word| template_word(word, &mut kinds))
        .collect::<Result<Vec<_>, _>>()?;
    kinds.dedup();
    let address = match kinds.as_slice() {
        [kind] => *kind,
        [] => {
            return Err(refusal(
                "steadfast_command names no place",
                "write %(socket)s, %(port)s or %(fd)s where the program takes it",
            ));
        }
        [..] => {
            return Err(refusal(
                "steadfast_command names two kinds of place",
                "keep one of %(socket)s, %(port)s, %(fd)s",
            ));
        }
    };
    let umask = (address == AddressKind::Unix).then_some(0);
    Ok(Rewrite {
        argv,
        env: Vec::new(),
        umask,
        address,
        trusts: Trust::Nobody,
        notes: Vec::new(),
    })
}

fn template_word(word: &str, kinds: &mut Vec<AddressKind>) -> Result<Word, Refusal> {
    let places = [
        ("%(socket)s", AddressKind::Unix),
        ("%(port)s", AddressKind::Tcp),
        ("%(fd)s", AddressKind::Inherited(1)),
    ];
    let Some((name, kind)) = places.into_iter().find(|(name, _)| word.contains(name)) else {
        return Ok(Word::text(word));
    };
    kinds.push(kind);
    let (before, after) = word.split_once(name).unwrap_or((word, ""));
    if places.iter().any(|(name, _)| after.contains(name)) {
        return Err(refusal(
            "steadfast_command names two places in one word",
            "keep one of them in each word",
        ));
    }
    let (before, after) = (before.to_owned(), after.to_owned());
    Ok(match kind {
        AddressKind::Unix => Word::Socket { before, after },
        AddressKind::Tcp => Word::Port { before, after },
        AddressKind::Inherited(_) => Word::Fd {
            index: 0,
            before,
            after,
        },
    })
}
