//! What a provider's name states.

/// Providers that move data through the kernel's sockets: their addresses are IP addresses.
const SOCKETS: [&str; 4] = ["tcp", "net", "udp", "sockets"];

/// The provider without the layers above it: `tcp` of `tcp;ofi_rxm`.
pub(crate) fn base(provider: &str) -> &str {
    provider.split(';').next().unwrap_or(provider)
}

/// Whether the provider, without its layers, has this name.
pub(crate) fn is(provider: &str, name: &str) -> bool {
    base(provider).eq_ignore_ascii_case(name)
}

/// Whether the provider, without its layers, uses the kernel's sockets.
pub(crate) fn uses_sockets(provider: &str) -> bool {
    SOCKETS.iter().any(|name| is(provider, name))
}

/// The device that a domain is of: on efa without the endpoint's type at its end.
pub(crate) fn device_name<'a>(provider: &str, domain: &'a str) -> &'a str {
    if !provider.eq_ignore_ascii_case("efa") {
        return domain;
    }
    domain
        .strip_suffix("-rdm")
        .or_else(|| domain.strip_suffix("-dgrm"))
        .unwrap_or(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_layers_and_suffixes() {
        assert_eq!(base("tcp;ofi_rxm"), "tcp");
        assert_eq!(device_name("efa", "rdmap0s6-rdm"), "rdmap0s6");
        assert_eq!(device_name("EFA", "rdmap0s6-dgrm"), "rdmap0s6");
        assert_eq!(device_name("verbs", "mlx5_0-rdm"), "mlx5_0-rdm");
    }

    #[test]
    fn layers_and_case_do_not_hide_the_sockets() {
        for provider in ["tcp", "TCP", "tcp;ofi_rxm", "net", "udp;ofi_rxd", "sockets"] {
            assert!(uses_sockets(provider), "{provider}");
        }
        for provider in ["efa", "shm", "verbs;ofi_rxm", ""] {
            assert!(!uses_sockets(provider), "{provider}");
        }
    }
}
