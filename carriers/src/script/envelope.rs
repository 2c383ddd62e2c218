//! Bytes in a script (PROTOCOL.md 7.7): one transaction, the commit, pays to the script's hash; the next, the reveal,
//! spends that coin and so shows the script. The reveal is what carries the message.

use bitcoin::opcodes::all::{OP_2DROP, OP_CHECKSIG, OP_DROP, OP_PUSHBYTES_33};
use bitcoin::script::{Builder, Instruction, PushBytesBuf};
use bitcoin::{Amount, Script, ScriptBuf, TxIn, TxOut, VarInt, Weight, Witness, ecdsa};
use keyway_chain::Chain;
use keyway_protocol::authorship::{Authored, NotAuthored};
use keyway_protocol::identity::PartyKey;
use thiserror::Error;

/// The most bytes of a message: its script is then just below the 3,600 bytes that nodes relay.
pub const MOST_BYTES: usize = 3_500;

/// The most bytes that a script can push at once.
const LONGEST_PUSH: usize = 520;

/// Two pushes of two bytes: one byte has a shorter form of push.
const LENGTHS: std::ops::RangeInclusive<usize> = 4..=MOST_BYTES;

/// The author's key as a push, and CHECKSIG.
const HEAD: usize = 1 + 33 + 1;

/// The largest push opcode; what follows a script's head is an envelope's data if it is not larger.
const LARGEST_PUSH: u8 = 0x4e;

/// The caller's bytes are too many, or too few.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("an envelope carries 4 to {MOST_BYTES} bytes, not {0}")]
pub struct ImpossibleLength(usize);

/// An envelope that carries no message.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NotEnvelope {
    /// Not the author's key, CHECKSIG, the pushes in the one way they are cut, and as many drops.
    #[error("the envelope in input {0} is not of the form that writers give it")]
    Form(usize),
    /// It is somebody else's than the transaction's author.
    #[error("the envelope in input {0} is one of {1}, for whom the transaction does not speak")]
    Foreign(usize, PartyKey),
    /// The author did not sign it, or it spends another amount than an envelope's.
    #[error("the envelope in input {0} is not signed by its author as one of the chain's amount: {1}")]
    Unsigned(usize, NotAuthored),
}

/// What the output that a commit makes holds: the same on all of a chain, so that a reader who does not know the
/// commit can check the signature that spends it.
pub fn amount(chain: &Chain) -> Amount {
    chain.value_floor()
}

/// The script that carries `message`.
///
/// # Errors
/// [`ImpossibleLength`].
pub fn write(author: PartyKey, message: &[u8]) -> Result<ScriptBuf, ImpossibleLength> {
    let impossible = ImpossibleLength(message.len());
    if !LENGTHS.contains(&message.len()) {
        return Err(impossible);
    }
    let pushes = pushes(message.len());
    let mut builder = Builder::new().push_key(&author.to_public_key().into()).push_opcode(OP_CHECKSIG);
    for part in message.chunks(message.len().div_ceil(pushes)) {
        builder = builder.push_slice(PushBytesBuf::try_from(part.to_vec()).map_err(|_| impossible)?);
    }
    for _ in 0..pushes / 2 {
        builder = builder.push_opcode(OP_2DROP);
    }
    let odd = pushes % 2 == 1;
    Ok(if odd { builder.push_opcode(OP_DROP).into_script() } else { builder.into_script() })
}

/// How many pushes a message is cut into: as few as there can be, and at least two.
const fn pushes(message: usize) -> usize {
    let least = message.div_ceil(LONGEST_PUSH);
    if least < 2 { 2 } else { least }
}

/// The output of the commit.
pub fn output(chain: &Chain, script: &Script) -> TxOut {
    TxOut { value: amount(chain), script_pubkey: script.to_p2wsh() }
}

/// What opens it.
pub fn witness(script: &Script, signature: &ecdsa::Signature) -> Witness {
    Witness::from_slice(&[signature.to_vec(), script.to_bytes()])
}

/// The script that an input shows, if it has the beginning of an envelope.
pub fn shown(input: &TxIn) -> Option<&Script> {
    let mut witness = input.witness.iter();
    let (Some(_), Some(script), None) = (witness.next(), witness.next(), witness.next()) else { return None };
    let is_push = |opcode: &u8| *opcode <= LARGEST_PUSH;
    let begins = script.first() == Some(&OP_PUSHBYTES_33.to_u8())
        && script.get(HEAD - 1) == Some(&OP_CHECKSIG.to_u8())
        && script.get(HEAD).is_some_and(is_push);
    begins.then(|| Script::from_bytes(script))
}

/// Whose an envelope is and what it carries; `None` if it is none, or is not cut as [`write()`] cuts it.
pub fn open(script: &Script) -> Option<(PartyKey, Vec<u8>)> {
    let mut instructions = script.instructions();
    let Some(Ok(Instruction::PushBytes(key))) = instructions.next() else { return None };
    let author = PartyKey::from_slice(key.as_bytes()).ok()?;
    let mut message = Vec::new();
    for instruction in instructions.skip(1) {
        match instruction.ok()? {
            Instruction::PushBytes(part) if message.len() <= MOST_BYTES => message.extend(part.as_bytes()),
            _ => break,
        }
    }
    let canonical = write(author, &message).ok()?;
    (*canonical == *script).then_some((author, message))
}

/// Reads the envelope that input `index` shows, given that it [`shown`] `script`.
///
/// # Errors
/// [`NotEnvelope`].
pub(super) fn read(
    chain: &Chain,
    tx: &Authored,
    index: usize,
    script: &Script,
) -> Result<Vec<u8>, NotEnvelope> {
    let (found, message) = open(script).ok_or(NotEnvelope::Form(index))?;
    if found != tx.author() {
        return Err(NotEnvelope::Foreign(index, found));
    }
    tx.verify_script(index, script, amount(chain)).map_err(|why| NotEnvelope::Unsigned(index, why))?;
    Ok(message)
}

/// Bytes of the script that carries so many.
pub const fn script_len(message: usize) -> usize {
    let pushes = pushes(message);
    let part = message.div_ceil(pushes);
    let last = message.saturating_sub(part * (pushes - 1));
    HEAD + push_head(part) * (pushes - 1) + push_head(last) + message + pushes / 2 + pushes % 2
}

/// Bytes before the pushed ones.
const fn push_head(pushed: usize) -> usize {
    match pushed {
        0..=75 => 1,
        76..=255 => 2,
        _ => 3,
    }
}

/// Most weight of an input that shows so many bytes.
pub fn revealing_weight(message: usize) -> Weight {
    const INPUT: usize = 4 * (36 + 1 + 4);
    Weight::from_wu(INPUT as u64) + satisfying_weight(message)
}

/// Most weight of its witness: a count, a signature of at most 72 bytes, the script.
pub fn satisfying_weight(message: usize) -> Weight {
    let script = script_len(message);
    Weight::from_wu((1 + 73 + VarInt(script as u64).size() + script) as u64)
}

/// Weight of the output that the commit makes.
pub const fn committing_weight() -> Weight {
    Weight::from_wu(4 * (8 + 1 + 34))
}
