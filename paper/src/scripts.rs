//! The lock script of 4.3, read as it stands, and what whoever reads the chain makes of it.

use anyhow::{Context as _, Result};
use bitcoin::absolute::LockTime;
use bitcoin::hashes::{Hash, hash160};
use bitcoin::hex::DisplayHex;
use bitcoin::secp256k1::{Secp256k1, XOnlyPublicKey};
use bitcoin::taproot::{LeafVersion, TaprootBuilder};
use bitcoin::transaction::Version;
use bitcoin::{Amount, ScriptBuf, Transaction, TxIn, TxOut, Witness};
use keyway_protocol::suite::Suite;
use keyway_script::asm::assemble;
use keyway_script::exponent::Exponentiation;
use keyway_script::instruction::Instructions;
use keyway_script::{Flags, Spending};

use crate::claim::{Place, Row, Verdict};
use crate::groups;
use crate::random::Stream;
use crate::{Options, Walk};

/// BIP341's point that nobody has the secret of.
const NUMS: &str = "50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0";

/// A group's numbers and both secrets.
struct Agreement {
    p: Vec<u8>,
    a: [u8; 32],
    b: [u8; 32],
    mk: Vec<u8>,
}

impl Agreement {
    fn new(p: &[u8], stream: &mut Stream) -> Result<Self> {
        let (a, b) = (stream.bytes(), stream.bytes());
        let mk = power(&power(&[2], &a, p)?, &b, p)?;
        Ok(Self { p: p.to_vec(), a, b, mk })
    }

    /// `EXPONENT` and what the paper has after it, behind what is pushed before.
    fn lock(&self, before: &str) -> Result<ScriptBuf> {
        let (p, hash) = (self.p.as_hex(), hash160::Hash::hash(&self.mk).to_byte_array());
        let after = format!("<{p}> EXPONENT DUP HASH160 <{}> EQUALVERIFY CHECKSIG", hash.as_hex());
        assemble(&format!("{before} {after}")).map_err(|error| anyhow::anyhow!("{error}"))
    }
}

fn power(base: &[u8], exponent: &[u8], p: &[u8]) -> Result<Vec<u8>> {
    Ok(Exponentiation::new(base, exponent, p).map_err(|error| anyhow::anyhow!("{error}"))?.compute())
}

/// Whether a tapscript of that text is satisfied by that stack, where OP_EXPONENT is enforced.
fn is_spent(stack: &[Vec<u8>], script: &ScriptBuf) -> Result<bool> {
    let internal: XOnlyPublicKey = NUMS.parse()?;
    let info = TaprootBuilder::new().add_leaf(0, script.clone())?.finalize(&Secp256k1::new(), internal);
    let info = info.map_err(|_| anyhow::anyhow!("a tree of one leaf is whole"))?;
    let control =
        info.control_block(&(script.clone(), LeafVersion::TapScript)).context("the leaf is in the tree")?;
    let mut witness = Witness::from_slice(stack);
    witness.push(script.as_bytes());
    witness.push(control.serialize());
    let spent =
        TxOut { value: Amount::ONE_BTC, script_pubkey: ScriptBuf::new_p2tr_tweaked(info.output_key()) };
    let output = vec![TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::new() }];
    let input = vec![TxIn { witness, ..TxIn::default() }];
    let tx = Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input, output };
    let prevouts = [spent];
    let spending = Spending::new(&tx, &prevouts).map_err(|error| anyhow::anyhow!("{error}"))?;
    let input = spending.input(0).context("it has one input")?;
    Ok(input.verify(Flags::CONSENSUS | Flags::EXPONENT).is_ok())
}

/// Whether mk comes out of what everybody sees: each number to the power of each.
fn reads(stack: &[Vec<u8>], script: &ScriptBuf, agreement: &Agreement) -> bool {
    let pushes = Instructions::new(script.as_bytes()).filter_map(Result::ok).map(|it| it.push.to_vec());
    let seen: Vec<Vec<u8>> = stack.iter().cloned().chain(pushes).filter(|item| !item.is_empty()).collect();
    let is_key = |base: &Vec<u8>, exponent: &Vec<u8>| {
        power(base, exponent, &agreement.p).is_ok_and(|value| value == agreement.mk)
    };
    seen.iter().any(|base| seen.iter().any(|exponent| is_key(base, exponent)))
}

pub fn walk(options: Options, walk: &mut Walk) -> Result<()> {
    let mut stream = options.stream("lock script");
    let numbers = groups::rfc7919(Suite::Ffdhe2048, &mut stream)?;
    let agreement = Agreement::new(numbers.modulus(), &mut stream)?;
    let Agreement { p, a, b, .. } = &agreement;
    let no_signature = b"anything".to_vec();
    // Alice's secret in the lock, opened with B; or her share there, opened with Bob's secret.
    let with_a =
        (vec![no_signature.clone(), power(&[2], b, p)?], agreement.lock(&format!("<{}> SWAP", a.as_hex()))?);
    let with_b =
        (vec![no_signature, b.to_vec()], agreement.lock(&format!("<{}>", power(&[2], a, p)?.as_hex()))?);
    let mut spent = [false; 2];
    let mut read = [false; 2];
    for (which, (stack, script)) in [with_a, with_b].iter().enumerate() {
        if let (Some(spent), Some(read)) = (spent.get_mut(which), read.get_mut(which)) {
            *spent = is_spent(stack, script)?;
            *read = reads(stack, script, &agreement);
        }
    }
    let count = |found: [bool; 2]| found.into_iter().filter(|found| *found).count();
    let row = Row {
        claim: "the lock script a p OP_Exponent ... OP_CHECKSIG gives mk to the two alone, and its signature authenticates",
        command: "./x test with_a_number_made_for_the_lock_nobody_else_has_the_key",
        result: format!(
            "in ffdhe2048, by the interpreter: of both ways to read it {} run, each with the word \"anything\" for a \
             signature, and {} give mk to whoever reads the chain",
            count(spent),
            count(read),
        ),
        time: String::new(),
        verdict: Verdict::Fails(
            "either a or b is on the chain, and mk, which OP_CHECKSIG takes for a key of a kind it does not know. Keyway's \
             lock works on a number made for it alone (docs/OP_EXPONENT.md; the next row)"
                .to_owned(),
        )
        .if_shown(count(spent) == 2 && count(read) == 2),
    };
    walk.add(options, Place::Section(4, 3, 1), row);
    Ok(())
}
