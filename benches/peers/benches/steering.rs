//! Steering: the choice among 3 to 10 000 endpoints.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Instant;

use http::HeaderMap;
use pingora_ketama::{Bucket, Continuum};
use session_affinity::steering::{Candidate, Candidates, Seed, Steering};
use session_affinity::*;

use crate::linear::Linear;
use crate::measure::{Bench, Case};
use crate::scene::{Mix, NOW, Numbers, mix, pool, pools, request, shop};
use crate::table::{Budget, Grid, Report, figure};

/// Steering that repeats the library's own choice so often that the rest of the request no longer
/// counts.
struct Repeated;

const TIMES: u64 = 64;

impl<T> Steering<T> for Repeated {
    fn choose<'a>(&self, candidates: &Candidates<'a, T>, seed: Seed) -> Option<Candidate<'a, T>> {
        for more in 1..TIMES {
            black_box(candidates.preferred(seed.value().wrapping_add(more)));
        }
        candidates.preferred(seed.value())
    }
}

/// Returns a function that routes a request without a session: steering chooses each time.
pub fn route<'a>(
    affinity: &'a Affinity<NoAffinity>,
    pools: &'a Pools<usize>,
) -> impl FnMut() -> EndpointId + 'a {
    let headers = HeaderMap::new();
    let mut seeds = Numbers(1);
    move || {
        let visit = affinity.recall(&request(&headers), NOW);
        let routed = affinity.route(visit, Record::Absent, pools, || seeds.draw());
        let (attempt, _) = routed.expect("there is an endpoint");
        attempt.endpoint()
    }
}

/// Returns the cost of steering by itself, per choice.
pub fn alone<'a>(affinity: &'a Affinity<NoAffinity>, pools: &'a Pools<usize>) -> Case<'a> {
    let mut route = route(affinity, pools);
    Case::timed(move |iterations| {
        let routes = iterations.div_ceil(TIMES);
        let start = Instant::now();
        for _ in 0..routes {
            black_box(route());
        }
        start.elapsed().mul_f64(iterations as f64 / (routes * TIMES) as f64)
    })
}

pub fn pools_of_repeated(count: usize, mix: Mix) -> Pools<usize> {
    Pools::builder().pool(pool(count, mix).with_steering(Repeated)).build().unwrap()
}

/// A weighted rendezvous in its plain form: -ln(u) / weight in floating point.
struct Float(Vec<(u64, f64, Health)>);

impl Float {
    fn new(count: usize, mix: Mix) -> Self {
        let id = |number| EndpointId::new("eu", &format!("eu-{number}")).as_u64();
        Self(
            (0..count)
                .map(|number| (id(number), mix.weight(number) as f64, mix.health(number)))
                .collect(),
        )
    }

    fn choose(&self, seed: u64) -> Option<u64> {
        let healthy = self.0.iter().filter(|(.., health)| *health == Health::Healthy);
        let cost = |id: u64, weight: f64| {
            -((((mix(seed ^ id) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64).ln()) / weight
        };
        healthy
            .map(|(id, weight, _)| (cost(*id, *weight), *id))
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, id)| id)
    }
}

/// A ring of 160 points for each endpoint and tenth of its weight.
pub struct Ketama {
    ring: Continuum,
    health: Vec<Health>,
}

pub fn buckets(count: usize, mix: Mix) -> Vec<Bucket> {
    let address = |number: usize| SocketAddr::from(([10, 0, 0, 1], number as u16));
    let weight =
        |number| if mix == Mix::Equal { 1 } else { (mix.weight(number) as u32 / 10).max(1) };
    (0..count).map(|number| Bucket::new(address(number), weight(number))).collect()
}

impl Ketama {
    pub fn new(count: usize, mix: Mix) -> Self {
        let health = (0..count).map(|number| mix.health(number)).collect();
        Self { ring: Continuum::new(&buckets(count, mix)), health }
    }

    pub fn choose(&self, seed: u64) -> Option<SocketAddr> {
        let healthy = |address: &SocketAddr| {
            self.health.get(usize::from(address.port())) == Some(&Health::Healthy)
        };
        self.ring.node_iter(&seed.to_le_bytes()).copied().find(healthy)
    }
}

/// The heads of the columns.
const HEADS: [&str; 13] = [
    "endpoints",
    "which are",
    "route, ns",
    "less that with one, ns",
    "steering alone, ns",
    "f64 ln, ns",
    "× f64 ln",
    "linear, ns",
    "× linear",
    "ketama, uneven, ns",
    "× ketama, uneven",
    "× at 10",
    "budget",
];

pub fn run(bench: &Bench, report: &mut Report) {
    report.section(
        "Steering",
        "Route: a whole request without a session, and the same less what it costs with one endpoint. Alone: the choice repeated\n64 times within a request. f64 ln: a weighted rendezvous in floating point. Linear: the rendezvous in integers that doors replaced. Ketama: a lookup in the ring of\npingora-ketama with a tenth of the weights, past the unhealthy; its building is in the table of snapshots, and how uneven its shares are, in that of\nshares. Budgets are for steering alone.",
    );
    let affinity = Affinity::new(NoAffinity::new(&shop()));
    let single = pools(1, Mix::Equal);
    let mut grid = Grid::new(HEADS.map(String::from).to_vec());
    for mix in [Mix::Equal, Mix::Weights, Mix::HalfUnhealthy] {
        let mut at_ten = f64::NAN;
        for count in [3, 10, 64, 300, 1_000, 10_000] {
            let (plain, repeated) = (pools(count, mix), pools_of_repeated(count, mix));
            let (float, ketama) = (Float::new(count, mix), Ketama::new(count, mix));
            let linear = Linear::new(count, mix);
            let (mut for_float, mut for_linear) = (Numbers(1), Numbers(1));
            let mut for_ketama = Numbers(1);
            let mut cases = [
                Case::new(route(&affinity, &plain)),
                Case::new(route(&affinity, &single)),
                alone(&affinity, &repeated),
                Case::new(|| float.choose(for_float.draw())),
                Case::new(|| linear.choose(for_linear.draw())),
                Case::new(|| ketama.choose(for_ketama.draw())),
            ];
            let series = bench.run(&mut cases);
            let [routed, one, steering, float, linear, ketama] = &series[..] else {
                unreachable!("six cases, six series")
            };
            let (over_float, over_ketama) = (steering.over(float), steering.over(ketama));
            let over_linear = steering.over(linear);
            if count == 10 {
                at_ten = steering.median();
            }
            let growth = steering.median() / at_ten;
            let mut budgets = Vec::new();
            let what = format!("steering, {} endpoints, {}", figure(count as f64), mix.name());
            let of_float = match count {
                3 => Some(1.0),
                10 => Some(0.35),
                64 => Some(0.13),
                10_000 => Some(0.005),
                _ => None,
            };
            if let (Mix::Weights, Some(limit)) = (mix, of_float) {
                budgets.push(Budget::at_most(&what, " × f64 ln", limit, over_float));
            }
            if mix != Mix::HalfUnhealthy {
                budgets.push(Budget::at_most(&what, " ns", 300.0, steering.median()));
            }
            if mix != Mix::HalfUnhealthy && count == 10_000 {
                budgets.push(Budget::at_most(&what, " × its cost at 10", 6.0, growth));
            }
            let numbers = [
                routed.median(),
                routed.less(one),
                steering.median(),
                float.median(),
                over_float,
                linear.median(),
                over_linear,
                ketama.median(),
                over_ketama,
                growth,
            ];
            let mut cells = vec![figure(count as f64), mix.name().into()];
            cells.extend(
                numbers.map(
                    |number| if number.is_nan() { crate::table::dash() } else { figure(number) },
                ),
            );
            cells.push(report.judge(budgets));
            grid.row(cells);
        }
    }
    grid.print();
}
