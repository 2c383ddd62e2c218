//! What honest homes pay, and to whom.

use bitcoin::{Amount, Transaction, TxOut};

use super::{Law, Violation};
use crate::people::{People, Person, config};

/// [`Law::NoCoinLost`] for one payment of a home: its outputs are those of people or of scripts' hashes,
/// but for data outputs of nothing, and the fee is not above the home's ceiling. `spent` are the coins that it spends.
///
/// # Errors
/// The violation.
pub fn payment(people: &People, payer: &Person, tx: &Transaction, spent: &[TxOut]) -> Result<(), Violation> {
    let describe = |what: &str| format!("{what} in {} of {}: {tx:?}", tx.compute_txid(), payer.index);
    for output in &tx.output {
        let data = output.script_pubkey.is_op_return() && output.value == Amount::ZERO;
        // What is locked, or in an envelope, is somebody's in the end: [`super::at_rest`] sees to that.
        let known = people.owner(&output.script_pubkey).is_some() || output.script_pubkey.is_p2wsh();
        Law::NoCoinLost.holds(known || data, || describe("nobody's output"))?;
    }
    let sum = |outputs: &[TxOut]| outputs.iter().map(|output| output.value).sum::<Amount>();
    let fee = sum(spent).checked_sub(sum(&tx.output));
    let fee = fee.ok_or_else(|| Law::NoCoinLost.broken(describe("more out than in")))?;
    let ceiling = config(payer.index).fee_ceiling;
    // Rounding, signatures that turned out shorter, and change that would have been dust.
    let slack = Amount::from_sat(1_000 + 10 * ceiling.to_sat_per_vb_ceil() * tx.input.len() as u64);
    let most = ceiling.fee_vb(tx.vsize() as u64).unwrap_or(Amount::MAX) + slack;
    Law::NoCoinLost.holds(fee <= most, || describe(&format!("a fee of {fee}, more than {most}")))
}
