//! What the paper says, and what comes of it.

use std::fmt;

use crate::{Options, Table, Walk};

/// Where it says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// One of the five.
    Algorithm(u8),
    /// A section, and which of its points.
    Section(u8, u8, u8),
    /// One of the ten.
    Proposition(u8),
    /// Not in the paper: a point of docs/ERRATA.md about it.
    Erratum(u8),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Algorithm(number) => write!(f, "Algorithm {number}"),
            Self::Section(chapter, section, 0) => write!(f, "{chapter}.{section}"),
            Self::Section(chapter, section, point) => write!(f, "{chapter}.{section} ({point})"),
            Self::Proposition(number) => write!(f, "Proposition {number}"),
            Self::Erratum(number) => write!(f, "errata {number}"),
        }
    }
}

/// What the run makes of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As written.
    Holds(String),
    /// Once something is changed: what.
    Changed(String),
    /// It does not, and why.
    Fails(String),
    /// Nothing that the paper claims, but what it lacks: what Keyway has for it.
    Mended(String),
    /// The run did not show what this program says of the claim.
    NotShown(String),
}

impl Verdict {
    /// This verdict, if the run has shown it.
    pub fn if_shown(self, shown: bool) -> Self {
        if shown { self } else { Self::NotShown(self.to_string()) }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verdict, why) = match self {
            Self::Holds(why) => ("holds", why),
            Self::Changed(why) => ("holds with a change", why),
            Self::Fails(why) => ("does not hold", why),
            Self::Mended(why) => ("mended", why),
            Self::NotShown(why) => ("NOT SHOWN by this run", why),
        };
        if why.is_empty() { f.write_str(verdict) } else { write!(f, "{verdict}: {why}") }
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Where.
    pub place: Place,
    /// What the paper says.
    pub claim: String,
    /// What shows it.
    pub command: String,
    /// What came out; it follows from the seed.
    pub result: String,
    /// The same of what does not: times.
    pub time: String,
    /// What that makes of the claim.
    pub verdict: Verdict,
    /// The seed.
    pub seed: u64,
}

/// A row before it is in the table.
#[derive(Debug)]
pub struct Row<'a> {
    pub claim: &'a str,
    /// Besides `./x paper` itself.
    pub command: &'a str,
    pub result: String,
    pub time: String,
    pub verdict: Verdict,
}

impl Walk {
    pub(crate) fn add(&mut self, options: Options, place: Place, row: Row<'_>) {
        let Row { claim, command, result, time, verdict } = row;
        let quick = if options.quick { " --quick" } else { "" };
        let walk = format!("./x paper --seed {}{quick}", options.seed);
        let command = if command.is_empty() { walk } else { format!("{walk}; {command}") };
        let (claim, seed) = (claim.to_owned(), options.seed);
        self.claims.push(Claim { place, claim, command, result, time, verdict, seed });
    }
}

/// `claims.csv`.
pub fn claims_table(claims: &[Claim]) -> Table {
    let mut table = Table::new(&["where", "claim", "command", "result", "time", "verdict", "seed"]);
    for claim in claims {
        let Claim { place, claim, command, result, time, verdict, seed } = claim;
        let (place, verdict, seed) = (place.to_string(), verdict.to_string(), seed.to_string());
        table.push([place, claim.clone(), command.clone(), result.clone(), time.clone(), verdict, seed]);
    }
    table
}
