//! Making an offer: the payment whose amounts carry it.

use bitcoin::{Amount, FeeRate, OutPoint, Txid, Weight};
use keyway_carriers::value::{self, Layout, MessageLen};
use keyway_ledger::{BroadcastError, Ledger};
use keyway_protocol::card::{Card, CardRefused};
use keyway_protocol::message::{Answer, AnswerForm, Carrier, Offer};
use keyway_protocol::negotiation::{Draft, NegotiationId, Role};
use keyway_protocol::ratchet::BestChain;
use keyway_protocol::state::State;
use keyway_protocol::suite::Suite;

use super::{Party, take_secret};
use crate::error::NodeError;
use crate::planted::{self, Bug};
use crate::store::{Purpose, Record, Sent};
use crate::wallet::{self, MOST_UNCONFIRMED, Wallet};

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
    /// Where the answer shall ride.
    pub form: AnswerForm,
    /// Also a suite that the carrier has no room for at a sensible price.
    pub force: bool,
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
    /// How the message is spread over the outputs.
    pub layout: Layout,
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

    fn make_offer(&mut self, ledger: &dyn Ledger, request: &OfferRequest) -> Result<OfferSent, NodeError> {
        self.check_chain(ledger)?;
        let peer = self.peer(&request.peer)?.clone();
        let feerate = self.feerate(ledger)?;
        let layout = self.check_request(&peer, request, feerate)?;
        let mut wallet = self.wallet()?;
        let fee = feerate.fee_wu(least_weight(&layout)).unwrap_or(Amount::MAX);
        let input0 = self.confirmed_coin(&wallet, super::total([request.price, fee].into_iter()))?;
        let (record, sent) = self.store_offer(&peer, request, input0, &mut wallet, feerate)?;
        let outcome = self.dispatch(ledger, &sent);
        match outcome {
            Err(NodeError::Broadcast { source: BroadcastError::Refused(_), .. }) => {
                self.forget_offer(&record, &sent)?
            }
            Err(_) if planted::is(Bug::ForgottenOnLostReply) => self.forget_offer(&record, &sent)?,
            _ => {
                self.history.add_sent(sent.clone());
                self.records.insert(record.id, record.clone());
            }
        }
        outcome?;
        let Sent { txid, fee, tx, .. } = sent;
        Ok(OfferSent { id: record.id, txid, vbytes: tx.vsize() as u64, fee, layout })
    }

    fn check_request(
        &self,
        peer: &Card,
        request: &OfferRequest,
        feerate: FeeRate,
    ) -> Result<Layout, NodeError> {
        let (suite, carrier) = (request.suite, request.carrier);
        let tip = self.history.tip();
        if tip > peer.renewable().expiry {
            return Err(CardRefused::Expired { expiry: peer.renewable().expiry, tip }.into());
        }
        if !peer.answers(suite, carrier) {
            return Err(NodeError::PeerRefuses { peer: peer.permanent().name.to_string(), suite, carrier });
        }
        let chain = &self.config.chain;
        let len = message_len(Offer::len_of(suite))?;
        if suite != Suite::default_over(carrier) && !request.force {
            return Err(too_large(suite, &Layout::least(chain, len)));
        }
        let layout = Layout::for_price(chain, len, request.price).map_err(NodeError::PriceTooLow)?;
        let in_amounts = request.form == AnswerForm::Amounts;
        let answer_len = message_len(Answer::len_of(suite))?;
        let (paid_back, outputs) = match in_amounts {
            true => {
                (value::amounts::price(chain, answer_len), Layout::least(chain, answer_len).outputs() + 1)
            }
            false => (Amount::ZERO, 1),
        };
        let fee = feerate.fee_wu(layout.collecting_weight(0, outputs)).unwrap_or(Amount::MAX);
        let cost =
            [fee, paid_back, chain.dust_p2wpkh()].into_iter().try_fold(Amount::ZERO, Amount::checked_add);
        match cost {
            Some(cost) if cost < request.price => Ok(layout),
            cost => Err(NodeError::NothingLeft {
                price: request.price,
                cost: cost.unwrap_or(Amount::MAX),
                in_amounts,
            }),
        }
    }

    fn confirmed_coin(&self, wallet: &Wallet, needed: Amount) -> Result<OutPoint, NodeError> {
        let unmined = self.history.hopeful_sent().count();
        if unmined >= MOST_UNCONFIRMED {
            return Err(NodeError::TooManyUnconfirmed(unmined));
        }
        let coins = wallet.coins();
        match coins.iter().find(|coin| coin.confirmed) {
            Some(coin) => Ok(coin.outpoint),
            None if coins.is_empty() => {
                Err(NodeError::Funds { needed, available: Amount::ZERO, address: self.address() })
            }
            None => {
                let split = self.history.hopeful_sent().any(|sent| sent.purpose == Purpose::Split);
                Err(NodeError::NoConfirmedCoin { split })
            }
        }
    }

    fn store_offer(
        &mut self,
        peer: &Card,
        request: &OfferRequest,
        input0: OutPoint,
        wallet: &mut Wallet,
        feerate: FeeRate,
    ) -> Result<(Record, Sent), NodeError> {
        let context = self.reader().context(Role::Initiator, peer, input0, request.carrier);
        let id = context.id();
        let (chain, identity, address) = (&self.config.chain, &self.identity, self.address());
        let binding =
            value::Binding { chain, input0, author: identity.party(), recipient: peer.permanent().key };
        self.store.step(|store| {
            let (index, secret) = take_secret(store, &id)?;
            let draft = Draft::new(context, request.suite, request.form, &secret);
            let outputs = value::run::write(&binding, &draft.offer().to_bytes(), request.price)
                .map_err(|error| NodeError::Wallet(error.to_string()))?;
            let payment = wallet.pay(input0, &outputs, feerate, &address)?;
            let fee = payment.fee();
            let tx = wallet::sign(payment, identity)?;
            let record = Record {
                id,
                role: Role::Initiator,
                peer: peer.permanent().key,
                secret_index: Some(index),
                suite: request.suite,
                carrier: request.carrier,
                form: request.form,
                input0,
                price: request.price,
                state: State::Offered,
                confirmed: None,
                settled: None,
            };
            store.put_negotiation(&record)?;
            let sent = store.add_sent(&tx, Purpose::Offer(id), fee)?;
            Ok((record, sent))
        })
    }

    /// Hands a stored transaction to the ledger.
    pub(super) fn dispatch(&self, ledger: &dyn Ledger, sent: &Sent) -> Result<(), NodeError> {
        let what = sent.purpose.name();
        ledger.broadcast(&sent.tx).map(drop).map_err(|source| NodeError::Broadcast { what, source })
    }

    /// A refused offer is nowhere but here: its coins are free again.
    fn forget_offer(&mut self, record: &Record, sent: &Sent) -> Result<(), NodeError> {
        self.store.step(|store| {
            store.remove_sent(&sent.txid)?;
            store.remove_negotiation(&record.id)?;
            store.erase_secret(&super::negotiation_secret_name(&record.id))
        })
    }
}

/// What an offer weighs that spends one coin and gives change.
fn least_weight(layout: &Layout) -> Weight {
    const REST: u64 = 42;
    const INPUT: u64 = 272;
    const OUTPUT: u64 = 124;
    Weight::from_wu(REST + INPUT + OUTPUT * (layout.outputs() as u64 + 1))
}

fn too_large(suite: Suite, least: &Layout) -> NodeError {
    NodeError::TooLargeForValue {
        suite,
        bytes: least.len().get(),
        price: least.worst_case(),
        outputs: least.outputs(),
        offer: least.paying_weight(1, 1).to_vbytes_ceil(),
        answer: least.collecting_weight(0, 1).to_vbytes_ceil(),
    }
}

pub(super) fn message_len(len: usize) -> Result<MessageLen, NodeError> {
    MessageLen::new(len).map_err(|error| NodeError::Wallet(error.to_string()))
}
