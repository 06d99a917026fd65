//! The checks of the fuzz target `gateway`, without a fuzzer: over its corpus, over random bytes, and
//! over inputs of the corpus, damaged at random.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

#[path = "../../../fuzz/src/gateway.rs"]
mod target;

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/gateway");
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn its_corpus_passes() {
    corpus().iter().for_each(|input| target::check(input));
}

proptest! {
    #[test]
    fn random_bytes_pass(input in proptest::collection::vec(any::<u8>(), 0..600)) {
        target::check(&input);
    }

    #[test]
    fn its_corpus_passes_when_it_is_damaged(
        input in proptest::sample::select(corpus()),
        other in proptest::sample::select(corpus()),
        bytes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        (from, to, at) in any::<(prop::sample::Index, prop::sample::Index, prop::sample::Index)>(),
    ) {
        let mut input = input;
        let (from, to) = (from.index(other.len() + 1), to.index(other.len() + 1));
        if from < to {
            let at = at.index(input.len() + 1);
            input.splice(at..at, other[from..to].iter().copied());
        }
        for (place, byte) in bytes {
            *place.get_mut(&mut input) = byte;
        }
        target::check(&input);
    }
}
