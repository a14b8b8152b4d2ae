//! Stub until merged.
use crate::exit::StartError;
use crate::http::Url;
use crate::signal::Signal;
use std::net::{SocketAddr, TcpListener};
pub const STOPPING: Signal = Signal::HUP;
pub const ENDED: Signal = Signal::INT;
#[derive(Clone, Copy, Debug, Default)]
pub struct State {
    pub stopping: bool,
    pub ended: bool,
}
pub struct Health {
    listener: TcpListener,
    upstream: Option<Url>,
}
impl Health {
    pub fn bind(address: SocketAddr, upstream: Option<Url>) -> Result<Health, StartError> {
        let listener = TcpListener::bind(address).map_err(|e| StartError::Failed(e.to_string()))?;
        Ok(Health { listener, upstream })
    }
    pub fn serve(&self, _state: State) -> u8 {
        let _ = (&self.listener, &self.upstream);
        1
    }
}
