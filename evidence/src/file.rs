//! The file: lines of JSON in one form, and a checksum (PROTOCOL.md 13.3).

use bitcoin::block::Header;
use bitcoin::consensus::encode::{deserialize, serialize};
use bitcoin::hashes::{Hash, sha256};
use bitcoin::{Amount, BlockHash, ScriptBuf, Transaction, Witness};
use keyway_carriers::script;
use keyway_chain::{BlockRef, Chain, Height};
use keyway_protocol::card::{CardError, SignedPermanent};
use keyway_protocol::negotiation::Fingerprint;
use keyway_protocol::state::Position;
use thiserror::Error;

use crate::disclosed::{Contents, Disclosures, MOST_SESSIONS, SessionWord, Word};
use crate::headers::{Headers, LEAD};
use crate::line::{Envelope, Hex, Laid, Line, Says, Session, Top, Tx};
use crate::merkle::{Branch, MOST_LEVELS, NODE};

const VERSION: u32 = 1;

/// The most bytes of a file.
pub const MOST_BYTES: usize = 2 << 20;
/// The most blocks from the last transaction's up to the last.
pub const MOST_DEPTH: u32 = 3_000;
/// More than the lead, the window for answers and the depth together.
const MOST_HEADERS: usize = 4_200;
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

    fn from_line(line: &Tx, what: &'static str) -> Result<Self, Malformed> {
        if line.branch.len() > MOST_LEVELS {
            return Err(Malformed::Several("level"));
        }
        let siblings = line.branch.iter().map(Hex::array).collect::<Option<_>>();
        let siblings = siblings.ok_or(Malformed::Length("branch"))?;
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
        let branch = Branch { index: line.index, siblings };
        Ok(Self { height: Height::new(line.height), branch, tx, commit })
    }
}

/// A transaction without its witnesses, as a txid is made of it.
fn stripped(tx: &Transaction) -> Transaction {
    let mut tx = tx.clone();
    tx.input.iter_mut().for_each(|input| input.witness = Witness::new());
    tx
}

/// Two hashes may read as a transaction of 64 bytes: none such is taken (CVE-2017-12842).
fn read_stripped(bytes: &[u8]) -> Option<Transaction> {
    if bytes.len() > MOST_TRANSACTION || bytes.len() == NODE {
        return None;
    }
    let tx: Transaction = deserialize(bytes).ok()?;
    let bare = !tx.input.is_empty() && tx.input.iter().all(|input| input.witness.is_empty());
    (bare && serialize(&tx) == bytes).then_some(tx)
}

impl Evidence {
    /// The height of the last transaction: what lies above it makes it deep.
    pub fn pivot(&self) -> Height {
        self.answer.as_ref().map_or(self.offer.height, |answer| answer.height)
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

    /// Reads a file, to the last byte.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > MOST_BYTES {
            return Err(Malformed::TooLong(bytes.len()));
        }
        if !bytes.starts_with(br#"{"keyway-evidence":"#) {
            return Err(Malformed::Foreign);
        }
        let body = checked(bytes)?;
        let mut parts = Parts::default();
        for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
            let line = serde_json::from_slice(line).map_err(|_| Malformed::Line(index + 1))?;
            parts.take(line)?;
        }
        let evidence = parts.whole()?;
        if evidence.to_bytes() == bytes { Ok(evidence) } else { Err(Malformed::Form) }
    }
}

/// The lines before the checksum, without the last one's end, if it is theirs.
fn checked(bytes: &[u8]) -> Result<&[u8], Malformed> {
    let whole = bytes.strip_suffix(b"\n").ok_or(Malformed::Checksum)?;
    let end = whole.iter().rposition(|byte| *byte == b'\n').ok_or(Malformed::Checksum)?;
    let (body, last) = whole.split_at(end + 1);
    let Ok(Line::Sha256(Hex(sum))) = serde_json::from_slice(last) else { return Err(Malformed::Checksum) };
    let found = sha256::Hash::hash(body).to_byte_array();
    if sum == found { Ok(body.strip_suffix(b"\n").unwrap_or(body)) } else { Err(Malformed::Checksum) }
}

/// What the lines gave so far.
#[derive(Default)]
struct Parts {
    chain: Option<Chain>,
    initiator: Option<SignedPermanent>,
    responder: Option<SignedPermanent>,
    offer: Option<(Entry, Amount)>,
    answer: Option<Option<Entry>>,
    disclosures: Disclosures,
    first: Option<Height>,
    headers: Vec<Header>,
}

impl Parts {
    fn take(&mut self, line: Line) -> Result<(), Malformed> {
        let card =
            |who, bytes: &[u8]| SignedPermanent::from_bytes(bytes).map_err(|why| Malformed::Card(who, why));
        match line {
            Line::KeywayEvidence(top) => put(&mut self.chain, chain_of(&top)?, "chain"),
            Line::Initiator(Hex(bytes)) => {
                put(&mut self.initiator, card("initiator", &bytes)?, "card of the initiator")
            }
            Line::Responder(Hex(bytes)) => {
                put(&mut self.responder, card("responder", &bytes)?, "card of the responder")
            }
            Line::Offer(line) => {
                let coin = line.coin_sat.ok_or(Malformed::Missing("amount of the offer's coin"))?;
                let entry = Entry::from_line(&line, "offer")?;
                put(&mut self.offer, (entry, Amount::from_sat(coin)), "offer")
            }
            Line::Answer(line) => {
                let entry = line.as_ref().map(|line| Entry::from_line(line, "answer")).transpose()?;
                put(&mut self.answer, entry, "answer")
            }
            Line::FirstHeight(height) => put(&mut self.first, Height::new(height), "first height"),
            Line::Header(Hex(bytes)) => self.take_header(&bytes),
            Line::Sha256(_) => Err(Malformed::Several("checksum")),
            disclosed => self.take_disclosed(disclosed),
        }
    }

    fn take_header(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        if self.headers.len() >= MOST_HEADERS {
            return Err(Malformed::Several("header of each height"));
        }
        self.headers.push(deserialize(bytes).map_err(|_| Malformed::Length("header"))?);
        Ok(())
    }

    fn take_disclosed(&mut self, line: Line) -> Result<(), Malformed> {
        let said = &mut self.disclosures;
        match line {
            Line::OfferContents(laid) => put(&mut said.offer, contents(laid)?, "offer's contents"),
            Line::AnswerContents(laid) => put(&mut said.answer, contents(laid)?, "answer's contents"),
            Line::ResponderTagKey(key) => {
                put(&mut said.tag_key, key.array().ok_or(Malformed::Length("tag key"))?, "tag key")
            }
            Line::InitiatorSays(says) => put(&mut said.initiator, word(&says)?, "word of the initiator"),
            Line::ResponderSays(says) => put(&mut said.responder, word(&says)?, "word of the responder"),
            Line::Session(session) if said.sessions.len() < MOST_SESSIONS => {
                said.sessions.push(session_word(&session)?);
                Ok(())
            }
            _ => Err(Malformed::Several("session key of each block")),
        }
    }

    fn whole(self) -> Result<Evidence, Malformed> {
        let missing = |what| Malformed::Missing(what);
        let (offer, coin) = self.offer.ok_or(missing("offer"))?;
        let first = self.first.ok_or(missing("first height"))?;
        // One form: no more headers below the offer's block than its time needs.
        if first != offer.height.minus(LEAD) || !self.disclosures.is_sorted() {
            return Err(Malformed::Form);
        }
        Ok(Evidence {
            chain: self.chain.ok_or(missing("chain"))?,
            initiator: self.initiator.ok_or(missing("card of the initiator"))?,
            responder: self.responder.ok_or(missing("card of the responder"))?,
            offer,
            coin,
            answer: self.answer.ok_or(missing("answer, nor says that it has none"))?,
            disclosures: self.disclosures,
            headers: Headers::new(first, self.headers),
        })
    }
}

fn put<T>(place: &mut Option<T>, value: T, what: &'static str) -> Result<(), Malformed> {
    if place.replace(value).is_some() { Err(Malformed::Several(what)) } else { Ok(()) }
}

fn chain_of(top: &Top) -> Result<Chain, Malformed> {
    if top.version != VERSION {
        return Err(Malformed::Version(top.version));
    }
    let chain = match &top.challenge {
        Some(challenge) => Some(Chain::custom_signet(ScriptBuf::from_bytes(challenge.0.clone()))),
        None => Chain::all().find(|chain| chain.id().as_bytes()[..] == top.chain.0[..]),
    };
    chain.filter(|chain| chain.id().as_bytes()[..] == top.chain.0[..]).ok_or(Malformed::UnknownChain)
}

fn contents(laid: Laid) -> Result<Contents, Malformed> {
    let ephemeral = laid.ephemeral.array().ok_or(Malformed::Length("ephemeral secret"))?;
    Ok(Contents { message: laid.message.0, ephemeral })
}

fn word(says: &Says) -> Result<Word, Malformed> {
    let fingerprint = says.fingerprint.array().ok_or(Malformed::Length("fingerprint"))?;
    let signature = says.signature.array().ok_or(Malformed::Length("signature"))?;
    Ok(Word { fingerprint: Fingerprint::from_bytes(fingerprint), signature })
}

fn session_word(session: &Session) -> Result<SessionWord, Malformed> {
    Ok(SessionWord {
        by: session.by.into(),
        height: Height::new(session.height),
        sender: session.sender.into(),
        key: session.key.array().ok_or(Malformed::Length("session key"))?,
        signature: session.signature.array().ok_or(Malformed::Length("signature"))?,
    })
}
