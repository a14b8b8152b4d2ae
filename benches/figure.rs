//! Figures side by side, as text and as JSON.

use serde_json::{Value, json};

use crate::table::{aligned, quantile};

/// What was measured of one column.
#[derive(Clone)]
pub enum Cell {
    /// One number a round; the median counts.
    Rounds(Vec<f64>),
    Text(String),
    Nothing,
}

impl Cell {
    pub fn median(&self) -> Option<f64> {
        match self {
            Cell::Rounds(rounds) => Some(quantile(rounds, 0.5)),
            _ => None,
        }
    }

    /// Half the distance between the quartiles, in percent of the median.
    fn spread(&self) -> Option<f64> {
        match self {
            Cell::Rounds(rounds) if rounds.len() > 1 => {
                let half = (quantile(rounds, 0.75) - quantile(rounds, 0.25)) / 2.0;
                Some(100.0 * half / quantile(rounds, 0.5)).filter(|spread| spread.is_finite())
            }
            _ => None,
        }
    }
}

/// What a figure may be at most.
#[derive(Clone, Copy)]
pub enum Budget {
    Value(f64),
    /// Times the best of the others.
    Ratio(f64),
}

/// One row: a figure of which less is better.
pub struct Figure {
    pub name: String,
    pub unit: &'static str,
    pub decimals: usize,
    /// Whether a ratio means something.
    pub is_compared: bool,
    pub budget: Option<Budget>,
    /// One a column.
    pub cells: Vec<Cell>,
}

pub struct Table {
    pub columns: Vec<String>,
    /// The columns that ratios are to the best of.
    pub peers: Vec<usize>,
    pub figures: Vec<Figure>,
}

impl Table {
    /// The first column is the floor below all, which needs no ratio.
    fn ratio(&self, figure: &Figure, column: usize) -> Option<f64> {
        let peers = self.peers.iter().filter_map(|peer| figure.cells[*peer].median());
        let best = peers.min_by(f64::total_cmp).filter(|best| *best > 0.0)?;
        let is_compared = figure.is_compared && column > 0;
        figure.cells[column].median().filter(|_| is_compared).map(|median| median / best)
    }

    fn text(&self, figure: &Figure, column: usize) -> String {
        let cell = &figure.cells[column];
        let median = match cell {
            Cell::Nothing => return "-".into(),
            Cell::Text(text) => return text.clone(),
            Cell::Rounds(rounds) => quantile(rounds, 0.5),
        };
        let spread = cell.spread().map(|spread| format!(" ±{spread:.0}%"));
        let ratio = self.ratio(figure, column).map(|ratio| format!(" x{ratio:.2}"));
        let [spread, ratio] = [spread, ratio].map(Option::unwrap_or_default);
        format!("{median:.*}{spread}{ratio}", figure.decimals)
    }

    /// What a column says to the budgets: whether it is within one, and in words. A ratio may be
    /// this much higher, for the noise of one run; what could not be measured is not within.
    pub fn verdicts(&self, column: usize, allowance: f64) -> Vec<(bool, String)> {
        let budgets = self.figures.iter().filter_map(|figure| Some((figure, figure.budget?)));
        let verdict = |(figure, budget): (&Figure, Budget)| {
            let (value, most, words) = match budget {
                Budget::Value(most) => {
                    let words = format!("{most} {}", figure.unit);
                    (figure.cells[column].median(), most, words)
                }
                Budget::Ratio(most) => {
                    let words = format!("x{most:.2} and {:.0} % for noise", 100.0 * allowance);
                    (self.ratio(figure, column), most * (1.0 + allowance), words)
                }
            };
            let is_within = value.is_some_and(|value| value <= most);
            let word = if is_within { "within" } else { "ABOVE" };
            let text = self.text(figure, column);
            (is_within, format!("{word} {}: {}: {text}", words.trim_end(), figure.name))
        };
        budgets.map(verdict).collect()
    }

    pub fn json(&self) -> Value {
        let value = |figure: &Figure, column: usize| match &figure.cells[column] {
            cell @ Cell::Rounds(rounds) => json!({
                "median": cell.median(),
                "spread_percent": cell.spread(),
                "ratio": self.ratio(figure, column),
                "rounds": rounds,
            }),
            Cell::Text(text) => json!(text),
            Cell::Nothing => Value::Null,
        };
        let figures = self.figures.iter().map(|figure| {
            let columns = self.columns.iter().enumerate();
            let values = columns.map(|(column, name)| (name.clone(), value(figure, column)));
            let values: serde_json::Map<String, Value> = values.collect();
            json!({ "figure": figure.name, "unit": figure.unit, "values": values })
        });
        figures.collect()
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let head = std::iter::once(String::new()).chain(self.columns.iter().cloned()).collect();
        let rows = self.figures.iter().map(|figure| {
            let name = format!("{} {}", figure.name, figure.unit);
            let cells = (0..self.columns.len()).map(|column| self.text(figure, column));
            std::iter::once(name.trim_end().to_owned()).chain(cells).collect()
        });
        f.write_str(&aligned(&std::iter::once(head).chain(rows).collect::<Vec<_>>()))
    }
}
