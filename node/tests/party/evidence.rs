//! Evidence from homes: both sides export the same, third parties check it, and nothing changed passes.

use bitcoin::Amount;
use keyway_chain::{Depth, Height};
use keyway_evidence::{Evidence, Found, Malformed, Refused, Statement, Trust};
use keyway_ledger::Ledger;
use keyway_node::{EvidenceError, EvidenceRequest, Kind, NodeError, OfferRequest, Party, SessionError};
use keyway_protocol::message::{AnswerForm, Carrier};
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::suite::Suite;

use crate::world::*;

const ONE: Depth = Depth::new(1);

fn export(world: &World, party: &Party, id: NegotiationId, request: &EvidenceRequest) -> Evidence {
    party.evidence(&world.ledger, id, request).unwrap()
}

fn plain(world: &World, party: &Party, id: NegotiationId) -> Evidence {
    export(world, party, id, &EvidenceRequest::default())
}

fn agreed(request: &OfferRequest) -> (World, NegotiationId) {
    let mut world = World::new();
    let id = world.car.offer(&world.ledger, request).unwrap().id;
    world.mine_and_sync(1);
    world.mine_and_sync(2);
    (world, id)
}

fn over(carrier: Carrier, suite: Suite) -> OfferRequest {
    OfferRequest { carrier, suite, ..request(PRICE) }
}

/// As a third party reads it: from its bytes, held to its last block.
fn checked(evidence: &Evidence) -> Result<Statement, Refused> {
    let read = Evidence::from_bytes(&evidence.to_bytes()).unwrap();
    assert_eq!(read, *evidence);
    let trust = Trust::Block { hash: evidence.last_block().unwrap(), height: None };
    read.verify(&trust, ONE)
}

#[test]
fn both_sides_export_the_same_file_and_it_says_who_when_and_how_much() {
    let (world, id) = agreed(&request(PRICE));
    let evidence = plain(&world, &world.car, id);
    assert_eq!(evidence, plain(&world, &world.charger, id));
    let said = checked(&evidence).unwrap();
    assert_eq!((said.negotiation, said.seen.price(), said.ties.depth()), (id, PRICE, Depth::new(2)));
    assert_eq!((said.name(Role::Initiator), said.name(Role::Responder)), ("car", "charger"));
    let view = world.view(&world.car, id);
    let (offer, answer) = (view.offer.unwrap(), view.answer.unwrap());
    assert_eq!((said.placed.txid, said.placed.block), (offer.txid, offer.block.unwrap().at));
    let placed = said.answer.as_ref().unwrap().placed;
    assert_eq!(
        (placed.txid, placed.block, placed.time),
        (answer.txid, answer.block.unwrap().at, answer.block.unwrap().time)
    );
    assert!(said.transcript.is_some(), "over the value carrier everybody reads the messages");
}

#[test]
fn every_carrier_form_and_suite_has_evidence() {
    let x25519 = Suite::X25519;
    let requests = [
        OfferRequest { form: AnswerForm::Amounts, ..request(PRICE) },
        over(Carrier::Static, x25519),
        over(Carrier::Static, Suite::X25519MlKem768),
        over(Carrier::Static, Suite::Ffdhe3072),
        over(Carrier::Dynamic, x25519),
        over(Carrier::Dynamic, Suite::X25519MlKem768),
    ];
    for request in requests {
        let (world, id) = agreed(&request);
        let said = checked(&plain(&world, &world.charger, id)).unwrap();
        assert_eq!(said.seen.carrier(), request.carrier);
        let suites = said.answer.as_ref().unwrap().said.suites(&said.seen);
        assert_eq!(suites, [request.suite], "by their lengths, where they are sealed");
        assert_eq!(said.transcript.is_some(), request.carrier != Carrier::Static);
    }
}

#[test]
fn through_nodes_that_relay_no_data_the_envelopes_are_shown_with_what_committed_to_them() {
    for (carrier, suite) in [(Carrier::Static, Suite::X25519), (Carrier::Dynamic, Suite::X25519MlKem768)] {
        let mut world = World::new();
        world.ledger.relay_data(83).unwrap();
        let id = world.car.offer(&world.ledger, &over(carrier, suite)).unwrap().id;
        for _ in 0..6 {
            world.mine_and_sync(1);
        }
        let car = plain(&world, &world.car, id);
        assert!(car.offer.commit.is_some(), "its author has the commit");
        let said = checked(&car).unwrap();
        assert!(said.answer.as_ref().unwrap().in_envelope);
        assert!(said.not_proven().iter().any(|line| line.contains("shows one alone")));
        let request = EvidenceRequest { join: Some(car), ..EvidenceRequest::default() };
        let both = export(&world, &world.charger, id, &request);
        let said = checked(&both).unwrap();
        assert!(said.commit.is_some() && said.answer.unwrap().commit.is_some(), "together they have both");
    }
}

#[test]
fn an_offer_alone_has_evidence_that_says_nothing_of_answers() {
    let mut world = World::new();
    let id = world.offer().id;
    let error = world.car.evidence(&world.ledger, id, &EvidenceRequest::default()).unwrap_err();
    assert!(matches!(error, NodeError::Evidence(EvidenceError::NotMined(_))), "{error}");
    assert_eq!(error.kind(), Kind::NotYet);
    world.mine(1);
    world.car.sync(&world.ledger, &mut |_| ()).unwrap();
    let request = EvidenceRequest { depth: Some(ONE), ..EvidenceRequest::default() };
    let said = checked(&export(&world, &world.car, id, &request)).unwrap();
    assert!(said.answer.is_none());
    assert!(said.not_proven().iter().any(|line| line.contains("no proof of none")));
    let deep = EvidenceRequest { depth: Some(Depth::new(2)), ..EvidenceRequest::default() };
    let error = world.car.evidence(&world.ledger, id, &deep).unwrap_err();
    assert!(matches!(error, NodeError::Evidence(EvidenceError::Shallow { .. })), "{error}");
}

#[test]
fn a_verifiers_own_chain_knows_the_heights_and_refuses_a_block_that_was_reorganised_away() {
    let (mut world, id) = agreed(&request(PRICE));
    let evidence = plain(&world, &world.car, id);
    let found = |world: &World| {
        let pivot = evidence.pivot_block().unwrap();
        let best = world.ledger.block_at(pivot.height).unwrap();
        let depth = pivot.height.depth_under(world.ledger.tip().unwrap().height);
        best.filter(|best| *best == pivot).map(|best| Found { height: Some(best.height), depth })
    };
    world.mine(3);
    let said = evidence.verify(&Trust::Chain(found(&world)), Depth::new(5)).unwrap();
    assert!(said.ties.know_heights());
    assert_eq!(said.ties.depth(), Depth::new(5), "the chain went on after the file was made");
    world.ledger.rewind(evidence.offer.height).unwrap();
    world.mine(8);
    let refused = evidence.verify(&Trust::Chain(found(&world)), ONE).unwrap_err();
    assert_eq!(refused.name(), "OtherBranch");
    world.car.sync(&world.ledger, &mut |_| ()).unwrap();
}

#[test]
fn what_is_asked_for_and_not_there_is_refused_by_name() {
    let (world, id) = agreed(&request(PRICE));
    let evidence = plain(&world, &world.car, id);
    let refused = |evidence: &Evidence, trust: &Trust, least: u32| {
        evidence.verify(trust, Depth::new(least)).unwrap_err().name()
    };
    assert_eq!(refused(&evidence, &Trust::Work, 3), "TooShallow");
    let genesis = Trust::Block { hash: world.ledger.chain().genesis(), height: None };
    assert_eq!(refused(&evidence, &genesis, 1), "NotTrusted");
    let below = evidence.headers.block(evidence.offer.height).unwrap();
    let below = Trust::Block { hash: below.hash, height: None };
    assert_eq!(refused(&evidence, &below, 1), "TrustedBelow");
    let last = evidence.last_block().unwrap();
    let moved = Trust::Block { hash: last, height: Some(Height::new(7)) };
    assert_eq!(refused(&evidence, &moved, 1), "OtherHeight");
    assert_eq!(refused(&evidence, &Trust::Chain(None), 1), "OtherBranch");
    let poorer = Evidence { coin: evidence.coin - Amount::ONE_SAT, ..evidence.clone() };
    assert_eq!(refused(&poorer, &Trust::Work, 1), "OfferAuthor");
    let (initiator, responder) = (evidence.responder.clone(), evidence.initiator.clone());
    let swapped = Evidence { initiator, responder, ..evidence.clone() };
    assert_eq!(refused(&swapped, &Trust::Work, 1), "OtherInitiator");
    let alone = Evidence { responder: evidence.initiator.clone(), ..evidence.clone() };
    assert_eq!(refused(&alone, &Trust::Work, 1), "OneParty");
    let mut reversed = evidence.clone();
    reversed.answer = Some(evidence.offer.clone());
    assert_eq!(refused(&reversed, &Trust::Work, 1), "AnswerBeforeOffer");
    let mut cut = evidence.clone();
    cut.answer.as_mut().unwrap().branch.index ^= 1;
    assert_eq!(refused(&cut, &Trust::Work, 1), "NotInBlock");
}

#[test]
fn transactions_of_another_negotiation_of_the_same_two_are_refused() {
    let mut world = World::new();
    let (one, other) = (world.agree(), world.agree());
    let (first, second) = (plain(&world, &world.car, one), plain(&world, &world.car, other));
    // The headers of both, so that only the negotiation is wrong.
    let mut headers = first.headers.clone();
    headers = keyway_evidence::Headers::new(
        headers.first(),
        (headers.first().to_u32()..=second.headers.last().to_u32())
            .map(|height| {
                let at = world.ledger.block_at(Height::new(height)).unwrap().unwrap();
                world.ledger.header(&at.hash).unwrap().unwrap()
            })
            .collect(),
    );
    let mixed = Evidence { answer: second.answer.clone(), headers, ..first.clone() };
    assert_eq!(mixed.verify(&Trust::Work, ONE).unwrap_err().name(), "NoAnswer");
    let request = EvidenceRequest { join: Some(second), ..EvidenceRequest::default() };
    let error = world.car.evidence(&world.ledger, one, &request).unwrap_err();
    assert!(matches!(error, NodeError::Evidence(EvidenceError::OtherFile(_))), "{error}");
}

#[test]
fn each_side_lays_its_own_sealed_message_open_and_together_they_prove_the_tag() {
    let (world, id) = agreed(&over(Carrier::Static, Suite::X25519));
    let request = EvidenceRequest { contents: true, fingerprint: true, ..EvidenceRequest::default() };
    let car = export(&world, &world.car, id, &request);
    let said = checked(&car).unwrap();
    assert!(said.opened.offer_laid && said.opened.answer.is_none() && said.transcript.is_none());
    assert!(!said.tag, "without the answer nothing shows what the tag is made over");
    let joined = EvidenceRequest { join: Some(car.clone()), ..request };
    let both = export(&world, &world.charger, id, &joined);
    let said = checked(&both).unwrap();
    assert!(said.opened.answer_laid && said.tag && said.transcript.is_some());
    let fingerprint = world.view(&world.car, id).fingerprint;
    assert_eq!(said.fingerprints, [fingerprint, fingerprint]);

    let refused = |evidence: Evidence| evidence.verify(&Trust::Work, ONE).unwrap_err().name();
    let mut lied = both.clone();
    lied.disclosures.offer.as_mut().unwrap().message[12] ^= 1;
    assert_eq!(refused(lied), "LaidContents");
    let mut lied = both.clone();
    lied.disclosures.answer.as_mut().unwrap().ephemeral[3] ^= 1;
    assert_eq!(refused(lied), "LaidContents");
    let mut lied = both.clone();
    lied.disclosures.tag_key.as_mut().unwrap()[0] ^= 1;
    assert_eq!(refused(lied), "WrongTag");
    let mut lied = both.clone();
    lied.disclosures.responder = lied.disclosures.initiator;
    assert_eq!(refused(lied), "Word", "a word is its speaker's alone");
    let mut lied = both;
    lied.disclosures.offer = None;
    assert_eq!(refused(lied), "TagWithoutMessages");
}

#[test]
fn over_an_open_carrier_there_is_nothing_to_lay_open_and_one_side_proves_the_tag() {
    let (world, id) = agreed(&request(PRICE));
    let contents = EvidenceRequest { contents: true, ..EvidenceRequest::default() };
    let error = world.car.evidence(&world.ledger, id, &contents).unwrap_err();
    assert!(matches!(error, NodeError::Evidence(EvidenceError::NothingSealed { .. })), "{error}");
    let fingerprint = EvidenceRequest { fingerprint: true, ..EvidenceRequest::default() };
    let said = checked(&export(&world, &world.car, id, &fingerprint)).unwrap();
    assert!(said.tag && said.fingerprints[0].is_some() && said.fingerprints[1].is_none());
}

#[test]
fn a_disclosed_session_key_opens_its_block_and_direction_and_no_other() {
    let (mut world, id) = agreed(&request(PRICE));
    let here = world.car.tip().height;
    let sealed = world.car.seal("charger", b"start", b"").unwrap().sealed;
    world.mine_and_sync(1);
    let later = world.car.seal("charger", b"stop", b"").unwrap().sealed;
    let sessions = vec![(here, Role::Initiator)];
    let request = EvidenceRequest { sessions, ..EvidenceRequest::default() };
    let said = checked(&export(&world, &world.charger, id, &request)).unwrap();
    let [session] = said.sessions[..] else { panic!("{:?}", said.sessions) };
    assert_eq!((session.by, session.sender, session.block.height), (Role::Responder, Role::Initiator, here));
    assert_eq!(&said.open(&sealed, b"").unwrap()[..], b"start");
    assert!(said.open(&later, b"").is_err(), "the next block has another key");
    let mut lied = export(&world, &world.charger, id, &request);
    lied.disclosures.sessions[0].key[0] ^= 1;
    assert_eq!(lied.verify(&Trust::Work, ONE).unwrap_err().name(), "Word");
    let early = EvidenceRequest { sessions: vec![(Height::new(1), Role::Initiator)], ..request };
    assert!(matches!(
        world.car.evidence(&world.ledger, id, &early),
        Err(NodeError::Session(SessionError::NoSession(_)))
    ));
}

#[test]
fn once_its_secret_is_erased_a_message_cannot_be_laid_open_any_more() {
    let (mut world, id) = agreed(&over(Carrier::Static, Suite::X25519));
    world.mine_and_sync(100);
    let contents = EvidenceRequest { contents: true, ..EvidenceRequest::default() };
    let error = world.car.evidence(&world.ledger, id, &contents).unwrap_err();
    assert!(matches!(error, NodeError::Evidence(EvidenceError::Erased(_))), "{error}");
    let fingerprint = EvidenceRequest { fingerprint: true, ..EvidenceRequest::default() };
    let said = checked(&export(&world, &world.car, id, &fingerprint)).unwrap();
    assert!(!said.tag && said.fingerprints[0].is_some(), "the fingerprint is kept, the tag key is not");
}

#[test]
fn a_changed_byte_of_the_file_is_found_by_its_checksum() {
    let (world, id) = agreed(&request(PRICE));
    let bytes = plain(&world, &world.car, id).to_bytes();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let error = Evidence::from_bytes(&changed).unwrap_err();
        assert!(matches!(error, Malformed::Checksum | Malformed::Foreign), "byte {at}: {error:?}");
    }
}

/// The file with another checksum: what whoever changes it on purpose gives.
fn resummed(mut bytes: Vec<u8>) -> Vec<u8> {
    use bitcoin::hashes::{Hash, sha256};
    let end = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    bytes.truncate(end);
    let sum = sha256::Hash::hash(&bytes).to_byte_array();
    let hex: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.extend_from_slice(format!("{{\"sha256\":\"{hex}\"}}\n").as_bytes());
    bytes
}

/// Other digits for digits, so that most changes are still well written, and other bytes for the rest.
fn changes(byte: u8) -> Vec<u8> {
    const DIGITS: &[u8] = b"0123456789abcdef";
    match DIGITS.iter().position(|digit| *digit == byte) {
        Some(at) => [1, 8, 15].map(|by| DIGITS[(at + by) % 16]).to_vec(),
        None => vec![byte ^ 1, byte ^ 0x20],
    }
}

pub fn hold_out(evidence: &Evidence, height: Height) {
    let trust = Trust::Block { hash: evidence.last_block().unwrap(), height: Some(height) };
    let bytes = evidence.to_bytes();
    let said = |evidence: &Evidence| {
        let statement = evidence.verify(&trust, ONE).ok()?;
        Some((statement.proven(), statement.not_proven()))
    };
    let honest = said(evidence).unwrap();
    let sum = bytes.len() - r#"{"sha256":""}"#.len() - 64 - 1;
    let (mut parsed, mut tried) = (0, 0);
    for at in 0..sum {
        for other in changes(bytes[at]) {
            let mut changed = bytes.clone();
            changed[at] = other;
            tried += 1;
            let Ok(read) = Evidence::from_bytes(&resummed(changed)) else { continue };
            parsed += 1;
            let found = said(&read);
            assert!(found.is_none_or(|found| found == honest), "byte {at}, {} to {}", bytes[at], other);
        }
    }
    assert!(parsed > tried / 2, "of {tried} changes only {parsed} were read at all: the form found the rest");
}

#[test]
fn every_changed_byte_is_refused_or_leaves_the_statement_as_it_is() {
    let (world, id) = agreed(&request(PRICE));
    let evidence = plain(&world, &world.car, id);
    hold_out(&evidence, evidence.headers.last());
}

#[test]
fn every_changed_byte_of_what_is_disclosed_is_refused_too() {
    let mut world = World::new();
    world.ledger.relay_data(83).unwrap();
    let id = world.car.offer(&world.ledger, &over(Carrier::Static, Suite::X25519)).unwrap().id;
    for _ in 0..6 {
        world.mine_and_sync(1);
    }
    let here = world.car.tip().height;
    let sessions = vec![(here, Role::Responder)];
    let request =
        EvidenceRequest { contents: true, fingerprint: true, sessions, ..EvidenceRequest::default() };
    let car = export(&world, &world.car, id, &request);
    let joined = EvidenceRequest { join: Some(car), ..request };
    let evidence = export(&world, &world.charger, id, &joined);
    let said = checked(&evidence).unwrap();
    assert!(said.tag && said.sessions.len() == 2 && said.commit.is_some());
    hold_out(&evidence, evidence.headers.last());
}
