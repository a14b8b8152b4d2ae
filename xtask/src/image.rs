//! The image: from scratch, with `/reprieve` alone. As an OCI layout of all architectures, and as an archive for
//! `docker load` of each. Both are files in a known form, so neither Docker nor an emulator is needed.

use serde_json::{Value, json};

use crate::Outcome;
use crate::arch::Arch;
use crate::archive::{Entry, gzip, sha256, tar};
use crate::project::Project;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The image of one architecture.
#[derive(Debug)]
pub struct Image {
    arch: Arch,
    config: Vec<u8>,
    /// The only layer, as it is unpacked.
    layer: Vec<u8>,
    /// What its tag is: the image's name and the version.
    reference: String,
    annotations: Value,
    epoch: u64,
}

impl Image {
    /// Of a static binary.
    pub fn new(project: &Project, arch: Arch, binary: &[u8], epoch: u64) -> Outcome<Image> {
        let layer = tar(vec![Entry::new("reprieve", 0o755, binary)], epoch)?;
        let annotations = labels(project);
        let created = format!("{}T00:00:00Z", project.date);
        let config = json!({
            "created": created,
            "architecture": arch.of_images(),
            "os": "linux",
            "config": {
                "Entrypoint": ["/reprieve"],
                "WorkingDir": "/",
                "Labels": annotations,
            },
            "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
            "history": [{ "created": created, "created_by": "COPY reprieve /reprieve" }],
        });
        let reference = format!("{}:{}", project.image, project.version);
        Ok(Image { arch, config: bytes(&config), layer, reference, annotations, epoch })
    }

    /// What `docker load` takes.
    pub fn docker_archive(&self) -> Outcome<Vec<u8>> {
        let config = format!("{}.json", sha256(&self.config));
        let layer = format!("{}/layer.tar", sha256(&self.layer));
        let manifest =
            json!([{ "Config": config, "RepoTags": [self.reference], "Layers": [layer] }]);
        let entries = vec![
            Entry::new("manifest.json", 0o644, bytes(&manifest)),
            Entry::new(config, 0o644, self.config.clone()),
            Entry::new(layer, 0o644, self.layer.clone()),
        ];
        tar(entries, self.epoch)
    }

    /// Its manifest, and all that it refers to.
    fn blobs(&self) -> Outcome<(Value, Vec<Vec<u8>>)> {
        let layer = gzip(&self.layer)?;
        let manifest = bytes(&json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &self.config),
            "layers": [descriptor(LAYER, &layer)],
            "annotations": self.annotations,
        }));
        let mut described = descriptor(MANIFEST, &manifest);
        described["platform"] = json!({ "architecture": self.arch.of_images(), "os": "linux" });
        if self.arch == Arch::Aarch64 {
            described["platform"]["variant"] = "v8".into();
        }
        Ok((described, vec![manifest, self.config.clone(), layer]))
    }
}

/// The OCI layout of all of them, as a tar file: one tag, which each machine resolves to its own.
pub fn oci_layout(images: &[Image]) -> Outcome<Vec<u8>> {
    let first = images.first().ok_or("no architecture")?;
    let mut described = Vec::new();
    let mut blobs = Vec::new();
    for image in images {
        let (descriptor, of_image) = image.blobs()?;
        described.push(descriptor);
        blobs.extend(of_image);
    }
    let index = bytes(&json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": described,
        "annotations": first.annotations,
    }));
    let mut tagged = descriptor(INDEX, &index);
    let tag = first.reference.rsplit(':').next().unwrap_or_default();
    tagged["annotations"] = json!({
        "io.containerd.image.name": first.reference,
        "org.opencontainers.image.ref.name": tag,
    });
    blobs.push(index);
    let entry = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [tagged] });
    let named = |blob: Vec<u8>| Entry::new(format!("blobs/sha256/{}", sha256(&blob)), 0o644, blob);
    let mut entries: Vec<_> = blobs.into_iter().map(named).collect();
    entries.push(Entry::new("index.json", 0o644, bytes(&entry)));
    entries.push(Entry::new("oci-layout", 0o644, bytes(&json!({ "imageLayoutVersion": "1.0.0" }))));
    tar(entries, first.epoch)
}

fn labels(project: &Project) -> Value {
    let mut labels = json!({
        "org.opencontainers.image.title": "reprieve",
        "org.opencontainers.image.description": project.description,
        "org.opencontainers.image.version": project.version,
        "org.opencontainers.image.licenses": project.license,
        "org.opencontainers.image.created": format!("{}T00:00:00Z", project.date),
    });
    if let Some(repository) = &project.repository {
        labels["org.opencontainers.image.source"] = repository.as_str().into();
    }
    labels
}

fn descriptor(kind: &str, blob: &[u8]) -> Value {
    json!({ "mediaType": kind, "digest": digest(blob), "size": blob.len() })
}

fn digest(blob: &[u8]) -> String {
    format!("sha256:{}", sha256(blob))
}

/// serde_json keeps the keys of an object in order, so these are the same bytes each time.
fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

#[cfg(test)]
mod tests;
