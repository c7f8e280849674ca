//! Environment variables with which libfabric's efa provider calls `abort()`.
//!
//! From libfabric 2.2 the provider looks at most of them while it registers, with no EFA
//! device present and even when another provider is asked for, so the check runs before every
//! `fi_getinfo`. Source: libfabric v2.6.0, `prov/efa/src/efa_env.c`, `efa_fork_support.c` and
//! `rdm/efa_rdm_util.c`. Older libraries abort the process for fewer of them; they are refused
//! for every version, because the same environment kills the process after an upgrade.

use std::ffi::{OsStr, OsString};

use crate::error::{Code, Error, Result};

/// Deprecated variables that abort the process when they are set at all, even to nothing.
const DEPRECATED: [&str; 3] = [
    "FI_EFA_MTU_SIZE",
    "FI_EFA_TX_IOV_LIMIT",
    "FI_EFA_RX_IOV_LIMIT",
];

/// The variable that demands RDMA read, and what to do about it.
pub(crate) const DEVICE_RDMA: &str = "FI_EFA_USE_DEVICE_RDMA";
pub(crate) const DEVICE_RDMA_CURE: &str =
    "unset FI_EFA_USE_DEVICE_RDMA: the default is right for callers of API 1.18 and later";

/// Fails with `fabric.killer_environment` if this process's environment would make libfabric
/// end it.
pub(crate) fn refuse_killers() -> Result<()> {
    refuse_killers_in(&|name| std::env::var_os(name))
}

/// The same for an environment that is given.
pub(crate) fn refuse_killers_in(get: &dyn Fn(&str) -> Option<OsString>) -> Result<()> {
    for name in DEPRECATED {
        if get(name).is_some() {
            return Err(killer(name, "set at all", format!("unset {name}")));
        }
    }
    if get("FI_EFA_IFACE").is_some_and(|value| value.is_empty()) {
        return Err(killer(
            "FI_EFA_IFACE",
            "empty",
            "unset FI_EFA_IFACE or name devices".into(),
        ));
    }
    if get("FI_EFA_TX_MIN_CREDITS").is_some_and(|value| leading_integer(&value) <= 0) {
        return Err(killer(
            "FI_EFA_TX_MIN_CREDITS",
            "not a positive number",
            "unset FI_EFA_TX_MIN_CREDITS".into(),
        ));
    }
    let fork_safe = get("RDMAV_FORK_SAFE").is_some()
        || get("IBV_FORK_SAFE").is_some()
        || get("FI_EFA_FORK_SAFE").is_some_and(|value| boolean(&value) == Some(true));
    let huge_pages = get("FI_EFA_USE_HUGE_PAGE").is_some_and(|value| boolean(&value) == Some(true));
    if fork_safe && huge_pages {
        return Err(killer(
            "FI_EFA_USE_HUGE_PAGE",
            "on together with fork support",
            "unset FI_EFA_USE_HUGE_PAGE or the *_FORK_SAFE variable".into(),
        ));
    }
    // A true value aborts the process only on devices without RDMA read; recipes set it on
    // devices that have it, so that it is let through here: see `device_rdma_killer`.
    if get(DEVICE_RDMA).is_some_and(|value| boolean(&value).is_none()) {
        return Err(killer(
            DEVICE_RDMA,
            "not a boolean",
            DEVICE_RDMA_CURE.into(),
        ));
    }
    Ok(())
}

/// Whether FI_EFA_USE_DEVICE_RDMA demands RDMA read of the device.
pub(crate) fn wants_device_rdma(get: &dyn Fn(&str) -> Option<OsString>) -> bool {
    get(DEVICE_RDMA).is_some_and(|value| boolean(&value) == Some(true))
}

/// The error of a demand for RDMA read that the device does not meet: the efa provider calls
/// `abort()` when an endpoint is opened (prov/efa/src/rdm/efa_rdm_util.c).
pub(crate) fn device_rdma_killer(origin: &str) -> Error {
    killer(
        DEVICE_RDMA,
        &format!("on and the device has no RDMA read ({origin})"),
        DEVICE_RDMA_CURE.into(),
    )
}

fn killer(name: &'static str, how: &str, cure: String) -> Error {
    Error::new(
        Code::KillerEnvironment,
        format!("{name} is {how}: libfabric's efa provider would abort this process"),
    )
    .with_cure(cure)
    .with_context("variable", name)
}

/// libfabric's idea of a boolean (src/var.c), which aws-ofi-nccl shares.
pub(crate) fn boolean(value: &OsStr) -> Option<bool> {
    let value = value.to_str()?.to_ascii_lowercase();
    match value.as_str() {
        "0" | "false" | "no" | "off" => Some(false),
        "1" | "true" | "yes" | "on" => Some(true),
        _ => None,
    }
}

/// What C's `strtol` makes of a value's sign: text without digits is 0.
fn leading_integer(value: &OsStr) -> i64 {
    let text = value.to_string_lossy();
    let text = text.trim_start();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        Some(hex) => (16, hex),
        None => (10, digits),
    };
    let mut number: i64 = 0;
    for digit in digits.chars().map_while(|c| c.to_digit(radix)) {
        number = number
            .saturating_mul(i64::from(radix))
            .saturating_add(i64::from(digit));
    }
    if negative { -number } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(vars: &[(&str, &str)]) -> Option<String> {
        refuse_killers_in(&|name| {
            vars.iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| OsString::from(v))
        })
        .err()
        .map(|error| {
            assert_eq!(error.code(), Code::KillerEnvironment);
            assert!(error.cure().is_some());
            error
                .context_value("variable")
                .unwrap_or_default()
                .to_owned()
        })
    }

    #[test]
    fn killers_are_refused() {
        for (vars, name) in [
            (&[("FI_EFA_MTU_SIZE", "")][..], "FI_EFA_MTU_SIZE"),
            (&[("FI_EFA_TX_IOV_LIMIT", "1")], "FI_EFA_TX_IOV_LIMIT"),
            (&[("FI_EFA_RX_IOV_LIMIT", "1")], "FI_EFA_RX_IOV_LIMIT"),
            (&[("FI_EFA_IFACE", "")], "FI_EFA_IFACE"),
            (&[("FI_EFA_TX_MIN_CREDITS", "0")], "FI_EFA_TX_MIN_CREDITS"),
            (&[("FI_EFA_TX_MIN_CREDITS", "-4")], "FI_EFA_TX_MIN_CREDITS"),
            (
                &[("FI_EFA_TX_MIN_CREDITS", "many")],
                "FI_EFA_TX_MIN_CREDITS",
            ),
            (
                &[("FI_EFA_USE_HUGE_PAGE", "1"), ("FI_EFA_FORK_SAFE", "on")],
                "FI_EFA_USE_HUGE_PAGE",
            ),
            (
                &[("FI_EFA_USE_HUGE_PAGE", "yes"), ("RDMAV_FORK_SAFE", "")],
                "FI_EFA_USE_HUGE_PAGE",
            ),
            (
                &[("FI_EFA_USE_HUGE_PAGE", "1"), ("IBV_FORK_SAFE", "1")],
                "FI_EFA_USE_HUGE_PAGE",
            ),
            (
                &[("FI_EFA_USE_DEVICE_RDMA", "maybe")],
                "FI_EFA_USE_DEVICE_RDMA",
            ),
        ] {
            assert_eq!(refused(vars).as_deref(), Some(name), "{vars:?}");
        }
    }

    #[test]
    fn harmless_values_pass() {
        for vars in [
            &[][..],
            &[("FI_EFA_IFACE", "rdmap0s6")],
            &[("FI_EFA_TX_MIN_CREDITS", "0x20")],
            &[("FI_EFA_USE_HUGE_PAGE", "1")],
            &[("FI_EFA_USE_HUGE_PAGE", "0"), ("FI_EFA_FORK_SAFE", "1")],
            &[("FI_EFA_USE_DEVICE_RDMA", "1")],
            &[("FI_EFA_USE_DEVICE_RDMA", "off")],
        ] {
            assert_eq!(refused(vars), None, "{vars:?}");
        }
    }
}
