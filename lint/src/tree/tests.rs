use std::fmt::Write;
use std::rc::Rc;

use crate::tree::{Kind, Malformed, Node, Place, hcl, yaml};

#[track_caller]
fn document(text: &str) -> Rc<Node> {
    let documents = yaml::read(text).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(documents.len(), 1);
    documents[0].clone()
}

fn place(line: usize, column: usize) -> Place {
    Place { line, column }
}

#[test]
fn values_know_their_places() {
    let node = document("a:\n  b: [1, 'two']\n  \"ä\": {c: x}\n");
    let b = node.at(&["a", "b"]).expect("b");
    assert_eq!(b.place, place(2, 6));
    let items: Vec<_> = b.items().map(|item| (item.text(), item.place)).collect();
    assert_eq!(items, [(Some("1"), place(2, 7)), (Some("two"), place(2, 10))]);
    // Columns are characters, and not bytes.
    assert_eq!(node.at(&["a", "ä", "c"]).map(|c| c.place), Some(place(3, 12)));
    let (key, _) = node.at(&["a"]).and_then(|a| a.entry("ä")).expect("ä");
    assert_eq!(key.place, place(3, 3));
}

#[test]
fn only_a_plain_null_is_null() {
    let node = document("[null, ~, 'null', !!str null, ! ~, !reset x]");
    let kinds: Vec<_> = node.items().map(|item| (item.is_null(), item.text())).collect();
    let text = |text| (false, Some(text));
    let null = (true, None);
    assert_eq!(kinds, [null, null, text("null"), text("null"), text("~"), (false, None)]);
}

/// 18.1
#[test]
fn an_alias_is_what_its_anchor_names() {
    let node =
        document("a: &it {k: v}\nb: *it\nc: {<<: *it, k: own}\nd: {<<: [{k: first}, *it]}\n");
    assert_eq!(node.at(&["b", "k"]).map(|k| (k.text(), k.place)), Some((Some("v"), place(1, 12))));
    assert_eq!(node.at(&["c", "k"]).and_then(Node::text), Some("own"));
    assert_eq!(node.at(&["d", "k"]).and_then(Node::text), Some("first"));
    // It is forgotten with its document, and is not yet known within itself.
    let documents = yaml::read("a: &it [*it]\n").expect("YAML");
    assert_eq!(
        documents[0].get("a").and_then(|a| a.items().next()).map(|it| &it.kind),
        Some(&Kind::Unknown)
    );
}

/// 18.5
#[test]
fn what_is_malformed_has_its_place() {
    let why = |text: &str| yaml::read(text).expect_err("no YAML").place;
    assert_eq!(why("a: b\nc: [1,\n").line, 3);
    assert_eq!(why("a: b\n  c: d\n"), place(2, 4));
    let why = |text: &str| hcl::read(text).expect_err("no HCL").place;
    assert_eq!(why("job \"web\" {\n  group {\n").line, 2);
    assert_eq!(why("a = \"ä\" b\n"), place(1, 9));
}

/// 18.5
#[test]
fn depth_has_a_bound_also_by_aliases() {
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    assert_eq!(yaml::read(&deep(249)).err(), None);
    assert!(yaml::read(&deep(100_000)).is_err());
    assert!(yaml::read(&"- ".repeat(100_000)).is_err());
    let Malformed { place: at, why } =
        yaml::read(&format!("{}x", "- ".repeat(250))).expect_err("too deep");
    assert_eq!((at, why.as_str()), (place(1, 501), "more than 250 levels"));
    let mut text = format!("- &a0 {}\n", deep(100));
    for level in 1..10 {
        let (open, close) = ("[".repeat(50), "]".repeat(50));
        writeln!(text, "- &a{level} {open}*a{}{close}", level - 1).expect("a String");
    }
    assert!(yaml::read(&text).is_err());
}

/// 18.5
#[test]
fn aliases_of_aliases_have_a_bound() {
    let read = |levels: usize| {
        let mut text = String::from("a0: &a0 {k: v}\n");
        for level in 1..=levels {
            let below = format!("*a{}, ", level - 1).repeat(10);
            writeln!(text, "a{level}: &a{level} [{below}]").expect("a String");
        }
        yaml::read(&text)
    };
    let documents = read(5).expect("YAML");
    assert_eq!(documents[0].get("a5").map(|last| last.items().count()), Some(10));
    // The sixth repeats 3,111,110.
    let Malformed { place: at, why } = read(60).expect_err("too many");
    assert_eq!((at, why.as_str()), (place(7, 10), "aliases repeat more than 400000 values"));
    // In many documents it is as many values.
    let (ones, aliases) = ("1,".repeat(99), "*a,".repeat(99));
    let text = format!("a: &a [{ones}]\nb: &b [{aliases}]\nc: *b\n---\n");
    assert!(yaml::read(&text.repeat(20)).is_ok());
    // 20 repeat 19,801 each, and so 39 more of 100 are left.
    let error = yaml::read(&text.repeat(21)).expect_err("too many");
    assert_eq!(error.place, place(20 * 4 + 2, 8 + 39 * 3));
}

/// Go's readers, which Kubernetes and Helm have, and those of JSON.
#[test]
fn of_one_key_the_last_value_counts() {
    let node = document("a: 1\nb: 2\na: 3\n");
    assert_eq!(node.get("a").and_then(Node::text), Some("3"));
}

#[test]
fn hcl_is_the_tree_of_its_json() {
    let text = "job \"web\" {\n  count = 2\n  on = true\n  list = [\"a\", (\"b\")]\n  env { A = \"x\" }\n  b = \"${c}\"\n}\n";
    let node = hcl::read(text).expect("HCL");
    let job = node.at(&["job", "web"]).expect("a job");
    assert_eq!(
        job.get("count").map(|count| (count.number(), count.place)),
        Some((Some(2), place(2, 11)))
    );
    assert_eq!(job.get("on").and_then(Node::text), Some("true"));
    let list: Vec<_> = job.get("list").into_iter().flat_map(Node::items).map(Node::text).collect();
    assert_eq!(list, [Some("a"), Some("b")]);
    assert_eq!(job.at(&["env", "A"]).map(|a| a.place), Some(place(5, 13)));
    assert_eq!(job.entry("env").map(|(key, _)| key.place), Some(place(5, 3)));
    assert_eq!(job.get("b").map(|b| &b.kind), Some(&Kind::Unknown));
}
