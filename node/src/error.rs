//! What can go wrong for one party: what happened, why, and what to do.

use std::fmt::Display;
use std::path::PathBuf;

use bitcoin::consensus::encode;
use bitcoin::{Amount, Txid};
use keyway_carriers::value;
use keyway_chain::{ChainId, Depth, Height};
use keyway_ledger::{BroadcastError, LedgerError, RefusalKind};
use keyway_protocol::card::{CardError, CardRefused, Name};
use keyway_protocol::identity::PartyKey;
use keyway_protocol::introduction::IntroductionError;
use keyway_protocol::message::{Carrier, Refusal};
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::ratchet::NoSession;
use keyway_protocol::sealing::{OpenError, SealError, SealedError};
use keyway_protocol::state::State;
use keyway_protocol::suite::{BadGroup, Suite};
use thiserror::Error;

use crate::backup::BackupError;
use crate::party::EvidenceError;
use crate::peers::Standing;
use crate::prepared::PsbtRefused;

/// How a caller should take an error; the command line's exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It failed.
    Failed,
    /// Nothing is wrong: come back later.
    NotYet,
    /// Refused by this protocol's rules or the party's policy.
    Refused,
    /// The ledger cannot be reached, is behind, or is another chain.
    Ledger,
}

/// What can go wrong. The first line of the text says what happened, the lines after it why and what
/// to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NodeError {
    /// A file for third parties cannot be made.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// There is no home in the folder.
    #[error("{} is not a Keyway home\nit has no {}\ncreate one with `keyway --home {} init`", .0.display(), crate::home::STORE_FILE, .0.display())]
    NoHome(PathBuf),
    /// There is one already.
    #[error("{} is already a Keyway home\nnothing was changed\nchoose another folder; a restore that was interrupted goes on with `keyway sync`", .0.display())]
    HomeExists(PathBuf),
    /// Another process holds the home.
    #[error("{} is in use by another process\nonly one may work with a home at a time\nwait for it, or stop it", .0.display())]
    HomeLocked(PathBuf),
    /// The passphrase or key file is not the one the store was made with.
    #[error(
        "wrong {0}\nit does not open this home's store\ntry again; without it only the mnemonic can restore the identity"
    )]
    WrongUnlock(&'static str),
    /// The store wants another way to be opened.
    #[error(
        "this home's store opens with {wanted}, not with {given}\nit was chosen at `keyway init`\n{}",
        unlock_advice(wanted)
    )]
    OtherUnlock {
        /// What was given.
        given: &'static str,
        /// What the store was made with.
        wanted: &'static str,
    },
    /// The store is damaged.
    #[error("the store {} is damaged: {what}\nnothing was changed\nput back a copy of the file, or restore from the mnemonic into a new home", path.display())]
    StoreDamaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The store was written by a newer program.
    #[error("the store {} has format {found}, this program knows format {known}\na newer program wrote it\nupdate this one", path.display())]
    StoreNewer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The format of this program.
        known: i64,
    },
    /// The store was written by an older program, which kept less.
    #[error("the store {} has format {found}, this program knows format {known}\nan older program wrote it, without prekeys\nrestore from the mnemonic into a new home", path.display())]
    StoreOlder {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The format of this program.
        known: i64,
    },
    /// No space is left for the store.
    #[error("no space left to write {}\nnothing was lost, and nothing was sent\nfree some space and try again", .0.display())]
    DiskFull(PathBuf),
    /// The store cannot be written.
    #[error("the store {} can only be read\nits file or its file system cannot be written, or its head was damaged\nnothing was changed; make it writable, or put back a copy of the file", .0.display())]
    StoreReadOnly(PathBuf),
    /// Another failure of the store.
    #[error("the store {} failed\n{source}\ncheck the disk and try again; what was stored before is safe", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A step of the store failed, and it could not be read again since.
    #[error("what the store {} holds is not certain\nwriting to it failed, and so did reading it since\ncheck the disk and try again; what was stored before is safe", .0.display())]
    Doubtful(PathBuf),
    /// A failure of the file system.
    #[error("cannot {action} {}\n{source}\n{}", path.display(), io_advice(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The configuration cannot be read.
    #[error("the configuration {} is wrong\n{what}\ncorrect the file, and look at it with `keyway config check`", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column where known.
        what: String,
    },
    /// The words are no mnemonic.
    #[error(
        "these words are no mnemonic\n{0}\ngive the 12 or 24 English words, in their order, with spaces between"
    )]
    Mnemonic(bip39::Error),
    /// The system gives no randomness.
    #[error("the system gives no random numbers\n{0}\ntry again on a sound system")]
    Randomness(getrandom::Error),

    /// The ledger's fault.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The ledger shows another chain than the home is for.
    #[error(
        "this home is for {home}, the ledger shows {ledger}\nnothing was changed\npoint the home's configuration to a ledger of {home}"
    )]
    OtherChain {
        /// The home's.
        home: ChainId,
        /// The ledger's.
        ledger: ChainId,
    },
    /// The ledger refused a transaction.
    #[error("the {what} was not sent\n{}", broadcast_text(source))]
    Broadcast {
        /// Offer, answer or split.
        what: &'static str,
        /// Why.
        source: BroadcastError,
    },

    /// The text is no card.
    #[error("the card cannot be accepted\n{}", explained(.0, unreadable_card_advice(.0)))]
    Card(#[from] CardError),
    /// The card is not accepted.
    #[error("the card is refused\n{}", explained(.0, card_advice(.0)))]
    CardRefused(#[from] CardRefused),
    /// No peer of that name.
    #[error("no peer is called `{name}`\nknown are: {known}\nadd its card with `keyway peer add`")]
    UnknownPeer {
        /// What was asked for.
        name: String,
        /// The peers there are.
        known: String,
    },
    /// Several things begin so.
    #[error("`{prefix}` is ambiguous\nit may mean: {candidates}\ngive more characters")]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// What it may mean.
        candidates: String,
    },
    /// No negotiation of that id or peer.
    #[error("no negotiation matches `{0}`\n`keyway keys` lists them\nrun `keyway sync` first if it is new")]
    UnknownNegotiation(String),
    /// A peer with keys in use is not removed by accident.
    #[error(
        "the peer {0} has negotiations in this home\nremoving its card would leave them unreadable\nuse --force if that is meant"
    )]
    PeerInUse(String),

    /// There is nothing to spend.
    #[error(
        "this pair has no liveness coin: none of its answers created one, or it was spent before they were answered\nkeys without one cannot be revoked on the chain; policy.liveness of the responder's configuration has an answer create one\nuse `keyway peer revoke {0}`: then this home neither seals for it nor opens what it sealed"
    )]
    NoLivenessCoin(String),
    /// A peer that was revoked, or for whom no introduction holds.
    #[error("{peer} is not dealt with\n{}", standing_advice(peer, standing))]
    NotDealtWith {
        /// The peer's name.
        peer: Name,
        /// How this party stands to it.
        standing: Standing,
    },
    /// A revoked peer is not forgotten.
    #[error(
        "{0} is revoked, and its card is kept\na roster that lists it would bring it back\n`keyway peer revoke --undo {0}` comes first if it shall be forgotten"
    )]
    RevokedPeerKept(Name),
    /// The text is no introduction.
    #[error("the introduction cannot be read\n{0}\nask for it again, whole")]
    Introduction(#[from] IntroductionError),

    /// The peer says that it does not answer so.
    #[error(
        "{peer} does not answer suite {suite} over carrier {carrier}\nits card says so\nask it for a card that lists them, or choose others"
    )]
    PeerRefuses {
        /// The peer's name.
        peer: String,
        /// The suite asked for.
        suite: Suite,
        /// The carrier asked for.
        carrier: Carrier,
    },
    /// The peer's card has no prekey that an offer can be made to now.
    #[error(
        "{peer} has no prekey for {suite} that is still good\nthe dynamic carrier locks the payment to one, and its card shows none for the blocks to come\nchoose suite x25519-mlkem768 or x25519, or ask it for a new card: `keyway card --renew`"
    )]
    NoPrekey {
        /// The peer's name.
        peer: String,
        /// The suite asked for.
        suite: Suite,
    },
    /// An offer whose payment OP_EXPONENT locks, on a ledger where nobody enforces it.
    #[error(
        "nobody here enforces OP_EXPONENT\nover the dynamic carrier {suite} locks the payment with that opcode, and where it is not enforced anybody can take the payment\nuse --suite x25519-mlkem768 or x25519, which lock it on every chain; or a ledger that enforces it: enforce_exponent = true for the embedded one, `keyway enforce` before a node"
    )]
    NotEnforced {
        /// The suite asked for.
        suite: Suite,
    },
    /// A suite that brings its group, without one.
    #[error(
        "{suite} needs a group, and none was given\nits modulus and generator come from a file, or from a transaction that published them\n{}", group_advice(*suite)
    )]
    GroupMissing {
        /// The suite asked for.
        suite: Suite,
    },
    /// A group for a suite that has its own.
    #[error(
        "{suite} has a group of its own\nanother one was given with it\nleave that out, or use --suite ffdh-custom"
    )]
    GroupNotWanted {
        /// The suite asked for.
        suite: Suite,
    },
    /// The group must not be used.
    #[error("the group must not be used\n{0}\nmake one with `keyway params generate`, or use another suite")]
    BadGroup(#[from] BadGroup),
    /// The paper's eight digits where coins have a price.
    #[error(
        "the paper's eight digits are not for {0}\nwhoever reads the chain has the key in a moment, and the coins have a price here\nuse regtest, a signet or a testnet, for study"
    )]
    StudyOnMain(&'static str),
    /// The paper's eight digits, and nobody said that they are known to be broken.
    #[error(
        "the paper's eight digits protect nothing\na prime of 27 bits at the most falls in a moment: `keyway lab break` shows it\nfor study say --i-know-this-is-broken; for keys use `keyway offer`"
    )]
    StudyUnsaid,
    /// No offer of that kind to answer.
    #[error(
        "no offer by the paper's value channel to this home begins with `{0}`\nit must be mined, and not answered yet\nrun `keyway sync`, then `keyway lab list`"
    )]
    NoStudy(String),
    /// Answered, and not mined yet.
    #[error(
        "the offer {0} is answered already\nthe answer waits to be mined\nrun `keyway sync` after the next block"
    )]
    StudyAnswered(Txid),
    /// Every answer would be dust.
    #[error(
        "the offer's numbers leave no share to answer with\nevery power of its generator is below what nodes relay as an output\nask the payer for another offer"
    )]
    StudyTooSmall,
    /// No published group of that id.
    #[error(
        "no published group that may be used begins with `{0}`\nthose of this home and of the peers in policy.groups_from are\n`keyway params list` shows all that the chain has; run `keyway sync` first if it is new"
    )]
    UnknownGroup(String),
    /// A published group that an offer cannot name yet.
    #[error(
        "not yet: the group of {txid} has depth {has} of {wants}\nan offer may name it when no usual reorganisation takes it away\nrun it again after the next block"
    )]
    GroupTooYoung {
        /// Its transaction.
        txid: Txid,
        /// How deep it is.
        has: Depth,
        /// How deep it must be.
        wants: Depth,
    },
    /// The ledger relays no data output so large.
    #[error(
        "the ledger relays at most {most} bytes of data, and publishing this group takes {bytes}\na group must be there for everybody to find, in an output of its own\npublish it through a Bitcoin Core 30 or newer, or put it into the offer: --suite ffdh-custom"
    )]
    DataTooLong {
        /// Bytes of the scripts.
        bytes: usize,
        /// What is relayed.
        most: usize,
    },
    /// A suite that brings its group, over a carrier that has no place for it.
    #[error(
        "{suite} rides over the static carrier alone\n{}\nuse --carrier static, or another suite", no_place(*carrier, *bytes, *price, *outputs)
    )]
    NoPlaceForGroup {
        /// The suite asked for.
        suite: Suite,
        /// The carrier asked for.
        carrier: Carrier,
        /// Bytes of the offer with its group.
        bytes: usize,
        /// The least price that would carry them in amounts.
        price: Amount,
        /// Outputs at that price.
        outputs: usize,
    },
    /// The payment could go back before the answer is mined.
    #[error(
        "there is too little time left to answer\nthe payment can go back after block {timeout}, this is block {tip}, and the answer needs {margin} blocks to be safe\nask the peer for a new offer with a longer timeout"
    )]
    TooLate {
        /// When the payment can go back.
        timeout: Height,
        /// The reader's tip.
        tip: Height,
        /// The blocks that it wants in between.
        margin: u32,
    },
    /// The timeout is out of bounds.
    #[error(
        "{blocks} blocks is no timeout for a locked payment\nthe responder needs at least {least} blocks to answer, and no answer counts after {most}\nchoose a number between"
    )]
    Timeout {
        /// What was asked for.
        blocks: u32,
        /// The fewest.
        least: u32,
        /// The most.
        most: u32,
    },
    /// A card's key cannot be used.
    #[error("a key on {peer}'s card cannot be used\n{why}\nask it for a new card, and tell it of this")]
    BadPeerKey {
        /// The peer's name.
        peer: String,
        /// What is wrong with it.
        why: String,
    },
    /// The anchor or the lock would be dust.
    #[error("{} is too little for the {carrier} carrier\nits outputs and the fee to collect them need at least {}\npay more", sat(*price), sat(*least))]
    TooLittle {
        /// The price.
        price: Amount,
        /// The least that works.
        least: Amount,
        /// The carrier asked for.
        carrier: Carrier,
    },
    /// The value carrier needs more.
    #[error("{} is too little for the value carrier\nits {} bytes and their checksum need at least {}, in {} outputs\npay more", sat(.0.price), .0.len.get(), sat(.0.least), .0.outputs)]
    PriceTooLow(value::PriceTooLow),
    /// The value carrier is made for short messages.
    #[error(
        "{suite} is too large for the value carrier\nits {bytes} bytes take a price of at least {} in {outputs} outputs: {offer} vB to pay, {answer} vB to collect\nchoose the static carrier, or another suite; --force does it all the same", sat(*price)
    )]
    TooLargeForValue {
        /// The suite asked for.
        suite: Suite,
        /// Bytes of its offer.
        bytes: usize,
        /// The least price.
        price: Amount,
        /// Outputs at that price.
        outputs: usize,
        /// Virtual bytes of the offer's transaction.
        offer: u64,
        /// Virtual bytes of the answer's transaction.
        answer: u64,
    },
    /// The responder would pay for being paid.
    #[error("{price} is too little: collecting it would cost the responder {cost}\n{what} out of the price\npay more than {cost}, or wait for lower fees", price = sat(*price), cost = sat(*cost), what = if *in_amounts { "the answer's fee and the amounts that it pays back come" } else { "the answer's fee comes" })]
    NothingLeft {
        /// The price.
        price: Amount,
        /// What the answer takes from it.
        cost: Amount,
        /// Whether the answer pays amounts back.
        in_amounts: bool,
    },
    /// The wallet lacks money.
    #[error("not enough funds: {missing} are missing\n{needed} are needed, fee included, and {available} can be spent\nsend more to {address}; on the embedded ledger by `keyway fund`", missing = sat(needed.checked_sub(*available).unwrap_or(Amount::ZERO)), needed = sat(*needed), available = sat(*available))]
    Funds {
        /// Price and fee.
        needed: Amount,
        /// What can be spent now.
        available: Amount,
        /// Where to send more.
        address: String,
    },
    /// Every confirmed coin is in use.
    #[error("not yet: every confirmed coin is in use{}\nan offer must spend a confirmed coin first\nrun it again after the next block", if *split { "; a split into more coins was sent" } else { "" })]
    NoConfirmedCoin {
        /// Whether a split is under way.
        split: bool,
    },
    /// A message in an envelope takes a coin more.
    #[error(
        "the message needs an envelope, and no coin is left to pay for it\nthe ledger relays no data output so large, and the first coin must stay with the message itself\nsend something to {address}; where money is left, `keyway sync` splits it"
    )]
    NoCoinForEnvelope {
        /// Where to send it.
        address: String,
    },
    /// Nodes refuse longer chains.
    #[error(
        "not yet: {0} transactions of this home are unconfirmed\nnodes refuse longer chains of them\nrun it again after the next block"
    )]
    TooManyUnconfirmed(usize),
    /// A PSBT that came back is not what was prepared.
    #[error(transparent)]
    Psbt(#[from] PsbtRefused),
    /// An offer in an envelope is two transactions, of which another wallet funds one.
    #[error(
        "this offer does not fit into a PSBT\nthe ledger relays no data output so large, so its message rides in an envelope, which the home pays for itself\nuse --carrier value, a suite that is short enough (dynamic with x25519 fits everywhere), or leave out --psbt"
    )]
    NoPsbtInEnvelope {
        /// The carrier asked for.
        carrier: Carrier,
        /// The suite asked for.
        suite: Suite,
    },
    /// Only offers are given up, and only one's own.
    #[error(
        "negotiation {0} is not begun by this home\nonly whoever made an offer can give it up\nan offer of a peer is left unanswered by policy.answer = false, or `keyway peer revoke`"
    )]
    NotOwnOffer(NegotiationId),
    /// What is in the chain stays there.
    #[error(
        "the offer of negotiation {0} is mined\nwhat is in the chain cannot be given up; a locked payment comes back by itself after its timeout\nwait for the answer: `keyway show`"
    )]
    OfferMined(NegotiationId),
    /// It ended before.
    #[error(
        "the offer of negotiation {0} is over\nit was given up before, or its coin was spent otherwise\nnothing needs doing"
    )]
    OfferOver(NegotiationId),
    /// Another message would fall with it.
    #[error(
        "not yet: another message rests on the offer of negotiation {id}\nnegotiation {other} spends its change, and would be dropped with it\n`keyway cancel` that one first, or run it again after the next block"
    )]
    RestsOnOffer {
        /// The one to be given up.
        id: NegotiationId,
        /// The one that rests on it.
        other: NegotiationId,
    },
    /// Its coins do not pay for their return.
    #[error(
        "the offer of negotiation {0} cannot be taken back\nto replace it takes a higher fee than its coins of this home hold\nit may be mined, or dropped by the ledger: then try again"
    )]
    CannotCancel(NegotiationId),
    /// No prepared offer waits in that negotiation.
    #[error(
        "negotiation {0} waits for no PSBT\nit was submitted, given up, or never prepared\n`keyway show` says where it stands"
    )]
    NotWaiting(NegotiationId),
    /// The wallet could not build a transaction.
    #[error("the wallet could not build the transaction\n{0}\nnothing was sent; please report it")]
    Wallet(String),
    /// The message does not lead to a key.
    #[error(
        "the peer's message leads to no key\n{0}\nask the peer to negotiate anew with its newest program"
    )]
    Refusal(#[from] Refusal),

    /// The key is not in a state that seals or opens.
    #[error("the key of negotiation {id} {use_} no messages\nit is {state}{depth}\n{advice}", use_ = if *sealing { "seals" } else { "opens" }, depth = depth_note(*state, *has, *wants), advice = state_advice(*state))]
    KeyUnusable {
        /// The negotiation, shortened.
        id: String,
        /// Its state.
        state: State,
        /// Whether sealing was asked for.
        sealing: bool,
        /// Its answer's depth.
        has: Depth,
        /// The policy's depth.
        wants: Depth,
    },
    /// A later epoch took its place long ago.
    #[error(
        "the key of negotiation {0} is erased\nanother of this peer took its place more than 100 blocks ago\nuse that one, or negotiate again"
    )]
    KeyErased(String),
    /// No key of the pair can seal.
    #[error(
        "there is no active key with {0}\nno negotiation has one that is deep enough in the chain\nmake an offer, or `keyway sync` after the next block"
    )]
    NoActiveKey(String),
    /// Another home of this party has the key that took the place of all that are here.
    #[error(
        "the newest key with {0} is in another home of this party\n{0} leaves the older ones for it\nseal there, or negotiate again from here"
    )]
    KeyElsewhere(String),
    /// The block has no session key here.
    #[error("the message does not open\n{0}\n{advice}", advice = session_advice(.0))]
    NoSession(#[from] NoSession),
    /// The text is no sealed message.
    #[error("this is no message to open\n{0}\ngive it whole, as `keyway seal` wrote it")]
    Sealed(#[from] SealedError),
    /// Sealing failed.
    #[error("the message was not sealed\n{0}\nrun the command again, with a shorter message if it was long")]
    Seal(#[from] SealError),
    /// The message does not open.
    #[error(
        "the message does not open\nit was changed on the way, or sealed with another key or other public text\nask the sender to seal it again, with the same --aad on both sides"
    )]
    Open(#[from] OpenError),
    /// Sealed under a key that this party has no part in.
    #[error(
        "the message is not for this home\nit was sealed under negotiation {0}, which is not known here\nrun `keyway sync` if that is new; else give it to whom it is for"
    )]
    NotForUs(NegotiationId),
    /// Sealed by this party itself.
    #[error("this home sealed the message itself\nit opens for the other side, {0}, alone\nsend it there")]
    OwnMessage(String),
    /// The initiator's tag is wrong or missing, or came from the responder.
    #[error(
        "the message's confirmation tag is {0}\nit was changed on the way, or its sender has another key\nask the sender to seal it again, and compare the fingerprints in `keyway keys`"
    )]
    ConfirmationTag(&'static str),
    /// The same message again.
    #[error("the message was opened before\nsomebody sent it twice\nuse --again to open it once more")]
    Replayed,
    /// Sealed before a restore, which brings back no list of what was opened.
    #[error(
        "the message may have been opened before\nit was sealed up to block {0}, at which this home was restored, and what the lost home opened nobody knows\nask the sender to seal it again; or use --again if its coming twice would do no harm"
    )]
    MaybeReplayed(Height),

    /// The home has not found all of what it was.
    #[error(
        "not yet: this home is being restored, and has followed the chain to block {0}\nuntil it has reached the end it does not know which of its secrets and coins were used\nrun `keyway sync`, which goes on there"
    )]
    Restoring(Height),
    /// The file is no backup.
    #[error("the backup cannot be used\n{0}\n{advice}", advice = backup_advice(.0))]
    Backup(#[from] BackupError),
    /// The words give another identity than the backup's.
    #[error(
        "the backup is not of these words\nit is of {name}, whose key is {backup}; the words' key on this chain is {words}\ngive the words of that party, or its own backup"
    )]
    BackupOfAnother {
        /// The party's name.
        name: Name,
        /// Its key.
        backup: Box<PartyKey>,
        /// The words' key.
        words: Box<PartyKey>,
    },
    /// The name that was given is not the backup's.
    #[error(
        "the party of this backup is called {0}\nthe name is part of its identity, and cannot be another\nleave out --name: the backup has it"
    )]
    BackupOfAnotherName(Name),
}

impl NodeError {
    /// How to take it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoConfirmedCoin { .. }
            | Self::NoCoinForEnvelope { .. }
            | Self::TooManyUnconfirmed(_)
            | Self::GroupTooYoung { .. }
            | Self::Restoring(_) => Kind::NotYet,
            Self::KeyUnusable { state: State::Offered | State::Answered | State::Provisional, .. } => {
                Kind::NotYet
            }
            Self::NoSession(NoSession::Unknown { .. } | NoSession::OtherBranch(_)) => Kind::NotYet,
            Self::Psbt(PsbtRefused::CoinUnmined) | Self::RestsOnOffer { .. } => Kind::NotYet,
            Self::NotOwnOffer(_) | Self::OfferMined(_) | Self::OfferOver(_) => Kind::Refused,
            Self::CardRefused(_)
            | Self::Psbt(_)
            | Self::NoPsbtInEnvelope { .. }
            | Self::PeerRefuses { .. }
            | Self::PriceTooLow(_)
            | Self::TooLargeForValue { .. }
            | Self::NoPrekey { .. }
            | Self::NotEnforced { .. }
            | Self::GroupMissing { .. }
            | Self::DataTooLong { .. }
            | Self::StudyOnMain(_)
            | Self::StudyUnsaid
            | Self::StudyTooSmall
            | Self::GroupNotWanted { .. }
            | Self::BadGroup(_)
            | Self::NoPlaceForGroup { .. }
            | Self::TooLate { .. }
            | Self::Timeout { .. }
            | Self::BadPeerKey { .. }
            | Self::TooLittle { .. }
            | Self::NothingLeft { .. }
            | Self::PeerInUse(_)
            | Self::Replayed
            | Self::MaybeReplayed(_)
            | Self::BackupOfAnother { .. }
            | Self::BackupOfAnotherName(_)
            | Self::Backup(BackupError::Signature)
            | Self::OwnMessage(_)
            | Self::Card(CardError::PermanentSignature | CardError::RenewableSignature)
            | Self::ConfirmationTag(_)
            | Self::Refusal(_)
            | Self::NotDealtWith { .. }
            | Self::RevokedPeerKept(_)
            | Self::NoLivenessCoin(_)
            | Self::KeyErased(_)
            | Self::KeyElsewhere(_)
            | Self::KeyUnusable { .. } => Kind::Refused,
            Self::Evidence(error) => error.kind(),
            Self::Ledger(_) | Self::OtherChain { .. } => Kind::Ledger,
            Self::Broadcast { source: BroadcastError::Ledger(_), .. } => Kind::Ledger,
            Self::Broadcast { source: BroadcastError::Refused(refusal), .. }
                if refusal.kind() == RefusalKind::FeeTooLow =>
            {
                Kind::Refused
            }
            _ => Kind::Failed,
        }
    }
}

/// Why bytes are no transaction: the library calls their end an input that failed.
pub fn why_undecoded(error: &encode::Error) -> String {
    match error {
        encode::Error::Io(_) => "it ends too early".to_owned(),
        other => other.to_string(),
    }
}

/// Plain digits: what is told can be typed.
fn sat(amount: Amount) -> String {
    format!("{} sat", amount.to_sat())
}

/// A cause and what to do: `protocol` says the latter after a semicolon where it knows better than `advice`.
fn explained(cause: &impl Display, advice: &str) -> String {
    let text = cause.to_string();
    let (why, todo) = text.rsplit_once("; ").unwrap_or((&text, advice));
    format!("{why}\n{todo}")
}

fn backup_advice(error: &BackupError) -> &'static str {
    match error {
        BackupError::Head => "give the file that `keyway backup` wrote",
        BackupError::Signature => {
            "take an older one that nobody could change; the words and the cards suffice, too"
        }
        _ => "take another copy, or an older one; the words and the cards suffice, too",
    }
}

/// A fee that is too low is one that this home may not raise: what to do about it is the configuration's.
fn broadcast_text(source: &BroadcastError) -> String {
    let text = source.to_string();
    match source {
        BroadcastError::Refused(refusal) if refusal.kind() == RefusalKind::FeeTooLow => {
            let cause = text.lines().next().unwrap_or_default();
            format!("{cause}\nraise fees.ceiling_sat_per_vb in the configuration, or wait for lower fees")
        }
        _ => text,
    }
}

fn unreadable_card_advice(error: &CardError) -> &'static str {
    match error {
        CardError::PermanentSignature | CardError::RenewableSignature => {
            "ask its owner for it again, by a way on which nobody can change it"
        }
        _ => "copy it again, whole, as `keyway card` prints it",
    }
}

fn card_advice(refused: &CardRefused) -> &'static str {
    match refused {
        CardRefused::ForeignChain { .. } => "ask its owner for the card of a home on this chain",
        CardRefused::Own => "give it to the peer, and add the peer's card here",
        CardRefused::Older { .. } => "nothing needs doing: the newer one is kept",
        CardRefused::OtherPermanentPart(_) => {
            "ask its owner; if the change is meant, `keyway peer remove` the old card first"
        }
        CardRefused::Expired { .. } | CardRefused::NameTaken(_) | CardRefused::SameSerial(_) => {
            "ask its owner for a new one"
        }
    }
}

fn standing_advice(name: &Name, standing: &Standing) -> String {
    match standing {
        Standing::Revoked => {
            format!("it was revoked here\n`keyway peer revoke --undo {name}` takes that back")
        }
        _ => "its introduction is over or withdrawn, or introductions.accept_by no longer names who made it\nask its introducer for a new one, or take its card by hand: `keyway peer add`".to_owned(),
    }
}

fn group_advice(suite: Suite) -> &'static str {
    match suite {
        Suite::FfdhPublished => "say which with --published TXID: `keyway params list` shows them",
        _ => "give it with --params FILE: `keyway params generate` makes one",
    }
}

fn no_place(carrier: Carrier, bytes: usize, price: Amount, outputs: usize) -> String {
    let price = sat(price);
    match carrier {
        Carrier::Value => format!(
            "with its group the offer has {bytes} bytes: in amounts they would take a price of at least {price} in {outputs} outputs"
        ),
        _ => "an offer over the dynamic carrier is made to a prekey, which stands on a card before the group is known"
            .to_owned(),
    }
}

fn unlock_advice(wanted: &str) -> &'static str {
    match wanted {
        "a passphrase" => "give it with --passphrase-file FILE, or leave out --key-file and be asked",
        "a key file" => "pass it with --key-file FILE",
        _ => "leave out --passphrase-file and --key-file",
    }
}

fn io_advice(source: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match source.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "make it writable for this user, or name another folder"
        }
        ErrorKind::NotFound => "check the name, or put the file back",
        _ => "check the name and the disk, and try again",
    }
}

fn session_advice(no: &NoSession) -> &'static str {
    match no {
        NoSession::Unknown { .. } | NoSession::OtherBranch(_) => "run `keyway sync` and try again",
        NoSession::BeforeKey { .. } | NoSession::BelowWindow { .. } => "ask the sender to seal it again",
        NoSession::Lost(_) => "negotiate again with `keyway offer`",
    }
}

fn depth_note(state: State, has: Depth, wants: Depth) -> String {
    if state == State::Provisional {
        format!(": its answer has depth {has} of {wants}")
    } else {
        String::new()
    }
}

fn state_advice(state: State) -> &'static str {
    match state {
        State::Offered | State::Answered => "wait for the answer to be mined, then `keyway sync`",
        State::Provisional => "run `keyway sync` after the next block",
        State::Superseded => "seal with the newer key of this peer",
        State::Declined | State::Expired | State::Refunded | State::PaidUnanswered | State::Lost => {
            "negotiate again with `keyway offer`"
        }
        State::Revoked => {
            "negotiate again with `keyway offer`: what is answered behind the revocation is untouched by it"
        }
        State::Active => "nothing needs doing",
    }
}
