//! Offers that another wallet funds: prepared by the home, funded and signed by a real wallet, submitted.

use bitcoin::hashes::Hash;
use bitcoin::psbt::PsbtSighashType;
use bitcoin::sighash::EcdsaSighashType;
use bitcoin::{Amount, OutPoint, Psbt, ScriptBuf, Sequence, TxOut, Txid};
use keyway_chain::Height;
use keyway_ledger::Ledger;
use keyway_node::{
    CancelError, Cancelled, FundsError, Kind, NodeError, OfferError, OfferRequest, PreparedOffer,
    PsbtRefused, Waiting, Way,
};
use keyway_protocol::message::Carrier;
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::state::State;
use keyway_protocol::suite::Suite;
use proptest::prelude::*;

use crate::operator::Operator;
use crate::world::*;

/// A wallet of that kind with three coins of 50 bitcoins.
fn operator(world: &mut World, kind: &str) -> Operator {
    let mut operator = Operator::new(world.ledger.chain(), kind);
    for _ in 0..3 {
        world.ledger.mine(1, &operator.script()).unwrap();
    }
    world.mine_and_sync(100);
    follow(&mut operator, world);
    operator
}

fn follow(operator: &mut Operator, world: &World) {
    operator.follow(world.ledger.tip().unwrap().height.to_u32(), |height| {
        let at = world.ledger.block_at(Height::new(height)).unwrap().unwrap();
        bitcoin::consensus::deserialize(&world.ledger.block(&at.hash).unwrap().unwrap()).unwrap()
    });
}

fn prepare(world: &mut World, request: &OfferRequest) -> PreparedOffer {
    world.car.prepare(&world.ledger, request).unwrap()
}

fn submit(world: &mut World, psbt: &Psbt) -> Result<NegotiationId, NodeError> {
    world.car.submit(&world.ledger, &psbt.serialize()).map(|sent| sent.id)
}

fn spendable(world: &World) -> Amount {
    world.car.status().unwrap().balance.spendable
}

fn lent(world: &World) -> Amount {
    world.car.status().unwrap().balance.lent
}

/// The whole negotiation; the money is exact on every side.
fn agrees(world: &mut World, operator: &mut Operator, request: &OfferRequest) {
    let (home, paid) = (spendable(world), operator.balance());
    let prepared = prepare(world, request);
    assert_eq!(spendable(world) + prepared.lent, home, "the coin is set aside");
    assert_eq!(lent(world), prepared.lent);
    let psbt = operator.funded(&prepared.psbt);
    let sent = world.car.submit(&world.ledger, &psbt.serialize()).unwrap();
    assert_eq!(sent.id, prepared.id);
    assert_eq!(spendable(world), home, "what was lent is back");
    world.mine_and_sync(1);
    world.mine_and_sync(2);
    let (car, charger) = (world.view(&world.car, sent.id), world.view(&world.charger, sent.id));
    assert_eq!((car.state, charger.state), (State::Active, State::Active), "{request:?}");
    assert_eq!(car.fingerprint, charger.fingerprint);
    assert_eq!((car.price, charger.price), (PRICE, PRICE));
    assert_eq!(car.offer.unwrap().costs.fee, Some(sent.fee), "the home knows what the other wallet paid");
    assert_eq!(spendable(world), home, "the home paid nothing");
    follow(operator, world);
    assert_eq!(operator.balance(), paid - PRICE - sent.fee, "the other wallet paid the price and the fee");
}

#[test]
fn an_offer_that_another_wallet_funds_leads_to_a_key_over_each_carrier() {
    let mut world = World::new();
    let mut operator = operator(&mut world, "wpkh(KEY)");
    for carrier in Carrier::ALL {
        agrees(&mut world, &mut operator, &over(carrier));
    }
    let short = OfferRequest { suite: Suite::X25519, ..over(Carrier::Dynamic) };
    agrees(&mut world, &mut operator, &short);
}

#[test]
fn wallets_of_every_segwit_kind_can_fund_an_offer() {
    let mut world = World::new();
    for kind in ["sh(wpkh(KEY))", "tr(KEY)", "wsh(pk(KEY))"] {
        let mut operator = operator(&mut world, kind);
        agrees(&mut world, &mut operator, &request(PRICE));
    }
}

#[test]
fn a_wallet_whose_signatures_are_part_of_the_txid_is_refused() {
    let mut world = World::new();
    let mut operator = operator(&mut world, "pkh(KEY)");
    let prepared = prepare(&mut world, &request(PRICE));
    let psbt = operator.funded(&prepared.psbt);
    assert_eq!(refused(&mut world, &psbt), PsbtRefused::Malleable(1));
}

#[test]
fn change_that_a_reader_would_take_for_a_lock_is_refused_where_that_matters() {
    let mut world = World::new();
    let mut operator = operator(&mut world, "tr(KEY)");
    for carrier in [Carrier::Static, Carrier::Dynamic] {
        let prepared = prepare(&mut world, &over(carrier));
        let psbt = operator.funded(&prepared.psbt);
        assert_eq!(refused(&mut world, &psbt), PsbtRefused::LooksLocked(prepared.last_output + 1));
    }
}

fn refused(world: &mut World, psbt: &Psbt) -> PsbtRefused {
    match submit(world, psbt) {
        Err(NodeError::Psbt(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

/// An edit by the operator, whether the wallet signs after it, and how it is told.
type Edit = (&'static str, bool, fn(&mut Psbt));

fn add(psbt: &mut Psbt, output: TxOut) {
    psbt.unsigned_tx.output.push(output);
    psbt.outputs.push(Default::default());
}

fn pays(script_pubkey: ScriptBuf) -> TxOut {
    TxOut { value: Amount::from_sat(5_000), script_pubkey }
}

#[test]
fn each_edit_of_what_was_prepared_is_refused_by_name() {
    const EDITS: [Edit; 19] = [
        ("the transaction's version is 1 instead of 2", true, |psbt| psbt.unsigned_tx.version.0 = 1),
        ("nLockTime is 1 instead of", true, |psbt| {
            psbt.unsigned_tx.lock_time = bitcoin::absolute::LockTime::from_consensus(1);
        }),
        ("the sequence number of input 0 is 0xffffffff instead of 0xfffffffd", true, |psbt| {
            psbt.unsigned_tx.input[0].sequence = Sequence::MAX;
        }),
        ("the home's coin is in input 1", true, |psbt| {
            psbt.unsigned_tx.input.swap(0, 1);
            psbt.inputs.swap(0, 1);
        }),
        ("output 3 pays", true, |psbt| psbt.unsigned_tx.output[3].value += Amount::ONE_SAT),
        ("output 3 pays another script", true, |psbt| {
            psbt.unsigned_tx.output[3].script_pubkey = nobody();
        }),
        ("output 1 pays", true, |psbt| psbt.unsigned_tx.output.swap(1, 2)),
        ("output 0 pays another script", true, |psbt| {
            psbt.unsigned_tx.output.insert(0, pays(nobody()));
            psbt.outputs.push(Default::default());
        }),
        // The last of the run, the home's and the change.
        ("is missing", true, |psbt| {
            psbt.unsigned_tx.output.truncate(26);
            psbt.outputs.truncate(26);
        }),
        ("pays the peer beside the offer", true, |psbt| {
            let to_peer = psbt.unsigned_tx.output[0].script_pubkey.clone();
            add(psbt, pays(to_peer));
        }),
        ("holds data (OP_RETURN)", true, |psbt| {
            add(psbt, pays(ScriptBuf::new_op_return([1, 2])));
        }),
        ("no input but the home's", false, |psbt| {
            psbt.unsigned_tx.input.truncate(1);
            psbt.inputs.truncate(1);
        }),
        ("input 1 is not signed and finalised", false, |psbt| psbt.inputs[1].final_script_witness = None),
        ("commits to a part of the transaction only", false, |psbt| {
            psbt.inputs[1].sighash_type = Some(PsbtSighashType::from(EcdsaSighashType::None));
        }),
        ("commits to a part of the transaction only", false, |psbt| {
            let mut elements = psbt.inputs[1].final_script_witness.clone().unwrap().to_vec();
            *elements[0].last_mut().unwrap() = 0x81;
            psbt.inputs[1].final_script_witness = Some(bitcoin::Witness::from_slice(&elements));
        }),
        ("the coin of input 1 does not exist, or is spent", true, |psbt| {
            psbt.unsigned_tx.input[1].previous_output = OutPoint::new(Txid::all_zeros(), 5);
        }),
        ("the coin of input 1 is not what the PSBT says", false, |psbt| {
            psbt.inputs[1].witness_utxo.as_mut().unwrap().value += Amount::ONE_SAT;
        }),
        ("sat less than the outputs pay", true, |psbt| {
            psbt.unsigned_tx.output.last_mut().unwrap().value = Amount::MAX_MONEY;
        }),
        ("the fee is too high", true, |psbt| {
            psbt.unsigned_tx.output.last_mut().unwrap().value -= Amount::from_sat(1_000_000);
        }),
    ];
    let mut world = World::new();
    let mut operator = operator(&mut world, "wpkh(KEY)");
    let prepared = prepare(&mut world, &request(PRICE));
    for (expected, signed_after, edit) in EDITS {
        let mut psbt = operator.fund(&prepared.psbt, 2);
        if !signed_after {
            psbt = operator.sign(psbt);
        }
        edit(&mut psbt);
        if signed_after && psbt.unsigned_tx.input[0].previous_output == home_coin(&prepared) {
            psbt = operator.try_sign(psbt);
        }
        let error = world.car.submit(&world.ledger, &psbt.serialize()).unwrap_err();
        assert_eq!(error.kind(), Kind::Refused, "{error}");
        let text = error.to_string();
        assert!(text.lines().next().unwrap().contains(expected), "{expected}: {text}");
        assert_eq!(text.lines().count(), 3, "{text}");
    }
    let cheap = operator.fund(&prepared.psbt, 0);
    let cheap = operator.sign(cheap);
    assert!(matches!(refused(&mut world, &cheap), PsbtRefused::FeeLow { .. }));
    // A signature that was made for another transaction: only the ledger can tell.
    let mut forged = operator.funded(&prepared.psbt);
    forged.unsigned_tx.output.last_mut().unwrap().value -= Amount::ONE_SAT;
    assert!(matches!(submit(&mut world, &forged), Err(NodeError::Broadcast { .. })));
    // After all that the offer waits as it did.
    let psbt = operator.funded(&prepared.psbt);
    submit(&mut world, &psbt).unwrap();
}

fn home_coin(prepared: &PreparedOffer) -> OutPoint {
    Psbt::deserialize(&prepared.psbt).unwrap().unsigned_tx.input[0].previous_output
}

#[test]
fn what_is_no_psbt_is_told_apart() {
    let mut world = World::new();
    let prepared = prepare(&mut world, &request(PRICE));
    let mut submit = |bytes: &[u8]| match world.car.submit(&world.ledger, bytes) {
        Err(NodeError::Psbt(refused)) => refused,
        other => panic!("{other:?}"),
    };
    assert!(matches!(submit(b""), PsbtRefused::Unreadable(_)));
    let cut = submit(&prepared.psbt[..40]).to_string();
    assert!(cut.contains("it ends too early"), "{cut}");
    assert_eq!(submit(&vec![0; 5 << 20]), PsbtRefused::TooLong);
    // A PSBT of BIP370 has no unsigned transaction, and says its version.
    let two = [&b"psbt\xff"[..], &[1, 2, 4, 2, 0, 0, 0, 1, 0xfb, 4, 2, 0, 0, 0, 0]].concat();
    assert_eq!(submit(&two), PsbtRefused::VersionTwo);
    assert_eq!(submit(&prepared.psbt), PsbtRefused::NotFunded);
    let mut other = Psbt::deserialize(&prepared.psbt).unwrap();
    other.unsigned_tx.input[0].previous_output.vout ^= 1;
    other.inputs[0].non_witness_utxo = None;
    assert_eq!(submit(&other.serialize()), PsbtRefused::NotPrepared);
}

#[test]
fn a_preparation_outlives_its_process_and_is_printed_again() {
    let mut world = World::new();
    let mut operator = operator(&mut world, "wpkh(KEY)");
    let prepared = prepare(&mut world, &request(PRICE));
    world.restart_car();
    assert_eq!(lent(&world), prepared.lent);
    let again = world.car.prepared(prepared.id).unwrap();
    assert_eq!((again.psbt.clone(), again.until), (prepared.psbt, prepared.until));
    let psbt = operator.funded(&again.psbt);
    // The ledger is gone after the offer was stored; the process too.
    let deaf = deaf(&world.ledger);
    assert!(matches!(world.car.submit(&deaf, &psbt.serialize()), Err(NodeError::Broadcast { .. })));
    world.restart_car();
    world.sync();
    world.mine_and_sync(1);
    world.mine_and_sync(2);
    assert_eq!(world.state(&world.car, prepared.id), State::Active);
}

#[test]
fn what_the_ledger_refuses_in_the_end_waits_again() {
    let mut world = World::new();
    let mut operator = operator(&mut world, "wpkh(KEY)");
    let prepared = prepare(&mut world, &request(PRICE));
    let psbt = operator.funded(&prepared.psbt).serialize();
    let full = Hindered(&world.ledger, |tx| {
        let (txid, reason) = (tx.compute_txid(), "mempool min fee not met".to_owned());
        Some(keyway_ledger::Refusal { txid, reason, detail: None }.into())
    });
    assert!(matches!(world.car.submit(&full, &psbt), Err(NodeError::Broadcast { .. })));
    assert_eq!(lent(&world), prepared.lent);
    world.restart_car();
    assert_eq!(world.car.submit(&world.ledger, &psbt).unwrap().id, prepared.id);
}

#[test]
fn two_prepared_offers_share_neither_coin_nor_secret() {
    let mut world = World::new();
    let prepared: Vec<PreparedOffer> = (0..4).map(|_| prepare(&mut world, &request(PRICE))).collect();
    let mut coins: Vec<OutPoint> = prepared.iter().map(home_coin).collect();
    coins.sort();
    coins.dedup();
    assert_eq!(coins.len(), 4);
    // Each coin is lent: nothing is left for another, and nothing pays with them.
    assert!(matches!(
        world.car.prepare(&world.ledger, &request(PRICE)),
        Err(NodeError::Funds(FundsError::TooLittle { .. } | FundsError::NoConfirmedCoin { .. }))
    ));
    assert!(world.car.offer(&world.ledger, &request(PRICE)).is_err());
    assert_eq!(spendable(&world), Amount::ZERO);
    // The amounts of two offers say different shares.
    let data = |it: &PreparedOffer| Psbt::deserialize(&it.psbt).unwrap().unsigned_tx.output[1].value;
    assert!(prepared[1..].iter().any(|other| data(other) != data(&prepared[0])));
}

#[test]
fn the_same_psbt_again_is_the_same_offer_and_another_one_is_refused() {
    let mut world = World::new();
    let mut operator = operator(&mut world, "wpkh(KEY)");
    let prepared = prepare(&mut world, &request(PRICE));
    let psbt = operator.funded(&prepared.psbt);
    let other = operator.fund(&prepared.psbt, 5);
    let other = operator.sign(other);
    let first = world.car.submit(&world.ledger, &psbt.serialize()).unwrap();
    let again = world.car.submit(&world.ledger, &psbt.serialize()).unwrap();
    assert_eq!((first.txid, first.fee), (again.txid, again.fee));
    assert_eq!(refused(&mut world, &other), PsbtRefused::OtherSent(first.txid));
    world.mine_and_sync(1);
    assert_eq!(world.car.submit(&world.ledger, &psbt.serialize()).unwrap().txid, first.txid);
}

#[test]
fn an_offer_whose_coin_was_spent_meanwhile_is_refused_and_over() {
    let mut world = World::new();
    let mut operator = operator(&mut world, "wpkh(KEY)");
    let prepared = prepare(&mut world, &request(PRICE));
    let psbt = operator.funded(&prepared.psbt);
    // Somebody who has the words spends it.
    let coin = home_coin(&prepared);
    let mut theft = spend(&[coin], vec![TxOut { value: prepared.lent / 2, script_pubkey: nobody() }]);
    let spent = TxOut { value: prepared.lent, script_pubkey: world.car.key().script() };
    sign(&mut theft, &[spent], &seed(CAR), EcdsaSighashType::All);
    world.ledger.broadcast(&theft).unwrap();
    assert!(submit(&mut world, &psbt).is_err());
    world.mine_and_sync(1);
    assert_eq!(refused(&mut world, &psbt), PsbtRefused::GivenUp);
    assert_eq!(world.state(&world.car, prepared.id), State::Expired);
}

#[test]
fn a_preparation_is_given_up_by_hand_or_by_itself_and_its_coin_serves_again() {
    let mut world = World::new();
    let mut operator = operator(&mut world, "wpkh(KEY)");
    let first = prepare(&mut world, &request(PRICE));
    let psbt = operator.funded(&first.psbt);
    assert_eq!(world.view(&world.car, first.id).waiting, Some(Waiting::Prepared(first.until)));
    assert_eq!(world.car.cancel(&world.ledger, first.id).unwrap(), Cancelled::Unsigned);
    assert_eq!((world.state(&world.car, first.id), lent(&world)), (State::Expired, Amount::ZERO));
    assert_eq!(refused(&mut world, &psbt), PsbtRefused::GivenUp);
    assert!(matches!(
        world.car.cancel(&world.ledger, first.id),
        Err(NodeError::Cancel(CancelError::Over(_)))
    ));
    world.restart_car();
    assert_eq!(world.state(&world.car, first.id), State::Expired);

    // The same coin for the same peer is the same negotiation, with a secret of its own.
    let second = prepare(&mut world, &request(PRICE));
    assert_eq!((second.id, home_coin(&second)), (first.id, home_coin(&first)));
    assert_ne!(second.psbt, first.psbt);
    assert_eq!(world.state(&world.car, second.id), State::Offered);
    assert_eq!(
        refused(&mut world, &psbt),
        PsbtRefused::OutputAmount {
            index: 1,
            found: Psbt::deserialize(&first.psbt).unwrap().unsigned_tx.output[1].value,
            expected: Psbt::deserialize(&second.psbt).unwrap().unsigned_tx.output[1].value,
            last: second.last_output,
        }
    );

    let psbt = operator.funded(&second.psbt);
    world.mine_and_sync(144);
    assert_eq!(world.state(&world.car, second.id), State::Offered);
    world.mine_and_sync(1);
    assert_eq!((world.state(&world.car, second.id), lent(&world)), (State::Expired, Amount::ZERO));
    assert_eq!(refused(&mut world, &psbt), PsbtRefused::GivenUp);
    // Another peer's, an ordinary offer: the coin serves.
    world.offer();
}

#[test]
fn a_locked_payment_that_was_prepared_too_long_ago_is_given_up_in_time_for_the_peer() {
    let mut world = World::new();
    let prepared = prepare(&mut world, &over(Carrier::Dynamic));
    assert_eq!(prepared.until.to_u32(), world.car.tip().height.to_u32() + 144 - 72);
    world.mine_and_sync(73);
    assert_eq!(world.state(&world.car, prepared.id), State::Expired);
}

#[test]
fn a_funded_offer_that_waits_is_raised_by_a_child_of_what_came_back() {
    let mut world = World::new();
    let mut operator = operator(&mut world, "wpkh(KEY)");
    let prepared = prepare(&mut world, &request(PRICE));
    let psbt = operator.funded(&prepared.psbt);
    let sent = world.car.submit(&world.ledger, &psbt.serialize()).unwrap();
    let raised = world.car.raise_fee(&world.ledger, &sent.txid).unwrap().unwrap();
    assert_eq!((raised.waiting, raised.way), (sent.txid, Way::Child));
    let child = world.ledger.unmined(&raised.by).unwrap().unwrap();
    assert_eq!(child.input[0].previous_output, OutPoint::new(sent.txid, prepared.last_output as u32));
}

#[test]
fn an_offer_in_an_envelope_is_refused_plainly() {
    let mut world = World::new();
    world.ledger.relay_data(83).unwrap();
    for carrier in [Carrier::Static, Carrier::Dynamic] {
        let error = world.car.prepare(&world.ledger, &over(carrier)).unwrap_err();
        assert!(matches!(error, NodeError::Offer(OfferError::NoPsbtInEnvelope { .. })), "{error}");
        assert_eq!((error.kind(), error.to_string().lines().count()), (Kind::Refused, 3));
    }
    assert_eq!(lent(&world), Amount::ZERO);
    let mut operator = operator(&mut world, "wpkh(KEY)");
    agrees(&mut world, &mut operator, &OfferRequest { suite: Suite::X25519, ..over(Carrier::Dynamic) });
}

#[test]
fn bytes_that_a_stranger_changed_are_refused_and_never_more() {
    let mut world = World::new();
    let mut operator = operator(&mut world, "wpkh(KEY)");
    let prepared = prepare(&mut world, &request(PRICE));
    let whole = operator.funded(&prepared.psbt).serialize();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(400));
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
    let cut = any::<prop::sample::Index>();
    let cell = std::cell::RefCell::new(&mut world);
    runner
        .run(&(changes, cut, any::<bool>()), |(changes, cut, is_cut)| {
            let mut bytes = whole.clone();
            for (at, byte) in changes {
                bytes[at.index(whole.len())] = byte;
            }
            if is_cut {
                bytes.truncate(cut.index(whole.len()));
            }
            let world = &mut **cell.borrow_mut();
            // What is not signed over (the wallet's notes, the parents) may change without harm.
            if let Ok(sent) = world.car.submit(&world.ledger, &bytes) {
                prop_assert_eq!(sent.id, prepared.id);
            }
            Ok(())
        })
        .unwrap();
    world.mine_and_sync(1);
    submit(&mut world, &Psbt::deserialize(&whole).unwrap()).unwrap();
}
