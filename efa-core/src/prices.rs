//! What a plan costs per hour, from AWS's own price list. Pure: no calls, no clock, no table of
//! prices of this crate's own. What the list does not have is unknown, with the reason.
//!
//! | module | job |
//! |---|---|
//! | `money` | an exact amount in a currency |
//! | `table` | the prices of one list |
//! | `price_list` | AWS's offer file and the answer of GetProducts, read |
//! | `cost` | what of them a plan pays |

mod cost;
mod money;
mod price_list;
mod table;

pub use cost::{Cost, Figure};
pub use money::Money;
pub use table::{Prices, Rate};

#[cfg(test)]
mod tests;
