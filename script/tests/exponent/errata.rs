//! The lock script of the paper's section 4.3, read literally, and what an observer of the chain makes of it
//! (docs/ERRATA.md, 3).

use keyway_script::asm::assemble;
use keyway_script::instruction::Instructions;
use keyway_script::{Flags, ScriptError};

use crate::lock;
use crate::spend::Leaf;
use bitcoin::hashes::{Hash, hash160};
use bitcoin::hex::DisplayHex;

/// The secret exponents of the two.
const ALICES: [u8; 32] = [0x3c; 32];
const BOBS: [u8; 32] = [0x77; 32];
/// The group's generator.
const G: &[u8] = &[2];

/// g^a and g^b, and what both sides compute from them.
struct Agreement {
    alices: Vec<u8>,
    bobs: Vec<u8>,
    mk: Vec<u8>,
}

fn agreement() -> Agreement {
    let (alices, bobs) = (lock::power(G, &ALICES), lock::power(G, &BOBS));
    let mk = lock::power(&alices, &BOBS);
    assert_eq!(mk, lock::power(&bobs, &ALICES));
    Agreement { alices, bobs, mk }
}

/// Everything that the transaction shows to whoever reads it: what unlocks, and what the script pushes.
fn seen(stack: &[Vec<u8>], script: &str) -> Vec<Vec<u8>> {
    let script = assemble(script).unwrap();
    let instructions = Instructions::new(script.as_bytes()).map(|instruction| instruction.unwrap());
    let pushes = instructions.map(|instruction| instruction.push.to_vec());
    stack.iter().cloned().chain(pushes).filter(|item| !item.is_empty()).collect()
}

/// Tries each item as an exponent to each, and says whether the key comes out.
fn finds(items: &[Vec<u8>], mk: &[u8]) -> bool {
    let bases = items.iter().filter(|item| **item < lock::modulus() || item.len() < 256);
    let is_key = |base: &Vec<u8>| items.iter().any(|exponent| lock::power(base, exponent) == mk);
    items.iter().any(|item| item == mk) || bases.clone().any(is_key)
}

fn hex(bytes: &[u8]) -> String {
    bytes.to_lower_hex_string()
}

fn verify(stack: &[Vec<u8>], script: &str) -> Result<(), ScriptError> {
    Leaf::new(stack, &assemble(script).unwrap()).verify(Flags::CONSENSUS | Flags::EXPONENT)
}

#[test]
fn with_alices_exponent_in_the_lock_whoever_reads_it_has_the_key() {
    let Agreement { bobs, mk, .. } = agreement();
    let [a, p, hash] = [&ALICES[..], &lock::modulus(), &hash160::Hash::hash(&mk).to_byte_array()].map(hex);
    let script = format!("<{a}> SWAP <{p}> EXPONENT DUP HASH160 <{hash}> EQUALVERIFY");
    let stack = [bobs];
    assert_eq!(verify(&stack, &script), Ok(()));
    assert!(finds(&seen(&stack, &script), &mk));
}

#[test]
fn with_bobs_exponent_unlocking_it_whoever_reads_it_has_the_key() {
    let Agreement { alices, mk, .. } = agreement();
    let [a, p, hash] = [&alices[..], &lock::modulus(), &hash160::Hash::hash(&mk).to_byte_array()].map(hex);
    let script = format!("<{a}> <{p}> EXPONENT DUP HASH160 <{hash}> EQUALVERIFY");
    let stack = [BOBS.to_vec()];
    assert_eq!(verify(&stack, &script), Ok(()));
    assert!(finds(&seen(&stack, &script), &mk));
}

#[test]
fn what_its_checksig_takes_for_a_key_is_the_secret_and_any_signature_passes() {
    let Agreement { alices, mk, .. } = agreement();
    let [a, p, hash] = [&alices[..], &lock::modulus(), &hash160::Hash::hash(&mk).to_byte_array()].map(hex);
    let script = format!("<{a}> <{p}> EXPONENT DUP HASH160 <{hash}> EQUALVERIFY CHECKSIG");
    let no_signature = b"anything".to_vec();
    assert_eq!(verify(&[no_signature, BOBS.to_vec()], &script), Ok(()));
}

#[test]
fn with_a_number_made_for_the_lock_nobody_else_has_the_key() {
    let Agreement { alices, bobs, mk } = agreement();
    // Both can make it; it says nothing of what it is made of.
    let t = hash160::Hash::hash(&[b"a lock of its own", &mk[..]].concat()).to_byte_array().to_vec();
    let script = lock::script(&alices, &t);
    let stack = [t];
    assert_eq!(verify(&stack, &script), Ok(()));
    let mut items = seen(&stack, &script);
    items.push(bobs);
    assert!(!finds(&items, &mk));
}
