//! One negotiation for people.

use std::fmt::Display;

use bitcoin::Amount;
use bitcoin::hex::DisplayHex;
use keyway_carriers::script::Way;
use keyway_node::{
    AnswerView, Block, Carriage, CoinView, Costs, Life, NegotiationView, NextRotation, OfferView, UsedGroup,
    Waiting,
};
use keyway_protocol::message::AnswerForm;
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::state::State;

use super::json::netted;
use super::layout::{hanging, pad};
use super::paint::Paint;
use super::time::date_and_time;
use crate::amount::{grouped, sat};

/// The first characters of a negotiation's id: enough to name it among a few.
pub fn short(id: &NegotiationId) -> String {
    id.to_string().chars().take(8).collect()
}

/// A long hex number by its ends: `4be1…77`.
pub fn ends(hex: impl Display) -> String {
    let hex = hex.to_string();
    let head: String = hex.chars().take(4).collect();
    let tail: String = hex.chars().skip(hex.chars().count().saturating_sub(2)).collect();
    format!("{head}…{tail}")
}

/// `916 vB · fee 916 sat`.
pub fn costs(costs: Costs) -> String {
    let size = format!("{}\u{a0}vB", grouped(costs.vbytes));
    match costs.fee {
        Some(fee) => format!("{size} · fee\u{a0}{}", sat(fee)),
        None => size,
    }
}

/// What an answer does, by how its offer was carried.
pub fn collects(
    carriage: Carriage,
    form: AnswerForm,
    paid_back: Amount,
    message: Option<(usize, Way)>,
) -> String {
    let beside = message.map_or_else(String::new, |(bytes, way)| room(bytes, way));
    match (carriage, form) {
        (Carriage::Coins { coins, .. }, AnswerForm::Sequences) => {
            format!("collects the {coins} coins; share and proof ride in their sequence numbers")
        }
        (Carriage::Coins { coins, .. }, AnswerForm::Amounts) => {
            format!("collects the {coins} coins; share and proof ride in {} paid back", sat(paid_back))
        }
        (Carriage::Sealed { .. }, _) => {
            format!("collects the coin; share and proof ride sealed in {beside}")
        }
        (Carriage::Locked { .. }, _) => {
            format!("opens the lock and collects; share and proof ride in {beside}")
        }
    }
}

/// How an offer is carried: `26 coins, 13 bits each, together exactly 250 000 sat`.
pub fn spread(carriage: Carriage, price: Amount) -> String {
    match carriage {
        Carriage::Coins { coins, bits } => {
            format!("{coins} coins, {bits}\u{a0}bits each, together exactly {}", sat(price))
        }
        Carriage::Sealed { bytes, way } => {
            format!("one coin of {}, the offer sealed in {}", sat(price), room(bytes, way))
        }
        Carriage::Locked { bytes, way, amount, timeout, by_exponent } => {
            let until =
                timeout.map_or_else(String::new, |height| format!(" until block\u{a0}{}", grouped(height)));
            let by = if by_exponent { " by OP_EXPONENT" } else { "" };
            let beside = sat(price.checked_sub(amount).unwrap_or(Amount::ZERO));
            let message = match way {
                Way::Output => format!("{}\u{a0}bytes", grouped(bytes)),
                Way::Envelope => room(bytes, way),
            };
            format!("{} locked{by}{until}, {beside} beside; the offer in {message}", sat(amount))
        }
    }
}

/// `97 bytes beside it`.
fn room(bytes: usize, way: Way) -> String {
    match way {
        Way::Output => format!("{}\u{a0}bytes beside it", grouped(bytes)),
        Way::Envelope => format!("an envelope of {}\u{a0}bytes", grouped(bytes)),
    }
}

/// What an envelope costs before it is shown.
pub fn committed(commit: Option<Costs>) -> String {
    commit.map_or_else(String::new, |commit| format!(" · its envelope {}", costs(commit)))
}

/// Where a key stands, in a few words.
pub fn standing(view: &NegotiationView) -> String {
    let confirmed = if view.confirmed { "confirmed by the peer" } else { "not yet confirmed by the peer" };
    match view.state {
        State::Active | State::Superseded => format!("{}, {confirmed}", view.state),
        State::Provisional => format!("provisional: depth {} of {}", view.depth, view.key_depth),
        State::Offered if view.offer.as_ref().is_some_and(|offer| offer.block.is_none()) => {
            "offered, not mined yet".to_owned()
        }
        state => state.to_string(),
    }
}

/// Where a key stands, and what comes next.
pub fn outlook(view: &NegotiationView) -> String {
    let standing = standing(view);
    let standing = match &view.coin {
        Some(coin) if coin.life != Life::Alive || view.state.seals() => match coin.life {
            Life::Spent { .. } => standing,
            _ => format!("{standing}; coin {}", life(coin)),
        },
        _ => standing,
    };
    match (&view.waiting, view.rotation) {
        (Some(waiting), _) if !is_told(waiting) => format!("{standing}: {waiting}"),
        (_, Some(next)) => format!("{standing}; replaced {}", rotation(next)),
        _ => standing,
    }
}

/// Whether [`standing`] says it already.
fn is_told(waiting: &Waiting) -> bool {
    matches!(waiting, Waiting::OfferUnmined | Waiting::KeyDepth { .. })
}

/// `at block 5 000, or after 1 024 KiB more`
pub fn rotation(next: NextRotation) -> String {
    let parts = [
        next.height.map(|height| format!("at block\u{a0}{}", grouped(height))),
        next.time.map(|time| format!("on {} UTC", date_and_time(time))),
        next.bytes.map(|bytes| format!("after {}\u{a0}KiB more", grouped(bytes.div_ceil(1_024)))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", or ")
}

/// What the liveness coin says of the key.
pub fn life(coin: &CoinView) -> String {
    let since = coin
        .since
        .map_or_else(String::new, |block| format!(" since block\u{a0}{}", grouped(block.at.height)));
    match coin.life {
        Life::Alive => format!("alive{since}"),
        Life::Moving(txid) => format!("alive{since}; on its way to the next key in {}", ends(txid)),
        Life::Ending(txid) => format!("alive{since}; revocation {} waits to be mined", ends(txid)),
        Life::Spent { txid, block, has, wants, by_us } => {
            let by = match by_us {
                Some(true) => " by this party",
                Some(false) => " by the peer",
                None => "",
            };
            let coming = if has < wants { "revocation coming" } else { "revoked" };
            let depth = if has < wants { format!(", {has} of {wants} blocks") } else { String::new() };
            let block = block.map_or_else(String::new, |_| format!(", {}", place(block)));
            format!("{coming}{by} in {txid}{depth}{block}")
        }
    }
}

/// All that is known of a negotiation.
pub fn text(view: &NegotiationView, own: &str, paint: Paint, width: usize) -> String {
    let (from, to) = match view.role {
        Role::Initiator => (own, view.peer.as_str()),
        Role::Responder => (view.peer.as_str(), own),
    };
    let mut lines = Lines { width, paint, lines: Vec::new() };
    lines.add("negotiation", &view.id.to_string());
    lines.add("between", &format!("{from} pays {to} {}", paint.bold(&sat(view.price))));
    lines.add("suite", &format!("{} · carrier {}", view.suite, view.carrier));
    if let Some(used) = view.group {
        lines.add("group", &group(used));
    }
    lines.add("state", &standing(view));
    if let Some(why) = &view.declined {
        lines.add("why", why);
    }
    if let Some(waiting) = view.waiting.as_ref().filter(|waiting| !is_told(waiting)) {
        lines.add("waiting", &waiting.to_string());
    }
    if let Some(coin) = &view.coin {
        lines.add("coin", &format!("{} of {}", coin.outpoint, sat(coin.amount)));
        lines.add("", &life(coin));
    }
    if let Some(next) = view.rotation {
        lines.add("replaced", &rotation(next));
    }
    if let Some(fingerprint) = view.fingerprint {
        lines.add("key", &paint.bold(&fingerprint.to_string()));
    }
    if let Some(offer) = &view.offer {
        lines.offer(offer, view.price);
    }
    if let Some(answer) = &view.answer {
        let carriage = view.offer.as_ref().map(|offer| offer.carriage);
        lines.answer(answer, carriage, view.form);
    }
    if let Some(netted) = netted(view) {
        lines.add("netted", &format!("{} by {to}", sat(netted)));
    }
    lines.lines.join("\n")
}

/// A group that comes from outside.
pub fn group(used: UsedGroup) -> String {
    let digest: String = used.digest.to_lower_hex_string().chars().take(16).collect();
    let bits = used.bits.map_or_else(String::new, |bits| format!(" of {} bits", grouped(bits)));
    let published = used.published.map_or_else(String::new, |txid| format!(", published by {}", ends(txid)));
    format!("{digest}{bits}{published}")
}

struct Lines {
    width: usize,
    paint: Paint,
    lines: Vec<String>,
}

impl Lines {
    fn add(&mut self, name: &str, text: &str) {
        let head = self.paint.dim(&pad(name, 13));
        self.lines.push(hanging(&head, text, self.width));
    }

    fn offer(&mut self, offer: &OfferView, price: Amount) {
        self.add("offer", &offer.txid.to_string());
        self.add("", &place(offer.block));
        self.add("", &spread(offer.carriage, price));
        self.add("", &format!("{}{}", costs(offer.costs), committed(offer.commit)));
    }

    fn answer(&mut self, answer: &AnswerView, carriage: Option<Carriage>, form: AnswerForm) {
        self.add("answer", &answer.txid.to_string());
        self.add("", &place(answer.block));
        if let Some(carriage) = carriage {
            self.add("", &collects(carriage, form, answer.paid_back, answer.message));
        }
        self.add("", &format!("{}{}", costs(answer.costs), committed(answer.commit)));
    }
}

fn place(block: Option<Block>) -> String {
    match block {
        Some(block) => format!("block {} · {} UTC", grouped(block.at.height), date_and_time(block.time)),
        None => "not mined yet".to_owned(),
    }
}
