//! Ways to make a transaction seem to speak for somebody, all really signed (PROTOCOL.md 5).

use bitcoin::consensus::{deserialize, serialize};
use bitcoin::hashes::{Hash, hash160, sha256d};
use bitcoin::secp256k1::{Keypair, Message, SecretKey, ecdsa::Signature};
use bitcoin::sighash::{Prevouts, SighashCache, TapSighashType};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, EcdsaSighashType, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness, script,
};
use keyway_protocol::authorship::{Authored, NotAuthored};
use keyway_protocol::identity::PartyKey;
use proptest::prelude::*;

use crate::common::{Party, SECP, car, charger, coin, mallory, unsigned};

/// What every coin in these tests holds.
pub const AMOUNT: Amount = Amount::from_sat(250_000);

fn author(tx: &Transaction) -> Result<PartyKey, NotAuthored> {
    Authored::verify(tx, AMOUNT).map(|authored| authored.author())
}

/// Two inputs and two outputs to the charger, unsigned.
pub fn payment() -> Transaction {
    unsigned(&[coin(1), coin(2)], &charger().key().script(), &[100_000, 140_000])
}

/// The payment with both inputs signed by the car.
pub fn signed() -> Transaction {
    let (mut tx, car) = (payment(), car());
    for index in [0, 1] {
        car.sign(&mut tx, index, AMOUNT, EcdsaSighashType::All);
    }
    tx
}

/// A witness of input 0 with these elements.
pub fn with_witness(elements: &[&[u8]]) -> Transaction {
    let mut tx = payment();
    tx.input[0].witness = Witness::from_slice(elements);
    tx
}

/// DER of any two integers, well formed only if they are.
pub fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| [&[2, u8::try_from(bytes.len()).unwrap()], bytes].concat();
    let integers = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(integers.len()).unwrap()], &integers[..]].concat()
}

/// r and s as DER integers: without leading zeros, but with one where the sign bit would be set.
pub fn integers(signature: &Signature) -> [Vec<u8>; 2] {
    let compact = signature.serialize_compact();
    [&compact[..32], &compact[32..]].map(|half| {
        let digits: Vec<u8> = half.iter().copied().skip_while(|byte| *byte == 0).collect();
        if digits[0] & 0x80 == 0 { digits } else { [vec![0], digits].concat() }
    })
}

/// A signature by the car of the payment with any sighash byte, which the digest contains.
pub fn with_sighash_byte(byte: u8) -> Transaction {
    let (car, tx) = (car(), payment());
    let mut preimage = Vec::new();
    let code = car.key().script().p2wpkh_script_code().unwrap();
    SighashCache::new(&tx)
        .segwit_v0_encode_signing_data_to(&mut preimage, 0, &code, AMOUNT, EcdsaSighashType::All)
        .unwrap();
    let end = preimage.len() - 4;
    preimage[end] = byte;
    let digest = Message::from_digest(sha256d::Hash::hash(&preimage).to_byte_array());
    let signature = SECP.sign_ecdsa(&digest, &car.secret_key());
    let element = [&signature.serialize_der()[..], &[byte]].concat();
    with_witness(&[&element, &car.key().to_bytes()])
}

/// The payment signed by the car with the higher one of the two s that are valid.
pub fn with_high_s() -> Transaction {
    let (car, tx) = (car(), payment());
    let mut compact = car.signature(&tx, 0, AMOUNT, EcdsaSighashType::All).serialize_compact();
    let high = SecretKey::from_slice(&compact[32..]).unwrap().negate();
    compact[32..].copy_from_slice(&high[..]);
    let high = Signature::from_compact(&compact).unwrap();
    with_witness(&[&[&high.serialize_der()[..], &[1]].concat(), &car.key().to_bytes()])
}

#[test]
fn a_transaction_speaks_for_whoever_signed_its_first_input_whole() {
    let (tx, car) = (signed(), car());
    let authored = Authored::verify(&tx, AMOUNT).unwrap();
    assert_eq!((authored.author(), authored.input0()), (car.key(), coin(1)));
    assert_eq!(authored.txid(), tx.compute_txid());
    assert_eq!(authored.outpoint(1), OutPoint::new(tx.compute_txid(), 1));
}

#[test]
fn other_inputs_may_be_of_anybody_and_in_any_form() {
    let mut tx = signed();
    mallory().sign(&mut tx, 1, AMOUNT, EcdsaSighashType::NonePlusAnyoneCanPay);
    assert_eq!(author(&tx), Ok(car().key()));
    tx.input[1].witness = Witness::new();
    assert_eq!(author(&tx), Ok(car().key()));
}

#[test]
fn anothers_key_beside_ones_own_signature_does_not_speak() {
    let (car, mallory) = (car(), mallory());
    let mut tx = payment();
    mallory.sign(&mut tx, 0, AMOUNT, EcdsaSighashType::All);
    let signature = tx.input[0].witness.nth(0).unwrap().to_vec();
    for key in [car.key(), charger().key()] {
        let tx = with_witness(&[&signature, &key.to_bytes()]);
        assert_eq!(author(&tx), Err(NotAuthored::WrongSignature));
    }
    assert_eq!(author(&tx), Ok(mallory.key()), "she speaks for herself alone");
}

#[test]
fn a_signature_over_the_victims_script_by_the_attackers_key_does_not_speak() {
    let (car, mallory, tx) = (car(), mallory(), payment());
    let mut cache = SighashCache::new(&tx);
    let digest = cache.p2wpkh_signature_hash(0, &car.key().script(), AMOUNT, EcdsaSighashType::All).unwrap();
    let signature = SECP.sign_ecdsa(&Message::from_digest(digest.to_byte_array()), &mallory.secret_key());
    let signature = bitcoin::ecdsa::Signature::sighash_all(signature).to_vec();
    for key in [car.key(), mallory.key()] {
        let tx = with_witness(&[&signature, &key.to_bytes()]);
        assert_eq!(author(&tx), Err(NotAuthored::WrongSignature));
    }
}

#[test]
fn with_input_0_of_another_a_coin_of_the_victim_at_input_1_says_nothing() {
    let (car, mallory, mut tx) = (car(), mallory(), payment());
    mallory.sign(&mut tx, 0, AMOUNT, EcdsaSighashType::All);
    car.sign(&mut tx, 1, AMOUNT, EcdsaSighashType::All);
    assert_eq!(author(&tx), Ok(mallory.key()));
    // Nor do her inputs in the other order: the car signed them in this one.
    tx.input.swap(0, 1);
    assert_eq!(author(&tx), Err(NotAuthored::WrongSignature));
    // Nor her coin in front of what the car had signed alone.
    let mut alone = payment();
    alone.input.truncate(1);
    car.sign(&mut alone, 0, AMOUNT, EcdsaSighashType::All);
    alone.input.push(TxIn { previous_output: coin(9), ..TxIn::default() });
    assert_eq!(author(&alone), Err(NotAuthored::WrongSignature));
    alone.input.swap(0, 1);
    assert_eq!(author(&alone), Err(NotAuthored::NotP2wpkh));
}

#[test]
fn a_signature_that_leaves_anything_open_does_not_speak() {
    use EcdsaSighashType::*;
    for open in [None, Single, AllPlusAnyoneCanPay, NonePlusAnyoneCanPay, SinglePlusAnyoneCanPay] {
        let (car, mut tx) = (car(), payment());
        car.sign(&mut tx, 0, AMOUNT, open);
        assert_eq!(author(&tx), Err(NotAuthored::OpenSighash(open)));
        // Called SIGHASH_ALL afterwards it is a signature of something else.
        let signature = car.signature(&tx, 0, AMOUNT, open);
        let relabelled = [&signature.serialize_der()[..], &[1]].concat();
        let tx = with_witness(&[&relabelled, &car.key().to_bytes()]);
        assert_eq!(author(&tx), Err(NotAuthored::WrongSignature));
    }
}

#[test]
fn a_sighash_byte_that_consensus_knows_and_nobody_uses_does_not_speak() {
    // Consensus reads each of these as one of the six, and hashes the byte itself.
    for byte in (0..=u8::MAX).filter(|byte| ![1, 2, 3, 0x81, 0x82, 0x83].contains(byte)) {
        assert_eq!(author(&with_sighash_byte(byte)), Err(NotAuthored::MalformedSignature), "{byte:#04x}");
    }
    assert_eq!(author(&with_sighash_byte(1)), Ok(car().key()));
}

#[test]
fn a_signature_with_high_s_does_not_speak() {
    assert_eq!(author(&with_high_s()), Err(NotAuthored::MalformedSignature));
}

#[test]
fn a_signature_that_is_not_strict_der_does_not_speak() {
    let (car, mut tx) = (car(), payment());
    // One whose r needs its leading zero, so that every mangling below applies.
    let (signature, [r, s]) = (0..)
        .map(|lock_time| {
            tx.lock_time = bitcoin::absolute::LockTime::from_consensus(lock_time);
            let signature = car.signature(&tx, 0, AMOUNT, EcdsaSighashType::All);
            (signature, integers(&signature))
        })
        .find(|(_, [r, _])| r[0] == 0)
        .unwrap();
    let speaks = |encoded: &[u8]| {
        let mut tx = tx.clone();
        tx.input[0].witness = Witness::from_slice(&[&[encoded, &[1]].concat(), &car.key().to_bytes()[..]]);
        author(&tx)
    };
    let good = der(&r, &s);
    assert_eq!(good, signature.serialize_der()[..]);
    assert_eq!(speaks(&good), Ok(car.key()));

    let changed = |at: usize, byte: u8| {
        let mut changed = good.clone();
        changed[at] = byte;
        changed
    };
    let long_form = [&[0x30, 0x81, good[1]], &good[2..]].concat();
    let malformed = [
        vec![],
        good[..good.len() - 1].to_vec(),
        [&good[..], &[0]].concat(),
        [&[0x30, good[1] + 1], &good[2..], &[0]].concat(),
        [&[0x30, 0x80], &good[2..], &[0, 0]].concat(),
        long_form,
        der(&[&[0], &r[..]].concat(), &s),
        der(&r, &[&[0], &s[..]].concat()),
        der(&[], &s),
        der(&r, &[]),
        changed(0, 0x31),
        changed(1, good[1] - 1),
        changed(2, 3),
        signature.serialize_compact().to_vec(),
    ];
    for encoded in malformed {
        assert_eq!(speaks(&encoded), Err(NotAuthored::MalformedSignature), "{encoded:02x?}");
    }
    // A number without its leading zero is negative, hence no part of any signature.
    assert!(speaks(&der(&r[1..], &s)).is_err());
    assert!(speaks(&der(&[0], &s)).is_err());
    assert!(speaks(&der(&[&[1], &r[1..]].concat(), &s)).is_err());
}

#[test]
fn a_witness_of_another_number_of_elements_does_not_speak() {
    let (car, whole) = (car(), signed());
    let elements: Vec<Vec<u8>> = whole.input[0].witness.to_vec();
    let (signature, key) = (&elements[0][..], &elements[1][..]);
    let wrong: [&[&[u8]]; 7] = [
        &[],
        &[signature],
        &[key],
        &[signature, key, b"offer"],
        &[b"", signature, key],
        &[signature, key, b""],
        &[signature, signature, key, key],
    ];
    for elements in wrong {
        assert_eq!(author(&with_witness(elements)), Err(NotAuthored::NotP2wpkh));
    }
    assert_eq!(author(&with_witness(&[signature, key])), Ok(car.key()));
    assert_eq!(author(&with_witness(&[key, signature])), Err(NotAuthored::InvalidKey));
    assert_eq!(author(&with_witness(&[b"", key])), Err(NotAuthored::MalformedSignature));
    assert_eq!(author(&with_witness(&[&[1], key])), Err(NotAuthored::MalformedSignature));
    assert_eq!(author(&with_witness(&[signature, b""])), Err(NotAuthored::InvalidKey));
}

#[test]
fn a_nested_p2wpkh_coin_does_not_speak_though_the_same_digest_is_signed() {
    let mut tx = signed();
    let program = car().key().script();
    tx.input[0].script_sig = script::Builder::new()
        .push_slice(script::PushBytesBuf::try_from(program.into_bytes()).unwrap())
        .into_script();
    assert_eq!(author(&tx), Err(NotAuthored::NotP2wpkh));
    tx.input[0].script_sig = ScriptBuf::from_bytes(vec![0x51]);
    assert_eq!(author(&tx), Err(NotAuthored::NotP2wpkh));
}

#[test]
fn a_signature_over_another_amount_does_not_speak() {
    let tx = signed();
    for sat in [0, AMOUNT.to_sat() - 1, AMOUNT.to_sat() + 1, u64::MAX] {
        let refused = Authored::verify(&tx, Amount::from_sat(sat)).map(|authored| authored.author());
        assert_eq!(refused, Err(NotAuthored::WrongSignature), "{sat}");
    }
}

#[test]
fn nothing_that_carries_message_bytes_can_be_changed_afterwards() {
    let other = mallory().key().script();
    type Change<'a> = &'a dyn Fn(&mut Transaction);
    let changes: [(&str, Change); 14] = [
        ("an amount", &|tx| tx.output[0].value += Amount::from_sat(1)),
        ("the last amount", &|tx| tx.output[1].value -= Amount::from_sat(1)),
        ("a script", &|tx| tx.output[1].script_pubkey = other.clone()),
        ("the order of outputs", &|tx| tx.output.swap(0, 1)),
        ("an output more", &|tx| tx.output.push(TxOut { value: Amount::ZERO, script_pubkey: other.clone() })),
        ("an output less", &|tx| drop(tx.output.pop())),
        ("no output at all", &|tx| tx.output.clear()),
        ("input 0's sequence", &|tx| tx.input[0].sequence = Sequence(0x8000_0001)),
        ("input 1's sequence", &|tx| tx.input[1].sequence = Sequence::MAX),
        ("input 0's coin", &|tx| tx.input[0].previous_output.vout += 1),
        ("input 1's coin", &|tx| tx.input[1].previous_output.txid = Txid::all_zeros()),
        ("an input less", &|tx| drop(tx.input.pop())),
        ("the lock time", &|tx| tx.lock_time = bitcoin::absolute::LockTime::from_consensus(1)),
        ("the version", &|tx| tx.version = Version::ONE),
    ];
    for (what, change) in changes {
        let mut tx = signed();
        change(&mut tx);
        assert_eq!(author(&tx), Err(NotAuthored::WrongSignature), "{what}");
    }
}

#[test]
fn a_signature_copied_from_another_transaction_does_not_speak() {
    let witness = signed().input[0].witness.clone();
    let mut other = unsigned(&[coin(7)], &mallory().key().script(), &[240_000]);
    other.input[0].witness = witness;
    assert_eq!(author(&other), Err(NotAuthored::WrongSignature));
}

#[test]
fn a_coinbase_and_a_transaction_without_inputs_speak_for_nobody() {
    let (car, mut tx) = (car(), payment());
    tx.input.clear();
    assert_eq!(author(&tx), Err(NotAuthored::NoInput));
    let mut coinbase = unsigned(&[OutPoint::null()], &car.key().script(), &[5_000_000_000]);
    car.sign(&mut coinbase, 0, AMOUNT, EcdsaSighashType::All);
    assert!(coinbase.is_coinbase());
    assert_eq!(author(&coinbase), Err(NotAuthored::NoInput));
}

#[test]
fn an_uncompressed_or_hybrid_key_does_not_speak() {
    let (car, tx) = (car(), payment());
    let uncompressed = car.key().to_public_key().serialize_uncompressed();
    let hybrid = [&[6 | uncompressed[64] & 1], &uncompressed[1..]].concat();
    for key in [&uncompressed[..], &hybrid] {
        let program = ScriptBuf::new_p2wpkh(&bitcoin::WPubkeyHash::hash(key));
        let mut cache = SighashCache::new(&tx);
        let digest = cache.p2wpkh_signature_hash(0, &program, AMOUNT, EcdsaSighashType::All).unwrap();
        let signature = SECP.sign_ecdsa(&Message::from_digest(digest.to_byte_array()), &car.secret_key());
        let element = bitcoin::ecdsa::Signature::sighash_all(signature).to_vec();
        assert_eq!(author(&with_witness(&[&element, key])), Err(NotAuthored::InvalidKey));
    }
}

/// The signature element of a P2WSH spend.
fn sign_p2wsh(party: &Party, tx: &Transaction, script: &ScriptBuf) -> Vec<u8> {
    let mut cache = SighashCache::new(tx);
    let digest = cache.p2wsh_signature_hash(0, script, AMOUNT, EcdsaSighashType::All).unwrap();
    let signature = SECP.sign_ecdsa(&Message::from_digest(digest.to_byte_array()), &party.secret_key());
    bitcoin::ecdsa::Signature::sighash_all(signature).to_vec()
}

#[test]
fn a_p2wsh_coin_does_not_speak_whatever_its_script() {
    let (car, tx) = (car(), payment());
    let key = car.key().to_bytes();
    let pay_to_key = ScriptBuf::from_bytes([&[33], &key[..], &[0xac]].concat());
    let signature = sign_p2wsh(car, &tx, &pay_to_key);
    let spent = with_witness(&[&signature, pay_to_key.as_bytes()]);
    assert_eq!(author(&spent), Err(NotAuthored::InvalidKey));
    // The script code of P2WPKH as a script of its own: the digest is the same, the witness is not.
    let hash = hash160::Hash::hash(&key).to_byte_array();
    let as_p2wpkh = ScriptBuf::from_bytes([&[0x76, 0xa9, 20], &hash[..], &[0x88, 0xac]].concat());
    let signature = sign_p2wsh(car, &tx, &as_p2wpkh);
    let spent = with_witness(&[&signature, &key, as_p2wpkh.as_bytes()]);
    assert_eq!(author(&spent), Err(NotAuthored::NotP2wpkh));
    // A coin of anybody whose script happens to be the bytes of the car's key asks for no signature of it.
    let signature = sign_p2wsh(mallory(), &tx, &ScriptBuf::from_bytes(key.to_vec()));
    assert_eq!(author(&with_witness(&[&signature, &key])), Err(NotAuthored::WrongSignature));
}

#[test]
fn a_taproot_coin_does_not_speak_by_key_nor_by_script() {
    let (car, tx) = (car(), payment());
    let (internal, _) = car.key().to_public_key().x_only_public_key();
    let coin = TxOut { value: AMOUNT, script_pubkey: ScriptBuf::new_p2tr(&SECP, internal, None) };
    let coins = [coin.clone(), coin];
    let mut cache = SighashCache::new(&tx);
    let digest =
        cache.taproot_key_spend_signature_hash(0, &Prevouts::All(&coins), TapSighashType::Default).unwrap();
    let pair = Keypair::from_secret_key(&SECP, &car.secret_key());
    let signature = SECP.sign_schnorr_no_aux_rand(&Message::from_digest(digest.to_byte_array()), &pair);
    let signature = signature.serialize();
    assert_eq!(author(&with_witness(&[&signature])), Err(NotAuthored::NotP2wpkh));
    let annex = [&[0x50], &car.key().to_bytes()[1..]].concat();
    assert_eq!(author(&with_witness(&[&signature, &annex])), Err(NotAuthored::InvalidKey));
    let control = [&[0xc0], &internal.serialize()[..]].concat();
    assert_eq!(author(&with_witness(&[&[0x51], &control])), Err(NotAuthored::InvalidKey));
    // A coin that anybody can spend, with the car's key and a Schnorr signature of it in the witness.
    let borrowed = with_witness(&[&[&signature[..], &[1]].concat(), &car.key().to_bytes()]);
    assert_eq!(author(&borrowed), Err(NotAuthored::MalformedSignature));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_changed_bit_leaves_another_transaction_speaking_for_its_author(bit in any::<prop::sample::Index>()) {
        let tx = signed();
        let mut bytes = serialize(&tx);
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(changed) = deserialize::<Transaction>(&bytes) {
            let speaks = author(&changed) == Ok(car().key());
            prop_assert!(!speaks || changed.compute_txid() == tx.compute_txid());
        }
    }

    #[test]
    fn no_witness_makes_the_reader_panic(
        elements in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..4),
        key in any::<bool>(),
    ) {
        let (car, mut elements) = (car(), elements);
        if key {
            elements.truncate(1);
            elements.push(car.key().to_bytes().to_vec());
        }
        let elements: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
        prop_assert!(author(&with_witness(&elements)).is_err());
    }
}
