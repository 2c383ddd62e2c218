//! Randomness that follows from a seed: hashes of a counter, so that no library's next version changes a run.

use keyway_protocol::hash;
use keyway_protocol::secret::Secret;

/// One sequence for each purpose: what is drawn for one leaves the others as they are.
#[derive(Debug)]
pub struct Stream {
    seed: [u8; 8],
    label: String,
    count: u64,
    block: [u8; 32],
    left: usize,
}

impl Stream {
    /// The sequence of that name.
    pub fn new(seed: u64, label: &str) -> Self {
        Self { seed: seed.to_be_bytes(), label: label.to_owned(), count: 0, block: [0; 32], left: 0 }
    }

    /// The next bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.left == 0 {
                let parts = [&self.seed[..], self.label.as_bytes(), &self.count.to_be_bytes()];
                self.block = hash("paper walk", &parts);
                (self.count, self.left) = (self.count + 1, self.block.len());
            }
            self.left -= 1;
            *byte = self.block.get(self.left).copied().unwrap_or_default();
        }
    }

    /// As many bytes as asked for.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// The same as a secret.
    pub fn secret(&mut self) -> Secret {
        Secret::fill_with(|bytes| self.fill(bytes))
    }

    /// A number below `bound`, each as likely as the others but for one in 2^32.
    pub fn below(&mut self, bound: u64) -> u64 {
        u64::from_be_bytes(self.bytes()) % bound.max(1)
    }
}
