//! The arithmetic against another library.

use keyway_script::ScriptError;
use keyway_script::exponent::{Exponentiation, MAX_OPERAND_SIZE};
use num_bigint::BigUint;
use proptest::prelude::*;

fn number(most: usize) -> impl Strategy<Value = BigUint> {
    proptest::collection::vec(any::<u8>(), 0..=most).prop_map(|bytes| BigUint::from_bytes_be(&bytes))
}

/// Without leading zeros, zero being nothing.
pub fn bytes_of(number: &BigUint) -> Vec<u8> {
    if *number == BigUint::ZERO { Vec::new() } else { number.to_bytes_be() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_result_is_that_of_another_library(
        base in number(140), exponent in number(20), modulus in number(140), word in any::<bool>(),
    ) {
        let modulus = modulus * 2u32 + 3u32;
        let base = if word { base % (u64::MAX - 58) } else { base } % &modulus;
        let [b, e, m] = [&base, &exponent, &modulus].map(bytes_of);
        let found = Exponentiation::new(&b, &e, &m).unwrap().compute();
        prop_assert_eq!(found, bytes_of(&base.modpow(&exponent, &modulus)));
    }

    #[test]
    fn operands_of_any_bytes_are_computed_or_refused_and_a_result_is_below_its_modulus(
        base in proptest::collection::vec(any::<u8>(), 0..70),
        exponent in proptest::collection::vec(any::<u8>(), 0..5),
        modulus in proptest::collection::vec(any::<u8>(), 0..70),
    ) {
        if let Ok(operation) = Exponentiation::new(&base, &exponent, &modulus) {
            let result = operation.compute();
            prop_assert!((result.len(), &result) < (modulus.len(), &modulus));
            prop_assert_ne!(result.first(), Some(&0));
            prop_assert!(operation.price() > 0);
        }
    }
}

#[test]
fn every_length_of_modulus_gives_the_right_result() {
    for length in 1..=MAX_OPERAND_SIZE {
        let modulus = BigUint::from_bytes_be(&vec![0xff; length]);
        let (base, exponent) = (&modulus - 2u32, BigUint::from(65_537u32));
        let [b, e, m] = [&base, &exponent, &modulus].map(bytes_of);
        let found = Exponentiation::new(&b, &e, &m).unwrap().compute();
        assert_eq!(found, bytes_of(&base.modpow(&exponent, &modulus)), "{length} bytes");
    }
}

#[test]
fn a_longer_exponent_or_modulus_never_costs_less() {
    let price = |modulus: usize, exponent: usize| {
        let operands = [vec![0xff; exponent], vec![0xff; modulus]];
        Exponentiation::new(&[1], &operands[0], &operands[1]).unwrap().price()
    };
    for length in 2..=MAX_OPERAND_SIZE {
        assert!(price(length, 32) >= price(length - 1, 32));
        assert!(price(256, length) > price(256, length - 1));
    }
}

#[test]
fn what_is_wrong_with_operands_is_said_in_the_order_of_the_document() {
    let refusal = |base: &[u8], exponent: &[u8], modulus: &[u8]| {
        Exponentiation::new(base, exponent, modulus).map(drop).unwrap_err()
    };
    let long = [0; MAX_OPERAND_SIZE + 1];
    assert_eq!(refusal(&[0], &long, &[2]), ScriptError::ExponentOperandSize);
    assert_eq!(refusal(&[9], &[0], &[2]), ScriptError::ExponentLeadingZero);
    assert_eq!(refusal(&[9], &[1], &[2]), ScriptError::ExponentModulus);
    assert_eq!(refusal(&[9], &[1], &[9]), ScriptError::ExponentBase);
}
