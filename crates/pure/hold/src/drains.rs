//! Generations that are being drained: what of this worker's requests finished at them, what was cut.

use crate::view::Slot;

/// Nothing of this worker is left at a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// The generation.
    pub generation: u64,
    /// Requests that finished since the drain began.
    pub finished: u64,
    /// Requests that were cut since.
    pub cut: u64,
}

#[derive(Debug)]
struct Drain {
    slot: usize,
    sum: Drained,
    reported: bool,
}

/// Those of one target.
#[derive(Debug, Default)]
pub(crate) struct Drains(Vec<Drain>);

impl Drains {
    /// The generations of a slot that are drained from now on; others of it are over.
    pub(crate) fn want(&mut self, at: usize, wanted: [Option<u64>; 2]) {
        let is_wanted = |drain: &Drain| wanted.contains(&Some(drain.sum.generation));
        self.0.retain(|drain| drain.slot != at || is_wanted(drain));
        for generation in wanted.into_iter().flatten() {
            if !self
                .0
                .iter()
                .any(|drain| drain.slot == at && drain.sum.generation == generation)
            {
                self.0.push(Drain {
                    slot: at,
                    sum: Drained {
                        generation,
                        finished: 0,
                        cut: 0,
                    },
                    reported: false,
                });
            }
        }
    }

    /// A request of this slot and generation has come to its end.
    pub(crate) fn landed(&mut self, slot: usize, generation: u64, cut: bool) {
        for drain in &mut self.0 {
            if (drain.slot, drain.sum.generation) == (slot, generation) {
                match cut {
                    true => drain.sum.cut += 1,
                    false => drain.sum.finished += 1,
                }
            }
        }
    }

    /// The keeper's connection is gone; a new one will be told again what was reported.
    pub(crate) fn lost(&mut self, at: usize) {
        for drain in self.0.iter_mut().filter(|drain| drain.slot == at) {
            drain.reported = false;
        }
    }

    /// One that has come to its end, once.
    pub(crate) fn report(&mut self, at: usize, slot: &Slot) -> Option<Drained> {
        let drain = self.0.iter_mut().find(|drain| {
            drain.slot == at && !drain.reported && slot.in_flight(drain.sum.generation) == 0
        })?;
        drain.reported = true;
        Some(drain.sum)
    }

    /// Whether somebody waits for the end of one.
    pub(crate) fn any(&self, at: usize) -> bool {
        self.0
            .iter()
            .any(|drain| drain.slot == at && !drain.reported)
    }
}
