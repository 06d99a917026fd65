//! The parts of the picture: colours on light and on dark paper, panels with a vertical axis, the
//! axis of time, text.

use std::fmt::Write;

/// The left and the right edge of the panels.
pub const LEFT: f64 = 62.0;
pub const RIGHT: f64 = 762.0;
const DAY: f64 = 86_400.0;

/// A colour on light paper, and in its place on dark paper.
pub type Colour = (&'static str, &'static str);

/// The colours of the paper and of all that is not data: class and property.
const COLOURS: [(&str, &str, Colour); 11] = [
    ("paper", "fill", ("#ffffff", "#0d1117")),
    ("paper", "stroke", ("#d0d7de", "#3d444d")),
    ("ink", "fill", ("#24292f", "#e6edf3")),
    ("pale", "fill", ("#57606a", "#9198a1")),
    ("event", "fill", ("#7a4b00", "#e3b341")),
    ("axis", "stroke", ("#24292f", "#e6edf3")),
    ("grid", "stroke", ("#d8dee4", "#30363d")),
    ("band", "fill", ("#fff1cc", "#3a2f14")),
    ("shade", "fill", ("#ffe39a", "#574617")),
    ("edge", "stroke", ("#7a4b00", "#e3b341")),
    ("area", "stroke", ("#ffffff", "#0d1117")),
];

/// Returns the style sheet: these colours and those of the data, each for light and for dark paper,
/// of which the viewer's preference chooses.
pub fn style_sheet(data: impl Iterator<Item = (String, &'static str, Colour)>) -> String {
    let (mut light, mut dark) = (String::new(), String::new());
    let own = COLOURS.map(|(class, property, colour)| (class.to_owned(), property, colour));
    for (class, property, colour) in own.into_iter().chain(data) {
        let _ = writeln!(light, ".{class}{{{property}:{}}}", colour.0);
        let _ = writeln!(dark, ".{class}{{{property}:{}}}", colour.1);
    }
    format!("<style>\n{light}@media (prefers-color-scheme:dark){{\n{dark}}}\n</style>\n")
}

/// A panel: its place, and the range of its vertical axis.
pub struct Panel {
    pub top: f64,
    pub bottom: f64,
    least: f64,
    most: f64,
}

impl Panel {
    /// Creates a panel. Both ends of its axis are round numbers, at or beyond these.
    pub fn new(top: f64, bottom: f64, least: f64, most: f64) -> Self {
        let step = step(most - least);
        Self {
            top,
            bottom,
            least: (least / step).floor() * step,
            most: (most / step).ceil() * step,
        }
    }

    pub fn y(&self, value: f64) -> f64 {
        self.bottom - (value - self.least) / (self.most - self.least) * (self.bottom - self.top)
    }

    /// Returns the round numbers between both ends of the axis.
    pub fn ticks(&self) -> impl Iterator<Item = f64> {
        let step = step(self.most - self.least);
        let (least, most) = ((self.least / step).ceil() as i64, (self.most / step).floor() as i64);
        (least..=most).map(move |tick| tick as f64 * step)
    }
}

/// Returns the horizontal place of a second of the day.
pub fn x(second: u64) -> f64 {
    LEFT + second as f64 / DAY * (RIGHT - LEFT)
}

/// Returns a round step between the lines of a panel.
fn step(range: f64) -> f64 {
    let steps = [
        1.0, 2.0, 5.0, 10.0, 20.0, 25.0, 50.0, 100.0, 200.0, 250.0, 500.0, 1_000.0, 2_000.0,
        5_000.0,
    ];
    steps.into_iter().find(|step| range / step <= 6.0).unwrap_or(10_000.0)
}

/// The style of a text: size, class of its colour, weight and anchor.
pub struct Style(u32, &'static str, &'static str, &'static str);

pub const HEADLINE: Style = Style(17, "ink", "bold", "start");
pub const TITLE: Style = Style(13, "ink", "bold", "start");
pub const HEAD: Style = Style(12, "ink", "bold", "start");
pub const ENTRY: Style = Style(12, "ink", "normal", "start");
pub const REMARK: Style = Style(12, "pale", "normal", "start");
pub const EVENT: Style = Style(12, "event", "normal", "middle");
pub const UNIT: Style = Style(12, "pale", "normal", "middle");
pub const HOUR: Style = Style(11, "pale", "normal", "middle");
pub const VALUE: Style = Style(11, "pale", "normal", "end");

pub fn text(svg: &mut String, x: f64, y: f64, style: &Style, content: &str) {
    let Style(size, class, weight, anchor) = style;
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\" class=\"{class}\" \
         font-weight=\"{weight}\">{content}</text>"
    );
}
