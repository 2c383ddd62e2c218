//! What must hold when everything has come to rest.

use std::collections::HashSet;

use bitcoin::{Amount, OutPoint, ScriptBuf};
use keyway_carriers::script::liveness::Liveness;
use keyway_ledger::{BroadcastError, Ledger, RefusalKind};
use keyway_node::NegotiationView;
use keyway_protocol::message::Carrier;
use keyway_protocol::negotiation::Role;
use keyway_protocol::state::State;

use super::{Law, Violation, from_scratch, memory_follows_disk, sound};
use crate::people::{MALLORY, NAMES};
use crate::room::Which;
use crate::world::{Home, World};

/// The laws of the end: every negotiation is in a state that can last, every coin of a person is one that its home
/// can spend, and reading everything again changes nothing.
///
/// # Errors
/// The violation.
pub fn at_rest(world: &World<'_>) -> Result<(), Violation> {
    for (index, home) in world.homes.iter().enumerate() {
        world.check_agreement(index)?;
        home.seen.views.iter().try_for_each(|view| ended(world, home, view))?;
        every_coin_is_told(world, home)?;
    }
    nothing_stays_in_scripts(world)?;
    // Reading everything again costs most: one home of each schedule.
    let index = world.story.len() % world.homes.len().max(1);
    world.homes.get(index).map_or(Ok(()), |home| {
        memory_follows_disk(world, home)?;
        from_scratch(world, home)
    })
}

/// Whether a negotiation may stay as it is.
fn ended(world: &World<'_>, home: &Home, view: &NegotiationView) -> Result<(), Violation> {
    let honest_peer = NAMES.contains(&view.peer.as_str());
    let copied = world.homes.iter().any(|other| other.which == Which::Copy);
    let lasts = match view.state {
        State::Active | State::Superseded | State::Expired => true,
        // Where the coin was spent, it was by somebody who asked for that.
        State::Revoked => world.was_revoked(),
        // Between honest parties nothing declines, but a copied home competes with the original. What came too late to
        // be answered goes back.
        State::Declined | State::PaidUnanswered => !honest_peer || copied,
        State::Refunded => view.carrier == Carrier::Dynamic,
        // Only an attacker leaves an offer unanswered, and only one whose coin was taken away cannot be mined.
        State::Offered => !honest_peer || cannot_be_mined(world, view) || world.was_refused(view.id),
        // A copy that did not make the answer never had its secret.
        State::Lost => copied,
        State::Answered | State::Provisional => false,
    };
    Law::TheTable.holds(lasts, || format!("{} still has {view:?}", home.name()))
}

/// [`Law::NoCoinLost`]: what a home paid to a script's hash, to lock a payment or as an envelope, was opened. Liveness coins
/// stay.
fn nothing_stays_in_scripts(world: &World<'_>) -> Result<(), Violation> {
    let living = liveness_scripts(world);
    let lives = |outpoint: &OutPoint| {
        world.sim.output(outpoint).is_some_and(|coin| living.contains(&coin.script_pubkey))
    };
    let mut left = world.sim.script_hashes().into_iter();
    let left = left.find(|outpoint| world.sent.contains_key(&outpoint.txid) && !lives(outpoint));
    Law::NoCoinLost.holds(left.is_none(), || format!("nobody opened {left:?}"))
}

/// What the coins of all negotiations pay to.
fn liveness_scripts(world: &World<'_>) -> HashSet<ScriptBuf> {
    let people = &world.room.people;
    let script = |home: &Home, view: &NegotiationView| {
        let own = people.person(home.person)?.key();
        let peer = NAMES.iter().position(|name| *name == view.peer).unwrap_or(MALLORY);
        let peer = people.person(peer)?.key();
        let (initiator, responder) = match view.role {
            Role::Initiator => (own, peer),
            Role::Responder => (peer, own),
        };
        Some(Liveness { negotiation: view.id, initiator, responder }.script().to_p2wsh())
    };
    world
        .homes
        .iter()
        .flat_map(|home| home.seen.views.iter().filter_map(move |view| script(home, view)))
        .collect()
}

/// Whether a coin that an unmined offer spends is gone. One that was never sent has no such excuse.
fn cannot_be_mined(world: &World<'_>, view: &NegotiationView) -> bool {
    match &view.offer {
        Some(offer) if offer.block.is_some() => false,
        Some(offer) => world.sent.get(&offer.txid).is_some_and(|tx| {
            let refused = world.sim.check(tx);
            matches!(refused, Err(BroadcastError::Refused(refusal)) if refusal.kind() == RefusalKind::MissingInputs)
        }),
        // Another version, or another payment, took a coin of it.
        None => true,
    }
}

/// [`Law::NoCoinLost`]: a home tells of each coin that the chain gives it, and holds none back without cause.
fn every_coin_is_told(world: &World<'_>, home: &Home) -> Result<(), Violation> {
    let (Some(party), Some(person)) = (&home.party, world.room.people.person(home.person)) else {
        return Ok(());
    };
    let coins = world.sim.coins_of(&person.script());
    // What another home of the person has on its way is spent, and this home need not know it.
    let unspent = coins.iter().filter(|(outpoint, _)| matches!(world.sim.coin(outpoint), Ok(Some(_))));
    let there: Amount = unspent.map(|(_, coin)| coin.output.value).sum();
    let balance = sound(home.name(), party.status())?.balance;
    let open = |view: &&NegotiationView| view.role == Role::Responder && view.state == State::Offered;
    let held: Amount = home.seen.views.iter().filter(open).map(|view| view.price).sum();
    let told = balance.spendable + balance.held + balance.lent + balance.immature;
    let unmined =
        world.sim.unmined_all().iter().any(|tx| tx.output.iter().any(|o| o.script_pubkey == person.script()));
    Law::NoCoinLost.holds(told == there || unmined, || {
        format!("{} has {there} and tells of {balance:?}", home.name())
    })?;
    Law::NoCoinLost.holds(balance.held <= held, || {
        format!(
            "{} holds {} back, for open offers of {held}: {:?}",
            home.name(),
            balance.held,
            home.seen.views
        )
    })
}
