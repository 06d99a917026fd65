//! The manual, held to the crate: its labels, parameters and numbers are those of the crate.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use session_affinity::config::{
    Config, Extensions, InvalidConfig, LoadSheddingConfig, OriginConfig, PoolConfig,
    SessionAffinity,
};
use session_affinity::limits::{ClockSkew, CoolingOff, DrainDuration, Ipv6Prefix, Retries, Ttl};
use session_affinity::{
    Affinity, CookiePolicy, HeaderPolicy, Key, Keyring, Outcome, Secret, UnixTime,
};

fn source(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn chapters() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manual");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.unwrap().file_name().into_string().unwrap()
    };
    let names = std::fs::read_dir(folder).unwrap().map(name);
    names.map(|name| name.strip_suffix(".md").expect("chapters are Markdown").to_owned()).collect()
}

#[test]
fn the_table_of_outcomes_has_every_label_once_and_no_other() {
    let tables = source("manual/tables.md");
    let (_, table) = tables.split_once("# Every outcome").expect("the heading");
    let cells = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let mut rows: Vec<&str> = cells.map(|(label, _)| label).collect();
    let mut labels: Vec<&str> = Outcome::ALL.iter().map(|outcome| outcome.label()).collect();
    rows.sort_unstable();
    labels.sort_unstable();
    assert_eq!(rows, labels);
}

#[test]
fn every_chapter_is_a_module_and_is_linked_from_the_first_page() {
    let (manual, library) = (source("manual.rs"), source("lib.rs"));
    let chapters = chapters();
    assert!(chapters.len() >= 11, "{chapters:?}");
    for chapter in &chapters {
        let module =
            format!("#[doc = include_str!(\"manual/{chapter}.md\")]\npub mod {chapter} {{}}");
        assert!(manual.contains(&module), "manual.rs lacks {chapter}");
        assert!(manual.contains(&format!("]({chapter})")), "the list in manual.rs lacks {chapter}");
        assert!(library.contains(&format!("](manual::{chapter})")), "lib.rs lacks {chapter}");
    }
    assert_eq!(manual.matches("include_str!").count(), chapters.len());
}

#[test]
fn the_readme_links_to_the_chapter_on_security() {
    assert!(source("../README.md").contains("(src/manual/security.md)"));
}

/// The file below the package of a test that a chapter names: `hostile::name`, `gateway/keys::name`,
/// `src/keys::name`.
fn file_of_test(file: &str) -> std::path::PathBuf {
    let path = match file.split_once('/') {
        Some(("gateway", rest)) => format!("examples/gateway/tests/gateway/{rest}.rs"),
        Some(("src", _)) => format!("{file}.rs"),
        _ => format!("tests/{file}.rs"),
    };
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// manual::threats, the beginning: each row names a test, or says that the threat is not stopped.
#[test]
fn every_threat_names_tests_that_exist_or_is_not_stopped() {
    let is_repository = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci").exists();
    let chapter = source("manual/threats.md");
    let (mut rows, mut named, mut missing) = (0, 0, Vec::new());
    for row in chapter.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [can, stopped, shown] = cells[..] else { panic!("three cells: {row}") };
        if shown == "shown by" {
            continue;
        }
        rows += 1;
        let tests = shown.split('`').skip(1).step_by(2).filter_map(|test| test.split_once("::"));
        let tests: Vec<_> = tests.collect();
        let is_open = shown == "–" && stopped.contains("*not stopped*");
        if tests.is_empty() && !is_open {
            missing.push(format!("{can}: no test"));
        }
        named += tests.len();
        for (file, name) in tests {
            let path = file_of_test(file);
            if !is_repository && !path.exists() {
                continue; // the package leaves some files out
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            if !text.contains(&format!("fn {name}(")) {
                missing.push(format!("{can}: {file}::{name}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(rows > 50 && named > rows, "{rows} rows, {named} tests");
}

#[test]
fn the_chapter_on_the_token_counts_its_vectors() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/refused.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(vectors).unwrap()).unwrap();
    let count =
        format!("| {} values and requests:", spaced(vectors["numberOfTests"].as_u64().unwrap()));
    assert!(source("manual/token.md").contains(&count), "{count}");
}

#[test]
fn the_page_on_security_leads_to_the_chapters_where_it_stands_in_the_repository() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("SECURITY.md");
    // The package has no SECURITY.md.
    let Ok(page) = std::fs::read_to_string(page) else { return };
    for chapter in ["security", "threats", "token"] {
        assert!(page.contains(&format!("(src/manual/{chapter}.md)")), "{chapter}");
    }
}

#[test]
fn the_chapter_on_cloudflare_names_every_parameter() {
    let config = Config {
        session_affinity_ttl: Some(1_800),
        default_pools: Some(Vec::new()),
        fallback_pool: Some(String::new()),
        ..Config::new("shop")
    };
    let stamp = Some(UnixTime::EPOCH);
    let origin = OriginConfig {
        weight: Some(1.0),
        enabled: Some(true),
        disabled_at: stamp,
        port: Some(80),
        ..OriginConfig::new("", "")
    };
    let pool = PoolConfig {
        enabled: Some(true),
        disabled_at: stamp,
        minimum_origins: Some(1),
        load_shedding: Some(LoadSheddingConfig::default()),
        origins: vec![origin],
        ..PoolConfig::new("")
    };
    let mut names = BTreeSet::new();
    keys(&serde_json::to_value(config).unwrap(), &mut names);
    keys(&serde_json::to_value(pool).unwrap(), &mut names);
    assert!(names.len() >= 25, "{names:?}");

    let extensions = format!("{:#?}", Config::new("shop").extensions);
    let fields = extensions.lines().filter_map(|line| line.trim_start().split_once(": "));
    names.extend(fields.map(|(field, _)| field.to_owned()));

    assert!(names.contains("session_secret") && names.contains("partitioned"), "{names:?}");

    let chapter = source("manual/cloudflare.md");
    let prose = chapter.split("```").step_by(2).collect::<String>();
    for name in names {
        let ways =
            [format!("`{name}`"), format!(".{name}`"), format!("`{name}."), format!("`{name}[")];
        assert!(ways.iter().any(|way| prose.contains(way)), "{name} is not named");
    }
}

fn keys(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(name, value)| {
            names.insert(name.clone());
            keys(value, names);
        }),
        Value::Array(values) => values.iter().for_each(|value| keys(value, names)),
        _ => {}
    }
}

/// The range of `session_affinity_ttl` for a policy, as the refusal of 0 seconds has it.
fn ttl_range(session_affinity: SessionAffinity) -> String {
    let secret = || Secret::new([7; 32]).unwrap();
    let config = Config {
        session_affinity,
        session_affinity_ttl: Some(0),
        extensions: Extensions { session_secret: Some(secret()), ..Extensions::default() },
        ..Config::new("shop.example.com")
    };
    match Affinity::from_config(&config, &Keyring::from(Key::new(1, secret()))) {
        Err(InvalidConfig::OutOfRange(ttl)) => range(ttl.min, ttl.max),
        other => panic!("{other:?}"),
    }
}

fn range(min: u64, max: u64) -> String {
    format!("{} to {}", spaced(min), spaced(max))
}

#[test]
fn the_numbers_are_those_of_the_crate() {
    let named = [
        ("choosing", format!("is {} seconds", ttl_range(SessionAffinity::Cookie))),
        ("choosing", format!("{} seconds without a request", ttl_range(SessionAffinity::Header))),
        ("choosing", range(Ttl::MIN.get(), Ttl::MAX.get())),
        ("choosing", format!("{} (23 hours) by default", spaced(CookiePolicy::DEFAULT_TTL.get()))),
        ("choosing", format!("{} by default", spaced(HeaderPolicy::DEFAULT_TTL.get()))),
        ("choosing", format!("first {} bits", Ipv6Prefix::default().get())),
        ("cloudflare", range(DrainDuration::MIN.get(), DrainDuration::MAX.get())),
        (
            "cloudflare",
            format!(
                "up to {} retries",
                ["", "", "", "", "", "", "", "", "eight"][usize::from(Retries::MAX.get())]
            ),
        ),
        ("gateways", format!("`clock_skew` seconds ({} by default)", ClockSkew::default().get())),
        ("tables", format!("`cooling_off` is {}", CoolingOff::default().get())),
        ("security", format!("At least {} bytes", Secret::MIN_BYTES)),
    ];
    for (chapter, words) in named {
        let text = source(&format!("manual/{chapter}.md"))
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert!(text.contains(&words), "{chapter} does not say {words:?}");
    }
}

/// 604 800
fn spaced(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{} {:03}", spaced(number / 1_000), number % 1_000),
    }
}

/// Text without its markup: emphasis, code, and the targets of links.
fn plain(text: &str) -> String {
    let mut left = text;
    let mut plain = String::new();
    while let Some((before, rest)) = left.split_once(']') {
        plain.push_str(before);
        let target = match rest.chars().next() {
            Some('(') => rest.find(')'),
            Some('[') => rest.find(']'),
            _ => None,
        };
        left = target.map_or(rest, |end| &rest[end + 1..]);
    }
    plain.push_str(left);
    plain.retain(|character| !"`*[".contains(character));
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The sections of a chapter: each heading, and the text below it as far as the next heading.
fn sections(chapter: &str) -> Vec<(String, String)> {
    let mut sections: Vec<(String, String)> = Vec::new();
    let mut is_code = false;
    for line in source(&format!("manual/{chapter}.md")).lines() {
        is_code ^= line.starts_with("```");
        match line.trim_start_matches('#') {
            heading if line.starts_with('#') && !is_code => {
                sections.push((plain(heading), String::new()));
            }
            _ => {
                if let Some((_, text)) = sections.last_mut() {
                    text.push_str(line);
                    text.push(' ');
                }
            }
        }
    }
    sections.into_iter().map(|(heading, text)| (heading, plain(&text))).collect()
}

/// The comments of a file, each a block of lines.
fn comments(text: &str) -> Vec<String> {
    let mut comments = vec![String::new()];
    for line in text.lines() {
        match line.trim_start().strip_prefix("//") {
            Some(line) => {
                let comment = comments.last_mut().unwrap();
                comment.push_str(line.trim_start_matches(['/', '!']));
                comment.push(' ');
            }
            None => comments.push(String::new()),
        }
    }
    comments.into_iter().filter(|comment| !comment.is_empty()).collect()
}

/// The quotes of a comment, written as tests/README.md says: chapter, heading, quote.
fn quotes(comment: &str) -> Vec<(String, String, String)> {
    let mut quotes = Vec::new();
    for cited in comment.split("manual::").skip(1) {
        let Some((place, mut rest)) = cited.split_once(": ") else { continue };
        let Some((chapter, heading)) = place.split_once(", ") else { continue };
        while let Some(quote) = rest.strip_prefix('"') {
            let (quote, behind) = quote.split_once('"').expect("the end of the quote");
            quotes.push((chapter.to_owned(), plain(heading), quote.to_owned()));
            rest = behind.strip_prefix(", ").unwrap_or_default();
            rest = rest.strip_prefix("and ").unwrap_or(rest);
        }
    }
    quotes
}

fn test_files(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => files.push(path),
            None if path.is_dir() && !path.ends_with("target") => test_files(&path, files),
            _ => {}
        }
    }
}

/// A rule that a test proves is the rule that the manual states: tests/README.md.
#[test]
fn the_quotes_of_the_tests_stand_in_their_sections() {
    let mut files = Vec::new();
    test_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"), &mut files);
    let (mut checked, mut missing) = (0, Vec::new());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for (chapter, heading, quote) in comments(&text).iter().flat_map(|it| quotes(it)) {
            let sections = sections(&chapter);
            let stands = sections
                .iter()
                .filter(|(known, _)| known.trim_end_matches('?') == heading)
                .any(|(_, text)| quote.split("[…]").all(|part| text.contains(&plain(part))));
            checked += 1;
            if !stands {
                missing.push(format!("{}: {chapter}, {heading}: {quote:?}", file.display()));
            }
        }
    }
    assert!(checked > 100, "{checked}");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
