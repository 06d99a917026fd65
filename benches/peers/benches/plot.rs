//! Growth as a picture: small multiples with logarithmic axes, in one SVG file that needs
//! nothing else and brings its own background.

use std::fmt::Write as _;

use crate::table::figure;

/// One curve: the variable, the cost that is measured, and the points (number, ns).
pub struct Panel {
    pub what: &'static str,
    pub cost: &'static str,
    pub points: Vec<(usize, f64)>,
}

const COLUMNS: usize = 3;
const WIDTH: f64 = 330.0;
const HEIGHT: f64 = 250.0;
/// The room around the curve, beginning with that to the left.
const LEFT: f64 = 62.0;
const RIGHT: f64 = 26.0;
const ABOVE: f64 = 54.0;
const BELOW: f64 = 48.0;

/// Draws the panels with one scale of cost, so that they can be compared.
pub fn svg(panels: &[Panel]) -> String {
    let costs = || panels.iter().flat_map(|panel| &panel.points).map(|(_, ns)| ns.log10());
    let low = costs().fold(f64::INFINITY, f64::min).floor();
    let high = costs().fold(f64::NEG_INFINITY, f64::max).ceil().max(low + 1.0);
    let columns = COLUMNS.min(panels.len());
    let (width, height) =
        (columns as f64 * WIDTH, panels.len().div_ceil(columns) as f64 * HEIGHT + 12.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"11\" fill=\"#374151\">\n\
         <title>How the cost of session-affinity grows, in nanoseconds</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#ffffff\" stroke=\"#d1d5db\"/>\n"
    );
    for (index, panel) in panels.iter().enumerate() {
        let (x, y) = ((index % columns) as f64 * WIDTH, (index / columns) as f64 * HEIGHT + 4.0);
        let _ = writeln!(svg, "<g transform=\"translate({x} {y})\">");
        draw(&mut svg, panel, low, high);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw(svg: &mut String, panel: &Panel, low: f64, high: f64) {
    let first = panel.points.first().map_or(0.0, |(size, _)| (*size as f64).log10());
    let last = panel.points.last().map_or(1.0, |(size, _)| (*size as f64).log10()).max(first + 1.0);
    let x = |size: usize| {
        LEFT + ((size as f64).log10() - first) / (last - first) * (WIDTH - LEFT - RIGHT)
    };
    let y =
        |exponent: f64| HEIGHT - BELOW - (exponent - low) / (high - low) * (HEIGHT - ABOVE - BELOW);
    let (left, right, bottom) = (LEFT, WIDTH - RIGHT, HEIGHT - BELOW);
    let _ = writeln!(
        svg,
        "<text x=\"{left}\" y=\"24\" font-size=\"13\" font-weight=\"600\" fill=\"#111827\">{}</text>",
        panel.cost
    );
    let _ = writeln!(svg, "<text x=\"{left}\" y=\"40\">ns, by {}</text>", panel.what);
    for exponent in low as i32..=high as i32 {
        let y = y(exponent.into());
        let _ = writeln!(svg, "<path d=\"M{left} {y:.1}H{right}\" stroke=\"#e5e7eb\"/>");
        let label = figure(10_f64.powi(exponent));
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            left - 8.0,
            y + 4.0
        );
    }
    let _ = writeln!(svg, "<path d=\"M{left} {bottom}H{right}\" stroke=\"#9ca3af\"/>");
    for (size, _) in &panel.points {
        let x = x(*size);
        let _ = writeln!(svg, "<path d=\"M{x:.1} {bottom}v4\" stroke=\"#9ca3af\"/>");
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            bottom + 18.0,
            short(*size)
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        (left + right) / 2.0,
        bottom + 36.0,
        panel.what
    );
    let corners: Vec<_> = panel
        .points
        .iter()
        .map(|(size, ns)| format!("{:.1},{:.1}", x(*size), y(ns.log10())))
        .collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#2563eb\" stroke-width=\"2\" stroke-linejoin=\"round\"/>",
        corners.join(" ")
    );
    for (size, ns) in &panel.points {
        let _ = writeln!(
            svg,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"#2563eb\"/>",
            x(*size),
            y(ns.log10())
        );
    }
    // The first cost stands inside, away from the axis; the last one is centred.
    let ends = [(panel.points.first(), "start"), (panel.points.last(), "middle")];
    for ((size, ns), anchor) in ends.into_iter().filter_map(|(end, anchor)| Some((end?, anchor))) {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" font-weight=\"600\" fill=\"#1d4ed8\">{}</text>",
            x(*size),
            y(ns.log10()) - 9.0,
            figure(ns.round())
        );
    }
}

/// Formats 10 000 as 10 k.
fn short(size: usize) -> String {
    match size {
        size if size >= 1_000_000 => format!("{} M", size / 1_000_000),
        size if size >= 1_000 => format!("{} k", size / 1_000),
        size => size.to_string(),
    }
}
