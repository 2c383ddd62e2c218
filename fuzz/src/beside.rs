//! Payments with something beside them: data outputs, script-hash outputs, coins to anybody, in any order.
//!
//! Input: kind (u8), then outputs: whom or what (u8), the amount (u64) and, for scripts of one's own, a length (u16) and
//! that many bytes. Of an even kind it is read as an offer, of an odd one as the answer that spends two coins. The
//! last kind of script is no output's: an input behind the others shows it, signed by the author.

use bitcoin::hashes::Hash;
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::{Amount, OutPoint, Script, ScriptBuf, Sequence, Transaction, TxOut};
use keyway_carriers::script::{self, Damage, Message, Way, data, envelope, published};
use keyway_chain::Chain;

use crate::support::{Party, authored, coin, party, pay, signed, transaction};

const MOST_OUTPUTS: usize = 20;
const MOST_ENVELOPES: usize = 3;

/// What these bytes describe.
#[derive(Default)]
struct Described {
    outputs: Vec<TxOut>,
    shown: Vec<ScriptBuf>,
}

/// Reads what these bytes describe and holds the readers to their promises.
pub fn beside(data: &[u8]) {
    let Some((kind, mut data)) = data.split_first() else { return };
    let mut described = Described::default();
    while described.outputs.len() < MOST_OUTPUTS
        && described.shown.len() < MOST_ENVELOPES
        && describe(&mut data, &mut described).is_some()
    {}
    match kind % 2 {
        0 => read_offer(described),
        _ => read_answer(described),
    }
}

fn describe(data: &mut &[u8], described: &mut Described) -> Option<()> {
    let ([what], sat) = (take(data)?, u64::from_be_bytes(take(data)?));
    let sat = sat % (Amount::MAX_MONEY.to_sat() / MOST_OUTPUTS as u64);
    match what % 5 {
        0 => described.outputs.push(pay(&party(1), sat)),
        1 => described.outputs.push(pay(&party(2), sat)),
        2 => {
            let script_pubkey = own_script(data)?;
            described.outputs.push(TxOut { value: Amount::from_sat(sat), script_pubkey });
        }
        3 => {
            let script_pubkey = own_script(data)?;
            described.outputs.push(TxOut { value: Amount::ZERO, script_pubkey });
        }
        _ => described.shown.push(own_script(data)?),
    }
    Some(())
}

fn own_script(data: &mut &[u8]) -> Option<ScriptBuf> {
    let len = usize::from(u16::from_be_bytes(take(data)?)).min(data.len());
    let (script, rest) = data.split_at(len);
    *data = rest;
    Some(ScriptBuf::from_bytes(script.to_vec()))
}

/// The transaction with the script of an envelope shown in input `index`, signed by `author` as one of `amount`. No
/// other input's signature covers that.
pub fn revealing(
    mut tx: Transaction,
    index: usize,
    script: &Script,
    amount: Amount,
    author: &Party,
) -> Transaction {
    let digest =
        SighashCache::new(&tx).p2wsh_signature_hash(index, script, amount, EcdsaSighashType::All).unwrap();
    tx.input[index].witness = envelope::witness(script, &author.sign(digest.to_byte_array()));
    tx
}

impl Described {
    /// A transaction of `author` that spends these coins first.
    fn transaction(self, author: &Party, first: &[OutPoint]) -> Transaction {
        let envelopes = (100..).take(self.shown.len()).map(coin);
        let inputs = first.iter().copied().chain(envelopes).map(|coin| (coin, Sequence::MAX));
        let tx = signed(transaction(&inputs.collect::<Vec<_>>(), self.outputs), author);
        let amount = envelope::amount(&Chain::regtest());
        let shown = (first.len()..).zip(&self.shown);
        shown.fold(tx, |tx, (index, script)| revealing(tx, index, script, amount, author))
    }
}

/// What is read is what would be written.
fn read_offer(described: Described) {
    let tx = described.transaction(&party(0), &[coin(7)]);
    read_published(&tx);
    let payment = match script::read_offer(&Chain::regtest(), &authored(&tx), party(1).key) {
        Ok(Some(payment)) => payment,
        Ok(None) => return,
        Err(damage) => return assert!(!damage.to_string().is_empty()),
    };
    let anchor = &tx.output[payment.anchor().vout as usize];
    assert_eq!((anchor.value, &anchor.script_pubkey), (payment.anchored(), &party(1).key.script()));
    let message = Message { bytes: payment.message().to_vec(), way: payment.way() };
    assert_carried(&tx, &party(0), &message);
    assert_eq!(payment.collected().len(), 1 + usize::from(payment.locked().is_some()));
    assert!(payment.price() >= payment.anchored());
}

/// What publishes a group is no offer.
fn read_published(tx: &Transaction) {
    let numbers = match published::read(&authored(tx)) {
        Ok(Some(numbers)) => numbers,
        Ok(None) => {
            return assert!(!tx.output.iter().any(|output| output.script_pubkey == published::mark()));
        }
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let written = published::write(&numbers).unwrap();
    assert!(tx.output.windows(2).any(|pair| *pair == written));
    assert!(!matches!(script::read_offer(&Chain::regtest(), &authored(tx), party(1).key), Ok(Some(_))));
}

fn read_answer(described: Described) {
    let spent = [coin(7), coin(8)];
    let tx = described.transaction(&party(1), &spent);
    match script::read_answer(&Chain::regtest(), &authored(&tx), &spent) {
        Ok(message) => assert_carried(&tx, &party(1), &message),
        Err(damage) => assert!(!damage.to_string().is_empty()),
    }
    let swapped = script::read_answer(&Chain::regtest(), &authored(&tx), &[coin(8), coin(7)]);
    assert_eq!(swapped, Err(Damage::NotSpending { input: 0 }));
}

fn assert_carried(tx: &Transaction, author: &Party, message: &Message) {
    let mut shown = script::envelopes(tx).map(|(_, script)| script);
    match message.way {
        Way::Output => assert!(tx.output.contains(&data::write(&message.bytes).unwrap())),
        Way::Envelope => {
            let written = envelope::write(author.key, &message.bytes).unwrap();
            assert!(shown.any(|script| *script == *written));
        }
    }
}

fn take<const N: usize>(data: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = data.split_first_chunk()?;
    *data = rest;
    Some(*taken)
}
