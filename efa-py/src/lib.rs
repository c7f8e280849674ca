//! The compiled module `efa_sdk._efa_sdk`: extract, call, convert; no logic.

mod acceptance;
mod argument;
mod aws_log;
mod catalog;
mod choices;
mod client;
mod cluster;
mod convert;
mod credentials;
mod doctor;
mod ending;
mod errors;
mod exchange;
mod fabric;
mod fabric_child;
mod fabric_log;
mod fabric_report;
mod gpu;
mod handoff;
mod layout;
mod nccl;
mod node;
mod nodes;
mod pair_options;
mod plan;
mod prices;
mod rails;
mod rows;
mod runtime;
mod spec;
mod store;
mod survey;
mod survey_flows;
mod survey_options;
mod survey_report;
mod value;

use pyo3::pymodule;

/// The compiled part of efa_sdk.
#[pymodule]
mod _efa_sdk {
    #[pymodule_export]
    use crate::acceptance::{AcceptanceFinding, AcceptanceReport};
    #[pymodule_export]
    use crate::catalog::{
        Catalog, Gpu, InstanceType, InstanceTypes, NetworkCard, NeuronDevice, instance_type_table,
    };
    #[pymodule_export]
    use crate::client::{AsyncClient, Cancel, Client};
    #[pymodule_export]
    use crate::cluster::{
        AttachedInterface, CapacityBlockOffering, CapacityReservation, Check, Cluster,
        DestroyReport, Event, Finding, Instance, InstanceReport, PreflightReport, VerifyReport,
    };
    #[pymodule_export]
    use crate::doctor::{DoctorFinding, DoctorReport, doctor, doctor_async, doctor_checks};
    #[pymodule_export]
    use crate::ending::_stop_calls;
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
    use crate::fabric_child::{_fabric_ask, _fabric_child};
    #[pymodule_export]
    use crate::fabric_log::{
        FabricFingerprint, FabricLog, FabricLogLine, read_fabric_log, read_fabric_log_file,
    };
    #[pymodule_export]
    use crate::fabric_report::{
        Bandwidth, Latency, Nic, ProbeReport, ProbeRow, ProviderInfo, SideBandwidth,
    };
    #[pymodule_export]
    use crate::gpu::{GpuEvidence, GpuReport};
    #[pymodule_export]
    use crate::handoff::{DocumentFinding, DocumentReport, DocumentUnread, check};
    #[pymodule_export]
    use crate::layout::{Layout, NetworkInterface};
    #[pymodule_export]
    use crate::nccl::{
        NcclAdvice, NcclChannels, NcclEvidence, NcclFinding, NcclHost, NcclLog, NcclNetwork,
        NcclNote, NcclRank, NcclReason, NcclReport, NcclSource, advise_nccl_environment,
    };
    #[pymodule_export]
    use crate::node::{
        EfaDevice, ExpectedEfa, KernelModule, Node, PciDevice, RdmaDevice, Uverbs, node,
    };
    #[pymodule_export]
    use crate::nodes::{ClusterSummary, CommandReport, NodeOutput, RankedInstance, Topology};
    #[pymodule_export]
    use crate::pair_options::PairOptions;
    #[pymodule_export]
    use crate::plan::Plan;
    #[pymodule_export]
    use crate::prices::{Cost, Prices};
    #[pymodule_export]
    use crate::rails::{
        Rail, RailMeasure, RailReport, RailResult, probe_rails, probe_rails_async, rails,
        simulated_rails,
    };
    #[pymodule_export]
    use crate::spec::{Bootstrap, ClusterSpec, InstanceRole, Volume};
    #[pymodule_export]
    use crate::store::{StoreClient, StoreServer};
    #[pymodule_export]
    use crate::survey::{
        _decline_rank, PairSight, SurveyPlan, SurveyProgress, run_rank, run_rank_async,
        survey_pair, survey_pair_async,
    };
    #[pymodule_export]
    use crate::survey_flows::{SurveyFlowSights, SurveyFlowTask, survey_flows, survey_flows_async};
    #[pymodule_export]
    use crate::survey_options::{SurveyOptions, SurveyThresholds, chosen_options};
    #[pymodule_export]
    use crate::survey_report::{
        DrainCommands, MovedRate, NodeInspection, SurveyCollective, SurveyComparison,
        SurveyDifference, SurveyNode, SurveyNodeState, SurveyReport, SurveySummary,
    };

    /// Version of the package.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");

    /// The version of eksctl whose rule for interfaces and whose schema `to_eksctl` follows.
    #[pymodule_export]
    const TESTED_EKSCTL_VERSION: &str = efa_core::handoff::TESTED_EKSCTL_VERSION;

    /// The version of Karpenter's AWS provider whose CRDs `to_karpenter` is tested against.
    #[pymodule_export]
    const TESTED_KARPENTER_VERSION: &str = efa_core::handoff::TESTED_KARPENTER_VERSION;

    /// The version of Ray whose checks and autoscaler have taken what `Plan.to_ray_yaml` writes.
    #[pymodule_export]
    const TESTED_RAY_VERSION: &str = efa_core::handoff::TESTED_RAY_VERSION;
}
