//! What Bitcoin Core's nodes relay, apart from what consensus allows: so that what this ledger takes
//! would also be taken by a real network. The limits are Bitcoin Core 31's, and where older versions
//! that are still common are stricter, theirs.

use bitcoin::opcodes::all::OP_PUSHNUM_1;
use bitcoin::script::Instruction;
use bitcoin::{Amount, FeeRate, Script, Transaction, TxIn, WitnessVersion};
use keyway_chain::Chain;

use super::script_policy;
use crate::Coin;

const MAX_WEIGHT: u64 = 400_000;
const MIN_BASE_SIZE: usize = 65;
const MAX_SCRIPT_SIG: usize = 1_650;
/// Most bytes of data outputs that a transaction may have, where nothing else is asked for.
pub(super) const MAX_DATA_CARRIER: usize = 100_000;
const MAX_P2SH_SIGOPS: usize = 15;
const MAX_LEGACY_SIGOPS: usize = 2_500;
const MAX_SIGOPS_COST: u64 = 80_000 / 5;
const WEIGHT_PER_SIGOP: u64 = 20;
const MAX_P2WSH_SCRIPT: usize = 3_600;
const MAX_P2WSH_ITEMS: usize = 100;
const MAX_STACK_ITEM: usize = 80;

/// Why a transaction is refused, in Bitcoin Core's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reject {
    pub(super) reason: String,
    pub(super) detail: Option<String>,
}

/// A refusal without figures.
pub(super) fn reject(reason: impl Into<String>) -> Reject {
    Reject { reason: reason.into(), detail: None }
}

impl Reject {
    pub(super) fn because(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }
}

/// Checks that need nothing but the transaction; `most_data` is the limit of data outputs.
pub(super) fn check_form(tx: &Transaction, chain: &Chain, most_data: usize) -> Result<(), Reject> {
    if !(1..=3).contains(&tx.version.0) {
        return Err(reject("version").because(format!("{}", tx.version.0)));
    }
    if tx.weight().to_wu() > MAX_WEIGHT {
        return Err(reject("tx-size").because(format!("weight {} > {MAX_WEIGHT}", tx.weight().to_wu())));
    }
    tx.input.iter().try_for_each(check_script_sig)?;
    check_outputs(tx, chain, most_data)?;
    if tx.base_size() < MIN_BASE_SIZE {
        return Err(reject("tx-size-small").because(format!("{} < {MIN_BASE_SIZE} bytes", tx.base_size())));
    }
    Ok(())
}

fn check_script_sig(input: &TxIn) -> Result<(), Reject> {
    if input.script_sig.len() > MAX_SCRIPT_SIG {
        return Err(reject("scriptsig-size"));
    }
    if !input.script_sig.is_push_only() {
        return Err(reject("scriptsig-not-pushonly"));
    }
    Ok(())
}

fn check_outputs(tx: &Transaction, chain: &Chain, most_data: usize) -> Result<(), Reject> {
    let mut data = 0;
    for (vout, output) in tx.output.iter().enumerate() {
        match Form::of(&output.script_pubkey) {
            Form::NonStandard => return Err(reject("scriptpubkey").because(format!("output {vout}"))),
            Form::Data => data += output.script_pubkey.len(),
            _ => {}
        }
    }
    if data > most_data {
        return Err(reject("datacarrier").because(format!("{data} bytes > {most_data}")));
    }
    for (vout, output) in tx.output.iter().enumerate() {
        let least = dust_limit(&output.script_pubkey, chain);
        if output.value < least {
            let (value, least) = (output.value.to_sat(), least.to_sat());
            return Err(
                reject("dust").because(format!("output {vout} has {value} sat, the least is {least}"))
            );
        }
    }
    Ok(())
}

/// Least amount of an output with this script, from the chain's limit for P2WPKH.
fn dust_limit(script: &Script, chain: &Chain) -> Amount {
    // A P2WPKH output and the input that spends it count 98 bytes.
    let sat_per_kwu = chain.dust_p2wpkh().to_sat() * 1_000 / 98 / 4;
    script.minimal_non_dust_custom(FeeRate::from_sat_per_kwu(sat_per_kwu))
}

/// Checks that need the coins it spends. `exponent` says that OP_EXPONENT is an opcode, and no OP_SUCCESS.
pub(super) fn check_inputs(tx: &Transaction, coins: &[Coin], exponent: bool) -> Result<(), Reject> {
    let mut sigops = 0;
    for (i, (input, coin)) in tx.input.iter().zip(coins).enumerate() {
        let nonstandard =
            |why| Err(reject("bad-txns-nonstandard-inputs").because(format!("input {i} {why}")));
        let script = &coin.output.script_pubkey;
        let redeem = script.is_p2sh().then(|| last_push(&input.script_sig)).flatten();
        match Form::of(script) {
            Form::NonStandard => return nonstandard("script unknown"),
            Form::FutureWitness => return nonstandard("witness program is undefined"),
            Form::ScriptHash if redeem.is_none() => return nonstandard("P2SH redeemscript missing"),
            _ => {}
        }
        let in_redeem = redeem.map_or(0, Script::count_sigops);
        if in_redeem > MAX_P2SH_SIGOPS {
            return nonstandard("p2sh redeemscript sigops exceed limit");
        }
        sigops += input.script_sig.count_sigops() + script.count_sigops() + in_redeem;
        if !is_witness_standard(input, redeem.unwrap_or(script), redeem.is_some()) {
            return Err(reject("bad-witness-nonstandard").because(format!("input {i}")));
        }
        script_policy::check(input, script, redeem, exponent)
            .map_err(|reject| reject.because(format!("input {i}")))?;
    }
    if sigops > MAX_LEGACY_SIGOPS {
        return Err(reject("bad-txns-nonstandard-inputs").because("non-witness sigops exceed bip54 limit"));
    }
    Ok(())
}

/// What a P2SH input says its script is.
fn last_push(script_sig: &Script) -> Option<&Script> {
    match script_sig.instructions().last() {
        Some(Ok(Instruction::PushBytes(bytes))) => Some(Script::from_bytes(bytes.as_bytes())),
        _ => None,
    }
}

fn is_witness_standard(input: &TxIn, script: &Script, nested: bool) -> bool {
    let witness = &input.witness;
    if witness.is_empty() {
        return true;
    }
    let items = |skip_last: usize| {
        let count = witness.len().saturating_sub(skip_last);
        witness.iter().take(count).all(|item| item.len() <= MAX_STACK_ITEM).then_some(count)
    };
    if is_anchor(script) {
        false
    } else if script.is_p2wsh() {
        witness.last().is_some_and(|script| script.len() <= MAX_P2WSH_SCRIPT)
            && items(1).is_some_and(|count| count <= MAX_P2WSH_ITEMS)
    } else if script.is_p2tr() && !nested {
        let annex = witness.len() >= 2 && witness.last().is_some_and(|last| last.first() == Some(&0x50));
        let tapscript = witness.len() >= 2 && witness.last().is_some_and(script_policy::is_tapscript);
        !annex && (!tapscript || items(2).is_some())
    } else {
        script.is_witness_program()
    }
}

/// Signature operations' cost and the virtual size that fees are counted on.
pub(super) fn measure(tx: &Transaction, coins: &[Coin]) -> Result<(u64, u64), Reject> {
    let coin_of = |outpoint: &bitcoin::OutPoint| {
        let found = tx.input.iter().zip(coins).find(|(input, _)| input.previous_output == *outpoint);
        found.map(|(_, coin)| coin.output.clone())
    };
    let sigops = tx.total_sigop_cost(coin_of) as u64;
    if sigops > MAX_SIGOPS_COST {
        return Err(reject("bad-txns-too-many-sigops").because(sigops.to_string()));
    }
    Ok((sigops, tx.weight().to_wu().max(sigops * WEIGHT_PER_SIGOP).div_ceil(4)))
}

/// The fee that so many virtual bytes cost.
pub(super) fn fee_at(rate: FeeRate, vsize: u64) -> Amount {
    Amount::from_sat((rate.to_sat_per_kwu() * 4 * vsize).div_ceil(1_000))
}

/// The forms of scripts that nodes tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Keys, hashes, defined witness programs, small bare multisig.
    Standard,
    ScriptHash,
    Data,
    /// A witness program without rules: it may be paid, but not spent.
    FutureWitness,
    NonStandard,
}

impl Form {
    fn of(script: &Script) -> Self {
        if script.is_p2sh() {
            Self::ScriptHash
        } else if let Some(version) = script.witness_version() {
            let defined = script.is_p2wpkh() || script.is_p2wsh() || script.is_p2tr() || is_anchor(script);
            match (defined, version) {
                (true, _) => Self::Standard,
                (false, WitnessVersion::V0) => Self::NonStandard,
                (false, _) => Self::FutureWitness,
            }
        } else if script.is_op_return() {
            let rest = Script::from_bytes(script.as_bytes().get(1..).unwrap_or_default());
            if rest.is_push_only() { Self::Data } else { Self::NonStandard }
        } else if script.is_p2pkh() || script.is_p2pk() || is_small_multisig(script) {
            Self::Standard
        } else {
            Self::NonStandard
        }
    }
}

fn is_anchor(script: &Script) -> bool {
    script.as_bytes() == [0x51, 0x02, 0x4e, 0x73]
}

/// At most three keys.
fn is_small_multisig(script: &Script) -> bool {
    let keys =
        script.instructions().filter(|i| matches!(i, Ok(Instruction::PushBytes(key)) if !key.is_empty()));
    let most = OP_PUSHNUM_1.to_u8() + 2;
    script.is_multisig() && keys.count() <= 3 && script.as_bytes().first().is_some_and(|m| *m <= most)
}
