//! Sizes and offsets of our types against a table, and against the C headers of the machine.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use super::{HEADER_VERSION, MINIMUM_VERSION, declared, fi_version};

pub(crate) struct Struct {
    pub(crate) c_name: &'static str,
    pub(crate) size: usize,
    pub(crate) fields: Vec<Field>,
}

pub(crate) struct Field {
    pub(crate) c_name: &'static str,
    pub(crate) offset: usize,
    pub(crate) since: u32,
}

/// Types of which we declare only a beginning: their size is not C's.
const CUT_SHORT: [&str; 13] = [
    "fi_ops",
    "fi_ops_fabric",
    "fi_ops_domain",
    "fi_ops_mr",
    "fi_ops_eq",
    "fi_ops_cq",
    "fi_ops_av",
    "fi_ops_ep",
    "fi_ops_cm",
    "fi_ops_msg",
    "fi_ops_rma",
    "fi_ops_tagged",
    "fid_ep",
];

/// Sizes of API 2.6 on 64-bit Linux.
const SIZES: [(&str, usize); 26] = [
    ("fi_info", 120),
    ("fi_tx_attr", 80),
    ("fi_rx_attr", 64),
    ("fi_ep_attr", 96),
    ("fi_domain_attr", 224),
    ("fi_fabric_attr", 32),
    ("fi_device_attr", 48),
    ("fi_pci_attr", 6),
    ("fi_bus_attr", 12),
    ("fi_link_attr", 40),
    ("fid", 24),
    ("fid_nic", 56),
    ("fid_fabric", 40),
    ("fid_domain", 40),
    ("fi_eq_attr", 32),
    ("fi_eq_err_entry", 48),
    ("fid_eq", 32),
    ("fi_cq_attr", 40),
    ("fi_cq_data_entry", 40),
    ("fi_cq_err_entry", 88),
    ("fid_cq", 32),
    ("fi_av_attr", 48),
    ("fi_mr_attr", 112),
    ("fi_mr_dmabuf", 32),
    ("fid_mr", 40),
    ("fi_context2", 64),
];

/// Offsets that matter most: what is written, or appended by a later API.
const OFFSETS: [(&str, &str, usize); 12] = [
    ("fi_info", "fabric_attr", 104),
    ("fi_info", "nic", 112),
    ("fi_ep_attr", "max_msg_size", 16),
    ("fi_domain_attr", "threading", 16),
    ("fi_domain_attr", "mr_mode", 36),
    ("fi_domain_attr", "max_ep_auth_key", 192),
    ("fi_domain_attr", "max_group_id", 200),
    ("fi_domain_attr", "max_cntr_value", 208),
    ("fi_cq_err_entry", "err", 56),
    ("fi_cq_err_entry", "src_addr", 80),
    ("fi_mr_attr", "iface", 64),
    ("fi_mr_attr", "hmem_data", 80),
];

#[test]
fn layouts_are_those_of_the_table() {
    let structs = declared();
    let sizes: BTreeMap<_, _> = SIZES.into_iter().collect();
    for declared in &structs {
        if CUT_SHORT.contains(&declared.c_name) || declared.c_name == "fid_av" {
            continue;
        }
        assert_eq!(
            Some(&declared.size),
            sizes.get(declared.c_name),
            "{}",
            declared.c_name
        );
    }
    for (name, field, offset) in OFFSETS {
        let found = structs
            .iter()
            .find(|s| s.c_name == name)
            .and_then(|s| s.fields.iter().find(|f| f.c_name == field))
            .unwrap_or_else(|| panic!("{name}.{field} is not declared"));
        assert_eq!(found.offset, offset, "{name}.{field}");
    }
    assert_eq!(HEADER_VERSION, fi_version(2, 6));
}

/// A C program that prints what the headers state of everything that we declare.
fn program() -> String {
    let mut code = String::from(
        "#include <stddef.h>\n#include <stdio.h>\n#include <rdma/fabric.h>\n#include <rdma/fi_cm.h>\n\
         #include <rdma/fi_domain.h>\n#include <rdma/fi_endpoint.h>\n#include <rdma/fi_eq.h>\n\
         #include <rdma/fi_rma.h>\n#include <rdma/fi_tagged.h>\n\
         #define HAS(ma, mi) (FI_MAJOR_VERSION > ma || (FI_MAJOR_VERSION == ma && FI_MINOR_VERSION >= mi))\n\
         int main(void) {\n\
         printf(\"version %d %d\\n\", FI_MAJOR_VERSION, FI_MINOR_VERSION);\n",
    );
    for declared in declared() {
        let name = declared.c_name;
        let tag = format!("struct {name}");
        let first = declared.fields.iter().map(|field| field.since).min();
        let first = first.unwrap_or(MINIMUM_VERSION);
        let (major, minor) = (first >> 16, first & 0xffff);
        writeln!(
            code,
            "#if HAS({major}, {minor})\nprintf(\"{name} . %zu\\n\", sizeof({tag}));\n#endif"
        )
        .unwrap();
        for field in declared.fields {
            let (major, minor) = (field.since >> 16, field.since & 0xffff);
            let c = field.c_name;
            writeln!(code, "#if HAS({major}, {minor})\nprintf(\"{name} {c} %zu\\n\", offsetof({tag}, {c}));\n#endif")
                .unwrap();
        }
    }
    for (name, value) in CONSTANTS {
        writeln!(
            code,
            "printf(\"= {name} %lld\\n\", (long long)({name})); /* {value} */"
        )
        .unwrap();
    }
    code.push_str("return 0; }\n");
    code
}

/// Constants that all headers since 1.17 have, and most since 1.9.
const CONSTANTS: [(&str, i64); 39] = [
    ("FI_MSG", super::FI_MSG as i64),
    ("FI_RMA", super::FI_RMA as i64),
    ("FI_TAGGED", super::FI_TAGGED as i64),
    ("FI_RECV", super::FI_RECV as i64),
    ("FI_SEND", super::FI_SEND as i64),
    ("FI_READ", super::FI_READ as i64),
    ("FI_WRITE", super::FI_WRITE as i64),
    ("FI_REMOTE_READ", super::FI_REMOTE_READ as i64),
    ("FI_REMOTE_WRITE", super::FI_REMOTE_WRITE as i64),
    ("FI_REMOTE_CQ_DATA", super::FI_REMOTE_CQ_DATA as i64),
    ("FI_DELIVERY_COMPLETE", super::FI_DELIVERY_COMPLETE as i64),
    ("FI_RX_CQ_DATA", super::FI_MODE_RX_CQ_DATA as i64),
    ("FI_TRANSMIT", super::FI_TRANSMIT as i64),
    ("FI_HMEM", super::FI_HMEM as i64),
    ("FI_SOURCE", super::FI_SOURCE as i64),
    ("FI_LOCAL_COMM", super::FI_LOCAL_COMM as i64),
    ("FI_REMOTE_COMM", super::FI_REMOTE_COMM as i64),
    ("FI_CONTEXT", super::FI_MODE_CONTEXT as i64),
    ("FI_CONTEXT2", super::FI_MODE_CONTEXT2 as i64),
    ("FI_MR_LOCAL", super::FI_MR_LOCAL as i64),
    ("FI_MR_VIRT_ADDR", super::FI_MR_VIRT_ADDR as i64),
    ("FI_MR_ALLOCATED", super::FI_MR_ALLOCATED as i64),
    ("FI_MR_PROV_KEY", super::FI_MR_PROV_KEY as i64),
    ("FI_MR_ENDPOINT", super::FI_MR_ENDPOINT as i64),
    ("FI_EP_RDM", super::FI_EP_RDM as i64),
    ("FI_AV_TABLE", super::FI_AV_TABLE as i64),
    ("FI_THREAD_DOMAIN", super::FI_THREAD_DOMAIN as i64),
    ("FI_CQ_FORMAT_DATA", super::FI_CQ_FORMAT_DATA as i64),
    ("FI_WAIT_NONE", super::FI_WAIT_NONE as i64),
    ("FI_WAIT_FD", super::FI_WAIT_FD as i64),
    ("FI_GETWAIT", super::FI_GETWAIT as i64),
    ("FI_BUS_PCI", super::FI_BUS_PCI as i64),
    ("FI_ENABLE", super::FI_ENABLE as i64),
    ("FI_MR_HMEM", super::FI_MR_HMEM as i64),
    ("FI_HMEM_CUDA", super::FI_HMEM_CUDA as i64),
    ("FI_HMEM_P2P_REQUIRED", super::FI_HMEM_P2P_REQUIRED as i64),
    ("FI_OPT_FI_HMEM_P2P", super::FI_OPT_FI_HMEM_P2P as i64),
    ("FI_ETOOSMALL", super::FI_ETOOSMALL as i64),
    ("FI_EAVAIL", super::FI_EAVAIL as i64),
];

/// What the compiler makes of the headers, or why that cannot be asked.
fn ask_compiler() -> Result<String, String> {
    if !Path::new("/usr/include/rdma/fabric.h").exists()
        && std::env::var_os("EFA_TEST_LIBFABRIC_INCLUDE").is_none()
    {
        return Err("no libfabric headers (apt-get install libfabric-dev)".into());
    }
    let base = std::env::temp_dir().join(format!("efa-fabric-layout-{}", std::process::id()));
    let (source, binary) = (base.with_extension("c"), base.with_extension("bin"));
    std::fs::write(&source, program()).map_err(|error| error.to_string())?;
    let mut compiler = Command::new("cc");
    if let Some(include) = std::env::var_os("EFA_TEST_LIBFABRIC_INCLUDE") {
        compiler.arg("-I").arg(include);
    }
    let built = compiler
        .arg("-w")
        .arg("-o")
        .arg(&binary)
        .arg(&source)
        .output();
    std::fs::remove_file(&source).ok();
    let built = built.map_err(|error| format!("no C compiler: {error}"))?;
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let output = Command::new(&binary)
        .output()
        .map_err(|error| error.to_string());
    std::fs::remove_file(&binary).ok();
    String::from_utf8(output?.stdout).map_err(|error| error.to_string())
}

#[test]
fn layouts_are_those_of_the_headers() {
    let output = match ask_compiler() {
        Ok(output) => output,
        Err(reason) => return eprintln!("SKIPPED layouts_are_those_of_the_headers: {reason}"),
    };
    let mut said: BTreeMap<(String, String), i64> = BTreeMap::new();
    for line in output.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        said.insert(
            (words[0].into(), words[1].into()),
            words[2].parse().unwrap(),
        );
    }
    let (major, minor) = {
        let words: Vec<u32> = output
            .lines()
            .next()
            .unwrap()
            .split_whitespace()
            .skip(1)
            .map(|word| word.parse().unwrap())
            .collect();
        (words[0], words[1])
    };
    let headers = fi_version(major, minor);
    let ask = |name: &str, field: &str| said.get(&(name.to_owned(), field.to_owned())).copied();
    let mut compared = 0;
    for declared in declared() {
        let name = declared.c_name;
        let complete = declared.fields.iter().all(|field| field.since <= headers);
        if complete && !CUT_SHORT.contains(&name) {
            let (said, ours) = (ask(name, ".").unwrap(), declared.size as i64);
            // Headers as new as this crate's, or newer, may have appended more: development
            // versions keep the number of the release before.
            assert!(
                said == ours || (said > ours && headers >= HEADER_VERSION),
                "size of {name}: {said}, declared {ours}"
            );
            compared += 1;
        }
        for field in declared
            .fields
            .iter()
            .filter(|field| field.since <= headers)
        {
            assert_eq!(
                ask(name, field.c_name),
                Some(field.offset as i64),
                "{name}.{}",
                field.c_name
            );
            compared += 1;
        }
    }
    for (name, value) in CONSTANTS {
        assert_eq!(ask("=", name), Some(value), "{name}");
    }
    eprintln!("{compared} sizes and offsets are those of the headers of libfabric {major}.{minor}");
}
