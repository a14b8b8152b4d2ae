//! What a sidecar answered, in words.

use crate::http::url::Request;

/// The status that a request reported, or why there is none.
pub fn status(output: &str) -> Result<u16, String> {
    match output {
        "" => Err("no answer".into()),
        _ => output.parse().map_err(|_| output.into()),
    }
}

/// What a sidecar answered to a request to quit: an error if it will not.
pub fn to_quit(request: &Request, output: &str) -> Result<String, String> {
    match status(output)? {
        status @ 200..=299 => Ok(status.to_string()),
        status @ (403 | 404) => Err(match request.url().authority().port() {
            4191 => format!(
                "{status}: Linkerd's endpoint is off unless the pod has the annotation \
                     config.linkerd.io/proxy-admin-shutdown: enabled"
            ),
            15020 | 15000 => {
                format!("{status}: Istio answers on loopback only, and to POST only")
            }
            _ => format!(
                "{status}: is it the right path? Linkerd needs \
                     config.linkerd.io/proxy-admin-shutdown: enabled, Istio answers on loopback only"
            ),
        }),
        status => Err(failure(status)),
    }
}

/// A status that is no success.
pub fn failure(status: u16) -> String {
    match status {
        300..=399 => format!("{status}: redirects are not followed"),
        _ => status.to_string(),
    }
}

#[cfg(test)]
mod tests;
