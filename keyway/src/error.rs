//! What can go wrong on the command line: what happened, why, what to do; and the exit codes.

use std::io;
use std::path::PathBuf;

use keyway_ledger::LedgerError;
use keyway_node::{GroupError, NodeError, PeerError, RestoreError, SessionError};
use serde_json::json;
use thiserror::Error;

use crate::amount::grouped;

/// How to take an error (`keyway help exit-codes`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It failed.
    Failed,
    /// The command was not understood.
    Usage,
    /// Nothing is wrong: come back later.
    NotYet,
    /// Refused by the protocol's rules or the party's policy.
    Refused,
    /// The ledger cannot be reached, is in use, is behind, or is another chain.
    Ledger,
}

impl Kind {
    /// The process's exit code.
    pub const fn exit_code(self) -> u8 {
        match self {
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::NotYet => 3,
            Kind::Refused => 4,
            Kind::Ledger => 5,
        }
    }

    /// Its name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Failed => "failed",
            Kind::Usage => "usage",
            Kind::NotYet => "not-yet",
            Kind::Refused => "refused",
            Kind::Ledger => "ledger",
        }
    }
}

impl From<keyway_node::Kind> for Kind {
    fn from(kind: keyway_node::Kind) -> Self {
        match kind {
            keyway_node::Kind::Failed => Kind::Failed,
            keyway_node::Kind::NotYet => Kind::NotYet,
            keyway_node::Kind::Refused => Kind::Refused,
            keyway_node::Kind::Ledger => Kind::Ledger,
        }
    }
}

/// What can go wrong with evidence.
#[derive(Debug, Error)]
pub enum EvidenceFault {
    /// No evidence, or damaged.
    #[error("this is no evidence ({name})\n{0}\nask whoever gave it for the whole file, as it was written", name = .0.name())]
    Malformed(keyway_evidence::Malformed),
    /// It proves nothing.
    #[error("the evidence does not hold ({name})\n{0}\ntake nothing of it for proven", name = .0.name())]
    Refused(Box<keyway_evidence::Refused>),
    /// The home's chain is another one.
    #[error(
        "the evidence is of {evidence}, and this home is on {home}\nits ledger knows nothing of it\nuse --trusted or --headers"
    )]
    OtherChain {
        /// The file's.
        evidence: keyway_chain::ChainId,
        /// The home's.
        home: keyway_chain::ChainId,
    },
    /// The trusted headers are none.
    #[error(
        "the trusted headers are no chain\nnumber {0} is no header, or does not follow the one before\ngive them from the lowest up, 80 bytes each, or one a line in hexadecimal"
    )]
    HeaderChain(u32),
    /// No disclosed key opens it.
    #[error("the message was not opened\n{0}\nask a party to disclose the key of that block and direction")]
    NotOpened(keyway_evidence::NotOpened),
}

/// What can go wrong. The first line of the text says what happened, the last what to do, those between why.
#[derive(Debug, Error)]
pub enum Error {
    /// The party's.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Evidence that is none, or does not hold.
    #[error(transparent)]
    Evidence(#[from] EvidenceFault),
    /// The ledger's.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The embedded ledger does not open.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    Open(#[from] keyway_ledger::embedded::OpenError),
    /// This build lacks the embedded ledger.
    #[cfg(not(feature = "embedded"))]
    #[error("this needs the embedded ledger\nthis build has none\nbuild Keyway with its default features")]
    NoEmbedded,
    /// Only the embedded ledger mines and gives money away.
    #[cfg(feature = "embedded")]
    #[error(
        "this home's ledger is the node at {0}\nonly the embedded ledger can be mined on and gives money away\nsend money to the address that `keyway status --json` shows, and let the node's miners mine"
    )]
    NotEmbedded(String),
    /// There is nothing to serve beside an embedded ledger.
    #[error(
        "this home has no node to follow\nthe embedded ledger moves only when somebody mines on it\nuse `keyway sync`; or make a home beside a node with `keyway init --node URL`"
    )]
    ServeNeedsNode,
    /// The other process does not do this.
    #[error(
        "`keyway serve` has this home open, and does not do this for others\nit follows the chain, answers, and does what works with an open home\nstop it, and start the command again"
    )]
    NotServed,
    /// A file that another process should have read.
    #[error(
        "the command names a file, and nothing came with it\nfiles are read by who asks\nsend its bytes as `input`"
    )]
    NoInput,
    /// The process that serves the home does not answer as it should.
    #[error(
        "`keyway serve` has this home open, and did not answer\n{0}\nlook at its log; what it was asked may have been done"
    )]
    Served(String),
    /// An enforcer that strangers could reach.
    #[cfg(feature = "exponent")]
    #[error(
        "{0} is not an address of this machine alone\nwhat is asked there is not encrypted, and whoever has the cookie can mine and pay\nuse an address like 127.0.0.1:28332, and a tunnel for others"
    )]
    NotLoopback(std::net::SocketAddr),
    /// Two enforcers with one folder.
    #[cfg(feature = "exponent")]
    #[error("{} is in use\nanother enforcer keeps there how far it came\nuse another folder for --data, or end the other", .0.display())]
    EnforcerRuns(PathBuf),
    /// The enforcer's server failed.
    #[cfg(feature = "exponent")]
    #[error("nothing can be answered at {address}\n{what}\nuse another address for --listen")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// What the system said.
        what: String,
    },
    /// A node wants credentials.
    #[error(
        "no way into the node at {0} is known\nits cookie is not where that of a node of this port usually is\nuse --cookie FILE (the file `.cookie` in the node's folder), or --user NAME with --password-file FILE"
    )]
    NoCredentials(String),
    /// Another chain than the node's.
    #[error(
        "the node at {url} is on {found}, not on {expected}\nnothing was made\nleave out --chain to take the node's, or name another node"
    )]
    ChainOfNode {
        /// Its address.
        url: String,
        /// Its chain.
        found: &'static str,
        /// The one asked for.
        expected: &'static str,
    },
    /// A party without a name.
    #[error("the party has no name\nit is part of its identity, and no backup tells it\nsay --name NAME")]
    NoName,
    /// The chain is not so long.
    #[error(
        "there is no block {birthday} yet\nthe chain ends at block {tip}\nname a block below the first in which somebody paid this party"
    )]
    BirthdayAhead {
        /// The height asked for.
        birthday: u32,
        /// The chain's.
        tip: u32,
    },
    /// A pruned node cannot tell what was.
    #[error(
        "the node no longer has the blocks above {birthday}\nit is pruned: of all from there on it has those above {first} only, and what this party did below cannot be found\nuse a node that keeps all blocks; or, if nobody paid this party below, say --birthday {first}"
    )]
    BirthdayPruned {
        /// Where the search was to begin.
        birthday: u32,
        /// Where it could begin.
        first: u32,
    },
    /// A chain that no backend shows.
    #[error(
        "no ledger for {0} is known\nthe embedded ledger is for regtest\nname a node of {0} with --node URL, or use --chain regtest"
    )]
    NoLedgerFor(&'static str),

    /// A secret must come from somewhere, and nobody can be asked.
    #[error("{what}, and there is no terminal to {how}\n{why}\n{instead}")]
    NoTerminal {
        /// Which secret.
        what: &'static str,
        /// Ask for it, or show it.
        how: &'static str,
        /// Why it must be a terminal.
        why: &'static str,
        /// Which option does without a terminal.
        instead: &'static str,
    },
    /// The two passphrases typed at `init` differ.
    #[error("the two passphrases differ\nnothing was made\ntry again")]
    PassphrasesDiffer,
    /// No passphrase at all.
    #[error(
        "the passphrase is empty\nit would protect nothing\nchoose another one; --insecure-no-passphrase is for trying out"
    )]
    PassphraseEmpty,
    /// The home opens with a key file.
    #[error(
        "this home's store opens with a key file\nit was chosen at `keyway init`\npass it with --key-file FILE"
    )]
    KeyFileNeeded,
    /// Not enough in a key file.
    #[error("the key file {} is too short\nit has {found} bytes, at least {least} random ones are needed\nlet `keyway init` make one", path.display())]
    KeyFileShort {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: usize,
        /// The least length.
        least: usize,
    },
    /// Secrets are not data.
    #[error("the master key is not given as JSON\nit is shown on the terminal alone\nleave out --json")]
    RevealAsJson,
    /// The user did not confirm a revocation.
    #[error("nothing was revoked\nthe answer was not yes\ntype yes to revoke, or use --yes")]
    NotRevoked,
    /// The user did not confirm.
    #[error("nothing was shown\nthe answer was not yes\ntype yes to see the key")]
    NotConfirmed,

    /// A file that cannot be read.
    #[error("cannot read {}\n{source}\ngive another file, or - for standard input", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that holds no group.
    #[error("{} holds no group\n{why}\ngive a file with a line `p = HEX` and a line `g = HEX`, as `keyway params generate` writes it", path.display())]
    NoGroup {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// No group in a transaction of the chain.
    #[error(
        "`{prefix}` is no published group\n{why}\n`keyway params list` shows those there are; a file is given by its name"
    )]
    NoSuchGroup {
        /// What was asked for.
        prefix: String,
        /// What is there.
        why: String,
    },
    /// No key of the paper's value channel.
    #[error(
        "there is no key of an offer that begins with `{0}`\nit is not answered, the answer is not mined, or this home has no part in it\n`keyway lab list` shows where they stand"
    )]
    NoStudyKey(String),
    /// More in a file than can be meant.
    #[error("{} is too long\nmore than {} bytes are not read here\ngive the right file", path.display(), grouped(*most))]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The most bytes.
        most: usize,
    },
    /// A file that cannot be written.
    #[error("cannot write {}\n{source}\ngive another place, or make room", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Standard output does not take more.
    #[error("cannot write to standard output\n{0}\nsend the output somewhere else")]
    Stdout(io::Error),
    /// A file that must not be overwritten.
    #[error("{} exists already\nit was not touched\nname a new file", .0.display())]
    Exists(PathBuf),
    /// Neither a card nor a file.
    #[error(
        "`{0}` is neither a card nor a file\na card begins with `keyway-card:`\ngive its whole text, the file it is in, or - for standard input"
    )]
    NeitherCardNorFile(String),
    /// No default for `--home`.
    #[error("no folder for the home is known\nneither XDG_DATA_HOME nor HOME is set\nsay --home DIR")]
    NoDefaultHome,
    /// The system gives no randomness.
    #[error("the system gives no random numbers\n{0}\ntry again on a sound system")]
    Randomness(getrandom::Error),
    /// The key lives on as chain keys only.
    #[error(
        "the master key of {0} is erased\nonly the session keys of the last 100 blocks are kept\nnegotiate anew with `keyway offer` if a master key is needed"
    )]
    MasterKeyErased(String),
    /// Text that is no script.
    #[error("this is no script\n{0}\n`keyway help script` says what a script's text is")]
    Script(keyway_script::asm::AsmError),
    /// Not hexadecimal.
    #[error("{0} is not hexadecimal\ntwo digits are one byte\ngive its bytes in hexadecimal")]
    NotHex(&'static str),
    /// Hexadecimal, but no transaction.
    #[error("this is no transaction\n{0}\ngive all of it, as it is sent")]
    NotTransaction(String),
    /// Not as many outputs as inputs.
    #[error(
        "what the transaction spends is not complete\n{0}\nsay --spends once for each input, in their order"
    )]
    Prevouts(keyway_script::PrevoutsMismatch),
    /// No input at that place.
    #[error("there is no input {index}\nthe transaction has {inputs}, counted from 0\nname one of them")]
    NoSuchInput {
        /// The place asked for.
        index: usize,
        /// How many there are.
        inputs: usize,
    },
    /// The unlocking text does more than push.
    #[error(
        "--unlock has operations other than pushes\nit says what is on the stack at the beginning\nput operations into the script"
    )]
    UnlockNotPushes,
    /// Neither a script nor a transaction.
    #[error("there is nothing to run\nneither a script nor a transaction was given\ngive one of them")]
    NothingToRun,
    /// It ran, and failed.
    #[error("the script fails\n{} ({})\nthe steps show where", .0, .0.name())]
    ScriptFails(keyway_script::ScriptError),
    /// No topic of that name.
    #[error("there is no help for `{0}`\ntopics are: {1}\n`keyway help` lists the commands")]
    NoHelp(String, String),

    /// The faucet of the embedded ledger.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    Faucet(#[from] crate::faucet::FaucetError),
    /// The folder for the demo is taken.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    DemoFolder(#[from] crate::demo::FolderError),
    /// Something in the demo is not as it must be.
    #[cfg(feature = "embedded")]
    #[error("the demo failed: {0}\nthis must never happen\nplease report it, with the demo's folder")]
    DemoBroken(String),
}

impl Error {
    /// How to take it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Node(error) => error.kind().into(),
            Self::Ledger(_)
            | Self::NoCredentials(_)
            | Self::ChainOfNode { .. }
            | Self::BirthdayPruned { .. } => Kind::Ledger,
            Self::Evidence(EvidenceFault::Refused(_)) => Kind::Refused,
            #[cfg(feature = "embedded")]
            Self::Open(_) => Kind::Ledger,
            #[cfg(feature = "embedded")]
            Self::Faucet(error) => error.kind(),
            #[cfg(not(feature = "embedded"))]
            Self::NoEmbedded => Kind::Failed,
            Self::Script(_)
            | Self::NotHex(_)
            | Self::NotTransaction(_)
            | Self::Prevouts(_)
            | Self::NoSuchInput { .. }
            | Self::UnlockNotPushes
            | Self::NothingToRun => Kind::Usage,
            Self::NoHelp(..)
            | Self::NeitherCardNorFile(_)
            | Self::NoLedgerFor(_)
            | Self::NoGroup { .. }
            | Self::BirthdayAhead { .. }
            | Self::RevealAsJson => Kind::Usage,
            _ => Kind::Failed,
        }
    }

    /// What happened; why; what to do.
    pub fn parts(&self) -> Parts {
        let text = self.to_string();
        let mut lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
        let mut what = lines.next().unwrap_or_default().to_owned();
        let mut why: Vec<String> = lines.map(plain_line).collect();
        let todo = why.pop().unwrap_or_else(|| CHECK.to_owned());
        if why.is_empty()
            && let Some((head, cause)) = what.rsplit_once(": ")
        {
            why.push(cause.to_owned());
            what = head.to_owned();
        }
        Parts { what, why, todo }
    }

    /// As one line of JSON.
    pub fn to_json(&self) -> String {
        let Parts { what, why, todo } = self.parts();
        let why = (!why.is_empty()).then(|| why.join("; "));
        json!({ "error": { "kind": self.kind().name(), "what": what, "why": why, "do": todo } }).to_string()
    }

    /// A usage error, which the parser words itself, as one line of JSON.
    pub fn usage_json(text: &str) -> String {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let what = lines.next().unwrap_or_default().trim_start_matches("error: ");
        let rest: Vec<&str> = lines.collect();
        let (todo, why) = rest
            .split_last()
            .map_or((None, None), |(todo, why)| (Some(*todo), (!why.is_empty()).then(|| why.join("; "))));
        json!({ "error": { "kind": Kind::Usage.name(), "what": what, "why": why, "do": todo } }).to_string()
    }
}

impl From<PeerError> for Error {
    fn from(error: PeerError) -> Self {
        Self::Node(error.into())
    }
}

impl From<GroupError> for Error {
    fn from(error: GroupError) -> Self {
        Self::Node(error.into())
    }
}

impl From<SessionError> for Error {
    fn from(error: SessionError) -> Self {
        Self::Node(error.into())
    }
}

impl From<RestoreError> for Error {
    fn from(error: RestoreError) -> Self {
        Self::Node(error.into())
    }
}

/// What to do where nothing better is known.
const CHECK: &str = "check what it names, and try again";

/// The rooms below may end with whole sentences; here each line is one idea without a full stop.
fn plain_line(line: &str) -> String {
    let line = line.strip_suffix('.').unwrap_or(line);
    let mut chars = line.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => {
            std::iter::once(first.to_ascii_lowercase()).chain(chars).collect()
        }
        _ => line.to_owned(),
    }
}

/// An error's text by its parts.
#[derive(Debug, PartialEq, Eq)]
pub struct Parts {
    /// What happened.
    pub what: String,
    /// Why, line by line.
    pub why: Vec<String>,
    /// What to do about it.
    pub todo: String,
}
