//! The rows of the best chain: the blocks that were followed, and what was found in them.

use std::sync::Arc;

use bitcoin::consensus::encode;
use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash, ScriptBuf, Transaction, TxOut};
use keyway_chain::{BlockRef, Height};
use keyway_protocol::state::Position;
use rusqlite::params;

use super::{Store, execute};
use crate::error::NodeError;
use crate::history::{Block, Mined};
use crate::planted::{self, Bug};

impl Store {
    pub(crate) fn blocks(&self) -> Result<Vec<Block>, NodeError> {
        self.rows("blocks", "SELECT height, hash, time FROM blocks ORDER BY height", |row| {
            let (height, hash, time): (u32, [u8; 32], u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let at = BlockRef::new(Height::new(height), BlockHash::from_byte_array(hash));
            Ok(Some(Block { at, time }))
        })
    }

    pub(crate) fn add_block(&self, block: &Block) -> Result<(), NodeError> {
        let row = params![block.at.height.to_u32(), block.at.hash.as_byte_array(), block.time];
        self.run(|db| {
            execute(db, "INSERT OR REPLACE INTO blocks VALUES (?1, ?2, ?3, row_digest(?1, ?2, ?3))", row)
                .map(drop)
        })
    }

    /// Takes back a block and what it brought.
    pub(crate) fn remove_block(&self, height: Height) -> Result<(), NodeError> {
        let rows = if planted::is(Bug::RowsStay) {
            "DELETE FROM mined WHERE height = -?1"
        } else {
            "DELETE FROM mined WHERE height = ?1"
        };
        self.run(|db| {
            execute(db, rows, [height.to_u32()])?;
            execute(db, "DELETE FROM blocks WHERE height = ?1", [height.to_u32()]).map(drop)
        })
    }

    pub(crate) fn mined(&self) -> Result<Vec<Mined>, NodeError> {
        let sql =
            "SELECT height, position, raw, input0_sat, input0_script FROM mined ORDER BY height, position";
        self.rows("mined", sql, |row| {
            let at = Position { height: Height::new(row.get(0)?), index: row.get(1)? };
            let raw: Vec<u8> = row.get(2)?;
            let amount: Option<u64> = row.get(3)?;
            let script: Option<Vec<u8>> = row.get(4)?;
            let input0 = amount.zip(script).map(|(sat, script)| TxOut {
                value: Amount::from_sat(sat),
                script_pubkey: ScriptBuf::from_bytes(script),
            });
            Ok(encode::deserialize(&raw).ok().map(|tx: Transaction| Mined::new(Arc::new(tx), at, input0)))
        })
    }

    pub(crate) fn add_mined(&self, mined: &Mined) -> Result<(), NodeError> {
        let input0 = mined.input0.as_ref();
        let row = params![
            mined.txid.as_byte_array(),
            mined.at.height.to_u32(),
            mined.at.index,
            encode::serialize(mined.tx.as_ref()),
            input0.map(|coin| coin.value.to_sat()),
            input0.map(|coin| coin.script_pubkey.as_bytes()),
        ];
        // The same transaction twice: see `History::add`.
        let sql = "INSERT INTO mined VALUES (?1, ?2, ?3, ?4, ?5, ?6, row_digest(?1, ?2, ?3, ?4, ?5, ?6))
            ON CONFLICT (txid) DO UPDATE SET height = excluded.height, position = excluded.position,
                raw = excluded.raw, input0_sat = excluded.input0_sat, input0_script = excluded.input0_script,
                digest = excluded.digest
            WHERE (excluded.height, excluded.position) < (mined.height, mined.position)";
        self.run(|db| execute(db, sql, row).map(drop))
    }
}
