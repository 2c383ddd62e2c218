//! Nothing that a running home prints, on purpose or by accident, shows a secret.
#![cfg(all(test, feature = "embedded"))]
#![expect(clippy::unwrap_used, reason = "these are tests: they fail by panicking")]

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use bitcoin::Amount;
use bitcoin::hex::DisplayHex;
use fastrand::Rng;
use keyway_lab::disk::Disk;
use keyway_lab::fuse::{Fuse, Plan};
use keyway_lab::link::Link;
use keyway_lab::people::nobody;
use keyway_lab::room::{Room, Which};
use keyway_ledger::Ledger;
use keyway_node::{NodeError, OfferRequest, STORE_FILE};
use keyway_protocol::identity::SecretChain;
use keyway_protocol::message::{AnswerForm, Carrier};
use keyway_protocol::suite::Suite;

#[derive(Default)]
struct Printed(String);

impl Printed {
    fn value(&mut self, value: &impl Debug) {
        write!(self.0, "{value:?}\n{value:#?}\n{value:x?}\n").unwrap();
    }

    fn error<T: Debug>(&mut self, result: Result<T, NodeError>) {
        let error = result.unwrap_err();
        self.value(&error);
        writeln!(self.0, "{error}").unwrap();
    }

    /// Any eight bytes in a row, as hex or as a list.
    fn shows(&self, secret: &[u8; 32]) -> bool {
        let squeezed: String = self.0.chars().filter(|char| !char.is_whitespace()).collect();
        let list =
            |piece: &[u8], format: fn(&u8) -> String| piece.iter().map(format).collect::<Vec<_>>().join(",");
        secret.windows(8).any(|piece| {
            let shapes = [
                piece.to_lower_hex_string(),
                list(piece, |byte| format!("{byte}")),
                list(piece, |byte| format!("{byte:x}")),
            ];
            shapes.iter().any(|shape| squeezed.contains(shape))
        })
    }
}

#[test]
fn a_home_its_errors_and_its_events_print_no_secret() {
    let room = Room::new().unwrap();
    let sim = Arc::new(room.people.sim.fork());
    let mut homes: Vec<_> = (0..2)
        .map(|person: usize| {
            let fuse = Arc::new(Fuse::default());
            let files = vec![(STORE_FILE.to_owned(), room.people.stores[person].clone())];
            let folder = room.folder(person, Which::Own);
            room.mount(&folder, Arc::new(Disk::with(files, Arc::clone(&fuse))));
            let random = Arc::new(Mutex::new(Rng::with_seed(person as u64)));
            let party = room.open(&folder, &random).unwrap();
            (party, Link::new(Arc::clone(&sim), Arc::clone(&fuse)), fuse)
        })
        .collect();
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
    let mut printed = Printed::default();
    sim.broadcast(&room.people.funding(&sim, &[0], 5).unwrap()).unwrap();
    for round in 0..6 {
        sim.mine(&nobody(), &mut |_| true);
        for (party, link, _) in &mut homes {
            printed.value(&party.sync(link, &mut |_| ()).unwrap());
        }
        if round == 0 {
            let (party, link, fuse) = &mut homes[0];
            fuse.set(Plan { fails_in: Some(5), ..Plan::default() });
            printed.error(party.offer(link, &request));
            fuse.set(Plan::default());
            printed.value(&party.offer(link, &request).unwrap());
            printed.error(party.seal("charger", b"early", b""));
        }
    }
    let id = homes[0].0.negotiations().unwrap()[0].id;
    let mk = homes[0].0.master_key(id).unwrap().unwrap();
    let message = homes[0].0.seal("charger", b"hello", b"").unwrap();
    printed.value(&message);
    printed.error(homes[1].0.open_sealed(&message.sealed, b"other", false));
    homes[1].0.open_sealed(&message.sealed, b"", false).unwrap();
    printed.error(homes[1].0.open_sealed(&message.sealed, b"", false));
    for (party, _, _) in &homes {
        printed.value(party);
        printed.value(&party.negotiations().unwrap());
        printed.value(&party.status().unwrap());
    }
    printed.value(&mk);
    let mut secrets = vec![*mk.expose()];
    for person in &room.people.all[..2] {
        let seed = &person.seed;
        let (n, next) = SecretChain::from_parts(0, seed.chain_head.head().duplicate()).take();
        secrets.extend([*seed.identity.to_secret().expose(), *seed.sealing.as_secret().expose()]);
        secrets.extend([*n.as_secret().expose(), *next.head().expose(), *seed.chain_head.head().expose()]);
    }
    assert!(printed.0.contains("<SECRET>") && printed.0.len() > 10_000);
    // The search finds what is there.
    assert!(printed.shows(&homes[0].0.card().permanent().sealing));
    assert!(secrets.iter().all(|secret| !printed.shows(secret)));
}
