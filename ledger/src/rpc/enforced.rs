//! What an enforcer asks of its node beyond a ledger's questions.

use std::time::Duration;

use bitcoin::consensus::encode::{deserialize, serialize_hex};
use bitcoin::{Block, BlockHash, OutPoint, Transaction, TxOut};
use keyway_chain::BlockRef;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::client::{Call, CallError, LARGE};
use super::{Rpc, code, reply};
use crate::enforcer::{Guarded, Said};
use crate::{Ledger, LedgerError, rule};

/// What a node may take for questions that wait for something.
const LONG: Duration = Duration::from_secs(24 * 3_600);
const WAITING: [&str; 3] = ["waitforblock", "waitforblockheight", "waitfornewblock"];

impl Guarded for Rpc {
    fn ledger(&self) -> &dyn Ledger {
        self
    }

    fn concerned(&self, at: BlockRef) -> Result<Vec<(Transaction, Vec<TxOut>)>, LedgerError> {
        let block = self.block(&at.hash)?;
        let concerned = block.txdata.into_iter().filter(rule::concerns);
        concerned.map(|tx| self.spent_in(&at.hash, &tx).map(|spent| (tx, spent))).collect()
    }

    fn invalidate(&self, hash: &BlockHash) -> Result<(), LedgerError> {
        let done: Result<Option<Value>, _> = self.client()?.call("invalidateblock", [json!(hash)]);
        done.map(drop).map_err(|error| self.failed(error))
    }
}

impl Rpc {
    fn block(&self, hash: &BlockHash) -> Result<Block, LedgerError> {
        let block: Block = deserialize(&self.block_bytes(hash)?)
            .map_err(|error| self.nonsense(format!("block {hash}: {error}")))?;
        let is_it = block.block_hash() == *hash && block.check_merkle_root();
        if is_it { Ok(block) } else { Err(self.nonsense(format!("block {hash}: it is another one"))) }
    }

    /// From the block's undo data, which a node has of every block that it connected.
    fn spent_in(&self, block: &BlockHash, tx: &Transaction) -> Result<Vec<TxOut>, LedgerError> {
        let txid = tx.compute_txid();
        let found: reply::TxWithPrevouts = self
            .client()?
            .call("getrawtransaction", [json!(txid), json!(2), json!(block)])
            .map_err(|error| self.failed(error))?;
        let spent = found.spent().filter(|spent| spent.len() == tx.input.len());
        spent.ok_or_else(|| self.nonsense(format!("it does not know what {txid} in block {block} spends")))
    }

    /// Why the node does not take a transaction; `None` if it would.
    pub(crate) fn objection(&self, tx: &Transaction) -> Result<Option<String>, Said> {
        let params = [json!([serialize_hex(tx)]), json!(0)];
        let answers: Vec<reply::Accept> = self.ask("testmempoolaccept", params)?;
        match answers.into_iter().next() {
            Some(reply::Accept { allowed: Some(true), .. }) => Ok(None),
            Some(reply::Accept { reason: Some(reason), .. }) => Ok(Some(reason)),
            _ => Err(self.nonsense("it neither takes nor refuses a transaction").into()),
        }
    }

    /// An output that is unspent in the chain.
    pub(crate) fn mined_output(&self, outpoint: &OutPoint) -> Result<Option<TxOut>, Said> {
        let params = [json!(outpoint.txid), json!(outpoint.vout), json!(false)];
        let mined: Option<reply::TxOut> = self.ask("gettxout", params)?;
        Ok(mined.map(|mined| mined.output()))
    }

    /// An output that a transaction in the node's pool makes.
    pub(crate) fn unmined_output(&self, outpoint: &OutPoint) -> Result<Option<TxOut>, Said> {
        let parent: reply::Hex = match self.ask("getrawtransaction", [json!(outpoint.txid)]) {
            Ok(parent) => parent,
            Err(Said::No { code: code::NOT_FOUND, .. }) => return Ok(None),
            Err(other) => return Err(other),
        };
        let parent = parent.transaction().filter(|tx| tx.compute_txid() == outpoint.txid);
        Ok(parent.and_then(|tx| tx.output.get(outpoint.vout as usize).cloned()))
    }

    /// The node's block template, when it has one that the asker does not know yet.
    pub(crate) fn template(&self, params: &[Value]) -> Result<Value, Said> {
        let call = Call::new("getblocktemplate", params);
        self.client()?.ask(&call, 4 * LARGE, LONG).map_err(|error| self.said(error))
    }

    /// Asks the node, and tells its refusal as it is.
    pub(crate) fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        params: impl Into<Vec<Value>>,
    ) -> Result<T, Said> {
        self.client()?.call(method, params).map_err(|error| self.said(error))
    }

    fn said(&self, error: CallError) -> Said {
        match error {
            CallError::Node { code, message } => Said::No { code, message },
            other => self.failed(other).into(),
        }
    }

    /// Hands on a request, of one question or several, and gives back the answer byte for byte.
    pub(crate) fn hand_on(&self, request: &Value) -> Result<Vec<u8>, LedgerError> {
        let method = request.get("method").and_then(Value::as_str);
        let waits = method.is_some_and(|method| WAITING.contains(&method));
        let longer = if waits { LONG } else { Duration::ZERO };
        self.client()?.exchange(request, 4 * LARGE, longer).map_err(|error| self.failed(error))
    }
}
