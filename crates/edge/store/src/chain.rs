//! A rotating session's chain as bytes. Version 1:
//!
//! ```text
//! 1 | k_s 32 | c 4 (big-endian) | H(t) 32 | has child 1 | child 80? | parents 1 | (H(t) 32 | child 80)*
//! child: H(t) 32 | H(a) 32 | r 16
//! ```
//! What does not fit exactly is not read: half a chain would sign somebody out.

use session::rotating::{Chain, Child, Past};
use session::{Hidden, PAST_MAX};

const VERSION: u8 = 1;

pub(crate) fn encode(chain: &Chain) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(chain.key.expose());
    bytes.extend_from_slice(&chain.c.to_be_bytes());
    bytes.extend_from_slice(&chain.hash);
    bytes.push(u8::from(chain.child.is_some()));
    if let Some(child) = &chain.child {
        put(&mut bytes, child);
    }
    let parents = chain.past.len().min(PAST_MAX);
    bytes.push(u8::try_from(parents).unwrap_or(0));
    for past in chain.past.iter().take(parents) {
        bytes.extend_from_slice(&past.hash);
        put(&mut bytes, &past.child);
    }
    bytes
}

fn put(bytes: &mut Vec<u8>, child: &Child) {
    bytes.extend_from_slice(&child.hash);
    bytes.extend_from_slice(&child.asked_by);
    bytes.extend_from_slice(&child.r);
}

pub(crate) fn decode(mut bytes: &[u8]) -> Option<Chain> {
    let from = &mut bytes;
    if take::<1>(from)? != [VERSION] {
        return None;
    }
    let key = Hidden::new(take(from)?);
    let c = u32::from_be_bytes(take(from)?);
    let hash = take(from)?;
    let child = match take::<1>(from)? {
        [0] => None,
        [1] => Some(child(from)?),
        _ => return None,
    };
    let [parents] = take::<1>(from)?;
    if usize::from(parents) > PAST_MAX {
        return None;
    }
    let mut past = Vec::with_capacity(PAST_MAX);
    for _ in 0..parents {
        past.push(Past {
            hash: take(from)?,
            child: self::child(from)?,
        });
    }
    from.is_empty().then_some(Chain {
        key,
        c,
        hash,
        child,
        past,
    })
}

fn child(from: &mut &[u8]) -> Option<Child> {
    Some(Child {
        hash: take(from)?,
        asked_by: take(from)?,
        r: take(from)?,
    })
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child_of(n: u8) -> Child {
        Child {
            hash: [n; 32],
            asked_by: [n + 1; 32],
            r: [n + 2; 16],
        }
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let past: Vec<_> = (0..4)
            .map(|n| Past {
                hash: [n; 32],
                child: child_of(n),
            })
            .collect();
        for parents in 0..=PAST_MAX {
            for child in [None, Some(child_of(9))] {
                let past = past[..parents].to_vec();
                let chain = Chain {
                    key: Hidden::new([1; 32]),
                    c: 77,
                    hash: [2; 32],
                    child,
                    past,
                };
                let bytes = encode(&chain);
                assert_eq!(decode(&bytes), Some(chain));
                for end in 0..bytes.len() {
                    assert_eq!(decode(&bytes[..end]), None, "cut after {end}");
                }
                assert_eq!(decode(&[bytes, vec![0]].concat()), None);
            }
        }
        assert_eq!(decode(&[2; 200]), None, "another version");
    }
}
