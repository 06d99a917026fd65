//! Whole requests: recall, route and settle, for each policy and each outcome.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use cookie::time::{Duration, OffsetDateTime};
use cookie::{Cookie, CookieJar, SameSite};
use http::{HeaderMap, HeaderValue};
use session_affinity::limits::BoundedLoad;
use session_affinity::policy::Claim;
use session_affinity::steering::Room;
use session_affinity::token::{Pin, Rejected};
use session_affinity::*;

use crate::heap::allocations;
use crate::measure::{Bench, Case, Profile, Race};
use crate::scene::*;
use crate::table::{Budget, Report};
use crate::token::{VALUE, key, other, signed_value, verify_with_cookie};

/// The load of each endpoint.
static IN_FLIGHT: AtomicU32 = AtomicU32::new(0);

/// Returns a function that serves one request, each time with another seed.
pub fn serve<'a, P: AffinityPolicy>(
    affinity: &'a Affinity<P>,
    pools: &'a Pools<usize>,
    headers: &'a HeaderMap,
) -> impl FnMut() -> Settlement + 'a {
    let mut seed = 0_u64;
    move || {
        seed = seed.wrapping_add(1);
        let visit = affinity.recall(black_box(&request(headers)), NOW);
        let (attempt, target) =
            affinity.route(visit, Record::Absent, pools, || seed).expect("there is an endpoint");
        black_box(target);
        affinity.settle(attempt, pools)
    }
}

/// Writes a signed cookie with the crate `cookie`, up to the header value.
fn set_with_cookie(key: &cookie::Key, expires: Option<OffsetDateTime>) -> Option<HeaderValue> {
    let mut cookie = Cookie::build((NAME, VALUE))
        .path("/")
        .max_age(Duration::seconds(82_800))
        .http_only(true)
        .secure(true)
        .same_site(SameSite::None)
        .build();
    if let Some(expires) = expires {
        cookie.set_expires(expires);
    }
    let mut jar = CookieJar::new();
    jar.signed_mut(key).add(cookie);
    HeaderValue::from_str(&jar.get(NAME)?.to_string()).ok()
}

pub fn run(bench: &Bench, report: &mut Report) {
    report.section(
        "Requests",
        "From the request's headers to what the response is told: recall, route, settle. Three endpoints of mixed weights unless it\nsays one, and 300 bytes of cookies with ours last. The alternative to a kept request reads and verifies a signed cookie\nand looks its endpoint up in a HashMap; the alternative to a created one signs a cookie and writes its Set-Cookie.",
    );
    let (three, one) = (pools(3, Mix::Weights), pools(1, Mix::Weights));
    let limit = TwoCompressions::new();
    let two = || limit.run();
    let token = codec().seal(&pin());
    let known = cookie_header(300, Place::Last, token.as_str());
    let theirs = cookie_header(300, Place::Last, &signed_value());
    let none = {
        let mut headers = known.clone();
        headers.remove(http::header::COOKIE);
        headers
    };
    let (key, jar) = (key(), CookieJar::new());
    let endpoints: HashMap<String, usize> =
        (0..3).map(|n| (format!("{VALUE}{n}"), n)).chain([(VALUE.into(), 3)]).collect();
    let verified = || {
        verify_with_cookie(black_box(&theirs), &jar, &key)
            .and_then(|it| endpoints.get(it.value()).copied())
    };
    assert!(verified().is_some());

    let cookie = Affinity::new(cookie_policy());
    let ip_cookie = Affinity::new(IpCookiePolicy::new(cookie_policy()));
    let mut rows = Vec::new();

    let kept = Race::new("kept, cookie", serve(&cookie, &three, &known))
        .limit("2C", two)
        .rival("cookie SignedJar", verified);
    #[cfg(feature = "zentinel")]
    let zentinel = crate::zentinel::Zentinel::new();
    #[cfg(feature = "zentinel")]
    let kept = kept.rival(crate::zentinel::NAME, || black_box(&zentinel).kept());
    let kept = kept.run(bench);
    let most = match bench.profile {
        Profile::Tuned => 2.25,
        Profile::Release => 2.65,
    };
    let budgets = vec![
        Budget::at_most("a kept cookie request", " × 2C", most, kept.over_limit()),
        Budget::at_most(
            "a kept cookie request",
            " allocations",
            0.0,
            allocations(serve(&cookie, &three, &known)) as f64,
        ),
        #[cfg(feature = "zentinel")]
        Budget::at_least(
            "a kept cookie request",
            " × as fast as zentinel's sticky select",
            4.5,
            kept.faster_than(crate::zentinel::NAME),
        ),
    ];
    rows.push((kept, budgets));
    let boxed: Affinity = Affinity::new(Box::new(cookie_policy()));
    let kept = Race::new("kept, cookie, its policy boxed", serve(&boxed, &three, &known))
        .limit("2C", two)
        .run(bench);
    let budgets = match bench.profile {
        Profile::Tuned => {
            let what = "a kept cookie request, boxed";
            vec![Budget::at_most(what, " × 2C", 2.35, kept.over_limit())]
        }
        Profile::Release => vec![],
    };
    rows.push((kept, budgets));
    let recall = Race::new("– of it, recall: finding, opening", || {
        cookie.recall(black_box(&request(&known)), NOW)
    });
    rows.push((recall.limit("2C", two).run(bench), vec![]));
    let kept = Race::new("kept, cookie, while the clock moves", ticking(&cookie, &three));
    rows.push((kept.limit("2C", two).run(bench), vec![]));
    rows.push((cold(&cookie, &three, &known, &verified).run(&bench.cold()), vec![]));
    // Without a rule of room, the rows above, nothing is asked; with one, the load of one endpoint.
    let bound = BoundedLoad::new(125, 4).unwrap();
    let room = Room::bounded(bound, |_| IN_FLIGHT.load(Relaxed));
    let bounded = Pools::builder().pool(pool(3, Mix::Weights).with_room(room)).build().unwrap();
    let kept = Race::new("kept, cookie, its endpoint with room", serve(&cookie, &bounded, &known))
        .limit("2C", two)
        .rival("no rule of room", serve(&cookie, &three, &known))
        .run(bench);
    rows.push((kept, vec![]));
    let kept = Race::new("kept, ip_cookie", serve(&ip_cookie, &three, &known)).limit("2C", two);
    rows.push((kept.rival("cookie SignedJar", verified).run(bench), vec![]));
    rows.push((header_session(&known, &three).run(bench), vec![]));

    let expires = OffsetDateTime::from_unix_timestamp(1_800_082_800).ok();
    let created = |operation, pools| {
        Race::new(operation, serve(&cookie, pools, &none))
            .limit("2C", two)
            .rival("cookie SignedJar", || set_with_cookie(black_box(&key), None))
            .rival("cookie SignedJar, Expires too", || set_with_cookie(black_box(&key), expires))
    };
    #[cfg(feature = "zentinel")]
    let created = |operation, pools| {
        created(operation, pools).rival(crate::zentinel::NAME, || black_box(&zentinel).created())
    };
    let finish = created("created, cookie, one endpoint to choose from", &one).run(bench);
    let count = allocations(serve(&cookie, &one, &none)) as f64;
    let budgets = vec![
        Budget::at_most("a created session", " × 2C", 2.8, finish.over_limit()),
        Budget::at_least(
            "a created session",
            " × as fast as SignedJar with Expires",
            3.0,
            finish.faster_than("cookie SignedJar, Expires too"),
        ),
        Budget::at_most("a created session", " allocations", 1.0, count),
    ];
    rows.push((finish, budgets));
    let (codec, pin) = (codec(), pin());
    let seal = Race::new("– of it, sealing the token", || codec.seal(black_box(&pin)));
    rows.push((seal.limit("2C", two).run(bench), vec![]));
    let line = serve(&cookie, &one, &none)().set_cookie().cloned().expect("it is created");
    let value = || HeaderValue::from_bytes(black_box(line.as_bytes()));
    rows.push((Race::new("– of it, a HeaderValue: allocated, checked", value).run(bench), vec![]));
    rows.push((created("created, cookie, three endpoints", &three).run(bench), vec![]));

    let temporary =
        Affinity::new(cookie_policy()).with_failover_mode(FailoverMode::Temporary).unwrap();
    let lent = Race::new("lent: one connection refused", || {
        let visit = temporary.recall(black_box(&request(&known)), NOW);
        let (attempt, _) =
            temporary.route(visit, Record::Absent, &three, || 0).expect("there is an endpoint");
        let (attempt, target) =
            temporary.failover(attempt, &three).expect("there is another endpoint");
        black_box(target);
        temporary.settle(attempt, &three)
    });
    rows.push((lent.limit("2C", two).run(bench), vec![]));

    let mut forged = token.as_str().to_owned();
    let last = other(forged.remove(40) as u8);
    forged.insert(40, char::from(last));
    let forged = cookie_header(300, Place::Last, &forged);
    assert_eq!(cookie.recall(&request(&forged), NOW).claim(), Claim::New(Some(Rejected::Forged)));
    let recall = Race::new("a forgery refused: recall alone", || {
        cookie.recall(black_box(&request(&forged)), NOW)
    });
    rows.push((recall.limit("2C", two).run(bench), vec![]));
    let whole = Race::new("a forgery refused, and created anew", serve(&cookie, &three, &forged));
    rows.push((whole.limit("2C twice", || (two(), two())).run(bench), vec![]));
    report.races(rows);
}

/// Returns a function that serves kept requests, sixteen in each second of a clock that moves on. So
/// the times of the endpoint's census are written again and again.
fn ticking<'a, P: AffinityPolicy>(
    affinity: &'a Affinity<P>,
    pools: &'a Pools<usize>,
) -> impl FnMut() -> Settlement + 'a {
    const LIFE: u64 = CookiePolicy::DEFAULT_TTL.get();
    let pin = Pin { expires: NOW.saturating_add(LIFE), ..pin() };
    let headers = cookie_header(300, Place::Last, codec().seal(&pin).as_str());
    let mut count = 0_u64;
    move || {
        count += 1;
        let now = NOW.saturating_add(count / 16 % LIFE);
        let visit = affinity.recall(black_box(&request(&headers)), now);
        let (attempt, target) =
            affinity.route(visit, Record::Absent, pools, || 0).expect("there is an endpoint");
        black_box(target);
        affinity.settle(attempt, pools)
    }
}

/// Returns the race of a kept request between two of which 1 MiB of other data is read, as a proxy
/// does that moves bodies. Each is timed by itself: some 20 ns of it are the clock's.
fn cold<'a, P: AffinityPolicy>(
    affinity: &'a Affinity<P>,
    pools: &'a Pools<usize>,
    headers: &'a HeaderMap,
    verified: &'a impl Fn() -> Option<usize>,
) -> Race<'a> {
    let others: &[u64] = vec![1; (1 << 20) / size_of::<u64>()].leak();
    let between = move |work: &mut dyn FnMut()| {
        black_box(black_box(others).iter().sum::<u64>());
        let start = Instant::now();
        work();
        start.elapsed()
    };
    let mut kept = serve(affinity, pools, headers);
    let ours = Case::timed(move |count| {
        let mut kept = || drop(black_box(kept()));
        (0..count).map(|_| between(&mut kept)).sum()
    });
    let theirs = Case::timed(move |count| {
        let mut verified = || {
            black_box(verified());
        };
        (0..count).map(|_| between(&mut verified)).sum()
    });
    Race::of("kept, cookie, after 1 MiB of other data", ours).against("cookie SignedJar", theirs)
}

/// Returns the race of a header session. It is not signed, so `2C` is not its limit.
fn header_session<'a>(known: &'a HeaderMap, pools: &'a Pools<usize>) -> Race<'a> {
    let secret = Secret::new([5; 32]).unwrap();
    let affinity = Affinity::new(HeaderPolicy::new(&shop(), &secret, &["x-user"]).unwrap());
    let store = MemoryStore::new(100_000).unwrap();
    Race::new("kept, header, with its MemoryStore", move || {
        let visit = affinity.recall(black_box(&request(known)), NOW);
        let record = store.record(visit.lookup());
        let (attempt, target) =
            affinity.route(visit, record, pools, || 0).expect("there is an endpoint");
        black_box(target);
        store.commit(affinity.settle(attempt, pools).store_write)
    })
}
