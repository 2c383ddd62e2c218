//! `keyway script`: scripts as text, and step by step.

use snapbox::{IntoData, str};

use crate::stage::{Run, Stage};

fn script(args: &[&str]) -> Run {
    let stage = Stage::new();
    let mut command = stage.command("script");
    command.args(args);
    stage.finish(&mut command, b"")
}

#[track_caller]
fn shows(args: &[&str], expected: impl IntoData) {
    let run = script(args);
    assert_eq!(run.code(), Some(0), "{}", run.stderr);
    snapbox::assert_data_eq!(run.text(), expected);
}

#[test]
fn a_script_becomes_bytes_and_text_again() {
    shows(
        &["asm", "DUP HASH160 <00112233> EQUALVERIFY -1"],
        str![[r#"
76a90400112233884f

"#]],
    );
    shows(
        &["disasm", "76a90400112233884fee4c01"],
        str![[r#"
OP_DUP OP_HASH160 <00112233> OP_EQUALVERIFY OP_1NEGATE OP_EXPONENT 0x4c01

"#]],
    );
}

#[test]
fn each_step_is_shown_with_the_stack_that_it_leaves() {
    shows(
        &["run", "<02> <07> EXPONENT 1 EQUAL", "--unlock", "3"],
        str![[r#"
scriptPubKey, 34 bytes
    0  OP_1                        01
    1  <5b18cc4c…d19b> (32)        01 5b18cc4c…d19b (32)
tapscript, 7 bytes, budget 95 weight units
    0  <02>                        03 02
    2  <07>                        03 02 07
    4  OP_EXPONENT                 01  for 18 weight units
    5  OP_1                        01 01
    6  OP_EQUAL                    01
it verifies

"#]],
    );
    shows(
        &["run", "IF 2 ELSE 3 4 ADD ENDIF", "--unlock", "<> ", "--as", "segwit"],
        str![[r#"
scriptPubKey, 34 bytes
    0  OP_0                        <>
    1  <8087efdf…1337> (32)        <> 8087efdf…1337 (32)
witness script, 7 bytes
    0  OP_IF                       (nothing)
    1    OP_2                      not executed
    2    OP_ELSE                   (nothing)
    3    OP_3                      03
    4    OP_4                      03 04
    5    OP_ADD                    07
    6    OP_ENDIF                  07
it verifies

"#]],
    );
}

#[test]
fn a_script_that_fails_says_where_and_why() {
    let run = script(&["run", "<02> <08> EXPONENT", "--unlock", "<0102030405060708090a> 3"]);
    assert_eq!(run.code(), Some(1));
    snapbox::assert_data_eq!(
        run.text(),
        str![[r#"
scriptPubKey, 34 bytes
    0  OP_1                        01
    1  <5f3b9d37…1a0c> (32)        01 5f3b9d37…1a0c (32)
tapscript, 5 bytes, budget 104 weight units
    0  <02>                        01020304…090a (10) 03 02
    2  <08>                        01020304…090a (10) 03 02 08
    4  OP_EXPONENT                 fails
it fails: EXPONENT_MODULUS

"#]]
    );
    snapbox::assert_data_eq!(
        run.stderr.clone(),
        str![[r#"
error: the script fails
  the modulus of OP_EXPONENT is even or less than 3 (EXPONENT_MODULUS)
  the steps show where

"#]]
    );
}

#[test]
fn without_the_rule_op_exponent_is_an_op_success() {
    let script = ["run", "<02> <08> EXPONENT", "--unlock", "3", "--flags", "CONSENSUS"];
    shows(
        &script,
        str![[r#"
scriptPubKey, 34 bytes
    0  OP_1                        01
    1  <5f3b9d37…1a0c> (32)        01 5f3b9d37…1a0c (32)
it verifies

"#]],
    );
}

#[test]
fn json_has_every_step_whole() {
    let run = script(&["run", "<02> <07> EXPONENT 1 EQUAL", "--unlock", "3", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!((&report["verifies"], &report["error"]), (&true.into(), &serde_json::Value::Null));
    let leaf = &report["scripts"][2];
    assert_eq!(
        (&leaf["part"], &leaf["steps"][2]["instruction"]),
        (&"tapscript".into(), &"OP_EXPONENT".into())
    );
    assert_eq!(leaf["steps"][2]["stack"], serde_json::json!(["03", "02", "07"]));
    assert_eq!(leaf["left"], serde_json::json!(["01"]));
}

#[test]
fn an_input_of_a_transaction_runs_with_what_it_spends() {
    // One input with an empty scriptSig, one output of nothing.
    let tx = format!("0200000001{}00000000000000000001000000000000000000{}", "11".repeat(32), "00000000");
    let run = script(&["run", "--tx", &tx, "--spends", "1000sat:5152"]);
    assert_eq!(run.code(), Some(0), "{}{}", run.text(), run.stderr);
    assert!(run.text().ends_with("it verifies\n"), "{}", run.text());
    let refused = script(&["run", "--tx", &tx, "--spends", "1sat:51", "--spends", "1sat:51"]);
    snapbox::assert_data_eq!(
        refused.explained(2),
        str![[r#"
error: what the transaction spends is not complete
  the transaction has 1 inputs, and 2 spent outputs were given
  say --spends once for each input, in their order

"#]]
    );
    let cut = script(&["run", "--tx", &tx[..60], "--spends", "1sat:51"]);
    snapbox::assert_data_eq!(
        cut.explained(2),
        str![[r#"
error: this is no transaction
  it ends too early
  give all of it, as it is sent

"#]]
    );
}
