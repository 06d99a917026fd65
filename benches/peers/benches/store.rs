//! The memory store: hits of live sessions, a flood of new ones, and the survivors of the flood.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

use session_affinity::MemoryStore;

use crate::heap::held;
use crate::measure::{Bench, Case, Finish, Race};
use crate::rivals::{Dash, Moka, Quick, Sessions, Sharded, Unlocked, key};
use crate::scene::{NOW, Numbers};
use crate::table::{Budget, Grid, Report, figure};

const SESSIONS: usize = 1_000_000;

/// The stores without a bound, which [`grown`] proves.
const HASH_MAP: &str = "HashMap, unbounded";
const SHARDS: &str = "Mutex shards, unbounded";
const DASHMAP: &str = "dashmap, unbounded";

pub fn run(bench: &Bench, report: &mut Report) {
    report.section(
        "Memory store, 1 M live sessions",
        "A hit reads a session and restarts its idle timer: for ours load and save, two searches, as a request does; the others\nsearch once. Limit: a HashMap of one thread without a lock. Nobody hashes: the keys are hashes. One at a time: each hit\nwaits for the one before, as a request waits; back to back the processor looks for several sessions at once, and for the\nmore of them the less there is to do for each. Two threads: the time of each, both at once, back to back. Flood: new\nsessions into a store that is full. An unbounded store has no work to\nkeep a bound; the table below shows which grow.",
    );
    let ours = Filled::<MemoryStore>::new();
    let (plain, sharded, dash) =
        (Filled::<Unlocked>::new(), Filled::<Sharded>::new(), Filled::<Dash>::new());
    let (quick, moka) = (Filled::<Quick>::new(), Filled::<Moka>::new());
    let long = bench.long();
    let mut rows = Vec::new();
    for (trace, name) in [(zipf(), "zipf"), (uniform(), "uniform")] {
        let trace = &trace;
        let finish = Race::of(format!("hit, {name}, one at a time"), ours.chained(trace))
            .against(SHARDS, sharded.chained(trace))
            .against(DASHMAP, dash.chained(trace))
            .against("quick_cache", quick.chained(trace))
            .against("moka", moka.chained(trace))
            .limited_by(HASH_MAP, plain.chained(trace))
            .run(&long);
        rows.push(judged(finish, if name == "zipf" { 0.8 } else { 0.75 }));
        let finish = Race::of(format!("hit, {name}, back to back"), ours.hits(trace))
            .against(SHARDS, sharded.hits(trace))
            .against(DASHMAP, dash.hits(trace))
            .against("quick_cache", quick.hits(trace))
            .against("moka", moka.hits(trace))
            .limited_by(HASH_MAP, plain.hits(trace))
            .run(&long);
        rows.push((finish, vec![]));
        let finish = Race::of(format!("hit, {name}, two threads"), ours.two(trace))
            .against(SHARDS, sharded.two(trace))
            .against(DASHMAP, dash.two(trace))
            .against("quick_cache", quick.two(trace))
            .against("moka", moka.two(trace))
            .run(&long);
        rows.push((finish, vec![]));
    }
    let lost = (SESSIONS - ours.store.count(NOW)) as f64 * 100.0 / SESSIONS as f64;
    let flood = Race::of("flood of new sessions", ours.flood())
        .against("quick_cache", quick.flood())
        .against("moka", moka.flood())
        .run(&long);
    rows.push((flood, vec![]));
    report.races(rows);

    let heads =
        ["1 M sessions in", "bytes for each", "of 4 × as many as asked for, it holds", "bounded"];
    let mut grid = Grid::new(heads.map(String::from).to_vec());
    let each = |bytes: usize| figure(bytes as f64 / SESSIONS as f64);
    let stores = [
        ("MemoryStore", ours.bytes, grown::<MemoryStore>()),
        (HASH_MAP, plain.bytes, grown::<Unlocked>()),
        (SHARDS, sharded.bytes, grown::<Sharded>()),
        (DASHMAP, dash.bytes, grown::<Dash>()),
        ("quick_cache", quick.bytes, grown::<Quick>()),
        ("moka", moka.bytes, grown::<Moka>()),
    ];
    println!();
    for (name, bytes, grown) in stores {
        let bounded = if grown < 2.0 { "yes" } else { "no" };
        assert_eq!(
            grown >= 2.0,
            name.ends_with("unbounded"),
            "{name} holds {grown} × its capacity"
        );
        grid.row(vec![name.into(), each(bytes), format!("{grown:.2} ×"), bounded.into()]);
    }
    grid.print();
    let bytes = ours.bytes as f64 / SESSIONS as f64;
    drop((ours, plain, sharded, dash, quick, moka));

    let size = if bench.quick { 20_000 } else { 100_000 };
    let mut grid = Grid::new(
        ["% left of sessions used twice, after a flood of", "ours", "quick_cache", "moka"]
            .map(String::from)
            .to_vec(),
    );
    let mut survivors = Vec::new();
    for (times, uses, flood) in
        [(8, 1, "8 times as many, each used once"), (4, 2, "4 times as many, each used twice")]
    {
        let ours = left_after::<MemoryStore>(size, times, uses);
        let rivals =
            [left_after::<Quick>(size, times, uses), left_after::<Moka>(size, times, uses)];
        let cells = [ours].into_iter().chain(rivals).map(|left| format!("{left:.2}"));
        grid.row([flood.to_owned()].into_iter().chain(cells).collect());
        survivors.push(ours);
    }
    println!();
    grid.print();
    let budgets = vec![
        Budget::at_most("memory store", " bytes for each session", 48.0, bytes),
        Budget::at_most("memory store, lost when full to its capacity", " %", 0.1, lost),
        Budget::at_least("memory store, survivors of a flood", " %", 95.0, survivors[0]),
        Budget::at_least("memory store, survivors of one used twice", " %", 50.0, survivors[1]),
    ];
    println!("\nOurs: {}.", report.judge(budgets));
}

/// Budgets of hits one at a time: a multiple of the HashMap, and no rival is faster.
fn judged(finish: Finish, most: f64) -> (Finish, Vec<Budget>) {
    let what = format!("store {} with touch", finish.operation);
    let mut budgets = vec![Budget::at_most(&what, " × HashMap", most, finish.over_limit())];
    if let Some((rival, series)) = finish.best() {
        let unit = format!(" × {rival}, the best rival");
        budgets.push(Budget::at_most(&what, &unit, 1.0, finish.ours.over(series)));
    }
    (finish, budgets)
}

/// A store that is full to its capacity.
pub struct Filled<S> {
    store: S,
    sessions: usize,
    bytes: usize,
}

impl<S: Sessions> Filled<S> {
    fn new() -> Self {
        Self::with(SESSIONS)
    }

    pub fn with(sessions: usize) -> Self {
        let (store, bytes) = held(|| {
            let store = S::with_room_for(sessions);
            (0..sessions as u64).for_each(|number| store.create(key(number), NOW));
            store.count(NOW);
            store
        });
        Self { store, sessions, bytes }
    }

    pub fn hits<'a>(&'a self, trace: &'a [u32]) -> Case<'a> {
        let mut at = 0;
        Case::new(move || {
            at = (at + 1) % trace.len();
            self.store.hit(key(u64::from(trace[at])), NOW)
        })
    }

    /// Returns the case in which each hit needs the result of the one before.
    fn chained<'a>(&'a self, trace: &'a [u32]) -> Case<'a> {
        let (mut at, mut last) = (0, 0);
        Case::new(move || {
            at = (at + 1) % trace.len();
            // The ids of the endpoints are small, so 0 is added, which only the result can tell.
            let hit = self.store.hit(key(u64::from(trace[at]) + (last >> 32)), NOW);
            last = hit.unwrap_or_else(absent);
        })
    }

    /// Returns the case of new sessions, one after another.
    fn flood(&self) -> Case<'_> {
        let mut next = self.sessions as u64;
        Case::new(move || {
            next += 1;
            self.store.create(key(next), NOW);
        })
    }
}

impl<S: Sessions + Sync> Filled<S> {
    /// Returns the case of two threads at once, each with half of the trace.
    fn two<'a>(&'a self, trace: &'a [u32]) -> Case<'a> {
        Case::timed(move |iterations| {
            let barrier = Barrier::new(2);
            let work = |half: &[u32]| {
                barrier.wait();
                let start = Instant::now();
                for number in half.iter().cycle().take(iterations as usize) {
                    black_box(self.store.hit(key(u64::from(*number)), NOW));
                }
                start.elapsed()
            };
            let (first, second) = trace.split_at(trace.len() / 2);
            std::thread::scope(|scope| {
                let other = scope.spawn(|| work(second));
                work(first).max(other.join().expect("no thread panics"))
            })
        })
    }
}

/// The rare result of a session that was lost, after some 300 ns. A processor that takes this branch
/// by mistake, while it waits for memory, would run on into the next hit at once, whose key would be
/// known, and fetch its memory early; a fence does not keep it from that.
#[cold]
#[inline(never)]
fn absent() -> u64 {
    (0..256).fold(black_box(3_u64), |product, _| product.wrapping_mul(product) | 1) & 7
}

/// Returns how many sessions a store holds after four times as many as it was made for: as a multiple
/// of that number. One without a bound holds all, and asks for more memory.
fn grown<S: Sessions>() -> f64 {
    const ASKED: usize = 20_000;
    let store = S::with_room_for(ASKED);
    (0..4 * ASKED as u64).for_each(|number| store.create(key(number), NOW));
    store.count(NOW) as f64 / ASKED as f64
}

/// Returns the percentage of sessions, used twice, that are left after a flood of `times` as many
/// made-up ones, each of which is used as often as `uses` says.
fn left_after<S: Sessions>(size: usize, times: u64, uses: usize) -> f64 {
    let (store, size) = (S::with_room_for(size), size as u64);
    let serve = |number, uses, now| {
        store.create(key(number), now);
        (1..uses).for_each(|_| _ = store.hit(key(number), now));
    };
    (0..size).for_each(|number| serve(number, 2, NOW));
    store.count(NOW);
    let later = NOW.saturating_add(60);
    (size..(times + 1) * size).for_each(|number| serve(number, uses, later));
    store.count(later);
    let left = (0..size).filter(|number| store.hit(key(*number), later).is_some()).count();
    left as f64 * 100.0 / size as f64
}

const DRAWS: usize = 1 << 20;

pub fn uniform() -> Vec<u32> {
    uniform_below(SESSIONS)
}

pub fn uniform_below(sessions: usize) -> Vec<u32> {
    let mut numbers = Numbers(3);
    (0..DRAWS).map(|_| (numbers.draw() % sessions as u64) as u32).collect()
}

/// Returns a trace in which the session of rank r has a probability in proportion to 1 / r.
fn zipf() -> Vec<u32> {
    let mut sums = Vec::with_capacity(SESSIONS);
    let mut sum = 0.0;
    for rank in 1..=SESSIONS {
        sum += 1.0 / rank as f64;
        sums.push(sum);
    }
    let mut numbers = Numbers(3);
    let mut draw = || {
        let point = (numbers.draw() >> 11) as f64 / (1_u64 << 53) as f64 * sum;
        sums.partition_point(|upto| *upto < point).min(SESSIONS - 1) as u32
    };
    (0..DRAWS).map(|_| draw()).collect()
}
