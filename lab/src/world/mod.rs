//! One schedule: people with homes, a chain, and everything that goes wrong between them, driven by a seed.

mod attacker;
mod end;
mod home;
mod honest;
mod nature;
mod trouble;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use bitcoin::{Transaction, Txid};
use fastrand::Rng;
use keyway_chain::Height;
use keyway_ledger::Ledger;
use keyway_protocol::negotiation::NegotiationId;

pub use home::{Home, Seen};
pub use trouble::Trouble;

use crate::laws::{Law, Used, Violation};
use crate::people::{MALLORY, NAMES};
use crate::room::{Room, Which};
use crate::sim::Sim;
use attacker::Attacker;

/// What older nodes relay in data outputs: longer messages ride in envelopes.
const OLD_RELAY: usize = 83;

/// Actions of a schedule before everything comes to rest.
const ACTIONS: std::ops::Range<u32> = 12..36;

/// See the module's documentation.
pub struct World<'r> {
    pub(crate) room: &'r Room,
    pub(crate) sim: Arc<Sim>,
    pub(crate) homes: Vec<Home>,
    pub(crate) scratch_random: Arc<Mutex<Rng>>,
    rng: Rng,
    random: Arc<Mutex<Rng>>,
    used: Used,
    attacker: Option<Attacker>,
    refused: HashSet<NegotiationId>,
    /// Whether somebody wanted keys to be revoked.
    revoked: bool,
    /// What the faucet paid: whoever pays sends again what is not mined.
    payments: Vec<Arc<Transaction>>,
    /// The secrets of locked payments that homes published.
    revealed: HashSet<[u8; 32]>,
    /// What homes handed over.
    pub(crate) sent: HashMap<Txid, Arc<Transaction>>,
    highest: Height,
    /// What happened, for the report of a violation.
    pub(crate) story: Vec<String>,
}

/// What a schedule came through, so that a run can say what it tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Negotiations known at the end, each counted once for each home.
    pub negotiations: u64,
    /// Of those, with a key.
    pub agreed: u64,
    /// Processes that died.
    pub deaths: u64,
}

impl<'r> World<'r> {
    /// People and coins for a seed, before anything happens.
    ///
    /// # Errors
    /// If a home does not open.
    pub fn new(room: &'r Room, seed: u64) -> Result<Self, Violation> {
        let mut rng = Rng::with_seed(seed);
        let sim = Arc::new(room.people.sim.fork());
        let random = Arc::new(Mutex::new(rng.fork()));
        let attacker = (rng.u8(..3) == 0).then(|| Attacker::new(rng.fork()));
        let mut world = Self {
            room,
            sim,
            homes: Vec::new(),
            scratch_random: Arc::new(Mutex::new(rng.fork())),
            rng,
            random,
            used: Used::default(),
            attacker,
            refused: HashSet::new(),
            revoked: false,
            payments: Vec::new(),
            revealed: HashSet::new(),
            sent: HashMap::new(),
            highest: Height::GENESIS,
            story: Vec::new(),
        };
        if world.rng.bool() {
            world.sim.relay_data(OLD_RELAY);
        }
        let people = world.draw_people();
        for person in &people {
            world.open_first(*person)?;
        }
        world.fund(&people);
        for index in 0..world.homes.len() {
            if world.rng.u8(..5) != 0 {
                world.sync(index, Trouble::NONE)?;
            }
        }
        Ok(world)
    }

    /// Lives the whole schedule.
    ///
    /// # Errors
    /// The first law that was broken.
    pub fn live(&mut self) -> Result<(), Violation> {
        for _ in 0..self.rng.u32(ACTIONS) {
            self.act()?;
        }
        self.come_to_rest()
    }

    /// What it came through.
    pub fn tally(&self) -> Tally {
        let views = self.homes.iter().flat_map(|home| &home.seen.views);
        let keys = views.clone().filter(|view| view.state.opens());
        Tally {
            negotiations: views.count() as u64,
            agreed: keys.count() as u64,
            deaths: self.homes.iter().map(|home| home.deaths).sum(),
        }
    }

    /// What happened so far, one line for each action.
    pub fn story(&self) -> &[String] {
        &self.story
    }

    /// Two to five, an attacker among them.
    fn draw_people(&mut self) -> Vec<usize> {
        let wanted = match self.rng.u8(..20) {
            0 => 5,
            1 | 2 => 4,
            3..=7 => 3,
            _ => 2,
        };
        let honest = wanted - usize::from(self.attacker.is_some() && wanted > 2);
        let mut all: Vec<usize> = (0..NAMES.len()).collect();
        self.rng.shuffle(&mut all);
        all.into_iter().take(honest).collect()
    }

    fn open_first(&mut self, person: usize) -> Result<(), Violation> {
        let store = self.room.people.stores.get(person).cloned().unwrap_or_default();
        let files = vec![(keyway_node::STORE_FILE.to_owned(), store)];
        let home = Home::open(self.room, person, Which::Own, files, &self.sim, &self.random)?;
        self.homes.push(home);
        Ok(())
    }

    /// A first payment from the faucet, above the homes' birthday.
    fn fund(&mut self, people: &[usize]) {
        let mut to = people.to_vec();
        to.sort_unstable();
        if self.attacker.is_some() {
            to.push(MALLORY);
        }
        let coins = if self.rng.u8(..4) == 0 { 1 } else { 5 };
        if let Some(tx) = self.room.people.funding(&self.sim, &to, coins) {
            let _ = self.sim.broadcast(&tx);
            self.payments.push(tx);
        }
        self.mine_all(1);
    }

    /// One thing that happens.
    fn act(&mut self) -> Result<(), Violation> {
        self.highest = self.highest.max(self.tip().height);
        match self.rng.u8(..100) {
            0..=24 => self.sync_somebody(),
            25..=41 => self.offer(),
            42..=61 => self.mine(),
            62..=71 => self.send_message(),
            72..=78 => self.reorganise(),
            79..=81 => self.evict(),
            82..=83 => self.change_fees(),
            84..=85 => self.bump(),
            86..=87 => self.release(),
            88..=89 => self.restart(),
            90..=91 => self.copy_home(),
            92 => self.silence(),
            93 => match self.rng.u8(..3) {
                0 => self.revoke(),
                _ => self.pay_somebody(),
            },
            _ => self.attack(),
        }
    }

    pub(crate) fn tell(&mut self, line: String) {
        self.story.push(line);
    }

    /// Whether somebody wanted keys to be revoked.
    pub(crate) fn was_revoked(&self) -> bool {
        self.revoked
    }

    /// Whether the ledger refused that offer when it was sent again.
    pub(crate) fn was_refused(&self, id: NegotiationId) -> bool {
        self.refused.contains(&id)
    }

    fn tip(&self) -> keyway_chain::BlockRef {
        let genesis = keyway_chain::BlockRef::new(Height::GENESIS, self.sim.chain().genesis());
        self.sim.tip().unwrap_or(genesis)
    }

    /// A home that does something, if there is one that is not silent.
    fn draw_home(&mut self) -> Option<usize> {
        let awake: Vec<usize> =
            self.homes.iter().enumerate().filter(|(_, home)| !home.silent).map(|(index, _)| index).collect();
        self.rng.choice(awake)
    }

    /// What an error may be when something failed that has to do with neither disk nor network.
    fn expect_sound(&self, who: &str, error: &keyway_node::NodeError) -> Result<(), Violation> {
        use keyway_node::{NodeError as E, SessionError, StoreError};
        let unsound = matches!(
            error,
            E::Wallet(_)
                | E::Store(StoreError::Damaged { .. } | StoreError::ReadOnly(_) | StoreError::Newer { .. })
                | E::Session(SessionError::NotForUs(_))
                | E::Refusal(_)
        );
        Law::Sound.holds(!unsound, || format!("{who}: {error}"))
    }
}
