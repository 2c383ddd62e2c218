//! The log: one line per event, on standard error.

use std::io::IsTerminal;

use keyway_node::{Cancelled, Notice, Party, Raised, Way};
use tracing_subscriber::EnvFilter;

use super::first_line;
use crate::cli::LogAs;
use crate::commands::Teller;

/// Starts it. `RUST_LOG` says how much is logged.
pub fn start(format: LogAs) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // A second start in one process changes nothing.
    let _ = match format {
        LogAs::Json => log.json().flatten_event(true).try_init(),
        LogAs::Text => log.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
}

/// Writes down what happened.
pub fn notice(party: &Party, notice: &Notice<'_>) {
    match notice {
        Notice::Synced(synced) => {
            let height = party.tip().height.to_u32();
            if synced.connected + synced.disconnected > 0 {
                tracing::info!(
                    height,
                    connected = synced.connected,
                    disconnected = synced.disconnected,
                    "followed"
                );
            }
            if synced.events.is_empty() {
                return;
            }
            let Ok(teller) = Teller::new(party) else { return };
            for event in &synced.events {
                let event = teller.json(event);
                tracing::info!(
                    height,
                    negotiation = event.negotiation,
                    peer = event.peer,
                    txid = event.txid,
                    from = event.from,
                    to = event.to,
                    offers = event.offers,
                    why = event.why,
                    "{}",
                    event.event
                );
            }
        }
        Notice::Raised(Raised { waiting, by, way, feerate }) => {
            let way = match way {
                Way::Replacement => "replacement",
                Way::Child => "child",
            };
            let sat_per_vb = feerate.to_sat_per_vb_ceil();
            tracing::info!(%waiting, %by, way, sat_per_vb, "fee raised");
        }
        Notice::GaveUp(id, cancelled) => {
            let (outcome, txid) = match cancelled {
                Cancelled::Unsigned => ("unsigned", None),
                Cancelled::Sent { txid, .. } => ("sent", Some(txid.to_string())),
                Cancelled::Waits { txid, .. } => ("waits", Some(txid.to_string())),
            };
            tracing::info!(negotiation = %id, outcome, txid, "offer given up");
        }
        Notice::Failed { error, retry_in } => {
            tracing::warn!(retry_in_ms = retry_in.as_millis() as u64, "{}", first_line(error));
        }
    }
}
