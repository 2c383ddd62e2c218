//! What liars make of a true story, each with the name of its refusal.

use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash, CompactTarget, OutPoint, Txid};
use keyway_carriers::value::UNUSED_SEQUENCE;
use keyway_chain::{Chain, Depth, Height};
use keyway_evidence::merkle::Branch;
use keyway_evidence::{Entry, Evidence, Headers, Trust};
use keyway_protocol::negotiation::NegotiationId;

use crate::party::{coin, transaction};
use crate::story::{ANSWERED, Life, OFFERED, OTHER, PRICE, Plot, STATIC, Story, VALUE, stranger, worked};

/// What was made, of which story, how it is held, and by what name it is refused.
pub struct Forgery {
    pub id: &'static str,
    pub comment: &'static str,
    pub of: &'static str,
    pub made: Evidence,
    pub least: u32,
    pub error: &'static str,
}

/// All of them. `value` and `open` are the files that they are made from: over the value carrier, and over the static one
/// with everything disclosed.
pub fn all(value: &Story, open: &Story) -> Vec<Forgery> {
    let mut all = of_value(value);
    all.extend(of_open(open));
    all
}

fn of_value(story: &Story) -> Vec<Forgery> {
    let honest = &story.evidence;
    let forgery = |id, comment, error, change: &dyn Fn(&mut Evidence)| {
        let mut made = honest.clone();
        change(&mut made);
        Forgery { id, comment, of: "value", made, least: 1, error }
    };
    let answer = |made: &mut Evidence, change: &dyn Fn(&mut Entry)| made.answer.iter_mut().for_each(change);
    vec![
        forgery("swapped-cards", "the responder's card for the initiator's", "OtherInitiator", &|it| {
            std::mem::swap(&mut it.initiator, &mut it.responder)
        }),
        forgery("one-card", "one card for both", "OneParty", &|it| it.responder = it.initiator.clone()),
        forgery("another-chain", "said to be on another chain", "ForeignCard", &|it| {
            it.chain = Chain::named("signet").unwrap()
        }),
        forgery("another-amount", "a satoshi more in the offer's coin", "OfferAuthor", &|it| {
            it.coin += Amount::ONE_SAT
        }),
        forgery("another-signature", "the answer signed with the offer's signature", "NoAnswer", &|it| {
            let witness = it.offer.tx.input[0].witness.clone();
            answer(it, &|answer| answer.tx.input[0].witness = witness.clone())
        }),
        forgery("no-work", "a header that nobody worked for", "Headers", &|it| {
            spoil_last(it, |header| {
                header.nonce = (0..)
                    .find(|nonce| {
                        let lazy = bitcoin::block::Header { nonce: *nonce, ..*header };
                        keyway_chain::work::check(&lazy, &Chain::regtest()).is_err()
                    })
                    .unwrap()
            })
        }),
        forgery("easy-target", "a header whose target is easier than any of the chain", "Headers", &|it| {
            spoil_last(it, |header| header.bits = CompactTarget::from_consensus(0x2100_ffff))
        }),
        forgery("broken-link", "a last header that follows another one", "Headers", &|it| {
            let chain = it.chain.clone();
            spoil_last(it, |header| {
                let root = header.merkle_root.to_byte_array();
                *header = worked(&chain, BlockHash::from_byte_array([9; 32]), root, header.time);
            })
        }),
        forgery("cut-off", "no header for the answer's block", "NoHeader", &|it| {
            let shown = (it.headers.first().to_u32()..=OFFERED.to_u32()).map(Height::new);
            let shown = shown.map(|height| *it.headers.at(height).unwrap()).collect();
            it.headers = Headers::new(it.headers.first(), shown);
        }),
        forgery("another-place", "the offer's branch at its neighbour's place", "NotInBlock", &|it| {
            it.offer.branch.index ^= 1
        }),
        forgery("no-such-place", "a place that its tree does not have", "Branch", &|it| {
            it.offer.branch.index += 8
        }),
        forgery("another-block", "the answer in a block that does not hold it", "NotInBlock", &|it| {
            answer(it, &|answer| answer.height = ANSWERED.next())
        }),
        forgery("changed-output", "an offer that pays a satoshi more", "NotInBlock", &|it| {
            it.offer.tx.output[0].value += Amount::ONE_SAT
        }),
        forgery(
            "answer-first",
            "the answer in the offer's block, in front of it",
            "AnswerBeforeOffer",
            &|it| {
                remine(story, it, |blocks, answer| {
                    blocks[0].insert(1, answer);
                    (OFFERED, Branch::of(&blocks[0], 1).unwrap())
                })
            },
        ),
        forgery("anothers-answer", "an answer to another offer of the same two", "NoAnswer", &|it| {
            let other = Story::new(Plot { coin: 0x12, ..VALUE });
            let tx = other.evidence.answer.unwrap().tx;
            let txid = tx.compute_txid();
            let branch = remined(story, it, |blocks| blocks[1][1] = txid, ANSWERED, 1);
            answer(it, &|answer| (answer.tx, answer.branch) = (tx.clone(), branch.clone()))
        }),
        forgery("no-answer", "the anchor spent by the responder without a message", "NoAnswer", &|it| {
            let anchor = OutPoint::new(it.offer.tx.compute_txid(), 0);
            let mut tx = transaction(&[(anchor, UNUSED_SEQUENCE)], vec![story.charger.pay(600)]);
            story.charger.sign(&mut tx, &[it.offer.tx.output[0].value]);
            let branch = remined(story, it, |blocks| blocks[1][1] = tx.compute_txid(), ANSWERED, 1);
            answer(it, &|answer| (answer.tx, answer.branch) = (tx.clone(), branch.clone()))
        }),
        forgery("no-offer", "a payment without a message", "NoOffer", &|it| {
            let mut tx =
                transaction(&[(coin(0x11), UNUSED_SEQUENCE)], vec![story.charger.pay(PRICE.to_sat())]);
            story.car.sign(&mut tx, &[it.coin]);
            it.answer = None;
            it.offer.branch = remined(story, it, |blocks| blocks[0][2] = tx.compute_txid(), OFFERED, 2);
            it.offer.tx = tx;
        }),
        Forgery { least: 9, ..forgery("shallow", "nine blocks asked for, of two", "TooShallow", &|_| ()) },
        forgery("open-laid-open", "contents of what is not sealed", "NothingSealed", &|it| {
            it.disclosures.offer =
                Some(keyway_evidence::Contents { message: vec![1; 33], ephemeral: [1; 32] })
        }),
    ]
}

fn of_open(story: &Story) -> Vec<Forgery> {
    let forgery = |id, comment, error, change: &dyn Fn(&mut Evidence)| {
        let mut made = story.evidence.clone();
        change(&mut made);
        Forgery { id, comment, of: "static-disclosed", made, least: 1, error }
    };
    vec![
        forgery("other-contents", "another share laid open", "LaidContents", &|it| {
            it.disclosures.offer.iter_mut().for_each(|laid| laid.message[20] ^= 1)
        }),
        forgery("other-ephemeral", "another draw laid open", "LaidContents", &|it| {
            it.disclosures.answer.iter_mut().for_each(|laid| laid.ephemeral[0] ^= 1)
        }),
        forgery("other-date", "contents with another date", "LaidDate", &|it| {
            it.disclosures.offer.iter_mut().for_each(|laid| {
                let at = laid.message.len() - 2;
                laid.message[at] ^= 1
            })
        }),
        forgery("no-message", "contents that are no message", "LaidMessage", &|it| {
            it.disclosures.answer.iter_mut().for_each(|laid| laid.message.truncate(9))
        }),
        forgery("other-tag-key", "another tag key", "WrongTag", &|it| {
            it.disclosures.tag_key.iter_mut().for_each(|key| key[31] ^= 1)
        }),
        forgery("tag-alone", "a tag key, and the offer not laid open", "TagWithoutMessages", &|it| {
            it.disclosures.offer = None
        }),
        forgery("anothers-word", "the responder's word for the initiator's", "Word", &|it| {
            it.disclosures.initiator = it.disclosures.responder
        }),
        forgery("other-session", "another session key", "Word", &|it| {
            it.disclosures.sessions.iter_mut().for_each(|word| word.key[0] ^= 1)
        }),
        forgery("early-session", "a session key from before the answer", "SessionBlock", &|it| {
            it.disclosures.sessions.iter_mut().for_each(|word| word.height = OFFERED)
        }),
        forgery("words-alone", "words about a key, and no answer", "NothingSealed", &|it| it.answer = None),
    ]
}

/// Of files that show what became of a liveness coin.
pub fn of_coins(ended: &Story, brought: &Story) -> Vec<Forgery> {
    type Change = fn(&mut Evidence);
    let of = |of: &'static str| if of == "coin-ended" { &ended.evidence } else { &brought.evidence };
    let forgeries: [(&'static str, &'static str, &'static str, &'static str, Change); 10] = [
        ("no-move", "the move left out", "coin-ended", "NotSpending", |it| drop(it.spendings.remove(0))),
        ("no-answer-to-live-by", "the answer left out", "coin-ended", "SpendingOrder", |it| it.answer = None),
        (
            "early-spending",
            "the move shown after the answer, at its place",
            "coin-ended",
            "NotInBlock",
            |it| it.spendings[0].height = ANSWERED,
        ),
        ("move-for-revocation", "a move that is said to be none", "coin-ended", "NotSpending", |it| {
            it.spendings[0].names = None
        }),
        ("revocation-for-move", "a revocation that is said to move", "coin-ended", "NotMoved", |it| {
            it.spendings[1].names = Some(OTHER)
        }),
        ("moved-elsewhere", "a move to another negotiation", "coin-ended", "NotMoved", |it| {
            it.spendings[0].names = Some(NegotiationId::from_bytes([1; 32]))
        }),
        ("anothers-spending", "the signature of another spending", "coin-ended", "CoinSignature", |it| {
            it.spendings[0].signature = it.spendings[1].signature.clone()
        }),
        (
            "brought-though-known",
            "a coin that is said to come from elsewhere",
            "coin-ended",
            "NotSpending",
            |it| it.spendings[0].from = Some((OTHER, Amount::from_sat(1_000))),
        ),
        (
            "brought-from-elsewhere",
            "a coin of another negotiation than the one",
            "coin-brought",
            "CoinSignature",
            |it| {
                it.spendings[0].from =
                    it.spendings[0].from.map(|(_, amount)| (NegotiationId::from_bytes([1; 32]), amount))
            },
        ),
        (
            "brought-with-more",
            "a satoshi more in the coin that came",
            "coin-brought",
            "CoinSignature",
            |it| {
                it.spendings[0].from = it.spendings[0].from.map(|(id, amount)| (id, amount + Amount::ONE_SAT))
            },
        ),
    ];
    let forgery =
        |(id, comment, from, error, change): (&'static str, &'static str, &'static str, _, Change)| {
            let mut made = of(from).clone();
            change(&mut made);
            Forgery { id, comment, of: from, made, least: 1, error }
        };
    forgeries.map(forgery).into()
}

fn spoil_last(made: &mut Evidence, spoil: impl FnOnce(&mut bitcoin::block::Header)) {
    let headers = (made.headers.first().to_u32()..=made.headers.last().to_u32()).map(Height::new);
    let mut headers: Vec<_> = headers.map(|height| *made.headers.at(height).unwrap()).collect();
    spoil(headers.last_mut().unwrap());
    made.headers = Headers::new(made.headers.first(), headers);
}

/// Mines the blocks from the offer's up anew with other transactions; the branch of the one at `index` of `height`.
fn remined(
    story: &Story,
    made: &mut Evidence,
    change: impl FnOnce(&mut [Vec<Txid>; 2]),
    height: Height,
    index: usize,
) -> Branch {
    let mut blocks = story.blocks.clone();
    change(&mut blocks);
    let old = made.headers.clone();
    let mut headers = Vec::new();
    let mut parent = old.at(old.first()).unwrap().prev_blockhash;
    for at in (old.first().to_u32()..=old.last().to_u32()).map(Height::new) {
        let header = old.at(at).unwrap();
        let root = match at {
            OFFERED => root_of(&blocks[0]),
            ANSWERED => root_of(&blocks[1]),
            _ => header.merkle_root.to_byte_array(),
        };
        headers.push(worked(&made.chain, parent, root, header.time));
        parent = headers.last().unwrap().block_hash();
    }
    made.headers = Headers::new(old.first(), headers);
    let block = if height == OFFERED { &blocks[0] } else { &blocks[1] };
    Branch::of(block, index).unwrap()
}

/// The same where the answer goes elsewhere and the offer stays.
fn remine(story: &Story, made: &mut Evidence, place: impl Fn(&mut [Vec<Txid>; 2], Txid) -> (Height, Branch)) {
    let txid = made.answer.as_ref().unwrap().tx.compute_txid();
    let mut blocks = story.blocks.clone();
    let (height, branch) = place(&mut blocks, txid);
    let offer = blocks[0].iter().position(|it| *it == made.offer.tx.compute_txid()).unwrap();
    made.offer.branch = Branch::of(&blocks[0], offer).unwrap();
    remined(story, made, |it| *it = blocks.clone(), height, 1);
    let answer = made.answer.as_mut().unwrap();
    (answer.height, answer.branch) = (height, branch);
}

fn root_of(txids: &[Txid]) -> [u8; 32] {
    bitcoin::merkle_tree::calculate_root(txids.iter().copied()).unwrap().to_byte_array()
}

#[test]
fn what_liars_make_of_a_true_story_is_refused_by_name() {
    let (value, open) = (Story::new(VALUE), Story::new(STATIC).disclosed());
    let ended = Story::new(Plot { life: Life::Ended, ..VALUE });
    let brought = Story::new(Plot { life: Life::Brought, ..STATIC });
    for forgery in all(&value, &open).into_iter().chain(of_coins(&ended, &brought)) {
        let read = Evidence::from_bytes(&forgery.made.to_bytes()).expect(forgery.id);
        let refused = read.verify(&Trust::Work, Depth::new(forgery.least)).expect_err(forgery.id);
        assert_eq!(refused.name(), forgery.error, "{}: {refused}", forgery.id);
    }
}

#[test]
fn a_commit_that_did_not_make_the_envelopes_coin_is_refused() {
    let mut made = Story::new(Plot { enveloped: true, ..STATIC }).evidence;
    assert!(made.verify(&Trust::Work, Depth::new(1)).unwrap().commit.is_some());
    let script = made.initiator.permanent().key.script();
    made.offer.commit = Some(stranger(script));
    assert_eq!(made.verify(&Trust::Work, Depth::new(1)).unwrap_err().name(), "Commit");
    made.offer.commit = None;
    assert!(made.verify(&Trust::Work, Depth::new(1)).is_ok(), "its author's signature covers the script too");
}

#[test]
fn an_answer_after_the_window_is_late() {
    let mut made = Story::new(VALUE).evidence;
    made.answer.as_mut().unwrap().height = OFFERED.plus(1_009);
    // The headers are checked first: so many are mined that the height is there.
    let (chain, first) = (made.chain.clone(), made.headers.first());
    let root = made.headers.at(ANSWERED).unwrap().merkle_root.to_byte_array();
    let mut headers: Vec<_> = (first.to_u32()..ANSWERED.to_u32())
        .map(|height| *made.headers.at(Height::new(height)).unwrap())
        .collect();
    for _ in ANSWERED.to_u32()..=OFFERED.to_u32() + 1_009 {
        let parent = headers.last().unwrap();
        headers.push(worked(&chain, parent.block_hash(), root, parent.time + 600));
    }
    made.headers = Headers::new(first, headers);
    let read = Evidence::from_bytes(&made.to_bytes()).unwrap();
    assert_eq!(read.verify(&Trust::Work, Depth::new(1)).unwrap_err().name(), "Late");
}
