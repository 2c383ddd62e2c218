//! What `keyway lab` takes, and its help.

use clap::{Args, Subcommand};

pub const HELP: &str = "\
The paper's sections 4.1 and 4.4 to the letter, for study: A, g and p of eight decimal digits each are the satoshi of three
outputs, B is that of one output back, and sk = SHA-256(mk, last block header hash). Whoever reads the chain has the key in a
moment; `keyway lab break` is who. Never on main networks, and elsewhere only with --i-know-this-is-broken. The coins are
real: each number is paid.

Example:
  keyway --home car fund 4btc
  keyway --home car lab offer charger --i-know-this-is-broken
  keyway --home car mine
  keyway --home charger lab list
  keyway --home car lab break charger";

pub const OFFER: &str = "\
Draws p, g and a, and pays the peer A, g and p satoshi. What would be dust is drawn again.

Example:
  keyway --home car lab offer charger --digits 6 --i-know-this-is-broken

JSON: txid, vbytes, fee_sat, share, generator, prime.";

pub const ANSWER: &str = "\
Draws b, and pays B satoshi back. The offer must be mined; `keyway lab list` shows its transaction.

Example:
  keyway --home charger lab answer 4be1 --i-know-this-is-broken

JSON: txid, vbytes, fee_sat, share, generator, prime.";

pub const LIST: &str = "\
Example:
  keyway --home charger lab list

JSON: an array of txid, height, role, peer, share, generator, prime, answer (txid, height, share), agreed.";

pub const KEY: &str = "\
mk, and the paper's session key under the newest block.

Example:
  keyway --home car lab key 4be1 --i-know-this-is-broken

JSON: txid, mk, height, block, sk.";

pub const BREAK: &str = "\
Takes the negotiations of two parties from the chain alone, computes a, b and mk by baby steps and giant steps, and says how long
that took. Any home can do it that has the two cards, which are public, for the blocks since its birthday; one peer alone
stands for this home and the peer.

Example:
  keyway --home car lab break charger
  keyway --home mallory lab break car charger

JSON: an array of txid, height, initiator, responder, share, generator, prime, answer (txid, height, share), a, b, mk,
microseconds, at_height, sk.";

/// What to study.
#[derive(Debug, Subcommand)]
pub enum LabAction {
    /// Pay a peer A, g and p of eight digits
    #[command(after_help = OFFER)]
    Offer(LabOffer),
    /// Pay B back
    #[command(after_help = ANSWER)]
    Answer(LabAnswer),
    /// List such negotiations of this home
    #[command(after_help = LIST)]
    List,
    /// Show the master key and the session key
    #[command(after_help = KEY)]
    Key(LabKey),
    /// Compute others' keys from the chain alone
    #[command(after_help = BREAK)]
    Break(LabBreak),
}

/// `keyway lab offer`
#[derive(Args, Debug)]
pub struct LabOffer {
    /// Whom to pay, by name or the beginning of its name or key
    pub peer: String,
    /// Decimal digits of the numbers, at most: fewer cost less
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(5..=8))]
    pub digits: u32,
    /// Say that you know
    #[arg(long)]
    pub i_know_this_is_broken: bool,
}

/// `keyway lab answer`
#[derive(Args, Debug)]
pub struct LabAnswer {
    /// The offer's transaction, or the beginning of its id
    #[arg(value_name = "TXID")]
    pub offer: String,
    /// Say that you know
    #[arg(long)]
    pub i_know_this_is_broken: bool,
}

/// `keyway lab key`
#[derive(Args, Debug)]
pub struct LabKey {
    /// The offer's transaction, or the beginning of its id
    #[arg(value_name = "TXID")]
    pub offer: String,
    /// Say that you know
    #[arg(long)]
    pub i_know_this_is_broken: bool,
}

/// `keyway lab break`
#[derive(Args, Debug)]
pub struct LabBreak {
    /// One of the two parties, by name or the beginning of its name or key
    pub peer: String,
    /// The other [default: this home]
    #[arg(value_name = "PEER")]
    pub other: Option<String>,
}
