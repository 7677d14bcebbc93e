//! The names of containers: what a runtime's answer changes.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{
    entry::Entry,
    identity::{Pod, Rules},
    network::Network,
    roster::Roster,
    runtimes::{Runtimes, Source},
    shape::{self, Kind},
};
use crate::{
    config::LabelStyle,
    source::{
        cgroup::CgroupPath,
        runtime::{Answer, Metadata, NetworkMode, Status},
    },
};

/// How long a container is held back while its runtime is asked for its name: a series that changed its labels
/// would be another one.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pods that are kept in mind.
const MOST_PODS: usize = 10_000;

/// Containers that are kept in mind because their cgroup's name is not their id.
const MOST_PLACED: usize = 10_000;

/// Who has which name.
#[derive(Debug)]
pub struct Names {
    rules: Rules,
    /// None: nobody is asked.
    runtimes: Option<Runtimes>,
    /// By their uid, in the style that shows them.
    pods: HashMap<String, Pod>,
    /// By their cgroup: whom to ask for containers whose path has no id, and for what.
    placed: HashMap<CgroupPath, (Kind, String)>,
    /// Until when any path may be that of a container that was there before us.
    settled: Instant,
}

impl Names {
    /// Knows nobody yet. `runtimes`: who is asked.
    pub fn new(rules: Rules, runtimes: Option<Runtimes>) -> Self {
        Self {
            rules,
            runtimes,
            pods: HashMap::new(),
            placed: HashMap::new(),
            settled: Instant::now() + PATIENCE,
        }
    }

    /// Labels a cgroup that is new, and asks who it is if it looks like a container.
    pub fn introduce(&mut self, entry: &mut Entry, now: Instant) {
        entry.is_hidden = self.rules.hide(&entry.path, false);
        entry.asked = self.ask(&entry.path);
        let mut is_held = entry.asked > 0;
        if self.rules.style == LabelStyle::Kubelet
            && let Some(uid) = shape::pod_uid(&entry.path)
        {
            match self.pods.get(&uid) {
                Some(pod) => entry.labels = self.rules.of_pod(&entry.path, pod),
                None => is_held = true,
            }
        }
        entry.waits_until = is_held.then(|| now + PATIENCE);
    }

    /// Asks who a cgroup is, if it may be a container's; gives how many answers may come.
    pub fn ask(&mut self, path: &CgroupPath) -> usize {
        let Some(runtimes) = &mut self.runtimes else { return 0 };
        if let Some(shape) = shape::container(path) {
            return runtimes.ask(&shape);
        }
        if let Some((kind, key)) = self.placed.get(path) {
            return runtimes.ask_one(*kind, None, key);
        }
        let is_early = Instant::now() < self.settled;
        let key = shape::namespaced(path).filter(|_| is_early);
        key.map_or(0, |key| runtimes.ask_one(Kind::Containerd, None, key))
    }

    /// Forgets a cgroup that is gone.
    pub fn forget(&mut self, path: &CgroupPath) {
        if let Some(uid) = shape::pod_uid(path) {
            self.pods.remove(&uid);
        }
    }

    /// Takes in what a runtime says.
    pub fn take(&mut self, source: Source, answer: Answer, roster: &mut Roster) {
        let kind = source.kind;
        match answer {
            Answer::Is(known) => {
                if source.user.is_none() {
                    self.take_pod(&known, roster);
                    self.take_place(&known, kind);
                }
                for entry in roster.all_mut().filter(|entry| is_of(entry, &known, source)) {
                    self.name(entry, &known, kind);
                }
            }
            Answer::Unknown { id } => {
                let is_it = |entry: &&mut Entry| self.key_of(&entry.path) == Some(&id);
                for entry in roster.all_mut().filter(is_it) {
                    entry.asked = entry.asked.saturating_sub(1);
                    if entry.asked == 0 {
                        entry.waits_until = None;
                    }
                }
            }
            // Its cgroup went before it, or goes soon; that is told by other means.
            Answer::Gone { id } => self.placed.retain(|_, (known_to, key)| *known_to != kind || *key != id),
        }
    }

    /// What a runtime was asked for to name this cgroup.
    fn key_of<'a>(&'a self, path: &'a CgroupPath) -> Option<&'a str> {
        let of_shape = shape::container(path).map(|shape| shape.id);
        let of_place = || self.placed.get(path).map(|(_, key)| key.as_str());
        of_shape.or_else(of_place).or_else(|| shape::namespaced(path))
    }

    /// A container may live in a cgroup whose name is not its id.
    fn take_place(&mut self, known: &Metadata, kind: Kind) {
        let Some(path) = known.cgroup.as_ref().map(|path| CgroupPath::new(path.as_bytes())) else { return };
        if shape::container(&path).is_none() && self.placed.len() < MOST_PLACED {
            self.placed.insert(path, (kind, known.key.clone()));
        }
    }

    fn name(&self, entry: &mut Entry, known: &Metadata, kind: Kind) {
        // What a dead one used stays under the labels that it had: news may be of the container's next run.
        if entry.named_by.is_some_and(|other| other < kind || entry.died.is_some()) {
            return;
        }
        entry.named_by = Some(kind);
        entry.is_hidden = self.rules.hide(&entry.path, true);
        let ended =
            (entry.died.is_some() && known.status == Status::Restarting).then(|| before_restart(known));
        entry.labels = self.rules.of_container(&entry.path, ended.as_ref().unwrap_or(known), kind);
        entry.waits_until = None;
        entry.health = known.health;
        if let Some(created) = known.created {
            entry.made = whole(created);
        }
        if let Some(started) = known.started {
            entry.started = whole(started);
        }
        entry.pid = known.pid;
        entry.network = match (&known.network, known.pid) {
            (NetworkMode::Host, _) => Network::Host,
            (NetworkMode::Container(_), _) => Network::Joined,
            (NetworkMode::Own | NetworkMode::None, Some(pid)) => Network::Own { pid },
            (NetworkMode::Own | NetworkMode::None, None) => Network::Unknown,
        };
    }

    /// A container tells the name of its pod, whose own cgroup no runtime speaks of.
    fn take_pod(&mut self, known: &Metadata, roster: &mut Roster) {
        if self.rules.style != LabelStyle::Kubelet {
            return;
        }
        let Some((uid, pod)) = Pod::of(known) else { return };
        if self.pods.get(uid) == Some(&pod) || (self.pods.len() >= MOST_PODS && !self.pods.contains_key(uid))
        {
            return;
        }
        for entry in
            roster.living.values_mut().filter(|entry| shape::pod_uid(&entry.path).as_deref() == Some(uid))
        {
            entry.labels = self.rules.of_pod(&entry.path, &pod);
            entry.waits_until = None;
        }
        self.pods.insert(uid.to_owned(), pod);
    }
}

/// A container as it was in the run that ended: the restart to come is counted already.
fn before_restart(known: &Metadata) -> Metadata {
    Metadata { restart_count: known.restart_count.saturating_sub(1), ..known.clone() }
}

/// Whether a cgroup, dead or alive, is that of a container. An answer comes a few times in a container's life.
fn is_of(entry: &Entry, known: &Metadata, source: Source) -> bool {
    match shape::container(&entry.path) {
        Some(shape) => shape.id == known.id && shape.user == source.user,
        None => {
            source.user.is_none()
                && known.cgroup.as_deref().is_some_and(|path| path.as_bytes() == entry.path.bytes())
        }
    }
}

/// Whole seconds, as the reference shows them.
#[expect(clippy::cast_possible_truncation, reason = "a moment that is out of range stays at the range's end")]
fn whole(seconds: f64) -> i64 {
    seconds.floor() as i64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::source::runtime::Keep;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const POD: [(&str, &str); 3] = [
        ("io.kubernetes.pod.name", "web-1"),
        ("io.kubernetes.pod.namespace", "shop"),
        ("io.kubernetes.pod.uid", "1-2"),
    ];

    fn names(style: LabelStyle) -> Names {
        let keep = Arc::new(Keep::default());
        Names::new(Rules { style, keep, runtimes_only: false, prefixes: Vec::new(), root: true }, None)
    }

    fn roster(paths: &[&str], names: &mut Names) -> Roster {
        let mut roster = Roster::new(Duration::ZERO);
        for path in paths {
            let mut entry = Entry::new(CgroupPath::new(path.as_bytes()), Default::default());
            names.introduce(&mut entry, Instant::now());
            roster.insert(entry);
        }
        roster
    }

    fn shown(roster: &Roster, path: &str) -> String {
        let entry = roster.living.get(&CgroupPath::new(path.as_bytes())).expect("is there");
        String::from_utf8_lossy(entry.labels.text()).into_owned()
    }

    fn named(name: &str) -> Metadata {
        Metadata { name: name.to_owned(), ..Metadata::of(ID) }
    }

    #[test]
    fn a_user_s_runtime_names_what_is_the_user_s_alone() {
        let of_root = format!("/machine.slice/libpod-{ID}.scope");
        let of_user = format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope");
        let mut names = names(LabelStyle::Cadvisor);
        let mut roster = roster(&[&of_root, &of_user, "/default/db"], &mut names);
        let user = Source { kind: Kind::Podman, user: Some(1000) };
        let placed = Metadata { cgroup: Some("/default/db".to_owned()), ..named("mine") };
        names.take(user, Answer::Is(Box::new(placed)), &mut roster);
        assert_eq!(shown(&roster, &of_user), format!(r#"id="{of_user}",name="mine""#));
        assert_eq!(shown(&roster, &of_root), format!(r#"id="{of_root}""#));
        assert_eq!(shown(&roster, "/default/db"), r#"id="/default/db""#);

        let root = Source { kind: Kind::Podman, user: None };
        names.take(root, Answer::Is(Box::new(named("theirs"))), &mut roster);
        assert!(shown(&roster, &of_user).contains("mine") && shown(&roster, &of_root).contains("theirs"));
    }

    #[test]
    fn docker_s_word_stands_above_containerd_s() {
        let path = format!("/docker/{ID}");
        let mut names = names(LabelStyle::Cadvisor);
        let mut roster = roster(&[&path], &mut names);
        for (kind, name) in [(Kind::Containerd, "id"), (Kind::Docker, "web"), (Kind::Containerd, "id")] {
            names.take(Source { kind, user: None }, Answer::Is(Box::new(named(name))), &mut roster);
        }
        assert!(shown(&roster, &path).contains(r#"name="web""#), "{}", shown(&roster, &path));
    }

    #[test]
    fn a_pod_s_cgroup_waits_for_its_name_and_loses_it_with_its_life() {
        let (pod, container) = ("/kubepods/pod1-2", format!("/kubepods/pod1-2/{ID}"));
        let mut names = names(LabelStyle::Kubelet);
        let mut roster = roster(&[pod, &container], &mut names);
        let path = CgroupPath::new(pod.as_bytes());
        assert!(roster.living.get(&path).is_some_and(|entry| entry.waits_until.is_some()));
        let labels = POD.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        let known = Metadata { labels, ..named("c") };
        names.take(Source { kind: Kind::Containerd, user: None }, Answer::Is(Box::new(known)), &mut roster);
        assert_eq!(shown(&roster, pod), format!(r#"id="{pod}",namespace="shop",pod="web-1""#));
        assert!(roster.living.get(&path).is_some_and(|entry| entry.waits_until.is_none()));
        names.forget(&path);
        assert!(names.pods.is_empty());
    }

    #[test]
    fn a_run_that_ended_has_its_own_number_of_restarts() {
        let path = CgroupPath::new(format!("/docker/{ID}").as_bytes());
        let docker = Source { kind: Kind::Docker, user: None };
        let known = |restart_count| {
            let status = Status::Restarting;
            Answer::Is(Box::new(Metadata { restart_count, status, ..Metadata::of(ID) }))
        };
        let labels = |roster: &mut Roster| -> Vec<String> {
            roster.all_mut().map(|entry| String::from_utf8_lossy(entry.labels.text()).into_owned()).collect()
        };
        let mut names = names(LabelStyle::Cadvisor);
        let mut roster = Roster::new(Duration::from_mins(1));
        let mut entry = Entry::new(path.clone(), Default::default());
        entry.usage.read_file(1, None);
        roster.insert(entry);
        roster.bury(&path, Instant::now());
        let second = [format!(r#"container_label_restartcount="2",id="/docker/{ID}""#)];
        for count in [3, 4] {
            // The first is of this end, the next of a later one.
            names.take(docker, known(count), &mut roster);
            assert_eq!(labels(&mut roster), second);
        }
        roster.insert(Entry::new(path, Default::default()));
        names.take(docker, known(2), &mut roster);
        assert_eq!(labels(&mut roster), second, "a run that begins");
    }
}
