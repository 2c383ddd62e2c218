//! The table of chains. Everything that differs between networks stands here and nowhere else.

use std::fmt;

use bitcoin::hashes::{Hash, HashEngine, sha256};
use bitcoin::hex::DisplayHex;
use bitcoin::{Amount, BlockHash, CompactTarget, FeeRate, Script, ScriptBuf, Target};
use thiserror::Error;

/// Names a chain in every hash and card: the genesis block's hash in the byte order of block
/// headers, or, for a signet with a challenge of its own, a hash of both (PROTOCOL.md 2.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChainId([u8; 32]);

impl ChainId {
    /// From its 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn of_signet(genesis: BlockHash, challenge: &Script) -> Self {
        let mut engine = sha256::Hash::engine();
        engine.input(b"keyway/1 signet");
        engine.input(genesis.as_byte_array());
        engine.input(challenge.as_bytes());
        Self(sha256::Hash::from_engine(engine).to_byte_array())
    }
}

impl fmt::Debug for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainId({self})")
    }
}

/// The known chain's name, or the id in hex.
impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Chain::all().find(|chain| chain.id() == *self) {
            Some(chain) => f.write_str(chain.name()),
            None => write!(f, "{}", self.0.as_hex()),
        }
    }
}

/// Which software's rules and units a chain follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Bitcoin: double SHA-256 proof of work.
    Bitcoin,
    /// Litecoin: scrypt proof of work.
    Litecoin,
}

impl Family {
    /// Ticker of the whole coin, 10^8 of the smallest unit.
    pub const fn ticker(self) -> &'static str {
        match self {
            Family::Bitcoin => "BTC",
            Family::Litecoin => "LTC",
        }
    }
}

/// What a block's work is done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofOfWork {
    /// SHA-256 twice: the block's hash itself.
    DoubleSha256,
    /// scrypt (N = 1,024, r = p = 1) of the header: another number than the block's hash.
    Scrypt,
}

/// How the difficulty may move from one block to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retarget {
    /// At every 2,016th block, fourfold at most; between them never.
    Every2016,
    /// Rules for testing let single blocks be easy.
    Loose,
}

/// What a chain's node is called and where it is found, unless its operator chose otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeDefaults {
    /// The chain's name in `getblockchaininfo`.
    pub chain: &'static str,
    /// The port of its JSON-RPC.
    pub port: u16,
    /// Its cookie, relative to the user's home folder.
    pub cookie: &'static str,
}

/// No chain of that name is in the table.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("no chain is called `{0}`; known are: {known}", known = Chain::names())]
pub struct UnknownChain(pub String);

/// One chain and all that is particular to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    row: &'static Row,
    challenge: Option<ScriptBuf>,
}

#[derive(Debug, PartialEq, Eq)]
struct Row {
    name: &'static str,
    family: Family,
    /// Genesis hash as displayed (reversed).
    genesis: [u8; 32],
    main: bool,
    coin_type: u32,
    hrp: &'static str,
    dust_p2wpkh: u64,
    value_floor: u64,
    min_relay_sat_per_kwu: u64,
    block_seconds: u32,
    pow: ProofOfWork,
    /// The easiest target, as headers write it.
    pow_limit: u32,
    retarget: Retarget,
    node: NodeDefaults,
}

/// What the blocks of the public signet satisfy: one of two keys.
const SIGNET_CHALLENGE: [u8; 71] = {
    let mut script = [0; 71];
    let hex = b"512103ad5e0edad18cb1f0fc0d28a3d4f1f3e445640337489abb10404f2d1e086be4302103\
        59ef5021964fe22d6f8e05b2463c9540ce96883fe3b278760f048f5189f2e6c452ae";
    fill(&mut script, hex);
    script
};

const SIGNET: Row = Row {
    name: "signet",
    family: Family::Bitcoin,
    genesis: hex32("00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6"),
    main: false,
    coin_type: 1,
    hrp: "tb",
    dust_p2wpkh: 294,
    value_floor: 1_000,
    min_relay_sat_per_kwu: 250,
    block_seconds: 600,
    pow: ProofOfWork::DoubleSha256,
    pow_limit: 0x1e03_77ae,
    retarget: Retarget::Loose,
    node: NodeDefaults { chain: "signet", port: 38332, cookie: ".bitcoin/signet/.cookie" },
};

const REGTEST: Row = Row {
    name: "regtest",
    family: Family::Bitcoin,
    genesis: hex32("0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"),
    main: false,
    coin_type: 1,
    hrp: "bcrt",
    dust_p2wpkh: 294,
    value_floor: 1_000,
    min_relay_sat_per_kwu: 250,
    block_seconds: 600,
    pow: ProofOfWork::DoubleSha256,
    pow_limit: 0x207f_ffff,
    retarget: Retarget::Loose,
    node: NodeDefaults { chain: "regtest", port: 18443, cookie: ".bitcoin/regtest/.cookie" },
};

/// Dust limits and relay fees are the nodes' defaults: Bitcoin Core 31, Litecoin Core 0.21.
static TABLE: [Row; 7] = [
    Row {
        name: "bitcoin",
        family: Family::Bitcoin,
        genesis: hex32("000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"),
        main: true,
        coin_type: 0,
        hrp: "bc",
        dust_p2wpkh: 294,
        value_floor: 1_000,
        min_relay_sat_per_kwu: 250,
        block_seconds: 600,
        pow: ProofOfWork::DoubleSha256,
        pow_limit: 0x1d00_ffff,
        retarget: Retarget::Every2016,
        node: NodeDefaults { chain: "main", port: 8332, cookie: ".bitcoin/.cookie" },
    },
    Row {
        name: "testnet4",
        family: Family::Bitcoin,
        genesis: hex32("00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043"),
        main: false,
        coin_type: 1,
        hrp: "tb",
        dust_p2wpkh: 294,
        value_floor: 1_000,
        min_relay_sat_per_kwu: 250,
        block_seconds: 600,
        pow: ProofOfWork::DoubleSha256,
        pow_limit: 0x1d00_ffff,
        retarget: Retarget::Loose,
        node: NodeDefaults { chain: "testnet4", port: 48332, cookie: ".bitcoin/testnet4/.cookie" },
    },
    SIGNET,
    REGTEST,
    Row {
        name: "litecoin",
        family: Family::Litecoin,
        genesis: hex32("12a765e31ffd4059bada1e25190f6e98c99d9714d334efa41a195a7e7e04bfe2"),
        main: true,
        coin_type: 2,
        hrp: "ltc",
        dust_p2wpkh: 2_940,
        value_floor: 6_000,
        min_relay_sat_per_kwu: 250,
        block_seconds: 150,
        pow: ProofOfWork::Scrypt,
        pow_limit: 0x1e0f_ffff,
        retarget: Retarget::Every2016,
        node: NodeDefaults { chain: "main", port: 9332, cookie: ".litecoin/.cookie" },
    },
    Row {
        name: "litecoin-testnet",
        family: Family::Litecoin,
        genesis: hex32("4966625a4b2851d9fdee139e56211a0d88575f59ed816ff5e6a63deb4e3e29a0"),
        main: false,
        coin_type: 1,
        hrp: "tltc",
        dust_p2wpkh: 2_940,
        value_floor: 6_000,
        min_relay_sat_per_kwu: 250,
        block_seconds: 150,
        pow: ProofOfWork::Scrypt,
        pow_limit: 0x1e0f_ffff,
        retarget: Retarget::Loose,
        node: NodeDefaults { chain: "test", port: 19332, cookie: ".litecoin/testnet4/.cookie" },
    },
    Row {
        name: "litecoin-regtest",
        family: Family::Litecoin,
        genesis: hex32("530827f38f93b43ed12af0b3ad25a288dc02ed74d6d7857862df51fc56c416f9"),
        main: false,
        coin_type: 1,
        hrp: "rltc",
        dust_p2wpkh: 2_940,
        value_floor: 6_000,
        min_relay_sat_per_kwu: 250,
        block_seconds: 150,
        pow: ProofOfWork::Scrypt,
        pow_limit: 0x207f_ffff,
        retarget: Retarget::Loose,
        node: NodeDefaults { chain: "regtest", port: 19443, cookie: ".litecoin/regtest/.cookie" },
    },
];

impl Chain {
    /// Bitcoin's regression-test chain: what the embedded ledger runs.
    pub fn regtest() -> Self {
        Self { row: &REGTEST, challenge: None }
    }

    /// A signet whose blocks satisfy `challenge`.
    pub fn custom_signet(challenge: ScriptBuf) -> Self {
        Self { row: &SIGNET, challenge: Some(challenge) }
    }

    /// The chain of that name.
    ///
    /// # Errors
    /// [`UnknownChain`] lists the known names; the caller's input is at fault.
    pub fn named(name: &str) -> Result<Self, UnknownChain> {
        Self::all().find(|chain| chain.name() == name).ok_or_else(|| UnknownChain(name.to_owned()))
    }

    /// Every chain of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| Self { row, challenge: None })
    }

    fn names() -> String {
        TABLE.each_ref().map(|row| row.name).join(", ")
    }

    /// Its name in configuration and display.
    pub fn name(&self) -> &'static str {
        self.row.name
    }

    /// Whose rules and units it follows.
    pub fn family(&self) -> Family {
        self.row.family
    }

    /// Its id in cards and transcripts (PROTOCOL.md 2.1).
    pub fn id(&self) -> ChainId {
        match &self.challenge {
            None => ChainId(self.genesis().to_byte_array()),
            Some(challenge) => ChainId::of_signet(self.genesis(), challenge),
        }
    }

    /// The genesis block's hash.
    pub fn genesis(&self) -> BlockHash {
        let mut bytes = self.row.genesis;
        bytes.reverse();
        BlockHash::from_byte_array(bytes)
    }

    /// The script every block of a signet of one's own must satisfy.
    pub fn challenge(&self) -> Option<&Script> {
        self.challenge.as_deref()
    }

    /// Whether its coins have a price: nothing meant for study runs there.
    pub fn is_main(&self) -> bool {
        self.row.main
    }

    /// SLIP-44 coin type in key derivation paths.
    pub fn coin_type(&self) -> u32 {
        self.row.coin_type
    }

    /// Human-readable part of its bech32 addresses.
    pub fn hrp(&self) -> &'static str {
        self.row.hrp
    }

    /// Least amount of a P2WPKH output that its nodes relay.
    pub fn dust_p2wpkh(&self) -> Amount {
        Amount::from_sat(self.row.dust_p2wpkh)
    }

    /// Least amount of an output of the value carrier (PROTOCOL.md 7.1).
    pub fn value_floor(&self) -> Amount {
        Amount::from_sat(self.row.value_floor)
    }

    /// Least feerate that its nodes relay by any common default.
    pub fn min_relay(&self) -> FeeRate {
        FeeRate::from_sat_per_kwu(self.row.min_relay_sat_per_kwu)
    }

    /// What its blocks' work is done with.
    pub fn proof_of_work(&self) -> ProofOfWork {
        self.row.pow
    }

    /// The easiest target that a block of it may have.
    pub fn easiest_target(&self) -> Target {
        Target::from_compact(CompactTarget::from_consensus(self.row.pow_limit))
    }

    /// How its difficulty may move.
    pub fn retarget(&self) -> Retarget {
        self.row.retarget
    }

    /// What its node is called, and where it is found.
    pub fn node(&self) -> &'static NodeDefaults {
        &self.row.node
    }

    /// What its node says the blocks' challenge is: a script on signets, nothing elsewhere.
    pub fn node_challenge(&self) -> Option<&Script> {
        let public = (self.row.name == SIGNET.name).then(|| Script::from_bytes(&SIGNET_CHALLENGE));
        self.challenge().or(public)
    }

    /// Seconds between blocks that its difficulty aims at.
    pub fn block_seconds(&self) -> u32 {
        self.row.block_seconds
    }
}

const fn hex32(hex: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    fill(&mut bytes, hex.as_bytes());
    bytes
}

#[expect(clippy::indexing_slicing, clippy::panic, reason = "runs in the compiler, on the table above")]
const fn fill(bytes: &mut [u8], hex: &[u8]) {
    const fn nibble(digit: u8) -> u8 {
        match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => panic!("not a lower-case hex digit"),
        }
    }
    if hex.len() != 2 * bytes.len() {
        panic!("another length");
    }
    let mut i = 0;
    while i < bytes.len() {
        bytes[i] = nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]);
        i += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::blockdata::constants::genesis_block;
    use bitcoin::{Network, ScriptBuf};

    #[test]
    fn bitcoin_genesis_hashes_are_those_of_the_bitcoin_crate() {
        let rows = [
            ("bitcoin", Network::Bitcoin),
            ("testnet4", Network::Testnet4),
            ("signet", Network::Signet),
            ("regtest", Network::Regtest),
        ];
        for (name, network) in rows {
            let chain = Chain::named(name).unwrap();
            assert_eq!(chain.genesis(), genesis_block(network).block_hash(), "{name}");
        }
    }

    #[test]
    fn a_signet_of_ones_own_is_another_chain_than_the_public_one() {
        let public = Chain::named("signet").unwrap();
        let own = Chain::custom_signet(ScriptBuf::from_bytes(vec![0x51]));
        assert_eq!(public.genesis(), own.genesis());
        assert_ne!(public.id(), own.id());
        assert_ne!(own.id(), Chain::custom_signet(ScriptBuf::from_bytes(vec![0x52])).id());
    }

    #[test]
    fn the_easiest_targets_are_those_of_the_bitcoin_crate() {
        let rows = [
            ("bitcoin", Network::Bitcoin),
            ("testnet4", Network::Testnet4),
            ("signet", Network::Signet),
            ("regtest", Network::Regtest),
        ];
        for (name, network) in rows {
            let expected = network.params().max_attainable_target.to_compact_lossy();
            assert_eq!(Chain::named(name).unwrap().easiest_target().to_compact_lossy(), expected, "{name}");
        }
    }

    #[test]
    fn only_signets_have_a_challenge() {
        let own = ScriptBuf::from_bytes(vec![0x51]);
        assert_eq!(Chain::custom_signet(own.clone()).node_challenge(), Some(own.as_script()));
        for chain in Chain::all() {
            assert_eq!(chain.node_challenge().is_some(), chain.name() == "signet", "{}", chain.name());
        }
    }

    #[test]
    fn an_unknown_chain_is_refused_with_the_known_names() {
        let error = Chain::named("dogecoin").unwrap_err();
        assert!(error.to_string().contains("litecoin-regtest"));
    }

    #[test]
    fn the_value_floor_is_above_dust_everywhere() {
        for chain in Chain::all() {
            assert!(chain.value_floor() > chain.dust_p2wpkh(), "{}", chain.name());
        }
    }
}
