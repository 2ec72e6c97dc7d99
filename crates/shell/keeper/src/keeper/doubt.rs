//! Whether a generation's `prove` is worth anything: asked once for each, when it is ready.
//!
//! Not at each of its starts: the answer is that of its code and its configuration, and a token with a wrong key may count
//! against somebody in the program.

use super::Keeper;
use crate::prove::Proof;
use wire::Trouble;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// The generation that was asked; 0 = none.
    generation: u64,
    /// It accepts what nobody signed.
    trouble: Option<Trouble>,
}

impl Doubt {
    /// What is wrong with this generation's `prove`.
    pub(super) fn trouble(&self, generation: u64) -> Option<&Trouble> {
        let known = self.generation == generation;
        self.trouble.as_ref().filter(|_| known)
    }
}

impl Keeper {
    /// A check has passed; of a generation that proves itself, that means that it accepts our token.
    pub(super) fn begin_doubt(&mut self, generation: u64, mono_ms: u64) {
        if self.doubt.generation >= generation {
            return;
        }
        let Some(spec) = self.slot.spec_of(generation).cloned() else {
            return;
        };
        let Some(proof) = Proof::of(&spec) else {
            return;
        };
        self.doubt = Doubt {
            generation,
            trouble: None,
        };
        if let Some(child) = self.child(generation) {
            child.begin_doubt(&spec, &proof, mono_ms);
        }
    }

    /// It accepted the token of nobody.
    pub(super) fn proves_nothing(&mut self, generation: u64) {
        let proof = self
            .slot
            .spec_of(generation)
            .and_then(|spec| Proof::of(spec));
        let Some(proof) = proof.filter(|_| self.doubt.generation == generation) else {
            return;
        };
        let text = proof.is_worth_nothing();
        let pid = self.child(generation).map_or(0, |child| child.pid);
        self.doubt.trouble = Some(Trouble {
            kind: "prove".into(),
            text: text.clone(),
        });
        self.remark(pid, text);
        self.publish();
    }
}
