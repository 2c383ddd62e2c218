//! The fuzz target's seeds as tests, and where they come from.

use keyway_evidence::Evidence;
use keyway_protocol::message::Carrier;

use crate::corpora::{check_seeds, replay};
use crate::evidence::{evidence, summed};
use crate::story::{Plot, STATIC, Story, VALUE};

#[test]
fn every_seed_of_evidence_is_read_as_promised() {
    replay("evidence", evidence);
}

#[test]
fn the_seeds_are_made_from_true_stories() {
    let dynamic = Story::new(Plot { carrier: Carrier::Dynamic, ..VALUE }).evidence;
    let seeds = [
        ("value", body(&Story::new(VALUE).evidence)),
        ("static-disclosed", body(&Story::new(STATIC).disclosed().evidence)),
        ("static-enveloped", body(&Story::new(Plot { enveloped: true, ..STATIC }).evidence)),
        ("dynamic", body(&dynamic)),
        ("offer-alone", body(&Evidence { answer: None, ..dynamic })),
    ];
    check_seeds("evidence", &seeds);
}

/// Without the checksum, which the target makes anew.
fn body(evidence: &Evidence) -> Vec<u8> {
    let mut bytes = evidence.to_bytes();
    let end = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    let whole = bytes.clone();
    bytes.truncate(end);
    assert_eq!(summed(&bytes), whole);
    bytes
}
