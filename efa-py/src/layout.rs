//! `Layout` and `NetworkInterface`.

use efa_core as core;
use pyo3::prelude::*;

use crate::argument::given;
use crate::catalog::InstanceType;
use crate::choices;
use crate::convert::list;
use crate::errors;
use crate::value::value_class;

/// The planner's request from its Python keywords.
pub(crate) fn layout_request(
    profile: &str,
    efa: Option<u32>,
    public_ip: &str,
) -> PyResult<core::layout::Request> {
    let mut request = core::layout::Request::default()
        .profile(profile.parse().map_err(errors::exception)?)
        .public_ip(public_ip.parse().map_err(errors::exception)?);
    request.efa = efa;
    Ok(request)
}

value_class! {
    /// One network interface of a launch, in the terms of RunInstances.
    ///
    /// network_card_index, device_index: from 0. interface_type: `interface`, `efa` or `efa-
    /// only`. associate_public_ip_address: whether EC2 gives it a public address; left to EC2
    /// when None. ipv4_address_count: further private addresses; ipv4_prefix_count: /28 prefixes;
    /// none when None.
    NetworkInterface(core::layout::NetworkInterface) {
        /// Index of the network card.
        network_card_index: u32 = |i| i.network_card_index.get();
        /// Device index, counted from 0 on each card.
        device_index: u32 = |i| i.device_index.get();
        /// `interface`, `efa` or `efa-only`.
        interface_type: String = |i| i.interface_type.to_string();
        /// What is sent as AssociatePublicIpAddress; None leaves it out.
        associate_public_ip_address: Option<bool> = |i| i.associate_public_ip_address;
        /// Further private IPv4 addresses.
        ipv4_address_count: Option<u32> = |i| i.ipv4_address_count;
        /// How many /28 IPv4 prefixes.
        ipv4_prefix_count: Option<u32> = |i| i.ipv4_prefix_count;
    }
    repr = |i| format!(
        "NetworkInterface({}, {}, '{}')",
        i.network_card_index, i.device_index, i.interface_type
    );
}

#[pymethods]
impl NetworkInterface {
    #[new]
    #[pyo3(signature = (
        network_card_index: "int", device_index: "int",
        interface_type: "choices.InterfaceType", *,
        associate_public_ip_address: "bool | None" = None, ipv4_address_count: "int | None" = None,
        ipv4_prefix_count: "int | None" = None
    ))]
    fn new(
        #[pyo3(from_py_with = given)] network_card_index: u32,
        #[pyo3(from_py_with = given)] device_index: u32,
        #[pyo3(from_py_with = given)] interface_type: &str,
        #[pyo3(from_py_with = given)] associate_public_ip_address: Option<bool>,
        #[pyo3(from_py_with = given)] ipv4_address_count: Option<u32>,
        #[pyo3(from_py_with = given)] ipv4_prefix_count: Option<u32>,
    ) -> Self {
        let mut interface = core::layout::NetworkInterface::new(
            network_card_index,
            device_index,
            interface_type.into(),
        );
        if associate_public_ip_address.is_some() {
            interface.associate_public_ip_address = associate_public_ip_address;
        }
        interface.ipv4_address_count = ipv4_address_count;
        interface.ipv4_prefix_count = ipv4_prefix_count;
        Self(interface)
    }
}

value_class! {
    /// The network interfaces of every instance of a launch.
    Layout(core::Layout) {
        /// The instance type that it is for.
        instance_type: String = |layout| layout.instance_type.clone();
        /// The profile that it was planned with; None for the caller's own interfaces.
        profile: Option<choices::Profile> = |layout| {
            layout.profile.map(|profile| profile.as_str().into())
        };
        /// How instances get a public address: `none`, `lone-efa` or `elastic-ip`.
        public_ip: choices::PublicIp = |layout| layout.public_ip.as_str().into();
        /// The interfaces, by card and device index.
        interfaces: Vec<NetworkInterface> = |layout| list(&layout.interfaces);
        /// Consequences that a reader should know.
        notes: Vec<String> = |layout| layout.notes.clone();
        /// How many EFA interfaces.
        efa_count: usize = core::Layout::efa_count;
        /// How many interfaces carry IP.
        ip_count: usize = core::Layout::ip_count;
        /// All interfaces in one line, such as `0:0=interface 0:1=efa-only 1-31:0=efa-only`.
        notation: String = core::Layout::notation;
    }
    repr = |layout| format!("<Layout {layout}>");
    str = ToString::to_string;
    html = core::Layout::to_html;
}

#[pymethods]
impl InstanceType {
    /// Plans the network interfaces of one instance.
    ///
    /// profile: `save-ips` (AWS's current advice), `ip-bandwidth`, `combined` or
    /// `efa-only-secondary`. efa: how many EFA interfaces; all when None. public_ip: `none`,
    /// `lone-efa` (one interface with a public address) or `elastic-ip` (after launch).
    ///
    /// Raises LayoutError for what the type cannot have.
    ///
    /// >>> import efa_sdk as efa
    /// >>> print(efa.Catalog.bundled()["p5.48xlarge"].layout(efa=4))
    /// p5.48xlarge save-ips: 5 interfaces, 4 EFA, 1 IP
    #[pyo3(signature = (
        *, profile: "choices.Profile" = "save-ips", efa: "int | None" = None,
        public_ip: "choices.PublicIp" = "none"
    ))]
    fn layout(
        &self,
        #[pyo3(from_py_with = given)] profile: &str,
        #[pyo3(from_py_with = given)] efa: Option<u32>,
        #[pyo3(from_py_with = given)] public_ip: &str,
    ) -> PyResult<Layout> {
        let request = layout_request(profile, efa, public_ip)?;
        self.0
            .layout(&request)
            .map(Layout)
            .map_err(errors::exception)
    }
}

#[pymethods]
impl Layout {
    /// Returns a layout of your own interfaces for an instance_type, checked by the same rules.
    ///
    /// Raises LayoutError for the first rule that EC2 would refuse them for.
    #[staticmethod]
    #[pyo3(signature = (
        instance_type: "InstanceType", interfaces: "Sequence[NetworkInterface]"
    ))]
    fn from_interfaces(
        #[pyo3(from_py_with = given)] instance_type: &InstanceType,
        #[pyo3(from_py_with = given)] interfaces: Vec<NetworkInterface>,
    ) -> PyResult<Self> {
        let interfaces = interfaces.into_iter().map(|i| i.0).collect();
        core::Layout::from_interfaces(&instance_type.0, interfaces)
            .map(Self)
            .map_err(errors::exception)
    }

    /// Returns the layout as a self-contained SVG document: each network card a box with its
    /// interfaces by device index. Readable on light and dark pages, without scripts.
    ///
    /// >>> import efa_sdk as efa
    /// >>> layout = efa.Catalog.bundled()["p5.48xlarge"].layout()
    /// >>> layout.to_svg().count(": efa-only</text>")
    /// 32
    fn to_svg(&self) -> String {
        self.0.to_svg()
    }

    /// Returns the network cards and what sits on them, for a terminal.
    fn draw(&self) -> String {
        self.0.draw()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}
