//! What the recordings of `tests/recordings` hold: each case is a config of its own, some maps of the workload, and
//! what is counted in them before each reading. `tests/replay` says what has to become of it, with this
//! config or another.

use serde_yaml::Value;

use crate::configs::WORKLOAD;
use crate::exact::Maps;
use crate::hostile::hostile;
use crate::workload::{Session, flow, last_cpu, latency, on_cpu};

/// A config of a recording.
pub struct Case {
    pub name: &'static str,
    /// The maps that are recorded; none means all that the workload has.
    maps: &'static [&'static str],
    /// What is done before each reading.
    pub readings: &'static [fn(&Work)],
}

/// The maps of one case, and who counts in them.
pub struct Work {
    pub session: Session,
    pub maps: Maps,
}

impl Work {
    fn add(&self, map: &str, key: &[u8], add: u64) {
        self.session.add(map, key, add);
    }
}

impl Case {
    /// The workload's config, without the maps that are not recorded.
    pub fn yaml(&self) -> String {
        if self.maps.is_empty() {
            return WORKLOAD.to_owned();
        }
        let mut config: Value = serde_yaml::from_str(WORKLOAD).unwrap();
        let is_recorded =
            |metric: &Value| self.maps.contains(&metric["name"].as_str().expect("a name"));
        for kind in ["counters", "histograms"] {
            let metrics = config["metrics"][kind].as_sequence_mut().unwrap();
            metrics.retain(is_recorded);
        }
        serde_yaml::to_string(&config).unwrap()
    }
}

/// The recordings: the name of each, and its cases.
pub const FILES: [(&str, &[Case]); 3] =
    [("workload.rec", WHOLE), ("counted.rec", COUNTED), ("many.rec", MANY)];

/// All maps, with counts that come, grow and go, on two CPUs.
pub const WHOLE: &[Case] = &[Case {
    name: "work",
    maps: &[],
    readings: &[
        |work| come_and_grow(work.session, 0),
        |work| come_and_grow(work.session, 1),
        |work| come_and_grow(work.session, 2),
        |work| {
            come_and_grow(work.session, 3);
            work.maps.delete(HASH, &flow(1, b"t1"));
        },
        |work| come_and_grow(work.session, 4),
    ],
}];

/// Counts of this round.
fn come_and_grow(work: Session, round: u64) {
    for cpu in [0, last_cpu()] {
        on_cpu(cpu, || {
            for n in round..round + 4 {
                work.add(HASH, &flow(n, format!("t{}", n % 3).as_bytes()), n * 100);
                for map in [LRU, "work_percpu_hash_total", "work_cpu_hash_total"] {
                    work.add(map, &n.to_ne_bytes(), n + 7);
                }
                work.add("work_percpu_array_total", &((n % 4) as u32).to_ne_bytes(), n);
                work.add("work_exp2_seconds", &latency(b"read", n % 8), n + 1);
            }
        });
    }
}

const HASH: &str = "work_hash_total";
const LRU: &str = "work_lru_hash_total";

/// What one trial each asks for.
const COUNTED: &[Case] = &[
    Case {
        name: "plain",
        maps: &["work_plain_total", "work_padded_total"],
        readings: &[
            |_| {},
            |work| {
                work.add("work_plain_total", &[0; 4], u64::MAX - 1);
                // Number, hole, id.
                for (hole, add) in [(0, 10), (u32::MAX, 7)] {
                    let key = [7u32.to_ne_bytes(), hole.to_ne_bytes()].concat();
                    work.add("work_padded_total", &[&key[..], &9u64.to_ne_bytes()].concat(), add);
                }
            },
        ],
    },
    Case {
        name: "cpus",
        maps: &["work_cpu_hash_total", "work_cpu_array_total"],
        readings: &[|work| {
            for (cpu, add) in [(0, 10), (last_cpu(), 3)] {
                on_cpu(cpu, || {
                    for id in [7u64, 8] {
                        work.add("work_cpu_hash_total", &id.to_ne_bytes(), add * id);
                    }
                    work.add("work_cpu_array_total", &[0; 4], add);
                    work.add("work_cpu_array_total", &5u32.to_ne_bytes(), add * 100);
                });
            }
        }],
    },
    Case {
        name: "reused",
        maps: &["work_cpu_hash_total"],
        readings: &[|work| {
            on_cpu(0, || {
                for id in [7u64, 8, 9] {
                    work.add("work_cpu_hash_total", &id.to_ne_bytes(), id);
                }
            });
        }],
    },
    Case {
        name: "reused_bucket",
        maps: &["work_linear_depth"],
        readings: &[|work| {
            for (bucket, add) in [(0u32, 1), (1, 2)] {
                work.add("work_linear_depth", &bucket.to_ne_bytes(), add);
            }
        }],
    },
    Case {
        name: "exp2",
        maps: &["work_exp2_seconds"],
        readings: &[
            |_| {},
            // 5 is the sum, 9 is beyond it and nobody's.
            |work| {
                for (bucket, add) in [(0, 1), (2, 3), (4, 5), (5, 77), (9, 1000)] {
                    work.add("work_exp2_seconds", &latency(b"read", bucket), add);
                }
                work.add("work_exp2_seconds", &latency(b"write", 1), 1);
            },
        ],
    },
    Case {
        name: "exp2zero",
        maps: &["work_exp2zero_bytes"],
        readings: &[|work| {
            for cpu in [0, last_cpu()] {
                on_cpu(cpu, || {
                    for (bucket, add) in [(0, 1), (1, 10), (4, 100), (5, 1000)] {
                        work.add("work_exp2zero_bytes", &latency(b"in", bucket), add);
                    }
                });
            }
        }],
    },
    Case {
        name: "linear",
        maps: &["work_linear_depth"],
        readings: &[|work| {
            for (bucket, add) in [(0u32, 1000), (1, 4), (3, 2), (4, 9), (5, 1000)] {
                work.add("work_linear_depth", &bucket.to_ne_bytes(), add);
            }
        }],
    },
    Case {
        name: "fixed",
        maps: &["work_fixed_size"],
        readings: &[|work| {
            for (bucket, add) in [(10u64, 1), (100, 2), (500, 1000), (1000, 4), (1001, 4321)] {
                work.add("work_fixed_size", &bucket.to_ne_bytes(), add);
            }
        }],
    },
    Case {
        name: "cpu_exp2",
        maps: &["work_cpu_exp2_seconds"],
        readings: &[|work| {
            for (cpu, factor) in [(0, 10), (last_cpu(), 3)] {
                on_cpu(cpu, || {
                    for (bucket, add) in [(0u64, 1), (1, 2), (2, 40)] {
                        work.add("work_cpu_exp2_seconds", &bucket.to_ne_bytes(), add * factor);
                    }
                });
            }
        }],
    },
    Case {
        name: "equal",
        maps: &[LRU, "work_exp2_seconds"],
        readings: &[|work| {
            for (id, add) in [(1u64, 1), (3, 20), (2, 300), (4, 4000), (5, 50000)] {
                work.add(LRU, &id.to_ne_bytes(), add);
            }
            for (kind, bucket, add) in [
                ("read", 0, 1),
                ("rename", 0, 10),
                ("rename", 1, 5),
                ("rm", 2, 70),
                ("write", 0, 2),
            ] {
                work.add("work_exp2_seconds", &latency(kind.as_bytes(), bucket), add);
            }
        }],
    },
    Case {
        name: "one",
        maps: &[LRU, "work_fixed_size"],
        readings: &[|work| {
            count(work, LRU, &[(1, 1), (2, 20)]);
            count(work, "work_fixed_size", &[(10, 1), (21, 100)]);
        }],
    },
    Case {
        name: "two",
        maps: &[LRU, "work_fixed_size"],
        readings: &[|work| {
            count(work, LRU, &[(2, 300), (3, 4000)]);
            count(work, "work_fixed_size", &[(10, 2), (20, 3), (21, 900)]);
        }],
    },
    Case {
        name: "commands",
        maps: &[HASH],
        readings: &[|work| {
            for (text, add) in
                [("nginx", 1), ("nginx2", 20), ("php-fpm", 300), ("php-", 4000), ("", 5)]
            {
                work.add(HASH, &flow(1, text.as_bytes()), add);
            }
        }],
    },
    Case {
        name: "errors",
        maps: &[HASH],
        readings: &[|work| {
            for (id, text, add) in [(1, "2", 1), (1, "no", 20), (1, "nope", 300), (2, "no", 4000)] {
                work.add(HASH, &flow(id, text.as_bytes()), add);
            }
        }],
    },
    Case {
        name: "no_text",
        maps: &[HASH],
        readings: &[|work| {
            for (text, add) in
                [(&b"a\xff"[..], 1), (b"a\xfe", 20), (b"a\xff\xff", 300), (b"a", 4000)]
            {
                work.add(HASH, &flow(1, text), add);
            }
        }],
    },
    Case {
        name: "changes",
        maps: &[HASH],
        readings: &[
            |_| {},
            |work| {
                for (text, add) in [(b"web1", 1), (b"web2", 20)] {
                    work.add(HASH, &flow(1, text), add);
                }
                work.add(HASH, &flow(1, b"db1"), 300);
            },
            |work| {
                work.add(HASH, &flow(1, b"web1"), 4);
                work.maps.delete(HASH, &flow(1, b"db1"));
            },
            |work| {
                work.maps.delete(HASH, &flow(1, b"web2"));
                work.add(HASH, &flow(1, b"web3"), 70);
                work.add(HASH, &flow(1, b"0"), 1000);
            },
            // `web3` is forgotten and comes again between two readings.
            |work| {
                work.add(HASH, &flow(1, b"db1"), 9);
                work.maps.set(HASH, &flow(1, b"web3"), 3);
            },
            |work| {
                for text in [&b"web1"[..], b"web3", b"db1", b"0"] {
                    work.maps.delete(HASH, &flow(1, text));
                }
            },
        ],
    },
    Case {
        name: "hostile",
        maps: &[HASH],
        readings: &[|work| hostile().for_each(|(key, add)| work.add(HASH, &key, add))],
    },
    Case {
        name: "dotted",
        maps: &[HASH, "work_plain_total", "work_exp2_seconds"],
        readings: &[|work| {
            work.add(HASH, &flow(7, b"a"), 5);
            work.add("work_plain_total", &0u32.to_ne_bytes(), 2);
            work.add("work_exp2_seconds", &latency(b"x", 0), 3);
        }],
    },
    // A MAC address, a port and a UUID, with nothing behind, as the kernel has them.
    Case {
        name: "devices",
        maps: &[HASH],
        readings: &[|work| {
            const LINUX: u128 = 0x0fc6_3daf_8483_4772_8e79_3d69_d847_7de4;
            let add = |mac: [u8; 6], port: u16, uuid: u128, value| {
                let key = [&mac[..], &port.to_be_bytes(), &uuid.to_be_bytes(), &[0; 8]].concat();
                work.add(HASH, &key, value);
            };
            add([0x52, 0x54, 0, 1, 2, 3], 22, LINUX, 3);
            add([0x52, 0x54, 0, 4, 5, 6], 22, LINUX, 40);
            add([2, 0, 0, 0, 0, 1], 8080, LINUX, 500);
            add([2, 0, 0, 0, 0, 1], 53, 1, 6000);
        }],
    },
];

fn count(work: &Work, map: &str, rows: &[(u64, u64)]) {
    for (key, add) in rows {
        work.add(map, &key.to_ne_bytes(), *add);
    }
}

/// Rows for several calls of a plugin, all with the same text; and the same with some that come later.
const MANY: &[Case] = &[
    Case { name: "workload", maps: &[HASH, LRU], readings: &[|work| many(work, 0..3000)] },
    Case {
        name: "growing",
        maps: &[HASH, LRU],
        readings: &[|work| many(work, 0..3000), |work| many(work, 3000..3005)],
    },
];

fn many(work: &Work, ids: std::ops::Range<u64>) {
    for id in ids {
        work.add(HASH, &flow(id, b"text"), 7);
        work.add(LRU, &(id % 9).to_ne_bytes(), 1);
    }
}
