//! Schemes for steering among ten thousand endpoints without looking at all of them, and the costs
//! of each. Prototypes: floating point, no health, no suspects.

use session_affinity::EndpointId;

use crate::measure::{Bench, Case};
use crate::scene::{Mix, Numbers, mix};
use crate::table::{Grid, Report, figure};

/// An endpoint that is chosen in proportion to its weight: id, weight in hundredths, number.
type Runner = (u64, u64, usize);

fn runners(count: usize) -> Vec<Runner> {
    let id = |number| EndpointId::new("eu", &format!("eu-{number}")).as_u64();
    (0..count).map(|number| (id(number), Mix::Weights.weight(number), number)).collect()
}

/// Returns the place of the least -ln(hash) / weight. Most are excluded by 1 - x <= -ln(x).
fn race(seed: u64, runners: impl Iterator<Item = (u64, f64)>) -> usize {
    let (mut winner, mut least) = (0, f64::INFINITY);
    for (place, (id, weight)) in runners.enumerate() {
        let x = ((mix(seed ^ id) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        if 1.0 - x <= least * weight {
            let cost = -x.ln() / weight;
            (winner, least) = if cost < least { (place, cost) } else { (winner, least) };
        }
    }
    winner
}

trait Scheme {
    fn of(count: usize) -> Self;
    fn choose(&self, seed: u64) -> usize;
}

/// The rendezvous itself, which looks at every endpoint.
struct Flat(Vec<Runner>);

impl Scheme for Flat {
    fn of(count: usize) -> Self {
        Self(runners(count))
    }

    fn choose(&self, seed: u64) -> usize {
        self.0[race(seed, self.0.iter().map(|(id, weight, _)| (*id, *weight as f64)))].2
    }
}

/// The scheme of 128 groups by id: first a choice of a group by the sum of its weights, then a
/// choice within it.
struct Groups(Vec<(u64, f64, Vec<Runner>)>);

impl Scheme for Groups {
    fn of(count: usize) -> Self {
        let mut groups: Vec<(u64, f64, Vec<Runner>)> =
            (0..128).map(|group| (mix(group), 0.0, Vec::new())).collect();
        for runner in runners(count) {
            let group = &mut groups[(runner.0 >> 57) as usize];
            group.1 += runner.1 as f64;
            group.2.push(runner);
        }
        groups.retain(|group| !group.2.is_empty());
        Self(groups)
    }

    fn choose(&self, seed: u64) -> usize {
        let group = &self.0[race(seed, self.0.iter().map(|(id, weight, _)| (*id, *weight)))].2;
        group[race(mix(seed), group.iter().map(|(id, weight, _)| (*id, *weight as f64)))].2
    }
}

/// A table of at least four slots for each endpoint, a power of two. Each endpoint has the first
/// free slot of a sequence of its own. Slots are drawn until one is taken and passes by its weight.
struct Slots(Vec<Option<Runner>>);

impl Scheme for Slots {
    fn of(count: usize) -> Self {
        let mut runners = runners(count);
        // In the order of the ids, so that the order of the list does not matter.
        runners.sort_unstable();
        let mut slots = vec![None; (4 * count).next_power_of_two()];
        for runner in runners {
            let mut probe = Numbers(runner.0);
            let free = std::iter::repeat_with(|| slot(probe.draw(), &slots))
                .find(|at| slots[*at].is_none());
            slots[free.expect("most are free")] = Some(runner);
        }
        Self(slots)
    }

    fn choose(&self, seed: u64) -> usize {
        let mut draws = Numbers(seed);
        loop {
            let draw = draws.draw();
            if let Some((_, weight, number)) = self.0[slot(draw, &self.0)]
                && ((draw >> 32) * 100) >> 32 < weight
            {
                return number;
            }
        }
    }
}

fn slot(number: u64, slots: &[Option<Runner>]) -> usize {
    number as usize & (slots.len() - 1)
}

/// The choice of the rendezvous for each of 65 536 buckets.
struct Winners(Vec<u32>);

impl Scheme for Winners {
    fn of(count: usize) -> Self {
        let flat = Flat::of(count);
        Self((0..65_536).map(|bucket| flat.choose(mix(bucket)) as u32).collect())
    }

    fn choose(&self, seed: u64) -> usize {
        self.0[(mix(seed) >> 48) as usize] as usize
    }
}

pub fn run(bench: &Bench, _: &mut Report) {
    println!("\n## Steering among ten thousand: what was tried\n");
    println!(
        "Prototypes in floating point, all healthy, mixed weights. Uneven: the greatest share beside its weight's share, among 1 000,\nin 2 000 choices for each. Moves: when one of 1 000 joins, and when the 1 025th does, beside the ideal.\n"
    );
    let heads = [
        "scheme",
        "at 10, ns",
        "at 10 000, ns",
        "× at 10",
        "uneven",
        "one joins: × ideal",
        "the 1 025th joins: × ideal",
    ];
    let mut grid = Grid::new(heads.map(String::from).to_vec());
    row::<Flat>(bench, "all of them (exact)", &mut grid);
    row::<Groups>(bench, "128 groups, then within one", &mut grid);
    row::<Slots>(bench, "slots, drawn until one is taken", &mut grid);
    row::<Winners>(bench, "a table of winners", &mut grid);
    grid.print();
}

fn row<S: Scheme>(bench: &Bench, name: &str, grid: &mut Grid) {
    let timed = |count| {
        let (scheme, mut seeds) = (S::of(count), Numbers(1));
        bench.run(&mut [Case::new(|| scheme.choose(seeds.draw()))])[0].median()
    };
    let (ten, many) = (timed(10), timed(10_000));
    let cells = [ten, many, many / ten, uneven::<S>(), moves::<S>(999), moves::<S>(1_024)];
    grid.row([name.to_owned()].into_iter().chain(cells.map(figure)).collect());
}

fn uneven<S: Scheme>() -> f64 {
    const COUNT: usize = 1_000;
    let (scheme, mut seeds, mut chosen) = (S::of(COUNT), Numbers(2), vec![0_u32; COUNT]);
    let total = COUNT * 2_000;
    (0..total).for_each(|_| chosen[scheme.choose(seeds.draw())] += 1);
    let sum: u64 = (0..COUNT).map(|number| Mix::Weights.weight(number)).sum();
    let share = |number: usize| {
        f64::from(chosen[number]) * sum as f64 / (total as u64 * Mix::Weights.weight(number)) as f64
    };
    // Light endpoints are chosen so seldom that chance alone makes them uneven.
    (0..COUNT).filter(|number| Mix::Weights.weight(*number) >= 50).map(share).fold(0.0, f64::max)
}

fn moves<S: Scheme>(count: usize) -> f64 {
    let (before, after, mut seeds) = (S::of(count), S::of(count + 1), Numbers(3));
    let sessions = 300_000;
    let moved = (0..sessions)
        .map(|_| seeds.draw())
        .filter(|seed| before.choose(*seed) != after.choose(*seed))
        .count();
    let weight = |range: std::ops::Range<usize>| {
        range.map(|number| Mix::Weights.weight(number)).sum::<u64>() as f64
    };
    moved as f64 / (f64::from(sessions) * weight(count..count + 1) / weight(0..count + 1))
}
