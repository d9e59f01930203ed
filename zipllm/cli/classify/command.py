"""``zipllm classify``: labels by compression, beside what they have to beat."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from zipllm.cli.classify.flags import ClassifyOptions
from zipllm.cli.progress import fraction_progress
from zipllm.cli.results import print_json
from zipllm.errors import MissingPackage, UsageError

if TYPE_CHECKING:
    from zipllm.classify.documents import Splits
    from zipllm.classify.runs import Method, Row

_DEFAULT_CODECS = {"class": "zipllm:3", "ncd": "gzip:9"}


def classify(options: ClassifyOptions) -> int:
    """Label the texts of TEST by how well those of TRAIN help to compress them.

    Accuracy is expected accuracy: labels that tie are drawn by lot, and no true label is looked at.

    $ zipllm classify train.jsonl test.jsonl
    """
    neighbors = _numbers(options.neighbors)
    if options.threads:
        from zipllm.machine import choose_threads

        choose_threads(options.threads)
    from zipllm.bench.codecs import parse_codecs
    from zipllm.classify.documents import Splits, read_documents, sample
    from zipllm.classify.runs import open_method
    from zipllm.cli.classify.table import Setting, print_rows, row_json

    specs = parse_codecs(options.codecs or _DEFAULT_CODECS[options.method], None)
    window = options.unpacking.window
    train, test = (read_documents(path, window=window) for path in (options.train, options.test))
    splits = Splits(sample(train, options.limit_train, options.seed), sample(test, options.limit_test, options.seed))
    methods = [open_method(options.method, spec, neighbors, options.fine_tune) for spec in specs]
    setting = Setting(splits, options, (len(train), len(test)))
    rows = []
    for row in _rows(splits, methods, options):
        rows.append(row)
        if options.json:
            print_json(row_json(row, setting))
    if not options.json and options.voice.level >= 0:
        print_rows(rows, setting)
    return 0


def _rows(splits: "Splits", methods: "Sequence[Method]", options: ClassifyOptions) -> "Iterator[Row]":
    from zipllm.classify.runs import baseline_rows

    if not options.no_baselines:
        try:
            yield from baseline_rows(splits, options.seed)
        except (MissingPackage, UsageError) as error:
            options.voice.warn(f"the TF-IDF baseline is left out: {error}")
    for method in methods:
        title = f"{method.name} {method.spec}"
        with fraction_progress(options.voice, title, sum(map(len, splits.test))) as advance:
            yield from method.rows(splits, advance)


def _numbers(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 0 < int(part) < 1 << 31 for part in parts):
        raise UsageError(f"-k {text}: whole numbers from 1 on, with commas between")
    return tuple(dict.fromkeys(map(int, parts)))
