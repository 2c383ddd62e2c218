//! Where the opcode is one, and where it is what it was.

use keyway_script::asm::assemble;
use keyway_script::{Flags, ScriptError};

use crate::spend::Leaf;

const RULES: Flags = Flags::CONSENSUS;

fn with_rule() -> Flags {
    RULES | Flags::EXPONENT
}

fn leaf(stack: &[&[u8]], script: &str) -> Leaf {
    let stack: Vec<Vec<u8>> = stack.iter().map(|item| item.to_vec()).collect();
    Leaf::new(&stack, &assemble(script).unwrap())
}

#[test]
fn whoever_does_not_know_the_opcode_lets_everything_with_it_pass() {
    let wrong = leaf(&[], "3 2 7 EXPONENT 2 EQUAL");
    assert_eq!(wrong.verify(RULES), Ok(()));
    assert_eq!(wrong.verify(with_rule()), Err(ScriptError::EvalFalse));
}

#[test]
fn whatever_keeps_the_rule_passes_without_it() {
    let right = leaf(&[&[3]], "2 7 EXPONENT 1 EQUAL");
    assert_eq!(right.verify(with_rule()), Ok(()));
    assert_eq!(right.verify(RULES), Ok(()));
}

#[test]
fn every_other_op_success_keeps_its_meaning_beside_it() {
    assert_eq!(leaf(&[], "0 0 0 EXPONENT 0xef").verify(with_rule()), Ok(()));
    assert_eq!(leaf(&[], "0xef 0 0 0 EXPONENT").verify(with_rule()), Ok(()));
    let discouraged = with_rule() | Flags::DISCOURAGE_OP_SUCCESS;
    assert_eq!(leaf(&[], "0xef").verify(discouraged), Err(ScriptError::DiscourageOpSuccess));
    assert_eq!(leaf(&[], "3 2 7 EXPONENT").verify(discouraged), Ok(()));
}

#[test]
fn a_script_with_it_is_held_to_all_rules_of_tapscript() {
    assert_eq!(leaf(&[], "1 RETURN EXPONENT").verify(with_rule()), Err(ScriptError::OpReturn));
    assert_eq!(leaf(&[], "EXPONENT 0x02ff").verify(with_rule()), Err(ScriptError::BadOpcode));
}

#[test]
fn before_tapscript_it_is_no_opcode() {
    use bitcoin::{Amount, ScriptBuf, Transaction, TxIn, TxOut, absolute::LockTime, transaction::Version};
    let output = TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::new() };
    let (version, lock_time) = (Version::TWO, LockTime::ZERO);
    let transaction = Transaction { version, lock_time, input: vec![TxIn::default()], output: vec![output] };
    let spent = [TxOut { value: Amount::ZERO, script_pubkey: assemble("3 2 7 EXPONENT").unwrap() }];
    let spending = keyway_script::Spending::new(&transaction, &spent).unwrap();
    assert_eq!(spending.input(0).unwrap().verify(with_rule()), Err(ScriptError::BadOpcode));
}
