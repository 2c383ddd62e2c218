//! The quick walk, and the laws of its tables.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use keyway_paper::{Options, Place, Table, Verdict, Walk, claims_table};

const SEED: u64 = 1;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn walk(seed: u64) -> Walk {
    keyway_paper::walk(Options { seed, quick: true }, &root(), &mut |what| println!("{what}")).unwrap()
}

fn table<'w>(walk: &'w Walk, name: &str) -> &'w Table {
    &walk.figures.iter().find(|figure| figure.name == name).unwrap().table
}

/// Rows by the names of their columns, as a reader of the file gets them.
fn rows(table: &Table) -> Vec<HashMap<String, String>> {
    let bytes = table.to_csv().unwrap();
    let mut reader = csv::Reader::from_reader(&bytes[..]);
    reader.deserialize().map(Result::unwrap).collect()
}

/// The file without what differs from run to run.
fn without_times(table: &Table) -> Vec<Vec<String>> {
    let keep: Vec<bool> = table.columns.iter().map(|name| !name.starts_with("time")).collect();
    let kept = |row: &Vec<String>| {
        row.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(value, _)| value.clone()).collect()
    };
    table.rows.iter().map(kept).collect()
}

#[test]
fn every_algorithm_section_and_proposition_has_a_row_and_the_run_shows_what_the_row_says() {
    let walk = walk(SEED);
    let has = |place: Place| walk.claims.iter().any(|claim| claim.place == place);
    assert!((1..=5).all(|number| has(Place::Algorithm(number))));
    assert!((1..=10).all(|number| has(Place::Proposition(number))));
    assert!((1..=14).all(|number| has(Place::Erratum(number))));
    assert!((1..=4).all(|point| has(Place::Section(3, 2, point))));
    for section in 1..=4 {
        let of = |claim: &keyway_paper::Claim| matches!(claim.place, Place::Section(4, found, _) if found == section);
        assert!(walk.claims.iter().any(of), "4.{section}");
    }
    for claim in &walk.claims {
        assert!(!claim.claim.is_empty() && !claim.result.is_empty() && claim.seed == SEED, "{claim:?}");
        assert!(!matches!(claim.verdict, Verdict::NotShown(_)), "{claim:#?}");
    }
    the_commands_are_there(&walk);
    draws_are_those_expected(&walk);
    pairs_are_counted(&walk);
    carriers_are_paid_as_reckoned(&walk);
    for figure in &walk.figures {
        let svg = figure.plot.to_svg().unwrap();
        assert!(svg.starts_with("<svg") && !svg.contains("NaN") && !svg.contains("inf"), "{}", figure.name);
        assert!(
            figure.table.rows.iter().all(|row| row.len() == figure.table.columns.len()),
            "{}",
            figure.name
        );
    }
}

/// Tests by their names, and the script by its verbs.
fn the_commands_are_there(walk: &Walk) {
    let script = std::fs::read_to_string(root().join("x")).unwrap();
    let mut sources = String::new();
    for claim in &walk.claims {
        for command in claim.command.split("; ") {
            let Some(command) = command.strip_prefix("./x ") else { continue };
            let (verb, argument) = command.split_once(' ').unwrap_or((command, ""));
            assert!(script.contains(&format!("\nverb_{}() {{", verb.replace('-', "_"))), "{command}");
            if verb == "test" {
                if sources.is_empty() {
                    read_sources(&root(), &mut sources);
                }
                assert!(sources.contains(&format!("fn {argument}(")), "{command}");
            }
        }
    }
}

fn read_sources(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            read_sources(&path, into);
        } else if name.ends_with(".rs") {
            into.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

fn draws_are_those_expected(walk: &Walk) {
    let rows = rows(table(walk, "draws"));
    for kind in ["random numbers", "odd numbers", "random numbers, for a safe prime"] {
        assert!(rows.iter().filter(|row| row["drawn"] == kind).count() >= 3, "{kind}");
    }
    for row in rows {
        let number = |name: &str| row[name].parse::<f64>().unwrap();
        let (mean, low, high) = (number("mean_draws"), number("low_95"), number("high_95"));
        assert!(low < mean && mean < high, "{row:?}");
        // Twice the interval: all but one in 10,000 runs.
        assert!((number("expected_draws") - mean).abs() < high - low, "{row:?}");
    }
}

fn pairs_are_counted(walk: &Walk) {
    let rows = rows(table(walk, "pairs"));
    assert_eq!(rows.len(), 19);
    for (row, n) in rows.iter().zip(2u64..) {
        let number = |name: &str| row[name].parse::<u64>().unwrap();
        assert_eq!(number("parties"), n);
        for counted in ["pairs", "negotiations", "same_on_both_sides", "distinct_keys"] {
            assert_eq!(number(counted), n * (n - 1) / 2, "{counted} of {n}");
        }
        assert_eq!((number("cards_by_hand"), number("introductions")), (n * (n - 1), n));
        if !row["ledger_keys"].is_empty() {
            assert_eq!(
                (number("ledger_keys"), number("ledger_transactions")),
                (n * (n - 1) / 2, n * (n - 1))
            );
            assert!(number("ledger_fees_sat_at_1") >= number("ledger_vbytes"), "{row:?}");
        }
    }
    assert!(rows.iter().any(|row| !row["ledger_keys"].is_empty()));
}

fn carriers_are_paid_as_reckoned(walk: &Walk) {
    let rows = rows(table(walk, "carriers"));
    for carrier in ["value", "static", "dynamic"] {
        let paid = rows.iter().filter(|row| row["carrier"] == carrier && row["ledger_agrees"] == "true");
        assert!(paid.count() > 0, "{carrier}");
    }
    assert!(rows.iter().all(|row| row["ledger_agrees"] != "false"));
    assert!(rows.iter().all(|row| !row["fees_sat_at_1"].is_empty()));
}

#[test]
fn one_seed_gives_one_walk_but_for_its_times_and_another_seed_another() {
    let (first, again, other) = (walk(7), walk(7), walk(8));
    assert_eq!(without_times(&claims_table(&first.claims)), without_times(&claims_table(&again.claims)));
    for (figure, again) in first.figures.iter().zip(&again.figures) {
        assert_eq!(figure.name, again.name);
        assert_eq!(without_times(&figure.table), without_times(&again.table), "{}", figure.name);
    }
    assert_ne!(without_times(table(&first, "draws")), without_times(table(&other, "draws")));
}
