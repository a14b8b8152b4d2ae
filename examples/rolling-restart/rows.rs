//! The rows of the table: which init runs what, and how it is told to end.

use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use nix::sys::signal::Signal;

use crate::duration::show;
use crate::hold::Delay;

/// reprieve's own default.
const MARGIN: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Row {
    /// nginx itself is PID 1
    None,
    Tini,
    DumbInit,
    Catatonit,
    /// tini, and a sleep before the stop signal
    PreStop,
    /// A delay that is shorter than the lag
    ReprieveShort,
    /// A delay that is longer than the lag
    Reprieve,
    /// tini, and an app that ignores the stop signal
    TiniIgnored,
    /// reprieve, and an app that ignores the stop signal
    ReprieveIgnored,
}

/// What the controller sends, the same to every init: only the init is to make a difference.
///
/// nginx's own image asks for SIGQUIT by its STOPSIGNAL, and so that is what Docker and Kubernetes
/// send it: nginx then closes its door and finishes what it has. On SIGTERM it drops that too,
/// which no delay heals, since kept connections are busy until the end; there an init helps that
/// can rewrite the signal, and so it does.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "UPPER")]
pub enum StopSignal {
    Sigquit,
    Sigterm,
}

impl From<StopSignal> for Signal {
    fn from(stop_signal: StopSignal) -> Signal {
        match stop_signal {
            StopSignal::Sigquit => Signal::SIGQUIT,
            StopSignal::Sigterm => Signal::SIGTERM,
        }
    }
}

/// The times of a rollout.
#[derive(Clone, Copy)]
pub struct Times {
    pub lag: Duration,
    pub grace_period: Duration,
    /// A delay that is too short.
    pub short: Duration,
    /// A delay that is long enough, for a preStop sleep too.
    pub sufficient: Duration,
}

impl Times {
    pub fn new(lag: Duration, grace_period: Duration) -> Result<Times, String> {
        let sufficient = lag + Duration::from_secs(1);
        Times::fits(sufficient, grace_period)?;
        if lag < Duration::from_millis(500) {
            return Err("a lag of less than 500ms would show nothing".into());
        }
        Ok(Times { lag, grace_period, short: lag / 2, sufficient })
    }

    /// Whether reprieve would take these.
    pub fn fits(delay: Duration, grace_period: Duration) -> Result<(), String> {
        if delay + MARGIN < grace_period {
            return Ok(());
        }
        let [delay, grace_period, margin] = [delay, grace_period, MARGIN].map(show);
        Err(format!(
            "a delay of {delay} and the margin of {margin} do not fit into a grace period of \
             {grace_period}: make the delay or the lag shorter, or --grace-period longer"
        ))
    }
}

/// What a replica runs.
pub struct Setup {
    pub title: String,
    init: Vec<String>,
    /// Between the controller's wish and the stop signal.
    pub pre_stop: Duration,
    ignores_signals: bool,
}

impl Row {
    pub const ALL: [Row; 9] = [
        Row::None,
        Row::Tini,
        Row::DumbInit,
        Row::Catatonit,
        Row::PreStop,
        Row::ReprieveShort,
        Row::Reprieve,
        Row::TiniIgnored,
        Row::ReprieveIgnored,
    ];

    pub fn setup(self, times: &Times, stop_signal: StopSignal, reprieve: &Path) -> Setup {
        let reprieve = |delay| Setup::reprieve(&Delay::Fixed(delay), times, stop_signal, reprieve);
        match self {
            Row::None => Setup::new("no init", ""),
            Row::Tini => Setup::new("tini", "tini --"),
            Row::DumbInit => match stop_signal {
                StopSignal::Sigquit => Setup::new("dumb-init", "dumb-init --"),
                StopSignal::Sigterm => {
                    Setup::new("dumb-init `--rewrite 15:3`", "dumb-init --rewrite 15:3 --")
                }
            },
            Row::Catatonit => Setup::new("catatonit", "catatonit --"),
            Row::PreStop => {
                let title = format!("tini, `preStop` sleep {}", show(times.sufficient));
                Setup { pre_stop: times.sufficient, ..Setup::new(&title, "tini --") }
            }
            Row::ReprieveShort => reprieve(times.short),
            Row::Reprieve => reprieve(times.sufficient),
            Row::TiniIgnored => Setup::new("tini", "tini --").that_ignores_signals(),
            Row::ReprieveIgnored => reprieve(times.sufficient).that_ignores_signals(),
        }
    }

    /// The program of Debian that it needs, which is called like its package.
    pub fn program(self) -> Option<&'static str> {
        match self {
            Row::Tini | Row::PreStop | Row::TiniIgnored => Some("tini"),
            Row::DumbInit => Some("dumb-init"),
            Row::Catatonit => Some("catatonit"),
            Row::None | Row::ReprieveShort | Row::Reprieve | Row::ReprieveIgnored => None,
        }
    }
}

impl Setup {
    fn new(title: &str, init: &str) -> Setup {
        let init = init.split_whitespace().map(String::from).collect();
        Setup { title: title.into(), init, pre_stop: Duration::ZERO, ignores_signals: false }
    }

    /// It logs JSON, which the length of a hold can be read from.
    pub fn reprieve(
        delay: &Delay,
        times: &Times,
        stop_signal: StopSignal,
        reprieve: &Path,
    ) -> Setup {
        let (extra, title) = match stop_signal {
            StopSignal::Sigquit => (["--stop-signal", "SIGQUIT"], ""),
            StopSignal::Sigterm => (["--rewrite", "TERM:QUIT"], " `--rewrite TERM:QUIT`"),
        };
        let grace_period = show(times.grace_period);
        let mut init = vec![reprieve.display().to_string()];
        init.extend(delay.options());
        let rest = ["--grace-period", &grace_period, "--log-format", "json"];
        init.extend(rest.into_iter().chain(extra).chain(["--"]).map(String::from));
        Setup { init, ..Setup::new(&format!("reprieve, delay {delay}{title}"), "") }
    }

    fn that_ignores_signals(self) -> Setup {
        let title = self.title + ", the app ignores the signal";
        Setup { title, ignores_signals: true, ..self }
    }

    /// The command line of PID 1, for a folder with an `nginx.conf`.
    pub fn line(&self, folder: &Path) -> Vec<String> {
        let folder = folder.display();
        let nginx = format!("nginx -e stderr -p {folder} -c nginx.conf");
        let mut app: Vec<String> = nginx.split(' ').map(String::from).collect();
        if self.ignores_signals {
            // A process of nginx that has no workers leaves the signals blocked that it finds so.
            app.splice(..0, ["env", "--block-signal=TERM,QUIT"].map(String::from));
            app.extend(["-g", "master_process off;"].map(String::from));
        }
        self.init.iter().cloned().chain(app).collect()
    }
}
