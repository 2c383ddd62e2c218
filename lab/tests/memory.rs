//! What a process still has in its memory of secrets that it has erased: the memory itself is searched.
#![cfg(all(test, feature = "embedded", target_os = "linux"))]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests: they fail by panicking")]

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex};

use bitcoin::consensus::encode::serialize;
use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash};
use fastrand::Rng;
use hkdf::Hkdf;
use keyway_chain::Height;
use keyway_lab::disk::Disk;
use keyway_lab::fuse::Fuse;
use keyway_lab::link::Link;
use keyway_lab::people::nobody;
use keyway_lab::room::{Room, Which};
use keyway_lab::sim::Sim;
use keyway_ledger::Ledger;
use keyway_node::{OfferRequest, Party, STORE_FILE};
use keyway_protocol::identity::SecretChain;
use keyway_protocol::message::{AnswerForm, Carrier};
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::state::State;
use keyway_protocol::suite::Suite;
use sha2::{Digest, Sha256};

const CAR: usize = 0;
const CHARGER: usize = 1;

struct Home {
    link: Link,
    party: Party,
}

impl Home {
    fn open(room: &Room, sim: &Arc<Sim>, person: usize) -> Self {
        let fuse = Arc::new(Fuse::default());
        let files = vec![(STORE_FILE.to_owned(), room.people.stores[person].clone())];
        let folder = room.folder(person, Which::Own);
        room.mount(&folder, Arc::new(Disk::with(files, Arc::clone(&fuse))));
        let random = Arc::new(Mutex::new(Rng::with_seed(person as u64)));
        Self { party: room.open(&folder, &random).unwrap(), link: Link::new(Arc::clone(sim), fuse) }
    }

    fn sync(&mut self) {
        self.party.sync(&self.link, &mut |_| ()).unwrap();
    }
}

/// A copy of this process's writable memory, in a file: what is looked for is computed only after it was taken.
struct Dump(File);

impl Dump {
    fn take() -> Self {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let (mut memory, mut file) = (File::open("/proc/self/mem").unwrap(), tempfile::tempfile().unwrap());
        let mut page = vec![0; 1 << 16];
        for line in maps.lines().filter(|line| line.contains(" rw")) {
            let (from, to) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
            let [from, to] = [from, to].map(|address| u64::from_str_radix(address, 16).unwrap());
            memory.seek(SeekFrom::Start(from)).unwrap();
            let mut left = to - from;
            while left > 0 {
                let part = usize::try_from(left).unwrap().min(page.len());
                // Some pages, the kernel's own, cannot be read.
                let Ok(read @ 1..) = memory.read(&mut page[..part]) else { break };
                file.write_all(&page[..read]).unwrap();
                left -= read as u64;
            }
        }
        page.fill(0);
        Self(file)
    }

    /// How often these bytes are in it.
    fn count(&mut self, needle: &[u8; 32]) -> usize {
        let mut bytes = Vec::new();
        self.0.seek(SeekFrom::Start(0)).unwrap();
        self.0.read_to_end(&mut bytes).unwrap();
        bytes.windows(32).filter(|window| window == needle).count()
    }
}

fn labelled(label: &str, parts: &[&[u8]]) -> Vec<u8> {
    let label = format!("keyway/1 {label}");
    let prefixed = |part: &[u8]| [&u32::try_from(part.len()).unwrap().to_be_bytes(), part].concat();
    std::iter::once(label.as_bytes()).chain(parts.iter().copied()).flat_map(prefixed).collect()
}

/// PROTOCOL.md 3.2: the secret of a share, computed here a second time.
fn share_secret(n: &[u8; 32], id: NegotiationId, anchor: &[u8], recipient: [u8; 33]) -> [u8; 32] {
    let empty = Sha256::digest(b"");
    let info = labelled("derive", &[b"x25519 share", id.as_bytes(), anchor, &recipient, b"", &empty]);
    let mut secret = [0; 32];
    Hkdf::<Sha256>::from_prk(n).unwrap().expand(&info, &mut secret).unwrap();
    secret
}

/// PROTOCOL.md 10.
fn next_ck(ck: &[u8; 32], block: BlockHash) -> [u8; 32] {
    Hkdf::<Sha256>::extract(Some(block.as_byte_array()), ck).0.into()
}

const MASK: u8 = 0xa5;

#[test]
fn of_erased_secrets_nothing_is_left_in_the_memory_of_the_process() {
    let room = Room::new().unwrap();
    let sim = Arc::new(room.people.sim.fork());
    let (mut car, mut charger) = (Home::open(&room, &sim, CAR), Home::open(&room, &sim, CHARGER));
    sim.broadcast(&room.people.funding(&sim, &[CAR], 5).unwrap()).unwrap();
    let blocks = |car: &mut Home, charger: &mut Home, count: u32| {
        for _ in 0..count {
            sim.mine(&nobody(), &mut |_| true);
            car.sync();
            charger.sync();
        }
    };
    blocks(&mut car, &mut charger, 1);
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
    let sent = car.party.offer(&car.link, &request).unwrap();
    blocks(&mut car, &mut charger, 5);
    let view = car.party.negotiations().unwrap().remove(0);
    assert_eq!(view.state, State::Active);
    let first = view.answer.unwrap().block.unwrap().at;

    let mk = car.party.master_key(sent.id).unwrap().unwrap();
    let masked: Vec<u8> = mk.expose().iter().map(|byte| byte ^ MASK).collect();
    let mut held = Dump::take();
    drop(mk);
    blocks(&mut car, &mut charger, 110);
    assert!(car.party.master_key(sent.id).unwrap().is_none(), "it is erased");
    let mut erased = Dump::take();

    let mk: [u8; 32] = masked.iter().map(|byte| byte ^ MASK).collect::<Vec<_>>().try_into().unwrap();
    let n = |person: usize| {
        let head = room.people.all[person].seed.chain_head.head().duplicate();
        *SecretChain::from_parts(0, head).take().0.as_secret().expose()
    };
    let (cars, chargers) = (n(CAR), n(CHARGER));
    let [car_key, charger_key] = [CAR, CHARGER].map(|person| room.people.all[person].key().to_bytes());
    let anchor = serialize(&bitcoin::OutPoint::new(sent.txid, 0));
    let second = sim.block_at(Height::new(first.height.to_u32() + 1)).unwrap().unwrap();
    let secrets = [
        ("mk", mk),
        ("ck of the next block", next_ck(&mk, second.hash)),
        ("the car's n(0)", cars),
        ("the charger's n(0)", chargers),
        ("the car's share secret", share_secret(&cars, sent.id, b"", charger_key)),
        ("the charger's share secret", share_secret(&chargers, sent.id, &anchor, car_key)),
    ];
    let mut computed = Dump::take();
    assert!(held.count(&mk) > 0, "the search finds what is there");
    let mut left = Vec::new();
    for (what, secret) in &secrets {
        assert!(computed.count(secret) > 0, "the search finds {what}");
        left.push((*what, erased.count(secret)));
    }
    assert!(left.iter().all(|(_, count)| *count == 0), "still in memory: {left:?}");
}
