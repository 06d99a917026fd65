//! Finding the affinity cookie among the cookies of a header.

use std::hint::black_box;

use cookie::Cookie;
use http::HeaderMap;
use http::header::COOKIE;
use memchr::memmem::Finder;
use session_affinity::cookies::CookieName;

use crate::measure::{Bench, Race};
use crate::scene::{NAME, Place, codec, cookie_header, pin};
use crate::table::{Budget, Report};

pub fn run(bench: &Bench, report: &mut Report) {
    report.section(
        "Finding our cookie",
        "memmem: a prebuilt finder over the bytes of the line, without the HeaderMap. Ours and the alternatives begin at the\nHeaderMap. An alternative that stops at our cookie is as fast as it stands early: the budgets are for last and absent.",
    );
    let name = CookieName::default();
    let finder = Finder::new(NAME);
    let token = codec().seal(&pin());
    let mut rows = Vec::new();
    let lines = [(300, "300 bytes", 20.0), (4_096, "4 KiB", 50.0)];
    let places = [(Place::First, "first"), (Place::Last, "last"), (Place::Absent, "absent")];
    for (length, size, least) in lines {
        for (place, where_) in places {
            let headers = cookie_header(length, place, token.as_str());
            let line = headers[COOKIE].as_bytes().to_vec();
            let operation = format!("{size}, {where_}");
            let finish = Race::new(&operation, || name.values(black_box(&headers)).next())
                .limit("memmem", || finder.find(black_box(&line)))
                .rival("split_parse", || {
                    let headers: &HeaderMap = black_box(&headers);
                    let line = headers.get(COOKIE)?.to_str().ok()?;
                    Cookie::split_parse(line).flatten().find(|cookie| cookie.name() == NAME)
                })
                .run(bench);
            let budget = || {
                let what = format!("finding our cookie, {operation}");
                Budget::at_least(
                    what,
                    " × as fast as split_parse",
                    least,
                    finish.faster_than("split_parse"),
                )
            };
            let budgets = if matches!(place, Place::First) { vec![] } else { vec![budget()] };
            rows.push((finish, budgets));
        }
    }
    let headers = cookie_header(300, Place::Last, token.as_str());
    let lookup = Race::new("of these, looking up the field in the HeaderMap", || {
        let headers: &HeaderMap = black_box(&headers);
        headers.get_all(COOKIE).iter().next().map(|line| line.len())
    });
    rows.push((lookup.run(bench), vec![]));
    report.races(rows);
}
