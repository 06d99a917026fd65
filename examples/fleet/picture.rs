//! The day as a picture: an SVG of three panels above one time axis, written by hand.

use std::fmt::Write;
use std::ops::Range;

use crate::day::{CHECK_EVERY, LIFETIME};
use crate::fleet::{CRASH, FLAP, JOIN, SCALE_UP, SERVERS};
use crate::paper::{
    ENTRY, EVENT, HEAD, HEADLINE, HOUR, INK, LEFT, Panel, REMARK, RIGHT, TITLE, UNIT, VALUE, text,
    x,
};
use crate::tally::{BIN, Counts, LIVE_EVERY, Tally, grouped};

const WIDTH: u64 = 960;
const HEIGHT: u64 = 866;
/// The left edge of the legends.
const LEGEND: f64 = 782.0;

/// The colours of the servers. The hues of the two pools are distinct with every kind of colour
/// vision; the shades within a pool follow the order of the stack.
const SERVER_COLOURS: [&str; SERVERS.len()] = [
    "#08306b", "#175391", "#2f76b5", "#5a9bd0", "#8fbfe3", "#c3dcf1", "#b35806", "#f5a54a",
    "#6e7781",
];

/// The line colours (of Okabe and Ito, the last of Tol), widths and dashes of the modes. Where
/// lines coincide, the wide one shows beneath the narrow one.
const MODES: [(&str, f64, &str); 4] =
    [("#d55e00", 4.0, ""), ("#0072b2", 2.4, ""), ("#009e73", 1.8, ""), ("#aa4499", 1.8, "4 3")];

/// Draws the whole picture. The first panel shows one of the days, the others show all.
pub fn draw(days: &[Tally], shown: &Tally) -> String {
    let mut svg = String::new();
    let most_live = shown.live.iter().map(|sample| sample.iter().sum()).max().unwrap_or(0);
    let most = |count: fn(&Counts) -> u64| {
        days.iter().flat_map(|day| &day.bins).map(count).max().unwrap_or(0)
    };
    let sessions = Panel::new(104.0, 374.0, 0.0, most_live as f64);
    let errors = Panel::new(436.0, 566.0, 0.0, most(Counts::errors) as f64);
    let changes =
        Panel::new(628.0, 808.0, -(most(|bin| bin.moved) as f64), most(|bin| bin.lent) as f64);

    open(&mut svg);
    text(&mut svg, 16.0, 26.0, &HEADLINE, "One day of a fleet, played once in each failover mode");
    let line = format!(
        "{} requests in each mode; cookie sessions of {} minutes; health checked every {} seconds.",
        grouped(shown.requests),
        LIFETIME / 60,
        CHECK_EVERY
    );
    text(&mut svg, 16.0, 46.0, &REMARK, &line);

    let live = format!(
        "Live sessions of clients on the site, by endpoint (failover mode: {})",
        shown.name
    );
    let unit = format!("requests per {} minutes", BIN / 60);
    title(&mut svg, &sessions, 34.0, &live);
    title(
        &mut svg,
        &errors,
        12.0,
        &format!("Errors seen by users (gave_up and no_endpoint), {unit}"),
    );
    title(
        &mut svg,
        &changes,
        12.0,
        &format!("Sessions lent (upwards) and moved (downwards), {unit}"),
    );
    let events = events(shown);
    let panels = [&sessions, &errors, &changes];
    bands(&mut svg, &panels, &events);
    for panel in panels {
        grid(&mut svg, panel);
    }
    stack(&mut svg, &sessions, &shown.live);
    edges(&mut svg, &panels, &events);
    for (day, style) in days.iter().zip(MODES) {
        steps(&mut svg, &errors, style, day.bins.iter().map(|bin| bin.errors() as f64));
        steps(&mut svg, &changes, style, day.bins.iter().map(|bin| bin.lent as f64));
        steps(&mut svg, &changes, style, day.bins.iter().map(|bin| -(bin.moved as f64)));
    }
    for panel in panels {
        axis(&mut svg, panel);
    }
    text(&mut svg, (LEFT + RIGHT) / 2.0, changes.bottom + 38.0, &UNIT, "time of day, hours");

    endpoints_legend(&mut svg, &sessions);
    modes_legend(&mut svg, &errors, "errors in the day", days, |day| grouped(day.total.errors()));
    modes_legend(&mut svg, &changes, "lent, moved in the day", days, |day| {
        format!("{}, {}", grouped(day.total.lent), grouped(day.total.moved))
    });
    svg + "</svg>\n"
}

fn open(svg: &mut String) {
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         role=\"img\" font-family=\"system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif\">\n\
         <title>One day of a fleet, played once in each failover mode</title>\n\
         <desc>Live sessions by endpoint, errors seen by users, and sessions lent and moved, over 24 hours with a rolling \
         restart, a crash, a flapping endpoint and two endpoints that join.</desc>\n\
         <rect x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\" fill=\"#ffffff\" stroke=\"#d0d7de\"/>",
        WIDTH - 1,
        HEIGHT - 1,
    );
}

/// Returns the events of a day: their times, as the run has them, and their names.
fn events(shown: &Tally) -> Vec<(Vec<Range<u64>>, String)> {
    let drains = shown.drains.iter().map(|drain| drain.seconds.clone()).collect();
    let name = |server: usize| SERVERS[server].1;
    let joined: Vec<_> = JOIN.map(name).collect();
    vec![
        (drains, "rolling restart".into()),
        (vec![CRASH.1], format!("{} crashes", name(CRASH.0))),
        (vec![FLAP.1], format!("{} flaps", name(FLAP.0))),
        (std::iter::once(SCALE_UP..SCALE_UP).collect(), format!("{} join", joined.join(" and "))),
    ]
}

fn bands(svg: &mut String, panels: &[&Panel], events: &[(Vec<Range<u64>>, String)]) {
    for (ranges, name) in events {
        let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else { continue };
        for panel in panels {
            for (range, fill) in ranges.iter().zip(["#fff1cc", "#ffe39a"].iter().cycle()) {
                let (left, width) = (x(range.start), x(range.end) - x(range.start));
                let _ = writeln!(
                    svg,
                    "<rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{fill}\"/>",
                    panel.top,
                    width.max(2.0),
                    panel.bottom - panel.top,
                );
            }
        }
        let middle = (x(first.start) + x(last.end)) / 2.0;
        if let Some(panel) = panels.first() {
            text(svg, middle, panel.top - 8.0, &EVENT, name);
        }
    }
}

/// Draws the beginnings and ends of events on top of the areas.
fn edges(svg: &mut String, panels: &[&Panel], events: &[(Vec<Range<u64>>, String)]) {
    let mut path = String::new();
    for panel in panels {
        for range in events.iter().flat_map(|(ranges, _)| ranges) {
            for second in [range.start, range.end] {
                let _ = write!(path, "M{:.1} {:.1}V{:.1}", x(second), panel.top, panel.bottom);
            }
        }
    }
    let _ = writeln!(
        svg,
        "<path d=\"{path}\" stroke=\"#7a4b00\" stroke-opacity=\"0.45\" stroke-width=\"0.7\"/>"
    );
}

fn title(svg: &mut String, panel: &Panel, above: f64, name: &str) {
    text(svg, 16.0, panel.top - above, &TITLE, name);
}

fn grid(svg: &mut String, panel: &Panel) {
    for value in panel.ticks() {
        let y = panel.y(value);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {y:.1}H{RIGHT}\" stroke=\"#d8dee4\" stroke-width=\"1\"/>"
        );
        let label = grouped(value.abs() as u64);
        text(svg, LEFT - 8.0, y + 4.0, &VALUE, &label);
    }
}

fn axis(svg: &mut String, panel: &Panel) {
    let (zero, bottom) = (panel.y(0.0), panel.bottom);
    let _ = writeln!(
        svg,
        "<path d=\"M{LEFT} {zero:.1}H{RIGHT}\" stroke=\"{INK}\" stroke-width=\"1\"/>"
    );
    for hour in (0..=24).step_by(3) {
        let x = x(hour * 3_600);
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {bottom:.1}v5\" stroke=\"{INK}\" stroke-width=\"1\"/>"
        );
        text(svg, x, bottom + 18.0, &HOUR, &hour.to_string());
    }
}

/// Draws areas on top of each other, from the uppermost down, so that each covers those below.
fn stack(svg: &mut String, panel: &Panel, live: &[[u64; SERVERS.len()]]) {
    for (server, colour) in SERVER_COLOURS.iter().enumerate().rev() {
        let heights =
            live.iter().map(|sample| panel.y(sample[..=server].iter().sum::<u64>() as f64));
        let mut path = format!("M{LEFT} {:.1}", panel.bottom);
        for (height, end) in heights.zip(1..) {
            let _ = match end {
                1 => write!(path, "V{height:.1}L{:.1} {height:.1}", x(LIVE_EVERY)),
                _ => write!(path, "L{:.1} {height:.1}", x(end * LIVE_EVERY)),
            };
        }
        let _ = write!(path, "V{:.1}Z", panel.bottom);
        let _ = writeln!(
            svg,
            "<path d=\"{path}\" fill=\"{colour}\" stroke=\"#ffffff\" stroke-width=\"0.6\"/>"
        );
    }
}

/// Draws a line that is level for each interval of ten minutes, and absent along zero.
fn steps(
    svg: &mut String,
    panel: &Panel,
    (colour, width, dash): (&str, f64, &str),
    values: impl Iterator<Item = f64>,
) {
    let (mut path, mut before) = (String::new(), 0.0);
    for (second, value) in (0..).step_by(BIN as usize).zip(values.chain([0.0])) {
        if value != before {
            let (x, y) = (x(second), panel.y(value));
            if before == 0.0 {
                let _ = write!(path, "M{x:.1} {:.1}", panel.y(0.0));
            } else {
                let _ = write!(path, "H{x:.1}");
            }
            let _ = write!(path, "V{y:.1}");
        }
        before = value;
    }
    let _ = writeln!(
        svg,
        "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-dasharray=\"{dash}\"/>"
    );
}

fn endpoints_legend(svg: &mut String, panel: &Panel) {
    text(svg, LEGEND, panel.top + 4.0, &HEAD, "endpoint");
    for (line, server) in (0..SERVERS.len()).rev().enumerate() {
        let y = panel.top + 24.0 + 19.0 * line as f64;
        let _ = writeln!(
            svg,
            "<rect x=\"{LEGEND}\" y=\"{:.1}\" width=\"14\" height=\"12\" fill=\"{}\"/>",
            y - 10.0,
            SERVER_COLOURS[server]
        );
        let name = match SERVERS[server] {
            ("spare", name) => format!("{name} (fallback pool)"),
            (pool, name) => format!("{name} (pool {pool})"),
        };
        text(svg, LEGEND + 22.0, y, &ENTRY, &name);
    }
}

fn modes_legend(
    svg: &mut String,
    panel: &Panel,
    head: &str,
    days: &[Tally],
    numbers: impl Fn(&Tally) -> String,
) {
    text(svg, LEGEND, panel.top + 4.0, &HEAD, head);
    for (line, (day, (colour, width, dash))) in days.iter().zip(MODES).enumerate() {
        let y = panel.top + 26.0 + 31.0 * line as f64;
        let _ = writeln!(
            svg,
            "<path d=\"M{LEGEND} {:.1}h16\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-dasharray=\"{dash}\"/>",
            y - 4.0
        );
        text(svg, LEGEND + 22.0, y, &ENTRY, day.name);
        text(svg, LEGEND + 22.0, y + 14.0, &REMARK, &numbers(day));
    }
}
