use super::*;
use crate::test_support::name;

#[test]
fn a_sweep_found_whoever_got_the_signal_had_it_or_may_not_get_it() {
    assert!(Swept::default().is_empty());
    let of = |pid| vec![name(pid)];
    let [signalled, signalled_before, refused] = [3, 4, 5].map(of);
    let swept = Swept { signalled, signalled_before, refused };
    assert_eq!(swept.all().map(|name| name.pid).collect::<Vec<_>>(), [3, 4, 5]);
    for swept in [
        Swept { signalled: of(3), ..Swept::default() },
        Swept { signalled_before: of(4), ..Swept::default() },
        Swept { refused: of(5), ..Swept::default() },
    ] {
        assert!(!swept.is_empty(), "{swept:?}");
    }
}
