//! What a cgroup's path says of it: a runtime's container, a pod, a mount.

use crate::source::cgroup::CgroupPath;

const ID_LENGTH: usize = 64;

/// A family of container runtimes. Where two know a container, the first in this order names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Docker.
    Docker,
    /// Podman.
    Podman,
    /// CRI-O.
    Crio,
    /// containerd.
    Containerd,
}

/// A container's path, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape<'a> {
    /// The runtime's id.
    pub id: &'a str,
    /// Who may know it.
    pub kinds: &'static [Kind],
    /// The user whose own runtime made it; none for root's.
    pub user: Option<u32>,
}

/// A container's cgroup: the last element holds 64 letters and digits in a row. Mounts and the monitors that stand
/// beside containers are none.
pub fn container(path: &CgroupPath) -> Option<Shape<'_>> {
    let name = path.name();
    let is_part = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let at = name.windows(ID_LENGTH).position(|window| window.iter().all(is_part))?;
    let id = str::from_utf8(name.get(at..at + ID_LENGTH)?).ok()?;
    let before = name.get(..at)?;
    if is_mount(path) || before.ends_with(b"conmon-") {
        return None;
    }
    let kinds: &[Kind] = match before {
        b"docker-" => &[Kind::Docker],
        b"libpod-" => &[Kind::Podman, Kind::Docker],
        b"crio-" => &[Kind::Crio],
        b"cri-containerd-" | b"nerdctl-" => &[Kind::Containerd],
        _ => &[Kind::Docker, Kind::Containerd],
    };
    Some(Shape { id, kinds, user: user(path) })
}

/// Whether it is a mount unit's cgroup, which holds no task and is not shown.
pub fn is_mount(path: &CgroupPath) -> bool {
    path.name().ends_with(b".mount")
}

/// The pod whose cgroup this is: `/kubepods/burstable/podUID`, `.../kubepods-burstable-podUID.slice`, where systemd
/// wants underscores for the dashes.
pub fn pod_uid(path: &CgroupPath) -> Option<String> {
    let name = str::from_utf8(path.name()).ok()?;
    let uid = match name.strip_suffix(".slice") {
        Some(slice) if slice.starts_with("kubepods") => slice.rsplit_once("-pod")?.1.replace('_', "-"),
        Some(_) => return None,
        None => name.strip_prefix("pod").filter(|_| path.bytes().starts_with(b"/kubepods/"))?.to_owned(),
    };
    (!uid.is_empty()).then_some(uid)
}

/// `/NAMESPACE/ID`, where containerd puts a container that nobody placed elsewhere: `NAMESPACE/ID`.
pub fn namespaced(path: &CgroupPath) -> Option<&str> {
    let relative = str::from_utf8(path.relative()).ok()?;
    let (namespace, id) = relative.split_once('/')?;
    let is_unit = namespace.strip_suffix(".slice").is_some();
    (!is_unit && !id.is_empty() && !id.contains('/')).then_some(relative)
}

/// Whose slice a path lies in.
fn user(path: &CgroupPath) -> Option<u32> {
    let path = str::from_utf8(path.bytes()).ok()?;
    let rest = path.split_once("/user.slice/user-")?.1;
    rest.split_once(".slice")?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn path(text: &str) -> CgroupPath {
        CgroupPath::new(text.as_bytes())
    }

    #[test]
    fn a_runtime_s_id_is_64_letters_and_digits_in_the_last_element() {
        for (text, kinds) in [
            (format!("/docker/{ID}"), &[Kind::Docker, Kind::Containerd][..]),
            (format!("/kubepods/besteffort/pod1/{ID}"), &[Kind::Docker, Kind::Containerd]),
            (format!("/kubepods/pod1/crio-{ID}"), &[Kind::Crio]),
            (format!("/system.slice/docker-{ID}.scope"), &[Kind::Docker]),
            (format!("/system.slice/nerdctl-{ID}.scope"), &[Kind::Containerd]),
            (format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope"), &[Kind::Containerd]),
            (format!("/libpod_parent/libpod-{ID}"), &[Kind::Podman, Kind::Docker]),
        ] {
            assert_eq!(container(&path(&text)), Some(Shape { id: ID, kinds, user: None }), "{text}");
        }
        for text in [
            format!("/system.slice/var-lib-docker-{ID}.mount"),
            format!("/machine.slice/libpod-conmon-{ID}.scope"),
            format!("/system.slice/crio-conmon-{ID}.scope"),
            format!("/machine.slice/libpod-{ID}.scope/container"),
            "/docker/0123".to_owned(),
            format!("/docker/{}", ID.to_uppercase()),
            "/".to_owned(),
        ] {
            assert_eq!(container(&path(&text)), None, "{text}");
        }
    }

    #[test]
    fn a_user_s_own_runtime_is_in_the_user_s_slice() {
        let text = format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope");
        assert_eq!(container(&path(&text)).and_then(|shape| shape.user), Some(1000));
        let text = format!("/user.slice/user-99999999999.slice/libpod-{ID}.scope");
        assert_eq!(container(&path(&text)).and_then(|shape| shape.user), None);
    }

    #[test]
    fn pods_of_both_drivers() {
        let uid = "5a3a9f36-2a3b-4c5d-8e9f-0123456789ab";
        let slice = uid.replace('-', "_");
        for text in [
            format!("/kubepods/burstable/pod{uid}"),
            format!("/kubepods/pod{uid}"),
            format!("/kubepods.slice/kubepods-pod{slice}.slice"),
            format!("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{slice}.slice"),
        ] {
            assert_eq!(pod_uid(&path(&text)).as_deref(), Some(uid), "{text}");
        }
        for text in [
            "/kubepods/burstable",
            "/kubepods.slice/kubepods-burstable.slice",
            "/podman",
            "/kubepods/pod",
            "/",
        ] {
            assert_eq!(pod_uid(&path(text)), None, "{text}");
        }
    }

    #[test]
    fn containerd_s_own_paths_have_two_elements() {
        assert_eq!(namespaced(&path("/default/web")), Some("default/web"));
        for text in ["/", "/default", "/default/web/x", "/system.slice/web.service"] {
            assert_eq!(namespaced(&path(text)), None, "{text}");
        }
    }
}
