//! The name that a person probably meant.

/// The candidate that `name` resembles most, if any is close enough to be worth asking about.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_closest_or_none() {
        let names = ["sys_enter_openat", "sys_enter_open", "sys_exit_open"];
        assert_eq!(nearest("sys_enter_opena", names), Some("sys_enter_openat"));
        assert_eq!(nearest("sys_enter_opne", names), Some("sys_enter_open"));
        assert_eq!(nearest("kfree", names), None);
    }
}
