//! `init`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use bip39::Mnemonic;
use keyway_chain::Chain;
use keyway_ledger::{Ledger, Rpc};
use keyway_node::{
    Access, Backup, Config, LedgerConfig, NewParty, NodeConfig, NodeError, Party, RestoreError, STORE_FILE,
};
use serde::Serialize;
use zeroize::Zeroizing;

use super::restore::{self, Restored};
use crate::cli::{Global, Init, WayIn};
use crate::error::Error;
use crate::render::layout::{hanging, pad};
use crate::ui::Ui;
use crate::{files, ledger, progress, unlock};

#[derive(Serialize)]
struct Made {
    home: String,
    name: String,
    chain: &'static str,
    ledger: String,
    key: String,
    address: String,
    height: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    restored: Option<Restored>,
}

/// `keyway init`
pub fn run(global: &Global, args: &Init, ui: &Ui) -> Result<(), Error> {
    let home = unlock::home(global)?;
    if home.join(STORE_FILE).exists() {
        return Err(NodeError::HomeExists(home).into());
    }
    let backup = restore::backup(args)?;
    let config = match &backup {
        Some(backup) => {
            let named = args.node.is_some() || args.ledger.is_some();
            restore::config(backup, &home, named.then(|| config(args)).transpose()?)?
        }
        None => config(args)?,
    };
    let way = Way::of(args)?;
    let unlock = unlock::for_new_home(global, args)?;
    let resolved = resolved(&home, &config);
    let ledger = ledger::open(&resolved)?;
    let name = args.name.clone().or(backup.as_ref().map(|it| it.card().permanent().name.clone()));
    let name = name.ok_or(Error::NoName)?;
    if let Way::From(words) = &way {
        let mnemonic = Mnemonic::parse_normalized(words.trim()).map_err(RestoreError::Mnemonic)?;
        let birthday = restore::birthday(args, backup.as_ref(), ledger.as_ref())?;
        let new = NewParty { name, config, mnemonic, birthday, unlock };
        let party = restored(&home, new, backup.as_ref(), ledger.as_ref(), ui)?;
        let made = Made::new(&party, &home, &resolved, Some(restore::found(&party)?));
        made.tell(ui)?;
        made.restored.iter().for_each(|restored| restored.advise(backup.is_some(), ui));
    } else {
        let (mnemonic, birthday) = (keyway_node::fresh_mnemonic()?, keyway_node::birthday(ledger.as_ref())?);
        way.keep(&mnemonic)?;
        let new = NewParty { name, config, mnemonic, birthday, unlock };
        let party = create(&home, new, &way, ui)?;
        Made::new(&party, &home, &resolved, None).tell(ui)?;
    }
    if args.insecure_no_passphrase {
        ui.say("  this home is not encrypted: whoever has the folder has the identity");
    }
    Ok(())
}

/// A home that was not made leaves no file of words behind: it would keep a second try from writing its own.
fn create(home: &Path, new: NewParty, way: &Way, ui: &Ui) -> Result<Party, Error> {
    let _spinner = progress::stretching(ui, &new.unlock);
    Party::create(home, new).map_err(|error| {
        if let Way::ToFile(path) = way {
            let _ = std::fs::remove_file(path);
        }
        error.into()
    })
}

/// The home is there before the chain is followed: what ends that does no harm.
fn restored(
    home: &Path,
    new: NewParty,
    backup: Option<&Backup>,
    ledger: &dyn Ledger,
    ui: &Ui,
) -> Result<Party, Error> {
    let now = ledger.tip()?.height;
    let mut party = {
        let _spinner = progress::stretching(ui, &new.unlock);
        Party::create_restored(home, new, backup, now)?
    };
    progress::restore(ui, &mut party, ledger)?;
    Ok(party)
}

impl Made {
    fn new(party: &Party, home: &Path, config: &Config, restored: Option<Restored>) -> Self {
        Self {
            home: home.display().to_string(),
            name: party.name().to_string(),
            chain: config.chain.name(),
            ledger: match &config.ledger {
                LedgerConfig::Embedded { path, .. } => path.display().to_string(),
                LedgerConfig::Node(node) => node.url.clone(),
            },
            key: party.key().to_string(),
            address: party.address(),
            height: party.tip().height.to_u32(),
            restored,
        }
    }

    fn tell(&self, ui: &Ui) -> Result<(), Error> {
        ui.data(self, |made| {
            let line = |name: &str, text: &str| hanging(&pad(name, 9), text, ui.width());
            let found = made.restored.iter().map(|restored| line("found", &restored.text()));
            [
                line("name", &made.name),
                line("chain", made.chain),
                line("home", &made.home),
                line("ledger", &made.ledger),
                line("key", &made.key),
                line("address", &made.address),
            ]
            .into_iter()
            .chain(found)
            .collect::<Vec<_>>()
            .join("\n")
        })
    }
}

fn config(args: &Init) -> Result<Config, Error> {
    if let Some(url) = &args.node {
        return beside_node(args, url);
    }
    let chain = args.chain.clone().unwrap_or(Chain::regtest());
    if chain != Chain::regtest() {
        return Err(Error::NoLedgerFor(chain.name()));
    }
    let path = args.ledger.as_deref().map_or_else(|| Ok(PathBuf::from("ledger")), absolute)?;
    Ok(Config::new(chain, LedgerConfig::Embedded { path, enforce_exponent: args.enforce_exponent }))
}

/// The chain is the node's; it was asked for in so many words, or is taken as it is.
fn beside_node(args: &Init, url: &str) -> Result<Config, Error> {
    keyway_ledger::rpc::check_address(url)?;
    let node = node(url, &args.way_in)?;
    let chain = keyway_ledger::rpc::chain_of(node.endpoint()?)?;
    let enforced = Rpc::connect(chain.clone(), node.endpoint()?)?.enforces_exponent()?;
    let node = NodeConfig { enforced, ..node };
    match &args.chain {
        Some(expected) if expected.name() != chain.name() => {
            Err(Error::ChainOfNode { url: node.url, found: chain.name(), expected: expected.name() })
        }
        _ => Ok(Config::new(chain, LedgerConfig::Node(node))),
    }
}

/// The node of that address, and the way into it.
///
/// # Errors
/// If no way is known.
pub fn node(url: &str, way_in: &WayIn) -> Result<NodeConfig, Error> {
    let url = url.trim_end_matches('/').to_owned();
    Ok(NodeConfig { access: access(way_in, &url)?, url, enforced: false })
}

fn access(args: &WayIn, url: &str) -> Result<Access, Error> {
    if let Some((name, file)) = args.user.as_ref().zip(args.password_file.as_deref()) {
        return Ok(Access::User { name: name.clone(), password_file: absolute(file)? });
    }
    if let Some(cookie) = &args.cookie {
        return Ok(Access::Cookie(absolute(cookie)?));
    }
    let usual = std::env::home_dir().and_then(|home| keyway_node::usual_cookie(url, &home));
    usual
        .filter(|cookie| cookie.exists())
        .map(Access::Cookie)
        .ok_or_else(|| Error::NoCredentials(url.to_owned()))
}

/// For the home's configuration reads relative paths from the home.
fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

fn resolved(home: &Path, config: &Config) -> Config {
    let ledger = match &config.ledger {
        LedgerConfig::Embedded { path, enforce_exponent } => {
            LedgerConfig::Embedded { path: home.join(path), enforce_exponent: *enforce_exponent }
        }
        node => node.clone(),
    };
    Config { ledger, ..config.clone() }
}

/// Where the words come from, or go to.
enum Way {
    /// Fresh ones, into a file.
    ToFile(PathBuf),
    /// Fresh ones, shown on the terminal.
    ToTerminal(std::fs::File),
    /// Those of an earlier home.
    From(Zeroizing<String>),
}

impl Way {
    /// Checked before anything is made: words that cannot be kept must not be drawn.
    fn of(args: &Init) -> Result<Self, Error> {
        if let Some(path) = &args.words_from {
            return Ok(Self::From(words(path)?));
        }
        if args.restore || args.backup.is_some() || args.birthday.is_some() {
            return Ok(Self::From(unlock::ask_words()?));
        }
        if let Some(path) = &args.words_to {
            return if path.exists() {
                Err(Error::Exists(path.clone()))
            } else {
                Ok(Self::ToFile(path.clone()))
            };
        }
        let terminal = OpenOptions::new().write(true).open("/dev/tty");
        terminal.map(Self::ToTerminal).map_err(|_| Error::NoTerminal {
            what: "the mnemonic has to be kept",
            how: "show it on",
            why: "it is shown once, on the terminal alone, and not kept in the home",
            instead: "use --words-to FILE",
        })
    }

    fn keep(&self, mnemonic: &Mnemonic) -> Result<(), Error> {
        match self {
            Self::From(_) => Ok(()),
            Self::ToFile(path) => {
                let text = Zeroizing::new(format!("{mnemonic}\n"));
                files::write_secret(path, text.as_bytes())
            }
            Self::ToTerminal(terminal) => show(terminal, mnemonic)
                .map_err(|source| Error::Write { path: PathBuf::from("/dev/tty"), source }),
        }
    }
}

fn words(path: &Path) -> Result<Zeroizing<String>, Error> {
    let bytes = files::read(path, files::SECRET)?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let words: Vec<&str> = text.split_whitespace().collect();
    Ok(Zeroizing::new(words.join(" ")))
}

fn show(mut terminal: &std::fs::File, mnemonic: &Mnemonic) -> std::io::Result<()> {
    writeln!(terminal, "\nWrite these words down, in this order. They are shown once and not kept:\n")?;
    for (index, word) in mnemonic.words().enumerate() {
        let end = if index % 6 == 5 { "\n" } else { "" };
        write!(terminal, "  {:2} {word:<9}{end}", index + 1)?;
    }
    writeln!(terminal)
}
