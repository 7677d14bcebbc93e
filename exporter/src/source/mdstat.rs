//! `/proc/mdstat`: software RAID arrays. (Written for people; the `procfs` crate does not read it.)

use std::collections::HashSet;

use super::text;

/// What an array is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It serves.
    Active,
    /// It is put together, and does not serve.
    Inactive,
    /// A new disk is being filled.
    Recovering,
    /// Its disks are being made alike.
    Resync,
    /// Its disks are being compared.
    Check,
    /// Anything else, such as a change of its shape.
    Other,
}

/// One array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Array<'a> {
    /// Its name, as in /dev.
    pub name: &'a [u8],
    /// What it does.
    pub activity: Activity,
    /// Disks that it is made for.
    pub disks_required: u64,
    /// Disks that serve.
    pub disks_active: u64,
    /// Disks marked as failed.
    pub disks_failed: u64,
    /// Disks that wait.
    pub disks_spare: u64,
    /// Its size, in blocks of 1 KiB.
    pub blocks: u64,
    /// How much of it is in step, in the same blocks.
    pub blocks_synced: u64,
}

/// The arrays, each once, or the line that makes no sense.
///
/// # Errors
/// The line that is not understood.
pub fn arrays(mdstat: &[u8]) -> Result<Vec<Array<'_>>, &[u8]> {
    let lines: Vec<&[u8]> = mdstat.split(|&byte| byte == b'\n').collect();
    let (mut arrays, mut known) = (Vec::new(), HashSet::new());
    for (index, line) in lines.iter().enumerate() {
        let is_head = !line.trim_ascii().is_empty()
            && !line.starts_with(b" ")
            && !line.starts_with(b"\t")
            && !line.starts_with(b"Personalities")
            && !line.starts_with(b"unused");
        if is_head {
            let rest = lines.get(index + 1..).unwrap_or_default();
            let array = array(line, rest).ok_or(*line)?;
            if known.insert(array.name) {
                arrays.push(array);
            }
        }
    }
    Ok(arrays)
}

fn array<'a>(head: &'a [u8], rest: &[&[u8]]) -> Option<Array<'a>> {
    let mut fields = text::fields(head);
    let name = fields.next()?;
    let state = fields.nth(1)?;
    let status = rest.first()?;
    let blocks = text::whole(text::fields(status).next()?)?;
    let (required, active) = disks(head, status)?;
    let mut array = Array {
        name,
        activity: match state {
            b"active" => Activity::Active,
            b"inactive" => Activity::Inactive,
            _ => Activity::Other,
        },
        disks_required: required,
        disks_active: active,
        disks_failed: count(head, b"(F)"),
        disks_spare: count(head, b"(S)"),
        blocks,
        blocks_synced: blocks,
    };
    // A line on its bitmap may stand before the one on what it does.
    let with_bitmap = rest.get(1).is_some_and(|line| has(line, b"bitmap"));
    let work = rest.get(if with_bitmap { 2 } else { 1 })?;
    let found = [
        (&b"recovery"[..], Activity::Recovering),
        (b"reshape", Activity::Other),
        (b"check", Activity::Check),
        (b"resync", Activity::Resync),
    ];
    if let Some((_, activity)) = found.into_iter().find(|(word, _)| has(work, word)) {
        array.activity = activity;
        let waits = has(work, b"PENDING") || has(work, b"DELAYED");
        array.blocks_synced = if waits { 0 } else { synced(work)? };
    }
    Some(array)
}

/// Disks wanted and disks that serve.
fn disks(head: &[u8], status: &[u8]) -> Option<(u64, u64)> {
    if has(head, b"raid0") || has(head, b"linear") {
        // No disk of these can be missing: each has its number in brackets.
        let all = count(head, b"[");
        return Some((all, all));
    }
    if has(head, b"inactive") {
        return Some((0, 0));
    }
    text::fields(status).find_map(|field| {
        let (wanted, there) = split_once(field.strip_prefix(b"[")?.strip_suffix(b"]")?, b'/')?;
        Some((text::whole(wanted)?, text::whole(there)?))
    })
}

/// The first number of `(16775552/195310144)`.
fn synced(line: &[u8]) -> Option<u64> {
    text::fields(line).find_map(|field| {
        let (done, all) = split_once(field.strip_prefix(b"(")?.strip_suffix(b")")?, b'/')?;
        text::whole(all)?;
        text::whole(done)
    })
}

fn split_once(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = text.iter().position(|&byte| byte == at)?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

fn count(line: &[u8], word: &[u8]) -> u64 {
    line.windows(word.len()).filter(|window| *window == word).count() as u64
}

fn has(line: &[u8], word: &[u8]) -> bool {
    line.windows(word.len()).any(|window| window == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MDSTAT: &[u8] = b"Personalities : [raid1] [raid0]

md6 : active raid1 sdb2[2](F) sdc[1](S) sda2[0]
      195310144 blocks [2/1] [U_]
      [=>...................]  recovery =  8.5% (16775552/195310144) finish=17.0min speed=259783K/sec

md7 : active raid6 sdb1[0] sde1[3] sdd1[2] sdc1[1](F)
      7813735424 blocks super 1.2 level 6, 512k chunk, algorithm 2 [4/3] [U_UU]
      bitmap: 0/30 pages [0KB], 65536KB chunk

md9 : active raid1 sdc2[2] sdd2[3]
      523968 blocks super 1.2 [4/4] [UUUU]
      resync=DELAYED

md10 : active (read-only) raid0 sda1[0] sdb1[1]
       314159265 blocks 64k chunks

md5 : active raid5 sda1[0] sdb1[1]
       100 blocks super 1.2 [3/2] [UU_]
      bitmap: 0/30 pages [0KB], 65536KB chunk
       [>....................]  reshape =  0.0% (1/100) finish=2min speed=1K/sec

md219 : inactive sdb[2](S) sdc[1](S) sda[0](S)
        7932 blocks super external:imsm

unused devices: <none>
";

    #[test]
    fn an_array_that_is_listed_twice_counts_once() {
        let one = "md0 : active raid0 sda1[0]\n      7 blocks\n\n";
        assert_eq!(arrays(format!("{one}{one}").as_bytes()).map(|arrays| arrays.len()), Ok(1));
    }

    #[test]
    fn arrays_are_read_whatever_they_do() {
        let found = arrays(MDSTAT).expect("makes sense");
        let figures: Vec<_> = found
            .iter()
            .map(|a| (a.activity, a.disks_required, a.disks_active, a.disks_failed, a.disks_spare))
            .collect();
        assert_eq!(
            figures,
            [
                (Activity::Recovering, 2, 1, 1, 1),
                (Activity::Active, 4, 3, 1, 0),
                (Activity::Resync, 4, 4, 0, 0),
                (Activity::Active, 2, 2, 0, 0),
                (Activity::Other, 3, 2, 0, 0),
                (Activity::Inactive, 0, 0, 0, 3),
            ]
        );
        let blocks: Vec<_> = found.iter().map(|array| (array.blocks, array.blocks_synced)).collect();
        let whole = |blocks| (blocks, blocks);
        assert_eq!(
            blocks,
            [
                (195_310_144, 16_775_552),
                whole(7_813_735_424),
                (523_968, 0),
                whole(314_159_265),
                (100, 1),
                whole(7932)
            ]
        );
        assert_eq!(found[0].name, b"md6");
    }

    #[test]
    fn no_array_is_no_error() {
        assert_eq!(arrays(b"Personalities : \nunused devices: <none>\n"), Ok(Vec::new()));
        assert_eq!(arrays(b""), Ok(Vec::new()));
    }

    #[test]
    fn what_makes_no_sense_names_its_line() {
        for text in [
            &b"md0"[..],
            b"md0 : active raid1 a[0]",
            b"md0 : active raid1 a[0]\n",
            b"md0 : active raid1 a[0]\n\n\n",
            b"md0 : active raid1 a[0]\n  x blocks [2/1] [U_]\n\n",
            b"md0 : active raid1 a[0]\n  10 blocks [2] [U_]\n\n",
            b"md0 : active raid1 a[0]\n  10 blocks [2/99999999999999999999] [U_]\n\n",
            b"md0 : active raid1 a[0]\n  10 blocks [2/2] [UU]\n  recovery = 8% (1) finish=1\n",
            b"\xff\xfe",
        ] {
            let first = text.split(|&byte| byte == b'\n').next().expect("has a line");
            assert_eq!(arrays(text), Err(first), "{text:?}");
        }
    }
}
