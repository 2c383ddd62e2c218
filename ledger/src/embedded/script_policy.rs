//! Rules on scripts and signatures that nodes add to consensus and that can be seen without running
//! a script: how signatures and keys are encoded, and what is reserved for upgrades.
//!
//! Not checked, because it takes an interpreter: minimal pushes and minimal IF arguments inside
//! P2WSH and P2SH scripts, empty signatures where a check fails, upgradable NOPs and key types.

use bitcoin::ecdsa::Signature;
use bitcoin::opcodes::{Class, ClassifyContext};
use bitcoin::script::Instruction;
use bitcoin::secp256k1::ecdsa;
use bitcoin::{Script, TxIn};
use keyway_script::opcode::OP_EXPONENT;

use super::policy::{Reject, reject};

const TAPSCRIPT: u8 = 0xc0;

/// Whether a taproot witness's last item says that it spends by a tapscript.
pub(super) fn is_tapscript(control: &[u8]) -> bool {
    leaf_version(control) == Some(TAPSCRIPT)
}

fn leaf_version(control: &[u8]) -> Option<u8> {
    control.first().map(|first| first & 0xfe)
}

pub(super) fn check(
    input: &TxIn,
    script: &Script,
    redeem: Option<&Script>,
    exponent: bool,
) -> Result<(), Reject> {
    let witness: Vec<&[u8]> = input.witness.iter().collect();
    let program = redeem.unwrap_or(script);
    if program.is_p2wpkh() {
        witness.split_last().map_or(Ok(()), |(key, signatures)| {
            check_key(key)?;
            signatures.iter().try_for_each(|signature| check_signature(signature))
        })
    } else if program.is_p2wsh() {
        let stack = witness.split_last().map(|(_, stack)| stack).unwrap_or_default();
        stack.iter().filter(|item| looks_signed(item)).try_for_each(|item| check_signature(item))
    } else if script.is_p2tr() {
        check_tapscript(&witness, exponent)
    } else {
        let pushes = input.script_sig.instructions().filter_map(|instruction| match instruction {
            Ok(Instruction::PushBytes(bytes)) => Some(bytes.as_bytes()),
            _ => None,
        });
        pushes.filter(|item| looks_signed(item)).try_for_each(check_signature)
    }
}

fn check_key(key: &[u8]) -> Result<(), Reject> {
    match key {
        [2 | 3, rest @ ..] if rest.len() == 32 => Ok(()),
        _ => Err(fails("Using non-compressed keys in segwit")),
    }
}

/// Whether it can only be meant as an ECDSA signature.
fn looks_signed(item: &[u8]) -> bool {
    (68..=73).contains(&item.len())
        && ecdsa::Signature::from_der(item.split_last().map_or(item, |(_, der)| der)).is_ok()
}

fn check_signature(bytes: &[u8]) -> Result<(), Reject> {
    if bytes.is_empty() {
        return Ok(());
    }
    let signature = Signature::from_slice(bytes).map_err(|e| match e {
        bitcoin::ecdsa::Error::SighashType(_) => fails("Signature hash type missing or not understood"),
        _ => fails("Non-canonical DER signature"),
    })?;
    let mut low = signature.signature;
    low.normalize_s();
    if low != signature.signature {
        return Err(fails("Non-canonical signature: S value is unnecessarily high"));
    }
    Ok(())
}

fn check_tapscript(witness: &[&[u8]], exponent: bool) -> Result<(), Reject> {
    let [.., leaf, control] = witness else { return Ok(()) };
    if !is_tapscript(control) {
        return Err(fails("Taproot version reserved for soft-fork upgrades"));
    }
    for instruction in Script::from_bytes(leaf).instructions() {
        match instruction {
            Ok(Instruction::Op(op)) if exponent && op.to_u8() == OP_EXPONENT.0 => {}
            Ok(Instruction::Op(op)) if op.classify(ClassifyContext::TapScript) == Class::SuccessOp => {
                return Err(fails("OP_SUCCESSx reserved for soft-fork upgrades"));
            }
            Ok(_) => {}
            // Consensus judges what cannot be read.
            Err(_) => break,
        }
    }
    Ok(())
}

fn fails(why: &str) -> Reject {
    reject(format!("mempool-script-verify-flag-failed ({why})"))
}
