//! An operator's own wallet: a real one, with keys of its own, that funds and signs what it is given.

use bdk_wallet::{KeychainKind, TxOrdering, Wallet};
use bitcoin::bip32::Xpriv;
use bitcoin::secp256k1::Secp256k1;
use bitcoin::{Amount, Block, FeeRate, Network, Psbt, ScriptBuf, Weight};
use keyway_chain::Chain;

/// What a P2WPKH coin's signature weighs.
const P2WPKH: Weight = Weight::from_wu(108);

pub struct Operator {
    pub wallet: Wallet,
    key: Xpriv,
}

impl Operator {
    /// An empty wallet of that kind (`wpkh(KEY)`).
    pub fn new(chain: &Chain, kind: &str) -> Self {
        let key = Xpriv::new_master(Network::Regtest, &[7; 32]).unwrap();
        let descriptor = |chain: u32| kind.replace("KEY", &format!("{key}/{chain}/*"));
        let wallet = Wallet::create(descriptor(0), descriptor(1)).network(Network::Regtest);
        let wallet = wallet.genesis_hash(chain.genesis()).create_wallet_no_persist().unwrap();
        Self { wallet, key }
    }

    /// Where it is paid next.
    pub fn script(&mut self) -> ScriptBuf {
        self.wallet.reveal_next_address(KeychainKind::External).script_pubkey()
    }

    /// Takes in the blocks up to `tip` that it has not seen.
    pub fn follow(&mut self, tip: u32, block: impl Fn(u32) -> Block) {
        for height in self.wallet.latest_checkpoint().height() + 1..=tip {
            self.wallet.apply_block(&block(height), height).unwrap();
        }
    }

    pub fn balance(&self) -> Amount {
        self.wallet.balance().total()
    }

    /// Adds inputs and change to what a home prepared, and leaves the rest in its order.
    pub fn fund(&mut self, psbt: &[u8], sat_per_vb: u32) -> Psbt {
        let prepared = Psbt::deserialize(psbt).unwrap();
        let (tx, input) = (&prepared.unsigned_tx, prepared.inputs[0].clone());
        let mut builder = self.wallet.build_tx();
        builder.ordering(TxOrdering::Untouched).version(tx.version.0).nlocktime(tx.lock_time);
        builder.fee_rate(FeeRate::from_sat_per_vb_u32(sat_per_vb));
        let (coin, sequence) = (tx.input[0].previous_output, tx.input[0].sequence);
        builder.add_foreign_utxo_with_sequence(coin, input, P2WPKH, sequence).unwrap();
        for output in &tx.output {
            builder.add_recipient(output.script_pubkey.clone(), output.value);
        }
        builder.finish().unwrap()
    }

    /// Signs its own inputs and finalises them.
    pub fn sign(&self, psbt: Psbt) -> Psbt {
        let psbt = self.try_sign(psbt);
        let is_final = |input: &bitcoin::psbt::Input| {
            input.final_script_witness.is_some() || input.final_script_sig.is_some()
        };
        assert!(!is_final(&psbt.inputs[0]) && psbt.inputs[1..].iter().all(is_final), "{psbt:?}");
        psbt
    }

    /// The same of what somebody edited: as far as it goes.
    pub fn try_sign(&self, mut psbt: Psbt) -> Psbt {
        let _ = psbt.sign(&self.key, &Secp256k1::new());
        let _ = self.wallet.finalize_psbt(&mut psbt, Default::default());
        psbt
    }

    pub fn funded(&mut self, psbt: &[u8]) -> Psbt {
        let funded = self.fund(psbt, 2);
        self.sign(funded)
    }
}
