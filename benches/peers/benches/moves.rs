//! The sessions that move when an endpoint fails, returns, joins or leaves. Nothing is timed here.

use session_affinity::*;

use crate::measure::Bench;
use crate::scene::{Mix, pool, pools, shop};
use crate::steering::route;
use crate::table::{Budget, Grid, Report, figure};

/// Returns the choices of this many seeds.
fn choices(pools: &Pools<usize>, count: usize) -> Vec<EndpointId> {
    let affinity = Affinity::new(NoAffinity::new(&shop()));
    let choose = route(&affinity, pools);
    std::iter::repeat_with(choose).take(count).collect()
}

/// Returns the number of moves, and the number of needless ones: from an endpoint that has not
/// changed to another that has not changed.
fn moved(
    before: &[EndpointId],
    after: &[EndpointId],
    concerns: impl Fn(EndpointId) -> bool,
) -> (usize, usize) {
    let moves = || before.iter().zip(after).filter(|(was, is)| was != is);
    (moves().count(), moves().filter(|(was, is)| !concerns(**was) && !concerns(**is)).count())
}

pub fn run(bench: &Bench, report: &mut Report) {
    report.section(
        "Moves",
        "Of so many sessions without a pin, how many go elsewhere when endpoints change. Ideal: the share of the weight that fails,\njoins or leaves. Needless: moves between two endpoints that have not changed. The same endpoints join and leave again.",
    );
    let heads = [
        "endpoints",
        "that change",
        "what happens",
        "sessions",
        "moved",
        "ideal",
        "× ideal",
        "needless",
        "budget",
    ];
    let mut grid = Grid::new(heads.map(String::from).to_vec());
    let sizes =
        if bench.quick { [(10, 1, 50_000), (1_000, 10, 20_000)].to_vec() } else { SIZES.to_vec() };
    for (count, changing, sessions) in sizes {
        let ids: Vec<_> = (count..count + changing)
            .map(|number| EndpointId::new("eu", &format!("eu-{number}")))
            .collect();
        let concerns = |id| ids.contains(&id);
        let all = pools(count + changing, Mix::Weights);
        let failed = with_health(&all, &ids, Health::Unhealthy);
        let returned = with_health(&failed, &ids, Health::Healthy);
        let fewer = all.rebuild().pool(pool(count, Mix::Weights)).build().unwrap();
        let more = fewer.rebuild().pool(pool(count + changing, Mix::Weights)).build().unwrap();
        let [of_all, of_failed, of_returned, of_fewer, of_more] =
            [&all, &failed, &returned, &fewer, &more].map(|pools| choices(pools, sessions));
        let weight = |range: std::ops::Range<usize>| {
            range.map(|number| Mix::Weights.weight(number)).sum::<u64>() as f64
        };
        let ideal = sessions as f64 * weight(count..count + changing) / weight(0..count + changing);
        let cases = [
            ("fail", &of_all, &of_failed),
            ("return", &of_failed, &of_returned),
            ("leave", &of_all, &of_fewer),
            ("join", &of_fewer, &of_more),
        ];
        for (event, before, after) in cases {
            let (moves, needless) = moved(before, after, concerns);
            let ratio = moves as f64 / ideal;
            let what = format!(
                "{} of {} endpoints {event}",
                figure(changing as f64),
                figure((count + changing) as f64)
            );
            let budget = if matches!(event, "fail" | "return") {
                Budget::at_most(what, " needless moves", 0.0, needless as f64)
            } else {
                Budget::at_most(what, " × the ideal", 1.15, ratio)
            };
            let verdict = report.judge(vec![budget]);
            let number = |n: usize| figure(n as f64);
            let mut cells =
                vec![number(count + changing), number(changing), event.into(), number(sessions)];
            cells.extend([number(moves), figure(ideal), figure(ratio), number(needless), verdict]);
            grid.row(cells);
        }
    }
    grid.print();
}

/// The numbers of endpoints that stay, of endpoints that change, and of sessions: enough for a
/// thousand to move, so that chance is some percent. In a large pool one that joins takes another's
/// door or does not: a thousand show the mean.
const SIZES: [(usize, usize, usize); 4] =
    [(9, 1, 200_000), (63, 1, 200_000), (999, 1, 1_000_000), (9_000, 1_000, 100_000)];

fn with_health(pools: &Pools<usize>, ids: &[EndpointId], health: Health) -> Pools<usize> {
    let edit = pools.edited(|edit| ids.iter().try_for_each(|id| edit.health(*id, health)));
    edit.expect("the endpoints are in the snapshot")
}
