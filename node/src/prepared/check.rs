//! What came back from the other wallet, held against what was prepared, to the byte.

use bitcoin::policy::MAX_STANDARD_TX_WEIGHT;
use bitcoin::script::Instruction;
use bitcoin::{
    Amount, EcdsaSighashType, FeeRate, Psbt, Script, ScriptBuf, TapSighashType, Transaction, TxIn, TxOut,
    Weight, Witness, psbt,
};
use keyway_carriers::script::{envelope, lock};

use super::Prepared;
use super::refused::{MOST_PSBT_BYTES, PsbtRefused};
use crate::error::why_undecoded;

/// `psbt` and 0xff.
const MAGIC: [u8; 5] = [0x70, 0x73, 0x62, 0x74, 0xff];
/// Element count, a signature of at most 72 bytes and a key of 33, each after its length.
const OWN_WITNESS: Weight = Weight::from_wu(1 + 1 + 72 + 1 + 33);
/// What marks the first byte of a taproot annex.
const ANNEX: u8 = 0x50;

/// Reads a PSBT of version 0; what a stranger wrote.
///
/// # Errors
/// [`PsbtRefused`]: it is none.
pub(crate) fn parse(bytes: &[u8]) -> Result<Psbt, PsbtRefused> {
    if bytes.len() > MOST_PSBT_BYTES {
        return Err(PsbtRefused::TooLong);
    }
    if !bytes.starts_with(&MAGIC) {
        return Err(PsbtRefused::Unreadable("it does not begin as one".to_owned()));
    }
    Psbt::deserialize(bytes).map_err(|error| match error {
        _ if says_version_two(bytes) => PsbtRefused::VersionTwo,
        psbt::Error::ConsensusEncoding(error) => PsbtRefused::Unreadable(why_undecoded(&error)),
        error => PsbtRefused::Unreadable(error.to_string()),
    })
}

/// Whether the global map has the version 2 of BIP370, whose PSBTs have no unsigned transaction.
fn says_version_two(bytes: &[u8]) -> bool {
    /// One byte of key, PSBT_GLOBAL_VERSION, four bytes of value, 2.
    const VERSION_TWO: [u8; 7] = [1, 0xfb, 4, 2, 0, 0, 0];
    let global = bytes.get(..bytes.len().min(1_000)).unwrap_or_default();
    global.windows(VERSION_TWO.len()).any(|window| window == VERSION_TWO)
}

/// Between which feerates a funded offer is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) least: FeeRate,
    pub(crate) most: FeeRate,
}

/// The other wallet's inputs, as the PSBT has them.
#[derive(Debug)]
pub(crate) struct Foreign {
    tx: Transaction,
    inputs: Vec<psbt::Input>,
}

impl Prepared {
    /// Holds everything against the template but the coins, which only the ledger knows. What comes out has the other
    /// wallet's witnesses, and none in input 0.
    ///
    /// # Errors
    /// [`PsbtRefused`] names the first difference.
    pub(crate) fn compare(
        &self,
        psbt: Psbt,
        peer: &Script,
        is_in_amounts: bool,
    ) -> Result<Foreign, PsbtRefused> {
        let Psbt { unsigned_tx: tx, inputs, .. } = psbt;
        self.compare_frame(&tx)?;
        self.compare_outputs(&tx)?;
        let own = self.template.output.len();
        for (index, output) in tx.output.iter().enumerate().skip(own) {
            further_output(index, &output.script_pubkey, peer, is_in_amounts)?;
        }
        if inputs.len() < 2 {
            return Err(PsbtRefused::NotFunded);
        }
        let mut foreign = Foreign { tx, inputs };
        foreign.finish()?;
        Ok(foreign)
    }

    fn compare_frame(&self, tx: &Transaction) -> Result<(), PsbtRefused> {
        let coin = self.input0();
        let at = tx.input.iter().position(|input| input.previous_output == coin);
        match at {
            Some(0) => {}
            Some(index) => return Err(PsbtRefused::CoinElsewhere(index)),
            None => return Err(PsbtRefused::NotPrepared),
        }
        let (found, expected) = (tx.version.0, self.template.version.0);
        if found != expected {
            return Err(PsbtRefused::Version { found, expected });
        }
        let times = [tx, &self.template].map(|tx| tx.lock_time.to_consensus_u32());
        let [found, expected] = times;
        if found != expected {
            return Err(PsbtRefused::LockTime { found, expected });
        }
        let sequence = |tx: &Transaction| tx.input.first().map(|input| input.sequence);
        match (sequence(tx), sequence(&self.template)) {
            (Some(found), Some(expected)) if found != expected => {
                Err(PsbtRefused::Sequence { found, expected })
            }
            _ => Ok(()),
        }
    }

    fn compare_outputs(&self, tx: &Transaction) -> Result<(), PsbtRefused> {
        let of = self.template.output.len();
        let last = of.saturating_sub(1);
        for (index, expected) in self.template.output.iter().enumerate() {
            let found = tx.output.get(index).ok_or(PsbtRefused::OutputMissing { index, of })?;
            if found.script_pubkey != expected.script_pubkey {
                return Err(PsbtRefused::OutputScript { index, last });
            }
            if found.value != expected.value {
                let (found, expected) = (found.value, expected.value);
                return Err(PsbtRefused::OutputAmount { index, found, expected, last });
            }
        }
        Ok(())
    }
}

/// What the other wallet pays out must not change how the transaction is read (PROTOCOL.md 7).
fn further_output(
    index: usize,
    script: &Script,
    peer: &Script,
    is_in_amounts: bool,
) -> Result<(), PsbtRefused> {
    if script == peer {
        Err(PsbtRefused::PaysPeer(index))
    } else if script.is_op_return() {
        Err(PsbtRefused::DataOutput(index))
    } else if !is_in_amounts && lock::may_be(script) {
        Err(PsbtRefused::LooksLocked(index))
    } else {
        Ok(())
    }
}

impl Foreign {
    /// Puts the witnesses into the transaction.
    fn finish(&mut self) -> Result<(), PsbtRefused> {
        let inputs = self.tx.input.iter_mut().zip(&self.inputs).enumerate().skip(1);
        for (index, (input, signed)) in inputs {
            let script_sig = signed.final_script_sig.clone().unwrap_or_default();
            let Some(witness) = signed.final_script_witness.clone().filter(|it| !it.is_empty()) else {
                // A signature in scriptSig alone is of a coin before segwit.
                let is_old = !script_sig.is_empty() && redeemed(&script_sig).is_none();
                return Err(if is_old {
                    PsbtRefused::Malleable(index)
                } else {
                    PsbtRefused::NotFinal(index)
                });
            };
            (input.script_sig, input.witness) = (script_sig, witness);
            if envelope::shown(input).is_some() {
                return Err(PsbtRefused::LooksEnveloped(index));
            }
        }
        let weight = self.signed_weight();
        match weight > Weight::from_wu(MAX_STANDARD_TX_WEIGHT.into()) {
            true => Err(PsbtRefused::TooHeavy(weight.to_wu())),
            false => Ok(()),
        }
    }

    /// With the home's signature in input 0.
    fn signed_weight(&self) -> Weight {
        // An empty witness weighs its count already, as others are there.
        self.tx.weight() + OWN_WITNESS - Weight::from_wu(1)
    }

    /// The other wallet's inputs, in their order.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &TxIn> {
        self.tx.input.iter().skip(1)
    }

    /// Holds the inputs against the coins that the ledger shows for them, in their order, and the fee against its
    /// bounds. The fee, and the transaction without the home's signature.
    ///
    /// # Errors
    /// [`PsbtRefused`] names the first input that is not as it should be.
    pub(crate) fn check(
        self,
        prepared: &Prepared,
        coins: &[Option<TxOut>],
        identity: &Script,
        bounds: Bounds,
    ) -> Result<(Transaction, Amount), PsbtRefused> {
        let mut paid_in = prepared.lent();
        for (index, (input, signed)) in self.tx.input.iter().zip(&self.inputs).enumerate().skip(1) {
            let coin = coins.get(index - 1).and_then(Option::as_ref).ok_or(PsbtRefused::NoCoin(index))?;
            check_input(index, input, signed, coin, identity)?;
            paid_in = paid_in.checked_add(coin.value).ok_or(PsbtRefused::OtherCoin(index))?;
        }
        let paid_out = self.tx.output.iter().try_fold(Amount::ZERO, |sum, it| sum.checked_add(it.value));
        let paid_out = paid_out.unwrap_or(Amount::MAX);
        let short = || PsbtRefused::Short(paid_out.checked_sub(paid_in).unwrap_or(Amount::MAX));
        let fee = paid_in.checked_sub(paid_out).ok_or_else(short)?;
        let weight = self.signed_weight();
        let vbytes = weight.to_vbytes_ceil();
        let at = |rate: FeeRate| rate.fee_wu(weight).unwrap_or(Amount::MAX);
        if fee < at(bounds.least) {
            return Err(PsbtRefused::FeeLow { fee, vbytes, least: bounds.least });
        }
        if fee > at(bounds.most) {
            return Err(PsbtRefused::FeeHigh { fee, vbytes, most: bounds.most });
        }
        Ok((self.tx, fee))
    }
}

fn check_input(
    index: usize,
    input: &TxIn,
    signed: &psbt::Input,
    coin: &TxOut,
    identity: &Script,
) -> Result<(), PsbtRefused> {
    let script = &coin.script_pubkey;
    if script == identity {
        return Err(PsbtRefused::OwnCoin(index));
    }
    if signed.witness_utxo.as_ref().is_some_and(|told| told != coin) {
        return Err(PsbtRefused::OtherCoin(index));
    }
    let program = witness_program(script, &input.script_sig).ok_or(PsbtRefused::Malleable(index))?;
    let whole = if program.is_p2tr() {
        tap_signs_all(&input.witness)
    } else if program.is_p2wpkh() || program.is_p2wsh() {
        signs_all(&input.witness)
    } else {
        return Err(PsbtRefused::UnknownWitness(index));
    };
    let asked = signed.sighash_type.is_none_or(|kind| match program.is_p2tr() {
        true => matches!(kind.taproot_hash_ty(), Ok(TapSighashType::Default | TapSighashType::All)),
        false => matches!(kind.ecdsa_hash_ty(), Ok(EcdsaSighashType::All)),
    });
    if whole && asked { Ok(()) } else { Err(PsbtRefused::Sighash(index)) }
}

/// The witness program that a coin pays to, itself or in P2SH, if nothing of what spends it is in the txid but what
/// consensus fixes.
fn witness_program(script: &Script, script_sig: &Script) -> Option<ScriptBuf> {
    if script.is_witness_program() {
        return script_sig.is_empty().then(|| script.to_owned());
    }
    let redeemed = redeemed(script_sig)?;
    (script.is_p2sh() && redeemed.to_p2sh() == *script).then_some(redeemed)
}

/// The witness program that a scriptSig shows, if it is one push of that and nothing else.
fn redeemed(script_sig: &Script) -> Option<ScriptBuf> {
    let mut instructions = script_sig.instructions_minimal();
    let (Some(Ok(Instruction::PushBytes(push))), None) = (instructions.next(), instructions.next()) else {
        return None;
    };
    let redeemed = ScriptBuf::from_bytes(push.as_bytes().to_vec());
    redeemed.is_witness_program().then_some(redeemed)
}

/// SIGHASH_ALL behind a signature.
const ALL: u8 = 0x01;

/// Whether every signature in a witness before taproot is SIGHASH_ALL. What is a signature, its form says: DER and one
/// byte more.
fn signs_all(witness: &Witness) -> bool {
    let is_signature =
        |element: &&[u8]| matches!(element, [0x30, len, ..] if usize::from(*len) + 3 == element.len());
    witness.iter().filter(is_signature).all(|element| element.last() == Some(&ALL))
}

/// The same of taproot, where 64 bytes sign everything, and one byte more says what.
fn tap_signs_all(witness: &Witness) -> bool {
    let elements: Vec<&[u8]> = witness.iter().collect();
    let annexed = elements.len() >= 2 && elements.last().is_some_and(|last| last.first() == Some(&ANNEX));
    let stack = elements.len() - usize::from(annexed);
    // A script path ends with the script and its control block.
    let signatures = if stack == 1 { 1 } else { stack.saturating_sub(2) };
    elements.iter().take(signatures).all(|element| element.len() != 65 || element.last() == Some(&ALL))
}
