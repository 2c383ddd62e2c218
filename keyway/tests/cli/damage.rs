//! Files that were cut, overwritten, lost or flipped: never a wrong answer, and what to do.

use std::fs;
use std::path::Path;

use serde_json::Value;
use snapbox::str;

use crate::stage::{Stage, copy_folder};

/// Where bits are flipped: another seed tries other places.
const SEED: u64 = 0x6b65_7977_6179;

/// SplitMix64: a test's own dice.
pub struct Dice(u64);

impl Dice {
    /// Those of `KEYWAY_TEST_SEED`, or of `seed`.
    pub fn new(seed: u64) -> Self {
        let seed = std::env::var("KEYWAY_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(seed);
        eprintln!("KEYWAY_TEST_SEED={seed}");
        Self(seed)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

fn replace(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_store_that_is_cut_emptied_or_another_file_is_told_as_damaged() {
    let stage = Stage::agreed();
    let store = stage.join("car/store.sqlite");
    let whole = fs::read(&store).unwrap();
    for cut in [0, 1, 100, 4_096, whole.len() / 2] {
        replace(&store, &whole[..cut]);
        let told = stage.run("--home car status").explained(1);
        assert!(told.starts_with("error: the store car/store.sqlite is damaged"), "cut to {cut}: {told}");
    }
    replace(&store, b"Dear diary,\n");
    snapbox::assert_data_eq!(
        stage.run("--home car status").explained(1),
        str![[r#"
error: the store car/store.sqlite is damaged: file is not a database
  nothing was changed
  put back a copy of the file, or restore from the mnemonic into a new home

"#]]
    );
    replace(&store, &whole[..whole.len() / 2]);
    snapbox::assert_data_eq!(
        stage.run("--home car offer charger --pay 60000").explained(1),
        str![[r#"
error: the store car/store.sqlite is damaged: database disk image is malformed
  nothing was changed
  put back a copy of the file, or restore from the mnemonic into a new home

"#]]
    );
    fs::remove_file(&store).unwrap();
    fs::create_dir(&store).unwrap();
    snapbox::assert_data_eq!(
        stage.run("--home car status").explained(1),
        str![[r#"
error: the store car/store.sqlite failed
  unable to open database file: car/store.sqlite
  check the disk and try again; what was stored before is safe

"#]]
    );
    fs::remove_dir(&store).unwrap();
    snapbox::assert_data_eq!(
        stage.run("--home car status").explained(1),
        str![[r#"
error: car is not a Keyway home
  it has no store.sqlite
  create one with `keyway --home car init`

"#]]
    );

    replace(&store, &whole);
    stage.ok("--home car offer charger --pay 60000");
}

/// What a person sees of a home, but for how old its block is.
fn view(stage: &Stage) -> Option<Vec<Value>> {
    let mut shown = Vec::new();
    for args in ["status", "keys", "peer list"] {
        let run = stage.run(&format!("--home car --json {args}"));
        if run.code() != Some(0) {
            assert_eq!(run.code(), Some(1), "{}", run.stderr);
            assert!(run.stderr.contains("damaged"), "{}", run.stderr);
            return None;
        }
        shown.push(run.json());
    }
    Some(shown)
}

#[test]
fn a_flipped_bit_in_the_store_is_told_or_changes_nothing_that_is_shown() {
    let stage = Stage::agreed();
    let store = stage.join("car/store.sqlite");
    let whole = fs::read(&store).unwrap();
    let sound = view(&stage).unwrap();
    let mut dice = Dice::new(SEED);
    let mut told = 0;
    // Most of a small store is pages that are not full yet.
    let used: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    for _ in 0..40 {
        let mut damaged = whole.clone();
        let at = used[dice.below(used.len() as u64) as usize];
        damaged[at] ^= 1 << dice.below(8);
        replace(&store, &damaged);
        match view(&stage) {
            None => told += 1,
            Some(shown) => assert_eq!(shown, sound, "byte {at}"),
        }
    }
    assert!(told > 20, "only {told} of 40 were noticed");
    replace(&store, &whole);
    stage.ok("--home car sync");
}

#[test]
fn a_configuration_that_is_lost_or_broken_is_told_with_the_place() {
    let stage = Stage::agreed();
    let file = stage.join("car/keyway.toml");
    let right = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    snapbox::assert_data_eq!(
        stage.run("--home car status").explained(1),
        str![[r#"
error: cannot read car/keyway.toml
  no such file or directory (os error 2)
  check the name, or put the file back

"#]]
    );
    let broken = |from: &str, to: &str| {
        assert!(right.contains(from));
        fs::write(&file, right.replace(from, to)).unwrap();
        stage.run("--home car config check").explained(1)
    };
    snapbox::assert_data_eq!(
        broken("answer = true", "answer = maybe"),
        str![[r#"
error: the configuration car/keyway.toml is wrong
  TOML parse error at line 25, column 10
     |
  25 | answer = maybe
     |          ^^^^^
  string values must be quoted, expected literal string
  correct the file, and look at it with `keyway config check`

"#]]
    );
    snapbox::assert_data_eq!(
        broken("answer = true", "anser = true"),
        str![[r#"
error: the configuration car/keyway.toml is wrong
  TOML parse error at line 25, column 1
     |
  25 | anser = true
     | ^^^^^
  unknown field `anser`, expected one of `answer`, `offer_depth`, `key_depth`, `least_price_sat`, `liveness`, `suites`, `carriers`, `groups_from`
  correct the file, and look at it with `keyway config check`

"#]]
    );
    snapbox::assert_data_eq!(
        broken("[ledger]", "[ledger"),
        str![[r#"
error: the configuration car/keyway.toml is wrong
  TOML parse error at line 8, column 8
    |
  8 | [ledger
    |        ^
  unclosed table, expected `]`
  correct the file, and look at it with `keyway config check`

"#]]
    );
    snapbox::assert_data_eq!(
        broken("key_depth = 2", "key_depth = 0"),
        str![[r#"
error: the configuration car/keyway.toml is wrong
  policy.key_depth: 0 would trust what is not mined; the least is 1
  correct the file, and look at it with `keyway config check`

"#]]
    );
    snapbox::assert_data_eq!(
        broken("kind = \"embedded\"", "kind = \"cloud\""),
        str![[r#"
error: the configuration car/keyway.toml is wrong
  ledger.kind: no ledger is called `cloud`; known are: embedded, node
  correct the file, and look at it with `keyway config check`

"#]]
    );
    fs::write(&file, [0xff, 0xfe]).unwrap();
    snapbox::assert_data_eq!(
        stage.run("--home car status").explained(1),
        str![[r#"
error: cannot read car/keyway.toml
  stream did not contain valid UTF-8
  check the name and the disk, and try again

"#]]
    );
    fs::write(&file, &right).unwrap();
    stage.ok("--home car offer charger --pay 60000");
}

#[test]
fn a_sample_is_a_configuration_that_is_read() {
    let stage = Stage::agreed();
    let sample = stage.ok("config sample --chain regtest");
    assert!(sample.contains("http://127.0.0.1:18443") && !sample.contains('\u{1b}'), "{sample}");
    fs::write(stage.join("car/keyway.toml"), &sample).unwrap();
    let told = stage.ok("--home car config check");
    assert!(told.contains("ledger.cookie"), "{told}");
    let litecoin = stage.json("config sample --chain litecoin");
    assert!(litecoin["config"].as_str().unwrap().contains("chain = \"litecoin\""), "{litecoin}");
}

#[test]
fn settings_are_told_with_where_they_come_from() {
    let stage = Stage::agreed();
    let file = stage.join("car/keyway.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        text.replace("offer_depth = 1", "").replace("least_price_sat = 0", "least_price_sat = 70000"),
    )
    .unwrap();
    snapbox::assert_data_eq!(
        stage.run("--home car config check").masked(),
        str![[r#"
car/keyway.toml

setting                  value                                                     source
chain                    regtest                                                   in the file
ledger.kind              embedded                                                  in the file
ledger.path              car/../chain                                              in the file
ledger.enforce_exponent  false                                                     in the file
policy.answer            true                                                      in the file
policy.offer_depth       1                                                         default
policy.key_depth         2                                                         in the file
policy.least_price_sat   70000                                                     in the file
policy.liveness          false                                                     in the file
policy.suites            x25519-mlkem768, x25519, ffdhe4096, ffdhe3072, ffdhe2048  default
policy.carriers          value, static, dynamic                                    default
policy.groups_from       nobody                                                    in the file
rotation.after_blocks    0                                                         in the file
rotation.after_hours     0                                                         in the file
rotation.after_mib       0                                                         in the file
rotation.price_sat       0                                                         in the file
introductions.accept_by  nobody                                                    in the file
introductions.roster     none                                                      default
fees.ceiling_sat_per_vb  100                                                       in the file
fees.bump_after_blocks   3                                                         in the file
fees.prepared_blocks     144                                                       in the file
fees.give_up_blocks      1008                                                      in the file

"#]]
    );
}

#[test]
fn a_damaged_ledger_is_told_and_a_copy_put_back_works() {
    let stage = Stage::agreed();
    let whole = stage.join("whole");
    copy_folder(&stage.join("chain"), &whole);
    let log = stage.join("chain/ledger.log");
    let bytes = fs::read(&log).unwrap();
    let put_back = || {
        fs::remove_dir_all(stage.join("chain")).unwrap();
        copy_folder(&whole, &stage.join("chain"));
    };
    let mut dice = Dice::new(SEED);
    for _ in 0..5 {
        let mut damaged = bytes.clone();
        let at = 16 + dice.below(bytes.len() as u64 - 2_000) as usize;
        damaged[at] ^= 1 << dice.below(8);
        replace(&log, &damaged);
        let told = stage.run("--home car sync").told(5);
        assert!(told.contains("damaged"), "byte {at}: {told}");
        put_back();
    }
    replace(&log, b"Dear diary,\n");
    snapbox::assert_data_eq!(
        stage.run("--home car sync").told(5),
        str![[r#"
error: [DIR]/chain/ledger.log is damaged
  it does not begin like a ledger's log
  restore it from a copy

"#]]
    );
    put_back();
    fs::remove_file(&log).unwrap();
    fs::write(stage.join("chain/photo.jpg"), "x").unwrap();
    snapbox::assert_data_eq!(
        stage.run("--home car sync").told(5),
        str![[r#"
error: [DIR]/chain is not a ledger
  it holds `photo.jpg`
  name an empty folder, or one that does not exist

"#]]
    );
    put_back();
    fs::remove_dir_all(stage.join("chain")).unwrap();
    fs::write(stage.join("chain"), "x").unwrap();
    snapbox::assert_data_eq!(
        stage.run("--home car sync").told(5),
        str![[r#"
error: cannot create car/../chain
  File exists (os error 17)
  check what it names, and try again

"#]]
    );
    fs::remove_file(stage.join("chain")).unwrap();
    fs::create_dir(stage.join("chain")).unwrap();
    put_back();
    assert_eq!(stage.json("--home car sync")["events"].as_array().unwrap().len(), 0);
    let sealed = stage.feed("--home car seal charger", b"all is well").ok();
    assert_eq!(stage.feed("--home charger open", sealed.as_bytes()).ok(), "all is well");
}

#[test]
fn a_ledger_that_went_back_to_nothing_is_a_reorganisation_and_comes_back() {
    let stage = Stage::agreed();
    let key = stage.json("--home car show charger")["fingerprint"].clone();
    let config = stage.join("car/keyway.toml");
    let right = fs::read_to_string(&config).unwrap();
    fs::write(&config, right.replace("../chain", "../empty")).unwrap();
    let synced = stage.json("--home car sync");
    assert_eq!(synced["height"], 0);
    assert!(synced["disconnected"].as_u64().unwrap() > 100);
    fs::write(&config, right).unwrap();
    stage.ok("--home car sync");
    let view = stage.json("--home car show charger");
    assert_eq!((&view["fingerprint"], &view["state"]), (&key, &"active".into()));
}
