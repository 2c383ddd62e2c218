//! Transactions that spend a liveness coin.

use bitcoin::absolute::LockTime;
use bitcoin::{Amount, FeeRate, OutPoint, ScriptBuf, TxIn, TxOut, Weight};
use keyway_carriers::script::liveness::lineage::Coin;
use keyway_carriers::script::liveness::{Liveness, output_weight, spending_weight};
use keyway_carriers::value::p2wpkh_weight;

use crate::error::NodeError;
use crate::party::lockup::unsigned;
use crate::party::{Party, total};
use crate::store::{Purpose, Sent};
use crate::wallet::{Coin as Own, Draft};

/// What spends a liveness coin.
pub(super) struct Spend<'a> {
    pub(super) coin: &'a Coin,
    /// Its first output, which moves the coin; without one it revokes.
    pub(super) first: Option<TxOut>,
    pub(super) feerate: FeeRate,
    /// What it replaces paid to miners, or nothing.
    pub(super) replaced: Amount,
    pub(super) at: LockTime,
}

impl Party {
    /// Confirmed coins of the wallet, the smallest first.
    pub(super) fn fee_coins(&self) -> Result<Vec<Own>, NodeError> {
        let mut coins = self.wallet()?.coins();
        coins.retain(|coin| coin.confirmed);
        coins.reverse();
        Ok(coins)
    }

    /// Spends a liveness coin, and as few of one's own as the fee takes: the first that suffices, else more from the last on.
    pub(super) fn spending(&self, spend: &Spend<'_>, own: &[Own]) -> Option<Draft> {
        let one = own.iter().map(|coin| vec![*coin]);
        let more = (2..=own.len()).map(|count| own.iter().rev().take(count).copied().collect::<Vec<Own>>());
        let none = spend.first.is_none().then(Vec::new);
        let mut chosen = none.into_iter().chain(one).chain(more);
        chosen.find_map(|own| self.spending_with(spend, &own))
    }

    fn spending_with(&self, spend: &Spend<'_>, own: &[Own]) -> Option<Draft> {
        let Spend { coin, first, feerate, replaced, at } = spend;
        let beside = first.as_ref().map_or(Weight::ZERO, |_| output_weight());
        let weight = p2wpkh_weight(own.len(), 1) + spending_weight() + beside;
        // A signature may be shorter than reckoned; a little more than the relay costs hides that.
        let relay = self.config.chain.min_relay().fee_wu(weight)?.checked_mul(21)? / 20;
        let replaces = if *replaced > Amount::ZERO { replaced.checked_add(relay)? } else { Amount::ZERO };
        let fee = feerate.fee_wu(weight)?.max(relay).max(replaces);
        let held = total(own.iter().map(|coin| coin.amount)).checked_add(coin.amount)?;
        let rest = held.checked_sub(first.as_ref().map_or(Amount::ZERO, |it| it.value))?.checked_sub(fee)?;
        if rest < self.config.chain.dust_p2wpkh() {
            return None;
        }
        let change = TxOut { value: rest, script_pubkey: self.key().script() };
        let inputs: Vec<OutPoint> =
            std::iter::once(coin.outpoint).chain(own.iter().map(|coin| coin.outpoint)).collect();
        let script = coin.names.script();
        let spent = TxOut { value: coin.amount, script_pubkey: script.to_p2wsh() };
        let own = own.iter().map(|coin| TxOut { value: coin.amount, script_pubkey: self.key().script() });
        let coins = std::iter::once(spent).chain(own).collect();
        let tx = unsigned(&inputs, first.iter().cloned().chain([change]).collect(), *at);
        Some(Draft { tx, coins, envelope: Some(script) })
    }

    /// The liveness coin that an input spends, and its script.
    pub(in crate::party) fn liveness_coin(&self, input: &TxIn) -> Option<(TxOut, ScriptBuf)> {
        let script = ScriptBuf::from_bytes(input.witness.last()?.to_vec());
        Liveness::of_script(&script)?;
        let outpoint = input.previous_output;
        let output = self.transaction(&outpoint.txid)?.output.get(usize::try_from(outpoint.vout).ok()?)?;
        (output.script_pubkey == script.to_p2wsh()).then(|| (output.clone(), script))
    }

    /// A revocation that pays more than one that waits, with coins of the wallet.
    pub(in crate::party) fn dearer_revocation(
        &self,
        sent: &Sent,
        feerate: FeeRate,
    ) -> Result<Option<Draft>, NodeError> {
        let (Purpose::Revoke(_), Some(input)) = (sent.purpose, sent.tx.input.first()) else {
            return Ok(None);
        };
        let Some((output, script)) = self.liveness_coin(input) else { return Ok(None) };
        let Some(names) = Liveness::of_script(&script) else { return Ok(None) };
        let coin = Coin::new(input.previous_output, output.value, names);
        let spend = Spend { coin: &coin, first: None, feerate, replaced: sent.fee, at: LockTime::ZERO };
        Ok(self.spending(&spend, &self.fee_coins()?))
    }
}
