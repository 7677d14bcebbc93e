//! A container's runtime specification, as JSON: where its cgroup is, whose network it uses, its environment.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Most environment variables that are kept of one container.
const ENV_LIMIT: usize = 4096;

/// What a specification says that matters here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Spec {
    /// The cgroup's path within its hierarchy; `None` where it is left to the runtime.
    pub cgroup: Option<String>,
    /// Names and values, in the order given.
    pub env: Vec<(String, String)>,
    /// Whose network namespace.
    pub network: Network,
    /// Of the annotation that Kubernetes sets.
    pub restart_count: Option<u64>,
    /// The pod that containerd's CRI made the container for.
    pub sandbox: Option<String>,
    /// Names of the parts that had a type they should not have.
    pub wrong: Vec<&'static str>,
}

/// Whose network namespace a specification asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Network {
    /// The host's.
    Host,
    /// A new one, or one that was made for it.
    #[default]
    Own,
    /// That of this process.
    Of(u32),
}

// Parts are kept as text and read one by one: one of the wrong type costs itself alone, and nothing is copied.
#[derive(Deserialize)]
struct Top<'a> {
    #[serde(borrow, default)]
    process: Option<&'a RawValue>,
    #[serde(borrow, default)]
    linux: Option<&'a RawValue>,
    #[serde(borrow, default)]
    annotations: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Process<'a> {
    #[serde(borrow, default)]
    env: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Linux<'a> {
    #[serde(borrow, default, rename = "cgroupsPath")]
    cgroups_path: Option<&'a RawValue>,
    #[serde(borrow, default)]
    namespaces: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Namespace {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    path: String,
}

#[derive(Deserialize)]
struct Annotations<'a> {
    #[serde(borrow, default, rename = "io.kubernetes.container.restartCount")]
    restart_count: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "io.kubernetes.cri.sandbox-id")]
    sandbox: Option<&'a RawValue>,
}

/// Reads a part, noting `name` when it is there and of the wrong type.
fn part<'a, T: Deserialize<'a>>(
    raw: Option<&'a RawValue>,
    name: &'static str,
    wrong: &mut Vec<&'static str>,
) -> Option<T> {
    let read = serde_json::from_str::<Option<T>>(raw?.get());
    if read.is_err() {
        wrong.push(name);
    }
    read.ok().flatten()
}

/// Reads a specification; one that is no JSON object is an empty one with all of it wrong.
pub(super) fn spec(json: &[u8]) -> Spec {
    let Ok(top) = serde_json::from_slice::<Top<'_>>(json) else {
        return Spec { wrong: vec!["spec"], ..Spec::default() };
    };
    let mut wrong = Vec::new();
    let process = part::<Process<'_>>(top.process, "process", &mut wrong);
    let env = process.and_then(|process| part::<Vec<String>>(process.env, "process.env", &mut wrong));
    let linux = part::<Linux<'_>>(top.linux, "linux", &mut wrong);
    let is_linux = linux.is_some();
    let (path, namespaces) = linux.map(|linux| (linux.cgroups_path, linux.namespaces)).unwrap_or_default();
    let path = part::<String>(path, "linux.cgroupsPath", &mut wrong);
    // Without a list of namespaces all are the host's; one that cannot be read says nothing.
    let network = match namespaces {
        None if is_linux => Network::Host,
        namespaces => part::<Vec<Namespace>>(namespaces, "linux.namespaces", &mut wrong)
            .map(|namespaces| network(&namespaces))
            .unwrap_or_default(),
    };
    let annotations = part::<Annotations<'_>>(top.annotations, "annotations", &mut wrong);
    let (count, sandbox) = annotations.map(|found| (found.restart_count, found.sandbox)).unwrap_or_default();
    let count = part::<String>(count, "annotations", &mut wrong);
    Spec {
        cgroup: path.as_deref().and_then(cgroup),
        env: env.iter().flatten().take(ENV_LIMIT).filter_map(|text| variable(text)).collect(),
        network,
        restart_count: count.and_then(|count| count.parse().ok()),
        sandbox: part(sandbox, "annotations", &mut wrong),
        wrong,
    }
}

fn variable(text: &str) -> Option<(String, String)> {
    text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
}

fn network(namespaces: &[Namespace]) -> Network {
    let Some(found) = namespaces.iter().find(|namespace| namespace.r#type == "network") else {
        return Network::Host;
    };
    let process = found.path.strip_prefix("/proc/").and_then(|path| path.strip_suffix("/ns/net"));
    match process.and_then(|pid| pid.parse().ok()) {
        Some(1) => Network::Host,
        Some(pid) => Network::Of(pid),
        None => Network::Own,
    }
}

/// The path of a cgroup within its hierarchy, of what a specification says: a path, or `SLICE:PREFIX:NAME` for
/// systemd. `None` where that depends on more than the specification.
fn cgroup(text: &str) -> Option<String> {
    if text.starts_with('/') {
        let steps: Vec<&str> = text.split('/').filter(|step| !matches!(*step, "" | ".")).collect();
        let is_plain = !steps.is_empty() && !steps.contains(&"..");
        return is_plain.then(|| format!("/{}", steps.join("/")));
    }
    let mut parts = text.split(':');
    let (slice, prefix, name) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || name.is_empty() || text.contains('/') {
        return None;
    }
    let slice = slice_path(if slice.is_empty() { "system.slice" } else { slice })?;
    let is_slice = name.strip_suffix(".slice").is_some();
    let unit = if is_slice { name.to_owned() } else { format!("{prefix}-{name}.scope") };
    Some(format!("{slice}/{unit}"))
}

/// `a-b.slice` lies in `a.slice`; `-.slice` is the root.
fn slice_path(slice: &str) -> Option<String> {
    let name = slice.strip_suffix(".slice").filter(|name| !name.is_empty())?;
    if name == "-" {
        return Some(String::new());
    }
    let ends = name.match_indices('-').map(|(at, _)| at).chain([name.len()]);
    let mut path = String::new();
    for end in ends {
        let step = name.get(..end).filter(|step| !step.is_empty() && !step.ends_with('-'))?;
        path.push('/');
        path.push_str(step);
        path.push_str(".slice");
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_specification_is_read() {
        let json = br#"{"ociVersion":"1.0.2","process":{"terminal":false,"env":["PATH=/bin","A=b=c","odd"]},
            "annotations":{"io.kubernetes.container.restartCount":"3","io.kubernetes.cri.sandbox-id":"abc","x":"y"},
            "linux":{"cgroupsPath":"/k8s.io/abc","namespaces":[{"type":"pid"},{"type":"network","path":"/proc/77/ns/net"}]}}"#;
        let spec = spec(json);
        assert_eq!(spec.cgroup.as_deref(), Some("/k8s.io/abc"));
        let owned = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(spec.env, [owned("PATH", "/bin"), owned("A", "b=c")]);
        assert_eq!((spec.network, spec.restart_count), (Network::Of(77), Some(3)));
        assert_eq!((spec.sandbox.as_deref(), spec.wrong.len()), (Some("abc"), 0));
    }

    #[test]
    fn whose_network_it_is() {
        for (linux, expected) in [
            (r#"{"namespaces":[{"type":"pid"}]}"#, Network::Host),
            ("{}", Network::Host),
            (r#"{"namespaces":[{"type":"network"}]}"#, Network::Own),
            (r#"{"namespaces":[{"type":"network","path":"/var/run/netns/cni-1"}]}"#, Network::Own),
            (r#"{"namespaces":[{"type":"network","path":"/proc/1/ns/net"}]}"#, Network::Host),
            (r#"{"namespaces":[{"type":"network","path":"/proc/4294967296/ns/net"}]}"#, Network::Own),
            (r#"{"namespaces":7}"#, Network::Own),
        ] {
            assert_eq!(spec(format!(r#"{{"linux":{linux}}}"#).as_bytes()).network, expected, "{linux}");
        }
        assert_eq!(spec(b"{}").network, Network::Own, "no specification for Linux at all");
    }

    #[test]
    fn cgroup_paths_are_expanded_as_the_runtime_does() {
        for (text, path) in [
            ("/default/web", Some("/default/web")),
            ("/kubepods/burstable/podA//x/", Some("/kubepods/burstable/podA/x")),
            (
                "kubepods-burstable-podA_b.slice:cri-containerd:x",
                Some(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podA_b.slice/cri-containerd-x.scope",
                ),
            ),
            (":nerdctl:x", Some("/system.slice/nerdctl-x.scope")),
            ("-.slice:p:x", Some("/p-x.scope")),
            ("a.slice::b.slice", Some("/a.slice/b.slice")),
            ("relative/path", None),
            ("/a/../b", None),
            ("/", None),
            ("", None),
            ("a:b", None),
            ("a:b:c:d", None),
            ("a:b:c", None),
            ("a--b.slice:p:x", None),
            ("-a.slice:p:x", None),
            (".slice:p:x", None),
            ("a.slice:p:", None),
            ("a.slice:p:../x", None),
        ] {
            assert_eq!(cgroup(text).as_deref(), path, "{text}");
        }
    }

    #[test]
    fn a_part_of_the_wrong_type_costs_that_part_alone() {
        let json =
            br#"{"process":{"env":[7]},"annotations":7,"linux":{"cgroupsPath":"/a/b","namespaces":null}}"#;
        let spec = spec(json);
        assert_eq!(spec.wrong, ["process.env", "annotations"]);
        assert_eq!(spec.cgroup.as_deref(), Some("/a/b"));
        for json in [&b""[..], b"7", b"{", b"\xff", b"{\"linux\":{\"cgroupsPath\":\"\xff\"}}"] {
            assert_eq!(super::spec(json).wrong, ["spec"], "{json:?}");
        }
        assert_eq!(super::spec(b"null").wrong, ["spec"]);
        assert_eq!(super::spec(br#"{"process":null,"linux":null}"#), Spec::default());
        let nested = "[".repeat(100_000);
        assert_eq!(super::spec(format!(r#"{{"linux":{nested}"#).as_bytes()).wrong, ["spec"]);
    }
}
