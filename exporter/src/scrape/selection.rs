//! Which collectors a request asks for.

use crate::{config::Part, container::Groups, node};

/// What one scrape gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The part that is served where it was asked.
    pub part: Part,
    /// The collectors.
    pub collectors: Selection,
}

/// A set of collectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Bit i is [`node::COLLECTORS`]`[i]`.
    pub node: u128,
    /// Container groups.
    pub container: Groups,
}

impl Selection {
    const NONE: Self = Self { node: 0, container: Groups::NONE };

    /// Those that belong to this part.
    #[must_use]
    pub const fn within(self, part: Part) -> Self {
        match part {
            Part::All => self,
            Part::Node => Self { container: Groups::NONE, ..self },
            Part::Containers => Self { node: 0, ..self },
        }
    }

    /// From `collect[]` and `exclude[]`, among those that are enabled. `container` means every group, `container.cpu` the
    /// one of that name.
    ///
    /// # Errors
    /// The text of the answer 400.
    pub fn new(enabled: Self, collect: &[String], exclude: &[String]) -> Result<Self, String> {
        if !collect.is_empty() && !exclude.is_empty() {
            return Err("Combined collect and exclude queries are not allowed.".into());
        }
        if collect.is_empty() {
            let out = exclude.iter().filter_map(|name| Self::named(name)).fold(Self::NONE, Self::with);
            return Ok(Self {
                node: enabled.node & !out.node,
                container: enabled.container.without(out.container),
            });
        }
        collect.iter().try_fold(Self::NONE, |chosen, name| {
            let named = Self::named(name).ok_or_else(|| unusable("missing", name))?;
            let on =
                Self { node: named.node & enabled.node, container: named.container.both(enabled.container) };
            if on == Self::NONE { Err(unusable("disabled", name)) } else { Ok(chosen.with(on)) }
        })
    }

    fn with(self, other: Self) -> Self {
        Self { node: self.node | other.node, container: self.container.with(other.container) }
    }

    fn named(name: &str) -> Option<Self> {
        if name == "container" {
            return Some(Self { node: 0, container: Groups::ALL });
        }
        if let Some(group) = name.strip_prefix("container.") {
            return Some(Self { node: 0, container: Groups::named(group)? });
        }
        let index = node::COLLECTORS.iter().position(|known| known.name == name)?;
        Some(Self { node: 1 << index, container: Groups::NONE })
    }
}

fn unusable(how: &str, name: &str) -> String {
    format!("Couldn't create filtered metrics handler: couldn't create collector: {how} collector: {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(enabled: Selection, collect: &[&str], exclude: &[&str]) -> Result<Selection, String> {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        Selection::new(enabled, &owned(collect), &owned(exclude))
    }

    #[test]
    fn queries_choose_among_what_is_enabled() {
        let loadavg =
            1 << node::COLLECTORS.iter().position(|known| known.name == "loadavg").expect("is listed");
        let memory = Groups::named("memory").expect("is listed");
        let all = Selection { node: u128::MAX, container: Groups::ALL };
        assert_eq!(select(all, &[], &[]), Ok(all));
        assert_eq!(select(all, &["loadavg"], &[]), Ok(Selection { node: loadavg, container: Groups::NONE }));
        assert_eq!(select(all, &["container"], &[]), Ok(Selection { node: 0, container: Groups::ALL }));
        assert_eq!(select(all, &["container.memory"], &[]), Ok(Selection { node: 0, container: memory }));
        let without = Selection { node: !loadavg, container: Groups::ALL.without(memory) };
        assert_eq!(select(all, &[], &["loadavg", "container.memory", "unknown"]), Ok(without));
    }

    #[test]
    fn a_part_has_its_own_collectors_alone() {
        let all = Selection { node: u128::MAX, container: Groups::ALL };
        let (node, containers) = (all.within(Part::Node), all.within(Part::Containers));
        assert_eq!(all.within(Part::All), all);
        assert_eq!((node.node, node.container), (u128::MAX, Groups::NONE));
        assert_eq!((containers.node, containers.container), (0, Groups::ALL));
        assert!(select(node, &["container"], &[]).is_err() && select(containers, &["cpu"], &[]).is_err());
        assert_eq!(select(containers, &[], &["cpu"]), Ok(containers));
    }

    #[test]
    fn unknown_and_disabled_names_are_refused() {
        let none = Selection::NONE;
        for (collect, word) in
            [("nonsense", "missing"), ("loadavg", "disabled"), ("container.nonsense", "missing")]
        {
            let text = select(none, &[collect], &[]).expect_err(collect);
            assert!(text.ends_with(&format!("{word} collector: {collect}")), "{text}");
        }
        assert!(select(none, &["loadavg"], &["loadavg"]).is_err());
    }
}
