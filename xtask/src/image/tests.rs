use std::collections::BTreeMap;
use std::io::Read;

use serde_json::Value;

use super::{Image, oci_layout};
use crate::arch::Arch;
use crate::archive::sha256;
use crate::project::Project;

fn project() -> Project {
    Project {
        version: "1.2.3".into(),
        lint_version: "0.1.0".into(),
        description: "An init".into(),
        license: "MIT".into(),
        repository: Some("https://example.org/source".into()),
        image: "registry.example:5000/reprieve".into(),
        rust: "1.95.0".into(),
        date: "2026-11-29".into(),
    }
}

fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a path").display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("bytes");
        files.insert(name, bytes);
    }
    files
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

fn images() -> Vec<Image> {
    let image = |arch| Image::new(&project(), arch, b"binary", 0).expect("an image");
    Arch::ALL.into_iter().map(image).collect()
}

#[test]
fn a_layout_leads_to_each_architecture() {
    let files = files(&oci_layout(&images()).expect("a layout"));
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().expect("a digest");
        let hash = digest.strip_prefix("sha256:").expect("SHA-256");
        let blob = &files[&format!("blobs/sha256/{hash}")];
        assert_eq!(
            (sha256(blob).as_str(), blob.len() as u64),
            (hash, descriptor["size"].as_u64().unwrap())
        );
        blob
    };
    assert_eq!(json(&files["oci-layout"])["imageLayoutVersion"], "1.0.0");
    let entry = json(&files["index.json"]);
    let tagged = &entry["manifests"][0];
    assert_eq!(tagged["annotations"]["org.opencontainers.image.ref.name"], "1.2.3");
    let index = json(blob(tagged));
    for (at, arch) in ["amd64", "arm64"].into_iter().enumerate() {
        let described = &index["manifests"][at];
        assert_eq!(described["platform"]["architecture"], arch);
        let manifest = json(blob(described));
        let config = json(blob(&manifest["config"]));
        assert_eq!((&config["architecture"], &config["os"]), (&arch.into(), &"linux".into()));
        let labels = &config["config"]["Labels"];
        assert_eq!(labels["org.opencontainers.image.version"], "1.2.3");
        assert_eq!(labels["org.opencontainers.image.source"], "https://example.org/source");
        let mut layer = Vec::new();
        let gzip = blob(&manifest["layers"][0]).as_slice();
        flate2::read::GzDecoder::new(gzip).read_to_end(&mut layer).expect("gzip");
        assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", sha256(&layer)));
        assert_eq!(self::files(&layer), BTreeMap::from([("reprieve".into(), b"binary".to_vec())]));
    }
}

#[test]
fn an_archive_for_docker_has_its_name_and_version() {
    let files = files(&images()[1].docker_archive().expect("an archive"));
    let manifest = &json(&files["manifest.json"])[0];
    assert_eq!(manifest["RepoTags"][0], "registry.example:5000/reprieve:1.2.3");
    let config = json(&files[manifest["Config"].as_str().expect("a name")]);
    assert_eq!(config["architecture"], "arm64");
    let layer = &files[manifest["Layers"][0].as_str().expect("a name")];
    assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", sha256(layer)));
}

#[test]
fn without_a_place_no_source_is_told() {
    let project = Project { repository: None, ..project() };
    let image = Image::new(&project, Arch::X86_64, b"binary", 0).expect("an image");
    let config = json(&image.config);
    let labels = config["config"]["Labels"].as_object().expect("labels");
    assert!(!labels.contains_key("org.opencontainers.image.source"), "{labels:?}");
}
