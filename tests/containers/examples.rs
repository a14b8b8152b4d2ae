//! Dockerfile.example and `examples/`, each run by the very lines in its head.
//!
//! There is no registry, so a copy of each is run in which the images that it builds on are
//! replaced by images made here: `rust:1-slim` by one whose cargo hands out the binary that the real
//! cargo has built from the same sources; `nginx:1` by Debian's nginx behind an entrypoint script
//! as that image has it; `busybox:1` by Debian's busybox.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{both, docker, eventually, image, output, run, seconds, unique, wait_until};
use crate::images::{self, scratch_folder};

/// A copy of a file or folder of this repository, for one test.
struct Example {
    folder: PathBuf,
    /// What it names for all of this machine, and what that is called here.
    names: Vec<(String, String)>,
}

impl Example {
    fn of(path: &str) -> Example {
        let folder = scratch_folder("example");
        fs::create_dir_all(&folder).expect("a folder");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        output(Command::new("cp").arg("-r").arg(source).arg(&folder));
        Example { folder, names: Vec::new() }
    }

    /// Replaces a text in a file, which has it.
    fn replace(self, file: &str, what: &str, with: &str) -> Example {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).expect("a file");
        assert!(text.contains(what), "{file} has no {what}");
        fs::write(path, text.replace(what, with)).expect("a file");
        self
    }

    /// Gives a container or image of it a name that is nobody else's.
    fn rename(mut self, name: &str) -> Example {
        self.names.push((name.into(), unique(name)));
        self
    }

    /// Runs the lines in the head of a file one after the other, in its folder, and returns all
    /// that they say.
    #[track_caller]
    fn runs(&self, file: &str) -> String {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).expect("a file");
        let head = text.lines().take_while(|line| line.starts_with('#'));
        let lines: Vec<&str> = head.filter_map(|line| line.strip_prefix("#     ")).collect();
        assert!(!lines.is_empty(), "{file} says no lines");
        self.run(path.parent().expect("a folder"), &lines.join("\n"))
    }

    #[track_caller]
    fn run(&self, folder: &Path, script: &str) -> String {
        let renamed = |line: &str| {
            let words = line.split(' ').map(|word| {
                let found = self.names.iter().find(|(name, _)| name == word);
                found.map_or(word, |(_, unique)| unique)
            });
            words.collect::<Vec<_>>().join(" ")
        };
        let script = script.lines().map(renamed).collect::<Vec<_>>().join("\n");
        println!("{script}");
        let mut shell = Command::new("timeout");
        shell.args(["300", "sh", "-e", "-x", "-c", &script]).current_dir(folder);
        let output = run(shell.stdin(Stdio::null()));
        let said = both(&output);
        assert!(output.status.success(), "{said}");
        println!("{said}");
        said
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        for (_, name) in &self.names {
            let _ = docker(["rm", "--force", "--volumes", name]).output();
            let _ = docker(["rmi", "--force", name]).output();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// In place of `rust:1-slim`: only the right words give a binary.
const RUST: &str = r#"
FROM BUSYBOX
COPY reprieve /built/reprieve
RUN printf '#!/bin/sh\n[ "$*" = "target add TARGET" ]\n' > /bin/rustup \
 && printf '%s\n' '#!/bin/sh -e' \
    'test -f Cargo.toml; test -f Cargo.lock; test -f src/main.rs; test ! -e target' \
    '[ "$*" = "build --release --locked --bin reprieve --target TARGET" ]' \
    'mkdir -p target/TARGET/release' \
    'cp /built/reprieve target/TARGET/release/' > /bin/cargo \
 && chmod +x /bin/rustup /bin/cargo
"#;

fn rust() -> String {
    let dockerfile = RUST.replace("TARGET", TARGET).replace("BUSYBOX", &images::all().busybox);
    images::build("rust", &dockerfile, &[(&images::all().reprieve, "reprieve")])
}

#[cfg(target_arch = "x86_64")]
const TARGET: &str = "x86_64-unknown-linux-musl";
#[cfg(target_arch = "aarch64")]
const TARGET: &str = "aarch64-unknown-linux-musl";

/// In place of `reprieve`, the image that Dockerfile.example makes.
pub fn binary() -> String {
    let dockerfile = "FROM scratch\nCOPY reprieve /\n";
    images::build("binary", dockerfile, &[(&images::all().reprieve, "reprieve")])
}

fn nginx() -> String {
    let dockerfile = format!(
        "FROM {}\nRUN printf '#!/bin/sh\\nset -e\\nexec \"$@\"\\n' > /docker-entrypoint.sh \
         && chmod +x /docker-entrypoint.sh\nENTRYPOINT [\"/docker-entrypoint.sh\"]\n\
         STOPSIGNAL SIGQUIT\nCMD [\"nginx\", \"-g\", \"daemon off;\"]\n",
        images::debian()
    );
    images::build("nginx", &dockerfile, &[])
}

/// Dockerfile.example in a copy of what it needs of this repository, and the image that it builds with.
fn dockerfile_example() -> Example {
    let example = Example::of("Dockerfile.example")
        .replace("Dockerfile.example", "rust:1-slim", &rust())
        .rename("my-app")
        .rename("reprieve");
    // The context is this repository.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("Dockerfile.example")).expect("a file");
    let copied = text.lines().filter_map(|line| line.strip_prefix("COPY "));
    for name in copied.flat_map(|line| line.split(' ')).chain([".dockerignore"]) {
        let is_ours = root.join(name).exists() && !["./", "app"].contains(&name);
        if is_ours && !example.folder.join(name).exists() {
            output(Command::new("cp").arg("-r").arg(root.join(name)).arg(&example.folder));
        }
    }
    // .dockerignore keeps it out of the build.
    fs::create_dir(example.folder.join("target")).expect("a folder");
    example
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn dockerfile_example_makes_an_image_that_stops_in_time() {
    let example = dockerfile_example();
    fs::copy(&images::all().fixture, example.folder.join("app")).expect("an app");
    // The fixture needs arguments; an app does not.
    let example = example.replace("Dockerfile.example", r#"["/app"]"#, r#"["/app", "listen"]"#);
    let said = example.runs("Dockerfile.example");
    assert!(said.contains("got SIGTERM"), "{said}");
    assert!(said.contains("; held "), "{said}");
    assert!(said.contains("exit code 0"), "{said}");
    let [(_, container), (_, binary)] = &example.names[..] else { panic!("two names") };
    let version = output(&mut docker(["run", "--rm", binary, "/reprieve", "--version"]));
    assert_eq!(version, concat!("reprieve ", env!("CARGO_PKG_VERSION")));
    // Its lines leave no container behind.
    let left = docker(["container", "inspect", container]).output().expect("docker");
    assert!(!left.status.success(), "{container} is left");
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn dockerfile_example_without_an_app_builds_nothing() {
    let example = dockerfile_example();
    let mut build = docker(["build", "-f", "Dockerfile.example", "-t", &example.names[0].1, "."]);
    let failed = run(build.current_dir(&example.folder));
    let said = both(&failed);
    assert!(!failed.status.success() && said.contains("app"), "{said}");
    assert!(!said.contains("rustup") && !said.contains("FROM rust"), "{said}");
}

/// The last stage of Dockerfile.example, as a comment of it says to replace it: without `# `.
fn variant(text: &str, title: &str) -> String {
    let (_, rest) = text.split_once(&format!("\n# {title}, in place of")).expect("a variant");
    let lines = rest.lines().skip(2).take_while(|line| line.starts_with('#'));
    let stage: Vec<_> = lines.map(|line| line.trim_start_matches('#').trim_start()).collect();
    let last = text.rfind("\nFROM scratch\n").expect("the last stage");
    format!("{}\n{}\n", &text[..last], stage.join("\n"))
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn the_variants_of_dockerfile_example_can_be_copied_as_they_stand() {
    let images = images::all();
    let files = [(&*images.fixture, "node")];
    // In place of each image what our lines need of it: an interpreter, or a package that brings one.
    let distroless = images::build(
        "distroless",
        "FROM scratch\nCOPY node /nodejs/bin/node\nUSER 65532\n",
        &files,
    );
    let alpine = format!(
        "FROM {}\nCOPY node /opt/node\nRUN printf '#!/bin/sh\\n[ \"$*\" = \"add --no-cache nodejs\" ] && \
         cp /opt/node /usr/bin/node\\n' > /sbin/apk && chmod +x /sbin/apk && \
         echo nobody:x:65534:65534::/:/bin/sh > /etc/passwd\n",
        images.busybox
    );
    let alpine = images::build("alpine", &alpine, &files);
    for (title, image, base) in [
        ("Distroless", "gcr.io/distroless/nodejs22-debian12:nonroot", &distroless),
        ("Alpine", "alpine:3", &alpine),
    ] {
        let example = dockerfile_example();
        let path = example.folder.join("Dockerfile.example");
        let text = variant(&fs::read_to_string(&path).expect("a file"), title);
        fs::write(path, text).expect("a file");
        fs::write(example.folder.join("app"), "console.log()").expect("an app");
        let example = example
            .replace("Dockerfile.example", image, base)
            // What plays the interpreter is told what to play.
            .replace("Dockerfile.example", "ENTRYPOINT", "ENV PLAYS=\"--drain 0\"\nENTRYPOINT");
        let said = example.runs("Dockerfile.example");
        assert!(said.contains("got SIGTERM") && said.contains("; held "), "{title}: {said}");
        assert!(said.contains("node") && said.contains("exit code 0"), "{title}: {said}");
    }
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn the_example_of_a_shell_stops_in_time() {
    let example = Example::of("examples/shell-cmd")
        .replace("shell-cmd/Dockerfile", "FROM reprieve AS", &format!("FROM {} AS", binary()))
        .replace("shell-cmd/Dockerfile", "busybox:1", &images::all().busybox)
        .rename("shell-cmd");
    let said = example.runs("shell-cmd/Dockerfile");
    for part in [
        "serving on 8080",
        "forwarding it at +2s, SIGKILL at +9s",
        "what it runs is next",
        "sh has no trap for it",
        "; held ",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("KILLED"), "{said}");
}

fn nginx_example(path: &str, dockerfile: &str) -> Example {
    Example::of(path)
        .replace(dockerfile, "FROM reprieve AS", &format!("FROM {} AS", binary()))
        .replace(dockerfile, "nginx:1", &nginx())
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn the_example_of_nginx_stops_in_time() {
    let example = nginx_example("examples/nginx", "nginx/Dockerfile").rename("my-nginx");
    let said = example.runs("nginx/Dockerfile");
    for part in [
        "SIGQUIT from outside the container: forwarding it at +2s, SIGKILL at +9s",
        "forwarded SIGQUIT to nginx",
        "exited with 0",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("reprieve: warn: "), "{said}");

    // And who sends SIGTERM gets a drain too.
    let app = image(&example.names[0].1).delay("1s").grace_period("20s").starts();
    app.port(80);
    app.kill("TERM");
    let ended = app.ends();
    assert_eq!(ended.code, 0, "{ended}");
    assert!(ended.said("forwarded SIGQUIT to nginx"), "{ended}");
}

/// Removes what Compose made, also when the test panics.
struct Project(String);

impl Drop for Project {
    fn drop(&mut self) {
        let Project(name) = self;
        let label = format!("label=com.docker.compose.project={name}");
        let left = docker(["ps", "--all", "--quiet", "--filter", &label]).output();
        for id in
            left.iter().flat_map(|left| both(left).lines().map(str::to_owned).collect::<Vec<_>>())
        {
            let _ = docker(["rm", "--force", "--volumes", &id]).output();
        }
        let _ = docker(["network", "rm", &format!("{name}_default")]).output();
        let _ = docker(["rmi", "--force", &format!("{name}_web"), &format!("{name}-web")]).output();
    }
}

/// With each Compose that is there.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn the_example_of_compose_stops_in_time() {
    let known = ["docker compose", "docker-compose"];
    let there = known.into_iter().filter(|compose| {
        let script = format!("{compose} version");
        run(Command::new("sh").args(["-c", &script])).status.success()
    });
    let there: Vec<&str> = there.collect();
    assert!(!there.is_empty(), "no Compose: apt-get install docker-compose");
    for compose in there {
        let example = nginx_example("examples", "examples/nginx/Dockerfile");
        let project = Project(unique("compose"));
        let line = format!("#     {compose} --project-name {}", project.0);
        let file = "examples/compose/compose.yaml";
        let said = example.replace(file, "#     docker compose", &line).runs(file);
        for part in [
            "SIGQUIT from outside the container: forwarding it at +2s, SIGKILL at +19s",
            "forwarded SIGQUIT to nginx",
            "; held ",
        ] {
            assert!(said.contains(part), "{compose}: {part}: {said}");
        }
    }
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn the_script_of_the_ci_job_rehearses_an_image() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci-rehearsal/rehearse.yml");
    let text = fs::read_to_string(path).expect("a file");
    let (_, script) = text.split_once("- run: |\n").expect("a script");
    assert!(script.contains(" 120 ") && script.contains("--name rehearsal "), "{script}");
    let rehearse = |image: &str| {
        let folder = scratch_folder("ci");
        fs::create_dir_all(&folder).expect("a folder");
        let script = script.replace("my-app", image).replace(" 120 ", " 20 ");
        let script = script.replace("--name rehearsal", &format!("--name {}", unique("ci")));
        // As the shell of a job.
        let output = run(Command::new("bash").args(["-e", "-c", &script]).current_dir(&folder));
        fs::remove_dir_all(folder).expect("a folder");
        output
    };
    let images = images::all();
    let server = |name: &str, entrypoint: &str, options: &str| {
        let files = [(&*images.server, "server"), (&*images.reprieve, "reprieve")];
        let dockerfile = format!(
            "FROM scratch\nCOPY server reprieve /\nENTRYPOINT [{entrypoint}]\n\
             CMD [\"/server\", \"8080\", \"--time\", \"300\"{options}]\n"
        );
        images::build(name, &dockerfile, &files)
    };
    let ours = r#""/reprieve", "--""#;
    let good = rehearse(&server("ci-good", ours, ""));
    assert!(good.status.success(), "{}", both(&good));
    assert!(both(&good).contains("of them had been sent before the forward"), "{}", both(&good));
    let bad = rehearse(&server("ci-bad", ours, r#", "--stops", "cut""#));
    assert_eq!(bad.status.code(), Some(1), "{}", both(&bad));
    assert!(both(&bad).contains("rehearsal failed: "), "{}", both(&bad));
    // Nobody says that it passed.
    let none = rehearse(&server("ci-none", "", ""));
    assert_eq!(none.status.code(), Some(1), "{}", both(&none));
}

/// The example of a shell fails its own rehearsal, and is told why.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn the_rehearsal_of_the_shell_says_whose_status_it_is() {
    let example = Example::of("examples/shell-cmd")
        .replace("shell-cmd/Dockerfile", "FROM reprieve AS", &format!("FROM {} AS", binary()))
        .replace("shell-cmd/Dockerfile", "busybox:1", &images::all().busybox)
        .replace("shell-cmd/Dockerfile", "run -d", "run")
        .replace("shell-cmd/Dockerfile", "REPRIEVE_DELAY=2s", "REPRIEVE_REHEARSE=listening")
        .replace(
            "shell-cmd/Dockerfile",
            "shell-cmd\n#     docker stop",
            "shell-cmd || true\n#     docker stop",
        )
        .rename("shell-cmd");
    let said = example.runs("shell-cmd/Dockerfile");
    assert!(said.contains("rehearsal failed: the exit code is 143, the status of sh, a"), "{said}");
    assert!(said.contains("start the app with exec, or say --expect-exit 143"), "{said}");
}

/// What it sets agrees, and gives the plan that it promises.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn the_numbers_of_the_deployment_fit() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/kubernetes/deployment.yaml");
    let text = fs::read_to_string(path).expect("a file");
    let value_below = |key: &str| {
        let lines = text.lines().skip_while(|line| line.trim() != format!("- name: {key}"));
        let value = lines.take(2).find_map(|line| line.trim().strip_prefix("value: "));
        value.unwrap_or_else(|| panic!("no {key}")).to_owned()
    };
    let allowed =
        text.lines().find_map(|line| line.trim().strip_prefix("terminationGracePeriodSeconds: "));
    let grace_period = value_below("REPRIEVE_GRACE_PERIOD");
    assert_eq!(format!("{}s", allowed.expect("an allowance")), grace_period);
    assert!(!text.contains("preStop:"), "a hook would add to the delay");

    // The kubelet makes the file, for whoever the user is.
    let file = scratch_folder("termination-log");
    fs::write(&file, "").expect("a file");
    output(Command::new("chmod").arg("666").arg(&file));
    let report_file = value_below("REPRIEVE_REPORT_FILE");
    let app = image(&images::all().scratch)
        .delay(&value_below("REPRIEVE_DELAY"))
        .grace_period(&grace_period)
        .variable("REPRIEVE_REPORT_FILE", &report_file)
        .option(&["--user", "65534", "--volume", &format!("{}:{report_file}", file.display())])
        .starts();
    app.hears("ready");
    app.kill("TERM");
    let held = app.hears("from outside the container: forwarding it at +15s, SIGKILL at +59s");
    // Long enough to be a request of its own, which ends the hold.
    wait_until(held.at + seconds(1));
    app.kill("TERM");
    let ended = app.ends();
    assert_eq!(ended.code, 0, "{ended}");
    assert!(!ended.said("warn: "), "{ended}");
    let report = eventually("the report", || fs::read_to_string(&file).ok());
    assert!(report.starts_with("report: drained in "), "{report}");
    fs::remove_file(file).expect("a file");
}
