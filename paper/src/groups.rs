//! Numbers for groups, and one exponentiation in them, which everything else is measured in.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd, Resize};
use keyway_chain::Height;
use keyway_protocol::message::Carrier;
use keyway_protocol::prekey::{Condition, PrekeySecret};
use keyway_protocol::suite::{Numbers, Suite};

use crate::pairs::Member;
use crate::random::Stream;
use crate::statistics::least;

/// Bytes of a secret exponent (PROTOCOL.md 6.1).
const EXPONENT_LEN: usize = 64;

/// The modulus of one of RFC 7919's suites with 2, as a group that an offer brings: read off an offer to a prekey, whose
/// lock names it.
pub fn rfc7919(suite: Suite, stream: &mut Stream) -> Result<Numbers> {
    let (mut car, charger) = (Member::new("car", stream)?, Member::new("charger", stream)?);
    let context = car.context_with(&charger, Carrier::Dynamic, stream);
    let prekey = PrekeySecret::from_secret(stream.secret()).public(suite);
    let (secret, timeout) = (car.next_secret()?, Height::new(1_000));
    let draft = keyway_protocol::negotiation::Draft::to_prekey(context, suite, &prekey, timeout, &secret)?;
    let first = draft.first().context("an offer to a prekey has a first secret")?;
    match first.condition(draft.offer())? {
        Condition::Power(power) => Ok(Numbers::new(&power.modulus(), &[2])?),
        Condition::Hash(_) => Err(anyhow!("{suite} has no modulus")),
    }
}

/// The least time of one exponentiation with a secret exponent of 512 bits, by the library that the suites use.
pub fn one_power(numbers: &Numbers, runs: usize, stream: &mut Stream) -> Result<Duration> {
    let modulus = BoxedUint::from_be_slice_vartime(numbers.modulus());
    let modulus = Odd::new(modulus).into_option().context("a prime over 2 is odd")?;
    let params = BoxedMontyParams::new_vartime(modulus.clone());
    let exponent = BoxedUint::from_be_slice_vartime(&stream.bytes::<EXPONENT_LEN>());
    let base = BoxedUint::from_be_slice_vartime(&stream.bytes::<32>()).resize(modulus.bits_precision());
    let run = || {
        let started = Instant::now();
        std::hint::black_box(BoxedMontyForm::new(base.clone(), &params).pow(&exponent).retrieve());
        started.elapsed()
    };
    Ok(least((0..runs).map(|_| run()).collect()))
}
