//! The picture of the sweep.

use std::path::Path;

use plotters::prelude::*;

use crate::Try;
use crate::duration::show;
use crate::sweep::Line;

const SIZE: (u32, u32) = (760, 420);

/// Told apart by people who see colours differently, too (Okabe and Ito).
const COLOURS: [RGBColor; 3] = [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115)];

/// Asked before minutes of measuring, not after.
pub fn can_be_written(file: &Path) -> Result<(), String> {
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    if folder.is_none_or(Path::is_dir) && !file.is_dir() {
        Ok(())
    } else {
        Err(format!("{} cannot be written: there is no such folder", file.display()))
    }
}

/// On white, which looks well on a dark page too.
pub fn draw(file: &Path, lines: &[Line], caption: &str) -> Try<()> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let longest = points().map(|(delay, _)| delay.as_secs_f64()).fold(0.0, f64::max);
    let most = points().map(|(_, failures)| *failures).max().unwrap_or_default();
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let (area, foot) = area.split_vertically(SIZE.1 as i32 - 24);
    foot.draw(&Text::new(caption, (16, 4), ("sans-serif", 11).into_font().color(&BLACK)))?;
    let mut chart = ChartBuilder::on(&area)
        .caption("Failed requests in a rolling restart of two replicas", ("sans-serif", 19))
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(58)
        .build_cartesian_2d(0.0..longest * 1.02, 0..most + most / 10 + 1)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_desc("delay of reprieve, seconds")
        .y_desc("failed requests")
        .x_label_formatter(&|delay| format!("{delay:.1}"))
        .axis_desc_style(("sans-serif", 15))
        .label_style(("sans-serif", 13))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (line, colour) in lines.iter().zip(COLOURS) {
        let points = line.points.iter().map(|(delay, failures)| (delay.as_secs_f64(), *failures));
        let dots = points.clone().map(|point| Circle::new(point, 4, colour.filled()));
        chart.draw_series(dots)?;
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(format!("lag {}", show(line.lag)))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3)));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE)
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 14))
        .position(SeriesLabelPosition::UpperRight)
        .draw()?;
    area.present()?;
    Ok(())
}
