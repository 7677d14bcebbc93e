//! Who a cgroup is: the runtime's id in its name, and the labels that every one of its series bears.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{
    metric::{Labels, label_name},
    source::{cgroup::CgroupPath, runtime::Metadata},
};

const ID_LENGTH: usize = 64;

/// The id in the last element of a container's path: 64 letters and digits in a row. Mounts are no containers.
pub fn runtime_id(path: &CgroupPath) -> Option<&str> {
    if is_mount(path) {
        return None;
    }
    let name = path.name();
    let is_part = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let id = name.windows(ID_LENGTH).find(|window| window.iter().all(is_part))?;
    str::from_utf8(id).ok()
}

/// Whether it is a mount unit's cgroup, which holds no task and is not shown.
pub fn is_mount(path: &CgroupPath) -> bool {
    path.name().ends_with(b".mount")
}

/// The labels of a cgroup. Empty ones are left out: to Prometheus they are the same as none.
///
/// Two keys of a runtime that make one label name: the one that sorts first gives its value, always.
pub fn labels(path: &CgroupPath, known: Option<&Metadata>) -> Labels {
    let mut labels = Labels::default();
    if let Some(known) = known {
        for (name, value) in runtime_labels(known) {
            labels.push(&name, value.as_bytes());
        }
    }
    labels.push("id", &distinct(path.bytes()));
    for (name, value) in known.iter().flat_map(|known| [("image", &known.image), ("name", &known.name)]) {
        if !value.is_empty() {
            labels.push(name, value.as_bytes());
        }
    }
    labels
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

fn runtime_labels(known: &Metadata) -> BTreeMap<String, String> {
    let mut sorted: Vec<_> = known.labels.iter().collect();
    sorted.sort();
    let mut named = BTreeMap::new();
    for (key, value) in sorted {
        named.entry(label_name("container_label_", key)).or_insert_with(|| value.clone());
    }
    if known.restart_count > 0 {
        named.insert("container_label_restartcount".to_owned(), known.restart_count.to_string());
    }
    named.retain(|_, value| !value.is_empty());
    named
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::runtime::{NetworkMode, Status};

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn nobody() -> Metadata {
        Metadata {
            id: ID.to_owned(),
            name: String::new(),
            image: String::new(),
            labels: Vec::new(),
            pid: None,
            network: NetworkMode::Own,
            created: None,
            started: None,
            restart_count: 0,
            health: None,
            status: Status::Running,
        }
    }

    fn text(labels: &Labels) -> &str {
        str::from_utf8(labels.text()).unwrap_or_default()
    }

    #[test]
    fn a_runtime_s_id_is_64_letters_and_digits_in_the_last_element() {
        for (path, found) in [
            (format!("/docker/{ID}"), true),
            (format!("/system.slice/docker-{ID}.scope"), true),
            (format!("/libpod_parent/libpod-{ID}"), true),
            (format!("/system.slice/var-lib-docker-{ID}.mount"), false),
            (format!("/docker/{ID}/child"), false),
            ("/docker/0123".to_owned(), false),
            (format!("/docker/{}", ID.to_uppercase()), false),
            ("/".to_owned(), false),
        ] {
            assert_eq!(runtime_id(&CgroupPath::new(path.as_bytes())).is_some(), found, "{path}");
        }
        assert_eq!(runtime_id(&CgroupPath::new(format!("/docker/{ID}").as_bytes())), Some(ID));
    }

    #[test]
    fn a_plain_cgroup_has_its_id_alone() {
        assert_eq!(text(&labels(&CgroupPath::new(b"/a\"b"), None)), r#"id="/a\"b""#);
        assert_eq!(text(&labels(&CgroupPath::new(b"/a"), Some(&nobody()))), r#"id="/a""#);
    }

    #[test]
    fn names_that_are_no_utf_8_stay_apart() {
        let shown = |name| text(&labels(&CgroupPath::new(name), None)).to_owned();
        assert_eq!(shown(b"/a\xff"), r#"id="/a//xff""#);
        assert_eq!(shown(b"/a\xfe\xffb"), r#"id="/a//xfe//xffb""#);
        assert_eq!(shown("/ü\\xff".as_bytes()), r#"id="/ü\\xff""#);
    }

    #[test]
    fn of_two_keys_that_become_one_the_first_wins_in_any_order() {
        let labels_of =
            |pairs: [(&str, &str); 3]| pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        let mut known = Metadata {
            name: "web".to_owned(),
            image: "nginx:1".to_owned(),
            labels: labels_of([("com.example/x", "slash"), ("com.example.x", "dot"), ("empty", "")]),
            restart_count: 2,
            ..nobody()
        };
        let expected = r#"container_label_com_example_x="dot",container_label_restartcount="2",id="/a",image="nginx:1",name="web""#;
        assert_eq!(text(&labels(&CgroupPath::new(b"/a"), Some(&known))), expected);
        known.labels.reverse();
        assert_eq!(text(&labels(&CgroupPath::new(b"/a"), Some(&known))), expected);
    }
}
