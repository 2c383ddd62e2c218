//! Witness programs: segwit version 0 (BIP141) and taproot (BIP341, BIP342).

use bitcoin::hashes::{Hash, sha256};

use crate::instruction::{Instructions, push_of};
use crate::limits::{ANNEX_TAG, MAX_SCRIPT_ELEMENT_SIZE, MAX_STACK_SIZE, VALIDATION_WEIGHT_OFFSET};
use crate::machine::{Generation, Machine, Tapscript};
use crate::number;
use crate::observe::Part;
#[cfg(feature = "exponent")]
use crate::opcode::OP_EXPONENT;
use crate::opcode::{OP_CHECKSIG, OP_DUP, OP_EQUALVERIFY, OP_HASH160, Opcode};
use crate::sighash::{Digest, taproot};
use crate::signature::verify_schnorr;
use crate::stack::Stack;
use crate::taproot::{Control, TAPSCRIPT, leaf_hash};
use crate::verify::{Program, Run};
use crate::{Flags, ScriptError};

/// The program of outputs that anyone may spend, to bump a fee.
const PAY_TO_ANCHOR: &[u8] = &[0x4e, 0x73];

/// `wrapped` says that the program stands in a P2SH output, where taproot is not.
pub fn verify(run: &mut Run<'_>, program: Program<'_>, wrapped: bool) -> Result<(), ScriptError> {
    let items: Vec<Vec<u8>> = run.witness().iter().map(<[u8]>::to_vec).collect();
    match (program.version, program.bytes) {
        (0, hash) if hash.len() == 32 => verify_script_hash(run, hash, items),
        (0, hash) if hash.len() == 20 => verify_key_hash(run, hash, items),
        (0, _) => Err(ScriptError::WitnessProgramWrongLength),
        (1, key) if key.len() == 32 && !wrapped => verify_taproot(run, key, items),
        (1, PAY_TO_ANCHOR) if !wrapped => Ok(()),
        _ => discourage(run, Flags::DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM),
    }
}

/// P2WSH.
fn verify_script_hash(run: &mut Run<'_>, hash: &[u8], mut items: Vec<Vec<u8>>) -> Result<(), ScriptError> {
    let script = items.pop().ok_or(ScriptError::WitnessProgramWitnessEmpty)?;
    if sha256::Hash::hash(&script).as_byte_array() != hash {
        return Err(ScriptError::WitnessProgramMismatch);
    }
    execute(run, Part::WitnessScript, Generation::Segwit, &script, items)
}

/// P2WPKH: stands for a script that was common before.
fn verify_key_hash(run: &mut Run<'_>, hash: &[u8], items: Vec<Vec<u8>>) -> Result<(), ScriptError> {
    if items.len() != 2 {
        return Err(ScriptError::WitnessProgramMismatch);
    }
    let push = push_of(hash);
    let script = [&[OP_DUP.0, OP_HASH160.0][..], &push, &[OP_EQUALVERIFY.0, OP_CHECKSIG.0]].concat();
    execute(run, Part::WitnessScript, Generation::Segwit, &script, items)
}

/// P2TR.
fn verify_taproot(run: &mut Run<'_>, key: &[u8], mut items: Vec<Vec<u8>>) -> Result<(), ScriptError> {
    if !run.flags.has(Flags::TAPROOT) {
        return Ok(());
    }
    let annex = take_annex(&mut items);
    match items.as_slice() {
        [] => Err(ScriptError::WitnessProgramWitnessEmpty),
        [signature] => verify_key_path(run, key, signature, annex),
        [..] => verify_script_path(run, key, items, annex),
    }
}

/// The hash of the annex, if there is one: it is taken off.
fn take_annex(items: &mut Vec<Vec<u8>>) -> Option<[u8; 32]> {
    let has_annex = items.len() >= 2 && items.last()?.first() == Some(&ANNEX_TAG);
    let annex = if has_annex { items.pop()? } else { return None };
    let mut digest = Digest::new();
    digest.sized(&annex);
    Some(digest.finish())
}

fn verify_key_path(
    run: &Run<'_>,
    key: &[u8],
    signature: &[u8],
    annex: Option<[u8; 32]>,
) -> Result<(), ScriptError> {
    let (signature, hash_type) = split_schnorr(signature)?;
    let hash = taproot(run.input, hash_type, annex, None).ok_or(ScriptError::SchnorrSigHashtype)?;
    if verify_schnorr(signature, key, hash) { Ok(()) } else { Err(ScriptError::SchnorrSig) }
}

/// The 64 bytes of a signature, and its kind. The default kind is never written out.
pub fn split_schnorr(signature: &[u8]) -> Result<(&[u8], u8), ScriptError> {
    match signature {
        [..] if signature.len() == 64 => Ok((signature, 0)),
        [.., 0] if signature.len() == 65 => Err(ScriptError::SchnorrSigHashtype),
        [signature @ .., kind] if signature.len() == 64 => Ok((signature, *kind)),
        _ => Err(ScriptError::SchnorrSigSize),
    }
}

fn verify_script_path(
    run: &mut Run<'_>,
    key: &[u8],
    mut items: Vec<Vec<u8>>,
    annex: Option<[u8; 32]>,
) -> Result<(), ScriptError> {
    let control = items.pop().ok_or(ScriptError::WitnessProgramWitnessEmpty)?;
    let script = items.pop().ok_or(ScriptError::WitnessProgramWitnessEmpty)?;
    let control = Control::read(&control)?;
    let leaf = leaf_hash(control.leaf_version(), &script);
    if !control.commits(key, leaf) {
        return Err(ScriptError::WitnessProgramMismatch);
    }
    if control.leaf_version() != TAPSCRIPT {
        return discourage(run, Flags::DISCOURAGE_UPGRADABLE_TAPROOT_VERSION);
    }
    let budget = run.witness().size() as i64 + VALIDATION_WEIGHT_OFFSET;
    execute_tapscript(run, Tapscript { leaf, annex, budget }, &script, items)
}

fn execute_tapscript(
    run: &mut Run<'_>,
    tapscript: Tapscript,
    script: &[u8],
    items: Vec<Vec<u8>>,
) -> Result<(), ScriptError> {
    if contains_success(script, run.flags)? {
        return discourage(run, Flags::DISCOURAGE_OP_SUCCESS);
    }
    if items.len() > MAX_STACK_SIZE {
        return Err(ScriptError::StackSize);
    }
    execute(run, Part::Tapscript, Generation::Tapscript(tapscript), script, items)
}

/// Looks no further than the first OP_SUCCESS: what comes after it need not even be readable.
fn contains_success(script: &[u8], flags: Flags) -> Result<bool, ScriptError> {
    for instruction in Instructions::new(script) {
        if is_success(instruction?.opcode, flags) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(feature = "exponent")]
fn is_success(opcode: Opcode, flags: Flags) -> bool {
    opcode.is_success() && !(opcode == OP_EXPONENT && flags.has(Flags::EXPONENT))
}

#[cfg(not(feature = "exponent"))]
fn is_success(opcode: Opcode, _flags: Flags) -> bool {
    opcode.is_success()
}

fn execute(
    run: &mut Run<'_>,
    part: Part,
    generation: Generation,
    script: &[u8],
    items: Vec<Vec<u8>>,
) -> Result<(), ScriptError> {
    if items.iter().any(|item| item.len() > MAX_SCRIPT_ELEMENT_SIZE) {
        return Err(ScriptError::PushSize);
    }
    let machine = Machine::new(run.input, run.flags, part, generation, script, Stack::new(items));
    let left = machine.run(run.observer)?;
    match left.items() {
        [item] if number::is_true(item) => Ok(()),
        [_] => Err(ScriptError::EvalFalse),
        _ => Err(ScriptError::CleanStack),
    }
}

/// What upgrades may give a meaning verifies, unless policy keeps away from it.
fn discourage(run: &Run<'_>, flag: Flags) -> Result<(), ScriptError> {
    let error = match flag {
        Flags::DISCOURAGE_OP_SUCCESS => ScriptError::DiscourageOpSuccess,
        Flags::DISCOURAGE_UPGRADABLE_TAPROOT_VERSION => ScriptError::DiscourageUpgradableTaprootVersion,
        _ => ScriptError::DiscourageUpgradableWitnessProgram,
    };
    if run.flags.has(flag) { Err(error) } else { Ok(()) }
}
