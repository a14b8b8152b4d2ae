use proptest::prelude::*;

use super::*;

#[test]
fn networks_as_people_write_them() {
    for (text, inside, outside) in [
        ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
        (" 10.1.2.3/8 ", "10.255.0.1", "11.0.0.1"),
        ("0.0.0.0/0", "192.0.2.1", "::1"),
        ("::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1", "::1"),
        ("fd00::/8", "fd12::1", "fe80::1"),
        ("::1", "::1", "::2"),
    ] {
        let network: Network = text.parse().unwrap();
        assert!(network.contains(inside.parse().unwrap()), "{text}");
        assert!(!network.contains(outside.parse().unwrap()), "{text}");
    }
    for text in ["", "x", "10.0.0", "10.0.0.0/33", "::/129", "10.0.0.1:80", "/8", "10.0.0.0/"] {
        assert_eq!(text.parse::<Network>(), Err(ParseNetworkError), "{text}");
    }
    assert!(ParseNetworkError.to_string().starts_with("write an address or a network, such as "));
}

proptest! {
    #[test]
    fn an_address_is_a_network_of_one(address in any::<IpAddr>(), other in any::<IpAddr>()) {
        let network: Network = address.to_string().parse().unwrap();
        prop_assert!(network.contains(address.to_canonical()));
        let same = other.to_canonical() == address.to_canonical();
        prop_assert_eq!(network.contains(other.to_canonical()), same);
    }
}
