//! One signature under one key.

use super::{Generation, Machine, Tapscript};
use crate::limits::VALIDATION_WEIGHT_PER_SIGOP_PASSED;
use crate::sighash::{self, Leaf};
use crate::signature::{check_key_encoding, check_signature_encoding, verify_ecdsa, verify_schnorr};
use crate::witness::split_schnorr;
use crate::{Flags, ScriptError};

impl Machine<'_> {
    pub(super) fn check_sig(&mut self) -> Result<(), ScriptError> {
        self.stack.require(2)?;
        let (signature, key) = (self.stack.peek(1)?.to_vec(), self.stack.peek(0)?.to_vec());
        let verifies = self.verify_one(&signature, &key)?;
        self.stack.pop_many(2)?;
        self.stack.push_bool(verifies);
        Ok(())
    }

    pub(super) fn check_sig_verify(&mut self) -> Result<(), ScriptError> {
        self.check_sig()?;
        self.verify_top(ScriptError::CheckSigVerify)
    }

    /// Counts signatures; tapscript's way to ask for several.
    pub(super) fn check_sig_add(&mut self) -> Result<(), ScriptError> {
        if !self.is_tapscript() {
            return Err(ScriptError::BadOpcode);
        }
        self.stack.require(3)?;
        let count = self.stack.peek_number(1, self.minimal())?;
        let (signature, key) = (self.stack.peek(2)?.to_vec(), self.stack.peek(0)?.to_vec());
        let verifies = self.verify_one(&signature, &key)?;
        self.stack.pop_many(3)?;
        self.stack.push_number(count + i64::from(verifies));
        Ok(())
    }

    fn verify_one(&mut self, signature: &[u8], key: &[u8]) -> Result<bool, ScriptError> {
        match self.generation {
            Generation::Tapscript(tapscript) => self.verify_tapscript(tapscript, signature, key),
            _ => self.verify_pre_tapscript(signature, key),
        }
    }

    fn verify_pre_tapscript(&self, signature: &[u8], key: &[u8]) -> Result<bool, ScriptError> {
        let code = self.script_code(&[signature])?;
        self.check_encodings(signature, key)?;
        let verifies = self.verify_ecdsa_over(&code, signature, key);
        if !verifies && !signature.is_empty() && self.flags.has(Flags::NULLFAIL) {
            return Err(ScriptError::SigNullFail);
        }
        Ok(verifies)
    }

    pub(super) fn check_encodings(&self, signature: &[u8], key: &[u8]) -> Result<(), ScriptError> {
        check_signature_encoding(signature, self.flags)?;
        check_key_encoding(key, self.flags, !self.is_legacy())
    }

    /// The script that is signed: from the last OP_CODESEPARATOR on; before segwit without these signatures.
    pub(super) fn script_code(&self, signatures: &[&[u8]]) -> Result<Vec<u8>, ScriptError> {
        let mut code = self.script.get(self.code_start..).unwrap_or_default().to_vec();
        if !self.is_legacy() {
            return Ok(code);
        }
        for signature in signatures {
            let (rest, found) = sighash::find_and_delete(&code, signature);
            if found > 0 && self.flags.has(Flags::CONST_SCRIPTCODE) {
                return Err(ScriptError::SigFindAndDelete);
            }
            code = rest;
        }
        Ok(code)
    }

    pub(super) fn verify_ecdsa_over(&self, code: &[u8], signature: &[u8], key: &[u8]) -> bool {
        let Some((kind, signature)) = signature.split_last() else { return false };
        let kind = u32::from(*kind);
        let hash = if self.is_legacy() {
            sighash::legacy(self.input.spending().transaction(), self.input.index(), code, kind)
        } else {
            sighash::segwit(self.input, code, kind)
        };
        verify_ecdsa(signature, key, hash)
    }

    /// BIP342. The order counts: the price is due even for keys of unknown kinds, an empty signature of an empty key
    /// fails, and a signature that does not verify fails the script.
    fn verify_tapscript(
        &mut self,
        tapscript: Tapscript,
        signature: &[u8],
        key: &[u8],
    ) -> Result<bool, ScriptError> {
        let given = !signature.is_empty();
        if given {
            self.spend_budget(VALIDATION_WEIGHT_PER_SIGOP_PASSED)?;
        }
        match key.len() {
            0 => return Err(ScriptError::TapscriptEmptyPubkey),
            32 if given => self.verify_schnorr_over(tapscript, signature, key)?,
            32 => {}
            _ if self.flags.has(Flags::DISCOURAGE_UPGRADABLE_PUBKEYTYPE) => {
                return Err(ScriptError::DiscourageUpgradablePubkeyType);
            }
            _ => {}
        }
        Ok(given)
    }

    /// Takes the price of an operation from what the witness's weight pays for.
    pub(super) fn spend_budget(&mut self, price: i64) -> Result<(), ScriptError> {
        let Generation::Tapscript(tapscript) = &mut self.generation else { return Ok(()) };
        tapscript.budget -= price;
        if tapscript.budget < 0 { Err(ScriptError::TapscriptValidationWeight) } else { Ok(()) }
    }

    fn verify_schnorr_over(
        &self,
        tapscript: Tapscript,
        signature: &[u8],
        key: &[u8],
    ) -> Result<(), ScriptError> {
        let (signature, kind) = split_schnorr(signature)?;
        let leaf = Leaf { hash: tapscript.leaf, separator: self.separator };
        let hash = sighash::taproot(self.input, kind, tapscript.annex, Some(leaf))
            .ok_or(ScriptError::SchnorrSigHashtype)?;
        if verify_schnorr(signature, key, hash) { Ok(()) } else { Err(ScriptError::SchnorrSig) }
    }
}
