//! Images whose stop signal is not SIGTERM, as their Dockerfiles say (STOPSIGNAL).

/// The names of images, and the stop signal of each. `php` only where its tag says FPM.
const STOP_SIGNALS: [(&str, &str); 6] = [
    ("nginx", "SIGQUIT"),
    ("nginx-unprivileged", "SIGQUIT"),
    ("httpd", "SIGWINCH"),
    ("haproxy", "SIGUSR1"),
    ("postgres", "SIGINT"),
    ("php", "SIGQUIT"),
];

/// Who publishes them, beside a registry's mirror of Docker's own: images of others with the same name
/// may have another stop signal.
const PUBLISHERS: [&str; 4] = ["library", "nginx", "nginxinc", "docker"];

/// The name of an image that is known to use another stop signal than SIGTERM, and that signal.
pub fn stop_signal(reference: &str) -> Option<(&'static str, &'static str)> {
    let reference = reference.split('@').next()?;
    let (path, tag) = match reference.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, tag),
        _ => (reference, ""),
    };
    let mut parts: Vec<&str> = path.split('/').collect();
    let image = parts.pop()?;
    let is_registry = |part: &&str| part.contains(['.', ':']) || *part == "localhost";
    let publishers = parts.iter().skip(usize::from(parts.first().is_some_and(is_registry)));
    let is_known = publishers.into_iter().all(|publisher| PUBLISHERS.contains(publisher));
    let (name, signal) = STOP_SIGNALS.iter().find(|(name, _)| *name == image)?;
    let is_it = is_known && (*name != "php" || tag.contains("fpm"));
    is_it.then_some((name, signal))
}
