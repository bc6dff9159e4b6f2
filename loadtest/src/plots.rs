//! Plots, as SVG.

use std::ops::Range;

use plotters::prelude::{
    BLACK, ChartBuilder, IntoDrawingArea, IntoFont, IntoLogRange, LineSeries, Palette, Palette99,
    PathElement, SVGBackend, WHITE,
};
use plotters::style::Color;

use crate::error::LoadError;
use crate::report::number;

/// Width and height, in pixels.
const SIZE: (u32, u32) = (760, 280);
/// Room for the labels of the axes.
const LABELS: u32 = 58;
const FONT: (&str, i32) = ("sans-serif", 13);

/// A line of a plot.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Plots lines over time, in seconds; `None` if there is nothing to see.
///
/// # Errors
/// [`LoadError::Plot`].
pub(crate) fn over_time(title: &str, lines: &[Line]) -> Result<Option<String>, LoadError> {
    let Some((x, y)) = bounds(lines) else { return Ok(None) };
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(LoadError::plot)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, FONT.into_font())
            .margin(8)
            .x_label_area_size(LABELS / 2)
            .y_label_area_size(LABELS)
            .build_cartesian_2d(x, 0.0..y.end * 1.05)
            .map_err(LoadError::plot)?;
        chart
            .configure_mesh()
            .x_desc("s")
            .light_line_style(WHITE)
            .draw()
            .map_err(LoadError::plot)?;
        for (number, line) in lines.iter().enumerate() {
            let color = Palette99::pick(number).to_rgba();
            let series = LineSeries::new(line.points.iter().copied(), color.stroke_width(2));
            let drawn = chart.draw_series(series).map_err(LoadError::plot)?;
            if lines.len() > 1 {
                drawn.label(&line.name).legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2))
                });
            }
        }
        if lines.len() > 1 {
            let mut labels = chart.configure_series_labels();
            labels.background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3));
            labels.draw().map_err(LoadError::plot)?;
        }
        area.present().map_err(LoadError::plot)?;
    }
    Ok(Some(svg))
}

/// Plots how late the slowest of so many were: the x of a point is how many, its y milliseconds.
///
/// # Errors
/// [`LoadError::Plot`].
pub(crate) fn by_rarity(title: &str, lines: &[Line]) -> Result<Option<String>, LoadError> {
    let Some((x, y)) = bounds(lines) else { return Ok(None) };
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(LoadError::plot)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, FONT.into_font())
            .margin(8)
            .x_label_area_size(LABELS / 2)
            .y_label_area_size(LABELS)
            .build_cartesian_2d(
                (1.0..x.end.max(10.0)).log_scale(),
                (y.start.max(0.01)..y.end.max(1.0) * 1.2).log_scale(),
            )
            .map_err(LoadError::plot)?;
        let (x_label, y_label) = (|x: &f64| number(*x), |y: &f64| number(*y));
        let mut mesh = chart.configure_mesh();
        mesh.x_label_formatter(&x_label).y_label_formatter(&y_label);
        mesh.x_desc("the slowest of so many").y_desc("ms").light_line_style(WHITE);
        mesh.draw().map_err(LoadError::plot)?;
        for (number, line) in lines.iter().enumerate() {
            let color = Palette99::pick(number).to_rgba();
            let series = LineSeries::new(line.points.iter().copied(), color.stroke_width(2));
            chart.draw_series(series).map_err(LoadError::plot)?.label(&line.name).legend(
                move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)),
            );
        }
        let mut labels = chart.configure_series_labels();
        labels.background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3));
        labels.draw().map_err(LoadError::plot)?;
        area.present().map_err(LoadError::plot)?;
    }
    Ok(Some(svg))
}

/// From where to where the points go; `None` if they are fewer than two, or none is above 0.
fn bounds(lines: &[Line]) -> Option<(Range<f64>, Range<f64>)> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let over = |of: fn(&(f64, f64)) -> f64| {
        let values = points().map(of);
        values.fold(f64::MAX..f64::MIN, |all, value| all.start.min(value)..all.end.max(value))
    };
    let (x, y) = (over(|(x, _)| *x), over(|(_, y)| *y));
    (x.end > x.start && y.end > 0.0).then_some((x, y))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use super::*;

    fn line(points: &[(f64, f64)]) -> Line {
        Line { name: "round 1".to_owned(), points: points.to_vec() }
    }

    #[test]
    fn lines_become_pictures_with_their_names() {
        let lines = || vec![line(&[(0.0, 1.0), (1.0, 5.0)]), line(&[(0.0, 2.0), (1.0, 3.0)])];
        let svg = over_time("pushes /s", &lines()).unwrap().unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("pushes /s") && svg.contains("round 1"));
        assert!(svg.matches("<polyline").count() >= 2, "{svg}");
        assert!(by_rarity("latency", &[line(&[(1.0, 0.5), (1000.0, 80.0)])]).unwrap().is_some());
    }

    #[test]
    fn nothing_makes_no_picture() {
        for points in [vec![], vec![(1.0, 5.0)], vec![(0.0, 0.0), (1.0, 0.0)]] {
            assert!(over_time("x", &[line(&points)]).unwrap().is_none());
            assert!(by_rarity("x", &[line(&points)]).unwrap().is_none());
        }
    }
}
