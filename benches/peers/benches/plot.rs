//! Growth as a picture: curves over one number, with logarithmic axes, in an SVG file that needs
//! nothing else, and has colours for light and for dark pages.

use std::fmt::Write as _;

use crate::table::figure;

/// One curve: the variable, the cost that is measured, and the points (number, ns).
pub struct Curve {
    pub what: &'static str,
    pub cost: &'static str,
    pub points: Vec<(usize, f64)>,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 300.0;
/// The edges of the panel, the room for the first numbers, and that for the numbers of the lower
/// curve; the names of the curves stand at the right.
const LEFT: f64 = 70.0;
const INDENT: f64 = 24.0;
const BELOW: f64 = 14.0;
const RIGHT: f64 = 590.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 240.0;

const STYLE: &str = "\
svg{--paper:#ffffff}
.paper{fill:var(--paper);stroke:#d0d7de}
.title{fill:#24292f;font-size:13px;font-weight:600}
.pale{fill:#57606a}
.grid{stroke:#d8dee4}
.axis{stroke:#24292f}
.curve0{--c:#b35900}
.curve1{--c:#0550ae}
@media (prefers-color-scheme:dark){
svg{--paper:#0d1117}
.paper{stroke:#3d444d}
.title{fill:#e6edf3}
.pale{fill:#9198a1}
.grid{stroke:#30363d}
.axis{stroke:#e6edf3}
.curve0{--c:#f0883e}
.curve1{--c:#58a6ff}
}
.line{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round}
.point,.value{fill:var(--c)}
.value{font-weight:600;stroke:var(--paper);stroke-width:4;paint-order:stroke}
";

/// Draws two curves over the same numbers. The costs at both ends of the first one stand above it,
/// and those of the second one, which costs less, below.
pub fn svg(curves: &[Curve; 2]) -> String {
    let what = curves[0].what;
    let costs = || curves.iter().flat_map(|curve| &curve.points).map(|(_, ns)| ns.log10());
    let low = costs().fold(f64::INFINITY, f64::min).floor();
    let high = costs().fold(f64::NEG_INFINITY, f64::max).max(low + 1.0);
    let sizes: Vec<usize> = curves[0].points.iter().map(|(size, _)| *size).collect();
    let ends = [sizes.first(), sizes.last()].map(|end| (*end.unwrap_or(&1) as f64).log10());
    let x = |size: usize| {
        let share = ((size as f64).log10() - ends[0]) / (ends[1] - ends[0]);
        LEFT + INDENT + share * (RIGHT - LEFT - INDENT)
    };
    let y =
        |exponent: f64| BOTTOM - BELOW - (exponent - low) / (high - low) * (BOTTOM - BELOW - TOP);

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\" role=\"img\" font-family=\"system-ui,sans-serif\" font-size=\"12\">\n\
         <title>The cost of a request by the number of {what}, in nanoseconds</title>\n\
         <style>\n{STYLE}</style>\n\
         <rect x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\" class=\"paper\"/>\n",
        WIDTH - 1.0,
        HEIGHT - 1.0
    );
    text(
        &mut svg,
        (16.0, 26.0),
        "start",
        "title",
        &format!("Nanoseconds for a request, by number of {what}"),
    );
    for exponent in low as i32..=high as i32 {
        let y = y(exponent.into());
        let _ = writeln!(svg, "<path d=\"M{LEFT} {y:.1}H{RIGHT}\" class=\"grid\"/>");
        text(&mut svg, (LEFT - 14.0, y + 4.0), "end", "pale", &figure(10_f64.powi(exponent)));
    }
    let _ = writeln!(svg, "<path d=\"M{LEFT} {BOTTOM}H{RIGHT}\" class=\"axis\"/>");
    for size in &sizes {
        let _ = writeln!(svg, "<path d=\"M{:.1} {BOTTOM}v5\" class=\"axis\"/>", x(*size));
        text(&mut svg, (x(*size), BOTTOM + 20.0), "middle", "pale", &figure(*size as f64));
    }
    text(&mut svg, ((LEFT + RIGHT) / 2.0, BOTTOM + 42.0), "middle", "pale", what);

    for (index, (curve, label)) in curves.iter().zip([-10.0, 20.0]).enumerate() {
        let _ = writeln!(svg, "<g class=\"curve{index}\">");
        let places: Vec<_> =
            curve.points.iter().map(|(size, ns)| (x(*size), y(ns.log10()), *ns)).collect();
        let line: Vec<_> = places.iter().map(|(x, y, _)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(svg, "<polyline points=\"{}\" class=\"line\"/>", line.join(" "));
        for (x, y, _) in &places {
            let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" class=\"point\"/>");
        }
        for (x, y, ns) in places.first().into_iter().chain(places.last()) {
            text(&mut svg, (*x, y + label), "middle", "value", &figure(ns.round()));
        }
        if let Some((x, y, _)) = places.last() {
            text(&mut svg, (x + 16.0, y + 4.0), "start", "value", curve.cost);
        }
        svg.push_str("</g>\n");
    }
    svg + "</svg>\n"
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, class: &str, content: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{content}</text>"
    );
}
