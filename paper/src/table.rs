//! Rows for a file of comma-separated values (RFC 4180).

use anyhow::Result;

/// Columns and rows. What a column whose name begins with `time` holds differs from run to run; all else follows from the
/// seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Names.
    pub columns: Vec<&'static str>,
    /// As many values each.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Without rows.
    pub fn new(columns: &[&'static str]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// One more.
    pub fn push(&mut self, row: impl IntoIterator<Item = String>) {
        self.rows.push(row.into_iter().collect());
    }

    /// The file.
    ///
    /// # Errors
    /// If a row has more or fewer values than there are columns.
    pub fn to_csv(&self) -> Result<Vec<u8>> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(&self.columns)?;
        for row in &self.rows {
            csv.write_record(row)?;
        }
        Ok(csv.into_inner()?)
    }
}
