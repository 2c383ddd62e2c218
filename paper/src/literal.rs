//! The paper's Algorithms 2, 4 and 5 to the letter, by the room that keeps them for study, and counted.

use std::time::{Duration, Instant};

use keyway_carriers::paper::{DIGITS, Draws, MasterKey, Offer};
use keyway_chain::Chain;

use crate::random::Stream;

/// One negotiation in eight digits, with both secrets.
#[derive(Clone, Copy, Debug)]
pub struct Literal {
    /// What the initiator pays.
    pub offer: Offer,
    /// Draws of it.
    pub draws: Draws,
    /// The initiator's secret.
    pub a: u64,
    /// The responder's secret.
    pub b: u64,
    /// B.
    pub answer: u64,
    /// Modular exponentiations for A and for B.
    pub powers: [u64; 2],
    /// The time of Algorithm 2, and of the receiver's part of Algorithm 4.
    pub times: [Duration; 2],
}

/// The paper's L, below which the room draws secrets again: each number above it that is drawn is one exponentiation.
const LEAST_SECRET: u64 = 1_000;

impl Literal {
    /// Drawn from a stream.
    pub fn new(stream: &mut Stream) -> Self {
        let least = Chain::regtest().dust_p2wpkh();
        loop {
            let started = Instant::now();
            let (a, offer, draws) = Offer::draw(DIGITS, least, |bound| stream.below(bound));
            let drawn = started.elapsed();
            let mut powers = [u64::from(draws.shares), 0];
            let started = Instant::now();
            let answer = offer.answer(least, |bound| {
                let number = stream.below(bound);
                powers[1] += u64::from(number > LEAST_SECRET);
                number
            });
            // A generator of a handful of numbers may have none over the dust limit.
            if let Some((b, answer)) = answer {
                let times = [drawn, started.elapsed()];
                return Self { offer, draws, a, b, answer, powers, times };
            }
        }
    }

    /// Algorithm 5 on both sides: two exponentiations.
    pub fn keys(&self) -> [MasterKey; 2] {
        [self.offer.master_key(self.a, self.answer), self.offer.master_key(self.b, self.offer.share)]
    }
}
