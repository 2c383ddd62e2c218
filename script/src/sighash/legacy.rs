//! The signature hash of scripts before segwit: the transaction, changed and serialized anew for each signature.

use bitcoin::{Transaction, TxIn, TxOut};

use super::{ANYONE_CAN_PAY, Digest, NONE, OUTPUTS, SINGLE};
use crate::instruction::{Instructions, push_of};
use crate::opcode::OP_CODESEPARATOR;

/// What a signature with this last byte signs. (Vectors give it 32 bits; all of them are hashed.)
///
/// `input` is a place in the transaction; at any other only what the inputs have in common would be signed.
pub fn legacy(transaction: &Transaction, input: usize, script_code: &[u8], hash_type: u32) -> [u8; 32] {
    let signing = Signing { transaction, input, script_code, hash_type };
    if signing.outputs_are(SINGLE) && input >= transaction.output.len() {
        return one();
    }
    let mut digest = Digest::new();
    signing.write(&mut digest);
    digest.finish_twice()
}

/// The script without the places where this signature is pushed, and how many there were. A signature cannot sign
/// itself; only scripts that play with that have such places.
pub fn find_and_delete(script: &[u8], signature: &[u8]) -> (Vec<u8>, usize) {
    let pattern = push_of(signature);
    let (mut kept, mut found) = (Vec::with_capacity(script.len()), 0);
    let mut instructions = Instructions::new(script);
    let mut written = 0;
    loop {
        let position = instructions.position();
        kept.extend_from_slice(script.get(written..position).unwrap_or_default());
        written = position;
        while script.get(written..).is_some_and(|rest| rest.starts_with(&pattern)) {
            written += pattern.len();
            found += 1;
        }
        instructions.go_on_at(written);
        if !matches!(instructions.next(), Some(Ok(_))) {
            kept.extend_from_slice(script.get(written..).unwrap_or_default());
            return (kept, found);
        }
    }
}

/// SIGHASH_SINGLE without an output of its own: since 2009 such a signature signs the number one.
fn one() -> [u8; 32] {
    let mut hash = [0; 32];
    hash[0] = 1;
    hash
}

struct Signing<'a> {
    transaction: &'a Transaction,
    input: usize,
    script_code: &'a [u8],
    hash_type: u32,
}

impl Signing<'_> {
    fn outputs_are(&self, kind: u32) -> bool {
        self.hash_type & OUTPUTS == kind
    }

    fn write(&self, digest: &mut Digest) {
        digest.u32(self.transaction.version.0 as u32);
        self.write_inputs(digest);
        self.write_outputs(digest);
        digest.u32(self.transaction.lock_time.to_consensus_u32());
        digest.u32(self.hash_type);
    }

    fn write_inputs(&self, digest: &mut Digest) {
        let inputs = self.transaction.input.iter().enumerate();
        if self.hash_type & ANYONE_CAN_PAY == 0 {
            digest.size(self.transaction.input.len());
            inputs.for_each(|(index, input)| self.write_input(digest, input, index == self.input));
        } else {
            digest.size(1);
            inputs.skip(self.input).take(1).for_each(|(_, input)| self.write_input(digest, input, true));
        }
    }

    /// Other inputs' scripts are left out, and so are their sequence numbers where not all outputs are signed.
    fn write_input(&self, digest: &mut Digest, input: &TxIn, own: bool) {
        digest.outpoint(&input.previous_output);
        if own {
            self.write_script_code(digest);
        } else {
            digest.size(0);
        }
        let left_out = !own && (self.outputs_are(SINGLE) || self.outputs_are(NONE));
        digest.u32(if left_out { 0 } else { input.sequence.0 });
    }

    /// The script without its OP_CODESEPARATORs. Of a script that ends within a push the rest is not written, though
    /// its length counts.
    fn write_script_code(&self, digest: &mut Digest) {
        let mut instructions = Instructions::new(self.script_code);
        let (mut kept, mut separators, mut written) = (Vec::new(), 0, 0);
        while let Some(Ok(instruction)) = instructions.next() {
            if instruction.opcode == OP_CODESEPARATOR {
                kept.extend_from_slice(self.script_code.get(written..instruction.start).unwrap_or_default());
                written = instruction.end;
                separators += 1;
            }
        }
        kept.extend_from_slice(self.script_code.get(written..instructions.position()).unwrap_or_default());
        digest.size(self.script_code.len() - separators);
        digest.bytes(&kept);
    }

    fn write_outputs(&self, digest: &mut Digest) {
        let count = match self.hash_type & OUTPUTS {
            NONE => 0,
            SINGLE => self.input + 1,
            _ => self.transaction.output.len(),
        };
        digest.size(count);
        for (index, output) in self.transaction.output.iter().take(count).enumerate() {
            self.write_output(digest, output, index);
        }
    }

    /// An output that is left out is written with no script and an amount of minus one.
    fn write_output(&self, digest: &mut Digest, output: &TxOut, index: usize) {
        if self.outputs_are(SINGLE) && index != self.input {
            digest.u64(u64::MAX);
            digest.size(0);
        } else {
            digest.output(output);
        }
    }
}
