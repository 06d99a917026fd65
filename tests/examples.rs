//! The examples, which people copy: each one prints the output in its head, is short, and is in
//! the index.
//!
//! `cargo test` builds the examples too. `cargo test --test examples` alone does not: run
//! `cargo build --examples` first.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The examples of one file that serve over sockets, and so have tests of their own.
const SERVING: [&str; 1] = ["layer"];

/// The executor of an example with an async store, which waits for nothing by itself.
const EXECUTOR: &str = "#[tokio::main(flavor = \"current_thread\")]";

/// The packages of their own, which the package of the crate leaves out.
const APART: [&str; 3] = ["gateway", "grpc", "pingora"];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// Returns the names and the texts of the examples that teach one thing in one file.
fn examples() -> Vec<(String, String)> {
    let files = fs::read_dir(directory())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path());
    let sources = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let example = |path: PathBuf| {
        let name = path.file_stem().expect("a name").to_str().expect("UTF-8").to_owned();
        (name, fs::read_to_string(path).expect("a text"))
    };
    let examples: Vec<_> =
        sources.map(example).filter(|(name, _)| !SERVING.contains(&&**name)).collect();
    assert!(examples.len() >= 12, "{} examples are found", examples.len());
    examples
}

/// Returns the output in the head of an example; `None` when the head shows none.
fn promised(source: &str) -> Option<String> {
    let head = source.lines().map_while(|line| line.strip_prefix("//!"));
    let mut rest = head.skip_while(|line| *line != " ```text").skip(1);
    let mut text = String::new();
    loop {
        match rest.next()? {
            " ```" => return Some(text),
            line => text += &format!("{}\n", line.strip_prefix(' ').unwrap_or(line)),
        }
    }
}

/// Runs an example, asserts that it succeeds and prints nothing on stderr, and returns its output.
#[track_caller]
fn printed(name: &str) -> String {
    let tests = std::env::current_exe().expect("a path");
    let profile = tests.parent().and_then(Path::parent).expect("a directory");
    let binary = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(binary.exists(), "the examples are not built: cargo build --examples");
    let output = Command::new(binary).output().expect("the example");
    assert!(output.status.success() && output.stderr.is_empty(), "{name}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8").replace("\r\n", "\n")
}

#[test]
fn each_example_prints_what_its_head_says() {
    for (name, source) in examples() {
        let printed = printed(&name);
        assert!(printed.lines().count() >= 3, "examples/{name}.rs prints nothing worth reading");
        let promised = promised(&source)
            .unwrap_or_else(|| panic!("the head of examples/{name}.rs shows no output in ```text"));
        assert!(
            promised == printed,
            "examples/{name}.rs prints this:\n{printed}\nand its head says this:\n{promised}"
        );
    }
}

#[test]
fn each_example_has_less_than_120_lines() {
    for (name, source) in examples() {
        let lines = source.lines().count();
        assert!(lines < 120, "examples/{name}.rs has {lines} lines");
    }
}

/// examples/README.md: "They open no sockets and wait for nothing"
#[test]
fn no_example_of_one_file_reads_a_clock_waits_or_opens_a_socket() {
    for (name, source) in examples() {
        let source = source.replacen(EXECUTOR, "", 1);
        for word in
            ["std::net", "tokio", "hyper", "sleep", "::now()", "thread::", ".unwrap()", ".expect("]
        {
            assert!(!source.contains(word), "examples/{name}.rs has {word}");
        }
    }
}

#[test]
fn the_index_names_each_example_and_nothing_else() {
    let index = fs::read_to_string(directory().join("README.md")).expect("an index");
    let apart: BTreeSet<_> = index
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(apart, BTreeSet::from(APART), "left: without a link, right: packages of their own");
    let rows = index.lines().filter_map(|line| line.strip_prefix("| ["));
    let named: BTreeSet<String> = rows
        .map(|row| {
            let (name, rest) = row.split_once("](").expect("a link");
            let (target, _) = rest.split_once(')').expect("a link");
            assert!(
                directory().join(target).exists(),
                "the index links to examples/{target}, which is not there"
            );
            assert!(
                target == format!("{name}.rs") || target.starts_with(&format!("{name}/")),
                "{name} links to {target}"
            );
            name.to_owned()
        })
        .collect();
    let entries = fs::read_dir(directory())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path());
    let sources = entries.filter(|path| {
        path.is_dir() || path.extension().is_some_and(|extension| extension == "rs")
    });
    let (packages, there): (BTreeSet<_>, BTreeSet<_>) = sources
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .partition(|name| APART.contains(&&**name));
    let expected = if packages.is_empty() { 0 } else { APART.len() }; // the package has neither
    assert_eq!(packages.len(), expected, "{packages:?}");
    assert_eq!(named, there, "left: in examples/README.md, right: in examples");
}
