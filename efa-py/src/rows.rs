//! Lists and texts that notebooks show as tables: the classes of `efa_sdk.rows`.

#[cfg(feature = "stubs")]
use pyo3::inspect::PyStaticExpr;
use pyo3::prelude::*;

#[cfg(feature = "stubs")]
const MODULE: PyStaticExpr = PyStaticExpr::Name { id: "efa_sdk.rows" };

/// Values as an `efa_sdk.rows.Rows`, which is a list.
pub(crate) struct Rows<T>(Vec<T>);

/// Core values as such a list of their Python classes.
pub(crate) fn rows<T: Clone, P: From<T>>(values: &[T]) -> Rows<P> {
    values.iter().cloned().map(P::from).collect()
}

impl<T> FromIterator<T> for Rows<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl<'py, T: IntoPyObject<'py>> IntoPyObject<'py> for Rows<T> {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const OUTPUT_TYPE: PyStaticExpr = PyStaticExpr::Subscript {
        value: &PyStaticExpr::Attribute {
            value: &MODULE,
            attr: "Rows",
        },
        slice: &T::OUTPUT_TYPE,
    };

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        py.import("efa_sdk.rows")?.getattr("Rows")?.call1((self.0,))
    }
}

/// A text as an `efa_sdk.rows.Table`, which is a str.
pub(crate) struct Table {
    pub(crate) text: String,
    pub(crate) html: String,
}

impl<'py> IntoPyObject<'py> for Table {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const OUTPUT_TYPE: PyStaticExpr = PyStaticExpr::Attribute {
        value: &MODULE,
        attr: "Table",
    };

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        py.import("efa_sdk.rows")?
            .getattr("Table")?
            .call1((self.text, self.html))
    }
}
