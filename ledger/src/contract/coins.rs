//! Coins to test with, and clauses 5 and 6.

use bitcoin::transaction::Version;
use bitcoin::{
    Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness, absolute::LockTime,
    script::Builder,
};
use keyway_chain::{BlockRef, Depth, Height};

use super::Harness;
use crate::{Coin, Ledger, Next, Watch};

/// A script that anyone can satisfy, of a form that nodes relay; another one for every number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Free(pub i64);

impl Free {
    fn inner(self) -> ScriptBuf {
        let number = Builder::new().push_int(self.0 + 1_000);
        number.push_opcode(bitcoin::opcodes::all::OP_DROP).push_int(1).into_script()
    }

    /// What pays to it.
    pub fn script(self) -> ScriptBuf {
        self.inner().to_p2wsh()
    }

    /// What spends it.
    pub fn witness(self) -> Witness {
        Witness::from_slice(&[self.inner().to_bytes()])
    }
}

/// A coin that the tests can spend.
#[derive(Clone, Copy, Debug)]
pub struct Purse {
    /// Where it is.
    pub outpoint: OutPoint,
    /// What it holds.
    pub value: Amount,
    /// Who may spend it.
    pub owner: Free,
}

/// Enough for every fee of the tests.
pub const FEE: Amount = Amount::from_sat(10_000);

/// A transaction from purses to owners.
pub fn pay(from: &[Purse], to: &[(Free, Amount)]) -> Transaction {
    let input = |purse: &Purse| TxIn {
        previous_output: purse.outpoint,
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        witness: purse.owner.witness(),
        ..TxIn::default()
    };
    let output = |(owner, value): &(Free, Amount)| TxOut { value: *value, script_pubkey: owner.script() };
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: from.iter().map(input).collect(),
        output: to.iter().map(output).collect(),
    }
}

/// Passes a whole purse on, less the fee.
pub fn pass_on(from: Purse, to: Free) -> Transaction {
    pay(&[from], &[(to, from.value - FEE)])
}

/// The purse in a transaction's output.
pub fn purse(tx: &Transaction, vout: u32, owner: Free) -> Purse {
    let output = &tx.output[vout as usize];
    assert_eq!(output.script_pubkey, owner.script());
    Purse { outpoint: OutPoint::new(tx.compute_txid(), vout), value: output.value, owner }
}

/// Mines until there are so many coins that can be spent, all of one block each.
pub fn fund(harness: &impl Harness, purses: u32) -> Vec<Purse> {
    let (owner, nobody) = (Free(0), Free(-1));
    harness.mine(purses, &owner.script());
    harness.mine(100, &nobody.script());
    let mut watch = Watch::new();
    watch.add_script(owner.script());
    let ledger = harness.ledger();
    let mut last = BlockRef::new(Height::GENESIS, ledger.chain().genesis());
    let mut found = Vec::new();
    while let Next::Connect(block) = ledger.next(last, &watch).unwrap() {
        found.extend(block.hits.iter().map(|hit| purse(&hit.tx, 0, owner)));
        last = block.at;
    }
    found.truncate(purses as usize);
    assert_eq!(found.len(), purses as usize);
    found
}

/// Clause 5.
pub fn c5_the_tip_has_depth_one<H: Harness>(harness: &H) {
    let tx = pass_on(fund(harness, 1)[0], Free(1));
    let ledger = harness.ledger();
    ledger.broadcast(&tx).unwrap();
    let depth = || {
        let coin = ledger.coin(&OutPoint::new(tx.compute_txid(), 0)).unwrap().unwrap();
        coin.depth_under(ledger.tip().unwrap().height)
    };
    assert_eq!(depth(), Depth::UNMINED);
    for confirmations in 1..4 {
        harness.mine(1, &Free(0).script());
        assert_eq!(depth(), Depth::new(confirmations));
    }
}

/// Clause 6.
pub fn c6_a_coin_is_shown_until_something_spends_it<H: Harness>(harness: &H) {
    let funds = fund(harness, 1)[0];
    let ledger = harness.ledger();
    let coin = |outpoint: &OutPoint| ledger.coin(outpoint).unwrap();
    let expected = |purse: Purse, height, coinbase| {
        let output = TxOut { value: purse.value, script_pubkey: purse.owner.script() };
        Some(Coin { output, height, coinbase })
    };
    assert_eq!(coin(&funds.outpoint), expected(funds, Some(Height::new(1)), true));
    assert_eq!(coin(&OutPoint::new(funds.outpoint.txid, 77)), None);

    let first = pass_on(funds, Free(1));
    let second = pass_on(purse(&first, 0, Free(1)), Free(2));
    let (middle, end) = (purse(&first, 0, Free(1)), purse(&second, 0, Free(2)));
    ledger.broadcast(&first).unwrap();
    assert_eq!(coin(&funds.outpoint), None, "spent by an unmined transaction");
    assert_eq!(coin(&middle.outpoint), expected(middle, None, false));
    ledger.broadcast(&second).unwrap();
    assert_eq!(coin(&middle.outpoint), None);

    let at = harness.mine(1, &Free(0).script())[0];
    assert_eq!(coin(&funds.outpoint), None);
    assert_eq!(coin(&middle.outpoint), None);
    assert_eq!(coin(&end.outpoint), expected(end, Some(at.height), false));

    harness.reorganise(1, 2, &Free(-1).script());
    // Whether the two are unmined again or gone (clause 7.5), their coin is not in a block.
    assert_eq!(coin(&end.outpoint).and_then(|coin| coin.height), None);
}
