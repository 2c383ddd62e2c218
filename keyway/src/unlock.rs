//! What opens a store: a passphrase from the terminal or a file, or a key file. Never an argument or
//! an environment variable.

use std::path::Path;

use keyway_node::{NodeError, Party, StoreError, Unlock};
use zeroize::Zeroizing;

use crate::cli::{Global, Init};
use crate::error::Error;
use crate::files;
use crate::progress;
use crate::ui::Ui;

const KEY_FILE_LEN: usize = 32;
const WHY: &str = "secrets are never taken from arguments or the environment";
const INSTEAD: &str = "use --passphrase-file FILE or --key-file FILE";

/// Opens the party in the home that the options name.
///
/// # Errors
/// No home, or it does not open.
pub fn party(global: &Global, ui: &Ui) -> Result<Party, Error> {
    let home = home(global)?;
    if let Some(unlock) = given(global)? {
        return open(&home, &unlock, ui);
    }
    // Without a secret to try, see whether the home needs one: that is checked before anything is stretched.
    match Party::open(&home, &Unlock::Insecure) {
        Err(NodeError::Store(StoreError::OtherUnlock { wanted, .. })) => {
            if wanted == Unlock::KeyFile(Zeroizing::default()).name() {
                return Err(Error::KeyFileNeeded);
            }
            open(&home, &Unlock::Passphrase(ask("Passphrase: ")?), ui)
        }
        opened => Ok(opened?),
    }
}

/// The home that the options name.
///
/// # Errors
/// [`Error::NoDefaultHome`].
pub fn home(global: &Global) -> Result<std::path::PathBuf, Error> {
    global.home.clone().map_or_else(files::default_home, Ok)
}

fn open(home: &Path, unlock: &Unlock, ui: &Ui) -> Result<Party, Error> {
    let _spinner = progress::stretching(ui, unlock);
    Ok(Party::open(home, unlock)?)
}

fn given(global: &Global) -> Result<Option<Unlock>, Error> {
    match (&global.passphrase_file, &global.key_file) {
        (Some(path), _) => Ok(Some(Unlock::Passphrase(passphrase_file(path)?))),
        (None, Some(path)) => Ok(Some(Unlock::KeyFile(key_file(path)?))),
        (None, None) => Ok(None),
    }
}

/// What a new home's store shall open with.
///
/// # Errors
/// Nobody to ask, or what was given is no good.
pub fn for_new_home(global: &Global, init: &Init) -> Result<Unlock, Error> {
    if init.insecure_no_passphrase {
        return Ok(Unlock::Insecure);
    }
    if let Some(path) = &global.key_file {
        if !path.exists() {
            new_key_file(path)?;
        }
        return Ok(Unlock::KeyFile(key_file(path)?));
    }
    if let Some(path) = &global.passphrase_file {
        return Ok(Unlock::Passphrase(not_empty(passphrase_file(path)?)?));
    }
    let passphrase = not_empty(ask("Passphrase for the new home: ")?)?;
    let again = ask("The same again: ")?;
    if passphrase == again { Ok(Unlock::Passphrase(passphrase)) } else { Err(Error::PassphrasesDiffer) }
}

/// Asks on the terminal, without showing what is typed.
///
/// # Errors
/// [`Error::NoTerminal`].
pub fn ask(prompt: &str) -> Result<Zeroizing<String>, Error> {
    // rpassword asks on /dev/tty, whatever standard input is.
    let no_terminal =
        |_| Error::NoTerminal { what: "a passphrase is needed", how: "ask on", why: WHY, instead: INSTEAD };
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(no_terminal)
}

/// Asks for the words of an earlier home.
///
/// # Errors
/// [`Error::NoTerminal`].
pub fn ask_words() -> Result<Zeroizing<String>, Error> {
    rpassword::prompt_password("The words, in their order (they are not shown): ")
        .map(Zeroizing::new)
        .map_err(|_| Error::NoTerminal {
            what: "the mnemonic is needed",
            how: "ask on",
            why: WHY,
            instead: "use --words-from FILE",
        })
}

fn not_empty(passphrase: Zeroizing<String>) -> Result<Zeroizing<String>, Error> {
    if passphrase.is_empty() { Err(Error::PassphraseEmpty) } else { Ok(passphrase) }
}

fn passphrase_file(path: &Path) -> Result<Zeroizing<String>, Error> {
    files::first_line(path)
}

fn key_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let bytes = files::read(path, files::SECRET)?;
    if bytes.len() < KEY_FILE_LEN {
        return Err(Error::KeyFileShort { path: path.to_owned(), found: bytes.len(), least: KEY_FILE_LEN });
    }
    Ok(bytes)
}

fn new_key_file(path: &Path) -> Result<(), Error> {
    let mut bytes = Zeroizing::new([0; KEY_FILE_LEN]);
    getrandom::fill(&mut bytes[..]).map_err(Error::Randomness)?;
    files::write_secret(path, &bytes[..])
}
