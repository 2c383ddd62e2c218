//! Offers that are answered and answers that are read, and those that are refused (PROTOCOL.md 6, 8 and 9.1).

use bitcoin::OutPoint;
use bitcoin::hex::FromHex;
use keyway_protocol::identity::NegotiationSecret;
use keyway_protocol::message::{Answer, AnswerForm, BadMessage, Carrier, Offer, Refusal};
use keyway_protocol::negotiation::{Agreed, Context, Draft, Received};
use keyway_protocol::outpoint_bytes;
use keyway_protocol::suite::{BadShare, Suite};

use crate::common::{coin, secret};
use crate::file;
use crate::json::{Json, hex, object};
use crate::shares::{SMALL_ORDER, context, with_high_bit};

/// n of the charger in every case; the car's is 1.
const RESPONDER: u8 = 2;

#[test]
fn the_vectors_of_negotiations_are_what_the_code_gives() {
    let vectors = object! { "answering": answering(), "reading": reading() };
    file::check("negotiation.json", &vectors);
}

fn n(byte: u8) -> NegotiationSecret {
    NegotiationSecret::from_secret(secret(byte))
}

fn draft(form: AnswerForm) -> Draft {
    Draft::new(context(), Suite::X25519, form, &n(1))
}

fn post_quantum() -> Draft {
    of_suite(Suite::X25519MlKem768)
}

fn of_suite(suite: Suite) -> Draft {
    Draft::new(context(), suite, AnswerForm::Sequences, &n(1))
}

/// The offer whose anchor is output 3 of some transaction.
fn anchor() -> OutPoint {
    OutPoint::new(coin(7).txid, 3)
}

fn answer(offer: &[u8]) -> Result<(Answer, Agreed), Refusal> {
    Received::new(context(), Offer::from_bytes(Carrier::Value, offer)?, anchor()).answer(&n(RESPONDER))
}

fn read(draft: Draft, answer: &[u8]) -> Result<Agreed, Refusal> {
    draft.mined(anchor().txid).handle(&Answer::from_bytes(Carrier::Value, answer)?)
}

fn case(id: &str, comment: &str, own: u8, offer: &[u8]) -> Vec<(&'static str, Json)> {
    let Context { initiator, responder, input0, carrier } = context();
    vec![
        ("id", id.into()),
        ("comment", comment.into()),
        ("chain_id", hex(initiator.chain.as_bytes())),
        ("carrier", u32::from(carrier.number()).into()),
        ("initiator_key", hex(initiator.key.to_bytes())),
        ("responder_key", hex(responder.key.to_bytes())),
        ("initiator_digest", hex(initiator.card_digest)),
        ("responder_digest", hex(responder.card_digest)),
        ("input0", hex(outpoint_bytes(input0))),
        ("anchor", hex(outpoint_bytes(anchor()))),
        ("n", hex(secret(own).expose())),
        ("offer", hex(offer)),
    ]
}

fn answering_case(id: &str, comment: &str, offer: &[u8]) -> Json {
    let outcome = answer(offer);
    let mut case = case(id, comment, RESPONDER, offer);
    let agreed = outcome.as_ref().ok();
    case.extend([
        ("answer", agreed.map(|(answer, _)| hex(answer.to_bytes())).into()),
        ("fingerprint", agreed.map(|(_, agreed)| hex(agreed.fingerprint().as_bytes())).into()),
        ("error", outcome.as_ref().err().map(|error| Json::from(name_of(error))).into()),
    ]);
    Json::Object(case)
}

fn reading_case(id: &str, comment: &str, form: AnswerForm, answer: &[u8]) -> Json {
    reading_of(id, comment, draft(form), answer)
}

fn reading_of(id: &str, comment: &str, draft: Draft, answer: &[u8]) -> Json {
    let mut case = case(id, comment, 1, &draft.offer().to_bytes());
    let outcome = read(draft, answer);
    let agreed = outcome.as_ref().ok();
    case.extend([
        ("answer", hex(answer)),
        ("fingerprint", agreed.map(|agreed| hex(agreed.fingerprint().as_bytes())).into()),
        ("error", outcome.as_ref().err().map(|error| Json::from(name_of(error))).into()),
    ]);
    Json::Object(case)
}

fn name_of(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Message(BadMessage::Empty) => "Empty",
        Refusal::Message(BadMessage::Kind(..)) => "Kind",
        Refusal::Message(BadMessage::UnknownSuite(_)) => "UnknownSuite",
        Refusal::Message(BadMessage::OtherSuite { .. }) => "OtherSuite",
        Refusal::Message(BadMessage::Group(_)) => "Group",
        Refusal::Message(BadMessage::UnknownForm(_)) => "UnknownForm",
        Refusal::Message(BadMessage::Announced(_)) => "Announced",
        Refusal::Message(BadMessage::NoSuchLength(_)) => "NoSuchLength",
        Refusal::Message(BadMessage::BadGroup(..)) | Refusal::Group(_) => "BadGroup",
        Refusal::Message(BadMessage::GroupLength(_)) => "GroupLength",
        Refusal::Message(BadMessage::NotOver { .. }) => "NotOver",
        Refusal::Share(BadShare::NoGroup(_)) => "NoGroup",
        Refusal::NoFirstSecret => "NoFirstSecret",
        Refusal::Message(BadMessage::Length { .. }) | Refusal::Share(BadShare::Length { .. }) => "Length",
        Refusal::Share(BadShare::NoKey(_)) => "NoKey",
        Refusal::Share(BadShare::SmallOrder) => "SmallOrder",
        Refusal::Share(BadShare::OutsideSubgroup(_)) => "OutsideSubgroup",
        Refusal::Share(BadShare::Reflected) => "Reflected",
        Refusal::WrongTag => "WrongTag",
    }
}

/// The responder's side.
fn answering() -> Vec<Json> {
    let [offer, in_amounts] =
        [AnswerForm::Sequences, AnswerForm::Amounts].map(|form| draft(form).offer().to_bytes());
    let own = answer(&offer).unwrap().0.share().to_vec();
    let of = |head: u8, share: &[u8]| [&[head], share].concat();
    let share = &offer[1..];
    let mut cases = vec![
        answering_case("sequences", "the answer is wanted in sequence numbers", &offer),
        answering_case("amounts", "the answer is wanted in amounts", &in_amounts),
        answering_case("high-bit", "the bit that X25519 ignores is set", &of(1, &with_high_bit(share))),
        answering_case("empty", "not even a head", &[]),
        answering_case("head-only", "no share", &[1]),
        answering_case("short", "a share of 31 bytes", &offer[..32]),
        answering_case("long", "a share of 33 bytes", &[&offer[..], &[0]].concat()),
        answering_case("suite-0", "suite number 0", &of(0, share)),
        answering_case("suite-2", "the head of another suite", &of(2, share)),
        answering_case("suite-3", "the head of a third suite", &of(3, share)),
        answering_case("suite-62", "a suite of a later version", &of(62, share)),
        answering_case("suite-63", "the highest suite number", &of(0x7f, share)),
        answering_case("an-answer", "the head of an answer", &of(0x81, share)),
        answering_case("reflected", "the responder's own share", &of(1, &own)),
        answering_case(
            "reflected-high-bit",
            "the same with the ignored bit set",
            &of(1, &with_high_bit(&own)),
        ),
    ];
    for (nth, point) in SMALL_ORDER.iter().enumerate() {
        let id = format!("small-order-{nth}");
        cases.push(answering_case(&id, "a point of small order", &of(1, &Vec::from_hex(point).unwrap())));
    }
    let zero = with_high_bit(&[0; 32]);
    cases.push(answering_case("small-order-high-bit", "the same with the ignored bit set", &of(1, &zero)));
    cases.extend(answering_post_quantum());
    cases.extend(answering_finite_field());
    cases
}

/// X-Wing's keys.
fn answering_post_quantum() -> Vec<Json> {
    let offer = post_quantum().offer().to_bytes();
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = offer.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        changed
    };
    vec![
        answering_case("x-wing", "the hybrid suite", &offer),
        answering_case("x-wing-short", "a share of 1215 bytes", &offer[..1216]),
        answering_case("x-wing-no-key", "a number of the key is 4095", &with(1, &[0xff, 0x0f])),
        answering_case("x-wing-small-order", "an X25519 part of small order", &with(1185, &[0; 32])),
    ]
}

/// RFC 7919's groups.
fn answering_finite_field() -> Vec<Json> {
    let offer = of_suite(Suite::Ffdhe2048).offer().to_bytes();
    let of = |share: &[u8]| [&offer[..1], share].concat();
    let own = answer(&offer).unwrap().0.share().to_vec();
    vec![
        answering_case("ffdhe2048", "the group of 2048 bits", &offer),
        answering_case("ffdhe3072", "the group of 3072 bits", &of_suite(Suite::Ffdhe3072).offer().to_bytes()),
        answering_case("ffdhe4096", "the group of 4096 bits", &of_suite(Suite::Ffdhe4096).offer().to_bytes()),
        answering_case("ffdhe-short", "a share of 255 bytes", &offer[..256]),
        answering_case("ffdhe-0", "share 0", &of(&number(0))),
        answering_case("ffdhe-1", "share 1", &of(&number(1))),
        answering_case("ffdhe-above", "a share above the prime", &of(&[0xff; 256])),
        answering_case("ffdhe-4", "share 4, the square of 2", &of(&number(4))),
        answering_case("ffdhe-11", "share 11, which is no square", &of(&number(11))),
        answering_case("ffdhe-reflected", "the responder's own share", &of(&own)),
    ]
}

/// A small number as a share of ffdhe2048.
fn number(value: u8) -> [u8; 256] {
    let mut bytes = [0; 256];
    bytes[255] = value;
    bytes
}

/// The initiator's side.
fn reading() -> Vec<Json> {
    use AnswerForm::{Amounts, Sequences};
    let [good, in_amounts] = [Sequences, Amounts].map(|form| {
        let (answer, _) = answer(&draft(form).offer().to_bytes()).unwrap();
        answer.to_bytes()
    });
    let with = |at: usize, change: u8| {
        let mut changed = good.clone();
        changed[at] ^= change;
        changed
    };
    let own = [&[0x81], &draft(Sequences).offer().to_bytes()[1..], &good[33..]].concat();
    let small = [&[0x81], &[0; 32][..], &good[33..]].concat();
    let mut cases = vec![
        reading_case("sequences", "the right answer", Sequences, &good),
        reading_case("amounts", "the right answer in the other form", Amounts, &in_amounts),
        reading_case("other-form", "the answer to the offer of the other form", Sequences, &in_amounts),
        reading_case("tag", "a bit of the tag changed", Sequences, &with(48, 1)),
        reading_case("share", "a bit of the share changed", Sequences, &with(1, 1)),
        reading_case("share-high-bit", "the bit that X25519 ignores changed", Sequences, &with(32, 0x80)),
        reading_case("reflected", "the initiator's own share", Sequences, &own),
        reading_case("small-order", "a point of small order", Sequences, &small),
        reading_case("form-bit", "the head has a bit of offers", Sequences, &with(0, 0x40)),
        reading_case("an-offer", "the head of an offer", Sequences, &with(0, 0x80)),
        reading_case("suite-2", "the head of another suite", Sequences, &with(0, 3)),
        reading_case("suite-3", "the head of a third suite", Sequences, &with(0, 2)),
        reading_case("suite-62", "a suite of a later version", Sequences, &with(0, 0x81 ^ 0xbe)),
        reading_case("short", "cut by a byte", Sequences, &good[..48]),
        reading_case("empty", "not even a head", Sequences, &[]),
    ];
    cases.extend(reading_post_quantum(&good));
    cases.extend(reading_finite_field());
    cases
}

/// X-Wing's ciphertexts.
fn reading_post_quantum(of_x25519: &[u8]) -> Vec<Json> {
    let good = answer(&post_quantum().offer().to_bytes()).unwrap().0.to_bytes();
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = good.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        changed
    };
    let case = |id: &str, comment: &str, answer: &[u8]| reading_of(id, comment, post_quantum(), answer);
    vec![
        case("x-wing", "the right answer", &good),
        case("x-wing-ml-kem", "a bit of ML-KEM's part changed", &with(1, &[good[1] ^ 1])),
        case("x-wing-x25519", "a bit of X25519's part changed", &with(1089, &[good[1089] ^ 1])),
        case("x-wing-small-order", "an X25519 part of small order", &with(1089, &[0; 32])),
        case("x-wing-other-suite", "an answer of the other suite", of_x25519),
    ]
}

/// Answers in RFC 7919's groups.
fn reading_finite_field() -> Vec<Json> {
    let good = answer(&of_suite(Suite::Ffdhe2048).offer().to_bytes()).unwrap().0.to_bytes();
    let with_share = |share: &[u8]| [&good[..1], share, &good[257..]].concat();
    let case =
        |id: &str, comment: &str, answer: &[u8]| reading_of(id, comment, of_suite(Suite::Ffdhe2048), answer);
    vec![
        case("ffdhe2048", "the right answer", &good),
        case("ffdhe-4", "another share of the subgroup", &with_share(&number(4))),
        case("ffdhe-1", "share 1", &with_share(&number(1))),
        case("ffdhe-11", "a share that is no square", &with_share(&number(11))),
    ]
}
