//! From a mnemonic to keys (PROTOCOL.md 2.1, 2.2 and 3).

use bip39::Mnemonic;
use bitcoin::bip32::{DerivationPath, Xpriv};
use bitcoin::hashes::Hash;
use bitcoin::{NetworkKind, ScriptBuf, WPubkeyHash, bech32};
use keyway_chain::Chain;
use keyway_protocol::identity::{PartyKey, SecretChain, Seed};

use crate::common::SECP;
use crate::file;
use crate::json::{Json, hex, object};
use crate::kdf::{expand, extract};

const ABANDON: &str =
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
const LEGAL: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";
const LONG: &str = "void come effort suffer camp survey warrior heavy shoot primary clutch crush open amazing \
                    screen patrol group space point ten exist slush involve unfold";

#[test]
fn the_vectors_of_key_derivation_are_what_the_code_gives() {
    let chain = |name| Chain::named(name).unwrap();
    let own_signet = Chain::custom_signet(ScriptBuf::from_bytes(vec![0x51]));
    let cases = vec![
        case("bitcoin", "the mnemonic of BIP84's own vectors", ABANDON, chain("bitcoin")),
        case("testnet4", "coin type 1", ABANDON, chain("testnet4")),
        case("signet", "the keys on the chain are testnet4's, the others are not", ABANDON, chain("signet")),
        case("own-signet", "the challenge script is part of the chain id", ABANDON, own_signet),
        case("regtest", "another mnemonic", LEGAL, chain("regtest")),
        case("litecoin", "coin type 2", ABANDON, chain("litecoin")),
        case("litecoin-testnet", "coin type 1 again", LEGAL, chain("litecoin-testnet")),
        case("litecoin-regtest", "a mnemonic of 24 words", LONG, chain("litecoin-regtest")),
    ];
    file::check("derivation.json", &object! { "cases": cases });
}

fn case(id: &str, comment: &str, mnemonic: &str, chain: Chain) -> Json {
    let mnemonic: Mnemonic = mnemonic.parse().unwrap();
    let seed = Seed::derive(&mnemonic, &chain).unwrap();
    let (chain_id, coin) = (chain.id(), chain.coin_type());
    let path: DerivationPath = format!("m/27511'/{coin}'/0'").parse().unwrap();
    let master = Xpriv::new_master(NetworkKind::Main, &mnemonic.to_seed("")).unwrap();
    let k = master.derive_priv(&SECP, &path).unwrap().private_key.secret_bytes();
    let root = extract(b"keyway/1 root", &k);
    assert_eq!(expand(&root, "sealing key", &[chain_id.as_bytes()]), *seed.sealing.as_secret().expose());
    let party = seed.identity.party();
    object! {
        "id": id,
        "comment": comment,
        "mnemonic": mnemonic.to_string(),
        "chain": chain.name(),
        "challenge": chain.challenge().map(|challenge| hex(challenge.as_bytes())),
        "chain_id": hex(chain_id.as_bytes()),
        "bip32_seed": hex(mnemonic.to_seed("")),
        "identity_secret": hex(seed.identity.to_secret().expose()),
        "identity_key": hex(party.to_bytes()),
        "script": hex(party.script().as_bytes()),
        "address": address(&chain, party),
        "k": hex(k),
        "root": hex(root),
        "sealing_secret": hex(seed.sealing.as_secret().expose()),
        "sealing_key": hex(seed.sealing.public()),
        "negotiations": negotiations(seed.chain_head),
    }
}

fn address(chain: &Chain, party: PartyKey) -> String {
    let hrp = bech32::Hrp::parse(chain.hrp()).unwrap();
    let program = WPubkeyHash::hash(&party.to_bytes());
    bech32::segwit::encode_v0(hrp, program.as_byte_array()).unwrap()
}

/// s(i) and n(i) of the first three.
fn negotiations(mut chain: SecretChain) -> Vec<Json> {
    let take = |_| {
        let (index, s) = (chain.index(), hex(chain.head().expose()));
        let head = chain.head().duplicate();
        let (n, next) = SecretChain::from_parts(index, head).take();
        chain = next;
        object! { "index": index, "s": s, "n": hex(n.as_secret().expose()) }
    };
    (0..3).map(take).collect()
}
