//! What section 3.2 asks of keys that are kept: nothing in plaintext, and a backup.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use bip39::Mnemonic;
use keyway_chain::{BlockRef, Chain, Height};
use keyway_ledger::{Embedded, Ledger};
use keyway_node::{Block, IDENTITY_COINS, Party, Unlock};
use keyway_protocol::identity::Seed;
use keyway_protocol::message::Carrier;
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::state::State;
use keyway_protocol::suite::Suite;
use tempfile::TempDir;

use crate::claim::{Place, Row, Verdict};
use crate::home::{new_party, nobody, party, request, view};
use crate::random::Stream;
use crate::{Options, Walk};

/// A home behind a passphrase that has a key with another.
struct Kept {
    dir: TempDir,
    ledger: Embedded,
    mnemonic: Mnemonic,
    car: Party,
    charger: Party,
    id: NegotiationId,
}

fn passphrase(stream: &mut Stream) -> Unlock {
    let words: String = stream.bytes::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
    Unlock::Passphrase(words.into())
}

impl Kept {
    fn new(stream: &mut Stream) -> Result<Self> {
        let dir = TempDir::new().context("no folder for a ledger")?;
        let ledger = Embedded::open(dir.path().join("ledger"))?;
        let mnemonic = Mnemonic::from_entropy(&stream.bytes::<16>())?;
        let new = new_party("car", mnemonic.clone(), passphrase(stream), &ledger)?;
        let mut car = Party::create(&dir.path().join("car"), new)?;
        let mut charger = party(dir.path(), "charger", stream, &ledger, |_| ())?;
        car.add_peer(charger.card().clone())?;
        charger.add_peer(car.card().clone())?;
        ledger.mine(IDENTITY_COINS as u32, &car.key().script())?;
        ledger.mine(100, &nobody())?;
        car.sync(&ledger, &mut |_| ())?;
        let id = car.offer(&ledger, &request("charger", Suite::X25519, Carrier::Value))?.id;
        for blocks in [1, 2] {
            ledger.mine(blocks, &nobody())?;
            car.sync(&ledger, &mut |_| ())?;
            charger.sync(&ledger, &mut |_| ())?;
        }
        ensure!(view(&car, id)?.state == State::Active, "the key is not in use");
        Ok(Self { dir, ledger, mnemonic, car, charger, id })
    }
}

pub fn walk(options: Options, walk: &mut Walk) -> Result<()> {
    let mut stream = options.stream("keeping");
    let kept = Kept::new(&mut stream)?;
    let key = kept.car.master_key(kept.id)?.context("an active key has a master key")?;
    let seed = Seed::derive(&kept.mnemonic, &Chain::regtest())?;
    let secrets = [*key.expose(), *seed.identity.to_secret().expose(), *seed.sealing.as_secret().expose()];
    let (files, found) = search(&kept.dir.path().join("car"), &secrets)?;
    let row = Row {
        claim: "no key is stored in plaintext",
        command: "./x test no_secret_lies_in_the_clear_on_the_disk",
        result: format!(
            "a home behind a passphrase: mk, the identity's key and the sealing key were found {found} times in its \
             {files} files"
        ),
        time: String::new(),
        verdict: Verdict::Changed("named and not given in the paper; the store is encrypted".to_owned())
            .if_shown(found == 0 && files > 0),
    };
    walk.add(options, Place::Section(3, 2, 1), row);
    restore(options, walk, kept, &secrets, &mut stream)
}

/// Files of a home, and how often one of the secrets stands in them.
fn search(home: &Path, secrets: &[[u8; 32]]) -> Result<(usize, usize)> {
    let (mut files, mut found) = (0, 0);
    for entry in std::fs::read_dir(home)? {
        let path = entry?.path();
        if path.is_file() {
            let bytes = std::fs::read(path)?;
            files += 1;
            found += bytes.windows(32).filter(|window| secrets.iter().any(|secret| secret == window)).count();
        }
    }
    Ok((files, found))
}

/// The home is lost; what is left are its words, the chain and the peer's card.
fn restore(
    options: Options,
    walk: &mut Walk,
    kept: Kept,
    secrets: &[[u8; 32]; 3],
    stream: &mut Stream,
) -> Result<()> {
    let Kept { dir, ledger, mnemonic, car, charger, id } = kept;
    drop(car);
    std::fs::remove_dir_all(dir.path().join("car"))?;
    let genesis = BlockRef::new(Height::GENESIS, ledger.chain().genesis());
    let mut new = new_party("car", mnemonic, passphrase(stream), &ledger)?;
    new.birthday = Block { at: genesis, time: 0 };
    let tip = ledger.tip()?.height;
    let mut again = Party::create_restored(&dir.path().join("again"), new, None, tip)?;
    again.add_peer(charger.card().clone())?;
    again.restore(&ledger, &mut |_| ())?;
    let [mk, ..] = secrets;
    let same = again.master_key(id)?.is_some_and(|key| key.expose() == mk);
    let row = Row {
        claim: "keys have a backup",
        command: "keyway backup; ./x test both_sides_restore_the_keys_of_every_carrier_and_suite_and_go_on_with_them",
        result: format!("a home that was lost and made again from its words, the chain and the peer's card: the same mk: {same}"),
        time: String::new(),
        verdict: Verdict::Changed(
            "a timestamp on the chain restores nothing by itself; secrets follow from the mnemonic and the chain".to_owned(),
        )
        .if_shown(same),
    };
    walk.add(options, Place::Section(3, 2, 3), row);
    Ok(())
}
