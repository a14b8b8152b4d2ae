//! PostgreSQL waits for its clients on SIGTERM, and sends them away on SIGINT (its manual, chapter
//! "Shutting Down the Server").

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::shared::*;
use crate::shutdown::*;

/// It does not run as root.
pub const AS_NOBODY: &str = "setpriv --reuid=nobody --regid=nogroup --clear-groups";

/// Clients: one whose query lasts until it is done, and one that says so.
struct Sessions {
    server: SocketAddr,
    idle: Option<Session>,
    busy: Option<Session>,
}

impl Sessions {
    fn psql(&self) -> Command {
        let mut psql = Command::new("psql");
        psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--username=postgres"]);
        psql.arg(format!("--host={}", self.server.ip()));
        psql.arg(format!("--port={}", self.server.port()));
        psql
    }
}

impl Clients for Sessions {
    fn are_served(&self) -> bool {
        let output = self.psql().arg("--command=select 1").stdin(Stdio::null()).output();
        output.expect("psql").status.success()
    }

    fn ask(&mut self) {
        let mut idle = Session::begin(&mut self.psql());
        assert_eq!(idle.answer("create table released ()"), "CREATE TABLE");
        let query = "--command=do $$ begin \
                     while not exists (select from released) loop perform pg_sleep(0.001); \
                     end loop; end $$";
        self.busy = Some(Session::begin(self.psql().arg(query)));
        eventually("a busy session", || {
            let query = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
            (idle.answer(query) == "1").then_some(())
        });
        self.idle = Some(idle);
    }

    fn release(&mut self) {
        let mut idle = self.idle.take().expect("a session");
        idle.answer("insert into released default values");
    }

    fn are_answered(&mut self) -> bool {
        self.busy.take().expect("a session").line() == "DO"
    }
}

/// A psql that is connected until it is dropped.
struct Session {
    psql: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Session {
    fn begin(psql: &mut Command) -> Session {
        psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut psql = psql.spawn().expect("psql");
        let stdin = psql.stdin.take().expect("a pipe");
        let stdout = BufReader::new(psql.stdout.take().expect("a pipe"));
        Session { psql, stdin, stdout }
    }

    /// The first line of an answer; empty where the session has ended.
    fn answer(&mut self, query: &str) -> String {
        let _ = writeln!(self.stdin, "{query};");
        self.line()
    }

    /// The next line that it says; empty where it has ended.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.psql.kill();
        let _ = self.psql.wait();
    }
}

/// Where Debian keeps the newest one.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.map(|version| version.path().join("bin")).max();
    newest.expect("PostgreSQL is missing: apt-get install postgresql")
}

/// An init after a database has been made, and the command of its server.
pub fn database(server: SocketAddr) -> (Init, String) {
    let programs = programs().display().to_string();
    let init = init(&format!(
        "chmod 1777 .; {AS_NOBODY} {programs}/initdb --pgdata=/mnt/data --username=postgres \
         --auth=trust --no-locale --no-sync >&2"
    ));
    let command = format!(
        "{AS_NOBODY} {programs}/postgres -D /mnt/data -c dynamic_shared_memory_type=mmap \
         -c unix_socket_directories= -c listen_addresses={} -c port={}",
        server.ip(),
        server.port()
    );
    (init, command)
}

/// Makes a database and stops its server in this way.
fn stopped(option: &str, start: Start, in_flight: InFlight, code: i32) -> Outcome {
    let server = address();
    let (init, command) = database(server);
    let mut sessions = Sessions { server, idle: None, busy: None };
    let outcome = stop(init.options(option), start(&command), &mut sessions, in_flight, code);
    // As it should, and not as after a crash of one of its processes.
    assert!(outcome.ended.said("database system is shut down"), "{}", outcome.ended);
    assert!(!outcome.ended.said("terminating any other active"), "{}", outcome.ended);
    outcome
}

fn postgresql_version() -> String {
    version(&format!("{}/postgres --version", programs().display()), "postgresql")
}

/// The process of a client has a session of its own, and would end on SIGTERM: it is left to its
/// master, in a shell too.
#[test]
#[ignore = "needs root and Debian's postgresql: cargo test --test servers -- --ignored"]
fn postgresql_waits_for_its_clients() {
    let alone = stopped("", bare, InFlight::Completes, 0);
    let in_shell = stopped("", in_shell, InFlight::Completes, 143);
    print_row("PostgreSQL", &postgresql_version(), "", &alone, &in_shell);
    stopped("", by_exec, InFlight::Completes, 0);
}

#[test]
#[ignore = "needs root and Debian's postgresql: cargo test --test servers -- --ignored"]
fn postgresql_sends_its_clients_away_on_sigint() {
    let option = "--rewrite TERM:INT";
    let alone = stopped(option, bare, InFlight::IsCut, 0);
    let in_shell = stopped(option, in_shell, InFlight::IsCut, 130);
    print_row("PostgreSQL", &postgresql_version(), option, &alone, &in_shell);
}
