//! The cost of the marks: the census that settle writes, and the check for suspects.

use std::hint::black_box;

use http::HeaderMap;
use session_affinity::limits::CoolingOff;
use session_affinity::*;

use crate::measure::{Bench, Case};
use crate::scene::*;
use crate::steering::route;
use crate::table::{Grid, Report, figure};

fn attempt(
    affinity: &Affinity<CookiePolicy>,
    headers: &HeaderMap,
    pools: &Pools<usize>,
) -> Attempt {
    let visit = affinity.recall(black_box(&request(headers)), NOW);
    affinity.route(visit, Record::Absent, pools, || 0).expect("there is an endpoint").0
}

pub fn run(bench: &Bench, report: &mut Report) {
    report.section(
        "Marks",
        "The difference between two requests in the same run. Settle of a kept cookie request does nothing but note the census.",
    );
    let headers = cookie_header(300, Place::Last, codec().seal(&pin()).as_str());
    let (few, many) = (pools(3, Mix::Weights), pools(64, Mix::Weights));
    let cooling_off = CoolingOff::new(10).unwrap();
    let calm = Affinity::new(cookie_policy());
    let wary = calm.clone().with_cooling_off(cooling_off);
    let free = Affinity::new(NoAffinity::new(&shop()));
    let wary_free = free.clone().with_cooling_off(cooling_off);
    let settled = || calm.settle(attempt(&calm, &headers, &few), &few);
    let routed = || attempt(&calm, &headers, &few);
    let pairs = [
        ("settle of a kept cookie request: the census", Case::new(settled), Case::new(routed)),
        (
            "is the pinned endpoint suspect?",
            Case::new(|| attempt(&wary, &headers, &few)),
            Case::new(|| attempt(&calm, &headers, &few)),
        ),
        (
            "is any of 64 suspect, when one is chosen?",
            Case::new(route(&wary_free, &many)),
            Case::new(route(&free, &many)),
        ),
    ];
    let mut grid =
        Grid::new(["what", "with, ns", "without, ns", "difference, ns"].map(String::from).to_vec());
    for (what, with, without) in pairs {
        let series = bench.run(&mut [with, without]);
        let [with, without] = &series[..] else { unreachable!("two cases, two series") };
        let numbers = [with.median(), without.median(), with.less(without)].map(figure);
        grid.row([vec![what.into()], numbers.to_vec()].concat());
    }
    grid.print();
}
