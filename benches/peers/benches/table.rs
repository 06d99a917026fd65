//! The tables, in Markdown that is aligned, and the budgets that were met or missed.

use crate::measure::Finish;

/// One budget of the design and its measurement.
pub struct Budget {
    what: String,
    allowed: String,
    measured: String,
    met: bool,
}

impl Budget {
    pub fn at_most(what: impl Into<String>, unit: &str, most: f64, measured: f64) -> Self {
        Self::new(
            what.into(),
            format!("at most {}{unit}", figure(most)),
            measured,
            measured <= most,
        )
    }

    pub fn at_least(what: impl Into<String>, unit: &str, least: f64, measured: f64) -> Self {
        Self::new(
            what.into(),
            format!("at least {}{unit}", figure(least)),
            measured,
            measured >= least,
        )
    }

    fn new(what: String, allowed: String, measured: f64, met: bool) -> Self {
        Self { what, allowed, measured: figure(measured), met }
    }

    fn verdict(&self) -> &'static str {
        if self.met { "ok" } else { "MISSED" }
    }
}

/// The report: it prints all tables, and keeps the budgets for the summary at the end.
#[derive(Default)]
pub struct Report {
    budgets: Vec<Budget>,
}

impl Report {
    pub fn section(&mut self, title: &str, note: &str) {
        println!("\n## {title}\n\n{note}\n");
    }

    /// Prints a table with a row for each race and its budgets.
    pub fn races(&mut self, rows: Vec<(Finish, Vec<Budget>)>) {
        let heads = [
            "operation",
            "ns",
            "limit",
            "ns",
            "× limit",
            "best alternative",
            "ns",
            "times faster",
            "budget",
        ]
        .map(String::from);
        let mut grid = Grid::new(heads.to_vec());
        let mut others = Vec::new();
        for (finish, budgets) in rows {
            let (limit, limit_ns) = match &finish.limit {
                Some((name, series)) => (String::from(*name), figure(series.median())),
                None => (dash(), dash()),
            };
            let over = if finish.limit.is_some() { figure(finish.over_limit()) } else { dash() };
            let best = finish.best().map_or([dash(), dash(), dash()], |(name, series)| {
                [String::from(*name), figure(series.median()), figure(series.over(&finish.ours))]
            });
            if finish.rivals.len() > 1 {
                let each = finish
                    .rivals
                    .iter()
                    .map(|(name, series)| format!("{name} {}", figure(series.median())));
                others.push(format!(
                    "- {}: {}",
                    finish.operation,
                    each.collect::<Vec<_>>().join(", ")
                ));
            }
            let [name, ns, faster] = best;
            let ours = figure(finish.ours.median());
            grid.row(vec![
                finish.operation,
                ours,
                limit,
                limit_ns,
                over,
                name,
                ns,
                faster,
                self.judge(budgets),
            ]);
        }
        grid.print();
        if !others.is_empty() {
            println!("\nAll alternatives, ns:\n\n{}", others.join("\n"));
        }
    }

    /// Returns the cell for these budgets, and keeps them for the summary.
    pub fn judge(&mut self, budgets: Vec<Budget>) -> String {
        let cell = |budget: &Budget| {
            format!("{}: {} {}", budget.allowed, budget.measured, budget.verdict())
        };
        let cells: Vec<_> = budgets.iter().map(cell).collect();
        self.budgets.extend(budgets);
        if cells.is_empty() { dash() } else { cells.join("; ") }
    }

    pub fn summary(&self) {
        if self.budgets.is_empty() {
            return;
        }
        let missed = self.budgets.iter().filter(|budget| !budget.met).count();
        println!(
            "\n## Budgets\n\n{} of {} are met.\n",
            self.budgets.len() - missed,
            self.budgets.len()
        );
        let mut grid = Grid::new(["what", "budget", "measured", "met"].map(String::from).to_vec());
        for budget in &self.budgets {
            let [what, allowed, measured] =
                [&budget.what, &budget.allowed, &budget.measured].map(String::clone);
            grid.row(vec![what, allowed, measured, budget.verdict().into()]);
        }
        grid.print();
    }
}

/// A table of text: columns of numbers to the right, others to the left.
pub struct Grid {
    rows: Vec<Vec<String>>,
}

impl Grid {
    pub fn new(heads: Vec<String>) -> Self {
        Self { rows: vec![heads] }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub fn print(&self) {
        let width = |column: usize| {
            self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.rows[0].len()).map(width).collect();
        let right: Vec<bool> = (0..widths.len()).map(|column| self.is_numeric(column)).collect();
        for (index, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).zip(&right).map(|((cell, &width), &right)| {
                if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            println!("| {} |", cells.collect::<Vec<_>>().join(" | "));
            if index == 0 {
                let rules = widths.iter().zip(&right).map(|(&width, &right)| {
                    if right {
                        format!("{}:", "-".repeat(width + 1))
                    } else {
                        "-".repeat(width + 2)
                    }
                });
                println!("|{}|", rules.collect::<Vec<_>>().join("|"));
            }
        }
    }

    fn is_numeric(&self, column: usize) -> bool {
        let number = |row: &Vec<String>| {
            row[column].chars().all(|c| c.is_ascii_digit() || " .–-%".contains(c))
        };
        self.rows.iter().skip(1).all(number)
    }
}

/// The content of an empty cell.
pub fn dash() -> String {
    "–".into()
}

/// Formats a number with its significant digits, and thousands in groups.
pub fn figure(number: f64) -> String {
    match number.abs() {
        size if size >= 100.0 => grouped(number.round() as i64),
        size if size >= 10.0 => trimmed(format!("{number:.1}")),
        size if size >= 1.0 => trimmed(format!("{number:.2}")),
        size if size >= 0.01 => trimmed(format!("{number:.3}")),
        0.0 => "0".into(),
        _ => trimmed(format!("{number:.4}")),
    }
}

fn trimmed(text: String) -> String {
    text.trim_end_matches('0').trim_end_matches('.').into()
}

fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}
