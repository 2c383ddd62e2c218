//! An axis: what lies where, and what is written at it.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// Linear, or by the logarithm.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    low: f64,
    high: f64,
    log: bool,
}

impl Axis {
    /// For all these values.
    pub fn over(values: impl Iterator<Item = f64>, log: bool) -> Self {
        let (low, high) = values
            .filter(|value| value.is_finite() && (!log || *value > 0.0))
            .fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if low > high { (1.0, 10.0) } else { (low, high) };
        if log {
            Self { low: low / 1.15, high: high * 1.3, log }
        } else {
            // From zero, unless all lies far above it.
            let room = (high - low).max(1e-9) * 0.05;
            let low = if low > high / 3.0 { low - room } else { low.min(0.0) };
            Self { low, high: high + room, log }
        }
    }

    /// With room for what is written beside the highest value.
    pub fn with_room(self) -> Self {
        let high = if self.log { self.high * (self.high / self.low).powf(0.08) } else { self.high * 1.08 };
        Self { high, ..self }
    }

    /// Its lowest value.
    pub fn low(&self) -> f64 {
        self.low
    }

    fn place(&self, value: f64) -> f64 {
        if self.log { value.max(self.low).ln() } else { value }
    }

    fn marks(&self) -> Vec<f64> {
        let marks = if self.log { self.decades() } else { self.steps() };
        marks.into_iter().filter(|mark| (self.low..=self.high).contains(mark)).collect()
    }

    fn decades(&self) -> Vec<f64> {
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let within: &[f64] = match last - first {
            ..=2 => &[1.0, 2.0, 3.0, 5.0, 7.0],
            3..=4 => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        (first..=last).flat_map(|decade| within.iter().map(move |digit| digit * 10f64.powi(decade))).collect()
    }

    fn steps(&self) -> Vec<f64> {
        let rough = (self.high - self.low) / 8.0;
        let decade = 10f64.powf(rough.log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].into_iter().find(|digit| digit * decade >= rough).unwrap_or(10.0) * decade;
        let first = (self.low / step).ceil() as i64;
        (first..).map(|n| n as f64 * step).take_while(|mark| *mark <= self.high).collect()
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let [low, high, at] = [self.low, self.high, *value].map(|value| self.place(value));
        let length = f64::from(limit.1 - limit.0);
        limit.0 + ((at - low) / (high - low) * length).round() as i32
    }

    fn key_points<H: KeyPointHint>(&self, hint: H) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.marks() }
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        number(*value)
    }
}

/// Names from above, one to a row; row n lies at n.
#[derive(Clone, Debug)]
pub struct Names(pub Vec<String>);

impl Ranged for Names {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        // An axis runs from below.
        let length = f64::from(limit.1 - limit.0);
        limit.1 - ((value + 0.5) / self.0.len().max(1) as f64 * length).round() as i32
    }

    fn key_points<H: KeyPointHint>(&self, hint: H) -> Vec<f64> {
        let rows = if hint.weight().allow_light_points() { 0 } else { self.0.len() };
        (0..rows).map(|row| row as f64).collect()
    }

    fn range(&self) -> Range<f64> {
        -0.5..self.0.len() as f64 - 0.5
    }
}

impl ValueFormatter<f64> for Names {
    fn format_ext(&self, row: &f64) -> String {
        self.0.get(row.round().max(0.0) as usize).cloned().unwrap_or_default()
    }
}

/// With spaces between thousands.
pub fn number(value: f64) -> String {
    let whole = value.round();
    let large = value.abs() >= 99.95;
    if value.abs() < 0.95 && value != 0.0 {
        let decimals = (-value.abs().log10().floor()).clamp(1.0, 6.0) as usize;
        return format!("{value:.decimals$}");
    }
    if (value - whole).abs() > 0.01 && !large {
        return format!("{value:.1}");
    }
    let digits = format!("{whole:.0}");
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && digit.is_ascii_digit() && (digits.len() - place).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_numbers_within_the_axis() {
        let linear = Axis::over([0.0, 437.0].into_iter(), false);
        let labels: Vec<String> = linear.marks().into_iter().map(|mark| linear.format_ext(&mark)).collect();
        assert_eq!(labels, ["0", "100", "200", "300", "400"]);
        let log = Axis::over([0.9, 25_000.0].into_iter(), true);
        let labels: Vec<String> = log.marks().into_iter().map(|mark| log.format_ext(&mark)).collect();
        assert_eq!(labels, ["1", "10", "100", "1 000", "10 000"]);
    }
}
