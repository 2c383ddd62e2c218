//! The paper's value channel between two homes, to the letter and for study alone (docs/ERRATA.md, points 1 and 10).
//!
//! A room of its own: no negotiation, no card's suite and no sealed message knows of it. Its payments are ordinary money to
//! everything else.

use bitcoin::{Amount, OutPoint, Txid};
use keyway_carriers::paper::{self, DIGITS, MasterKey, Offer};
use keyway_chain::{BlockRef, Chain, Height};
use keyway_ledger::{BroadcastError, Ledger, Next, Watch};
use keyway_protocol::authorship::Authored;
use keyway_protocol::card::Card;
use keyway_protocol::identity::PartyKey;
use keyway_protocol::negotiation::Role;
use keyway_protocol::secret::Secret;
use keyway_protocol::state::Position;

use super::{Costs, Party};
use crate::error::{NodeError, StudyError};
use crate::history::{Block, Mined};
use crate::outside::Outside;
use crate::store::{Purpose, Sent};
use crate::wallet::{self, Order};

/// Said in so many words, and not on a network where coins have a price: only that makes one.
#[derive(Clone, Copy, Debug)]
pub struct KnownToBeBroken(());

impl KnownToBeBroken {
    /// `said` is what the user said.
    ///
    /// # Errors
    /// [`StudyError::OnMain`], whatever was said; [`StudyError::Unsaid`].
    pub fn on(chain: &Chain, said: bool) -> Result<Self, NodeError> {
        match chain.name() {
            name @ ("bitcoin" | "litecoin") => Err(StudyError::OnMain(name).into()),
            _ if !said => Err(StudyError::Unsaid.into()),
            _ => Ok(Self(())),
        }
    }
}

/// A payment of the study on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StudySent {
    /// Its transaction.
    pub txid: Txid,
    /// Size and fee.
    pub costs: Costs,
    /// What the offer pays.
    pub offer: Offer,
    /// B, if this is an answer.
    pub share: Option<u64>,
}

/// What anybody sees of a negotiation by the paper's value channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StudySeen {
    /// The offer's transaction.
    pub txid: Txid,
    /// Its block.
    pub block: Block,
    /// Who pays the three amounts.
    pub initiator: PartyKey,
    /// Who is paid.
    pub responder: PartyKey,
    /// The amounts.
    pub offer: Offer,
    /// The answer's transaction, its block, and B.
    pub answer: Option<(Txid, Block, u64)>,
    input0: OutPoint,
}

/// The same with what this home alone knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Study {
    /// What anybody sees.
    pub seen: StudySeen,
    /// Which side this home is.
    pub role: Role,
    /// The master key, once there is an answer, and where this home has the secret.
    pub key: Option<MasterKey>,
}

fn offer_secret_name(input0: &OutPoint) -> String {
    format!("study offer {input0}")
}

fn answer_secret_name(offer: &Txid) -> String {
    format!("study answer {offer}")
}

impl Party {
    /// Pays a peer A, g and p (the paper's 4.1 and Algorithm 4), of numbers of that many digits at most.
    ///
    /// # Errors
    /// No money, no such peer, a ledger that fails.
    pub fn study_offer(
        &mut self,
        ledger: &dyn Ledger,
        peer: &str,
        digits: u32,
        _: KnownToBeBroken,
    ) -> Result<StudySent, NodeError> {
        let to = self.peer(peer)?.permanent().key;
        let (secret, offer) = self.draw(|least, random| {
            let (a, offer, _) = Offer::draw(digits.min(DIGITS), least, random);
            Some((a, offer))
        })?;
        let (txid, costs) = self.study_pay(ledger, &offer.outputs(to), secret, offer_secret_name)?;
        Ok(StudySent { txid, costs, offer, share: None })
    }

    /// Pays B back, for the mined offer whose transaction's id begins so.
    ///
    /// # Errors
    /// [`StudyError::Unknown`]; no money; a ledger that fails.
    pub fn study_answer(
        &mut self,
        ledger: &dyn Ledger,
        offer: &str,
        _: KnownToBeBroken,
    ) -> Result<StudySent, NodeError> {
        let open = |study: &Study| study.role == Role::Responder && study.seen.answer.is_none();
        let begins = |study: &Study| study.seen.txid.to_string().starts_with(offer) && !offer.is_empty();
        let found = self.studies()?.into_iter().find(|study| open(study) && begins(study));
        let seen = found.ok_or_else(|| StudyError::Unknown(offer.to_owned()))?.seen;
        if self.store.secret(&answer_secret_name(&seen.txid))?.is_some() {
            return Err(StudyError::Answered(seen.txid).into());
        }
        let (secret, share) = self.draw(|least, random| seen.offer.answer(least, random))?;
        let outputs = [paper::output(share, seen.initiator)];
        let (txid, costs) = self.study_pay(ledger, &outputs, secret, |_| answer_secret_name(&seen.txid))?;
        Ok(StudySent { txid, costs, offer: seen.offer, share: Some(share) })
    }

    fn draw<T>(
        &self,
        draw: impl FnOnce(Amount, &mut dyn FnMut(u64) -> u64) -> Option<(u64, T)>,
    ) -> Result<(Secret, T), NodeError> {
        let outside = Outside::system();
        let mut failed = None;
        let mut random = |below: u64| match outside.bytes::<8>() {
            Ok(bytes) => u64::from_be_bytes(bytes) % below.max(1),
            Err(error) => {
                failed = Some(error);
                below.saturating_sub(1)
            }
        };
        let drawn = draw(self.config.chain.dust_p2wpkh(), &mut random);
        match (failed, drawn) {
            (Some(error), _) => Err(error),
            (None, None) => Err(StudyError::TooSmall.into()),
            (None, Some((number, more))) => {
                let secret = Secret::fill_with(|bytes: &mut [u8; 32]| {
                    bytes.iter_mut().rev().zip(number.to_le_bytes()).for_each(|(place, byte)| *place = byte);
                });
                Ok((secret, more))
            }
        }
    }

    /// A payment from a confirmed coin; the secret is on disk before it is sent.
    fn study_pay(
        &mut self,
        ledger: &dyn Ledger,
        outputs: &[bitcoin::TxOut],
        secret: Secret,
        name: impl FnOnce(&OutPoint) -> String,
    ) -> Result<(Txid, Costs), NodeError> {
        self.in_step(|party| {
            party.check_chain(ledger)?;
            let feerate = party.feerate(ledger)?;
            let mut wallet = party.wallet()?;
            let needed = outputs.iter().map(|output| output.value).sum();
            let input0 = party.confirmed_coin(&wallet, needed)?;
            let address = party.address();
            let order = Order { outputs, feerate, lock_time: None, envelope: None, address: &address };
            let payment = wallet.pay(input0, &order)?;
            let fee = payment.fee();
            let tx = wallet::sign(payment, &party.identity)?;
            let name = name(&input0);
            let sent = party.store.step(|store| {
                store.set_secret(&name, &secret)?;
                store.add_sent(&tx, Purpose::Study, fee)
            })?;
            let costs = Costs { vbytes: sent.tx.vsize() as u64, fee: Some(fee) };
            party.study_send(ledger, sent, &name).map(|txid| (txid, costs))
        })
    }

    fn study_send(&mut self, ledger: &dyn Ledger, sent: Sent, name: &str) -> Result<Txid, NodeError> {
        let (outcome, txid) = (self.dispatch(ledger, &sent), sent.txid);
        if let Err(NodeError::Broadcast { source: BroadcastError::Refused(_), .. }) = outcome {
            self.store.step(|store| {
                Self::forget_refused(store, &self.history, std::slice::from_ref(&sent))?;
                store.erase_secret(name)
            })?;
        } else {
            self.history.add_sent(sent);
        }
        outcome.map(|()| txid)
    }

    /// The studies between this home and its peers, as the followed chain has them.
    ///
    /// # Errors
    /// If the store fails.
    pub fn studies(&self) -> Result<Vec<Study>, NodeError> {
        let reader = self.reader();
        let mined = self.history.in_order().filter_map(|mined| {
            let block = self.history.block(mined.at.height)?;
            Some((mined, block, reader.input0_amount(mined)?))
        });
        let paid: Vec<Paid<'_>> =
            mined.filter_map(|(mined, block, coin)| Paid::read(mined, block, coin)).collect();
        let mut studies = Vec::new();
        for peer in self.peers.cards().iter().map(|card: &Card| card.permanent().key) {
            for (role, initiator, responder) in
                [(Role::Initiator, self.key(), peer), (Role::Responder, peer, self.key())]
            {
                for seen in seen_between(&paid, initiator, responder) {
                    studies.push(Study { seen, role, key: self.study_key(&seen, role)? });
                }
            }
        }
        studies.sort_by_key(|study| study.seen.block.at.height);
        Ok(studies)
    }

    fn study_key(&self, seen: &StudySeen, role: Role) -> Result<Option<MasterKey>, NodeError> {
        let name = match role {
            Role::Initiator => offer_secret_name(&seen.input0),
            Role::Responder => answer_secret_name(&seen.txid),
        };
        let secret = self.store.secret(&name)?;
        let (Some(secret), Some((_, _, share))) = (secret, seen.answer) else { return Ok(None) };
        let number = secret.expose().last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let theirs = if role == Role::Initiator { share } else { seen.offer.share };
        Ok(Some(seen.offer.master_key(number, theirs)))
    }
}

/// A transaction that speaks for somebody.
struct Paid<'a> {
    authored: Authored<'a>,
    block: Block,
}

impl<'a> Paid<'a> {
    fn read(mined: &'a Mined, block: Block, coin: Amount) -> Option<Self> {
        Authored::verify(&mined.tx, coin).ok().map(|authored| Self { authored, block })
    }
}

/// Offers from one to the other; the answer to each is the first payment back after it that can be one. Nothing else ties
/// them: the paper has no more.
fn seen_between(paid: &[Paid<'_>], initiator: PartyKey, responder: PartyKey) -> Vec<StudySeen> {
    let mut seen = Vec::new();
    for (place, payment) in paid.iter().enumerate() {
        let Some(offer) = Some(&payment.authored)
            .filter(|it| it.author() == initiator)
            .and_then(|it| Offer::read(it, responder))
        else {
            continue;
        };
        let mut later = paid.iter().skip(place + 1).filter(|later| later.authored.author() == responder);
        let answer = later.find_map(|later| {
            let share = offer.read_answer(&later.authored, initiator)?;
            Some((later.authored.txid(), later.block, share))
        });
        seen.push(StudySeen {
            txid: payment.authored.txid(),
            block: payment.block,
            initiator,
            responder,
            offer,
            answer,
            input0: payment.authored.input0(),
        });
    }
    seen
}

/// What an eavesdropper sees between two parties: the chain, and where the two are paid.
///
/// # Errors
/// The ledger's.
pub fn studies_between(
    ledger: &dyn Ledger,
    after: BlockRef,
    parties: [PartyKey; 2],
    progress: &mut dyn FnMut(Height),
) -> Result<Vec<StudySeen>, NodeError> {
    let mut watch = Watch::new();
    for key in parties {
        watch.add_script(key.script());
    }
    let (mut at, mut found) = (after, Vec::new());
    while let Next::Connect(block) = ledger.next(at, &watch)? {
        at = block.at;
        for hit in block.hits {
            let place = Position { height: at.height, index: hit.position };
            found.push((Mined::new(hit.tx, place, hit.input_zero), Block { at, time: block.header.time }));
        }
        progress(at.height);
    }
    let with_coin =
        found.iter().filter_map(|(mined, block)| Some((mined, *block, mined.input0.as_ref()?.value)));
    let paid: Vec<Paid<'_>> =
        with_coin.filter_map(|(mined, block, coin)| Paid::read(mined, block, coin)).collect();
    let [one, other] = parties;
    let mut seen = seen_between(&paid, one, other);
    seen.extend(seen_between(&paid, other, one));
    seen.sort_by_key(|study| study.block.at.height);
    Ok(seen)
}
