//! What Prometheus may know.

use std::sync::atomic::AtomicU64;

use keyway_node::{Event, Notice, Party};
use keyway_protocol::state::State;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

type Labelled = Family<[(&'static str, &'static str); 1], Counter>;

/// The counters and gauges, and how they are told.
pub struct Metrics {
    registry: Registry,
    height: Gauge,
    connected: Counter,
    disconnected: Counter,
    rounds: Counter,
    failures: Counter,
    raised: Counter,
    given_up: Counter,
    events: Labelled,
    spendable: Gauge<u64, AtomicU64>,
    held: Gauge<u64, AtomicU64>,
    coins: Gauge,
    unmined: Gauge,
    peers: Gauge,
    negotiations: Family<[(&'static str, &'static str); 1], Gauge>,
}

impl Metrics {
    /// All zero, for the party of that name.
    pub fn new(name: &str) -> Self {
        let party = (std::borrow::Cow::Borrowed("party"), std::borrow::Cow::Owned(name.to_owned()));
        let mut metrics = Self {
            registry: Registry::with_prefix_and_labels("keyway", [party].into_iter()),
            height: Gauge::default(),
            connected: Counter::default(),
            disconnected: Counter::default(),
            rounds: Counter::default(),
            failures: Counter::default(),
            raised: Counter::default(),
            given_up: Counter::default(),
            events: Family::default(),
            spendable: Gauge::default(),
            held: Gauge::default(),
            coins: Gauge::default(),
            unmined: Gauge::default(),
            peers: Gauge::default(),
            negotiations: Family::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let Self { registry, .. } = self;
        registry.register("height", "Last block followed", self.height.clone());
        registry.register("blocks_connected", "Blocks that joined", self.connected.clone());
        registry.register("blocks_disconnected", "Blocks that left", self.disconnected.clone());
        registry.register("rounds", "Times the chain was followed to its tip", self.rounds.clone());
        registry.register("failures", "Times that failed", self.failures.clone());
        registry.register("fees_raised", "Fees raised by replacement or child", self.raised.clone());
        registry.register("offers_given_up", "Offers that waited too long", self.given_up.clone());
        registry.register("events", "What happened, by kind", self.events.clone());
        registry.register("spendable_sat", "Money that can be spent", self.spendable.clone());
        registry.register("held_sat", "Money that waits for answers", self.held.clone());
        registry.register("coins", "Confirmed identity coins", self.coins.clone());
        registry.register("unmined", "Own transactions that are not mined", self.unmined.clone());
        registry.register("peers", "Accepted cards", self.peers.clone());
        registry.register("negotiations", "Negotiations, by state", self.negotiations.clone());
    }

    /// Counts what happened.
    pub fn notice(&self, party: &Party, notice: &Notice<'_>) {
        match notice {
            Notice::Synced(synced) => {
                self.rounds.inc();
                self.connected.inc_by(synced.connected.into());
                self.disconnected.inc_by(synced.disconnected.into());
                for event in &synced.events {
                    self.events.get_or_create(&[("event", name(event))]).inc();
                }
                self.look_at(party);
            }
            Notice::Raised(_) => drop(self.raised.inc()),
            Notice::GaveUp(..) => drop(self.given_up.inc()),
            Notice::Failed { .. } => drop(self.failures.inc()),
        }
    }

    fn look_at(&self, party: &Party) {
        self.height.set(party.tip().height.to_u32().into());
        self.peers.set(count(party.peers().len()));
        if let Ok(status) = party.status() {
            self.spendable.set(status.balance.spendable.to_sat());
            self.held.set(status.balance.held.to_sat());
            self.coins.set(count(status.balance.coins));
            self.unmined.set(count(status.unmined));
        }
        let told = party.told();
        for state in State::ALL {
            let of_state = told.get(&state).copied().unwrap_or_default();
            self.negotiations.get_or_create(&[("state", state.name())]).set(count(of_state));
        }
    }

    /// In the text format of OpenMetrics.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// An event's name, as in the JSON of `keyway sync`.
pub fn name(event: &Event) -> &'static str {
    match event {
        Event::OfferSeen(_) => "offer-seen",
        Event::HeldFromStrangers(_) => "held-from-strangers",
        Event::AnswerSent { .. } => "answer-sent",
        Event::NotAnswered { .. } => "not-answered",
        Event::Moved { .. } => "moved",
        Event::Split(_) => "split",
        Event::RefundSent { .. } => "refund-sent",
        Event::EnvelopeReturned { .. } => "envelope-returned",
        Event::CoinMoved { .. } => "coin-moved",
        Event::RevocationSeen { .. } => "revocation-seen",
        Event::RevocationSent { .. } => "revocation-sent",
        Event::FeeRaised { .. } => "fee-raised",
        Event::CardRenewed => "card-renewed",
        Event::Rotating { .. } => "rotating",
        Event::NotRotated { .. } => "not-rotated",
        Event::RosterRead(_) => "roster-read",
        Event::RosterUnread { .. } => "roster-unread",
        Event::OtherHome(_) => "other-home",
        Event::OtherName => "other-name",
        Event::Refused { .. } => "refused",
    }
}
