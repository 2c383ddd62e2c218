//! Watching an input being verified.

use bitcoin::absolute::LockTime;
use bitcoin::transaction::Version;
use bitcoin::{Amount, ScriptBuf, Transaction, TxIn, TxOut};
use keyway_script::asm::assemble;
use keyway_script::instruction::Instruction;
use keyway_script::observe::{Observer, Part, State};
use keyway_script::{Flags, PrevoutsMismatch, ScriptError, Spending};

/// Each step as its script, opcode, height of the stack and whether its branch is taken.
#[derive(Default)]
struct Log(Vec<(Part, String, usize, bool)>);

impl Observer for Log {
    fn step(&mut self, state: &State<'_>, instruction: &Instruction<'_>) {
        self.0.push((state.part, instruction.opcode.to_string(), state.stack.len(), state.taken));
    }

    fn end(&mut self, state: &State<'_>) {
        self.0.push((state.part, "end".into(), state.stack.len(), state.taken));
    }
}

fn spend(script_sig: &str, script_pubkey: &str) -> (Transaction, Vec<TxOut>) {
    let input = TxIn { script_sig: assemble(script_sig).unwrap(), ..TxIn::default() };
    let output = TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::new() };
    let spent = TxOut { value: Amount::ZERO, script_pubkey: assemble(script_pubkey).unwrap() };
    let (version, lock_time) = (Version::TWO, LockTime::ZERO);
    (Transaction { version, lock_time, input: vec![input], output: vec![output] }, vec![spent])
}

#[test]
fn every_step_is_seen_also_those_of_branches_not_taken() {
    let (transaction, spent) = spend("0", "IF DUP ENDIF 1");
    let spending = Spending::new(&transaction, &spent).unwrap();
    let mut log = Log::default();
    assert_eq!(spending.input(0).unwrap().verify_observed(Flags::CONSENSUS, &mut log), Ok(()));
    let (sig, pubkey) = (Part::ScriptSig, Part::ScriptPubkey);
    let expected = [
        (sig, "OP_0", 0, true),
        (sig, "end", 1, true),
        (pubkey, "OP_IF", 1, true),
        (pubkey, "OP_DUP", 0, false),
        (pubkey, "OP_ENDIF", 0, false),
        (pubkey, "OP_1", 0, true),
        (pubkey, "end", 1, true),
    ];
    assert_eq!(log.0, expected.map(|(part, op, height, taken)| (part, op.to_owned(), height, taken)));
}

#[test]
fn the_last_step_seen_is_the_one_that_fails() {
    let (transaction, spent) = spend("1", "DROP DROP 1");
    let spending = Spending::new(&transaction, &spent).unwrap();
    let mut log = Log::default();
    let result = spending.input(0).unwrap().verify_observed(Flags::NONE, &mut log);
    assert_eq!(result, Err(ScriptError::InvalidStackOperation));
    assert_eq!(log.0.last(), Some(&(Part::ScriptPubkey, "OP_DROP".to_owned(), 0, true)));
}

#[test]
fn a_transaction_with_another_number_of_spent_outputs_is_refused() {
    let (transaction, _) = spend("1", "1");
    let refused = Spending::new(&transaction, &[]).unwrap_err();
    assert_eq!(refused, PrevoutsMismatch { inputs: 1, prevouts: 0 });
    assert!(Spending::new(&transaction, &spend("", "").1).unwrap().input(1).is_none());
}
