//! Lines that fit: hanging columns, words that wrap, tables.

/// A line whose beginning hangs out to the left of the rest, which wraps within `width` columns.
///
/// Colour and no-break spaces may stand in both; colours count as nothing.
pub fn hanging(head: &str, text: &str, width: usize) -> String {
    let indent = columns(head);
    let room = width.saturating_sub(indent).max(20);
    let lines = wrap(text, room);
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        if index == 0 {
            out.push_str(head);
        } else {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
        }
        out.push_str(line);
    }
    out.trim_end().to_owned()
}

/// Breaks text at spaces; a word longer than the line has a line of its own.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if !line.is_empty() && columns(line) + 1 + columns(word) > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() || word.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

/// Rows with aligned columns, two spaces apart, under a heading; where that is too wide, one cell a line.
pub fn table(heading: &[&str], rows: &[Vec<String>], width: usize) -> String {
    let heading: Vec<String> = heading.iter().map(|name| (*name).to_owned()).collect();
    let aligned = aligned(&[std::slice::from_ref(&heading), rows].concat());
    if aligned.lines().all(|line| columns(line) <= width) { aligned } else { listed(&heading, rows, width) }
}

fn listed(heading: &[String], rows: &[Vec<String>], width: usize) -> String {
    let names = heading.iter().map(|name| columns(name)).max().unwrap_or(0) + 2;
    let record = |row: &Vec<String>| {
        let lines = heading.iter().zip(row).map(|(name, cell)| hanging(&pad(name, names), cell, width));
        lines.collect::<Vec<_>>().join("\n")
    };
    rows.iter().map(record).collect::<Vec<_>>().join("\n\n")
}

fn aligned(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widest =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| columns(cell)).max();
    let widths: Vec<usize> = (0..count).map(|column| widest(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| pad(cell, *width));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Fills with spaces up to `width` columns.
pub fn pad(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(columns(text));
    format!("{text}{}", " ".repeat(missing))
}

/// Columns on a terminal, escape codes left out. Everything printed here is one column wide per character.
pub fn columns(text: &str) -> usize {
    let mut count = 0;
    let mut in_escape = false;
    for c in text.chars() {
        match (in_escape, c) {
            (false, '\x1b') => in_escape = true,
            (false, _) => count += 1,
            (true, 'm') => in_escape = false,
            (true, _) => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_goes_on_under_its_own_column() {
        let line = hanging("block 102  ", "the quick brown fox jumps over the lazy dog", 31);
        assert_eq!(line, "block 102  the quick brown fox\n           jumps over the lazy\n           dog");
    }

    #[test]
    fn a_number_and_its_unit_stay_together() {
        assert_eq!(wrap("pays 250\u{a0}000\u{a0}sat", 12), ["pays", "250\u{a0}000\u{a0}sat"]);
    }

    #[test]
    fn columns_of_a_table_are_as_wide_as_their_widest_cell_colour_or_not() {
        let rows = [vec!["\x1b[1mcharger\x1b[0m".to_owned(), "3F".to_owned()]];
        assert_eq!(table(&["peer", "key"], &rows, 40), "peer     key\n\x1b[1mcharger\x1b[0m  3F");
    }

    #[test]
    fn a_table_that_is_too_wide_becomes_a_list() {
        let row = |name: &str| vec![name.to_owned(), "0123456789".repeat(3)];
        let listed = table(&["peer", "key"], &[row("car"), row("charger")], 38);
        let key = "012345678901234567890123456789";
        assert_eq!(listed, format!("peer  car\nkey   {key}\n\npeer  charger\nkey   {key}"));
    }
}
