//! Money that is missing, or in use.

use serde_json::Value;
use snapbox::str;

use super::refused;
use crate::stage::Stage;

#[test]
fn money_that_does_not_suffice_is_refused_with_what_is_missing() {
    let stage = Stage::funded();
    refused(
        stage.run("--home car offer charger --pay 50753"),
        4,
        str![[r#"
error: 50753 sat is too little for the value carrier
  its 33 bytes and their checksum need at least 50754 sat, in 40 outputs
  pay more

"#]],
    );
    refused(
        stage.run("--home car offer charger --pay 0"),
        4,
        str![[r#"
error: 0 sat is too little for the value carrier
  its 33 bytes and their checksum need at least 50754 sat, in 40 outputs
  pay more

"#]],
    );
    refused(
        stage.run("--home car offer charger --pay 60000 --answer-in amounts"),
        4,
        str![[r#"
error: 60000 sat is too little: collecting it would cost the responder 75866 sat
  the answer's fee and the amounts that it pays back come out of the price
  pay more than 75866 sat, or wait for lower fees

"#]],
    );
    refused(
        stage.run("--home car offer charger --pay 0.06btc"),
        1,
        str![[r#"
error: not enough funds: 1000872 sat are missing
  6000872 sat are needed, fee included, and 5000000 sat can be spent
  send more to [ADDRESS]; on the embedded ledger by `keyway fund`

"#]],
    );
    refused(
        stage.run("--home charger offer car --pay 60000"),
        1,
        str![[r#"
error: not enough funds: 61226 sat are missing
  61226 sat are needed, fee included, and 0 sat can be spent
  send more to [ADDRESS]; on the embedded ledger by `keyway fund`

"#]],
    );
    refused(
        stage.run("--home car fund 39999"),
        2,
        str![[r#"
error: 39999 sat is too little to fund a home
  it is split into 4 coins of at least 10000 sat
  ask for 40000 sat or more

"#]],
    );
    let lacking = stage.run("--home car --json offer charger --pay 0.06btc");
    let error: Value = serde_json::from_str(&lacking.stderr).unwrap();
    snapbox::assert_data_eq!(
        crate::stage::masked(&error.to_string(), stage.path()),
        str![[
            r#"{"error":{"do":"send more to [ADDRESS]; on the embedded ledger by `keyway fund`","kind":"failed","what":"not enough funds: 1000872 sat are missing","why":"6000872 sat are needed, fee included, and 5000000 sat can be spent"}}"#
        ]]
    );

    assert_eq!(stage.json("--home car keys").as_array().unwrap().len(), 0, "nothing was kept");
    stage.ok("--home car fund 0.02btc");
    stage.ok("--home car offer charger --pay 0.06btc");
}

#[test]
fn every_confirmed_coin_in_use_says_come_back_later() {
    let stage = Stage::funded();
    for _ in 0..4 {
        stage.ok("--home car offer charger --pay 60000");
    }
    refused(
        stage.run("--home car offer charger --pay 60000"),
        3,
        str![[r#"
error: not yet: every confirmed coin is in use
  an offer must spend a confirmed coin first
  run it again after the next block

"#]],
    );
    stage.ok("--home car mine");
    stage.ok("--home car offer charger --pay 60000");
}

#[test]
fn a_price_that_does_not_pay_for_a_coin_beside_is_refused_with_what_it_must_pay_for() {
    let stage = Stage::new();
    stage.ok("cost --pay 55800sat --feerate 22");
    refused(
        stage.run("cost --pay 55800sat --feerate 22 --liveness"),
        4,
        str![[r#"
error: 55800 sat is too little: collecting it would cost the responder 57009 sat
  the answer's fee and the coin come out of the price
  pay more than 57009 sat, or wait for lower fees

"#]],
    );
    refused(
        stage.run("cost --pay 2000sat --feerate 5 --carrier static --suite x25519 --liveness"),
        4,
        str![[r#"
error: 2000 sat is too little for the static carrier
  its outputs and the fee to collect them need at least 2643 sat
  pay more

"#]],
    );
}
