//! Words of results, with the types of `efa_sdk.choices` that the stub gives them.

use std::borrow::Cow;
use std::convert::Infallible;

#[cfg(feature = "stubs")]
use pyo3::inspect::PyStaticExpr;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// A class for each of these types.
macro_rules! choices {
    ($($name:ident)*) => {$(
        #[doc = concat!("A word of `efa_sdk.choices.", stringify!($name), "`.")]
        pub(crate) struct $name(Cow<'static, str>);

        impl From<&'static str> for $name {
            fn from(word: &'static str) -> Self {
                Self(Cow::Borrowed(word))
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                Self(Cow::Owned(word))
            }
        }

        impl<'py> IntoPyObject<'py> for $name {
            type Target = PyString;
            type Output = Bound<'py, PyString>;
            type Error = Infallible;

            #[cfg(feature = "stubs")]
            const OUTPUT_TYPE: PyStaticExpr = PyStaticExpr::Attribute {
                value: &PyStaticExpr::Name { id: "efa_sdk.choices" },
                attr: stringify!($name),
            };

            fn into_pyobject(self, py: Python<'py>) -> Result<Self::Output, Self::Error> {
                Ok(PyString::new(py, &self.0))
            }
        }
    )*};
}

choices! {
    Buffers CheckStatus CommandStatus Direction DocumentSeverity DocumentStatus DoctorStatus
    DoctorVerdict EventAction HostNames JobEnd NcclSeverity NcclVerdict NodeStateKind Operation
    Placement PreflightVerdict ProbeRole Profile Proof PublicIp RailEvidence SurveyBreaks SurveyMode
    SurveyPattern SurveyStatus Tenancy Wait
}
