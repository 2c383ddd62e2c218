//! One step of the ledger, as it stands in the log.

use bitcoin::consensus::encode::{deserialize, serialize};
use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, Transaction, Txid};

/// What a step is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A block was taken, into the best chain or beside it.
    Block(Vec<u8>),
    /// Only the mempool changed.
    Pool,
    /// The chain was cut back to the block [`Record::tip`]; all others are forgotten.
    Rewind,
    /// From here on blocks and transactions are held to the rule of OP_EXPONENT.
    Enforce,
}

/// One step: what happened, which tip it left, and how the mempool changed with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) step: Step,
    pub(super) tip: BlockHash,
    pub(super) removed: Vec<Txid>,
    /// In an order in which parents come before children.
    pub(super) added: Vec<Transaction>,
}

impl Record {
    /// Tip, then the mempool's changes, then the block's bytes up to the record's end.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![match self.step {
            Step::Block(_) => b'B',
            Step::Pool => b'P',
            Step::Rewind => b'R',
            Step::Enforce => b'E',
        }];
        out.extend_from_slice(self.tip.as_byte_array());
        put_len(&mut out, self.removed.len());
        self.removed.iter().for_each(|txid| out.extend_from_slice(txid.as_byte_array()));
        put_len(&mut out, self.added.len());
        for tx in &self.added {
            let bytes = serialize(tx);
            put_len(&mut out, bytes.len());
            out.extend_from_slice(&bytes);
        }
        if let Step::Block(block) = &self.step {
            out.extend_from_slice(block);
        }
        out
    }

    /// Where [`encode`](Self::encode) puts the block.
    pub(super) fn block_offset(&self) -> Option<usize> {
        let added: usize = self.added.iter().map(|tx| 4 + tx.total_size()).sum();
        let offset = 1 + 32 + 4 + 32 * self.removed.len() + 4 + added;
        matches!(self.step, Step::Block(_)).then_some(offset)
    }

    pub(super) fn decode(payload: &[u8]) -> Result<Self, &'static str> {
        let mut reader = Reader(payload);
        let kind = reader.array::<1>()?;
        let tip = BlockHash::from_byte_array(reader.array()?);
        let removed = (0..reader.len()?).map(|_| reader.array().map(Txid::from_byte_array));
        let removed = removed.collect::<Result<_, _>>()?;
        let added = (0..reader.len()?).map(|_| {
            let len = reader.len()?;
            deserialize(reader.bytes(len)?).map_err(|_| "a record's transaction cannot be read")
        });
        let added = added.collect::<Result<_, _>>()?;
        let step = match (kind[0], reader.0) {
            (b'B', block) => Step::Block(block.to_vec()),
            (b'P', []) => Step::Pool,
            (b'R', []) => Step::Rewind,
            (b'E', []) => Step::Enforce,
            _ => return Err("a record is of an unknown kind"),
        };
        Ok(Self { step, tip, removed, added })
    }
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, len: usize) -> Result<&'a [u8], &'static str> {
        let (bytes, rest) = self.0.split_at_checked(len).ok_or("a record ends too early")?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (array, rest) = self.0.split_first_chunk().ok_or("a record ends too early")?;
        self.0 = rest;
        Ok(*array)
    }

    fn len(&mut self) -> Result<usize, &'static str> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::Network;
    use bitcoin::constants::genesis_block;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let block = genesis_block(Network::Regtest);
        let tx = block.txdata[0].clone();
        for step in [Step::Block(serialize(&block)), Step::Pool, Step::Rewind, Step::Enforce] {
            let removed = vec![tx.compute_txid(); 2];
            let record = Record { step, tip: block.block_hash(), removed, added: vec![tx.clone(); 3] };
            let bytes = record.encode();
            assert_eq!(Record::decode(&bytes).unwrap(), record);
            if let Some(offset) = record.block_offset() {
                assert_eq!(bytes[offset..], serialize(&block));
            }
        }
    }

    #[test]
    fn a_record_that_ends_early_is_an_error() {
        let block = genesis_block(Network::Regtest);
        let (tip, added) = (block.block_hash(), block.txdata);
        let bytes = Record { step: Step::Pool, tip, removed: vec![], added }.encode();
        for len in 0..bytes.len() {
            assert!(Record::decode(&bytes[..len]).is_err(), "{len}");
        }
    }
}
