//! A set that says "no" fast.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;
use hashbrown::HashSet;

/// A set of byte strings for looking up thousands of strings of which next to none is in it. A
/// small Bloom filter that stays in the processor's cache answers nearly all of them; the set
/// itself, spread over megabytes, is asked about the rest.
#[derive(Clone)]
pub(crate) struct Sieved<T> {
    pub(crate) entries: HashSet<T, RandomState>,
    sieve: Sieve,
}

impl<T> Default for Sieved<T> {
    fn default() -> Self {
        Self { entries: HashSet::default(), sieve: Sieve::default() }
    }
}

impl<T: Borrow<[u8]> + Eq + Hash> Sieved<T> {
    pub(crate) fn insert(&mut self, entry: T) -> bool {
        if self.entries.len() >= self.sieve.capacity() {
            self.sieve = Sieve::for_twice(self.entries.len());
            self.entries.iter().for_each(|entry| self.sieve.insert(entry.borrow()));
        }
        self.sieve.insert(entry.borrow());
        self.entries.insert(entry)
    }

    /// The sieve keeps its bits: one removed entry costs a look-up in the set, at worst.
    pub(crate) fn remove(&mut self, entry: &[u8]) -> bool {
        self.entries.remove(entry)
    }

    #[inline]
    pub(crate) fn contains(&self, entry: &[u8]) -> bool {
        self.sieve.may_contain(entry) && self.look_up(entry)
    }

    /// Apart, so that the caller's loop stays small.
    #[cold]
    #[inline(never)]
    fn look_up(&self, entry: &[u8]) -> bool {
        self.entries.contains(entry)
    }
}

/// A Bloom filter whose three bits for an entry lie in one word: one memory access per look-up, and none for what has a
/// length that no entry has.
#[derive(Clone, Default)]
struct Sieve {
    words: Vec<u64>,
    keys: [u64; 2],
    /// A bit for each length of entries; the last for all that are longer.
    lengths: u64,
}

impl Sieve {
    /// With so many entries in a word, one look-up in 40 passes wrongly; right after growing, with
    /// half as many, one in 250.
    const ENTRIES_PER_WORD: usize = 7;

    fn for_twice(entries: usize) -> Self {
        let words = (2 * entries).max(64) / Self::ENTRIES_PER_WORD;
        let random = RandomState::default();
        Self {
            words: vec![0; words.next_power_of_two()],
            keys: [random.hash_one("sieve, first"), random.hash_one("sieve, second")],
            lengths: 0,
        }
    }

    fn capacity(&self) -> usize {
        self.words.len() * Self::ENTRIES_PER_WORD
    }

    fn insert(&mut self, entry: &[u8]) {
        self.lengths |= Self::length(entry);
        if let Some((place, bits)) = self.place(entry)
            && let Some(word) = self.words.get_mut(place)
        {
            *word |= bits;
        }
    }

    #[inline]
    fn may_contain(&self, entry: &[u8]) -> bool {
        if self.lengths & Self::length(entry) == 0 {
            return false;
        }
        match self.place(entry) {
            Some((place, bits)) => self.words.get(place).is_some_and(|word| word & bits == bits),
            None => true,
        }
    }

    #[inline]
    fn length(entry: &[u8]) -> u64 {
        1 << entry.len().min(63)
    }

    /// Which word, and which bits of it; `None` for what is too short to be sieved.
    ///
    /// Sixteen bytes are enough: in every form of script and in outpoints they are of a hash or a
    /// key. Strangers can copy those of a watched script and vary the rest; that costs a look-up in
    /// the set. More they cannot do, because they do not know the keys.
    #[inline]
    fn place(&self, entry: &[u8]) -> Option<(usize, u64)> {
        let front = u64::from_le_bytes(*entry.get(2..)?.first_chunk()?) ^ self.keys[0];
        let back = u64::from_le_bytes(*entry.last_chunk()?) ^ self.keys[1];
        let product = u128::from(front) * u128::from(back);
        let hash = (product >> 64) as u64 ^ product as u64;
        let bits = 1 << (hash & 63) | 1 << (hash >> 6 & 63) | 1 << (hash >> 12 & 63);
        Some(((hash >> 32) as usize & self.words.len().wrapping_sub(1), bits))
    }
}
