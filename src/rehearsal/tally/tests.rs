use super::*;

fn tally() -> Tally {
    Tally::of([1, 2, 3, 4, 5, 6, 7, 8, 9])
}

#[test]
fn a_record_is_read_as_it_was_told() {
    let address = "::ffff:127.0.0.1".parse().unwrap();
    for (is_ready, is_over) in [(false, false), (true, false), (true, true)] {
        let record = Record { tally: tally(), is_ready, is_over, address };
        assert_eq!(Record::last_of(&record.to_bytes()), Some(record));
    }
    let big = Tally::of([u32::MAX; 9]);
    let record = Record { tally: big, ..Record::default() };
    assert_eq!(Record::last_of(&record.to_bytes()), Some(record));
}

#[test]
fn the_last_whole_record_counts() {
    let [first, last] =
        [Tally::default(), tally()].map(|tally| Record { tally, ..Record::default() });
    let mut told = [first.to_bytes(), last.to_bytes()].concat();
    assert_eq!(Record::last_of(&told), Some(last));
    told.pop();
    assert_eq!(Record::last_of(&told), Some(first));
    assert_eq!(Record::last_of(&told[..RECORD - 1]), None);
}

#[test]
fn tallies_are_added_number_by_number() {
    let both = tally().and(&Tally { cut: u32::MAX, ..tally() });
    assert_eq!(both, Tally::of([2, 4, 6, 8, 10, u32::MAX, 14, 16, 18]));
}

#[test]
fn what_is_cut_or_refused_has_failed() {
    let none = Tally { cut: 0, refused: 0, ..tally() };
    assert!(!none.has_failures());
    assert!(Tally { cut: 1, ..none }.has_failures());
    assert!(Tally { refused: 1, ..none }.has_failures());
}
