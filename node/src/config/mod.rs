//! The configuration: one TOML file that `keyway init` writes, with every setting explained.

mod ledger;

use std::fmt::Display;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bitcoin::{Amount, FeeRate, ScriptBuf};
use keyway_chain::{Chain, Depth};
use keyway_protocol::card::Name;
use keyway_protocol::message::Carrier;
use keyway_protocol::suite::Suite;
use serde::Deserialize;

use self::ledger::LedgerTable;
pub use self::ledger::{Access, LedgerConfig, NodeConfig, usual_cookie};
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
    /// What is answered, and stands on the card.
    pub accepts: Accepts,
    /// Whose introductions count.
    pub introductions: Introductions,
    /// When keys are replaced.
    pub rotation: Rotation,
    /// The most that a transaction of this home pays to miners.
    pub fee_ceiling: FeeRate,
    /// Blocks that a transaction of this home waits before `keyway serve` pays more for it; at least 1.
    pub bump_after: u32,
    /// Blocks in which a prepared offer is taken back signed, before it is given up.
    pub prepared_blocks: u32,
    /// Blocks that an offer waits to be mined before the service gives it up; never, where nothing is said.
    pub give_up_after: Option<u32>,
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
    /// Whether an answer creates a liveness coin where the pair has none, and this home moves it on.
    pub liveness: bool,
}

/// The suites and carriers that are answered, the most wanted first. The card lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepts {
    /// Suites; never empty.
    pub suites: Vec<Suite>,
    /// Carriers; never empty.
    pub carriers: Vec<Carrier>,
    /// Names of peers whose published groups are used; one's own always are.
    pub groups_from: Vec<Name>,
}

impl Default for Accepts {
    fn default() -> Self {
        Self { suites: Suite::USUAL.to_vec(), carriers: Carrier::ALL.to_vec(), groups_from: Vec::new() }
    }
}

impl Accepts {
    /// Whether an offer of this suite over this carrier is answered.
    pub fn takes(&self, suite: Suite, carrier: Carrier) -> bool {
        self.suites.contains(&suite) && self.carriers.contains(&carrier)
    }
}

/// When the initiator of a key replaces it by another; each condition suffices, and without any it never does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Blocks after its answer.
    pub after_blocks: Option<u32>,
    /// Hours after its answer's block, by the blocks' times.
    pub after_hours: Option<u32>,
    /// MiB that this home has sealed and opened under it.
    pub after_mib: Option<u32>,
    /// What the new offer pays; what the key's own did, where nothing is said.
    pub price: Option<Amount>,
}

/// Whose introductions count, and where they are found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Introductions {
    /// Names of peers, accepted by hand, who may introduce others.
    pub accept_by: Vec<Name>,
    /// A file of cards and introductions, read again whenever it has changed.
    pub roster: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    chain: String,
    signet_challenge: Option<String>,
    ledger: LedgerTable,
    #[serde(default)]
    policy: PolicyTable,
    #[serde(default)]
    introductions: IntroductionsTable,
    #[serde(default)]
    rotation: RotationTable,
    #[serde(default)]
    fees: FeesTable,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct PolicyTable {
    answer: Option<bool>,
    offer_depth: Option<u32>,
    key_depth: Option<u32>,
    least_price_sat: Option<u64>,
    liveness: Option<bool>,
    suites: Option<Vec<String>>,
    carriers: Option<Vec<String>>,
    #[serde(default)]
    groups_from: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct IntroductionsTable {
    #[serde(default)]
    accept_by: Vec<String>,
    roster: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RotationTable {
    after_blocks: u32,
    after_hours: u32,
    after_mib: u32,
    price_sat: u64,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct FeesTable {
    ceiling_sat_per_vb: Option<u32>,
    bump_after_blocks: Option<u32>,
    prepared_blocks: Option<u32>,
    give_up_blocks: Option<u32>,
}

const FEE_CEILING: u32 = 100;
const BUMP_AFTER: u32 = 3;
const PREPARED: u32 = 144;
/// As long as an answer counts: whoever waits longer pays for nothing.
const GIVE_UP_AFTER: u32 = 1_008;

impl Policy {
    /// What a fresh home on `chain` does. On a chain whose blocks cost nothing to make, depth proves
    /// little, and people wait for it at a terminal.
    pub fn default_on(chain: &Chain) -> Self {
        let key_depth = Depth::new(if chain.name().ends_with("regtest") { 2 } else { 6 });
        Self {
            answer: true,
            offer_depth: Depth::new(1),
            key_depth,
            least_price: Amount::ZERO,
            liveness: false,
        }
    }
}

impl Config {
    /// What a fresh home has.
    pub fn new(chain: Chain, ledger: LedgerConfig) -> Self {
        let policy = Policy::default_on(&chain);
        let (introductions, rotation) = (Introductions::default(), Rotation::default());
        let (fee_ceiling, bump_after) = (ceiling(FEE_CEILING), BUMP_AFTER);
        let (accepts, prepared_blocks) = (Accepts::default(), PREPARED);
        let give_up_after = Some(GIVE_UP_AFTER);
        Self {
            chain,
            ledger,
            policy,
            accepts,
            introductions,
            rotation,
            fee_ceiling,
            bump_after,
            prepared_blocks,
            give_up_after,
        }
    }

    /// The suites that this party's card has prekeys of: those whose payments OP_EXPONENT locks, and which make a card
    /// half as long again, only where it is enforced.
    pub fn prekey_suites(&self) -> impl Iterator<Item = Suite> + use<> {
        let ffdhe = if self.ledger.enforces_exponent() { &Suite::FFDHE[..] } else { &[] };
        Suite::WITH_PREKEYS.into_iter().chain(ffdhe.iter().copied())
    }

    /// Reads the file; relative paths in it are relative to its folder.
    ///
    /// # Errors
    /// [`NodeError::Config`] names the setting that is wrong.
    pub fn load(path: &Path) -> Result<Self, NodeError> {
        Self::parse(&text(path)?, path)
    }

    /// Reads the text of such a file; relative paths in it are relative to the folder of `path`, which is not read.
    ///
    /// # Errors
    /// [`NodeError::Config`] names the setting that is wrong.
    pub fn parse(text: &str, path: &Path) -> Result<Self, NodeError> {
        let wrong = |what: String| NodeError::Config { path: path.to_owned(), what };
        let file: File =
            toml::from_str(text).map_err(|error| wrong(error.to_string().trim_end().to_owned()))?;
        let chain = chain(&file.chain, file.signet_challenge.as_deref()).map_err(wrong)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let ledger = file.ledger.read(&chain, folder).map_err(wrong)?;
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
            liveness: file.policy.liveness.unwrap_or(default.liveness),
        };
        let accepts = Accepts {
            suites: listed("suites", file.policy.suites, &Suite::USUAL).map_err(wrong)?,
            carriers: listed("carriers", file.policy.carriers, &Carrier::ALL).map_err(wrong)?,
            groups_from: names("policy.groups_from", &file.policy.groups_from).map_err(wrong)?,
        };
        let introductions = file.introductions.read(folder).map_err(wrong)?;
        let fee_ceiling = ceiling(file.fees.ceiling_sat_per_vb.unwrap_or(FEE_CEILING));
        let bump_after = match file.fees.bump_after_blocks {
            Some(0) => return Err(wrong("fees.bump_after_blocks: the least is 1".to_owned())),
            blocks => blocks.unwrap_or(BUMP_AFTER),
        };
        let prepared_blocks = match file.fees.prepared_blocks {
            Some(0) => return Err(wrong("fees.prepared_blocks: the least is 1".to_owned())),
            blocks => blocks.unwrap_or(PREPARED),
        };
        let give_up_after = above_zero(file.fees.give_up_blocks.unwrap_or(GIVE_UP_AFTER));
        let rotation = file.rotation.read();
        Ok(Self {
            chain,
            ledger,
            policy,
            accepts,
            introductions,
            rotation,
            fee_ceiling,
            bump_after,
            prepared_blocks,
            give_up_after,
        })
    }

    /// The file that gives this configuration, every setting explained.
    pub fn to_toml(&self) -> String {
        let Policy { answer, offer_depth, key_depth, least_price, liveness } = self.policy;
        format!(
            "# Keyway's configuration. `keyway config check` says what is in force.\n\n\
             # The chain this party is on. It is part of the identity: changing it makes the home useless.\n\
             chain = \"{chain}\"\n\
             {challenge}\n\
             [ledger]\n\
             {ledger}\n\
             [policy]\n\
             # Whether `keyway sync` answers the offers of peers.\n\
             answer = {answer}\n\
             # Confirmations of an offer before it is answered. At least 1.\n\
             offer_depth = {offer_depth}\n\
             # Confirmations of an answer before its key is used. At least 1; 6 is usual where coins have a price.\n\
             key_depth = {key_depth}\n\
             # Offers that pay less are left unanswered; their coins can be spent once they have expired.\n\
             least_price_sat = {least}\n\
             # Whether an answer puts aside a liveness coin, where the pair has none: while it is unspent the pair's keys live, and\n\
             # either side can spend it alone, `keyway revoke`, which all can see. This home then moves it on with each new key.\n\
             liveness = {liveness}\n\
             # Suites and carriers that are answered, the most wanted first; the card lists them. Without these lines: all,\n\
             # but ffdh-published and ffdh-custom, whose groups come from others.\n\
             {suites}\
             {carriers}\
             # Peers whose published groups are used, for suite ffdh-published; one's own always are.\n\
             groups_from = [{groups_from}]\n\n\
             [introductions]\n\
             # Peers, accepted by hand, whose introductions count: whoever they introduce is dealt with.\n\
             accept_by = [{accept_by}]\n\
             # A file of cards and introductions, one a line, read again whenever it has changed.\n\
             {roster}\n\
             [rotation]\n\
             # When a key whose negotiation this home began is replaced by another, agreed on the same terms: after so many\n\
             # blocks, hours (by the blocks' times) or MiB sealed and opened. 0: not by this. Each offer pays its price again.\n\
             after_blocks = {after_blocks}\n\
             after_hours = {after_hours}\n\
             after_mib = {after_mib}\n\
             # What each such offer pays. 0: as much as the one before.\n\
             price_sat = {rotation_price}\n\n\
             [fees]\n\
             # The most that a transaction of this home pays to miners, whatever the ledger advises.\n\
             ceiling_sat_per_vb = {ceiling}\n\
             # Blocks that a transaction waits before `keyway serve` pays more for it, up to the ceiling. At least 1.\n\
             bump_after_blocks = {bump_after}\n\
             # Blocks in which an offer that was prepared as a PSBT is taken back signed. Then its coin is free again.\n\
             prepared_blocks = {prepared}\n\
             # Blocks that an offer waits to be mined before `keyway serve` gives it up, which costs a little more than its\n\
             # fee. 0: never.\n\
             give_up_blocks = {give_up}\n",
            chain = self.chain.name(),
            challenge = challenge_toml(self.chain.challenge()),
            ledger = self.ledger.to_toml(),
            least = least_price.to_sat(),
            suites = list_toml("suites", &self.accepts.suites, &Suite::USUAL),
            carriers = list_toml("carriers", &self.accepts.carriers, &Carrier::ALL),
            groups_from = quoted(&self.accepts.groups_from),
            after_blocks = self.rotation.after_blocks.unwrap_or(0),
            after_hours = self.rotation.after_hours.unwrap_or(0),
            after_mib = self.rotation.after_mib.unwrap_or(0),
            rotation_price = self.rotation.price.map_or(0, Amount::to_sat),
            accept_by = quoted(&self.introductions.accept_by),
            roster = self.introductions.roster.as_deref().map_or_else(
                || "# roster = \"fleet.txt\"\n".to_owned(),
                |path| format!("roster = {}\n", toml::Value::from(path.display().to_string()))
            ),
            ceiling = self.fee_ceiling.to_sat_per_vb_floor(),
            bump_after = self.bump_after,
            prepared = self.prepared_blocks,
            give_up = self.give_up_after.unwrap_or(0),
        )
    }
}

/// The text of a configuration's file.
pub(crate) fn text(path: &Path) -> Result<String, NodeError> {
    let mut text = String::new();
    let file = std::fs::File::open(path);
    let read = file.and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text));
    read.map_err(|source| NodeError::Io { action: "read", path: path.to_owned(), source })?;
    if text.len() as u64 > MOST_BYTES {
        let what = format!("it has more than {MOST_BYTES} bytes");
        return Err(NodeError::Config { path: path.to_owned(), what });
    }
    Ok(text)
}

impl RotationTable {
    fn read(self) -> Rotation {
        Rotation {
            after_blocks: above_zero(self.after_blocks),
            after_hours: above_zero(self.after_hours),
            after_mib: above_zero(self.after_mib),
            price: above_zero(self.price_sat).map(Amount::from_sat),
        }
    }
}

/// 0 says that something is not wanted.
fn above_zero<N: Default + PartialEq>(number: N) -> Option<N> {
    (number != N::default()).then_some(number)
}

impl IntroductionsTable {
    fn read(self, folder: &Path) -> Result<Introductions, String> {
        let accept_by = names("introductions.accept_by", &self.accept_by)?;
        Ok(Introductions { accept_by, roster: self.roster.map(|path| folder.join(path)) })
    }
}

/// Parties by their names; or what is wrong.
fn names(setting: &str, given: &[String]) -> Result<Vec<Name>, String> {
    given.iter().map(|name| name.parse().map_err(|error| format!("{setting}: {error}"))).collect()
}

/// The entries of a list by their names, or the usual ones; or what is wrong.
fn listed<T>(name: &str, given: Option<Vec<String>>, usual: &[T]) -> Result<Vec<T>, String>
where
    T: Copy + FromStr<Err: Display>,
{
    let Some(given) = given else { return Ok(usual.to_vec()) };
    if given.is_empty() {
        return Err(format!(
            "policy.{name}: an empty list answers nothing; that is what answer = false is for"
        ));
    }
    let entry = |text: &String| text.parse().map_err(|error| format!("policy.{name}: {error}"));
    given.iter().map(entry).collect()
}

/// A list as a line; a comment where it names the usual ones, so that later ones count too.
fn list_toml<T: Display + PartialEq>(name: &str, listed: &[T], usual: &[T]) -> String {
    let mark = if listed == usual { "# " } else { "" };
    format!("{mark}{name} = [{}]\n", quoted(listed))
}

/// Names need no escaping in TOML.
fn quoted(names: &[impl Display]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

/// The chain of that name; or which setting is wrong.
fn chain(name: &str, challenge: Option<&str>) -> Result<Chain, String> {
    let chain = Chain::named(name).map_err(|error| format!("chain: {error}"))?;
    match challenge {
        None => Ok(chain),
        Some(hex) if name == "signet" => {
            let script = ScriptBuf::from_hex(hex).map_err(|error| format!("signet_challenge: {error}"))?;
            Ok(Chain::custom_signet(script))
        }
        Some(_) => Err(format!("signet_challenge: it is for chain = \"signet\", not for {name}")),
    }
}

fn challenge_toml(challenge: Option<&bitcoin::Script>) -> String {
    let about = "# The script that its blocks satisfy, for a signet of one's own.";
    match challenge {
        Some(script) => format!("{about}\nsignet_challenge = \"{}\"\n", script.to_hex_string()),
        None => format!("{about}\n# signet_challenge = \"51\"\n"),
    }
}

fn ceiling(sat_per_vb: u32) -> FeeRate {
    FeeRate::from_sat_per_vb_u32(sat_per_vb)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> Config {
        Config::new(
            Chain::regtest(),
            LedgerConfig::Embedded { path: "/tmp/le\"dger".into(), enforce_exponent: false },
        )
    }

    fn beside_a_node(chain: Chain, access: Access) -> Config {
        Config::new(
            chain,
            LedgerConfig::Node(NodeConfig { url: "http://127.0.0.1:1".to_owned(), access, enforced: true }),
        )
    }

    #[test]
    fn what_init_writes_reads_back_as_it_was() {
        let signet = Chain::custom_signet(ScriptBuf::from_bytes(vec![0x51]));
        let user = Access::User { name: "a\"b".to_owned(), password_file: "/run/secret".into() };
        let configs = [
            fresh(),
            beside_a_node(Chain::named("litecoin").unwrap(), Access::Cookie("/a b/.cookie".into())),
            beside_a_node(signet, user),
        ];
        for config in configs {
            assert_eq!(Config::parse(&config.to_toml(), Path::new("/home/keyway.toml")).unwrap(), config);
        }
    }

    /// The names of a table's settings: the parser lists them for whoever writes another one.
    fn settings(table: &str) -> Vec<String> {
        let text = fresh().to_toml();
        let text = match table {
            "" => format!("nonsense = 1\n{text}"),
            _ => text.replace(&format!("[{table}]"), &format!("[{table}]\nnonsense = 1")),
        };
        let error = Config::parse(&text, Path::new("keyway.toml")).unwrap_err().to_string();
        let listed = error.split_once("expected one of ").or(error.split_once("expected ")).unwrap().1;
        listed
            .lines()
            .next()
            .unwrap()
            .split(" or ")
            .flat_map(|part| part.split(", "))
            .map(|name| name.trim_matches('`').to_owned())
            .collect()
    }

    #[test]
    fn what_init_writes_explains_every_setting_there_is() {
        let node = beside_a_node(Chain::named("litecoin").unwrap(), Access::Cookie("/c".into()));
        let user = Access::User { name: "a".to_owned(), password_file: "/p".into() };
        let texts =
            [fresh(), node, beside_a_node(Chain::named("signet").unwrap(), user)].map(|it| it.to_toml());
        let tables =
            settings("").into_iter().filter(|name| !name.contains("chain") && name != "signet_challenge");
        for table in tables.chain([String::new()]) {
            for name in settings(&table) {
                for text in &texts {
                    let is_there = |line: &str| {
                        let line = line.strip_prefix("# ").unwrap_or(line);
                        line.strip_prefix(&*name).is_some_and(|rest| rest.starts_with(" = "))
                            || line == format!("[{name}]")
                    };
                    let at = text.lines().position(is_there);
                    let at = at.unwrap_or_else(|| panic!("{table}.{name} is missing in:\n{text}"));
                    let before: Vec<&str> = text.lines().take(at).collect();
                    let section =
                        before.rsplit(|line| line.is_empty() || line.starts_with('[')).next().unwrap();
                    let explained = section.iter().any(|line| line.starts_with("# "));
                    assert!(explained || text.contains(&format!("[{name}]")), "{table}.{name}: {text}");
                }
            }
        }
    }

    #[test]
    fn a_node_without_a_way_to_it_is_refused() {
        let config = beside_a_node(Chain::named("signet").unwrap(), Access::Cookie("/c".into()));
        let cases = [
            ("url = \"http://127.0.0.1:1\"", "", "ledger.url"),
            ("http://", "https://", "https"),
            ("cookie = \"/c\"", "", "either cookie, or user and password_file"),
            ("cookie = \"/c\"", "cookie = \"/c\"\nuser = \"a\"", "either cookie, or user"),
            ("kind = \"node\"", "kind = \"embedded\"", "the embedded ledger is for regtest"),
            ("kind = \"node\"", "kind = \"node\"\npath = \"x\"", "ledger.path"),
            ("chain = \"signet\"", "chain = \"bitcoin\"\nsignet_challenge = \"51\"", "signet_challenge"),
            ("chain = \"signet\"", "chain = \"signet\"\nsignet_challenge = \"5\"", "signet_challenge"),
        ];
        for (from, to, expected) in cases {
            let text = config.to_toml().replace(from, to);
            let error = Config::parse(&text, Path::new("keyway.toml")).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
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
