//! From a block's bytes to the transactions that matter, without parsing the rest.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use bitcoin::block::Header;
use bitcoin::consensus::encode::deserialize;
use bitcoin::{OutPoint, Transaction};
use bitcoin_slices::{Visit, Visitor, bsl};
use thiserror::Error;

use crate::watch::{RawOutPoint, raw};
use crate::{Hit, Watch};

/// No valid block is longer than this.
const MAX_BLOCK_BYTES: usize = 4_000_000;

/// The bytes are not a block.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("not a block: {what}")]
pub struct NotABlock {
    what: String,
}

impl NotABlock {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }
}

/// What [`scan`] found in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// The block's header.
    pub header: Header,
    /// How many transactions it has.
    pub transactions: u32,
    /// Those that matter, in block order. Without [`Hit::input_zero`]: a block does not hold it.
    pub hits: Vec<Hit>,
}

/// Finds the transactions of a serialized block that are hits (contract 3) by walking over its
/// bytes: only hits are parsed, and only a hit's txid is computed.
///
/// The block's form is checked, its validity is not: whether the transactions belong to the header
/// and the header to the chain is the backend's to know.
///
/// # Errors
/// [`NotABlock`] for any bytes that are not exactly one serialized block.
pub fn scan(block: &[u8], watch: &Watch) -> Result<Scanned, NotABlock> {
    if block.len() > MAX_BLOCK_BYTES {
        return Err(NotABlock::new(format!("{} bytes are more than a block can have", block.len())));
    }
    let mut scanner = Scanner::new(watch);
    let parsed = bsl::Block::visit(block, &mut scanner);
    if let Some(broken) = scanner.broken {
        return Err(broken);
    }
    let parsed = parsed.map_err(|e| NotABlock::new(format!("{e:?}")))?;
    if !parsed.remaining().is_empty() {
        return Err(NotABlock::new(format!("{} bytes follow it", parsed.remaining().len())));
    }
    let header = deserialize(parsed.parsed().header().as_ref()).map_err(|e| NotABlock::new(e.to_string()))?;
    Ok(Scanned { header, transactions: scanner.position, hits: scanner.hits })
}

/// Sees each transaction's inputs, then its outputs, then the whole.
struct Scanner<'w> {
    watch: &'w Watch,
    look_at_inputs: bool,
    /// Outputs with watched scripts of this block's earlier hits.
    fresh: HashSet<RawOutPoint>,
    position: u32,
    spends: bool,
    paid: Vec<u32>,
    hits: Vec<Hit>,
    broken: Option<NotABlock>,
}

impl<'w> Scanner<'w> {
    fn new(watch: &'w Watch) -> Self {
        Self {
            watch,
            look_at_inputs: watch.outpoints() > 0,
            fresh: HashSet::new(),
            position: 0,
            spends: false,
            paid: Vec::new(),
            hits: Vec::new(),
            broken: None,
        }
    }

    /// Apart, so that the loop over a block without hits stays small.
    #[cold]
    #[inline(never)]
    fn keep(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        match self.parse(bytes) {
            Ok(()) => ControlFlow::Continue(()),
            Err(broken) => {
                self.broken = Some(broken);
                ControlFlow::Break(())
            }
        }
    }

    fn parse(&mut self, bytes: &[u8]) -> Result<(), NotABlock> {
        let tx: Transaction = deserialize(bytes).map_err(|e| NotABlock::new(e.to_string()))?;
        let txid = tx.compute_txid();
        self.fresh.extend(self.paid.drain(..).map(|vout| raw(&OutPoint::new(txid, vout))));
        self.look_at_inputs |= !self.fresh.is_empty();
        self.hits.push(Hit { position: self.position, txid, tx: Arc::new(tx), input_zero: None });
        Ok(())
    }
}

impl Visitor for Scanner<'_> {
    #[inline]
    fn visit_tx_in(&mut self, _: usize, input: &bsl::TxIn) -> ControlFlow<()> {
        if self.look_at_inputs {
            let outpoint = input.prevout().as_ref();
            self.spends |= self.watch.has_raw_outpoint(outpoint);
            if !self.fresh.is_empty() {
                self.spends |= self.fresh.contains(outpoint);
            }
        }
        ControlFlow::Continue(())
    }

    #[inline]
    fn visit_tx_out(&mut self, vout: usize, output: &bsl::TxOut) -> ControlFlow<()> {
        if self.watch.has_script_bytes(output.script_pubkey()) {
            // A block cannot hold 2^32 outputs.
            self.paid.push(u32::try_from(vout).unwrap_or(u32::MAX));
        }
        ControlFlow::Continue(())
    }

    #[inline]
    fn visit_transaction(&mut self, tx: &bsl::Transaction) -> ControlFlow<()> {
        if self.spends || !self.paid.is_empty() {
            self.keep(tx.as_ref())?;
            self.spends = false;
        }
        self.position = self.position.saturating_add(1);
        ControlFlow::Continue(())
    }
}
