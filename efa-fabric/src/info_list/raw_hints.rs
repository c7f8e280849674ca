//! Hints with every field that a trial varies, written into an `fi_info` of the library's own.

use std::ffi::{CString, c_char};
use std::sync::Arc;

use crate::error::Result;
use crate::library::{InfoList, Library, c_string};

/// Hints as numbers; 0 and `None` leave a field as the library made it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RawHints<'a> {
    pub(crate) provider: Option<&'a str>,
    pub(crate) fabric: Option<&'a str>,
    pub(crate) domain: Option<&'a str>,
    pub(crate) caps: u64,
    pub(crate) mode: u64,
    pub(crate) mr_mode: i32,
    pub(crate) endpoint_type: i32,
    pub(crate) address_format: u32,
    pub(crate) max_message_size: usize,
}

impl RawHints<'_> {
    pub(crate) fn write(&self, library: &Arc<Library>) -> Result<InfoList> {
        let string = |option, name: Option<&str>| name.map(|n| c_string(option, n)).transpose();
        let provider = string("provider", self.provider)?;
        let fabric = string("fabric", self.fabric)?;
        let domain = string("domain", self.domain)?;
        let list = library.hints()?;
        let info = list.as_ptr();
        let copy = |name: Option<&CString>| -> *mut c_char {
            // SAFETY: strdup copies a terminated string with C's allocator; fi_freeinfo frees it.
            name.map_or(std::ptr::null_mut(), |name| unsafe {
                libc::strdup(name.as_ptr())
            })
        };
        // SAFETY: `info` and its attributes were just allocated by the library and belong to
        // `list`. Fields are written through raw pointers: the library's structs may be shorter
        // than this crate's at the end, and no reference to a whole one is made. The fields exist
        // since 1.9.
        unsafe {
            let (endpoint_attr, domain_attr, fabric_attr) =
                ((*info).ep_attr, (*info).domain_attr, (*info).fabric_attr);
            if endpoint_attr.is_null() || domain_attr.is_null() || fabric_attr.is_null() {
                return Err(library.missing("fi_dupinfo"));
            }
            (*info).caps = self.caps;
            (*info).mode = self.mode;
            (*info).addr_format = self.address_format;
            (*endpoint_attr).ep_type = self.endpoint_type;
            (*endpoint_attr).max_msg_size = self.max_message_size;
            (*domain_attr).mr_mode = self.mr_mode;
            (*domain_attr).name = copy(domain.as_ref());
            (*fabric_attr).name = copy(fabric.as_ref());
            (*fabric_attr).prov_name = copy(provider.as_ref());
        }
        Ok(list)
    }
}
