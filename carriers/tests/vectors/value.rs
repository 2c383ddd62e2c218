//! The value carrier by itself (PROTOCOL.md 7).

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{Amount, Transaction, TxOut};
use keyway_carriers::value::{Binding, CoinBits, Damage, Layout, MessageLen, UNUSED_SEQUENCE, run};
use keyway_chain::Chain;
use keyway_protocol::authorship::Authored;
use keyway_protocol::{hash, outpoint_bytes};

use crate::json::{Json, hex, object};
use crate::party::{Party, coin, transaction};
use crate::{answers, file};

const CAR: &str = "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong";
const CHARGER: &str = "ozone drill grab fiber curtain grace pudding thank cruise elder eight picnic";
/// What every coin that is spent in input 0 of an offer holds.
pub const COIN: Amount = Amount::from_sat(30_000_000_000);

#[test]
fn the_vectors_of_the_value_carrier_are_what_the_code_gives() {
    let vectors = object! {
        "layouts": layouts(),
        "runs": runs(),
        "reading": reading(),
        "sequences": answers::written(),
        "answers": answers::read(),
    };
    file::check("value.json", &vectors);
}

/// The first 5 bytes of H("value checksum"; …).
pub fn checksum(binding: &Binding, message: &[u8]) -> Vec<u8> {
    let (author, recipient) = (binding.author.to_bytes(), binding.recipient.to_bytes());
    let chain = binding.chain.id();
    let parts = [chain.as_bytes(), &outpoint_bytes(binding.input0)[..], &author, &recipient, message];
    hash("value checksum", &parts)[..5].to_vec()
}

fn chain(name: &str) -> Chain {
    Chain::named(name).unwrap()
}

fn layouts() -> Vec<Json> {
    let case = |id: &str, comment: &str, name: &str, len: usize, price: u64| {
        let len = MessageLen::new(len).unwrap();
        let least = Layout::least(&chain(name), len);
        let layout = Layout::for_price(&chain(name), len, Amount::from_sat(price)).ok();
        object! {
            "id": id,
            "comment": comment,
            "chain": name,
            "len": len.get() as u64,
            "price": price,
            "least_price": least.worst_case().to_sat(),
            "c": layout.map(|layout| Json::from(layout.bits().get())),
            "outputs": layout.map(|layout| Json::from(layout.outputs() as u64)),
        }
    };
    vec![
        case("offer-least", "the least price of an offer", "bitcoin", 33, 50_754),
        case("offer-too-low", "a satoshi less", "bitcoin", 33, 50_753),
        case("offer-250000", "a common price", "bitcoin", 33, 250_000),
        case("offer-c29", "a satoshi too little for c = 30", "bitcoin", 33, 11_811_173_092),
        case("offer-c30", "c = 30", "bitcoin", 33, 11_811_173_093),
        case("offer-most", "all coins there are", "bitcoin", 33, 2_100_000_000_000_000),
        case("answer-least", "the least price of an answer", "bitcoin", 49, 71_346),
        case("answer-too-low", "a satoshi less", "bitcoin", 49, 71_345),
        case("litecoin-offer", "a higher floor", "litecoin", 33, 250_000),
        case("litecoin-too-low", "nothing of it is left", "litecoin", 33, 1),
        case("shortest", "one byte", "regtest", 1, 20_000),
        case("longest", "4095 bytes", "regtest", 4095, 10_000_000),
    ]
}

/// The car, who offers, and the charger, who is paid, on one chain.
pub struct Two {
    pub chain: Chain,
    pub car: Party,
    pub charger: Party,
}

impl Two {
    pub fn on(name: &str) -> Self {
        let chain = chain(name);
        let car = Party::new("car", CAR, &chain, 0);
        let charger = Party::new("charger", CHARGER, &chain, 0);
        Self { chain, car, charger }
    }

    fn binding(&self) -> Binding<'_> {
        let (author, recipient) = (self.car.key(), self.charger.key());
        Binding { chain: &self.chain, input0: coin(1), author, recipient }
    }

    pub fn written(&self, message: &[u8], price: u64) -> Vec<TxOut> {
        run::write(&self.binding(), message, Amount::from_sat(price)).unwrap()
    }

    /// The car's transaction with these outputs.
    pub fn paying(&self, outputs: Vec<TxOut>) -> Transaction {
        let mut tx = transaction(&[(coin(1), UNUSED_SEQUENCE)], outputs);
        self.car.sign(&mut tx, &[COIN]);
        tx
    }
}

pub fn message(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 37 + 11) as u8).collect()
}

fn sats(outputs: &[TxOut]) -> Json {
    Json::numbers(outputs.iter().map(|output| output.value.to_sat()))
}

fn runs() -> Vec<Json> {
    let case = |id: &str, comment: &str, name: &str, len: usize, price: u64| {
        let two = Two::on(name);
        let (binding, message) = (two.binding(), message(len));
        let outputs = two.written(&message, price);
        let layout = Layout::for_price(&two.chain, MessageLen::new(len).unwrap(), Amount::from_sat(price));
        object! {
            "id": id,
            "comment": comment,
            "chain": name,
            "input0": hex(outpoint_bytes(binding.input0)),
            "author": hex(binding.author.to_bytes()),
            "recipient": hex(binding.recipient.to_bytes()),
            "message": hex(&message),
            "price": price,
            "checksum": hex(checksum(&binding, &message)),
            "c": layout.unwrap().bits().get(),
            "amounts": sats(&outputs),
        }
    };
    vec![
        case("offer-least", "at the least price", "regtest", 33, 50_754),
        case("offer-250000", "bits to be added at the end", "bitcoin", 33, 250_000),
        case("c30", "wide outputs", "regtest", 33, 20_000_000_000),
        case("answer", "an answer's length and price", "regtest", 49, 71_346),
        case("one-byte", "the shortest message", "litecoin", 1, 90_000),
        case("hundred", "no bits to be added", "litecoin-regtest", 100, 2_000_000),
    ]
}

/// What a reader makes of a transaction of the car.
fn reading() -> Vec<Json> {
    let two = Two::on("regtest");
    let written = two.written(&message(33), 250_000);
    let changed = |change: &dyn Fn(&mut Vec<TxOut>)| {
        let mut outputs = written.clone();
        change(&mut outputs);
        outputs
    };
    let narrow = CoinBits::new(5).unwrap();
    let narrow = run::write_with(&two.binding(), &message(33), Amount::from_sat(250_000), narrow).unwrap();
    let elsewhere = Binding { input0: coin(2), ..two.binding() };
    let copied = run::write(&elsewhere, &message(33), Amount::from_sat(250_000)).unwrap();
    let swapped = Binding { author: two.charger.key(), recipient: two.charger.key(), ..two.binding() };
    let of_another = run::write(&swapped, &message(33), Amount::from_sat(250_000)).unwrap();
    let sat = Amount::from_sat(1);
    let last = written.len() - 2;
    let case = |id: &str, comment: &str, outputs: Vec<TxOut>| {
        let tx = two.paying(outputs);
        let authored = Authored::verify(&tx, COIN).unwrap();
        let read = run::read(&two.chain, &authored, two.charger.key());
        let run = read.as_ref().ok().and_then(Option::as_ref);
        object! {
            "id": id,
            "comment": comment,
            "chain": two.chain.name(),
            "tx": serialize_hex(&tx),
            "amount": COIN.to_sat(),
            "recipient": hex(two.charger.key().to_bytes()),
            "message": run.map(|run| hex(run.message())),
            "anchor": run.map(|run| hex(outpoint_bytes(run.anchor()))),
            "error": read.as_ref().err().map(|damage| Json::from(name_of(damage))),
        }
    };
    vec![
        case("whole", "the run alone", written.clone()),
        case(
            "change-before",
            "an output to the payer before the run",
            changed(&|run| run.insert(0, two.car.pay(9))),
        ),
        case(
            "change-after",
            "an output to the payer after the run",
            changed(&|run| run.push(two.car.pay(9))),
        ),
        case("narrow", "a smaller c than the price allows", narrow),
        case(
            "final-larger",
            "the final amount is the payer's to choose",
            changed(&|run| run[last + 1].value += sat),
        ),
        case("payment", "one output, no run", vec![two.charger.pay(250_000)]),
        case("nothing", "nothing to the recipient", vec![two.car.pay(250_000)]),
        case("cut", "the final output is missing", changed(&|run| drop(run.pop()))),
        case(
            "paid-beside",
            "an output more to the recipient",
            changed(&|run| run.push(two.charger.pay(9_000))),
        ),
        case(
            "interrupted",
            "an output to another inside the run",
            changed(&|run| run.insert(5, two.car.pay(9))),
        ),
        case(
            "below-floor",
            "an amount below the floor",
            changed(&|run| run[3].value = Amount::from_sat(999)),
        ),
        case(
            "above-range",
            "an amount of more than c bits",
            changed(&|run| run[3].value = Amount::from_sat(1_000 + (1 << 13))),
        ),
        case(
            "final-below-floor",
            "the final amount below the floor",
            changed(&|run| run[last + 1].value = Amount::from_sat(999)),
        ),
        case(
            "added-bits",
            "a set bit after message and checksum",
            changed(&|run| {
                let group = run[last].value.to_sat() - 1_000;
                run[last].value = Amount::from_sat(1_000 + (group | 1));
            }),
        ),
        case(
            "changed",
            "an amount changed",
            changed(&|run| {
                let group = run[1].value.to_sat() - 1_000;
                run[1].value = Amount::from_sat(1_000 + (group ^ 1));
            }),
        ),
        case("copied", "the amounts of another transaction", copied),
        case("of-another", "the amounts of another author", of_another),
    ]
}

pub fn name_of(damage: &Damage) -> &'static str {
    match damage {
        Damage::Count { .. } => "Count",
        Damage::Interrupted { .. } => "Interrupted",
        Damage::OutOfRange { .. } => "OutOfRange",
        Damage::Padding => "Padding",
        Damage::Checksum => "Checksum",
    }
}
