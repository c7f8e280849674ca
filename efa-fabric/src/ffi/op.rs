//! Reading a call out of a table.

/// An entry of an ops table, or `None` where the table is absent, shorter, or lacks it: what
/// C's `FI_CHECK_OP` tests.
macro_rules! checked_op {
    ($table:expr, $ty:ident, $op:ident) => {{
        let table: *const $crate::ffi::$ty = $table;
        // SAFETY: a table that is not null begins with its size, and lives as long as its
        // object, which the caller holds; `$op` is read only where it lies inside that size.
        unsafe {
            if !table.is_null() && (*table).size > std::mem::offset_of!($crate::ffi::$ty, $op) {
                (*table).$op
            } else {
                None
            }
        }
    }};
}
pub(crate) use checked_op;
