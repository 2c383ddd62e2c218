use bitcoin::OutPoint;
use bitcoin::transaction::Version;
use keyway_chain::Chain;
use keyway_protocol::identity::{PartyRef, Seed};
use keyway_protocol::message::Carrier;
use keyway_protocol::negotiation::{Context, Draft};
use keyway_script::exponent::Exponentiation;
use keyway_script::{Flags, ScriptError, Spending};

use super::*;

const RESPONDER: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";
const INITIATOR: &str = "letter advice cage absurd amount doctor acoustic avoid letter advice cage above";
const TIMEOUT: Height = Height::new(499_999_999);
const AMOUNT: Amount = Amount::from_sat(100_000);

fn seed(words: &str) -> Seed {
    Seed::derive(&words.parse().unwrap(), &Chain::regtest()).unwrap()
}

/// A lock of that suite, its t, and both sides.
struct Case {
    lock: Lock,
    t: Secret,
    responder: IdentitySecret,
    initiator: IdentitySecret,
}

impl Case {
    fn new(suite: Suite) -> Self {
        Self::until(suite, TIMEOUT).unwrap()
    }

    fn until(suite: Suite, timeout: Height) -> Result<Self, ImpossibleTimeout> {
        let (responder, initiator) = (seed(RESPONDER), seed(INITIATOR));
        let side = |identity: &IdentitySecret| PartyRef {
            key: identity.party(),
            card_digest: [1; 32],
            chain: Chain::regtest().id(),
        };
        let context = Context {
            initiator: side(&initiator.identity),
            responder: side(&responder.identity),
            input0: OutPoint::null(),
            carrier: Carrier::Dynamic,
        };
        let prekey = responder.prekey_head.take().0.public(suite);
        let secret = initiator.chain_head.take().0;
        let draft = Draft::to_prekey(context, suite, &prekey, timeout, &secret).unwrap();
        let condition = draft.first().unwrap().condition(draft.offer()).unwrap();
        let ends = Ends { responder: context.responder.key, initiator: context.initiator.key, timeout };
        let lock = Lock::new(&ends, condition)?;
        let t = draft.first().unwrap().payment_secret();
        Ok(Self { lock, t, responder: responder.identity, initiator: initiator.identity })
    }

    fn collected(&self) -> Transaction {
        self.spent(LockTime::ZERO, |spend| self.lock.collect(spend, &self.responder, &self.t)).unwrap()
    }

    fn taken_back(&self, height: u32) -> Option<Transaction> {
        let at = LockTime::from_height(height).unwrap();
        self.spent(at, |spend| self.lock.take_back(spend, &self.initiator))
    }

    fn spent(
        &self,
        lock_time: LockTime,
        witness: impl FnOnce(Spend<'_>) -> Option<Witness>,
    ) -> Option<Transaction> {
        let input = TxIn { sequence: bitcoin::Sequence::ENABLE_RBF_NO_LOCKTIME, ..TxIn::default() };
        let output = vec![TxOut { value: AMOUNT, script_pubkey: self.initiator.party().script() }];
        let mut tx = Transaction { version: Version::TWO, lock_time, input: vec![input], output };
        let spent = [self.lock.output(AMOUNT)];
        let witness = witness(Spend { tx: &tx, input: 0, spent: &spent })?;
        tx.input[0].witness = witness;
        Some(tx)
    }

    /// What those say who know OP_EXPONENT.
    fn judge(&self, tx: &Transaction) -> Result<(), ScriptError> {
        self.judge_by(tx, Flags::CONSENSUS | Flags::EXPONENT)
    }

    fn judge_by(&self, tx: &Transaction, rules: Flags) -> Result<(), ScriptError> {
        let spent = [self.lock.output(AMOUNT)];
        Spending::new(tx, &spent).unwrap().input(0).unwrap().verify(rules)
    }
}

fn every_suite() -> impl Iterator<Item = Suite> {
    Suite::USUAL.into_iter()
}

#[test]
fn each_side_has_its_own_way_and_consensus_takes_it() {
    for suite in every_suite() {
        let case = Case::new(suite);
        let collected = case.collected();
        assert_eq!(case.judge(&collected), Ok(()), "{suite}");
        assert_eq!(opening(&collected.input[0]), Opening::Collected(*case.t.expose()));
        let back = case.taken_back(499_999_999).unwrap();
        assert_eq!(case.judge(&back), Ok(()), "{suite}");
        assert_eq!(opening(&back.input[0]), Opening::Returned);
    }
}

#[test]
fn neither_side_has_the_others_way_and_nobody_comes_early() {
    for suite in every_suite() {
        let case = Case::new(suite);
        let wrong = Secret::from_slice(&[6; 32]).unwrap();
        let collect = |key, t| case.spent(LockTime::ZERO, |spend| case.lock.collect(spend, key, t));
        assert_eq!(collect(&case.responder, &wrong), None, "{suite}");
        assert_eq!(collect(&case.initiator, &case.t), None, "{suite}");
        assert_eq!(case.taken_back(499_999_998), None, "{suite}");
        let at = LockTime::from_height(499_999_999).unwrap();
        assert_eq!(case.spent(at, |spend| case.lock.take_back(spend, &case.responder)), None, "{suite}");
        // What the wallet refuses to sign, consensus refuses too.
        let mut early = case.taken_back(499_999_999).unwrap();
        early.lock_time = LockTime::from_height(499_999_998).unwrap();
        assert!(case.judge(&early).is_err());
    }
}

#[test]
fn inputs_weigh_at_most_what_is_said() {
    for suite in every_suite() {
        let case = Case::new(suite);
        let weight = |tx: &Transaction| tx.input[0].segwit_weight();
        let (collected, back) = (case.collected(), case.taken_back(499_999_999).unwrap());
        for (is, said) in
            [(weight(&collected), collecting_weight(suite)), (weight(&back), returning_weight(suite))]
        {
            assert!(is <= said && said.to_wu() - is.to_wu() <= 4, "{suite}: {is} of {said}");
        }
    }
}

#[test]
fn a_time_is_no_timeout() {
    for suite in [Suite::X25519, Suite::Ffdhe2048] {
        assert!(Case::until(suite, Height::new(500_000_000)).is_err());
    }
    assert!(Case::until(Suite::X25519, Height::new(0)).is_err());
}

#[test]
fn a_thief_with_another_t_or_without_the_key_is_refused_where_the_rule_is_enforced_and_only_there() {
    for suite in Suite::FFDHE {
        let case = Case::new(suite);
        let stolen = |place: usize, item: &[u8]| {
            let mut tx = case.collected();
            let mut items: Vec<Vec<u8>> = tx.input[0].witness.to_vec();
            items[place] = item.to_vec();
            tx.input[0].witness = Witness::from_slice(&items);
            tx
        };
        let [other_t, padded] = [vec![6; 32], [&[0], &case.t.expose()[..]].concat()];
        assert_eq!(case.judge(&stolen(1, &other_t)), Err(ScriptError::EqualVerify), "{suite}");
        assert_eq!(case.judge(&stolen(1, &padded)), Err(ScriptError::ExponentLeadingZero), "{suite}");
        assert!(case.judge(&stolen(0, &[9; 64])).is_err());
        assert!(case.judge(&stolen(0, &[])).is_err());
        // To those that do not know the opcode anybody may collect, with anything in the place of t.
        for theft in [stolen(0, &[]), stolen(1, &[7; 80]), stolen(1, &[])] {
            assert_eq!(case.judge_by(&theft, Flags::CONSENSUS), Ok(()));
            assert!(matches!(opening(&theft.input[0]), Opening::Collected(_)), "{suite}");
        }
    }
}

#[test]
fn the_leaf_pays_for_its_operation_and_is_padded_where_the_natural_witness_is_too_small() {
    for (suite, expected) in [(Suite::Ffdhe2048, 0), (Suite::Ffdhe3072, 179), (Suite::Ffdhe4096, 762)] {
        let case = Case::new(suite);
        let witness = &case.collected().input[0].witness;
        let t = witness.nth(1).unwrap();
        let Condition::Power(power) = &case.lock.condition else { panic!() };
        let modulus = power.modulus();
        let price = Exponentiation::new(power.base(), t, &modulus).unwrap().price();
        assert!(price + 50 <= witness.size() as i64 + 50, "{suite}: {price} of {}", witness.size());
        assert_eq!(padding(suite), expected, "{suite}");
        // Without the padding the rule refuses it.
        let dearest = Exponentiation::new(power.base(), &[0xff; 32], &modulus).unwrap().price();
        assert_eq!(expected > 0, dearest > (witness.size() - expected) as i64, "{suite}");
    }
    assert_eq!(padding(Suite::X25519), 0);
}

#[test]
fn the_scripts_are_what_the_document_says() {
    let hash = Case::new(Suite::X25519).lock;
    assert!(hash.output(AMOUNT).script_pubkey.is_p2wsh());
    let Form::Hash(lock) = &hash.form else { panic!() };
    assert!(lock.descriptor.to_string().starts_with("wsh(andor(pk("));
    let exponent = Case::new(Suite::Ffdhe2048).lock;
    assert!(exponent.output(AMOUNT).script_pubkey.is_p2tr());
    let text = keyway_script::asm::disassemble(exponent.script().as_bytes());
    let words: Vec<&str> = text.split(' ').filter(|word| !word.starts_with('<')).collect();
    assert_eq!(words, ["OP_EXPONENT", "OP_HASH160", "OP_EQUALVERIFY", "OP_CHECKSIG"], "{text}");
}
