//! Looks whether the app listens on a port, before the stop signal of a rehearsal.

use std::io;
use std::time::Duration;

use crate::sorted::SortedSet;
use crate::traffic::listening::{Knowledge, Listening};
use crate::traffic::seen::Source;
use crate::traffic::servers::Ports;
use crate::traffic::sources::SocketSource;
use crate::traffic::watch::WatchConfig;

/// The pause between two looks, and between two parts of a search for the owners of sockets.
const PAUSE: Duration = Duration::from_millis(50);
const SEARCH_PAUSE: Duration = Duration::from_millis(4);

/// What the app listens on, from look to look.
pub struct AppListens {
    /// Opened by the first look.
    source: Option<SocketSource>,
    listening: Listening,
    watched: WatchConfig,
    strangers: Strangers,
}

/// The sockets that were there when the app had just been started, and are not seen to be its own. Later
/// whose a socket is may have to be guessed (of an app with another uid, by that), and in the network of
/// the machine such a guess would take theirs for the app's.
enum Strangers {
    /// Nobody has looked.
    Unknown,
    /// It is looked whose these are.
    AmongThese(SortedSet<u64>),
    Known(SortedSet<u64>),
}

impl AppListens {
    /// Looks at the ports that the watch over traffic looks at.
    pub fn new(watched: &WatchConfig) -> AppListens {
        // Whoever listens on a port that is named keeps the app from doing so.
        let strangers = match watched.ports {
            Ports::Named(_) => Strangers::Known(SortedSet::default()),
            Ports::OfFamily => Strangers::Unknown,
        };
        let (listening, watched) = (listening(watched), watched.clone());
        AppListens { source: None, listening, watched, strangers }
    }

    /// Looks once, for about a millisecond. Whether a port of the app's is seen, of TCP or UDP. The
    /// helpers are processes of ours.
    pub fn look(&mut self, helpers: &[i32]) -> io::Result<bool> {
        let source = match self.source.take() {
            Some(source) => source,
            None => SocketSource::open_one_of(&[Source::Dumps, Source::Files])?,
        };
        let source = self.source.insert(source);
        if !self.listening.go_on() {
            return Ok(false);
        }
        let mut listing = source.list_servers(&self.listening)?;
        match &self.strangers {
            Strangers::Unknown => {
                self.strangers = Strangers::AmongThese(listing.inodes().collect());
            }
            Strangers::AmongThese(_) => {}
            Strangers::Known(strangers) => listing.leave_out(strangers),
        }
        if self.listening.refresh(listing, helpers) == Knowledge::Searching {
            return Ok(false);
        }
        if let Strangers::AmongThese(first) = &mut self.strangers {
            first.retain(|inode| !self.listening.has(inode));
            self.strangers = Strangers::Known(std::mem::take(first));
            // It may have taken some of them for the app's.
            self.listening = listening(&self.watched);
            return Ok(false);
        }
        let servers = self.listening.servers();
        Ok(!(servers.served.is_empty() && servers.udp.is_empty()))
    }

    /// How long to wait until the next look.
    pub fn pause(&self) -> Duration {
        if self.listening.is_searching() { SEARCH_PAUSE } else { PAUSE }
    }
}

fn listening(watched: &WatchConfig) -> Listening {
    Listening::new(watched.ports.clone(), watched.ignored_ports.clone())
}
