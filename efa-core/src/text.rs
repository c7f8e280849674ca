//! Text from elsewhere, as it may be shown.

/// Returns the text without characters that drive a terminal: they are shown as `\\u{1b}`, not
/// sent.
///
/// Those of C0 and C1, and those that turn the direction of writing.
///
/// # Examples
/// ```
/// use efa_core::text::plain;
///
/// assert_eq!(plain("node-1"), "node-1");
/// assert_eq!(plain("\u{1b}[31mred"), "\\u{1b}[31mred");
/// ```
#[must_use]
pub fn plain(text: &str) -> String {
    if is_printable_ascii(text) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// The same of a text that nobody else needs.
pub(crate) fn into_plain(text: String) -> String {
    if is_printable_ascii(&text) {
        text
    } else {
        plain(&text)
    }
}

/// Nearly every text is.
fn is_printable_ascii(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Returns what an ARN names at its end, such as the id of a subnet.
pub(crate) fn named_by_arn(text: &str) -> Option<&str> {
    let (_, name) = text.strip_prefix("arn:")?.rsplit_once(['/', ':'])?;
    (!name.is_empty()).then_some(name)
}

/// At most three of `names` that differ from `name` by few letters, in any case, nearest first; of
/// equally near ones the earlier first.
pub(crate) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let name = name.to_lowercase();
    let limit = (name.chars().count() / 3).min(4);
    let mut near: Vec<(usize, &str)> = names
        .into_iter()
        .map(|candidate| (distance(&name, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .collect();
    near.sort_by_key(|(distance, _)| *distance);
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

/// The question whether one of the nearest of `names` is meant; `or` where none is near.
pub(crate) fn did_you_mean<'a>(
    name: &str,
    names: impl IntoIterator<Item = &'a str>,
    or: &str,
) -> String {
    match nearest(name, names).as_slice() {
        [] => or.to_owned(),
        near => format!("did you mean {}?", near.join(", ")),
    }
}

/// The number of letters to insert, remove, replace or swap with the next one (optimal string
/// alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(x != y);
            let mut least = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("same", "same", 0),
            ("ab", "ba", 1),
            ("trian", "train", 1),
            ("abc", "", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn an_arn_ends_with_what_it_names() {
        for (text, expected) in [
            (
                "arn:aws:ec2:us-east-1:123456789012:subnet/subnet-1",
                Some("subnet-1"),
            ),
            ("arn:aws:ssm:us-east-1::parameter/a/b", Some("b")),
            ("arn:aws:sns:us-east-1:123456789012:topic", Some("topic")),
            ("arn:aws:ec2:us-east-1:123456789012:subnet/", None),
            ("subnet-1", None),
        ] {
            assert_eq!(named_by_arn(text), expected, "{text}");
        }
    }

    #[test]
    fn names_are_near_in_any_case_and_never_far() {
        assert_eq!(nearest("TRAIN", ["eval", "train", "Train-2"]), ["train"]);
        assert_eq!(nearest("x", ["y", "X"]), ["X"]);
        assert_eq!(
            did_you_mean("sport", ["spot", "open"], "no"),
            "did you mean spot?"
        );
        assert_eq!(did_you_mean("", ["spot"], "choose one"), "choose one");
    }
}
