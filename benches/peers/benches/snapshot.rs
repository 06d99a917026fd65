//! Snapshots of 10 000 endpoints: building one, and one health change.

use std::hint::black_box;
use std::time::{Duration, Instant};

use pingora_ketama::Continuum;
use session_affinity::{EndpointId, Health, Pools};

use crate::measure::{Bench, Case, Race};
use crate::scene::{Mix, pool, pools};
use crate::steering::buckets;
use crate::table::{Budget, Report};

const COUNT: usize = 10_000;

pub fn run(bench: &Bench, report: &mut Report) {
    report.section(
        "Snapshots",
        "10 000 endpoints in one pool, of mixed weights, and dropping the snapshot included. The alternative makes its ring anew,\nwith equal weights.",
    );
    let bench = Bench { rounds: 31, ..*bench };
    let before = pools(COUNT, Mix::Weights);
    let id = EndpointId::new("eu", "eu-5000");
    let flip = |health| before.edited(|edit| edit.health(id, health)).expect("a known endpoint");
    let build = || {
        Case::timed(|iterations| {
            let mut time = Duration::ZERO;
            for _ in 0..iterations {
                let described = pool(COUNT, Mix::Weights);
                let start = Instant::now();
                drop(black_box(Pools::builder().pool(described).build()));
                time += start.elapsed();
            }
            time
        })
    };
    let buckets = buckets(COUNT, Mix::Equal);
    let built = Race::of("build", build())
        .rival("pingora-ketama", || Continuum::new(black_box(&buckets)))
        .run(&bench);
    let flipped = Race::new("flip the health of one", || flip(black_box(Health::Unhealthy)))
        .against("build anew", build())
        .rival("pingora-ketama", || Continuum::new(black_box(&buckets)))
        .run(&bench);
    let budget = Budget::at_most(
        "a health change in a snapshot of 10 000",
        " × building it",
        0.02,
        1.0 / flipped.faster_than("build anew"),
    );
    report.races(vec![(built, vec![]), (flipped, vec![budget])]);
}
