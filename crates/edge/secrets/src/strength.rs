//! Is this key one that nobody guesses?

/// What is wrong with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// There is none, or it is empty.
    Missing,
    /// Fewer bytes than the signature it makes (RFC 7518 section 3.2 wants 32 for HS256).
    Short,
    /// A value from documentation, a tutorial or a template, or a plain word.
    Example,
    /// Hardly any different characters.
    Monotonous,
}

impl std::fmt::Display for Weakness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Missing => "it is empty",
            Self::Short => "it is shorter than 32 characters, so it can be guessed",
            Self::Example => "it is an example value that everyone knows",
            Self::Monotonous => "it repeats a few characters, so it can be guessed",
        })
    }
}

/// RFC 7518 section 3.2: a key of the size of the hash output or larger.
const LENGTH_BYTES_MIN: usize = 32;

/// A random hexadecimal key of 32 digits has fewer than 8 different ones about once in 10^6.
const DISTINCT_MIN: usize = 8;

/// Values printed in documentation and templates, in lower case.
const EXAMPLES: &[&str] = &[
    // FastAPI's tutorial on JWT
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    // jwt.io
    "your-256-bit-secret",
    "a-string-secret-at-least-256-bits-long",
    // Flask's and Werkzeug's documentation
    "_5#y2l\"f4q8z\\n\\xec]/",
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
];

/// Beginnings and parts that only examples have, in lower case.
const EXAMPLE_PARTS: &[&str] = &[
    "django-insecure-",
    "changeme",
    "change-me",
    "change_me",
    "your-secret",
    "your_secret",
    "yoursecret",
    "secret-key",
    "secret_key",
    "supersecret",
    "super-secret",
    "super_secret",
    "mysecret",
    "my-secret",
    "my_secret",
    "please-change",
    "replace-me",
    "replace_me",
    "insecure",
    "example",
    "placeholder",
    "dev-key",
    "dev_key",
];

/// Everything that is wrong with a value; empty if nothing is known against it.
pub fn strength(value: &str) -> Vec<Weakness> {
    if value.trim().is_empty() {
        return vec![Weakness::Missing];
    }
    let lower = value.to_lowercase();
    let words = ["secret", "password", "key", "dev", "test", "default"];
    let example = EXAMPLES.contains(&lower.as_str())
        || words.contains(&lower.as_str())
        || EXAMPLE_PARTS.iter().any(|part| lower.contains(part));
    let mut seen: Vec<char> = value.chars().collect();
    seen.sort_unstable();
    seen.dedup();
    let mut found = Vec::new();
    if example {
        found.push(Weakness::Example);
    }
    if value.len() < LENGTH_BYTES_MIN {
        found.push(Weakness::Short);
    }
    if seen.len() < DISTINCT_MIN && value.len() >= LENGTH_BYTES_MIN {
        found.push(Weakness::Monotonous);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_keys_are_named() {
        for (value, want) in [
            ("", vec![Weakness::Missing]),
            ("  ", vec![Weakness::Missing]),
            ("secret", vec![Weakness::Example, Weakness::Short]),
            ("k3J9dQ", vec![Weakness::Short]),
            (
                "django-insecure-8v#2k!x9@q4w7z$m1n6b5c3l0",
                vec![Weakness::Example],
            ),
            (
                "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
                vec![Weakness::Example],
            ),
            (
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                vec![Weakness::Monotonous],
            ),
            (
                "8d1f5b2c9a7e4630f1b8d5c2e9a6730418f5b2c9d6a3e7041b8f5c2d9e6a7304",
                vec![],
            ),
        ] {
            assert_eq!(strength(value), want, "{value}");
        }
    }
}
