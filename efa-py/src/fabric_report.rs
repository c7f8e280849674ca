//! What libfabric offers, and what a probe of it found.

use efa_fabric as fabric;
use pyo3::prelude::*;

use crate::choices;
use crate::convert::{list, word};
use crate::gpu::GpuReport;
use crate::rows::{Rows, rows};
use crate::value::value_class;

value_class! {
    /// A network device that libfabric can use.
    Nic(fabric::info::Nic) {
        /// The device, such as `rdmap0s6` on EFA.
        name: String = |nic| nic.name.clone();
        /// The provider.
        provider: String = |nic| nic.provider.clone();
        /// The fabrics that it appears on, such as `efa` and `efa-direct`.
        fabrics: Vec<String> = |nic| nic.fabrics.clone();
        /// The PCI address.
        pci_address: Option<String> = |nic| nic.info.pci_address.clone();
        /// Speed of the link, in bit per second.
        link_speed_bps: Option<u64> = |nic| nic.info.link_speed_bps;
        /// Whether the link is up, where the provider reports it.
        link_is_up: Option<bool> = |nic| match nic.info.link_state {
            fabric::info::LinkState::Up => Some(true),
            fabric::info::LinkState::Down => Some(false),
            _ => None,
        };
        /// The driver.
        driver: Option<String> = |nic| nic.info.driver.clone();
        /// The vendor, such as `0x1d0f`.
        vendor_id: Option<String> = |nic| nic.info.vendor_id.clone();
    }
    repr = |nic| format!("<Nic {} of {}>", nic.name, nic.provider);
}

value_class! {
    /// One thing that libfabric offers.
    ProviderInfo(fabric::info::ProviderInfo) {
        /// The provider, with layers: `efa`, `tcp`, `tcp;ofi_rxm`.
        provider: String = |p| p.provider.clone();
        /// The provider's own version.
        provider_version: String = |p| p.provider_version.to_string();
        /// The fabric.
        fabric: String = |p| p.fabric.clone();
        /// The domain.
        domain: String = |p| p.domain.clone();
        /// Such as `FI_EP_RDM`.
        endpoint_type: String = |p| p.endpoint_type.clone();
        /// The wire protocol, such as `FI_PROTO_EFA`.
        protocol: String = |p| p.protocol.clone();
        /// How addresses are formed.
        address_format: String = |p| p.address_format.clone();
        /// Such as `FI_MSG`, `FI_RMA`, `FI_TAGGED`.
        capabilities: Vec<String> = |p| p.capabilities.clone();
        /// Largest message, in bytes.
        max_message_size: u64 = |p| p.max_message_size;
        /// Largest message that is copied at the call, in bytes.
        inject_size: u64 = |p| p.inject_size;
        /// Sends that may be outstanding.
        tx_size: u64 = |p| p.tx_size;
        /// Receives that may be posted.
        rx_size: u64 = |p| p.rx_size;
        /// What is demanded for memory registration.
        mr_mode: Vec<String> = |p| p.mr_mode.clone();
        /// Who moves messages on.
        progress: String = |p| p.progress.clone();
        /// The device behind it, where the provider reports it.
        device_name: Option<String> = |p| p.nic.as_ref().and_then(|nic| nic.device_name.clone());
    }
    repr = |p| format!("<ProviderInfo {} {} {}>", p.provider, p.domain, p.endpoint_type);
}

value_class! {
    /// Half of the round-trip time of single messages, in µs.
    Latency(fabric::probe::Latency) {
        /// Round trips measured.
        iterations: u64 = |l| l.iterations;
        /// Round trips before, which are not counted.
        warmup_iterations: u64 = |l| l.warmup_iterations;
        /// Smallest.
        min_us: f64 = |l| l.min_us;
        /// Median.
        p50_us: f64 = |l| l.p50_us;
        /// 90 % are not above it.
        p90_us: f64 = |l| l.p90_us;
        /// 99 % are not above it.
        p99_us: f64 = |l| l.p99_us;
        /// Largest.
        max_us: f64 = |l| l.max_us;
        /// Arithmetic mean.
        mean_us: f64 = |l| l.mean_us;
    }
    repr = |l| format!("<Latency p50 {:.2} µs, p99 {:.2} µs>", l.p50_us, l.p99_us);
}

value_class! {
    /// The messages that one side sent, and their rate.
    SideBandwidth(fabric::probe::SideBandwidth) {
        /// Messages sent.
        messages: u64 = |b| b.messages;
        /// Seconds.
        elapsed_s: f64 = |b| b.elapsed_s;
        /// 10^9 bytes per second.
        gb_per_s: f64 = |b| b.gb_per_s;
        /// 10^9 bits per second.
        gbit_per_s: f64 = |b| b.gbit_per_s;
    }
    repr = |b| format!("<SideBandwidth {:.3} GB/s>", b.gb_per_s);
}

value_class! {
    /// Transfers with many in flight, from the first post to the last acknowledgement or
    /// completion. With both sides sending, rates are the sum of both.
    Bandwidth(fabric::probe::Bandwidth) {
        /// Messages sent.
        messages: u64 = |b| b.messages;
        /// Bytes sent, without headers.
        bytes: u64 = |b| b.bytes;
        /// Seconds.
        elapsed_s: f64 = |b| b.elapsed_s;
        /// 10^9 bytes per second.
        gb_per_s: f64 = |b| b.gb_per_s;
        /// 10^9 bits per second.
        gbit_per_s: f64 = |b| b.gbit_per_s;
        /// Messages per second.
        messages_per_s: f64 = |b| b.messages_per_s;
        /// Messages of the measuring side before, which are not counted.
        warmup_messages: u64 = |b| b.warmup_messages;
        /// The measuring side's part, then the answering side's where both sent.
        sides: Vec<SideBandwidth> = |b| list(&b.sides);
        /// Messages in flight at most.
        window: u32 = |b| b.window;
        /// Buffers that were sent from, and received into.
        buffers: u32 = |b| b.buffers;
    }
    repr = |b| format!("<Bandwidth {:.3} GB/s>", b.gb_per_s);
}

value_class! {
    /// One message size of a probe.
    ProbeRow(fabric::probe::Row) {
        /// Bytes of each message.
        size: u64 = |row| row.size;
        /// Whether the bytes of one transfer were compared with what was sent; not above 64 MiB.
        verified: bool = |row| row.verified;
        /// Latency, where it was asked for.
        latency: Option<Latency> = |row| row.latency.clone().map(Latency);
        /// Bandwidth, where it was asked for.
        bandwidth: Option<Bandwidth> = |row| row.bandwidth.clone().map(Bandwidth);
    }
    repr = |row| format!("<ProbeRow of {} bytes>", row.size);
}

value_class! {
    /// The result of a probe; `str()` is a table.
    ProbeReport(fabric::ProbeReport) {
        /// `loopback`, `connect` or `serve`.
        role: PyResult<choices::ProbeRole> = |report| word(&report.role).map(Into::into);
        /// The libfabric that was used.
        library_path: String = |report| report.library_path.clone();
        /// Its version.
        library_version: String = |report| report.library_version.to_string();
        /// The provider as libfabric returned it: asking for `tcp` may give `tcp;ofi_rxm`.
        provider: String = |report| report.provider.clone();
        /// The provider's version.
        provider_version: String = |report| report.provider_version.to_string();
        /// The fabric.
        fabric: String = |report| report.fabric.clone();
        /// The domain.
        domain: String = |report| report.domain.clone();
        /// The wire protocol.
        protocol: String = |report| report.protocol.clone();
        /// Whether shared memory may have been measured instead of the provider's network:
        /// `not_applicable`, `disabled` or `unknown`.
        shared_memory: PyResult<String> = |report| word(&report.shared_memory);
        /// Name of this machine.
        hostname: Option<String> = |report| report.hostname.clone();
        /// Name of the peer's machine.
        peer_hostname: Option<String> = |report| report.peer.hostname.clone();
        /// The peer's libfabric.
        peer_library_version: String = |report| report.peer.library_version.to_string();
        /// `message`, `tagged`, `write`, `write_data` or `read`.
        operation: PyResult<choices::Operation> = |report| word(&report.operation).map(Into::into);
        /// `one_way` or `bidirectional`.
        direction: PyResult<choices::Direction> = |report| word(&report.direction).map(Into::into);
        /// What was set on the endpoint, by libfabric's name, and whether the provider took it.
        endpoint_options: Vec<(String, bool)> = |report| {
            let outcomes = report.endpoint_options.iter();
            outcomes.map(|option| (option.name.clone(), option.accepted)).collect()
        };
        /// `reused` or `distinct`.
        buffers: PyResult<choices::Buffers> = |report| word(&report.buffers).map(Into::into);
        /// Where this side's buffers lay: `host`, or `cuda:0`.
        memory: String = |report| report.memory.to_string();
        /// Where the peer's lay.
        peer_memory: String = |report| report.peer.memory.to_string();
        /// The GPU memory of this side, where its buffers lay there.
        gpu: Option<GpuReport> = |report| report.gpu.clone().map(GpuReport);
        /// From the very first post to the first reply, with the making of connections.
        time_to_first_message_us: f64 = |report| report.time_to_first_message_us;
        /// One row for each size.
        rows: Rows<ProbeRow> = |report| rows(&report.rows);
        /// How to read the latencies.
        statement: String = |report| report.statement.clone();
    }
    repr = |report| format!("<ProbeReport of {}: {} sizes>", report.provider, report.rows.len());
    str = ToString::to_string;
    html = fabric::ProbeReport::to_html;
}
