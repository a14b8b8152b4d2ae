//! Figures side by side, as text and as JSON.

use serde_json::{Map, Value, json};

use crate::output::{aligned, quantile};

/// The column of the app alone, without any init, which no ratio is to.
pub const FLOOR: usize = 0;
/// The column of reprieve; those after it are the others.
pub const OURS: usize = 1;

/// What a figure may be at most.
#[derive(Clone, Copy)]
pub enum Budget {
    Value(f64),
    /// Times the best of the others.
    Ratio(f64),
}

/// A figure of which less is better: a row of the table.
pub struct Figure {
    name: String,
    unit: &'static str,
    decimals: usize,
    /// Whether a ratio means something.
    is_compared: bool,
    budget: Option<Budget>,
    columns: Vec<Vec<f64>>,
}

impl Figure {
    /// Of one number a round in each column; none, where it was not measured.
    pub fn new(name: &str, unit: &'static str, decimals: usize, columns: Vec<Vec<f64>>) -> Figure {
        Figure { name: name.into(), unit, decimals, is_compared: true, budget: None, columns }
    }

    pub fn within(self, budget: Budget) -> Figure {
        Figure { budget: Some(budget), ..self }
    }

    pub fn not_compared(self) -> Figure {
        Figure { is_compared: false, ..self }
    }

    fn quantile(&self, column: usize, part: f64) -> Option<f64> {
        let rounds = &self.columns[column];
        (!rounds.is_empty()).then(|| quantile(rounds, part))
    }

    fn median(&self, column: usize) -> Option<f64> {
        self.quantile(column, 0.5)
    }

    /// Half the distance between the quartiles, in percent of the median.
    fn spread(&self, column: usize) -> Option<f64> {
        let half = (self.quantile(column, 0.75)? - self.quantile(column, 0.25)?) / 2.0;
        let spread = 100.0 * half / self.median(column)?;
        Some(spread).filter(|spread| spread.is_finite() && self.columns[column].len() > 1)
    }

    fn ratio(&self, column: usize) -> Option<f64> {
        let peers = (OURS + 1..self.columns.len()).filter_map(|peer| self.median(peer));
        let best = peers.min_by(f64::total_cmp)?;
        let means_something = self.is_compared && column != FLOOR && best > 0.0;
        self.median(column).filter(|_| means_something).map(|median| median / best)
    }

    fn text(&self, column: usize) -> String {
        let Some(median) = self.median(column) else { return "-".into() };
        let spread = self.spread(column).map(|spread| format!(" ±{spread:.0}%"));
        let ratio = self.ratio(column).map(|ratio| format!(" x{ratio:.2}"));
        let [spread, ratio] = [spread, ratio].map(Option::unwrap_or_default);
        format!("{median:.*}{spread}{ratio}", self.decimals)
    }

    /// Whether reprieve is within the budget, and in words. A ratio may be this much higher, for
    /// the noise of one run; what could not be measured is not within.
    pub fn verdict(&self, allowance: f64) -> Option<(bool, String)> {
        let (value, most, words) = match self.budget? {
            Budget::Value(most) => (self.median(OURS), most, format!("{most} {}", self.unit)),
            Budget::Ratio(most) => {
                let words = format!("x{most:.2} and {:.0} % for noise", 100.0 * allowance);
                (self.ratio(OURS), most * (1.0 + allowance), words)
            }
        };
        let is_within = value.is_some_and(|value| value <= most);
        let word = if is_within { "within" } else { "ABOVE" };
        Some((
            is_within,
            format!("{word} {}: {}: {}", words.trim_end(), self.name, self.text(OURS)),
        ))
    }

    pub fn json(&self, names: &[&str]) -> Value {
        let value = |column| {
            json!({
                "median": self.median(column),
                "spread_percent": self.spread(column),
                "ratio": self.ratio(column),
                "rounds": self.columns[column],
            })
        };
        let values = names.iter().enumerate().map(|(column, name)| ((*name).into(), value(column)));
        json!({ "figure": self.name, "unit": self.unit, "values": values.collect::<Map<_, _>>() })
    }
}

pub fn table(names: &[&str], figures: &[Figure]) -> String {
    let line = |name: String, cells: Vec<String>| [vec![name], cells].concat();
    let head = line(String::new(), names.iter().map(|name| (*name).into()).collect());
    let rows = figures.iter().map(|figure| {
        let name = format!("{} {}", figure.name, figure.unit);
        line(name.trim_end().into(), (0..names.len()).map(|column| figure.text(column)).collect())
    });
    aligned(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}
