//! GPU memory in probes: the words of options, and what a report states of it.

use efa_fabric as fabric;
use pyo3::prelude::*;

use crate::argument::invalid;
use crate::choices;
use crate::convert::list;
use crate::value::value_class;

/// The memory for a word and its two switches.
pub(crate) fn parse_memory(
    text: &str,
    dmabuf: bool,
    forbid_cuda_calls: bool,
) -> PyResult<fabric::gpu::Memory> {
    let memory = text
        .parse::<fabric::gpu::Memory>()
        .map_err(|_: fabric::Error| {
            let limit = "must be host, cuda or cuda:N";
            invalid("memory", &format_args!("'{text}'"), limit)
        })?;
    match memory {
        fabric::gpu::Memory::Cuda(mut cuda) => {
            cuda.dmabuf = dmabuf;
            cuda.forbid_cuda_calls = forbid_cuda_calls;
            Ok(fabric::gpu::Memory::Cuda(cuda))
        }
        memory if !dmabuf && !forbid_cuda_calls => Ok(memory),
        _ => Err(invalid(
            "memory",
            &format_args!("'{text}'"),
            "must be 'cuda:N' where dmabuf or forbid_cuda_calls is given",
        )),
    }
}

/// The GPU memory of options, where they have such.
pub(crate) fn cuda(memory: fabric::gpu::Memory) -> Option<fabric::gpu::CudaMemory> {
    match memory {
        fabric::gpu::Memory::Cuda(cuda) => Some(cuda),
        _ => None,
    }
}

value_class! {
    /// One thing that was checked to find out whether the network card reaches GPU memory.
    GpuEvidence(fabric::gpu::Evidence) {
        /// Where: a path, a call, an option by libfabric's name.
        source: String = |evidence| evidence.source.clone();
        /// What was found there.
        finding: String = |evidence| evidence.finding.clone();
        /// What that states by itself: `proven`, `disproven` or `unknown`.
        shows: choices::Proof = |evidence| evidence.shows.as_str().into();
    }
    repr = |evidence| format!("<GpuEvidence {}: {}>", evidence.source, evidence.shows);
}

value_class! {
    /// The GPU memory of one side of a probe; `str()` has all the evidence.
    GpuReport(fabric::gpu::Report) {
        /// The device by CUDA's number.
        device: u32 = |gpu| gpu.device;
        /// The device's name, as the driver reports it.
        device_name: String = |gpu| gpu.device_name.clone();
        /// The file of the driver's library.
        driver_path: String = |gpu| gpu.driver_path.clone();
        /// Whether that is a test's library, and no GPU.
        is_stand_in: bool = |gpu| gpu.is_stand_in;
        /// Whether the memory was registered as a DMA-BUF.
        dmabuf: bool = |gpu| gpu.dmabuf;
        /// Whether the network card moves data from and to it by itself: `proven`, `disproven` or
        /// `unknown`.
        gpudirect: choices::Proof = |gpu| gpu.gpudirect.as_str().into();
        /// All that was looked at.
        evidence: Vec<GpuEvidence> = |gpu| list(&gpu.evidence);
    }
    repr = |gpu| format!("<GpuReport of cuda:{}, GPUDirect {}>", gpu.device, gpu.gpudirect);
    str = ToString::to_string;
    html = crate::value::text_as_html;
}
