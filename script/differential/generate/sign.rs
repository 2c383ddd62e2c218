//! Signatures, of all kinds and in all forms.

use bitcoin::secp256k1::rand::Rng;
use bitcoin::secp256k1::rand::rngs::StdRng;
use bitcoin::secp256k1::{Message, ecdsa};
use keyway_script::opcode::{OP_CODESEPARATOR, Opcode};
use keyway_script::sighash::{self, Leaf};
use keyway_script::{Input, Spending};

use super::keys::{KEYS, Key, SECP};
use super::program::{Generation, Program, Unlock};
use super::{Case, bytes, pick};

/// What a tapscript's signatures commit to beside the transaction.
#[derive(Clone, Copy, Default)]
pub struct Context {
    pub leaf: [u8; 32],
    pub annex: Option<[u8; 32]>,
}

/// The program's items, the one that it takes first being the last. The case has all but this input's own script and
/// witness.
pub fn unlock(rng: &mut StdRng, case: &Case, program: &Program, context: Context) -> Vec<Vec<u8>> {
    let spending = Spending::new(&case.transaction, &case.prevouts).unwrap();
    let input = spending.input(case.input).unwrap();
    let script: Vec<u8> = program.tokens.iter().flat_map(|token| token.bytes.clone()).collect();
    let mut item = |unlock: &Unlock| match unlock {
        Unlock::Bytes(bytes) => bytes.clone(),
        Unlock::Signature(number, key) => {
            let (code, separator) = signed_from(program, *number);
            let leaf = Leaf { hash: context.leaf, separator };
            match program.generation {
                Generation::Tapscript => schnorr(rng, input, &KEYS[*key], context.annex, Some(leaf)),
                generation => ecdsa(rng, input, &KEYS[*key], &script[code..], generation),
            }
        }
    };
    program.unlock.iter().rev().map(&mut item).collect()
}

/// Where the code that the signature signs begins, and the place of the separator before it.
fn signed_from(program: &Program, number: usize) -> (usize, u32) {
    let (mut offset, mut from) = (0, (0, u32::MAX));
    for (place, token) in (0..).zip(&program.tokens) {
        if token.checks.contains(&number) {
            break;
        }
        offset += token.bytes.len();
        if token.taken && token.bytes.first().map(|byte| Opcode(*byte)) == Some(OP_CODESEPARATOR) {
            from = (offset, place);
        }
    }
    from
}

pub fn ecdsa(rng: &mut StdRng, input: Input<'_>, key: &Key, code: &[u8], generation: Generation) -> Vec<u8> {
    let kind = *pick(rng, &[1, 1, 1, 2, 3, 0x81, 0x82, 0x83, 0x83, 0, 4, 0x1f, 0x43, 0xff]);
    let hash = match generation {
        Generation::Legacy => {
            sighash::legacy(input.spending().transaction(), input.index(), code, u32::from(kind))
        }
        _ => sighash::segwit(input, code, u32::from(kind)),
    };
    let signature = SECP.sign_ecdsa(&Message::from_digest(hash), &key.secret);
    [written(rng, signature), vec![kind]].concat()
}

/// Mostly strict DER with a low S.
fn written(rng: &mut StdRng, signature: ecdsa::Signature) -> Vec<u8> {
    let der = signature.serialize_der().to_vec();
    match rng.gen_range(0..40) {
        0 => with_high_s(signature).serialize_der().to_vec(),
        1 => [&[0x30, der[1] + 1, 2, der[3] + 1, 0], &der[4..]].concat(),
        2 => [&[0x30, 0x81, der[1]], &der[2..]].concat(),
        3 => [der, vec![0]].concat(),
        4 => Vec::new(),
        5 => bytes(rng, 70),
        _ => der,
    }
}

fn with_high_s(signature: ecdsa::Signature) -> ecdsa::Signature {
    let mut compact = signature.serialize_compact();
    let s = bitcoin::secp256k1::SecretKey::from_slice(&compact[32..]).unwrap().negate();
    compact[32..].copy_from_slice(&s.secret_bytes());
    ecdsa::Signature::from_compact(&compact).unwrap()
}

pub fn schnorr(
    rng: &mut StdRng,
    input: Input<'_>,
    key: &Key,
    annex: Option<[u8; 32]>,
    leaf: Option<Leaf>,
) -> Vec<u8> {
    let kind = *pick(rng, &[0, 0, 0, 0, 1, 1, 2, 3, 0x81, 0x82, 0x83, 0x80, 4]);
    let hash = sighash::taproot(input, kind, annex, leaf).unwrap_or([1; 32]);
    let mut signature =
        SECP.sign_schnorr_no_aux_rand(&Message::from_digest(hash), &key.pair).serialize().to_vec();
    if kind != 0 || rng.gen_bool(0.02) {
        signature.push(kind);
    }
    match rng.gen_range(0..60) {
        0 => Vec::new(),
        1 => bytes(rng, 64),
        2 => signature[..63].to_vec(),
        _ => signature,
    }
}
