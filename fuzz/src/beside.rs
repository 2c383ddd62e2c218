//! Payments with something beside them: data outputs, script-hash outputs, coins to anybody, in any order.
//!
//! Input: kind (u8), then outputs: whom or what (u8), the amount (u64) and, for scripts of one's own, a length (u16) and
//! that many bytes. Of an even kind it is read as an offer, of an odd one as the answer that spends two coins.

use bitcoin::{Amount, ScriptBuf, Sequence, TxOut};
use keyway_carriers::script::{self, Damage, data};

use crate::support::{authored, coin, party, pay, signed, transaction};

const MOST_OUTPUTS: usize = 20;

/// Reads what these bytes describe and holds the readers to their promises.
pub fn beside(data: &[u8]) {
    let Some((kind, mut data)) = data.split_first() else { return };
    let mut outputs = Vec::new();
    while outputs.len() < MOST_OUTPUTS
        && let Some(output) = output(&mut data)
    {
        outputs.push(output);
    }
    match kind % 2 {
        0 => read_offer(outputs),
        _ => read_answer(outputs),
    }
}

fn output(data: &mut &[u8]) -> Option<TxOut> {
    let ([what], sat) = (take(data)?, u64::from_be_bytes(take(data)?));
    let sat = sat % (Amount::MAX_MONEY.to_sat() / MOST_OUTPUTS as u64);
    Some(match what % 4 {
        0 => pay(&party(1), sat),
        1 => pay(&party(2), sat),
        2 => TxOut { value: Amount::from_sat(sat), script_pubkey: own_script(data)? },
        _ => TxOut { value: Amount::ZERO, script_pubkey: own_script(data)? },
    })
}

fn own_script(data: &mut &[u8]) -> Option<ScriptBuf> {
    let len = usize::from(u16::from_be_bytes(take(data)?)).min(data.len());
    let (script, rest) = data.split_at(len);
    *data = rest;
    Some(ScriptBuf::from_bytes(script.to_vec()))
}

/// What is read is what would be written.
fn read_offer(outputs: Vec<TxOut>) {
    let tx = signed(transaction(&[(coin(7), Sequence::MAX)], outputs), &party(0));
    let payment = match script::read_offer(&authored(&tx), party(1).key) {
        Ok(Some(payment)) => payment,
        Ok(None) => return,
        Err(damage) => return assert!(!damage.to_string().is_empty()),
    };
    let anchor = &tx.output[payment.anchor().vout as usize];
    assert_eq!((anchor.value, &anchor.script_pubkey), (payment.anchored(), &party(1).key.script()));
    assert!(tx.output.contains(&data::write(payment.message()).unwrap()));
    assert_eq!(payment.collected().len(), 1 + usize::from(payment.locked().is_some()));
    assert!(payment.price() >= payment.anchored());
}

fn read_answer(outputs: Vec<TxOut>) {
    let spent = [coin(7), coin(8)];
    let tx = signed(transaction(&spent.map(|coin| (coin, Sequence::MAX)), outputs), &party(1));
    match script::read_answer(&authored(&tx), &spent) {
        Ok(message) => assert!(tx.output.contains(&data::write(&message).unwrap())),
        Err(damage) => assert!(!damage.to_string().is_empty()),
    }
    let swapped = script::read_answer(&authored(&tx), &[coin(8), coin(7)]);
    assert_eq!(swapped, Err(Damage::NotSpending { input: 0 }));
}

fn take<const N: usize>(data: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = data.split_first_chunk()?;
    *data = rest;
    Some(*taken)
}
