//! What may never be used twice.

use std::collections::{HashMap, HashSet};

use bitcoin::{BlockHash, OutPoint, Transaction, Txid};
use keyway_carriers::{script, value};
use keyway_chain::Chain;
use keyway_node::{NegotiationView, SealedMessage};
use keyway_protocol::authorship::Authored;
use keyway_protocol::message::{Answer, AnswerForm, Carrier, Offer};
use keyway_protocol::negotiation::{Fingerprint, NegotiationId, Role};
use keyway_protocol::sealing::StreamId;

use super::{Law, Violation};
use crate::people::{NAMES, People};
use crate::sim::Sim;

/// A key of the cipher, as far as it can be named without knowing it, and the nonce under it.
type Nonce = (NegotiationId, Option<Fingerprint>, BlockHash, Role, StreamId, u64);

/// Everything that was used so far.
#[derive(Debug, Default)]
pub struct Used {
    nonces: HashSet<Nonce>,
    /// What each share was for: the offer's first coin, or the anchor that its answer spends.
    shares: HashMap<Vec<u8>, OutPoint>,
    seen: HashSet<Txid>,
}

impl Used {
    /// Notes a message.
    ///
    /// # Errors
    /// [`Law::NothingTwice`].
    pub fn seal(&mut self, message: &SealedMessage, view: &NegotiationView) -> Result<(), Violation> {
        let envelope = message.sealed.envelope();
        let nonce =
            (view.id, view.fingerprint, message.block.hash, view.role, envelope.stream, envelope.counter);
        Law::NothingTwice.holds(self.nonces.insert(nonce), || format!("nonce {nonce:?}"))
    }

    /// Notes the shares in a transaction of an honest person.
    ///
    /// # Errors
    /// [`Law::NothingTwice`].
    pub fn send(&mut self, people: &People, sim: &Sim, tx: &Transaction) -> Result<(), Violation> {
        let Some(input) = tx.input.first().filter(|_| self.seen.insert(tx.compute_txid())) else {
            return Ok(());
        };
        let coin = sim.output(&input.previous_output);
        let authored = coin.and_then(|coin| Authored::verify(tx, coin.value).ok());
        let Some(authored) = authored else { return Ok(()) };
        let share = offered_share(people, &authored).or_else(|| answered_share(people, sim, &authored));
        let Some(share) = share else { return Ok(()) };
        let place = input.previous_output;
        let before = *self.shares.entry(share).or_insert(place);
        Law::NothingTwice.holds(before == place, || format!("one share for {before} and {place}"))
    }
}

fn offered_share(people: &People, authored: &Authored<'_>) -> Option<Vec<u8>> {
    let others = people.all.iter().take(NAMES.len() + 1).filter(|person| person.key() != authored.author());
    let pays =
        |script: &bitcoin::Script| authored.tx().output.iter().any(|o| o.script_pubkey.as_script() == script);
    let chain = Chain::regtest();
    let message = |person: &crate::people::Person| {
        let run = value::run::read(&chain, authored, person.key()).ok().flatten();
        let in_amounts = run.and_then(|run| Offer::from_bytes(Carrier::Value, run.message()).ok());
        in_amounts.or_else(|| {
            // Static ones are sealed.
            let beside = script::read_offer(&chain, authored, person.key()).ok().flatten()?;
            beside.locked()?;
            Offer::from_bytes(Carrier::Dynamic, beside.message()).ok()
        })
    };
    let offer = others.filter(|person| pays(&person.script())).find_map(message)?;
    Some(offer.share().to_vec())
}

/// The share of an answer in sequence numbers: those in amounts are derived in the same way.
fn answered_share(people: &People, sim: &Sim, authored: &Authored<'_>) -> Option<Vec<u8>> {
    let anchor = authored.input0();
    let offer_tx = sim.transaction(&anchor.txid)?;
    let offer_coin = sim.output(&offer_tx.input.first()?.previous_output)?;
    let offer = Authored::verify(&offer_tx, offer_coin.value).ok()?;
    let run = value::run::read(&Chain::regtest(), &offer, authored.author()).ok()??;
    let message = Offer::from_bytes(Carrier::Value, run.message()).ok()?;
    if message.form() != AnswerForm::Sequences || people.owner(&authored.author().script()).is_none() {
        return None;
    }
    let outpoints: Vec<OutPoint> = run.outpoints().collect();
    let len = value::MessageLen::new(Answer::len_of(message.suite(), Carrier::Value)).ok()?;
    let bytes = value::sequences::read(authored, &outpoints, len).ok()?;
    Some(Answer::from_bytes(Carrier::Value, &bytes).ok()?.share().to_vec())
}
