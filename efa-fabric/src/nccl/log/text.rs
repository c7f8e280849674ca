//! What is kept of a text: bounds, and the form in which two texts are the same.

/// Bytes that are kept of a name, a version or a word.
pub(super) const WORD_LIMIT: usize = 64;
/// Bytes that are kept of a line as evidence.
pub(super) const EVIDENCE_LIMIT: usize = 300;
/// Bytes of a text that distinguish it from others.
const SHAPE_LIMIT: usize = 160;

/// Counts the bytes that are looked at, for the test that a line costs what its length
/// is, and no more.
#[cfg(test)]
pub(super) fn looked_at(bytes: usize) {
    WORK.with(|work| work.set(work.get() + bytes));
}

#[cfg(test)]
thread_local! {
    pub(super) static WORK: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(not(test))]
pub(super) const fn looked_at(_: usize) {}

/// Text up to a number of bytes, at a boundary of characters.
pub(super) fn limited(text: &str, limit: usize) -> String {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// A text without its numbers, addresses and names of hosts: the same for every rank.
pub(super) fn shape(text: &str) -> String {
    let mut shape = String::with_capacity(SHAPE_LIMIT);
    let start = limited(text, 2 * SHAPE_LIMIT);
    for word in start.split(' ') {
        if shape.len() >= SHAPE_LIMIT {
            break;
        }
        if word.bytes().any(|b| b.is_ascii_digit()) {
            shape.push('#');
        } else {
            shape.push_str(word);
        }
        shape.push(' ');
    }
    shape
}
