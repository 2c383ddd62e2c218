//! The fuzz target of damaged stores as tests, and where its sound store and its seeds come from.

use std::path::Path;

use keyway_node::*;

use crate::corpora::{check_seeds, replay};
use crate::store_file::{SOUND, store_file};
use crate::world::*;

#[test]
fn every_seed_of_store_file_opens_or_says_why_not() {
    replay("store_file", store_file);
}

/// With `KEYWAY_WRITE_SEEDS=1` it is written anew, as it must be when the store's format changes.
#[test]
fn the_sound_store_of_the_fuzz_target_opens() {
    if std::env::var_os("KEYWAY_WRITE_SEEDS").is_some_and(|value| value == "1") {
        write_sound();
        return;
    }
    let world = World::strangers();
    let (home, path) = (world.car.dir().to_owned(), world.car.dir().join(STORE_FILE));
    drop(world.car);
    std::fs::write(path, SOUND).unwrap();
    let party = Party::open(&home, &Unlock::Insecure).unwrap();
    assert_eq!(party.negotiations().unwrap().len(), 1);
    assert_eq!(party.peers().len(), 1);
}

fn write_sound() {
    let mut world = World::new();
    world.agree();
    let message = world.charger.seal("car", b"started", b"").unwrap();
    world.car.open_sealed(&message.sealed, b"", false).unwrap();
    let path = world.car.dir().join(STORE_FILE);
    drop(world.car);
    std::fs::copy(path, Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/src/store_file.sqlite")).unwrap();
}

#[test]
fn the_seeds_are_damaged_stores() {
    let page = |number: u32| (number * 4096).to_be_bytes()[1..].to_vec();
    let change = |place: u32, flip: u8| [&[0], &place.to_be_bytes()[1..], &[flip]].concat();
    check_seeds(
        "store_file",
        &[
            ("unchanged", vec![0]),
            ("of-a-later-format", change(63, 0x40)),
            ("of-another-program", change(68, 1)),
            ("changed-in-the-schema", change(4_000, 1)),
            ("changed-in-a-row", change(2 * 4096 - 20, 1)),
            ("changed-in-a-page-head", change(3 * 4096, 8)),
            ("cut-behind-a-page", [vec![1], page(5)].concat()),
            ("cut-in-a-page", [vec![1], page(5)[..2].to_vec(), vec![7]].concat()),
            ("nothing", vec![2]),
            ("a-head-alone", [&[2], &SOUND[..100]].concat()),
            ("text", [&[2], &b"not a database"[..]].concat()),
        ],
    );
}
