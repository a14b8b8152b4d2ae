//! Real servers under the binary as PID 1: each row of the README's table is a test. And a real
//! balancer before them, whose clients go on through a restart.
//!
//!     cargo test --test servers -- --ignored --nocapture
//!
//! prints the rows. They need root and Debian's packages: apt-get install nginx-light haproxy
//! apache2-bin redis-server postgresql gunicorn uvicorn nodejs golang-go python3-celery python3-redis
//! uwsgi-core uwsgi-plugin-python3 supervisor php8.2-fpm libfcgi-bin. Without one of them a test fails
//! and says what is missing; none passes unseen.

mod balancer;
mod http;
mod masters;
mod postgresql;
mod redis;
mod shutdown;
mod upstream;

#[path = "../shared"]
mod shared {
    mod ended;
    mod folder;
    mod init;
    mod said;
    mod waiting;

    pub use self::{ended::*, folder::*, init::*, waiting::*};
}

#[path = "../../examples/rolling-restart/http.rs"]
mod client;
