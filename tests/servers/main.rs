//! Real servers under the binary as PID 1: each row of the table in docs/servers.md is a test. Real balancers
//! before them, whose clients go on through a restart. And traffic of real clients in a hold.
//!
//!     cargo test --test servers -- --ignored --nocapture
//!
//! prints the rows. They need root and Debian's packages: apt-get install nginx-light haproxy
//! apache2-bin redis-server postgresql gunicorn uvicorn nodejs golang-go openjdk-17-jdk-headless
//! python3-celery python3-redis uwsgi-core uwsgi-plugin-python3 supervisor php8.2-fpm libfcgi-bin python3-grpcio pgbouncer
//! python3-psycopg2 openssl iproute2. Without one of them a test fails and says what is missing; none
//! passes unseen.

mod balancer;
mod http;
mod load;
mod masters;
mod network;
mod postgresql;
mod redis;
mod rehearsal;
mod shutdown;
mod traffic;
mod upstream;

#[path = "../shared"]
mod shared {
    mod at_once;
    mod ended;
    mod folder;
    mod init;
    mod namespaces;
    mod said;
    mod visitor;
    mod waiting;

    pub use self::{at_once::*, ended::*, folder::*, init::*, visitor::*, waiting::*};
}

#[path = "../../examples/rolling-restart/http.rs"]
mod client;
