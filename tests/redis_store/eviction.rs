//! The eviction policies of a full server: the table of the manual, *several gateways*.

use std::time::Duration;

use crate::redis_server::RedisServer;

/// Sessions in use, and made-up ones.
const SESSIONS: usize = 10_000;
const MADE_UP: usize = 200_000;

/// A server that has room for six times the sessions in use.
struct Full {
    connection: redis::Connection,
    server: RedisServer,
}

impl Full {
    fn start(policy: &str, decay: &str) -> Self {
        let server = RedisServer::start_with(&["--lfu-decay-time", decay]);
        let connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
        let mut full = Self { connection, server };
        let empty = full.memory();
        full.create("session", 0..SESSIONS);
        let most = empty + 6 * (full.memory() - empty);
        full.server.ask::<()>(&["CONFIG", "SET", "maxmemory-policy", policy]);
        full.server.ask::<()>(&["CONFIG", "SET", "maxmemory", &most.to_string()]);
        for _ in 0..3 {
            full.use_all();
        }
        full
    }

    fn memory(&self) -> u64 {
        let info: String = self.server.ask(&["INFO", "memory"]);
        let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
        used.unwrap().parse().unwrap()
    }

    fn create(&mut self, kind: &str, numbers: std::ops::Range<usize>) {
        self.batches(numbers, |pipe, number| {
            let key = format!("session-affinity:1:shop.example.com:{kind}{number:025}");
            pipe.cmd("SET").arg(key).arg([0_u8; 20].as_slice()).arg("NX").arg("EX").arg(1_800);
        });
    }

    /// A request of each session: what is gone is not made again.
    fn use_all(&mut self) {
        self.batches(0..SESSIONS, |pipe, number| {
            let key = format!("session-affinity:1:shop.example.com:session{number:025}");
            pipe.cmd("GET").arg(&key).cmd("EXPIRE").arg(&key).arg(1_800);
        });
    }

    fn batches(
        &mut self,
        numbers: std::ops::Range<usize>,
        command: impl Fn(&mut redis::Pipeline, usize),
    ) {
        for first in numbers.clone().step_by(500) {
            let mut pipe = redis::pipe();
            pipe.ignore_errors();
            (first..(first + 500).min(numbers.end)).for_each(|number| command(&mut pipe, number));
            let _: redis::Value = pipe.query(&mut self.connection).unwrap();
        }
    }

    /// The share of the sessions that is left, in percent.
    fn left(&self) -> String {
        let script = "return #redis.call('KEYS', 'session-affinity:1:*:session*')";
        let left: usize = self.server.ask(&["EVAL", script, "0"]);
        format!("{:.1} %", left as f64 * 100.0 / SESSIONS as f64)
    }
}

/// Sessions are used ten times more while made-up ones come, or are idle before and meanwhile.
fn left(policy: &str, decay: &str, idle: Option<Duration>) -> String {
    let mut full = Full::start(policy, decay);
    if let Some(idle) = idle {
        std::thread::sleep(idle);
    }
    for first in (0..MADE_UP).step_by(MADE_UP / 10) {
        full.create("made-up", first..first + MADE_UP / 10);
        if idle.is_none() {
            full.use_all();
        }
    }
    full.left()
}

#[test]
#[ignore = "prints the table of the manual, in four minutes"]
fn sessions_that_are_left_after_made_up_ones() {
    let rows = [
        ("volatile-ttl", "1"),
        ("volatile-lru", "1"),
        ("volatile-random", "1"),
        ("volatile-lfu", "1"),
        ("volatile-lfu", "30"),
        ("allkeys-lfu", "30"),
        ("noeviction", "1"),
    ];
    let idle = Some(Duration::from_secs(200));
    let lines: Vec<String> = std::thread::scope(|scope| {
        let rows = rows.map(|(policy, decay)| {
            scope.spawn(move || {
                let (used, idle) = (left(policy, decay, None), left(policy, decay, idle));
                format!("| `{policy}` | {decay} | {used} | {idle} |")
            })
        });
        rows.into_iter().map(|row| row.join().unwrap()).collect()
    });
    println!(
        "| `maxmemory-policy` | `lfu-decay-time` | in use | idle for 200 s |\n|---|--:|--:|--:|"
    );
    lines.iter().for_each(|line| println!("{line}"));
}
