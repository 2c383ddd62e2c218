//! A tapscript and its spending.

use bitcoin::absolute::LockTime;
use bitcoin::secp256k1::{Secp256k1, XOnlyPublicKey};
use bitcoin::taproot::{LeafVersion, TaprootBuilder};
use bitcoin::transaction::Version;
use bitcoin::{Amount, ScriptBuf, Transaction, TxIn, TxOut, Witness};
use keyway_script::{Flags, ScriptError, Spending};

/// BIP341's point that nobody has the secret of.
const NUMS: &str = "50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0";

/// A transaction whose input runs this leaf, the output's only one, on this stack.
pub struct Leaf {
    transaction: Transaction,
    prevouts: Vec<TxOut>,
}

impl Leaf {
    pub fn new(stack: &[Vec<u8>], script: &ScriptBuf) -> Self {
        let internal: XOnlyPublicKey = NUMS.parse().unwrap();
        let builder = TaprootBuilder::new().add_leaf(0, script.clone()).unwrap();
        let info = builder.finalize(&Secp256k1::new(), internal).unwrap();
        let control = info.control_block(&(script.clone(), LeafVersion::TapScript)).unwrap().serialize();
        let mut witness = Witness::from_slice(stack);
        witness.push(script.as_bytes());
        witness.push(control);
        let spent =
            TxOut { value: Amount::ONE_BTC, script_pubkey: ScriptBuf::new_p2tr_tweaked(info.output_key()) };
        let output = TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::new() };
        let input = TxIn { witness, ..TxIn::default() };
        let (version, lock_time) = (Version::TWO, LockTime::ZERO);
        let transaction = Transaction { version, lock_time, input: vec![input], output: vec![output] };
        Self { transaction, prevouts: vec![spent] }
    }

    /// What its operations may cost.
    pub fn budget(&self) -> u64 {
        self.transaction.input[0].witness.size() as u64 + 50
    }

    pub fn verify(&self, flags: Flags) -> Result<(), ScriptError> {
        let spending = Spending::new(&self.transaction, &self.prevouts).unwrap();
        spending.input(0).unwrap().verify(flags)
    }
}
