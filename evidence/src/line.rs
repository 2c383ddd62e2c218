//! The lines of a file: each a JSON object of one entry, bytes in lower-case hexadecimal (PROTOCOL.md 13.3).

use bitcoin::hex::{DisplayHex, FromHex};
use keyway_protocol::negotiation::Role;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes as lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hex(pub(crate) Vec<u8>);

impl Hex {
    pub(crate) fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(bytes.as_ref().to_vec())
    }

    /// Exactly so many bytes.
    pub(crate) fn array<const N: usize>(&self) -> Option<[u8; N]> {
        self.0.as_slice().try_into().ok()
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_lower_hex_string())
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Vec::from_hex(&text).map(Self).map_err(|_| D::Error::custom("not hexadecimal"))
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Line {
    KeywayEvidence(Top),
    Initiator(Hex),
    Responder(Hex),
    Offer(Tx),
    Answer(Option<Tx>),
    Spending(Spent),
    OfferContents(Laid),
    AnswerContents(Laid),
    ResponderTagKey(Hex),
    InitiatorSays(Says),
    ResponderSays(Says),
    Session(Session),
    FirstHeight(u32),
    Header(Hex),
    Sha256(Hex),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Top {
    pub(crate) version: u32,
    pub(crate) chain: Hex,
    pub(crate) challenge: Option<Hex>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tx {
    pub(crate) height: u32,
    pub(crate) index: u32,
    pub(crate) branch: Vec<Hex>,
    pub(crate) tx: Hex,
    pub(crate) signature: Hex,
    pub(crate) key: Hex,
    pub(crate) coin_sat: Option<u64>,
    pub(crate) envelope: Option<Envelope>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Envelope {
    pub(crate) input: u32,
    pub(crate) signature: Hex,
    pub(crate) script: Hex,
    pub(crate) commit: Option<Hex>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spent {
    pub(crate) height: u32,
    pub(crate) index: u32,
    pub(crate) branch: Vec<Hex>,
    pub(crate) tx: Hex,
    pub(crate) from: Option<Hex>,
    pub(crate) coin_sat: Option<u64>,
    pub(crate) signature: Option<Hex>,
    pub(crate) names: Option<Hex>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Laid {
    pub(crate) message: Hex,
    pub(crate) ephemeral: Hex,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Says {
    pub(crate) fingerprint: Hex,
    pub(crate) signature: Hex,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Session {
    pub(crate) by: Side,
    pub(crate) height: u32,
    pub(crate) sender: Side,
    pub(crate) key: Hex,
    pub(crate) signature: Hex,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    Initiator,
    Responder,
}

impl From<Role> for Side {
    fn from(role: Role) -> Self {
        match role {
            Role::Initiator => Self::Initiator,
            Role::Responder => Self::Responder,
        }
    }
}

impl From<Side> for Role {
    fn from(side: Side) -> Self {
        match side {
            Side::Initiator => Self::Initiator,
            Side::Responder => Self::Responder,
        }
    }
}
