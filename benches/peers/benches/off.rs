//! The cost of what is off, and of what is on and not needed by a request.

use std::hint::black_box;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use http::HeaderMap;
use session_affinity::config::{Config, PoolSteeringPolicy, SessionAffinity};
use session_affinity::failover::OnLoss;
use session_affinity::limits::{BoundedLoad, CoolingOff, Retries};
use session_affinity::steering::{Random, Room};
use session_affinity::*;

use crate::measure::{Bench, Case, Series};
use crate::requests::serve;
use crate::scene::*;
use crate::table::{Budget, Grid, Report, dash, figure};

/// The load of each endpoint.
static IN_FLIGHT: AtomicU32 = AtomicU32::new(0);

pub fn run(bench: &Bench, report: &mut Report) {
    report.section(
        "What is off",
        "A kept cookie request beside the same one made by hand with the default of every parameter, in one code: both affinities are\nboxed. Off: 1.00 ± 0.01 is the aim, and the first row is the noise. On: what the request pays for a rule that it does not need.",
    );
    let three = pools(3, Mix::Weights);
    let known = cookie_header(300, Place::Last, codec().seal(&pin()).as_str());
    let plain: Affinity = Affinity::new(Box::new(cookie_policy()));
    let config =
        Config { session_affinity: SessionAffinity::Cookie, ..Config::new("shop.example.com") };
    let read = Affinity::from_config(&config, &keyring()).expect("it is valid");
    assert_eq!(config.steering_policy, PoolSteeringPolicy::default());

    let room = Room::bounded(BoundedLoad::new(125, 4).unwrap(), |_| IN_FLIGHT.load(Relaxed));
    let bounded = Pools::builder().pool(pool(3, Mix::Weights).with_room(room)).build().unwrap();
    let ordered =
        Pools::builder().pool(pool(3, Mix::Weights)).with_pool_steering(Random).build().unwrap();
    let cooling = CoolingOff::new(10).unwrap();
    let temporary = || plain_with().with_failover_mode(FailoverMode::Temporary).unwrap();

    let is_kept = |affinity: &Affinity, pools: &Pools<usize>| {
        let visit = affinity.recall(&request(&known), NOW);
        let (attempt, _) = affinity.route(visit, Record::Absent, pools, || 0).unwrap();
        attempt.outcome().label() == "kept"
    };
    let rows: [(&str, Affinity, &Pools<usize>, bool); 8] = [
        ("the same once more", plain_with(), &three, false),
        ("off: all of it, by a configuration that names none of it", read, &three, true),
        ("on: on_loss lend", plain_with().with_on_loss(OnLoss::Lend), &three, false),
        ("on: eight retries", plain_with().with_retries(Retries::MAX), &three, false),
        ("on: failover temporary", temporary(), &three, false),
        ("on: that, and cooling_off", temporary().with_cooling_off(cooling), &three, false),
        ("on: an order of pools", plain_with(), &ordered, false),
        ("on: a bound on the load", plain_with(), &bounded, false),
    ];
    // Ratios of a hundredth want many rounds, and bear short ones.
    let bench = &Bench { rounds: 601, batch: Duration::from_micros(60), ..*bench };
    let heads = ["a kept cookie request", "ns", "by hand, ns", "ratio", "budget"];
    let mut grid = Grid::new(heads.map(String::from).to_vec());
    for (what, affinity, pools, is_off) in rows {
        assert!(is_kept(&affinity, pools), "{what}");
        let mut cases =
            [Case::new(serve(&affinity, pools, &known)), Case::new(serve(&plain, &three, &known))];
        let [with, without] = both(bench, &mut cases);
        let ratio = with.over(&without);
        let budgets = match is_off {
            true => vec![Budget::at_most(what, " × the request by hand", 1.01, ratio)],
            false => vec![],
        };
        let [with, without] = [with.median(), without.median()].map(figure);
        let judged = report.judge(budgets);
        grid.row(vec![what.to_owned(), with, without, format!("{ratio:.3}"), judged]);
    }
    // Without affinity a proxy has to choose as well, of which this is the least.
    let none = Affinity::new(NoAffinity::new(&shop()));
    let (one, headers) = (pools(1, Mix::Equal), HeaderMap::new());
    let list = [0_usize];
    let mut cases =
        [Case::new(serve(&none, &one, &headers)), Case::new(|| black_box(&list).first().copied())];
    let [with, without] = both(bench, &mut cases);
    let numbers = [with.median(), without.median()].map(figure);
    let mut cells = vec!["policy none, one endpoint, beside the first of a list".to_owned()];
    cells.extend(numbers);
    cells.extend([dash(), dash()]);
    grid.row(cells);
    grid.print();
}

fn plain_with() -> Affinity {
    Affinity::new(Box::new(cookie_policy()))
}

fn both(bench: &Bench, cases: &mut [Case<'_>; 2]) -> [Series; 2] {
    let mut series = bench.run(cases).into_iter();
    let mut next = || series.next().expect("two cases, two series");
    [next(), next()]
}
