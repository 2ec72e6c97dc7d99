//! How much may wait in one worker, and how much of it may be one client's.

use std::collections::BTreeMap;

use crate::limits::{CLIENT_SHARE_PERCENT, WAITING_BYTES_MAX, WAITING_MAX};

/// A client as bounds know it: its address as 16 bytes (IPv4 mapped), zero for a Unix peer.
pub type Client = [u8; 16];

#[derive(Debug, Default, Clone, Copy)]
struct Share {
    count: u32,
    bytes: u64,
}

/// What waits in all queues of one worker.
#[derive(Debug)]
pub struct Room {
    count_max: u32,
    bytes_max: u64,
    all: Share,
    clients: BTreeMap<Client, Share>,
}

impl Default for Room {
    fn default() -> Room {
        Room::new(WAITING_MAX, WAITING_BYTES_MAX)
    }
}

impl Room {
    /// Room for `count_max` requests of `bytes_max` bytes together.
    pub fn new(count_max: u32, bytes_max: u64) -> Room {
        Room {
            count_max,
            bytes_max,
            all: Share::default(),
            clients: BTreeMap::new(),
        }
    }

    /// Requests that wait.
    pub fn waiting(&self) -> u32 {
        self.all.count
    }

    /// Bytes that they take.
    pub fn bytes(&self) -> u64 {
        self.all.bytes
    }

    fn fits(&self, client: &Client, count: u32, bytes: u64) -> bool {
        let mine = self.clients.get(client).copied().unwrap_or_default();
        let count_share = (u64::from(self.count_max) * CLIENT_SHARE_PERCENT / 100).max(1);
        // Divided first: the bound is an operator's, and may be the largest number.
        let bytes_share = self.bytes_max / 100 * CLIENT_SHARE_PERCENT;
        self.all.count.saturating_add(count) <= self.count_max
            && self.all.bytes.saturating_add(bytes) <= self.bytes_max
            && u64::from(mine.count.saturating_add(count)) <= count_share
            && mine.bytes.saturating_add(bytes) <= bytes_share
    }

    fn add(&mut self, client: Client, count: u32, bytes: u64) -> bool {
        if !self.fits(&client, count, bytes) {
            return false;
        }
        let mine = self.clients.entry(client).or_default();
        for share in [mine, &mut self.all] {
            share.count += count;
            share.bytes += bytes;
        }
        true
    }

    /// Takes room for a request; false if a bound would be passed.
    pub(crate) fn enter(&mut self, client: Client, bytes: u64) -> bool {
        self.add(client, 1, bytes)
    }

    /// Takes room for more bytes of a request that waits.
    pub(crate) fn grow(&mut self, client: Client, bytes: u64) -> bool {
        self.add(client, 0, bytes)
    }

    /// Gives a request's room back.
    pub(crate) fn leave(&mut self, client: Client, bytes: u64) {
        if let Some(mine) = self.clients.get_mut(&client) {
            for share in [&mut *mine, &mut self.all] {
                share.count = share.count.saturating_sub(1);
                share.bytes = share.bytes.saturating_sub(bytes);
            }
            if mine.count == 0 {
                self.clients.remove(&client);
            }
        }
    }
}
