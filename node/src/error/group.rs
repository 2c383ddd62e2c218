//! What can be wrong with a group that comes from outside (PROTOCOL.md 6.1.1, 6.5).

use bitcoin::{Amount, Txid};
use keyway_chain::Depth;
use keyway_protocol::message::Carrier;
use keyway_protocol::suite::{BadGroup, Suite};
use thiserror::Error;

use super::{Kind, sat};

/// A group is missing, not wanted, not to be used, or not to be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GroupError {
    /// A suite that brings its group, without one.
    #[error(
        "{suite} needs a group, and none was given\nits modulus and generator come from a file, or from a transaction that published them\n{}", group_advice(*suite)
    )]
    Missing {
        /// The suite asked for.
        suite: Suite,
    },
    /// A group for a suite that has its own.
    #[error(
        "{suite} has a group of its own\nanother one was given with it\nleave that out, or use --suite ffdh-custom"
    )]
    NotWanted {
        /// The suite asked for.
        suite: Suite,
    },
    /// The group must not be used.
    #[error("the group must not be used\n{0}\nmake one with `keyway params generate`, or use another suite")]
    Bad(#[from] BadGroup),
    /// No published group of that id.
    #[error(
        "no published group that may be used begins with `{0}`\nthose of this home and of the peers in policy.groups_from are\n`keyway params list` shows all that the chain has; run `keyway sync` first if it is new"
    )]
    Unknown(String),
    /// A published group that an offer cannot name yet.
    #[error(
        "not yet: the group of {txid} has depth {has} of {wants}\nan offer may name it when no usual reorganisation takes it away\nrun it again after the next block"
    )]
    TooYoung {
        /// Its transaction.
        txid: Txid,
        /// How deep it is.
        has: Depth,
        /// How deep it must be.
        wants: Depth,
    },
    /// The ledger relays no data output so large.
    #[error(
        "the ledger relays at most {most} bytes of data, and publishing this group takes {bytes}\na group must be there for everybody to find, in an output of its own\npublish it through a Bitcoin Core 30 or newer, or put it into the offer: --suite ffdh-custom"
    )]
    DataTooLong {
        /// Bytes of the scripts.
        bytes: usize,
        /// What is relayed.
        most: usize,
    },
    /// A suite that brings its group, over a carrier that has no place for it.
    #[error(
        "{suite} rides over the static carrier alone\n{}\nuse --carrier static, or another suite", no_place(*carrier, *bytes, *price, *outputs)
    )]
    NoPlace {
        /// The suite asked for.
        suite: Suite,
        /// The carrier asked for.
        carrier: Carrier,
        /// Bytes of the offer with its group.
        bytes: usize,
        /// The least price that would carry them in amounts.
        price: Amount,
        /// Outputs at that price.
        outputs: usize,
    },
}

impl GroupError {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::TooYoung { .. } => Kind::NotYet,
            Self::Unknown(_) => Kind::Failed,
            Self::Missing { .. }
            | Self::NotWanted { .. }
            | Self::Bad(_)
            | Self::DataTooLong { .. }
            | Self::NoPlace { .. } => Kind::Refused,
        }
    }
}

fn group_advice(suite: Suite) -> &'static str {
    match suite {
        Suite::FfdhPublished => "say which with --published TXID: `keyway params list` shows them",
        _ => "give it with --params FILE: `keyway params generate` makes one",
    }
}

fn no_place(carrier: Carrier, bytes: usize, price: Amount, outputs: usize) -> String {
    let price = sat(price);
    match carrier {
        Carrier::Value => format!(
            "with its group the offer has {bytes} bytes: in amounts they would take a price of at least {price} in {outputs} outputs"
        ),
        _ => "an offer over the dynamic carrier is made to a prekey, which stands on a card before the group is known"
            .to_owned(),
    }
}
