//! The ledger that a home's configuration names.

use keyway_ledger::Ledger;
use keyway_node::Config;

use crate::error::Error;

#[cfg(feature = "embedded")]
pub use embedded::{embedded, open};

#[cfg(feature = "embedded")]
mod embedded {
    use keyway_ledger::Embedded;
    use keyway_node::LedgerConfig;

    use super::{Config, Error, Ledger};

    /// The ledger, whatever it is.
    ///
    /// # Errors
    /// If it cannot be reached, or another process has it.
    pub fn open(config: &Config) -> Result<Box<dyn Ledger>, Error> {
        Ok(Box::new(embedded(config)?))
    }

    /// The embedded ledger, which can also mine.
    ///
    /// # Errors
    /// As [`open`].
    pub fn embedded(config: &Config) -> Result<Embedded, Error> {
        let LedgerConfig::Embedded { path } = &config.ledger;
        Ok(Embedded::open(path)?)
    }
}

/// The ledger, if this build had one.
///
/// # Errors
/// Always: the only ledger of this version is the embedded one.
#[cfg(not(feature = "embedded"))]
pub fn open(_: &Config) -> Result<Box<dyn Ledger>, Error> {
    Err(Error::NoEmbedded)
}
