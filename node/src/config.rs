//! The configuration: one TOML file that `keyway init` writes, with every setting explained.

use std::io::Read;
use std::path::{Path, PathBuf};

use bitcoin::{Amount, FeeRate};
use keyway_chain::{Chain, Depth};
use serde::Deserialize;

use crate::error::NodeError;

/// Far more than every setting with its explanation takes.
const MOST_BYTES: u64 = 64 << 10;

/// What is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The chain the party is on.
    pub chain: Chain,
    /// Where that chain is seen.
    pub ledger: LedgerConfig,
    /// What is accepted, and when.
    pub policy: Policy,
    /// The most that a transaction of this home pays to miners.
    pub fee_ceiling: FeeRate,
}

/// Where the chain is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerConfig {
    /// A regtest chain in a folder, validated in this process.
    Embedded {
        /// The folder; several homes may share it, one process at a time.
        path: PathBuf,
    },
}

/// What is accepted, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether offers of peers are answered.
    pub answer: bool,
    /// How deep an offer lies before it is answered; at least 1.
    pub offer_depth: Depth,
    /// How deep an answer lies before its key is used; at least 1.
    pub key_depth: Depth,
    /// Offers below this price are left unanswered.
    pub least_price: Amount,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    chain: String,
    ledger: LedgerTable,
    #[serde(default)]
    policy: PolicyTable,
    #[serde(default)]
    fees: FeesTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LedgerTable {
    kind: String,
    path: PathBuf,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct PolicyTable {
    answer: Option<bool>,
    offer_depth: Option<u32>,
    key_depth: Option<u32>,
    least_price_sat: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct FeesTable {
    ceiling_sat_per_vb: Option<u32>,
}

const FEE_CEILING: u32 = 100;

impl Policy {
    /// What a fresh home on `chain` does. On a chain whose blocks cost nothing to make, depth proves
    /// little, and people wait for it at a terminal.
    pub fn default_on(chain: &Chain) -> Self {
        let key_depth = Depth::new(if chain.name().ends_with("regtest") { 2 } else { 6 });
        Self { answer: true, offer_depth: Depth::new(1), key_depth, least_price: Amount::ZERO }
    }
}

impl Config {
    /// What a fresh home has.
    pub fn new(chain: Chain, ledger: LedgerConfig) -> Self {
        let policy = Policy::default_on(&chain);
        Self { chain, ledger, policy, fee_ceiling: ceiling(FEE_CEILING) }
    }

    /// Reads the file; relative paths in it are relative to its folder.
    ///
    /// # Errors
    /// [`NodeError::Config`] names the setting that is wrong.
    pub fn load(path: &Path) -> Result<Self, NodeError> {
        let mut text = String::new();
        let file = std::fs::File::open(path);
        let read = file.and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text));
        read.map_err(|source| NodeError::Io { action: "read", path: path.to_owned(), source })?;
        if text.len() as u64 > MOST_BYTES {
            let what = format!("it has more than {MOST_BYTES} bytes");
            return Err(NodeError::Config { path: path.to_owned(), what });
        }
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, NodeError> {
        let wrong = |what: String| NodeError::Config { path: path.to_owned(), what };
        let file: File =
            toml::from_str(text).map_err(|error| wrong(error.to_string().trim_end().to_owned()))?;
        let chain = Chain::named(&file.chain).map_err(|error| wrong(format!("chain: {error}")))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let ledger = match file.ledger.kind.as_str() {
            "embedded" if chain == Chain::regtest() => {
                LedgerConfig::Embedded { path: folder.join(file.ledger.path) }
            }
            "embedded" => {
                return Err(wrong(format!(
                    "ledger.kind: the embedded ledger is for regtest, not {}",
                    file.chain
                )));
            }
            other => {
                return Err(wrong(format!(
                    "ledger.kind: no ledger is called `{other}`; known are: embedded"
                )));
            }
        };
        let default = Policy::default_on(&chain);
        let depth = |name: &str, value: Option<u32>, default: Depth| match value {
            Some(0) => Err(wrong(format!("policy.{name}: 0 would trust what is not mined; the least is 1"))),
            value => Ok(value.map_or(default, Depth::new)),
        };
        let policy = Policy {
            answer: file.policy.answer.unwrap_or(default.answer),
            offer_depth: depth("offer_depth", file.policy.offer_depth, default.offer_depth)?,
            key_depth: depth("key_depth", file.policy.key_depth, default.key_depth)?,
            least_price: file.policy.least_price_sat.map_or(default.least_price, Amount::from_sat),
        };
        let fee_ceiling = ceiling(file.fees.ceiling_sat_per_vb.unwrap_or(FEE_CEILING));
        Ok(Self { chain, ledger, policy, fee_ceiling })
    }

    /// The file that gives this configuration, every setting explained.
    pub fn to_toml(&self) -> String {
        let LedgerConfig::Embedded { path } = &self.ledger;
        let path = toml::Value::String(path.display().to_string());
        let Policy { answer, offer_depth, key_depth, least_price } = self.policy;
        format!(
            "# Keyway's configuration. `keyway config check` says what is in force.\n\n\
             # The chain this party is on. It is part of the identity: changing it makes the home useless.\n\
             chain = \"{chain}\"\n\n\
             [ledger]\n\
             # embedded: a regtest chain in a folder, validated by Bitcoin Core's own code in this process.\n\
             kind = \"embedded\"\n\
             # The folder, relative to this file. Homes that share it share the chain.\n\
             path = {path}\n\n\
             [policy]\n\
             # Whether `keyway sync` answers the offers of peers.\n\
             answer = {answer}\n\
             # Confirmations of an offer before it is answered. At least 1.\n\
             offer_depth = {offer_depth}\n\
             # Confirmations of an answer before its key is used. At least 1; 6 is usual where coins have a price.\n\
             key_depth = {key_depth}\n\
             # Offers that pay less are left unanswered; their coins can be spent once they have expired.\n\
             least_price_sat = {least}\n\n\
             [fees]\n\
             # The most that a transaction of this home pays to miners, whatever the ledger advises.\n\
             ceiling_sat_per_vb = {ceiling}\n",
            chain = self.chain.name(),
            least = least_price.to_sat(),
            ceiling = self.fee_ceiling.to_sat_per_vb_floor(),
        )
    }
}

fn ceiling(sat_per_vb: u32) -> FeeRate {
    FeeRate::from_sat_per_vb_u32(sat_per_vb)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> Config {
        Config::new(Chain::regtest(), LedgerConfig::Embedded { path: "/tmp/le\"dger".into() })
    }

    #[test]
    fn what_init_writes_reads_back_as_it_was() {
        let config = fresh();
        assert_eq!(Config::parse(&config.to_toml(), Path::new("/home/keyway.toml")).unwrap(), config);
    }

    #[test]
    fn a_wrong_setting_is_named() {
        let cases = [
            ("chain = \"regtest\"", "chain = \"dogecoin\"", "no chain is called `dogecoin`"),
            ("kind = \"embedded\"", "kind = \"cloud\"", "no ledger is called `cloud`"),
            ("chain = \"regtest\"", "chain = \"bitcoin\"", "the embedded ledger is for regtest"),
            ("key_depth = 2", "key_depth = 0", "policy.key_depth"),
            ("key_depth = 2", "key_dept = 2", "key_dept"),
            ("answer = true", "answer = maybe", "answer"),
        ];
        for (from, to, expected) in cases {
            let text = fresh().to_toml().replace(from, to);
            let error = Config::parse(&text, Path::new("keyway.toml")).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
