//! What `keyway params` takes, and its help.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use keyway_protocol::suite::{LEAST_BITS, MOST_BITS};

pub const HELP: &str = "\
A group for Diffie-Hellman is a safe prime p and a generator g of its squares: suite ffdh-custom puts them into the offer,
as the paper's Algorithms 2 and 4 do. They are text: `p = HEX` and `g = HEX`, and comments after #.

Example:
  keyway params generate --bits 2048 --out mine.group
  keyway params check mine.group
  keyway --home car offer charger --pay 250000sat --carrier static \\
    --suite ffdh-custom --params mine.group";

pub const GENERATE: &str = "\
Draws numbers until one is a safe prime: 2,048 bits take about a minute, 4,096 bits about half an hour, and either may take
three times as long. Nothing is written before it is found, so it can be ended at any time.

Example:
  keyway params generate --bits 3072 --out mine.group

JSON: bits, digest, p, g, draws.";

pub const CHECK: &str = "\
Says whether a group may be used, and if not why: a modulus that is composite, even, too small, too large or no safe prime,
a generator that is 0, 1, p - 1 or no square. Also `openssl dhparam -text` can be written so.

Example:
  keyway params check mine.group

JSON: bits, digest, p, g, sound, why.";

/// What to do with groups.
#[derive(Debug, Subcommand)]
pub enum ParamsAction {
    /// Make a group: draw until a safe prime is found
    #[command(after_help = GENERATE)]
    Generate(ParamsGenerate),
    /// Say whether a group may be used, and if not why
    #[command(after_help = CHECK)]
    Check(ParamsCheck),
}

/// `keyway params generate`
#[derive(Args, Debug)]
pub struct ParamsGenerate {
    /// Bits of the modulus
    #[arg(long, value_name = "N", default_value_t = 3072, value_parser = clap::value_parser!(u32).range(i64::from(LEAST_BITS)..=i64::from(MOST_BITS)))]
    pub bits: u32,
    /// Write the group into a new FILE instead of standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
}

/// `keyway params check`
#[derive(Args, Debug)]
pub struct ParamsCheck {
    /// The group's text; - for standard input
    #[arg(value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    pub group: PathBuf,
}
