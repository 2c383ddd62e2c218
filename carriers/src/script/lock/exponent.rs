//! Locked by A^t mod p (PROTOCOL.md 7.6): one leaf collects with OP_EXPONENT, the other takes back. To those who do not
//! know OP_EXPONENT its opcode is an OP_SUCCESS, so where nobody enforces it anybody can collect.

use bitcoin::absolute::LockTime;
use bitcoin::hashes::{Hash, hash160};
use bitcoin::key::XOnlyPublicKey;
use bitcoin::opcodes::{Opcode, all as op};
use bitcoin::script::{Builder, PushBytesBuf};
use bitcoin::secp256k1::{Secp256k1, VerifyOnly};
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::taproot::{LeafVersion, TapLeafHash, TaprootBuilder, TaprootSpendInfo};
use bitcoin::{Script, ScriptBuf, Witness};
use keyway_protocol::identity::IdentitySecret;
use keyway_protocol::secret::Secret;
use keyway_protocol::suite::{Power, Suite};

use super::{Ends, Opening, Spend};

/// docs/OP_EXPONENT.md.
const OP_EXPONENT: Opcode = op::OP_RETURN_238;

/// BIP341's point whose discrete logarithm nobody knows: there is no way by the internal key.
const NOBODY: [u8; 32] = [
    0x50, 0x92, 0x9b, 0x74, 0xc1, 0xa0, 0x49, 0x54, 0xb7, 0x8b, 0x4b, 0x60, 0x35, 0xe9, 0x7a, 0x5e, 0x07,
    0x8a, 0x5a, 0x0f, 0x28, 0xec, 0x96, 0xd5, 0x47, 0xbf, 0xee, 0x9a, 0xce, 0x80, 0x3a, 0xc0,
];

/// An item of 64 or 65 bytes with its length: a signature, a control block of two leaves.
const SIGNATURE: usize = 1 + 64;
const CONTROL: usize = 1 + 65;
const T: usize = 32;
/// The most that one push takes.
const MOST_PUSHED: usize = 520;
/// What BIP342 takes for a signature, and gives to every input.
const SIGNATURE_COST: usize = 50;
const GIVEN: usize = 50;

/// Bytes of the leaf beside A and p: opcodes, HASH160, key, each pushed.
const FRAME: usize = 1 + 1 + 21 + 1 + 33 + 1;
/// Most witness bytes to take back: a leaf of a key, a timeout of four bytes, two opcodes.
pub(super) const RETURNING: u64 = (1 + SIGNATURE + 1 + 33 + 1 + 5 + 1 + CONTROL) as u64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ExponentLock {
    collecting: ScriptBuf,
    returning: ScriptBuf,
    tree: TaprootSpendInfo,
    ends: Ends,
}

impl ExponentLock {
    /// `None` if an operand is too long to be pushed.
    pub(super) fn new(ends: &Ends, power: &Power) -> Option<Self> {
        let (collecting, returning) = (collecting_leaf(ends, power)?, returning_leaf(ends));
        let nobody = XOnlyPublicKey::from_slice(&NOBODY).ok()?;
        let builder = TaprootBuilder::new().add_leaf(1, collecting.clone()).ok()?;
        let builder = builder.add_leaf(1, returning.clone()).ok()?;
        let tree = builder.finalize(context(), nobody).ok()?;
        Some(Self { collecting, returning, tree, ends: *ends })
    }

    pub(super) fn script_pubkey(&self) -> ScriptBuf {
        ScriptBuf::new_p2tr_tweaked(self.tree.output_key())
    }

    pub(super) fn collecting_leaf(&self) -> &ScriptBuf {
        &self.collecting
    }

    pub(super) fn collect(&self, spend: Spend<'_>, key: &IdentitySecret, t: &Secret) -> Option<Witness> {
        let is_ours = key.party() == self.ends.responder;
        let t = t.expose();
        let digits = t.get(t.iter().take_while(|byte| **byte == 0).count()..)?;
        is_ours.then(|| self.witness(spend, key, &self.collecting, &[digits]))?
    }

    pub(super) fn take_back(&self, spend: Spend<'_>, key: &IdentitySecret) -> Option<Witness> {
        let timeout = LockTime::from_height(self.ends.timeout.to_u32()).ok()?;
        let may = key.party() == self.ends.initiator && timeout.is_implied_by(spend.tx.lock_time);
        may.then(|| self.witness(spend, key, &self.returning, &[]))?
    }

    fn witness(
        &self,
        spend: Spend<'_>,
        key: &IdentitySecret,
        leaf: &ScriptBuf,
        items: &[&[u8]],
    ) -> Option<Witness> {
        let hash = TapLeafHash::from_script(leaf, LeafVersion::TapScript);
        let mut cache = SighashCache::new(spend.tx);
        let digest = cache.taproot_script_spend_signature_hash(
            spend.input,
            &Prevouts::All(spend.spent),
            hash,
            bitcoin::TapSighashType::Default,
        );
        let control = self.tree.control_block(&(leaf.clone(), LeafVersion::TapScript))?;
        let mut witness = Witness::new();
        witness.push(key.sign_tapscript(digest.ok()?).to_vec());
        items.iter().for_each(|item| witness.push(item));
        witness.push(leaf.as_bytes());
        witness.push(control.serialize());
        Some(witness)
    }
}

/// `<A> <p> OP_EXPONENT OP_HASH160 <HASH160(A^t mod p)> OP_EQUALVERIFY <R> OP_CHECKSIG`, and before it what its price
/// takes beyond the natural witness.
fn collecting_leaf(ends: &Ends, power: &Power) -> Option<ScriptBuf> {
    let number = |bytes: &[u8]| PushBytesBuf::try_from(bytes.to_vec()).ok();
    let modulus = power.modulus();
    let missing = missing(power.base().len(), modulus.len());
    let leaf = padded(missing)
        .push_slice(number(power.base())?)
        .push_slice(number(&modulus)?)
        .push_opcode(OP_EXPONENT)
        .push_opcode(op::OP_HASH160)
        .push_slice(hash160::Hash::hash(power.value()).to_byte_array())
        .push_opcode(op::OP_EQUALVERIFY)
        .push_x_only_key(&ends.responder.to_public_key().x_only_public_key().0)
        .push_opcode(op::OP_CHECKSIG);
    Some(leaf.into_script())
}

fn returning_leaf(ends: &Ends) -> ScriptBuf {
    Builder::new()
        .push_x_only_key(&ends.initiator.to_public_key().x_only_public_key().0)
        .push_opcode(op::OP_CHECKSIGVERIFY)
        .push_int(i64::from(ends.timeout.to_u32()))
        .push_opcode(op::OP_CLTV)
        .into_script()
}

/// Zeros that are pushed and dropped, so many at least.
fn padded(mut missing: usize) -> Builder {
    const ZEROS: [u8; MOST_PUSHED] = [0; MOST_PUSHED];
    let mut builder = Builder::new();
    while missing > 0 {
        let (zeros, _) = ZEROS.split_at(missing.min(MOST_PUSHED));
        let zeros = PushBytesBuf::try_from(zeros.to_vec()).unwrap_or_default();
        builder = builder.push_slice(zeros).push_opcode(op::OP_DROP);
        missing = missing.saturating_sub(MOST_PUSHED);
    }
    builder
}

/// What the natural witness's budget lacks for a t of 32 bytes; a shorter one is cheaper by more than it is shorter.
fn missing(base: usize, modulus: usize) -> usize {
    let leaf = pushed(base) + pushed(modulus) + FRAME;
    let budget = GIVEN + 1 + SIGNATURE + 1 + T + 3 + leaf + CONTROL;
    (price(modulus) + SIGNATURE_COST).saturating_sub(budget)
}

/// docs/OP_EXPONENT.md, of an exponent of 256 bits.
const fn price(modulus: usize) -> usize {
    let units = modulus.div_ceil(64);
    8 + (8 * T + 32) * ((4 * units + 1) * (4 * units + 1) + 24) / 160
}

const fn pushed(len: usize) -> usize {
    len + match len {
        0..=75 => 1,
        76..=255 => 2,
        _ => 3,
    }
}

/// Bytes of the whole padding.
pub(super) fn padding(suite: Suite) -> usize {
    let len = suite.offer_share_len();
    padded(missing(len, len)).into_script().len()
}

/// Most witness bytes to collect.
pub(super) fn collecting(suite: Suite) -> u64 {
    let len = suite.offer_share_len();
    let leaf = padding(suite) + 2 * pushed(len) + FRAME;
    (1 + SIGNATURE + 1 + T + 3 + leaf + CONTROL) as u64
}

fn is_collecting(leaf: &Script) -> bool {
    let mut opcodes = leaf.instructions().map_while(Result::ok).filter_map(|found| found.opcode());
    opcodes.any(|opcode| opcode == OP_EXPONENT)
}

/// Where nobody enforced the rule, a thief collected, and what stands in the place of t is anything.
pub(super) fn opening(witness: &Witness, leaf: &Script) -> Opening {
    if !is_collecting(leaf) {
        return Opening::Returned;
    }
    let digits = witness.nth(1).unwrap_or_default();
    let mut t = [0; T];
    t.iter_mut().rev().zip(digits.iter().rev()).for_each(|(byte, digit)| *byte = *digit);
    Opening::Collected(t)
}

fn context() -> &'static Secp256k1<VerifyOnly> {
    static CONTEXT: std::sync::OnceLock<Secp256k1<VerifyOnly>> = std::sync::OnceLock::new();
    CONTEXT.get_or_init(Secp256k1::verification_only)
}
