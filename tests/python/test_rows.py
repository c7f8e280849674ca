"""Lists and texts that notebooks show as tables, and how a client describes itself."""

from __future__ import annotations

import pickle

import efa_sdk as efa
import pytest
from efa_sdk import aio, errors, fabric
from efa_sdk.rows import Rows, Table

pytestmark = pytest.mark.unit

CATALOG = efa.Catalog.bundled()
P5 = CATALOG["p5.48xlarge"]


def test_found_types_are_a_list_and_a_table() -> None:
    found = CATALOG.find(name="p5*.48xlarge")
    assert isinstance(found, list)
    assert found == list(found)
    html = found._repr_html_()
    assert html.count("<tr>") == 1 + len(found)
    assert "text-align:left" in html
    assert "<pre" not in html


def test_a_frame_has_a_row_per_type_and_a_column_per_field() -> None:
    frame = CATALOG.to_pandas()
    assert len(frame) == len(CATALOG)
    row = frame.set_index("name").loc["p5.48xlarge"]
    assert (row["maximum_efa_interfaces"], row["memory_mib"]) == (32, 2097152)
    assert frame.columns[0] == "name", "as the value is declared"


def test_values_within_values_have_dotted_names() -> None:
    rail = fabric.Rail("rdmap1s0", "efa", expected_gbps=100.0)
    assert Rows([rail]).rows()[0]["expected_gbps"] == 100.0
    gpu = Rows(P5.gpus).rows()
    assert gpu == [{"manufacturer": "NVIDIA", "name": "H100", "count": 8, "memory_mib": 81920}]


def test_empty_and_foreign_rows_are_said() -> None:
    assert Rows([])._repr_html_() == "<p>0 rows</p>"
    assert Rows(["<b>"])._repr_html_().count("&lt;b&gt;") == 1


def test_a_table_of_types_is_a_text_and_a_table() -> None:
    table = efa.instance_type_table([P5])
    assert isinstance(table, Table)
    assert repr(table) == str(table)
    assert table.splitlines()[1].startswith("p5.48xlarge")
    assert table._repr_html_().startswith("<table>")
    again = pickle.loads(pickle.dumps(table))
    assert (again, again._repr_html_()) == (table, table._repr_html_())


def test_the_catalog_and_a_specification_are_tables() -> None:
    assert CATALOG._repr_html_().count("<tr>") == 1 + len(CATALOG)
    spec = efa.ClusterSpec(
        name="t", instance_type="p5.48xlarge", count=2, subnet="<s>", image="al2023"
    )
    html = spec._repr_html_()
    assert "&lt;s&gt;" in html
    assert "minimum_count" not in html, "what is not asked for is left out"


def test_a_client_says_what_it_is_and_no_secret() -> None:
    with efa.Client(region="eu-west-1", access_key_id="AKIA", secret_access_key="xyz") as client:
        assert repr(client) == "Client(region='eu-west-1')"
    assert repr(aio.Client(profile="p")) == "aio.Client(profile='p')"
    assert repr(efa.Client(endpoint_url="http://me:secret@host")) == "Client()"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"architecture": "aarch64"}, "write arm64, as EC2 does"),
        ({"architecture": "amd64"}, "write x86_64, as EC2 does"),
        ({"architecture": "ARM64 "}, "write arm64, as EC2 does"),
        ({"architecture": ""}, "write x86_64 or arm64, as EC2 does"),
        ({"name": []}, "None takes every type"),
    ],
)
def test_a_query_that_finds_nothing_for_its_wording_is_refused(
    arguments: dict[str, object], said: str
) -> None:
    with pytest.raises(errors.EfaError, match=said):
        CATALOG.find(**arguments)  # type: ignore[arg-type]


def test_what_ec2_may_add_and_capitals_are_no_mistake() -> None:
    assert CATALOG.find(architecture="riscv64") == []  # type: ignore[arg-type]
    assert CATALOG.find(name="P5.48XLARGE") == [P5]


def test_a_specification_is_suggested_the_words_that_are_near() -> None:
    spec = {"name": "t", "instance_type": "p5.48xlarge", "count": 2, "subnet": "s"}
    for arguments, said in (
        ({"image": "dlami-al2032"}, "did you mean dlami-al2023?"),
        ({"image": "al2023", "capacity": "sport"}, "did you mean spot?"),
        ({"image": "al2023", "profile": "save_ips"}, "did you mean save-ips?"),
    ):
        with pytest.raises(errors.EfaError) as caught:
            efa.ClusterSpec(**{**spec, **arguments})  # type: ignore[arg-type]
        assert caught.value.cure == said


class HasText:
    def read_text(self) -> str:
        return ""


def test_arguments_of_another_kind_have_a_cure_of_their_own() -> None:
    for document, said in ((HasText(), "path.read_text()"), (b"x", "text.decode()")):
        with pytest.raises(errors.ArgumentTypeError, match=said):
            efa.check(document)  # type: ignore[arg-type]
