//! GPU memory: the driver, loaded at run time where the feature `cuda` is on, and a refusal that
//! says what is missing where anything is. Nothing here falls back to host memory.

#[forbid(unsafe_code)]
mod missing;
pub(crate) use missing::{DmaBuf, Missing, missing};

#[cfg(feature = "cuda")]
mod driver;
#[cfg(feature = "cuda")]
mod ffi;
#[cfg(feature = "cuda")]
pub(crate) use driver::{Gpu, GpuBuffer};

#[cfg(not(feature = "cuda"))]
#[forbid(unsafe_code)]
mod absent;
#[cfg(not(feature = "cuda"))]
pub(crate) use absent::{Gpu, GpuBuffer};

#[cfg(all(test, not(feature = "cuda")))]
mod tests {
    use super::*;

    #[test]
    fn without_the_feature_no_gpu_opens() {
        let error = Gpu::open(0).map(drop).unwrap_err();
        assert_eq!(error.context_value("missing"), Some("feature"));
    }
}
