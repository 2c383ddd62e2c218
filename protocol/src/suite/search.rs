//! Making a group: the search for a safe prime (PROTOCOL.md 6.1.1; the paper's Algorithms 1 and 2).

use std::convert::Infallible;

use crypto_bigint::{BoxedUint, Odd};
use crypto_primes::hazmat::{MillerRabin, SetBits, SmallFactorsSieveFactory};
use crypto_primes::{Flavor, is_prime, sieve_and_find};
use hpke::rand_core::{TryCryptoRng, TryRng, utils};

use super::Numbers;
use super::ffdh::minimal;
use super::group::{LEAST_BITS, MOST_BITS};
use super::jacobi::is_square;

/// e to the power of −2γ, γ being Euler's constant.
const SIEVED: f64 = 0.315_2;
/// The largest prime by which the library divides before it tests.
const LARGEST_DIVISOR: f64 = 17_863.0;

/// How many candidates a search for a safe prime of so many bits tests on average: those that no small prime divides.
pub fn expected_draws(bits: u32) -> u64 {
    let ratio = f64::from(bits) * std::f64::consts::LN_2 / LARGEST_DIVISOR.ln();
    (SIEVED * ratio * ratio).round() as u64
}

/// Draws a safe prime of so many bits, brought into the range that is taken, and the least generator of its squares.
///
/// `fill` gives randomness; `draw` hears of each candidate that is tested. It takes from half a minute to an hour.
pub fn generate(bits: u32, fill: impl FnMut(&mut [u8]), draw: impl Fn()) -> Numbers {
    let prime = safe_prime(bits.clamp(LEAST_BITS, MOST_BITS), fill, draw);
    let modulus = Odd::new(prime.clone()).into_option();
    let generates = |small: u8| modulus.as_ref().is_some_and(|it| is_square(&BoxedUint::from(small), it));
    // 4 is the square of 2.
    let generator = (2..4u8).find(|&small| generates(small)).unwrap_or(4);
    Numbers::of_sound(minimal(&prime.to_be_bytes()), vec![generator])
}

#[expect(
    clippy::expect_used,
    reason = "the bits are bounded, the precision follows them, and the sieve never ends"
)]
fn safe_prime(bits: u32, fill: impl FnMut(&mut [u8]), draw: impl Fn()) -> BoxedUint {
    let factory = SmallFactorsSieveFactory::new(Flavor::Safe, bits, SetBits::Msb).expect("enough bits");
    let tested = |_: &mut Filled<_>, candidate: &BoxedUint| {
        draw();
        // Most candidates end here: half the price of asking the same of both p and (p - 1)/2.
        let odd = Odd::new(candidate.clone()).into_option();
        odd.is_some_and(|odd| MillerRabin::new(odd).test_base_two().is_probably_prime())
            && is_prime(Flavor::Safe, candidate)
    };
    sieve_and_find(&mut Filled(fill), factory, tested)
        .expect("bits that fit")
        .expect("there is always one more")
}

/// Randomness from the caller.
struct Filled<F>(F);

impl<F: FnMut(&mut [u8])> TryRng for Filled<F> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        (self.0)(dst);
        Ok(())
    }
}

impl<F: FnMut(&mut [u8])> TryCryptoRng for Filled<F> {}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Always the same bytes: a hash of how many were asked for.
    fn counted(seed: u8) -> impl FnMut(&mut [u8]) {
        let mut count = 0u8;
        move |bytes| {
            for chunk in bytes.chunks_mut(32) {
                count = count.wrapping_add(1);
                let block = crate::kdf::hash("test", &[&[seed, count]]);
                chunk.copy_from_slice(&block[..chunk.len()]);
            }
        }
    }

    #[test]
    fn a_search_ends_with_a_safe_prime_of_so_many_bits_and_counts_its_draws() {
        for (seed, bits) in [(1, 128), (2, 160), (3, 193)] {
            let draws = Cell::new(0);
            let prime = safe_prime(bits, counted(seed), || draws.set(draws.get() + 1));
            assert_eq!(prime.bit_width(), bits);
            assert!(is_prime(Flavor::Safe, &prime));
            assert!(draws.get() > 0);
        }
    }

    #[test]
    fn proposition_10_a_safe_prime_takes_about_so_many_draws() {
        // The paper's n draws for a prime of n bits are for any prime; safe ones are rarer.
        let (mut draws, runs) = (0, 60);
        for seed in 0..runs {
            let count = Cell::new(0u64);
            safe_prime(256, counted(seed), || count.set(count.get() + 1));
            draws += count.get();
        }
        let (mean, expected) = (draws / u64::from(runs), expected_draws(256));
        println!("{mean} draws on average, {expected} expected");
        assert!((expected / 2..expected * 2).contains(&mean), "{mean} draws on average, {expected} expected");
    }
}
