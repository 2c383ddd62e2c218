//! The fuzz targets of damaged stores, of a whole party and of what people hand to it as tests, and where their sound store and
//! their seeds come from.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use keyway_chain::Chain;
use keyway_node::*;
use keyway_protocol::message::Carrier;
use keyway_protocol::suite::Suite;

use crate::corpora::{check_seeds, replay};
use crate::fixtures::{MODP2048, numbers};
use crate::operator_text::{of_the_charger, operator_text};
use crate::peer::{live, peer};
use crate::psbt::{is_sent, psbt};
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
            (
                "changed-in-a-row-and-only-to-be-read",
                [change(18, 0x12), change(2 * 4096 - 20, 1)[1..].to_vec()].concat(),
            ),
            ("changed-in-a-page-head", change(3 * 4096, 8)),
            ("cut-behind-a-page", [vec![1], page(5)].concat()),
            ("cut-in-a-page", [vec![1], page(5)[..2].to_vec(), vec![7]].concat()),
            ("nothing", vec![2]),
            ("a-head-alone", [&[2], &SOUND[..100]].concat()),
            ("text", [&[2], &b"not a database"[..]].concat()),
        ],
    );
}

#[test]
fn every_seed_of_peer_is_lived_through() {
    replay("peer", peer);
}

#[test]
fn the_seeds_are_the_lives_of_a_party() {
    const PRICE: u8 = 47;
    const SYNC: [u8; 1] = [0];
    /// As every life here ends: shown, and shown the same by a program that starts again.
    const SHOW_AGAIN: [u8; 1] = [15 | 7 << 4];
    const MINE: [u8; 1] = [2];
    const SURVIVE: [u8; 1] = [15 | 11 << 4];
    let offer = |carrier: u8, form: u8, suite: u8| [6 | (carrier + 3 * form + 9 * suite) << 4, PRICE];
    let offered = |way: u8, rest: &[u8]| [&[7 | way << 4, PRICE], rest].concat();
    let answer = |changes: &[u8]| [&[8 | u8::from(!changes.is_empty()) << 4], changes].concat();
    // How many: see the target's list.
    let blocks = |which: u8| [3 | which << 4];
    // Sealed by the charger under the key of its answer, four blocks below the tip, and opened.
    let talk = [12 | 5 << 4, 13, 4 << 4 | 4, 14, 14];
    let agreed = |carrier: u8, form: u8| {
        let steps: [&[u8]; 8] =
            [&offer(carrier, form, 0), &MINE, &SYNC, &answer(&[]), &MINE, &blocks(3), &SYNC, &talk];
        steps.concat()
    };
    let paid = |way: u8, rest: &[u8]| {
        let steps: [&[u8]; 7] = [&offered(way, rest), &MINE, &SYNC, &MINE, &blocks(3), &SYNC, &SURVIVE];
        steps.concat()
    };
    let reorganised = [&agreed(0, 0)[..], &[4 | 10 << 4], &SYNC, &MINE, &SYNC, &blocks(4), &SYNC].concat();
    let rolled_back = [&agreed(1, 0)[..], &[4 | 15 << 4], &SYNC, &blocks(7), &SYNC].concat();
    let lost_reply =
        [&[11 | 3 << 4, 0][..], &offer(0, 0, 0), &SURVIVE, &[11, 0], &SYNC, &MINE, &SYNC].concat();
    let refused = [&[11 | 13 << 4, 9][..], &offer(2, 0, 1), &offer(1, 0, 1), &SYNC, &SURVIVE, &SYNC].concat();
    let double_spent = [&offer(0, 0, 0)[..], &[10, 0], &MINE, &SYNC, &SURVIVE].concat();
    let declined = [&offer(1, 0, 0)[..], &MINE, &SYNC, &[10 | 1 << 4, 0], &MINE, &SYNC].concat();
    let refunded =
        [&offer(2, 0, 0)[..], &MINE, &SYNC, &blocks(14), &blocks(14), &SYNC, &MINE, &SYNC].concat();
    let wrong_answer = [&offer(0, 0, 0)[..], &MINE, &SYNC, &answer(&[1, 3, 4, 0]), &MINE, &SYNC].concat();
    let again = [&[5][..], &[15 | 2 << 4], &[11, 90], &[9]].concat();
    let paid_by_a_child =
        [&[4 | 8 << 4][..], &offer(0, 0, 0), &[11, 90], &[9], &SYNC, &MINE, &again, &SYNC, &SYNC].concat();
    // A node that lies: both in one block, and one again in the next.
    let give_up = [9 | 4 << 4];
    let mined_twice =
        [&offer(1, 0, 0)[..], &give_up, &give_up, &MINE, &give_up, &MINE, &SYNC, &[4 | 2 << 4], &SYNC]
            .concat();
    // The newer offer spends a coin that the home had before the life began.
    let taken =
        [&offer(1, 0, 0)[..], &[4 | 4 << 4], &SYNC, &offer(0, 0, 0), &[10, 255], &give_up, &MINE, &SYNC]
            .concat();
    // The home has no other coin then than what came back, which was paid for the offer that it replaced.
    let split = [&[4 | 3 << 4, 11, 252][..], &[6, 187], &give_up, &MINE, &SYNC].concat();
    let many = [&offer(0, 0, 0)[..]; 9].concat();
    for [carrier, form] in [[0, 0], [0, 1], [1, 0]] {
        assert_eq!(live(&agreed(carrier, form)), 1, "over {carrier}, {form}: the letter opens once");
    }
    let lives = [
        ("nothing", Vec::new()),
        ("agreed-in-sequence-numbers", agreed(0, 0)),
        ("agreed-in-amounts", agreed(0, 1)),
        ("agreed-sealed", agreed(1, 0)),
        ("paid-in-amounts", paid(0, &[])),
        ("paid-sealed", paid(1, &[])),
        ("paid-locked", paid(2, &[200])),
        ("paid-locked-too-shortly", paid(2, &[20])),
        ("paid-in-amounts-that-were-changed", paid(9, &[0, 5, 9, 0])),
        ("reorganised", reorganised),
        ("rolled-back", rolled_back),
        ("lost-reply", lost_reply),
        ("refused", refused),
        ("double-spent", double_spent),
        ("declined", declined),
        ("refunded", refunded),
        ("answered-wrongly", wrong_answer),
        ("expired", [&offer(0, 0, 0)[..], &MINE, &SYNC, &blocks(15), &SYNC].concat()),
        ("offers-until-the-coins-are-used-up", [&many[..], &SYNC, &MINE, &SYNC].concat()),
        ("revoked", [&agreed(1, 0)[..], &[15 | 1 << 4], &SYNC, &talk].concat()),
        ("given-up", [&offer(1, 0, 0)[..], &[9 | 4 << 4], &MINE, &SYNC].concat()),
        ("given-up-and-mined-all-the-same", mined_twice),
        ("given-up-and-its-coin-taken", taken),
        ("given-up-and-its-return-split", split),
        ("given-up-when-it-paid-much", [&[11, 90][..], &offer(1, 0, 0), &[9 | 4 << 4], &SYNC].concat()),
        ("paid-more", [&[11, 40][..], &offer(0, 0, 0), &[11, 90], &[9], &MINE, &SYNC].concat()),
        ("paid-more-by-a-child", paid_by_a_child),
        ("card-renewed", [&[15 | 2 << 4][..], &paid(2, &[200])].concat()),
    ];
    let shown_again = |(name, life): (&'static str, Vec<u8>)| (name, [life, SHOW_AGAIN.to_vec()].concat());
    check_seeds("peer", &lives.map(shown_again));
}

#[test]
fn every_seed_of_psbt_is_sent_or_refused_for_a_reason() {
    replay("psbt", psbt);
}

#[test]
fn the_seeds_are_prepared_offers_that_come_back() {
    // Over the value carrier, where what is handed over is taken.
    const TAKEN: u8 = 2 * 3;
    const FEE: u8 = 40;
    let coin = |number: u8| [number << 4];
    let change = |to: u8| [1 | to << 4, FEE];
    let funded = |kind: u8, number: u8| [&[kind][..], &coin(number), &change(0)].concat();
    for kind in TAKEN..TAKEN + 3 {
        assert!(is_sent(&funded(kind, 0)), "{kind}: a funded offer is sent");
    }
    let edited = |edit: &[u8]| [&funded(TAKEN, 0)[..], edit].concat();
    let seeds = [
        ("nothing", Vec::new()),
        ("not-funded", vec![TAKEN]),
        ("funded", funded(TAKEN, 0)),
        ("funded-over-the-static-carrier", funded(TAKEN + 1, 0)),
        ("funded-over-the-dynamic-carrier", funded(TAKEN + 2, 0)),
        ("funded-from-taproot", funded(TAKEN, 1)),
        ("funded-from-a-nested-coin", funded(TAKEN, 2)),
        ("funded-from-a-script", funded(TAKEN, 3)),
        ("funded-from-a-coin-that-anybody-can-rename", funded(TAKEN, 4)),
        ("funded-twice", [&[TAKEN][..], &coin(0), &coin(8), &change(1)].concat()),
        ("refused-by-the-node", funded(0, 0)),
        ("lost-on-the-way", funded(3, 0)),
        ("change-that-looks-locked", [&[TAKEN + 1][..], &coin(0), &change(3)].concat()),
        ("change-to-the-peer", [&[TAKEN][..], &coin(0), &change(9)].concat()),
        ("one-output-pays-more", edited(&[3 | 1 << 4, 1, 0])),
        ("an-output-gone", edited(&[7])),
        ("outputs-turned", edited(&[5 | 1 << 4])),
        ("inputs-turned", edited(&[6 | 1 << 4])),
        ("another-lock-time", edited(&[8 | 1 << 4, 1, 0])),
        ("another-sequence-number", edited(&[8 | 2 << 4, 1, 0])),
        ("a-coin-that-is-not-there", edited(&[9, 1])),
        ("signed-for-less", edited(&[10, 0, 8, 0x80])),
        ("asked-to-sign-for-less", edited(&[12, 1])),
        ("with-an-annex", [&[TAKEN][..], &coin(1), &change(0), &[11, 0x50, 5]].concat()),
        ("not-signed", edited(&[13, 1])),
        ("a-byte-changed", edited(&[14, 0, 9, 1])),
        ("cut", edited(&[15, 0, 3])),
    ];
    check_seeds("psbt", &seeds);
}

#[test]
fn every_seed_of_operator_text_is_read_or_says_why_not() {
    replay("operator_text", operator_text);
}

#[test]
fn the_seeds_are_introductions_groups_and_configurations() {
    let introduction = of_the_charger().to_string();
    let (_, encoded) = introduction.split_once(':').unwrap();
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(encoded).unwrap();
    let body = &bytes[..bytes.len() - 4];
    let words = &body[..body.len() - 64];
    let group = numbers(MODP2048, 2).to_string();
    let embedded = LedgerConfig::Embedded { path: "ledger".into(), enforce_exponent: false };
    let usual = Config::new(Chain::regtest(), embedded);
    let mainnet = Chain::named("bitcoin").unwrap();
    let node = LedgerConfig::Node(NodeConfig::usual(&mainnet, Path::new("/root")));
    let full = Config {
        introductions: Introductions {
            accept_by: vec!["depot".parse().unwrap()],
            roster: Some("fleet \"one\".txt".into()),
        },
        rotation: Rotation { after_blocks: Some(144), after_mib: Some(9), ..Rotation::default() },
        accepts: Accepts {
            suites: vec![Suite::X25519],
            carriers: vec![Carrier::Dynamic, Carrier::Static],
            groups_from: vec!["depot".parse().unwrap()],
        },
        give_up_after: None,
        ..Config::new(mainnet, node)
    };
    let of_kind = |kind: u8, bytes: &[u8]| [&[kind], bytes].concat();
    let seeds = [
        ("introduction-as-text", of_kind(0, introduction.as_bytes())),
        ("introduction-as-bytes", of_kind(1, body)),
        ("introduction-cut-short", of_kind(1, words)),
        ("introduction-signed", of_kind(2, words)),
        ("group", of_kind(3, group.as_bytes())),
        (
            "group-in-capitals",
            of_kind(3, group.to_uppercase().replace("P =", "p=").replace("G =", "g=").as_bytes()),
        ),
        ("group-without-its-generator", of_kind(3, group.split("g =").next().unwrap().as_bytes())),
        (
            "configuration-least",
            of_kind(4, b"chain = \"regtest\"\nledger = { kind = \"embedded\", path = \".\" }"),
        ),
        ("configuration-usual", of_kind(4, usual.to_toml().as_bytes())),
        ("configuration-full", of_kind(4, full.to_toml().as_bytes())),
    ];
    check_seeds("operator_text", &seeds);
}
