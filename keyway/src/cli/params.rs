//! What `keyway params` takes, and its help.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand, ValueHint};
use keyway_protocol::suite::{LEAST_BITS, MOST_BITS};
use thiserror::Error;

pub const HELP: &str = "\
A group for Diffie-Hellman is a safe prime p and a generator g of its squares. Suite ffdh-custom puts them into the offer (the
paper's Algorithms 2 and 4), suite ffdh-published names the transaction that has them (Algorithms 1 and 3). In a file they are
text: `p = HEX` and `g = HEX`, and comments after #.

Example:
  keyway params generate --bits 2048 --out mine.group
  keyway params check mine.group
  keyway --home car params publish mine.group
  keyway --home car params list";

pub const GENERATE: &str = "\
Draws numbers until one is a safe prime: 2,048 bits take about a minute, 4,096 bits about half an hour, and either may take
three times as long. Nothing is written before it is found, so it can be ended at any time.

Example:
  keyway params generate --bits 3072 --out mine.group

JSON: bits, digest, p, g, draws.";

pub const CHECK: &str = "\
Says whether a group may be used, and if not why: a modulus that is composite, even, too small, too large or no safe prime,
a generator that is 0, 1, p - 1 or no square. A TXID, or its first 8 digits or more, is looked for on the home's ledger.

Example:
  keyway params check mine.group

JSON: bits, digest, p, g, sound, why.";

pub const PUBLISH: &str = "\
Puts a group on the chain for everybody to read: that of FILE, or a fresh one. Who names this party in policy.groups_from may
make offers in it once it has 6 confirmations, and answers them. With --every it goes on, a fresh group each time, counted from
the last one on the chain, until it is ended; nothing is lost by that.

Example:
  keyway --home car params publish mine.group
  keyway --home operator params publish --bits 2048 --every 144blocks

JSON, an object for each: txid, vbytes, fee_sat, bits, digest, p, g.";

pub const LIST: &str = "\
Everybody's, from the blocks of the home's ledger; each is checked as `keyway params check` does.

Example:
  keyway --home car params list --blocks 1008

JSON: an array of txid, height, time, publisher, name, used, bits, digest, sound, why.";

/// What to do with groups.
#[derive(Debug, Subcommand)]
pub enum ParamsAction {
    /// Make a group: draw until a safe prime is found
    #[command(after_help = GENERATE)]
    Generate(ParamsGenerate),
    /// Put a group on the chain, once or again and again
    #[command(after_help = PUBLISH)]
    Publish(ParamsPublish),
    /// List the groups that the chain has
    #[command(after_help = LIST)]
    List(ParamsList),
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

/// `keyway params publish`
#[derive(Args, Debug)]
pub struct ParamsPublish {
    /// The group's text, or - for standard input [default: a fresh group]
    #[arg(value_name = "FILE|-", conflicts_with_all = ["bits", "every"], value_hint = ValueHint::FilePath)]
    pub group: Option<PathBuf>,
    /// Bits of a fresh group's modulus
    #[arg(long, value_name = "N", default_value_t = 3072, value_parser = clap::value_parser!(u32).range(i64::from(LEAST_BITS)..=i64::from(MOST_BITS)))]
    pub bits: u32,
    /// Go on, with a fresh group each time: 144blocks, 6h, 30min, 600s
    #[arg(long, value_name = "TIME")]
    pub every: Option<Every>,
}

/// `keyway params list`
#[derive(Args, Debug)]
pub struct ParamsList {
    /// Of the last N blocks
    #[arg(long, value_name = "N", default_value_t = 2016, value_parser = clap::value_parser!(u32).range(1..))]
    pub blocks: u32,
}

/// `keyway params check`
#[derive(Args, Debug)]
pub struct ParamsCheck {
    /// The group's text, - for standard input, or the transaction that published it
    #[arg(value_name = "FILE|TXID|-")]
    pub group: String,
}

/// How often something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// After so many blocks.
    Blocks(u32),
    /// After so much time.
    Time(Duration),
}

/// Not how often something can be done.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("write it as 144blocks, 600s, 30min, 6h or 1d, and not as nothing")]
pub struct BadEvery;

impl FromStr for Every {
    type Err = BadEvery;

    fn from_str(text: &str) -> Result<Self, BadEvery> {
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).ok_or(BadEvery)?;
        let number: u32 = number.parse().ok().filter(|number| *number > 0).ok_or(BadEvery)?;
        let seconds = match unit.trim() {
            "block" | "blocks" => return Ok(Self::Blocks(number)),
            "s" => 1,
            "min" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(BadEvery),
        };
        Ok(Self::Time(Duration::from_secs(u64::from(number) * seconds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_understood_as_people_write_them() {
        assert_eq!("144blocks".parse(), Ok(Every::Blocks(144)));
        assert_eq!("1 block".parse(), Ok(Every::Blocks(1)));
        for (text, seconds) in [("600s", 600), ("30min", 1_800), ("6h", 21_600), ("2 d", 172_800)] {
            assert_eq!(text.parse(), Ok(Every::Time(Duration::from_secs(seconds))), "{text}");
        }
        for text in ["", "0s", "s", "10", "10 weeks", "-1s", "1.5h", "99999999999s"] {
            assert_eq!(text.parse::<Every>(), Err(BadEvery), "{text}");
        }
    }
}
