//! File systems that tell of themselves.

use crate::Case;

pub static FILESYSTEMS: &[&Case] = &[
    &Case {
        collectors: &["xfs"],
        flags: &[],
        files: &[(
            "sys/fs/xfs/sda1/stats/stats",
            Some(
                "extent_alloc 1 872 0 0\nabt 0 0 0 0\nblk_map 61 29 1 1 1 91 0\nbmbt 0 0 0 0\ndir 3 2 1 52\ntrans 4 40 0\n\
                ig 5 1 0 4 0 0 1\nlog 8 21 0 5821 4\npush_ail 44 0 1102 15 0 2 0 2 0 2\nxstrat 1 0\nrw 28 0\nattr 0 0 0 0\n\
                icluster 2 2 2\nvnodes 4 0 0 0 1 1 1 0\nbuf 22 25 14 0 0 8 0 8 8\nxpc 3571712 3568056 0\ndebug 0\n",
            ),
        )],
        forgets: true,
    },
    &Case {
        collectors: &["zfs"],
        flags: &[],
        files: &[
            (
                "proc/spl/kstat/zfs/arcstats",
                Some(
                    "6 1 0x01 91 4368 5266997922 97951858082072\nname type data\nhits 4 8772612\nsize 4 1603939792\nmemory_available_bytes 3 -922337203685477580\n",
                ),
            ),
            ("proc/spl/kstat/zfs/fm", Some("0 1 0x01 4 176 1 2\nname type data\nerpt-dropped 4 18\n")),
            (
                "proc/spl/kstat/zfs/pool1/io",
                Some(
                    "12 3 0x00 1 80 79205351707403 395818011156865\nnread    nwritten reads    writes   wtime    wlentime wupdate  rtime    rlentime rupdate  wcnt     rcnt\n1884160  3206144  22       132      7155162  104112268 79210489694949 24168078 104112268 79210489849220 0        0\n",
                ),
            ),
            (
                "proc/spl/kstat/zfs/pool1/objset-1",
                Some(
                    "23 1 0x01 7 2160 221578688875 6665999035587\nname type data\ndataset_name 7 pool1\nwrites 4 7\nnread 4 7\n",
                ),
            ),
            ("proc/spl/kstat/zfs/pool1/state", Some("ONLINE\n")),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["btrfs"],
        flags: &[],
        files: &[
            ("sys/fs/btrfs/0abb23a9-579b-43e6-ad30-227ef47fcb9d/label", Some("fixture\n")),
            (
                "sys/fs/btrfs/0abb23a9-579b-43e6-ad30-227ef47fcb9d/commit_stats",
                Some("commits 258051\nlast_commit_ms 1000\nmax_commit_ms 51462\ntotal_commit_ms 47836090\n"),
            ),
            ("sys/fs/btrfs/0abb23a9-579b-43e6-ad30-227ef47fcb9d/devices/loop25/size", Some("20971520\n")),
            (
                "sys/fs/btrfs/0abb23a9-579b-43e6-ad30-227ef47fcb9d/allocation/global_rsv_size",
                Some("16777216\n"),
            ),
            ("sys/fs/btrfs/0abb23a9-579b-43e6-ad30-227ef47fcb9d/allocation/data/bytes_reserved", Some("0\n")),
            (
                "sys/fs/btrfs/0abb23a9-579b-43e6-ad30-227ef47fcb9d/allocation/data/raid0/total_bytes",
                Some("2147483648\n"),
            ),
            (
                "sys/fs/btrfs/0abb23a9-579b-43e6-ad30-227ef47fcb9d/allocation/data/raid0/used_bytes",
                Some("808189952\n"),
            ),
            (
                "sys/fs/btrfs/0abb23a9-579b-43e6-ad30-227ef47fcb9d/allocation/metadata/bytes_reserved",
                Some("0\n"),
            ),
            (
                "sys/fs/btrfs/0abb23a9-579b-43e6-ad30-227ef47fcb9d/allocation/system/bytes_reserved",
                Some("0\n"),
            ),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["bcache"],
        flags: &["--collector.bcache.priorityStats"],
        files: &[
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/average_key_size", Some("0\n")),
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/btree_cache_size", Some("1.5k\n")),
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/cache_available_percent", Some("100\n")),
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/congested", Some("0\n")),
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/root_usage_percent", Some("0\n")),
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/tree_depth", Some("0\n")),
            (
                "sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/internal/active_journal_entries",
                Some("1\n"),
            ),
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/internal/btree_nodes", Some("0\n")),
            (
                "sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/internal/btree_read_average_duration_us",
                Some("1305\n"),
            ),
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/internal/cache_read_races", Some("0\n")),
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/bdev0/dirty_data", Some("1.2G\n")),
            (
                "sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/bdev0/writeback_rate_debug",
                Some(
                    "rate:\t\t1.1M/sec\ndirty:\t\t20.4G\ntarget:\t\t20.4G\nproportional:\t427.5k\nintegral:\t790.0k\nchange:\t\t321.5k/sec\nnext io:\t17ms\n",
                ),
            ),
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/bdev0/stats_total/bypassed", Some("0\n")),
            (
                "sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/bdev0/stats_total/cache_bypass_hits",
                Some("0\n"),
            ),
            (
                "sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/bdev0/stats_total/cache_bypass_misses",
                Some("0\n"),
            ),
            (
                "sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/bdev0/stats_total/cache_hits",
                Some("546\n"),
            ),
            (
                "sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/bdev0/stats_total/cache_miss_collisions",
                Some("0\n"),
            ),
            (
                "sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/bdev0/stats_total/cache_misses",
                Some("0\n"),
            ),
            (
                "sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/bdev0/stats_total/cache_readaheads",
                Some("0\n"),
            ),
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/cache0/io_errors", Some("0\n")),
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/cache0/metadata_written", Some("512\n")),
            ("sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/cache0/written", Some("0\n")),
            (
                "sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/cache0/priority_stats",
                Some(
                    "Unused:\t\t99%\nMetadata:\t0%\nAverage:\t10473\nSectors per Q:\t64\nQuantiles:\t[0 0 20946]\n",
                ),
            ),
        ],
        forgets: true,
    },
    &Case {
        collectors: &["bcachefs"],
        flags: &[],
        files: &[
            ("sys/fs/bcachefs/deadbeef-1234-5678-9012-abcdefabcdef/btree_cache_size", Some("1.2G\n")),
            (
                "sys/fs/bcachefs/deadbeef-1234-5678-9012-abcdefabcdef/btree_write_stats",
                Some(
                    "                   nr        size\ninitial:           3298401   100k\ninterior:          3035363   1.26k\n",
                ),
            ),
            (
                "sys/fs/bcachefs/deadbeef-1234-5678-9012-abcdefabcdef/compression_stats",
                Some(
                    "typetype          compressed    uncompressed     average extent size\nlz4                    48.9G           71.2G                   62.5k\n",
                ),
            ),
            (
                "sys/fs/bcachefs/deadbeef-1234-5678-9012-abcdefabcdef/counters/btree_cache_reap",
                Some("since mount:                   10555604\nsince filesystem creation:     69068459\n"),
            ),
            (
                "sys/fs/bcachefs/deadbeef-1234-5678-9012-abcdefabcdef/errors",
                Some("bset_bad_csum                                   2       1767112063\n"),
            ),
            ("sys/fs/bcachefs/deadbeef-1234-5678-9012-abcdefabcdef/dev-10/label", Some("hdd.1\n")),
            ("sys/fs/bcachefs/deadbeef-1234-5678-9012-abcdefabcdef/dev-10/state", Some("rw\n")),
            ("sys/fs/bcachefs/deadbeef-1234-5678-9012-abcdefabcdef/dev-10/bucket_size", Some("256k\n")),
            ("sys/fs/bcachefs/deadbeef-1234-5678-9012-abcdefabcdef/dev-10/nbuckets", Some("976561\n")),
            ("sys/fs/bcachefs/deadbeef-1234-5678-9012-abcdefabcdef/dev-10/durability", Some("1\n")),
            (
                "sys/fs/bcachefs/deadbeef-1234-5678-9012-abcdefabcdef/dev-10/io_done",
                Some("read:\nsb          : 3989504\nbtree       : 5\nwrite:\nuser        : 7\n"),
            ),
            (
                "sys/fs/bcachefs/deadbeef-1234-5678-9012-abcdefabcdef/dev-10/io_errors",
                Some(
                    "IO errors since filesystem creation\n  read:    197346\n  write:   0\n  checksum:0\nIO errors since 8 y ago\n",
                ),
            ),
        ],
        forgets: true,
    },
];
