//! The run itself.

use std::path::Path;

use bitcoin::Amount;
use keyway_chain::{BlockRef, Chain, Height};
use keyway_ledger::{Embedded, Ledger};
use keyway_node::{
    Block, Config, LedgerConfig, NegotiationView, NewParty, NodeError, OfferRequest, OfferSent, Party,
    PeerError, SessionError, Unlock,
};
use keyway_protocol::card::{BadName, Card};
use keyway_protocol::negotiation::{NegotiationId, Role};
use keyway_protocol::sealing::Sealed;

use super::checks::{self, Ensure};
use super::folder::Folder;
use super::story::{Eavesdropping, KeyPlace, Session, Side, Story};
use crate::cli::{Demo, Terms};
use crate::commands::cost;
use crate::eavesdropper::{Eavesdropper, Outcome, Seen};
use crate::error::Error;
use crate::render::json::{AnswerJson, EnvelopesJson, OfferJson, answer_in};
use crate::ui::Ui;
use crate::{faucet, progress};

/// What a coin of the car's holds beyond the price: enough for the offer's fee at regtest's feerate.
const MARGIN: Amount = Amount::from_sat(750_000);
const FROM_CAR: &str = "start at 11 kW";
const FROM_CHARGER: &str = "started";

/// Two parties on one ledger.
pub struct Stage<'a> {
    pub ui: &'a Ui,
    pub ledger: Embedded,
    pub car: Party,
    pub charger: Party,
    /// Somebody with a home, both cards and the whole chain.
    third: Option<Party>,
}

/// Plays it from the first block to the last message, over one carrier after the other.
///
/// # Errors
/// Anything that is not as it should be.
pub fn play(folder: &Folder, args: &Demo, ui: &Ui) -> Result<Vec<Story>, Error> {
    let mut stage = Stage::set(folder, ui)?;
    stage.exchange_cards()?;
    let coins = (args.pay.0 + MARGIN) * faucet::COINS;
    faucet::fund(ui, &stage.ledger, &stage.car.key().script(), coins)?;
    args.runs().map(|terms| stage.negotiate(folder, args, &terms)).collect()
}

/// A message that arrived.
struct Sent {
    session: Session,
    text: String,
}

impl<'a> Stage<'a> {
    fn set(folder: &Folder, ui: &'a Ui) -> Result<Self, Error> {
        let ledger = Embedded::open(folder.ledger())?;
        ledger.enforce_exponent()?;
        let birthday = keyway_node::birthday(&ledger)?;
        let car = party(&folder.car(), "car", birthday)?;
        let charger = party(&folder.charger(), "charger", birthday)?;
        Ok(Self { ui, ledger, car, charger, third: None })
    }

    /// As text, as two people would.
    fn exchange_cards(&mut self) -> Result<(), Error> {
        let (car, charger) = (reread(self.car.card())?, reread(self.charger.card())?);
        self.car.add_peer(charger)?;
        self.charger.add_peer(car)?;
        Ok(())
    }

    fn negotiate(&mut self, folder: &Folder, args: &Demo, terms: &Terms) -> Result<Story, Error> {
        let sent = self.offer(args.pay.0, terms)?;
        self.mine()?;
        self.answer(&sent)?;
        self.mine()?;
        let key = self.wait_for_key(&sent.id)?;
        let first = self.send(Role::Initiator, FROM_CAR)?;
        self.mine()?;
        let second = self.send(Role::Responder, FROM_CHARGER)?;
        self.finish(folder, sent.id, key, [first, second])
    }

    fn offer(&mut self, price: Amount, terms: &Terms) -> Result<OfferSent, Error> {
        progress::sync(self.ui, &mut self.car, &self.ledger)?;
        let before = self.car.status()?.balance.spendable;
        let request = OfferRequest {
            peer: self.charger.name().to_string(),
            price,
            suite: terms.suite(),
            carrier: terms.carrier,
            form: terms.answer_in.into(),
            force: terms.force,
            timeout: None,
            group: None,
        };
        let sent = self.car.offer(&self.ledger, &request)?;
        let after = self.car.status()?.balance.spendable;
        (before == after + price + sent.fee).or_broken("the car paid other than price and fee")?;
        Ok(sent)
    }

    fn mine(&mut self) -> Result<(), Error> {
        faucet::mine(self.ui, &self.ledger, 1)?;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        progress::sync(self.ui, &mut self.car, &self.ledger)?;
        progress::sync(self.ui, &mut self.charger, &self.ledger)?;
        Ok(())
    }

    /// The charger sees the offer and answers by its policy.
    fn answer(&mut self, offer: &OfferSent) -> Result<(), Error> {
        let before = self.charger.status()?.balance.spendable;
        self.sync()?;
        let after = self.charger.status()?.balance.spendable;
        let view = view(&self.charger, &offer.id)?;
        let netted = checks::netted(&view)?;
        (after == before + netted).or_broken("the charger got other than the price without fee")
    }

    fn wait_for_key(&mut self, id: &NegotiationId) -> Result<Block, Error> {
        for _ in 0..self.car.config().policy.key_depth.to_u32() {
            self.sync()?;
            if view(&self.car, id)?.state.seals() && view(&self.charger, id)?.state.seals() {
                break;
            }
            self.mine()?;
        }
        self.sync()?;
        checks::same_key(&view(&self.car, id)?, &view(&self.charger, id)?)?;
        self.tip()
    }

    fn tip(&self) -> Result<Block, Error> {
        let tip = self.car.tip();
        let broken = || Error::DemoBroken(format!("the car does not know block {}", tip.height));
        self.car.block(tip.height).ok_or_else(broken)
    }

    /// Seals under the newest block's key, hands the text over, opens it on the other side.
    fn send(&mut self, sender: Role, text: &str) -> Result<Sent, Error> {
        self.sync()?;
        let (from, to, direction) = match sender {
            Role::Initiator => (&mut self.car, &mut self.charger, "initiator-to-responder"),
            Role::Responder => (&mut self.charger, &mut self.car, "responder-to-initiator"),
        };
        let (from_name, to_name) = (from.name().to_string(), to.name().to_string());
        let message = from.seal(&to_name, text.as_bytes(), b"")?;
        let sealed_text = message.sealed.to_string();
        let opened = to.open_sealed(&parse(&sealed_text)?, b"", false)?;
        let session = Session {
            height: message.block.height.to_u32(),
            time: to.block(message.block.height).map_or(0, |block| block.time),
            direction,
            from: from_name,
            to: to_name,
            text: String::from_utf8_lossy(&opened.plaintext).into_owned(),
            opened: opened.plaintext.as_slice() == text.as_bytes(),
            eavesdropper_opened: false,
        };
        session.opened.or_broken("a message came out other than it went in")?;
        Ok(Sent { session, text: sealed_text })
    }

    fn finish(
        &mut self,
        folder: &Folder,
        id: NegotiationId,
        key: Block,
        sent: [Sent; 2],
    ) -> Result<Story, Error> {
        let seen = Seen::new(&self.ledger, self.car.card(), self.charger.card())
            .map_err(|error| Error::DemoBroken(error.to_string()))?;
        let messages = sent.iter().map(|sent| parse(&sent.text)).collect::<Result<Vec<Sealed>, _>>()?;
        let outcome = self.listen(folder, &id, &seen, &messages)?;
        let mut sessions: Vec<Session> = sent.into_iter().map(|sent| sent.session).collect();
        for (session, opened) in sessions.iter_mut().zip(&outcome.opened) {
            session.eavesdropper_opened = *opened;
        }
        let (initiator, responder) = (view(&self.car, &id)?, view(&self.charger, &id)?);
        checks::all(&initiator, &responder, &seen, &sessions)?;
        outcome.learned_nothing().or_broken("the eavesdropper learned something")?;
        self.story(folder, key, &initiator, &responder, sessions, &seen, &outcome)
    }

    /// Everything that somebody without a secret of the two can try.
    fn listen(
        &mut self,
        folder: &Folder,
        id: &NegotiationId,
        seen: &Seen,
        messages: &[Sealed],
    ) -> Result<Outcome, Error> {
        let chain = self.ledger.chain().clone();
        let mk = self.car.master_key(*id)?;
        let mk = mk.ok_or_else(|| Error::DemoBroken("the car has no master key".to_owned()))?;
        let control = Eavesdropper::new(&chain, seen, messages)?.would_succeed_with(&mk);
        control.or_broken("the eavesdropper's means do not open messages even with the key")?;
        let mut outcome = Eavesdropper::new(&chain, seen, messages)?.try_all();
        self.listen_as_a_party(folder, messages, &mut outcome)?;
        Ok(outcome)
    }

    /// A third home that accepted both cards, follows every block and is handed the messages.
    fn listen_as_a_party(
        &mut self,
        folder: &Folder,
        messages: &[Sealed],
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        let genesis = BlockRef::new(Height::GENESIS, self.ledger.chain().genesis());
        let third = match self.third.take() {
            Some(third) => third,
            None => party(&folder.eavesdropper(), "eavesdropper", Block { at: genesis, time: 0 })?,
        };
        let third = self.third.insert(third);
        for card in [self.car.card(), self.charger.card()] {
            third.add_peer(reread(card)?)?;
        }
        progress::sync(self.ui, third, &self.ledger)?;
        for (message, opened) in messages.iter().zip(&mut outcome.opened) {
            outcome.attempts += 1;
            *opened |= third.open_sealed(message, b"", true).is_ok();
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "each is a part of the story")]
    fn story(
        &self,
        folder: &Folder,
        key: Block,
        initiator: &NegotiationView,
        responder: &NegotiationView,
        sessions: Vec<Session>,
        seen: &Seen,
        outcome: &Outcome,
    ) -> Result<Story, Error> {
        let (Some(offer), Some(answer)) = (&initiator.offer, &initiator.answer) else {
            return Err(Error::DemoBroken("offer or answer is gone".to_owned()));
        };
        let netted = checks::netted(responder)?;
        let (offer_fee, answer_fee) = checks::fees(initiator, responder)?;
        let side =
            |party: &Party, view: &NegotiationView, paid: Amount, fee: Amount, netted: Option<Amount>| Side {
                name: party.name().to_string(),
                key: party.key().to_string(),
                fingerprint: view.fingerprint.map(|print| print.to_string()).unwrap_or_default(),
                confirmed: view.confirmed,
                paid_sat: paid.to_sat(),
                fee_sat: fee.to_sat(),
                netted_sat: netted.map(Amount::to_sat),
            };
        let answer_json = AnswerJson::from(responder.answer.as_ref().unwrap_or(answer));
        Ok(Story {
            chain: self.ledger.chain().name().to_owned(),
            carrier: initiator.carrier.to_string(),
            suite: initiator.suite.to_string(),
            answer_in: answer_in(initiator.carrier, initiator.form),
            price_sat: initiator.price.to_sat(),
            negotiation: initiator.id.to_string(),
            offer: OfferJson::from(offer),
            initiator: side(&self.car, initiator, initiator.price, offer_fee, None),
            responder: side(&self.charger, responder, answer.paid_back, answer_fee, Some(netted)),
            answer: answer_json,
            key: KeyPlace {
                height: key.at.height.to_u32(),
                time: key.time,
                depth: initiator.key_depth.to_u32(),
            },
            sessions,
            eavesdropper: Eavesdropping {
                blocks: seen.blocks.count(),
                attempts: outcome.attempts,
                opened: outcome.opened.iter().filter(|opened| **opened).count(),
            },
            envelopes: self.in_envelopes(initiator)?,
            home: folder.dir().display().to_string(),
            carriage: offer.carriage,
            form: initiator.form,
        })
    }

    fn in_envelopes(&self, view: &NegotiationView) -> Result<Option<EnvelopesJson>, Error> {
        let NegotiationView { price, suite, carrier, form, .. } = *view;
        let terms = keyway_node::Terms { price, suite, carrier, form, force: true, group: None, coin: false };
        let feerate = self.ledger.feerate().map_err(NodeError::from)?;
        let quote = cost::in_envelopes(self.ledger.chain(), feerate, &terms);
        Ok(quote.as_ref().map(EnvelopesJson::from))
    }
}

/// A home without a passphrase whose words nobody will ever see.
fn party(dir: &Path, name: &str, birthday: Block) -> Result<Party, Error> {
    let ledger = LedgerConfig::Embedded { path: Folder::ledger_from_home(), enforce_exponent: true };
    let new = NewParty {
        name: name.parse().map_err(|error: BadName| Error::DemoBroken(error.to_string()))?,
        config: Config::new(Chain::regtest(), ledger),
        mnemonic: keyway_node::fresh_mnemonic()?,
        birthday,
        unlock: Unlock::Insecure,
    };
    Ok(Party::create(dir, new)?)
}

fn reread(card: &Card) -> Result<Card, Error> {
    Ok(card.to_string().parse().map_err(PeerError::Card)?)
}

fn parse(text: &str) -> Result<Sealed, Error> {
    Ok(text.parse::<Sealed>().map_err(SessionError::Sealed)?)
}

fn view(party: &Party, id: &NegotiationId) -> Result<NegotiationView, Error> {
    let views = party.negotiations()?;
    let broken = || Error::DemoBroken(format!("{} does not know the negotiation", party.name()));
    views.into_iter().find(|view| view.id == *id).ok_or_else(broken)
}
