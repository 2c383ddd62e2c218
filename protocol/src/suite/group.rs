//! Groups that come from outside: how their numbers are written, and when they may be used (PROTOCOL.md 6.1.1).
//!
//! Whoever makes a group may have made it weak: a modulus that only looks prime, or one with `p − 1` made of small factors,
//! gives the secrets of all who use it away. So numbers are just numbers until [`Numbers::check`] has found them sound; only
//! that makes a [`Group`], and nothing secret meets numbers that are none.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{LazyLock, Mutex, PoisonError};

use bitcoin::Txid;
use bitcoin::hex::DisplayHex;
use crypto_bigint::{BoxedUint, NonZero, Odd, Resize};
use crypto_primes::hazmat::{LucasCheck, MillerRabin, SelfridgeBase, lucas_test};
use thiserror::Error;

use super::Suite;
use super::ffdh::{Group, minimal};
use super::jacobi::is_square;
use crate::kdf::hash;

/// The fewest bits of a modulus.
pub const LEAST_BITS: u32 = 2_048;
/// The most bits of a modulus.
pub const MOST_BITS: u32 = 4_096;

/// Blocks that the transaction of a published group lies below the offer that names it, at least.
pub const GROUP_DEPTH: u32 = 6;

const MOST_LEN: usize = MOST_BITS as usize / 8;

/// Bases of Miller and Rabin's test: of a composite number at most one in four passes, so one that passes all of these is
/// found by 2^128 trials.
const ROUNDS: u8 = 64;

/// Modulus p and generator g of a group, big-endian and without leading zeros; p has [`LEAST_BITS`] to [`MOST_BITS`] bits.
/// Nothing else is said of them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Numbers {
    p: Vec<u8>,
    g: Vec<u8>,
}

/// Bytes of the numbers that an offer brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupLen {
    /// Of p, and so of each share.
    pub modulus: usize,
    /// Of g.
    pub generator: usize,
}

/// A group by the transaction that published it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Published {
    /// The transaction.
    pub txid: Txid,
    /// [`Numbers::digest`] of what it holds: the transcript binds p and g by it.
    pub digest: [u8; 32],
}

impl Published {
    /// Bytes of the reference in an offer.
    pub const LEN: usize = 64;
}

/// Numbers that are no group to be used; whoever made them is at fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadGroup {
    /// Its discrete logarithms are within reach.
    #[error("its modulus has {0} bits, and is weak: at least {LEAST_BITS} are needed")]
    TooSmall(u32),
    /// Nobody computes with it.
    #[error("its modulus has {0} bits, and at most {MOST_BITS} are taken")]
    TooLarge(u64),
    /// Not the one way to write it.
    #[error("its numbers begin with zeros")]
    LeadingZeros,
    /// No prime.
    #[error("its modulus is even, and so no prime")]
    Even,
    /// 0, or not below the modulus.
    #[error("its generator is 0, or not below its modulus")]
    GeneratorOutOfRange,
    /// 1 or −1.
    #[error("its generator is 1 or p - 1, and generates no more than two numbers")]
    GeneratorOfSmallOrder,
    /// Not in the subgroup of prime order.
    #[error("its generator is no square, so that each share tells whether its exponent is even")]
    GeneratorOutsideSubgroup,
    /// No prime.
    #[error("its modulus is composite: whoever knows the factors computes discrete logarithms")]
    Composite,
    /// A prime maybe, and no safe one.
    #[error(
        "its modulus is no safe prime: (p - 1)/2 is composite, and discrete logarithms are as easy as its factors are small"
    )]
    NotSafe,
    /// Not those that the offer names.
    #[error("the published numbers are not those that the offer names")]
    NotThose,
}

/// Text that holds no numbers.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BadNumbers {
    /// Neither a number nor a comment.
    #[error("line {0} is neither `p = HEX` nor `g = HEX` nor a comment")]
    Line(usize),
    /// One of them is not there, or there twice.
    #[error("`{0} = HEX` must be there once")]
    Once(char),
    /// They are no group's.
    #[error("{0}")]
    Group(#[from] BadGroup),
}

impl Numbers {
    /// From their bytes.
    ///
    /// # Errors
    /// [`BadGroup`]: too small, too large, not in the one form. Of what is too large nothing is looked at.
    pub fn new(p: &[u8], g: &[u8]) -> Result<Self, BadGroup> {
        if p.len() > MOST_LEN {
            return Err(BadGroup::TooLarge(8 * p.len() as u64));
        }
        if p.first() == Some(&0) || g.first() == Some(&0) {
            return Err(BadGroup::LeadingZeros);
        }
        let bits = 8 * p.len() as u32 - p.first().map_or(0, |first| first.leading_zeros());
        if bits < LEAST_BITS {
            return Err(BadGroup::TooSmall(bits));
        }
        if !(1..=p.len()).contains(&g.len()) {
            return Err(BadGroup::GeneratorOutOfRange);
        }
        Ok(Self { p: p.to_vec(), g: g.to_vec() })
    }

    pub(super) fn of_sound(p: Vec<u8>, g: Vec<u8>) -> Self {
        Self { p, g }
    }

    /// p.
    pub fn modulus(&self) -> &[u8] {
        &self.p
    }

    /// g.
    pub fn generator(&self) -> &[u8] {
        &self.g
    }

    /// Bits of p.
    pub fn bits(&self) -> u32 {
        8 * self.p.len() as u32 - self.p.first().map_or(0, |first| first.leading_zeros())
    }

    /// Bytes of both.
    pub fn lengths(&self) -> GroupLen {
        GroupLen { modulus: self.p.len(), generator: self.g.len() }
    }

    /// Names them: PROTOCOL.md 6.1.1.
    pub fn digest(&self) -> [u8; 32] {
        hash("group", &[&self.p, &self.g])
    }

    /// The group, if it may be used: the cheap questions first, and nothing asked twice in a process.
    ///
    /// Of 4,096 bits it may take some seconds, once.
    ///
    /// # Errors
    /// [`BadGroup`] says why not.
    pub fn check(&self, suite: Suite) -> Result<Group, BadGroup> {
        let modulus = self.odd_modulus()?;
        let generator = BoxedUint::from_be_slice_vartime(&self.g).resize(modulus.bits_precision());
        once(self.digest(), || self.sound(&modulus, &generator))?;
        Ok(Group::of_sound(suite, modulus, generator, self.p.len()))
    }

    fn odd_modulus(&self) -> Result<Odd<BoxedUint>, BadGroup> {
        let modulus = BoxedUint::from_be_slice_vartime(&self.p);
        Odd::new(modulus).into_option().ok_or(BadGroup::Even)
    }

    fn sound(&self, modulus: &Odd<BoxedUint>, generator: &BoxedUint) -> Result<(), BadGroup> {
        check_generator(modulus.as_ref(), generator)?;
        // p and (p - 1)/2 both odd: p is 3 modulo 4. Of 256 each power is 1 modulo 3.
        let is_3_modulo_4 = self.p.last().is_some_and(|last| last & 3 == 3);
        let is_0_modulo_3 = self.p.iter().map(|&byte| u32::from(byte)).sum::<u32>().is_multiple_of(3);
        if is_0_modulo_3 {
            return Err(BadGroup::Composite);
        }
        if !is_3_modulo_4 {
            return Err(BadGroup::NotSafe);
        }
        if !is_square(generator, modulus) {
            return Err(BadGroup::GeneratorOutsideSubgroup);
        }
        self.check_primes(modulus)
    }

    /// Once q = (p − 1)/2 is prime, 2^(p − 1) = 1 modulo p and 3 not dividing p prove p prime (Pocklington), so all doubt
    /// is about q.
    fn check_primes(&self, modulus: &Odd<BoxedUint>) -> Result<(), BadGroup> {
        if MillerRabin::new(modulus.clone()).test_base_two().is_composite() {
            return Err(BadGroup::Composite);
        }
        let half =
            Odd::new(modulus.as_ref().wrapping_shr_vartime(1)).into_option().ok_or(BadGroup::NotSafe)?;
        let test = MillerRabin::new(half.clone());
        if test.test_base_two().is_composite()
            || lucas_test(half.clone(), SelfridgeBase, LucasCheck::Strong).is_composite()
        {
            return Err(BadGroup::NotSafe);
        }
        let below = NonZero::new(half.get()).into_option().ok_or(BadGroup::NotSafe)?;
        match (0..ROUNDS).all(|round| test.test(&self.base(round, &below)).is_probably_prime()) {
            true => Ok(()),
            false => Err(BadGroup::NotSafe),
        }
    }

    /// Bases follow from the numbers themselves, so that every reader refuses the same groups. Nobody chooses a modulus for
    /// bases that are known only when it is chosen.
    fn base(&self, round: u8, below: &NonZero<BoxedUint>) -> BoxedUint {
        let len = self.p.len() + 16;
        let parts = (0..=u8::MAX).map(|part| hash("primality base", &[&self.p, &[round], &[part]]));
        let bytes: Vec<u8> = parts.flatten().take(len).collect();
        BoxedUint::from_be_slice_vartime(&bytes).rem_vartime(below)
    }
}

fn check_generator(modulus: &BoxedUint, generator: &BoxedUint) -> Result<(), BadGroup> {
    let one = BoxedUint::one_with_precision(modulus.bits_precision());
    if generator >= modulus || *generator < one {
        return Err(BadGroup::GeneratorOutOfRange);
    }
    if *generator == one || *generator == modulus.wrapping_sub(&one) {
        return Err(BadGroup::GeneratorOfSmallOrder);
    }
    Ok(())
}

/// Groups whose outcome is remembered; then all are forgotten.
const MOST_KNOWN: usize = 1 << 12;

/// What came of checking groups, by their digests.
type Outcomes = HashMap<[u8; 32], Result<(), BadGroup>>;

fn once(digest: [u8; 32], check: impl FnOnce() -> Result<(), BadGroup>) -> Result<(), BadGroup> {
    static KNOWN: LazyLock<Mutex<Outcomes>> = LazyLock::new(Mutex::default);
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(outcome) = known().get(&digest) {
        return *outcome;
    }
    let outcome = check();
    let mut known = known();
    if known.len() >= MOST_KNOWN {
        known.clear();
    }
    known.insert(digest, outcome);
    outcome
}

/// Takes groups for sound that were found so before, by their [`Numbers::digest`]: only for what a party has kept itself.
pub fn take_for_sound(digests: impl IntoIterator<Item = [u8; 32]>) {
    for digest in digests {
        // What is known already stays as it is.
        let _ = once(digest, || Ok(()));
    }
}

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Numbers({} bits, {})", self.bits(), self.digest().as_hex())
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# A group for Diffie-Hellman: p has {} bits, g generates its squares.", self.bits())?;
        writeln!(f, "p = {}", self.p.as_hex())?;
        writeln!(f, "g = {}", self.g.as_hex())
    }
}

impl FromStr for Numbers {
    type Err = BadNumbers;

    fn from_str(text: &str) -> Result<Self, BadNumbers> {
        let [mut p, mut g] = [None, None];
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let (name, digits) = line.split_once('=').ok_or(BadNumbers::Line(number))?;
            let (name, place) = match name.trim() {
                "p" => ('p', &mut p),
                "g" => ('g', &mut g),
                _ => return Err(BadNumbers::Line(number)),
            };
            let value = from_hex(digits).ok_or(BadNumbers::Line(number))?;
            if place.replace(value).is_some() {
                return Err(BadNumbers::Once(name));
            }
        }
        let (p, g) = (p.ok_or(BadNumbers::Once('p'))?, g.ok_or(BadNumbers::Once('g'))?);
        Ok(Self::new(&p, &g)?)
    }
}

/// Digits as people write them: spaces, colons and leading zeros say nothing.
fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.chars().filter(|digit| !digit.is_whitespace() && *digit != ':');
    let digits: Option<Vec<u8>> = digits.map(|digit| Some(digit.to_digit(16)? as u8)).collect();
    let digits = digits?;
    let odd = digits.len() % 2;
    let padded: Vec<u8> = std::iter::repeat_n(0, odd).chain(digits).collect();
    let bytes: Vec<u8> = padded.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect();
    Some(minimal(&bytes))
}
