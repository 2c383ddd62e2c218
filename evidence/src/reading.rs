//! From lines to what they hold: nothing but the one form is read.

use bitcoin::block::Header;
use bitcoin::consensus::encode::deserialize;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::{Amount, ScriptBuf};
use keyway_chain::{Chain, Height};
use keyway_protocol::card::SignedPermanent;
use keyway_protocol::negotiation::{Fingerprint, NegotiationId};

use crate::disclosed::{Contents, Disclosures, MOST_SESSIONS, SessionWord, Word};
use crate::file::{Entry, Evidence, MOST_BYTES, Malformed, VERSION, branch, read_stripped};
use crate::headers::{Headers, LEAD, MOST_HEADERS};
use crate::line::{Hex, Laid, Line, Says, Session, Spent, Top};
use crate::living::{MOST_SPENDINGS, Spending};

impl Evidence {
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
    spendings: Vec<Spending>,
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
            Line::Spending(line) if self.spendings.len() < MOST_SPENDINGS => {
                self.spendings.push(spending(&line)?);
                Ok(())
            }
            Line::Spending(_) => Err(Malformed::Several("spending")),
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
            spendings: self.spendings,
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

fn spending(line: &Spent) -> Result<Spending, Malformed> {
    let id = |hex: &Option<Hex>| {
        let bytes = hex.as_ref().map(|hex| hex.array().ok_or(Malformed::Length("negotiation")));
        Ok(bytes.transpose()?.map(NegotiationId::from_bytes))
    };
    let from = match (id(&line.from)?, line.coin_sat) {
        (Some(id), Some(sat)) => Some((id, Amount::from_sat(sat))),
        (None, None) => None,
        _ => return Err(Malformed::Missing("coin that a spending begins with")),
    };
    Ok(Spending {
        height: Height::new(line.height),
        branch: branch(line.index, &line.branch)?,
        tx: read_stripped(&line.tx.0).ok_or(Malformed::Transaction("spending"))?,
        from,
        signature: line.signature.as_ref().map(|hex| hex.0.clone()),
        names: id(&line.names)?,
    })
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
