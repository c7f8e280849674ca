//! Processors as the kernel lists them.

/// Processors that a list may name, as many as the kernel's set has.
const MAX_CPUS: usize = 1024;

/// The numbers of the kernel's form `0-3,8,10-11`; `None` for anything else.
pub(super) fn parse_cpu_list(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= MAX_CPUS {
            return None;
        }
        cpus.extend(first..=last);
        if cpus.len() > MAX_CPUS {
            return None;
        }
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors() {
        for (text, expected) in [
            ("0-3", Some(vec![0, 1, 2, 3])),
            ("0,2-3,7\n", Some(vec![0, 2, 3, 7])),
            ("", Some(vec![])),
            ("3-1", None),
            ("0-99999999999", None),
            ("0-1023,0-1023", None),
            ("a", None),
            ("-1", None),
            ("1-", None),
        ] {
            assert_eq!(parse_cpu_list(text), expected, "{text}");
        }
    }
}
