//! The growth of cost with the numbers of endpoints, sessions, keys and cookies.

use std::hint::black_box;

use http::HeaderMap;
use http::header::COOKIE;
use session_affinity::cookies::CookieName;
use session_affinity::token::TokenCodec;
use session_affinity::*;

use crate::measure::{Bench, Race};
use crate::plot::Curve;
use crate::scene::{Mix, NAME, NOW, codec, cookie_policy, headers, pin, pools, request, shop};
use crate::store::{Filled, uniform_below};
use crate::table::{Grid, Report, figure};

/// Prints the tables, and returns the curves of a created and of a kept request by endpoints.
pub fn run(bench: &Bench, report: &mut Report) -> [Curve; 2] {
    report
        .section("Growth", "Medians in ns. Nothing but what the head says differs within a table.");
    let by_endpoints = [endpoints(bench, false), endpoints(bench, true)];
    let others = [sessions(bench), keys(bench), cookies(bench)];
    for (index, curve) in by_endpoints.iter().chain(&others).enumerate() {
        if index > 0 {
            println!();
        }
        let mut grid = Grid::new(vec![curve.what.into(), format!("{}, ns", curve.cost)]);
        for (size, ns) in &curve.points {
            grid.row(vec![figure(*size as f64), figure(*ns)]);
        }
        grid.print();
    }
    by_endpoints
}

fn endpoints(bench: &Bench, known: bool) -> Curve {
    let affinity = Affinity::new(cookie_policy());
    let mut with_cookie = HeaderMap::new();
    with_cookie
        .insert(COOKIE, format!("{NAME}={}", codec().seal(&pin())).parse().expect("it is ASCII"));
    let headers = if known { with_cookie } else { HeaderMap::new() };
    let point = |count: usize| {
        let pools = pools(count, Mix::Weights);
        let mut seed = 0_u64;
        let serve = || {
            seed = seed.wrapping_add(1);
            let visit = affinity.recall(black_box(&request(&headers)), NOW);
            let (attempt, _) = affinity
                .route(visit, Record::Absent, &pools, || seed)
                .expect("there is an endpoint");
            affinity.settle(attempt, &pools)
        };
        (count, Race::new("serve", serve).run(bench).ours.median())
    };
    let cost = if known { "a kept session" } else { "a created session" };
    Curve {
        what: "endpoints",
        cost,
        points: [10, 30, 100, 300, 1_000, 3_000, 10_000].map(point).into(),
    }
}

fn sessions(bench: &Bench) -> Curve {
    let sizes: &[usize] = if bench.quick {
        &[10_000, 100_000, 1_000_000]
    } else {
        &[10_000, 100_000, 1_000_000, 10_000_000]
    };
    let point = |&sessions: &usize| {
        let (store, trace) = (Filled::<MemoryStore>::with(sessions), uniform_below(sessions));
        (sessions, Race::of("hit", store.hits(&trace)).run(&bench.long()).ours.median())
    };
    Curve {
        what: "live sessions",
        cost: "hit with touch, uniform",
        points: sizes.iter().map(point).collect(),
    }
}

fn keys(bench: &Bench) -> Curve {
    let key = |id: usize| {
        let mut secret = [7; 32];
        secret[0] = id as u8;
        Key::new(id as u8, Secret::new(secret).unwrap())
    };
    let point = |count: usize| {
        let (name, cookie) = (shop(), CookieName::default());
        let last = TokenCodec::new(&name, &cookie, &Keyring::from(key(count - 1)));
        let codec = TokenCodec::new(
            &name,
            &cookie,
            &Keyring::new((0..count).map(key)).expect("ids differ"),
        );
        let token = last.seal(&pin());
        assert_eq!(codec.open(token.as_str().as_bytes(), NOW), Ok(pin()));
        let open = || codec.open(black_box(token.as_str().as_bytes()), NOW);
        (count, Race::new("open", open).run(bench).ours.median())
    };
    Curve {
        what: "keys in the ring",
        cost: "open a token of the last",
        points: [1, 4, 16, 64, 256].map(point).into(),
    }
}

fn cookies(bench: &Bench) -> Curve {
    let affinity = Affinity::new(cookie_policy());
    let pools = pools(3, Mix::Weights);
    let point = |count: usize| {
        let mut line: String =
            (1..count).map(|number| format!("_ga_{number:04}=GS1.1.1700000000; ")).collect();
        line.push_str(&format!("{NAME}={}", codec().seal(&pin())));
        let headers = headers(&line);
        let serve = || {
            let visit = affinity.recall(black_box(&request(&headers)), NOW);
            let (attempt, _) =
                affinity.route(visit, Record::Absent, &pools, || 0).expect("there is an endpoint");
            affinity.settle(attempt, &pools)
        };
        (count, Race::new("serve", serve).run(bench).ours.median())
    };
    Curve {
        what: "cookies in the header",
        cost: "kept cookie request, ours last",
        points: [1, 3, 10, 30, 100].map(point).into(),
    }
}
