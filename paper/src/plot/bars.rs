//! Bars beside names.

use anyhow::Result;
use plotters::chart::ChartBuilder;
use plotters::coord::Shift;
use plotters::element::{Rectangle, Text};
use plotters::prelude::{BLACK, DrawingArea, SVGBackend, WHITE};
use plotters::style::{Color, RGBColor};

use super::axis::{Axis, Names, number};
use super::{FONT, GRID, TITLE_SIZE, legend, text, undrawn};

/// What the bars of one shade are.
#[derive(Clone, Debug)]
pub struct Group {
    /// For the legend.
    pub name: String,
    /// A bar beside each name, or none.
    pub values: Vec<Option<f64>>,
}

/// A figure of them.
#[derive(Clone, Debug)]
pub struct Bars {
    /// Above it.
    pub title: String,
    /// At the axis, with its unit.
    pub x: String,
    /// Whether that is logarithmic.
    pub log: bool,
    /// From above.
    pub names: Vec<String>,
    /// As many bars beside each name as groups.
    pub groups: Vec<Group>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Of a bar, in pixels.
const BAR: u32 = 15;
const SHADES: [RGBColor; 4] =
    [RGBColor(40, 40, 40), RGBColor(165, 165, 165), RGBColor(255, 255, 255), RGBColor(100, 100, 100)];

impl Bars {
    pub(super) fn height(&self) -> u32 {
        self.names.len() as u32 * (BAR * self.groups.len() as u32 + 12)
    }

    pub(super) fn draw(&self, area: &Area<'_>) -> Result<()> {
        let split = area.dim_in_pixel().1.saturating_sub(legend::height(self.groups.len()));
        let (upper, lower) = area.split_vertically(split);
        let values = || self.groups.iter().flat_map(|group| group.values.iter().flatten().copied());
        let x = Axis::over(values(), self.log).with_room();
        let mut chart = ChartBuilder::on(&upper)
            .caption(&self.title, (FONT, TITLE_SIZE))
            .margin(14)
            .margin_right(28)
            .x_label_area_size(52)
            .y_label_area_size(270)
            .build_cartesian_2d(x, Names(self.names.clone()))
            .map_err(undrawn)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .bold_line_style(GRID)
            .light_line_style(WHITE)
            .x_desc(&self.x)
            .axis_desc_style(text())
            .label_style(text())
            .draw()
            .map_err(undrawn)?;
        for row in 0..self.names.len() {
            let bars: Vec<(usize, f64)> = self.bars_of(row).collect();
            let (left, middle) = chart.backend_coord(&(x.low(), row as f64));
            for (place, (shade, value)) in bars.iter().enumerate() {
                let top = middle - (BAR as i32 * bars.len() as i32) / 2 + BAR as i32 * place as i32;
                let right = chart.backend_coord(&(*value, row as f64)).0;
                bar(area, [(left, top), (right, top + BAR as i32 - 2)], *shade)?;
                let label = Text::new(number(*value), (right + 5, top), (FONT, 12));
                area.draw(&label).map_err(undrawn)?;
            }
        }
        let names = self.groups.iter().map(|group| group.name.as_str());
        legend::draw(&lower, names, |entry, (left, right), at| {
            bar(&lower, [(left, at - 6), (right, at + 6)], entry)
        })
    }

    /// Those beside a name, with their shades.
    fn bars_of(&self, row: usize) -> impl Iterator<Item = (usize, f64)> {
        let values = self.groups.iter().map(move |group| group.values.get(row).copied().flatten());
        values.enumerate().filter_map(|(shade, value)| Some((shade, value?)))
    }
}

fn bar(area: &Area<'_>, corners: [(i32, i32); 2], shade: usize) -> Result<()> {
    let fill = SHADES.get(shade % SHADES.len()).unwrap_or(&BLACK).filled();
    area.draw(&Rectangle::new(corners, fill)).map_err(undrawn)?;
    area.draw(&Rectangle::new(corners, BLACK.stroke_width(1))).map_err(undrawn)
}
