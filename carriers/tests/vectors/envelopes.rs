//! `vectors/envelopes.json`: transactions that show envelopes, and what a reader makes of them (PROTOCOL.md 7.7).

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{Amount, ScriptBuf, Sequence, Transaction, TxOut};
use keyway_carriers::script::envelope::{self, NotEnvelope};
use keyway_carriers::script::{Damage, Payment, data, read_offer};
use keyway_chain::Chain;
use keyway_protocol::authorship::Authored;

use crate::file;
use crate::json::{Json, hex, object};
use crate::party::{Party, coin, transaction};

const CAR: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";
const CHARGER: &str = "letter advice cage absurd amount doctor acoustic avoid letter advice cage above";
/// What the coin in input 0 holds.
const COIN: Amount = Amount::from_sat(30_000_000);

#[test]
fn the_vectors_of_envelopes_are_what_the_code_gives() {
    file::check("envelopes.json", &object! { "written": written(), "reading": reading() });
}

fn message(len: usize) -> Vec<u8> {
    (0..len).map(|n| n as u8).collect()
}

/// The lengths at which another push, or another form of push, begins.
fn written() -> Vec<Json> {
    let lengths = [4, 5, 150, 151, 152, 510, 512, 513, 1_040, 1_041, 1_281, 1_560, 2_345, 3_500];
    let author = Party::new("car", CAR, &Chain::regtest(), 1).key();
    let case = |len: usize| {
        object! {
            "id": format!("length-{len}"),
            "comment": "the script that carries so many bytes",
            "author": hex(author.to_bytes()),
            "message": hex(message(len)),
            "script": hex(envelope::write(author, &message(len)).unwrap()),
        }
    };
    lengths.map(case).into()
}

/// A payment of the car's to the charger, and what its inputs after the first show and sign.
struct Reveal {
    chain: Chain,
    car: Party,
    charger: Party,
}

impl Reveal {
    fn on(chain: &str) -> Self {
        let chain = Chain::named(chain).unwrap();
        let (car, charger) = (Party::new("car", CAR, &chain, 1), Party::new("charger", CHARGER, &chain, 2));
        Self { chain, car, charger }
    }

    fn script(&self, len: usize) -> ScriptBuf {
        envelope::write(self.car.key(), &message(len)).unwrap()
    }

    fn outputs(&self) -> Vec<TxOut> {
        vec![self.charger.pay(240_000), self.charger.pay(10_000)]
    }

    fn showing(&self, scripts: &[&ScriptBuf], outputs: Vec<TxOut>) -> Transaction {
        self.signed(scripts, outputs, &self.car, envelope::amount(&self.chain))
    }

    fn signed(&self, scripts: &[&ScriptBuf], outputs: Vec<TxOut>, by: &Party, amount: Amount) -> Transaction {
        let coins: Vec<_> = (1..).take(1 + scripts.len()).map(|n| (coin(n), Sequence(0xffff_fffd))).collect();
        let mut tx = transaction(&coins, outputs);
        self.car.sign(&mut tx, &[COIN]);
        for (index, script) in (1..).zip(scripts) {
            tx.input[index].witness = by.show(&tx, index, script, amount);
        }
        tx
    }

    fn case(&self, id: &str, comment: &str, tx: &Transaction) -> Json {
        let read = read_offer(&self.chain, &Authored::verify(tx, COIN).unwrap(), self.charger.key());
        let payment = read.as_ref().ok().and_then(Option::as_ref);
        object! {
            "id": id,
            "comment": comment,
            "chain": self.chain.name(),
            "recipient": hex(self.charger.key().to_bytes()),
            "amount": COIN.to_sat(),
            "tx": serialize_hex(tx),
            "message": payment.map(|payment| hex(payment.message())),
            "price": payment.map(|payment| Json::from(payment.price().to_sat())),
            "fund": payment.and_then(Payment::fund).map(|fund| Json::from(fund.vout)),
            "error": read.as_ref().err().map(|damage| Json::from(name_of(damage))),
        }
    }
}

fn reading() -> Vec<Json> {
    let (on, other) = (Reveal::on("regtest"), Reveal::on("litecoin"));
    let script = on.script(1_281);
    let shown = || on.showing(&[&script], on.outputs());
    let theirs = envelope::write(on.charger.key(), &message(97)).unwrap();
    let mut cut = script.to_bytes();
    cut.pop();
    let more = ScriptBuf::from_bytes([script.as_bytes(), &[0x75]].concat());
    let mut short = on.outputs();
    short.truncate(1);
    let mut beside = on.outputs();
    beside.push(data::write(&message(41)).unwrap());
    let mut third = shown();
    third.input[1].witness.push([1]);
    let floor = envelope::amount(&on.chain);
    let signed_by = |by, amount| on.signed(&[&script], on.outputs(), by, amount);
    vec![
        on.case("envelope", "an offer's bytes, and a fund", &shown()),
        other.case("litecoin", "another amount", &other.showing(&[&other.script(97)], other.outputs())),
        on.case("no-fund", "one output to the recipient", &on.showing(&[&script], short)),
        on.case("two", "two envelopes", &on.showing(&[&script, &on.script(97)], on.outputs())),
        on.case("beside-data", "an envelope and a data output", &on.showing(&[&script], beside)),
        on.case("foreign", "somebody else's envelope", &on.showing(&[&theirs], on.outputs())),
        on.case(
            "foreign-signed",
            "signed by its owner",
            &on.signed(&[&theirs], on.outputs(), &on.charger, floor),
        ),
        on.case("unsigned", "signed by somebody else", &signed_by(&on.charger, floor)),
        on.case("amount", "signed as one of another amount", &signed_by(&on.car, floor * 2)),
        on.case("cut", "a drop is missing", &on.showing(&[&ScriptBuf::from_bytes(cut)], on.outputs())),
        on.case("more", "a drop too many", &on.showing(&[&more], on.outputs())),
        on.case("three-elements", "another script's witness: no message", &third),
        on.case("bare", "nothing shown: no message", &on.showing(&[], on.outputs())),
    ]
}

fn name_of(damage: &Damage) -> &'static str {
    match damage {
        Damage::SeveralMessages(_) => "SeveralMessages",
        Damage::Envelope(NotEnvelope::Form(_)) => "EnvelopeForm",
        Damage::Envelope(NotEnvelope::Foreign(..)) => "Foreign",
        Damage::Envelope(NotEnvelope::Unsigned(..)) => "Unsigned",
        other => panic!("{other}"),
    }
}
