//! The checks of the fuzz targets, without a fuzzer: over their corpora, over random bytes, and
//! over inputs of the corpora, damaged at random.

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

macro_rules! targets {
    ($($name:ident),+) => {
        const NAMES: &[&str] = &[$(stringify!($name)),+];
        $(mod $name {
            use super::*;

            #[test]
            fn its_corpus_passes() {
                corpus(stringify!($name)).iter().for_each(|input| targets::$name::check(input));
            }

            proptest! {
                #[test]
                fn random_bytes_pass(input in proptest::collection::vec(any::<u8>(), 0..1_000)) {
                    targets::$name::check(&input);
                }

                #[test]
                fn its_corpus_passes_when_it_is_damaged(input in damaged(corpus(stringify!($name)))) {
                    targets::$name::check(&input);
                }
            }
        })+
    };
}

targets!(
    apply,
    cache_guard,
    config_json,
    cookie_header,
    exchange,
    flow,
    header_keys,
    issued_header,
    memory_store,
    pools,
    set_cookie,
    strip,
    token
);

/// The targets that are run elsewhere: by `examples/gateway/tests/fuzz_target.rs`, and by
/// `src/store/redis/fuzzed.rs`, as they see what is private.
const ELSEWHERE: [&str; 2] = ["gateway", "redis_answers"];

#[test]
fn all_targets_are_here_and_have_a_corpus() {
    let all: BTreeSet<&str> = NAMES.iter().copied().chain(ELSEWHERE).collect();
    let names = |folder: &str| -> BTreeSet<String> {
        let paths = entries(&fuzz().join(folder));
        paths.iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    };
    for folder in ["fuzz_targets", "corpus"] {
        assert!(
            names(folder).iter().map(String::as_str).eq(all.iter().copied()),
            "{folder}: {:?}",
            names(folder)
        );
    }
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    entries(&fuzz().join("corpus").join(target))
        .iter()
        .map(|path| fs::read(path).unwrap())
        .collect()
}

/// One of these inputs, with a few bytes replaced and a part of another one put in.
fn damaged(inputs: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let input = proptest::sample::select(inputs);
    let bytes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let places = any::<[prop::sample::Index; 3]>();
    (input.clone(), input, bytes, places).prop_map(|(mut input, other, bytes, [from, to, at])| {
        let (from, to, at) =
            (from.index(other.len() + 1), to.index(other.len() + 1), at.index(input.len() + 1));
        if from < to {
            input.splice(at..at, other[from..to].iter().copied());
        }
        for (place, byte) in bytes {
            if !input.is_empty() {
                *place.get_mut(&mut input) = byte;
            }
        }
        input
    })
}
