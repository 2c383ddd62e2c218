//! Block after block along the node's best chain; what breaks the rule is taken back.

use bitcoin::{BlockHash, Transaction, TxOut};
use keyway_chain::BlockRef;

use crate::rule::{self, Broken};
use crate::{Ledger, LedgerError, Next, Watch};

/// A node that takes back what it took.
pub trait Guarded {
    /// Its chain.
    fn ledger(&self) -> &dyn Ledger;

    /// The transactions of a connected block that the rule has something to say on, with what their inputs spend.
    ///
    /// # Errors
    /// The ledger's.
    fn concerned(&self, at: BlockRef) -> Result<Vec<(Transaction, Vec<TxOut>)>, LedgerError>;

    /// Has it leave this block, and all that rest on it, for good.
    ///
    /// # Errors
    /// The ledger's.
    fn invalidate(&self, hash: &BlockHash) -> Result<(), LedgerError>;
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A block keeps the rule.
    Checked(BlockRef),
    /// A block that was checked is no longer in the best chain.
    Left {
        /// The block.
        at: BlockRef,
        /// Its transactions that spend by the opcode.
        transactions: Vec<Transaction>,
    },
    /// A block broke the rule, and the node was told.
    Invalidated {
        /// The block.
        at: BlockRef,
        /// What is wrong with it.
        broken: Broken,
    },
}

/// Brings `checked` to the node's tip, and waits for nothing: every block on the way there is held to the rule. Blocks
/// below the fork with the chain that was checked before are left alone, so the rule holds from where `checked` began;
/// a branch beside it is held to it as a whole when it wins, however old it is.
///
/// # Errors
/// The ledger's. What was checked stays checked.
pub fn follow(
    node: &dyn Guarded,
    checked: &mut BlockRef,
    hear: &mut dyn FnMut(Heard),
) -> Result<(), LedgerError> {
    let (ledger, everything) = (node.ledger(), Watch::new());
    let mut taken_back = None;
    loop {
        match ledger.next(*checked, &everything)? {
            Next::AtTip => return Ok(()),
            Next::Disconnect => {
                let at = *checked;
                *checked = parent(ledger, at)?;
                // A node that pruned the block has lost what could be mined again.
                let concerned = node.concerned(at).unwrap_or_default();
                let transactions = concerned.into_iter().map(|(tx, _)| tx).collect();
                hear(Heard::Left { at, transactions });
            }
            Next::Connect(connected) => match offence(node, connected.at)? {
                None => {
                    *checked = connected.at;
                    hear(Heard::Checked(connected.at));
                }
                Some(_) if taken_back == Some(connected.at) => {
                    let what =
                        format!("it keeps block {} although it was told to leave it", connected.at.hash);
                    return Err(LedgerError::Nonsense { backend: "the node".to_owned(), what });
                }
                Some(broken) => {
                    node.invalidate(&connected.at.hash)?;
                    taken_back = Some(connected.at);
                    hear(Heard::Invalidated { at: connected.at, broken });
                }
            },
        }
    }
}

fn offence(node: &dyn Guarded, at: BlockRef) -> Result<Option<Broken>, LedgerError> {
    let concerned = node.concerned(at)?;
    Ok(concerned.iter().find_map(|(tx, spent)| rule::check(tx, spent).err()))
}

fn parent(ledger: &dyn Ledger, at: BlockRef) -> Result<BlockRef, LedgerError> {
    let unknown = || LedgerError::Nonsense {
        backend: "the node".to_owned(),
        what: format!(
            "it no longer knows block {}, which was checked: is it another node, or was its folder emptied?",
            at.hash
        ),
    };
    let header = ledger.header(&at.hash)?.ok_or_else(unknown)?;
    let height = at.height.prev().ok_or_else(unknown)?;
    Ok(BlockRef::new(height, header.prev_blockhash))
}
