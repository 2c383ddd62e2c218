//! Reading what the command line names, and writing what must not be seen or overwritten.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::error::Error;

/// The most bytes of a passphrase, a mnemonic or a key file.
pub const SECRET: usize = 64 << 10;
/// The most bytes of a transaction in hexadecimal: those that a block holds.
pub const TRANSACTION: usize = 8 << 20;
/// The most bytes of a card's text: those of the largest card in base64url, and white space.
pub const CARD: usize = 128 << 10;
/// The most bytes of a group's text: two numbers of 4,096 bits, and what is said of them.
pub const GROUP: usize = 16 << 10;
/// The most bytes of a roster.
pub const ROSTER: usize = keyway_node::MOST_ROSTER_BYTES as usize;
/// The most bytes of a backup.
pub const BACKUP: usize = keyway_node::MOST_BACKUP_BYTES as usize;
/// The most bytes of a PSBT in base64, and white space.
pub const PSBT: usize = keyway_node::MOST_PSBT_BYTES / 3 * 4 + (64 << 10);
/// The most bytes of a message to be sealed: they are held in memory.
pub const MESSAGE: usize = 64 << 20;
/// The most bytes of a sealed message: those of the largest in base64url, and what it says of itself.
pub const SEALED: usize = 96 << 20;

/// A file's bytes; those of standard input for `-`. Never more than `most` are held.
///
/// # Errors
/// [`Error::Read`], [`Error::TooLong`].
pub fn read(path: &Path, most: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut bytes = Zeroizing::new(Vec::new());
    let limit = most as u64 + 1;
    let outcome = if path.as_os_str() == "-" {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        // Reserved at once: growing would leave copies of a secret behind.
        let size = std::fs::metadata(path).map_or(0, |meta| meta.len());
        bytes.reserve(usize::try_from(size).unwrap_or(0).min(most) + 1);
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    outcome.map_err(|source| Error::Read { path: path.to_owned(), source })?;
    if bytes.len() > most { Err(Error::TooLong { path: path.to_owned(), most }) } else { Ok(bytes) }
}

/// The first line of a file, without its end.
///
/// # Errors
/// [`Error::Read`], also if it is not text; [`Error::TooLong`].
pub fn first_line(path: &Path) -> Result<Zeroizing<String>, Error> {
    let bytes = read(path, SECRET)?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|error| Error::Read {
        path: path.to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidData, error),
    })?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Makes a new file.
///
/// # Errors
/// [`Error::Exists`], [`Error::Write`].
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_with(path, bytes, 0o666)
}

/// Makes a new file that only its owner can read.
///
/// # Errors
/// [`Error::Exists`], [`Error::Write`].
pub fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_with(path, bytes, 0o600)
}

fn write_with(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let write = |source| Error::Write { path: path.to_owned(), source };
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = file.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => Error::Exists(path.to_owned()),
        _ => write(source),
    })?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|source| {
        // Half a file would keep the next try from making a whole one.
        let _ = std::fs::remove_file(path);
        write(source)
    })
}

/// Puts a file, which only its owner can read, in the place of an earlier one: whatever happens, one of them is there.
///
/// # Errors
/// [`Error::Write`].
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let write = |source| Error::Write { path: path.to_owned(), source };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".unfinished");
    let unfinished = path.with_file_name(name);
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished);
    let mut file = file.map_err(write)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.and_then(|()| std::fs::rename(&unfinished, path)).map_err(|source| {
        let _ = std::fs::remove_file(&unfinished);
        write(source)
    })
}

/// Refuses a place for a new file that is taken; - is standard output.
///
/// # Errors
/// [`Error::Exists`].
pub fn check_absent(path: &Path) -> Result<(), Error> {
    let taken = path.as_os_str() != "-" && path.symlink_metadata().is_ok();
    if taken { Err(Error::Exists(path.to_owned())) } else { Ok(()) }
}

/// The home where none is named.
///
/// # Errors
/// [`Error::NoDefaultHome`].
pub fn default_home() -> Result<PathBuf, Error> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = folder("XDG_DATA_HOME").or_else(|| folder("HOME").map(|home| home.join(".local/share")));
    Ok(data.ok_or(Error::NoDefaultHome)?.join("keyway"))
}
