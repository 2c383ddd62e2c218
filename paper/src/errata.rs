//! The points of docs/ERRATA.md, and whether the tests that they name are there.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::claim::{Place, Row, Verdict};
use crate::{Options, Walk};

/// A point: number, title, tests.
struct Point<'a> {
    number: u8,
    title: &'a str,
    tests: Vec<&'a str>,
}

impl<'a> Point<'a> {
    /// From `**7. Title.** text`.
    fn read(text: &'a str) -> Option<Self> {
        let (number, rest) = text.split_once(". ")?;
        let (title, body) = rest.split_once("**")?;
        let tests = body.split('`').skip(1).step_by(2).filter(|name| is_test_name(name)).collect();
        Some(Self { number: number.parse().ok()?, title: title.trim_end_matches('.'), tests })
    }
}

fn is_test_name(name: &str) -> bool {
    name.matches('_').count() >= 3
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Rust sources below a folder; what was built is left out.
fn sources(folder: &Path, into: &mut String) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            sources(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&std::fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

pub fn walk(root: &Path, options: Options, walk: &mut Walk) -> Result<()> {
    let errata =
        std::fs::read_to_string(root.join("docs/ERRATA.md")).context("docs/ERRATA.md cannot be read")?;
    let mut all = String::new();
    sources(root, &mut all)?;
    for point in errata.split("\n**").skip(1).filter_map(Point::read) {
        let missing = point.tests.iter().filter(|name| !all.contains(&format!("fn {name}("))).count();
        let first = point.tests.first().copied().unwrap_or_default();
        let title = point.title.split_whitespace().collect::<Vec<_>>().join(" ");
        let row = Row {
            claim: &title,
            command: &format!("./x test {first}"),
            result: format!("{} tests are named, {missing} of them missing", point.tests.len()),
            time: String::new(),
            verdict: Verdict::Mended(format!("docs/ERRATA.md, point {}", point.number))
                .if_shown(missing == 0 && !point.tests.is_empty()),
        };
        walk.add(options, Place::Erratum(point.number), row);
    }
    Ok(())
}
