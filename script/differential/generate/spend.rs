//! Outputs of every kind, and inputs that spend them.

use bitcoin::hashes::{Hash, hash160, sha256};
use bitcoin::key::{TapTweak, UntweakedPublicKey};
use bitcoin::secp256k1::rand::Rng;
use bitcoin::secp256k1::rand::rngs::StdRng;
use bitcoin::taproot::{LeafVersion, TaprootBuilder, TaprootSpendInfo};
use bitcoin::{ScriptBuf, Witness};
use keyway_script::Spending;
use keyway_script::instruction::push_of;
use keyway_script::opcode::*;
use keyway_script::taproot::leaf_hash;

use super::keys::{Form, KEYS, Key, SECP};
use super::program::{Generation, Program};
use super::sign::{self, Context};
use super::{Case, bytes, pick};

/// Gives the case's input something to spend, and spends it.
pub fn fill(rng: &mut StdRng, case: &mut Case) {
    let spend = *pick(
        rng,
        &[
            ("bare", bare as fn(&mut StdRng, &mut Case)),
            ("bare", bare),
            ("its own signature", own_signature),
            ("P2PKH", pay_to_key_hash),
            ("P2SH", script_hash),
            ("P2SH", script_hash),
            ("P2WPKH", witness_key_hash),
            ("P2WSH", witness_script_hash),
            ("P2WSH", witness_script_hash),
            ("P2WSH", witness_script_hash),
            ("P2SH-P2WPKH", wrapped_key_hash),
            ("P2SH-P2WSH", wrapped_script_hash),
            ("P2TR key path", key_path),
            ("P2TR script path", script_path),
            ("P2TR script path", script_path),
            ("P2TR script path", script_path),
            ("P2TR script path", script_path),
            ("unknown program", unknown_program),
        ],
    );
    case.kind = spend.0;
    (spend.1)(rng, case);
}

fn set_output(case: &mut Case, script: Vec<u8>) {
    case.prevouts[case.input].script_pubkey = ScriptBuf::from_bytes(script);
}

fn set_script_sig(case: &mut Case, script: Vec<u8>) {
    case.transaction.input[case.input].script_sig = ScriptBuf::from_bytes(script);
}

fn set_witness(case: &mut Case, items: Vec<Vec<u8>>) {
    case.transaction.input[case.input].witness = Witness::from_slice(&items);
}

fn script_of(program: &Program) -> Vec<u8> {
    program.tokens.iter().flat_map(|token| token.bytes.clone()).collect()
}

fn pushes(items: &[Vec<u8>]) -> Vec<u8> {
    items.iter().flat_map(|item| push_of(item)).collect()
}

/// Sometimes not pushes alone.
fn script_sig(rng: &mut StdRng, items: &[Vec<u8>]) -> Vec<u8> {
    let mut script = if rng.gen_bool(0.03) { vec![OP_NOP.0] } else { Vec::new() };
    script.extend(pushes(items));
    script
}

fn bare(rng: &mut StdRng, case: &mut Case) {
    let program = if rng.gen_bool(0.2) {
        Program::pay_to_key(rng, Generation::Legacy)
    } else {
        Program::generate(rng, Generation::Legacy)
    };
    set_output(case, script_of(&program));
    let items = sign::unlock(rng, case, &program, Context::default());
    let script_sig = script_sig(rng, &items);
    set_script_sig(case, script_sig);
}

/// A script that pushes the signature which it then checks: possible because it is deleted before it is signed.
fn own_signature(rng: &mut StdRng, case: &mut Case) {
    let key = &KEYS[rng.gen_range(0..KEYS.len())];
    let times = rng.gen_range(1..4);
    let dropped = vec![OP_DROP.0; times - 1];
    let tail = [push_of(&key.written(Form::Compressed)), vec![OP_CHECKSIG.0]].concat();
    let separated = rng.gen_bool(0.3);
    let code = if separated { tail.clone() } else { [&dropped[..], &tail].concat() };
    let own = push_of(&signature(rng, case, key, &code, Generation::Legacy)).repeat(times);
    let separator = if separated { vec![OP_CODESEPARATOR.0] } else { Vec::new() };
    set_output(case, [&own[..], &dropped, &separator, &tail].concat());
}

fn pay_to_key_hash(rng: &mut StdRng, case: &mut Case) {
    let key = &KEYS[rng.gen_range(0..KEYS.len())];
    let key_bytes = key.written(*pick(rng, &[Form::Compressed, Form::Uncompressed, Form::Hybrid]));
    let script = key_hash_script(&hash160::Hash::hash(&key_bytes).to_byte_array());
    set_output(case, script.clone());
    let signature = signature(rng, case, key, &script, Generation::Legacy);
    let script_sig = script_sig(rng, &[signature, key_bytes]);
    set_script_sig(case, script_sig);
}

fn signature(rng: &mut StdRng, case: &Case, key: &Key, script: &[u8], generation: Generation) -> Vec<u8> {
    let spending = Spending::new(&case.transaction, &case.prevouts).unwrap();
    sign::ecdsa(rng, spending.input(case.input).unwrap(), key, script, generation)
}

fn key_hash_script(hash: &[u8]) -> Vec<u8> {
    [&[OP_DUP.0, OP_HASH160.0], &push_of(hash)[..], &[OP_EQUALVERIFY.0, OP_CHECKSIG.0]].concat()
}

fn p2sh(script: &[u8]) -> Vec<u8> {
    [&[OP_HASH160.0], &push_of(hash160::Hash::hash(script).as_ref())[..], &[OP_EQUAL.0]].concat()
}

fn script_hash(rng: &mut StdRng, case: &mut Case) {
    let program = Program::generate(rng, Generation::Legacy);
    let script = script_of(&program);
    set_output(case, p2sh(&script));
    let mut items = sign::unlock(rng, case, &program, Context::default());
    items.push(script);
    let script_sig = script_sig(rng, &items);
    set_script_sig(case, script_sig);
}

/// The output of a program, bare or wrapped.
fn set_program(rng: &mut StdRng, case: &mut Case, wrapped: bool, version: u8, program: &[u8]) {
    let version = if version == 0 { 0 } else { OP_1.0 - 1 + version };
    let script = [&[version], &push_of(program)[..]].concat();
    if wrapped {
        set_output(case, p2sh(&script));
        let malleated = if rng.gen_bool(0.03) { vec![0] } else { Vec::new() };
        set_script_sig(case, [malleated, push_of(&script)].concat());
    } else {
        set_output(case, script);
    }
}

fn witness_key_hash(rng: &mut StdRng, case: &mut Case) {
    fill_key_hash(rng, case, false);
}

fn wrapped_key_hash(rng: &mut StdRng, case: &mut Case) {
    fill_key_hash(rng, case, true);
}

fn fill_key_hash(rng: &mut StdRng, case: &mut Case, wrapped: bool) {
    let key = &KEYS[rng.gen_range(0..KEYS.len())];
    let form = *pick(rng, &[Form::Compressed, Form::Compressed, Form::Compressed, Form::Uncompressed]);
    let key_bytes = key.written(form);
    let hash = hash160::Hash::hash(&key_bytes).to_byte_array();
    set_program(rng, case, wrapped, 0, &hash);
    let signature = signature(rng, case, key, &key_hash_script(&hash), Generation::Segwit);
    set_witness(case, vec![signature, key_bytes]);
}

fn witness_script_hash(rng: &mut StdRng, case: &mut Case) {
    fill_script_hash(rng, case, false);
}

fn wrapped_script_hash(rng: &mut StdRng, case: &mut Case) {
    fill_script_hash(rng, case, true);
}

fn fill_script_hash(rng: &mut StdRng, case: &mut Case, wrapped: bool) {
    let program = Program::generate(rng, Generation::Segwit);
    let script = script_of(&program);
    set_program(rng, case, wrapped, 0, sha256::Hash::hash(&script).as_ref());
    let mut items = sign::unlock(rng, case, &program, Context::default());
    items.push(script);
    set_witness(case, items);
}

fn annex(rng: &mut StdRng) -> Option<Vec<u8>> {
    rng.gen_bool(0.15).then(|| {
        let length = rng.gen_range(0..300);
        [vec![0x50], bytes(rng, length)].concat()
    })
}

fn annex_hash(annex: &[u8]) -> [u8; 32] {
    sha256::Hash::hash(&bitcoin::consensus::serialize(&annex.to_vec())).to_byte_array()
}

fn key_path(rng: &mut StdRng, case: &mut Case) {
    let key = &KEYS[rng.gen_range(0..KEYS.len())];
    let root = rng.gen_bool(0.5).then(|| bitcoin::TapNodeHash::from_byte_array(rng.r#gen()));
    let tweaked = key.pair.tap_tweak(&SECP, root).to_keypair();
    let output = Key { secret: tweaked.secret_key(), pair: tweaked };
    set_program(rng, case, false, 1, &output.written(Form::XOnly));
    let annex = annex(rng);
    let signature = {
        let spending = Spending::new(&case.transaction, &case.prevouts).unwrap();
        let hash = annex.as_deref().map(annex_hash);
        sign::schnorr(rng, spending.input(case.input).unwrap(), &output, hash, None)
    };
    set_witness(case, [signature].into_iter().chain(annex).collect());
}

fn script_path(rng: &mut StdRng, case: &mut Case) {
    let program = Program::generate(rng, Generation::Tapscript);
    let script = ScriptBuf::from_bytes(script_of(&program));
    let version = if rng.gen_bool(0.05) { 0xc2 } else { 0xc0 };
    let (info, wrapped) = (tree(rng, &script, version), rng.gen_bool(0.02));
    set_program(rng, case, wrapped, 1, &info.output_key().serialize());
    let leaf_version = LeafVersion::from_consensus(version).unwrap();
    let control = info.control_block(&(script.clone(), leaf_version)).unwrap();
    let annex = annex(rng);
    let context =
        Context { leaf: leaf_hash(version, script.as_bytes()), annex: annex.as_deref().map(annex_hash) };
    let mut items = sign::unlock(rng, case, &program, context);
    items.extend([script.into_bytes(), control.serialize()]);
    items.extend(annex);
    set_witness(case, items);
}

/// The script somewhere in a tree.
fn tree(rng: &mut StdRng, script: &ScriptBuf, version: u8) -> TaprootSpendInfo {
    let depth = *pick(rng, &[0, 0, 1, 2, 5, 128]);
    let version = LeafVersion::from_consensus(version).unwrap();
    let mut builder = TaprootBuilder::new().add_leaf_with_ver(depth, script.clone(), version).unwrap();
    for level in (1..=depth).rev() {
        let other = bitcoin::TapNodeHash::from_byte_array(rng.r#gen());
        builder = builder.add_hidden_node(level, other).unwrap();
    }
    let (internal, _) = UntweakedPublicKey::from_keypair(&KEYS[rng.gen_range(0..KEYS.len())].pair);
    builder.finalize(&SECP, internal).unwrap()
}

/// Versions and lengths that mean nothing yet, or nothing at all.
fn unknown_program(rng: &mut StdRng, case: &mut Case) {
    let length = *pick(rng, &[1, 2, 2, 20, 31, 32, 33, 40, 41]);
    let program = if rng.gen_bool(0.2) { vec![0x4e, 0x73] } else { bytes(rng, length) };
    let (wrapped, version) = (rng.gen_bool(0.2), rng.gen_range(0..17));
    set_program(rng, case, wrapped, version, &program);
    let items = (0..rng.gen_range(0..4)).map(|_| bytes(rng, 5)).collect();
    set_witness(case, items);
}
