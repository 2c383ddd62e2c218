//! A message in amounts: a run of outputs to the recipient (PROTOCOL.md 7.1).

use bitcoin::{Amount, OutPoint, Script, Transaction, TxOut, Txid};
use keyway_chain::Chain;
use keyway_protocol::authorship::Authored;
use keyway_protocol::identity::PartyKey;
use keyway_protocol::{hash, outpoint_bytes};
use thiserror::Error;

use super::layout::{CHECKSUM_LEN, CoinBits, ImpossibleLength, Layout, MessageLen, PriceTooLow};
use crate::bits;

/// Fewer outputs than any run has, a message of one byte at c = 30 needs four, are a plain payment.
const LEAST_OUTPUTS: usize = 4;

/// What a message in amounts is bound to by its checksum, so that copied amounts say nothing elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// The chain; gives the floor as well.
    pub chain: &'a Chain,
    /// The coin that the transaction's input 0 spends.
    pub input0: OutPoint,
    /// Whom the transaction speaks for.
    pub author: PartyKey,
    /// Whom the run pays.
    pub recipient: PartyKey,
}

/// Why a message could not be written; the caller is at fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum WriteError {
    /// Empty, or too long.
    #[error(transparent)]
    Length(#[from] ImpossibleLength),
    /// The payer has to raise the price.
    #[error(transparent)]
    Price(#[from] PriceTooLow),
}

/// Outputs that look like a run and are none. No message: the transaction is to be treated as a payment, and
/// this says, to whoever expected a message, what became of it. The transaction's author is at fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Damage {
    /// The header announces another number of outputs than the recipient gets.
    #[error(
        "the run announces {expected} outputs to the recipient and the transaction has {found}: \
         it was cut short, or something was paid beside it"
    )]
    Count {
        /// By the header.
        expected: usize,
        /// In the transaction.
        found: usize,
    },
    /// As many outputs as announced, with one to somebody else among them.
    #[error("output {vout} interrupts the run: it pays somebody else")]
    Interrupted {
        /// The first that pays somebody else.
        vout: usize,
    },
    /// An amount that no writer of this c produces.
    #[error(
        "output {vout} of {amount} sat is out of the run's range for c = {bits}",
        amount = amount.to_sat(), bits = bits.get(),
    )]
    OutOfRange {
        /// The output.
        vout: usize,
        /// Its amount.
        amount: Amount,
        /// The header's c.
        bits: CoinBits,
    },
    /// Bits beyond message and checksum are set.
    #[error("the run's last data output has bits set beyond the message")]
    Padding,
    /// Message and checksum do not belong together, here.
    #[error(
        "the run's checksum is wrong: its amounts were changed, \
         or copied from another transaction, author, recipient or chain"
    )]
    Checksum,
}

/// A message that was read, and the coins that carry it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    txid: Txid,
    first: u32,
    layout: Layout,
    message: Vec<u8>,
    amounts: Vec<Amount>,
    price: Amount,
}

/// One output of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coin {
    /// Where it is.
    pub outpoint: OutPoint,
    /// What it holds.
    pub amount: Amount,
}

impl Run {
    /// The message's bytes.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Length and c.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The header's output, whose first spender decides an offer (PROTOCOL.md 9.2).
    pub fn anchor(&self) -> OutPoint {
        OutPoint::new(self.txid, self.first)
    }

    /// The run's outputs in their order, the anchor first: the order in which an answer spends them.
    pub fn coins(&self) -> impl ExactSizeIterator<Item = Coin> {
        let outpoints = self.outpoints();
        outpoints.zip(&self.amounts).map(|(outpoint, amount)| Coin { outpoint, amount: *amount })
    }

    /// The outpoints of [`coins`](Self::coins).
    pub fn outpoints(&self) -> impl ExactSizeIterator<Item = OutPoint> {
        let (txid, first) = (self.txid, self.first);
        (0..self.amounts.len()).map(move |index| OutPoint::new(txid, first + index as u32))
    }

    /// What the run pays in all.
    pub fn price(&self) -> Amount {
        self.price
    }
}

/// The outputs, in their order, that carry `message` and pay exactly `price`. They stand beside one another in the
/// transaction, in any place, and it has no other output to the recipient.
///
/// # Errors
/// [`WriteError`]: a length that cannot be carried, or a price too low for it.
pub fn write(binding: &Binding, message: &[u8], price: Amount) -> Result<Vec<TxOut>, WriteError> {
    let layout = Layout::for_price(binding.chain, MessageLen::new(message.len())?, price)?;
    write_with(binding, message, price, layout.bits())
}

/// As [`write()`], with a c of one's own choice and any price that pays this very message: a reader accepts it.
///
/// # Errors
/// [`WriteError`]; the least price is that of this message and c.
pub fn write_with(
    binding: &Binding,
    message: &[u8],
    price: Amount,
    bits: CoinBits,
) -> Result<Vec<TxOut>, WriteError> {
    let len = MessageLen::new(message.len())?;
    let layout = Layout::new(binding.chain, len, bits);
    let mut amounts = vec![layout.header_amount()];
    let bytes = [message, &binding.checksum(message)].concat();
    amounts.extend(
        bits::groups(&bytes, bits.get()).map(|group| layout.floor() + Amount::from_sat(u64::from(group))),
    );
    let fixed: Amount = amounts.iter().copied().sum();
    let least = fixed + layout.floor();
    if price < least {
        return Err(PriceTooLow { price, len, least, outputs: layout.outputs() }.into());
    }
    amounts.push(price - fixed);
    let script = binding.recipient.script();
    Ok(amounts.into_iter().map(|value| TxOut { value, script_pubkey: script.clone() }).collect())
}

/// Reads the message that a transaction carries to `recipient`: none, if its outputs do not even look like a run.
///
/// # Errors
/// [`Damage`] if they do, and are none.
pub fn read(chain: &Chain, tx: &Authored, recipient: PartyKey) -> Result<Option<Run>, Damage> {
    let binding = Binding { chain, input0: tx.input0(), author: tx.author(), recipient };
    read_outputs(&binding, tx.tx(), tx.txid(), &recipient.script())
}

/// The reader on a transaction of which nothing is known; `script` stands apart from the recipient's key so that
/// tests can try it on scripts that nobody has a key to.
pub(crate) fn read_outputs(
    binding: &Binding,
    tx: &Transaction,
    txid: Txid,
    script: &Script,
) -> Result<Option<Run>, Damage> {
    let Some((first, layout)) = find(binding.chain, &tx.output, script)? else { return Ok(None) };
    let outputs = tx.output.iter().enumerate().skip(first).take(layout.outputs());
    let mut amounts = Vec::with_capacity(layout.outputs());
    for (vout, output) in outputs {
        if output.script_pubkey != *script {
            return Err(Damage::Interrupted { vout });
        }
        amounts.push(output.value);
    }
    let price = check_amounts(&layout, first, &amounts)?;
    let message = decode(binding, &layout, &amounts)?;
    let Ok(first) = u32::try_from(first) else { return Ok(None) };
    Ok(Some(Run { txid, first, layout, message, amounts, price }))
}

/// Where a run begins and what its header announces, if as many outputs as it announces pay `script`.
fn find(chain: &Chain, outputs: &[TxOut], script: &Script) -> Result<Option<(usize, Layout)>, Damage> {
    let mut own = outputs.iter().enumerate().filter(|(_, output)| output.script_pubkey == *script);
    let Some((first, header)) = own.next() else { return Ok(None) };
    let found = 1 + own.count();
    let Some(layout) = Layout::from_header(chain, header.value) else { return Ok(None) };
    let expected = layout.outputs();
    // Most small amounts are the amount of some header. A number of outputs near what it announces is what
    // tells a damaged run from a payment that had never to do with one.
    if found < LEAST_OUTPUTS || found < expected / 2 || found / 2 > expected {
        return Ok(None);
    }
    if found != expected {
        return Err(Damage::Count { expected, found });
    }
    Ok(Some((first, layout)))
}

/// The sum of the amounts, each of which is in its range.
fn check_amounts(layout: &Layout, first: usize, amounts: &[Amount]) -> Result<Amount, Damage> {
    let most = layout.floor() + Amount::from_sat(layout.bits().largest_group());
    let mut price = Amount::ZERO;
    for (index, amount) in amounts.iter().copied().enumerate() {
        let is_data = (1..=layout.data_outputs()).contains(&index);
        let out_of_range = Damage::OutOfRange { vout: first + index, amount, bits: layout.bits() };
        if amount < layout.floor() || (is_data && amount > most) {
            return Err(out_of_range);
        }
        // Only the final amount can be so large, and in no transaction of a valid block.
        price = price.checked_add(amount).ok_or(out_of_range)?;
    }
    Ok(price)
}

fn decode(binding: &Binding, layout: &Layout, amounts: &[Amount]) -> Result<Vec<u8>, Damage> {
    let groups = amounts.iter().skip(1).take(layout.data_outputs());
    let groups = groups.map(|amount| (amount.to_sat() - layout.floor().to_sat()) as u32);
    let len = layout.len().get();
    let mut message = bits::join(groups, layout.bits().get(), len + CHECKSUM_LEN).ok_or(Damage::Padding)?;
    let checksum = message.split_off(len);
    if checksum != binding.checksum(&message) { Err(Damage::Checksum) } else { Ok(message) }
}

impl Binding<'_> {
    fn checksum(&self, message: &[u8]) -> [u8; CHECKSUM_LEN] {
        let digest = hash(
            "value checksum",
            &[
                self.chain.id().as_bytes(),
                &outpoint_bytes(self.input0),
                &self.author.to_bytes(),
                &self.recipient.to_bytes(),
                message,
            ],
        );
        let [a, b, c, d, e, ..] = digest;
        [a, b, c, d, e]
    }
}
