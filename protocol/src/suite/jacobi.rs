//! The Jacobi symbol of public numbers: whether a share lies in the subgroup (docs/decisions/0092).

use std::cmp::Ordering;

use crypto_bigint::{BoxedUint, Odd};

/// Whether the Jacobi symbol of `number` over `modulus` is 1: over a prime, whether it is a square and not 0. In variable time.
pub(super) fn is_square(number: &BoxedUint, modulus: &Odd<BoxedUint>) -> bool {
    let (mut a, mut n) = (Natural::new(number), Natural::new(modulus.as_ref()));
    let mut negative = false;
    while !a.is_zero() {
        // (2/n) is −1 where n is 3 or 5 modulo 8.
        negative ^= a.strip_twos() % 2 == 1 && matches!(n.low() % 8, 3 | 5);
        if a < n {
            // Reciprocity: (a/n) = (n/a), but for a and n that both are 3 modulo 4.
            std::mem::swap(&mut a, &mut n);
            negative ^= a.low() % 4 == 3 && n.low() % 4 == 3;
        }
        a.subtract(&n);
    }
    // What is left is the greatest divisor of both.
    n.0 == [1] && !negative
}

/// Limbs, the lowest first and the highest not 0: there are fewer of them as the number shrinks.
#[derive(PartialEq, Eq)]
struct Natural(Vec<u64>);

impl Natural {
    fn new(number: &BoxedUint) -> Self {
        let mut bytes = number.to_be_bytes().into_vec();
        bytes.reverse();
        let limb = |bytes: &[u8]| bytes.iter().rev().fold(0, |limb, &byte| limb << 8 | u64::from(byte));
        let mut natural = Self(bytes.chunks(8).map(limb).collect());
        natural.trim();
        natural
    }

    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn low(&self) -> u64 {
        self.0.first().copied().unwrap_or_default()
    }

    /// Halves it until it is odd, and says how often, less an even number. It must not be 0.
    fn strip_twos(&mut self) -> u32 {
        let zeros = self.0.iter().take_while(|&&limb| limb == 0).count();
        self.0.drain(..zeros);
        let twos = self.low().trailing_zeros();
        if twos > 0 {
            let mut from_above = 0;
            for limb in self.0.iter_mut().rev() {
                let below = *limb << (u64::BITS - twos);
                *limb = *limb >> twos | from_above;
                from_above = below;
            }
            self.trim();
        }
        twos
    }

    /// Takes away what is not more.
    fn subtract(&mut self, less: &Self) {
        let mut borrow = false;
        let mut limbs = self.0.iter_mut();
        for (less, limb) in less.0.iter().zip(limbs.by_ref()) {
            let (difference, below) = limb.overflowing_sub(*less);
            let (difference, below_again) = difference.overflowing_sub(u64::from(borrow));
            (*limb, borrow) = (difference, below | below_again);
        }
        while let Some(limb) = limbs.next().filter(|_| borrow) {
            (*limb, borrow) = limb.overflowing_sub(1);
        }
        self.trim();
    }
}

impl PartialOrd for Natural {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Natural {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }
}

#[cfg(test)]
mod tests {
    use crypto_bigint::{JacobiSymbol, U128, U2048, Uint};
    use proptest::prelude::*;

    use super::*;

    fn library<const LIMBS: usize>(number: &[u8], modulus: &[u8]) -> bool {
        let modulus = Odd::new(Uint::<LIMBS>::from_be_slice(modulus)).unwrap();
        let symbol = Uint::<LIMBS>::from_be_slice(number).jacobi_symbol_vartime(&modulus);
        symbol == JacobiSymbol::One
    }

    fn ours(number: &[u8], modulus: &[u8]) -> bool {
        let boxed = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, 8 * bytes.len() as u32).unwrap();
        is_square(&boxed(number), &Odd::new(boxed(modulus)).unwrap())
    }

    /// Bytes of a number: any, or with runs of zeros and ones, where limbs vanish and borrows go far.
    fn bytes(len: usize) -> impl Strategy<Value = Vec<u8>> {
        let run = (any::<bool>(), 1..40usize).prop_map(|(ones, len)| vec![if ones { 0xff } else { 0 }; len]);
        let part = prop_oneof![run, prop::collection::vec(any::<u8>(), 1..20)];
        let parts = prop::collection::vec(part, len).prop_map(move |parts| {
            let mut bytes = parts.concat();
            bytes.truncate(len);
            bytes
        });
        prop_oneof![parts, prop::collection::vec(any::<u8>(), len)]
    }

    fn odd(len: usize) -> impl Strategy<Value = Vec<u8>> {
        bytes(len).prop_map(|mut bytes| {
            bytes.last_mut().into_iter().for_each(|last| *last |= 1);
            bytes
        })
    }

    proptest! {
        #[test]
        fn the_symbol_is_the_librarys(number in bytes(256), modulus in odd(256)) {
            prop_assert_eq!(ours(&number, &modulus), library::<{ U2048::LIMBS }>(&number, &modulus));
        }

        #[test]
        fn the_symbol_of_multiples_and_short_numbers_is_the_librarys(number in bytes(16), modulus in odd(16), times in 0..9u8) {
            let product = U128::from_be_slice(&modulus).wrapping_mul(&U128::from(times)).to_be_bytes();
            for number in [number.as_slice(), product.as_ref()] {
                prop_assert_eq!(ours(number, &modulus), library::<{ U128::LIMBS }>(number, &modulus));
            }
        }
    }

    #[test]
    fn of_every_small_number_the_squares_are_found() {
        for prime in [3u64, 5, 7, 11, 13, 17, 19, 23, 29, 31, 127, 251] {
            let squares: Vec<u64> = (1..prime).map(|root| root * root % prime).collect();
            let modulus = Odd::new(BoxedUint::from(prime)).unwrap();
            for number in 0..3 * prime {
                let expected = squares.contains(&(number % prime));
                assert_eq!(
                    is_square(&BoxedUint::from(number), &modulus),
                    expected,
                    "{number} modulo {prime}"
                );
            }
        }
    }
}
