use super::{PAGE, PATH, TABLES, page, prose};
use crate::declaration::{command, options};
use crate::place;

#[test]
fn the_page_is_up_to_date_and_has_each_option() {
    let command = command();
    let expected = page(&command);
    for option in options(&command) {
        let name = option.get_long().expect("a long name");
        let rows = expected.lines().filter(|line| line.starts_with("| `")).filter(|line| {
            let cell = line.split(" | ").next().unwrap_or_default();
            cell.split(['`', ' ']).any(|word| word.strip_prefix("--") == Some(name))
        });
        assert_eq!(rows.count(), 1, "--{name}");
    }
    let found = std::fs::read_to_string(place::root().join(PATH)).expect("the page");
    assert!(found == expected, "{PATH} is stale: run `cargo xtask options`");
}

#[test]
fn each_row_has_four_cells() {
    assert_eq!(PAGE.matches(TABLES).count(), 1);
    let page = page(&command());
    for row in page.lines().filter(|line| line.starts_with('|')) {
        assert_eq!(row.replace("\\|", "").matches('|').count(), 5, "{row}");
    }
}

#[test]
fn what_is_typed_is_code() {
    let words = ["hurry".to_owned(), "stop".to_owned()];
    assert_eq!(
        prose(
            "At (docker stop -t 5). At a stop (hurry), see --delay; tcp://HOST:PORT, -vv: /livez - 2 < 3",
            &words
        ),
        "At (`docker stop -t` 5). At a stop (`hurry`), see `--delay`; `tcp://HOST:PORT`, `-vv`: `/livez` - 2 &lt; 3"
    );
}
