//! Diffie-Hellman modulo a safe prime (PROTOCOL.md 6.1).
//!
//! Numbers are as long as the modulus, whatever their value; only what everybody sees is computed in variable time.

use std::sync::LazyLock;

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd, Resize};
use zeroize::{Zeroize, Zeroizing};

use super::jacobi::is_square;
use super::{BadShare, Numbers, Suite, rfc7919};
use crate::kdf::hash_secret;
use crate::secret::Secret;

/// What a share's secret exponent is derived for.
pub(super) const PURPOSE: &str = "ffdh share";

/// Bytes of a secret exponent: RFC 7919 asks for 41 in its group of 4,096 bits.
pub(super) const EXPONENT_LEN: usize = 64;

/// A group whose elements are numbers modulo a safe prime: one of RFC 7919, or one that was found sound
/// ([`Numbers::check`](super::Numbers::check)).
#[derive(Clone)]
pub struct Group {
    suite: Suite,
    generator: BoxedUint,
    modulus: BoxedMontyParams,
    len: usize,
}

/// ffdhe2048.
pub(super) static FFDHE2048: LazyLock<Group> =
    LazyLock::new(|| Group::rfc7919(Suite::Ffdhe2048, rfc7919::FFDHE2048));
/// ffdhe3072.
pub(super) static FFDHE3072: LazyLock<Group> =
    LazyLock::new(|| Group::rfc7919(Suite::Ffdhe3072, rfc7919::FFDHE3072));
/// ffdhe4096.
pub(super) static FFDHE4096: LazyLock<Group> =
    LazyLock::new(|| Group::rfc7919(Suite::Ffdhe4096, rfc7919::FFDHE4096));

/// The suite's group; of a suite that has none, that of 2,048 bits.
pub(super) fn group(suite: Suite) -> &'static Group {
    match suite {
        Suite::Ffdhe4096 => &FFDHE4096,
        Suite::Ffdhe3072 => &FFDHE3072,
        _ => &FFDHE2048,
    }
}

/// A^t mod p, which says what t opens (PROTOCOL.md 7.6). Numbers are as OP_EXPONENT takes and gives them: big-endian,
/// without leading zeros.
#[derive(Clone, PartialEq, Eq)]
pub struct Power {
    suite: Suite,
    base: Vec<u8>,
    value: Vec<u8>,
}

impl Power {
    /// `share` to the power of t. Until t is published it is a secret: this takes constant time.
    pub(crate) fn new(suite: Suite, share: &[u8], t: &Secret) -> Result<Self, BadShare> {
        let group = group(suite);
        let value = group.power(group.share(share)?, &Exponent::new(t));
        Ok(Self { suite, base: minimal(share), value: minimal(&value.to_be_bytes()) })
    }

    /// Its group's.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// p.
    pub fn modulus(&self) -> Vec<u8> {
        minimal(&group(self.suite).modulus.modulus().as_ref().to_be_bytes())
    }

    /// A.
    pub fn base(&self) -> &[u8] {
        &self.base
    }

    /// A^t mod p.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// Whether this is the t.
    pub fn is_of(&self, t: &Secret) -> bool {
        let len = group(self.suite).len;
        let mut share = vec![0; len.saturating_sub(self.base.len())];
        share.extend_from_slice(&self.base);
        Self::new(self.suite, &share, t).is_ok_and(|power| power == *self)
    }
}

impl std::fmt::Debug for Power {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Power({})", self.suite)
    }
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Group({} bits, {})", 8 * self.len, self.suite)
    }
}

impl PartialEq for Group {
    fn eq(&self, other: &Self) -> bool {
        self.suite == other.suite && self.numbers() == other.numbers()
    }
}

/// Without leading zeros.
pub(super) fn minimal(number: &[u8]) -> Vec<u8> {
    number.iter().copied().skip_while(|byte| *byte == 0).collect()
}

impl Group {
    #[expect(clippy::expect_used, reason = "the primes stand in the source; a test reads each")]
    fn rfc7919(suite: Suite, prime: &str) -> Self {
        let bits = 4 * prime.len() as u32;
        let prime = BoxedUint::from_be_hex(prime, bits).into_option().expect("hexadecimal digits");
        let prime = Odd::new(prime).into_option().expect("a prime over 2 is odd");
        Self::of_sound(suite, prime, BoxedUint::from(2u8), bits as usize / 8)
    }

    /// The group of a safe prime of so many bytes and a generator below it; whoever calls has checked both.
    pub(super) fn of_sound(suite: Suite, prime: Odd<BoxedUint>, generator: BoxedUint, len: usize) -> Self {
        let generator = generator.resize(prime.bits_precision());
        Self { suite, generator, modulus: BoxedMontyParams::new_vartime(prime), len }
    }

    /// The suite whose offers are made in it.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Its modulus and generator.
    pub fn numbers(&self) -> Numbers {
        let modulus = self.modulus.modulus().as_ref().to_be_bytes();
        Numbers::of_sound(minimal(&modulus), minimal(&self.generator.to_be_bytes()))
    }

    /// A number as shares have it: as long as the modulus.
    fn padded(&self, number: &BoxedUint) -> Vec<u8> {
        let bytes = number.to_be_bytes();
        bytes.iter().copied().skip(bytes.len().saturating_sub(self.len)).collect()
    }

    fn power(&self, base: BoxedUint, exponent: &Exponent) -> BoxedUint {
        let mut power = BoxedMontyForm::new(base, &self.modulus).pow(&exponent.0);
        let value = power.retrieve();
        power.zeroize();
        value
    }

    /// A share that may be used: in the subgroup of prime order, and not 1.
    ///
    /// Of a safe prime's numbers the squares are that subgroup, so the Jacobi symbol tells. What is outside would give
    /// away whether the secret exponent is even.
    fn share(&self, bytes: &[u8]) -> Result<BoxedUint, BadShare> {
        if bytes.len() != self.len {
            return Err(BadShare::Length { suite: self.suite, expected: self.len, found: bytes.len() });
        }
        let prime = self.modulus.modulus().as_ref();
        let share = BoxedUint::from_be_slice(bytes, prime.bits_precision())
            .map_err(|_| BadShare::NoKey(self.suite))?;
        let one = BoxedUint::one_with_precision(prime.bits_precision());
        if share <= one || share >= prime.wrapping_sub(&one) {
            return Err(BadShare::SmallOrder);
        }
        match is_square(&share, self.modulus.modulus()) {
            true => Ok(share),
            false => Err(BadShare::OutsideSubgroup(self.suite)),
        }
    }
}

/// A secret exponent; it wipes itself.
struct Exponent(Zeroizing<BoxedUint>);

impl Exponent {
    #[expect(clippy::expect_used, reason = "the precision is that of the bytes")]
    fn new<const N: usize>(secret: &Secret<N>) -> Self {
        let exponent = BoxedUint::from_be_slice(secret.expose(), 8 * N as u32);
        Self(Zeroizing::new(exponent.expect("as many bits as bytes give")))
    }
}

/// One side's secret exponent, and its share.
pub(crate) struct Private {
    group: Group,
    exponent: Exponent,
    share: Vec<u8>,
}

impl Private {
    pub(super) fn new(group: &Group, secret: &Secret<EXPONENT_LEN>) -> Self {
        let exponent = Exponent::new(secret);
        let share = group.padded(&group.power(group.generator.clone(), &exponent));
        Self { group: group.clone(), exponent, share }
    }

    pub(super) fn suite(&self) -> Suite {
        self.group.suite
    }

    pub(super) fn public(&self) -> &[u8] {
        &self.share
    }

    pub(super) fn agree(&self, theirs: &[u8]) -> Result<Secret, BadShare> {
        let share = self.group.share(theirs)?;
        if theirs == self.share {
            return Err(BadShare::Reflected);
        }
        let mut shared = self.group.power(share, &self.exponent);
        let bytes = Zeroizing::new(self.group.padded(&shared));
        shared.zeroize();
        Ok(hash_secret("ffdh shared secret", &bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups() -> [&'static Group; 3] {
        [&FFDHE2048, &FFDHE3072, &FFDHE4096]
    }

    fn private(group: &Group, byte: u8) -> Private {
        Private::new(group, &Secret::fill_with(|exponent| exponent.fill(byte)))
    }

    /// The group's prime less `less`, as a share has it.
    fn below_prime(group: &Group, less: u8) -> Vec<u8> {
        let prime = group.modulus.modulus().as_ref();
        let less = BoxedUint::from(less).resize(prime.bits_precision());
        prime.wrapping_sub(&less).to_be_bytes().into_vec()
    }

    fn small(group: &Group, value: u8) -> Vec<u8> {
        let mut bytes = vec![0; group.len];
        bytes[group.len - 1] = value;
        bytes
    }

    #[test]
    fn both_sides_reach_the_same_secret_in_every_group() {
        for group in groups() {
            let (a, b) = (private(group, 1), private(group, 2));
            let (ours, theirs) = (a.agree(b.public()).unwrap(), b.agree(a.public()).unwrap());
            assert_eq!(ours.expose(), theirs.expose());
            assert_eq!(a.public().len(), group.len);
        }
    }

    #[test]
    fn a_share_out_of_range_or_of_small_order_is_refused() {
        for group in groups() {
            let own = private(group, 1);
            for share in [small(group, 0), small(group, 1), below_prime(group, 1), below_prime(group, 0)] {
                assert_eq!(own.agree(&share).unwrap_err(), BadShare::SmallOrder);
            }
            assert_eq!(own.agree(&vec![0xff; group.len]).unwrap_err(), BadShare::SmallOrder);
        }
    }

    #[test]
    fn a_share_outside_the_subgroup_would_tell_a_bit_of_the_exponent_and_is_refused() {
        for group in groups() {
            let own = private(group, 1);
            // Of a square and its negative, one is outside: −1 is no square modulo a prime that is 3 modulo 4.
            for share in [below_prime(group, 2), below_prime(group, 4)] {
                assert_eq!(own.agree(&share).unwrap_err(), BadShare::OutsideSubgroup(group.suite));
            }
            assert!(own.agree(&small(group, 4)).is_ok());
        }
    }

    #[test]
    fn a_power_is_that_of_one_exponent_and_begins_with_no_zero() {
        for group in groups() {
            let t = |byte| Secret::fill_with(|bytes: &mut [u8; 32]| bytes.fill(byte));
            let share = private(group, 1).public().to_vec();
            let power = Power::new(group.suite, &share, &t(3)).unwrap();
            assert!(power.is_of(&t(3)) && !power.is_of(&t(4)));
            // 4 is a square, and 2^(2·3) is small enough to see.
            let three = Secret::fill_with(|bytes: &mut [u8; 32]| bytes[31] = 3);
            let small = Power::new(group.suite, &small(group, 4), &three).unwrap();
            assert_eq!((small.base(), small.value()), (&[4][..], &[64][..]));
            assert!(small.is_of(&three) && small.modulus().len() == group.len);
            assert_eq!(
                Power::new(group.suite, &[0; 3], &three).unwrap_err(),
                BadShare::Length { suite: group.suite, expected: group.len, found: 3 }
            );
        }
    }

    #[test]
    fn a_share_of_another_length_and_ones_own_are_refused() {
        for group in groups() {
            let own = private(group, 1);
            for len in [0, group.len - 1, group.len + 1] {
                let refused = own.agree(&vec![2; len]).unwrap_err();
                assert_eq!(refused, BadShare::Length { suite: group.suite, expected: group.len, found: len });
            }
            assert_eq!(own.agree(own.public()).unwrap_err(), BadShare::Reflected);
        }
    }
}
