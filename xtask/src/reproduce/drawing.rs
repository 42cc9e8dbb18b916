//! Charts of two kinds, as SVG: lines over two axes, and dots with an interval behind each name.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::stats::{interval, mean};

/// A line of a chart; several of one name have one colour and one entry in the legend.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) colour: RGBColor,
    pub(super) points: Vec<(f64, f64)>,
}

/// A row of dots.
pub(super) struct Dots {
    pub(super) name: String,
    pub(super) colour: RGBColor,
    /// Percents, a dot a seed.
    pub(super) values: Vec<f64>,
    /// Test images behind each.
    pub(super) tested: Option<u64>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Lines over two axes, with a legend in the corner that they leave free.
pub(super) fn chart(
    lines: &[Line],
    names: [&str; 2],
    corner: SeriesLabelPosition,
    label: &dyn Fn(f64) -> String,
) -> Result<Option<String>> {
    let all = || lines.iter().flat_map(|line| line.points.iter().copied());
    let Some((across, up)) = limits(all().map(|p| p.0)).zip(limits(all().map(|p| p.1))) else {
        return Ok(None);
    };
    let mut svg = String::new();
    draw(
        SVGBackend::with_string(&mut svg, (640, 400)).into_drawing_area(),
        |area| {
            let mut chart = ChartBuilder::on(area)
                .margin(12)
                .x_label_area_size(40)
                .y_label_area_size(56)
                .build_cartesian_2d(across, up)
                .map_err(drawing)?;
            chart
                .configure_mesh()
                .x_desc(names[0])
                .y_desc(names[1])
                .x_label_formatter(&|x| label(*x))
                .light_line_style(WHITE)
                .draw()
                .map_err(drawing)?;
            let mut named = Vec::new();
            for line in lines {
                let colour = line.colour;
                let series = chart
                    .draw_series(LineSeries::new(
                        line.points.iter().copied(),
                        colour.stroke_width(2),
                    ))
                    .map_err(drawing)?;
                if !named.contains(&&line.name) {
                    named.push(&line.name);
                    series.label(line.name.clone()).legend(move |(x, y)| {
                        PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2))
                    });
                }
            }
            let mut legend = chart.configure_series_labels();
            legend
                .position(corner.clone())
                .background_style(WHITE.mix(0.8))
                .border_style(BLACK.mix(0.3));
            legend.draw().map_err(drawing)
        },
    )?;
    Ok(Some(svg))
}

/// A line for each row: values as dots, mean and interval as a bar.
pub(super) fn dots(rows: &[Dots], unit: &str) -> Result<Option<String>> {
    let bars: Vec<[f64; 3]> = rows
        .iter()
        .map(|row| {
            let middle = mean(&row.values);
            let (low, high) = interval(&row.values, row.tested).unwrap_or((middle, middle));
            [low, middle, high]
        })
        .collect();
    let all = rows.iter().flat_map(|row| row.values.iter().copied());
    let Some(across) = limits(all.chain(bars.iter().flatten().copied())) else {
        return Ok(None);
    };
    // The first row stands on top.
    let place = |row: usize| (rows.len() - 1 - row) as i32;
    let name = |place: i32| {
        let row = (rows.len() - 1).checked_sub(usize::try_from(place).unwrap_or(usize::MAX));
        row.map_or_else(String::new, |row| rows[row].name.clone())
    };
    let longest = rows.iter().map(|row| row.name.len()).max().unwrap_or(0) as u32;
    let mut svg = String::new();
    let size = (400 + 7 * longest, 70 + 22 * rows.len() as u32);
    draw(
        SVGBackend::with_string(&mut svg, size).into_drawing_area(),
        |area| {
            let mut chart = ChartBuilder::on(area)
                .margin(12)
                .x_label_area_size(40)
                .y_label_area_size(20 + 7 * longest)
                .build_cartesian_2d(across, (0..rows.len().max(2) as i32 - 1).into_segmented())
                .map_err(drawing)?;
            chart
                .configure_mesh()
                .x_desc(unit)
                .y_labels(rows.len())
                .disable_y_mesh()
                .light_line_style(WHITE)
                .y_label_formatter(&|value| match value {
                    SegmentValue::CenterOf(place) => name(*place),
                    SegmentValue::Exact(_) | SegmentValue::Last => String::new(),
                })
                .draw()
                .map_err(drawing)?;
            for (number, (row, &[low, middle, high])) in rows.iter().zip(&bars).enumerate() {
                let at = SegmentValue::CenterOf(place(number));
                let bar =
                    ErrorBar::new_horizontal(at.clone(), low, middle, high, row.colour.filled(), 8);
                chart.draw_series([bar]).map_err(drawing)?;
                let seeds = row
                    .values
                    .iter()
                    .map(|&value| Circle::new((value, at.clone()), 2, BLACK.filled()));
                chart.draw_series(seeds).map_err(drawing)?;
            }
            Ok(())
        },
    )?;
    Ok(Some(svg))
}

fn draw(area: Area<'_>, figure: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<()> {
    area.fill(&WHITE).map_err(drawing)?;
    figure(&area)?;
    area.present().map_err(drawing)
}

/// Errors of plotters borrow from their backend.
fn drawing(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw a figure: {error}")
}

/// A little more than from the least to the greatest; absent without finite values.
fn limits(values: impl Iterator<Item = f64>) -> Option<std::ops::Range<f64>> {
    let finite: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    let least = finite.iter().copied().reduce(f64::min)?;
    let most = finite.iter().copied().reduce(f64::max)?;
    let room = (0.05 * (most - least)).max(1e-3 * most.abs()).max(1e-9);
    Some(least - room..most + room)
}
