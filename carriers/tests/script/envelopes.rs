//! What a reader makes of envelopes: whole ones, and what others do with them.

use bitcoin::opcodes::all::{OP_CHECKSIG, OP_CHECKSIGVERIFY, OP_DROP};
use bitcoin::script::Builder;
use bitcoin::{Amount, ScriptBuf, Sequence, Transaction, TxOut, Witness};
use keyway_carriers::script::envelope::{self, NotEnvelope};
use keyway_carriers::script::{Damage, Payment, Way, data, read_offer};
use keyway_chain::Chain;
use keyway_protocol::authorship::NotAuthored;

use crate::beside::revealing;
use crate::support::{authored, coin, party, pay, signed, transaction};

const MESSAGE: [u8; 1_281] = [7; 1_281];

fn script() -> ScriptBuf {
    envelope::write(party(0).key, &MESSAGE).unwrap()
}

fn amount() -> Amount {
    envelope::amount(&Chain::regtest())
}

/// An offer of party 0 to party 1 whose inputs from the second on show these scripts, signed by their authors.
fn offer(shown: &[(&ScriptBuf, u8)], outputs: Vec<TxOut>) -> Transaction {
    let coins = (7..).take(1 + shown.len()).map(|n| (coin(n), Sequence::MAX)).collect::<Vec<_>>();
    let tx = signed(transaction(&coins, outputs), &party(0));
    (1..)
        .zip(shown)
        .fold(tx, |tx, (index, (script, author))| revealing(tx, index, script, amount(), &party(*author)))
}

fn outputs() -> Vec<TxOut> {
    vec![pay(&party(1), 248_700), pay(&party(1), 1_300)]
}

fn read(tx: &Transaction) -> Result<Option<Payment>, Damage> {
    read_offer(&Chain::regtest(), &authored(tx), party(1).key)
}

#[test]
fn a_message_is_read_from_the_envelope_that_a_later_input_shows() {
    let payment = read(&offer(&[(&script(), 0)], outputs())).unwrap().unwrap();
    assert_eq!((payment.message(), payment.way()), (&MESSAGE[..], Way::Envelope));
    assert_eq!((payment.anchor().vout, payment.fund().unwrap().vout), (0, 1));
    assert_eq!(payment.price(), Amount::from_sat(250_000));
}

#[test]
fn what_is_written_is_read_and_as_long_as_said() {
    for len in [4, 75, 150, 151, 152, 510, 520, 521, 1_040, 1_041, 1_561, 2_345, envelope::MOST_BYTES] {
        let message: Vec<u8> = (0..len).map(|n| n as u8).collect();
        let script = envelope::write(party(0).key, &message).unwrap();
        assert_eq!(envelope::open(&script), Some((party(0).key, message)), "{len}");
        assert_eq!(script.len(), envelope::script_len(len), "{len}");
        assert!(script.len() <= 3_600);
    }
    for len in [0, 3, envelope::MOST_BYTES + 1] {
        assert!(envelope::write(party(0).key, &vec![7; len]).is_err());
    }
}

#[test]
fn an_input_that_reveals_weighs_at_most_what_is_said() {
    let tx = offer(&[(&script(), 0)], outputs());
    let (is, said) = (tx.input[1].segwit_weight(), envelope::revealing_weight(MESSAGE.len()));
    assert!(is <= said && said.to_wu() - is.to_wu() <= 4, "{is} of {said}");
}

#[test]
fn an_envelope_of_somebody_else_is_named_whoever_signed_it() {
    let theirs = envelope::write(party(2).key, &MESSAGE).unwrap();
    let foreign = NotEnvelope::Foreign(1, party(2).key);
    assert_eq!(read(&offer(&[(&theirs, 2)], outputs())), Err(foreign.into()));
    assert_eq!(read(&offer(&[(&theirs, 0)], outputs())), Err(foreign.into()));
}

#[test]
fn an_envelope_that_its_author_did_not_sign_here_is_refused() {
    let wrong = NotEnvelope::Unsigned(1, NotAuthored::WrongSignature);
    assert_eq!(read(&offer(&[(&script(), 2)], outputs())), Err(wrong.into()));
    // Copied from another payment of the author: the signature is that transaction's.
    let original = offer(&[(&script(), 0)], outputs());
    let mut copy = offer(&[(&script(), 0)], vec![pay(&party(1), 5)]);
    copy.input[1].witness = original.input[1].witness.clone();
    assert_eq!(read(&copy), Err(wrong.into()));
    // As one of another amount: no reader could tell what was spent.
    let mut dearer = offer(&[(&script(), 0)], outputs());
    dearer = revealing(dearer, 1, &script(), amount() * 2, &party(0));
    assert_eq!(read(&dearer), Err(wrong.into()));
    let mut unsigned = offer(&[(&script(), 0)], outputs());
    unsigned.input[1].witness = Witness::from_slice(&[vec![], script().to_bytes()]);
    let malformed = NotEnvelope::Unsigned(1, NotAuthored::MalformedSignature);
    assert_eq!(read(&unsigned), Err(malformed.into()));
}

#[test]
fn another_text_under_the_same_signature_is_refused() {
    let mut tx = offer(&[(&script(), 0)], outputs());
    let signature = tx.input[1].witness.nth(0).unwrap().to_vec();
    let other = envelope::write(party(0).key, &[8; 1_281]).unwrap();
    tx.input[1].witness = Witness::from_slice(&[signature, other.to_bytes()]);
    assert_eq!(read(&tx), Err(NotEnvelope::Unsigned(1, NotAuthored::WrongSignature).into()));
}

#[test]
fn two_envelopes_and_an_envelope_beside_a_data_output_are_named() {
    let second = envelope::write(party(0).key, &[9; 97]).unwrap();
    assert_eq!(read(&offer(&[(&script(), 0), (&second, 0)], outputs())), Err(Damage::SeveralMessages(2)));
    assert_eq!(read(&offer(&[(&script(), 0), (&script(), 0)], outputs())), Err(Damage::SeveralMessages(2)));
    let beside = [outputs(), vec![data::write(&[7; 41]).unwrap()]].concat();
    assert_eq!(read(&offer(&[(&script(), 0)], beside)), Err(Damage::SeveralMessages(2)));
}

#[test]
fn an_envelope_cut_in_another_way_is_refused() {
    let head = || Builder::new().push_key(&party(0).key.to_public_key().into()).push_opcode(OP_CHECKSIG);
    let whole = script().into_bytes();
    let forms = [
        head().push_slice([7; 70]).push_opcode(OP_DROP).into_script(),
        head().push_slice([7; 70]).push_slice([7; 7]).into_script(),
        head().push_int(1).push_opcode(OP_DROP).into_script(),
        ScriptBuf::from_bytes(whole[..whole.len() - 1].to_vec()),
        ScriptBuf::from_bytes(whole[..600].to_vec()),
        ScriptBuf::from_bytes([&whole[..], &[0x75]].concat()),
    ];
    for form in &forms[..2] {
        assert_eq!(read(&offer(&[(form, 0)], outputs())), Err(NotEnvelope::Form(1).into()), "{form}");
    }
    for form in &forms[3..] {
        assert_eq!(read(&offer(&[(form, 0)], outputs())), Err(NotEnvelope::Form(1).into()), "{form}");
    }
    // What does not go on with bytes to push has nothing of an envelope.
    assert_eq!(read(&offer(&[(&forms[2], 0)], outputs())), Ok(None));
}

#[test]
fn what_only_looks_like_an_envelope_from_afar_is_an_ordinary_payment() {
    let key = party(0).key.to_public_key().into();
    let verify =
        Builder::new().push_key(&key).push_opcode(OP_CHECKSIGVERIFY).push_slice([7; 70]).into_script();
    let bare = Builder::new().push_key(&key).push_opcode(OP_CHECKSIG).into_script();
    for script in [verify, bare] {
        assert_eq!(read(&offer(&[(&script, 0)], outputs())), Ok(None), "{script}");
    }
    // Three elements are another script's: a lock's begins as an envelope does.
    let mut tx = offer(&[(&script(), 0)], outputs());
    tx.input[1].witness.push([1]);
    assert_eq!(read(&tx), Ok(None));
    // Input 0 says who speaks.
    let alone = signed(transaction(&[(coin(7), Sequence::MAX)], outputs()), &party(0));
    assert_eq!(read(&alone), Ok(None));
}
