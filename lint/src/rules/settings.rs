//! What reprieve is told, and what it would do with it.

use std::ffi::CString;

use reprieve::cli::variables::{Kind, kind, remedy};
use reprieve::signal::Signal;

use crate::images;
use crate::model::{Container, Variable};
use crate::rules::{Fault, Subject};
use crate::tree::Place;

pub fn unknown_variable(subject: &Subject) -> Vec<Fault> {
    let unknown = subject.container.variables.iter().filter_map(|variable| {
        let message = unknown(variable)?;
        Some(Fault::new(variable.place, message))
    });
    unknown.collect()
}

/// What reprieve itself would say of the variable. To it an empty one is unset, and here the name counts.
fn unknown(Variable { name, value, .. }: &Variable) -> Option<String> {
    let value = value.text.as_deref().filter(|text| !text.is_empty()).unwrap_or("?");
    let entry = CString::new(format!("{name}={value}")).ok()?;
    matches!(kind(&entry), Kind::Stray | Kind::Misspelt).then(|| remedy(&entry))
}

pub fn unreadable_value(subject: &Subject) -> Vec<Fault> {
    let refused = subject.settings.refused.iter();
    refused.map(|refused| Fault::new(refused.place, refused.why.clone())).collect()
}

pub fn stop_signal(subject: &Subject) -> Vec<Fault> {
    refused_signal(subject).into_iter().chain(undeclared_signal(subject)).collect()
}

/// A signal that the platform does not take.
fn refused_signal(subject: &Subject) -> Option<Fault> {
    let signal = subject.container.stop_signal.as_ref()?;
    Some(Fault::new(signal.value.place, signal.refused?))
}

/// A signal that will come, and is none of those that begin a shutdown.
fn undeclared_signal(subject: &Subject) -> Option<Fault> {
    let settings = subject.settings;
    let is_known = settings.is_used && !settings.is_unknown("stop-signal");
    let plan = subject.plan().filter(|_| is_known)?;
    let (place, name, who) = coming_signal(subject.container)?;
    let message = match name.parse::<Signal>() {
        Ok(signal) if plan.stop_signals.contains(&signal) => return None,
        Ok(signal) => format!(
            "{who} {signal}, which is no stop signal to reprieve: it is forwarded at once, without a \
             hold; list it in REPRIEVE_STOP_SIGNAL"
        ),
        Err(error) => format!("{who} '{name}': {error}"),
    };
    Some(Fault::new(place, message))
}

/// The signal that the platform will send: where that is said, the signal, and who says it.
fn coming_signal(container: &Container) -> Option<(Place, &str, String)> {
    if let Some(declared) = &container.stop_signal {
        let value = &declared.value;
        return Some((value.place, value.text.as_deref()?, "the platform sends".to_owned()));
    }
    let image = container.image.as_ref()?;
    let (name, signal) = images::stop_signal(image.text.as_deref()?)?;
    Some((image.place, signal, format!("the image {name} asks for")))
}
