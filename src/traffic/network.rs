//! The peers whose traffic is ignored: an address, or the addresses of a network.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// The addresses of a network, `10.0.0.0/8`, or a single one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// An IPv4 address is also in a network that is written as IPv6: `::ffff:10.0.0.0/104`.
    pub fn contains(&self, address: IpAddr) -> bool {
        let in_ipv6 = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().into(),
            IpAddr::V6(_) => address,
        };
        [address, in_ipv6].iter().any(|address| self.0.contains(address))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.0.prefix_len() == self.0.max_prefix_len() {
            true => self.0.addr().fmt(f),
            false => self.0.fmt(f),
        }
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Network {
        Network(address.into())
    }
}

/// A value of `--ignore-peer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IgnoredPeer {
    Network(Network),
    /// Whoever sends the node's probes here, by the rules of `gateway.rs`.
    Gateway,
}

impl FromStr for IgnoredPeer {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<IgnoredPeer, ParseNetworkError> {
        match text.trim() {
            "gateway" => Ok(IgnoredPeer::Gateway),
            text => text.parse().map(IgnoredPeer::Network),
        }
    }
}

/// A text that is neither an address nor a network.
#[derive(Debug, PartialEq, Eq)]
pub struct ParseNetworkError;

impl fmt::Display for ParseNetworkError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(
            "write an address or a network, such as 10.0.0.1, 10.0.0.0/8 or fd00::/8, or gateway",
        )
    }
}

impl std::error::Error for ParseNetworkError {}

impl FromStr for Network {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<Network, ParseNetworkError> {
        let text = text.trim();
        let network = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse());
        network.map(Network).map_err(|_| ParseNetworkError)
    }
}

#[cfg(test)]
mod tests;
