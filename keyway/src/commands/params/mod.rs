//! `keyway params`: groups for Diffie-Hellman.

mod generate;
mod list;
mod publish;

use std::path::Path;

use bitcoin::hex::DisplayHex;
use keyway_node::GroupError;
use keyway_protocol::suite::{BadGroup, Numbers, Suite};
use serde::Serialize;

pub use self::generate::generate;
pub use self::list::list;
pub use self::publish::publish;
use crate::cli::params::ParamsCheck;
use crate::context::Context;
use crate::error::Error;
use crate::files;
use crate::ui::Ui;

/// A group for programs.
#[derive(Serialize)]
struct GroupJson {
    bits: u32,
    digest: String,
    p: String,
    g: String,
}

impl From<&Numbers> for GroupJson {
    fn from(numbers: &Numbers) -> Self {
        Self {
            bits: numbers.bits(),
            digest: numbers.digest().to_lower_hex_string(),
            p: numbers.modulus().to_lower_hex_string(),
            g: numbers.generator().to_lower_hex_string(),
        }
    }
}

#[derive(Serialize)]
struct Checked {
    #[serde(flatten)]
    group: GroupJson,
    sound: bool,
    why: Option<String>,
}

/// A group's text, as its bytes came.
///
/// # Errors
/// [`Error::NoGroup`].
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Numbers, Error> {
    let no_group = |why: String| Error::NoGroup { path: path.to_owned(), why };
    let text = std::str::from_utf8(bytes).map_err(|error| no_group(error.to_string()))?;
    text.parse().map_err(|error: keyway_protocol::suite::BadNumbers| no_group(error.to_string()))
}

/// `keyway params check`
///
/// # Errors
/// Why the group must not be used.
pub fn check(context: &mut Context<'_>, args: &ParamsCheck, ui: &Ui) -> Result<(), Error> {
    let path = Path::new(&args.group);
    let numbers = match txid(&args.group) {
        Some(prefix) => list::find(context, prefix, ui)?,
        None => parse(path, &context.read(path, files::GROUP)?)?,
    };
    let bad = numbers.check(Suite::FfdhCustom).err();
    tell(&numbers, bad, ui)?;
    bad.map_or(Ok(()), |bad| Err(GroupError::Bad(bad).into()))
}

/// A transaction's id or its beginning, if that is what was given.
pub fn txid(given: &str) -> Option<&str> {
    let digits = (8..=64).contains(&given.len()) && given.bytes().all(|digit| digit.is_ascii_hexdigit());
    (digits && !Path::new(given).exists()).then_some(given)
}

fn tell(numbers: &Numbers, bad: Option<BadGroup>, ui: &Ui) -> Result<(), Error> {
    let why = bad.map(|bad| bad.to_string());
    let checked = Checked { group: numbers.into(), sound: bad.is_none(), why };
    ui.data(&checked, |checked| {
        let outcome = if checked.sound { "sound" } else { "not to be used" };
        format!("group  {}  {} bits, {outcome}", short(numbers), checked.group.bits)
    })
}

/// Enough of its digest to tell it from others.
pub fn short(numbers: &Numbers) -> String {
    numbers.digest().to_lower_hex_string().chars().take(16).collect()
}
