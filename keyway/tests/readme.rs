//! The README's transcripts are what a reader gets who types its commands.
#![cfg(feature = "embedded")]
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "these are tests: they fail by panicking")]

use std::path::Path;
use std::process::Command;

use regex::Regex;
use tempfile::TempDir;

/// A command of a transcript, and what the README says it prints.
struct Typed<'a> {
    command: &'a str,
    printed: String,
}

#[test]
fn every_transcript_of_the_readme_is_what_its_commands_print() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let dir = clone_with_a_build();
    let typed = transcripts(&readme);
    assert_eq!(typed[0].command, "./x demo", "the README opens with the demo");
    for Typed { command, printed } in &typed {
        let got = typed_in(dir.path(), command);
        assert_eq!(masked(&got), masked(printed), "\nthe README's `{command}` prints now:\n{got}");
    }
}

#[test]
fn the_unit_that_operating_shows_is_the_one_in_the_package() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let operating = std::fs::read_to_string(root.join("docs/OPERATING.md")).unwrap();
    let unit = std::fs::read_to_string(root.join("packaging/keyway.service")).unwrap();
    assert!(operating.contains(&format!("```ini\n{unit}```")), "{unit}");
}

/// A mask that let everything through would make the test above worthless.
#[test]
fn what_a_mask_hides_is_only_what_differs_from_run_to_run() {
    assert_eq!(masked("offer 4be1…77 at 03:06:09"), masked("offer 0000…00 at 23:59:59"));
    assert_ne!(masked("fee 916 sat"), masked("fee 917 sat"));
    assert_ne!(masked("block 102"), masked("block 103"));
    assert_ne!(masked("opened nothing ✓"), masked("opened 1 message"));
    let (one, other) =
        ("car A1:B2:C3:D4:E5:F6:07:18 charger A1:B2:C3:D4:E5:F6:07:18", "A1:B2:C3:D4:E5:F6:07:19");
    assert_ne!(masked(one), masked(&format!("car A1:B2:C3:D4:E5:F6:07:18 charger {other}")));
}

/// Rows of the table of costs: price, coins, offer, answer, net.
#[test]
fn the_readmes_table_of_costs_is_what_the_demo_measures() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let row = pattern(
        r"(?m)^\| ([0-9 ]+) sat[^|]*\| ([0-9 ]+) \| ([0-9 ]+) vB \| ([0-9 ]+) vB \| ([0-9 ]+) sat \|$",
    );
    let rows: Vec<[u64; 5]> = row
        .captures_iter(&readme)
        .map(|row| [1, 2, 3, 4, 5].map(|column| row[column].replace(' ', "").parse().unwrap()))
        .collect();
    assert!(rows.len() >= 3, "the table is gone");
    for [price, coins, offer, answer, net] in rows {
        let dir = TempDir::new().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_keyway"))
            .args(["--quiet", "--json", "--home", "demo", "demo", "--pay", &format!("{price}sat")])
            .current_dir(dir.path())
            .output()
            .unwrap();
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let run = &told["runs"][0];
        let [told_coins, told_offer, told_answer, told_net] = [
            &run["offer"]["coins"],
            &run["offer"]["vbytes"],
            &run["answer"]["vbytes"],
            &run["responder"]["netted_sat"],
        ]
        .map(|figure| figure.as_u64().unwrap());
        assert_eq!([told_coins, told_net], [coins, net], "at {price} sat");
        // One signature in a few hundred is a byte shorter.
        for (transaction, told, written) in [("offer", told_offer, offer), ("answer", told_answer, answer)] {
            assert!(told.abs_diff(written) <= 2, "the {transaction} has {told} vB, not {written}");
        }
    }
}

/// Rows of COSTS.md: carrier, suite, way, what each side's transactions take, and both together.
#[test]
fn the_document_of_costs_says_what_the_command_says() {
    let document =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/COSTS.md")).unwrap();
    let row = pattern(
        r"(?m)^\| (value|static|dynamic) \| (\S+) \| (amounts|data|envelope) \| ([0-9 ]+) \| ([0-9 ]+) \| ([0-9 ]+) \|$",
    );
    let number = |text: &str| text.replace(' ', "").parse::<u64>().unwrap();
    let mut together = std::collections::HashMap::new();
    for row in row.captures_iter(&document) {
        let [carrier, suite, way] = [1, 2, 3].map(|column| row[column].to_owned());
        let [payer, payee, both] = [4, 5, 6].map(|column| number(&row[column]));
        let told = cost(&carrier, &suite);
        let vbytes = |place: &serde_json::Value| place["vbytes"].as_u64().unwrap();
        let envelopes = &told["envelopes"];
        let sides = if way == "envelope" {
            [["offer", "offer_commit"], ["answer", "answer_commit"]]
                .map(|parts| parts.iter().map(|part| vbytes(&envelopes[part])).sum::<u64>())
        } else {
            ["offer", "answer"].map(|part| vbytes(&told[part]))
        };
        assert_eq!(([payer, payee], both), (sides, sides.iter().sum()), "{carrier} {suite} {way}");
        together.insert((carrier, suite, way), both);
    }
    assert!(together.len() >= 7, "the table is gone");
    let year =
        pattern(r"(?m)^\| (\w+) \| (\S+) \| (\w+) \| ([0-9 ]+) sat \| ([0-9 ]+) sat \| ([0-9 ]+) sat \|$");
    let years: Vec<_> = year.captures_iter(&document).collect();
    assert!(years.len() >= 5, "the table of a year is gone");
    for row in years {
        let vbytes = together[&(row[1].to_owned(), row[2].to_owned(), row[3].to_owned())];
        assert_eq!(
            [4, 5, 6].map(|column| number(&row[column])),
            [1, 5, 20].map(|feerate| 52 * vbytes * feerate)
        );
    }
}

/// What a coin adds to an answer over any carrier.
#[test]
fn the_document_of_costs_says_what_a_liveness_coin_takes() {
    let document =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/COSTS.md")).unwrap();
    for (carrier, suite) in [("value", "x25519"), ("static", "x25519"), ("dynamic", "x25519-mlkem768")] {
        let [without, with] = [&[][..], &["--liveness"]].map(|more| cost_with(carrier, suite, more));
        let more = |of: &dyn Fn(&serde_json::Value) -> u64| of(&with) - of(&without);
        let vbytes = more(&|told| told["answer"]["vbytes"].as_u64().unwrap());
        let put = more(&|told| told["set_aside_sat"].as_u64().unwrap());
        let netted = without["netted_sat"].as_u64().unwrap() - with["netted_sat"].as_u64().unwrap();
        assert_eq!(netted, put + vbytes, "{carrier}: at one satoshi a virtual byte");
        let put = format!("{} {:03} sat", put / 1_000, put % 1_000);
        let said = format!("adds {vbytes} vB to the first answer and takes {put} on Bitcoin");
        assert!(document.replace('\n', " ").contains(&said), "{carrier}: {said}");
    }
}

fn cost(carrier: &str, suite: &str) -> serde_json::Value {
    cost_with(carrier, suite, &[])
}

fn cost_with(carrier: &str, suite: &str, more: &[&str]) -> serde_json::Value {
    let terms = ["--chain", "bitcoin", "--pay", "250000sat", "--carrier", carrier, "--suite", suite];
    let output = Command::new(env!("CARGO_BIN_EXE_keyway"))
        .args(["--json", "cost"])
        .args(terms)
        .args(more)
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A folder in which the README's commands work as they do in a clone: `./x demo` runs the demo of this build.
fn clone_with_a_build() -> TempDir {
    let dir = TempDir::new().unwrap();
    let bin = dir.path().join("target/debug");
    std::fs::create_dir_all(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_keyway"), bin.join("keyway")).unwrap();
    let x = dir.path().join("x");
    std::fs::write(&x, "#!/bin/sh\nexec target/debug/keyway \"$@\"\n").unwrap();
    std::fs::set_permissions(&x, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    dir
}

fn transcripts(readme: &str) -> Vec<Typed<'_>> {
    let mut typed = Vec::new();
    let mut in_transcript = false;
    for line in readme.lines() {
        if line.starts_with("```") {
            in_transcript = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| in_transcript) {
            typed.push(Typed { command, printed: String::new() });
        } else if in_transcript {
            let printed = &mut typed.last_mut().expect("a transcript begins with a command").printed;
            *printed += line;
            *printed += "\n";
        }
    }
    typed
}

fn typed_in(dir: &Path, command: &str) -> String {
    let path = format!("{}:{}", dir.join("target/debug").display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; {command}")])
        .current_dir(dir)
        .env("PATH", path)
        .env("COLUMNS", "100")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Replaces what is drawn at random or read from the clock by a letter for its kind, and fingerprints by their
/// order of appearance: equal ones stay equal.
fn masked(text: &str) -> String {
    let mut prints: Vec<String> = Vec::new();
    let text =
        pattern(r"\b[0-9A-F]{2}(:[0-9A-F]{2}){7}\b").replace_all(text, |found: &regex::Captures<'_>| {
            let known = prints.iter().position(|print| *print == found[0]);
            format!(
                "<print {}>",
                known.unwrap_or_else(|| {
                    prints.push(found[0].to_owned());
                    prints.len() - 1
                })
            )
        });
    let masks = [
        (r"\b[0-9a-f]{3,4}…[0-9a-f]{2}\b", "<id>"),
        (r"\b0[23][0-9a-f]{64}\b", "<key>"),
        (r"\bbcrt1q[0-9a-z]{38}\b", "<address>"),
        (r"\b[0-9a-f]{8}\b", "<id>"),
        (r"\bshow [0-9a-f]{4}\b", "show <id>"),
        (r"\b[0-9]{2}:[0-9]{2}:[0-9]{2}\b", "<time>"),
        // A signature in a few hundred is a byte shorter than the others.
        (r"\b[0-9 ]+ vB\b", "<size> vB"),
        (r"(?m)^ledger   /.*/chain$", "ledger   <folder>/chain"),
    ];
    masks
        .iter()
        .fold(text.into_owned(), |text, (mask, with)| pattern(mask).replace_all(&text, *with).into_owned())
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap()
}
