//! A day of one gateway: its clients ask, its operator acts, and in the end it is asked for what it
//! has counted and taken.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::act::Act;
use crate::crowd::Crowd;
use crate::endpoint::Endpoint;
use crate::gateway::{Gateway, Taken};
use crate::kind::{Kind, SITE};
use crate::operator::Operator;
use crate::random::Random;

/// The number of requests of a gateway at one time.
const AT_ONCE: u64 = 12;
/// The growth of a gateway's memory that is no leak, in KiB: buffers and the records of new sessions.
const GROWTH: usize = 16 * 1024;

/// The numbers of a day without a broken rule.
#[derive(Debug, Default)]
pub struct Day {
    pub outcomes: BTreeMap<String, u64>,
    /// The requests that their clients have given up.
    pub abandoned: u64,
    pub acts: u64,
    /// The gateway's memory and files after the first tenth, and at the end.
    pub taken: Option<(Taken, Taken)>,
}

impl Day {
    /// Runs a gateway for so long. The error tells of the first broken rule.
    pub async fn run(kind: &'static Kind, seed: u64, length: Duration) -> Result<Self, String> {
        let names = SITE.iter().flat_map(|(_, endpoints)| endpoints.iter().copied());
        let endpoints: Arc<[Endpoint]> = names.map(Endpoint::start).collect::<Result<_, _>>()?;
        let gateway = Gateway::start(&kind.file(&endpoints)).await?;
        gateway.call("GET /state", &Value::Null).await?;
        let before = gateway.taken();

        let crowd = Arc::new(Crowd::new(kind, gateway.address, length));
        let mut random = Random(seed);
        let mut workers = JoinSet::new();
        for _ in 0..AT_ONCE {
            workers.spawn(crowd.clone().ask(Random(random.next())));
        }
        let mut operator =
            Operator { kind, gateway, endpoints: endpoints.clone(), log: crowd.log.clone() };
        let tenth = tokio::select! {
            tenth = operate(&crowd, &mut operator, random, length) => tenth?,
            Some(Ok(Err(broken))) = workers.join_next() => return Err(broken),
        };
        while let Some(ended) = workers.join_next().await {
            ended.map_err(|error| error.to_string())??;
        }

        let gateway = &operator.gateway;
        let day = Self { taken: tenth.zip(gateway.taken()), ..crowd.day() };
        let state = gateway.call("GET /state", &Value::Null).await?;
        let mut checked =
            day.has_been_counted(&state).and_then(|()| day.has_left_the_memory_as_it_was());
        if let (Ok(()), Some(before)) = (&checked, before) {
            checked = has_closed_its_files(gateway, &endpoints, before).await;
        }
        checked.map_err(|broken| crowd.with_acts(&broken))?;
        Ok(day)
    }

    /// The gateway has counted what its clients have seen.
    fn has_been_counted(&self, state: &Value) -> Result<(), String> {
        let counted = |label: &str| state["outcomes"][label].as_u64().unwrap_or(0);
        let seen = |label: &str| self.outcomes.get(label).copied().unwrap_or(0);
        let labels = state["outcomes"].as_object().into_iter().flatten().map(|(label, _)| label);
        let unseen: u64 = labels.map(|label| counted(label).saturating_sub(seen(label))).sum();
        let is_counted = self.outcomes.iter().all(|(label, seen)| counted(label) >= *seen);
        if is_counted && unseen <= self.abandoned {
            return Ok(());
        }
        let (outcomes, abandoned) = (&self.outcomes, self.abandoned);
        Err(format!(
            "the gateway has counted {}, its clients {outcomes:?}, and {abandoned} were abandoned",
            state["outcomes"]
        ))
    }

    fn has_left_the_memory_as_it_was(&self) -> Result<(), String> {
        match self.taken {
            Some((tenth, end)) if end.memory > tenth.memory + GROWTH => Err(format!(
                "the gateway had {} KiB after the first tenth, and has {} KiB at the end",
                tenth.memory, end.memory
            )),
            _ => Ok(()),
        }
    }
}

/// Acts until the end, and returns what the gateway had taken after the first tenth.
async fn operate(
    crowd: &Crowd,
    operator: &mut Operator<'_>,
    mut random: Random,
    length: Duration,
) -> Result<Option<Taken>, String> {
    let mut tenth = None;
    while Instant::now() < crowd.end() {
        sleep(Duration::from_millis(20 + random.below(140) as u64)).await;
        let act = Act::choose(operator.kind, &operator.now(), &mut random);
        crowd.acts(act);
        operator.act(act).await.map_err(|broken| crowd.with_acts(&broken))?;
        crowd.has_acted();
        if let Some(broken) = operator.endpoints.iter().find_map(Endpoint::broken) {
            return Err(crowd.with_acts(&broken));
        }
        if tenth.is_none() && crowd.began().elapsed() >= length / 10 {
            tenth = operator.gateway.taken();
        }
    }
    Ok(tenth)
}

/// Without a client, a gateway has the files that it had before the first one, and the connections to
/// its endpoints.
async fn has_closed_its_files(
    gateway: &Gateway,
    endpoints: &[Endpoint],
    before: Taken,
) -> Result<(), String> {
    let mut files = (0, 0);
    for _ in 0..100 {
        let idle = endpoints.iter().map(Endpoint::connections).sum::<usize>();
        files = (gateway.taken().map_or(0, |taken| taken.files), before.files + idle);
        if files.0 <= files.1 {
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
    let (has, had) = files;
    Err(format!("without a client, the gateway has {has} open files instead of {had}"))
}
