//! Where the chain is seen.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use keyway_chain::{Chain, NodeDefaults};
use keyway_ledger::LedgerError;
use keyway_ledger::rpc::{self, Credentials, Endpoint};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::error::NodeError;

/// Far more than a password has.
const MOST_BYTES: u64 = 4 << 10;

/// Where the chain is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerConfig {
    /// A regtest chain in a folder, validated in this process.
    Embedded {
        /// The folder; several homes may share it, one process at a time.
        path: PathBuf,
        /// Whether it is held to the rule of OP_EXPONENT. A ledger that was once is for good.
        enforce_exponent: bool,
    },
    /// A full node of the chain.
    Node(NodeConfig),
}

/// A full node and the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// `http://host:port` of its JSON-RPC.
    pub url: String,
    /// What it wants before it answers.
    pub access: Access,
    /// Whether it is an enforcer of OP_EXPONENT that stands before a node (`keyway enforce`).
    pub enforced: bool,
}

/// What a node wants before it answers. Secrets stay in their files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// The cookie file that it writes at each start.
    Cookie(PathBuf),
    /// A user of its configuration.
    User {
        /// The name.
        name: String,
        /// The file whose first line is the password.
        password_file: PathBuf,
    },
}

impl NodeConfig {
    /// A node of that chain on this machine, found where it usually is by a user whose folder is `home`.
    pub fn usual(chain: &Chain, home: &Path) -> Self {
        let node: &NodeDefaults = chain.node();
        let url = format!("http://127.0.0.1:{}", node.port);
        Self { url, access: Access::Cookie(home.join(node.cookie)), enforced: false }
    }

    /// The way to the node.
    ///
    /// # Errors
    /// If the password cannot be read.
    pub fn endpoint(&self) -> Result<Endpoint, NodeError> {
        let credentials = match &self.access {
            Access::Cookie(path) => Credentials::cookie(path),
            Access::User { name, password_file } => Credentials::user(name, password(password_file)?),
        };
        Ok(Endpoint { url: self.url.clone(), credentials, patience: rpc::PATIENCE })
    }
}

fn password(path: &Path) -> Result<Zeroizing<String>, NodeError> {
    let mut line = Zeroizing::new(String::new());
    let file = std::fs::File::open(path);
    let read = file.and_then(|file| BufReader::new(file.take(MOST_BYTES)).read_line(&mut line));
    read.map_err(|source| NodeError::Io { action: "read", path: path.to_owned(), source })?;
    Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// The cookie of a node of that port, where it is if nobody moved it.
pub fn usual_cookie(url: &str, home: &Path) -> Option<PathBuf> {
    let port: u16 = url.trim_end_matches('/').rsplit_once(':')?.1.parse().ok()?;
    let node: &NodeDefaults = Chain::all().map(|chain| chain.node()).find(|node| node.port == port)?;
    Some(home.join(node.cookie))
}

/// The table as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LedgerTable {
    kind: String,
    path: Option<PathBuf>,
    enforce_exponent: Option<bool>,
    url: Option<String>,
    cookie: Option<PathBuf>,
    user: Option<String>,
    password_file: Option<PathBuf>,
}

impl LedgerTable {
    /// What it says, its paths relative to `folder`; or which setting is wrong.
    pub(super) fn read(self, chain: &Chain, folder: &Path) -> Result<LedgerConfig, String> {
        match self.kind.as_str() {
            "embedded" => self.embedded(chain, folder),
            "node" => self.node(folder),
            other => Err(format!("ledger.kind: no ledger is called `{other}`; known are: embedded, node")),
        }
    }

    fn embedded(self, chain: &Chain, folder: &Path) -> Result<LedgerConfig, String> {
        if *chain != Chain::regtest() {
            return Err(format!("ledger.kind: the embedded ledger is for regtest, not {}", chain.name()));
        }
        let Self { kind: _, path, enforce_exponent, url, cookie, user, password_file } = self;
        if url.is_some() || cookie.is_some() || user.is_some() || password_file.is_some() {
            return Err("ledger: url, cookie, user and password_file are for kind = \"node\"".to_owned());
        }
        let path = path.ok_or("ledger.path: the embedded ledger needs its folder")?;
        let enforce_exponent = enforce_exponent.unwrap_or(false);
        Ok(LedgerConfig::Embedded { path: folder.join(path), enforce_exponent })
    }

    fn node(self, folder: &Path) -> Result<LedgerConfig, String> {
        let Self { kind: _, path, enforce_exponent, url, cookie, user, password_file } = self;
        if path.is_some() {
            return Err("ledger.path: only the embedded ledger has a folder".to_owned());
        }
        let url = url.ok_or("ledger.url: a node needs its address, as \"http://127.0.0.1:8332\"")?;
        rpc::check_address(&url).map_err(|error| format!("ledger.url: {}", first_line(&error)))?;
        let access = match (cookie, user, password_file) {
            (Some(cookie), None, None) => Access::Cookie(folder.join(cookie)),
            (None, Some(name), Some(file)) => Access::User { name, password_file: folder.join(file) },
            _ => return Err("ledger: a node needs either cookie, or user and password_file".to_owned()),
        };
        let enforced = enforce_exponent.unwrap_or(false);
        Ok(LedgerConfig::Node(NodeConfig { url, access, enforced }))
    }
}

fn first_line(error: &LedgerError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

impl LedgerConfig {
    /// Whether OP_EXPONENT locks outputs there, as far as the configuration says.
    pub fn enforces_exponent(&self) -> bool {
        match self {
            Self::Embedded { enforce_exponent, .. } => *enforce_exponent,
            Self::Node(node) => node.enforced,
        }
    }

    /// Its lines in the file, explained.
    pub(super) fn to_toml(&self) -> String {
        match self {
            Self::Embedded { path, enforce_exponent } => format!(
                "# embedded: a regtest chain in a folder, validated by Bitcoin Core's own code in this process.\n\
                 # node: Bitcoin Core 28 or newer, or Litecoin Core 0.21, with url and cookie (or user).\n\
                 kind = \"embedded\"\n\
                 # The folder, relative to this file. Homes that share it share the chain.\n\
                 path = {}\n\
                 # Whether OP_EXPONENT locks outputs here, as docs/OP_EXPONENT.md says: then offers of the ffdhe suites go over\n\
                 # the dynamic carrier. A chain that was once held to it stays so.\n\
                 enforce_exponent = {enforce_exponent}\n\
                 # What a node would need in the place of path: its address, and cookie or user and password_file.\n\
                 # url = \"http://127.0.0.1:18443\"\n\
                 # cookie = \".cookie\"\n\
                 # user = \"keyway\"\n\
                 # password_file = \"node.password\"\n",
                quoted(path)
            ),
            Self::Node(node) => node.to_toml(),
        }
    }
}

impl NodeConfig {
    fn to_toml(&self) -> String {
        let mut text = format!(
            "# node: Bitcoin Core 28 or newer, or Litecoin Core 0.21; it needs neither wallet nor index.\n\
             # embedded: a regtest chain in a folder, in this process; path in the place of all that follows.\n\
             kind = \"node\"\n\
             # path = \"chain\"\n\
             # Its JSON-RPC. Plain HTTP: keep it on this machine, or behind a tunnel.\n\
             url = {}\n",
            toml::Value::String(self.url.clone())
        );
        // Writing to a string does not fail.
        let _ = match &self.access {
            Access::Cookie(path) => write!(
                text,
                "# The file that the node writes at each start, relative to this one; or instead of it a user of the node's\n\
                 # configuration (rpcauth), and a file whose first line is the password.\n\
                 cookie = {}\n\
                 # user = \"keyway\"\n\
                 # password_file = \"node.password\"\n",
                quoted(path)
            ),
            Access::User { name, password_file } => write!(
                text,
                "# A user of the node's configuration (rpcauth), and a file whose first line is the password,\n\
                 # relative to this one; or instead of both cookie, the file the node writes at each start.\n\
                 # cookie = \".cookie\"\n\
                 user = {}\n\
                 password_file = {}\n",
                toml::Value::String(name.clone()),
                quoted(password_file)
            ),
        };
        let _ = write!(
            text,
            "# Whether it is an enforcer of OP_EXPONENT (`keyway enforce`): this home's card has prekeys for locks by it then.\n\
             enforce_exponent = {}\n",
            self.enforced
        );
        text
    }
}

fn quoted(path: &Path) -> toml::Value {
    toml::Value::String(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_cookie_is_found_by_the_port() {
        let home = Path::new("/home/alice");
        let cookie = |url| usual_cookie(url, home);
        assert_eq!(cookie("http://127.0.0.1:8332"), Some(home.join(".bitcoin/.cookie")));
        assert_eq!(cookie("http://127.0.0.1:19443/"), Some(home.join(".litecoin/regtest/.cookie")));
        assert_eq!(cookie("http://127.0.0.1:1"), None);
        assert_eq!(cookie("nonsense"), None);
    }
}
