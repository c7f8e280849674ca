//! Arguments from Python: what is taken for what, and the error that names argument, value and limit.
//!
//! `#[pyo3(from_py_with = given)]` stands before every parameter. pyo3 gives the error the
//! argument it arose in (`errors.ArgumentError.add_note`), so none of this needs its name.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyString};
use pyo3::{PyClass, PyTypeInfo};

use crate::errors::{self, Code};

/// What a parameter takes.
pub(crate) trait Given<'a, 'py>: Sized {
    /// In words, such as `an int`.
    fn wanted() -> Cow<'static, str>;

    /// The value; `None` for one of another type.
    fn take(given: &'a Bound<'py, PyAny>) -> Taken<Self>;
}

/// A value, or how it fails.
pub(crate) type Taken<T> = Result<T, Refusal>;

/// Why a value is not taken.
pub(crate) enum Refusal {
    /// It is of another type.
    Type,
    /// It is beyond this limit.
    Limit(String),
}

/// The argument as a parameter takes it.
pub(crate) fn given<'a, 'py, T: Given<'a, 'py>>(argument: &'a Bound<'py, PyAny>) -> PyResult<T> {
    T::take(argument).map_err(|refusal| match refusal {
        Refusal::Type => wrong_type(argument, &T::wanted()),
        Refusal::Limit(limit) => {
            errors::argument(Code::InvalidValue, None, &shown(argument), &limit, None)
        }
    })
}

/// As [`given`], for what no error may show: keys and tokens.
pub(crate) fn secret<'a, 'py, T: Given<'a, 'py>>(argument: &'a Bound<'py, PyAny>) -> PyResult<T> {
    T::take(argument).map_err(|_| not_shown(None, argument, &T::wanted()))
}

/// An error for an argument of another type, without what is in it.
pub(crate) fn not_shown(name: Option<&str>, argument: &Bound<'_, PyAny>, wanted: &str) -> PyErr {
    let value = format!("<{} object>", class_of(argument));
    errors::argument(
        Code::WrongType,
        name,
        &value,
        &format!("must be {wanted}"),
        None,
    )
}

fn class_of(argument: &Bound<'_, PyAny>) -> String {
    let class = argument.get_type();
    class
        .name()
        .map_or_else(|_| "unknown".into(), |name| name.to_string())
}

/// An error for the argument of this name, which must be what `limit` states.
pub(crate) fn invalid(name: &str, value: &dyn Display, limit: &str) -> PyErr {
    errors::argument(
        Code::InvalidValue,
        Some(name),
        &value.to_string(),
        limit,
        None,
    )
}

fn wrong_type(argument: &Bound<'_, PyAny>, wanted: &str) -> PyErr {
    let class = class_of(argument);
    let value = if argument.is_none() {
        "None".to_owned()
    } else {
        format!("{} ({class})", shown(argument))
    };
    let cure = match class.as_str() {
        "str" if wanted.starts_with("a list of str") => {
            Some(format!("write [{}]", shown(argument)))
        }
        "ClusterSpec" if wanted == "a Plan" => Some("Client.plan(spec) makes one".to_owned()),
        "str" if wanted == "a Plan" => Some("Client.plan(spec) makes one".to_owned()),
        "Cluster" if wanted == "a Plan" => {
            Some("Client.plan(spec) makes one, and Client.apply(plan) the cluster".to_owned())
        }
        "Plan" if wanted == "a ClusterSpec" => Some("give plan.spec".to_owned()),
        "int" | "float" if wanted.starts_with("a datetime.timedelta") => Some(format!(
            "datetime.timedelta(seconds={}) is so long",
            shown(argument)
        )),
        "dict" | "list" if wanted.starts_with("a document") => {
            Some("give its text: json.dumps(document)".to_owned())
        }
        "bytes" if wanted.starts_with("a document") => {
            Some("decode them: text.decode()".to_owned())
        }
        _ if wanted.starts_with("a document") && argument.hasattr("read_text").unwrap_or(false) => {
            Some("give the text in it: path.read_text()".to_owned())
        }
        "Plan" | "Cluster" | "ClusterSpec" | "ClusterSummary" if wanted.contains("name") => {
            Some("give its name, such as plan.name".to_owned())
        }
        _ => None,
    };
    errors::argument(
        Code::WrongType,
        None,
        &value,
        &format!("must be {wanted}"),
        cure,
    )
}

/// The value as Python writes it, at most 60 characters.
fn shown(value: &Bound<'_, PyAny>) -> String {
    const MOST: usize = 60;
    let text = value
        .repr()
        .map_or_else(|_| "unreadable".into(), |text| text.to_string());
    if text.chars().count() <= MOST {
        return text;
    }
    text.chars().take(MOST - 1).chain(['…']).collect()
}

/// What pyo3 extracts, under other words.
macro_rules! extracted {
    ($($type:ty: $wanted:literal;)*) => {$(
        impl<'a, 'py> crate::argument::Given<'a, 'py> for $type {
            fn wanted() -> std::borrow::Cow<'static, str> {
                $wanted.into()
            }

            fn take(given: &'a pyo3::Bound<'py, pyo3::PyAny>) -> crate::argument::Taken<Self> {
                given.extract().map_err(|_| crate::argument::Refusal::Type)
            }
        }
    )*};
}
pub(crate) use extracted;

extracted! {
    &'a str: "a str";
    String: "a str";
    &'a [u8]: "bytes";
    bool: "a bool";
    Duration: "a datetime.timedelta of 0 or more";
    PathBuf: "a str or an os.PathLike";
    BTreeMap<String, String>: "a dict of str to str";
    BTreeMap<String, Option<String>>: "a dict of str to str or None";
    (usize, usize): "a pair of ints, 0 or more";
    Py<PyAny>: "an object";
}

impl<'a, 'py> Given<'a, 'py> for f64 {
    fn wanted() -> Cow<'static, str> {
        "a number".into()
    }

    fn take(given: &'a Bound<'py, PyAny>) -> Taken<Self> {
        if given.is_instance_of::<PyBool>() {
            return Err(Refusal::Type);
        }
        given.extract().map_err(|_| Refusal::Type)
    }
}

/// Whole numbers within a type of Rust.
macro_rules! integers {
    ($($type:ty)*) => {$(
        impl<'a, 'py> Given<'a, 'py> for $type {
            fn wanted() -> Cow<'static, str> {
                "an int".into()
            }

            fn take(given: &'a Bound<'py, PyAny>) -> Taken<Self> {
                integer(given, Self::MIN, Self::MAX)
            }
        }
    )*};
}

integers! { u32 u64 usize i64 }

/// A number whose limits the core knows better: beyond what a u32 holds, these are named.
pub(crate) struct Within<const LEAST: u32, const MOST: u32>(pub(crate) u32);

impl<'a, 'py, const LEAST: u32, const MOST: u32> Given<'a, 'py> for Within<LEAST, MOST> {
    fn wanted() -> Cow<'static, str> {
        "an int".into()
    }

    fn take(given: &'a Bound<'py, PyAny>) -> Taken<Self> {
        integer(given, LEAST, MOST).map(Self)
    }
}

/// The number in it.
pub(crate) fn number<const LEAST: u32, const MOST: u32>(
    within: Option<Within<LEAST, MOST>>,
) -> Option<u32> {
    within.map(|within| within.0)
}

/// A number of things from 1 on, which the core judges.
pub(crate) struct Count<const MOST: u32>(pub(crate) i64);

impl<'a, 'py, const MOST: u32> Given<'a, 'py> for Count<MOST> {
    fn wanted() -> Cow<'static, str> {
        "an int".into()
    }

    fn take(given: &'a Bound<'py, PyAny>) -> Taken<Self> {
        integer(given, 1, MOST).map(Self)
    }
}

/// A whole number. True, which Python takes for 1, is none: `efa=True` would ask for one interface.
fn integer<'a, 'py, T: FromPyObject<'a, 'py, Error = PyErr>>(
    given: &'a Bound<'py, PyAny>,
    least: impl Display,
    most: impl Display,
) -> Taken<T> {
    if given.is_instance_of::<PyBool>() {
        return Err(Refusal::Type);
    }
    given.extract().map_err(|error: PyErr| {
        if error.is_instance_of::<PyOverflowError>(given.py()) {
            Refusal::Limit(format!("must be from {least} to {most}"))
        } else {
            Refusal::Type
        }
    })
}

impl<'a, 'py, T: Given<'a, 'py>> Given<'a, 'py> for Option<T> {
    fn wanted() -> Cow<'static, str> {
        format!("{} or None", T::wanted()).into()
    }

    fn take(given: &'a Bound<'py, PyAny>) -> Taken<Self> {
        if given.is_none() {
            return Ok(None);
        }
        T::take(given).map(Some)
    }
}

/// Lists: a text is one value, and no list of letters.
impl<'a, 'py, T: ListItem + for<'b> Given<'b, 'py>> Given<'a, 'py> for Vec<T> {
    fn wanted() -> Cow<'static, str> {
        format!("a list of {}", T::ITEMS).into()
    }

    fn take(given: &'a Bound<'py, PyAny>) -> Taken<Self> {
        let is_text = given.is_instance_of::<PyString>()
            || given.is_instance_of::<PyBytes>()
            || given.is_instance_of::<PyByteArray>();
        if is_text || given.len().is_err() || given.is_instance_of::<pyo3::types::PyDict>() {
            return Err(Refusal::Type);
        }
        let items = given.try_iter().map_err(|_| Refusal::Type)?;
        items
            .map(|item| T::take(&item.map_err(|_| Refusal::Type)?))
            .collect()
    }
}

/// What a list can have.
pub(crate) trait ListItem {
    /// In words, such as `ints`.
    const ITEMS: &'static str;
}

impl ListItem for String {
    const ITEMS: &'static str = "str";
}

impl ListItem for usize {
    const ITEMS: &'static str = "ints of 0 or more";
}

/// The text of a document.
pub(crate) struct Document(pub(crate) String);

extracted! {
    Document: "a document's text, a str";
}

impl<'a> FromPyObject<'a, '_> for Document {
    type Error = PyErr;

    fn extract(given: Borrowed<'a, '_, PyAny>) -> PyResult<Self> {
        given.extract().map(Self)
    }
}

/// The name of a cluster.
pub(crate) struct Name(pub(crate) String);

extracted! {
    Name: "a cluster's name, a str";
}

impl<'a> FromPyObject<'a, '_> for Name {
    type Error = PyErr;

    fn extract(given: Borrowed<'a, '_, PyAny>) -> PyResult<Self> {
        given.extract().map(Self)
    }
}

/// What is called with what happens.
pub(crate) struct Callback(pub(crate) Py<PyAny>);

impl<'a, 'py> Given<'a, 'py> for Callback {
    fn wanted() -> Cow<'static, str> {
        "a callable".into()
    }

    fn take(given: &'a Bound<'py, PyAny>) -> Taken<Self> {
        if given.is_callable() {
            Ok(Self(given.clone().unbind()))
        } else {
            Err(Refusal::Type)
        }
    }
}

/// A name in square brackets or before `in`: their methods take no `from_py_with` that the stub
/// would know the type of.
pub(crate) struct Key<'a>(pub(crate) &'a str);

impl<'a, 'py> FromPyObject<'a, 'py> for Key<'a> {
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const INPUT_TYPE: pyo3::inspect::PyStaticExpr = <&'a str>::INPUT_TYPE;

    fn extract(given: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let name = given.extract().map(Self);
        name.map_err(|_| wrong_type(&given, &<&str>::wanted()))
    }
}

/// A reference to a frozen class of the package.
impl<'a, 'py, T> Given<'a, 'py> for &'a T
where
    T: PyClass<Frozen = True> + PyTypeInfo + Sync,
{
    fn wanted() -> Cow<'static, str> {
        format!("a {}", T::NAME).into()
    }

    fn take(given: &'a Bound<'py, PyAny>) -> Taken<Self> {
        given.cast().map(Bound::get).map_err(|_| Refusal::Type)
    }
}

/// A class of the package, by value.
macro_rules! class_given {
    ($($name:ident)*) => {$(
        impl<'a, 'py> crate::argument::Given<'a, 'py> for $name {
            fn wanted() -> std::borrow::Cow<'static, str> {
                concat!("a ", stringify!($name)).into()
            }

            fn take(
                given: &'a pyo3::Bound<'py, pyo3::PyAny>,
            ) -> crate::argument::Taken<Self> {
                use pyo3::prelude::PyAnyMethods as _;
                given.extract().map_err(|_| crate::argument::Refusal::Type)
            }
        }

        impl crate::argument::ListItem for $name {
            const ITEMS: &'static str = stringify!($name);
        }
    )*};
}
pub(crate) use class_given;
