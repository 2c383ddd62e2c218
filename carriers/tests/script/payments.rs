//! What a reader makes of payments with something beside them.

use bitcoin::hashes::Hash;
use bitcoin::{Amount, ScriptBuf, Sequence, TxOut, WScriptHash};
use keyway_carriers::script::data::NotData;
use keyway_carriers::script::{Damage, Message, Payment, Way, data, read_answer, read_offer};
use keyway_chain::Chain;

use crate::support::{authored, coin, party, pay, signed, transaction};

/// A script-hash output that may be a lock.
pub fn lock(n: u8) -> TxOut {
    let script_pubkey = ScriptBuf::new_p2wsh(&WScriptHash::from_byte_array([n; 32]));
    TxOut { value: Amount::from_sat(249_000), script_pubkey }
}

fn message() -> TxOut {
    data::write(&[7; 41]).unwrap()
}

fn in_output(bytes: &[u8]) -> Message {
    Message { bytes: bytes.to_vec(), way: Way::Output }
}

/// Those of an offer over the dynamic carrier, with change.
pub fn outputs() -> Vec<TxOut> {
    vec![pay(&party(1), 1_000), message(), lock(1), pay(&party(0), 77)]
}

fn read(outputs: Vec<TxOut>) -> Result<Option<Payment>, Damage> {
    let tx = signed(transaction(&[(coin(7), Sequence::MAX)], outputs), &party(0));
    read_offer(&Chain::regtest(), &authored(&tx), party(1).key)
}

#[test]
fn the_first_output_to_the_recipient_is_the_anchor_wherever_the_others_are() {
    let mut outputs = outputs();
    outputs.rotate_left(1);
    outputs.extend([pay(&party(1), 5), pay(&party(1), 6)]);
    let payment = read(outputs).unwrap().unwrap();
    assert_eq!((payment.anchor().vout, payment.anchored().to_sat()), (3, 1_000));
    assert_eq!(payment.fund().map(|fund| fund.vout), Some(4), "the second pays for an answer's envelope");
    assert_eq!((payment.message(), payment.price().to_sat()), (&[7; 41][..], 250_005));
    assert_eq!(payment.collected().len(), 2);
}

#[test]
fn a_payment_without_data_and_data_without_a_payment_are_no_messages() {
    assert_eq!(read(vec![pay(&party(1), 1_000)]), Ok(None));
    assert_eq!(read(vec![pay(&party(2), 1_000), message()]), Ok(None));
}

#[test]
fn two_messages_two_locks_and_burnt_money_are_named() {
    let with = |more: TxOut| read([outputs(), vec![more]].concat()).unwrap_err();
    assert_eq!(with(message()), Damage::SeveralMessages(2));
    assert_eq!(with(lock(2)), Damage::SeveralLocks(2));
    let mut burning = outputs();
    burning[1].value = Amount::from_sat(1);
    assert_eq!(read(burning), Err(Damage::Data(NotData::Value(Amount::from_sat(1)))));
    let mut runestone = outputs();
    runestone[1].script_pubkey = ScriptBuf::from_bytes(vec![0x6a, 0x5d, 2, 1, 1]);
    assert_eq!(read(runestone), Err(Damage::Data(NotData::Form)));
}

#[test]
fn an_answer_spends_what_it_answers_in_its_order_and_carries_a_message() {
    let spent = [coin(7), coin(8)];
    let tx = |inputs: &[u8], outputs: Vec<TxOut>| {
        let inputs: Vec<_> = inputs.iter().map(|n| (coin(*n), Sequence::MAX)).collect();
        signed(transaction(&inputs, outputs), &party(1))
    };
    let paid = || vec![pay(&party(1), 249_000), message()];
    assert_eq!(
        read_answer(&Chain::regtest(), &authored(&tx(&[7, 8], paid())), &spent),
        Ok(in_output(&[7; 41]))
    );
    assert_eq!(
        read_answer(&Chain::regtest(), &authored(&tx(&[7, 8, 9], paid())), &spent),
        Ok(in_output(&[7; 41]))
    );
    for (inputs, input) in [(&[8, 7][..], 0), (&[7, 9], 1), (&[7], 1)] {
        let refused = read_answer(&Chain::regtest(), &authored(&tx(inputs, paid())), &spent);
        assert_eq!(refused, Err(Damage::NotSpending { input }));
    }
    let bare = tx(&[7, 8], vec![pay(&party(1), 249_000)]);
    assert_eq!(read_answer(&Chain::regtest(), &authored(&bare), &spent), Err(Damage::NoMessage));
}
