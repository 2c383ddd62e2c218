//! What happened in a demo: told as JSON, and as a timeline for people.

use keyway_node::Carriage;
use keyway_protocol::message::AnswerForm;
use serde::Serialize;

use crate::render::json::{AnswerJson, EnvelopesJson, OfferJson};

/// A whole run.
#[derive(Clone, Debug, Serialize)]
pub struct Story {
    pub chain: String,
    pub carrier: String,
    pub suite: String,
    pub answer_in: &'static str,
    pub price_sat: u64,
    pub negotiation: String,
    pub offer: OfferJson,
    pub answer: AnswerJson,
    pub initiator: Side,
    pub responder: Side,
    pub key: KeyPlace,
    pub sessions: Vec<Session>,
    pub eavesdropper: Eavesdropping,
    /// What it would have cost through nodes that relay no data output so large.
    pub envelopes: Option<EnvelopesJson>,
    pub home: String,
    /// How the offer was carried, and where the answer rode, for the text.
    #[serde(skip)]
    pub carriage: Carriage,
    #[serde(skip)]
    pub form: AnswerForm,
}

/// One party, and what it paid and got.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    pub name: String,
    pub key: String,
    pub fingerprint: String,
    pub confirmed: bool,
    /// To the other side; fees apart.
    pub paid_sat: u64,
    /// To miners.
    pub fee_sat: u64,
    /// What the responder keeps of the price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netted_sat: Option<u64>,
}

/// When the key came into use.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct KeyPlace {
    pub height: u32,
    pub time: u32,
    pub depth: u32,
}

/// One message.
#[derive(Clone, Debug, Serialize)]
pub struct Session {
    pub height: u32,
    pub time: u32,
    pub direction: &'static str,
    pub from: String,
    pub to: String,
    pub text: String,
    pub opened: bool,
    pub eavesdropper_opened: bool,
}

/// What became of listening.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Eavesdropping {
    pub blocks: usize,
    pub attempts: usize,
    pub opened: usize,
}
