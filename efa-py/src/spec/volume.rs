//! `Volume`, and the options that the root volume has, too.

use efa_core::spec::VolumeOptions;
use pyo3::prelude::*;

use crate::argument::{Within, given, number};
use crate::errors;
use crate::value::value_class;

value_class! {
    /// An EBS volume besides the root volume: empty at first, always encrypted, gone with its
    /// instance.
    ///
    /// device_name: such as `/dev/sdf`. size_gib: in GiB. volume_type: gp3 unless you choose
    /// otherwise; io1 and io2 need iops. throughput_mib_s: in MiB/s, gp3 only. kms_key_id: a key's id or ARN,
    /// or an alias or its ARN; the account's default key for EBS when None. Limits are EC2's (API
    /// reference, EbsBlockDevice).
    ///
    /// Raises PlanError that names the field, the value, the limit and the cure.
    Volume(efa_core::spec::Volume) {
        /// The device's name.
        device_name: String = |v| v.device_name.clone();
        /// Its size, in GiB.
        size_gib: u32 = |v| v.size_gib;
        /// Its type.
        volume_type: String = |v| v.options.volume_type().to_string();
        /// Provisioned IOPS; EC2's default when None.
        iops: Option<u32> = |v| v.options.iops;
        /// Throughput in MiB/s; EC2's default when None.
        throughput_mib_s: Option<u32> = |v| v.options.throughput_mib_s;
        /// The KMS key that encrypts it; the account's default key when None.
        kms_key_id: Option<String> = |v| v.options.kms_key_id.clone();
    }
    repr = |v| format!(
        "Volume(device_name='{}', size_gib={}, volume_type='{}')",
        v.device_name, v.size_gib, v.options.volume_type()
    );
}

#[pymethods]
impl Volume {
    #[new]
    #[pyo3(signature = (
        *, device_name: "str", size_gib: "int",
        volume_type: "choices.VolumeType | None" = None, iops: "int | None" = None,
        throughput_mib_s: "int | None" = None, kms_key_id: "str | None" = None
    ))]
    fn new(
        #[pyo3(from_py_with = given)] device_name: String,
        #[pyo3(from_py_with = given)] size_gib: Within<1, 65_536>,
        #[pyo3(from_py_with = given)] volume_type: Option<&str>,
        #[pyo3(from_py_with = given)] iops: Option<Within<100, 256_000>>,
        #[pyo3(from_py_with = given)] throughput_mib_s: Option<Within<125, 2_000>>,
        #[pyo3(from_py_with = given)] kms_key_id: Option<String>,
    ) -> PyResult<Self> {
        let mut volume = efa_core::spec::Volume::new(device_name, size_gib.0);
        volume.options = volume_options(volume_type, iops, throughput_mib_s, kms_key_id);
        volume.check().map_err(errors::exception)?;
        Ok(Self(volume))
    }
}

pub(super) fn volume_options(
    volume_type: Option<&str>,
    iops: Option<Within<100, 256_000>>,
    throughput_mib_s: Option<Within<125, 2_000>>,
    kms_key_id: Option<String>,
) -> VolumeOptions {
    let mut options = VolumeOptions::default();
    options.volume_type = volume_type.map(Into::into);
    options.iops = number(iops);
    options.throughput_mib_s = number(throughput_mib_s);
    options.kms_key_id = kms_key_id;
    options
}
