//! Telling the truth to whoever listens: connections come, are told, and go.

use super::Keeper;
use crate::links::{LINKS_MAX, Link};
use process::Event;
use wire::{Publish, Report, Role};

impl Keeper {
    pub(super) fn publish(&mut self) {
        let mut fact = self.slot.fact();
        fact.slot = self.options.slot;
        fact.seq = self.fact.seq;
        fact.counts = self.fact.counts.clone();
        if let Some(child) = self
            .children
            .iter()
            .find(|child| child.generation == fact.generation && child.pid > 0)
        {
            fact.address = child.place.address.clone();
            let trouble = child.trouble();
            let trouble = trouble.or_else(|| self.doubt.trouble(fact.generation));
            fact.trouble = trouble.cloned().map(Box::new);
        }
        if fact != self.fact {
            fact.seq += 1;
            self.fact = fact;
            for link in &mut self.links {
                if link.is(Role::Gateway) {
                    link.send(&Publish::Now {
                        fact: self.fact.clone(),
                    });
                } else if link.is(Role::Daemon) {
                    link.send(&Report::Now {
                        fact: self.fact.clone(),
                    });
                }
            }
        }
        for generation in std::mem::take(&mut self.pending_drains) {
            let gateways = self
                .links
                .iter()
                .filter(|link| link.is(Role::Gateway))
                .map(|link| link.id);
            self.drains
                .begin(generation, self.fact.seq, gateways, sys::clock::mono_ms());
        }
    }

    /// Drops dead connections and ends drains that are over.
    pub(super) fn settle(&mut self) {
        let dead: Vec<u64> = self
            .links
            .iter()
            .filter(|link| link.dead)
            .map(|link| link.id)
            .collect();
        let mut lost_daemon = false;
        for id in dead {
            lost_daemon |= self
                .links
                .iter()
                .any(|link| link.id == id && link.door == Role::Daemon);
            self.drains.gone(id);
            if let Some(counts) = self.counts.remove(&id) {
                self.counts_gone.add(&counts);
            }
            self.ops.retain(|_, (link, _)| *link != id);
        }
        self.links.retain(|link| !link.dead);
        if lost_daemon && !self.links.iter().any(|link| link.is(Role::Daemon)) {
            // Nobody is left who could answer the call that stopped it: the window does not stay open for ever.
            self.feed(Event::StopAnswered);
        }
        for (generation, took_ms) in self.drains.finished(sys::clock::mono_ms()) {
            self.report(&Report::Drain {
                in_flight: 0,
                drained: true,
                took_ms,
            });
            self.feed(Event::Drained { generation });
        }
    }

    pub(super) fn report(&mut self, report: &Report) {
        for link in self.links.iter_mut().filter(|link| link.is(Role::Daemon)) {
            link.send(report);
        }
    }

    pub(super) fn accept(&mut self, door: Role) {
        loop {
            let listener = match door {
                Role::Daemon => &self.control,
                Role::Gateway | Role::Keeper | Role::Other => &self.events,
            };
            let Ok(conn) = listener.accept() else { return };
            if self.links.iter().filter(|link| link.door == door).count() >= LINKS_MAX {
                continue; // closed at once
            }
            self.link_ids += 1;
            let mut link = Link::new(self.link_ids, door, conn);
            link.send(&wire::Hello {
                role: Role::Keeper,
                min: wire::VERSION_MIN,
                max: wire::VERSION_MAX,
                build: env!("CARGO_PKG_VERSION").into(),
                epoch: self.epoch,
                pid: std::process::id() as i32,
                slot: self.options.slot,
            });
            self.links.push(link);
        }
    }
}
