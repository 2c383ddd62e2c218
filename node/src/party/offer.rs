//! Making an offer: the payment that carries it.

use std::collections::HashSet;

use bitcoin::absolute::LockTime;
use bitcoin::{Amount, FeeRate, OutPoint, TxOut, Txid};
use keyway_carriers::script::lock::{Ends, Lock};
use keyway_carriers::script::{Way, data};
use keyway_carriers::value;
use keyway_chain::{Chain, Height};
use keyway_ledger::{BroadcastError, Ledger};
use keyway_protocol::card::{Card, CardRefused, Prekey};
use keyway_protocol::identity::{IdentitySecret, NegotiationSecret};
use keyway_protocol::message::{AnswerForm, Carrier};
use keyway_protocol::negotiation::{Context, Draft, NegotiationId, Role};
use keyway_protocol::ratchet::BestChain;
use keyway_protocol::state::State;
use keyway_protocol::suite::{Group, Suite};

use super::cancel::note_offered;
use super::envelope::Commit;
use super::quote::{Quote, Terms, anchor_amount};
use super::{Costs, Party, take_secret};
use crate::carried::Carriage;
use crate::error::{FundsError, GroupError, NodeError, OfferError, PeerError};
use crate::history::History;
use crate::planted::{self, Bug};
use crate::store::{Chosen, Purpose, Record, Sent, Store};
use crate::wallet::{self, Coin, MOST_UNCONFIRMED, Order, Wallet};

/// Blocks after which a locked payment can go back, where nothing else is asked for.
pub(super) const TIMEOUT: u32 = 144;
/// A responder needs time to see the offer, to answer, and to have the answer mined.
pub(super) const LEAST_TIMEOUT: u32 = 72;
/// No answer counts that is mined 1,008 blocks above its offer, which takes some to be mined itself.
const MOST_TIMEOUT: u32 = 1_000;

/// What to offer, and to whom.
#[derive(Clone, Debug)]
pub struct OfferRequest {
    /// The peer, by name or the beginning of its name or key.
    pub peer: String,
    /// What it is paid.
    pub price: Amount,
    /// The key agreement.
    pub suite: Suite,
    /// How the offer rides.
    pub carrier: Carrier,
    /// Where an answer over the value carrier shall ride.
    pub form: AnswerForm,
    /// Also a suite that the carrier has no room for at a sensible price.
    pub force: bool,
    /// Blocks after which a locked payment can go back; 144 where nothing is said.
    pub timeout: Option<u32>,
    /// The group, of a suite that brings one.
    pub group: Option<Chosen>,
}

impl OfferRequest {
    /// What decides the cost, but for a liveness coin, which is the responder's to make.
    pub fn terms(&self) -> Terms {
        let Self { price, suite, carrier, form, force, .. } = *self;
        let group = self.group.as_ref().map(|group| group.numbers.lengths());
        Terms { price, suite, carrier, form, force, group, coin: false }
    }
}

/// An offer on its way.
#[derive(Clone, Debug)]
pub struct OfferSent {
    /// The negotiation.
    pub id: NegotiationId,
    /// The payment's transaction.
    pub txid: Txid,
    /// Virtual bytes of the transaction.
    pub vbytes: u64,
    /// What it pays to miners.
    pub fee: Amount,
    /// The transaction that commits to the envelope, if the message rides in one.
    pub commit: Option<Costs>,
    /// How the message is carried.
    pub carriage: Carriage,
}

/// What was decided before the offer is made.
pub(super) struct Plan {
    pub(super) peer: Card,
    pub(super) terms: Terms,
    pub(super) input0: OutPoint,
    pub(super) way: Way,
    /// What the responder gets for the envelope of its answer.
    fund: Amount,
    /// nLockTime where a message repeats it or a commit shares it.
    pub(super) lock_time: Option<LockTime>,
    /// The responder's prekey, and when the payment goes back.
    pub(super) locked: Option<(Vec<u8>, Height)>,
    /// The group that the offer brings, found sound.
    group: Option<(Group, Chosen)>,
}

/// A plan, and how it is told.
pub(super) struct Drawn {
    pub(super) plan: Plan,
    pub(super) carriage: Carriage,
    pub(super) feerate: FeeRate,
}

impl Party {
    /// Pays a peer, with an offer in the payment. Everything is stored before it is sent.
    ///
    /// # Errors
    /// Nothing was sent, unless [`NodeError::Broadcast`] blames the ledger: then the offer is kept and
    /// sent again by the next [`Party::sync`].
    pub fn offer(&mut self, ledger: &dyn Ledger, request: &OfferRequest) -> Result<OfferSent, NodeError> {
        self.in_step(|party| party.make_offer(ledger, request))
    }

    pub(super) fn make_offer(
        &mut self,
        ledger: &dyn Ledger,
        request: &OfferRequest,
    ) -> Result<OfferSent, NodeError> {
        let mut wallet = self.wallet()?;
        let choose = |quote: &Quote| self.confirmed_coin(&wallet, quote.needed(request.price));
        let Drawn { plan, carriage, feerate } = self.draw_up(ledger, request, choose)?;
        let (record, sent) = self.store_offer(&plan, &mut wallet, feerate)?;
        self.send_offer(ledger, &record, &sent)?;
        let costs = |sent: &Sent| Costs { vbytes: sent.tx.vsize() as u64, fee: Some(sent.fee) };
        let commit = sent.iter().find(|sent| matches!(sent.purpose, Purpose::Commit(_))).map(costs);
        let offer = sent.last().ok_or_else(|| impossible("an offer without a transaction"))?;
        let Sent { txid, fee, .. } = *offer;
        Ok(OfferSent { id: record.id, txid, vbytes: offer.tx.vsize() as u64, fee, commit, carriage })
    }

    /// Decides all that is decided before a secret is taken; `choose` gives the coin for input 0.
    pub(super) fn draw_up(
        &self,
        ledger: &dyn Ledger,
        request: &OfferRequest,
        choose: impl FnOnce(&Quote) -> Result<OutPoint, NodeError>,
    ) -> Result<Drawn, NodeError> {
        self.check_chain(ledger)?;
        self.ensure_restored()?;
        let peer = self.peer(&request.peer)?.clone();
        let feerate = self.feerate(ledger)?;
        self.check_peer(&peer, &request.terms())?;
        request.terms().check_carrier(&self.config.chain)?;
        let group = chosen_group(request)?;
        check_enforced(ledger, request.carrier, request.suite)?;
        let locked = self.lock_terms(&peer, request)?;
        let quote = Quote::new(&self.config.chain, feerate, &request.terms(), ledger.most_data()?)?;
        let input0 = choose(&quote)?;
        let carriage = match quote.carriage {
            Carriage::Locked { bytes, way, amount, by_exponent, .. } => {
                let timeout = locked.as_ref().map(|(_, timeout)| *timeout);
                Carriage::Locked { bytes, way, amount, timeout, by_exponent }
            }
            other => other,
        };
        let way = carriage.way().unwrap_or(Way::Output);
        let lock_time = self.lock_time(request.carrier, way);
        let (terms, fund) = (request.terms(), quote.fund);
        let plan = Plan { peer, terms, input0, way, fund, lock_time, locked, group };
        Ok(Drawn { plan, carriage, feerate })
    }

    /// The commit first, if there is one, then the offer. One that the ledger refuses is nowhere but here, and
    /// forgotten; an envelope whose commit it took is taken back.
    fn send_offer(&mut self, ledger: &dyn Ledger, record: &Record, sent: &[Sent]) -> Result<(), NodeError> {
        let (taken, outcome) = self.dispatch_all(ledger, sent);
        let (taken, refused) = match outcome {
            Err(NodeError::Broadcast { source: BroadcastError::Refused(_), .. }) => sent.split_at(taken),
            Err(_) if planted::is(Bug::ForgottenOnLostReply) => (&[][..], sent),
            _ => (sent, &[][..]),
        };
        if refused.is_empty() {
            self.records.insert(record.id, record.clone());
            self.preparations.forget(&record.id);
        } else {
            self.store.step(|store| forget_offer(store, &self.history, &record.id, refused))?;
            self.known.forget(&record.id);
        }
        taken.iter().for_each(|sent| self.history.add_sent(sent.clone()));
        outcome
    }

    pub(super) fn check_peer(&self, peer: &Card, terms: &Terms) -> Result<(), NodeError> {
        let (expiry, tip) = (peer.renewable().expiry, self.history.tip());
        if tip > expiry {
            return Err(PeerError::CardRefused(CardRefused::Expired { expiry, tip }).into());
        }
        self.check_dealing(peer)?;
        let Terms { suite, carrier, .. } = *terms;
        if peer.answers(suite, carrier) {
            Ok(())
        } else {
            Err(OfferError::PeerRefuses { peer: peer.permanent().name.to_string(), suite, carrier }.into())
        }
    }

    /// The prekey to make the offer to, and the height after which the payment goes back.
    fn lock_terms(
        &self,
        peer: &Card,
        request: &OfferRequest,
    ) -> Result<Option<(Vec<u8>, Height)>, NodeError> {
        let suite = request.suite;
        if request.carrier != Carrier::Dynamic {
            return Ok(None);
        }
        let blocks = request.timeout.unwrap_or(TIMEOUT);
        if !(LEAST_TIMEOUT..=MOST_TIMEOUT).contains(&blocks) {
            return Err(OfferError::Timeout { blocks, least: LEAST_TIMEOUT, most: MOST_TIMEOUT }.into());
        }
        let tip = self.history.tip();
        // The offer may take a while to be mined, and the prekey must be good then.
        let good = |prekey: &&Prekey| {
            prekey.suite == suite.number() && tip.plus(LEAST_TIMEOUT) <= prekey.last_height
        };
        let found = peer.renewable().prekeys.iter().find(good);
        let no_prekey =
            || NodeError::Offer(OfferError::NoPrekey { peer: peer.permanent().name.to_string(), suite });
        Ok(Some((found.ok_or_else(no_prekey)?.key.clone(), tip.plus(blocks))))
    }

    /// The nLockTime that a message repeats as its timestamp, or a commit shares: the tip's height.
    pub(super) fn lock_time(&self, carrier: Carrier, way: Way) -> Option<LockTime> {
        let height = LockTime::from_height(self.history.tip().to_u32()).unwrap_or(LockTime::ZERO);
        (carrier == Carrier::Static || way == Way::Envelope).then_some(height)
    }

    pub(super) fn confirmed_coin(&self, wallet: &Wallet, needed: Amount) -> Result<OutPoint, NodeError> {
        let unmined = self.history.hopeful_sent().count();
        if unmined >= MOST_UNCONFIRMED {
            return Err(FundsError::TooManyUnconfirmed(unmined).into());
        }
        let coins = self.first_coins(wallet);
        coins.first().map(|coin| coin.outpoint).ok_or_else(|| self.no_first_coin(wallet, needed))
    }

    /// The coins that an offer can begin with, the largest first.
    pub(super) fn first_coins(&self, wallet: &Wallet) -> Vec<Coin> {
        // An older offer that begins with the same coin may be mined yet: it would be the same negotiation.
        let may_be_mined =
            |record: &&Record| record.role == Role::Initiator && !self.preparations.is_given_up(&record.id);
        let offered: HashSet<OutPoint> =
            self.records.values().filter(may_be_mined).map(|record| record.input0).collect();
        let coins = wallet.coins().into_iter();
        coins.filter(|coin| coin.confirmed && !offered.contains(&coin.outpoint)).collect()
    }

    /// Why there is none.
    pub(super) fn no_first_coin(&self, wallet: &Wallet, needed: Amount) -> NodeError {
        if wallet.coins().is_empty() {
            return NodeError::Funds(FundsError::TooLittle {
                needed,
                available: Amount::ZERO,
                address: self.address(),
            });
        }
        let split = self.history.hopeful_sent().any(|sent| sent.purpose == Purpose::Split);
        NodeError::Funds(FundsError::NoConfirmedCoin { split })
    }

    fn store_offer(
        &mut self,
        plan: &Plan,
        wallet: &mut Wallet,
        feerate: FeeRate,
    ) -> Result<(Record, Vec<Sent>), NodeError> {
        let context = self.reader().context(Role::Initiator, &plan.peer, plan.input0, plan.terms.carrier);
        let id = context.id();
        let (chain, identity, address) = (&self.config.chain, &self.identity, self.address());
        let tip = self.history.tip();
        self.store.step(|store| {
            let (index, secret) = take_secret(store, &id)?;
            let (outputs, enveloped) = plan.outputs(chain, context, &secret)?;
            let committed = match &enveloped {
                Some(message) => {
                    Some(plan.commit(chain, identity, id, feerate, &address).make(wallet, message)?)
                }
                None => None,
            };
            let order = Order {
                outputs: &outputs,
                feerate,
                lock_time: plan.lock_time,
                envelope: committed.as_ref().map(|it| (it.envelope.outpoint, &it.envelope.script)),
                address: &address,
            };
            let payment = wallet.pay(plan.input0, &order)?;
            let fee = payment.fee();
            let tx = wallet::sign(payment, identity)?;
            let record = plan.record(id, index);
            store.remove_prepared(&id)?;
            if let Some(group) = &record.group {
                store.note_sound_group(group.numbers.digest())?;
            }
            store.put_negotiation(&record)?;
            let commit = committed.map(|committed| committed.store(store)).transpose()?;
            note_offered(store, &id, tip)?;
            let offer = store.add_sent(&tx, Purpose::Offer(id), fee)?;
            Ok((record, commit.into_iter().chain([offer]).collect()))
        })
    }

    /// Hands a stored transaction to the ledger.
    pub(super) fn dispatch(&self, ledger: &dyn Ledger, sent: &Sent) -> Result<(), NodeError> {
        let what = sent.purpose.name();
        ledger.broadcast(&sent.tx).map(drop).map_err(|source| NodeError::Broadcast { what, source })
    }

    /// Signs and stores a transaction that is wanted whatever the ledger says of it now.
    pub(super) fn store_wanted(&mut self, draft: wallet::Draft, purpose: Purpose) -> Result<Sent, NodeError> {
        let fee = draft.fee();
        let tx = wallet::sign(draft, &self.identity)?;
        let sent = self.store.step(|store| store.add_sent(&tx, purpose, fee))?;
        self.history.add_sent(sent.clone());
        Ok(sent)
    }

    /// Hands such a transaction to the ledger. Where that refuses it, says why: until another round sends it again, what it
    /// pays back is not there to be spent.
    pub(super) fn dispatch_wanted(
        &mut self,
        ledger: &dyn Ledger,
        sent: &Sent,
    ) -> Result<Option<String>, NodeError> {
        let refused = match self.dispatch(ledger, sent) {
            Err(NodeError::Broadcast { source: BroadcastError::Refused(refusal), .. }) => {
                Some(refusal.reason)
            }
            outcome => outcome.map(|()| None)?,
        };
        self.history.set_hopeless(sent.txid, refused.is_some());
        Ok(refused)
    }
}

/// Forgets an offer that went nowhere, so that its coins are free again; inside a step of the store.
pub(super) fn forget_offer(
    store: &Store,
    history: &History,
    id: &NegotiationId,
    refused: &[Sent],
) -> Result<(), NodeError> {
    Party::forget_refused(store, history, refused)?;
    store.remove_negotiation(id)?;
    store.erase_secret(&super::negotiation_secret_name(id))
}

impl Plan {
    /// What the store keeps of the negotiation from its beginning.
    pub(super) fn record(&self, id: NegotiationId, secret_index: u32) -> Record {
        let Terms { price, suite, carrier, form, .. } = self.terms;
        Record {
            id,
            role: Role::Initiator,
            peer: self.peer.permanent().key,
            secret_index: Some(secret_index),
            suite,
            carrier,
            form,
            input0: self.input0,
            prekey: self.locked.as_ref().map(|(prekey, _)| prekey.clone()),
            group: self.group.as_ref().map(|(_, chosen)| chosen.clone()),
            price,
            state: State::Offered,
            confirmed: None,
            settled: None,
            no_answer: None,
        }
    }

    /// The outputs that pay the peer and carry the offer; its bytes, where they ride in an envelope.
    pub(super) fn outputs(
        &self,
        chain: &Chain,
        context: Context,
        secret: &NegotiationSecret,
    ) -> Result<(Vec<TxOut>, Option<Vec<u8>>), NodeError> {
        let (mut outputs, message) = match &self.locked {
            Some((prekey, timeout)) => self.locked_outputs(chain, context, secret, prekey, *timeout)?,
            None if self.terms.carrier == Carrier::Value => {
                return Ok((self.run(chain, context, secret)?, None));
            }
            None => self.sealed_outputs(context, secret)?,
        };
        if self.way == Way::Output {
            outputs.insert(1, data::write(&message).map_err(impossible)?);
            return Ok((outputs, None));
        }
        outputs.insert(1, self.pays(self.fund));
        Ok((outputs, Some(message)))
    }

    /// What commits to an envelope of this offer.
    fn commit<'a>(
        &self,
        chain: &'a Chain,
        identity: &'a IdentitySecret,
        id: NegotiationId,
        feerate: FeeRate,
        address: &'a str,
    ) -> Commit<'a> {
        let lock_time = self.lock_time.unwrap_or(LockTime::ZERO);
        Commit { chain, identity, id, feerate, lock_time, input0: self.input0, fund: None, address }
    }

    fn run(
        &self,
        chain: &Chain,
        context: Context,
        secret: &NegotiationSecret,
    ) -> Result<Vec<TxOut>, NodeError> {
        let Terms { price, suite, form, .. } = self.terms;
        let (author, recipient) = (context.initiator.key, context.responder.key);
        let binding = value::Binding { chain, input0: self.input0, author, recipient };
        let draft = Draft::new(context, suite, form, secret);
        value::run::write(&binding, &draft.offer().to_bytes(), price).map_err(impossible)
    }

    /// The anchor, and the message.
    fn sealed_outputs(
        &self,
        context: Context,
        secret: &NegotiationSecret,
    ) -> Result<(Vec<TxOut>, Vec<u8>), NodeError> {
        let timestamp = self.lock_time.map_or(0, |at| at.to_consensus_u32());
        let draft = match &self.group {
            Some((group, chosen)) => {
                Draft::in_group(context, group.clone(), chosen.published, timestamp, secret)
            }
            None => Draft::dated(context, self.terms.suite, timestamp, secret),
        };
        let sealed = draft.sealed(&self.peer.permanent().sealing, secret);
        let sealed = sealed.map_err(|error| self.bad_key(&error))?;
        Ok((vec![self.pays(self.left(&[self.fund]))], sealed))
    }

    /// The anchor and the lock, and the message.
    fn locked_outputs(
        &self,
        chain: &Chain,
        context: Context,
        secret: &NegotiationSecret,
        prekey: &[u8],
        timeout: Height,
    ) -> Result<(Vec<TxOut>, Vec<u8>), NodeError> {
        let draft = Draft::to_prekey(context, self.terms.suite, prekey, timeout, secret);
        let draft = draft.map_err(|error| self.bad_key(&error))?;
        let first = draft.first().ok_or_else(|| impossible("an offer without a first secret"))?;
        let ends = Ends { responder: context.responder.key, initiator: context.initiator.key, timeout };
        let condition = first.condition(draft.offer()).map_err(impossible)?;
        let lock = Lock::new(&ends, condition).map_err(impossible)?;
        let anchor = anchor_amount(chain);
        let amount = self.left(&[anchor, self.fund]);
        Ok((vec![self.pays(anchor), lock.output(amount)], draft.offer().to_bytes()))
    }

    /// What is left of the price.
    fn left(&self, taken: &[Amount]) -> Amount {
        let left = taken.iter().try_fold(self.terms.price, |left, amount| left.checked_sub(*amount));
        left.unwrap_or(Amount::ZERO)
    }

    fn pays(&self, value: Amount) -> TxOut {
        TxOut { value, script_pubkey: self.peer.permanent().key.script() }
    }

    fn bad_key(&self, why: &dyn std::fmt::Display) -> NodeError {
        NodeError::Offer(OfferError::BadPeerKey {
            peer: self.peer.permanent().name.to_string(),
            why: why.to_string(),
        })
    }
}

/// The group of a suite that brings one, found sound before anything is made in it.
fn chosen_group(request: &OfferRequest) -> Result<Option<(Group, Chosen)>, NodeError> {
    let suite = request.suite;
    match (&request.group, suite.brings_group()) {
        (None, false) => Ok(None),
        (Some(_), false) => Err(GroupError::NotWanted { suite }.into()),
        (None, true) => Err(GroupError::Missing { suite }.into()),
        (Some(chosen), true) if chosen.published.is_some() != (suite == Suite::FfdhPublished) => {
            Err(GroupError::Missing { suite }.into())
        }
        (Some(chosen), true) => {
            Ok(Some((chosen.numbers.check(suite).map_err(GroupError::Bad)?, chosen.clone())))
        }
    }
}

/// Refuses a payment that is locked by OP_EXPONENT where nobody keeps it locked.
pub(super) fn check_enforced(ledger: &dyn Ledger, carrier: Carrier, suite: Suite) -> Result<(), NodeError> {
    let needed = carrier == Carrier::Dynamic && suite.locks_by_exponent();
    if needed && !ledger.enforces_exponent()? {
        Err(OfferError::NotEnforced { suite }.into())
    } else {
        Ok(())
    }
}

/// What cannot be, after everything was checked.
pub(super) fn impossible(error: impl std::fmt::Display) -> NodeError {
    NodeError::Wallet(error.to_string())
}
