//! Help, completions and manual pages.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use snapbox::str;

use crate::stage::{KEYWAY, Stage, output_of};

#[test]
fn help_is_one_text_however_it_is_asked_for() {
    let stage = Stage::new();
    for command in [
        "init",
        "card",
        "trace",
        "evidence",
        "evidence verify",
        "peer",
        "peer add",
        "fund",
        "offer",
        "sync",
        "keys",
        "show",
        "seal",
        "open",
        "demo",
    ] {
        let long = stage.ok(&format!("{command} --help"));
        assert_eq!(stage.ok(&format!("help {command}")), long, "{command}");
        assert!(long.contains("Example:") && long.contains("Usage: keyway"), "{long}");
    }
    assert_eq!(stage.ok("help"), stage.ok("--help"));
    snapbox::assert_data_eq!(
        stage.ok("help exit-codes"),
        str![[r#"
Exit codes

  0  done
  1  failed: a wrong passphrase, a damaged store, not enough money, a demo that did not hold
  2  wrong usage: an unknown option, an amount that is none
  3  not yet: nothing is wrong, come back after the next block
  4  refused by policy: a price too low, a card that is not accepted, a message opened before
  5  the ledger cannot be reached, is in use, damaged, behind, or of another chain

Errors go to standard error: what happened, then indented why and what to do. With --json they are one line
of JSON: {"error": {"kind", "what", "why", "do"}}, kind being failed, usage, not-yet, refused or ledger.

Example:
  keyway --home car seal charger message > sealed || test $? -eq 3 && echo 'later'

"#]]
    );
    snapbox::assert_data_eq!(
        stage.ok("help amounts"),
        str![[r#"
Amounts

  250000sat       satoshis, 1/100 000 000 of a bitcoin; sats is fine too
  '250 000 sat'   the same; groups may be parted by spaces or _
  250000          the same: a plain number means satoshis
  0.0025btc       the same in bitcoins

Example:
  keyway --home car offer charger --pay 0.0025btc

"#]]
    );
}

#[test]
fn the_example_by_hand_in_the_help_does_what_it_says() {
    let stage = Stage::new();
    let help = stage.ok("--help");
    let (_, by_hand) = help.split_once("By hand, two parties beside each other:\n").unwrap();
    let script: String =
        by_hand.lines().take_while(|line| line.starts_with("  ")).collect::<Vec<_>>().join("\n");
    assert!(script.matches("keyway").count() >= 15, "{script}");
    let folder = Path::new(KEYWAY).parent().unwrap().display();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", &script]).env("PATH", path).current_dir(stage.path());
    let output = output_of(&mut shell, b"");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("\nhello\n"), "{told}");
}

#[test]
fn every_shell_gets_completions_for_every_command() {
    let stage = Stage::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = stage.ok(&format!("completions {shell}"));
        for word in ["init", "offer", "answer-in", "words-to", "completions"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        fs::write(stage.join(shell), script).unwrap();
    }
    let checked = Command::new("bash").arg("-n").arg(stage.join("bash")).status();
    assert!(checked.is_ok_and(|status| status.success()));
}

#[test]
fn every_command_has_a_manual_page() {
    let stage = Stage::new();
    assert!(stage.ok("man").contains(".TH KEYWAY"));
    let run = stage.run("man --out pages/man1");
    assert_eq!((run.code(), run.text().as_str()), (Some(0), ""));
    let pages: BTreeSet<String> = fs::read_dir(stage.join("pages/man1"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let names = "backup cancel card completions config config-check config-sample cost demo enforce evidence evidence-export \
                 evidence-open evidence-show evidence-verify fund help init keys lab lab-answer lab-break \
                 lab-key lab-list lab-offer man mine offer open params params-check params-generate params-list \
                 params-publish peer peer-add peer-import peer-introduce peer-list peer-remove peer-revoke \
                 psbt revoke rotate script script-asm script-disasm script-run seal serve show status submit sync trace";
    let expected = names.split(' ').map(|name| format!("keyway-{name}.1")).chain(["keyway.1".to_owned()]);
    assert_eq!(pages, expected.collect());
    for page in &pages {
        let text = fs::read_to_string(stage.join("pages/man1").join(page)).unwrap();
        assert!(text.contains("keyway") && text.contains("Example:"), "{page}");
        // What groff reads without being told of an encoding.
        assert!(text.is_ascii(), "{page}: {:?}", text.lines().find(|line| !line.is_ascii()));
        assert!(text.contains(&format!(".TH {}", page.trim_end_matches(".1").to_uppercase())), "{page}");
    }
    assert!(run.stderr.contains(&format!("{} pages", pages.len())), "{}", run.stderr);
}

#[test]
fn the_version_is_told() {
    assert_eq!(Stage::new().ok("--version"), format!("keyway {}\n", env!("CARGO_PKG_VERSION")));
}
