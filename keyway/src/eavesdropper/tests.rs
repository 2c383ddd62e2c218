//! The eavesdropper fails for want of a secret and of nothing else: with one he opens everything. Checked on
//! the whole runs of `vectors/runs.json`, whose every secret is known.

use std::sync::Arc;

use bitcoin::consensus::encode::deserialize;
use bitcoin::hex::FromHex;
use bitcoin::{Amount, BlockHash, ScriptBuf, Transaction, TxOut};
use keyway_chain::Height;
use keyway_ledger::Hit;
use keyway_protocol::card::Card;
use keyway_protocol::sealing::{Stream, StreamId, seal};
use serde_json::Value;

use super::seen::Blocks;
use super::*;

/// A run that the vectors tell in full.
struct Known {
    case: Value,
    chain: Chain,
    seen: Seen,
    /// The initiator's first message, of the vectors, and one of the responder's.
    messages: Vec<Sealed>,
}

impl Known {
    fn all() -> Vec<Self> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/runs.json");
        let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let cases: Vec<Self> = file["cases"].as_array().unwrap().iter().cloned().map(Self::new).collect();
        assert!(cases.len() >= 2, "an answer in sequence numbers, and one in amounts");
        cases
    }

    fn new(case: Value) -> Self {
        let chain = Chain::named(case["chain"].as_str().unwrap()).unwrap();
        let card =
            |side: &str| case[side]["card"].as_str().unwrap().parse::<Card>().unwrap().permanent().clone();
        let blocks = blocks(&case);
        let seen = Seen::find(&chain, blocks, &hits(&case), card("initiator"), card("responder")).unwrap();
        let first = case["messages"][0]["text"].as_str().unwrap().parse().unwrap();
        let mut known = Self { case, chain, seen, messages: vec![first] };
        let second = known.sealed_by_the_responder();
        known.messages.push(second);
        known
    }

    /// In the block after the first.
    fn sealed_by_the_responder(&self) -> Sealed {
        let ratchet =
            Ratchet::from_parts(self.seen.first.height, self.seen.first, self.secret("/keys/master_key"));
        let block = block(&self.case["blocks"][1]);
        let session = ratchet.session(&self.seen.blocks, block, Role::Responder).unwrap();
        let mut stream = Stream::new(StreamId::from_bytes([7; 16]));
        seal(&mut stream, self.seen.context().id(), block, None, &session, b"started", b"").unwrap()
    }

    fn bytes(&self, path: &str) -> [u8; 32] {
        hex(self.case.pointer(path).unwrap()).try_into().unwrap()
    }

    fn secret(&self, path: &str) -> Secret {
        Secret::from_slice(&self.bytes(path)).unwrap()
    }

    fn eavesdropper(&self) -> Eavesdropper<'_> {
        Eavesdropper::new(&self.chain, &self.seen, &self.messages).unwrap()
    }

    /// What he gets if he happens on these 32 bytes.
    fn with_guess(&self, guess: [u8; 32]) -> Outcome {
        let mut eavesdropper = self.eavesdropper();
        eavesdropper.try_as_every_key(&guess);
        eavesdropper.outcome
    }
}

fn hex(value: &Value) -> Vec<u8> {
    Vec::from_hex(value.as_str().unwrap()).unwrap()
}

fn block(json: &Value) -> BlockRef {
    let height = Height::new(json["height"].as_u64().unwrap() as u32);
    BlockRef::new(height, BlockHash::from_byte_array(hex(&json["hash"]).try_into().unwrap()))
}

/// The vectors begin at the answer's block; nothing depends on those below.
fn blocks(case: &Value) -> Blocks {
    let told: Vec<BlockRef> = case["blocks"].as_array().unwrap().iter().map(block).collect();
    let below = told[0].height.to_u32() as usize;
    let hashes = std::iter::repeat_n(BlockHash::all_zeros(), below);
    hashes.chain(told.iter().map(|block| block.hash)).collect::<Vec<_>>().into()
}

fn hits(case: &Value) -> Vec<(BlockRef, Hit)> {
    let transaction = |name: &str| deserialize::<Transaction>(&hex(&case[name]["tx"])).unwrap();
    let (offer, answer) = (transaction("offer"), transaction("answer"));
    let funding = TxOut {
        value: Amount::from_sat(case["offer"]["input0_amount"].as_u64().unwrap()),
        script_pubkey: ScriptBuf::new(),
    };
    let anchor = offer.output[answer.input[0].previous_output.vout as usize].clone();
    let first = block(&case["blocks"][0]);
    let before = BlockRef::new(first.height.prev().unwrap(), BlockHash::all_zeros());
    let hit = |tx: Transaction, coin: TxOut| Hit {
        position: 1,
        txid: tx.compute_txid(),
        tx: Arc::new(tx),
        input_zero: Some(coin),
    };
    vec![(before, hit(offer, funding)), (first, hit(answer, anchor))]
}

#[test]
fn he_reads_all_that_is_public_as_the_vectors_have_it() {
    for known in Known::all() {
        assert_eq!(known.seen.transcript(), Some(known.bytes("/answer/transcript")), "{}", known.case["id"]);
        assert_eq!(*known.seen.context().id().as_bytes(), known.bytes("/offer/negotiation_id"));
        assert_eq!(known.seen.offer_bytes, hex(&known.case["offer"]["message"]));
        assert_eq!(known.seen.answer_bytes, hex(&known.case["answer"]["message"]));
        assert_eq!(known.seen.price.to_sat(), known.case["price"].as_u64().unwrap());
    }
}

#[test]
fn his_key_schedule_is_the_true_one() {
    for known in Known::all() {
        let (transcript, mk) = (known.seen.transcript().unwrap(), known.bytes("/keys/master_key"));
        let shared = known.bytes("/answer/shared_secret");
        assert_eq!(*schedule::mk_from_shared(&transcript, &shared).expose(), mk, "{}", known.case["id"]);
        assert_eq!(*schedule::mk_from_prk(&known.bytes("/answer/prk")).expose(), mk);
    }
}

#[test]
fn with_the_true_key_he_opens_every_message_and_with_any_other_none() {
    for known in Known::all() {
        assert!(known.eavesdropper().would_succeed_with(&known.secret("/keys/master_key")));
        for bit in [0, 100, 255] {
            let mut flipped = known.bytes("/keys/master_key");
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!known.eavesdropper().would_succeed_with(&Secret::from_slice(&flipped).unwrap()));
        }
        assert!(!known.eavesdropper().would_succeed_with(&known.secret("/keys/exporter_key")));
    }
}

#[test]
fn without_a_secret_he_learns_nothing_whatever_he_tries() {
    for known in Known::all() {
        let outcome = known.eavesdropper().try_all();
        assert!(outcome.learned_nothing(), "{}: {outcome:?}", known.case["id"]);
        assert_eq!(outcome.opened, [false, false]);
        assert!(outcome.attempts > 500, "{} attempts", outcome.attempts);
    }
}

/// The demo's check can fail: each secret, once it is among his guesses, shows in the outcome.
#[test]
fn a_secret_among_his_guesses_is_noticed() {
    for known in Known::all() {
        for path in ["/answer/shared_secret", "/answer/prk", "/keys/master_key"] {
            let outcome = known.with_guess(known.bytes(path));
            assert_eq!(
                (outcome.opened.as_slice(), outcome.learned_nothing()),
                (&[true, true][..], false),
                "{path}"
            );
        }
        // The chain key of a message's block opens that message.
        let outcome = known.with_guess(known.bytes("/blocks/1/ck"));
        assert_eq!(outcome.opened, [false, true]);
        // What opens nothing: a session key is not a chain key, nor are the tag keys keys of messages.
        for path in ["/blocks/0/sk_initiator", "/answer/responder_tag_key", "/keys/exporter_key"] {
            assert!(known.with_guess(known.bytes(path)).learned_nothing(), "{path}");
        }
    }
}

#[test]
fn with_a_negotiation_secret_of_either_side_he_finishes_the_agreement() {
    for known in Known::all() {
        let mut initiators = known.eavesdropper();
        initiators.secret = NegotiationSecret::from_secret(known.secret("/initiator/n"));
        let outcome = initiators.try_all();
        assert!(outcome.agreed && outcome.opened == [true, true], "{outcome:?}");

        // The responder's answer is made anew, byte for byte, and its key opens everything.
        let mut responders = known.eavesdropper();
        responders.secret = NegotiationSecret::from_secret(known.secret("/responder/n"));
        let outcome = responders.try_all();
        assert_eq!(outcome.opened, [true, true]);
    }
}
