"""The floor of `throughput.py`: the SDK as it comes, one JSON line a call, nothing else."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import anthropic

if TYPE_CHECKING:
    from collections.abc import Iterator


async def ask_all(rows: Iterator[dict[str, Any]], file: TextIO, in_flight: int) -> None:
    """Ask all dialogues and write a line for each answer."""
    async with anthropic.AsyncAnthropic(max_retries=0, timeout=600) as client:

        async def work() -> None:
            for row in rows:
                answer = await client.messages.create(
                    model="claude-haiku-4-5",
                    max_tokens=200,
                    messages=[{"role": "user", "content": row["user"]}],
                )
                line = {"dialogue_id": row["dialogue_id"], "answer": answer.to_dict()}
                file.write(json.dumps(line) + "\n")
                file.flush()

        await asyncio.gather(*(work() for _ in range(in_flight)))


def main() -> None:
    """Ask the dialogues of a JSONL dataset, so many at once; answers go to `answers.jsonl`."""
    rows = map(json.loads, Path(sys.argv[1]).read_text("utf-8").splitlines())
    with Path("answers.jsonl").open("w", encoding="utf-8") as file:
        asyncio.run(ask_all(rows, file, int(sys.argv[2])))


if __name__ == "__main__":
    main()
