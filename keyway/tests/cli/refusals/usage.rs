//! Commands that are typed wrongly, and output that goes nowhere.

use std::fs;

use serde_json::Value;
use snapbox::str;

use super::refused;
use crate::stage::{Run, Stage};

#[test]
fn wrong_usage_is_told_with_exit_code_2() {
    let stage = Stage::funded();
    for (args, told) in [
        ("", "Usage: keyway"),
        ("frobnicate", "unrecognized subcommand 'frobnicate'"),
        ("ofer", "a similar subcommand exists: 'offer'"),
        ("demo --pya 1", "unexpected argument '--pya'"),
        ("demo --pay 12euro", "write it as 250000sat, '250 000 sat', 0.0025btc, or a plain number of sat"),
        ("demo --pay -5", "unexpected argument '-5'"),
        ("demo --pay 0.5sat", "a satoshi has no parts"),
        ("demo --pay 21000001btc", "only 21 million bitcoins"),
        ("demo --suite rot13", "no suite is called `rot13`; known are: x25519"),
        ("demo --carrier pigeon", "no carrier is called `pigeon`; known are: value, static, dynamic"),
        ("cost --pay 250000 --carrier pigeon", "known are: value, static, dynamic"),
        ("cost", "--pay <AMOUNT>"),
        ("demo --answer-in songs", "possible values: sequences, amounts"),
        ("--home car mine 0", "0 is not in 1..=100000"),
        ("--home car mine many", "invalid digit"),
        ("--home car offer charger", "--pay <AMOUNT>"),
        ("--home car card --key-file a --passphrase-file b", "cannot be used with"),
        ("--home x init --name x --chain dogecoin", "no chain is called `dogecoin`"),
        ("--home x init --name no/slash", "a name has 1 to 32 characters"),
        ("--color mauve status", "possible values: auto, always, never"),
        ("completions tcsh", "possible values:"),
        ("help frobnicate", "there is no help for `frobnicate`"),
        ("peer", "Usage: keyway peer"),
        ("--home car keys --reveal charger --json", "cannot be used with"),
        ("--home car --json keys --reveal charger", "the master key is not given as JSON"),
    ] {
        let run = stage.run(args);
        let text = run.stderr.clone();
        assert_eq!((run.code(), run.text().as_str()), (Some(2), ""), "{args}: {text}");
        assert!(text.contains(told), "{args}: {text}");
        let json = stage.run(&format!("--json {args}"));
        if !["", "peer"].contains(&args) {
            let error: Value =
                serde_json::from_str(&json.stderr).unwrap_or_else(|_| panic!("{args}: {}", json.stderr));
            assert_eq!((json.code(), &error["error"]["kind"]), (Some(2), &"usage".into()), "{args}");
            assert!(error["error"]["what"].is_string() && error["error"]["do"].is_string(), "{error}");
        }
    }
}

#[test]
fn whoever_stops_reading_is_no_error() {
    let stage = Stage::agreed();
    for args in
        ["demo", "--help", "--home car show charger", "--json --home car keys", "man", "completions bash"]
    {
        let mut command = stage.command(args);
        let child = command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
        let mut child = child.stderr(std::process::Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{args}: {stderr}");
        assert!(!stderr.contains("error") && !stderr.contains("panicked"), "{args}: {stderr}");
    }
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let stage = Stage::agreed();
    if !std::path::Path::new("/dev/full").exists() {
        eprintln!("skipped: this system has no /dev/full");
        return;
    }
    for args in ["--home car show charger", "--home car card", "demo"] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = stage.command(args);
        let child =
            command.stdin(std::process::Stdio::null()).stdout(full).stderr(std::process::Stdio::piped());
        let output = child.spawn().unwrap().wait_with_output().unwrap();
        refused(
            Run::new(output, stage.path()),
            1,
            str![[r#"
error: cannot write to standard output
  no space left on device (os error 28)
  send the output somewhere else

"#]],
        );
    }
}
