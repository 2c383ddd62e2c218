//! `vectors/op_exponent.json`: operands alone, and whole scripts.

use bitcoin::hex::{DisplayHex, FromHex};
use keyway_script::asm::assemble;
use keyway_script::exponent::Exponentiation;
use keyway_script::{Flags, ScriptError};

use crate::file;
use crate::json::{Json, hex, object};
use crate::lock;
use crate::spend::Leaf;

#[test]
fn the_vectors_of_op_exponent_are_what_the_code_gives() {
    let (operations, scripts) = (operations(), scripts());
    assert!(operations.len() + scripts.len() >= 60);
    file::check("op_exponent.json", &object! { "operations": operations, "scripts": scripts });
}

/// `outcome` is the result, or the name of the failure.
fn operation(id: &str, comment: &str, operands: [&[u8]; 3], outcome: Outcome<'_>) -> Json {
    let [base, exponent, modulus] = operands;
    let found = Exponentiation::new(base, exponent, modulus);
    match (&found, &outcome) {
        (Ok(operation), Is(expected)) => assert_eq!(operation.compute(), *expected, "{id}"),
        (Err(error), Fails(name)) => assert_eq!(error.name(), *name, "{id}"),
        (Ok(_), Computed) => {}
        _ => panic!("{id}: {found:?}"),
    }
    object! {
        "id": id,
        "comment": comment,
        "base": hex(base),
        "exponent": hex(exponent),
        "modulus": hex(modulus),
        "result": found.as_ref().ok().map(|operation| hex(operation.compute())),
        "price": found.as_ref().ok().map(|operation| Json::Number(operation.price() as u64)),
        "error": found.as_ref().err().map(|error| Json::from(error.name())),
    }
}

enum Outcome<'a> {
    Is(&'a [u8]),
    /// Too long to write down here; the second implementation computes it too.
    Computed,
    Fails(&'a str),
}

use Outcome::{Computed, Fails, Is};

fn operations() -> Vec<Json> {
    [small_operations(), refused_operations(), long_operations()].into_iter().flatten().collect()
}

fn small_operations() -> Vec<Json> {
    vec![
        operation("two-cubed", "2^3 = 8 = 1 mod 7", [&[2], &[3], &[7]], Is(&[1])),
        operation("three-squared", "the base is squared", [&[3], &[2], &[11]], Is(&[9])),
        operation("exponent-zero", "anything to the power of zero is one", [&[5], &[], &[7]], Is(&[1])),
        operation("zero-to-zero", "and so is zero", [&[], &[], &[7]], Is(&[1])),
        operation("base-zero", "zero is the empty string, also as a result", [&[], &[5], &[7]], Is(&[])),
        operation("base-one", "one stays one", [&[1], &[0xff; 4], &[7]], Is(&[1])),
        operation("least-modulus", "3 is the least modulus", [&[2], &[3], &[3]], Is(&[2])),
        operation("multiple", "a result of zero that is no power of zero", [&[3], &[2], &[9]], Is(&[])),
        operation("fermat", "a^(p-1) = 1 for a prime p", [&[2], &[100], &[101]], Is(&[1])),
        operation("composite", "the modulus need not be prime", [&[2], &[10], &[15]], Is(&[4])),
        operation("minus-one", "(-1)^2", [&[0xfe], &[2], &[0xff]], Is(&[1])),
        operation("minus-one-odd", "(-1)^3", [&[0xfe], &[3], &[0xff]], Is(&[0xfe])),
        operation("high-bit", "operands are unsigned", [&[0x80], &[1], &[0x81]], Is(&[0x80])),
        operation("two-bytes", "operands are big-endian", [&[1, 0], &[1], &[1, 1]], Is(&[1, 0])),
        operation("short-result", "a result has no leading zeros", [&[1, 0], &[2], &[1, 1]], Is(&[1])),
        operation("word", "a modulus of 64 bits", [&[0xff; 7], &[1, 0, 1], &[0xff; 8]], Computed),
    ]
}

fn refused_operations() -> Vec<Json> {
    let (long, at_limit) = ([0xff; 513], [0xff; 512]);
    vec![
        operation("modulus-zero", "there is no residue", [&[], &[1], &[]], Fails("EXPONENT_MODULUS")),
        operation("modulus-one", "too small", [&[], &[1], &[1]], Fails("EXPONENT_MODULUS")),
        operation("modulus-two", "too small, and even", [&[1], &[1], &[2]], Fails("EXPONENT_MODULUS")),
        operation("modulus-even", "even", [&[3], &[2], &[8]], Fails("EXPONENT_MODULUS")),
        operation(
            "modulus-even-long",
            "the last bit counts",
            [&[3], &[2], &[0xff, 0xfe]],
            Fails("EXPONENT_MODULUS"),
        ),
        operation("base-equal", "the base is the modulus", [&[7], &[2], &[7]], Fails("EXPONENT_BASE")),
        operation("base-above", "the base is above it", [&[8], &[2], &[7]], Fails("EXPONENT_BASE")),
        operation("base-longer", "the base has more bytes", [&[1, 0], &[2], &[0xff]], Fails("EXPONENT_BASE")),
        operation(
            "zero-base",
            "zero is no byte, not a zero byte",
            [&[0], &[2], &[7]],
            Fails("EXPONENT_LEADING_ZERO"),
        ),
        operation("zero-exponent", "nor is an exponent", [&[2], &[0], &[7]], Fails("EXPONENT_LEADING_ZERO")),
        operation("padded-base", "a leading zero", [&[0, 2], &[2], &[7]], Fails("EXPONENT_LEADING_ZERO")),
        operation("padded-exponent", "a leading zero", [&[2], &[0, 2], &[7]], Fails("EXPONENT_LEADING_ZERO")),
        operation("padded-modulus", "a leading zero", [&[2], &[2], &[0, 7]], Fails("EXPONENT_LEADING_ZERO")),
        operation(
            "zero-modulus",
            "looked at before its value",
            [&[2], &[2], &[0]],
            Fails("EXPONENT_LEADING_ZERO"),
        ),
        operation("long-base", "513 bytes", [&long, &[2], &[7]], Fails("EXPONENT_OPERAND_SIZE")),
        operation("long-exponent", "513 bytes", [&[2], &long, &[7]], Fails("EXPONENT_OPERAND_SIZE")),
        operation("long-modulus", "513 bytes", [&[2], &[2], &long], Fails("EXPONENT_OPERAND_SIZE")),
        operation(
            "size-first",
            "sizes come before all else",
            [&[0], &long, &[8]],
            Fails("EXPONENT_OPERAND_SIZE"),
        ),
        operation(
            "zeros-second",
            "leading zeros come next",
            [&[0], &[1], &[8]],
            Fails("EXPONENT_LEADING_ZERO"),
        ),
        operation(
            "modulus-third",
            "the modulus before the base",
            [&[9], &[1], &[8]],
            Fails("EXPONENT_MODULUS"),
        ),
        operation(
            "base-at-limit",
            "512 bytes, and the modulus itself",
            [&at_limit, &[1], &at_limit],
            Fails("EXPONENT_BASE"),
        ),
    ]
}

/// Around the units of 64 bytes in which moduli are priced, and at the limits.
fn long_operations() -> Vec<Json> {
    let [ones_63, ones_64, ones_65, ones_512] = [63, 64, 65, 512].map(|length| vec![0xff; length]);
    let p = lock::modulus();
    let generated = |length| (0..).map(|nth: u32| (nth * 151 + 89) as u8).take(length).collect::<Vec<u8>>();
    vec![
        operation(
            "63-bytes",
            "a unit of the price, not full",
            [&generated(63), &[1, 0, 1], &ones_63],
            Computed,
        ),
        operation("64-bytes", "a unit of the price", [&generated(64), &[1, 0, 1], &ones_64], Computed),
        operation("65-bytes", "two units", [&generated(65), &[1, 0, 1], &ones_65], Computed),
        operation("2048-128", "2048 bits to 128", [&generated(255), &generated(16), &p], Computed),
        operation("2048-256", "2048 bits to 256", [&generated(255), &generated(32), &p], Computed),
        operation(
            "2048-255",
            "an exponent of one bit less costs less",
            [&generated(255), &[0x7f; 32], &p],
            Computed,
        ),
        operation("2048-2048", "2048 bits to as many", [&generated(255), &generated(256), &p], Computed),
        operation("4096-256", "4096 bits to 256", [&generated(511), &generated(32), &ones_512], Computed),
        operation("4096-4096", "the dearest", [&generated(511), &ones_512, &ones_512], Computed),
        operation(
            "generator",
            "2^q = 1 in the group of RFC 7919, p = 2q + 1",
            [&[2], &lock::order(), &p],
            Is(&[1]),
        ),
    ]
}

/// A script that spends, or why not. The flags are the consensus rules, with EXPONENT unless the id says otherwise.
fn script(id: &str, comment: &str, stack: &[Vec<u8>], text: &str, error: Option<&str>) -> Json {
    let without = id.starts_with("unenforced");
    let flags = if without { Flags::CONSENSUS } else { Flags::CONSENSUS | Flags::EXPONENT };
    let leaf = Leaf::new(stack, &assemble(text).unwrap());
    assert_eq!(leaf.verify(flags).err().map(ScriptError::name), error, "{id}");
    object! {
        "id": id,
        "comment": comment,
        "stack": stack.iter().map(hex).collect::<Vec<Json>>(),
        "script": text,
        "flags": flags.to_string(),
        "budget": leaf.budget(),
        "error": error.map(Json::from),
    }
}

fn scripts() -> Vec<Json> {
    [stack_scripts(), success_scripts(), budget_scripts(), lock_scripts()].into_iter().flatten().collect()
}

fn stack_scripts() -> Vec<Json> {
    let none: &[Vec<u8>] = &[];
    let item = |bytes: &[u8]| vec![bytes.to_vec()];
    let invalid = Some("INVALID_STACK_OPERATION");
    vec![
        script(
            "order",
            "exponent, base, modulus, the modulus on top",
            none,
            "<03> <02> <07> EXPONENT 1 EQUAL",
            None,
        ),
        script(
            "order-wrong",
            "the other way round",
            none,
            "<07> <02> <03> EXPONENT 1 EQUAL",
            Some("EVAL_FALSE"),
        ),
        script(
            "from-witness",
            "the exponent comes from the witness",
            &item(&[3]),
            "<02> <07> EXPONENT 1 EQUAL",
            None,
        ),
        script(
            "wrong-exponent",
            "another one",
            &item(&[2]),
            "<02> <07> EXPONENT 1 EQUAL",
            Some("EVAL_FALSE"),
        ),
        script("empty-stack", "nothing there", none, "EXPONENT", invalid),
        script("two-items", "one too few", none, "<02> <07> EXPONENT", invalid),
        script("takes-three", "three items become one", none, "<03> <02> <07> EXPONENT", None),
        script(
            "takes-no-more",
            "what lies below stays",
            &item(&[9]),
            "<03> <02> <07> EXPONENT",
            Some("CLEANSTACK"),
        ),
        script(
            "zero-is-false",
            "a result of zero is the empty item",
            none,
            "<02> <03> <09> EXPONENT",
            Some("EVAL_FALSE"),
        ),
        script("zero-is-empty", "and nothing else", none, "<02> <03> <09> EXPONENT 0 EQUAL", None),
        script(
            "chained",
            "a result can be the next operand",
            none,
            "<02> <03> <02> <0b> EXPONENT <0d> EXPONENT 12 EQUAL",
            None,
        ),
        script(
            "verify",
            "fails the script, not the operation",
            none,
            "<02> <07> <02> EXPONENT",
            Some("EXPONENT_MODULUS"),
        ),
        script(
            "padded-witness",
            "nobody can add a zero to the witness",
            &item(&[0, 3]),
            "<02> <07> EXPONENT 1 EQUAL",
            Some("EXPONENT_LEADING_ZERO"),
        ),
        script(
            "long-operand",
            "520 bytes may be pushed, not exponentiated with",
            &[vec![0xff; 520]],
            "<02> <07> EXPONENT",
            Some("EXPONENT_OPERAND_SIZE"),
        ),
        script(
            "long-item",
            "521 bytes may not even be pushed",
            &[vec![0xff; 521]],
            "<02> <07> EXPONENT",
            Some("PUSH_SIZE"),
        ),
        script(
            "not-taken",
            "nothing happens in a branch that is not taken",
            none,
            "0 IF EXPONENT ENDIF 1",
            None,
        ),
        script("taken", "in the other it does", none, "1 IF EXPONENT ENDIF 1", invalid),
    ]
}

fn success_scripts() -> Vec<Json> {
    let none: &[Vec<u8>] = &[];
    vec![
        script(
            "unenforced",
            "an OP_SUCCESS to whoever does not know it",
            none,
            "<02> <07> <02> EXPONENT",
            None,
        ),
        script("unenforced-unreadable", "whatever else the script is", none, "EXPONENT 0x05ff", None),
        script("unreadable", "a script is readable to its end", none, "EXPONENT 0x05ff", Some("BAD_OPCODE")),
        script("other-success", "another OP_SUCCESS succeeds, before", none, "0xef EXPONENT", None),
        script("other-success-after", "and after", none, "0 0 0 EXPONENT CAT", None),
        script(
            "return",
            "the rest of the script has its meaning",
            none,
            "<03> <02> <07> EXPONENT RETURN",
            Some("OP_RETURN"),
        ),
    ]
}

/// What is paid for, to the unit: 2048 bits to 256 cost 571.
fn budget_scripts() -> Vec<Json> {
    let weight = Some("TAPSCRIPT_VALIDATION_WEIGHT");
    let p = lock::modulus().to_lower_hex_string();
    let once = |pad: usize| format!("<{}> DROP <02> <{p}> EXPONENT", "00".repeat(pad));
    let exponent = vec![vec![0xff; 32]];
    let budget = |pad: usize| Leaf::new(&exponent, &assemble(&once(pad)).unwrap()).budget();
    let enough = (1..=520).find(|pad| budget(*pad) >= 571).unwrap();
    let ones = "ff".repeat(512);
    let dearest = |pads: usize| {
        let pad = format!("<{}> DROP ", "00".repeat(520)).repeat(pads);
        format!("{pad}<02> <{ones}> EXPONENT")
    };
    let thrice = "3DUP EXPONENT DROP 3DUP EXPONENT DROP EXPONENT";
    vec![
        script("just-enough", "the budget is the price", &exponent, &once(enough), None),
        script("one-too-little", "the budget is one less", &exponent, &once(enough - 1), weight),
        script(
            "4096-natural",
            "4096 bits to 256 cost more than their own bytes pay for",
            &exponent,
            &dearest(0),
            weight,
        ),
        script("4096-padded", "with three pushes more they do not", &exponent, &dearest(3), None),
        script("adds-up", "each operation is paid for", &exponent, &format!("<02> <{p}> {thrice}"), weight),
        script("cheap-adds-up", "three cheap ones", &[vec![3]], &format!("<02> <07> {thrice}"), None),
        script("unenforced-budget", "an OP_SUCCESS costs nothing", &exponent, &dearest(0), None),
    ]
}

/// The lock of a payment, in the group ffdhe2048.
fn lock_scripts() -> Vec<Json> {
    let t = Vec::from_hex(&"5a".repeat(32)).unwrap();
    let text = lock::script(&lock::base(), &t);
    let other = vec![0x5b; 32];
    vec![
        script("lock", "t opens the lock", &[t], &text, None),
        script("lock-other", "another number does not", &[other], &text, Some("EQUALVERIFY")),
        script("lock-zero", "nor does zero", &[Vec::new()], &text, Some("EQUALVERIFY")),
        script("unenforced-lock", "where nobody enforces it anything does", &[Vec::new()], &text, None),
    ]
}
