//! Points and lines over two axes.

use anyhow::Result;
use plotters::chart::ChartBuilder;
use plotters::coord::Shift;
use plotters::element::{Circle, DashedPathElement, PathElement, Polygon, Rectangle};
use plotters::prelude::{BLACK, DrawingArea, SVGBackend, WHITE};
use plotters::style::{Color, ShapeStyle};

use super::axis::Axis;
use super::{FONT, GRID, TITLE_SIZE, legend, text, undrawn};

/// How a series is drawn: what was measured as points, what was reckoned as lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Points, filled.
    Circle,
    /// Points, hollow.
    Triangle,
    /// Points, hollow.
    Square,
    /// A line.
    Solid,
    /// A line.
    Dashed,
    /// A line.
    LongDashed,
    /// A line.
    Dotted,
}

/// What belongs together.
#[derive(Clone, Debug)]
pub struct Series {
    /// For the legend.
    pub name: String,
    /// Its form.
    pub style: Style,
    /// x and y.
    pub points: Vec<(f64, f64)>,
    /// The interval of each y; none, or as many as points.
    pub spans: Vec<(f64, f64)>,
}

impl Series {
    /// Without intervals.
    pub fn new(name: &str, style: Style, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self { name: name.to_owned(), style, points: points.into_iter().collect(), spans: Vec::new() }
    }
}

/// A figure of them.
#[derive(Clone, Debug)]
pub struct Lines {
    /// Above it.
    pub title: String,
    /// At the axes, with units.
    pub x: String,
    /// At the axes, with units.
    pub y: String,
    /// Which axis is logarithmic.
    pub log: (bool, bool),
    /// What is drawn.
    pub series: Vec<Series>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// A place in the figure, in pixels.
type Pixel = (i32, i32);

impl Lines {
    pub(super) fn draw(&self, area: &Area<'_>) -> Result<()> {
        let split = area.dim_in_pixel().1.saturating_sub(legend::height(self.series.len()));
        let (upper, lower) = area.split_vertically(split);
        let points = || self.series.iter().flat_map(|series| series.points.iter());
        let spans = self.series.iter().flat_map(|series| series.spans.iter());
        let x = Axis::over(points().map(|point| point.0), self.log.0);
        let y = Axis::over(
            points().map(|point| point.1).chain(spans.flat_map(|(low, high)| [*low, *high])),
            self.log.1,
        );
        let mut chart = ChartBuilder::on(&upper)
            .caption(&self.title, (FONT, TITLE_SIZE))
            .margin(14)
            .margin_right(28)
            .x_label_area_size(52)
            .y_label_area_size(84)
            .build_cartesian_2d(x, y)
            .map_err(undrawn)?;
        chart
            .configure_mesh()
            .bold_line_style(GRID)
            .light_line_style(WHITE)
            .x_desc(&self.x)
            .y_desc(&self.y)
            .axis_desc_style(text())
            .label_style(text())
            .draw()
            .map_err(undrawn)?;
        let pixel = |point: &(f64, f64)| chart.backend_coord(point);
        for series in &self.series {
            let pixels: Vec<Pixel> = series.points.iter().map(pixel).collect();
            series.style.draw(area, &pixels)?;
            for ((at, _), (low, high)) in series.points.iter().zip(&series.spans) {
                span(area, pixel(&(*at, *low)), pixel(&(*at, *high)))?;
            }
        }
        let names = self.series.iter().map(|series| series.name.as_str());
        legend::draw(&lower, names, |entry, (left, right), at| {
            let Some(series) = self.series.get(entry) else { return Ok(()) };
            let middle = [((left + right) / 2, at)];
            let ends = [(left, at), (right, at)];
            series.style.draw(&lower, if series.style.is_line() { &ends } else { &middle })
        })
    }
}

fn span(area: &Area<'_>, low: Pixel, high: Pixel) -> Result<()> {
    let ends = [low, high].map(|(x, y)| PathElement::new(vec![(x - 4, y), (x + 4, y)], BLACK));
    for bar in ends.iter().chain([&PathElement::new(vec![low, high], BLACK)]) {
        area.draw(bar).map_err(undrawn)?;
    }
    Ok(())
}

impl Style {
    fn is_line(self) -> bool {
        matches!(self, Self::Solid | Self::Dashed | Self::LongDashed | Self::Dotted)
    }

    fn draw(self, area: &Area<'_>, pixels: &[Pixel]) -> Result<()> {
        let dashes = |on, off| {
            let line = DashedPathElement::new(pixels.to_vec(), on, off, BLACK.stroke_width(2));
            area.draw(&line).map_err(undrawn)
        };
        match self {
            Self::Solid => {
                area.draw(&PathElement::new(pixels.to_vec(), BLACK.stroke_width(1))).map_err(undrawn)
            }
            Self::Dashed => dashes(7, 5),
            Self::LongDashed => dashes(16, 6),
            Self::Dotted => dashes(2, 4),
            _ => pixels.iter().try_for_each(|&pixel| self.mark(area, pixel)),
        }
    }

    fn mark(self, area: &Area<'_>, (x, y): Pixel) -> Result<()> {
        let drawn = match self {
            Self::Circle => area.draw(&Circle::new((x, y), 4, BLACK.filled())),
            Self::Triangle => {
                let corners = vec![(x, y - 6), (x - 6, y + 5), (x + 6, y + 5)];
                let outline = corners.iter().chain(corners.first()).copied().collect::<Vec<_>>();
                area.draw(&Polygon::new(corners, WHITE.filled()))
                    .and_then(|()| area.draw(&PathElement::new(outline, BLACK.stroke_width(2))))
            }
            _ => {
                let corners = [(x - 5, y - 5), (x + 5, y + 5)];
                area.draw(&Rectangle::new(corners, WHITE.filled())).and_then(|()| {
                    area.draw(&Rectangle::new(corners, ShapeStyle::from(&BLACK).stroke_width(2)))
                })
            }
        };
        drawn.map_err(undrawn)
    }
}
