"""Surveys inside the ranks of a torch job: through the store that the job already has.

>>> import efa_sdk
>>> def check_cluster() -> None:  # in every rank, under torchrun
...     surveyed = efa_sdk.torch.survey()
...     surveyed.raise_for_health()  # on all ranks or on none

Rank 0 gets the ``SurveyReport``, every other rank a ``SurveySummary`` of it, which is small
whatever the number of ranks: the survey's conclusion, and what is reported of its own node. For the
whole elsewhere, let rank 0 ``save`` it where others read, or broadcast ``report.to_json()``.

``accept`` is the survey with all around it: see ``efa_sdk.acceptance``.

torch is imported only to find the job's store. Any object with torch's ``set``, ``get`` and
``check`` (or ``compare_set``, or ``wait``) can be given instead. Tested with torch 1.13.
"""

from __future__ import annotations

import datetime
import importlib
import os
import queue
import socket
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from efa_sdk import acceptance, choices
from efa_sdk._efa_sdk import Client, Plan, _survey_options
from efa_sdk.acceptance import AcceptanceReport, AcceptanceSummary
from efa_sdk.arguments import require_rails, require_seconds, typed
from efa_sdk.errors import ArgumentValueError, BindingError
from efa_sdk.fabric import Library
from efa_sdk.progress import survey_display
from efa_sdk.survey import (
    PairOptions,
    SurveyNode,
    SurveyOptions,
    SurveyProgress,
    SurveyReport,
    SurveySummary,
    choose_provider,
    choose_rails,
    inspect_node,
    run_rank,
)
from efa_sdk.survey.leaving import declining, leave_last, taking_leave

__all__ = ["Store", "StoreExchange", "accept", "survey"]

#: What ``compare_set`` answers where nothing lies; no message of a survey is this.
_NOTHING = "efa_sdk: nothing"
#: Seconds that a store with ``wait`` only may wait for a key that is not there.
_PEEK_S = 0.01


#: A call of a store's, its arguments, and where its result or its error goes.
_Asked = tuple[Callable[..., Any], tuple[object, ...], "queue.SimpleQueue[Any]"]


def _answer(asked: queue.SimpleQueue[_Asked | None]) -> None:
    """Makes the calls, one after the other, until there is None."""
    while (one := asked.get()) is not None:
        call, arguments, answers = one
        try:
            answers.put((call(*arguments), None))
        except BaseException as error:
            answers.put((None, error))
        del one, call, arguments, answers  # which keep whoever asked


class Store(Protocol):
    """What is used of a ``torch.distributed.Store``: this, and a way to see whether a key is there:
    ``check``, ``compare_set`` or ``wait``, the first that it has.
    """

    def set(self, key: str, value: bytes, /) -> object:
        """Leaves a value."""

    def get(self, key: str, /) -> bytes:
        """Returns the value; waits for it."""


@typed
class StoreExchange:
    """A torch store as an ``efa_sdk.fabric.Exchange``.

    answer_s: seconds within which the store must answer. torch waits up to the store's own timeout,
    which is 30 minutes by default, where the host of the store falls silent; here that is a
    BindingError with the code ``python.no_report``, and the store is not asked again.
    """

    def __init__(self, store: Store, *, answer_s: float = 61.0) -> None:
        self._store: Any = store
        self._answer_s = answer_s
        self._is_silent = False
        # A thread of its own, since nothing ends a call of torch's; it keeps no process alive.
        self._asked: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        threading.Thread(target=_answer, args=(self._asked,), daemon=True).start()
        weakref.finalize(self, self._asked.put, None)
        self._check = getattr(store, "check", None)
        self._compare_set = getattr(store, "compare_set", None)
        self._delete = getattr(store, "delete_key", None)

    def put(self, key: str, value: bytes) -> None:
        """Leaves the bytes."""
        self._within(self._store.set, key, value)

    def take(self, key: str) -> bytes | None:
        """Takes away what lies under the key; None while nothing does."""
        taken: bytes | None = self._within(self._taken, key)
        return taken

    def _within(self, call: Callable[..., Any], *arguments: object) -> Any:
        """What the call gives, if it gives that in time."""
        answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        if not self._is_silent:
            self._asked.put((call, arguments, answers))
            try:
                value, error = answers.get(timeout=self._answer_s)
            except queue.Empty:
                self._is_silent = True
            else:
                try:
                    if error is not None:
                        raise error
                finally:
                    del error  # whose traceback has this frame
                return value
        raise BindingError(
            "python.no_report",
            f"the job's store gave no answer within {self._answer_s:g} s",
            "see whether the process that has the store runs, and whether its host can be reached",
        )

    def _taken(self, key: str) -> bytes | None:
        value = self._peek(key)
        if value is not None and self._delete is not None:
            try:
                self._delete(key)
            except (NotImplementedError, RuntimeError):
                self._delete = None  # a FileStore cannot; keys are used once anyway
        return value

    def _peek(self, key: str) -> bytes | None:
        if self._check is not None:
            return bytes(self._store.get(key)) if self._check([key]) else None
        # Not wait: after some that time out, get of torch 1.13's TCPStore never returns.
        if self._compare_set is not None:
            value = bytes(self._compare_set(key, _NOTHING, _NOTHING))
            return None if value == _NOTHING.encode() else value
        try:
            self._store.wait([key], datetime.timedelta(seconds=_PEEK_S))
        except RuntimeError:  # DistStoreError since torch 2, which is one
            return None
        return bytes(self._store.get(key))


_calls = 0


@typed
def survey(
    *,
    store: Store | None = None,
    rank: int | None = None,
    world_size: int | None = None,
    per: str | None = None,
    name: str | None = None,
    provider: str | None = None,
    source_address: str | None = None,
    rails: int | None = None,
    mode: choices.SurveyMode = "full",
    seed: int = 0,
    labels: Sequence[str] | None = None,
    expected_gbps: float | None = None,
    expected_rail_gbps: float | None = None,
    latency_bytes: int = 64,
    message_bytes: int = 1 << 20,
    test_budget_s: float = 0.2,
    join_deadline_s: float = 120.0,
    round_deadline_s: float = 30.0,
    deadline_s: float = 3600.0,
    inspect: bool = True,
    progress: Callable[[SurveyProgress], object] | bool | None = None,
    options: SurveyOptions | None = None,
) -> SurveyReport | SurveySummary:
    """Measures the pairs of a job's nodes. Every rank calls it; rank 0 gets the report, every other
    rank a summary with the same verdict, ``raise_for_health()`` and ``exit_status``.

    store, rank, world_size: of the process group where it is initialised, else of the environment,
    if not given. per: ``node`` lets the first rank of each node measure while the others wait,
    ``rank`` every rank; by default ``node`` where there is more than one. name: the same on all
    ranks and new each time; by default ranks that make the same number of calls meet.
    source_address: a local address, for providers with IP addresses. inspect: whether the doctor
    looks at each node, so that the report shows where nodes differ. deadline_s: how long ranks that
    do not measure wait for the summary. progress: as of ``efa_sdk.ray.survey``, on rank 0; a
    function is called from the survey's own thread. Other settings are those of
    ``efa_sdk.ray.survey``, ``options`` too, and rank 0's count; join_deadline_s: seconds for the
    ranks to come; ``labels`` has one for each that measures.

    Ranks that do not come, die, or do not reach others are findings, not exceptions; each costs
    one deadline. Raises BindingError without torch, or when no job can be found; FabricError
    with the code ``fabric.unreachable`` when rank 0 does not answer, and
    ``fabric.rendezvous_failed`` when the store does not within two rounds and a second.
    """
    require_rails(rails)
    require_seconds("deadline_s", deadline_s)
    chosen_options = _survey_options(
        options,
        mode=mode,
        seed=seed,
        labels=labels,
        expected_gbps=expected_gbps,
        expected_rail_gbps=expected_rail_gbps,
    )
    global _calls
    _calls += 1
    own_rank, size = _place(rank, world_size, os.environ)
    restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    key = name or f"efa_sdk/survey/{restart}/{_calls}"
    job = _job_store(own_rank, size) if store is None else store
    exchange = StoreExchange(job, answer_s=2 * round_deadline_s + 1)
    group, local_rank, groups = _nodes(per, own_rank, size, os.environ)
    if local_rank != 0:
        summary = _wait_for_summary(exchange, f"{key}/share/{own_rank}", deadline_s)
        leave_last(exchange, key, own_rank, summary)
        return summary
    others = [r for r in range(size) if _follows(r, size, groups)] if group == 0 else []
    report: SurveyReport | SurveySummary | None = None
    line, notify = survey_display(progress)
    with taking_leave():
        try:
            name_of_node = f"{socket.gethostname()}/{own_rank}"
            with declining(lambda: exchange, key, name_of_node, group, groups):
                library = Library()
                chosen = provider or choose_provider()
                pair = PairOptions(
                    chosen,
                    source_address=source_address,
                    rails=choose_rails(chosen, rails),
                    latency_bytes=latency_bytes,
                    message_bytes=message_bytes,
                    test_budget_s=test_budget_s,
                    deadline_s=round_deadline_s,
                )
            node = SurveyNode(
                name_of_node,
                inspection=inspect_node().to_json() if inspect else None,
            )
            report = run_rank(
                exchange,
                key,
                node,
                pair,
                rank=group,
                world_size=groups,
                options=chosen_options,
                join_deadline_s=join_deadline_s,
                round_deadline_s=round_deadline_s,
                progress=notify,
                library=library,
            )
        finally:
            line.close()
            for other, said in zip(others, _said_to(others, report, size // groups), strict=True):
                exchange.put(f"{key}/share/{other}", said)
    leave_last(exchange, key, own_rank, report, on_each=size // groups)
    return report


def _said_to(
    ranks: list[int], report: SurveyReport | SurveySummary | None, on_each: int
) -> list[bytes]:
    """What ranks that do not measure receive: the summary for their node, nothing without one."""
    if not isinstance(report, SurveyReport):
        return [b""] * len(ranks)
    summaries = report.summaries()
    return [summaries[rank // on_each].to_json().encode() for rank in ranks]


@typed
def accept(
    client: Client,
    cluster: str | Plan,
    *,
    store: Store | None = None,
    rank: int | None = None,
    world_size: int | None = None,
    per: str | None = None,
    name: str | None = None,
    provider: str | None = None,
    source_address: str | None = None,
    rails: int | None = None,
    expected_gbps: float | None = None,
    expected_rail_gbps: float | None = None,
    test_budget_s: float = 0.2,
    join_deadline_s: float = 120.0,
    round_deadline_s: float = 30.0,
    deadline_s: float = 3600.0,
    progress: Callable[[SurveyProgress], object] | bool | None = None,
    options: SurveyOptions | None = None,
) -> AcceptanceReport | AcceptanceSummary:
    """Judges whether training may start on the cluster that a job has. Every rank calls it: rank 0
    gets the report, every other rank its verdict, which is small whatever the number of ranks.

    As ``efa_sdk.ray.accept``: EC2's side against the plan, the doctor on every node, every pair of
    nodes. Only rank 0 uses the client. Settings are those of ``efa_sdk.torch.survey``.

    Raises what ``survey`` raises where the ranks cannot meet. Raises VerifyError on rank 0 when
    there is no such cluster, and BindingError (``python.no_report``) on the others.
    """
    own_rank, size = _place(rank, world_size, os.environ)
    job = _job_store(own_rank, size) if store is None else store
    exchange = StoreExchange(job, answer_s=2 * round_deadline_s + 1)
    key = f"{name or f'efa_sdk/accept/{_calls + 1}'}/accept"
    others = range(1, size)

    def surveyed() -> SurveyReport | SurveySummary:
        return survey(
            store=job,
            rank=own_rank,
            world_size=size,
            per=per,
            name=name,
            provider=provider,
            source_address=source_address,
            rails=rails,
            expected_gbps=expected_gbps,
            expected_rail_gbps=expected_rail_gbps,
            test_budget_s=test_budget_s,
            join_deadline_s=join_deadline_s,
            round_deadline_s=round_deadline_s,
            deadline_s=deadline_s,
            progress=progress,
            options=options,
        )

    if own_rank != 0:
        # Nothing is measured of a cluster that rank 0 does not find.
        _take(exchange, f"{key}/begin/{own_rank}", join_deadline_s)
        surveyed()
        shared = _take(exchange, f"{key}/share/{own_rank}", deadline_s)
        exchange.put(f"{key}/left/{own_rank}", b"1")
        return AcceptanceSummary.from_json(shared.decode())
    step, answer = "begin", b""
    try:
        seen = acceptance.described(client, cluster)
        _share(exchange, f"{key}/begin", others, b"1")
        step = "share"
        measured = surveyed()
        assert isinstance(measured, SurveyReport)  # on rank 0
        report = acceptance.judge(client, seen, cluster, measured)
        answer = acceptance.summary(report).to_json().encode()
    finally:
        _share(exchange, f"{key}/{step}", others, answer)
    leave_last(exchange, key, 0, measured, on_each=size // len(measured.nodes))
    return report


def _share(exchange: StoreExchange, key: str, ranks: Sequence[int], value: bytes) -> None:
    for rank in ranks:
        exchange.put(f"{key}/{rank}", value)


def _follows(rank: int, world_size: int, groups: int) -> bool:
    """Whether a rank is not the first of its node, where nodes have the same number of ranks."""
    return rank % max(1, world_size // groups) != 0


def _place(rank: int | None, world_size: int | None, environ: Mapping[str, str]) -> tuple[int, int]:
    if rank is not None and world_size is not None:
        return rank, world_size
    distributed = _distributed()
    if distributed is not None and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    known = environ.get("RANK", ""), environ.get("WORLD_SIZE", "")
    if known[0].isdecimal() and known[1].isdecimal():
        return int(known[0]), int(known[1])
    raise BindingError(
        "python.no_job",
        "this process is not a rank of a torch job",
        "run it with torchrun, or give store, rank and world_size",
    )


def _distributed() -> Any:
    try:
        distributed: Any = importlib.import_module("torch.distributed")
    except ImportError:
        return None
    return distributed if distributed.is_available() else None


def _job_store(rank: int, world_size: int) -> Any:
    distributed = _distributed()
    if distributed is None:
        raise BindingError(
            "python.missing_package", "torch is not installed", "install torch, or give a store"
        )
    if distributed.is_initialized():
        return distributed.distributed_c10d._get_default_store()
    try:
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    except (KeyError, ValueError) as error:
        raise BindingError(
            "python.no_job",
            "MASTER_ADDR and MASTER_PORT do not set where the ranks meet",
            "run it with torchrun, or set them",
        ) from error
    # Under torchrun the agent has the store: no rank may be its master then.
    agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    return distributed.TCPStore(
        host,
        port,
        world_size,
        is_master=rank == 0 and not agent,
        wait_for_workers=False,
        timeout=datetime.timedelta(seconds=120),
    )


def _nodes(
    per: str | None, rank: int, world_size: int, environ: Mapping[str, str]
) -> tuple[int, int, int]:
    """Number of this node among those that measure, rank within it, and how many measure."""
    if per not in (None, "node", "rank"):
        raise ArgumentValueError(
            "argument.invalid_value",
            f"per is {per!r}, and must be node or rank",
            context={"argument": "per", "value": repr(per), "limit": "must be node or rank"},
        )
    local = environ.get("LOCAL_WORLD_SIZE", "")
    on_each = int(local) if local.isdecimal() and int(local) > 0 else 1
    groups = world_size // on_each
    even = groups * on_each == world_size
    if per == "rank" or not even or (per is None and groups < 2):
        return rank, 0, world_size
    return rank // on_each, rank % on_each, groups


def _wait_for_summary(exchange: StoreExchange, key: str, deadline_s: float) -> SurveySummary:
    return SurveySummary.from_json(_take(exchange, key, deadline_s).decode())


def _take(exchange: StoreExchange, key: str, deadline_s: float) -> bytes:
    """What another rank leaves for this one; empty where it has no report."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        shared = exchange.take(key)
        if shared:
            return shared
        if shared is not None:
            break
        time.sleep(0.05)
    raise BindingError(
        "python.no_report",
        "the ranks that measure gave no report",
        "see the output of rank 0, or give more time",
    )
