//! What reprieve is told, and what it would do with it.

use reprieve::cli::args::VARIABLE_PREFIX;
use reprieve::signal::Signal;

use crate::images;
use crate::rules::{Fault, Subject};
use crate::settings::is_variable;

pub fn unknown_variable(subject: &Subject) -> Vec<Fault> {
    let unknown = subject.container.variables.iter().filter_map(|variable| {
        let message = unknown(&variable.name)?;
        Some(Fault::new(variable.place, message))
    });
    unknown.collect()
}

fn unknown(name: &str) -> Option<String> {
    let is_ours = !name.starts_with(VARIABLE_PREFIX) || is_variable(name);
    (!is_ours).then(|| format!("{name} sets no option"))
}

pub fn unreadable_value(subject: &Subject) -> Vec<Fault> {
    let refused = subject.settings.refused.iter();
    refused.map(|refused| Fault::new(refused.place, refused.why.clone())).collect()
}

/// The signal that will come, by the file or else by the image, against those that begin a shutdown.
pub fn stop_signal(subject: &Subject) -> Vec<Fault> {
    let declared = subject.container.stop_signal.as_ref();
    let refused = declared.and_then(|declared| Some((declared.value.place, declared.refused?)));
    let mut faults: Vec<_> =
        refused.map(|(place, why)| Fault::new(place, why)).into_iter().collect();
    let settings = subject.settings;
    let Some(plan) = subject.plan().filter(|_| settings.is_used) else { return faults };
    if settings.is_unknown("stop-signal") {
        return faults;
    }
    let value = declared.map(|declared| &declared.value);
    let coming = match (value, &subject.container.image) {
        (Some(value), _) => value.text.as_deref().map(|text| (value.place, text, String::new())),
        (None, Some(image)) => image.text.as_deref().and_then(|text| {
            let (name, signal) = images::stop_signal(text)?;
            Some((image.place, signal, format!("the image {name} asks for ")))
        }),
        (None, None) => None,
    };
    let Some((place, text, who)) = coming else { return faults };
    match text.parse::<Signal>() {
        Ok(signal) if plan.stop_signals.contains(&signal) => {}
        Ok(signal) => {
            let message = format!(
                "{who}{signal}, which is no stop signal to reprieve: it is forwarded at once, without a \
                 hold; say REPRIEVE_STOP_SIGNAL={signal}"
            );
            faults.push(Fault::new(place, message));
        }
        Err(error) => faults.push(Fault::new(place, format!("'{text}': {error}"))),
    }
    faults
}
