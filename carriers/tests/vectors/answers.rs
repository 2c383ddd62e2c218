//! Answers to a run, in sequence numbers and in amounts (PROTOCOL.md 7.2 and 7.3).

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, Sequence, Transaction, TxOut};
use keyway_carriers::value::{
    Binding, MessageLen, NotCollecting, Run, UNUSED_SEQUENCE, amounts, run, sequences,
};
use keyway_protocol::authorship::Authored;

use crate::json::{Json, hex, object};
use crate::party::{coin, transaction};
use crate::value::{COIN, Two, message, name_of};

/// Bytes of an answer.
const LEN: usize = 49;

/// Inputs, and the sequence number of each.
type Inputs = Vec<(OutPoint, Sequence)>;

pub fn written() -> Vec<Json> {
    let case = |id: &str, comment: &str, message: Vec<u8>, run_outputs: usize| {
        let written = sequences::write(&message, run_outputs).unwrap();
        object! {
            "id": id,
            "comment": comment,
            "message": hex(&message),
            "run_outputs": run_outputs as u64,
            "sequences": Json::numbers(written.iter().map(|sequence| sequence.0)),
        }
    };
    vec![
        case("exact", "a run of 13 outputs", message(LEN), 13),
        case("longer-run", "inputs that carry nothing", message(LEN), 40),
        case("ones", "every bit set", vec![0xff; LEN], 14),
        case("zeros", "no bit set", vec![0; LEN], 14),
    ]
}

/// The charger's transactions that collect the car's run, and what carries no answer.
pub fn read() -> Vec<Json> {
    let collecting = Collecting::new();
    [collecting.in_sequences(), collecting.in_amounts()].into_iter().flatten().collect()
}

struct Collecting {
    two: Two,
    offer: Run,
}

/// What an initiator makes of the transactions of the responder.
impl Collecting {
    fn new() -> Self {
        let two = Two::on("regtest");
        let tx = two.paying(two.written(&message(33), 250_000));
        let authored = Authored::verify(&tx, COIN).unwrap();
        let offer = run::read(&two.chain, &authored, two.charger.key()).unwrap().unwrap();
        Self { two, offer }
    }

    fn in_sequences(&self) -> Vec<Json> {
        let carrying = self.carrying();
        let case = |id, comment, change: &dyn Fn(&mut Inputs)| {
            let mut inputs = carrying.clone();
            change(&mut inputs);
            self.case(id, comment, "sequences", transaction(&inputs, vec![self.kept()]))
        };
        let last = carrying.len() - 1;
        let mut older = transaction(&carrying, vec![self.kept()]);
        older.version = Version::ONE;
        vec![
            case("sequences", "an answer", &|_| {}),
            case("extra-input", "a coin more than the run's", &|inputs| {
                inputs.push((coin(9), UNUSED_SEQUENCE));
            }),
            case("missing-input", "an output of the run unspent", &|inputs| inputs.truncate(last)),
            case("swapped-inputs", "two of them in the other order", &|inputs| inputs.swap(4, 5)),
            case("bit-31", "a sequence number without bit 31", &|inputs| inputs[3].1.0 &= !(1 << 31)),
            case("added-bits", "a set bit after the message", &|inputs| inputs[12].1.0 |= 1),
            case("used", "another sequence number beyond the message", &|inputs| {
                inputs[20].1.0 = u32::MAX;
            }),
            case("extra-used", "the same in a coin more", &|inputs| inputs.push((coin(9), Sequence::MAX))),
            self.case("version-1", "version 1", "sequences", older),
        ]
    }

    fn in_amounts(&self) -> Vec<Json> {
        let case = |id, comment, inputs: &Inputs, mut outputs: Vec<TxOut>| {
            outputs.push(self.kept());
            self.case(id, comment, "amounts", transaction(inputs, outputs))
        };
        let idle: Inputs = self.offer.outpoints().map(|coin| (coin, UNUSED_SEQUENCE)).collect();
        let (back, dearer) = (self.back(71_346), self.back(71_347));
        let cut = back[..back.len() - 1].to_vec();
        assert_eq!(amounts::write(&self.binding(), &message(LEN)).as_ref(), Ok(&back));
        vec![
            case("amounts", "an answer", &idle, back.clone()),
            case("no-run", "nothing is paid back", &idle, vec![]),
            case("dearer", "another price than the least", &idle, dearer),
            case("used-in-amounts", "sequence numbers that carry something", &self.carrying(), back),
            case("cut", "the run lacks its final output", &idle, cut),
        ]
    }

    /// The run's coins with an answer in their sequence numbers.
    fn carrying(&self) -> Inputs {
        let coins = self.offer.outpoints();
        let numbers = sequences::write(&message(LEN), coins.len()).unwrap();
        coins.zip(numbers).collect()
    }

    /// What the charger keeps.
    fn kept(&self) -> TxOut {
        self.two.charger.pay(100_000)
    }

    fn back(&self, price: u64) -> Vec<TxOut> {
        run::write(&self.binding(), &message(LEN), Amount::from_sat(price)).unwrap()
    }

    fn binding(&self) -> Binding<'_> {
        let (author, recipient) = (self.two.charger.key(), self.two.car.key());
        Binding { chain: &self.two.chain, input0: self.offer.anchor(), author, recipient }
    }

    fn case(&self, id: &str, comment: &str, form: &str, mut tx: Transaction) -> Json {
        let Self { two, offer } = self;
        let amount = offer.coins().next().unwrap().amount;
        two.charger.sign(&mut tx, &[amount]);
        let read = self.outcome(form, &Authored::verify(&tx, amount).unwrap());
        object! {
            "id": id,
            "comment": comment,
            "chain": two.chain.name(),
            "form": form,
            "run_txid": hex(offer.anchor().txid),
            "run_outputs": offer.outpoints().len() as u64,
            "initiator": hex(two.car.key().to_bytes()),
            "amount": amount.to_sat(),
            "tx": serialize_hex(&tx),
            "message": read.as_ref().ok().map(hex),
            "error": read.err().map(Json::from),
        }
    }

    fn outcome(&self, form: &str, tx: &Authored) -> Result<Vec<u8>, &'static str> {
        let (coins, len) = (self.offer.outpoints().collect::<Vec<_>>(), MessageLen::new(LEN).unwrap());
        if form == "sequences" {
            return sequences::read(tx, &coins, len).map_err(|error| sequences_error(&error));
        }
        let read = amounts::read(&self.two.chain, tx, &coins, self.two.car.key(), len);
        read.map(|run| run.message().to_vec()).map_err(|error| amounts_error(&error))
    }
}

fn collecting_error(error: &NotCollecting) -> &'static str {
    match error {
        NotCollecting::Version(_) => "Version",
        NotCollecting::NoRun => "NoRun",
        NotCollecting::InputsMissing { .. } => "InputsMissing",
        NotCollecting::WrongInput { .. } => "WrongInput",
    }
}

fn sequences_error(error: &sequences::Refused) -> &'static str {
    match error {
        sequences::Refused::Collecting(error) => collecting_error(error),
        sequences::Refused::RunTooShort { .. } => "RunTooShort",
        sequences::Refused::NoData { .. } => "NoData",
        sequences::Refused::Padding { .. } => "Padding",
        sequences::Refused::Unused { .. } => "Unused",
    }
}

fn amounts_error(error: &amounts::Refused) -> &'static str {
    match error {
        amounts::Refused::Collecting(error) => collecting_error(error),
        amounts::Refused::Sequence { .. } => "Sequence",
        amounts::Refused::NoRun => "NoRun",
        amounts::Refused::Damaged(damage) => name_of(damage),
        amounts::Refused::Length { .. } => "Length",
        amounts::Refused::Price { .. } => "Price",
    }
}
