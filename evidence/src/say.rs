//! A statement in sentences: what is proven, and what is not.

use bitcoin::hex::DisplayHex;
use keyway_carriers::script::Way;
use keyway_protocol::message::Carrier;
use keyway_protocol::negotiation::{Fingerprint, Role};
use keyway_protocol::suite::Suite;

use crate::seen::Said;
use crate::statement::{Placed, Session, SpendingSeen, SpentFor, Statement, Ties};
use crate::time::date_and_time;

impl Statement {
    /// What the file proves, in sentences.
    pub fn proven(&self) -> Vec<String> {
        let mut said = vec![self.cards(), self.blocks(), self.offer()];
        said.extend(self.answer());
        said.extend(self.liveness());
        said.extend(self.contents());
        said.extend(self.key());
        said
    }

    /// What it does not prove, in sentences.
    pub fn not_proven(&self) -> Vec<String> {
        let mut said = vec![
            "Who holds a key: a name is what its card says of itself, and a key speaks for whoever has it."
                .to_owned(),
            "The exact time: miners set it in their headers. Honest nodes take no block whose time is two hours ahead of \
             their clock, nor one that is not after the median before it."
                .to_owned(),
        ];
        match self.ties {
            Ties::Work { .. } => said.push(
                "That these blocks are in the chain that others follow: whoever does as much work can \
                 make others."
                    .to_owned(),
            ),
            Ties::Block { .. } | Ties::Chain { .. } => {}
        }
        if !self.ties.know_heights() {
            said.push(
                "The heights: they are what the file says; how far its blocks are apart is proven."
                    .to_owned(),
            );
        }
        if self.answer.is_none() {
            said.push(
                "Whether the offer was answered: the file has no answer, which is no proof of none."
                    .to_owned(),
            );
        }
        if self.has_envelope() {
            said.push(
                "That a transaction with an envelope shows one alone: two would make it no message, and the \
                 other inputs' witnesses are not in the file."
                    .to_owned(),
            );
        }
        said.extend(self.sealed());
        said.extend(self.life_unproven());
        said.extend(self.group());
        said.extend(self.key_unproven());
        said
    }

    fn cards(&self) -> String {
        format!(
            "{} stands below for the holder of key {}, and {} for that of key {}: these names, and the keys that messages \
             are sealed to, are signed by these keys.",
            self.name(Role::Initiator),
            self.initiator.key,
            self.name(Role::Responder),
            self.responder.key
        )
    }

    fn blocks(&self) -> String {
        let (count, first, last) = match (self.first, self.last) {
            (Some(first), Some(last)) => (
                last.height.to_u32() - first.height.to_u32() + 1,
                first.hash.to_string(),
                last.hash.to_string(),
            ),
            _ => (0, String::new(), String::new()),
        };
        let chain = self.chain.name();
        let run = format!(
            "{count} blocks of {chain} follow one another from {first} to {last}, and each has the work that its \
             target asks for."
        );
        let tie = match self.ties {
            Ties::Work { depth, work } => {
                let easy = if self.chain.is_main() { "" } else { ", which on a chain for testing is little" };
                format!(
                    "The last transaction is {depth} deep in them; these took about 2^{:.1} hashes{easy}.",
                    work.log2()
                )
            }
            Ties::Block { block, depth, .. } => format!(
                "Block {} is the one that is trusted; the last transaction is {depth} deep under it.",
                block.hash
            ),
            Ties::Chain { depth, .. } => {
                format!(
                    "They are in the chain that they are held to; the last transaction is {depth} deep there."
                )
            }
        };
        format!("{run} {tie}")
    }

    fn offer(&self) -> String {
        let (car, charger) = (self.name(Role::Initiator), self.name(Role::Responder));
        let rides = match self.seen.message() {
            Said::Open(offer) => {
                format!(
                    "carries in the open an offer in suite {} over the {} carrier",
                    offer.suite(),
                    self.seen.carrier()
                )
            }
            Said::Sealed { bytes, suites } => format!(
                "carries {} bytes, sealed so that {} may open them, of the length of an offer in {} over the {} \
                 carrier",
                bytes.len(),
                self.name(Role::Responder),
                names(suites),
                self.seen.carrier()
            ),
        };
        let way = way(self.seen.beside_payment().map(|(_, way)| way), self.commit.is_some());
        format!(
            "{}, the offer. {car} signed all of its inputs and outputs, and that its first input spends {} sat: with \
             another amount the signature would be wrong. It pays {} sat to {charger}, and {rides}{way}.",
            placed(&self.placed),
            self.coin.to_sat(),
            self.seen.price().to_sat(),
        )
    }

    fn answer(&self) -> Option<String> {
        let answer = self.answer.as_ref()?;
        let charger = self.name(Role::Responder);
        let rides = match &answer.said {
            Said::Open(_) => "carries the answer in the open".to_owned(),
            Said::Sealed { bytes, suites } => format!(
                "carries {} bytes, sealed so that {} may open them, of the length of an answer in {}",
                bytes.len(),
                self.name(Role::Initiator),
                names(suites)
            ),
        };
        let collects = match self.seen.carrier() {
            Carrier::Dynamic => " and what the offer locked",
            _ => "",
        };
        let way = way(answer.in_envelope.then_some(Way::Envelope), answer.commit.is_some());
        Some(format!(
            "{}, the answer. {charger} signed all of it; it spends the offer's first output to {}{collects}, so that no \
             other answer to this offer is possible in this chain, and stands {} block(s) after it. It {rides}{way}.",
            placed(&answer.placed),
            self.name(Role::Responder),
            answer.placed.block.height.to_u32() - self.placed.block.height.to_u32(),
        ))
    }

    /// The coin that the key lives by, and what became of it.
    fn liveness(&self) -> Vec<String> {
        let mut said = Vec::new();
        if let Some(coin) = self.liveness {
            said.push(format!(
                "Output {} of the answer, of {} sat, is a liveness coin: its script names this negotiation, and either of \
                 the two can spend it alone. While it is unspent the key lives.",
                coin.outpoint.vout,
                coin.amount.to_sat()
            ));
        }
        said.extend(self.spendings.iter().map(|spending| self.spending(spending)));
        said
    }

    fn spending(&self, spending: &SpendingSeen) -> String {
        let by = match spending.by {
            Some(key) if key == self.initiator.key => self.name(Role::Initiator),
            Some(_) => self.name(Role::Responder),
            None => "one of the two",
        };
        let coin = match spending.from {
            Some(id) => format!("a coin of theirs whose script names negotiation {id}"),
            None => "the liveness coin".to_owned(),
        };
        let what = match spending.spent_for {
            SpentFor::Moved(id) if id == self.negotiation => {
                "into one whose script names this negotiation: if it was the pair's liveness coin, this key lives by it since"
                    .to_owned()
            }
            SpentFor::Moved(id) => format!("into one whose script names negotiation {id}: a move, if that was answered before"),
            SpentFor::Revoking if self.is_brought() => {
                "and moved it to no other negotiation: if it was the pair's, that revoked this negotiation's key, and that of \
                 every one of the two that was answered before"
                    .to_owned()
            }
            SpentFor::Revoking => "and moved it to no other negotiation: that revoked this negotiation's key, and that of every \
                                   one of the two that was answered before"
                .to_owned(),
            SpentFor::Unknown => "into a script that the file does not explain: a move, or else a revocation".to_owned(),
        };
        format!("{}. By the signature of {by} it spends {coin} {what}.", placed(&spending.placed))
    }

    /// Whether the coin came from another negotiation, and how it came to that the file does not show.
    fn is_brought(&self) -> bool {
        self.spendings.first().is_some_and(|spending| spending.from.is_some())
    }

    fn life_unproven(&self) -> Vec<String> {
        let mut said = Vec::new();
        let last = self.spendings.last().map(|spending| spending.spent_for);
        if (self.liveness.is_some() || last.is_some()) && last != Some(SpentFor::Revoking) {
            said.push(
                "That the key still lives: whether the last coin is unspent no file shows without the set of all unspent \
                 coins; whoever has a node asks it."
                    .to_owned(),
            );
        }
        if let Some(id) = self.spendings.first().and_then(|spending| spending.from) {
            said.push(format!(
                "That the coin which came from negotiation {id} was the pair's: the evidence of that one shows its way here."
            ));
        }
        let others = |spending: &SpendingSeen| match spending.spent_for {
            SpentFor::Moved(id) => id != self.negotiation || spending.from.is_some(),
            SpentFor::Unknown => true,
            SpentFor::Revoking => false,
        };
        if self.spendings.iter().any(others) {
            said.push(
                "That the other negotiations which the coin named were answered, each before it was moved there: their own \
                 evidence shows that, and where it is not so, the move revoked the key."
                    .to_owned(),
            );
        }
        if self.liveness.is_some() || last.is_some() {
            said.push(
                "That the two have no other liveness coin, and no revocation by one came before.".to_owned(),
            );
        }
        said
    }

    fn contents(&self) -> Vec<String> {
        let mut said = Vec::new();
        let laid = |what: &str, author: &str, reader: &str, suite: Suite| {
            format!(
                "{author} laid open the {what}: it is a message in suite {suite}, and the bytes on the chain are that \
                 message sealed to {reader}'s key, which can be opened to nothing else."
            )
        };
        let (car, charger) = (self.name(Role::Initiator), self.name(Role::Responder));
        if let Some(offer) = self.opened.offer.as_ref().filter(|_| self.opened.offer_laid) {
            said.push(laid("offer", car, charger, offer.suite()));
        }
        if let Some(answer) = self.opened.answer.as_ref().filter(|_| self.opened.answer_laid) {
            said.push(laid("answer", charger, car, answer.suite()));
        }
        if let Some(transcript) = self.transcript {
            said.push(format!(
                "The transcript that any key of this negotiation is bound to is {}: both identities and cards, the \
                 offer's transaction and coin, and both messages.",
                transcript.as_bytes().as_hex()
            ));
        }
        said
    }

    fn key(&self) -> Vec<String> {
        let mut said = Vec::new();
        if self.tag {
            said.push(format!(
                "The responder's tag in the answer is that of this transcript under the key that is disclosed: {} had \
                 that tag key when it answered, and so has who disclosed it.",
                self.name(Role::Responder)
            ));
        }
        match self.fingerprints {
            [Some(one), Some(other)] if one == other => {
                said.push(format!("Both parties signed that the key's fingerprint is {one}."));
            }
            fingerprints => {
                for (role, fingerprint) in [Role::Initiator, Role::Responder].into_iter().zip(fingerprints) {
                    said.extend(fingerprint.map(|it| self.word(role, it)));
                }
            }
        }
        said.extend(self.sessions.iter().map(|session| self.session(session)));
        said
    }

    fn word(&self, by: Role, fingerprint: Fingerprint) -> String {
        format!("{} signed that the key's fingerprint is {fingerprint}.", self.name(by))
    }

    fn session(&self, session: &Session) -> String {
        format!(
            "{} signed that {} is the session key of block {} (height {}) for what {} seals.",
            self.name(session.by),
            session.key.as_hex(),
            session.block.hash,
            session.block.height,
            self.name(session.sender)
        )
    }

    /// An offer that names its group rests on a transaction that is not in the file.
    fn group(&self) -> Option<String> {
        let names_it = self.opened.offer.as_ref().is_some_and(|offer| offer.suite() == Suite::FfdhPublished);
        names_it.then(|| {
            "That the group which the offer names was published six blocks before it: the parties know, and take the \
             offer for declined if it was not."
                .to_owned()
        })
    }

    fn sealed(&self) -> Option<String> {
        let hidden = match (&self.opened.offer, self.answer.as_ref().map(|_| &self.opened.answer)) {
            (None, Some(None)) => "What offer and answer say",
            (None, _) => "What the offer says",
            (_, Some(None)) => "What the answer says",
            _ => return None,
        };
        Some(format!(
            "{hidden}: sealed, and not laid open. Of a sealed message its author, order, time and size are proven, and \
             no more; its author alone can lay it open."
        ))
    }

    fn key_unproven(&self) -> Vec<String> {
        let mut said = Vec::new();
        if self.answer.is_some() && !self.tag {
            said.push(
                "That a key came of it: whether the shares can be used and the responder's tag is right only the \
                 parties can tell; a wrong one means that the initiator took the offer for declined."
                    .to_owned(),
            );
        }
        if self.answer.is_some() {
            said.push(match (self.tag, self.fingerprints) {
                (_, [Some(one), Some(other)]) if one != other => {
                    "Which fingerprint is the key's: the parties contradict each other.".to_owned()
                }
                (_, [None, None]) => "Anything of the key itself.".to_owned(),
                _ => "That the fingerprint is the key's: it is the word of who signed it, which the parties could \
                      give together whatever it is."
                    .to_owned(),
            });
        }
        if !self.sessions.is_empty() {
            said.push(
                "That a session key is the key's, and who sealed a message under it: it is the word of who signed \
                 it, and both parties can seal under it."
                    .to_owned(),
            );
        }
        said
    }

    fn has_envelope(&self) -> bool {
        let by_offer = self.seen.beside_payment().is_some_and(|(_, way)| way == Way::Envelope);
        by_offer || self.answer.as_ref().is_some_and(|answer| answer.in_envelope)
    }
}

fn placed(placed: &Placed) -> String {
    let median =
        placed.median_time.map_or_else(String::new, |time| format!(", median time {}", moment(time)));
    format!(
        "In block {} (height {}, header time {}{median}), as number {} of it, stands transaction {}",
        placed.block.hash,
        placed.block.height,
        moment(placed.time),
        placed.index,
        placed.txid
    )
}

fn way(way: Option<Way>, committed: bool) -> String {
    match (way, committed) {
        (Some(Way::Envelope), true) => {
            ", in an envelope whose script the transaction before it committed to".to_owned()
        }
        (Some(Way::Envelope), false) => ", in an envelope whose script its author signed".to_owned(),
        _ => String::new(),
    }
}

fn names(suites: &[Suite]) -> String {
    suites.iter().map(|suite| suite.name()).collect::<Vec<_>>().join(" or ")
}

fn moment(seconds: u32) -> String {
    format!("{} UTC", date_and_time(seconds))
}
