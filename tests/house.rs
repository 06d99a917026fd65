//! The order of the house: every arrow between the files of `src` points down, and no two files
//! use each other. The floors are those of CONTRIBUTING.md, where they are written once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A file of `src`, by its module path: `["pools", "build"]`.
type Module = Vec<String>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The floors of CONTRIBUTING.md, the lowest first: each is a list of top-level modules.
fn floors() -> Vec<BTreeSet<String>> {
    let text = fs::read_to_string(root().join("CONTRIBUTING.md")).expect("CONTRIBUTING.md");
    let mut floors: Vec<BTreeSet<String>> = Vec::new();
    for row in text.lines().filter_map(|line| line.strip_prefix("| ")) {
        let mut cells = row.split(" | ");
        let (Some(number), Some(modules)) = (cells.next(), cells.next()) else { continue };
        if number.parse::<usize>().is_ok() {
            floors.push(modules.split('`').skip(1).step_by(2).map(str::to_owned).collect());
        }
    }
    floors.reverse();
    assert!(floors.len() >= 5, "CONTRIBUTING.md has {} floors", floors.len());
    floors
}

/// Every file of `src` but the root and the manual, with its code: without comments and tests.
fn files() -> BTreeMap<Module, String> {
    fn read(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => read(&path, files),
                false if path.extension().is_some_and(|extension| extension == "rs") => {
                    files.push(path);
                }
                false => {}
            }
        }
    }
    let mut paths = Vec::new();
    read(&root().join("src"), &mut paths);
    let module = |path: &Path| -> Module {
        let path = path.strip_prefix(root().join("src")).expect("below src").with_extension("");
        path.iter().map(|part| part.to_str().expect("UTF-8").to_owned()).collect()
    };
    let files = paths.iter().map(|path| {
        let text = fs::read_to_string(path).expect("a file");
        let code = text.split("#[cfg(test)]\nmod tests").next().expect("a first part");
        let lines = code.lines().map(|line| line.split("//").next().expect("a first part"));
        (module(path), lines.collect::<Vec<_>>().join("\n"))
    });
    let apart = ["lib", "manual", "interleavings"].map(|name| vec![name.to_owned()]);
    let is_test = |module: &Module| module.last().is_some_and(|name| name == "tests");
    files.filter(|(module, _)| !apart.contains(module) && !is_test(module)).collect()
}

/// The statements that begin with this word, without their semicolons.
fn statements<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    code.match_indices(word).filter_map(move |(at, _)| {
        let before = code[..at].trim_end_matches(' ');
        let starts = before.is_empty()
            || before.ends_with('\n')
            || before.ends_with("pub")
            || before.ends_with("pub(crate)")
            || before.ends_with("pub(super)");
        let rest = &code[at + word.len()..];
        starts.then(|| rest.split(';').next().expect("a first part"))
    })
}

/// The paths of a `use` tree, without aliases: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expanded(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim();
    let Some((prefix, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().expect("a first part");
        return vec![path.split("::").map(|part| part.trim().to_owned()).collect()];
    };
    let inner = rest.trim_end().strip_suffix('}').expect("a brace that closes");
    let (mut depth, mut parts, mut part) = (0, Vec::new(), String::new());
    for character in inner.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(character);
    }
    parts.push(part);
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts.flat_map(|part| expanded(&format!("{prefix}{}", part.trim()))).collect()
}

/// What each file passes on from files below it: the name, and the file that has it.
fn passed_on(files: &BTreeMap<Module, String>) -> BTreeMap<(Module, String), Module> {
    let mut names = BTreeMap::new();
    for (module, code) in files {
        for word in ["pub use ", "pub(crate) use ", "pub(super) use "] {
            for path in statements(code, word).flat_map(expanded) {
                let (name, path) = path.split_last().expect("a name");
                if let Some(home) = file_of(files, module, path) {
                    names.insert((module.clone(), name.clone()), home);
                }
            }
        }
    }
    names
}

/// The file that a path without its last name leads to, seen from a module.
fn file_of(files: &BTreeMap<Module, String>, from: &Module, path: &[String]) -> Option<Module> {
    let (first, rest) = path.split_first()?;
    let mut at: Module = match first.as_str() {
        "crate" => Vec::new(),
        "super" => from[..from.len() - 1].to_vec(),
        "self" => from.clone(),
        child => {
            let mut child_path = from.clone();
            child_path.push(child.to_owned());
            return files.contains_key(&child_path).then(|| deepest(files, child_path, rest));
        }
    };
    let mut rest = rest;
    while let [up, after @ ..] = rest
        && up == "super"
    {
        at.pop();
        rest = after;
    }
    let found = deepest(files, at, rest);
    (!found.is_empty()).then_some(found)
}

/// Goes down a path as far as there are files.
fn deepest(files: &BTreeMap<Module, String>, mut at: Module, rest: &[String]) -> Module {
    for part in rest {
        at.push(part.clone());
        if !files.contains_key(&at) {
            at.pop();
            break;
        }
    }
    at
}

/// The arrows: which file uses which. A file that passes a name on uses it if its own code does.
fn arrows() -> BTreeSet<(Module, Module)> {
    let files = files();
    let passed_on = passed_on(&files);
    let home = |mut module: Module, name: &String| {
        // A name may be passed on more than once.
        while let Some(below) = passed_on.get(&(module.clone(), name.clone())) {
            module = below.clone();
        }
        module
    };
    let mut arrows = BTreeSet::new();
    for (module, code) in &files {
        let uses = statements(code, "use ").flat_map(expanded);
        let written = code.split("crate::").skip(1).map(|rest| {
            let is_part = |c: &char| c.is_alphanumeric() || *c == '_' || *c == ':';
            let path: String = rest.chars().take_while(is_part).collect();
            ["crate"]
                .into_iter()
                .chain(path.trim_end_matches(':').split("::"))
                .map(str::to_owned)
                .collect()
        });
        for path in uses.chain(written.filter(|path: &Vec<String>| path.len() > 2)) {
            let (name, above) = path.split_last().expect("a name");
            let Some(target) = file_of(&files, module, above) else { continue };
            // The name may be that of a file.
            let target = match file_of(&files, module, &path) {
                Some(file) if file.len() > target.len() => file,
                _ => home(target, name),
            };
            let own = passed_on.contains_key(&(module.clone(), name.clone()));
            if own && words(code).filter(|word| word == name).count() < 2 {
                continue; // passed on, and not used here
            }
            if target != *module {
                arrows.insert((module.clone(), target));
            }
        }
    }
    arrows
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
}

#[test]
fn every_module_stands_on_one_floor() {
    let named: Vec<String> = floors().into_iter().flatten().collect();
    let there: BTreeSet<String> = files().keys().map(|module| module[0].clone()).collect();
    let unique: BTreeSet<String> = named.iter().cloned().collect();
    assert_eq!(named.len(), unique.len(), "a module is named twice in CONTRIBUTING.md");
    assert_eq!(unique, there, "left: the floors of CONTRIBUTING.md, right: src");
}

#[test]
fn every_arrow_points_down() {
    let floors = floors();
    let floor = |module: &Module| floors.iter().position(|floor| floor.contains(&module[0]));
    let arrows = arrows();
    assert!(arrows.len() > 100, "{} arrows are found", arrows.len());
    for (from, to) in arrows {
        assert!(floor(&from) >= floor(&to), "{} uses {}", from.join("::"), to.join("::"));
    }
}

#[test]
fn no_two_files_use_each_other() {
    let arrows = arrows();
    let mut below: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for (from, to) in arrows {
        below.entry(from).or_default().insert(to);
    }
    // A file that uses none of the files that are left, or is used by none, is in no circle.
    loop {
        let before = below.len();
        let left: BTreeSet<Module> = below.keys().cloned().collect();
        let used: BTreeSet<Module> = below.values().flatten().cloned().collect();
        below.retain(|file, uses| used.contains(file) && uses.iter().any(|it| left.contains(it)));
        if below.len() == before {
            break;
        }
    }
    let circle: Vec<String> = below.keys().map(|module| module.join("::")).collect();
    assert!(circle.is_empty(), "these files use each other: {circle:?}");
}
