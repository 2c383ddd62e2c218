//! A home and the process that works with it.

use std::sync::{Arc, Mutex};

use fastrand::Rng;
use keyway_carriers::script::lock::{Opening, opening};
use keyway_chain::{BlockRef, Height};
use keyway_ledger::Ledger;
use keyway_node::{Carriage, NegotiationView, NodeError, Party};
use keyway_protocol::negotiation::NegotiationId;

use super::World;
use super::trouble::Trouble;
use crate::disk::{Disk, End};
use crate::fuse::{Fuse, Plan};
use crate::laws::{self, Law, Violation};
use crate::link::{HandedOver, Link, Weather};
use crate::people::NAMES;
use crate::room::{Folder, Room, Which};
use crate::sim::Sim;

/// Blocks that an answer over the dynamic carrier has at least (PROTOCOL.md 7.5).
const LEAST_MARGIN: u32 = 36;

/// See the module's documentation.
pub struct Home {
    /// Whose it is.
    pub person: usize,
    /// Which of the person's.
    pub which: Which,
    /// Its files.
    pub disk: Arc<Disk>,
    /// Its way to the ledger.
    pub link: Link,
    /// The running program; none only while it starts again.
    pub party: Option<Party>,
    /// Whether the person has left it alone.
    pub silent: bool,
    /// What it showed last.
    pub seen: Seen,
    /// How often its process died.
    pub deaths: u64,
    pub(super) fuse: Arc<Fuse>,
    folder: Folder,
}

/// What a home showed when it was last looked at.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The last block it followed.
    pub tip: BlockRef,
    /// Whether it had done all that was due there.
    pub complete: bool,
    /// Its negotiations.
    pub views: Vec<NegotiationView>,
}

impl Seen {
    /// The negotiation of that id.
    pub fn view(&self, id: NegotiationId) -> Option<&NegotiationView> {
        self.views.iter().find(|view| view.id == id)
    }
}

/// How an action of a home ended.
pub enum Outcome<T> {
    /// It was done, or refused.
    Answered(Result<T, NodeError>),
    /// The process died in the middle of it.
    Died,
}

impl Home {
    pub(super) fn open(
        room: &Room,
        person: usize,
        which: Which,
        files: Vec<(String, Vec<u8>)>,
        sim: &Arc<Sim>,
        random: &Arc<Mutex<Rng>>,
    ) -> Result<Self, Violation> {
        let fuse = Arc::new(Fuse::default());
        let disk = Arc::new(Disk::with(files, Arc::clone(&fuse)));
        let folder = room.folder(person, which);
        room.mount(&folder, Arc::clone(&disk));
        let party = laws::sound("opening", room.open(&folder, random))?;
        let seen = Seen { tip: party.tip(), complete: false, views: Vec::new() };
        let link = Link::new(Arc::clone(sim), Arc::clone(&fuse));
        Ok(Self {
            person,
            which,
            disk,
            link,
            party: Some(party),
            silent: false,
            seen,
            deaths: 0,
            fuse,
            folder,
        })
    }

    /// What to call it.
    pub fn name(&self) -> &'static str {
        NAMES.get(self.person).copied().unwrap_or("nobody")
    }

    fn label(&self) -> String {
        if self.which == Which::Copy { format!("{}'s copy", self.name()) } else { self.name().to_owned() }
    }
}

impl World<'_> {
    /// Has a home do something while trouble is on its way, and looks at what became of it.
    pub(super) fn attempt<T>(
        &mut self,
        index: usize,
        what: &str,
        trouble: Trouble,
        action: impl FnOnce(&mut Party, &Link) -> Result<T, NodeError>,
    ) -> Result<Outcome<T>, Violation> {
        let Some(home) = self.homes.get_mut(index) else { return Ok(Outcome::Died) };
        let Some(mut party) = home.party.take() else { return Ok(Outcome::Died) };
        home.fuse.set(trouble.plan);
        home.link.set(trouble.weather);
        let done = action(&mut party, &home.link);
        let (died, steps) = (home.fuse.is_dead(), home.fuse.steps());
        let ended = done.as_ref().err().map(|error| error.to_string().replace('\n', "; "));
        let line = format!("{}: {what}{trouble}: {}", home.label(), ended.as_deref().unwrap_or("done"));
        self.tell(format!("{line} ({steps} steps)"));
        if died {
            drop(party);
            self.start_again(index, trouble.end)?;
            self.examine(index, false, steps)?;
            return Ok(Outcome::Died);
        }
        let Some(home) = self.homes.get_mut(index) else { return Ok(Outcome::Died) };
        home.party = Some(party);
        home.fuse.set(Plan::default());
        home.link.set(Weather::default());
        if done.is_err() {
            home.link.forget_followed();
        }
        self.examine(index, done.is_err(), steps)?;
        Ok(Outcome::Answered(done))
    }

    /// Starts a home's program again after its process ended so. It may die while it starts.
    pub(super) fn start_again(&mut self, index: usize, end: End) -> Result<(), Violation> {
        for life in 0..3 {
            let dies_in = (life < 2 && self.rng.u8(..5) == 0).then(|| self.rng.u64(..12));
            let Some(home) = self.homes.get_mut(index) else { return Ok(()) };
            home.deaths += u64::from(home.fuse.is_dead());
            home.disk.survive(end, &mut self.rng);
            home.fuse.set(Plan { dies_in, ..Plan::default() });
            home.link.set(Weather::default());
            home.link.forget_followed();
            home.seen.complete = false;
            let opened = self.room.open(&home.folder, &self.random);
            if !home.fuse.is_dead() {
                home.fuse.set(Plan::default());
                home.party = Some(laws::sound(home.name(), opened)?);
                return Ok(());
            }
        }
        Err(Law::Sound.broken("a home does not open again"))
    }

    /// Looks at a home after it did something in so many steps.
    fn examine(&mut self, index: usize, failed: bool, steps: u64) -> Result<(), Violation> {
        // What was refused before the first step left the disk as it was: then as seldom as after what was done.
        let look = (failed && steps > 0) || self.rng.u8(..48) == 0;
        let Some(home) = self.homes.get_mut(index) else { return Ok(()) };
        let handed_over = home.link.take_handed_over();
        let Some(party) = &home.party else { return Ok(()) };
        home.seen.tip = party.tip();
        home.seen.complete &= !failed && Some(home.seen.tip) == self.sim.tip().ok();
        home.seen.views = laws::sound(home.name(), party.negotiations())?;
        for HandedOver { tx, spent } in handed_over {
            self.check_spendable(index, &tx, spent)?;
            self.check_payment(index, &tx)?;
            self.check_reveal(index, &tx)?;
            self.sent.insert(tx.compute_txid(), tx);
        }
        self.check_agreement(index)?;
        match self.homes.get(index) {
            Some(home) if look => laws::memory_follows_disk(self, home),
            _ => Ok(()),
        }
    }

    /// [`Law::OnceSpent`].
    fn check_spendable(
        &self,
        index: usize,
        tx: &bitcoin::Transaction,
        spent: Option<bitcoin::OutPoint>,
    ) -> Result<(), Violation> {
        let Some(spent) = spent else { return Ok(()) };
        let name = self.homes.get(index).map_or("nobody", Home::name);
        Err(Law::OnceSpent.broken(format!("{name} handed over {}, and {spent} was spent", tx.compute_txid())))
    }

    /// [`Law::NoCoinLost`]: a home publishes what opens its payment only while there is time to have that mined.
    fn check_reveal(&mut self, index: usize, tx: &bitcoin::Transaction) -> Result<(), Violation> {
        let revealed = tx.input.iter().find_map(|input| match opening(input) {
            Opening::Collected(t) => Some(t),
            Opening::Returned => None,
        });
        let Some(t) = revealed.filter(|t| self.revealed.insert(*t)) else { return Ok(()) };
        let Some(home) = self.homes.get(index) else { return Ok(()) };
        let txid = tx.compute_txid();
        let answers =
            |view: &&NegotiationView| view.answer.as_ref().is_some_and(|answer| answer.txid == txid);
        let offer = home.seen.views.iter().find(answers).and_then(|view| view.offer.as_ref());
        let Some(Carriage::Locked { timeout: Some(timeout), .. }) = offer.map(|offer| offer.carriage) else {
            return Ok(());
        };
        Law::NoCoinLost.holds(home.seen.tip.height.plus(LEAST_MARGIN) <= timeout, || {
            let tip = home.seen.tip.height;
            format!("{} published {t:02x?} at {tip}, the payment goes back at {timeout}", home.name())
        })
    }

    fn check_payment(&mut self, index: usize, tx: &bitcoin::Transaction) -> Result<(), Violation> {
        let people = self.room.people;
        let Some(payer) = self.homes.get(index).and_then(|home| people.person(home.person)) else {
            return Ok(());
        };
        self.used.send(people, &self.sim, tx)?;
        let spent: Option<Vec<_>> =
            tx.input.iter().map(|input| self.sim.output(&input.previous_output)).collect();
        // Of what left the chain for good nobody knows the amounts any more.
        spent.map_or(Ok(()), |spent| laws::payment(people, payer, tx, &spent))
    }

    /// Synchronises a home, and holds what it tells to the table of states.
    pub(super) fn sync(&mut self, index: usize, trouble: Trouble) -> Result<bool, Violation> {
        let before = self.homes.get(index).map(|home| home.seen.complete);
        let outcome = self.attempt(index, "sync", trouble, |party, link| {
            let synced = party.sync(link, &mut |_: Height| ())?;
            Ok((synced, party.tip() == link.tip()?))
        })?;
        let Outcome::Answered(done) = outcome else { return Ok(false) };
        let (synced, at_tip) = match done {
            Ok(done) => done,
            Err(error) => {
                self.expect_sound("sync", &error)?;
                return Ok(false);
            }
        };
        self.tell_events(index, &synced, before == Some(true))?;
        if let Some(home) = self.homes.get_mut(index) {
            home.seen.complete = at_tip;
        }
        self.check_agreement(index)?;
        Ok(true)
    }

    /// Whether two homes of a person compete: then the answer may be the other one's.
    fn is_copied(&self, index: usize) -> bool {
        let person = self.homes.get(index).map(|home| home.person);
        self.homes.iter().filter(|home| Some(home.person) == person).count() > 1
    }

    fn tell_events(
        &mut self,
        index: usize,
        synced: &keyway_node::Synced,
        complete_before: bool,
    ) -> Result<(), Violation> {
        use keyway_node::Event;
        for event in &synced.events {
            self.tell(format!("    {event:?}"));
            match event {
                Event::Moved { id, from, to }
                    if synced.disconnected == 0 && complete_before && !self.is_copied(index) =>
                {
                    let name = self.homes.get(index).map_or("nobody", Home::name);
                    Law::TheTable.holds(laws::transition(*from, *to), || {
                        format!("{name}: {id} went from {from} to {to}")
                    })?;
                }
                Event::NotAnswered { id, .. } => drop(self.refused.insert(*id)),
                _ => {}
            }
        }
        Ok(())
    }
}
