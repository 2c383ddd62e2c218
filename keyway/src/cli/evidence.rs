//! What `trace` and `evidence` take, and their worked examples.

use std::path::PathBuf;
use std::str::FromStr;

use bitcoin::BlockHash;
use clap::{Args, Subcommand, ValueHint};
use keyway_chain::Height;

/// `keyway trace`
#[derive(Args, Debug)]
pub struct Trace {
    /// Whose negotiations: a peer by name, a key, a card's text, or a file that holds it [default: all of this party's]
    #[arg(value_name = "PARTY")]
    pub whom: Option<String>,
    /// With whom [default: this party]
    #[arg(value_name = "WITH", requires = "whom")]
    pub with: Option<String>,
    /// The first height of offers [default: the first that this home followed; in a scan, the first of all]
    #[arg(long, value_name = "HEIGHT")]
    pub from: Option<u32>,
    /// The last height of offers [default: the last]
    #[arg(long, value_name = "HEIGHT")]
    pub to: Option<u32>,
    /// Read the ledger's blocks as a stranger would, also where this home followed them
    #[arg(long)]
    pub scan: bool,
}

/// What to do with evidence.
#[derive(Debug, Subcommand)]
pub enum EvidenceAction {
    /// Write the file that proves a negotiation to a third party
    #[command(after_help = EXPORT)]
    Export(EvidenceExport),
    /// Check such a file, without a home or a secret, and say what it proves and what not
    #[command(after_help = VERIFY)]
    Verify(EvidenceVerify),
    /// Print what is inside, unchecked
    #[command(after_help = SHOW)]
    Show(EvidenceShow),
    /// Open a sealed message under a session key that the file discloses
    #[command(after_help = OPEN)]
    Open(EvidenceOpen),
}

/// `keyway evidence export`
#[derive(Args, Debug)]
pub struct EvidenceExport {
    /// The beginning of its id; or a peer's name for the latest with that peer
    pub negotiation: String,
    /// Blocks from the last transaction's up to the last in the file [default: the depth that keys need]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(keyway_evidence::MOST_DEPTH)))]
    pub depth: Option<u32>,
    /// Give away in it: `contents` (this party's sealed message), `fingerprint` (of the key), or
    /// `session:HEIGHT:sent`, `session:HEIGHT:received` (one block's key in one direction)
    #[arg(long, value_name = "WHAT")]
    pub disclose: Vec<Disclose>,
    /// Take over what the peer disclosed in its own file on the same negotiation
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub join: Option<PathBuf>,
    /// Write it into a new FILE instead of to standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
}

/// What is given away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disclose {
    /// This party's sealed message.
    Contents,
    /// The key's fingerprint.
    Fingerprint,
    /// A session key.
    Session {
        /// Whose block it is.
        height: Height,
        /// Whether it is for what this party seals.
        sent: bool,
    },
}

impl FromStr for Disclose {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str =
            "contents, fingerprint, session:HEIGHT:sent or session:HEIGHT:received is needed";
        match text.split(':').collect::<Vec<_>>()[..] {
            ["contents"] => Ok(Self::Contents),
            ["fingerprint"] => Ok(Self::Fingerprint),
            ["session", height, way @ ("sent" | "received")] => {
                let height = height.parse().map(Height::new).map_err(|_| WANTED)?;
                Ok(Self::Session { height, sent: way == "sent" })
            }
            _ => Err(WANTED),
        }
    }
}

/// `keyway evidence verify`
#[derive(Args, Debug)]
pub struct EvidenceVerify {
    /// The file; - for standard input
    #[arg(value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// What its blocks are held to.
    #[command(flatten)]
    pub held_to: HeldTo,
    /// The least depth of its last transaction
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub depth: u32,
}

/// What the blocks of a file are held to.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct HeldTo {
    /// A block that you know to be in the chain, at or above the last transaction, and perhaps its height
    #[arg(long, value_name = "HASH[@HEIGHT]")]
    pub trusted: Option<TrustedBlock>,
    /// A chain of headers that you trust: 80 bytes each, or one a line in hexadecimal; - for standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub headers: Option<PathBuf>,
    /// The ledger of your home
    #[arg(long)]
    pub by_ledger: bool,
    /// Nothing: prove only that the work was done, which on chains for testing is nothing
    #[arg(long)]
    pub by_work: bool,
}

/// A block by its hash, and perhaps its height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedBlock {
    /// Its hash.
    pub hash: BlockHash,
    /// Its height.
    pub height: Option<Height>,
}

impl FromStr for TrustedBlock {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (hash, height) = match text.split_once('@') {
            Some((hash, height)) => (hash, Some(height)),
            None => (text, None),
        };
        let hash = hash.parse().map_err(|_| "a block's hash has 64 hexadecimal digits")?;
        let height = height.map(|height| height.parse().map(Height::new)).transpose();
        Ok(Self { hash, height: height.map_err(|_| "a height is a number")? })
    }
}

/// `keyway evidence show`
#[derive(Args, Debug)]
pub struct EvidenceShow {
    /// The file; - for standard input
    #[arg(value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
}

/// `keyway evidence open`
#[derive(Args, Debug)]
pub struct EvidenceOpen {
    /// The file
    #[arg(value_name = "EVIDENCE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// The sealed message, text or binary; - or nothing for standard input
    #[arg(value_name = "FILE", default_value = "-", value_hint = ValueHint::FilePath)]
    pub message: PathBuf,
    /// The public text that the message was bound to
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub aad: String,
}

pub(super) const TRACE: &str = "\
Every negotiation of two parties that the chain shows: who, when, how, and what became of it. What follows `own` is
known to this home alone; all else anybody can read. Two parties with whom this home has no dealings are found by
reading the ledger's blocks; give --from where you can. A pruned node has no old blocks.

Example:
  keyway --home car trace
  keyway --home car trace charger --from 100
  keyway --home auditor trace car.card charger.card

JSON: as_of_height, from_height, scanned, unreadable, negotiations (each: negotiation, initiator and responder
(key, name), carrier, suite, suites_by_length, price_sat, message_bytes, in_envelope, locked_sat,
timeout_height, offer and ended (txid, height, block, index, time, median_time), ending, why, superseded_by,
coin (each: what, txid, height, block, index, time, median_time, amount_sat, from, to, by), own (role, state,
suite, group (digest, bits, published), fingerprint, confirmed, revoked)). What became of a coin is created,
moved or revoked.";

pub(super) const EVIDENCE: &str = "\
Example:
  keyway --home car evidence export charger -o visit.evidence
  keyway evidence verify visit.evidence --headers headers.hex
  keyway evidence show visit.evidence";

pub(super) const EXPORT: &str = "\
The file holds both cards' permanent parts, both transactions, their way into their blocks, and the headers above
them. It gives nothing away that the chain does not, but for what --disclose names: `contents` opens this party's one
sealed message, and proves what it says; `fingerprint` is this party's signed word for it, and shows the tag key that
proves that both had one; a session key opens every message of that block in that direction.

Example:
  keyway --home car evidence export charger --depth 6 -o visit.evidence
  keyway --home car evidence export 9532309b --disclose contents > car.evidence
  keyway --home charger evidence export car --disclose contents \\
    --disclose fingerprint --join car.evidence -o both.evidence

JSON (with -o): file, bytes, chain, negotiation, initiator, responder, first_height, last_height, last_block,
disclosed.";

pub(super) const VERIFY: &str = "\
Needs neither a home nor a network, unless it is held to your home's ledger. What is proven and what not is said in
sentences. A file that does not hold is refused by name: exit code 4; one that is damaged, 1.

--trusted takes the hash of a block that you trust, with @ and its height if you know that too.

Example:
  keyway evidence verify visit.evidence --headers headers.hex --depth 2
  keyway --home car evidence verify visit.evidence --by-ledger

JSON: holds, chain, held_to, depth, heights_known, work_log2, negotiation, initiator and responder (name, key),
offer and answer (txid, block, height, index, time, median_time, commit), liveness (txid, vout, amount_sat),
spendings (each as offer, and spent_for, from, to, by), coin_sat, price_sat, carrier, suites, transcript,
offer_laid_open, answer_laid_open, tag_proven, fingerprints (initiator, responder), sessions (height, block, by,
sender, key), proven, not_proven. A coin is spent for a move or a revocation, or that is unknown.";

pub(super) const SHOW: &str = "\
Example:
  keyway evidence show visit.evidence

JSON: as of `evidence export`, and coin_sat, offer and answer (txid, height, index, bytes, envelope), spendings (each: txid,
height, index, to).";

pub(super) const OPEN: &str = "\
The message is what it says if the word of the party that disclosed the key is true. Who of the two sealed it is not
proven: both have the key.

Example:
  keyway --home car evidence export charger \\
    --disclose session:104:sent -o visit.evidence
  keyway evidence open visit.evidence message";
