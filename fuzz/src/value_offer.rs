//! Payments to a recipient, drawn freely or made from a message and then changed.
//!
//! Input: chain (u8), kind (u8). Of an even kind, outputs of 9 bytes: whom it pays (u8, odd is somebody else) and
//! the amount (u64). Of an odd kind, c (u8), sat above the least price (u32), message length (u16), the message, and
//! changes of 10 bytes: which output (u16) and what is xored to its amount (u64).

use bitcoin::{Amount, Sequence, TxOut};
use keyway_carriers::value::run::{self, Binding};
use keyway_carriers::value::{CoinBits, Layout, MessageLen, Run};
use keyway_chain::Chain;
use keyway_protocol::authorship::Authored;

use crate::support::{authored, coin, party, pay, signed, transaction};

/// More take the fuzzer milliseconds to hash and sign, and show nothing that these do not.
const MOST_OUTPUTS: usize = 100;

/// Reads what these bytes describe and holds the reader to its promises.
pub fn value_offer(data: &[u8]) {
    described(data);
}

fn described(mut data: &[u8]) -> Option<()> {
    let chain = chain(take(&mut data)?)?;
    let [kind] = take(&mut data)?;
    match kind % 2 {
        0 => read_strange(&chain, data),
        _ => read_changed(&chain, data),
    }
}

fn read_strange(chain: &Chain, mut data: &[u8]) -> Option<()> {
    let mut outputs = Vec::new();
    while outputs.len() < MOST_OUTPUTS
        && let Some([whom]) = take(&mut data)
    {
        outputs.push(pay(&party(1 + whom % 2), u64::from_be_bytes(take(&mut data)?)));
    }
    read(chain, outputs);
    Some(())
}

fn read_changed(chain: &Chain, mut data: &[u8]) -> Option<()> {
    let bits = CoinBits::new(1 + take::<1>(&mut data)?[0] % 30)?;
    let more = u64::from(u32::from_be_bytes(take(&mut data)?));
    let len = usize::from(u16::from_be_bytes(take(&mut data)?)).min(data.len());
    let (message, mut changes) = data.split_at(len);
    let layout = Layout::new(chain, MessageLen::new(len).ok()?, bits);
    if layout.outputs() > MOST_OUTPUTS {
        return None;
    }
    let price = layout.worst_case() + Amount::from_sat(more);
    let written = run::write_with(&binding(chain), message, price, bits).unwrap();
    let mut outputs = written.clone();
    while let Some(index) = take(&mut changes) {
        let index = usize::from(u16::from_be_bytes(index)) % outputs.len();
        let change = u64::from_be_bytes(take(&mut changes)?);
        outputs[index].value = Amount::from_sat(outputs[index].value.to_sat() ^ change);
    }
    let carrying = outputs.len() - 1;
    let unchanged = outputs[..carrying] == written[..carrying];
    let last = outputs[carrying].value;
    let fits = last >= layout.floor() && last <= Amount::MAX_MONEY;
    match read(chain, outputs) {
        Some(run) => assert!(unchanged && run.message() == message),
        None => assert!(!unchanged || !fits),
    }
    Some(())
}

/// What is read is what would be written, and is read nowhere else.
fn read(chain: &Chain, outputs: Vec<TxOut>) -> Option<Run> {
    let tx = signed(transaction(&[(coin(7), Sequence::MAX)], outputs), &party(0));
    let authored = authored(&tx);
    let read = run::read(chain, &authored, party(1).key);
    if let Err(damage) = read {
        assert!(!damage.to_string().is_empty());
    }
    let run = read.ok().flatten()?;
    let binding = binding(chain);
    let rewritten = run::write_with(&binding, run.message(), run.price(), run.layout().bits()).unwrap();
    let first = run.anchor().vout as usize;
    assert_eq!(tx.output[first..first + rewritten.len()], rewritten);
    assert!(run.coins().map(|coin| coin.amount).eq(rewritten.iter().map(|output| output.value)));
    assert_nobody_else_reads(chain, &authored);
    Some(run)
}

fn assert_nobody_else_reads(chain: &Chain, tx: &Authored) {
    for other in Chain::all().filter(|other| other != chain) {
        assert!(!matches!(run::read(&other, tx, party(1).key), Ok(Some(_))));
    }
    for other in [0, 2] {
        assert!(!matches!(run::read(chain, tx, party(other).key), Ok(Some(_))));
    }
    let by_another = signed(tx.tx().clone(), &party(3));
    assert!(!matches!(run::read(chain, &authored(&by_another), party(1).key), Ok(Some(_))));
}

fn binding(chain: &Chain) -> Binding<'_> {
    Binding { chain, input0: coin(7), author: party(0).key, recipient: party(1).key }
}

fn chain([number]: [u8; 1]) -> Option<Chain> {
    let count = Chain::all().count();
    Chain::all().nth(usize::from(number) % count)
}

fn take<const N: usize>(data: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = data.split_first_chunk()?;
    *data = rest;
    Some(*taken)
}
