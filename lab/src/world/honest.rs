//! What honest people do.

use bitcoin::Amount;
use keyway_ledger::Ledger;
use keyway_node::{Life, NegotiationView, NodeError, OfferRequest, SessionError};
use keyway_protocol::message::{AnswerForm, Carrier};
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::state::State;
use keyway_protocol::suite::Suite;

use super::World;
use super::home::{Home, Outcome};
use super::trouble::Trouble;
use crate::disk::End;
use crate::laws::{Law, Violation};
use crate::people::{BEDROCK, MALLORY};
use crate::room::Which;

/// Timeouts of locked payments: short, so that schedules outlive them.
const SHORT: std::ops::Range<u32> = 72..90;

/// Most amounts of bits fit this price: the shortest offers.
const DEAR: Amount = Amount::from_int_btc(120);

impl World<'_> {
    pub(super) fn draw_trouble(&mut self) -> Trouble {
        let room = self.tip().height.to_u32().saturating_sub(BEDROCK);
        Trouble::draw(&mut self.rng, room.max(1))
    }

    pub(super) fn sync_somebody(&mut self) -> Result<(), Violation> {
        let Some(index) = self.draw_home() else { return Ok(()) };
        let trouble = self.draw_trouble();
        self.sync(index, trouble).map(drop)
    }

    pub(super) fn offer(&mut self) -> Result<(), Violation> {
        let Some(index) = self.draw_home() else { return Ok(()) };
        let Some(peer) = self.draw_peer(index) else { return Ok(()) };
        let request = self.draw_request(peer);
        let trouble = self.draw_trouble();
        let OfferRequest { price, suite, carrier, form, .. } = request;
        let what = format!("offer {price} to {peer} over {carrier} in {suite}, {form:?}");
        let outcome = self.attempt(index, &what, trouble, |party, link| party.offer(link, &request))?;
        match outcome {
            Outcome::Answered(Err(error)) => self.expect_sound("offer", &error),
            _ => Ok(()),
        }
    }

    /// Whom a home may deal with: the others that live now, and the attacker.
    fn draw_peer(&mut self, index: usize) -> Option<&'static str> {
        let own = self.homes.get(index)?.person;
        let mut peers: Vec<&'static str> =
            self.homes.iter().filter(|home| home.person != own).map(Home::name).collect();
        if self.attacker.is_some() {
            peers.push("mallory");
        }
        self.rng.choice(peers)
    }

    fn draw_request(&mut self, peer: &str) -> OfferRequest {
        let carrier = match self.rng.u8(..8) {
            0 => Carrier::Static,
            1 => Carrier::Dynamic,
            _ => Carrier::Value,
        };
        let price = match self.rng.u8(..20) {
            0 => Amount::from_sat(self.rng.u64(40_000..60_000)),
            1 | 2 => Amount::from_sat(self.rng.u64(60_000..2_000_000)),
            _ => DEAR + Amount::from_sat(self.rng.u64(..1_000_000)),
        };
        let form = if self.rng.u8(..8) == 0 { AnswerForm::Amounts } else { AnswerForm::Sequences };
        let beside = carrier != Carrier::Value;
        let hybrid = beside && self.rng.u8(..3) == 0;
        OfferRequest {
            peer: peer.to_owned(),
            price,
            suite: if hybrid { Suite::X25519MlKem768 } else { Suite::X25519 },
            carrier,
            form: if beside { AnswerForm::Sequences } else { form },
            force: false,
            timeout: beside.then(|| self.rng.u32(SHORT)),
            group: None,
        }
    }

    /// Seals something on one side and opens it on the other.
    pub(super) fn send_message(&mut self) -> Result<(), Violation> {
        let Some(index) = self.draw_home() else { return Ok(()) };
        let Some(peer) = self.draw_peer(index) else { return Ok(()) };
        let trouble = self.draw_trouble();
        self.send_to(index, peer, trouble)
    }

    /// Seals something for a peer, which opens it.
    pub(super) fn send_to(
        &mut self,
        index: usize,
        peer: &'static str,
        trouble: Trouble,
    ) -> Result<(), Violation> {
        let text = self.story.len().to_be_bytes();
        let what = format!("seal for {peer}");
        let outcome = self.attempt(index, &what, trouble, |party, _| party.seal(peer, &text, b""))?;
        let message = match outcome {
            Outcome::Answered(Ok(message)) => message,
            Outcome::Answered(Err(error)) => return self.expect_sound("seal", &error),
            Outcome::Died => return Ok(()),
        };
        let Some(home) = self.homes.get(index) else { return Ok(()) };
        let (tip, complete) = (home.seen.tip, home.seen.complete);
        let Some(view) = home.seen.view(message.negotiation) else {
            return Err(Law::Sound.broken("sealed under a negotiation that is not shown"));
        };
        self.used.seal(&message, view)?;
        let receivers: Vec<usize> = (0..self.homes.len())
            .filter(|other| self.homes.get(*other).is_some_and(|home| home.name() == peer))
            .collect();
        let ready = |home: &Home| home.seen.complete && home.seen.tip == tip;
        let same_chain = complete && receivers.iter().all(|other| self.homes.get(*other).is_some_and(ready));
        let mut opened = false;
        for receiver in &receivers {
            opened |= self.receive(*receiver, &message.sealed, &text)?;
        }
        let due =
            same_chain && !receivers.is_empty() && self.deep_enough_for(&receivers, message.negotiation);
        Law::Reachable.holds(opened || !due, || format!("{peer} cannot open what was sealed for it"))
    }

    /// Whether the receivers' policies let them use the key already, and still.
    fn deep_enough_for(&self, receivers: &[usize], id: NegotiationId) -> bool {
        let provisional = |home: &Home| {
            home.seen.view(id).is_some_and(|view| matches!(view.state, State::Provisional | State::Revoked))
        };
        !receivers.iter().any(|index| self.homes.get(*index).is_some_and(provisional))
    }

    fn receive(
        &mut self,
        index: usize,
        sealed: &keyway_protocol::sealing::Sealed,
        text: &[u8],
    ) -> Result<bool, Violation> {
        let outcome =
            self.attempt(index, "open", Trouble::NONE, |party, _| party.open_sealed(sealed, b"", false))?;
        match outcome {
            Outcome::Answered(Ok(opened)) => {
                Law::Reachable.holds(opened.plaintext[..] == *text, || "another text came out".to_owned())?;
                let again = self.attempt(index, "open again", Trouble::NONE, |party, _| {
                    party.open_sealed(sealed, b"", false)
                })?;
                let replayed =
                    matches!(again, Outcome::Answered(Err(NodeError::Session(SessionError::Replayed))));
                Law::NothingTwice.holds(replayed, || "a message was opened twice".to_owned())?;
                Ok(true)
            }
            Outcome::Answered(Err(
                error @ NodeError::Session(SessionError::Open(_) | SessionError::ConfirmationTag(_)),
            )) => Err(Law::OneKey.broken(format!("an honest message does not open: {error}"))),
            Outcome::Answered(Err(_)) | Outcome::Died => Ok(false),
        }
    }

    /// A person's other program, or a person in a hurry, raises the fee of an offer that is not mined.
    pub(super) fn bump(&mut self) -> Result<(), Violation> {
        let people = self.room.people;
        let Some(index) = self.draw_home() else { return Ok(()) };
        let Some(person) = self.homes.get(index).and_then(|home| people.person(home.person)) else {
            return Ok(());
        };
        let own = person.script();
        let unmined = self.sim.unmined_all().into_iter().filter(|tx| {
            let input0 = tx.input.first().and_then(|input| self.sim.output(&input.previous_output));
            input0.is_some_and(|coin| coin.script_pubkey == own)
                && tx.output.len() > 10
                && tx.output.last().is_some_and(|change| change.script_pubkey == own)
        });
        let Some(tx) = self.rng.choice(unmined.collect::<Vec<_>>()) else { return Ok(()) };
        let mut bumped = tx.as_ref().clone();
        let Some(change) = bumped.output.last_mut() else { return Ok(()) };
        let more = Amount::from_sat(2 * tx.vsize() as u64 + 1);
        let Some(rest) = change.value.checked_sub(more) else { return Ok(()) };
        change.value = rest;
        let coins: Option<Vec<_>> =
            tx.input.iter().map(|input| self.sim.output(&input.previous_output)).collect();
        let Some(coins) = coins else { return Ok(()) };
        person.sign(&mut bumped, &coins, bitcoin::sighash::EcdsaSighashType::All);
        let sent = self.sim.broadcast(&bumped);
        self.tell(format!("person {} raises the fee of {}: {sent:?}", person.index, tx.compute_txid()));
        Ok(())
    }

    pub(super) fn restart(&mut self) -> Result<(), Violation> {
        let Some(index) = self.draw_home() else { return Ok(()) };
        let Some(home) = self.homes.get_mut(index) else { return Ok(()) };
        home.party = None;
        let name = home.name();
        self.tell(format!("{name} starts again"));
        self.start_again(index, End::Killed)
    }

    /// Somebody copies a home, and both are used from then on.
    pub(super) fn copy_home(&mut self) -> Result<(), Violation> {
        let Some(index) = self.draw_home() else { return Ok(()) };
        let Some(home) = self.homes.get(index) else { return Ok(()) };
        let person = home.person;
        if self.homes.iter().any(|other| other.person == person && other.which == Which::Copy) {
            return Ok(());
        }
        let files = home.disk.contents();
        let copy = Home::open(self.room, person, Which::Copy, files, &self.sim, &self.random)?;
        self.tell(format!("{} is copied", copy.name()));
        self.homes.push(copy);
        Ok(())
    }

    /// Somebody spends the coin that a key lives by.
    pub(super) fn revoke(&mut self) -> Result<(), Violation> {
        let Some(index) = self.draw_home() else { return Ok(()) };
        let Some(home) = self.homes.get(index) else { return Ok(()) };
        let lives = |view: &&NegotiationView| view.coin.as_ref().is_some_and(|coin| coin.life == Life::Alive);
        let living: Vec<NegotiationId> = home.seen.views.iter().filter(lives).map(|view| view.id).collect();
        let Some(id) = self.rng.choice(living) else { return Ok(()) };
        let trouble = self.draw_trouble();
        self.revoked = true;
        let outcome = self.attempt(index, "revoke", trouble, |party, link| party.revoke(link, id))?;
        match outcome {
            Outcome::Answered(Err(error)) => self.expect_sound("revoke", &error),
            _ => Ok(()),
        }
    }

    /// A home is left alone until the end.
    pub(super) fn silence(&mut self) -> Result<(), Violation> {
        let Some(index) = self.draw_home() else { return Ok(()) };
        if let Some(home) = self.homes.get_mut(index) {
            home.silent = true;
            let name = home.name();
            self.tell(format!("{name} falls silent"));
        }
        Ok(())
    }

    pub(super) fn pay_somebody(&mut self) -> Result<(), Violation> {
        let Some(index) = self.draw_home() else { return Ok(()) };
        let person = self.homes.get(index).map_or(MALLORY, |home| home.person);
        if let Some(tx) = self.room.people.funding(&self.sim, &[person], 1) {
            let paid = self.sim.broadcast(&tx);
            self.payments.push(tx);
            self.tell(format!("the faucet pays person {person}: {paid:?}"));
        }
        Ok(())
    }
}
