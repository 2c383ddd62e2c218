//! Bitcoin Core's validation, in this process. It judges blocks and scripts.
//!
//! It is started from nothing and shown the log's blocks: it cannot be told to flush, and what it
//! makes of damaged files of its own is an abort. Its indexes stay in memory; the files in which it
//! stores blocks are thrown away with it.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once, PoisonError};

use bitcoin::consensus::encode::serialize;
use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, Transaction};
use bitcoinkernel::prelude::*;
use bitcoinkernel::{
    BlockValidationStateRef, ChainType, ChainstateManager, Context, KernelError, Log, LogCategory, Logger,
    PrecomputedTransactionData, ProcessBlockResult, ScriptPubkey, TxOut, VERIFY_ALL, ValidationMode,
};

use super::disk;
use crate::{Coin, LedgerError};

/// What the engine says of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Taken, into the best chain or beside it.
    Taken,
    /// It had the block before, taken or refused.
    Known,
    /// Refused, in Bitcoin Core's words. `block` is the one at fault: an earlier one of its branch,
    /// perhaps.
    Refused { block: BlockHash, reason: String },
}

/// A running engine over a folder of its own.
pub(super) struct Engine {
    // Dropped before the context it lives in.
    chainstate: ChainstateManager,
    _context: Context,
    signals: Arc<Signals>,
    // Last: removed when nothing uses it any more.
    folder: Scratch,
}

/// A folder that begins empty and goes with its owner.
struct Scratch(PathBuf);

impl Scratch {
    fn new(folder: &Path) -> Result<Self, LedgerError> {
        let fail = |action| move |e| disk::error(action, folder, e);
        match std::fs::remove_dir_all(folder) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(fail("remove")(e)),
            _ => {}
        }
        let scratch = Self(folder.to_owned());
        std::fs::create_dir_all(folder.join(BLOCKS)).map_err(fail("create"))?;
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The next engine's beginning removes what remains.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const BLOCKS: &str = "blocks";

/// What the engine reports while it works. Its callbacks run inside the engine, where calling it
/// again would deadlock and a panic would abort the process: they only take notes.
#[derive(Debug, Default)]
struct Signals {
    refused: Mutex<Vec<BlockHash>>,
    fatal: Mutex<Option<String>>,
}

impl Signals {
    fn take_refused(&self) -> Vec<BlockHash> {
        std::mem::take(&mut *self.refused.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take_fatal(&self) -> Option<String> {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Engine {
    /// Starts an engine that knows the genesis block alone. What is in the folder is thrown away.
    pub(super) fn start(folder: &Path) -> Result<Self, LedgerError> {
        listen_to_log();
        let signals = Arc::new(Signals::default());
        let context = context(&signals).map_err(|e| failed(folder, e.to_string()))?;
        let scratch = Scratch::new(folder)?;
        let blocks = folder.join(BLOCKS);
        let (Some(data), Some(blocks)) = (folder.to_str(), blocks.to_str()) else {
            return Err(failed(folder, "the folder's name is not UTF-8".to_owned()));
        };
        let chainstate = ChainstateManager::builder(&context, data, blocks)
            // The few tiny blocks of a regtest chain are checked fastest in one thread.
            .map(|builder| builder.worker_threads(0))
            .and_then(|builder| builder.block_tree_db_in_memory(true).chainstate_db_in_memory(true).build())
            .map_err(|e| {
                let said = signals.take_fatal().or_else(|| LINES.last_error());
                failed(folder, said.unwrap_or_else(|| e.to_string()))
            })?;
        let engine = Self { chainstate, _context: context, signals, folder: scratch };
        engine.check_health()?;
        Ok(engine)
    }

    pub(super) fn tip(&self) -> BlockHash {
        BlockHash::from_byte_array(self.chainstate.active_chain().tip().block_hash().to_bytes())
    }

    /// Judges a block and takes it if it is valid.
    ///
    /// # Errors
    /// If the engine itself failed. Then it may have taken the block or not: start it anew.
    pub(super) fn judge(&self, hash: BlockHash, bytes: &[u8]) -> Result<Verdict, LedgerError> {
        let refused = |block| Verdict::Refused { block, reason: LINES.reason(&block) };
        let Ok(block) = bitcoinkernel::Block::new(bytes) else {
            return Ok(Verdict::Refused { block: hash, reason: "bad-block-encoding".to_owned() });
        };
        drop(self.signals.take_refused());
        let result = self.chainstate.process_block(&block);
        self.check_health()?;
        // "New" means stored, not valid: a block or an earlier one of its branch may have failed.
        let blamed = self.signals.take_refused();
        Ok(match (result, blamed.first()) {
            (_, Some(block)) => refused(*block),
            (ProcessBlockResult::Rejected, None) => refused(hash),
            (ProcessBlockResult::Duplicate, None) => Verdict::Known,
            (ProcessBlockResult::NewBlock, None) => Verdict::Taken,
        })
    }

    fn check_health(&self) -> Result<(), LedgerError> {
        self.signals.take_fatal().map_or(Ok(()), |what| Err(failed(&self.folder.0, what)))
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("folder", &self.folder.0).finish_non_exhaustive()
    }
}

/// What a failure of the engine is. It does not always say that the disk is full when it is, and its
/// own check stops it with 50 MB to spare.
fn failed(folder: &Path, what: String) -> LedgerError {
    if what.contains("isk space") || !disk::has_room(folder) {
        return LedgerError::DiskFull { path: folder.to_owned() };
    }
    LedgerError::Engine { what: format!("{what} (in {})", folder.display()) }
}

fn context(signals: &Arc<Signals>) -> Result<Context, KernelError> {
    let (checked, fatal, flush) = (Arc::clone(signals), Arc::clone(signals), Arc::clone(signals));
    let note = |signals: &Signals, what: String| {
        signals.fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(what);
    };
    Context::builder()
        .chain_type(ChainType::Regtest)
        .with_block_checked_validation(
            move |block: bitcoinkernel::Block, state: BlockValidationStateRef<'_>| {
                if state.mode() != ValidationMode::Valid {
                    let hash = BlockHash::from_byte_array(block.hash().to_bytes());
                    checked.refused.lock().unwrap_or_else(PoisonError::into_inner).push(hash);
                }
            },
        )
        .with_fatal_error_notification(move |what: String| note(&fatal, what))
        .with_flush_error_notification(move |what: String| note(&flush, what))
        .build()
}

/// Whether every input's script is satisfied, `coins` being what the inputs spend.
///
/// # Errors
/// The first input whose script is not, or nothing if the transaction cannot be read.
pub fn verify_scripts(tx: &Transaction, coins: &[Coin]) -> Result<(), Option<usize>> {
    let kernel_tx = bitcoinkernel::Transaction::new(&serialize(tx)).map_err(|_| None)?;
    let output = |coin: &Coin| {
        let script = ScriptPubkey::new(coin.output.script_pubkey.as_bytes()).map_err(|_| None)?;
        let amount = i64::try_from(coin.output.value.to_sat()).map_err(|_| None)?;
        Ok((TxOut::new(&script, amount), script, amount))
    };
    let outputs = coins.iter().map(output).collect::<Result<Vec<_>, Option<usize>>>()?;
    let spent: Vec<TxOut> = outputs.iter().map(|(output, _, _)| output.clone()).collect();
    let data = PrecomputedTransactionData::new(&kernel_tx, &spent).map_err(|_| None)?;
    for (i, (_, script, amount)) in outputs.iter().enumerate() {
        bitcoinkernel::verify(script, Some(*amount), &kernel_tx, i, Some(VERIFY_ALL), &data)
            .map_err(|_| Some(i))?;
    }
    Ok(())
}

/// The engine says why it refuses a block in its log only.
static LINES: Lines = Lines { refusals: Mutex::new(VecDeque::new()), error: Mutex::new(None) };

struct Lines {
    /// The last refusals of all engines of this process, told apart by the block's hash.
    refusals: Mutex<VecDeque<(BlockHash, String)>>,
    error: Mutex<Option<String>>,
}

impl Lines {
    const KEPT: usize = 64;

    fn reason(&self, block: &BlockHash) -> String {
        let refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let found = refusals.iter().rev().find(|(hash, _)| hash == block);
        found.map_or_else(|| "unknown reason".to_owned(), |(_, reason)| reason.clone())
    }

    fn last_error(&self) -> Option<String> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn hear(&self, line: &str) {
        let line = line.trim_end();
        if let Some((_, rest)) = line.split_once("BlockChecked: block hash=")
            && let Some((hash, state)) = rest.split_once(" state=")
            && let Ok(hash) = hash.parse()
            && state != "Valid"
        {
            let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            refusals.push_back((hash, state.to_owned()));
            if refusals.len() > Self::KEPT {
                refusals.pop_front();
            }
        } else if let Some((_, error)) = line.split_once("[error] ") {
            *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_owned());
        }
    }
}

struct Ear;

impl Log for Ear {
    fn log(&self, line: &str) {
        LINES.hear(line);
    }
}

/// The log is one for the whole process.
fn listen_to_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| match Logger::new(Ear) {
        Ok(logger) => {
            logger.enable_category(LogCategory::Validation);
            // Listens until the process ends.
            std::mem::forget(logger);
        }
        Err(_) => bitcoinkernel::disable_logging(),
    });
}
