//! What a person or a program may see of a party.

use std::collections::BTreeMap;

use bitcoin::{Amount, Transaction, Txid};
use keyway_carriers::script::{self, Way, data, envelope};
use keyway_chain::{BlockRef, Depth};
use keyway_protocol::message::{AnswerForm, Brought, Carrier, Offer};
use keyway_protocol::negotiation::{Fingerprint, NegotiationId, Role};
use keyway_protocol::ratchet::BestChain;
use keyway_protocol::state::{Position, State};
use keyway_protocol::suite::{Numbers, Published, Suite};

use super::{CoinView, NextRotation, Party, Waiting, total};
use crate::carried::Carriage;
use crate::error::NodeError;
use crate::history::Block;
use crate::reading::Reading;
use crate::store::Record;
use crate::wallet::{self, Balance};

/// A transaction's size and fee. The fee is known of one's own, and of others' as far as all coins are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// Virtual bytes.
    pub vbytes: u64,
    /// What it pays to miners.
    pub fee: Option<Amount>,
}

/// An offer in the chain or on its way.
#[derive(Clone, Debug)]
pub struct OfferView {
    /// Its transaction.
    pub txid: Txid,
    /// Its block.
    pub block: Option<Block>,
    /// Size and fee.
    pub costs: Costs,
    /// The transaction that committed to its envelope, where it rides in one and this home knows it.
    pub commit: Option<Costs>,
    /// How its message is carried.
    pub carriage: Carriage,
}

/// An answer in the chain or on its way.
#[derive(Clone, Debug)]
pub struct AnswerView {
    /// Its transaction.
    pub txid: Txid,
    /// Its block.
    pub block: Option<Block>,
    /// Size and fee.
    pub costs: Costs,
    /// The transaction that committed to its envelope, where it rides in one and this home knows it.
    pub commit: Option<Costs>,
    /// What it pays back to the initiator, where the answer rides in amounts.
    pub paid_back: Amount,
    /// Bytes of the message and where they are, where it rides beside the payment.
    pub message: Option<(usize, Way)>,
}

/// One negotiation.
#[derive(Clone, Debug)]
pub struct NegotiationView {
    /// Its id.
    pub id: NegotiationId,
    /// Which side this party is.
    pub role: Role,
    /// The other side's name.
    pub peer: String,
    /// Its key agreement.
    pub suite: Suite,
    /// The group that its offer brings or names.
    pub group: Option<UsedGroup>,
    /// How its messages ride.
    pub carrier: Carrier,
    /// Where its answer rides.
    pub form: AnswerForm,
    /// What the initiator pays.
    pub price: Amount,
    /// Where it stands.
    pub state: State,
    /// How deep its answer lies.
    pub depth: Depth,
    /// The depth at which its key is used.
    pub key_depth: Depth,
    /// Whether the peer has shown that it has the key.
    pub confirmed: bool,
    /// What may be shown of the key.
    pub fingerprint: Option<Fingerprint>,
    /// The offer.
    pub offer: Option<OfferView>,
    /// The answer.
    pub answer: Option<AnswerView>,
    /// Why the anchor's spender is no answer.
    pub declined: Option<String>,
    /// What it waits for.
    pub waiting: Option<Waiting>,
    /// The coin that the key lives by, if the pair has one.
    pub coin: Option<CoinView>,
    /// When its key is replaced, if it is in use, this party began it, and the configuration says so.
    pub rotation: Option<NextRotation>,
}

/// A group that comes from outside (PROTOCOL.md 6.1.1, 6.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsedGroup {
    /// What its numbers are told from others by.
    pub digest: [u8; 32],
    /// Bits of its modulus; unknown while the chain lacks what was published.
    pub bits: Option<u32>,
    /// The transaction that published it; none if the offer itself brings it.
    pub published: Option<Txid>,
}

impl UsedGroup {
    fn of(numbers: &Numbers, published: Option<Txid>) -> Self {
        Self { digest: numbers.digest(), bits: Some(numbers.bits()), published }
    }
}

/// The party at a glance.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// The last block it followed.
    pub tip: BlockRef,
    /// What it holds.
    pub balance: Balance,
    /// Its transactions that are not mined.
    pub unmined: usize,
}

impl Party {
    /// The party at a glance.
    ///
    /// # Errors
    /// If what was stored last is not certain.
    pub fn status(&self) -> Result<Status, NodeError> {
        self.certain()?;
        let balance = wallet::balance(self.key(), &self.history, &self.kept_coins());
        let unmined = self.history.unmined_sent().count();
        Ok(Status { name: self.name().to_string(), tip: self.tip(), balance, unmined })
    }

    /// How many negotiations are in each state, as it was last told: [`Party::sync`] tells them all.
    pub fn told(&self) -> BTreeMap<State, usize> {
        let mut told = BTreeMap::new();
        for record in self.records.values() {
            *told.entry(record.state).or_default() += 1;
        }
        told
    }

    /// The negotiation whose id begins so.
    ///
    /// # Errors
    /// [`NodeError::UnknownNegotiation`], [`NodeError::Ambiguous`].
    pub fn negotiation(&self, prefix: &str) -> Result<NegotiationId, NodeError> {
        let begins = |id: &&NegotiationId| !prefix.is_empty() && id.to_string().starts_with(prefix);
        let found: Vec<NegotiationId> = self.records.keys().filter(begins).copied().collect();
        match found[..] {
            [id] => Ok(id),
            [] => Err(NodeError::UnknownNegotiation(prefix.to_owned())),
            _ => Err(NodeError::Ambiguous {
                prefix: prefix.to_owned(),
                candidates: crate::peers::list(found.iter().map(super::session::short)),
            }),
        }
    }

    /// All negotiations, in the order in which their offers were mined; unmined ones last.
    ///
    /// # Errors
    /// If the store fails.
    pub fn negotiations(&self) -> Result<Vec<NegotiationView>, NodeError> {
        self.certain()?;
        let readings = self.readings()?;
        let (states, lineages) = (self.states(&readings), self.lineages(&readings));
        let mut views: Vec<(Option<Position>, NegotiationView)> = readings
            .iter()
            .zip(states)
            .filter_map(|((id, reading), (_, state))| {
                let record = self.records.get(id)?;
                let at = reading.offer.as_ref().and_then(|offer| offer.at);
                let coin = self.coin_view(lineages.get(&record.peer), reading);
                Some((at, NegotiationView { coin, ..self.view(record, reading, state) }))
            })
            .collect();
        views.sort_by_key(|(at, view)| (at.is_none(), *at, view.id));
        Ok(views.into_iter().map(|(_, view)| view).collect())
    }

    fn view(&self, record: &Record, reading: &Reading, state: State) -> NegotiationView {
        let answered = reading.answer.as_ref().and_then(|answer| answer.at);
        let tip = self.history.tip();
        NegotiationView {
            id: record.id,
            role: record.role,
            peer: self.peer_name(record),
            suite: record.suite,
            group: self.used_group(record, reading),
            carrier: record.carrier,
            form: record.form,
            price: record.price,
            state,
            depth: answered.map_or(Depth::UNMINED, |at| at.height.depth_under(tip)),
            key_depth: self.config.policy.key_depth,
            confirmed: reading.answer.as_ref().is_some_and(|answer| record.confirmed == Some(answer.txid)),
            fingerprint: self.fingerprint(record, reading),
            offer: self.offer_view(reading),
            answer: self.answer_view(record, reading),
            declined: reading.declined.as_ref().map(ToString::to_string),
            waiting: self.waits_for(record, reading, state),
            coin: None,
            rotation: self.rotation_of(record, reading, state),
        }
    }

    fn used_group(&self, record: &Record, reading: &Reading) -> Option<UsedGroup> {
        let message = reading.offer.as_ref().and_then(|offer| offer.message.as_deref());
        match (message.map(Offer::group), &record.group) {
            (Some(Brought::Numbers(numbers)), _) => Some(UsedGroup::of(numbers, None)),
            (Some(&Brought::Published(Published { txid, digest })), _) => {
                let mined = self.history.mined(&txid).and_then(|mined| self.reader().group_in(mined));
                let bits = mined.map(|(_, numbers)| numbers.bits());
                Some(UsedGroup { digest, bits, published: Some(txid) })
            }
            // One's own sealed offer, whose secret is erased.
            (_, Some(chosen)) => Some(UsedGroup::of(&chosen.numbers, chosen.published)),
            _ => None,
        }
    }

    fn offer_view(&self, reading: &Reading) -> Option<OfferView> {
        let offer = reading.offer.as_ref()?;
        Some(OfferView {
            txid: offer.txid,
            block: offer.at.and_then(|at| self.history.block(at.height)),
            costs: self.costs(&offer.txid)?,
            commit: self.transaction(&offer.txid).and_then(|tx| self.commit_costs(tx)),
            carriage: offer.carried.carriage(offer.timeout()),
        })
    }

    fn answer_view(&self, record: &Record, reading: &Reading) -> Option<AnswerView> {
        let answer = reading.answer.as_ref()?;
        let initiator = match record.role {
            Role::Initiator => self.key(),
            Role::Responder => record.peer,
        };
        let tx = self.transaction(&answer.txid)?;
        let script = initiator.script();
        let back =
            tx.output.iter().filter(|output| output.script_pubkey == script).map(|output| output.value);
        Some(AnswerView {
            txid: answer.txid,
            block: answer.at.and_then(|at| self.history.block(at.height)),
            costs: self.costs(&answer.txid)?,
            commit: self.commit_costs(tx),
            paid_back: total(back),
            message: message_of(tx),
        })
    }

    /// Size and fee of the transaction that made the envelope that `tx` shows.
    fn commit_costs(&self, tx: &Transaction) -> Option<Costs> {
        let (index, _) = script::envelopes(tx).next()?;
        self.costs(&tx.input.get(index)?.previous_output.txid)
    }

    pub(super) fn transaction(&self, txid: &Txid) -> Option<&Transaction> {
        let mined = self.history.mined(txid).map(|mined| mined.tx.as_ref());
        mined.or_else(|| self.history.sent_as(txid).map(|sent| sent.tx.as_ref()))
    }

    fn costs(&self, txid: &Txid) -> Option<Costs> {
        let tx = self.transaction(txid)?;
        if let Some(sent) = self.history.sent_as(txid) {
            return Some(Costs { vbytes: tx.vsize() as u64, fee: Some(sent.fee) });
        }
        let input0 = self.history.mined(txid).and_then(|mined| mined.input0.as_ref());
        let coin = |(index, input): (usize, &bitcoin::TxIn)| {
            let spent = self.transaction(&input.previous_output.txid);
            let output =
                spent.and_then(|tx| tx.output.get(usize::try_from(input.previous_output.vout).ok()?));
            let known = if index == 0 { output.or(input0) } else { output };
            known.map(|coin| coin.value)
        };
        let spent: Option<Vec<Amount>> = tx.input.iter().enumerate().map(coin).collect();
        let paid = total(tx.output.iter().map(|output| output.value));
        let fee = spent.and_then(|coins| total(coins.into_iter()).checked_sub(paid));
        Some(Costs { vbytes: tx.vsize() as u64, fee })
    }
}

/// Bytes of the message that rides beside a payment, and where they are.
fn message_of(tx: &Transaction) -> Option<(usize, Way)> {
    let in_output = tx.output.iter().find_map(|output| data::read(output).ok());
    let in_envelope = || script::envelopes(tx).find_map(|(_, script)| envelope::open(script));
    let in_output = in_output.map(|bytes| (bytes.len(), Way::Output));
    in_output.or_else(|| in_envelope().map(|(_, bytes)| (bytes.len(), Way::Envelope)))
}
