"""Is the fabric of this torch job healthy? Run it with torchrun, on every node:

    torchrun --nnodes 2 --nproc-per-node 8 --rdzv-endpoint HOST:29500 examples/torch_survey.py

Rank 0 gets the report and the others a summary, all with the same verdict, so that they stop
together. Started without torchrun, it plays two ranks on this machine, with a store of its own in
the place of torch's.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import efa_sdk


class PlayedStore:
    """The methods of a torch store that a survey uses."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def set(self, key: str, value: bytes) -> None:
        with self._lock:
            self._values[key] = value

    def get(self, key: str) -> bytes:
        with self._lock:
            return self._values[key]

    def check(self, keys: list[str]) -> bool:
        with self._lock:
            return all(key in self._values for key in keys)


#: What a pair of these nodes should reach. Below five nodes nothing else shows that all are slow.
EXPECTED_GBPS = float(os.environ.get("EXPECTED_GBPS", "0")) or None

Surveyed = efa_sdk.survey.SurveyReport | efa_sdk.survey.SurveySummary


def play() -> Surveyed:
    store = PlayedStore()

    def one(rank: int) -> Surveyed:
        return efa_sdk.torch.survey(
            store=store,
            rank=rank,
            world_size=2,
            name="played",
            per="rank",
            provider="tcp",
            source_address="127.0.0.1",
            test_budget_s=0.05,
            expected_gbps=EXPECTED_GBPS,
        )

    with ThreadPoolExecutor(2) as pool:
        return next(pool.map(one, range(2)))


def main() -> None:
    is_rank = "RANK" in os.environ
    surveyed = efa_sdk.torch.survey(expected_gbps=EXPECTED_GBPS) if is_rank else play()
    if os.environ.get("RANK", "0") == "0":
        print(surveyed)
    surveyed.raise_for_health()


if __name__ == "__main__":
    main()
