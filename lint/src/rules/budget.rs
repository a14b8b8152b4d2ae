//! Times that have to fit into the platform's allowance.

use std::time::Duration;

use reprieve::shutdown::plan::Plan;
use reprieve::span::Span;

use crate::model::{BeforeStop, Role};
use crate::rules::{Fault, Subject};

/// An app that has no more than this after a sleep is cut where a request takes its time.
const LEAST_DRAIN: Duration = Duration::from_secs(5);

/// The delay and the margin against the allowance, by the check that reprieve makes of its own settings.
pub fn does_not_fit(subject: &Subject) -> Vec<Fault> {
    let Some(plan) = subject.plan() else { return Vec::new() };
    // Without either there is neither a hold nor a kill.
    if plan.delay.max.is_zero() && plan.grace_period.is_none() {
        return Vec::new();
    }
    let allowance = &subject.container.allowance;
    let sleeps = subject.sleeps_in_allowance();
    let left = allowance.time.map(|time| time.saturating_sub(sleeps));
    let with = |grace_period| Plan { grace_period, ..plan.clone() }.check().err();
    let message = if let Some(misfit) = with(left) {
        let less = match sleeps.is_zero() {
            true => String::new(),
            false => format!(", less a sleep of {} before the stop signal", Span(sleeps)),
        };
        format!("{misfit}; the platform's is {allowance}{less}")
    } else if let Some(misfit) = with(plan.grace_period) {
        misfit.to_string()
    } else {
        return Vec::new();
    };
    let place = subject.settings.place(&["delay", "margin", "grace-period"]);
    place.map(|place| Fault::new(place, message)).into_iter().collect()
}

pub fn differs_from_allowance(subject: &Subject) -> Vec<Fault> {
    let container = subject.container;
    let is_told = subject.settings.has("grace-period") && container.role != Role::Sidecar;
    let told = subject.plan().filter(|_| is_told).and_then(|plan| plan.grace_period);
    let (Some(told), Some(allowed)) = (told, container.allowance.time) else { return Vec::new() };
    // A hook takes its time from the allowance, and how long that is cannot always be known.
    let is_less_a_hook = told < allowed && container.before_stop.iter().any(|it| it.uses_allowance);
    if told == allowed || is_less_a_hook {
        return Vec::new();
    }
    let message = format!("a grace period of {} is not {}", Span(told), container.allowance);
    let place = subject.settings.place(&["grace-period"]);
    place.map(|place| Fault::new(place, message)).into_iter().collect()
}

pub fn prestop_beside_delay(subject: &Subject) -> Vec<Fault> {
    let Some(delay) = subject.delay() else { return Vec::new() };
    let sleeps = subject.container.before_stop.iter().filter(|it| !it.time.is_zero());
    let fault = |it: &BeforeStop| {
        let (what, time) = (it.what, Span(it.time));
        let cost = match it.uses_allowance {
            true => {
                ", and the sleep comes out of the grace period before reprieve hears the signal"
            }
            false => "",
        };
        Fault::new(
            it.place,
            format!("a {what} of {time} beside a delay of {delay}: both add up{cost}"),
        )
    };
    sleeps.map(fault).collect()
}

pub fn prestop_takes_grace_period(subject: &Subject) -> Vec<Fault> {
    let allowance = &subject.container.allowance;
    let Some(allowed) = allowance.time else { return Vec::new() };
    let hooks = subject.container.before_stop.iter().filter(|it| it.uses_allowance);
    let fault = |it: &BeforeStop| {
        let left = allowed.saturating_sub(it.time);
        if left > LEAST_DRAIN || it.time <= left {
            return None;
        }
        let what = format!("a {} of {}", it.what, Span(it.time));
        let message = match left.is_zero() {
            true => format!("{what} takes all of {allowance}: the app is killed unheard"),
            false => format!("{what} leaves the app {} of {allowance}", Span(left)),
        };
        Some(Fault::new(it.place, message))
    };
    hooks.filter_map(fault).collect()
}

pub fn delay_without_grace_period(subject: &Subject) -> Vec<Fault> {
    let settings = subject.settings;
    let Some(delay) = subject.delay() else { return Vec::new() };
    let may_be_told = settings.has("grace-period") || settings.is_partial;
    // A sidecar is to have neither.
    if may_be_told || subject.container.role == Role::Sidecar {
        return Vec::new();
    }
    let message = format!(
        "a delay of {delay} and no grace period: reprieve cannot tell whether it fits, nor report before \
         the platform kills; the platform's is {}",
        subject.container.allowance
    );
    let place = settings.place(&["delay"]);
    place.map(|place| Fault::new(place, message)).into_iter().collect()
}

pub fn native_sidecar(subject: &Subject) -> Vec<Fault> {
    let Some(plan) = subject.plan().filter(|_| subject.container.role == Role::Sidecar) else {
        return Vec::new();
    };
    let has_delay = !plan.delay.max.is_zero();
    let long = match (has_delay, plan.grace_period) {
        (true, _) => "delay",
        (false, Some(_)) => "grace-period",
        (false, None) => return Vec::new(),
    };
    let message = "a native sidecar gets the stop signal after the app has ended, and has what is left of \
                   the grace period: neither a delay nor a grace period can be right";
    let place = subject.settings.place(&[long]);
    place.map(|place| Fault::new(place, message)).into_iter().collect()
}
