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

/// How long the replicas held the stop signal back.
pub fn random(lines: &[random::Line]) -> String {
    let mut table = String::from(
        "| delay | clients | served | failed | the hold lasted, on average | least | most | \
         against the fixed delay | longest drain |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for line in lines {
        // The first with the same clients.
        let fixed = lines.iter().find(|fixed| fixed.clients == line.clients).unwrap_or(line);
        let [average, fixed] = [line, fixed].map(|line| line.average().as_secs_f64());
        let held = || line.shutdowns.iter().map(|shutdown| shutdown.held);
        let drained = line.shutdowns.iter().map(|shutdown| shutdown.drained);
        let [least, most, drained] = [held().min(), held().max(), drained.max()]
            .map(|time| seconds(time.unwrap_or_default()));
        table += &format!(
            "| {} | {} | {} | {} | {average:.2} s | {least} | {most} | {:+.2} s | {drained} |\n",
            line.delay,
            line.clients,
            line.served,
            line.failures,
            average - fixed
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
