//! Keys from a mnemonic (PROTOCOL.md 3).

use bip39::Mnemonic;
use bitcoin::{Address, Network};
use keyway_chain::Chain;
use keyway_protocol::identity::{
    IdentitySecret, NegotiationSecret, PartyKey, SealingSecret, SecretChain, Seed,
};
use keyway_protocol::secret::Secret;

use crate::common::mnemonic;

const ABANDON: &str =
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

fn seed(chain: &str) -> Seed {
    let mnemonic: Mnemonic = ABANDON.parse().unwrap();
    Seed::derive(&mnemonic, &Chain::named(chain).unwrap()).unwrap()
}

#[test]
fn the_well_known_mnemonic_gives_the_first_address_of_bip84() {
    let script = seed("bitcoin").identity.party().script();
    let address = Address::from_script(&script, Network::Bitcoin).unwrap();
    assert_eq!(address.to_string(), "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu");
    let key = "0330d54fd0dd420a6e5f8d3624f5f3482cae350f79d5f0753bf5beef9c2d91af3c";
    assert_eq!(seed("bitcoin").identity.party().to_string(), key);
}

#[test]
fn every_chain_has_its_own_sealing_key_and_negotiation_secrets() {
    let seeds: Vec<Seed> = Chain::all().map(|chain| seed(chain.name())).collect();
    let sealing: std::collections::HashSet<_> = seeds.iter().map(|seed| seed.sealing.public()).collect();
    let heads: std::collections::HashSet<_> =
        seeds.iter().map(|seed| *seed.chain_head.head().expose()).collect();
    assert_eq!((sealing.len(), heads.len()), (seeds.len(), seeds.len()));
}

#[test]
fn another_mnemonic_gives_other_keys() {
    let [one, other] = [1, 2].map(|n| Seed::derive(&mnemonic(n), &Chain::regtest()).unwrap());
    assert_ne!(one.identity.party(), other.identity.party());
    assert_ne!(one.sealing.public(), other.sealing.public());
    assert_ne!(one.chain_head.head().expose(), other.chain_head.head().expose());
}

#[test]
fn a_party_restored_from_its_store_is_the_same_party() {
    let seed = seed("regtest");
    let identity = IdentitySecret::from_secret(&seed.identity.to_secret()).unwrap();
    assert_eq!(identity.party(), seed.identity.party());
    let sealing = SealingSecret::from_secret(seed.sealing.as_secret().duplicate());
    assert_eq!(sealing.public(), seed.sealing.public());
    let chain = SecretChain::from_parts(seed.chain_head.index(), seed.chain_head.head().duplicate());
    assert_eq!(chain.take().0.as_secret().expose(), seed.chain_head.take().0.as_secret().expose());
}

#[test]
fn a_damaged_store_gives_no_identity() {
    for bytes in [[0; 32], [0xff; 32]] {
        assert!(IdentitySecret::from_secret(&Secret::fill_with(|secret| *secret = bytes)).is_err());
    }
}

#[test]
fn each_negotiation_takes_the_next_secret_and_none_comes_twice() {
    let mut chain = seed("regtest").chain_head;
    let mut seen = std::collections::HashSet::new();
    for index in 0..50 {
        assert_eq!(chain.index(), index);
        assert!(seen.insert(*chain.head().expose()));
        let (secret, next): (NegotiationSecret, SecretChain) = chain.take();
        assert!(seen.insert(*secret.as_secret().expose()));
        chain = next;
    }
}

#[test]
fn a_key_in_any_form_but_the_compressed_one_is_no_identity() {
    let key = seed("regtest").identity.party();
    let compressed = key.to_bytes();
    assert_eq!(PartyKey::from_slice(&compressed), Ok(key));
    let uncompressed = key.to_public_key().serialize_uncompressed();
    let hybrid = [&[6 | uncompressed[64] & 1], &uncompressed[1..]].concat();
    for form in [&uncompressed[..], &hybrid, &compressed[1..], &compressed[..32], &[], &[2; 34]] {
        assert!(PartyKey::from_slice(form).is_err());
    }
}
