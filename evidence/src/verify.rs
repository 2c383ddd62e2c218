//! Whether a file proves what it says (PROTOCOL.md 13.3 to 13.5).

use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, Transaction, Txid};
use keyway_carriers::script::envelope;
use keyway_chain::{BlockRef, Depth, Height};
use keyway_protocol::authorship::{Authored, NotAuthored};
use keyway_protocol::disclosure::{Claim, Subject};
use keyway_protocol::identity::PartyKey;
use keyway_protocol::letter::Direction;
use keyway_protocol::message::{Answer, AnswerTerms, BadMessage, Carrier, Offer, Tag, Terms};
use keyway_protocol::negotiation::{Context, Role, Transcript};
use keyway_protocol::secret::Secret;
use keyway_protocol::state::{ANSWER_WINDOW, in_time};
use thiserror::Error;

use crate::disclosed::{Contents, SessionWord, direction_back};
use crate::file::{Entry, Evidence, variant};
use crate::headers::WrongHeaders;
use crate::merkle::{BadBranch, Branch};
use crate::seen::{NoAnswer, NoOffer, Said, SeenOffer};
use crate::statement::{AnswerSeen, Opened, Placed, Session, Statement, Ties};

/// What the verifier holds a file to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// To no block: whoever does as much work can make such a file.
    Work,
    /// To a block that the verifier knows to be in the chain, and perhaps its height.
    Block {
        /// Its hash.
        hash: BlockHash,
        /// Its height.
        height: Option<Height>,
    },
    /// To a chain that the verifier has: where it has the block of [`Evidence::pivot_block`], if it does.
    Chain(Option<Found>),
}

/// Where a block is in the verifier's own chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its height, where that chain begins at its first block.
    pub height: Option<Height>,
    /// Its depth.
    pub depth: Depth,
}

/// Why a file does not prove what it says; whoever made it is at fault, unless the verifier's own chain is behind.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refused {
    /// A card of another chain.
    #[error("the {0}'s card is for another chain than the file")]
    ForeignCard(&'static str),
    /// Both cards are one party's.
    #[error("both cards are of one party")]
    OneParty,
    /// The headers are no part of the chain.
    #[error(transparent)]
    Headers(#[from] WrongHeaders),
    /// A transaction's height has no header.
    #[error("the block of the {0}, at height {1}, is not among its headers")]
    NoHeader(&'static str, Height),
    /// A branch that proves nothing.
    #[error("the way of the {0} to its block's header: {1}")]
    Branch(&'static str, BadBranch),
    /// The transaction is not in that block.
    #[error("the {0} is not in the block at height {1}")]
    NotInBlock(&'static str, Height),
    /// The offer speaks for nobody.
    #[error("the offer: {0} (a wrong amount of the coin that it spends first does the same)")]
    OfferAuthor(NotAuthored),
    /// The offer speaks for somebody else.
    #[error("the offer speaks for {0}, and the initiator's card is another one")]
    OtherInitiator(PartyKey),
    /// The offer carries nothing to the responder.
    #[error("the offer: {0}")]
    NoOffer(#[from] NoOffer),
    /// The answer is in the chain before its offer.
    #[error("the answer stands in front of its offer")]
    AnswerBeforeOffer,
    /// The answer came too late to count.
    #[error("the answer came {0} blocks after the offer, and none counts that comes after {ANSWER_WINDOW}")]
    Late(u32),
    /// The answer is none to this offer.
    #[error("the answer: {0}")]
    NoAnswer(#[from] NoAnswer),
    /// The transaction shown for a commit did not make the envelope's coin.
    #[error("what is shown for the commit of the {0} did not make its envelope's coin")]
    Commit(&'static str),
    /// A spending of the liveness coin in front of what it follows, or without an answer.
    #[error("the spending {0} of the liveness coin does not stand behind what it follows")]
    SpendingOrder(Txid),
    /// It spends another coin, or there is none to be spent.
    #[error("{0} does not spend the liveness coin that it is shown to spend")]
    NotSpending(Txid),
    /// Neither party signed it.
    #[error("the signature that is shown for {0} is of neither party over that liveness coin")]
    CoinSignature(Txid),
    /// It does not move the coin to what the file says.
    #[error("{0} does not move the liveness coin to the negotiation that the file names")]
    NotMoved(Txid),
    /// Contents of what is in the open, or of an answer that is not there.
    #[error("it lays open the {0}, which is not sealed or not there")]
    NothingSealed(&'static str),
    /// What is laid open is no such message.
    #[error("what it lays open of the {0} is none: {1}")]
    LaidMessage(&'static str, BadMessage),
    /// The message is dated otherwise than its transaction.
    #[error("what it lays open of the {0} is dated otherwise than its transaction")]
    LaidDate(&'static str),
    /// Sealing it again gives other bytes than those on the chain.
    #[error("what it lays open of the {0} is not what was sealed")]
    LaidContents(&'static str),
    /// A tag key where the messages cannot be read, so that nothing shows what it is made over.
    #[error("it discloses the responder's tag key, and not both messages that the tag is made over")]
    TagWithoutMessages,
    /// The tag key does not give the tag of the answer.
    #[error("the responder's tag is not that of this transcript under the key that it discloses")]
    WrongTag,
    /// A signed word that its party did not sign, or about a key that there is not.
    #[error("the word of the {0} is not signed by it, or is of another negotiation")]
    Word(&'static str),
    /// A session key of a block that the file does not have, or that has no key.
    #[error("it discloses a session key of height {0}, where its headers or the key have no block")]
    SessionBlock(Height),
    /// The verifier's block is not among the headers.
    #[error("block {0}, which is trusted, is not among its headers")]
    NotTrusted(BlockHash),
    /// The verifier's block lies below the last transaction.
    #[error(
        "block {0}, which is trusted, lies below the last transaction: it says nothing of what came later"
    )]
    TrustedBelow(BlockHash),
    /// The verifier's chain does not have the block.
    #[error("block {0} is not in the chain that it is held to: the file is of another branch")]
    OtherBranch(BlockRef),
    /// The heights are others.
    #[error("the file gives the height {claimed} to a block whose height is {found}")]
    OtherHeight {
        /// What the file says.
        claimed: Height,
        /// What is known.
        found: Height,
    },
    /// Fewer blocks than asked for.
    #[error("it is {found} blocks deep, and {least} are asked for")]
    TooShallow {
        /// What there is.
        found: Depth,
        /// What is asked for.
        least: Depth,
    },
}

impl Refused {
    /// Its name in vectors and output.
    pub fn name(&self) -> String {
        variant(self)
    }
}

impl Evidence {
    /// Checks everything, without a network and without a secret.
    ///
    /// # Errors
    /// [`Refused`] by name.
    pub fn verify(&self, trust: &Trust, least: Depth) -> Result<Statement, Refused> {
        let (initiator, responder) = (self.initiator.permanent(), self.responder.permanent());
        for (who, card) in [("initiator", initiator), ("responder", responder)] {
            if card.chain != self.chain.id() {
                return Err(Refused::ForeignCard(who));
            }
        }
        if initiator.key == responder.key {
            return Err(Refused::OneParty);
        }
        self.headers.check(&self.chain)?;
        let placed = self.place(&self.offer, "offer")?;
        let seen = self.read_offer()?;
        let commit = self.check_commit(&self.offer, "offer")?;
        let answer = self.answer.as_ref().map(|answer| self.read_answer(answer, &seen)).transpose()?;
        let context = Context {
            initiator: initiator.party_ref(),
            responder: responder.party_ref(),
            input0: seen.input0(),
            carrier: seen.carrier(),
        };
        let opened = self.opened(&context, &seen, answer.as_ref())?;
        let transcript = opened
            .offer
            .as_ref()
            .zip(opened.answer.as_ref())
            .map(|(offer, answer)| context.transcript_of(offer, seen.txid(), answer));
        let tag = self.check_tag(&opened, transcript.as_ref())?;
        let sessions = self.check_words(&context, &seen, answer.as_ref())?;
        let (liveness, spendings) = self.check_spendings(&context, answer.as_ref())?;
        Ok(Statement {
            ties: self.check_ties(trust, least)?,
            chain: self.chain.clone(),
            initiator: initiator.clone(),
            responder: responder.clone(),
            negotiation: context.id(),
            coin: self.coin,
            placed,
            seen,
            commit,
            answer,
            liveness,
            spendings,
            opened,
            transcript,
            tag,
            fingerprints: [Role::Initiator, Role::Responder]
                .map(|role| self.disclosures.word(role).map(|word| word.fingerprint)),
            sessions,
            first: self.headers.block(self.headers.first()),
            last: self.headers.block(self.headers.last()),
        })
    }

    /// That a transaction is in its block.
    fn place(&self, entry: &Entry, what: &'static str) -> Result<Placed, Refused> {
        self.place_tx(entry.height, &entry.branch, &entry.tx, what)
    }

    pub(crate) fn place_tx(
        &self,
        height: Height,
        branch: &Branch,
        tx: &Transaction,
        what: &'static str,
    ) -> Result<Placed, Refused> {
        let missing = Refused::NoHeader(what, height);
        let header = self.headers.at(height).ok_or(missing.clone())?;
        let txid = tx.compute_txid();
        let root = branch.root(txid).map_err(|why| Refused::Branch(what, why))?;
        if root != header.merkle_root.to_byte_array() {
            return Err(Refused::NotInBlock(what, height));
        }
        Ok(Placed {
            txid,
            block: self.headers.block(height).ok_or(missing)?,
            index: branch.index,
            time: header.time,
            median_time: self.headers.median_time(height),
        })
    }

    fn read_offer(&self) -> Result<SeenOffer, Refused> {
        let authored = Authored::verify(&self.offer.tx, self.coin).map_err(Refused::OfferAuthor)?;
        if authored.author() != self.initiator.permanent().key {
            return Err(Refused::OtherInitiator(authored.author()));
        }
        Ok(SeenOffer::read(&self.chain, &authored, self.responder.permanent().key)?)
    }

    fn read_answer(&self, entry: &Entry, offer: &SeenOffer) -> Result<AnswerSeen, Refused> {
        let placed = self.place(entry, "answer")?;
        if entry.position() <= self.offer.position() {
            return Err(Refused::AnswerBeforeOffer);
        }
        if !in_time(self.offer.height, entry.height) {
            return Err(Refused::Late(entry.height.to_u32() - self.offer.height.to_u32()));
        }
        let said = offer.read_answer(&self.chain, &entry.tx)?;
        let in_envelope = entry.envelope().is_some();
        Ok(AnswerSeen { placed, said, in_envelope, commit: self.check_commit(entry, "answer")? })
    }

    /// That the commit, where it is shown, made the coin of the envelope.
    fn check_commit(&self, entry: &Entry, what: &'static str) -> Result<Option<Txid>, Refused> {
        let Some(commit) = &entry.commit else { return Ok(None) };
        let wrong = Refused::Commit(what);
        let (index, script) = entry.envelope().ok_or(wrong.clone())?;
        let coin = entry.tx.input.get(index).map(|input| input.previous_output).ok_or(wrong.clone())?;
        let txid = commit.compute_txid();
        let made = usize::try_from(coin.vout).ok().and_then(|vout| commit.output.get(vout));
        let is_its = coin.txid == txid && made == Some(&envelope::output(&self.chain, &script));
        if is_its { Ok(Some(txid)) } else { Err(wrong) }
    }

    /// Both messages, as far as they are in the open or laid open.
    fn opened(
        &self,
        context: &Context,
        seen: &SeenOffer,
        answer: Option<&AnswerSeen>,
    ) -> Result<Opened, Refused> {
        let direction = context.letter(Role::Initiator, seen.input0());
        let mut opened = Opened {
            offer: seen.message().open().cloned(),
            answer: answer.and_then(|answer| answer.said.open().cloned()),
            offer_laid: false,
            answer_laid: false,
        };
        if let Some(contents) = &self.disclosures.offer {
            let Said::Sealed { bytes, .. } = seen.message() else {
                return Err(Refused::NothingSealed("offer"));
            };
            let offer = Offer::from_bytes(Carrier::Static, &contents.message)
                .map_err(|why| Refused::LaidMessage("offer", why))?;
            if *offer.terms() != (Terms::Static { timestamp: seen.lock_time() }) {
                return Err(Refused::LaidDate("offer"));
            }
            prove(contents, &direction, &self.responder.permanent().sealing, bytes, "offer")?;
            (opened.offer, opened.offer_laid) = (Some(offer), true);
        }
        if let Some(contents) = &self.disclosures.answer {
            let sealed = answer.and_then(|answer| match &answer.said {
                Said::Sealed { bytes, .. } => Some(bytes),
                Said::Open(_) => None,
            });
            let bytes = sealed.ok_or(Refused::NothingSealed("answer"))?;
            let message = Answer::from_bytes(Carrier::Static, &contents.message)
                .map_err(|why| Refused::LaidMessage("answer", why))?;
            let date = self.answer.as_ref().map(|answer| answer.tx.lock_time.to_consensus_u32());
            if Some(message.terms()) != date.map(|timestamp| AnswerTerms::Static { timestamp }) {
                return Err(Refused::LaidDate("answer"));
            }
            let back = direction_back(&direction, seen.anchor());
            prove(contents, &back, &self.initiator.permanent().sealing, bytes, "answer")?;
            (opened.answer, opened.answer_laid) = (Some(message), true);
        }
        if let (Some(offer), Some(answer)) = (&opened.offer, &opened.answer)
            && offer.suite() != answer.suite()
        {
            let (expected, found) = (offer.suite(), answer.suite());
            return Err(NoAnswer::from(BadMessage::OtherSuite { expected, found }).into());
        }
        Ok(opened)
    }

    fn check_tag(&self, opened: &Opened, transcript: Option<&Transcript>) -> Result<bool, Refused> {
        let Some(key) = self.disclosures.tag_key else { return Ok(false) };
        let (Some(answer), Some(transcript)) = (&opened.answer, transcript) else {
            return Err(Refused::TagWithoutMessages);
        };
        let tag = Tag::under(&Secret::fill_with(|bytes| *bytes = key), transcript);
        if tag.matches(&answer.tag()) { Ok(true) } else { Err(Refused::WrongTag) }
    }

    /// That what the parties say of the key is signed by them; the session keys, with their blocks.
    fn check_words(
        &self,
        context: &Context,
        seen: &SeenOffer,
        answer: Option<&AnswerSeen>,
    ) -> Result<Vec<Session>, Refused> {
        let said = &self.disclosures;
        let subject = answer.map(|answer| Subject {
            chain: self.chain.id(),
            negotiation: context.id(),
            offer: seen.txid(),
            answer: answer.placed.txid,
        });
        let check = |by: Role, claim: Claim, signature: &[u8; 64]| {
            let key = match by {
                Role::Initiator => context.initiator.key,
                Role::Responder => context.responder.key,
            };
            let signed = subject.is_some_and(|subject| claim.is_signed(&subject, by, key, signature));
            if signed { Ok(()) } else { Err(Refused::Word(side(by))) }
        };
        for by in [Role::Initiator, Role::Responder] {
            if let Some(word) = said.word(by) {
                check(by, Claim::Fingerprint(word.fingerprint), &word.signature)?;
            }
        }
        let first = answer.map(|answer| answer.placed.block.height);
        let session = |word: &SessionWord| {
            let block = self.headers.block(word.height).filter(|block| Some(block.height) >= first);
            let block = block.ok_or(Refused::SessionBlock(word.height))?;
            let claim = Claim::Session { block, sender: word.sender, key: word.key };
            check(word.by, claim, &word.signature)?;
            Ok(Session { block, by: word.by, sender: word.sender, key: word.key })
        };
        said.sessions.iter().map(session).collect()
    }

    /// How the blocks are tied to what the verifier knows.
    fn check_ties(&self, trust: &Trust, least: Depth) -> Result<Ties, Refused> {
        let pivot = self.pivot();
        let block = self.pivot_block().ok_or(Refused::NoHeader("last transaction", pivot))?;
        let ties = match *trust {
            Trust::Work => Ties::Work {
                depth: self.headers.depth_of(pivot),
                work: self.headers.work_from(pivot).ok_or(Refused::NoHeader("last transaction", pivot))?,
            },
            Trust::Block { hash, height } => {
                let at = self.headers.height_of(&hash).ok_or(Refused::NotTrusted(hash))?;
                let other = height.filter(|height| *height != at);
                if let Some(found) = other {
                    return Err(Refused::OtherHeight { claimed: at, found });
                }
                if at < pivot {
                    return Err(Refused::TrustedBelow(hash));
                }
                let block = BlockRef::new(at, hash);
                Ties::Block { block, heights: height.is_some(), depth: pivot.depth_under(at) }
            }
            Trust::Chain(None) => return Err(Refused::OtherBranch(block)),
            Trust::Chain(Some(Found { height, depth })) => {
                if let Some(found) = height.filter(|height| *height != pivot) {
                    return Err(Refused::OtherHeight { claimed: pivot, found });
                }
                Ties::Chain { heights: height.is_some(), depth }
            }
        };
        let found = ties.depth();
        if found < least { Err(Refused::TooShallow { found, least }) } else { Ok(ties) }
    }
}

fn prove(
    contents: &Contents,
    direction: &Direction,
    to: &[u8; 32],
    sealed: &[u8],
    what: &'static str,
) -> Result<(), Refused> {
    if contents.prove(direction, to, sealed) { Ok(()) } else { Err(Refused::LaidContents(what)) }
}

pub(crate) const fn side(role: Role) -> &'static str {
    match role {
        Role::Initiator => "initiator",
        Role::Responder => "responder",
    }
}
