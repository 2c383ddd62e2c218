//! What schedules found in the node, told step by step.
#![cfg(all(test, feature = "embedded"))]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests: they fail by panicking")]

use std::sync::{Arc, Mutex};

use bitcoin::{Amount, FeeRate};
use fastrand::Rng;
use keyway_lab::disk::Disk;
use keyway_lab::fuse::{Fuse, Plan};
use keyway_lab::link::Link;
use keyway_lab::people::nobody;
use keyway_lab::room::{Room, Which};
use keyway_lab::sim::Sim;
use keyway_ledger::Ledger;
use keyway_node::{NodeError, OfferRequest, Party, STORE_FILE, StoreError};
use keyway_protocol::message::{AnswerForm, Carrier};
use keyway_protocol::suite::Suite;

/// The car, with coins, on a disk that can fail.
struct Car<'r> {
    room: &'r Room,
    sim: Arc<Sim>,
    disk: Arc<Disk>,
    fuse: Arc<Fuse>,
    link: Link,
    party: Party,
    random: Arc<Mutex<Rng>>,
}

impl<'r> Car<'r> {
    fn new(room: &'r Room) -> Self {
        let sim = Arc::new(room.people.sim.fork());
        let (fuse, random) = (Arc::new(Fuse::default()), Arc::new(Mutex::new(Rng::with_seed(1))));
        let store = vec![(STORE_FILE.to_owned(), room.people.stores[0].clone())];
        let disk = Arc::new(Disk::with(store, Arc::clone(&fuse)));
        room.mount(&room.folder(0, Which::Own), Arc::clone(&disk));
        let mut party = room.open(&room.folder(0, Which::Own), &random).unwrap();
        let link = Link::new(Arc::clone(&sim), Arc::clone(&fuse));
        sim.broadcast(&room.people.funding(&sim, &[0], 5).unwrap()).unwrap();
        sim.mine(&nobody(), &mut |_| true);
        party.sync(&link, &mut |_| ()).unwrap();
        Self { room, sim, disk, fuse, link, party, random }
    }

    fn offer(&mut self) -> Result<(), NodeError> {
        let request = OfferRequest {
            peer: "charger".to_owned(),
            price: Amount::from_int_btc(120),
            suite: Suite::X25519,
            carrier: Carrier::Value,
            form: AnswerForm::Sequences,
            force: false,
            timeout: None,
            group: None,
        };
        self.party.offer(&self.link, &request).map(drop)
    }

    /// How many negotiations the program knows, and how many one knows that starts from its disk.
    fn known(&self) -> [usize; 2] {
        let copy = Arc::new(Disk::with(self.disk.contents(), Arc::default()));
        let folder = self.room.folder(0, Which::Scratch);
        self.room.mount(&folder, copy);
        let stored = self.room.open(&folder, &self.random).unwrap();
        [&self.party, &stored].map(|party| party.negotiations().unwrap().len())
    }
}

// An offer that the ledger refused was to be forgotten, the disk failed in doing so, and memory forgot it all the
// same: the next start found a negotiation and locked coins that the program had not shown.
#[test]
fn after_any_failed_write_a_home_knows_what_its_disk_knows() {
    let room = Room::new().unwrap();
    let mut failed = 0;
    for refused in [false, true] {
        for step in 0..100 {
            let mut car = Car::new(&room);
            if refused {
                // Advised below what is asked: the offer is stored, and refused.
                car.sim.set_fees(FeeRate::from_sat_per_vb_u32(500), FeeRate::from_sat_per_vb_u32(1));
            }
            car.fuse.set(Plan { fails_in: Some(step), ..Plan::default() });
            failed += usize::from(car.offer().is_err());
            car.fuse.set(Plan::default());
            let [memory, disk] = car.known();
            assert_eq!(memory, disk, "step {step} failed");
        }
    }
    assert!(failed > 100, "{failed}");
}

// What was done on a full disk was not done, and can be done again when there is space.
#[test]
fn on_a_full_disk_nothing_is_sent_and_with_space_the_same_offer_goes_out() {
    let room = Room::new().unwrap();
    let mut car = Car::new(&room);
    car.fuse.set(Plan { full: true, ..Plan::default() });
    assert!(matches!(car.offer(), Err(NodeError::Store(StoreError::DiskFull(_)))));
    assert!(car.sim.unmined_all().is_empty());
    car.fuse.set(Plan::default());
    car.offer().unwrap();
    assert_eq!(car.sim.unmined_all().len(), 1);
    assert_eq!(car.known(), [1, 1]);
}
