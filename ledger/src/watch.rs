//! What a caller wants to hear of.

use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, Script, ScriptBuf};

use crate::sieve::Sieved;

/// An outpoint as transactions carry it: txid, then the output's index, least byte first.
pub(crate) type RawOutPoint = [u8; 36];

pub(crate) fn raw(outpoint: &OutPoint) -> RawOutPoint {
    let mut bytes = [0; 36];
    let (txid, vout) = bytes.split_at_mut(32);
    txid.copy_from_slice(outpoint.txid.as_byte_array());
    vout.copy_from_slice(&outpoint.vout.to_le_bytes());
    bytes
}

/// A set of scripts and outpoints: what a caller wants to hear of.
///
/// A look-up takes the same short time whatever strangers put into blocks: the hash has random keys
/// of its own in every set, so nobody can choose scripts that collide in it.
#[derive(Clone, Default)]
pub struct Watch {
    // Bytes, not `ScriptBuf` and `OutPoint`: a block's bytes are looked up as they lie there.
    scripts: Sieved<Box<[u8]>>,
    outpoints: Sieved<RawOutPoint>,
}

impl Watch {
    /// Watches nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hear of transactions that pay this script. `false` if it was watched already.
    pub fn add_script(&mut self, script: ScriptBuf) -> bool {
        self.scripts.insert(script.into_bytes().into_boxed_slice())
    }

    /// Hear of the transaction that spends this outpoint. `false` if it was watched already.
    pub fn add_outpoint(&mut self, outpoint: OutPoint) -> bool {
        self.outpoints.insert(raw(&outpoint))
    }

    /// No longer hear of this script. `false` if it was not watched.
    pub fn remove_script(&mut self, script: &Script) -> bool {
        self.scripts.remove(script.as_bytes())
    }

    /// No longer hear of this outpoint. `false` if it was not watched.
    pub fn remove_outpoint(&mut self, outpoint: &OutPoint) -> bool {
        self.outpoints.remove(&raw(outpoint))
    }

    /// Whether transactions that pay this script are hits.
    pub fn has_script(&self, script: &Script) -> bool {
        self.has_script_bytes(script.as_bytes())
    }

    /// Whether the transaction that spends this outpoint is a hit.
    pub fn has_outpoint(&self, outpoint: &OutPoint) -> bool {
        self.has_raw_outpoint(&raw(outpoint))
    }

    /// Number of watched scripts.
    pub fn scripts(&self) -> usize {
        self.scripts.entries.len()
    }

    /// Number of watched outpoints.
    pub fn outpoints(&self) -> usize {
        self.outpoints.entries.len()
    }

    /// Whether it watches nothing.
    pub fn is_empty(&self) -> bool {
        self.scripts() == 0 && self.outpoints() == 0
    }

    #[inline]
    pub(crate) fn has_script_bytes(&self, script: &[u8]) -> bool {
        self.scripts.contains(script)
    }

    #[inline]
    pub(crate) fn has_raw_outpoint(&self, outpoint: &[u8]) -> bool {
        self.outpoints.contains(outpoint)
    }
}

/// The counts only: the sets may hold a hundred thousand entries.
impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watch {{ {} scripts, {} outpoints }}", self.scripts(), self.outpoints())
    }
}

/// Decides which of a sequence of transactions are hits (contract 3), remembering the outputs that
/// earlier ones brought.
pub(crate) struct Matcher<'w> {
    watch: &'w Watch,
    fresh: std::collections::HashSet<OutPoint>,
}

impl<'w> Matcher<'w> {
    pub(crate) fn new(watch: &'w Watch) -> Self {
        Self { watch, fresh: std::collections::HashSet::new() }
    }

    pub(crate) fn is_hit(&mut self, tx: &bitcoin::Transaction) -> bool {
        let mut spent = tx.input.iter().map(|input| &input.previous_output);
        let spends = spent.any(|o| self.watch.has_outpoint(o) || self.fresh.contains(o));
        let paid = (0u32..).zip(&tx.output).filter(|(_, out)| self.watch.has_script(&out.script_pubkey));
        let paid: Vec<u32> = paid.map(|(vout, _)| vout).collect();
        if !paid.is_empty() {
            let txid = tx.compute_txid();
            self.fresh.extend(paid.iter().map(|vout| OutPoint::new(txid, *vout)));
        }
        spends || !paid.is_empty()
    }
}
