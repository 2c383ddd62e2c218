//! What anybody reads of an offer and of its answer, without a secret (PROTOCOL.md 13.1).

use bitcoin::{Amount, OutPoint, Transaction, Txid};
use keyway_carriers::script::{self, Locked, Payment, Way};
use keyway_carriers::value::{self, MessageLen, Run};
use keyway_chain::{Chain, Height};
use keyway_protocol::authorship::{Authored, NotAuthored};
use keyway_protocol::identity::PartyKey;
use keyway_protocol::letter;
use keyway_protocol::message::{Answer, AnswerForm, BadMessage, Carrier, Offer, Terms};
use keyway_protocol::suite::{GroupLen, LEAST_BITS, MOST_BITS, Suite};
use thiserror::Error;

/// A message as a stranger sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said<M> {
    /// It can be read.
    Open(M),
    /// It is sealed; its length is that of messages of these suites.
    Sealed {
        /// The bytes.
        bytes: Vec<u8>,
        /// Which suites' messages are so long.
        suites: Vec<Suite>,
    },
}

impl<M> Said<M> {
    /// Whose suite's it is, if it is an answer to that offer; where both are sealed, those that they may be of by their
    /// lengths.
    pub fn suites(&self, offer: &SeenOffer) -> Vec<Suite> {
        match self {
            Self::Open(_) => offer.suites(),
            Self::Sealed { suites, .. } => suites.clone(),
        }
    }

    /// What it says, if that can be read.
    pub fn open(&self) -> Option<&M> {
        match self {
            Self::Open(message) => Some(message),
            Self::Sealed { .. } => None,
        }
    }
}

/// The coins that carry an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Carried {
    Run(Run),
    Beside(Payment),
}

/// An offer in a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenOffer {
    txid: Txid,
    author: PartyKey,
    recipient: PartyKey,
    input0: OutPoint,
    lock_time: u32,
    carried: Carried,
    message: Said<Offer>,
}

/// Why a payment carries no offer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NoOffer {
    /// It has nothing that carries one.
    #[error("it carries nothing to the recipient")]
    Nothing,
    /// What lies beside it is in no form that writers give.
    #[error(transparent)]
    Damage(#[from] script::Damage),
    /// What it says is no offer.
    #[error("what it carries is no offer: {0}")]
    Message(#[from] BadMessage),
    /// It is sealed, and no suite's offers are so long.
    #[error("it carries {0} sealed bytes, which no suite's offer has")]
    Length(usize),
}

/// Why a transaction is no answer to an offer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NoAnswer {
    /// It does not spend the offer's anchor first.
    #[error("its first input does not spend the offer's anchor")]
    Anchor,
    /// It speaks for nobody.
    #[error(transparent)]
    NotAuthored(#[from] NotAuthored),
    /// It speaks for somebody else than the responder.
    #[error("it speaks for {0}, who is not the responder")]
    Author(PartyKey),
    /// Not in sequence numbers.
    #[error("it carries no answer in sequence numbers: {0}")]
    Sequences(#[from] value::sequences::Refused),
    /// Not in amounts.
    #[error("it carries no answer in amounts: {0}")]
    Amounts(#[from] value::amounts::Refused),
    /// Not beside the payment.
    #[error(transparent)]
    Damage(#[from] script::Damage),
    /// What it says is no answer to it.
    #[error("what it carries is no answer: {0}")]
    Message(#[from] BadMessage),
    /// It is sealed, and no answer to such an offer is so long.
    #[error("it carries {0} sealed bytes, which no answer to this offer has")]
    Length(usize),
}

impl SeenOffer {
    /// Reads what a transaction offers to `recipient`.
    ///
    /// # Errors
    /// [`NoOffer`].
    pub fn read(chain: &Chain, tx: &Authored<'_>, recipient: PartyKey) -> Result<Self, NoOffer> {
        let (carried, message) = match Self::in_amounts(chain, tx, recipient) {
            Some(found) => found,
            None => Self::beside(chain, tx, recipient)?,
        };
        let lock_time = tx.tx().lock_time.to_consensus_u32();
        let (txid, author, input0) = (tx.txid(), tx.author(), tx.input0());
        Ok(Self { txid, author, recipient, input0, lock_time, carried, message })
    }

    fn in_amounts(chain: &Chain, tx: &Authored<'_>, recipient: PartyKey) -> Option<(Carried, Said<Offer>)> {
        let run = value::run::read(chain, tx, recipient).ok().flatten()?;
        let offer = Offer::from_bytes(Carrier::Value, run.message()).ok()?;
        Some((Carried::Run(run), Said::Open(offer)))
    }

    fn beside(
        chain: &Chain,
        tx: &Authored<'_>,
        recipient: PartyKey,
    ) -> Result<(Carried, Said<Offer>), NoOffer> {
        let payment = script::read_offer(chain, tx, recipient)?.ok_or(NoOffer::Nothing)?;
        let message = if payment.locked().is_some() {
            Said::Open(Offer::from_bytes(Carrier::Dynamic, payment.message())?)
        } else {
            let bytes = payment.message().to_vec();
            let len = bytes.len().saturating_sub(letter::OVERHEAD);
            let suites: Vec<Suite> = Suite::ALL.into_iter().filter(|suite| is_offer(*suite, len)).collect();
            if suites.is_empty() {
                return Err(NoOffer::Length(bytes.len()));
            }
            Said::Sealed { bytes, suites }
        };
        Ok((Carried::Beside(payment), message))
    }

    /// Reads the answer to it in the transaction that spends its anchor.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub fn read_answer(&self, chain: &Chain, tx: &Transaction) -> Result<Said<Answer>, NoAnswer> {
        if tx.input.first().map(|input| input.previous_output) != Some(self.anchor()) {
            return Err(NoAnswer::Anchor);
        }
        let authored = Authored::verify(tx, self.anchored())?;
        if authored.author() != self.recipient {
            return Err(NoAnswer::Author(authored.author()));
        }
        let bytes = self.answer_bytes(chain, &authored)?;
        let Some(offer) = self.message.open() else { return self.sealed_answer(bytes) };
        let answer = Answer::from_bytes(offer.carrier(), &bytes)?;
        let (expected, found) = (offer.suite(), answer.suite());
        if expected != found {
            return Err(BadMessage::OtherSuite { expected, found }.into());
        }
        Ok(Said::Open(answer))
    }

    fn answer_bytes(&self, chain: &Chain, tx: &Authored<'_>) -> Result<Vec<u8>, NoAnswer> {
        let collected = self.collected();
        let (Carried::Run(_), Said::Open(offer)) = (&self.carried, &self.message) else {
            return Ok(script::read_answer(chain, tx, &collected)?.bytes);
        };
        let len = Answer::len_of(offer.suite(), Carrier::Value);
        let len = MessageLen::new(len).map_err(|_| NoAnswer::Length(len))?;
        match offer.form() {
            AnswerForm::Sequences => Ok(value::sequences::read(tx, &collected, len)?),
            AnswerForm::Amounts => {
                Ok(value::amounts::read(chain, tx, &collected, self.author, len)?.message().to_vec())
            }
        }
    }

    fn sealed_answer(&self, bytes: Vec<u8>) -> Result<Said<Answer>, NoAnswer> {
        let within = |sealed: usize| sealed.saturating_sub(letter::OVERHEAD);
        let offer = within(self.beside_payment().map_or(0, |(sealed, _)| sealed));
        let fits = |suite: &Suite| is_answer(*suite, offer, within(bytes.len()));
        let suites: Vec<Suite> = self.suites().into_iter().filter(fits).collect();
        if suites.is_empty() {
            Err(NoAnswer::Length(bytes.len()))
        } else {
            Ok(Said::Sealed { bytes, suites })
        }
    }

    /// Its transaction.
    pub fn txid(&self) -> Txid {
        self.txid
    }

    /// Who pays.
    pub fn author(&self) -> PartyKey {
        self.author
    }

    /// Who is paid.
    pub fn recipient(&self) -> PartyKey {
        self.recipient
    }

    /// The coin that its input 0 spends.
    pub fn input0(&self) -> OutPoint {
        self.input0
    }

    /// The nLockTime of its transaction: over the static carrier, the message's own date.
    pub fn lock_time(&self) -> u32 {
        self.lock_time
    }

    /// What it says.
    pub fn message(&self) -> &Said<Offer> {
        &self.message
    }

    /// How it rides.
    pub fn carrier(&self) -> Carrier {
        match (&self.carried, self.locked()) {
            (Carried::Run(_), _) => Carrier::Value,
            (Carried::Beside(_), None) => Carrier::Static,
            (Carried::Beside(_), Some(_)) => Carrier::Dynamic,
        }
    }

    /// Its suite; where it is sealed, those that it may be of by its length.
    pub fn suites(&self) -> Vec<Suite> {
        match &self.message {
            Said::Open(offer) => vec![offer.suite()],
            Said::Sealed { suites, .. } => suites.clone(),
        }
    }

    /// Bytes of the message, where it rides beside the payment, and where they are.
    pub fn beside_payment(&self) -> Option<(usize, Way)> {
        match &self.carried {
            Carried::Run(_) => None,
            Carried::Beside(payment) => Some((payment.message().len(), payment.way())),
        }
    }

    /// How many coins carry it in their amounts, and bits of each.
    pub fn coins(&self) -> Option<(usize, u32)> {
        match &self.carried {
            Carried::Run(run) => Some((run.outpoints().len(), run.layout().bits().get())),
            Carried::Beside(_) => None,
        }
    }

    /// The output whose first spender decides it.
    pub fn anchor(&self) -> OutPoint {
        match &self.carried {
            Carried::Run(run) => run.anchor(),
            Carried::Beside(payment) => payment.anchor(),
        }
    }

    /// What the anchor holds.
    pub fn anchored(&self) -> Amount {
        match &self.carried {
            Carried::Run(run) => run.coins().next().map_or(Amount::ZERO, |coin| coin.amount),
            Carried::Beside(payment) => payment.anchored(),
        }
    }

    /// What the responder is paid.
    pub fn price(&self) -> Amount {
        match &self.carried {
            Carried::Run(run) => run.price(),
            Carried::Beside(payment) => payment.price(),
        }
    }

    /// The output that may hold a locked payment.
    pub fn locked(&self) -> Option<&Locked> {
        match &self.carried {
            Carried::Run(_) => None,
            Carried::Beside(payment) => payment.locked(),
        }
    }

    /// The height after which a locked payment can go back.
    pub fn timeout(&self) -> Option<Height> {
        match self.message.open()?.terms() {
            Terms::Dynamic { timeout, .. } => Some(*timeout),
            _ => None,
        }
    }

    fn collected(&self) -> Vec<OutPoint> {
        match &self.carried {
            Carried::Run(run) => run.outpoints().collect(),
            Carried::Beside(payment) => payment.collected(),
        }
    }
}

/// Whether an offer of a suite over the static carrier can be so long.
fn is_offer(suite: Suite, len: usize) -> bool {
    match suite {
        Suite::FfdhPublished | Suite::FfdhCustom => moduli(suite, len).next().is_some(),
        _ => Offer::len_of(suite, Carrier::Static) == len,
    }
}

/// Whether an answer to an offer of that length can be so long.
fn is_answer(suite: Suite, offer: usize, len: usize) -> bool {
    match suite {
        Suite::FfdhPublished | Suite::FfdhCustom => {
            moduli(suite, offer).any(|modulus| Answer::len_in(GroupLen { modulus, generator: 0 }) == len)
        }
        _ => Answer::len_of(suite, Carrier::Static) == len,
    }
}

/// How long the modulus of a group from outside can be in an offer of that length.
fn moduli(suite: Suite, len: usize) -> impl Iterator<Item = usize> {
    let fits = move |modulus: &usize| {
        let bare = Offer::len_with(suite, GroupLen { modulus: *modulus, generator: 0 });
        match (suite, len.checked_sub(bare)) {
            (Suite::FfdhPublished, rest) => rest == Some(0),
            (_, rest) => rest.is_some_and(|generator| (1..=*modulus).contains(&generator)),
        }
    };
    (LEAST_BITS as usize / 8..=MOST_BITS as usize / 8).filter(fits)
}
