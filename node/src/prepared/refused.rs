//! Why a funded PSBT is not taken: what differs, why that matters, and what to do.

use bitcoin::{Amount, FeeRate, Sequence, Txid};
use thiserror::Error;

/// The most bytes of a PSBT: a transaction that nodes relay, with what its inputs spend.
pub const MOST_PSBT_BYTES: usize = 4 << 20;

/// Why a PSBT is refused. Nothing was signed, and the offer it was made for waits as before. Inputs and outputs count
/// from 0.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PsbtRefused {
    /// Too many bytes to look at.
    #[error(
        "the PSBT is too long\nmore than {MOST_PSBT_BYTES} bytes are not read\nsend it without what signing does not need"
    )]
    TooLong,
    /// Not BIP174.
    #[error("this is no PSBT\n{0}\ngive it whole, as BIP174 has it: version 0, in base64 or as bytes")]
    Unreadable(String),
    /// BIP370.
    #[error(
        "the PSBT has version 2\nthe home writes and reads version 0 (BIP174)\nhave the wallet export it as version 0"
    )]
    VersionTwo,
    /// For no offer of this home that waits.
    #[error(
        "the PSBT belongs to no prepared offer of this home\nits input 0 must spend the coin that the home lent\nprepare an offer with `keyway offer --psbt`, and give its PSBT to the wallet"
    )]
    NotPrepared,
    /// The offer it was made for was given up.
    #[error(
        "the offer of this PSBT was given up\nits coin is free again, and its secret is erased\nprepare another with `keyway offer --psbt`"
    )]
    GivenUp,
    /// Another version went out.
    #[error(
        "another version of this offer was sent already: {0}\nan offer is submitted once\nnothing needs doing; `keyway cancel` takes one back that is not mined"
    )]
    OtherSent(Txid),
    /// The lent coin is elsewhere among the inputs.
    #[error(
        "the home's coin is in input {0}\nit must be in input 0, for that input says who makes the offer\nhave the wallet put its own inputs behind it"
    )]
    CoinElsewhere(usize),
    /// The lent coin is spent.
    #[error(
        "the home's coin in input 0 is spent already\n{0} spends it in the chain\nprepare another offer with `keyway offer --psbt`"
    )]
    CoinSpent(Txid),
    /// A reorganisation took the lent coin.
    #[error(
        "the home's coin in input 0 is not in the chain\nan offer begins with a confirmed coin, and a reorganisation took this one\nsubmit it again when it is mined anew"
    )]
    CoinUnmined,
    /// The transaction's version.
    #[error(
        "the transaction's version is {found} instead of {expected}\neverything that the home wrote must stay as it is\nfund and sign the PSBT without changing it"
    )]
    Version {
        /// Now.
        found: i32,
        /// As it was prepared.
        expected: i32,
    },
    /// nLockTime.
    #[error(
        "the transaction's nLockTime is {found} instead of {expected}\nthe message may repeat it, so it must stay as it is\nfund and sign the PSBT without changing it"
    )]
    LockTime {
        /// Now.
        found: u32,
        /// As it was prepared.
        expected: u32,
    },
    /// nSequence of input 0.
    #[error("the sequence number of input 0 is {:#x} instead of {:#x}\neverything that the home wrote must stay as it is\nfund and sign the PSBT without changing it", .found.0, .expected.0)]
    Sequence {
        /// Now.
        found: Sequence,
        /// As it was prepared.
        expected: Sequence,
    },
    /// An output of the home's is gone.
    #[error(
        "output {index} is missing\nthe home wrote {of} outputs, which carry the offer and return its coin\nfund and sign the PSBT without changing them"
    )]
    OutputMissing {
        /// Its place.
        index: usize,
        /// How many there were.
        of: usize,
    },
    /// An output of the home's pays another amount.
    #[error("output {index} pays {} sat instead of {} sat\nthe amounts of the home's outputs are the offer\nfund and sign the PSBT without changing them; change goes behind output {last}", .found.to_sat(), .expected.to_sat())]
    OutputAmount {
        /// Its place.
        index: usize,
        /// Now.
        found: Amount,
        /// As it was prepared.
        expected: Amount,
        /// The home's last output.
        last: usize,
    },
    /// An output of the home's pays somebody else, or comes in another place.
    #[error(
        "output {index} pays another script than the home wrote there\nthe home's outputs must stay in their places, with nothing between them\nhave the wallet put its own outputs behind output {last}, without shuffling"
    )]
    OutputScript {
        /// Its place.
        index: usize,
        /// The home's last output.
        last: usize,
    },
    /// A further output that the peer would take for a part of the offer.
    #[error(
        "output {0} pays the peer beside the offer\nthe peer would not find the offer in it: its outputs are all that go there\nleave that output out"
    )]
    PaysPeer(usize),
    /// A further data output.
    #[error(
        "output {0} holds data (OP_RETURN)\na reader takes it for a message, and would not find the offer\nleave that output out"
    )]
    DataOutput(usize),
    /// A further output that looks like a lock.
    #[error(
        "output {0} pays to a script of the form of a locked payment (P2WSH or P2TR)\nover the static and the dynamic carrier a reader takes it for one, and would not find the offer\nhave the change paid to a P2WPKH address, or use the value carrier"
    )]
    LooksLocked(usize),
    /// A further input that looks like a message.
    #[error(
        "input {0} shows a script of the form of a message's envelope\na reader takes it for one, and would not find the offer\nfund the offer from another coin"
    )]
    LooksEnveloped(usize),
    /// Nobody funded it.
    #[error(
        "the PSBT has no input but the home's\nthe home lends its coin and gets it back; the price comes from another wallet\nhave a wallet add its inputs and its change, and sign them"
    )]
    NotFunded,
    /// More than nodes relay.
    #[error(
        "the transaction weighs {0} weight units\nnodes relay at most 400000\nfund the offer from fewer coins"
    )]
    TooHeavy(u64),
    /// Not signed to the end.
    #[error(
        "input {0} is not signed and finalised\nthe home signs last, when all else is complete\nhave the wallet sign and finalise it"
    )]
    NotFinal(usize),
    /// A coin of the home's that it did not lend.
    #[error(
        "input {0} spends another coin of this home\nit lends one for input 0, and signs no other\nfund the offer from the other wallet's coins"
    )]
    OwnCoin(usize),
    /// Not segwit.
    #[error(
        "input {0} spends a coin whose signature is part of the txid\nwhoever relays it could change the txid on the way (BIP66, BIP141), and what rests on the offer would hang in the air\nfund the offer from segwit coins: P2WPKH, P2WSH, P2TR, or those in P2SH"
    )]
    Malleable(usize),
    /// A coin that anybody may spend, or that this program does not know.
    #[error(
        "input {0} spends a coin of a witness version that is not known here\nanybody may be able to spend it\nfund the offer from P2WPKH, P2WSH or P2TR coins"
    )]
    UnknownWitness(usize),
    /// A signature that commits to less than everything.
    #[error(
        "a signature in input {0} commits to a part of the transaction only\nwhoever sees it could use it in another one\nsign with SIGHASH_ALL (for P2TR also SIGHASH_DEFAULT)"
    )]
    Sighash(usize),
    /// What an input spends is not there.
    #[error(
        "the coin of input {0} does not exist, or is spent\nthe ledger does not know it as unspent\nfund the offer anew, from coins that are there"
    )]
    NoCoin(usize),
    /// What an input spends is something else.
    #[error(
        "the coin of input {0} is not what the PSBT says\nthe ledger shows another amount or script\nfund the offer anew with a wallet that knows its coins"
    )]
    OtherCoin(usize),
    /// Less comes in than goes out.
    #[error("the inputs hold {} sat less than the outputs pay\nthe price and the miners' fee come from the other wallet\nhave it add more", .0.to_sat())]
    Short(Amount),
    /// Nodes would not relay it.
    #[error("the fee is too low: {} sat for {vbytes} vB\nnodes relay {} sat/vB at least\nfund the offer with a higher fee; input 0 will weigh 272 weight units", fee.to_sat(), least.to_sat_per_vb_ceil())]
    FeeLow {
        /// Its fee.
        fee: Amount,
        /// Its size.
        vbytes: u64,
        /// The least.
        least: FeeRate,
    },
    /// The ledger asks for more than nodes usually do.
    #[error("the fee is too low for the ledger: {} sat\n{why}\nfund the offer with a higher fee; input 0 will weigh 272 weight units", fee.to_sat())]
    FeeLowForLedger {
        /// Its fee.
        fee: Amount,
        /// What the ledger says.
        why: String,
    },
    /// More than the configuration allows.
    #[error("the fee is too high: {} sat for {vbytes} vB\nfees.ceiling_sat_per_vb in the configuration is {}\nfund the offer with a lower fee, or raise the ceiling", fee.to_sat(), most.to_sat_per_vb_floor())]
    FeeHigh {
        /// Its fee.
        fee: Amount,
        /// Its size.
        vbytes: u64,
        /// The most.
        most: FeeRate,
    },
    /// The payment could go back before it is answered.
    #[error(
        "there is too little time left for an answer\nthe payment can go back after block {timeout}, and the peer needs {least} blocks\n`keyway cancel` it, and prepare another"
    )]
    TooLate {
        /// When it can go back.
        timeout: u32,
        /// The fewest.
        least: u32,
    },
    /// The assembled transaction is not read as the offer.
    #[error(
        "the transaction would not be read as the offer\nsomething that the other wallet added is taken for a part of the message\nfund the offer from P2WPKH coins, with its change to a P2WPKH address"
    )]
    NotRead,
}
