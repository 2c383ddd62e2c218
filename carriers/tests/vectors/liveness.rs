//! `vectors/liveness.json`: scripts of liveness coins, who spends one, and what becomes of a pair's (PROTOCOL.md 9.4).

use bitcoin::consensus::encode::{serialize, serialize_hex};
use bitcoin::{Amount, OutPoint, Sequence, Transaction, TxOut, Witness, bech32};
use keyway_carriers::script::liveness::lineage::{Epoch, Lineage, Mined, Step, What};
use keyway_carriers::script::liveness::{self, Liveness};
use keyway_chain::{Chain, Height};
use keyway_protocol::identity::{IdentitySecret, Seed};
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::state::Position;

use crate::file;
use crate::json::{Json, hex, object};
use crate::party::{Party, coin, transaction};

const CAR: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";
const CHARGER: &str = "letter advice cage absurd amount doctor acoustic avoid letter advice cage above";
const MALLORY: &str = "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong";
const PLAIN: Sequence = Sequence(0xffff_fffd);

#[test]
fn the_vectors_of_liveness_coins_are_what_the_code_gives() {
    let vectors = object! { "scripts": scripts(), "spendings": spendings(), "lineages": lineages() };
    file::check("liveness.json", &vectors);
}

fn identity(words: &str, chain: &Chain) -> IdentitySecret {
    Seed::derive(&words.parse().unwrap(), chain).unwrap().identity
}

/// The car's offers have even numbers.
fn named(number: u8, chain: &Chain) -> Liveness {
    let (car, charger) = (identity(CAR, chain).party(), identity(CHARGER, chain).party());
    let (initiator, responder) = if number.is_multiple_of(2) { (car, charger) } else { (charger, car) };
    Liveness { negotiation: NegotiationId::from_bytes([number; 32]), initiator, responder }
}

fn scripts() -> Vec<Json> {
    let case = |chain: Chain| {
        let names = named(2, &chain);
        let (script, output) = (names.script(), names.output(&chain));
        let hrp = bech32::Hrp::parse(chain.hrp()).unwrap();
        let program = &output.script_pubkey.as_bytes()[2..];
        // Beside outpoint, empty scriptSig and sequence number, at four units a byte.
        let witness = liveness::spending_weight().to_wu() - 4 * 41;
        object! {
            "id": chain.name(),
            "comment": "the coin that an answer creates, and the most that the witness of its spending weighs",
            "chain": chain.name(),
            "negotiation": hex(names.negotiation.as_bytes()),
            "initiator": hex(names.initiator.to_bytes()),
            "responder": hex(names.responder.to_bytes()),
            "script": hex(&script),
            "script_pubkey": hex(&output.script_pubkey),
            "address": bech32::segwit::encode_v0(hrp, program).unwrap(),
            "amount": output.value.to_sat(),
            "witness_bytes": witness,
        }
    };
    Chain::all().map(case).collect()
}

fn spendings() -> Vec<Json> {
    let chain = Chain::regtest();
    let names = named(2, &chain);
    let amount = liveness::amount(&chain);
    let by = |words: &str, dummy: &[u8]| {
        let party = Party::new("somebody", words, &chain, 1);
        let mut tx = transaction(&[(coin(9), PLAIN)], vec![pay(&chain)]);
        let signed = party.open(&tx, 0, &names, amount);
        let elements: Vec<&[u8]> = std::iter::once(dummy).chain(signed.iter().skip(1)).collect();
        tx.input[0].witness = Witness::from_slice(&elements);
        tx
    };
    let case = |id: &str, comment: &str, tx: Transaction, amount: Amount| {
        let by = names.spent_by(&tx, 0, amount).map(|role| match role {
            Role::Initiator => Json::from("initiator"),
            Role::Responder => Json::from("responder"),
        });
        object! {
            "id": id,
            "comment": comment,
            "negotiation": hex(names.negotiation.as_bytes()),
            "initiator": hex(names.initiator.to_bytes()),
            "responder": hex(names.responder.to_bytes()),
            "amount": amount.to_sat(),
            "tx": serialize_hex(&tx),
            "by": by,
        }
    };
    vec![
        case("initiator", "by the initiator alone", by(CAR, &[]), amount),
        case("responder", "by the responder alone", by(CHARGER, &[]), amount),
        case("stranger", "by somebody else", by(MALLORY, &[]), amount),
        case("another-amount", "signed for another amount", by(CAR, &[]), amount + Amount::ONE_SAT),
        case("dummy", "an element that is not empty before the signature", by(CAR, &[1]), amount),
    ]
}

fn pay(chain: &Chain) -> TxOut {
    TxOut { value: Amount::from_sat(500), script_pubkey: identity(CAR, chain).party().script() }
}

/// A pair's transactions in the chain's order, two in a block, and which of them answer.
struct World {
    chain: Chain,
    txs: Vec<Transaction>,
    answers: Vec<(usize, u8)>,
}

impl World {
    fn new() -> Self {
        Self { chain: Chain::regtest(), txs: Vec::new(), answers: Vec::new() }
    }

    fn add(&mut self, inputs: &[OutPoint], outputs: Vec<TxOut>) -> OutPoint {
        let inputs: Vec<_> = inputs.iter().map(|outpoint| (*outpoint, PLAIN)).collect();
        self.txs.push(transaction(&inputs, outputs));
        OutPoint::new(self.txs.last().unwrap().compute_txid(), 0)
    }

    /// The answer of an epoch, perhaps with a coin; it spends an anchor and `more`.
    fn answer(&mut self, number: u8, creates: bool, more: &[OutPoint]) -> OutPoint {
        let inputs: Vec<OutPoint> = [coin(0x80 + number)].iter().chain(more).copied().collect();
        let made = creates.then(|| named(number, &self.chain).output(&self.chain));
        self.answers.push((self.txs.len(), number));
        let plain = pay(&self.chain);
        self.add(&inputs, made.into_iter().chain([plain]).collect())
    }

    fn to(&mut self, number: u8, inputs: &[OutPoint]) -> OutPoint {
        let outputs = vec![named(number, &self.chain).output(&self.chain), pay(&self.chain)];
        self.add(inputs, outputs)
    }

    fn spend(&mut self, inputs: &[OutPoint]) {
        let plain = pay(&self.chain);
        self.add(inputs, vec![plain]);
    }

    fn at(index: usize) -> Position {
        Position { height: Height::new(100 + index as u32 / 2), index: 1 + index as u32 % 2 }
    }

    fn mined(&self, index: usize) -> Mined<'_> {
        let tx = &self.txs[index];
        Mined { txid: tx.compute_txid(), at: Self::at(index), tx }
    }

    fn lineage(&self) -> Lineage {
        let epochs = self
            .answers
            .iter()
            .map(|(index, number)| Epoch { names: named(*number, &self.chain), answer: self.mined(*index) });
        Lineage::read(epochs, |outpoint| {
            let spends = |tx: &Transaction| tx.input.iter().any(|it| it.previous_output == *outpoint);
            self.txs.iter().position(spends).map(|index| self.mined(index))
        })
    }

    fn case(&self, id: &str, comment: &str) -> Json {
        let lineage = self.lineage();
        let tx = |(index, tx): (usize, &Transaction)| {
            let at = Self::at(index);
            object! { "height": at.height.to_u32(), "index": at.index, "tx": serialize_hex(tx) }
        };
        let epoch = |(index, number): &(usize, u8)| {
            let names = named(*number, &self.chain);
            object! {
                "negotiation": hex(names.negotiation.as_bytes()),
                "initiator": hex(names.initiator.to_bytes()),
                "responder": hex(names.responder.to_bytes()),
                "answer": *index as u64,
            }
        };
        let step = |step: &Step| {
            let what = match step.what {
                What::Created(_) => "created",
                What::Moved { .. } => "moved",
                What::Revoked { .. } => "revoked",
            };
            let index = self.txs.iter().position(|tx| tx.compute_txid() == step.txid).unwrap();
            object! { "tx": index as u64, "what": what }
        };
        let is_revoked = |(index, _): &&(usize, u8)| lineage.revocation(Self::at(*index)).is_some();
        let revoked = self.answers.iter().filter(is_revoked);
        object! {
            "id": id,
            "comment": comment,
            "txs": self.txs.iter().enumerate().map(tx).collect::<Vec<_>>(),
            "epochs": self.answers.iter().map(epoch).collect::<Vec<_>>(),
            "steps": lineage.steps().iter().map(step).collect::<Vec<_>>(),
            "live": lineage.live().iter().map(|coin| hex(serialize(&coin.outpoint))).collect::<Vec<_>>(),
            "revoked": revoked.map(|(_, number)| hex([*number; 32])).collect::<Vec<_>>(),
        }
    }
}

fn lineages() -> Vec<Json> {
    type Plot = fn(&mut World);
    let plots: [(&str, &str, Plot); 14] = [
        ("created", "the answer of epoch 2 creates a coin", |it| drop_it(it.answer(2, true, &[]))),
        ("without", "an answer without a coin", |it| drop_it(it.answer(2, false, &[]))),
        ("moved", "to an epoch that the other side began", |it| {
            let first = it.answer(2, true, &[]);
            it.answer(3, false, &[]);
            it.to(3, &[first, coin(1)]);
        }),
        ("moved-twice-and-revoked", "and a negotiation that begins anew", |it| {
            let first = it.answer(2, true, &[]);
            it.answer(3, false, &[]);
            let second = it.to(3, &[first, coin(1)]);
            it.answer(4, false, &[]);
            let third = it.to(4, &[second, coin(2)]);
            it.spend(&[third]);
            it.answer(6, true, &[]);
        }),
        ("over-an-epoch", "moved over an epoch that never had it", |it| {
            let first = it.answer(2, true, &[]);
            it.answer(3, false, &[]);
            it.answer(4, false, &[]);
            it.to(4, &[first, coin(1)]);
        }),
        ("input-1", "a spending in input 1", |it| {
            let first = it.answer(2, true, &[]);
            it.answer(4, false, &[]);
            it.to(4, &[coin(1), first]);
        }),
        ("output-1", "the new script in output 1", |it| {
            let first = it.answer(2, true, &[]);
            it.answer(4, false, &[]);
            let outputs = vec![pay(&it.chain), named(4, &it.chain).output(&it.chain)];
            it.add(&[first], outputs);
        }),
        ("own-epoch", "to the epoch that it names already", |it| {
            let first = it.answer(2, true, &[]);
            it.to(2, &[first, coin(1)]);
        }),
        ("earlier-epoch", "moved to an epoch that was answered before the one that it names", |it| {
            it.answer(2, false, &[]);
            let second = it.answer(4, true, &[]);
            it.to(2, &[second, coin(1)]);
        }),
        ("too-early", "to an epoch that is answered later", |it| {
            let first = it.answer(2, true, &[]);
            it.to(4, &[first, coin(1)]);
            it.answer(4, false, &[]);
        }),
        ("by-an-answer", "spent by an answer, which creates another", |it| {
            let first = it.answer(2, true, &[]);
            it.answer(4, true, &[first]);
        }),
        ("two-coins", "two answers at once; one coin is moved, the other is not yet", |it| {
            let first = it.answer(2, true, &[]);
            it.answer(3, true, &[]);
            it.answer(4, false, &[]);
            it.to(4, &[first, coin(1)]);
        }),
        ("two-coins-in-one", "one transaction spends two coins", |it| {
            let (first, second) = (it.answer(2, true, &[]), it.answer(3, true, &[]));
            it.answer(4, false, &[]);
            it.to(4, &[first, second]);
        }),
        ("dead-coin", "a coin of before a revocation is spent after the next answer", |it| {
            let (first, second) = (it.answer(2, true, &[]), it.answer(3, true, &[]));
            it.spend(&[first]);
            it.answer(4, true, &[]);
            it.spend(&[second]);
        }),
    ];
    let case = |(id, comment, plot): (&str, &str, Plot)| {
        let mut world = World::new();
        plot(&mut world);
        world.case(id, comment)
    };
    plots.map(case).into()
}

fn drop_it(_: OutPoint) {}
