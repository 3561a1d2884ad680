"""A report for a chat: an application that may be killed at any moment, and goes on where it was.

Somebody asks in a chat, which is a *session*. A *process* that the chat owns reads what was said, fetches texts by
*effects*, which are not repeated once they are recorded, keeps them as *attachments*, tells how far it is by *events*,
waits for an approval, writes an *artifact*, and answers in the chat. README.md, beside this, has commands to play with.
"""

import re
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path

import click
from attrs import Factory, define, frozen

import tenure_asyncio
import tenure_driver
import tenure_trio
from tenure import App, Client, Content, Contents, Context, Entry, LeaseTimings, Plugin, Runtime, Session
from tenure.errors import HeadMoved, TenureError


@frozen
class Question:
    """What a process is started with: the entry of its chat that asks."""

    entry: str


@frozen
class Progress:
    """An event: the text about `topic` is fetched, the `done`-th of `wanted`."""

    topic: str
    done: int
    wanted: int


@frozen
class Report:
    """What a process returns: the id of its artifact, and what that is about."""

    artifact: str
    topics: list[str]


@define
class Library:
    """A folder of texts, in the place of an HTTP client: a plugin's, opened for a worker and lent to each process."""

    folder: Path
    topics: list[str] = Factory(list[str])

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[None]:
        """Around the worker: a client would open its connections here, and close them after the `yield`."""
        self.topics = sorted(path.stem for path in self.folder.glob("*.txt"))
        yield

    @asynccontextmanager
    async def lent(self, runtime: Runtime) -> AsyncGenerator[None]:
        """Around each process, which has context variables of its own."""
        LIBRARY.set(self)
        yield

    def search(self, said: str) -> list[str]:
        """The topics among the words."""
        return [topic for topic in self.topics if topic in re.findall(r"\w+", said.lower())]

    def read(self, topic: str) -> Iterator[bytes]:
        """A text, piece by piece; each access is told on stderr."""
        click.echo(f"library: reading {topic}", err=True)
        with (self.folder / f"{topic}.txt").open("rb") as text:
            yield from iter(lambda: text.read(4096), b"")


LIBRARY: ContextVar[Library] = ContextVar("LIBRARY")


async def fetch(library: Library, attachments: Contents, topic: str) -> Content:
    """An effect: the text goes into an attachment as it comes, and what is recorded is where it went."""
    return await attachments.put(library.read(topic), name=f"{topic}.txt", media_type="text/plain")


# --- the process ----------------------------------------------------------------------------------------------------

app = App("reports")


@app.process("report", emits={"progress": Progress, "drafted": None})
async def report(ctx: Context, question: Question) -> Report:
    """After a crash all of it runs again, and nothing counts twice: effects by their record, the rest by its key."""
    session, library = await ctx.session(), LIBRARY.get()
    topics = await ctx.effect("search", library.search, said_until(session, question.entry))
    texts: list[Content] = []
    for done, topic in enumerate(topics, 1):
        texts.append(await ctx.effect(f"fetch {topic}", fetch, library, ctx.attachments, topic))
        await ctx.emit("progress", Progress(topic, done, len(topics)), key=f"fetched {topic}")

    await ctx.emit("drafted", key="drafted")
    approval = await ctx.wait_event("approved")

    pages = rendered(ctx.attachments, texts, approval.value["by"])
    artifact = await ctx.artifacts.put(pages, name=f"{ctx.id}.md", media_type="text/markdown")
    await answer(session, {"from": ctx.id, "text": f"Here is {artifact.name}.", "artifact": artifact.id})
    return Report(artifact.id, topics)


def said_until(session: Session, entry_id: str) -> str:
    """What was said up to that entry: what came later is left out, so that every attempt reads the same."""
    ids = [entry.id for entry in session]
    return " ".join(entry.value["text"] for entry in session.path[: ids.index(entry_id) + 1])


async def rendered(attachments: Contents, texts: list[Content], by: str) -> AsyncIterator[bytes]:
    """The report. It flows from the attachments to the artifact, a chunk at a time."""
    yield f"Approved by {by}.\n".encode()
    for text in texts:
        yield f"\n# {text.name.removesuffix('.txt')}\n\n".encode()
        async for chunk in attachments.stream(text.id):
            yield chunk


async def answer(session: Session, body: dict[str, str]) -> Entry:
    """Say it once, after whatever others said in the chat meanwhile."""
    while True:
        try:
            return await session.append(body, key="answer")
        except HeadMoved:
            await session.refresh()


# --- the command ----------------------------------------------------------------------------------------------------

main = click.Group(help="Reports for chats.")
store_option = click.option("--store", default="sqlite:///reports.db", show_default=True)


@main.command()
@click.argument("chat")
@click.argument("text")
@store_option
def ask(chat: str, text: str, store: str) -> None:
    """Say TEXT in CHAT, start a report on it, and print its id."""
    with tenure_driver.connect(store) as client:
        entry = client.session(chat).append({"from": "you", "text": text})
        click.echo(client.start(report, Question(entry.id), id=f"{chat}-{entry.seq}", owner=chat).id)


@main.command()
@click.argument("id")
@click.option("--library", type=Path, default=Path(__file__).parent / "library", help="A folder of texts.")
@click.option("--loop", type=click.Choice(["asyncio", "trio"]), default="asyncio")
@click.option("--ttl", default=30.0, help="Seconds until others may take over what a killed worker had.")
@store_option
def work(id: str, library: Path, loop: str, ttl: float, store: str) -> None:
    """Be a worker until report ID has ended; print its events as they come."""

    async def follow(client: Client) -> None:
        async for event in client.follow(id):
            click.echo(f"{event.type} {event.payload}")

    books = Library(library)
    run = tenure_asyncio.run if loop == "asyncio" else tenure_trio.run
    with tenure_driver.durable_config(store, app, Plugin("library", {}, books.opened, books.lent)) as config:
        run(config, None, follow, timings=LeaseTimings.scaled(ttl))


@main.command()
@click.argument("id")
@click.option("--by", default="me", show_default=True)
@store_option
def approve(id: str, by: str, store: str) -> None:
    """Let report ID go on, whether or not a worker has it."""
    with tenure_driver.connect(store) as client:
        client.append(id, "approved", {"by": by}, key="approved")


@main.command()
@click.argument("chat")
@store_option
def show(chat: str, store: str) -> None:
    """Print what was said in CHAT, its reports, and how its processes ended."""
    with tenure_driver.connect(store) as client:
        for said in (entry.value for entry in client.session(chat)):
            click.echo(f"{said['from']}: {said['text']}")
            if "artifact" in said:
                click.echo(client.artifacts.get(said["artifact"]))
        for ended in client.events(owner=chat):
            click.echo(f"{ended.value['process_id']} {ended.value['status']}")


if __name__ == "__main__":
    try:
        main()
    except TenureError as trouble:
        sys.exit(f"report: {trouble}")
