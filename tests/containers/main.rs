//! The binary that we ship, as PID 1 of real containers.
//!
//!     cargo test --test containers -- --ignored
//!
//! needs a Docker engine, root (or sudo without a password) for debootstrap and a dockerd of our
//! own, the musl target, and Debian's packages busybox-static, debootstrap (elsewhere than on
//! Debian debian-archive-keyring too) and docker-compose. Without one of them a test fails and
//! says what is missing; none passes unseen.
//!
//! All images are made here: no registry is asked. The first run bootstraps a Debian for nginx and
//! Python, which takes a minute or two; later runs find it below `target/tmp`. Images are called
//! `reprieve-test-.../...`, in each clone by another number, and are removed at the end; containers have
//! the label `reprieve-test`.

mod copy;
mod daemon;
mod examples;
mod harness;
mod hooks;
mod images;
mod pages;
mod pressure;
mod processes;
mod readiness;
mod seccomp;
mod servers;
mod shells;
mod sidecars;
mod start;
mod stop;
mod terminal;
mod traffic;

#[path = "../shared"]
mod shared {
    pub mod ended;
    pub mod lateness;
    pub mod said;
    pub mod terminal;
    pub mod waiting;
}
