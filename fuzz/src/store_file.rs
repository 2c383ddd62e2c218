//! A home whose store was damaged on the disk: it opens, or says precisely why not.
//!
//! Input: kind (u8). Of kind 0 (modulo 3) the rest are changes to a sound store, each a place (3 bytes, big-endian, modulo
//! the store's length) and what is flipped there (u8). Of kind 1 the store is cut before that: at a place of 3 bytes. Of
//! kind 2 the rest is the file.

use std::path::Path;
use std::sync::LazyLock;

use keyway_chain::Chain;
use keyway_node::{CONFIG_FILE, Config, LedgerConfig, NodeError, Party, STORE_FILE, StoreError, Unlock};
use tempfile::TempDir;

/// The store of a home with a peer, an agreed negotiation and a message that was opened; written by `node`'s tests.
pub static SOUND: &[u8] = include_bytes!("store_file.sqlite");

/// Opens the store that these bytes describe and holds the node to its promises.
pub fn store_file(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    let file = match kind % 3 {
        0 => changed(SOUND.to_vec(), data),
        1 => {
            let Some((place, changes)) = data.split_first_chunk() else { return };
            changed(SOUND[..place_of(place, SOUND.len())].to_vec(), changes)
        }
        _ => data.to_vec(),
    };
    open(&file);
}

fn changed(mut file: Vec<u8>, changes: &[u8]) -> Vec<u8> {
    for change in changes.chunks_exact(4) {
        let place = place_of(&[change[0], change[1], change[2]], file.len());
        if let Some(byte) = file.get_mut(place) {
            *byte ^= change[3];
        }
    }
    file
}

fn place_of(place: &[u8; 3], len: usize) -> usize {
    let [a, b, c] = *place;
    u32::from_be_bytes([0, a, b, c]) as usize % len.max(1)
}

fn open(file: &[u8]) {
    let home = home();
    std::fs::write(home.join(STORE_FILE), file).expect("there is space");
    match Party::open(home, &Unlock::Insecure) {
        Ok(party) => {
            // What was opened can be read, or the row that cannot is named.
            for error in [party.negotiations().err(), party.status().err()].into_iter().flatten() {
                assert!(is_precise(&error), "{error}");
            }
        }
        Err(error) => assert!(is_precise(&error), "{error}"),
    }
}

/// Whether an error says that the store is at fault.
fn is_precise(error: &NodeError) -> bool {
    use StoreError as E;
    let NodeError::Store(error) = error else { return matches!(error, NodeError::OtherChain { .. }) };
    matches!(error, E::Damaged { .. } | E::Older { .. } | E::Newer { .. } | E::Failed { .. } | E::ReadOnly(_))
}

fn home() -> &'static Path {
    static HOME: LazyLock<TempDir> = LazyLock::new(empty_home);
    HOME.path()
}

/// A folder with a configuration, for a store to be put there. In memory, where the system has a folder for that.
pub(crate) fn empty_home() -> TempDir {
    let shared = Path::new("/dev/shm");
    let dir = if shared.is_dir() { TempDir::new_in(shared) } else { TempDir::new() };
    let dir = dir.expect("a folder for a home");
    let ledger = LedgerConfig::Embedded { path: "ledger".into(), enforce_exponent: false };
    let config = Config::new(Chain::regtest(), ledger);
    // Without its comments: they are read again with every store.
    let toml: String = config
        .to_toml()
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(dir.path().join(CONFIG_FILE), toml).expect("there is space");
    dir
}
