//! The file: lines of JSON in one form, and a checksum (PROTOCOL.md 13.3).

use bitcoin::consensus::encode::{deserialize, serialize};
use bitcoin::hashes::{Hash, sha256};
use bitcoin::{Amount, BlockHash, ScriptBuf, Transaction, Witness};
use keyway_carriers::script;
use keyway_chain::{BlockRef, Chain, Height};
use keyway_protocol::card::{CardError, SignedPermanent};
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::state::Position;
use thiserror::Error;

use crate::disclosed::{Contents, Disclosures, SessionWord, Word};
use crate::headers::Headers;
use crate::line::{Envelope, Hex, Laid, Line, Says, Session, Spent, Top, Tx};
use crate::living::Spending;
use crate::merkle::{Branch, MOST_LEVELS, NODE};

/// The only one there is.
pub(crate) const VERSION: u32 = 1;

/// The most bytes of a file.
pub const MOST_BYTES: usize = 2 << 20;
/// The most blocks from the last transaction's up to the last.
pub const MOST_DEPTH: u32 = 3_000;
/// The most bytes of a transaction without its witnesses, which nodes relay.
const MOST_TRANSACTION: usize = 100_000;

/// A transaction of a negotiation, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its block's height.
    pub height: Height,
    /// Its way to the header.
    pub branch: Branch,
    /// With the witnesses of input 0 and of its envelope, and no others.
    pub tx: Transaction,
    /// The transaction that made the coin of its envelope, where the writer knew it.
    pub commit: Option<Transaction>,
}

/// All that a file holds. Whether it proves anything is [`Evidence::verify`]'s to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The chain.
    pub chain: Chain,
    /// Who pays.
    pub initiator: SignedPermanent,
    /// Who is paid.
    pub responder: SignedPermanent,
    /// The offer.
    pub offer: Entry,
    /// What its input 0 spends.
    pub coin: Amount,
    /// The answer; a file of an offer alone says nothing of answers.
    pub answer: Option<Entry>,
    /// What became of the liveness coin.
    pub spendings: Vec<Spending>,
    /// What the parties add.
    pub disclosures: Disclosures,
    /// From ten blocks below the offer's to as deep as the writer chose.
    pub headers: Headers,
}

/// Bytes that are no evidence; whoever wrote or changed them is at fault.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Malformed {
    /// More than any file has.
    #[error("it has {0} bytes, more than any evidence has")]
    TooLong(usize),
    /// It does not begin as evidence does.
    #[error("it does not begin as evidence does")]
    Foreign,
    /// From a newer program.
    #[error("it has version {0}, this program knows version {VERSION}")]
    Version(u32),
    /// The last line is not the checksum of all before it.
    #[error("its checksum is wrong: something was lost or changed on the way")]
    Checksum,
    /// A line that no evidence has.
    #[error("its line {0} is none of evidence")]
    Line(usize),
    /// The right lines, in another form than the one that they have.
    #[error("its lines are not in the one form that they have")]
    Form,
    /// Something is missing.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// Something is there more often than it can be.
    #[error("it has more than one {0}, or more than can be")]
    Several(&'static str),
    /// No chain of that name is known.
    #[error("it is of a chain that this program does not know")]
    UnknownChain,
    /// A card that is none.
    #[error("the {0}'s card: {1}")]
    Card(&'static str, CardError),
    /// A transaction that is none, or cannot be shown here.
    #[error("the transaction of the {0} is none that can be shown")]
    Transaction(&'static str),
    /// Values that do not have the length that they must.
    #[error("its {0} has another length than it must")]
    Length(&'static str),
}

impl Malformed {
    /// Its name in vectors and output.
    pub fn name(&self) -> String {
        variant(self)
    }
}

/// The name of an enum's variant.
pub(crate) fn variant(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}

impl Entry {
    /// A transaction as a file shows it: its other witnesses left out.
    pub fn new(height: Height, branch: Branch, tx: &Transaction, commit: Option<&Transaction>) -> Self {
        let envelope = script::envelopes(tx).next().map(|(index, _)| index);
        let mut shown = tx.clone();
        for (index, input) in shown.input.iter_mut().enumerate() {
            if index != 0 && Some(index) != envelope {
                input.witness = Witness::new();
            }
        }
        Self { height, branch, tx: shown, commit: commit.map(stripped) }
    }

    /// Its place in the chain.
    pub fn position(&self) -> Position {
        Position { height: self.height, index: self.branch.index }
    }

    /// The input that shows its envelope, and the envelope.
    pub(crate) fn envelope(&self) -> Option<(usize, ScriptBuf)> {
        script::envelopes(&self.tx).next().map(|(index, script)| (index, script.to_owned()))
    }

    fn to_line(&self, coin: Option<Amount>) -> Tx {
        let element = |input: usize, index: usize| {
            let witness = self.tx.input.get(input).map(|input| &input.witness);
            Hex::of(witness.and_then(|witness| witness.nth(index)).unwrap_or_default())
        };
        let envelope = self.envelope().map(|(input, script)| Envelope {
            input: u32::try_from(input).unwrap_or(u32::MAX),
            signature: element(input, 0),
            script: Hex::of(script.as_bytes()),
            commit: self.commit.as_ref().map(|tx| Hex(serialize(&stripped(tx)))),
        });
        Tx {
            height: self.height.to_u32(),
            index: self.branch.index,
            branch: self.branch.siblings.iter().map(Hex::of).collect(),
            tx: Hex(serialize(&stripped(&self.tx))),
            signature: element(0, 0),
            key: element(0, 1),
            coin_sat: coin.map(Amount::to_sat),
            envelope,
        }
    }

    pub(crate) fn from_line(line: &Tx, what: &'static str) -> Result<Self, Malformed> {
        let branch = branch(line.index, &line.branch)?;
        let mut tx = read_stripped(&line.tx.0).ok_or(Malformed::Transaction(what))?;
        let mut commit = None;
        if let Some(input) = tx.input.first_mut() {
            input.witness = Witness::from_slice(&[&line.signature.0, &line.key.0]);
        }
        if let Some(Envelope { input, signature, script, commit: made }) = &line.envelope {
            let index = usize::try_from(*input).map_err(|_| Malformed::Transaction(what))?;
            let shown = tx.input.get_mut(index).filter(|_| index != 0);
            let shown = shown.ok_or(Malformed::Transaction(what))?;
            shown.witness = Witness::from_slice(&[&signature.0, &script.0]);
            let made = made.as_ref().map(|bytes| read_stripped(&bytes.0).ok_or(Malformed::Transaction(what)));
            commit = made.transpose()?;
        }
        Ok(Self { height: Height::new(line.height), branch, tx, commit })
    }
}

/// A way to a header.
pub(crate) fn branch(index: u32, siblings: &[Hex]) -> Result<Branch, Malformed> {
    if siblings.len() > MOST_LEVELS {
        return Err(Malformed::Several("level"));
    }
    let siblings = siblings.iter().map(Hex::array).collect::<Option<_>>();
    Ok(Branch { index, siblings: siblings.ok_or(Malformed::Length("branch"))? })
}

/// A transaction without its witnesses, as a txid is made of it.
pub(crate) fn stripped(tx: &Transaction) -> Transaction {
    let mut tx = tx.clone();
    tx.input.iter_mut().for_each(|input| input.witness = Witness::new());
    tx
}

/// Two hashes may read as a transaction of 64 bytes: none such is taken (CVE-2017-12842).
pub(crate) fn read_stripped(bytes: &[u8]) -> Option<Transaction> {
    if bytes.len() > MOST_TRANSACTION || bytes.len() == NODE {
        return None;
    }
    let tx: Transaction = deserialize(bytes).ok()?;
    let bare = !tx.input.is_empty() && tx.input.iter().all(|input| input.witness.is_empty());
    (bare && serialize(&tx) == bytes).then_some(tx)
}

fn spent(spending: &Spending) -> Spent {
    let id = |id: NegotiationId| Hex::of(id.as_bytes());
    Spent {
        height: spending.height.to_u32(),
        index: spending.branch.index,
        branch: spending.branch.siblings.iter().map(Hex::of).collect(),
        tx: Hex(serialize(&stripped(&spending.tx))),
        from: spending.from.map(|(from, _)| id(from)),
        coin_sat: spending.from.map(|(_, amount)| amount.to_sat()),
        signature: spending.signature.as_ref().map(Hex::of),
        names: spending.names.map(id),
    }
}

impl Evidence {
    /// The height of the last transaction: what lies above it makes it deep.
    pub fn pivot(&self) -> Height {
        let answered = self.answer.as_ref().map_or(self.offer.height, |answer| answer.height);
        self.spendings.last().map_or(answered, |spending| spending.height)
    }

    /// The block of the last transaction, as far as the file goes.
    pub fn pivot_block(&self) -> Option<BlockRef> {
        self.headers.block(self.pivot())
    }

    /// The last header's hash: what a verifier may know.
    pub fn last_block(&self) -> Option<BlockHash> {
        self.headers.block(self.headers.last()).map(|block| block.hash)
    }

    /// The one form of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = String::new();
        for line in self.lines() {
            // Structs of this crate with string keys: their serialization cannot fail.
            text.push_str(&serde_json::to_string(&line).unwrap_or_default());
            text.push('\n');
        }
        let sum = sha256::Hash::hash(text.as_bytes()).to_byte_array();
        text.push_str(&serde_json::to_string(&Line::Sha256(Hex::of(sum))).unwrap_or_default());
        text.push('\n');
        text.into_bytes()
    }

    fn lines(&self) -> Vec<Line> {
        let top = Top {
            version: VERSION,
            chain: Hex::of(self.chain.id().as_bytes()),
            challenge: self.chain.challenge().map(|script| Hex::of(script.as_bytes())),
        };
        let said = &self.disclosures;
        let laid = |contents: &Contents| Laid {
            message: Hex::of(&contents.message),
            ephemeral: Hex::of(contents.ephemeral),
        };
        let says = |word: &Word| Says {
            fingerprint: Hex::of(word.fingerprint.as_bytes()),
            signature: Hex::of(word.signature),
        };
        let session = |word: &SessionWord| Session {
            by: word.by.into(),
            height: word.height.to_u32(),
            sender: word.sender.into(),
            key: Hex::of(word.key),
            signature: Hex::of(word.signature),
        };
        let mut lines = vec![
            Line::KeywayEvidence(top),
            Line::Initiator(Hex(self.initiator.to_bytes())),
            Line::Responder(Hex(self.responder.to_bytes())),
            Line::Offer(self.offer.to_line(Some(self.coin))),
            Line::Answer(self.answer.as_ref().map(|answer| answer.to_line(None))),
        ];
        lines.extend(self.spendings.iter().map(|spending| Line::Spending(spent(spending))));
        lines.extend(said.offer.as_ref().map(|contents| Line::OfferContents(laid(contents))));
        lines.extend(said.answer.as_ref().map(|contents| Line::AnswerContents(laid(contents))));
        lines.extend(said.tag_key.map(|key| Line::ResponderTagKey(Hex::of(key))));
        lines.extend(said.initiator.as_ref().map(|word| Line::InitiatorSays(says(word))));
        lines.extend(said.responder.as_ref().map(|word| Line::ResponderSays(says(word))));
        lines.extend(said.sessions.iter().map(|word| Line::Session(session(word))));
        lines.push(Line::FirstHeight(self.headers.first().to_u32()));
        lines.extend(self.headers.headers.iter().map(|header| Line::Header(Hex(serialize(header)))));
        lines
    }
}
