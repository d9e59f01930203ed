"""Finds model files by name, id or path, and keeps the user's own.

The order: the models shipped with zipllm, the folders of ``ZIPLLM_MODEL_PATH`` (separated
like ``PATH``), the user's store. The first of a name wins, so ``small`` means the shipped model on every
machine. Looking reads headers only, and imports neither torch nor numpy; ``load`` does, and verifies the id.
"""

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import platformdirs

from zipllm.errors import FileError, ModelNotFound, UsageError, ZipllmError, suggestion
from zipllm.model_file.card import check_name
from zipllm.model_file.limits import ModelLimits
from zipllm.model_file.summary import ModelSummary, read_summary

if TYPE_CHECKING:
    from zipllm.model_file.file import Model

DEFAULT_MODEL = "small"
SUFFIX = ".safetensors"
ENVIRONMENT_VARIABLE = "ZIPLLM_MODEL_PATH"
MIN_ID_DIGITS = 8

Origin = Literal["shipped", "path", "user", "file"]


@dataclass(frozen=True)
class StoredModel:
    """A model that was found.

    Attributes:
        name: file name without ``.safetensors``; what the user types.
        origin: the kind of place it was found in; ``file`` for a path given by the user.
        summary: its header.
    """

    name: str
    origin: Origin
    summary: ModelSummary

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.summary.path

    @property
    def size(self) -> int:
        """Bytes of the file; 0 if it has gone."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def model_id(self) -> bytes:
        """The id its header claims; verified when the model is loaded."""
        return self.summary.metadata.model_id


@dataclass(frozen=True)
class UnusableModel:
    """A ``.safetensors`` file in one of the folders that zipllm cannot use as a model, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class ModelStore:
    """The folders in which models are looked for.

    Attributes:
        shipped: the package's own; never written to.
        search: folders named by the user.
        user: the user's store, where ``install`` puts models; made when needed.
        limits: for every file read.
    """

    shipped: Path
    search: tuple[Path, ...]
    user: Path
    limits: ModelLimits = field(default_factory=ModelLimits)

    @classmethod
    def default(cls, environment: Mapping[str, str] = os.environ) -> "ModelStore":
        """The store of this machine and user."""
        listed = environment.get(ENVIRONMENT_VARIABLE, "").split(os.pathsep)
        return cls(
            shipped=Path(str(resources.files("zipllm.weights"))),
            search=tuple(Path(folder) for folder in listed if folder),
            user=platformdirs.user_data_path("zipllm", appauthor=False) / "models",
        )

    def scan(self) -> Iterator[StoredModel | UnusableModel]:
        """Yield every ``.safetensors`` file in order of precedence, usable or not."""
        for origin, folder in self._folders():
            for path in _model_files(folder):
                try:
                    yield StoredModel(path.name.removesuffix(SUFFIX), origin, _summary(path, self.limits))
                except ZipllmError as error:
                    yield UnusableModel(path, str(error))

    def models(self) -> list[StoredModel]:
        """Every usable model in order of precedence, the shadowed ones included."""
        return [model for model in self.scan() if isinstance(model, StoredModel)]

    def find(self, query: str | os.PathLike[str] = DEFAULT_MODEL) -> StoredModel:
        """Find a model.

        Args:
            query: a name, at least 8 hexadecimal digits of an id, or a path: a ``Path`` object, or text with a slash
                in it or ``.safetensors`` at its end.

        Raises:
            ModelNotFound: nothing matches, or an id prefix matches models of different ids.
            ModelInvalid: the file of that path or name is not a usable model.
            FileError: it cannot be read.
        """
        if not isinstance(query, str) or _is_path(query):
            path = Path(query)
            return StoredModel(path.name.removesuffix(SUFFIX), "file", _summary(path, self.limits))
        for origin, folder in self._folders():
            path = folder / (query + SUFFIX)
            if path in _model_files(folder):
                return StoredModel(query, origin, _summary(path, self.limits))
        return self._find_by_prefix(query)

    def load(self, query: str | os.PathLike[str] = DEFAULT_MODEL) -> "Model":
        """Find and load a model; errors as in ``find`` and ``load_model_file``."""
        from zipllm.model_file.file import load_model_file

        return load_model_file(self.find(query).path, self.limits)

    def find_by_id(self, model_id: bytes) -> list[StoredModel]:
        """Return all files that claim the id of a model. Raises ``ModelNotFound`` if there are none."""
        found = [model for model in self.models() if model.model_id == model_id]
        if not found:
            raise ModelNotFound(
                f"the archive needs the model with id {model_id.hex()}, which is not installed. {self._looked_at()}. "
                "Give its file with --model, or install it with 'zipllm model import FILE'"
            )
        return found

    def load_by_id(self, model_id: bytes) -> "Model":
        """Load the model an archive names.

        When several files claim the id, unusable ones are passed over.

        Raises:
            ModelNotFound: no file claims it.
            ModelInvalid: every file that claims it is damaged.
            FileError: none can be read.
        """
        from zipllm.model_file.file import load_model_file

        problems: list[ZipllmError] = []
        for candidate in self.find_by_id(model_id):
            try:
                return load_model_file(candidate.path, self.limits)
            except ZipllmError as error:
                problems.append(error)
        raise problems[0]

    def install(self, source: Path, name: str | None = None, *, replace: bool = False) -> StoredModel:
        """Check a model file and copy it into the user's store.

        Args:
            source: the file; it is loaded and verified as a whole, and its self-test is run on the reference.
            name: to install it under; the name on its card by default.
            replace: whether a model of that name in the user's store is replaced.

        Raises:
            UsageError: the name is not a valid one, or belongs to a shipped model.
            FileError: the name is taken and ``replace`` is false, or the store cannot be written.
            ModelError: the source is missing or not a valid model.
        """
        from zipllm.model_file.file import check_reference, load_model_file

        model = load_model_file(source, self.limits)
        check_reference(model)
        return self.add(model, name, replace=replace)

    def add(self, model: "Model", name: str | None = None, *, replace: bool = False) -> StoredModel:
        """Write a model into the user's store; arguments and errors as in ``install``."""
        from zipllm.model_file.file import save_model

        name = model.card.name if name is None else name
        target = self.free_path(name, replace=replace)
        try:
            self.user.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"cannot make the folder {os.fspath(self.user)!r}: {error.strerror}") from error
        save_model(model, target)
        return StoredModel(name, "user", _summary(target, self.limits))

    def free_path(self, name: str, *, replace: bool = False) -> Path:
        """Return where a model of this name would be installed. Raises ``UsageError`` or ``FileError`` if it cannot."""
        if (self.shipped / (_valid_name(name) + SUFFIX)).exists():
            raise UsageError(f"{name!r} is the name of a shipped model; install it under another name (--name)")
        target = self.user / (name + SUFFIX)
        if os.path.lexists(target) and not replace:
            raise FileError(
                f"a model called {name!r} is already installed (--force replaces it): {os.fspath(target)!r}"
            )
        return target

    def remove(self, name: str) -> Path:
        """Delete a model from the user's store and return where it was.

        Raises:
            UsageError: not a valid name.
            ModelNotFound: the user's store has no model of this name; others are never deleted.
            FileError: it cannot be deleted.
        """
        target = self.user / (_valid_name(name) + SUFFIX)
        try:
            target.unlink()
        except FileNotFoundError as error:
            raise ModelNotFound(
                f"no model called {name!r} in the user's store {os.fspath(self.user)!r}{self._not_removable(name)}"
            ) from error
        except OSError as error:
            raise FileError(f"cannot delete {os.fspath(target)!r}: {error.strerror}") from error
        return target

    def _not_removable(self, name: str) -> str:
        """Return the end of a message about a name that the user's store does not have."""
        for origin, folder in self._folders():
            if (folder / (name + SUFFIX)) in _model_files(folder):
                where = "is shipped with zipllm" if origin == "shipped" else f"lies in {os.fspath(folder)!r}"
                return f"; {name!r} {where} and is not removed"
        names = [path.name.removesuffix(SUFFIX) for path in _model_files(self.user)]
        return suggestion(name, names) if names else ""

    def _folders(self) -> Iterator[tuple[Origin, Path]]:
        yield "shipped", self.shipped
        for folder in self.search:
            yield "path", folder
        yield "user", self.user

    def _find_by_prefix(self, query: str) -> StoredModel:
        models = self.models()
        digits = query.lower()
        if len(digits) >= MIN_ID_DIGITS and not set(digits) - set("0123456789abcdef"):
            matches = [model for model in models if model.model_id.hex().startswith(digits)]
            if len({model.model_id for model in matches}) == 1:
                return matches[0]
            if matches:
                ids = ", ".join(f"{model.name} ({model.model_id.hex()[:16]})" for model in matches)
                raise ModelNotFound(f"{query!r} begins the ids of several models: {ids}")
        near = difflib.get_close_matches(query, [model.name for model in models], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        if os.path.lexists(query):
            hint = f"; the file of that name is {'./' + query!r}"
        raise ModelNotFound(f"no model called {query[:80]!r}{hint} ({self._looked_at()})")

    def _looked_at(self) -> str:
        found = {path: [p.name.removesuffix(SUFFIX) for p in _model_files(path)] for _, path in self._folders()}
        places = (f"{os.fspath(path)!r} ({', '.join(map(repr, names)) or 'none'})" for path, names in found.items())
        return "looked at " + ", ".join(places)


def _summary(path: Path, limits: ModelLimits) -> ModelSummary:
    """Read a file's header, once for each state of the file."""
    try:
        found = path.stat()
    except OSError:
        return read_summary(path, limits)
    state = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return _summary_of(path, limits, state)


@lru_cache(maxsize=256)
def _summary_of(path: Path, limits: ModelLimits, state: tuple[int, ...]) -> ModelSummary:
    return read_summary(path, limits)


def _model_files(folder: Path) -> list[Path]:
    """Paths ending in ``.safetensors``, sorted; empty when the folder is missing or unreadable."""
    try:
        return sorted(folder / name for name in os.listdir(folder) if name.endswith(SUFFIX) and name[0] != ".")
    except OSError:
        return []


def _is_path(query: str) -> bool:
    separators = {"/", os.sep, os.altsep or os.sep}
    return query.endswith(SUFFIX) or bool(separators & set(query))


def _valid_name(name: str) -> str:
    try:
        check_name(name)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return name
