//! What a command works with: a home that it opens itself, or one that `keyway serve` has open.

use std::path::Path;

use keyway_ledger::Ledger;
use keyway_node::Party;
use zeroize::Zeroizing;

use crate::cli::Global;
use crate::error::Error;
use crate::ui::Ui;
use crate::{files, ledger, unlock};

/// A command's surroundings.
pub struct Context<'a> {
    ui: &'a Ui,
    seat: Seat<'a>,
}

enum Seat<'a> {
    Alone { global: &'a Global, party: Option<Box<Party>>, ledger: Option<Box<dyn Ledger>> },
    Served { party: &'a mut Party, ledger: &'a dyn Ledger, files: Files<'a> },
}

/// What another process reads and writes for a command that it sent.
pub struct Files<'a> {
    /// The bytes of the file that the command names.
    pub input: Option<&'a [u8]>,
    /// The bytes for the new file that it names.
    pub output: &'a mut Option<Vec<u8>>,
}

impl<'a> Context<'a> {
    /// For a command of this process.
    pub fn alone(global: &'a Global, ui: &'a Ui) -> Self {
        Self { ui, seat: Seat::Alone { global, party: None, ledger: None } }
    }

    /// For a command that another process sent, with its files.
    pub fn served(party: &'a mut Party, ledger: &'a dyn Ledger, files: Files<'a>, ui: &'a Ui) -> Self {
        Self { ui, seat: Seat::Served { party, ledger, files } }
    }

    /// Whether the home is another process's.
    pub fn is_served(&self) -> bool {
        matches!(self.seat, Seat::Served { .. })
    }

    /// The party.
    ///
    /// # Errors
    /// No home, or it does not open.
    pub fn party(&mut self) -> Result<&mut Party, Error> {
        match &mut self.seat {
            Seat::Served { party, .. } => Ok(party),
            Seat::Alone { global, party, .. } => opened(party, global, self.ui),
        }
    }

    /// The party and its ledger.
    ///
    /// # Errors
    /// As [`Context::party`]; or the ledger cannot be reached.
    pub fn party_and_ledger(&mut self) -> Result<(&mut Party, &dyn Ledger), Error> {
        match &mut self.seat {
            Seat::Served { party, ledger, .. } => Ok((party, *ledger)),
            Seat::Alone { global, party, ledger } => {
                let party = opened(party, global, self.ui)?;
                let ledger = match ledger {
                    Some(ledger) => &*ledger,
                    none => &*none.insert(ledger::open(party.config())?),
                };
                Ok((party, &**ledger))
            }
        }
    }

    /// A file that the command names; where it was sent by another process, what that one read.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::TooLong`].
    pub fn read(&self, path: &Path, most: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
        match &self.seat {
            Seat::Alone { .. } => files::read(path, most),
            Seat::Served { files, .. } => match files.input {
                Some(input) if input.len() <= most => Ok(Zeroizing::new(input.to_vec())),
                Some(_) => Err(Error::TooLong { path: path.to_owned(), most }),
                None => Err(Error::NoInput),
            },
        }
    }

    /// Refuses a place for a new file that is taken; where the command was sent by another process, that one did.
    ///
    /// # Errors
    /// [`Error::Exists`].
    pub fn check_absent(&self, path: &Path) -> Result<(), Error> {
        match &self.seat {
            Seat::Alone { .. } => files::check_absent(path),
            Seat::Served { .. } => Ok(()),
        }
    }

    /// Makes the new file that the command names; where it was sent by another process, that one does.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::Write`].
    pub fn write(&mut self, path: &Path, bytes: Vec<u8>) -> Result<(), Error> {
        match &mut self.seat {
            Seat::Alone { .. } => files::write_new(path, &bytes),
            Seat::Served { files, .. } => {
                *files.output = Some(bytes);
                Ok(())
            }
        }
    }
}

fn opened<'p>(party: &'p mut Option<Box<Party>>, global: &Global, ui: &Ui) -> Result<&'p mut Party, Error> {
    match party {
        Some(party) => Ok(party),
        None => Ok(party.insert(Box::new(unlock::party(global, ui)?))),
    }
}
