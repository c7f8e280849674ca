//! The compiled module `efa_sdk._efa_sdk`: extract, call, convert; no logic.

mod catalog;
mod client;
mod cluster;
mod errors;
mod fabric;
mod fabric_report;
mod layout;
mod node;
mod nodes;
mod plan;
mod rails;
mod runtime;
mod value;

use pyo3::pymodule;

/// The compiled part of efa_sdk.
#[pymodule]
mod _efa_sdk {
    #[pymodule_export]
    use crate::catalog::{
        Catalog, Gpu, InstanceType, InstanceTypes, NetworkCard, NeuronDevice, instance_type_table,
    };
    #[pymodule_export]
    use crate::client::{AsyncClient, Cancel, Client};
    #[pymodule_export]
    use crate::cluster::{
        AttachedInterface, CapacityBlockOffering, Check, Cluster, DestroyReport, Event, Finding,
        Instance, PreflightReport, VerifyReport,
    };
    #[pymodule_export]
    use crate::errors::error_codes;
    #[pymodule_export]
    use crate::fabric::{
        Library, ProbeOptions, Server, connect, connect_async, loopback, loopback_async,
    };
    #[pymodule_export]
    use crate::fabric_report::{Bandwidth, Latency, Nic, ProbeReport, ProbeRow, ProviderInfo};
    #[pymodule_export]
    use crate::layout::{Layout, NetworkInterface};
    #[pymodule_export]
    use crate::node::{
        EfaDevice, ExpectedEfa, KernelModule, Node, PciDevice, RdmaDevice, Uverbs, node,
    };
    #[pymodule_export]
    use crate::nodes::{ClusterSummary, CommandReport, NodeOutput, RankedInstance, Topology};
    #[pymodule_export]
    use crate::plan::{Bootstrap, ClusterSpec, InstanceRole, Plan};
    #[pymodule_export]
    use crate::rails::{
        Rail, RailMeasure, RailReport, RailResult, probe_rails, probe_rails_async, rails,
        simulated_rails,
    };

    /// Version of the package.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
