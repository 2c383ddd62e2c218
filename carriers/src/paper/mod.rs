//! The paper's value channel to the letter (its sections 4.1 and 4.4): numbers of eight decimal digits as amounts.
//!
//! For study alone. A prime of eight digits has at most 27 bits: [`logarithm`] opens each such negotiation from the chain
//! in a moment. Nothing here is called by what negotiates keys (docs/ERRATA.md, points 1, 4, 6 and 10).

mod arithmetic;

use bitcoin::hashes::{Hash, HashEngine, sha256};
use bitcoin::{Amount, BlockHash, TxOut};
use keyway_protocol::authorship::Authored;
use keyway_protocol::identity::PartyKey;

pub use arithmetic::{is_prime, logarithm, power};

/// Digits behind the point.
pub const DIGITS: u32 = 8;

/// What the initiator pays: A, g and p, each as that many satoshi.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// A = g^a mod p.
    pub share: u64,
    /// g.
    pub generator: u64,
    /// p.
    pub prime: u64,
}

/// Draws that ended in a number below the dust limit, and were made again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Draws {
    /// For a prime.
    pub primes: u32,
    /// For a generator and a share over the dust limit.
    pub shares: u32,
}

impl Offer {
    /// Algorithm 2 of the paper with numbers of at most so many digits, and the secret a. What would be dust is drawn again:
    /// nodes relay no output below `least`.
    ///
    /// `random` gives numbers below its argument.
    pub fn draw(digits: u32, least: Amount, mut random: impl FnMut(u64) -> u64) -> (u64, Self, Draws) {
        let bound = 10u64.pow(digits.clamp(5, DIGITS));
        let least = least.to_sat();
        let mut draws = Draws::default();
        loop {
            draws.primes += 1;
            let prime = random(bound);
            // A prime that dust can hide below leaves room for the other two.
            if prime < 4 * least || !is_prime(prime) {
                continue;
            }
            draws.shares += 1;
            let generator = random(prime);
            let (a, share) = draw_share(prime, generator, &mut random);
            if generator >= least && share >= least {
                return (a, Self { share, generator, prime }, draws);
            }
        }
    }

    /// Algorithm 4's second half: the secret b and B. `None` in a group so small that every share may be dust.
    pub fn answer(&self, least: Amount, mut random: impl FnMut(u64) -> u64) -> Option<(u64, u64)> {
        let tries = if self.prime > 2 * LEAST_SECRET { 10_000 } else { 0 };
        (0..tries)
            .map(|_| draw_share(self.prime, self.generator, &mut random))
            .find(|(_, share)| *share >= least.to_sat())
    }

    /// Algorithm 5: the master key from one side's secret and the other's share.
    pub fn master_key(&self, secret: u64, share: u64) -> MasterKey {
        MasterKey(power(share, secret, self.prime))
    }

    /// The three outputs, in the paper's order.
    pub fn outputs(&self, to: PartyKey) -> [TxOut; 3] {
        [self.share, self.generator, self.prime].map(|number| output(number, to))
    }

    /// What a transaction pays `recipient` in this way: in exactly three outputs.
    pub fn read(tx: &Authored, recipient: PartyKey) -> Option<Self> {
        let script = recipient.script();
        let mut paid = tx.tx().output.iter().filter(|output| output.script_pubkey == script);
        let mut number = || paid.next().map(|output| output.value.to_sat());
        let (share, generator, prime, more) = (number()?, number()?, number()?, number());
        let fits = more.is_none() && prime < 10u64.pow(DIGITS) && share < prime && generator < prime;
        (fits && tx.author() != recipient && is_prime(prime)).then_some(Self { share, generator, prime })
    }

    /// B, if a transaction pays the initiator in exactly one output that can be it.
    pub fn read_answer(&self, tx: &Authored, initiator: PartyKey) -> Option<u64> {
        let script = initiator.script();
        let mut paid = tx.tx().output.iter().filter(|output| output.script_pubkey == script);
        let (share, more) = (paid.next()?.value.to_sat(), paid.next());
        (more.is_none() && share < self.prime && tx.author() != initiator).then_some(share)
    }
}

/// One output of so many satoshi.
pub fn output(number: u64, to: PartyKey) -> TxOut {
    TxOut { value: Amount::from_sat(number), script_pubkey: to.script() }
}

/// The paper's L: secrets lie above it.
const LEAST_SECRET: u64 = 1_000;

fn draw_share(prime: u64, generator: u64, random: &mut impl FnMut(u64) -> u64) -> (u64, u64) {
    loop {
        let secret = random(prime);
        if secret > LEAST_SECRET {
            return (secret, power(generator, secret, prime));
        }
    }
}

/// A number of at most eight digits that anybody can compute from the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MasterKey(pub u64);

impl MasterKey {
    /// The paper's 4.4: SHA-256 of the master key, as 4 bytes, and the hash of the last block's header.
    pub fn session_key(&self, block: &BlockHash) -> [u8; 32] {
        let mut engine = sha256::Hash::engine();
        engine.input(&(self.0 as u32).to_be_bytes());
        engine.input(block.as_byte_array());
        sha256::Hash::from_engine(engine).to_byte_array()
    }
}
