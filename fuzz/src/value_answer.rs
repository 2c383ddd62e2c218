//! Transactions that collect an offer's run, with an answer in sequence numbers or in amounts.
//!
//! Input: kind (u8), expected length (u8), outputs of the run (u8). Of an even kind, version (u8) and inputs of 5
//! bytes: which coin is spent instead of the one in that place (u8, 0 is none) and its sequence number (u32). Of an
//! odd kind, that many bytes of message, and changes of 11 bytes: what is changed (u8: an amount, a sequence number, or
//! a coin), in which place (u16) and what is xored to it (u64).

use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, Sequence, Transaction};
use keyway_carriers::value::run::Binding;
use keyway_carriers::value::{MessageLen, UNUSED_SEQUENCE, amounts, sequences};
use keyway_chain::Chain;

use crate::support::{authored, coin, party, pay, signed, transaction};

/// Reads what these bytes describe and holds the readers to their promises.
pub fn value_answer(data: &[u8]) {
    described(data);
}

fn described(mut data: &[u8]) -> Option<()> {
    let [kind, len, outputs] = take(&mut data)?;
    let len = MessageLen::new(usize::from(len)).ok()?;
    let run: Vec<_> = (0..u32::from(outputs)).map(|vout| OutPoint::new(coin(3).txid, vout)).collect();
    match kind % 2 {
        0 => read_sequences(&run, len, data),
        _ => read_amounts(&run, len, data),
    }
}

fn read_sequences(run: &[OutPoint], len: MessageLen, mut data: &[u8]) -> Option<()> {
    let [version] = take(&mut data)?;
    let mut inputs = Vec::new();
    while let Some([instead]) = take(&mut data) {
        let expected = run.get(inputs.len()).copied().unwrap_or(coin(9));
        let spent = if instead == 0 { expected } else { coin(instead) };
        inputs.push((spent, Sequence(u32::from_be_bytes(take(&mut data)?))));
    }
    if inputs.is_empty() {
        return None;
    }
    let mut tx = transaction(&inputs, vec![pay(&party(1), 1_000)]);
    tx.version = Version(i32::from(version));
    let tx = signed(tx, &party(1));
    match sequences::read(&authored(&tx), run, len) {
        Ok(message) => assert_rewritten(&tx, run, &message),
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
    Some(())
}

/// What is read is what would be written, and nothing beside it carries more.
fn assert_rewritten(tx: &Transaction, run: &[OutPoint], message: &[u8]) {
    let mut written = sequences::write(message, run.len()).unwrap();
    written.resize(tx.input.len(), UNUSED_SEQUENCE);
    assert!(tx.input.iter().map(|input| input.sequence).eq(written));
    assert!(tx.input.iter().map(|input| input.previous_output).take(run.len()).eq(run.iter().copied()));
    assert_eq!(tx.version, Version::TWO);
}

fn read_amounts(run: &[OutPoint], len: MessageLen, data: &[u8]) -> Option<()> {
    let (message, changes) = data.split_at_checked(len.get())?;
    let chain = Chain::regtest();
    let binding =
        Binding { chain: &chain, input0: *run.first()?, author: party(1).key, recipient: party(0).key };
    let inputs: Vec<_> = run.iter().map(|outpoint| (*outpoint, UNUSED_SEQUENCE)).collect();
    let written = transaction(&inputs, amounts::write(&binding, message).unwrap());
    let mut tx = written.clone();
    change(&mut tx, changes);
    let unchanged = tx == written;
    let tx = signed(tx, &party(1));
    match amounts::read(&chain, &authored(&tx), run, party(0).key, len) {
        Ok(answer) => assert!(unchanged && answer.message() == message),
        Err(refused) => assert!(!unchanged && !refused.to_string().is_empty()),
    }
    Some(())
}

fn change(tx: &mut Transaction, mut changes: &[u8]) -> Option<()> {
    loop {
        let [what] = take(&mut changes)?;
        let place = usize::from(u16::from_be_bytes(take(&mut changes)?));
        let xored = u64::from_be_bytes(take(&mut changes)?);
        let (inputs, outputs) = (tx.input.len(), tx.output.len());
        match what % 3 {
            0 => {
                let value = &mut tx.output[place % outputs].value;
                *value = Amount::from_sat(value.to_sat() ^ xored);
            }
            1 => tx.input[place % inputs].sequence.0 ^= xored as u32,
            _ => tx.input[place % inputs].previous_output.vout ^= xored as u32,
        }
    }
}

fn take<const N: usize>(data: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = data.split_first_chunk()?;
    *data = rest;
    Some(*taken)
}
