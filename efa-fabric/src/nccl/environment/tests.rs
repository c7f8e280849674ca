//! Cases of the advice, and what holds for every environment.

use proptest::prelude::*;

use super::node::version;
use super::*;

mod agreement;

fn env(vars: &[(&str, &str)]) -> BTreeMap<String, String> {
    vars.iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
        .collect()
}

fn node(change: impl FnOnce(&mut Node)) -> Node {
    let mut node = Node {
        instance_type: Some("p5.48xlarge".into()),
        efa_count: Some(32),
        gpu_count: Some(8),
        has_rdma: Some(true),
        libfabric_version: Some("2.1".into()),
        plugin_version: Some("1.16.0".into()),
        ..Node::default()
    };
    change(&mut node);
    node
}

#[test]
fn current_software_needs_next_to_nothing() {
    let advice = advise_environment(&node(|_| ()), &env(&[("PATH", "/bin")]));
    assert_eq!(advice.set, env(&[("FI_PROVIDER", "efa")]));
    assert!(advice.unset.is_empty() && advice.keep.is_empty());
    assert_eq!(advice.unset_hint(), None);
    assert_eq!(advice.notes.len(), 1);
}

#[test]
fn what_recipes_set_must_go() {
    for (name, value) in [
        ("FI_EFA_USE_DEVICE_RDMA", "1"),
        ("FI_EFA_USE_DEVICE_RDMA", "0"),
        ("RDMAV_FORK_SAFE", "1"),
        ("RDMAV_HUGEPAGES_SAFE", "1"),
        ("IBV_FORK_SAFE", "1"),
        ("FI_EFA_USE_HUGE_PAGE", "1"),
        ("FI_EFA_ENABLE_SHM_TRANSFER", "0"),
        ("FI_EFA_SET_CUDA_SYNC_MEMOPS", "0"),
        ("FI_EFA_IFACE", "rdmap0s6"),
        ("FI_EFA_DEVICE_NAME", "rdmap0s6"),
        ("FI_OFI_RXR_RX_COPY_UNEXP", "1"),
        ("FI_HMEM_DISABLE_P2P", "1"),
        ("NCCL_PROTO", "simple"),
        ("NCCL_ALGO", "Ring"),
        ("NCCL_IB_DISABLE", "1"),
        ("NCCL_IB_HCA", "mlx5"),
        ("NCCL_SOCKET_NTHREADS", "8"),
        ("NCCL_NSOCKS_PERTHREAD", "8"),
        ("NCCL_MIN_NCHANNELS", "32"),
        ("NCCL_MAX_NCHANNELS", "2"),
        ("NCCL_BUFFSIZE", "8388608"),
        ("NCCL_P2P_NET_CHUNKSIZE", "524288"),
        ("NCCL_TOPO_FILE", "/x.xml"),
        ("NCCL_P2P_DISABLE", "1"),
        ("NCCL_SHM_DISABLE", "1"),
        ("NCCL_NET_GDR_LEVEL", "LOC"),
        ("NCCL_DMABUF_ENABLE", "0"),
        ("NCCL_NET", "Socket"),
        ("NCCL_NET", "IB"),
        ("NCCL_NET_PLUGIN", "none"),
        ("OFI_NCCL_PROTOCOL", "RDMA"),
        ("OFI_NCCL_NIC_DUP_CONNS", "4"),
        ("OFI_NCCL_DISABLE_GDR_REQUIRED_CHECK", "1"),
        ("OFI_NCCL_DISABLE_NATIVE_RDMA_CHECK", "1"),
        ("OFI_NCCL_DISABLE_DMABUF", "1"),
        ("OFI_NCCL_PLATFORM", "Default"),
        // libfabric would abort the process.
        ("FI_EFA_MTU_SIZE", ""),
        ("FI_EFA_TX_IOV_LIMIT", "1"),
        ("FI_EFA_RX_IOV_LIMIT", "1"),
        ("FI_EFA_IFACE", ""),
        ("FI_EFA_TX_MIN_CREDITS", "0"),
    ] {
        let advice = advise_environment(&node(|_| ()), &env(&[(name, value)]));
        assert_eq!(advice.unset, [name], "{name}={value}");
        let note = advice
            .notes
            .iter()
            .find(|note| note.variable == name)
            .unwrap();
        assert_eq!(note.action, Action::Unset);
        assert!(!note.why.is_empty() && !note.reference.is_empty());
        assert!(advice.unset_hint().is_some() && advice.keep.is_empty());
    }
}

#[test]
fn what_does_no_harm_stays() {
    for (name, value) in [
        ("FI_EFA_FORK_SAFE", "1"),
        ("FI_EFA_USE_HUGE_PAGE", "0"),
        ("FI_EFA_IFACE", "all"),
        ("FI_HMEM_DISABLE_P2P", "0"),
        ("NCCL_DEBUG", "INFO"),
        ("NCCL_NET", "AWS Libfabric"),
        ("NCCL_NET", "libfabric"),
        ("NCCL_NET_PLUGIN", "ofi"),
        (
            "NCCL_NET_PLUGIN",
            "/opt/amazon/ofi-nccl/lib/libnccl-net-ofi.so",
        ),
        ("OFI_NCCL_FORCE_NUM_RAILS", "4"),
        ("NCCL_P2P_DISABLE", "0"),
        ("NCCL_NET_GDR_LEVEL", "PHB"),
        ("NCCL_CROSS_NIC", "1"),
        ("NCCL_SOCKET_IFNAME", "ens"),
        ("NCCL_SOCKET_IFNAME", "=eth0"),
        ("NCCL_SOCKET_IFNAME", "^lo,docker"),
        ("NCCL_SOCKET_IFNAME", "^docker,lo"),
        ("FI_PROVIDER", "efa"),
        ("LD_LIBRARY_PATH", "/usr/lib"),
        ("OFI_NCCL_PLATFORM", "AWS"),
    ] {
        let advice = advise_environment(&node(|_| ()), &env(&[(name, value)]));
        assert_eq!(advice.keep, [name], "{name}={value}");
        assert!(advice.unset.is_empty(), "{name}={value}");
        assert_eq!(advice.set, env(&[("FI_PROVIDER", "efa")]), "{name}={value}");
    }
    let advice = advise_environment(&node(|_| ()), &env(&[("HOME", "/root")]));
    assert!(advice.keep.is_empty(), "variables of others are not kept");
}

#[test]
fn interfaces_that_reach_no_other_node() {
    for (value, expected) in [
        ("lo", "^lo,docker,veth"),
        ("=lo", "^lo,docker,veth"),
        ("docker0", "^lo,docker,veth"),
        ("lo,docker", "^lo,docker,veth"),
        ("", "^lo,docker,veth"),
        ("lo,eth0", "eth0"),
        ("=veth1,eth0,eth1", "=eth0,eth1"),
        ("^docker0", "^docker0,lo"),
        ("^docker,veth", "^docker,veth,lo"),
        ("^=docker0", "^=docker0,lo"),
        ("^", "^lo"),
    ] {
        let advice = advise_environment(&node(|_| ()), &env(&[("NCCL_SOCKET_IFNAME", value)]));
        assert_eq!(advice.set["NCCL_SOCKET_IFNAME"], expected, "{value}");
    }
}

#[test]
fn the_provider_is_spelled_as_the_plugin_compares_it() {
    for value in ["EFA", "tcp", "^tcp", "efa,shm", ""] {
        let advice = advise_environment(&node(|_| ()), &env(&[("FI_PROVIDER", value)]));
        assert_eq!(advice.set["FI_PROVIDER"], "efa");
        assert!(advice.keep.is_empty());
    }
    let without = node(|n| n.efa_count = Some(0));
    let advice = advise_environment(&without, &env(&[]));
    assert!(advice.set.is_empty());
    assert!(advice.notes[0].why.contains("no EFA device"));
}

#[test]
fn the_plugin_is_found() {
    let with = |path: &str, current: &[(&str, &str)]| {
        let node = node(|n| n.plugin_path = Some(path.into()));
        let mut set = advise_environment(&node, &env(current)).set;
        set.remove("FI_PROVIDER");
        set
    };
    let lib = "/opt/amazon/ofi-nccl/lib";
    for path in [
        format!("{lib}/libnccl-net.so"),
        lib.to_owned(),
        format!("{lib}/"),
    ] {
        assert_eq!(with(&path, &[]), env(&[("LD_LIBRARY_PATH", lib)]), "{path}");
        let current = [("LD_LIBRARY_PATH", "/a:/b")];
        let expected = format!("{lib}:/a:/b");
        assert_eq!(
            with(&path, &current),
            env(&[("LD_LIBRARY_PATH", &expected)])
        );
        let current = format!("/a:{lib}/");
        assert_eq!(with(&path, &[("LD_LIBRARY_PATH", &current)]), env(&[]));
    }
    let there = [("LD_LIBRARY_PATH", lib), ("NCCL_NET_PLUGIN", "none")];
    for (file, name) in [
        ("libnccl-net-ofi.so", "ofi"),
        ("libnccl-net-aws-ofi.so.0", "aws-ofi"),
    ] {
        let set = with(&format!("{lib}/{file}"), &there);
        assert_eq!(set, env(&[("NCCL_NET_PLUGIN", name)]));
    }
    assert_eq!(with("", &[]), env(&[]));
    assert_eq!(
        with("libnccl-net-ofi.so", &[]),
        env(&[("NCCL_NET_PLUGIN", "ofi")])
    );
}

#[test]
fn a_version_without_a_number_is_refused() {
    for good in ["2.1", "1.22.0amzn4.0", "v1.7.4-aws", "2"] {
        let node = node(|n| n.libfabric_version = Some(good.into()));
        assert!(node.check().is_ok(), "{good}");
    }
    for bad in ["latest", "", "aws-1.7.4"] {
        let error = node(|n| n.plugin_version = Some(bad.into()))
            .check()
            .unwrap_err();
        assert_eq!(error.code().as_str(), "fabric.invalid_option");
        assert_eq!(error.context_value("option"), Some("plugin_version"));
    }
}

#[test]
fn older_software_needs_more() {
    let at = |plugin: &str, libfabric: &str, rdma: bool| {
        let node = node(|n| {
            n.plugin_version = Some(plugin.into());
            n.libfabric_version = Some(libfabric.into());
            n.has_rdma = Some(rdma);
        });
        advise_environment(&node, &env(&[])).set
    };
    let efa = ("FI_PROVIDER", "efa");
    let rdma = ("FI_EFA_USE_DEVICE_RDMA", "1");
    let simple = ("NCCL_PROTO", "simple");
    assert_eq!(at("1.5.0-aws", "1.17.1", true), env(&[efa, rdma, simple]));
    assert_eq!(at("1.5.0-aws", "1.17.1", false), env(&[efa, simple]));
    assert_eq!(at("1.6.0", "1.18", true), env(&[efa, rdma]));
    assert_eq!(at("1.7.0-aws", "1.17", true), env(&[efa, rdma]));
    assert_eq!(at("1.7.0-aws", "1.18.0amzn3.0", true), env(&[efa]));
    // A name that this plugin does not have yet.
    let old = node(|n| n.plugin_version = Some("1.12.1-aws".into()));
    let advice = advise_environment(&old, &env(&[("NCCL_NET", "Libfabric")]));
    assert_eq!(advice.unset, ["NCCL_NET"]);
}

#[test]
fn a_fall_back_to_tcp_can_be_made_an_error() {
    let strict = node(|n| n.require_efa = true);
    for current in [&[][..], &[("NCCL_NET", "Socket")]] {
        let advice = advise_environment(&strict, &env(current));
        assert_eq!(advice.env_vars()["NCCL_NET"], "AWS Libfabric");
        assert!(advice.unset.is_empty());
    }
}

#[test]
fn fork_support_never_meets_huge_pages() {
    let old = node(|n| n.fork_is_safe = Some(false));
    let advice = advise_environment(&old, &env(&[("FI_EFA_USE_HUGE_PAGE", "1")]));
    assert_eq!(advice.set["FI_EFA_FORK_SAFE"], "1");
    assert_eq!(advice.unset, ["FI_EFA_USE_HUGE_PAGE"]);
}

#[test]
fn the_text_says_what_why_and_how() {
    let current = env(&[("NCCL_PROTO", "simple"), ("NCCL_DEBUG", "INFO")]);
    let advice = advise_environment(&node(|_| ()), &current);
    let text = advice.to_string();
    for part in [
        "set   FI_PROVIDER=efa\n",
        "unset NCCL_PROTO\n",
        "(aws/aws-ofi-nccl doc/efa-env-var.md)",
        "keep  NCCL_DEBUG\n",
        "runtime_env",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let json = serde_json::to_string(&advice).unwrap();
    assert_eq!(serde_json::from_str::<Advice>(&json).unwrap(), advice);
}

#[test]
fn versions() {
    for (text, expected) in [
        ("1.16.0", Some((1, 16))),
        ("1.7.4-aws", Some((1, 7))),
        ("1.22.0amzn4.0", Some((1, 22))),
        ("2", Some((2, 0))),
        ("v2.1", Some((2, 1))),
        ("", None),
        ("x.1", None),
        ("99999999999.1", None),
    ] {
        assert_eq!(version(text), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn taking_the_advice_is_enough(
        vars in proptest::collection::btree_map(
            prop_oneof![
                proptest::sample::select(
                    UNSET.iter().map(|r| r.name.replace('*', "X")).collect::<Vec<_>>()),
                proptest::sample::select(vec![
                    "FI_PROVIDER", "FI_EFA_FORK_SAFE", "FI_EFA_MTU_SIZE", "FI_EFA_TX_MIN_CREDITS",
                    "LD_LIBRARY_PATH", "NCCL_SOCKET_IFNAME", "PATH", "NCCL_DEBUG",
                ]).prop_map(str::to_owned),
            ],
            prop_oneof![
                proptest::sample::select(vec!["", "0", "1", "on", "efa", "lo", "^", "=lo,", "^docker0", "none", "-1"])
                    .prop_map(str::to_owned),
                "[a-z,=^/:.]{0,8}",
            ],
            0..8,
        ),
        efa_count in proptest::option::of(0_u32..3),
        has_rdma in any::<Option<bool>>(),
        plugin_version in proptest::option::of(proptest::sample::select(vec!["1.4.0", "1.6", "1.7.1-aws", "1.16.0", "?"])),
        plugin_path in proptest::option::of("(/[a-z]{0,4}){0,2}/?(libnccl-net(-ofi)?.so)?"),
        fork_is_safe in any::<Option<bool>>(),
        require_efa in any::<bool>(),
    ) {
        let node = Node {
            efa_count, has_rdma, plugin_path, fork_is_safe, require_efa,
            plugin_version: plugin_version.map(str::to_owned),
            ..Node::default()
        };
        let advice = advise_environment(&node, &vars);
        let after = advice.applied_to(&vars);
        let again = advise_environment(&node, &after);
        prop_assert_eq!(&again.unset, &Vec::<String>::new());
        prop_assert_eq!(again.applied_to(&after), after.clone());
        prop_assert!(environment::refuse_killers_in(&|name| after.get(name).map(OsString::from)).is_ok());
        for name in &advice.unset {
            prop_assert!(vars.contains_key(name) && !advice.set.contains_key(name));
        }
        for name in advice.unset.iter().chain(advice.set.keys()) {
            prop_assert_eq!(advice.notes.iter().filter(|n| &n.variable == name).count(), 1);
        }
    }
}
