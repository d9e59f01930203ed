"""Write the bundled log sample: python benchmarks/make_log_sample.py > zipllm/data/samples/server.log.

The log is of an invented web shop, so no licence applies to it. ``--day 1 --lines 20000`` writes another, longer day of
the same shop.
"""

import argparse
import random
import sys
from datetime import datetime, timedelta

SEED = 20240229
PATHS = ("/", "/search?q=lamp", "/search?q=tent", "/item/4711", "/item/1815", "/cart", "/checkout", "/static/app.js")
AGENTS = ("Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_2)", "curl/8.5.0")
EVENTS = (
    "INFO  cache: {n} entries evicted, {m} kept",
    "INFO  orders: order {n} paid, {m}.90 EUR",
    "WARN  database: query took {m} ms (limit 250 ms)",
    "ERROR mail: connection to mx{m}.example.org refused, attempt {n}",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--day", type=int, default=0, help="days after that of the sample")
    parser.add_argument("--lines", type=int, default=42)
    arguments = parser.parse_args()
    generator = random.Random(SEED)
    clock = datetime(2024, 2, 29, 6, 0, 0) + timedelta(days=arguments.day)
    clients = [f"10.{generator.randrange(8)}.{generator.randrange(256)}.{generator.randrange(256)}" for _ in range(12)]
    if arguments.day:
        generator.seed(SEED + arguments.day)
    for _ in range(arguments.lines):
        clock += timedelta(milliseconds=generator.randrange(20, 9000))
        stamp = clock.strftime("%Y-%m-%d %H:%M:%S,") + f"{clock.microsecond // 1000:03d}"
        if generator.random() < 0.25:
            message = generator.choice(EVENTS).format(n=generator.randrange(1000, 9999), m=generator.randrange(2, 400))
            sys.stdout.write(f"{stamp} [worker-{generator.randrange(4)}] {message}\n")
        else:
            status = generator.choices((200, 304, 404, 500), (80, 12, 6, 2))[0]
            sys.stdout.write(
                f"{stamp} [http] {generator.choice(clients)} GET {generator.choice(PATHS)} {status} "
                f'{generator.randrange(180, 60_000)} {generator.randrange(1, 900)}ms "{generator.choice(AGENTS)}"\n'
            )


if __name__ == "__main__":
    main()
