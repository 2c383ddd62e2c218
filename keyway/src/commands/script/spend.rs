//! What is to be verified: an input of a given transaction, or of one made for a script.

use bitcoin::absolute::LockTime;
use bitcoin::consensus::deserialize;
use bitcoin::hex::FromHex;
use bitcoin::secp256k1::{Secp256k1, XOnlyPublicKey};
use bitcoin::taproot::{LeafVersion, TaprootBuilder};
use bitcoin::transaction::Version;
use bitcoin::{Amount, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness};
use keyway_node::why_undecoded;
use keyway_script::asm::assemble;
use keyway_script::instruction::{Instruction, Instructions, is_push_only};
use keyway_script::number;
use keyway_script::observe::Observer;
use keyway_script::{Flags, ScriptError, Spending};

use crate::cli::{ScriptAs, ScriptRun};
use crate::error::Error;
use crate::files;

/// BIP341's point that nobody has the secret of.
const NUMS: [u8; 32] = [
    0x50, 0x92, 0x9b, 0x74, 0xc1, 0xa0, 0x49, 0x54, 0xb7, 0x8b, 0x4b, 0x60, 0x35, 0xe9, 0x7a, 0x5e, 0x07,
    0x8a, 0x5a, 0x0f, 0x28, 0xec, 0x96, 0xd5, 0x47, 0xbf, 0xee, 0x9a, 0xce, 0x80, 0x3a, 0xc0,
];

/// A transaction with what it spends, and the input to look at.
pub struct Spend {
    transaction: Transaction,
    prevouts: Vec<TxOut>,
    input: usize,
}

impl Spend {
    /// As the arguments say.
    ///
    /// # Errors
    /// Text that is no script, no transaction, or not what belongs together.
    pub fn of(args: &ScriptRun) -> Result<Self, Error> {
        match (&args.tx, &args.script) {
            (Some(tx), _) => Self::given(tx, args),
            (None, Some(script)) => Self::made(script, args),
            (None, None) => Err(Error::NothingToRun),
        }
    }

    fn given(tx: &str, args: &ScriptRun) -> Result<Self, Error> {
        let not_one = || Error::NotHex("the transaction");
        let text = match tx.strip_prefix('@') {
            Some(path) => String::from_utf8(files::read(path.as_ref(), files::TRANSACTION)?.to_vec()),
            None => Ok(tx.to_owned()),
        };
        let bytes = Vec::from_hex(text.map_err(|_| not_one())?.trim()).map_err(|_| not_one())?;
        let transaction =
            deserialize(&bytes).map_err(|error| Error::NotTransaction(why_undecoded(&error)))?;
        let prevouts = args.spends.iter().map(|spent| spent.0.clone()).collect();
        Ok(Self { transaction, prevouts, input: args.input })
    }

    fn made(script: &str, args: &ScriptRun) -> Result<Self, Error> {
        let script = assemble(script).map_err(Error::Script)?;
        let unlock = assemble(&args.unlock).map_err(Error::Script)?;
        if !is_push_only(unlock.as_bytes()) {
            return Err(Error::UnlockNotPushes);
        }
        let items: Vec<Vec<u8>> = Instructions::new(unlock.as_bytes()).flatten().map(item_of).collect();
        let (script_pubkey, script_sig, witness) = match args.script_as {
            ScriptAs::Legacy => (script, unlock, Witness::new()),
            ScriptAs::Segwit => {
                let witness = items.into_iter().chain([script.to_bytes()]).collect::<Vec<_>>();
                (script.to_p2wsh(), ScriptBuf::new(), Witness::from_slice(&witness))
            }
            ScriptAs::Tapscript => tapscript(script, items)?,
        };
        let input =
            TxIn { script_sig, witness, sequence: Sequence::ENABLE_RBF_NO_LOCKTIME, ..TxIn::default() };
        let output = TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::new() };
        let (version, lock_time) = (Version::TWO, LockTime::ZERO);
        let transaction = Transaction { version, lock_time, input: vec![input], output: vec![output] };
        let spent = TxOut { value: Amount::ONE_BTC, script_pubkey };
        Ok(Self { transaction, prevouts: vec![spent], input: 0 })
    }

    /// Runs it, telling the observer.
    ///
    /// # Errors
    /// If the arguments do not fit the transaction. That the script fails is no such error.
    pub fn verify(
        &self,
        flags: Flags,
        observer: &mut dyn Observer,
    ) -> Result<Result<(), ScriptError>, Error> {
        let spending = Spending::new(&self.transaction, &self.prevouts).map_err(Error::Prevouts)?;
        let inputs = self.transaction.input.len();
        let input = spending.input(self.input).ok_or(Error::NoSuchInput { index: self.input, inputs })?;
        Ok(input.verify_observed(flags, observer))
    }
}

/// A leaf of an output that has no other, and no key.
fn tapscript(script: ScriptBuf, items: Vec<Vec<u8>>) -> Result<(ScriptBuf, ScriptBuf, Witness), Error> {
    let committed = || {
        let internal = XOnlyPublicKey::from_slice(&NUMS).ok()?;
        let builder = TaprootBuilder::new().add_leaf(0, script.clone()).ok()?;
        let info = builder.finalize(&Secp256k1::verification_only(), internal).ok()?;
        let control = info.control_block(&(script.clone(), LeafVersion::TapScript))?.serialize();
        Some((ScriptBuf::new_p2tr_tweaked(info.output_key()), control))
    };
    let (output, control) = committed().ok_or(Error::NothingToRun)?;
    let witness: Vec<Vec<u8>> = items.into_iter().chain([script.into_bytes(), control]).collect();
    Ok((output, ScriptBuf::new(), Witness::from_slice(&witness)))
}

/// What a push leaves on the stack.
fn item_of(instruction: Instruction<'_>) -> Vec<u8> {
    match instruction.opcode {
        opcode if opcode.is_data_push() => instruction.push.to_vec(),
        opcode => number::encode(i64::from(opcode.0) - 0x50),
    }
}
