//! The lock of a payment: `A^t` is known by its hash, and t opens it.

use bitcoin::hashes::{Hash, hash160};
use bitcoin::hex::{DisplayHex, FromHex};
use keyway_script::exponent::Exponentiation;

/// The prime of ffdhe2048 (RFC 7919, A.1).
const FFDHE2048: &str = "ffffffffffffffffadf85458a2bb4a9aafdc5620273d3cf1d8b9c583ce2d3695a9e13641146433fbcc939dce249b3ef97d2fe\
                         363630c75d8f681b202aec4617ad3df1ed5d5fd65612433f51f5f066ed0856365553ded1af3b557135e7f57c935984f0c70e0e68b\
                         77e2a689daf3efe8721df158a136ade73530acca4f483a797abc0ab182b324fb61d108a94bb2c8e3fbb96adab760d7f4681d4f42a\
                         3de394df4ae56ede76372bb190b07a7c8ee0a6d709e02fce1cdf7e2ecc03404cd28342f619172fe9ce98583ff8e4f1232eef28183\
                         c3fe3b1b4c6fad733bb5fcbc2ec22005c58ef1837d1683b2c6f34a26c1b2effa886b423861285c97ffffffffffffffff";

pub fn modulus() -> Vec<u8> {
    Vec::from_hex(FFDHE2048).unwrap()
}

/// (p - 1) / 2, the order of the group that 2 generates.
pub fn order() -> Vec<u8> {
    let p = num_bigint::BigUint::from_bytes_be(&modulus());
    ((p - 1u32) / 2u32).to_bytes_be()
}

/// A share: 2 to some power.
pub fn base() -> Vec<u8> {
    power(&[2], &[0x3c; 32])
}

pub fn power(base: &[u8], exponent: &[u8]) -> Vec<u8> {
    Exponentiation::new(base, exponent, &modulus()).unwrap().compute()
}

/// `<A> <p> EXPONENT HASH160 <hash> EQUALVERIFY 1`: without the receiver's signature, which the vectors have no use for.
pub fn script(base: &[u8], t: &[u8]) -> String {
    let hash = hash160::Hash::hash(&power(base, t)).to_byte_array().to_lower_hex_string();
    let [a, p] = [base, &modulus()].map(|number| number.to_lower_hex_string());
    format!("<{a}> <{p}> EXPONENT HASH160 <{hash}> EQUALVERIFY 1")
}
