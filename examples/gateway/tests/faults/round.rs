//! What became of one request of each client.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

/// What a client got.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) client: usize,
    /// The endpoint that its session was pinned to when it asked.
    pub(crate) pin: Option<String>,
    /// `None`: no answer.
    pub(crate) came: Option<Came>,
    /// How often it had asked in vain before.
    pub(crate) unanswered: usize,
    /// Whether it asked after what happened in the round.
    pub(crate) is_last_quarter: bool,
}

/// A response, whole or not.
#[derive(Clone, Debug)]
pub(crate) struct Came {
    pub(crate) status: u16,
    pub(crate) endpoint: Option<String>,
    pub(crate) outcome: String,
    pub(crate) cookie: Option<String>,
    pub(crate) is_whole: bool,
}

/// The answers of all clients that asked, in the order of the clients.
#[derive(Debug)]
pub(crate) struct Round(Vec<Answer>);

/// How many answers say the same: `a: lent:connect_failed by b` is a client pinned to `a` that was lent to `b`.
pub(crate) type Rows = BTreeMap<String, usize>;

impl Round {
    pub(crate) fn new(mut answers: Vec<Answer>) -> Self {
        answers.sort_by_key(|answer| answer.client);
        Self(answers)
    }

    pub(crate) fn rows(&self) -> Rows {
        let mut rows = Rows::new();
        for answer in &self.0 {
            *rows.entry(answer.to_string()).or_default() += 1;
        }
        rows
    }

    /// How many answers say this.
    pub(crate) fn count(&self, row: &str) -> usize {
        self.rows().get(row).copied().unwrap_or(0)
    }

    /// Fails unless these are the answers, all of them.
    #[track_caller]
    pub(crate) fn assert_is<const N: usize>(&self, expected: [(&str, usize); N]) {
        let expected: Rows = expected.map(|(row, count)| (row.into(), count)).into();
        assert_eq!(self.rows(), expected);
    }

    /// Fails if anything else has come.
    #[track_caller]
    pub(crate) fn assert_only(&self, allowed: &[&str]) {
        let rows = self.rows();
        assert!(rows.keys().all(|row| allowed.contains(&row.as_str())), "{rows:?}");
    }

    /// How many clients that asked were pinned to this endpoint.
    pub(crate) fn pinned_to(&self, endpoint: &str) -> usize {
        self.0.iter().filter(|answer| answer.pin.as_deref() == Some(endpoint)).count()
    }

    /// Those that asked after what happened in the round.
    pub(crate) fn last_quarter(&self) -> Self {
        Self(self.0.iter().filter(|answer| answer.is_last_quarter).cloned().collect())
    }

    /// Who has served whom.
    pub(crate) fn served(&self) -> Vec<Option<&str>> {
        self.0.iter().map(|answer| answer.came.as_ref()?.endpoint.as_deref()).collect()
    }

    /// How often somebody asked in vain before the answer came.
    pub(crate) fn unanswered(&self) -> usize {
        self.0.iter().map(|answer| answer.unanswered).sum()
    }
}

impl Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.pin.as_deref().unwrap_or("new"))?;
        let Some(came) = &self.came else { return f.write_str("no answer") };
        if came.status != 200 {
            write!(f, "{} ", came.status)?;
        }
        f.write_str(&came.outcome)?;
        if let Some(endpoint) = &came.endpoint {
            write!(f, " by {endpoint}")?;
        }
        f.write_str(if came.is_whole { "" } else { ", broken off" })
    }
}
