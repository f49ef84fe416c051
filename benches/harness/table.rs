//! Figures, and one table of them.

use std::fmt::Write;

/// One line of the table.
pub struct Row {
    scenario: String,
    subject: String,
    figure: String,
    unit: &'static str,
    values: Vec<f64>,
    most: Option<f64>,
    note: String,
}

impl Row {
    /// Whether it is within its target; `None` without one.
    fn kept(&self) -> Option<bool> {
        Some(median(&self.values) <= self.most?)
    }

    fn cells(&self) -> [String; 7] {
        let text = |value: f64| match value.abs() {
            v if v >= 100.0 => format!("{value:.0}"),
            v if v >= 10.0 => format!("{value:.1}"),
            v if v >= 0.01 || v == 0.0 => format!("{value:.2}"),
            _ => format!("{value:.4}"),
        };
        let (middle, range) = if self.values.is_empty() {
            ("-".to_owned(), String::new())
        } else {
            let least = self.values.iter().copied().fold(f64::INFINITY, f64::min);
            let most = self
                .values
                .iter()
                .copied()
                .fold(f64::NEG_INFINITY, f64::max);
            let n = self.values.len();
            let range = if n > 1 {
                format!("{}–{}", text(least), text(most))
            } else {
                String::new()
            };
            (
                format!("{} {}", text(median(&self.values)), self.unit),
                range,
            )
        };
        let target = match (self.most, self.kept()) {
            (Some(most), _) if self.values.is_empty() => format!("≤ {} NOT MEASURED", text(most)),
            (Some(most), Some(true)) => format!("≤ {} met", text(most)),
            (Some(most), _) => format!("≤ {} MISSED", text(most)),
            (None, _) => String::new(),
        };
        [
            self.scenario.clone(),
            self.subject.clone(),
            self.figure.clone(),
            middle,
            range,
            target,
            self.note.clone(),
        ]
    }
}

/// The median; 0 of nothing.
pub fn median(values: &[f64]) -> f64 {
    percentile(values, 0.5)
}

/// The value that this share of the values does not exceed.
pub fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(at.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// All figures of this run.
#[derive(Default)]
pub struct Table(Vec<Row>);

impl Table {
    /// Adds a figure, and says it at once.
    #[expect(clippy::too_many_arguments, reason = "one argument per column")]
    pub fn add(
        &mut self,
        scenario: &str,
        subject: &str,
        figure: &str,
        unit: &'static str,
        values: Vec<f64>,
        most: Option<f64>,
        note: &str,
    ) {
        let row = Row {
            scenario: scenario.to_owned(),
            subject: subject.to_owned(),
            figure: figure.to_owned(),
            unit,
            values,
            most,
            note: note.to_owned(),
        };
        eprintln!("  {}", row.cells().join("  "));
        self.0.push(row);
    }

    const HEAD: [&str; 7] = [
        "scenario",
        "supervisor",
        "figure",
        "median",
        "min–max",
        "target",
        "note",
    ];

    /// Aligned, for a terminal.
    pub fn text(&self) -> String {
        let lines: Vec<[String; 7]> = std::iter::once(Self::HEAD.map(str::to_owned))
            .chain(self.0.iter().map(Row::cells))
            .collect();
        let width = |column: usize| {
            lines
                .iter()
                .map(|l| l[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..7).map(width).collect();
        let mut out = String::new();
        for line in &lines {
            let mut text = String::new();
            for (column, cell) in line.iter().enumerate() {
                let pad = widths[column] - cell.chars().count();
                if column == 3 {
                    write!(text, "{}{cell}  ", " ".repeat(pad)).unwrap();
                } else {
                    write!(text, "{cell}{}  ", " ".repeat(pad)).unwrap();
                }
            }
            out.push_str(text.trim_end());
            out.push('\n');
        }
        out
    }

    /// For a document.
    pub fn markdown(&self) -> String {
        let mut out = format!("| {} |\n", Self::HEAD.join(" | "));
        out.push_str("|---|---|---|---:|---|---|---|\n");
        for row in &self.0 {
            writeln!(out, "| {} |", row.cells().join(" | ")).unwrap();
        }
        out
    }
}
