//! A sidecar that leaves at the stop signal: the app goes on without it, and fails.

use super::*;
use crate::load::{under_load, until_served};
use crate::network::Network;
use crate::postgresql::{AS_NOBODY, database};
use crate::shutdown::version;

const POOLER: &str = "[databases]
app = host=127.0.0.1 port=5432 dbname=postgres user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = 6432
unix_socket_dir =
auth_type = any
pool_mode = transaction
";

/// How many requests an app loses in its hold, of 2 s, whose pooler has this delay.
fn lost_behind_a_pooler(delay: &str) -> usize {
    Network::new().within(|| {
        let (init, command) = database(port(5432));
        let _database = init.app(command.split_whitespace());
        let folder = Folder::new();
        let file = folder.file("pgbouncer.ini", POOLER, 0o644).display().to_string();
        let pooler = pid1().options("--log-format json --delay").options(delay);
        let pooler = pooler.app(AS_NOBODY.split(' ').chain(["pgbouncer", &file]));
        let dsn = "host=127.0.0.1 port=6432 dbname=app user=app";
        let mut app = python("pages.py", "8080");
        app.push(dsn.to_owned());
        let run = serving(pid1(), "--delay 2s", app);
        let ((), tally) = under_load(port(8080), &[(PACE, true); 4], |tally| {
            until_served(tally, 20);
            pooler.signal(libc::SIGTERM);
            // A balancer has let go by then.
            wait_until(hold(&run) + Duration::from_millis(1500));
        });
        report(run, "delay");
        println!("pooler with {delay}: {tally:?}");
        tally.lost()
    })
}

#[test]
#[ignore = "needs root and Debian's pgbouncer, postgresql, python3-psycopg2: cargo test --test servers -- --ignored"]
fn a_pooler_that_stays_a_second_longer_loses_no_request() {
    version("pgbouncer --version", "pgbouncer");
    at_once([("0s", false), ("3s", true)], |(delay, stays)| {
        let lost = lost_behind_a_pooler(delay);
        assert_eq!(lost == 0, stays, "{lost} lost with a delay of {delay}");
    });
}
