//! What the command line and `keyway serve` say to each other.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A command for the party.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What stands behind `keyway` on the command line.
    pub args: Vec<String>,
    /// The bytes of the file that it names.
    #[serde(default)]
    pub input: Option<Bytes>,
    /// Columns of a line.
    #[serde(default)]
    pub width: Option<usize>,
    /// Whether text may have colours.
    #[serde(default)]
    pub color: bool,
}

/// What became of it.
#[derive(Serialize, Deserialize)]
pub struct Reply {
    /// The exit code.
    pub code: u8,
    /// What goes to standard output.
    pub stdout: Bytes,
    /// What goes to standard error.
    pub stderr: String,
    /// What goes into the new file that the command names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Bytes>,
}

/// Bytes, in base64 where they are JSON.
#[derive(Clone, Default)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}
