//! The handshake before a signal: every gateway acknowledges, every gateway reports empty, or time is up.

/// A gateway that has not acknowledged by then is dead or hung; the process is not kept waiting for it.
pub(crate) const ACKNOWLEDGE_MS: u64 = 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Asked,
    Acknowledged,
}

/// One generation being drained.
#[derive(Debug)]
pub(crate) struct Drain {
    generation: u64,
    seq: u64,
    begun_ms: u64,
    waiting: Vec<(u64, Stage)>,
}

/// All drains of a slot: at most one per generation.
#[derive(Debug, Default)]
pub(crate) struct Drains(Vec<Drain>);

impl Drains {
    /// `seq` is the fact that closed it, `gateways` the connections it was published to.
    pub(crate) fn begin(
        &mut self,
        generation: u64,
        seq: u64,
        gateways: impl Iterator<Item = u64>,
        now_ms: u64,
    ) {
        self.0.retain(|drain| drain.generation != generation);
        let waiting = gateways.map(|gateway| (gateway, Stage::Asked)).collect();
        self.0.push(Drain {
            generation,
            seq,
            begun_ms: now_ms,
            waiting,
        });
    }

    pub(crate) fn acknowledged(&mut self, gateway: u64, seq: u64) {
        for drain in self.0.iter_mut().filter(|drain| seq >= drain.seq) {
            for (known, stage) in &mut drain.waiting {
                if *known == gateway {
                    *stage = Stage::Acknowledged;
                }
            }
        }
    }

    pub(crate) fn drained(&mut self, gateway: u64, generation: u64) {
        for drain in self
            .0
            .iter_mut()
            .filter(|drain| drain.generation == generation)
        {
            drain.waiting.retain(|(known, _)| *known != gateway);
        }
    }

    pub(crate) fn gone(&mut self, gateway: u64) {
        for drain in &mut self.0 {
            drain.waiting.retain(|(known, _)| *known != gateway);
        }
    }

    /// Gives up gateways that did not acknowledge; returns the generations that are done and how long they took.
    pub(crate) fn finished(&mut self, now_ms: u64) -> Vec<(u64, u64)> {
        for drain in &mut self.0 {
            if now_ms >= drain.begun_ms + ACKNOWLEDGE_MS {
                drain
                    .waiting
                    .retain(|(_, stage)| *stage == Stage::Acknowledged);
            }
        }
        let done = |drain: &Drain| drain.waiting.is_empty();
        let finished = self.0.iter().filter(|drain| done(drain));
        let finished = finished
            .map(|drain| (drain.generation, now_ms - drain.begun_ms))
            .collect();
        self.0.retain(|drain| !done(drain));
        finished
    }

    /// The process of this generation is gone.
    pub(crate) fn forget(&mut self, generation: u64) {
        self.0.retain(|drain| drain.generation != generation);
    }

    pub(crate) fn timer(&self) -> Option<u64> {
        let asked = |drain: &&Drain| {
            drain
                .waiting
                .iter()
                .any(|(_, stage)| *stage == Stage::Asked)
        };
        self.0
            .iter()
            .filter(asked)
            .map(|drain| drain.begun_ms + ACKNOWLEDGE_MS)
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_gateways_it_is_over_at_once() {
        let mut drains = Drains::default();
        drains.begin(1, 5, [].into_iter(), 100);
        assert_eq!(drains.finished(100), [(1, 0)]);
        assert_eq!(drains.finished(100), []);
    }

    #[test]
    fn each_gateway_must_acknowledge_within_a_second_and_report_empty() {
        let mut drains = Drains::default();
        drains.begin(1, 5, [7, 8, 9].into_iter(), 100);
        drains.acknowledged(7, 4);
        drains.acknowledged(8, 5);
        drains.gone(9);
        assert_eq!(
            (drains.finished(1_099), drains.timer()),
            (vec![], Some(1_100))
        );
        assert_eq!((drains.finished(1_100), drains.timer()), (vec![], None));
        drains.drained(8, 1);
        assert_eq!(drains.finished(1_200), [(1, 1_100)]);
    }
}
