//! Compares the sizes and offsets of efa-fabric's C types with those of `ofi-libfabric-sys`,
//! the official bindings, which bindgen makes from the headers that pkg-config finds.
//!
//! `cargo run` ends with 0 and a count if all agree, and panics at the first that does not.
//! Fields that API 2.5 and later appended need headers of that version.

#[allow(dead_code, unused_imports, unused_macros)]
#[path = "../../src/ffi.rs"]
mod ffi;

use libfabric_sys::bindgen as official;

macro_rules! compare {
    ($($how:ident $ours:ident = $theirs:ident { $($field:ident $(= $other:ident)?),* })+) => {{
        let mut compared = 0;
        $(
            $(
                assert_eq!(
                    std::mem::offset_of!(ffi::$ours, $field),
                    compare!(@offset $theirs, $field $(, $other)?),
                    concat!(stringify!($theirs), ".", stringify!($field)),
                );
                compared += 1;
            )*
            compared += compare!(@$how $ours, $theirs);
        )+
        compared
    }};
    (@offset $theirs:ident, $field:ident) => { std::mem::offset_of!(official::$theirs, $field) };
    (@offset $theirs:ident, $field:ident, $other:ident) => { std::mem::offset_of!(official::$theirs, $other) };
    (@whole $ours:ident, $theirs:ident) => {{
        // Headers newer than this crate's may have appended fields.
        assert!(size_of::<official::$theirs>() >= size_of::<ffi::$ours>(), stringify!($theirs));
        1
    }};
    // Of these only the beginning is declared.
    (@begin $ours:ident, $theirs:ident) => {{
        assert!(size_of::<official::$theirs>() >= size_of::<ffi::$ours>(), stringify!($theirs));
        1
    }};
}

fn main() {
    let compared = compare! {
    whole FiInfo = fi_info { next, caps, mode, addr_format, src_addrlen, dest_addrlen, src_addr, dest_addr, handle, tx_attr, rx_attr, ep_attr, domain_attr, fabric_attr, nic }
    whole FiTxAttr = fi_tx_attr { caps, mode, op_flags, msg_order, comp_order, inject_size, size, iov_limit, rma_iov_limit, tclass }
    whole FiRxAttr = fi_rx_attr { caps, mode, op_flags, msg_order, comp_order, total_buffered_recv, size, iov_limit }
    whole FiEpAttr = fi_ep_attr { ep_type = type_, protocol, protocol_version, max_msg_size, msg_prefix_size, max_order_raw_size, max_order_war_size, max_order_waw_size, mem_tag_format, tx_ctx_cnt, rx_ctx_cnt, auth_key_size, auth_key }
    whole FiDomainAttr = fi_domain_attr { domain, name, threading, control_progress, data_progress = __bindgen_anon_1, resource_mgmt, av_type, mr_mode, mr_key_size, cq_data_size, cq_cnt, ep_cnt, tx_ctx_cnt, rx_ctx_cnt, max_ep_tx_ctx, max_ep_rx_ctx, max_ep_stx_ctx, max_ep_srx_ctx, cntr_cnt, mr_iov_limit, caps, mode, auth_key, auth_key_size, max_err_data, mr_cnt, tclass, max_ep_auth_key, max_group_id, max_cntr_value, max_err_cntr_value }
    whole FiFabricAttr = fi_fabric_attr { fabric, name, prov_name, prov_version, api_version }
    whole FiDeviceAttr = fi_device_attr { name, device_id, device_version, vendor_id, driver, firmware }
    whole FiPciAttr = fi_pci_attr { domain_id, bus_id, device_id, function_id }
    whole FiBusAttr = fi_bus_attr { bus_type, pci = attr }
    whole FiLinkAttr = fi_link_attr { address, mtu, speed, state, network_type }
    begin FiOps = fi_ops { size, close, bind, control }
    whole Fid = fid { fclass, context, ops }
    whole FidNic = fid_nic { fid, device_attr, bus_attr, link_attr, prov_attr }
    begin FiOpsFabric = fi_ops_fabric { size, domain, passive_ep, eq_open }
    whole FidFabric = fid_fabric { fid, ops, api_version }
    begin FiOpsDomain = fi_ops_domain { size, av_open, cq_open, endpoint }
    begin FiOpsMr = fi_ops_mr { size, reg, regv, regattr }
    whole FidDomain = fid_domain { fid, ops, mr }
    whole FiEqAttr = fi_eq_attr { size, flags, wait_obj, signaling_vector, wait_set }
    whole FiEqErrEntry = fi_eq_err_entry { fid, context, data, err, prov_errno, err_data, err_data_size }
    begin FiOpsEq = fi_ops_eq { size, read, readerr, write, sread, strerror }
    whole FidEq = fid_eq { fid, ops }
    whole FiCqAttr = fi_cq_attr { size, flags, format, wait_obj, signaling_vector, wait_cond, wait_set }
    whole FiCqDataEntry = fi_cq_data_entry { op_context, flags, len, buf, data }
    whole FiCqErrEntry = fi_cq_err_entry { op_context, flags, len, buf, data, tag, olen, err, prov_errno, err_data, err_data_size, src_addr }
    begin FiOpsCq = fi_ops_cq { size, read, readfrom, readerr, sread, sreadfrom, signal, strerror }
    whole FidCq = fid_cq { fid, ops }
    whole FiAvAttr = fi_av_attr { av_type = type_, rx_ctx_bits, count, ep_per_node, name, map_addr, flags }
    begin FiOpsAv = fi_ops_av { size, insert }
    whole FidAv = fid_av { fid, ops }
    whole FiMrAttr = fi_mr_attr { mr_iov = __bindgen_anon_1, iov_count, access, offset, requested_key, context, auth_key_size, auth_key, iface, device, hmem_data, page_size, base_mr, sub_mr_cnt }
    whole FidMr = fid_mr { fid, mem_desc, key }
    begin FiOpsEp = fi_ops_ep { size, cancel, getopt, setopt }
    begin FiOpsCm = fi_ops_cm { size, setname, getname }
    begin FiOpsMsg = fi_ops_msg { size, recv, recvv, recvmsg, send, sendv, sendmsg, inject }
    begin FidEp = fid_ep { fid, ops, cm, msg }
    whole FiContext2 = fi_context2 { internal }
    };
    println!("{compared} sizes and offsets agree with ofi-libfabric-sys");
}
