//! The arguments.

mod evidence;
mod help;
pub mod lab;
mod options;
pub mod params;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

pub use evidence::*;
pub use help::TOPICS;
pub use options::*;

/// Two parties who pay each other agree, inside those payments, on a key.
///
/// The offer of a key agreement rides in a payment; whoever is paid collects the coins and answers in that
/// same transaction. Both then hold a key that nobody else has, with a public, dated record and no key
/// server, and session keys that change with every block.
#[derive(Debug, Parser)]
#[command(name = "keyway", version, disable_help_subcommand = true, after_help = help::KEYWAY)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Args, Debug)]
pub struct Global {
    /// The party's folder [default: $XDG_DATA_HOME/keyway, or ~/.local/share/keyway]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub home: Option<PathBuf>,
    /// Data and errors as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Read the passphrase from the first line of FILE; without it the terminal is asked
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "key_file", value_hint = ValueHint::FilePath)]
    pub passphrase_file: Option<PathBuf>,
    /// Open the store with this key file, of at least 32 random bytes
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key_file: Option<PathBuf>,
    /// Colour in the output
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = ColorWhen::Auto)]
    pub color: ColorWhen,
    /// Say nothing but data and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Even into a pipe
    Always,
    /// Never
    Never,
}

impl ColorWhen {
    /// The value of that name.
    pub fn named(name: &str) -> Option<Self> {
        <Self as ValueEnum>::from_str(name, false).ok()
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a home: identity, encrypted store, configuration; or restore a lost one
    #[command(after_help = help::INIT)]
    Init(Init),
    /// Print the card: the public identity that a peer needs, one line of text
    #[command(after_help = help::CARD)]
    Card(CardArgs),
    /// Write down what restoring takes beside the mnemonic and the chain: peers, configuration, facts. No secrets
    #[command(after_help = help::BACKUP)]
    Backup(BackupArgs),
    /// Accept, introduce, revoke and forget others
    #[command(after_help = help::PEER, subcommand_required = true)]
    Peer {
        /// What to do with peers.
        #[command(subcommand)]
        action: PeerAction,
    },
    /// Get money from the embedded ledger's faucet, in at least four coins
    #[command(after_help = help::FUND)]
    Fund(Fund),
    /// Mine blocks on the embedded ledger
    #[command(after_help = help::MINE)]
    Mine(Mine),
    /// Pay a peer, with the offer of a key in the payment
    #[command(after_help = help::OFFER)]
    Offer(Offer),
    /// Print the PSBT of an offer that waits for another wallet, once more
    #[command(after_help = help::PSBT)]
    Psbt(Psbt),
    /// Take a prepared offer's PSBT back, funded and signed by another wallet; sign it, and send the offer
    #[command(after_help = help::SUBMIT)]
    Submit(Submit),
    /// Give up an offer that is not mined
    #[command(after_help = help::CANCEL)]
    Cancel(Cancel),
    /// Replace the key with a peer by a new one, on the same terms
    #[command(after_help = help::ROTATE)]
    Rotate(Rotate),
    /// Revoke the keys with a peer for all to see, by spending the coin that they live by
    #[command(after_help = help::REVOKE)]
    Revoke(Revoke),
    /// Groups for Diffie-Hellman: make, check, publish and list them
    #[command(after_help = params::HELP, subcommand_required = true)]
    Params {
        /// What to do with groups.
        #[command(subcommand)]
        action: params::ParamsAction,
    },
    /// The paper's eight digits to the letter, for study, and how they break
    #[command(after_help = lab::HELP, subcommand_required = true)]
    Lab {
        /// What to study.
        #[command(subcommand)]
        action: lab::LabAction,
    },
    /// Say what negotiating would cost, before anything is paid
    #[command(after_help = help::COST)]
    Cost(Cost),
    /// Follow the chain: see what came, answer offers as the policy says
    #[command(after_help = help::SYNC)]
    Sync,
    /// Run by itself: follow the node, answer, raise fees, and do what other commands and programs ask
    #[command(after_help = help::SERVE)]
    Serve(Serve),
    /// Hold a node to the rule of OP_EXPONENT, and stand before it for those who pay and mine
    #[cfg(feature = "exponent")]
    #[command(after_help = help::ENFORCE)]
    Enforce(Enforce),
    /// List the keys by their fingerprints
    #[command(after_help = help::KEYS)]
    Keys(Keys),
    /// Show one negotiation: who, which transactions, what it cost, where it stands
    #[command(after_help = help::SHOW)]
    Show(Show),
    /// List the negotiations that the chain shows: this party's, or those of any two
    #[command(after_help = evidence::TRACE)]
    Trace(Trace),
    /// Files that prove a negotiation to third parties
    #[command(after_help = evidence::EVIDENCE, subcommand_required = true)]
    Evidence {
        /// What to do with them.
        #[command(subcommand)]
        action: EvidenceAction,
    },
    /// Seal a message under the session key of the newest block
    #[command(after_help = help::SEAL)]
    Seal(Seal),
    /// Open a sealed message
    #[command(after_help = help::OPEN)]
    Open(Open),
    /// The party at a glance
    #[command(after_help = help::STATUS)]
    Status,
    /// Look at the configuration
    #[command(after_help = help::CONFIG, subcommand_required = true)]
    Config {
        /// What to do with the configuration.
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Scripts as text, and step by step
    #[command(after_help = help::SCRIPT, subcommand_required = true)]
    Script {
        /// What to do with scripts.
        #[command(subcommand)]
        action: ScriptAction,
    },
    /// See it all: two parties, a payment, one key, sealed messages, an eavesdropper who fails
    #[command(after_help = help::DEMO)]
    Demo(Demo),
    /// Print completions for a shell
    #[command(after_help = help::COMPLETIONS)]
    Completions(Completions),
    /// Print the manual, or write all its pages into a folder
    #[command(after_help = help::MAN)]
    Man(Man),
    /// Explain a command, or a topic: exit-codes, amounts, suites
    #[command(after_help = help::HELP)]
    Help(Help),
}

/// What to do with peers.
#[derive(Debug, Subcommand)]
pub enum PeerAction {
    /// Accept a card, or a newer card of a known peer
    #[command(after_help = help::PEER_ADD)]
    Add(PeerAdd),
    /// List the accepted cards
    #[command(after_help = help::PEER_LIST)]
    List,
    /// Forget a card
    #[command(after_help = help::PEER_REMOVE)]
    Remove(PeerRemove),
    /// Vouch for a party, in one signed line of text; or take that back
    #[command(after_help = help::PEER_INTRODUCE)]
    Introduce(PeerIntroduce),
    /// Take a fleet's cards and introductions from a roster
    #[command(after_help = help::PEER_IMPORT)]
    Import(PeerImport),
    /// Deal with a peer no more
    #[command(after_help = help::PEER_REVOKE)]
    Revoke(PeerRevoke),
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigAction {
    /// Say what is in force, and why
    #[command(after_help = help::CONFIG_CHECK)]
    Check,
    /// Print a configuration with every setting explained
    #[command(after_help = help::CONFIG_SAMPLE)]
    Sample(ConfigSample),
}

/// What to do with scripts.
#[derive(Debug, Subcommand)]
pub enum ScriptAction {
    /// Turn a script's text into its bytes
    #[command(after_help = help::SCRIPT_ASM)]
    Asm(ScriptAsm),
    /// Turn a script's bytes into its text
    #[command(after_help = help::SCRIPT_DISASM)]
    Disasm(ScriptDisasm),
    /// Run a script, or what an input of a transaction runs, and show each step
    #[command(after_help = help::SCRIPT_RUN)]
    Run(ScriptRun),
}
