//! `vectors/evidence.json`: files with what they prove, and changed ones with the name of their refusal.

use bitcoin::consensus::encode::serialize;
use keyway_chain::Depth;
use keyway_evidence::{Evidence, SpendingSeen, SpentFor, Statement, Trust};
use keyway_protocol::message::{AnswerForm, Carrier};
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::suite::Suite;

use crate::file;
use crate::forged::{self, Forgery};
use crate::json::{Json, hex, object};
use crate::story::{Life, Plot, STATIC, Story, VALUE};

#[test]
fn the_vectors_of_evidence_are_what_the_code_gives() {
    let dynamic = Plot { carrier: Carrier::Dynamic, ..VALUE };
    let (value, open) = (Story::new(VALUE), Story::new(STATIC).disclosed());
    let ended = Story::new(Plot { life: Life::Ended, ..VALUE });
    let brought = Story::new(Plot { life: Life::Brought, ..STATIC });
    let told = [
        ("value", "the answer in sequence numbers", value.evidence.clone()),
        ("value-amounts", "the answer in amounts", new(Plot { form: AnswerForm::Amounts, ..VALUE })),
        ("value-offer", "an offer alone", Evidence { answer: None, ..value.evidence.clone() }),
        (
            "value-disclosed",
            "the tag key, both words and a session key",
            Story::new(VALUE).disclosed().evidence,
        ),
        ("static", "sealed, and not laid open", new(STATIC)),
        ("static-disclosed", "sealed, and laid open by both", open.evidence.clone()),
        ("static-enveloped", "in an envelope, with its commit", new(Plot { enveloped: true, ..STATIC })),
        ("static-ffdhe2048", "a longer suite", new(Plot { suite: Suite::Ffdhe2048, ..STATIC })),
        ("dynamic", "beside a locked payment", new(dynamic)),
        ("value-coin", "an answer that creates a liveness coin", new(Plot { life: Life::Created, ..VALUE })),
        ("coin-ended", "a liveness coin that is moved, and then spent", ended.evidence.clone()),
        (
            "coin-brought",
            "one that came from another negotiation, and then is spent",
            brought.evidence.clone(),
        ),
        ("litecoin-regtest", "worked for by scrypt", new(Plot { chain: "litecoin-regtest", ..STATIC })),
    ];
    let valid = told.iter().map(|(id, comment, evidence)| valid(id, comment, evidence)).collect::<Vec<_>>();
    let mut refused = forged::all(&value, &open);
    refused.extend(forged::of_coins(&ended, &brought));
    let refused = refused.iter().map(|forgery| {
        let (_, _, of) = told.iter().find(|(id, ..)| *id == forgery.of).unwrap();
        changed(forgery, of)
    });
    file::check("evidence.json", &object! { "valid": valid, "refused": refused.collect::<Vec<_>>() });
}

fn new(plot: Plot) -> Evidence {
    Story::new(plot).evidence
}

fn lines(evidence: &Evidence) -> Vec<String> {
    String::from_utf8(evidence.to_bytes()).unwrap().lines().map(str::to_owned).collect()
}

fn valid(id: &str, comment: &str, evidence: &Evidence) -> Json {
    assert_eq!(Evidence::from_bytes(&evidence.to_bytes()).as_ref(), Ok(evidence), "{id}");
    let said: Statement = evidence.verify(&Trust::Work, Depth::new(1)).unwrap();
    let answer = said.answer.as_ref();
    let fingerprint = |it: Option<keyway_protocol::negotiation::Fingerprint>| it.map(|it| hex(it.as_bytes()));
    object! {
        "id": id,
        "comment": comment,
        "lines": lines(evidence).into_iter().map(Json::from).collect::<Vec<_>>(),
        "negotiation_id": hex(said.negotiation.as_bytes()),
        "initiator": said.name(Role::Initiator),
        "responder": said.name(Role::Responder),
        "offer": placed(&said.placed),
        "answer": answer.map(|answer| placed(&answer.placed)),
        "price": said.seen.price().to_sat(),
        "carrier": u32::from(said.seen.carrier().number()),
        "suites": Json::numbers(said.seen.suites().iter().map(|suite| suite.number())),
        "liveness": said.liveness.map(|coin| {
            object! { "outpoint": hex(serialize(&coin.outpoint)), "amount": coin.amount.to_sat() }
        }),
        "spendings": said.spendings.iter().map(spending).collect::<Vec<_>>(),
        "offer_commit": said.commit.map(|txid| hex(txid.as_ref() as &[u8])),
        "transcript": said.transcript.map(|it| hex(it.as_bytes())),
        "tag_proven": u32::from(said.tag),
        "initiator_says": fingerprint(said.fingerprints[0]),
        "responder_says": fingerprint(said.fingerprints[1]),
        "sessions": said.sessions.iter().map(|it| hex(it.key)).collect::<Vec<_>>(),
        "depth": said.ties.depth().to_u32(),
    }
}

fn spending(spending: &SpendingSeen) -> Json {
    let id = |id: NegotiationId| hex(id.as_bytes());
    let (to, revokes) = match spending.spent_for {
        SpentFor::Moved(to) => (Some(id(to)), 0u32),
        SpentFor::Revoking => (None, 1),
        SpentFor::Unknown => (None, 0),
    };
    object! {
        "at": placed(&spending.placed),
        "by": spending.by.map(|key| hex(key.to_bytes())),
        "from": spending.from.map(id),
        "to": to,
        "revokes": revokes,
    }
}

fn placed(placed: &keyway_evidence::Placed) -> Json {
    object! {
        "txid": hex(placed.txid.as_ref() as &[u8]),
        "height": placed.block.height.to_u32(),
        "block": hex(placed.block.hash.as_ref() as &[u8]),
        "time": placed.time,
        "median_time": placed.median_time.map(Json::from),
    }
}

/// The lines that differ from the true file's; the checksum is the reader's to make.
fn changed(forgery: &Forgery, of: &Evidence) -> Json {
    let (made, honest) = (lines(&forgery.made), lines(of));
    let edits = if made.len() == honest.len() {
        (1..honest.len())
            .filter(|line| made[line - 1] != honest[line - 1])
            .map(|line| edit(line, &made))
            .collect()
    } else {
        let tail = |lines: &[String]| lines[..lines.len() - 1].to_vec();
        whole(&tail(&honest), &tail(&made))
    };
    object! {
        "id": forgery.id,
        "comment": forgery.comment,
        "of": forgery.of,
        "edits": Json::List(edits),
        "depth": forgery.least,
        "error": forgery.error,
    }
}

fn edit(line: usize, made: &[String]) -> Json {
    object! { "line": line as u64, "with": made[line - 1].as_str() }
}

/// Lines that were taken out or put in: what is the same at both ends stays.
fn whole(honest: &[String], made: &[String]) -> Vec<Json> {
    let front = honest.iter().zip(made).take_while(|(one, other)| one == other).count();
    let rest = honest.len().min(made.len()) - front;
    let back =
        honest.iter().rev().zip(made.iter().rev()).take(rest).take_while(|(one, other)| one == other).count();
    let put: Vec<Json> =
        made[front..made.len() - back].iter().map(|line| Json::from(line.as_str())).collect();
    vec![object! {
        "line": (front + 1) as u64,
        "instead_of": (honest.len() - back - front) as u64,
        "lines": put,
    }]
}
