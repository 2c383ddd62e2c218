//! The three attacks of the paper's section 3.2, made: on its scheme as written, and on Keyway (Propositions 1 to 3).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bitcoin::block::Header;
use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash, FeeRate, OutPoint, ScriptBuf, Transaction, TxOut, Txid};
use keyway_carriers::paper::{self, power};
use keyway_chain::{BlockRef, Chain, Height};
use keyway_ledger::{BroadcastError, Coin, Embedded, Hit, Ledger, LedgerError, Next, Watch};
use keyway_protocol::authorship::Authored;
use keyway_protocol::message::{Answer, AnswerForm, Carrier};
use keyway_protocol::negotiation::{Draft, Received};
use keyway_protocol::state::State;
use keyway_protocol::suite::Suite;

use crate::claim::{Place, Row, Verdict};
use crate::home::{FEE, Pair, mined, nobody, request, view};
use crate::literal::Literal;
use crate::pairs::Member;
use crate::random::Stream;
use crate::{Options, Walk};

pub fn walk(options: Options, walk: &mut Walk) -> Result<()> {
    let mut stream = options.stream("attacks");
    in_the_middle(options, walk, &mut stream)?;
    dropped(options, walk, &mut stream)?;
    wrong_keys(options, walk, &mut stream)
}

/// Somebody between two who check no signature: one key with each.
fn middle_of(literal: &Literal, stream: &mut Stream) -> bool {
    let offer = literal.offer;
    let [to_bob, to_alice] = [(); 2].map(|()| 2 + stream.below(offer.prime - 2));
    let [a, b] = [to_bob, to_alice].map(|secret| power(offer.generator, secret, offer.prime));
    let alices = offer.master_key(literal.a, b) == offer.master_key(to_alice, offer.share);
    let bobs = offer.master_key(literal.b, a) == offer.master_key(to_bob, literal.answer);
    alices && bobs
}

/// Reads a refusal.
fn refused(outcome: Result<Txid, BroadcastError>) -> Option<String> {
    match outcome {
        Err(BroadcastError::Refused(refusal)) => Some(refusal.reason),
        _ => None,
    }
}

fn in_the_middle(options: Options, walk: &mut Walk, stream: &mut Stream) -> Result<()> {
    let count = options.samples(1_000, 100);
    let literals: Vec<Literal> = (0..count).map(|_| Literal::new(stream)).collect();
    let between = literals.iter().filter(|literal| middle_of(literal, stream)).count();
    // A, g and p posted again by somebody else: the responder's key is then with whom it never dealt.
    let copied =
        literals.iter().filter(|it| it.keys()[0] == it.offer.master_key(it.b, it.offer.share)).count();

    let mut pair = Pair::new(stream, false)?;
    let id = pair.car.offer(&pair.ledger, &request("charger", Suite::X25519, Carrier::Value))?.id;
    pair.ledger.mine(1, &nobody())?;
    let offer = view(&pair.car, id)?.offer.context("the offer was made")?.txid;
    let offer = mined(&pair.ledger, &offer)?;
    let to_charger = pair.charger.key().script();
    let run = || offer.output.iter().filter(|output| output.script_pubkey == to_charger);
    // An answer of the thief's own spends the offer's first coin, which is the charger's.
    let anchor = offer.output.iter().position(|output| output.script_pubkey == to_charger);
    let anchor = anchor.context("an offer pays the responder")?;
    let coin = offer.output.get(anchor).context("an offer pays the responder")?;
    let script_pubkey = pair.mallory.identity.party().script();
    let taken = vec![TxOut { value: coin.value - Amount::from_sat(500), script_pubkey }];
    let answer = pair.mallory.spend(OutPoint::new(offer.compute_txid(), anchor as u32), coin, taken)?;
    let answered = refused(pair.ledger.broadcast(&answer));
    // The offer's amounts, paid by the thief.
    let copy = pair.mallory.pay(run().cloned().collect())?;
    pair.ledger.broadcast(&copy)?;
    // Whose payment it is, its first input says to whoever checks that.
    let spent = copy.output.iter().map(|output| output.value).sum::<Amount>() + FEE;
    let speaks_for = Authored::verify(&copy, spent).context("the thief signed it")?.author();
    let forged = speaks_for == pair.car.key();
    let agreement = pair.agree(id)?;
    let negotiations = pair.charger.negotiations()?.len();
    let row = Row {
        claim: "the scheme resists men in the middle, for transactions are signed",
        command: "./x test an_offer_copied_under_another_identity_leads_to_another_key; \
                  ./x test an_answer_that_does_not_spend_the_anchor_is_nothing",
        result: format!(
            "the paper's: whoever is between two that check no signature has a key with each in {between} of {count}; A \
             posted again by another leads the receiver to the first sender's key in {copied} of {count}. Keyway's, on a \
             ledger: an answer of the thief's own is refused ({}), the copied amounts are no offer ({negotiations} \
             negotiation), and the two agree: {}",
            answered.as_deref().unwrap_or("NOT"),
            agreement.same,
        ),
        time: String::new(),
        verdict: Verdict::Changed(
            "a signature helps whoever checks it, against a key known from a card; offers are bound to their coin, \
             answers spend the offer, and the transcript names both sides"
                .to_owned(),
        )
        .if_shown(
            between == count && copied == count && answered.is_some() && !forged && negotiations == 1 && agreement.same,
        ),
    };
    walk.add(options, Place::Proposition(1), row);
    scripts_that_are_not_relayed(options, walk, &pair)
}

/// 4.2 takes a ciphertext for an output script, 4.1 any number for an amount.
fn scripts_that_are_not_relayed(options: Options, walk: &mut Walk, pair: &Pair) -> Result<()> {
    let ciphertext = options.stream("ciphertext").bytes::<120>();
    let output = TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::from_bytes(ciphertext.to_vec()) };
    let script = refused(pair.ledger.broadcast(&pair.mallory.pay(vec![output])?));
    let dust =
        refused(pair.ledger.broadcast(&pair.mallory.pay(vec![paper::output(123, pair.charger.key())])?));
    let row = |claim, result, why: &str, shown| Row {
        claim,
        command: "./x test outputs_that_nodes_do_not_relay_are_refused",
        result,
        time: String::new(),
        verdict: Verdict::Fails(why.to_owned()).if_shown(shown),
    };
    let said = |reason: &Option<String>| reason.clone().unwrap_or("it was taken".to_owned());
    walk.add(
        options,
        Place::Section(4, 2, 2),
        row(
            "the ciphertext is the entire output script",
            format!("a transaction with 120 random bytes for a script: {}", said(&script)),
            "nodes relay no such script, and must keep it for ever; sealed messages ride in OP_RETURN",
            script.is_some(),
        ),
    );
    walk.add(
        options,
        Place::Section(4, 1, 3),
        row(
            "any number of eight digits is an amount",
            format!("a transaction that pays 123 satoshi: {}", said(&dust)),
            "small amounts are dust; what is drawn must lie above (the study draws again), and Keyway's amounts do",
            dust.is_some(),
        ),
    );
    Ok(())
}

/// A way to a ledger on which what is sent is lost, so many times.
struct Losing<'a> {
    ledger: &'a Embedded,
    left: AtomicU32,
    lost: AtomicU32,
}

impl Ledger for Losing<'_> {
    fn broadcast(&self, tx: &Transaction) -> Result<Txid, BroadcastError> {
        let take = |left: u32| left.checked_sub(1);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return Ok(tx.compute_txid());
        }
        self.ledger.broadcast(tx)
    }

    fn chain(&self) -> &Chain {
        self.ledger.chain()
    }

    fn tip(&self) -> Result<BlockRef, LedgerError> {
        self.ledger.tip()
    }

    fn next(&self, after: BlockRef, watch: &Watch) -> Result<Next, LedgerError> {
        self.ledger.next(after, watch)
    }

    fn block_at(&self, height: Height) -> Result<Option<BlockRef>, LedgerError> {
        self.ledger.block_at(height)
    }

    fn header(&self, hash: &BlockHash) -> Result<Option<Header>, LedgerError> {
        self.ledger.header(hash)
    }

    fn coin(&self, outpoint: &OutPoint) -> Result<Option<Coin>, LedgerError> {
        self.ledger.coin(outpoint)
    }

    fn check(&self, tx: &Transaction) -> Result<(), BroadcastError> {
        self.ledger.check(tx)
    }

    fn pending(&self, watch: &Watch) -> Result<Vec<Hit>, LedgerError> {
        self.ledger.pending(watch)
    }

    fn unmined(&self, txid: &Txid) -> Result<Option<Arc<Transaction>>, LedgerError> {
        self.ledger.unmined(txid)
    }

    fn feerate(&self) -> Result<FeeRate, LedgerError> {
        self.ledger.feerate()
    }

    fn most_data(&self) -> Result<usize, LedgerError> {
        self.ledger.most_data()
    }

    fn wait(&self, seen: BlockRef, at_most: Duration) -> Result<BlockRef, LedgerError> {
        self.ledger.wait(seen, at_most)
    }
}

/// Offer and answer are each lost some times; nobody is told.
fn dropped(options: Options, walk: &mut Walk, stream: &mut Stream) -> Result<()> {
    const EACH: u32 = 3;
    const MOST_BLOCKS: u32 = 30;
    let mut pair = Pair::new(stream, false)?;
    let way = || Losing { ledger: &pair.ledger, left: AtomicU32::new(EACH), lost: AtomicU32::new(0) };
    let (cars, chargers) = (way(), way());
    let id = pair.car.offer(&cars, &request("charger", Suite::X25519, Carrier::Value))?.id;
    let mut blocks = 0;
    let (mut ours, mut theirs) = (None, None);
    while blocks < MOST_BLOCKS {
        pair.ledger.mine(1, &nobody())?;
        blocks += 1;
        pair.car.sync(&cars, &mut |_| ())?;
        pair.charger.sync(&chargers, &mut |_| ())?;
        let active = |party: &keyway_node::Party| {
            view(party, id).ok().filter(|view| view.state == State::Active).and_then(|view| view.fingerprint)
        };
        (ours, theirs) = (active(&pair.car), active(&pair.charger));
        if ours.is_some() && theirs.is_some() {
            break;
        }
    }
    let lost = cars.lost.load(Ordering::Relaxed) + chargers.lost.load(Ordering::Relaxed);
    let same = ours.is_some() && ours == theirs;
    let row = Row {
        claim: "the scheme resists packet dropping: the chain guarantees that the negotiation succeeds",
        command: "./x test an_answer_that_did_not_come_through_is_sent_by_the_next_sync_and_is_the_same_answer; ./x simulate",
        result: format!(
            "on a ledger: offer and answer were sent and lost {lost} times; one key on both sides after {blocks} blocks: \
             {same}"
        ),
        time: String::new(),
        verdict: Verdict::Changed(
            "the chain keeps what is mined; until then messages can be lost, so they are stored before they are sent, and \
             sent again. Whoever stops all blocks stops all negotiations"
                .to_owned(),
        )
        .if_shown(same && lost == 2 * EACH),
    };
    walk.add(options, Place::Proposition(2), row);
    Ok(())
}

/// One bit of the answer is changed on its way.
fn wrong_keys(options: Options, walk: &mut Walk, stream: &mut Stream) -> Result<()> {
    let literal = Literal::new(stream);
    let [alices, bobs] = literal.keys();
    let bits = u64::BITS - literal.offer.prime.leading_zeros();
    let changed = (0..bits).map(|bit| literal.answer ^ 1 << bit);
    let others = changed.filter(|share| literal.offer.master_key(literal.a, *share) != bobs).count();

    let (mut car, charger) = (Member::new("car", stream)?, &mut Member::new("charger", stream)?);
    let context = car.context_with(charger, Carrier::Value, stream);
    let (ours, theirs) = (car.next_secret()?, charger.next_secret()?);
    let draft = || Draft::new(context, Suite::X25519, AnswerForm::Sequences, &ours);
    let anchor = OutPoint::new(Txid::from_byte_array(stream.bytes()), 0);
    let (answer, _) = Received::new(context, draft().offer().clone(), anchor).answer(&theirs)?;
    let handle = |bytes: &[u8]| -> bool {
        let answer = Answer::from_bytes(Carrier::Value, bytes);
        answer.is_ok_and(|answer| draft().mined(anchor.txid).handle(&answer).is_ok())
    };
    let bytes = answer.to_bytes();
    let taken = (0..8 * bytes.len()).filter(|bit| {
        let mut changed = bytes.clone();
        if let Some(byte) = changed.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
        handle(&changed)
    });
    let (taken, whole) = (taken.count(), handle(&bytes));
    let row = Row {
        claim: "the scheme resists decryption failures: both know that the other has the key",
        command: "./x test one_changed_bit_of_the_answers_share_or_tag_declines_it",
        result: format!(
            "the paper's: of {bits} answers with one bit changed {others} lead to two different keys, and nobody is told. \
             Keyway's: of {} such answers {taken} are taken; the whole one: {whole}",
            8 * bytes.len(),
        ),
        time: String::new(),
        verdict: Verdict::Changed(
            "nothing in the paper confirms a key. The answer carries the responder's tag, the first message the \
             initiator's"
                .to_owned(),
        )
        .if_shown(alices == bobs && others > 0 && taken == 0 && whole),
    };
    walk.add(options, Place::Proposition(3), row);
    Ok(())
}
