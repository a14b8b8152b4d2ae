//! What a short report says of the traffic: what came in the hold, and which delay would do.

use crate::report::summary::{Summary, Traffic};
use crate::report::words::{Brief, Connections, Limits};
use crate::traffic::counts::Counts;
use crate::traffic::peers::PeerCount;

/// A reason is told in so many characters.
const LIMITS: Limits = Limits { entries: 1, text: 64 };

/// The parts, with what matters most first.
pub fn parts(summary: &Summary) -> Vec<String> {
    let Some(seen) = summary.traffic.as_ref().filter(|seen| seen.listens()) else {
        return Vec::new();
    };
    let Some(counts) = seen.counts else {
        let why = seen.unseen_because.unwrap_or_default();
        return vec![format!("what came in was not seen: {}", LIMITS.short(why))];
    };
    let mut parts = connections(seen, &counts);
    if parts.is_empty() {
        let sent_requests = summary.verdict.as_ref().is_some_and(|of| of.requests.is_some());
        let but = if sent_requests { " but those of the rehearsal" } else { "" };
        let came = if seen.missed_because.is_none() { "came" } else { "was seen" };
        parts.push(format!("no connection {came}{but}"));
    }
    parts.extend(peers(seen, &counts));
    parts.extend(
        seen.missed_because.map(|why| format!("some may be missed: {}", LIMITS.short(why))),
    );
    let open = seen.at_forward.filter(|open| open.active > 0);
    parts.extend(open.map(|open| {
        format!("{} open at the forward, {} of them busy", Connections(open.open), open.active)
    }));
    parts
}

/// What there is to know of a hold that lasted for the whole delay: who prolonged it, or which delay
/// would have covered the last data.
pub fn advice(seen: &Traffic) -> String {
    let gap = seen.counts.map(|counts| counts.longest_gap);
    let still_came =
        seen.last_data.is_some() && seen.missed_because.is_none() && seen.silent <= gap;
    match (seen.kept_by, seen.sufficient_delay) {
        (Some(who), _) => format!(", prolonged by {who}"),
        (None, Some(delay)) if !delay.is_zero() => format!(", {} would do", Brief(delay)),
        (None, None) if still_came => ", perhaps too short: requests still came".into(),
        (None, _) => String::new(),
    }
}

/// Whom the new connections came from: who looks like a probe, and those who sent a quarter of them, but
/// not all, or the last data, which the advice is for.
fn peers(seen: &Traffic, counts: &Counts) -> Vec<String> {
    let last = counts.last_data.and_then(|data| data.from.peer).map(|peer| peer.ip());
    let probes = seen.peers.iter().filter(|one| one.looks_like_probe);
    let probes = probes.map(|one| format!("{} looks like a probe: --ignore-peer?", one.peer));
    let sent_much = |one: &&PeerCount| {
        let is_one_of_many = one.connections < counts.arrived;
        !one.looks_like_probe
            && is_one_of_many
            && (one.connections * 4 >= counts.arrived || Some(one.peer) == last)
    };
    let others = seen.peers.iter().filter(sent_much);
    probes
        .chain(others.map(|one| format!("{} of them from {}", one.connections, one.peer)))
        .collect()
}

/// Those that came, and old ones that sent data; nothing where there were none.
fn connections(seen: &Traffic, counts: &Counts) -> Vec<String> {
    let Counts { arrived, with_data, old_with_data, .. } = *counts;
    let is_sure = seen.missed_because.is_none();
    let least = if is_sure { "" } else { "at least " };
    let came = (arrived > 0).then(|| {
        let data = match with_data {
            0 => " without data".into(),
            _ if with_data == arrived => String::new(),
            some => format!(", {some} with data"),
        };
        let last = seen.last_arrival.map(|last| format!(", the last at +{}", Brief(last)));
        format!("{least}{} came{data}{}", Connections(arrived), last.unwrap_or_default())
    });
    let until = seen.last_data.map(|last| format!(" +{}", Brief(last))).unwrap_or_default();
    let spoke = (old_with_data > 0).then(|| {
        let old = if old_with_data == 1 { "connection" } else { "connections" };
        format!("{least}{old_with_data} old {old} sent data until{until}")
    });
    came.into_iter().chain(spoke).collect()
}
