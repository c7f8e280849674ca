//! Where the buffers of a probe lie, and what is known of how a network card reaches them.
//!
//! That a provider has `FI_HMEM` proves nothing: from API 1.18 on, `efa` claims it as soon as CUDA
//! initialises, and copies through host memory where the card cannot reach the GPU. So each thing
//! that shows more is kept with what it reports, and the verdict follows from them.

use std::ffi::c_int;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};
use crate::provider;

/// The location of the buffers that one side sends from and receives into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Memory {
    /// Memory of the processors.
    #[default]
    Host,
    /// Memory of a GPU, by CUDA. Needs NVIDIA's driver, and a provider that registers it;
    /// whatever is missing is `fabric.gpu_unavailable`.
    Cuda(CudaMemory),
}

/// Memory of an NVIDIA GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CudaMemory {
    /// The device by CUDA's number, from 0.
    pub device: u32,
    /// Whether it is registered as a DMA-BUF (`FI_MR_DMABUF`, libfabric 1.20 and later), not by
    /// its address.
    pub dmabuf: bool,
    /// Whether the provider is configured to call no CUDA (`FI_OPT_CUDA_API_PERMITTED` = false),
    /// which who holds locks of CUDA needs. The report's `endpoint_options` state whether it agreed.
    pub forbid_cuda_calls: bool,
}

impl CudaMemory {
    /// Returns the memory of this device, registered by its address; the provider may call CUDA.
    #[must_use]
    pub const fn new(device: u32) -> Self {
        Self {
            device,
            dmabuf: false,
            forbid_cuda_calls: false,
        }
    }
}

impl Memory {
    /// Returns the memory of this CUDA device.
    #[must_use]
    pub const fn cuda(device: u32) -> Self {
        Self::Cuda(CudaMemory::new(device))
    }

    pub(crate) const fn as_cuda(&self) -> Option<CudaMemory> {
        match self {
            Self::Host => None,
            Self::Cuda(cuda) => Some(*cuda),
        }
    }
}

/// `host` or `cuda:0`.
impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Cuda(cuda) => write!(f, "cuda:{}", cuda.device),
        }
    }
}

/// Reads `host`, `cuda` (device 0) and `cuda:3`; else `fabric.invalid_option`.
impl FromStr for Memory {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let device = match text.split_once(':') {
            None if text == "host" => return Ok(Self::Host),
            None if text == "cuda" => Some(0),
            Some(("cuda", number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                number.parse().ok()
            }
            _ => None,
        };
        device.map(Self::cuda).ok_or_else(|| {
            Error::new(
                Code::InvalidOption,
                format!("memory is '{text}', must be host, cuda or cuda:N"),
            )
            .with_context("option", "memory")
        })
    }
}

/// The verdict on GPUDirect: the network card moves data from and to GPU memory by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GpuDirect {
    /// It does.
    Proven,
    /// It does not: data is copied through host memory.
    Disproven,
    /// Nothing states this or otherwise.
    Unknown,
}

impl GpuDirect {
    /// Returns the name, as in JSON: `proven`, `disproven`, `unknown`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Disproven => "disproven",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for GpuDirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evidence {
    /// Where: a path, a call, an option by libfabric's name.
    pub source: String,
    /// What was found there.
    pub finding: String,
    /// What that states by itself.
    pub shows: GpuDirect,
}

/// The GPU memory of one side of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// The device by CUDA's number.
    pub device: u32,
    /// The device's name, as the driver reports it.
    pub device_name: String,
    /// The file of the driver's library.
    pub driver_path: String,
    /// Whether that is a test's library, and no GPU.
    pub is_stand_in: bool,
    /// Whether the memory was registered as a DMA-BUF.
    pub dmabuf: bool,
    /// What the evidence comes to.
    pub gpudirect: GpuDirect,
    /// All that was looked at.
    pub evidence: Vec<Evidence>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let registered = if self.dmabuf { "DMA-BUF" } else { "address" };
        write!(
            f,
            "GPU memory: cuda:{} {} ({}), registered by {registered}; GPUDirect {}",
            self.device, self.device_name, self.driver_path, self.gpudirect
        )?;
        if self.is_stand_in {
            f.write_str("; NO GPU: a test's library stands in for the driver")?;
        }
        for evidence in &self.evidence {
            write!(
                f,
                "\n  {}: {} ({})",
                evidence.source, evidence.finding, evidence.shows
            )?;
        }
        Ok(())
    }
}

/// What was seen of an endpoint whose buffers a GPU has. Its memory is registered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    /// The provider, without layers.
    pub(crate) provider: String,
    pub(crate) fabric: String,
    /// The RDMA device in sysfs, where the domain names one.
    pub(crate) device: Option<String>,
    /// The device's file `p2p`, where there is one.
    pub(crate) p2p: Option<String>,
    /// What setting `FI_OPT_FI_HMEM_P2P` to `FI_HMEM_P2P_REQUIRED` returned, where it was tried.
    pub(crate) p2p_required: Option<c_int>,
    /// `FI_OPT_EFA_EMULATED_WRITE`, where the endpoint reports it.
    pub(crate) emulated_write: Option<bool>,
    pub(crate) dmabuf: bool,
    pub(crate) is_stand_in: bool,
}

/// The verdict, and what it stands on (libfabric: prov/efa/src/efa_hmem.c, rdm/efa_rdm_ep_fiops.c,
/// efa_ep.c; amzn-drivers: efa_nvmem_impl.h, efa_neuronmem.c).
pub(crate) fn judge(seen: &Observed) -> (GpuDirect, Vec<Evidence>) {
    let evidence: Vec<Evidence> = [
        device_file(seen),
        peer_to_peer_option(seen),
        emulated_write(seen),
        Some(registration(seen)),
        kernel_sockets(seen),
        seen.is_stand_in.then(stand_in),
    ]
    .into_iter()
    .flatten()
    .collect();
    let verdict = match seen.is_stand_in {
        true => GpuDirect::Unknown,
        false => outweigh(&evidence),
    };
    (verdict, evidence)
}

/// A proof outweighs the rest: with DMA-BUF the card reaches a GPU although the driver's `p2p`
/// names nothing.
fn outweigh(evidence: &[Evidence]) -> GpuDirect {
    let shows = |what| evidence.iter().any(|evidence| evidence.shows == what);
    if shows(GpuDirect::Proven) {
        GpuDirect::Proven
    } else if shows(GpuDirect::Disproven) {
        GpuDirect::Disproven
    } else {
        GpuDirect::Unknown
    }
}

impl Evidence {
    fn new(source: impl Into<String>, finding: impl Into<String>, shows: GpuDirect) -> Self {
        Self {
            source: source.into(),
            finding: finding.into(),
            shows,
        }
    }
}

impl Observed {
    fn is_efa(&self) -> bool {
        self.provider.eq_ignore_ascii_case("efa")
    }

    fn is_efa_direct(&self) -> bool {
        self.is_efa() && self.fabric == "efa-direct"
    }

    /// The answers to the options of the fabric efa; efa-direct accepts them unchecked.
    fn has_telling_options(&self) -> bool {
        self.is_efa() && !self.is_efa_direct()
    }
}

/// What the driver's file `p2p` states of the device.
fn device_file(seen: &Observed) -> Option<Evidence> {
    let device = seen.device.as_ref().filter(|_| seen.is_efa())?;
    let (finding, shows) = match seen.p2p.as_deref() {
        None => ("no such file".into(), GpuDirect::Unknown),
        Some("") => (
            "empty: the driver reaches no device memory by its address".into(),
            GpuDirect::Disproven,
        ),
        Some(text) if text.to_ascii_uppercase().starts_with("NVIDIA") => (
            format!("{text}: the driver can reach memory of GPUs; not whether it does here"),
            GpuDirect::Unknown,
        ),
        Some(text) => (
            format!("{text}: not memory of NVIDIA's GPUs"),
            GpuDirect::Disproven,
        ),
    };
    let path = format!("/sys/class/infiniband/{device}/device/p2p");
    Some(Evidence::new(path, finding, shows))
}

/// What asking for peer-to-peer access returned.
fn peer_to_peer_option(seen: &Observed) -> Option<Evidence> {
    let code = seen.p2p_required.filter(|_| seen.has_telling_options())?;
    let (finding, shows) = match code {
        0 => (
            "FI_HMEM_P2P_REQUIRED was accepted".into(),
            GpuDirect::Proven,
        ),
        code if -code == libc::EOPNOTSUPP => (
            "FI_HMEM_P2P_REQUIRED was refused as not supported: data is copied".into(),
            GpuDirect::Disproven,
        ),
        code => (
            format!("FI_HMEM_P2P_REQUIRED returned {code}"),
            GpuDirect::Unknown,
        ),
    };
    Some(Evidence::new("FI_OPT_FI_HMEM_P2P", finding, shows))
}

/// Whether writes are messages in truth.
fn emulated_write(seen: &Observed) -> Option<Evidence> {
    let emulated = seen.emulated_write.filter(|_| seen.has_telling_options())?;
    let finding = match emulated {
        false => "false: the device writes by itself; not whether from memory of GPUs",
        true => "true: writes are messages, which may be copied",
    };
    Some(Evidence::new(
        "FI_OPT_EFA_EMULATED_WRITE",
        finding,
        GpuDirect::Unknown,
    ))
}

/// What it reports that the provider registered the memory.
fn registration(seen: &Observed) -> Evidence {
    let registered = match seen.dmabuf {
        true => "a DMA-BUF",
        false => "its address",
    };
    let (finding, shows) = match seen.is_efa_direct() {
        true => (
            format!("efa-direct, which never copies, registered the memory by {registered}"),
            GpuDirect::Proven,
        ),
        false => (
            format!("registered by {registered}, which this provider may do and still copy"),
            GpuDirect::Unknown,
        ),
    };
    Evidence::new("fi_mr_regattr", finding, shows)
}

/// Whether the provider reaches host memory only.
fn kernel_sockets(seen: &Observed) -> Option<Evidence> {
    provider::uses_sockets(&seen.provider).then(|| {
        Evidence::new(
            "provider",
            format!(
                "{} goes through the kernel's sockets, from host memory",
                seen.provider
            ),
            GpuDirect::Disproven,
        )
    })
}

/// No GPU: nothing that was seen is of one.
fn stand_in() -> Evidence {
    Evidence::new(
        "driver",
        "a test's library stands in for the driver: there is no GPU",
        GpuDirect::Unknown,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_reads_back() {
        for (text, memory) in [
            ("host", Memory::Host),
            ("cuda", Memory::cuda(0)),
            ("cuda:0", Memory::cuda(0)),
            ("cuda:17", Memory::cuda(17)),
        ] {
            assert_eq!(text.parse::<Memory>().unwrap(), memory, "{text}");
            assert_eq!(memory.to_string().parse::<Memory>().unwrap(), memory);
        }
        for bad in [
            "",
            "gpu",
            "cuda:",
            "cuda:-1",
            "cuda:+1",
            "cuda:x",
            "host:0",
            "CUDA",
            "cuda:4294967296",
        ] {
            let error = bad.parse::<Memory>().unwrap_err();
            assert_eq!(error.code(), Code::InvalidOption, "{bad}");
            assert_eq!(error.context_value("option"), Some("memory"));
        }
    }

    fn efa(fabric: &str) -> Observed {
        Observed {
            provider: "efa".into(),
            fabric: fabric.into(),
            device: Some("rdmap0s6".into()),
            ..Observed::default()
        }
    }

    #[test]
    fn each_kind_of_evidence_says_what_it_can() {
        use GpuDirect::{Disproven, Proven, Unknown};
        let refused = -libc::EOPNOTSUPP;
        let p2p = |text: &str| Some(text.to_owned());
        // name, p2p, option, emulated write, fabric, verdict
        let cases = [
            ("nothing is known", None, None, None, "efa", Unknown),
            (
                "the driver could",
                p2p("NVIDIA"),
                None,
                None,
                "efa",
                Unknown,
            ),
            (
                "peermem",
                p2p("NVIDIA peermem"),
                None,
                Some(false),
                "efa",
                Unknown,
            ),
            ("native writes", None, None, Some(false), "efa", Unknown),
            ("the driver cannot", p2p(""), None, None, "efa", Disproven),
            (
                "another accelerator",
                p2p("NEURON"),
                None,
                None,
                "efa",
                Disproven,
            ),
            (
                "accepted",
                p2p("NVIDIA"),
                Some(0),
                Some(false),
                "efa",
                Proven,
            ),
            (
                "accepted, by DMA-BUF",
                p2p(""),
                Some(0),
                None,
                "efa",
                Proven,
            ),
            (
                "refused",
                p2p("NVIDIA"),
                Some(refused),
                Some(false),
                "efa",
                Disproven,
            ),
            (
                "no CUDA in libfabric",
                None,
                Some(-libc::EINVAL),
                None,
                "efa",
                Unknown,
            ),
            (
                "unknown option",
                None,
                Some(-libc::ENOPROTOOPT),
                None,
                "efa",
                Unknown,
            ),
            ("registered", None, None, None, "efa-direct", Proven),
            // On efa-direct neither option states anything: it accepts them unchecked.
            (
                "direct",
                p2p("NVIDIA"),
                Some(refused),
                Some(true),
                "efa-direct",
                Proven,
            ),
        ];
        for (name, p2p, p2p_required, emulated_write, fabric, expected) in cases {
            let seen = Observed {
                p2p,
                p2p_required,
                emulated_write,
                ..efa(fabric)
            };
            let (verdict, evidence) = judge(&seen);
            assert_eq!(verdict, expected, "{name}: {evidence:?}");
            let stand_in = Observed {
                is_stand_in: true,
                ..seen
            };
            let (verdict, evidence) = judge(&stand_in);
            assert_eq!(verdict, Unknown, "{name}, without a GPU");
            assert!(evidence.iter().any(|e| e.source == "driver"), "{name}");
        }
    }

    #[test]
    fn registration_on_efa_proves_nothing_even_by_dma_buf() {
        let seen = Observed {
            dmabuf: true,
            ..efa("efa")
        };
        let (verdict, evidence) = judge(&seen);
        assert_eq!(verdict, GpuDirect::Unknown);
        assert!(evidence.iter().any(|e| e.finding.contains("DMA-BUF")));
    }

    #[test]
    fn sockets_copy_and_others_are_not_known() {
        for (provider, expected) in [
            ("tcp", GpuDirect::Disproven),
            ("udp", GpuDirect::Disproven),
            ("shm", GpuDirect::Unknown),
            ("verbs", GpuDirect::Unknown),
        ] {
            let seen = Observed {
                provider: provider.into(),
                // Sysfs and the options of efa are not asked about others.
                device: Some("mlx5_0".into()),
                p2p: Some(String::new()),
                p2p_required: Some(0),
                ..Observed::default()
            };
            let (verdict, evidence) = judge(&seen);
            assert_eq!(verdict, expected, "{provider}");
            assert!(!evidence.iter().any(|e| e.source.contains("/sys/")));
        }
    }

    #[test]
    fn the_text_names_library_device_and_what_stands_in() {
        let (gpudirect, evidence) = judge(&Observed {
            is_stand_in: true,
            ..efa("efa")
        });
        let report = Report {
            device: 1,
            device_name: "Fake".into(),
            driver_path: "/tmp/libfake.so".into(),
            is_stand_in: true,
            dmabuf: false,
            gpudirect,
            evidence,
        };
        let text = report.to_string();
        for part in [
            "cuda:1 Fake (/tmp/libfake.so)",
            "GPUDirect unknown",
            "NO GPU",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
