//! The file that proves a negotiation to a third party (PROTOCOL.md 13).

use bitcoin::{Transaction, Txid};
use keyway_carriers::script;
use keyway_chain::{BlockRef, Depth, Height};
use keyway_evidence::merkle::Branch;
use keyway_evidence::{
    Contents, Disclosures, Entry, Evidence, Headers, LEAD, MOST_DEPTH, MOST_SESSIONS, SessionWord, Shown,
    Spending, Word,
};
use keyway_ledger::Ledger;
use keyway_protocol::card::Card;
use keyway_protocol::disclosure::{Claim, Subject};
use keyway_protocol::message::Carrier;
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::ratchet::BestChain;
use thiserror::Error;

use super::Party;
use super::liveness::SpentCoin;
use super::session::short;
use crate::error::{Kind, NodeError, SessionError};
use crate::history::Mined;
use crate::reading::Reading;
use crate::store::Record;

/// What a file is to hold.
#[derive(Clone, Debug, Default)]
pub struct EvidenceRequest {
    /// How many blocks from the last transaction's up to the last; the depth that keys need, where nothing is said.
    pub depth: Option<Depth>,
    /// Lay this party's own sealed message open.
    pub contents: bool,
    /// Say what the key's fingerprint is, and show the responder's tag key where that proves something.
    pub fingerprint: bool,
    /// Show the session keys of these blocks, for what that side seals.
    pub sessions: Vec<(Height, Role)>,
    /// Take over what the peer disclosed in its file.
    pub join: Option<Evidence>,
}

/// Why there is no such file.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EvidenceError {
    /// The offer is not mined.
    #[error(
        "there is no evidence of {0} yet\nits offer is not in the chain\nrun `keyway sync` after the next block"
    )]
    NotMined(String),
    /// Fewer blocks than asked for.
    #[error(
        "{id} is not so deep yet\nits last transaction has depth {has}, and {wants} are asked for\nask for fewer, or come back later"
    )]
    Shallow {
        /// Which negotiation.
        id: String,
        /// How deep it is.
        has: Depth,
        /// What is asked for.
        wants: Depth,
    },
    /// More blocks than a file holds.
    #[error(
        "a file holds at most {MOST_DEPTH} blocks above a negotiation\n{0} are asked for\nask for fewer; who has the headers verifies with --headers"
    )]
    TooDeep(Depth),
    /// The ledger's chain is not the one that this home followed.
    #[error(
        "the ledger's chain is not the one that this home followed last\nit has moved since\nrun `keyway sync` and try again"
    )]
    Moved,
    /// Nothing is sealed.
    #[error(
        "nothing of {id} is sealed\nover the {carrier} carrier everybody reads the messages\nleave out `contents`"
    )]
    NothingSealed {
        /// Which negotiation.
        id: String,
        /// How it rides.
        carrier: Carrier,
    },
    /// The secret is gone, or there is no answer to lay open.
    #[error(
        "the message of {0} cannot be laid open\nwhat it takes is erased, or the message is not this party's\nlay it open before its answer is 100 blocks deep, each side its own message"
    )]
    Erased(String),
    /// There is no key.
    #[error(
        "nothing can be said of a key of {0}\nits answer is not mined, or its key is erased\nleave out what is to be disclosed of the key"
    )]
    NoKey(String),
    /// The other file is about something else.
    #[error(
        "the file to join is of another negotiation\nits chain, cards or transactions are not those of {0}\ngive the peer's file on this negotiation"
    )]
    OtherFile(String),
    /// The other file contradicts.
    #[error("the file to join contradicts this one\n{0}\nexport without it")]
    Contradiction(&'static str),
    /// More session keys than a file holds.
    #[error("a file holds at most {MOST_SESSIONS} session keys\nmore are asked for\nmake several files")]
    ManySessions,
    /// A form that a file cannot show.
    #[error(
        "a transaction of {0} cannot be shown in a file\nit is larger than those that nodes relay, or its branch proves nothing\nthere is nothing to be done"
    )]
    Unfit(String),
}

impl EvidenceError {
    /// How to take it.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::NotMined(_) | Self::Shallow { .. } | Self::Moved => Kind::NotYet,
            Self::NothingSealed { .. } | Self::Erased(_) | Self::NoKey(_) => Kind::Refused,
            _ => Kind::Failed,
        }
    }
}

/// A negotiation whose offer is mined, and what reading it gave.
struct Case<'a> {
    record: &'a Record,
    peer: &'a Card,
    reading: Reading,
    offer: &'a Mined,
    answer: Option<&'a Mined>,
}

impl Party {
    /// The file that proves a negotiation to a third party, which [`Evidence::verify`] checks.
    ///
    /// # Errors
    /// [`EvidenceError`]; [`NodeError::Ledger`], also where the node has pruned a block.
    pub fn evidence(
        &self,
        ledger: &dyn Ledger,
        id: NegotiationId,
        request: &EvidenceRequest,
    ) -> Result<Evidence, NodeError> {
        self.certain()?;
        let case = self.case(id)?;
        let spent = self.spent_coins(case.record, case.offer.at.height, self.depth_of(request))?;
        let headers = self.headers(ledger, &case, &spent, request)?;
        let coin = self.reader().input0_amount(case.offer).ok_or(EvidenceError::Unfit(short(&id)))?;
        let disclosures = self.disclosures(&case, request)?;
        let (own, peer) = (self.card.signed_permanent(), case.peer.signed_permanent());
        let (initiator, responder) = match case.record.role {
            Role::Initiator => (own, peer),
            Role::Responder => (peer, own),
        };
        let offer = self.entry(ledger, &case, case.offer)?;
        let answer = case.answer.map(|answer| self.entry(ledger, &case, answer)).transpose()?;
        let spendings =
            spent.iter().map(|spent| self.shown_spending(ledger, &case, spent)).collect::<Result<_, _>>()?;
        let chain = self.config.chain.clone();
        let mut evidence =
            Evidence { chain, initiator, responder, offer, coin, answer, spendings, disclosures, headers };
        if let Some(other) = &request.join {
            join(&mut evidence, other.clone(), &id)?;
        }
        self.add_tag_key(&case, request, &mut evidence);
        // What cannot be read back would be found out by whoever it is for.
        let same = Evidence::from_bytes(&evidence.to_bytes()).is_ok_and(|read| read == evidence);
        if same { Ok(evidence) } else { Err(EvidenceError::Unfit(short(&id)).into()) }
    }

    fn case(&self, id: NegotiationId) -> Result<Case<'_>, NodeError> {
        let not_mined = || EvidenceError::NotMined(short(&id));
        let record = self.records.get(&id).ok_or(SessionError::NotForUs(id))?;
        let peer = self.peer_by_key(record.peer).ok_or(SessionError::NotForUs(id))?;
        let reading = self.reading(record)?.ok_or(SessionError::NotForUs(id))?;
        let offer = reading.offer.as_ref().and_then(|offer| self.history.mined(&offer.txid));
        let offer = offer.ok_or_else(not_mined)?;
        let answer = reading.answer.as_ref().and_then(|answer| self.history.mined(&answer.txid));
        Ok(Case { record, peer, reading, offer, answer })
    }

    /// The headers from ten below the offer's to as deep as asked for.
    fn headers(
        &self,
        ledger: &dyn Ledger,
        case: &Case<'_>,
        spent: &[SpentCoin<'_>],
        request: &EvidenceRequest,
    ) -> Result<Headers, NodeError> {
        let last = case.answer.unwrap_or(case.offer);
        let pivot = spent.last().map_or(last, |spent| spent.by).at.height;
        let wants = self.depth_of(request);
        if wants > Depth::new(MOST_DEPTH) {
            return Err(EvidenceError::TooDeep(wants).into());
        }
        let has = pivot.depth_under(self.history.tip());
        if has < wants {
            return Err(EvidenceError::Shallow { id: short(&case.record.id), has, wants }.into());
        }
        let shown = request.sessions.iter().map(|(height, _)| *height);
        let last = shown.fold(pivot.plus(wants.to_u32().saturating_sub(1)).max(pivot), Height::max);
        let first = case.offer.at.height.minus(LEAD);
        let mut headers = Vec::new();
        let mut hash = self.followed(last)?.hash;
        for _ in first.to_u32()..=last.to_u32() {
            let header = ledger.header(&hash)?.ok_or(EvidenceError::Moved)?;
            hash = header.prev_blockhash;
            headers.push(header);
        }
        headers.reverse();
        let headers = Headers::new(first, headers);
        let is_followed = |mined: &Mined| {
            headers.block(mined.at.height).map(|block| block.hash) == self.history.hash_at(mined.at.height)
        };
        let in_best = ledger.block_at(last)?.map(|block| block.hash) == self.history.hash_at(last);
        let same = in_best
            && is_followed(case.offer)
            && case.answer.is_none_or(is_followed)
            && spent.iter().all(|spent| is_followed(spent.by));
        if same { Ok(headers) } else { Err(EvidenceError::Moved.into()) }
    }

    fn followed(&self, height: Height) -> Result<BlockRef, NodeError> {
        let block = self.history.block(height).ok_or(EvidenceError::Moved)?;
        Ok(block.at)
    }

    fn depth_of(&self, request: &EvidenceRequest) -> Depth {
        request.depth.unwrap_or(self.config.policy.key_depth)
    }

    fn shown_spending(
        &self,
        ledger: &dyn Ledger,
        case: &Case<'_>,
        spent: &SpentCoin<'_>,
    ) -> Result<Spending, NodeError> {
        let way = (spent.by.at.height, self.branch(ledger, case, spent.by)?);
        Ok(Spending::new(way, &spent.by.tx, (&spent.coin, spent.known), spent.names))
    }

    /// A transaction with its way to its block's header.
    fn entry(&self, ledger: &dyn Ledger, case: &Case<'_>, mined: &Mined) -> Result<Entry, NodeError> {
        let branch = self.branch(ledger, case, mined)?;
        Ok(Entry::new(mined.at.height, branch, &mined.tx, self.commit_of(&mined.tx)))
    }

    fn branch(&self, ledger: &dyn Ledger, case: &Case<'_>, mined: &Mined) -> Result<Branch, NodeError> {
        let block = self.followed(mined.at.height)?;
        let txids = ledger.txids(&block.hash)?.ok_or(EvidenceError::Moved)?;
        let index =
            usize::try_from(mined.at.index).ok().filter(|index| txids.get(*index) == Some(&mined.txid));
        let branch = index.and_then(|index| Branch::of(&txids, index)).ok_or(EvidenceError::Moved)?;
        branch.root(mined.txid).map_err(|_| EvidenceError::Unfit(short(&case.record.id)))?;
        Ok(branch)
    }

    /// The transaction that made the coin of an envelope, where this home has it.
    fn commit_of(&self, tx: &Transaction) -> Option<&Transaction> {
        let (index, _) = script::envelopes(tx).next()?;
        self.transaction(&tx.input.get(index)?.previous_output.txid)
    }

    fn disclosures(&self, case: &Case<'_>, request: &EvidenceRequest) -> Result<Disclosures, NodeError> {
        let mut said = Disclosures::default();
        let id = &case.record.id;
        if request.contents {
            let contents = self.contents(case)?;
            match case.record.role {
                Role::Initiator => said.offer = Some(contents),
                Role::Responder => said.answer = Some(contents),
            }
        }
        let (role, subject) = (case.record.role, self.subject(case));
        let no_key = || EvidenceError::NoKey(short(id));
        if request.fingerprint {
            let fingerprint = self.fingerprint(case.record, &case.reading).ok_or_else(no_key)?;
            let claim = Claim::Fingerprint(fingerprint);
            let signature = claim.sign(&subject.ok_or_else(no_key)?, role, &self.identity);
            let word = Some(Word { fingerprint, signature });
            match role {
                Role::Initiator => said.initiator = word,
                Role::Responder => said.responder = word,
            }
        }
        if request.sessions.len() > MOST_SESSIONS {
            return Err(EvidenceError::ManySessions.into());
        }
        for (height, sender) in &request.sessions {
            let (block, key) = self.session_key(*id, *height, *sender)?;
            let (sender, key) = (*sender, *key.as_secret().expose());
            let claim = Claim::Session { block, sender, key };
            let signature = claim.sign(&subject.ok_or_else(no_key)?, role, &self.identity);
            said.sessions.push(SessionWord { by: role, height: *height, sender, key, signature });
        }
        said.sort();
        Ok(said)
    }

    fn contents(&self, case: &Case<'_>) -> Result<Contents, NodeError> {
        let (id, carrier) = (short(&case.record.id), case.record.carrier);
        if carrier != Carrier::Static {
            return Err(EvidenceError::NothingSealed { id, carrier }.into());
        }
        let erased = EvidenceError::Erased(id);
        let secret = self.negotiation_secret(&case.record.id)?;
        let (Some(secret), Some(offer)) = (secret, &case.reading.offer) else { return Err(erased.into()) };
        let answered_at = case.answer.map(|answer| answer.tx.lock_time.to_consensus_u32());
        let letter = self.reader().own_letter(case.record, case.peer, &secret, offer, answered_at);
        let (message, ephemeral) = letter.ok_or(erased)?;
        Ok(Contents { message, ephemeral: *ephemeral.expose() })
    }

    fn subject(&self, case: &Case<'_>) -> Option<Subject> {
        let (chain, negotiation) = (self.config.chain.id(), case.record.id);
        case.answer.map(|answer| Subject { chain, negotiation, offer: case.offer.txid, answer: answer.txid })
    }

    /// The responder's tag key proves something where both messages can be read.
    fn add_tag_key(&self, case: &Case<'_>, request: &EvidenceRequest, evidence: &mut Evidence) {
        let said = &mut evidence.disclosures;
        let readable =
            case.record.carrier != Carrier::Static || (said.offer.is_some() && said.answer.is_some());
        let agreed = case.reading.answer.as_ref().and_then(|answer| answer.agreed.as_ref());
        if let (true, true, Some(agreed)) = (request.fingerprint, readable, agreed) {
            said.tag_key = Some(*agreed.tag_key(Role::Responder).expose());
        }
    }
}

/// Takes over what the peer's file discloses, and its headers if it has more.
fn join(evidence: &mut Evidence, other: Evidence, id: &NegotiationId) -> Result<(), EvidenceError> {
    let same = evidence.chain.id() == other.chain.id()
        && (&evidence.initiator, &evidence.responder) == (&other.initiator, &other.responder)
        && bare(&evidence.offer) == bare(&other.offer)
        && evidence.answer.as_ref().map(bare) == other.answer.as_ref().map(bare);
    if !same {
        return Err(EvidenceError::OtherFile(short(id)));
    }
    let longer = other.headers.last() > evidence.headers.last();
    let goes_on = evidence.last_block().is_some_and(|hash| other.headers.height_of(&hash).is_some());
    if longer && goes_on {
        evidence.headers = other.headers;
    }
    adopt_commit(&mut evidence.offer, other.offer.commit);
    if let (Some(answer), Some(theirs)) = (&mut evidence.answer, other.answer) {
        adopt_commit(answer, theirs.commit);
    }
    match evidence.disclosures.join(other.disclosures) {
        Shown::Joined => Ok(()),
        Shown::Differ(what) => Err(EvidenceError::Contradiction(what)),
    }
}

/// Each side knows its own commit.
fn adopt_commit(entry: &mut Entry, theirs: Option<Transaction>) {
    entry.commit = entry.commit.take().or(theirs);
}

fn bare(entry: &Entry) -> (Height, &Branch, Txid) {
    (entry.height, &entry.branch, entry.tx.compute_txid())
}
