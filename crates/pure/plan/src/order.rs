//! Who comes before whom.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use crate::model::{Key, Slot};

/// Order of starting among slots that do not depend on each other.
type Rank<'a> = (bool, i64, &'a str, i64, &'a str);

fn rank(slot: &Slot) -> Rank<'_> {
    (
        !slot.first,
        slot.group_priority,
        &slot.key.group,
        slot.priority,
        &slot.key.process,
    )
}

/// For each slot (by index) those that it directly depends on.
fn dependencies(slots: &[Slot]) -> Vec<Vec<usize>> {
    let mut by_program: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, slot) in slots.iter().enumerate() {
        by_program.entry(&slot.program).or_default().push(index);
    }
    let of = |(index, slot): (usize, &Slot)| {
        let mut all: Vec<usize> = slot
            .depends_on
            .iter()
            .filter_map(|name| by_program.get(name.as_str()))
            .flatten()
            .copied()
            .filter(|other| *other != index)
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    slots.iter().enumerate().map(of).collect()
}

/// For each slot those that it waits for before it starts.
pub fn waits_for(slots: &[Slot]) -> BTreeMap<&Key, Vec<Key>> {
    let keys = |indexes: &Vec<usize>| {
        indexes
            .iter()
            .map(|index| slots[*index].key.clone())
            .collect()
    };
    dependencies(slots)
        .iter()
        .enumerate()
        .map(|(index, of)| (&slots[index].key, keys(of)))
        .collect()
}

/// For each slot those that have to be down before it is stopped.
pub fn dependants(slots: &[Slot]) -> BTreeMap<&Key, Vec<Key>> {
    let mut all: BTreeMap<&Key, Vec<Key>> =
        slots.iter().map(|slot| (&slot.key, Vec::new())).collect();
    for (index, of) in dependencies(slots).iter().enumerate() {
        for other in of {
            if let Some(list) = all.get_mut(&slots[*other].key) {
                list.push(slots[index].key.clone());
            }
        }
    }
    all
}

/// The slots in the order in which they are started: gateways, then by priority, each behind what it depends on.
pub fn start_order(slots: &[Slot]) -> Vec<&Slot> {
    let dependencies = dependencies(slots);
    let mut missing: Vec<usize> = dependencies.iter().map(Vec::len).collect();
    let mut waiting: Vec<Vec<usize>> = vec![Vec::new(); slots.len()];
    for (index, of) in dependencies.iter().enumerate() {
        for other in of {
            waiting[*other].push(index);
        }
    }
    let mut free: BinaryHeap<Reverse<(Rank<'_>, usize)>> = (0..slots.len())
        .filter(|index| missing[*index] == 0)
        .map(|index| Reverse((rank(&slots[index]), index)))
        .collect();
    let mut order = Vec::with_capacity(slots.len());
    let mut placed = vec![false; slots.len()];
    while let Some(Reverse((_, index))) = free.pop() {
        placed[index] = true;
        order.push(&slots[index]);
        for other in &waiting[index] {
            missing[*other] -= 1;
            if missing[*other] == 0 {
                free.push(Reverse((rank(&slots[*other]), *other)));
            }
        }
    }
    let mut rest: Vec<&Slot> = slots
        .iter()
        .zip(placed)
        .filter(|(_, placed)| !placed)
        .map(|(slot, _)| slot)
        .collect();
    rest.sort_by_key(|slot| rank(slot));
    order.extend(rest);
    order
}

/// The waves in which everything is stopped; the next begins when the one before is down. Gateways, then groups from the
/// highest priority number to the lowest (Supervisor's order; groups of one priority together), dependants before what
/// they depend on.
pub fn shutdown_waves(slots: &[Slot]) -> Vec<Vec<Key>> {
    let dependants = dependants(slots);
    let mut left: BTreeSet<&Key> = slots.iter().map(|slot| &slot.key).collect();
    let mut waves = Vec::new();
    while !left.is_empty() {
        let is_free = |slot: &&Slot| {
            left.contains(&slot.key) && !dependants[&slot.key].iter().any(|key| left.contains(key))
        };
        let mut free: Vec<&Slot> = slots.iter().filter(is_free).collect();
        if free.is_empty() {
            free = slots
                .iter()
                .filter(|slot| left.contains(&slot.key))
                .collect();
        }
        let level = |slot: &Slot| (slot.first, slot.group_priority);
        let Some(next) = free.iter().map(|slot| level(slot)).max() else {
            break;
        };
        free.retain(|slot| level(slot) == next);
        free.sort_by_key(|slot| Reverse(rank(slot)));
        for slot in &free {
            left.remove(&slot.key);
        }
        waves.push(free.into_iter().map(|slot| slot.key.clone()).collect());
    }
    waves
}
