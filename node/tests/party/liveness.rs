//! The coin that a pair's keys live by: created, moved, spent, by honest sides and by others (PROTOCOL.md 9.4).

use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::{Amount, OutPoint, Transaction, TxOut, Txid};
use keyway_carriers::script::liveness::{self, Liveness};
use keyway_ledger::Ledger;
use keyway_node::*;
use keyway_protocol::message::{AnswerForm, Carrier};
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::state::State;
use keyway_protocol::suite::Suite;

use crate::locked::mine_empty;
use crate::restored::{Knows, Lost, assert_same};
use crate::world::*;

pub const FLOOR: Amount = Amount::from_sat(1_000);

impl World {
    /// Both sides' policy asks for coins, or not.
    pub fn living(car: bool, charger: bool) -> Self {
        let mut world = Self::new();
        let on = |side: &Party, on: bool| {
            let path = side.dir().join(CONFIG_FILE);
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.contains("\nliveness = false\n"));
            std::fs::write(&path, text.replace("liveness = false", &format!("liveness = {on}"))).unwrap();
        };
        on(&world.car, car);
        on(&world.charger, charger);
        world.restart_car();
        world.restart_charger();
        world.sync();
        world
    }

    pub fn coin(&self, party: &Party, id: NegotiationId) -> CoinView {
        self.view(party, id).coin.unwrap()
    }

    fn again(&mut self) -> NegotiationId {
        let request = self.car.same_again("charger", None).unwrap();
        let id = self.car.offer(&self.ledger, &request).unwrap().id;
        self.mine_and_sync(1);
        self.mine_and_sync(1);
        id
    }

    /// The same, up to where the coin names the new epoch.
    pub fn rotated(&mut self) -> NegotiationId {
        let id = self.again();
        (0..3).for_each(|_| self.mine_and_sync(1));
        assert_eq!(self.coin(&self.car, id).names, id);
        assert_eq!(self.coin(&self.charger, id).life, Life::Alive);
        id
    }

    pub fn both(&self, id: NegotiationId) -> [State; 2] {
        [self.state(&self.car, id), self.state(&self.charger, id)]
    }

    fn names(&self, id: NegotiationId) -> Liveness {
        Liveness { negotiation: id, initiator: self.car.key(), responder: self.charger.key() }
    }

    /// A transaction of the car's own program that spends a coin as input `at`, beside a coinbase of the car.
    fn spent_by_hand(&self, coin: &CoinView, at: usize, first: Option<TxOut>) -> Transaction {
        let (outpoint, output) = last_coinbase(self, &self.car.key().script());
        let (script, amount) = (self.names(coin.names).script(), coin.amount);
        let mut inputs = vec![outpoint];
        inputs.insert(at, coin.outpoint);
        let change = TxOut { value: output.value - Amount::from_sat(5_000), ..output.clone() };
        let mut tx = spend(&inputs, first.into_iter().chain([change]).collect());
        let mut coins = vec![output];
        coins.insert(at, TxOut { value: amount, script_pubkey: self.car.key().script() });
        sign(&mut tx, &coins, &seed(CAR), EcdsaSighashType::All);
        let all = EcdsaSighashType::All;
        let digest = SighashCache::new(&tx).p2wsh_signature_hash(at, &script, amount, all).unwrap();
        tx.input[at].witness = liveness::witness(&script, &seed(CAR).identity.sign_input(digest));
        tx
    }

    fn to(&self, id: NegotiationId) -> TxOut {
        TxOut { value: FLOOR, script_pubkey: self.names(id).script().to_p2wsh() }
    }
}

fn spender(coin: &CoinView) -> Txid {
    match coin.life {
        Life::Spent { txid, .. } | Life::Moving(txid) | Life::Ending(txid) => txid,
        Life::Alive => panic!("{coin:?}"),
    }
}

pub fn sent(outcome: Result<Revocation, NodeError>) -> Txid {
    match outcome.unwrap() {
        Revocation::Sent { txid, .. } => txid,
        other => panic!("{other:?}"),
    }
}

/// What it is said to cost with a coin.
fn quote(world: &World, request: &OfferRequest) -> Quote {
    let terms = Terms { coin: true, ..request.terms() };
    let (feerate, most_data) = (world.ledger.feerate().unwrap(), world.ledger.most_data().unwrap());
    Quote::new(world.ledger.chain(), feerate, &terms, most_data).unwrap()
}

#[test]
fn an_answer_over_every_carrier_creates_the_coin_and_both_sides_see_the_key_alive() {
    let forms = [AnswerForm::Sequences, AnswerForm::Amounts];
    let value = forms.map(|form| OfferRequest { form, ..request(PRICE) });
    let beside = [Carrier::Static, Carrier::Dynamic].into_iter().flat_map(|carrier| {
        [Suite::X25519, Suite::X25519MlKem768].map(|suite| OfferRequest { suite, ..over(carrier) })
    });
    for request in value.into_iter().chain(beside) {
        let mut world = World::living(false, true);
        let quote = quote(&world, &request);
        let id = world.car.offer(&world.ledger, &request).unwrap().id;
        world.mine_and_sync(1);
        world.mine_and_sync(2);
        assert_eq!(world.both(id), [State::Active; 2], "{request:?}");
        let (car, charger) = (world.view(&world.car, id), world.view(&world.charger, id));
        let coin = car.coin.clone().unwrap();
        assert_eq!((Some(&coin), coin.life, coin.amount), (charger.coin.as_ref(), Life::Alive, FLOOR));
        assert_eq!(coin.outpoint.txid, car.answer.clone().unwrap().txid);
        assert_eq!(coin.since, car.answer.unwrap().block);
        let answer = charger.answer.unwrap();
        let tx = mined_tx(&world.ledger, &answer.txid, &world.charger.key().script());
        let (own, fee) = (world.charger.key().script(), answer.costs.fee.unwrap());
        let kept: Amount = tx.output.iter().filter(|it| it.script_pubkey == own).map(|it| it.value).sum();
        assert_eq!(kept + fee + answer.paid_back + FLOOR, PRICE, "{request:?}");
        let vbytes = answer.costs.vbytes;
        assert!((vbytes..vbytes + 40).contains(&fee.to_sat()), "{fee} for {vbytes} vB");
        assert_eq!((quote.set_aside, quote.paid_back), (FLOOR, answer.paid_back));
        // A signature may be a weight unit or two shorter than was said.
        let less = 1 + tx.input.len() as u64 / 2;
        assert!((vbytes..=vbytes + less).contains(&quote.answer.vbytes), "{vbytes} vB: {quote:?}");
        let said = quote.netted.to_sat();
        assert!((said..=said + less + 1).contains(&kept.to_sat()), "{kept}: {quote:?}");
        let message = world.car.seal("charger", b"hello", b"").unwrap();
        world.charger.open_sealed(&message.sealed, b"", false).unwrap();
    }
}

#[test]
fn without_the_policy_no_answer_creates_one_and_there_is_nothing_to_revoke() {
    let mut world = World::living(true, false);
    let id = world.agree();
    assert_eq!((world.view(&world.car, id).coin, world.view(&world.charger, id).coin), (None, None));
    let refused = world.car.revoke(&world.ledger, id).unwrap_err();
    assert_eq!(refused.kind(), Kind::Refused);
    assert!(refused.to_string().contains("this pair has no liveness coin"), "{refused}");
    assert!(refused.to_string().contains("keyway peer revoke charger"), "{refused}");
}

#[test]
fn an_offer_that_pays_too_little_for_a_coin_is_answered_without() {
    let mut world = World::living(false, true);
    let cheap =
        OfferRequest { price: Amount::from_sat(1_100), suite: Suite::X25519, ..over(Carrier::Static) };
    let id = world.car.offer(&world.ledger, &cheap).unwrap().id;
    world.mine_and_sync(1);
    world.mine_and_sync(2);
    assert_eq!(world.both(id), [State::Active; 2]);
    assert_eq!(world.view(&world.car, id).coin, None);
}

#[test]
fn rotation_moves_the_coin_once_the_new_answer_is_deep_and_a_later_answer_creates_no_other() {
    let mut world = World::living(true, true);
    let first = world.agree();
    let coin = world.coin(&world.car, first);
    let second = world.again();
    assert_eq!(world.both(second), [State::Provisional; 2]);
    assert_eq!(world.coin(&world.charger, second), coin, "not before its time");
    world.mine(1);
    let (_, synced) = world.sync();
    let moved = synced.events.iter().find_map(|event| match event {
        Event::CoinMoved { id, txid } => Some((*id, *txid)),
        _ => None,
    });
    let (id, txid) = moved.unwrap();
    assert_eq!(id, second);
    world.sync();
    assert_eq!(world.coin(&world.car, second).life, Life::Moving(txid), "seen unmined by the other side");
    world.mine_and_sync(1);
    for party in [&world.car, &world.charger] {
        let now = world.coin(party, second);
        assert_eq!((now.outpoint, now.names, now.life), (OutPoint::new(txid, 0), second, Life::Alive));
        assert_eq!((now.amount, now.since), (FLOOR, coin.since), "one lineage");
        assert_eq!(world.state(party, second), State::Active);
        assert_eq!(world.state(party, first), State::Superseded);
    }
    // What the answer paid pays the fee, so that the move cannot be mined without it.
    let answer = world.view(&world.charger, second).answer.unwrap().txid;
    let tx = mined_tx(&world.ledger, &txid, &world.charger.key().script());
    assert_eq!(
        tx.input.iter().map(|it| it.previous_output.txid).collect::<Vec<_>>(),
        [coin.outpoint.txid, answer]
    );
    let (car, charger) = world.sync();
    assert!(car.events.is_empty() && charger.events.is_empty(), "{car:?} {charger:?}");
}

#[test]
fn the_initiator_moves_the_coin_if_the_responder_does_not() {
    let mut world = World::living(true, true);
    world.agree();
    // The charger changes its mind.
    let path = world.charger.dir().join(CONFIG_FILE);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("liveness = true", "liveness = false")).unwrap();
    world.restart_charger();
    let second = world.again();
    world.mine_and_sync(1 + 5);
    assert_eq!(world.coin(&world.car, second).life, Life::Alive, "it is the responder's turn");
    world.mine_and_sync(1);
    world.mine_and_sync(1);
    assert_eq!(world.coin(&world.car, second).names, second);
    assert_eq!(world.coin(&world.charger, second).names, second);
}

#[test]
fn either_side_revokes_and_both_stop_at_the_depth_of_their_policy() {
    for by_car in [true, false] {
        let mut world = World::living(true, true);
        let first = world.agree();
        let second = world.rotated();
        let late = world.charger.seal("car", b"sealed before", b"").unwrap();
        let ledger = &world.ledger;
        let side = if by_car { &mut world.car } else { &mut world.charger };
        let txid = sent(side.revoke(ledger, second));
        let once_more =
            sent(if by_car { &mut world.car } else { &mut world.charger }.revoke(&world.ledger, second));
        assert_eq!(once_more, txid);
        world.sync();
        for party in [&world.car, &world.charger] {
            assert_eq!(world.coin(party, second).life, Life::Ending(txid), "seen unmined");
        }
        world.mine(1);
        let (car, charger) = world.sync();
        let seen = Event::RevocationSeen { id: second, txid };
        assert!(car.events.contains(&seen) && charger.events.contains(&seen), "{car:?} {charger:?}");
        assert_eq!([world.both(first), world.both(second)], [[State::Superseded; 2], [State::Active; 2]]);
        let waiting = world.view(&world.charger, second).waiting.unwrap().to_string();
        assert_eq!(waiting, "its revocation has depth 1 of 2");
        world.mine_and_sync(1);
        assert_eq!([world.both(first), world.both(second)], [[State::Revoked; 2]; 2]);
        for (party, own) in [(&world.car, by_car), (&world.charger, !by_car)] {
            let Life::Spent { txid: by, by_us, .. } = world.coin(party, second).life else { panic!() };
            assert_eq!((by, by_us), (txid, Some(own)));
        }
        let refused = world.car.seal("charger", b"x", b"").unwrap_err();
        assert_eq!(refused.kind(), Kind::Refused);
        assert!(refused.to_string().contains("revoked"), "{refused}");
        let refused = world.car.open_sealed(&late.sealed, b"", false).unwrap_err();
        assert!(
            matches!(refused, NodeError::Session(SessionError::KeyUnusable { state: State::Revoked, .. })),
            "{refused}"
        );
        let mined = world.car.revoke(&world.ledger, second).unwrap();
        assert!(matches!(mined, Revocation::Mined { txid: by, .. } if by == txid), "{mined:?}");
        // What is negotiated afterwards begins anew, with a coin of its own.
        let third = world.agree();
        assert_eq!((world.coin(&world.car, third).names, world.both(first)), (third, [State::Revoked; 2]));
    }
}

#[test]
fn a_reorganisation_that_takes_the_revocation_away_gives_the_key_back() {
    let mut world = World::living(false, true);
    let id = world.agree();
    let tip = world.ledger.tip().unwrap().height;
    sent(world.car.revoke(&world.ledger, id));
    world.mine_and_sync(2);
    assert_eq!(world.both(id), [State::Revoked; 2]);
    world.ledger.rewind(tip).unwrap();
    world.sync();
    assert_eq!(world.both(id), [State::Active; 2]);
    let message = world.car.seal("charger", b"once more", b"").unwrap();
    world.charger.open_sealed(&message.sealed, b"", false).unwrap();
    // It is sent again by itself.
    world.mine_and_sync(2);
    assert_eq!(world.both(id), [State::Revoked; 2]);
}

#[test]
fn what_looks_like_a_move_and_is_none_revokes() {
    type Trick = fn(&World, &CoinView, [NegotiationId; 2]) -> Transaction;
    let tricks: [(&str, Trick); 3] = [
        ("into the script of the epoch that it names", |world, coin, ids| {
            world.spent_by_hand(coin, 0, Some(world.to(ids[1])))
        }),
        ("as input 1", |world, coin, ids| world.spent_by_hand(coin, 1, Some(world.to(ids[1])))),
        ("to an epoch that nobody answered", |world, coin, _| {
            world.spent_by_hand(coin, 0, Some(world.to(NegotiationId::from_bytes([9; 32]))))
        }),
    ];
    for (what, trick) in tricks {
        let mut world = World::living(true, true);
        let ids = [world.agree(), world.rotated()];
        let coin = world.coin(&world.car, ids[1]);
        assert_eq!(coin.names, ids[1]);
        let tx = trick(&world, &coin, ids);
        world.ledger.broadcast(&tx).unwrap();
        world.mine_and_sync(2);
        assert_eq!(ids.map(|id| world.both(id)), [[State::Revoked; 2]; 2], "{what}");
        assert_eq!(spender(&world.coin(&world.charger, ids[1])), tx.compute_txid());
    }
}

#[test]
fn a_coin_that_is_moved_to_an_older_epoch_lives_and_is_moved_on_with_the_next() {
    let mut world = World::living(true, true);
    let ids = [world.agree(), world.rotated()];
    let coin = world.coin(&world.car, ids[1]);
    let back = world.spent_by_hand(&coin, 0, Some(world.to(ids[0])));
    world.ledger.broadcast(&back).unwrap();
    world.mine_and_sync(1);
    assert_eq!(world.both(ids[1]), [State::Active; 2]);
    assert_eq!(world.coin(&world.car, ids[1]).names, ids[0]);
    (0..3).for_each(|_| world.mine_and_sync(1));
    let coin = world.coin(&world.car, ids[1]);
    assert_eq!(
        (world.both(ids[1]), coin.names, coin.life),
        ([State::Active; 2], ids[0], Life::Alive),
        "once is enough"
    );
    world.rotated();
}

#[test]
fn a_coin_that_is_spent_in_the_block_of_its_answer_revokes_on_both_sides() {
    let mut world = World::living(false, true);
    let id = world.offer().id;
    world.mine_and_sync(1);
    let answer = world.view(&world.charger, id).answer.unwrap().txid;
    let tx = world.ledger.unmined(&answer).unwrap().unwrap();
    let (vout, output) = world.names(id).find(&tx).unwrap();
    let coin = CoinView {
        outpoint: OutPoint::new(answer, vout),
        amount: output.value,
        names: id,
        since: None,
        life: Life::Alive,
    };
    world.ledger.broadcast(&world.spent_by_hand(&coin, 0, None)).unwrap();
    world.mine_and_sync(2);
    assert_eq!(world.both(id), [State::Revoked; 2]);
}

#[test]
fn a_revocation_beats_the_move_that_it_meets_and_follows_one_that_was_faster() {
    for faster in [false, true] {
        let mut world = World::living(false, true);
        world.agree();
        let second = world.again();
        world.mine_and_sync(1);
        world.sync();
        let moving = spender(&world.coin(&world.car, second));
        let outcome = match faster {
            // The move is mined although the car has asked for the other.
            true => {
                let heard = Hindered(&world.ledger, |_| Some(hung_up()));
                world.car.revoke(&heard, second).unwrap_err();
                world.mine(1);
                None
            }
            false => Some(sent(world.car.revoke(&world.ledger, second))),
        };
        if outcome.is_some() {
            assert!(world.ledger.unmined(&moving).unwrap().is_none(), "it was replaced");
        }
        world.restart_car();
        let (car, _) = world.sync();
        let followed = car.events.iter().any(|event| matches!(event, Event::RevocationSent { .. }));
        assert_eq!(followed, faster, "{:?}", car.events);
        world.mine_and_sync(2);
        assert_eq!(world.both(second), [State::Revoked; 2]);
        world.mine_and_sync(1);
        let (car, charger) = world.sync();
        assert!(car.events.is_empty() && charger.events.is_empty(), "{car:?} {charger:?}");
    }
}

#[test]
fn a_revocation_that_did_not_come_through_is_kept_over_a_restart_and_sent_again() {
    let mut world = World::living(false, true);
    let id = world.agree();
    let refused = world.car.revoke(&deaf(&world.ledger), id).unwrap_err();
    assert_eq!(refused.kind(), Kind::Ledger, "{refused}");
    world.restart_car();
    world.sync();
    world.mine_and_sync(2);
    assert_eq!(world.both(id), [State::Revoked; 2]);
}

#[test]
fn the_fee_of_a_revocation_that_waits_is_raised() {
    let mut world = World::living(false, true);
    let id = world.agree();
    let txid = sent(world.car.revoke(&world.ledger, id));
    let raised = world.car.raise_fee(&world.ledger, &txid).unwrap().unwrap();
    assert_eq!(raised.way, Way::Replacement);
    let raised = world.car.raise_fee(&world.ledger, &raised.by).unwrap().unwrap();
    world.mine_and_sync(2);
    assert_eq!((world.both(id), spender(&world.coin(&world.charger, id))), ([State::Revoked; 2], raised.by));
}

#[test]
fn a_move_whose_fee_is_raised_still_moves() {
    let mut world = World::living(false, true);
    world.agree();
    let second = world.again();
    world.mine_and_sync(1);
    let moving = spender(&world.coin(&world.charger, second));
    let raised = world.charger.raise_fee(&world.ledger, &moving).unwrap().unwrap();
    assert_eq!(raised.way, Way::Replacement);
    world.mine_and_sync(1);
    assert_eq!(world.coin(&world.car, second).outpoint, OutPoint::new(raised.by, 0));
    assert_eq!(world.both(second), [State::Active; 2]);
}

#[test]
fn a_move_whose_answer_left_the_chain_is_not_sent_before_it_is_back() {
    let mut world = World::living(true, false);
    // The charger makes the first coin, and does not move it: the car does, with coins of its own.
    let path = world.charger.dir().join(CONFIG_FILE);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("liveness = false", "liveness = true")).unwrap();
    world.restart_charger();
    world.agree();
    std::fs::write(&path, text).unwrap();
    world.restart_charger();
    let second = world.again();
    let answered = world.view(&world.car, second).answer.unwrap().block.unwrap().at.height;
    world.mine_and_sync(7);
    assert!(matches!(world.coin(&world.car, second).life, Life::Moving(_)));
    world.ledger.rewind(answered.prev().unwrap()).unwrap();
    world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    (0..12).for_each(|_| world.mine_and_sync(1));
    assert_eq!(world.both(second), [State::Active; 2]);
    assert_eq!(world.coin(&world.charger, second).names, second);
}

#[test]
fn a_key_whose_revocation_is_coming_is_not_rotated_by_itself() {
    /// Negotiations six blocks above the answer, when the car's key is due.
    fn when_due(revokes: bool) -> usize {
        let mut world = World::living(false, true);
        let path = world.car.dir().join(CONFIG_FILE);
        let text = std::fs::read_to_string(&path).unwrap().replace("after_blocks = 0", "after_blocks = 6");
        std::fs::write(&path, text.replace("key_depth = 2", "key_depth = 4")).unwrap();
        world.restart_car();
        let id = world.offer().id;
        (0..5).for_each(|_| world.mine_and_sync(1));
        assert_eq!(world.state(&world.car, id), State::Active);
        if revokes {
            sent(world.charger.revoke(&world.ledger, id));
        }
        (0..3).for_each(|_| world.mine_and_sync(1));
        assert_eq!(world.state(&world.car, id), State::Active);
        world.car.negotiations().unwrap().len()
    }
    assert_eq!([when_due(false), when_due(true)], [2, 1]);
}

#[test]
fn the_fee_of_an_answer_rises_near_the_timeout_only_as_far_as_its_coin_leaves_room() {
    let mut world = World::living(false, true);
    let small =
        OfferRequest { price: Amount::from_sat(3_000), suite: Suite::X25519, ..over(Carrier::Dynamic) };
    let id = world.car.offer(&world.ledger, &small).unwrap().id;
    world.mine_and_sync(1);
    assert_eq!(world.state(&world.charger, id), State::Answered);
    for _ in 0..13 {
        mine_empty(&mut world, 10);
        world.sync();
    }
    world.mine_and_sync(2);
    assert_eq!(world.both(id), [State::Active; 2]);
    assert_eq!(world.coin(&world.car, id).amount, FLOOR);
}

#[test]
fn the_secrets_of_a_revoked_key_are_erased_after_a_hundred_blocks() {
    let mut world = World::living(false, true);
    let id = world.agree();
    sent(world.charger.revoke(&world.ledger, id));
    world.mine_and_sync(1);
    world.mine_and_sync(99);
    world.mine_and_sync(2);
    let store = |party: &Party| std::fs::read(party.dir().join(STORE_FILE)).unwrap();
    for party in [&world.car, &world.charger] {
        assert_eq!(world.state(party, id), State::Revoked);
        let name = format!("chain key {id}");
        let is_there = store(party).windows(name.len()).any(|window| window == name.as_bytes());
        assert!(!is_there, "the chain key is still in the store");
    }
    world.restart_car();
    assert_eq!(world.state(&world.car, id), State::Revoked);
}

#[test]
fn a_home_that_is_restored_knows_the_coin_its_moves_and_its_end() {
    let mut world = World::living(true, true);
    let first = world.agree();
    let second = world.rotated();
    for end in [false, true] {
        if end {
            sent(world.car.revoke(&world.ledger, second));
            world.mine_and_sync(3);
            assert_eq!(world.both(first), [State::Revoked; 2]);
        }
        let lost = |name, words| Lost { dir: world.dir.path(), ledger: &world.ledger, name, words };
        let car = lost("car", CAR).restore(&format!("car-{end}"), None, &[world.charger.card().clone()]);
        let cards = [world.car.card().clone()];
        let charger = lost("charger", CHARGER).restore(&format!("charger-{end}"), None, &cards);
        assert_same(&world.car, &car, Knows::TheChain);
        assert_same(&world.charger, &charger, Knows::TheChain);
        assert!(world.coin(&car, second).since.is_some());
    }
}
