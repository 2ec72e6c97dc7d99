//! Where a slot stands among a thousand.
//!
//! Every message of a keeper asks for its slot several times. Were the list searched each time, a start of everything
//! would take time by the square of its size. What is remembered is only a guess, which is checked before it counts, so
//! nothing has to be done where slots come and go.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};

use plan::Key;

use crate::model::Slot;

/// Guesses for each slot, so that few names share one; those that do are searched for in turn.
const GUESSES: usize = 8;

/// Where names were found last, by their hashes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places(RefCell<Vec<u32>>);

/// They say nothing about the model that they belong to.
impl PartialEq for Places {
    fn eq(&self, _: &Places) -> bool {
        true
    }
}

impl Places {
    /// The place of this name in `slots`, in which a name stands once.
    pub(crate) fn find(&self, slots: &[Slot], key: &Key) -> Option<usize> {
        let is = |slot: &Slot| slot.group == key.group && slot.process == key.process;
        let mut guesses = self.0.borrow_mut();
        if guesses.len() < slots.len() * GUESSES {
            *guesses = vec![0; (slots.len() * GUESSES).next_power_of_two()];
        }
        let mut hasher = DefaultHasher::new();
        (&key.group, &key.process).hash(&mut hasher);
        let at = hasher.finish() as usize & guesses.len().saturating_sub(1);
        let guess = guesses.get_mut(at)?;
        if !slots.get(*guess as usize).is_some_and(is) {
            *guess = slots.iter().position(is)? as u32;
        }
        Some(*guess as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_found_where_it_stands_now() {
        let slot = |number: u32| Slot {
            group: "g".into(),
            process: format!("p_{number}"),
            number,
            ..Slot::default()
        };
        let places = Places::default();
        let check = |slots: &[Slot]| {
            for number in 0..300 {
                let place = places.find(slots, &Key::new("g", format!("p_{number}")));
                let wanted = slots.iter().position(|slot| slot.number == number);
                assert_eq!(place, wanted, "p_{number}");
            }
        };
        check(&[]);
        let mut slots: Vec<Slot> = (0..200).map(slot).collect();
        check(&slots);
        // Taken out, put in front, put behind, turned round.
        slots.retain(|slot| slot.number % 3 != 0);
        slots.insert(0, slot(250));
        slots.push(slot(0));
        check(&slots);
        slots.reverse();
        check(&slots);
        assert_eq!(places.find(&slots, &Key::new("gp", "_1")), None);
    }
}
