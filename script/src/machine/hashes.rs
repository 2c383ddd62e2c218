//! Hashing the top item.

use bitcoin::hashes::{Hash, hash160, ripemd160, sha1, sha256, sha256d};

use super::Machine;
use crate::ScriptError;
use crate::opcode::*;

impl Machine<'_> {
    pub(super) fn hash(&mut self, opcode: Opcode) -> Result<(), ScriptError> {
        let item = self.stack.pop()?;
        let hash = match opcode {
            OP_RIPEMD160 => ripemd160::Hash::hash(&item).to_byte_array().to_vec(),
            OP_SHA1 => sha1::Hash::hash(&item).to_byte_array().to_vec(),
            OP_SHA256 => sha256::Hash::hash(&item).to_byte_array().to_vec(),
            OP_HASH160 => hash160::Hash::hash(&item).to_byte_array().to_vec(),
            OP_HASH256 => sha256d::Hash::hash(&item).to_byte_array().to_vec(),
            _ => return Err(ScriptError::BadOpcode),
        };
        self.stack.push(hash);
        Ok(())
    }
}
