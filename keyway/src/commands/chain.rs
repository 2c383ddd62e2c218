//! What only the embedded ledger can do: `fund`, `mine`, `demo`.

use crate::cli::{Demo, Fund, Global, Mine};
use crate::error::Error;
use crate::ui::Ui;

#[cfg(feature = "embedded")]
pub use with_embedded::{demo, fund, mine};

#[cfg(feature = "embedded")]
mod with_embedded {
    use keyway_ledger::Ledger;
    use keyway_node::{CONFIG_FILE, Config, NodeError, STORE_FILE};
    use serde::Serialize;

    use super::{Demo, Error, Fund, Global, Mine, Ui};
    use crate::amount::{counted, grouped, sat};
    use crate::render::negotiation::ends;
    use crate::{faucet, ledger, unlock};

    /// `keyway fund`
    pub fn fund(global: &Global, args: &Fund, ui: &Ui) -> Result<(), Error> {
        #[derive(Serialize)]
        struct Funded {
            txid: String,
            amount_sat: u64,
            coins: u64,
            height: u32,
            mined: u32,
        }
        let mut party = unlock::party(global, ui)?;
        let ledger = ledger::embedded(party.config())?;
        let funded = faucet::fund(ui, &ledger, &party.key().script(), args.amount.0)?;
        crate::progress::sync(ui, &mut party, &ledger)?;
        let json = Funded {
            txid: funded.txid.to_string(),
            amount_sat: args.amount.0.to_sat(),
            coins: faucet::COINS,
            height: funded.block.height.to_u32(),
            mined: funded.mined,
        };
        ui.data(&json, |json| {
            let (height, amount) = (grouped(json.height), sat(args.amount.0));
            format!(
                "block {height}  {}  {amount} for {} in {} coins",
                ends(&json.txid),
                party.name(),
                json.coins
            )
        })
    }

    /// `keyway mine`
    pub fn mine(global: &Global, args: &Mine, ui: &Ui) -> Result<(), Error> {
        #[derive(Serialize)]
        struct Mined {
            mined: u32,
            height: u32,
            hash: String,
            transactions: usize,
        }
        // Mining needs no secret: only where the ledger is.
        let home = unlock::home(global)?;
        if !home.join(STORE_FILE).exists() {
            return Err(NodeError::NoHome(home).into());
        }
        let ledger = ledger::embedded(&Config::load(&home.join(CONFIG_FILE))?)?;
        let blocks = faucet::mine(ui, &ledger, args.blocks)?;
        let tip = blocks.last().copied().map_or_else(|| ledger.tip(), Ok)?;
        let transactions = faucet::transactions(&ledger, &blocks)?;
        let (mined, height) = (args.blocks, tip.height.to_u32());
        let json = Mined { mined, height, hash: tip.hash.to_string(), transactions };
        ui.data(&json, |json| {
            let first = json.height + 1 - json.mined.min(json.height);
            let blocks = if json.mined == 1 {
                format!("block {}", grouped(json.height))
            } else {
                format!("blocks {} to {}", grouped(first), grouped(json.height))
            };
            format!("{blocks}  {} taken in", counted(json.transactions, "transaction"))
        })
    }

    /// `keyway demo`
    pub fn demo(global: &Global, args: &Demo, ui: &Ui) -> Result<(), Error> {
        crate::demo::run(global, args, ui)
    }
}

/// `keyway fund` without a ledger to fund from.
#[cfg(not(feature = "embedded"))]
pub fn fund(_: &Global, _: &Fund, _: &Ui) -> Result<(), Error> {
    Err(Error::NoEmbedded)
}

/// `keyway mine` without a ledger to mine on.
#[cfg(not(feature = "embedded"))]
pub fn mine(_: &Global, _: &Mine, _: &Ui) -> Result<(), Error> {
    Err(Error::NoEmbedded)
}

/// `keyway demo` without a ledger to run on.
#[cfg(not(feature = "embedded"))]
pub fn demo(_: &Global, _: &Demo, _: &Ui) -> Result<(), Error> {
    Err(Error::NoEmbedded)
}
