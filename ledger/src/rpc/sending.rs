//! Transactions on their way out, and what they should pay.

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{FeeRate, Transaction, Txid};
use keyway_chain::Height;
use serde_json::json;

use super::client::{CallError, clipped};
use super::{Rpc, code, reply};
use crate::{BroadcastError, Ledger, LedgerError, Refusal};

/// No limit of the node's: how much a transaction may pay is its sender's to decide.
const NO_LIMIT: u32 = 0;
/// Blocks within which a transaction should be mined.
const SOON: u32 = 2;

/// Hands a transaction to the node.
pub(super) fn broadcast(rpc: &Rpc, tx: &Transaction) -> Result<Txid, BroadcastError> {
    check_caught_up(rpc)?;
    let txid = tx.compute_txid();
    let sent = rpc.client()?.call::<Txid>("sendrawtransaction", [json!(serialize_hex(tx)), json!(NO_LIMIT)]);
    match sent {
        Ok(_) => Ok(txid),
        Err(error) if error.code() == Some(code::IN_CHAIN) => Ok(txid),
        Err(error) => Err(refused(rpc, txid, error)),
    }
}

/// Asks what the node would say.
pub(super) fn check(rpc: &Rpc, tx: &Transaction) -> Result<(), BroadcastError> {
    let txid = tx.compute_txid();
    let params = [json!([serialize_hex(tx)]), json!(NO_LIMIT)];
    let answers: Vec<reply::Accept> =
        rpc.client()?.call("testmempoolaccept", params).map_err(|error| refused(rpc, txid, error))?;
    let answer = answers.into_iter().next();
    match answer {
        Some(reply::Accept { allowed: Some(true), .. }) => Ok(()),
        Some(reply::Accept { reason: Some(reason), details, .. }) => {
            let (first, rest) = split(&reason);
            let detail = rest.or_else(|| split(details.as_deref().unwrap_or_default()).1);
            Err(Refusal { txid, reason: first, detail }.into())
        }
        _ => Err(rpc.nonsense("it neither takes nor refuses a transaction").into()),
    }
}

/// Clause 11.3: what is sent by a node that does not know the tip goes nowhere.
fn check_caught_up(rpc: &Rpc) -> Result<(), LedgerError> {
    let info = rpc.info()?;
    // A chain of one's own may rest for days, and its node then thinks that it lacks blocks.
    let own = rpc.chain.name().ends_with("regtest") || rpc.chain.challenge().is_some();
    if info.initialblockdownload && (!own || info.blocks < info.headers) {
        let (have, want) = (Height::new(info.blocks), Height::new(info.headers.max(info.blocks)));
        return Err(LedgerError::Behind { backend: rpc.name(), have, want });
    }
    Ok(())
}

fn refused(rpc: &Rpc, txid: Txid, error: CallError) -> BroadcastError {
    match error {
        CallError::Node { code: code::NOT_DECODED, message } => {
            Refusal { txid, reason: "bad-txns-undecodable".to_owned(), detail: Some(message) }.into()
        }
        CallError::Node { code: code::TRANSACTION | code::REJECTED, message } => {
            let (reason, detail) = split(&message);
            Refusal { txid, reason, detail }.into()
        }
        error => rpc.failed(error).into(),
    }
}

/// A node's reason and what it adds: `dust, tx with dust output must be 0-fee`.
fn split(message: &str) -> (String, Option<String>) {
    match message.split_once(", ") {
        Some((reason, detail)) => (clipped(reason), Some(clipped(detail))),
        None => (clipped(message), None),
    }
}

/// What the node relays in data outputs. Bitcoin Core says it since version 30; all before, and Litecoin Core, keep
/// the old limit unless they were told otherwise, which they do not say.
pub(super) fn most_data(rpc: &Rpc) -> Result<usize, LedgerError> {
    const OLD_LIMIT: usize = 83;
    let pool: reply::PoolInfo =
        rpc.client()?.call("getmempoolinfo", []).map_err(|error| rpc.failed(error))?;
    Ok(pool.maxdatacarriersize.unwrap_or(OLD_LIMIT))
}

/// What gets a transaction mined soon, never under what the node relays.
pub(super) fn feerate(rpc: &Rpc) -> Result<FeeRate, LedgerError> {
    let client = rpc.client()?;
    let pool: reply::PoolInfo = client.call("getmempoolinfo", []).map_err(|error| rpc.failed(error))?;
    let estimate: reply::Estimate =
        client.call("estimatesmartfee", [json!(SOON)]).map_err(|error| rpc.failed(error))?;
    let usual = rpc.chain().min_relay();
    let least = pool.mempoolminfee.per_kvb().max(pool.minrelaytxfee.per_kvb());
    let least = if least > usual { with_margin(least) } else { usual };
    Ok(estimate.feerate.map_or(least, |advised| advised.per_kvb().max(least)))
}

/// A hundredth more: nodes count whole virtual bytes, where a fee is reckoned by weight, and a minimum that rose is still
/// rising.
fn with_margin(rate: FeeRate) -> FeeRate {
    FeeRate::from_sat_per_kwu((rate.to_sat_per_kwu().saturating_mul(101)).div_ceil(100))
}
