//! The parts of a node's answers that are read. Other fields are passed over.

use bitcoin::consensus::encode::deserialize;
use bitcoin::hex::FromHex;
use bitcoin::{Amount, BlockHash, Denomination, FeeRate, ScriptBuf, Transaction, Txid};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Bytes in hex.
pub(super) struct Hex(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Vec::from_hex(&text).map(Self).map_err(|_| D::Error::custom("not hex"))
    }
}

impl Hex {
    /// The transaction that they are.
    pub(super) fn transaction(&self) -> Option<Transaction> {
        deserialize(&self.0).ok()
    }
}

/// An amount of whole coins, as a JSON number.
#[derive(Clone, Copy)]
pub(super) struct Coins(pub(super) Amount);

impl<'de> Deserialize<'de> for Coins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As it was written: a detour over binary fractions would round.
        let number = <Box<RawValue>>::deserialize(deserializer)?;
        let amount = Amount::from_str_in(number.get(), Denomination::Bitcoin);
        amount.map(Self).map_err(D::Error::custom)
    }
}

impl Coins {
    /// As a feerate: nodes count fees per thousand virtual bytes.
    pub(super) fn per_kvb(self) -> FeeRate {
        FeeRate::from_sat_per_kwu(self.0.to_sat().div_ceil(4))
    }
}

/// `getblockchaininfo`
#[derive(Deserialize)]
pub(super) struct ChainInfo {
    pub(super) chain: String,
    pub(super) blocks: u32,
    pub(super) headers: u32,
    pub(super) bestblockhash: BlockHash,
    pub(super) initialblockdownload: bool,
    pub(super) signet_challenge: Option<Hex>,
}

/// `getnetworkinfo`
#[derive(Deserialize)]
pub(super) struct NetworkInfo {
    pub(super) version: u32,
}

/// `getblockheader`, `waitforblockheight`
#[derive(Deserialize)]
pub(super) struct Place {
    pub(super) height: u32,
}

/// `gettxout`
#[derive(Deserialize)]
pub(super) struct TxOut {
    pub(super) bestblock: BlockHash,
    pub(super) confirmations: u32,
    pub(super) coinbase: bool,
    value: Coins,
    #[serde(rename = "scriptPubKey")]
    script: Script,
}

impl TxOut {
    pub(super) fn output(&self) -> bitcoin::TxOut {
        bitcoin::TxOut {
            value: self.value.0,
            script_pubkey: ScriptBuf::from_bytes(self.script.hex.0.clone()),
        }
    }
}

#[derive(Deserialize)]
struct Script {
    hex: Hex,
}

/// `getrawtransaction` with details
#[derive(Deserialize)]
pub(super) struct Tx {
    pub(super) hex: Hex,
    pub(super) blockhash: Option<BlockHash>,
}

/// `getrawtransaction` with what its inputs spend
#[derive(Deserialize)]
pub(super) struct TxWithPrevouts {
    vin: Vec<Vin>,
}

#[derive(Deserialize)]
struct Vin {
    txid: Option<Txid>,
    vout: Option<u32>,
    prevout: Option<Prevout>,
}

#[derive(Deserialize)]
struct Prevout {
    value: Coins,
    #[serde(rename = "scriptPubKey")]
    script: Script,
}

impl TxWithPrevouts {
    /// What all inputs spend, in their order, if the node still knows it.
    #[cfg(feature = "exponent")]
    pub(super) fn spent(self) -> Option<Vec<bitcoin::TxOut>> {
        let output = |Prevout { value, script }| bitcoin::TxOut {
            value: value.0,
            script_pubkey: ScriptBuf::from_bytes(script.hex.0),
        };
        self.vin.into_iter().map(|vin| vin.prevout.map(output)).collect()
    }

    /// What input 0 spends, if that is the coin of this outpoint and the node still knows it.
    pub(super) fn input_zero(self, spends: &bitcoin::OutPoint) -> Option<bitcoin::TxOut> {
        let first = self.vin.into_iter().next()?;
        let same = first.txid == Some(spends.txid) && first.vout == Some(spends.vout);
        let Prevout { value, script } = first.prevout.filter(|_| same)?;
        Some(bitcoin::TxOut { value: value.0, script_pubkey: ScriptBuf::from_bytes(script.hex.0) })
    }
}

/// `getmempoolinfo`
#[derive(Deserialize)]
pub(super) struct PoolInfo {
    pub(super) mempoolminfee: Coins,
    pub(super) minrelaytxfee: Coins,
    pub(super) maxdatacarriersize: Option<usize>,
}

/// `estimatesmartfee`
#[derive(Deserialize)]
pub(super) struct Estimate {
    pub(super) feerate: Option<Coins>,
}

/// `testmempoolaccept`
#[derive(Deserialize)]
pub(super) struct Accept {
    pub(super) allowed: Option<bool>,
    #[serde(rename = "reject-reason")]
    pub(super) reason: Option<String>,
    #[serde(rename = "reject-details")]
    pub(super) details: Option<String>,
}
