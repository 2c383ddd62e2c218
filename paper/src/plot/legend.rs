//! What each form means, below the axes, so that it never lies over them.

use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, SVGBackend, Text};

use super::{text, undrawn};

const ROW: u32 = 24;
const PER_ROW: usize = 2;
const LEFT: i32 = 90;
const COLUMN: i32 = 400;

/// What so many entries take.
pub fn height(entries: usize) -> u32 {
    ROW * entries.div_ceil(PER_ROW) as u32 + 12
}

/// One entry each; `sample` draws a form between the left and the right end of a line at that height.
pub fn draw<'n>(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    names: impl Iterator<Item = &'n str>,
    mut sample: impl FnMut(usize, (i32, i32), i32) -> Result<()>,
) -> Result<()> {
    for (entry, name) in names.enumerate() {
        let x = LEFT + COLUMN * (entry % PER_ROW) as i32;
        let y = (ROW as i32) * (entry / PER_ROW) as i32 + ROW as i32 / 2;
        sample(entry, (x, x + 40), y)?;
        area.draw(&Text::new(name.to_owned(), (x + 50, y - 8), text())).map_err(undrawn)?;
    }
    Ok(())
}
