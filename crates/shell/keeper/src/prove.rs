//! `prove`: a token of ours that the program must accept before it counts as ready, so that a program with a wrong key is
//! found when it is deployed, not by its users.
//!
//! The token is made here, for each try: a definition lives for months, and a token in it would have expired at the next
//! crash. Its key is the one in the program's own environment, of which the keeper knows the name.
//!
//! A program that answers 2xx to everything would have proved nothing. So it is asked once more, with a token that a random
//! key signed, when it is ready already: nobody waits for that answer, and a program that counts wrong tokens counts one for
//! each generation. A 2xx is a warning: the path was chosen badly, and the program may be as well as any.

use session::claims::Shape;
use session::jws::Alg;
use session::{Admission, Sid, UserId};
use wire::{Prove, Spec, Text};

/// As long as the tag of HS256 (RFC 7518 section 3.2).
const NOBODYS_KEY_BYTES: usize = 32;

/// What is asked, and with which token.
#[derive(Clone)]
pub(crate) struct Proof {
    prove: Prove,
    key: Vec<u8>,
    number: u32,
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proof")
            .field("path", &self.prove.path)
            .finish_non_exhaustive()
    }
}

impl Proof {
    /// What the definition asks for; None where it asks for nothing.
    pub(crate) fn of(spec: &Spec) -> Option<Proof> {
        let prove = spec.prove.clone()?;
        let key = spec.env.iter().find(|(name, _)| *name == prove.variable);
        let key = match key {
            Some((_, Text::Plain { text })) => text.clone().into_bytes(),
            Some((_, Text::Socket { .. } | Text::Port { .. })) | None => Vec::new(),
        };
        Some(Proof {
            prove,
            key,
            number: spec.key,
        })
    }

    /// The request, with a token that is valid now.
    pub(crate) fn request(&self, wall_ms: u64, host: &str) -> String {
        let path = &self.prove.path;
        format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: steadfast-check\r\nAccept: */*\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
            self.token(wall_ms)
        )
    }

    fn token(&self, wall_ms: u64) -> String {
        let alg = Alg::parse(&self.prove.alg).unwrap_or_default();
        // What the daemon checked when it read the file.
        let shape = Shape::parse(&self.prove.claims).unwrap_or_default();
        let user = UserId::parse(&self.prove.user).or_else(|| UserId::parse("steadfast"));
        let Some(user) = user else {
            return String::new();
        };
        let mut id = [0; 16];
        id[..8].copy_from_slice(&wall_ms.to_be_bytes());
        let admission = Admission {
            session: Sid(id),
            user,
            at_ms: wall_ms,
            touch: None,
        };
        shape.token(&admission, alg, &self.key, wall_ms / 1000, id)
    }

    /// The same with another key, which no program can have.
    pub(crate) fn of_nobody(&self) -> Proof {
        let mut key = vec![0; NOBODYS_KEY_BYTES];
        let filled = rustix::rand::getrandom(&mut key, rustix::rand::GetRandomFlags::empty());
        if filled != Ok(NOBODYS_KEY_BYTES) {
            // Before the kernel has randomness: one that is no key of anybody's all the same.
            key = [b"of nobody ", self.key.as_slice()].concat();
        }
        Proof {
            key,
            ..self.clone()
        }
    }

    /// Words for a program that accepted that one.
    pub(crate) fn is_worth_nothing(&self) -> String {
        let path = &self.prove.path;
        format!(
            "`prove` proves nothing: {path} answers 2xx to a token that another key has signed, too"
        )
    }

    /// Words for a program that did not accept it.
    pub(crate) fn refused(&self, answer: &str) -> String {
        let Prove { path, variable, .. } = &self.prove;
        let number = self.number;
        if answer.starts_with("404") {
            return format!("it has no {path}, which `prove` asks ({answer})");
        }
        format!(
            "it does not accept a token signed with key {number} of {variable} ({path} answered {answer})"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use session::jws::Compact;

    #[test]
    fn a_path_that_is_not_there_is_no_word_about_the_key() {
        let proof = Proof {
            prove: Prove {
                path: "/verify".into(),
                ..Prove::default()
            },
            key: Vec::new(),
            number: 3,
        };
        let said = proof.refused("404 Not Found");
        assert_eq!(
            said,
            "it has no /verify, which `prove` asks (404 Not Found)"
        );
        assert!(proof.refused("401 Unauthorized").contains("key 3"));
    }

    #[test]
    fn the_token_of_nobody_is_like_the_other_but_for_its_key() {
        let proof = Proof {
            prove: Prove {
                path: "/verify".into(),
                ..Prove::default()
            },
            key: b"the key".to_vec(),
            number: 1,
        };
        let token = |proof: &Proof| {
            let request = proof.request(2_000_000_000_000, "localhost");
            let (_, rest) = request.split_once("Bearer ").expect("a token");
            rest.split_once("\r\n").expect("a line").0.to_owned()
        };
        let (own, nobodys) = (token(&proof), token(&proof.of_nobody()));
        assert_ne!(own, nobodys);
        assert_eq!(
            own.rsplit_once('.').expect("parts").0,
            nobodys.rsplit_once('.').expect("parts").0
        );
        assert!(
            !Compact::read(&nobodys)
                .expect("reads")
                .proved_by(b"the key")
        );
    }

    #[test]
    fn each_try_has_a_fresh_token_of_the_programs_own_key() {
        let spec = Spec {
            env: vec![("KEY".into(), "the key".into())],
            key: 3,
            prove: Some(Prove {
                path: "/verify".into(),
                variable: "KEY".into(),
                alg: "HS384".into(),
                user: "7".into(),
                claims: "simplejwt".into(),
            }),
            ..Spec::default()
        };
        let proof = Proof::of(&spec).expect("asked for");
        let request = proof.request(2_000_000_000_000, "localhost");
        let (_, rest) = request.split_once("Bearer ").expect("a token");
        let (token, _) = rest.split_once("\r\n").expect("a line");
        let token = Compact::read(token).expect("reads");
        assert!(token.proved_by(b"the key") && !token.proved_by(b"another"));
        let claims = token.claims().expect("claims");
        assert_eq!(
            (&claims["sub"], &claims["user_id"]),
            (&"7".into(), &"7".into())
        );
        assert!(claims["exp"].as_u64() > Some(2_000_000_000));
        let said = format!("{proof:?} {}", proof.refused("401 Unauthorized"));
        assert!(
            said.contains("key 3 of KEY") && !said.contains("the key"),
            "{said}"
        );
    }
}
