//! The parts of the picture: panels with a vertical axis, the axis of time, text.

use std::fmt::Write;

/// The left and the right edge of the panels.
pub const LEFT: f64 = 62.0;
pub const RIGHT: f64 = 762.0;
const DAY: f64 = 86_400.0;
pub const INK: &str = "#24292f";
pub const PALE: &str = "#57606a";

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

/// The style of a text: size, colour, weight and anchor.
pub struct Style(u32, &'static str, &'static str, &'static str);

pub const HEADLINE: Style = Style(17, INK, "bold", "start");
pub const TITLE: Style = Style(13, INK, "bold", "start");
pub const HEAD: Style = Style(12, INK, "bold", "start");
pub const ENTRY: Style = Style(12, INK, "normal", "start");
pub const REMARK: Style = Style(12, PALE, "normal", "start");
pub const EVENT: Style = Style(12, "#7a4b00", "normal", "middle");
pub const UNIT: Style = Style(12, PALE, "normal", "middle");
pub const HOUR: Style = Style(11, PALE, "normal", "middle");
pub const VALUE: Style = Style(11, PALE, "normal", "end");

pub fn text(svg: &mut String, x: f64, y: f64, style: &Style, content: &str) {
    let Style(size, fill, weight, anchor) = style;
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\" fill=\"{fill}\" \
         font-weight=\"{weight}\">{content}</text>"
    );
}
