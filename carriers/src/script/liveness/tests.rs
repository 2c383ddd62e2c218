use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::transaction::Version;
use bitcoin::{EcdsaSighashType, OutPoint, TxIn, Txid};
use keyway_protocol::identity::{IdentitySecret, Seed};
use keyway_protocol::state::Position;
use keyway_script::{Flags, Spending};
use proptest::prelude::*;

use crate::value::p2wpkh_weight;

use super::lineage::{Epoch, Lineage, Mined, What};
use super::*;

const CAR: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";
const CHARGER: &str = "letter advice cage absurd amount doctor acoustic avoid letter advice cage above";
const MALLORY: &str = "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong";

fn identity(words: &str) -> IdentitySecret {
    Seed::derive(&words.parse().unwrap(), &Chain::regtest()).unwrap().identity
}

/// The parties of [`CAR`] and [`CHARGER`]: their seeds take long.
fn parties() -> (PartyKey, PartyKey) {
    static PARTIES: std::sync::OnceLock<(PartyKey, PartyKey)> = std::sync::OnceLock::new();
    *PARTIES.get_or_init(|| (identity(CAR).party(), identity(CHARGER).party()))
}

fn named(number: u8) -> Liveness {
    let (car, charger) = parties();
    let (initiator, responder) = if number.is_multiple_of(2) { (car, charger) } else { (charger, car) };
    Liveness { negotiation: NegotiationId::from_bytes([number; 32]), initiator, responder }
}

fn spending(inputs: &[OutPoint], output: Vec<TxOut>) -> Transaction {
    let input = |&previous_output: &OutPoint| TxIn { previous_output, ..TxIn::default() };
    let input = inputs.iter().map(input).collect();
    Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input, output }
}

fn elsewhere() -> TxOut {
    TxOut { value: Amount::from_sat(500), script_pubkey: parties().0.script() }
}

/// The coin of an outpoint, spent by this secret.
fn signed(names: &Liveness, secret: &IdentitySecret, kind: EcdsaSighashType) -> Transaction {
    let mut tx = spending(&[OutPoint::null()], vec![elsewhere()]);
    let script = names.script();
    let digest =
        SighashCache::new(&tx).p2wsh_signature_hash(0, &script, amount(&Chain::regtest()), kind).unwrap();
    let signature = ecdsa::Signature { sighash_type: kind, ..secret.sign_input(digest) };
    tx.input[0].witness = witness(&script, &signature);
    tx
}

#[test]
fn either_party_spends_the_coin_alone_and_nobody_else_does() {
    let (names, coin) = (named(2), named(2).output(&Chain::regtest()));
    let valid = |tx: &Transaction| {
        let spending = Spending::new(tx, std::slice::from_ref(&coin)).unwrap();
        spending.input(0).unwrap().verify(Flags::STANDARD).is_ok()
    };
    for (words, role) in [(CAR, Some(Role::Initiator)), (CHARGER, Some(Role::Responder)), (MALLORY, None)] {
        for kind in [EcdsaSighashType::All, EcdsaSighashType::None] {
            let tx = signed(&names, &identity(words), kind);
            assert_eq!(valid(&tx), role.is_some(), "{words}");
            assert_eq!(names.spent_by(&tx, 0, coin.value), role);
            assert_eq!(names.spent_by(&tx, 0, coin.value + Amount::ONE_SAT), None, "another amount");
            assert_eq!(named(4).spent_by(&tx, 0, coin.value), None, "another coin");
        }
    }
    let tx = signed(&names, &identity(CAR), EcdsaSighashType::All);
    let most = usize::try_from(spending_weight().to_wu()).unwrap() - 4 * 41;
    assert!((most - 2..=most).contains(&tx.input[0].witness.size()), "{}", tx.input[0].witness.size());
    assert_eq!(coin.weight(), output_weight());
}

#[test]
fn a_script_says_what_it_names_and_only_in_its_one_form() {
    let script = named(3).script();
    assert_eq!((script.len(), Liveness::of_script(&script)), (SCRIPT_LEN, Some(named(3))));
    for at in 0..script.len() {
        let mut bytes = script.to_bytes();
        bytes[at] ^= 1;
        assert_ne!(Liveness::of_script(Script::from_bytes(&bytes)), Some(named(3)), "byte {at}");
    }
    assert_eq!(Liveness::of_script(Script::from_bytes(&script.as_bytes()[1..])), None);
}

/// A pair's transactions in the chain's order, and which of them answer.
#[derive(Default)]
struct World {
    txs: Vec<Transaction>,
    answers: Vec<(usize, u8)>,
}

impl World {
    fn at(index: usize) -> Position {
        Position { height: keyway_chain::Height::new(100 + index as u32 / 2), index: index as u32 % 2 }
    }

    fn add(&mut self, inputs: &[OutPoint], output: Vec<TxOut>) -> OutPoint {
        self.txs.push(spending(inputs, output));
        OutPoint::new(self.txs[self.txs.len() - 1].compute_txid(), 0)
    }

    /// The answer of epoch `number`, with a coin if `coin`; it spends an anchor and `more`.
    fn answer(&mut self, number: u8, coin: bool, more: &[OutPoint]) -> OutPoint {
        let anchor = OutPoint::new(Txid::from_byte_array([number; 32]), 9);
        let inputs: Vec<OutPoint> = std::iter::once(anchor).chain(more.iter().copied()).collect();
        let coin = coin.then(|| named(number).output(&Chain::regtest()));
        self.answers.push((self.txs.len(), number));
        self.add(&inputs, coin.into_iter().chain([elsewhere()]).collect())
    }

    fn to(&mut self, number: u8, inputs: &[OutPoint]) -> OutPoint {
        self.add(inputs, vec![named(number).output(&Chain::regtest()), elsewhere()])
    }

    fn mined(&self, index: usize) -> Mined<'_> {
        let tx = &self.txs[index];
        Mined { txid: tx.compute_txid(), at: Self::at(index), tx }
    }

    fn lineage(&self) -> Lineage {
        let epochs = self
            .answers
            .iter()
            .map(|(index, number)| Epoch { names: named(*number), answer: self.mined(*index) });
        Lineage::read(epochs, |outpoint| {
            let spends = |tx: &Transaction| tx.input.iter().any(|it| it.previous_output == *outpoint);
            self.txs.iter().position(spends).map(|index| self.mined(index))
        })
    }

    /// The epochs that are revoked.
    fn revoked(&self) -> Vec<u8> {
        let lineage = self.lineage();
        let is_revoked = |(index, _): &&(usize, u8)| lineage.revocation(Self::at(*index)).is_some();
        self.answers.iter().filter(is_revoked).map(|(_, number)| *number).collect()
    }
}

#[test]
fn a_coin_is_created_moved_with_each_epoch_and_revokes_them_all_at_last() {
    let mut world = World::default();
    let first = world.answer(1, true, &[]);
    world.answer(2, false, &[]);
    let second = world.to(2, &[first, OutPoint::null()]);
    assert_eq!(world.lineage().live()[0].outpoint, second);
    assert_eq!(world.lineage().live()[0].names, named(2));
    assert_eq!(world.revoked(), [0u8; 0]);
    world.add(&[second], vec![elsewhere()]);
    assert_eq!((world.revoked(), world.lineage().live()), (vec![1, 2], &[][..]));
    let third = world.answer(3, true, &[]);
    assert_eq!((world.revoked(), world.lineage().live()[0].outpoint), (vec![1, 2], third));
}

#[test]
fn what_only_looks_like_a_move_revokes() {
    /// What spends the coin of epoch 1, when epoch 2 is answered too.
    type Spend = fn(&mut World, OutPoint) -> OutPoint;
    let spends: [(&str, Spend); 6] = [
        ("as input 1", |world, coin| world.to(2, &[OutPoint::null(), coin])),
        ("to its own epoch", |world, coin| world.to(1, &[coin])),
        ("to an epoch that is not answered", |world, coin| world.to(7, &[coin])),
        ("to an epoch that is answered later", |world, coin| {
            world.to(5, &[coin]);
            world.answer(5, false, &[])
        }),
        ("in output 1", |world, coin| {
            world.add(&[coin], vec![elsewhere(), named(2).output(&Chain::regtest())])
        }),
        ("by an answer", |world, coin| world.answer(6, false, &[coin])),
    ];
    for (what, spend) in spends {
        let mut world = World::default();
        let coin = world.answer(1, true, &[]);
        world.answer(2, false, &[]);
        spend(&mut world, coin);
        assert_eq!(world.revoked(), [1, 2], "{what}");
    }
    // Two answers may change places in a reorganisation: that must not make a revocation of the move between them.
    let mut backward = World::default();
    backward.answer(1, false, &[]);
    let coin = backward.answer(2, true, &[]);
    let moved = backward.to(1, &[coin]);
    assert_eq!((backward.revoked(), backward.lineage().live()[0].outpoint), (vec![], moved));
}

#[test]
fn of_two_coins_each_is_moved_and_either_revokes() {
    let mut world = World::default();
    let (one, other) = (world.answer(1, true, &[]), world.answer(2, true, &[]));
    world.answer(3, false, &[]);
    let moved = world.to(3, &[one]);
    assert_eq!((world.revoked(), world.lineage().live().len()), (vec![], 2));
    let mut both = World { txs: world.txs.clone(), answers: world.answers.clone() };
    both.to(3, &[other, moved]);
    assert_eq!(both.revoked(), [1, 2, 3], "one transaction moves one coin");
    world.add(&[other], vec![elsewhere()]);
    world.answer(4, false, &[]);
    // Of the old era; it says nothing any more.
    world.add(&[moved], vec![elsewhere()]);
    assert_eq!(world.revoked(), [1, 2, 3]);
}

proptest! {
    #[test]
    fn a_longer_chain_revokes_no_less_and_no_epoch_that_was_answered_behind(
        steps in prop::collection::vec((0u8..4, any::<prop::sample::Index>(), any::<bool>()), 1..24),
    ) {
        let mut world = World::default();
        let (mut coins, mut number) = (Vec::new(), 0u8);
        let mut before: Vec<u8> = Vec::new();
        for (what, pick, flag) in steps {
            let coin = (!coins.is_empty()).then(|| pick.index(coins.len())).map(|at| coins[at]);
            match (what, coin) {
                (0, _) | (_, None) => {
                    number += 1;
                    let outpoint = world.answer(number, flag, &[]);
                    coins.extend(flag.then_some(outpoint));
                }
                (1, Some(coin)) => {
                    coins.retain(|it| *it != coin);
                    coins.push(world.to(number, &[coin]));
                }
                (2, Some(coin)) => {
                    coins.retain(|it| *it != coin);
                    coins.push(world.to(number, &[OutPoint::null(), coin]));
                }
                (_, Some(coin)) => {
                    coins.retain(|it| *it != coin);
                    world.add(&[coin], vec![elsewhere()]);
                }
            }
            let (revoked, lineage) = (world.revoked(), world.lineage());
            prop_assert!(before.iter().all(|it| revoked.contains(it)));
            // All up to some epoch, and none behind.
            prop_assert_eq!(&revoked, &world.answers.iter().map(|it| it.1).take(revoked.len()).collect::<Vec<_>>());
            for coin in lineage.live() {
                prop_assert!(coins.contains(&coin.outpoint));
                prop_assert!(!revoked.contains(&coin.names.negotiation.as_bytes()[0]));
            }
            let last = lineage.steps().iter().rev().find_map(|step| match step.what {
                What::Revoked { .. } => Some(step.at),
                _ => None,
            });
            prop_assert_eq!(last.is_some(), !revoked.is_empty());
            before = revoked;
        }
    }
}

#[test]
fn the_document_of_costs_says_what_coins_take() {
    let [bytes, moved, revoked, alone] = [
        output_weight(),
        p2wpkh_weight(1, 1) + spending_weight() + output_weight(),
        p2wpkh_weight(1, 1) + spending_weight(),
        p2wpkh_weight(0, 1) + spending_weight(),
    ]
    .map(Weight::to_vbytes_ceil);
    let bitcoin = Chain::all().find(|chain| chain.name() == "bitcoin").unwrap();
    let amount = amount(&bitcoin).to_sat();
    let document = include_str!("../../../../docs/COSTS.md").split_whitespace().collect::<Vec<_>>().join(" ");
    for said in [
        format!("adds {bytes} vB to the first answer and takes {} {:03} sat", amount / 1_000, amount % 1_000),
        format!("which takes {moved} vB; revoking takes {revoked} vB, or {alone} where the coin itself pays"),
    ] {
        assert!(document.contains(&said), "COSTS.md lacks: {said}");
    }
}
