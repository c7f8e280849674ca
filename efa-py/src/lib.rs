//! The compiled module `efa_sdk._efa_sdk`: extract, call, convert; no logic.

mod catalog;
mod client;
mod cluster;
mod errors;
mod exchange;
mod fabric;
mod fabric_report;
mod layout;
mod nodes;
mod plan;
mod runtime;
mod survey;
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
        Instance, InstanceReport, PreflightReport, VerifyReport,
    };
    #[pymodule_export]
    use crate::errors::error_codes;
    #[pymodule_export]
    use crate::exchange::{
        answer_through, answer_through_async, measure_through, measure_through_async,
    };
    #[pymodule_export]
    use crate::fabric::{
        Library, ProbeOptions, Server, connect, connect_async, loopback, loopback_async,
    };
    #[pymodule_export]
    use crate::fabric_report::{Bandwidth, Latency, Nic, ProbeReport, ProbeRow, ProviderInfo};
    #[pymodule_export]
    use crate::layout::{Layout, NetworkInterface};
    #[pymodule_export]
    use crate::nodes::{ClusterSummary, CommandReport, NodeOutput, RankedInstance, Topology};
    #[pymodule_export]
    use crate::plan::{Bootstrap, ClusterSpec, InstanceRole, Plan};
    #[pymodule_export]
    use crate::survey::{
        PairOptions, PairSight, StoreClient, StoreServer, SurveyNode, SurveyPlan, SurveyProgress,
        SurveyReport, run_rank, run_rank_async, survey_pair, survey_pair_async,
    };

    /// Version of the package.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
