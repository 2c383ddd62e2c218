//! Two served parties over every carrier: in amounts, in data outputs, and in envelopes where nodes relay no more than 83
//! bytes of data.

use keyway_ledger::testnode::Kind;
use serde_json::Value;

use crate::town::{Town, until};

/// One way for an offer and its answer to ride.
struct Ride {
    terms: &'static str,
    /// Whether it needs a data output at all, and one longer than old nodes relay: of the offer, of the answer.
    beside: Option<(bool, bool)>,
}

const RIDES: [Ride; 5] = [
    Ride { terms: "--carrier value", beside: None },
    Ride { terms: "--carrier static --suite x25519", beside: Some((true, true)) },
    Ride { terms: "--carrier static --suite x25519-mlkem768", beside: Some((true, true)) },
    Ride { terms: "--carrier dynamic --suite x25519", beside: Some((false, false)) },
    Ride { terms: "--carrier dynamic --suite x25519-mlkem768", beside: Some((true, true)) },
];

/// One negotiation after the other between the same two processes. `envelopes`: long messages need them.
fn every_ride(town: &Town, envelopes: bool) {
    town.settle();
    let _served = [town.serve("car"), town.serve("charger")];
    for Ride { terms, beside } in RIDES {
        let offer = town.stage.json(&format!("--home car offer charger --pay 2500000sat {terms}"));
        let id = offer["id"].as_str().unwrap();
        let [car, charger] = agreed(town, id);
        assert!(car["fingerprint"].is_string(), "{terms}: {car}");
        assert_eq!(car["fingerprint"], charger["fingerprint"], "{terms}");
        let found = ["offer", "answer"].map(|message| car[message]["in_envelope"].as_bool());
        let long = beside.map(|(offer, answer)| (Some(offer && envelopes), Some(answer && envelopes)));
        assert_eq!(found, long.map_or([None, None], |(offer, answer)| [offer, answer]), "{terms}: {car}");
    }
    let message = town.stage.feed("--home car seal charger", b"start at 11 kW").ok();
    town.caught_up(&["charger"]);
    assert_eq!(town.stage.feed("--home charger open", message.as_bytes()).ok(), "start at 11 kW");
}

/// Both sides of a negotiation once its key is active, mining as miners do.
fn agreed(town: &Town, id: &str) -> [Value; 2] {
    // The charger does not know of it before it has followed the offer's block.
    let is = |home: &str, state: &str| {
        let run = town.stage.run(&format!("--home {home} --json show {id}"));
        run.code() == Some(0) && run.json()["state"] == state
    };
    town.mine(1);
    until("the offer is answered", || is("charger", "answered"));
    town.mine(2);
    for home in ["car", "charger"] {
        until("the key is active", || is(home, "active"));
    }
    // Splitting coins and raising fees may be under way; the next offer wants confirmed ones.
    town.mine(1);
    town.caught_up(&["car", "charger"]);
    ["car", "charger"].map(|home| town.shown(home, id))
}

#[test]
fn over_litecoin_core_long_messages_ride_in_envelopes() {
    if let Some(town) = Town::start(Kind::Litecoin) {
        every_ride(&town, true);
    }
}

#[test]
fn over_bitcoin_core_every_message_rides_in_a_data_output() {
    if let Some(town) = Town::start(Kind::Bitcoin) {
        every_ride(&town, false);
    }
}

#[test]
fn over_a_bitcoin_core_that_keeps_the_old_limit_long_messages_ride_in_envelopes() {
    if let Some(town) = Town::start_with(Kind::Bitcoin, &["-datacarriersize=83"]) {
        every_ride(&town, true);
    }
}
