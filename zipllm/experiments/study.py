"""What a study is: a question, how it is asked, and how its rows become tables, figures and sentences.

``run`` puts its measurements into the ledger of the lab, as rows. Everything else reads rows only, so that tables,
figures and conclusions can be made again from a file of rows.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from zipllm.experiments.lab import Lab
from zipllm.experiments.ledger import Rows
from zipllm.experiments.show import Table
from zipllm.experiments.training import Plan
from zipllm.report.figures import Figure

Scale = Literal["quick", "full"]
T = TypeVar("T")
S = TypeVar("S")


@dataclass(frozen=True)
class Quote:
    """Published figures beside ours: where they stand, and what makes the two differ."""

    source: str
    table: Table
    remark: str


@dataclass(frozen=True)
class ByScale(Generic[T]):
    """One value for each scale."""

    quick: T
    full: T

    def __getitem__(self, scale: Scale) -> T:
        return self.quick if scale == "quick" else self.full


@dataclass(frozen=True)
class Sizes:
    """Limits on training and held-out text, and what is trained; each study adds fields."""

    train_bytes: int
    test_bytes: int
    plan: Plan


@dataclass(frozen=True)
class ShippedSizes(Sizes):
    """Also whether the shipped model takes part."""

    shipped: bool = True


class Study(ABC, Generic[S]):
    """One study; ``S`` is the type of its sizes.

    Attributes:
        question: one sentence.
        method: how the question is asked, a few sentences.
        expected: seconds on two idle Zen 5 cores, without the models that an earlier study has trained.
        sizes: argument of ``run``: everything that decides how much is computed.
        takes_models: whether the user may name models that take part.
    """

    question: str
    method: str
    expected: ByScale[float]
    sizes: ByScale[S]
    takes_models: bool = False

    @property
    def name(self) -> str:
        """Its name on the command line, which is that of its module."""
        return type(self).__module__.rpartition(".")[2]

    @abstractmethod
    def run(self, lab: Lab, sizes: S) -> None:
        """Measure through the lab."""

    @abstractmethod
    def tables(self, rows: Rows) -> Sequence[Table]:
        """Return the tables of these rows."""

    @abstractmethod
    def figures(self, rows: Rows) -> Sequence[Figure]:
        """Return the figures of these rows."""

    @abstractmethod
    def conclude(self, rows: Rows) -> Sequence[str]:
        """Return sentences that say what the rows show."""

    def quotes(self, rows: Rows) -> Sequence[Quote]:
        """Return published figures beside ours."""
        return ()
