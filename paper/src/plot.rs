//! Figures in SVG, black on white: what differs does so by form and grey, not by colour.

mod axis;
mod bars;
mod legend;
mod lines;

use std::fmt::Display;

use anyhow::{Result, anyhow};
use plotters::prelude::{IntoDrawingArea, SVGBackend, WHITE};
use plotters::style::{IntoFont, RGBColor, TextStyle};

pub use bars::{Bars, Group};
pub use lines::{Lines, Series, Style};

/// A figure.
#[derive(Clone, Debug)]
pub enum Plot {
    /// Points and lines over two axes.
    Lines(Lines),
    /// Bars beside names.
    Bars(Bars),
}

const WIDTH: u32 = 900;
const TITLE_SIZE: u32 = 21;
const TEXT_SIZE: u32 = 16;
const FONT: &str = "sans-serif";
const GRID: RGBColor = RGBColor(215, 215, 215);

impl Plot {
    /// The file.
    ///
    /// # Errors
    /// If there is nothing to draw.
    pub fn to_svg(&self) -> Result<String> {
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, (WIDTH, self.height())).into_drawing_area();
            area.fill(&WHITE).map_err(undrawn)?;
            match self {
                Self::Lines(lines) => lines.draw(&area),
                Self::Bars(bars) => bars.draw(&area),
            }?;
            area.present().map_err(undrawn)?;
        }
        Ok(svg)
    }

    fn height(&self) -> u32 {
        match self {
            Self::Lines(lines) => 520 + legend::height(lines.series.len()),
            Self::Bars(bars) => 150 + bars.height() + legend::height(bars.groups.len()),
        }
    }
}

fn text() -> TextStyle<'static> {
    (FONT, TEXT_SIZE).into_font().into()
}

/// The backend's error keeps a reference to nothing, but is not `Sync`.
fn undrawn(error: impl Display) -> anyhow::Error {
    anyhow!("a figure could not be drawn: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_shows_each_series_its_axes_and_nothing_that_is_not_a_number() {
        let series = Series::new("measured", Style::Circle, [(1.0, 10.0), (10.0, 1_000.0)]);
        let lines = Lines {
            title: "Title".to_owned(),
            x: "bits".to_owned(),
            y: "draws".to_owned(),
            log: (true, true),
            series: vec![series],
        };
        let svg = Plot::Lines(lines).to_svg().unwrap();
        for text in ["Title", "bits", "draws", "measured", "1 000"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>") && !svg.contains("NaN"));
    }
}
