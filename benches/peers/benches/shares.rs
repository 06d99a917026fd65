//! The shares of the endpoints: how even a choice is. Nothing is timed here.

use std::collections::HashMap;
use std::hash::Hash;

use session_affinity::*;

use crate::measure::Bench;
use crate::scene::{Mix, Numbers, pools, shop};
use crate::steering::{Ketama, route};
use crate::table::{Budget, Grid, Report, figure};

pub fn run(bench: &Bench, report: &mut Report) {
    report.section(
        "Shares",
        "Endpoints of equal weights: the greatest and the least share of the choices, beside the even one. Chance: what is expected of\nan exact choice among so many draws, five standard deviations. The ring has 160 points for each endpoint.",
    );
    let heads = ["endpoints", "draws for each", "chance", "ours", "pingora-ketama", "budget"];
    let mut grid = Grid::new(heads.map(String::from).to_vec());
    let draws = if bench.quick { 2_500 } else { 10_000 };
    let affinity = Affinity::new(NoAffinity::new(&shop()));
    for count in [10, 64, 300, 1_000] {
        let chance = 5.0 / f64::from(draws).sqrt();
        let total = count * draws as usize;
        let pools = pools(count, Mix::Equal);
        let ring = Ketama::new(count, Mix::Equal);
        let mut for_ring = Numbers(1);
        let ours = extremes(count, std::iter::repeat_with(route(&affinity, &pools)).take(total));
        let ring = extremes(count, (0..total).map(|_| ring.choose(for_ring.draw())));
        let what = format!("shares, {} endpoints", figure(count as f64));
        let off = (ours.1 - 1.0).max(1.0 - ours.0) * 100.0;
        let budget = Budget::at_most(what, " % off, as chance has it", chance * 100.0, off);
        let shares = [ours, ring].map(|(least, most)| format!("{least:.3} to {most:.3}"));
        let mut cells = vec![
            figure(count as f64),
            figure(f64::from(draws)),
            format!("{:.3} to {:.3}", 1.0 - chance, 1.0 + chance),
        ];
        cells.extend(shares);
        cells.push(report.judge(vec![budget]));
        grid.row(cells);
    }
    grid.print();
}

/// Returns the least and the greatest share of all choices, as multiples of the even one.
fn extremes<T: Hash + Eq>(count: usize, choices: impl ExactSizeIterator<Item = T>) -> (f64, f64) {
    let even = choices.len() as f64 / count as f64;
    let mut chosen = HashMap::<T, f64>::new();
    choices.for_each(|choice| *chosen.entry(choice).or_default() += 1.0);
    let most = chosen.values().copied().fold(0.0, f64::max);
    let least =
        if chosen.len() < count { 0.0 } else { chosen.values().copied().fold(f64::MAX, f64::min) };
    (least / even, most / even)
}
