//! Modular exponentiation, as `docs/OP_EXPONENT.md` specifies it. Operands are public, so nothing is gained by
//! constant time: OpenSSL may be as fast as it can.

use std::alloc::{Layout, handle_alloc_error};

use bitcoin::Witness;
use bitcoin::taproot::LeafVersion;
use openssl::bn::{BigNum, BigNumContext};
use openssl::error::ErrorStack;

use crate::ScriptError;
use crate::instruction::Instructions;
use crate::opcode::OP_EXPONENT;

/// The longest operand, in bytes.
pub const MAX_OPERAND_SIZE: usize = 512;

/// Moduli are priced, and computed with, in units of so many bytes: OpenSSL's fast multiplication takes eight words
/// at a time.
const UNIT: usize = 64;

/// Whether this witness, spending a taproot output, runs a tapscript that contains OP_EXPONENT.
pub fn is_in_leaf_of(witness: &Witness) -> bool {
    let leaf = witness.taproot_leaf_script().filter(|leaf| leaf.version == LeafVersion::TapScript);
    leaf.is_some_and(|leaf| {
        let mut readable = Instructions::new(leaf.script.as_bytes()).map_while(Result::ok);
        readable.any(|instruction| instruction.opcode == OP_EXPONENT)
    })
}

/// Operands that keep the rules.
#[derive(Clone, Copy, Debug)]
pub struct Exponentiation<'o> {
    base: &'o [u8],
    exponent: &'o [u8],
    modulus: &'o [u8],
}

impl<'o> Exponentiation<'o> {
    /// Checks the operands in the order of the document.
    pub fn new(base: &'o [u8], exponent: &'o [u8], modulus: &'o [u8]) -> Result<Self, ScriptError> {
        let operands = [modulus, base, exponent];
        if operands.iter().any(|operand| operand.len() > MAX_OPERAND_SIZE) {
            return Err(ScriptError::ExponentOperandSize);
        }
        if operands.iter().any(|operand| operand.first() == Some(&0)) {
            return Err(ScriptError::ExponentLeadingZero);
        }
        if matches!(modulus, [] | [0..=2]) || modulus.last().is_some_and(|last| last & 1 == 0) {
            return Err(ScriptError::ExponentModulus);
        }
        if (base.len(), base) >= (modulus.len(), modulus) {
            return Err(ScriptError::ExponentBase);
        }
        Ok(Self { base, exponent, modulus })
    }

    /// What it takes from the input's budget, in weight units: in proportion to the work, and never less than what
    /// signatures take for as much time.
    pub fn price(&self) -> i64 {
        let units = self.modulus.len().div_ceil(UNIT) as i64;
        let multiplication = (4 * units + 1) * (4 * units + 1) + 24;
        8 + (bits(self.exponent) + 32) * multiplication / 160
    }

    /// base^exponent mod modulus, without leading zeros.
    pub fn compute(&self) -> Vec<u8> {
        // OpenSSL fails here only where memory has run out, which says nothing of the script.
        self.try_compute().unwrap_or_else(|_| handle_alloc_error(Layout::new::<[u8; MAX_OPERAND_SIZE]>()))
    }

    /// Modulo a multiple of the modulus that has whole units, and only then modulo it; and with that multiple added to
    /// the base. OpenSSL takes twice the time for moduli of other lengths, and three times for bases of one word.
    fn try_compute(&self) -> Result<Vec<u8>, ErrorStack> {
        let modulus = BigNum::from_slice(self.modulus)?;
        let (mut multiple, mut base, mut result) = (BigNum::new()?, BigNum::new()?, BigNum::new()?);
        let mut context = BigNumContext::new()?;
        multiple.checked_mul(&modulus, &*odd_factor(self.modulus.len())?, &mut context)?;
        base.checked_add(&*BigNum::from_slice(self.base)?, &multiple)?;
        result.mod_exp(&base, &*BigNum::from_slice(self.exponent)?, &multiple, &mut context)?;
        let mut rest = BigNum::new()?;
        rest.nnmod(&result, &modulus, &mut context)?;
        Ok(rest.to_vec())
    }
}

/// An odd number that brings a modulus of this length to whole units: all ones in the bytes that it lacks.
fn odd_factor(length: usize) -> Result<BigNum, ErrorStack> {
    let lacks = length.next_multiple_of(UNIT) - length;
    BigNum::from_slice(if lacks == 0 { &[1] } else { ALL_ONES.get(..lacks).unwrap_or(&[1]) })
}

const ALL_ONES: [u8; UNIT] = [0xff; UNIT];

/// The length of a number without leading zeros, in bits.
fn bits(number: &[u8]) -> i64 {
    let unused = number.first().map_or(0, |first| first.leading_zeros());
    number.len() as i64 * 8 - i64::from(unused)
}
