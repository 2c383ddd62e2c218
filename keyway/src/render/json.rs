//! What `--json` gives: stable names, documented in each command's help.

use bitcoin::Amount;
use bitcoin::hex::DisplayHex;
use keyway_carriers::script::Way;
use keyway_chain::Height;
use keyway_node::{
    AnswerView, Block, Carriage, CoinView, Costs, Life, NegotiationView, NextRotation, OfferView, Quote,
    UsedGroup,
};
use keyway_protocol::card::Card;
use keyway_protocol::message::{AnswerForm, Carrier};
use keyway_protocol::negotiation::Role;
use keyway_protocol::suite::Suite;
use serde::Serialize;

use crate::amount::grouped;
#[cfg(feature = "embedded")]
use crate::amount::sat;

/// A card that was accepted, or is one's own.
#[derive(Clone, Debug, Serialize)]
pub struct CardJson {
    name: String,
    key: String,
    chain: String,
    serial: u32,
    expires_at_height: u32,
    suites: Vec<String>,
    carriers: Vec<String>,
}

impl From<&Card> for CardJson {
    fn from(card: &Card) -> Self {
        let (permanent, renewable) = (card.permanent(), card.renewable());
        let suite = |number: &u8| Suite::from_number(*number).map_or(number.to_string(), |s| s.to_string());
        let carrier =
            |number: &u8| Carrier::from_number(*number).map_or(number.to_string(), |c| c.to_string());
        Self {
            name: permanent.name.to_string(),
            key: permanent.key.to_string(),
            chain: permanent.chain.to_string(),
            serial: renewable.serial,
            expires_at_height: renewable.expiry.to_u32(),
            suites: renewable.suites.iter().map(suite).collect(),
            carriers: renewable.carriers.iter().map(carrier).collect(),
        }
    }
}

impl CardJson {
    /// What the party calls itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its identity on the chain.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// One row of a table.
    pub fn row(&self) -> Vec<String> {
        vec![self.name.clone(), self.key.clone(), self.serial.to_string(), grouped(self.expires_at_height)]
    }
}

/// A transaction of a negotiation: where it is and what it costs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PlaceJson {
    pub height: Option<u32>,
    pub time: Option<u32>,
    pub vbytes: u64,
    pub fee_sat: Option<u64>,
}

impl PlaceJson {
    fn new(block: Option<Block>, costs: Costs) -> Self {
        Self {
            height: block.map(|block| block.at.height.to_u32()),
            time: block.map(|block| block.time),
            vbytes: costs.vbytes,
            fee_sat: costs.fee.map(Amount::to_sat),
        }
    }
}

/// Size and fee of a transaction.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CostsJson {
    vbytes: u64,
    fee_sat: Option<u64>,
}

impl From<Costs> for CostsJson {
    fn from(costs: Costs) -> Self {
        Self { vbytes: costs.vbytes, fee_sat: costs.fee.map(Amount::to_sat) }
    }
}

/// The same through nodes that relay no data output so large.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct EnvelopesJson {
    offer: CostsJson,
    offer_commit: Option<CostsJson>,
    answer: CostsJson,
    answer_commit: Option<CostsJson>,
    fund_sat: u64,
    netted_sat: u64,
}

#[cfg(feature = "embedded")]
impl EnvelopesJson {
    /// In one line.
    pub fn told(&self) -> String {
        let of = |costs: CostsJson, commit: Option<CostsJson>| {
            grouped(costs.vbytes + commit.map_or(0, |commit| commit.vbytes))
        };
        let offer = of(self.offer, self.offer_commit);
        let answer = of(self.answer, self.answer_commit);
        let netted = sat(Amount::from_sat(self.netted_sat));
        format!(
            "through older nodes, in envelopes: {offer}\u{a0}vB, the answer {answer}\u{a0}vB, {netted}\u{a0}netted"
        )
    }
}

impl From<&Quote> for EnvelopesJson {
    fn from(quote: &Quote) -> Self {
        Self {
            offer: quote.offer.into(),
            offer_commit: quote.offer_commit.map(CostsJson::from),
            answer: quote.answer.into(),
            answer_commit: quote.answer_commit.map(CostsJson::from),
            fund_sat: quote.fund.to_sat(),
            netted_sat: quote.netted.to_sat(),
        }
    }
}

/// How a message is carried; what does not apply is null.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct CarriageJson {
    pub coins: Option<usize>,
    pub bits: Option<u32>,
    pub data_bytes: Option<usize>,
    pub in_envelope: Option<bool>,
    pub locked_sat: Option<u64>,
    pub timeout_height: Option<u32>,
    pub locked_by: Option<&'static str>,
}

impl From<Carriage> for CarriageJson {
    fn from(carriage: Carriage) -> Self {
        match carriage {
            Carriage::Coins { coins, bits } => {
                Self { coins: Some(coins), bits: Some(bits), ..Self::default() }
            }
            Carriage::Sealed { bytes, way } => {
                Self { data_bytes: Some(bytes), in_envelope: Some(way == Way::Envelope), ..Self::default() }
            }
            Carriage::Locked { bytes, way, amount, timeout, by_exponent } => Self {
                data_bytes: Some(bytes),
                in_envelope: Some(way == Way::Envelope),
                locked_sat: Some(amount.to_sat()),
                timeout_height: timeout.map(Height::to_u32),
                locked_by: Some(if by_exponent { "op-exponent" } else { "hash" }),
                ..Self::default()
            },
        }
    }
}

/// An offer.
#[derive(Clone, Debug, Serialize)]
pub struct OfferJson {
    pub txid: String,
    #[serde(flatten)]
    pub place: PlaceJson,
    pub commit: Option<CostsJson>,
    #[serde(flatten)]
    pub carriage: CarriageJson,
}

impl From<&OfferView> for OfferJson {
    fn from(offer: &OfferView) -> Self {
        Self {
            txid: offer.txid.to_string(),
            place: PlaceJson::new(offer.block, offer.costs),
            commit: offer.commit.map(CostsJson::from),
            carriage: offer.carriage.into(),
        }
    }
}

/// An answer.
#[derive(Clone, Debug, Serialize)]
pub struct AnswerJson {
    pub txid: String,
    #[serde(flatten)]
    pub place: PlaceJson,
    pub commit: Option<CostsJson>,
    pub paid_back_sat: u64,
    pub data_bytes: Option<usize>,
    pub in_envelope: Option<bool>,
}

#[cfg(feature = "embedded")]
impl AnswerJson {
    /// Bytes of the message beside the payment, and where they are.
    pub fn message(&self) -> Option<(usize, Way)> {
        let way = if self.in_envelope? { Way::Envelope } else { Way::Output };
        Some((self.data_bytes?, way))
    }
}

impl From<&AnswerView> for AnswerJson {
    fn from(answer: &AnswerView) -> Self {
        Self {
            txid: answer.txid.to_string(),
            place: PlaceJson::new(answer.block, answer.costs),
            commit: answer.commit.map(CostsJson::from),
            paid_back_sat: answer.paid_back.to_sat(),
            data_bytes: answer.message.map(|(bytes, _)| bytes),
            in_envelope: answer.message.map(|(_, way)| way == Way::Envelope),
        }
    }
}

/// One negotiation.
#[derive(Clone, Debug, Serialize)]
pub struct NegotiationJson {
    id: String,
    role: &'static str,
    peer: String,
    suite: String,
    group: Option<UsedGroupJson>,
    carrier: String,
    answer_in: &'static str,
    price_sat: u64,
    state: &'static str,
    depth: u32,
    key_depth: u32,
    confirmed: bool,
    fingerprint: Option<String>,
    offer: Option<OfferJson>,
    answer: Option<AnswerJson>,
    netted_sat: Option<u64>,
    declined: Option<String>,
    waiting: Option<String>,
    coin: Option<CoinJson>,
    rotation: Option<RotationJson>,
    as_of_height: u32,
}

/// A group that comes from outside.
#[derive(Clone, Debug, Serialize)]
pub struct UsedGroupJson {
    digest: String,
    bits: Option<u32>,
    published: Option<String>,
}

impl From<UsedGroup> for UsedGroupJson {
    fn from(used: UsedGroup) -> Self {
        let UsedGroup { digest, bits, published } = used;
        Self { digest: digest.to_lower_hex_string(), bits, published: published.map(|txid| txid.to_string()) }
    }
}

/// The liveness coin of a pair.
#[derive(Clone, Debug, Serialize)]
pub struct CoinJson {
    txid: String,
    vout: u32,
    amount_sat: u64,
    names: String,
    since_height: Option<u32>,
    life: &'static str,
    by_txid: Option<String>,
    by_height: Option<u32>,
    depth: Option<u32>,
    by_own: Option<bool>,
}

impl From<&CoinView> for CoinJson {
    fn from(coin: &CoinView) -> Self {
        let (life, by) = match coin.life {
            Life::Alive => ("alive", None),
            Life::Moving(txid) => ("moving", Some(txid)),
            Life::Ending(txid) => ("ending", Some(txid)),
            Life::Spent { txid, .. } => ("spent", Some(txid)),
        };
        let (by_height, depth, by_own) = match coin.life {
            Life::Spent { block, has, by_us, .. } => {
                (block.map(|block| block.at.height.to_u32()), Some(has.to_u32()), by_us)
            }
            _ => (None, None, None),
        };
        Self {
            txid: coin.outpoint.txid.to_string(),
            vout: coin.outpoint.vout,
            amount_sat: coin.amount.to_sat(),
            names: coin.names.to_string(),
            since_height: coin.since.map(|block| block.at.height.to_u32()),
            life,
            by_txid: by.map(|txid| txid.to_string()),
            by_height,
            depth,
            by_own,
        }
    }
}

/// When a key is replaced; what the configuration does not ask for is null.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RotationJson {
    height: Option<u32>,
    time: Option<u32>,
    bytes_left: Option<u64>,
}

impl From<NextRotation> for RotationJson {
    fn from(next: NextRotation) -> Self {
        Self { height: next.height.map(Height::to_u32), time: next.time, bytes_left: next.bytes }
    }
}

impl NegotiationJson {
    /// As the party sees it at that height.
    pub fn new(view: &NegotiationView, as_of: Height) -> Self {
        Self {
            id: view.id.to_string(),
            role: role(view.role),
            peer: view.peer.clone(),
            suite: view.suite.to_string(),
            group: view.group.map(UsedGroupJson::from),
            carrier: view.carrier.to_string(),
            answer_in: answer_in(view.carrier, view.form),
            price_sat: view.price.to_sat(),
            state: view.state.name(),
            depth: view.depth.to_u32(),
            key_depth: view.key_depth.to_u32(),
            confirmed: view.confirmed,
            fingerprint: view.fingerprint.map(|fingerprint| fingerprint.to_string()),
            offer: view.offer.as_ref().map(OfferJson::from),
            answer: view.answer.as_ref().map(AnswerJson::from),
            netted_sat: netted(view).map(Amount::to_sat),
            declined: view.declined.clone(),
            waiting: view.waiting.as_ref().map(ToString::to_string),
            coin: view.coin.as_ref().map(CoinJson::from),
            rotation: view.rotation.map(RotationJson::from),
            as_of_height: as_of.to_u32(),
        }
    }
}

/// What the responder keeps of the price: the fees of the answer and of its envelope, and what it pays back, come out of
/// it.
pub fn netted(view: &NegotiationView) -> Option<Amount> {
    let answer = view.answer.as_ref()?;
    let commit = answer.commit.map_or(Some(Amount::ZERO), |commit| commit.fee)?;
    view.price.checked_sub(commit)?.checked_sub(answer.paid_back)?.checked_sub(answer.costs.fee?)
}

/// A role's name.
pub const fn role(role: Role) -> &'static str {
    match role {
        Role::Initiator => "initiator",
        Role::Responder => "responder",
    }
}

/// The name of where an answer rides: as `--answer-in` takes it, or `data`.
pub const fn answer_in(carrier: Carrier, form: AnswerForm) -> &'static str {
    match (carrier, form) {
        (Carrier::Value, AnswerForm::Sequences) => "sequences",
        (Carrier::Value, AnswerForm::Amounts) => "amounts",
        _ => "data",
    }
}
