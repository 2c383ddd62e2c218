//! An attacker with an identity that everybody accepted, coins, and a program of its own.

use std::sync::Arc;

use bitcoin::sighash::EcdsaSighashType;
use bitcoin::{Amount, OutPoint, Sequence, Transaction, TxOut};
use fastrand::Rng;
use keyway_carriers::value::{self, Binding};
use keyway_chain::Chain;
use keyway_ledger::Ledger;
use keyway_protocol::authorship::Authored;
use keyway_protocol::identity::NegotiationSecret;
use keyway_protocol::message::{AnswerForm, Carrier, Offer};
use keyway_protocol::negotiation::{Context, Draft, Received};
use keyway_protocol::secret::Secret;
use keyway_protocol::suite::Suite;

use super::World;
use crate::laws::Violation;
use crate::people::{MALLORY, People, Person};
use crate::sim::Sim;

const FEE: Amount = Amount::from_sat(20_000);
const DEAR: Amount = Amount::from_int_btc(120);

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Attacker {
    rng: Rng,
    /// Each transaction pays more than the one before, so that it replaces it.
    fee: Amount,
}

impl Attacker {
    pub(super) fn new(rng: Rng) -> Self {
        Self { rng, fee: FEE }
    }

    fn next_fee(&mut self) -> Amount {
        self.fee += FEE;
        self.fee
    }

    fn secret(&mut self) -> NegotiationSecret {
        NegotiationSecret::from_secret(Secret::fill_with(|bytes| self.rng.fill(bytes)))
    }

    /// Its payments among `leaving`, spent otherwise.
    pub(super) fn takes_back(
        &mut self,
        people: &People,
        sim: &Sim,
        leaving: impl Iterator<Item = Arc<Transaction>>,
    ) -> Vec<Transaction> {
        let Some(mallory) = people.person(MALLORY) else { return Vec::new() };
        let mut forced = Vec::new();
        for tx in leaving {
            let spent: Option<Vec<(OutPoint, TxOut)>> = tx
                .input
                .iter()
                .map(|input| Some((input.previous_output, sim.output(&input.previous_output)?)))
                .collect();
            let own = |(_, coin): &(OutPoint, TxOut)| coin.script_pubkey == mallory.script();
            let Some(spent) = spent.filter(|spent| spent.iter().all(own)) else { continue };
            let fee = self.next_fee();
            forced.extend(to_itself(mallory, &spent, fee));
        }
        forced
    }

    /// A coin of its own that nothing spends yet.
    fn coin(&mut self, sim: &Sim, mallory: &Person) -> Option<(OutPoint, TxOut)> {
        let coins = sim.coins_of(&mallory.script());
        let big = coins.into_iter().filter(|(_, coin)| coin.output.value > DEAR + DEAR);
        self.rng.choice(big.collect::<Vec<_>>()).map(|(outpoint, coin)| (outpoint, coin.output))
    }
}

fn to_itself(mallory: &Person, coins: &[(OutPoint, TxOut)], fee: Amount) -> Option<Transaction> {
    let sum: Amount = coins.iter().map(|(_, coin)| coin.value).sum();
    let output = TxOut { value: sum.checked_sub(fee)?, script_pubkey: mallory.script() };
    Some(mallory.pay(coins, vec![output]))
}

impl World<'_> {
    /// One thing that the attacker does.
    pub(super) fn attack(&mut self) -> Result<(), Violation> {
        let Some(mut attacker) = self.attacker.take() else { return Ok(()) };
        let kind = attacker.rng.u8(..8);
        let tx = match kind {
            0 | 1 => self.hostile_offer(&mut attacker),
            2 => self.hostile_payment(&mut attacker),
            3..=6 => self.hostile_answer(&mut attacker),
            _ => self.double_spend(&mut attacker),
        };
        self.attacker = Some(attacker);
        if let Some(tx) = tx {
            let sent = self.sim.broadcast(&tx);
            self.tell(format!("mallory, kind {kind}: {sent:?}"));
        }
        Ok(())
    }

    fn victim(&mut self) -> Option<&'static Person> {
        let people = self.room.people;
        let persons: Vec<usize> = self.homes.iter().map(|home| home.person).collect();
        people.person(self.rng.choice(persons)?)
    }

    /// A well-made offer, or one whose amounts are copied from another payment.
    fn hostile_offer(&mut self, attacker: &mut Attacker) -> Option<Transaction> {
        let (people, chain) = (self.room.people, Chain::regtest());
        let (mallory, victim) = (people.person(MALLORY)?, self.victim()?);
        let (outpoint, coin) = attacker.coin(&self.sim, mallory)?;
        let outputs = if attacker.rng.bool() {
            let context = Context {
                initiator: people.cards.get(MALLORY)?.permanent().party_ref(),
                responder: people.cards.get(victim.index)?.permanent().party_ref(),
                input0: outpoint,
                carrier: Carrier::Value,
            };
            let draft = Draft::new(context, Suite::X25519, AnswerForm::Sequences, &attacker.secret());
            let binding =
                Binding { chain: &chain, input0: outpoint, author: mallory.key(), recipient: victim.key() };
            value::run::write(&binding, &draft.offer().to_bytes(), DEAR).ok()?
        } else {
            let copied = self.sim.unmined_all().into_iter().find(|tx| tx.output.len() > 10)?;
            copied.output.iter().filter(|output| output.script_pubkey == victim.script()).cloned().collect()
        };
        self.with_change(attacker, mallory, (outpoint, coin), outputs)
    }

    fn hostile_payment(&mut self, attacker: &mut Attacker) -> Option<Transaction> {
        let (mallory, victim) = (self.room.people.person(MALLORY)?, self.victim()?);
        let coin = attacker.coin(&self.sim, mallory)?;
        let output = TxOut { value: Amount::from_int_btc(130), script_pubkey: victim.script() };
        self.with_change(attacker, mallory, coin, vec![output])
    }

    fn with_change(
        &mut self,
        attacker: &mut Attacker,
        mallory: &Person,
        coin: (OutPoint, TxOut),
        mut outputs: Vec<TxOut>,
    ) -> Option<Transaction> {
        let paid: Amount = outputs.iter().map(|output| output.value).sum();
        let rest = coin.1.value.checked_sub(paid)?.checked_sub(attacker.next_fee())?;
        outputs.push(TxOut { value: rest, script_pubkey: mallory.script() });
        Some(mallory.pay(&[coin], outputs))
    }

    /// Replaces one of its own unmined payments by one to itself.
    fn double_spend(&mut self, attacker: &mut Attacker) -> Option<Transaction> {
        let unmined = self.sim.unmined_all();
        let sim = Arc::clone(&self.sim);
        attacker.takes_back(self.room.people, &sim, unmined.into_iter()).into_iter().next()
    }

    /// Something that spends the anchor of an offer made to it: a good answer, a wrong one, or none.
    fn hostile_answer(&mut self, attacker: &mut Attacker) -> Option<Transaction> {
        let people = self.room.people;
        let mallory = people.person(MALLORY)?;
        let (initiator, tx) = self.offer_to(mallory, attacker)?;
        let coin = self.sim.output(&tx.input.first()?.previous_output)?;
        let authored = Authored::verify(&tx, coin.value).ok()?;
        let run = value::run::read(&Chain::regtest(), &authored, mallory.key()).ok()??;
        let outpoints: Vec<OutPoint> = run.outpoints().collect();
        let coins: Vec<(OutPoint, TxOut)> = outpoints
            .iter()
            .map(|outpoint| Some((*outpoint, self.sim.output(outpoint)?)))
            .collect::<Option<_>>()?;
        let kind = attacker.rng.u8(..6);
        // A part of the run alone, now and then.
        let taken = if kind == 0 { coins.get(..1)?.to_vec() } else { coins };
        let fee = attacker.next_fee().min(Amount::from_sat(100_000));
        let mut answer = to_itself(mallory, &taken, fee)?;
        if kind > 1 {
            let message = Offer::from_bytes(Carrier::Value, run.message()).ok()?;
            let context = Context {
                initiator: people.cards.get(initiator)?.permanent().party_ref(),
                responder: people.cards.get(MALLORY)?.permanent().party_ref(),
                input0: tx.input.first()?.previous_output,
                carrier: Carrier::Value,
            };
            let received = Received::new(context, message, run.anchor());
            let (good, _) = received.answer(&attacker.secret()).ok()?;
            let mut bytes = good.to_bytes();
            if kind > 3 {
                let at = attacker.rng.usize(..bytes.len());
                *bytes.get_mut(at)? ^= 1 << attacker.rng.u8(..8);
            }
            let sequences = value::sequences::write(&bytes, outpoints.len()).ok()?;
            for (input, sequence) in answer.input.iter_mut().zip(sequences) {
                input.sequence = sequence;
            }
        } else if kind == 1 {
            answer.input.iter_mut().for_each(|input| input.sequence = Sequence::MAX);
        }
        let coins: Vec<TxOut> = taken.into_iter().map(|(_, coin)| coin).collect();
        let sighash = if attacker.rng.u8(..6) == 0 {
            EcdsaSighashType::AllPlusAnyoneCanPay
        } else {
            EcdsaSighashType::All
        };
        mallory.sign(&mut answer, &coins, sighash);
        Some(answer)
    }

    /// A payment to the attacker that may be an offer, and who made it.
    fn offer_to(&mut self, mallory: &Person, attacker: &mut Attacker) -> Option<(usize, Arc<Transaction>)> {
        let people = self.room.people;
        let pays = |tx: &&Arc<Transaction>| {
            tx.output.iter().filter(|output| output.script_pubkey == mallory.script()).count() > 10
        };
        let mined = self.sim.mined_all().into_iter().map(|(_, tx)| tx);
        let all: Vec<Arc<Transaction>> = mined.chain(self.sim.unmined_all()).filter(|tx| pays(&tx)).collect();
        let tx = attacker.rng.choice(all)?;
        let coin = self.sim.output(&tx.input.first()?.previous_output)?;
        Some((people.owner(&coin.script_pubkey)?.index, tx))
    }
}
