#![doc = "x"]
mod clock;
#[forbid(unsafe_code)]
mod environment;
mod endpoint;
#[forbid(unsafe_code)]
mod error;
mod ffi;
mod handle;
#[forbid(unsafe_code)]
mod info;
mod info_list;
mod library;
mod memory;
pub use endpoint::{Endpoint, EndpointOptions, OptionOutcome, SharedMemory};
pub use error::{Code, Error, ErrorKind, Result};
pub use info::{LinkState, Nic, NicInfo, ProviderInfo, nics, providers};
pub use library::{Library, Version};
