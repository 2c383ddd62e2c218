//! The coin that a pair's keys hang on (PROTOCOL.md 9.4): either party can spend it alone, and its script names the
//! negotiation. What became of it is its [`lineage`].

pub mod lineage;

use bitcoin::hashes::Hash;
use bitcoin::opcodes::all::{OP_CHECKMULTISIG, OP_DROP, OP_PUSHNUM_1, OP_PUSHNUM_2};
use bitcoin::script::{Builder, Instruction};
use bitcoin::sighash::SighashCache;
use bitcoin::{Amount, Script, ScriptBuf, Transaction, TxOut, Weight, Witness, ecdsa};
use keyway_chain::Chain;
use keyway_protocol::identity::PartyKey;
use keyway_protocol::negotiation::{NegotiationId, Role};

/// Bytes of the script: a push of 32 bytes, DROP, 1, two pushes of 33 bytes, 2, CHECKMULTISIG.
pub const SCRIPT_LEN: usize = 33 + 1 + 1 + 34 + 34 + 1 + 1;

/// Whom a coin belongs to, and which negotiation it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Liveness {
    /// The negotiation.
    pub negotiation: NegotiationId,
    /// Its initiator.
    pub initiator: PartyKey,
    /// Its responder.
    pub responder: PartyKey,
}

impl Liveness {
    /// The script that the coin's output has the hash of.
    pub fn script(&self) -> ScriptBuf {
        Builder::new()
            .push_slice(self.negotiation.as_bytes())
            .push_opcode(OP_DROP)
            .push_opcode(OP_PUSHNUM_1)
            .push_key(&self.initiator.to_public_key().into())
            .push_key(&self.responder.to_public_key().into())
            .push_opcode(OP_PUSHNUM_2)
            .push_opcode(OP_CHECKMULTISIG)
            .into_script()
    }

    /// What a coin of a fresh lineage is made by.
    pub fn output(&self, chain: &Chain) -> TxOut {
        TxOut { value: amount(chain), script_pubkey: self.script().to_p2wsh() }
    }

    /// The first output of `tx` that is such a coin, and its number.
    pub fn find<'a>(&self, tx: &'a Transaction) -> Option<(u32, &'a TxOut)> {
        let mut outputs =
            (0..).zip(&tx.output).filter(|(_, output)| output.script_pubkey.is_p2wsh()).peekable();
        outputs.peek()?;
        let wanted = self.script().to_p2wsh();
        outputs.find(|(_, output)| output.script_pubkey == wanted)
    }

    /// What a script says, if it is of this form to the byte.
    pub fn of_script(script: &Script) -> Option<Self> {
        if script.len() != SCRIPT_LEN {
            return None;
        }
        let pushes: Vec<&[u8]> = script
            .instructions()
            .filter_map(|instruction| match instruction {
                Ok(Instruction::PushBytes(bytes)) => Some(bytes.as_bytes()),
                _ => None,
            })
            .collect();
        let [negotiation, initiator, responder] = pushes[..] else { return None };
        let found = Self {
            negotiation: NegotiationId::from_bytes(negotiation.try_into().ok()?),
            initiator: PartyKey::from_slice(initiator).ok()?,
            responder: PartyKey::from_slice(responder).ok()?,
        };
        (*found.script() == *script).then_some(found)
    }

    /// Whose signature input `input` of `tx` shows over the coin of `amount` that it spends; `None` if that cannot be told:
    /// a block may hold signatures of kinds that no wallet makes.
    pub fn spent_by(&self, tx: &Transaction, input: usize, amount: Amount) -> Option<Role> {
        let script = self.script();
        let witness: Vec<&[u8]> = tx.input.get(input)?.witness.iter().collect();
        let [dummy, signature, shown] = witness[..] else { return None };
        if !dummy.is_empty() || shown != script.as_bytes() {
            return None;
        }
        let signature = ecdsa::Signature::from_slice(signature).ok()?;
        let kind = signature.sighash_type;
        let digest = SighashCache::new(tx).p2wsh_signature_hash(input, &script, amount, kind).ok()?;
        let mut low = signature.signature;
        low.normalize_s();
        let is_by = |key: &PartyKey| key.has_signed(digest.to_byte_array(), &low);
        let sides = [(Role::Initiator, self.initiator), (Role::Responder, self.responder)];
        sides.into_iter().find(|(_, key)| is_by(key)).map(|(role, _)| role)
    }
}

/// What a coin holds when an answer creates it.
pub fn amount(chain: &Chain) -> Amount {
    chain.value_floor()
}

/// What spends a coin, with one party's signature.
pub fn witness(script: &Script, signature: &ecdsa::Signature) -> Witness {
    Witness::from_slice(&[Vec::new(), signature.to_vec(), script.to_bytes()])
}

/// Most weight of an input that spends a coin.
pub const fn spending_weight() -> Weight {
    const INPUT: usize = 4 * (36 + 1 + 4);
    // A count, the empty element, a signature of at most 72 bytes, the script.
    Weight::from_wu((INPUT + 1 + 1 + 73 + 1 + SCRIPT_LEN) as u64)
}

/// Weight of a coin's output.
pub const fn output_weight() -> Weight {
    Weight::from_wu(4 * (8 + 1 + 34))
}

#[cfg(test)]
mod tests;
