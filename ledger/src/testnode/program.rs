//! Which programs there are, and what they are told.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A node that tests run against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `litecoind`, or what `LITECOIND` names.
    Litecoin,
    /// `bitcoind`, or what `BITCOIND` names.
    Bitcoin,
}

/// Debian's program; the one on the path there is a script that writes into the user's home folder.
const DEBIANS_LITECOIND: &str = "/usr/lib/litecoin/litecoind";

impl Kind {
    /// Both.
    pub const ALL: [Kind; 2] = [Kind::Litecoin, Kind::Bitcoin];

    /// The program, or `None` after saying why.
    pub(super) fn program(self) -> Option<PathBuf> {
        let (variable, name) = match self {
            Self::Litecoin => ("LITECOIND", "litecoind"),
            Self::Bitcoin => ("BITCOIND", "bitcoind"),
        };
        if let Some(named) = std::env::var_os(variable).filter(|named| !named.is_empty()) {
            assert!(Path::new(&named).exists(), "{variable} names {}, which is not there", named.display());
            return Some(named.into());
        }
        let found = match self {
            Self::Litecoin => Some(PathBuf::from(DEBIANS_LITECOIND)).filter(|path| path.exists()),
            Self::Bitcoin => on_path(name),
        };
        if found.is_none() {
            eprintln!("skipped: there is no {name} here; install it, or name one in {variable}");
        }
        found
    }

    pub(super) fn chain_name(self) -> &'static str {
        match self {
            Self::Litecoin => "litecoin-regtest",
            Self::Bitcoin => "regtest",
        }
    }

    /// Its cookie, in its folder.
    pub(super) fn cookie(self) -> &'static str {
        "regtest/.cookie"
    }

    pub(super) fn arguments(self, folder: &Path, port: u16) -> Vec<OsString> {
        const ALONE: [&str; 12] = [
            "-regtest",
            "-server",
            "-rpcbind=127.0.0.1",
            "-rpcallowip=127.0.0.1",
            "-listen=0",
            "-listenonion=0",
            "-dnsseed=0",
            "-dns=0",
            "-discover=0",
            "-connect=0",
            "-disablewallet",
            "-printtoconsole=0",
        ];
        let mut arguments: Vec<OsString> = ALONE.iter().map(OsString::from).collect();
        let mut datadir = OsString::from("-datadir=");
        datadir.push(folder);
        arguments.push(datadir);
        arguments.push(format!("-rpcport={port}").into());
        if self == Self::Litecoin {
            // MWEB would need a wallet to mine at all; replacement is off unless asked for.
            arguments.push("-vbparams=mweb:4102444800:9223372036854775807:0:0".into());
            arguments.push("-mempoolreplacement=1".into());
        }
        arguments
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}
