//! The day as a picture: an SVG of four panels above one time axis, written by hand.

use std::fmt::Write;
use std::ops::Range;

use crate::day::{CHECK_EVERY, LIFETIME};
use crate::fleet::{CRASH, FLAP, JOIN, SCALE_UP, SERVERS, SLOW};
use crate::legend::{MODES, endpoints_legend, modes_legend};
use crate::paper::{
    Colour, EVENT, HEADLINE, HOUR, LEFT, Panel, REMARK, RIGHT, TITLE, UNIT, VALUE, style_sheet,
    text, x,
};
use crate::tally::{BIN, Counts, LIVE_EVERY, PATIENCE, Tally, grouped};

const WIDTH: u64 = 960;
const HEIGHT: u64 = 1_068;

/// The colours of the servers, of the classes `server0`, `server1` and so on. The hues of the two
/// pools are distinct with every kind of colour vision; the shades within a pool follow the order of
/// the stack.
const SERVER_COLOURS: [Colour; SERVERS.len()] = [
    ("#08306b", "#1f5a9e"),
    ("#175391", "#3474ba"),
    ("#2f76b5", "#4f90d3"),
    ("#5a9bd0", "#78abe2"),
    ("#8fbfe3", "#a3c8ef"),
    ("#c3dcf1", "#cfe4fa"),
    ("#b35806", "#b8651b"),
    ("#f5a54a", "#f0ac60"),
    ("#6e7781", "#8b949e"),
];

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
        Panel::new(640.0, 820.0, -(most(|bin| bin.moved) as f64), most(|bin| bin.lent) as f64);
    let slow = Panel::new(882.0, 1_010.0, 0.0, most(|bin| bin.slow) as f64);

    open(&mut svg);
    text(
        &mut svg,
        16.0,
        26.0,
        &HEADLINE,
        "One day of a fleet, played once in each failover mode, and with a bound on the load",
    );
    let line = format!(
        "{} requests in the day of the first panel; cookie sessions of {} minutes; health checked every {} seconds.",
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
    title(&mut svg, &sessions, 39.0, &live);
    let line = format!("Errors seen by users (gave_up and no_endpoint), {unit}");
    title(&mut svg, &errors, 15.0, &line);
    let line = format!("Sessions lent (upwards) and moved (downwards), {unit}");
    title(&mut svg, &changes, 15.0, &line);
    let line = format!("Answers that took more than {PATIENCE} seconds, {unit}");
    title(&mut svg, &slow, 15.0, &line);
    let events = events(shown);
    let panels = [&sessions, &errors, &changes, &slow];
    bands(&mut svg, &panels, &events);
    for panel in panels {
        grid(&mut svg, panel);
    }
    stack(&mut svg, &sessions, &shown.live);
    edges(&mut svg, &panels, &events);
    for (mode, day) in days.iter().enumerate() {
        steps(&mut svg, &errors, mode, day.bins.iter().map(|bin| bin.errors() as f64));
        steps(&mut svg, &changes, mode, day.bins.iter().map(|bin| bin.lent as f64));
        steps(&mut svg, &changes, mode, day.bins.iter().map(|bin| -(bin.moved as f64)));
        steps(&mut svg, &slow, mode, day.bins.iter().map(|bin| bin.slow as f64));
    }
    for panel in panels {
        axis(&mut svg, panel);
    }
    text(&mut svg, (LEFT + RIGHT) / 2.0, slow.bottom + 38.0, &UNIT, "time of day, hours");

    endpoints_legend(&mut svg, &sessions);
    modes_legend(&mut svg, &errors, days, |day| format!("{} errors", grouped(day.total.errors())));
    modes_legend(&mut svg, &changes, days, |day| {
        format!("{} lent, {} moved", grouped(day.total.lent), grouped(day.total.moved))
    });
    modes_legend(&mut svg, &slow, days, |day| {
        format!("{} slow, {} at once", grouped(day.total.slow), day.most_at_slow)
    });
    svg + "</svg>\n"
}

fn open(svg: &mut String) {
    let servers = SERVER_COLOURS.into_iter().enumerate();
    let modes = MODES.into_iter().enumerate();
    let style = style_sheet(
        servers
            .map(|(server, colour)| (format!("server{server}"), "fill", colour))
            .chain(modes.map(|(mode, (colour, ..))| (format!("mode{mode}"), "stroke", colour))),
    );
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         role=\"img\" font-family=\"system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif\">\n\
         <title>One day of a fleet, played once in each failover mode, and with a bound on the load</title>\n\
         <desc>Live sessions by endpoint, errors seen by users, sessions lent and moved, and slow answers, over 24 hours with a rolling \
         restart, a crash, a flapping endpoint, a slow one and two endpoints that join.</desc>\n\
         {style}<rect x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\" class=\"paper\"/>",
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
        (vec![SLOW.1], format!("{} is slow", name(SLOW.0))),
        (std::iter::once(SCALE_UP..SCALE_UP).collect(), format!("{} join", joined.join(" and "))),
    ]
}

fn bands(svg: &mut String, panels: &[&Panel], events: &[(Vec<Range<u64>>, String)]) {
    // Neighbours have their names at different heights.
    for ((ranges, name), above) in events.iter().zip([8.0, 20.5].into_iter().cycle()) {
        let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else { continue };
        for panel in panels {
            for (range, class) in ranges.iter().zip(["band", "shade"].iter().cycle()) {
                let (left, width) = (x(range.start), x(range.end) - x(range.start));
                let _ = writeln!(
                    svg,
                    "<rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" class=\"{class}\"/>",
                    panel.top,
                    width.max(2.0),
                    panel.bottom - panel.top,
                );
            }
        }
        let middle = (x(first.start) + x(last.end)) / 2.0;
        if let Some(panel) = panels.first() {
            text(svg, middle, panel.top - above, &EVENT, name);
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
        "<path d=\"{path}\" class=\"edge\" stroke-opacity=\"0.45\" stroke-width=\"0.7\"/>"
    );
}

fn title(svg: &mut String, panel: &Panel, above: f64, name: &str) {
    text(svg, 16.0, panel.top - above, &TITLE, name);
}

fn grid(svg: &mut String, panel: &Panel) {
    for value in panel.ticks() {
        let y = panel.y(value);
        let _ =
            writeln!(svg, "<path d=\"M{LEFT} {y:.1}H{RIGHT}\" class=\"grid\" stroke-width=\"1\"/>");
        let label = grouped(value.abs() as u64);
        text(svg, LEFT - 8.0, y + 4.0, &VALUE, &label);
    }
}

fn axis(svg: &mut String, panel: &Panel) {
    let (zero, bottom) = (panel.y(0.0), panel.bottom);
    let _ =
        writeln!(svg, "<path d=\"M{LEFT} {zero:.1}H{RIGHT}\" class=\"axis\" stroke-width=\"1\"/>");
    for hour in (0..=24).step_by(3) {
        let x = x(hour * 3_600);
        let _ =
            writeln!(svg, "<path d=\"M{x:.1} {bottom:.1}v5\" class=\"axis\" stroke-width=\"1\"/>");
        text(svg, x, bottom + 18.0, &HOUR, &hour.to_string());
    }
}

/// Draws areas on top of each other, from the uppermost down, so that each covers those below.
fn stack(svg: &mut String, panel: &Panel, live: &[[u64; SERVERS.len()]]) {
    for server in (0..SERVERS.len()).rev() {
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
            "<path d=\"{path}\" class=\"area server{server}\" stroke-width=\"0.6\"/>"
        );
    }
}

/// Draws a line that is level for each interval of ten minutes, and absent along zero.
fn steps(svg: &mut String, panel: &Panel, mode: usize, values: impl Iterator<Item = f64>) {
    let (_, width, dash) = MODES[mode];
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
        "<path d=\"{path}\" fill=\"none\" class=\"mode{mode}\" stroke-width=\"{width}\" stroke-dasharray=\"{dash}\"/>"
    );
}
