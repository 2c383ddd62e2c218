//! Homes, passphrases, damage, and what lies on the disk.

use keyway_chain::Chain;
use keyway_ledger::Embedded;
use keyway_node::*;
use tempfile::TempDir;

use crate::world::*;

struct Fixture {
    dir: TempDir,
    ledger: Embedded,
}

impl Fixture {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let ledger = Embedded::open(dir.path().join("ledger")).unwrap();
        Self { dir, ledger }
    }

    fn create(&self, unlock: Unlock) -> Result<Party, NodeError> {
        let config = Config::new(
            Chain::regtest(),
            LedgerConfig::Embedded { path: self.dir.path().join("ledger"), enforce_exponent: false },
        );
        let new = NewParty {
            name: "car".parse().unwrap(),
            config,
            mnemonic: CAR.parse().unwrap(),
            birthday: birthday(&self.ledger).unwrap(),
            unlock,
        };
        Party::create(&self.home(), new)
    }

    fn home(&self) -> std::path::PathBuf {
        self.dir.path().join("car")
    }

    fn open(&self, unlock: &Unlock) -> Result<Party, NodeError> {
        Party::open(&self.home(), unlock)
    }
}

fn passphrase(text: &str) -> Unlock {
    Unlock::Passphrase(text.to_owned().into())
}

#[test]
fn only_the_right_passphrase_opens_a_home() {
    let fixture = Fixture::new();
    drop(fixture.create(passphrase("correct horse")).unwrap());
    assert!(fixture.open(&passphrase("correct horse")).is_ok());
    let wrong = fixture.open(&passphrase("battery staple")).unwrap_err();
    assert!(matches!(wrong, NodeError::Store(StoreError::WrongUnlock("passphrase"))), "{wrong}");
    let other = fixture.open(&Unlock::Insecure).unwrap_err();
    assert!(other.to_string().contains("opens with a passphrase"), "{other}");
}

#[test]
fn a_key_file_opens_the_home_it_was_made_with() {
    let fixture = Fixture::new();
    let key = |byte: u8| Unlock::KeyFile(vec![byte; 32].into());
    drop(fixture.create(key(1)).unwrap());
    assert!(fixture.open(&key(1)).is_ok());
    assert!(matches!(
        fixture.open(&key(2)).unwrap_err(),
        NodeError::Store(StoreError::WrongUnlock("key file"))
    ));
}

#[test]
fn a_home_in_use_an_existing_home_and_no_home_are_told_apart() {
    let fixture = Fixture::new();
    assert!(matches!(fixture.open(&Unlock::Insecure).unwrap_err(), NodeError::NoHome(_)));
    let party = fixture.create(Unlock::Insecure).unwrap();
    assert!(matches!(fixture.open(&Unlock::Insecure).unwrap_err(), NodeError::HomeLocked(_)));
    drop(party);
    assert!(matches!(fixture.create(Unlock::Insecure).unwrap_err(), NodeError::HomeExists(_)));
    assert!(fixture.open(&Unlock::Insecure).is_ok());
}

#[test]
fn a_home_whose_making_was_interrupted_can_be_made_again() {
    let fixture = Fixture::new();
    std::fs::create_dir(fixture.home()).unwrap();
    std::fs::write(fixture.home().join("store.unfinished"), b"half a store").unwrap();
    assert!(fixture.create(Unlock::Insecure).is_ok());
}

#[test]
fn a_damaged_store_is_never_opened_as_if_it_were_whole() {
    let fixture = Fixture::new();
    drop(fixture.create(Unlock::Insecure).unwrap());
    let path = fixture.home().join(STORE_FILE);
    let whole = std::fs::read(&path).unwrap();
    let card = fixture.open(&Unlock::Insecure).unwrap().card().to_string();
    let mut noticed = 0;
    for at in (0..whole.len()).step_by(97) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        std::fs::write(&path, &damaged).unwrap();
        match fixture.open(&Unlock::Insecure) {
            // Free pages, padding and the like carry nothing.
            Ok(party) => assert_eq!(party.card().to_string(), card),
            Err(_) => noticed += 1,
        }
    }
    assert!(noticed > 10, "only {noticed} damages were noticed");
    for len in [0, 1, 100, whole.len() / 2] {
        std::fs::write(&path, &whole[..len]).unwrap();
        assert!(fixture.open(&Unlock::Insecure).is_err(), "cut to {len} bytes");
    }
    std::fs::write(&path, &whole).unwrap();
    assert!(fixture.open(&Unlock::Insecure).is_ok());
}

// A fuzzer found that SQLite then drops the CHECKs that damaged rows are told by.
#[test]
fn a_store_that_can_only_be_read_is_refused() {
    let fixture = Fixture::new();
    drop(fixture.create(Unlock::Insecure).unwrap());
    let path = fixture.home().join(STORE_FILE);
    let mut store = std::fs::read(&path).unwrap();
    // The version of the format that may write it, in SQLite's header: of one to come.
    store[18] = 3;
    std::fs::write(&path, &store).unwrap();
    let refused = fixture.open(&Unlock::Insecure).unwrap_err();
    assert!(matches!(refused, NodeError::Store(StoreError::ReadOnly(_))), "{refused}");
    store[18] = 1;
    std::fs::write(&path, &store).unwrap();
    fixture.open(&Unlock::Insecure).unwrap();
}

#[test]
fn no_secret_lies_in_the_clear_on_the_disk() {
    let fixture = Fixture::new();
    drop(fixture.create(passphrase("correct horse")).unwrap());
    let seed = seed(CAR);
    let secrets = [
        *seed.identity.to_secret().expose(),
        *seed.sealing.as_secret().expose(),
        *seed.chain_head.head().expose(),
    ];
    for entry in std::fs::read_dir(fixture.home()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for secret in &secrets {
            assert!(!bytes.windows(32).any(|window| window == secret));
        }
        assert!(!bytes.windows(5).any(|window| window == b"legal"));
    }
}

#[test]
fn an_erased_secret_is_gone_from_the_file_and_a_party_never_prints_one() {
    let mut world = World::new();
    world.agree();
    let printed = format!("{:?}", world.car);
    let seed = seed(CAR);
    let key = seed.identity.to_secret();
    let hex: String = key.expose().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!printed.contains(&hex) && printed.contains("<SECRET>"));
}

#[test]
fn a_home_for_another_chain_is_refused_by_name() {
    let fixture = Fixture::new();
    drop(fixture.create(Unlock::Insecure).unwrap());
    let config = fixture.home().join(CONFIG_FILE);
    let text = std::fs::read_to_string(&config).unwrap().replace("\"regtest\"", "\"litecoin\"");
    std::fs::write(&config, text).unwrap();
    let refused = fixture.open(&Unlock::Insecure).unwrap_err().to_string();
    assert!(refused.contains("the embedded ledger is for regtest"), "{refused}");
}
