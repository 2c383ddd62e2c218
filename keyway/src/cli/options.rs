//! What each command takes.

#[cfg(feature = "exponent")]
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use bitcoin::{ScriptBuf, TxOut};
use clap::{Args, ValueEnum, ValueHint};
use clap_complete::Shell;
use keyway_chain::Chain;
use keyway_protocol::card::Name;
use keyway_protocol::message::{AnswerForm, Carrier, UnknownCarrier};
use keyway_protocol::suite::Suite;
use keyway_script::{Flags, UnknownFlag};

use crate::amount::Sats;

/// `keyway init`
#[derive(Args, Debug)]
pub struct Init {
    /// What the party calls itself: 1 to 32 of A-Z a-z 0-9 . _ - [default: the backup's]
    #[arg(long, value_name = "NAME", required_unless_present = "backup")]
    pub name: Option<Name>,
    /// The chain [default: the node's; without a node regtest]
    #[arg(long, value_name = "CHAIN", value_parser = Chain::named)]
    pub chain: Option<Chain>,
    /// The embedded ledger's folder; homes that share it share the chain [default: HOME/ledger]
    #[arg(long, value_name = "DIR", conflicts_with = "node", value_hint = ValueHint::DirPath)]
    pub ledger: Option<PathBuf>,
    /// Hold the embedded ledger to the rule of OP_EXPONENT, which the ffdhe suites need over the dynamic carrier
    #[arg(long, conflicts_with = "node")]
    pub enforce_exponent: bool,
    /// See the chain through a full node: http://HOST:PORT of its JSON-RPC
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub node: Option<String>,
    /// How the node lets one in.
    #[command(flatten)]
    pub way_in: WayIn,
    /// Keep the secrets unencrypted: whoever has the home has the identity. For trying out only
    #[arg(long, conflicts_with_all = ["passphrase_file", "key_file"])]
    pub insecure_no_passphrase: bool,
    /// Write the fresh mnemonic into a new FILE instead of showing it on the terminal
    #[arg(long, value_name = "FILE", conflicts_with_all = ["words_from", "restore"], value_hint = ValueHint::FilePath)]
    pub words_to: Option<PathBuf>,
    /// Restore the party of an earlier home; its mnemonic is asked for on the terminal
    #[arg(long)]
    pub restore: bool,
    /// The same, the mnemonic being in FILE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub words_from: Option<PathBuf>,
    /// What `keyway backup` wrote of the earlier home: its name, peers, configuration and birthday come from there
    #[arg(long, value_name = "FILE", conflicts_with = "words_to", value_hint = ValueHint::FilePath)]
    pub backup: Option<PathBuf>,
    /// The last block before the party was there: the chain is followed from it [default: the backup's; else the first]
    #[arg(long, value_name = "HEIGHT", conflicts_with = "words_to")]
    pub birthday: Option<u32>,
}

/// What a node wants before it answers.
#[derive(Args, Clone, Debug)]
pub struct WayIn {
    /// The node's cookie file [default: where nodes of this port have it]
    #[arg(long, value_name = "FILE", requires = "node", conflicts_with = "user", value_hint = ValueHint::FilePath)]
    pub cookie: Option<PathBuf>,
    /// A user of the node
    #[arg(long, value_name = "NAME", requires = "node", requires = "password_file")]
    pub user: Option<String>,
    /// The file whose first line is that user's password
    #[arg(long, value_name = "FILE", requires = "user", value_hint = ValueHint::FilePath)]
    pub password_file: Option<PathBuf>,
}

/// `keyway card`
#[derive(Args, Debug)]
pub struct CardArgs {
    /// Make a new one first, with the next serial, valid for a year
    #[arg(long)]
    pub renew: bool,
}

/// `keyway backup`
#[derive(Args, Debug)]
pub struct BackupArgs {
    /// Where to write it, in the place of an earlier one; - for standard output
    #[arg(value_name = "FILE", default_value = "-", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
}

/// `keyway peer add`
#[derive(Args, Debug)]
pub struct PeerAdd {
    /// The card's text, a file that holds it, or - for standard input
    #[arg(value_name = "CARD|FILE|-")]
    pub card: String,
}

/// `keyway peer remove`
#[derive(Args, Debug)]
pub struct PeerRemove {
    /// The peer, by name or the beginning of its name or key
    pub name: String,
    /// Also if there are negotiations with it, which cannot be read without its card
    #[arg(long)]
    pub force: bool,
}

/// `keyway peer introduce`
#[derive(Args, Debug)]
pub struct PeerIntroduce {
    /// Whom: a peer by name, a card's text, or a file that holds it
    #[arg(value_name = "PEER|CARD|FILE")]
    pub whom: String,
    /// Blocks that the introduction holds [default: a year's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub blocks: Option<u32>,
    /// Take back what was said before
    #[arg(long, conflicts_with = "blocks")]
    pub withdraw: bool,
}

/// `keyway peer import`
#[derive(Args, Debug)]
pub struct PeerImport {
    /// The roster; - for standard input
    #[arg(value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
}

/// `keyway peer revoke`
#[derive(Args, Debug)]
pub struct PeerRevoke {
    /// The peer, by name or the beginning of its name or key
    pub name: String,
    /// Take it back
    #[arg(long)]
    pub undo: bool,
}

/// `keyway fund`
#[derive(Args, Debug)]
pub struct Fund {
    /// How much, in all
    pub amount: Sats,
}

/// `keyway mine`
#[derive(Args, Debug)]
pub struct Mine {
    /// How many blocks
    #[arg(value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub blocks: u32,
}

/// How a negotiation is to run.
#[derive(Args, Clone, Copy, Debug)]
pub struct Terms {
    /// Which key agreement: x25519, x25519-mlkem768 against quantum computers, or one of `keyway help suites` [default:
    /// what the carrier has room for]
    #[arg(long, value_name = "SUITE")]
    pub suite: Option<Suite>,
    /// How the messages ride: value (in the amounts of the payment), static (sealed beside it), or dynamic (beside a
    /// payment that is locked until the offer is answered)
    #[arg(long, value_name = "CARRIER", default_value_t = Carrier::Value)]
    pub carrier: Carrier,
    /// Where an answer over the value carrier rides: in sequence numbers costs nothing more, in amounts is the paper's way
    #[arg(long, value_name = "WHERE", value_enum, default_value_t = AnswerIn::Sequences)]
    pub answer_in: AnswerIn,
    /// Take the suite although the carrier has no room for it at a sensible price
    #[arg(long)]
    pub force: bool,
}

impl Terms {
    /// The suite asked for, or the carrier's.
    pub fn suite(&self) -> Suite {
        self.suite.unwrap_or(Suite::default_over(self.carrier))
    }
}

/// Where the answer rides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AnswerIn {
    /// In the sequence numbers of the inputs that collect the offer's coins
    Sequences,
    /// In amounts paid back
    Amounts,
}

impl From<AnswerIn> for AnswerForm {
    fn from(place: AnswerIn) -> Self {
        match place {
            AnswerIn::Sequences => AnswerForm::Sequences,
            AnswerIn::Amounts => AnswerForm::Amounts,
        }
    }
}

/// `keyway offer`
#[derive(Args, Debug)]
pub struct Offer {
    /// Whom to pay, by name or the beginning of its name or key
    pub peer: String,
    /// What it is paid; fees come on top
    #[arg(long, value_name = "AMOUNT")]
    pub pay: Sats,
    /// How to negotiate.
    #[command(flatten)]
    pub terms: Terms,
    /// Blocks after which a locked payment can go back [default: 144]
    #[arg(long, value_name = "BLOCKS")]
    pub timeout: Option<u32>,
    /// The group of --suite ffdh-custom: a file as `keyway params generate` writes it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub params: Option<PathBuf>,
    /// The group of --suite ffdh-published: the transaction that published it, or the beginning of its id
    #[arg(long, value_name = "TXID", conflicts_with = "params")]
    pub published: Option<String>,
    /// Send nothing: write an unsigned PSBT (BIP174) into a new FILE, or - for standard output. Another wallet funds and
    /// signs it, `keyway submit` takes it back
    #[arg(long, value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    pub psbt: Option<PathBuf>,
}

/// `keyway psbt`
#[derive(Args, Debug)]
pub struct Psbt {
    /// The beginning of its id; or a peer's name for the latest with that peer
    pub negotiation: String,
    /// A new file for it; - or nothing for standard output
    #[arg(value_name = "FILE", default_value = "-", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
}

/// `keyway submit`
#[derive(Args, Debug)]
pub struct Submit {
    /// The PSBT, in base64 or as bytes; - or nothing for standard input
    #[arg(value_name = "FILE", default_value = "-", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
}

/// `keyway cancel`
#[derive(Args, Debug)]
pub struct Cancel {
    /// The beginning of its id; or a peer's name for the latest with that peer
    pub negotiation: String,
}

/// `keyway rotate`
#[derive(Args, Debug)]
pub struct Rotate {
    /// Whose key, by name or the beginning of its name or key
    pub peer: String,
    /// What it is paid [default: as much as for the key that is replaced]
    #[arg(long, value_name = "AMOUNT")]
    pub pay: Option<Sats>,
}

/// `keyway revoke`
#[derive(Args, Debug)]
pub struct Revoke {
    /// The beginning of a negotiation's id; or a peer's name
    #[arg(value_name = "PEER|NEGOTIATION")]
    pub negotiation: String,
    /// Do not ask on the terminal
    #[arg(long)]
    pub yes: bool,
}

/// `keyway cost`
#[derive(Args, Debug)]
pub struct Cost {
    /// What the peer would be paid
    #[arg(long, value_name = "AMOUNT")]
    pub pay: Sats,
    /// How to negotiate.
    #[command(flatten)]
    pub terms: Terms,
    /// Satoshis for each virtual byte
    #[arg(long, value_name = "SAT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub feerate: u32,
    /// The answer puts a liveness coin aside, as with policy.liveness of the responder
    #[arg(long)]
    pub liveness: bool,
    /// The chain
    #[arg(long, value_name = "CHAIN", default_value = "regtest", value_parser = Chain::named)]
    pub chain: Chain,
}

/// `keyway serve`
#[derive(Args, Clone, Copy, Debug)]
pub struct Serve {
    /// How the log is written to standard error
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogAs::Text)]
    pub log: LogAs,
}

/// `keyway enforce`
#[cfg(feature = "exponent")]
#[derive(Args, Debug)]
pub struct Enforce {
    /// The node to stand before: http://HOST:PORT of its JSON-RPC
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub node: String,
    /// How it lets one in.
    #[command(flatten)]
    pub way_in: WayIn,
    /// Where to answer, on this machine
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:28332")]
    pub listen: SocketAddr,
    /// Where to keep how far it came, and the cookie for those who ask
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub data: PathBuf,
    /// How the log is written to standard error
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogAs::Text)]
    pub log: LogAs,
}

/// How a log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogAs {
    /// Lines for people
    Text,
    /// One JSON object per line
    Json,
}

/// `keyway config sample`
#[derive(Args, Debug)]
pub struct ConfigSample {
    /// The chain
    #[arg(long, value_name = "CHAIN", default_value = "bitcoin", value_parser = Chain::named)]
    pub chain: Chain,
}

/// `keyway keys`
#[derive(Args, Debug)]
pub struct Keys {
    /// Show the master key of this negotiation, after asking on the terminal
    #[arg(long, value_name = "NEGOTIATION", conflicts_with = "json")]
    pub reveal: Option<String>,
}

/// `keyway show`
#[derive(Args, Debug)]
pub struct Show {
    /// The beginning of its id; or a peer's name for the latest with that peer
    pub negotiation: String,
}

/// `keyway seal`
#[derive(Args, Debug)]
pub struct Seal {
    /// A peer's name for its active key, or the beginning of a negotiation's id
    #[arg(value_name = "PEER|NEGOTIATION")]
    pub whom: String,
    /// The message; - or nothing for standard input
    #[arg(value_name = "FILE", default_value = "-", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Public text that the message is bound to; the receiver must give the same
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub aad: String,
    /// Write the COSE_Encrypt0 itself instead of a line of text
    #[arg(long)]
    pub binary: bool,
}

/// `keyway open`
#[derive(Args, Debug)]
pub struct Open {
    /// The sealed message, text or binary; - or nothing for standard input
    #[arg(value_name = "FILE", default_value = "-", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// The public text that the message was bound to
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub aad: String,
    /// Open it although it was opened before
    #[arg(long)]
    pub again: bool,
}

/// `keyway demo`
#[derive(Args, Debug)]
pub struct Demo {
    /// What the car pays the charger
    #[arg(long, value_name = "AMOUNT", default_value = "250000sat")]
    pub pay: Sats,
    /// How the messages ride: value, static, dynamic, or all, one after the other
    #[arg(long, value_name = "CARRIER", default_value = "value")]
    pub carrier: Carriers,
    /// Which key agreement: x25519, or x25519-mlkem768 against quantum computers [default: what the carrier has room
    /// for]
    #[arg(long, value_name = "SUITE")]
    pub suite: Option<Suite>,
    /// Where an answer over the value carrier rides: in sequence numbers costs nothing more, in amounts is the
    /// paper's way
    #[arg(long, value_name = "WHERE", value_enum, default_value_t = AnswerIn::Sequences)]
    pub answer_in: AnswerIn,
    /// Take the suite although the carrier has no room for it at a sensible price
    #[arg(long)]
    pub force: bool,
    /// Replace the folder of an earlier demo
    #[arg(long)]
    pub fresh: bool,
}

#[cfg(feature = "embedded")]
impl Demo {
    /// How to negotiate, one run after the other: with `all`, over every carrier, and over the dynamic one once more
    /// with the lock of the paper.
    pub fn runs(&self) -> impl Iterator<Item = Terms> {
        let by_exponent = self.carrier.0.len() > 1 && !self.suite.is_some_and(Suite::locks_by_exponent);
        let paper = by_exponent.then_some((Carrier::Dynamic, Some(Suite::Ffdhe2048)));
        let runs = self.carrier.0.iter().map(|carrier| (*carrier, self.suite)).chain(paper);
        let (answer_in, force) = (self.answer_in, self.force);
        runs.map(move |(carrier, suite)| Terms { suite, carrier, answer_in, force })
    }
}

/// One carrier, or all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carriers(pub Vec<Carrier>);

impl FromStr for Carriers {
    type Err = UnknownCarrier;

    fn from_str(name: &str) -> Result<Self, UnknownCarrier> {
        if name == "all" {
            Ok(Self(Carrier::ALL.to_vec()))
        } else {
            name.parse().map(|carrier| Self(vec![carrier]))
        }
    }
}

/// `keyway completions`
#[derive(Args, Debug)]
pub struct Completions {
    /// Which shell
    pub shell: Shell,
}

/// `keyway man`
#[derive(Args, Debug)]
pub struct Man {
    /// Write one page per command into this folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
}

/// `keyway help`
#[derive(Args, Debug)]
pub struct Help {
    /// A command, as it is typed, or a topic: exit-codes, amounts, suites
    pub topic: Vec<String>,
}

/// `keyway script asm`
#[derive(Args, Debug)]
pub struct ScriptAsm {
    /// The script as text
    #[arg(value_name = "TEXT", allow_hyphen_values = true)]
    pub script: String,
}

/// `keyway script disasm`
#[derive(Args, Debug)]
pub struct ScriptDisasm {
    /// The script's bytes, in hexadecimal
    #[arg(value_name = "HEX")]
    pub script: String,
}

/// `keyway script run`
#[derive(Args, Debug)]
pub struct ScriptRun {
    /// The script as text
    #[arg(
        value_name = "TEXT",
        allow_hyphen_values = true,
        conflicts_with = "tx",
        required_unless_present = "tx"
    )]
    pub script: Option<String>,
    /// What is on the stack when it starts, as a script of pushes; the last is the top
    #[arg(long, value_name = "TEXT", default_value = "", allow_hyphen_values = true, conflicts_with = "tx")]
    pub unlock: String,
    /// By which rules it runs
    #[arg(long = "as", value_name = "RULES", value_enum, default_value_t = ScriptAs::Tapscript, conflicts_with = "tx")]
    pub script_as: ScriptAs,
    /// A transaction in hexadecimal, or @FILE that holds it
    #[arg(long, value_name = "HEX|@FILE", requires = "spends")]
    pub tx: Option<String>,
    /// Which of its inputs, counted from 0
    #[arg(long, value_name = "N", default_value_t = 0, requires = "tx")]
    pub input: usize,
    /// What an input spends: once for each input, in their order
    #[arg(long, value_name = "AMOUNT:HEX", requires = "tx")]
    pub spends: Vec<SpentOutput>,
    /// Rules by Bitcoin Core's names, with commas; CONSENSUS and STANDARD stand for those of blocks and nodes
    #[arg(long, value_name = "FLAGS", default_value_t = ScriptFlags::default())]
    pub flags: ScriptFlags,
}

/// By which rules a script runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScriptAs {
    /// As the script of an output before segwit
    Legacy,
    /// As what a segwit output of version 0 commits to
    Segwit,
    /// As a leaf of a taproot output
    Tapscript,
}

/// An amount, a colon, and a script in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpentOutput(pub TxOut);

impl FromStr for SpentOutput {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (amount, script) = text.split_once(':').ok_or("an amount, a colon, and a script are needed")?;
        let value = amount.parse::<Sats>().map_err(|error| error.to_string())?.0;
        let script = ScriptBuf::from_hex(script).map_err(|_| "the script is not hexadecimal")?;
        Ok(Self(TxOut { value, script_pubkey: script }))
    }
}

/// A set of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptFlags(pub Flags);

impl Default for ScriptFlags {
    fn default() -> Self {
        #[cfg(feature = "exponent")]
        return Self(Flags::CONSENSUS | Flags::EXPONENT);
        #[cfg(not(feature = "exponent"))]
        return Self(Flags::CONSENSUS);
    }
}

impl std::fmt::Display for ScriptFlags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rest = self.0 - Flags::CONSENSUS;
        let whole = self.0.has(Flags::CONSENSUS);
        match (whole, rest == Flags::NONE) {
            (true, true) => f.write_str("CONSENSUS"),
            (true, false) => write!(f, "CONSENSUS,{rest}"),
            (false, _) => self.0.fmt(f),
        }
    }
}

impl FromStr for ScriptFlags {
    type Err = UnknownFlag;

    fn from_str(text: &str) -> Result<Self, UnknownFlag> {
        let one = |word: &str| match word.trim() {
            "CONSENSUS" => Ok(Flags::CONSENSUS),
            "STANDARD" => Ok(Flags::STANDARD),
            word => word.parse(),
        };
        let all = text.split(',').try_fold(Flags::NONE, |all, word| Ok(all | one(word)?))?;
        Ok(Self(all))
    }
}
