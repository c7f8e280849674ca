//! The macro that makes a frozen, hashable, picklable Python class of a core value.

/// Wraps a core value: properties, `repr()`, and where given `str()` and the notebook's HTML by
/// conversion, equality by the value, and hash, pickling, `to_json` and `from_json` by its JSON
/// (values with measured numbers have no hash of their own).
macro_rules! value_class {
    (
        $(#[$meta:meta])*
        $name:ident($core:ty) {
            $($(#[$doc:meta])* $field:ident: $type:ty = $get:expr;)*
        }
        repr = $repr:expr;
        $(str = $str:expr;)?
        $(html = $html:expr;)?
    ) => {
        $(#[$meta])*
        #[pyo3::pyclass(frozen, eq, from_py_object, module = "efa_sdk._efa_sdk")]
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) struct $name(pub(crate) $core);

        impl From<$core> for $name {
            fn from(value: $core) -> Self {
                Self(value)
            }
        }

        crate::argument::class_given! { $name }

        #[pyo3::pymethods]
        impl $name {
            $(
                $(#[$doc])*
                #[getter]
                fn $field(&self) -> $type {
                    let get: fn(&$core) -> $type = $get;
                    get(&self.0)
                }
            )*

            fn __repr__(&self) -> String {
                let repr: fn(&$core) -> String = $repr;
                repr(&self.0)
            }

            $(
                fn __str__(&self) -> String {
                    let str: fn(&$core) -> String = $str;
                    str(&self.0)
                }
            )?

            $(
                fn _repr_html_(&self) -> String {
                    let html: fn(&$core) -> String = $html;
                    html(&self.0)
                }
            )?

            /// Returns the value as JSON.
            fn to_json(&self) -> pyo3::PyResult<String> {
                crate::errors::json(serde_json::to_string(&self.0))
            }

            /// Returns the value that `to_json` gave.
            ///
            /// text: the JSON. Raises ArgumentValueError for what is none of this class.
            #[staticmethod]
            #[pyo3(signature = (text: "str"))]
            fn from_json(
                #[pyo3(from_py_with = crate::argument::given)] text: &str,
            ) -> pyo3::PyResult<Self> {
                crate::errors::json(serde_json::from_str(text)).map(Self)
            }

            fn __hash__(&self) -> pyo3::PyResult<u64> {
                use std::hash::{DefaultHasher, Hash as _, Hasher as _};
                let mut hasher = DefaultHasher::new();
                self.to_json()?.hash(&mut hasher);
                Ok(hasher.finish())
            }

            fn __reduce__<'py>(
                &self,
                py: pyo3::Python<'py>,
            ) -> pyo3::PyResult<(pyo3::Bound<'py, pyo3::PyAny>, (String,))> {
                use pyo3::prelude::PyAnyMethods as _;
                let class = py.get_type::<Self>();
                Ok((class.getattr("from_json")?, (self.to_json()?,)))
            }
        }
    };
}
pub(crate) use value_class;

/// The text form for notebooks, which else show the `repr()`.
pub(crate) fn text_as_html(value: &impl std::fmt::Display) -> String {
    efa_core::html::preformatted(&value.to_string())
}
