//! Which collectors a request asks for.

use crate::node;

/// A set of collectors: bit i of `node` is [`node::COLLECTORS`]`[i]`, bit i of `container` the i-th group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Node collectors.
    pub node: u128,
    /// Container groups.
    pub container: u32,
}

impl Selection {
    const NONE: Self = Self { node: 0, container: 0 };

    /// From `collect[]` and `exclude[]`, among those that are enabled. `container` means every group of `groups`,
    /// `container.cpu` the one of that name.
    ///
    /// # Errors
    /// The text of the answer 400.
    pub fn new(
        enabled: Self,
        groups: &[&str],
        collect: &[String],
        exclude: &[String],
    ) -> Result<Self, String> {
        if !collect.is_empty() && !exclude.is_empty() {
            return Err("Combined collect and exclude queries are not allowed.".into());
        }
        if collect.is_empty() {
            let out =
                exclude.iter().filter_map(|name| Self::named(groups, name)).fold(Self::NONE, Self::with);
            return Ok(Self {
                node: enabled.node & !out.node,
                container: enabled.container & !out.container,
            });
        }
        collect.iter().try_fold(Self::NONE, |chosen, name| {
            let named = Self::named(groups, name).ok_or_else(|| unusable("missing", name))?;
            let on = Self { node: named.node & enabled.node, container: named.container & enabled.container };
            if on == Self::NONE { Err(unusable("disabled", name)) } else { Ok(chosen.with(on)) }
        })
    }

    fn with(self, other: Self) -> Self {
        Self { node: self.node | other.node, container: self.container | other.container }
    }

    fn named(groups: &[&str], name: &str) -> Option<Self> {
        if name == "container" {
            return Some(Self { node: 0, container: u32::MAX });
        }
        if let Some(group) = name.strip_prefix("container.") {
            let index = groups.iter().position(|known| *known == group)?;
            return Some(Self { node: 0, container: 1 << index });
        }
        let index = node::COLLECTORS.iter().position(|known| known.name == name)?;
        Some(Self { node: 1 << index, container: 0 })
    }
}

fn unusable(how: &str, name: &str) -> String {
    format!("Couldn't create filtered metrics handler: couldn't create collector: {how} collector: {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUPS: &[&str] = &["cpu", "memory"];

    fn select(enabled: Selection, collect: &[&str], exclude: &[&str]) -> Result<Selection, String> {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        Selection::new(enabled, GROUPS, &owned(collect), &owned(exclude))
    }

    #[test]
    fn queries_choose_among_what_is_enabled() {
        let loadavg =
            1 << node::COLLECTORS.iter().position(|known| known.name == "loadavg").expect("is listed");
        let all = Selection { node: u128::MAX, container: 0b11 };
        assert_eq!(select(all, &[], &[]), Ok(all));
        assert_eq!(select(all, &["loadavg"], &[]), Ok(Selection { node: loadavg, container: 0 }));
        assert_eq!(select(all, &["container"], &[]), Ok(Selection { node: 0, container: 0b11 }));
        assert_eq!(select(all, &["container.memory"], &[]), Ok(Selection { node: 0, container: 0b10 }));
        let without = Selection { node: !loadavg, container: 0b10 };
        assert_eq!(select(all, &[], &["loadavg", "container.cpu", "unknown"]), Ok(without));
    }

    #[test]
    fn unknown_and_disabled_names_are_refused() {
        let none = Selection { node: 0, container: 0 };
        for (collect, word) in
            [("nonsense", "missing"), ("loadavg", "disabled"), ("container.nonsense", "missing")]
        {
            let text = select(none, &[collect], &[]).expect_err(collect);
            assert!(text.ends_with(&format!("{word} collector: {collect}")), "{text}");
        }
        assert!(select(none, &["loadavg"], &["loadavg"]).is_err());
    }
}
