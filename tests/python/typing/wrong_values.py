"""Mistakes that a type checker must find before EC2 does."""

# ruff: noqa: B018
from __future__ import annotations

import efa_sdk as efa

catalog = efa.Catalog.bundled()
p5 = catalog["p5.48xlarge"]
layout = p5.layout()

p5.default_vcpus = 1  # E: misc
layout.interfaces[0].device_index = 1  # E: misc
layout.interface  # E: attr-defined
catalog[5]  # E: index
catalog.find("p5*")  # E: call-arg
catalog.find(name=5)  # E: arg-type
catalog.find(vcpus=5)  # E: call-arg
catalog.get("p5").name  # E: union-attr
p5.layout(profile=None)  # E: arg-type
p5.layout("save-ips")  # E: call-arg
p5.layout(efa="4")  # E: arg-type
number: int = p5.memory_gib  # E: assignment
efa.NetworkInterface(0, 0)  # E: call-arg
efa.NetworkInterface("0", 0, "efa")  # E: arg-type
efa.Layout.from_interfaces("p5.48xlarge", [])  # E: arg-type


class Mine(efa.Plan):  # E: misc
    pass
