//! What was found, as Markdown.

use std::time::Duration;

use crate::duration::show;
use crate::random;
use crate::rollout::{End, Outcome};
use crate::rows::Row;
use crate::sweep::Line;

pub fn rollouts(outcomes: &[(Row, String, Outcome)]) -> String {
    let mut table = String::from(
        "| init | served | failed: new connections | failed: kept connections | \
         a replica ended after | the rollout took |\n|---|--:|--:|--:|---|--:|\n",
    );
    for (_, title, outcome) in outcomes {
        let tallies = &outcome.tallies;
        let ends: Vec<String> = outcome.ends.iter().map(end).collect();
        table += &format!(
            "| {title} | {} | {} | {} | {} | {} |\n",
            tallies.served(),
            tallies.new.failures(),
            tallies.kept.failures(),
            ends.join(", "),
            seconds(outcome.took)
        );
    }
    table
}

/// One row a lag, one column a delay.
pub fn sweep(lines: &[Line]) -> String {
    let delays = lines[0].points.iter().map(|(delay, _)| show(*delay));
    let delays: Vec<String> = delays.collect();
    let mut table = format!("| failed with a delay of | {} |\n", delays.join(" | "));
    table += &format!("|---|{}\n", "--:|".repeat(delays.len()));
    for line in lines {
        let failures: Vec<String> =
            line.points.iter().map(|(_, failures)| failures.to_string()).collect();
        table += &format!("| lag {} | {} |\n", show(line.lag), failures.join(" | "));
    }
    table
}

/// How long the replicas took that were stopped.
pub fn random(lines: &[random::Line]) -> String {
    let mut table = String::from(
        "| delay | clients | served | failed | a replica ended after, on average | first | last |\n\
         |---|---|--:|--:|--:|--:|--:|\n",
    );
    for random::Line { delay, clients, served, failures, ends } in lines {
        let times = || ends.iter().map(|end| end.after);
        let average = times().sum::<Duration>() / ends.len() as u32;
        let [first, last] = [times().min(), times().max()].map(Option::unwrap_or_default);
        let [average, first, last] = [average, first, last].map(seconds);
        table += &format!(
            "| {delay} | {clients} | {served} | {failures} | {average} | {first} | {last} |\n"
        );
    }
    table
}

fn end(end: &End) -> String {
    let killed = if end.killed { " (killed)" } else { "" };
    format!("{}{killed}", seconds(end.after))
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}
