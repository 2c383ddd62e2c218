//! The ledger that a home's configuration names.

use keyway_ledger::{Ledger, Rpc};
use keyway_node::{Config, LedgerConfig, NodeConfig};

use crate::error::Error;

#[cfg(feature = "embedded")]
pub use embedded::embedded;

/// The ledger, whatever it is.
///
/// # Errors
/// If it cannot be reached, is another chain's, or another process has it.
pub fn open(config: &Config) -> Result<Box<dyn Ledger>, Error> {
    match &config.ledger {
        LedgerConfig::Node(node) => Ok(Box::new(node_ledger(config, node)?)),
        #[cfg(feature = "embedded")]
        LedgerConfig::Embedded { .. } => Ok(Box::new(embedded(config)?)),
        #[cfg(not(feature = "embedded"))]
        LedgerConfig::Embedded { .. } => Err(Error::NoEmbedded),
    }
}

fn node_ledger(config: &Config, node: &NodeConfig) -> Result<Rpc, Error> {
    Ok(Rpc::connect(config.chain.clone(), node.endpoint()?)?)
}

#[cfg(feature = "embedded")]
mod embedded {
    use keyway_ledger::{Embedded, Ledger};

    use super::{Config, Error, LedgerConfig};

    /// The embedded ledger, which can also mine.
    ///
    /// # Errors
    /// As [`open`](super::open); or the home's ledger is a node.
    pub fn embedded(config: &Config) -> Result<Embedded, Error> {
        match &config.ledger {
            LedgerConfig::Embedded { path, enforce_exponent } => {
                let ledger = Embedded::open(path)?;
                if *enforce_exponent && !ledger.enforces_exponent()? {
                    ledger.enforce_exponent()?;
                }
                Ok(ledger)
            }
            LedgerConfig::Node(node) => Err(Error::NotEmbedded(node.url.clone())),
        }
    }
}
