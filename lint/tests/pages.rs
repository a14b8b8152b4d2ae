//! What docs/ says of the lint is what it says, and what docs/ says to other platforms it finds nothing wrong with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const WEB: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  selector:
    matchLabels: { app: web }
  template:
    metadata:
      labels: { app: web }
    spec:
      containers:
        - name: app
          image: app
          env:
            - name: REPRIEVE_DELAY
              value: 29s
            - name: REPRIEVE_GRACE_PERIOD
              value: 30s
";

fn page(name: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    fs::read_to_string(docs.join(name)).expect("a page")
}

/// The blocks of code in this language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let blocks = page.split(fence.as_str()).skip(1).filter_map(|rest| rest.split_once("```"));
    blocks.map(|(block, _)| block.to_owned()).collect()
}

/// What it says of these files of a folder `deploy`.
fn lint(name: &str, files: &[(String, String)]) -> String {
    let folder: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("deploy")).expect("a folder");
    for (file, text) in files {
        fs::write(folder.join("deploy").join(file), text).expect("a file");
    }
    // At build time a shell (.cargo/remap) has dropped the variable, as its name has a dash.
    let program = std::env::var_os("CARGO_BIN_EXE_reprieve-lint").expect("cargo names it");
    let output = Command::new(program).arg("deploy/").current_dir(&folder).output();
    let output = output.expect("the lint");
    let _ = fs::remove_dir_all(folder);
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn the_example_of_the_page_is_what_is_said() {
    let said = lint("page", &[("web.yaml".into(), WEB.into())]);
    assert_eq!(said, blocks(&page("lint.md"), "text")[0]);
}

#[test]
fn the_platforms_page_has_no_findings() {
    let page = page("platforms.md");
    let mut files = Vec::new();
    for (language, of_manifests) in
        [("yaml", "services:"), ("json", "containerDefinitions"), ("hcl", "job ")]
    {
        let blocks = blocks(&page, language).into_iter().filter(|text| text.contains(of_manifests));
        files.extend(blocks.map(|text| (format!("manifest.{language}"), text)));
    }
    assert_eq!(files.len(), 3);
    let said = lint("platforms", &files);
    assert_eq!(said, "3 workloads in 3 files: no findings\n");
}
