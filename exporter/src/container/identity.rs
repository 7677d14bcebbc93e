//! Who a cgroup is to the reader of a page: the labels that all its series bear, and whether it has any.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use super::shape::{self, Kind};
use crate::{
    config::{ContainerSettings, LabelStyle},
    metric::{Labels, label_name},
    source::{
        cgroup::CgroupPath,
        runtime::{Keep, Metadata},
    },
};

/// What is shown, and how.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whose labels are written.
    pub style: LabelStyle,
    /// Which of a container's labels and variables are.
    pub keep: Arc<Keep>,
    /// Only runtimes' containers are shown, and the root.
    pub runtimes_only: bool,
    /// Of other cgroups only those whose paths begin so, and the root; empty for all.
    pub prefixes: Vec<String>,
    /// Whether the root is shown.
    pub root: bool,
}

/// A pod, as its containers' labels tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
}

const CONTAINER_NAME: &str = "io.kubernetes.container.name";
const POD_NAME: &str = "io.kubernetes.pod.name";
const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
const POD_UID: &str = "io.kubernetes.pod.uid";

impl Pod {
    /// The pod of a container, with its uid; none outside of Kubernetes.
    pub fn of(known: &Metadata) -> Option<(&str, Self)> {
        let name = label(known, POD_NAME)?.to_owned();
        let namespace = label(known, POD_NAMESPACE)?.to_owned();
        Some((label(known, POD_UID)?, Self { name, namespace }))
    }
}

impl Rules {
    /// As the flags say.
    pub fn new(settings: &ContainerSettings) -> Self {
        Self {
            style: settings.labels,
            keep: Arc::new(settings.keep.clone()),
            runtimes_only: settings.docker_only,
            prefixes: settings.raw_prefixes.clone(),
            root: settings.root_stats,
        }
    }

    /// Whether a cgroup is left out. `is_named`: a runtime knows it.
    pub fn hide(&self, path: &CgroupPath, is_named: bool) -> bool {
        if path.is_root() {
            return !self.root;
        }
        let is_wanted = if self.prefixes.is_empty() {
            !self.runtimes_only
        } else {
            self.prefixes.iter().any(|prefix| path.bytes().starts_with(prefix.as_bytes()))
        };
        shape::is_mount(path) || (!is_named && !is_wanted)
    }

    /// The labels of a runtime's container. Empty ones are left out: to Prometheus they are the same as none.
    pub fn of_container(&self, path: &CgroupPath, known: &Metadata, kind: Kind) -> Labels {
        let mut labels = match self.style {
            LabelStyle::Cadvisor => self.runtime_labels(known, kind),
            LabelStyle::Kubelet => kubelet_labels(known),
        };
        labels.insert("image".to_owned(), known.image.clone());
        labels.insert("name".to_owned(), known.name.clone());
        sorted(path, &labels)
    }

    /// The labels of a pod's own cgroup.
    pub fn of_pod(&self, path: &CgroupPath, pod: &Pod) -> Labels {
        if self.style == LabelStyle::Cadvisor {
            return of_plain(path);
        }
        let pairs = [("namespace", &pod.namespace), ("pod", &pod.name)];
        sorted(path, &pairs.map(|(name, value)| (name.to_owned(), value.clone())).into())
    }

    /// Two keys of a runtime that make one label name: the one that sorts first gives its value, always.
    fn runtime_labels(&self, known: &Metadata, kind: Kind) -> BTreeMap<String, String> {
        let mut named = BTreeMap::new();
        let mut add = |prefix: &str, key: &str, value: &str| {
            if !value.is_empty() {
                named.entry(label_name(prefix, key)).or_insert_with(|| value.to_owned());
            }
        };
        // A label like any other to the flags, and stronger than a container's own of that key.
        if known.restart_count > 0 && kind != Kind::Containerd && self.keep.label("restartcount") {
            add("container_label_", "restartcount", &known.restart_count.to_string());
        }
        let mut pairs: Vec<_> = known.labels.iter().filter(|(key, _)| self.keep.label(key)).collect();
        pairs.sort();
        for (key, value) in pairs {
            add("container_label_", key, value);
        }
        let mut pairs: Vec<_> = known.env.iter().collect();
        pairs.sort();
        for (name, value) in pairs {
            match kind {
                Kind::Docker | Kind::Podman => add("container_env_", &name.to_lowercase(), value),
                Kind::Containerd => add("container_env_", name, value),
                Kind::Crio => {}
            }
        }
        named
    }
}

/// The labels of a cgroup that no runtime made.
pub fn of_plain(path: &CgroupPath) -> Labels {
    Labels::new([("id", distinct(path.bytes()))])
}

fn kubelet_labels(known: &Metadata) -> BTreeMap<String, String> {
    let pairs = [("container", CONTAINER_NAME), ("namespace", POD_NAMESPACE), ("pod", POD_NAME)];
    pairs.map(|(name, key)| (name.to_owned(), label(known, key).unwrap_or_default().to_owned())).into()
}

fn label<'a>(known: &'a Metadata, key: &str) -> Option<&'a str> {
    known.labels.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

fn sorted(path: &CgroupPath, named: &BTreeMap<String, String>) -> Labels {
    let id = distinct(path.bytes());
    let mut pairs: Vec<(&str, &[u8])> = vec![("id", &id)];
    pairs.extend(
        named
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.as_str(), value.as_bytes())),
    );
    pairs.sort_unstable();
    Labels::new(pairs)
}

/// A kernel's name as a label's value. Bytes that are no UTF-8 would all be shown as the same replacement character,
/// and two names as one series: each such byte stands as `//xNN`, for no name holds two slashes in a row.
pub fn distinct(name: &[u8]) -> Cow<'_, [u8]> {
    if str::from_utf8(name).is_ok() {
        return Cow::Borrowed(name);
    }
    let mut text = Vec::with_capacity(name.len() + 5);
    for chunk in name.utf8_chunks() {
        text.extend_from_slice(chunk.valid().as_bytes());
        for byte in chunk.invalid() {
            text.extend_from_slice(format!("//x{byte:02x}").as_bytes());
        }
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(style: LabelStyle) -> Rules {
        let keep = Arc::new(Keep { variables: vec!["APP".to_owned()], ..Keep::default() });
        Rules { style, keep, runtimes_only: false, prefixes: Vec::new(), root: true }
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn text(labels: &Labels) -> &str {
        str::from_utf8(labels.text()).unwrap_or_default()
    }

    fn path(text: &str) -> CgroupPath {
        CgroupPath::new(text.as_bytes())
    }

    fn shown(rules: &Rules, known: &Metadata, kind: Kind) -> String {
        text(&rules.of_container(&path("/a"), known, kind)).to_owned()
    }

    #[test]
    fn a_plain_cgroup_has_its_id_alone() {
        assert_eq!(text(&of_plain(&path("/a\"b"))), r#"id="/a\"b""#);
        for style in [LabelStyle::Cadvisor, LabelStyle::Kubelet] {
            assert_eq!(shown(&rules(style), &Metadata::of("a"), Kind::Docker), r#"id="/a""#);
        }
    }

    #[test]
    fn names_that_are_no_utf_8_stay_apart() {
        let shown = |name| text(&of_plain(&CgroupPath::new(name))).to_owned();
        assert_eq!(shown(b"/a\xff"), r#"id="/a//xff""#);
        assert_eq!(shown(b"/a\xfe\xffb"), r#"id="/a//xfe//xffb""#);
        assert_eq!(shown("/ü\\xff".as_bytes()), r#"id="/ü\\xff""#);
    }

    #[test]
    fn of_two_keys_that_become_one_the_first_wins_in_any_order() {
        let mut known = Metadata {
            name: "web".to_owned(),
            image: "nginx:1".to_owned(),
            labels: pairs(&[("com.example/x", "slash"), ("com.example.x", "dot"), ("empty", "")]),
            restart_count: 2,
            ..Metadata::of("a")
        };
        let expected = r#"container_label_com_example_x="dot",container_label_restartcount="2",id="/a",image="nginx:1",name="web""#;
        assert_eq!(shown(&rules(LabelStyle::Cadvisor), &known, Kind::Docker), expected);
        known.labels.reverse();
        assert_eq!(shown(&rules(LabelStyle::Cadvisor), &known, Kind::Docker), expected);
    }

    #[test]
    fn variables_are_named_as_each_runtime_has_them() {
        let known = Metadata { env: pairs(&[("APP_Mode", "1"), ("app_mode", "2")]), ..Metadata::of("a") };
        let rules = rules(LabelStyle::Cadvisor);
        assert_eq!(shown(&rules, &known, Kind::Podman), r#"container_env_app_mode="1",id="/a""#);
        let both = r#"container_env_APP_Mode="1",container_env_app_mode="2",id="/a""#;
        assert_eq!(shown(&rules, &known, Kind::Containerd), both);
        assert_eq!(shown(&rules, &known, Kind::Crio), r#"id="/a""#);
    }

    #[test]
    fn the_node_agent_s_labels_and_no_others() {
        let labels = [
            ("io.kubernetes.container.name", "c"),
            ("io.kubernetes.pod.name", "p"),
            ("io.kubernetes.pod.namespace", "n"),
            ("io.kubernetes.pod.uid", "u"),
            ("app", "x"),
        ];
        let known = Metadata { name: "id".to_owned(), labels: pairs(&labels), ..Metadata::of("a") };
        let rules = rules(LabelStyle::Kubelet);
        let expected = r#"container="c",id="/a",name="id",namespace="n",pod="p""#;
        assert_eq!(shown(&rules, &known, Kind::Containerd), expected);
        let pod = Pod { name: "p".to_owned(), namespace: "n".to_owned() };
        assert_eq!(Pod::of(&known), Some(("u", pod.clone())));
        assert_eq!(text(&rules.of_pod(&path("/a"), &pod)), r#"id="/a",namespace="n",pod="p""#);
        assert_eq!(Pod::of(&Metadata::of("a")), None);
    }

    #[test]
    fn what_is_left_out() {
        let hides = |rules: &Rules, text: &str, is_named| rules.hide(&path(text), is_named);
        let all = rules(LabelStyle::Cadvisor);
        assert!(
            !hides(&all, "/", false) && !hides(&all, "/a.slice", false) && hides(&all, "/a.mount", false)
        );
        let runtimes = Rules { runtimes_only: true, root: false, ..all.clone() };
        assert!(hides(&runtimes, "/", false) && hides(&runtimes, "/a.slice", false));
        assert!(!hides(&runtimes, "/a.slice", true));
        // A list of beginnings holds with and without the other restriction.
        for runtimes_only in [true, false] {
            let some = Rules { runtimes_only, prefixes: vec!["/a".to_owned()], ..all.clone() };
            assert!(
                !hides(&some, "/", false) && !hides(&some, "/a.slice", false) && hides(&some, "/b", false)
            );
            assert!(!hides(&some, "/b", true));
        }
    }
}
