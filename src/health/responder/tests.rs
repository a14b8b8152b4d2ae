use super::*;

#[test]
fn an_address_that_is_taken_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = ProbeListener::bind(address, None).err().unwrap();
    assert_eq!(error.code(), 125);
    let why = format!("cannot listen on {address} for health probes: Address already in use");
    assert_eq!(error.to_string(), why);
}
