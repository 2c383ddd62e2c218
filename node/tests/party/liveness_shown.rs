//! What third parties see of a liveness coin: in files of evidence and in traces (PROTOCOL.md 13).

use bitcoin::{Amount, Txid};
use keyway_carriers::script::liveness::lineage::What;
use keyway_chain::{Depth, Height};
use keyway_evidence::trace::{CoinStep, Traced};
use keyway_evidence::{Evidence, Refused, SpentFor, Statement, Trust};
use keyway_ledger::Ledger;
use keyway_node::*;
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::state::State;

use crate::liveness::{FLOOR, sent};
use crate::world::*;

fn exported(world: &World, party: &Party, id: NegotiationId) -> Evidence {
    party.evidence(&world.ledger, id, &EvidenceRequest::default()).unwrap()
}

/// As a third party reads it.
fn checked(evidence: &Evidence) -> Result<Statement, Refused> {
    let read = Evidence::from_bytes(&evidence.to_bytes()).unwrap();
    assert_eq!(read, *evidence);
    let trust = Trust::Block { hash: evidence.last_block().unwrap(), height: None };
    read.verify(&trust, Depth::new(1))
}

fn said(statement: &Statement) -> (String, String) {
    (statement.proven().join("\n"), statement.not_proven().join("\n"))
}

/// A coin that was created, moved and spent: a world, and both epochs.
fn ended() -> (World, [NegotiationId; 2], Txid) {
    let mut world = World::living(true, true);
    let ids = [world.agree(), world.rotated()];
    let txid = sent(world.charger.revoke(&world.ledger, ids[1]));
    world.mine_and_sync(2);
    assert_eq!(ids.map(|id| world.both(id)), [[State::Revoked; 2]; 2]);
    (world, ids, txid)
}

#[test]
fn evidence_shows_the_coin_and_that_the_last_one_is_unspent_it_does_not_say() {
    let mut world = World::living(true, true);
    let id = world.agree();
    let coin = world.coin(&world.car, id);
    let alive = checked(&exported(&world, &world.car, id)).unwrap();
    assert_eq!(alive.liveness.map(|it| (it.outpoint, it.amount)), Some((coin.outpoint, coin.amount)));
    let (proven, not) = said(&alive);
    assert!(proven.contains("is a liveness coin: its script names this negotiation"), "{proven}");
    assert!(not.contains("no file shows without the set of all unspent"), "{not}");
    let second = world.rotated();
    world.mine_and_sync(1);
    let moved = checked(&exported(&world, &world.charger, id)).unwrap();
    assert_eq!(moved.spendings.iter().map(|it| it.spent_for).collect::<Vec<_>>(), [SpentFor::Moved(second)]);
    assert_eq!(moved.spendings[0].by, Some(world.charger.key()));
    let (proven, not) = said(&moved);
    assert!(
        proven.contains(&format!("names negotiation {second}: a move, if that was answered before")),
        "{proven}"
    );
    assert!(not.contains("no file shows") && not.contains("their own evidence shows that"), "{not}");
    let brought = checked(&exported(&world, &world.car, second)).unwrap();
    assert_eq!((brought.liveness, brought.spendings[0].from), (None, Some(id)));
    assert_eq!(brought.spendings[0].spent_for, SpentFor::Moved(second));
}

#[test]
fn evidence_of_a_revocation_says_who_spent_the_coin_and_when() {
    let (world, ids, txid) = ended();
    for party in [&world.car, &world.charger] {
        let statement = checked(&exported(&world, party, ids[0])).unwrap();
        let last = statement.spendings.last().unwrap();
        assert_eq!((last.placed.txid, last.spent_for), (txid, SpentFor::Revoking));
        assert_eq!((last.by, statement.spendings.len()), (Some(world.charger.key()), 2));
        let (proven, not) = said(&statement);
        assert!(proven.contains("By the signature of charger it spends the liveness coin"), "{proven}");
        assert!(proven.contains("that revoked this negotiation's key"), "{proven}");
        assert!(!not.contains("no file shows"), "{not}");
        let later = checked(&exported(&world, party, ids[1])).unwrap();
        let (proven, not) = said(&later);
        assert!(proven.contains("if it was the pair's, that revoked this negotiation's key"), "{proven}");
        let came = format!("came from negotiation {} was the pair's", ids[0]);
        assert!(not.contains(&came), "{not}");
    }
}

#[test]
fn evidence_of_a_coin_that_was_changed_is_refused_by_name() {
    let (world, ids, _) = ended();
    let honest = [exported(&world, &world.car, ids[0]), exported(&world, &world.car, ids[1])];
    assert!(honest.iter().all(|it| checked(it).is_ok()));
    type Change = fn(&mut Evidence);
    let changes: [(&str, usize, &str, Change); 11] = [
        ("without the move", 0, "NotSpending", |it| drop(it.spendings.remove(0))),
        ("in another order", 0, "NotSpending", |it| it.spendings.swap(0, 1)),
        ("without the answer", 0, "SpendingOrder", |it| it.answer = None),
        ("a move that is said to revoke", 0, "NotSpending", |it| it.spendings[0].names = None),
        ("a revocation that is said to move", 0, "NotMoved", |it| {
            it.spendings[1].names = it.spendings[0].names;
        }),
        ("moved elsewhere", 0, "NotMoved", |it| {
            it.spendings[0].names = Some(NegotiationId::from_bytes([1; 32]));
        }),
        ("another's signature", 0, "CoinSignature", |it| {
            it.spendings[0].signature = it.spendings[1].signature.clone();
        }),
        ("brought, where it is known", 0, "NotSpending", |it| {
            it.spendings[0].from = Some((NegotiationId::from_bytes([1; 32]), FLOOR));
        }),
        ("brought from elsewhere", 1, "CoinSignature", |it| {
            it.spendings[0].from = Some((NegotiationId::from_bytes([1; 32]), FLOOR));
        }),
        ("brought with more", 1, "CoinSignature", |it| {
            it.spendings[0].from = it.spendings[0].from.map(|(id, amount)| (id, amount + Amount::ONE_SAT));
        }),
        ("another transaction", 1, "NotInBlock", |it| it.spendings[1].tx.output[0].value += Amount::ONE_SAT),
    ];
    for (what, which, name, change) in changes {
        let mut made = honest[which].clone();
        change(&mut made);
        let read = Evidence::from_bytes(&made.to_bytes()).expect(what);
        let refused = read.verify(&Trust::Work, Depth::new(1)).expect_err(what);
        assert_eq!(refused.name(), name, "{what}: {refused}");
    }
}

#[test]
fn every_changed_byte_of_a_coins_evidence_is_refused_or_says_the_same() {
    let (world, ids, _) = ended();
    for id in ids {
        let evidence = exported(&world, &world.car, id);
        crate::evidence::hold_out(&evidence, evidence.headers.last());
    }
}

#[test]
fn a_trace_shows_the_coin_created_moved_and_spent_to_the_parties_and_to_strangers() {
    let (world, ids, txid) = ended();
    let parties = [world.car.key(), world.charger.key()];
    let mut scan = Scan::new(parties);
    let tip = scan.run(&world.ledger, Height::new(0), None, &mut |_| ()).unwrap();
    let strangers = scan.negotiations(world.ledger.chain(), tip);
    let own: Vec<_> = world.car.trace(None).unwrap().into_iter().map(|view| view.traced).collect();
    for found in [strangers, own] {
        let told = |traced: &Traced| {
            let step = |step: &CoinStep| match &step.what {
                What::Created(_) => "created",
                What::Moved { .. } => "moved",
                What::Revoked { by, .. } => {
                    assert_eq!((step.at.txid, *by), (txid, Some(world.charger.key())));
                    "revoked"
                }
            };
            (traced.negotiation, traced.ending.name(), traced.coin.iter().map(step).collect::<Vec<_>>())
        };
        let told: Vec<_> = found.iter().map(told).collect();
        assert_eq!(
            told,
            [
                (ids[0], "revoked", vec!["created", "moved", "revoked"]),
                (ids[1], "revoked", vec!["moved", "revoked"]),
            ]
        );
    }
}
