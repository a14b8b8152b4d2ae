//! Lines of a table, and what sums up many numbers.

/// The first column to the left, the others to the right.
pub fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns).filter_map(width).collect();
    let text = lines.iter().map(|line| {
        let cells = line.iter().zip(&widths).skip(1);
        let cells: String = cells.map(|(cell, width)| format!("  {cell:>width$}")).collect();
        format!("{:width$}{cells}\n", line[0], width = widths[0])
    });
    text.collect()
}

/// Linear between the two values around it.
pub fn quantile(values: &[f64], part: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let at = part * (values.len() - 1) as f64;
    let (below, above) = (values[at.floor() as usize], values[at.ceil() as usize]);
    below + (above - below) * at.fract()
}
