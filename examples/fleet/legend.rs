//! The legends beside the panels, and the lines of the days.

use std::fmt::Write;

use crate::fleet::SERVERS;
use crate::paper::{Colour, ENTRY, HEAD, Panel, REMARK, text};
use crate::tally::Tally;

/// The left edge of the legends.
const LEGEND: f64 = 782.0;

/// The line colours (of Okabe and Ito, the fourth of Tol, the last that of text; lighter on dark paper), of the classes
/// `mode0` and so on, with the widths and dashes of the days. Where lines coincide, the wide one
/// shows beneath the narrow one.
pub const MODES: [(Colour, f64, &str); 5] = [
    (("#d55e00", "#f0883e"), 4.0, ""),
    (("#0072b2", "#58a6ff"), 2.4, ""),
    (("#009e73", "#3fce9f"), 1.8, ""),
    (("#aa4499", "#e58fd6"), 1.8, "4 3"),
    (("#24292f", "#e6edf3"), 1.8, "1.5 2.5"),
];

pub fn endpoints_legend(svg: &mut String, panel: &Panel) {
    text(svg, LEGEND, panel.top + 4.0, &HEAD, "endpoint");
    for (line, server) in (0..SERVERS.len()).rev().enumerate() {
        let y = panel.top + 24.0 + 19.0 * line as f64;
        let _ = writeln!(
            svg,
            "<rect x=\"{LEGEND}\" y=\"{:.1}\" width=\"14\" height=\"12\" class=\"server{server}\"/>",
            y - 10.0,
        );
        let name = match SERVERS[server] {
            ("spare", name) => format!("{name} (fallback pool)"),
            (pool, name) => format!("{name} (pool {pool})"),
        };
        text(svg, LEGEND + 22.0, y, &ENTRY, &name);
    }
}

pub fn modes_legend(
    svg: &mut String,
    panel: &Panel,
    days: &[Tally],
    numbers: impl Fn(&Tally) -> String,
) {
    text(svg, LEGEND, panel.top + 4.0, &HEAD, "in the whole day");
    for (mode, (day, (_, width, dash))) in days.iter().zip(MODES).enumerate() {
        let y = panel.top + 26.0 + 31.0 * mode as f64;
        let _ = writeln!(
            svg,
            "<path d=\"M{LEGEND} {:.1}h16\" class=\"mode{mode}\" stroke-width=\"{width}\" stroke-dasharray=\"{dash}\"/>",
            y - 4.0
        );
        text(svg, LEGEND + 22.0, y, &ENTRY, day.name);
        text(svg, LEGEND + 22.0, y + 14.0, &REMARK, &numbers(day));
    }
}
