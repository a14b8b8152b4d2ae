//! Looks whether the app listens on a port, before the stop signal of a rehearsal.

use std::io;
use std::time::Duration;

use crate::traffic::listening::{Knowledge, Listening};
use crate::traffic::seen::Source;
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
}

impl AppListens {
    /// Looks at the ports that the watch over traffic looks at.
    pub fn new(watched: &WatchConfig) -> AppListens {
        let listening = Listening::new(watched.ports.clone(), watched.ignored_ports.clone());
        AppListens { source: None, listening }
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
        let listing = source.list_servers(&self.listening)?;
        let is_known = self.listening.refresh(listing, helpers) == Knowledge::Known;
        let servers = self.listening.servers();
        Ok(is_known && !(servers.served.is_empty() && servers.udp.is_empty()))
    }

    /// How long to wait until the next look.
    pub fn pause(&self) -> Duration {
        if self.listening.is_searching() { SEARCH_PAUSE } else { PAUSE }
    }
}
