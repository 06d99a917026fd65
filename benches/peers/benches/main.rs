//! The cost of each operation beside a lower bound and beside other libraries:
//! `cargo bench --bench ratios`. `benches/README.md` explains the output.

use std::time::Instant;

mod cookie_header;
mod growth;
mod heap;
mod linear;
mod marks;
mod measure;
mod moves;
mod off;
mod plot;
mod requests;
mod rivals;
mod scene;
mod shares;
mod snapshot;
mod steering;
mod store;
mod sublinear;
mod table;
mod token;
#[cfg(feature = "zentinel")]
mod zentinel;

type Subject = fn(&measure::Bench, &mut table::Report);

/// The subjects in the order in which they are printed.
const SUBJECTS: [(&str, Subject); 11] = [
    ("token", token::run),
    ("requests", requests::run),
    ("off", off::run),
    ("cookie_header", cookie_header::run),
    ("steering", steering::run),
    ("shares", shares::run),
    ("sublinear", sublinear::run),
    ("moves", moves::run),
    ("snapshot", snapshot::run),
    ("store", store::run),
    ("marks", marks::run),
];

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (mut quick, mut svg, mut wanted, mut measure) = (false, None, Vec::new(), false);
    let mut profile = measure::Profile::Tuned;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bench" => measure = true,
            "--quick" => quick = true,
            "--release" => profile = measure::Profile::Release,
            // `ratios` has built this with the feature.
            "--zentinel" => {}
            "--svg" => svg = arguments.next(),
            other => wanted.push(other.to_owned()),
        }
    }
    // `cargo test --benches` runs this without `--bench`, and without need for numbers.
    if !measure {
        println!("to measure: cargo bench --bench ratios");
        return Ok(());
    }
    let is_wanted = |subject: &str| {
        wanted.is_empty() || wanted.iter().any(|word| subject.contains(word.as_str()))
    };
    let start = Instant::now();
    let bench = measure::Bench::new(quick, profile);
    let mut report = table::Report::default();
    for (subject, run) in SUBJECTS {
        if is_wanted(subject) {
            run(&bench, &mut report);
        }
    }
    if is_wanted("growth") || svg.is_some() {
        let curves = growth::run(&bench, &mut report);
        if let Some(path) = svg {
            std::fs::write(path, plot::svg(&curves))?;
        }
    }
    report.summary();
    println!("\nMeasured in {} s.", start.elapsed().as_secs());
    Ok(())
}
