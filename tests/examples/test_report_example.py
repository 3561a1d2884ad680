"""docs/examples/report.py as its page shows it: real OS processes, killed half-way and started again."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

import tenure_driver
from tenure import Success
from tenure.canonical import canonical, parsed
from tenure.replies import EffectsRead, Succeeded
from tenure.requests import ReadEffects
from tenure_driver import BlockingClient
from tests.cli.commanding import TENURE, until
from tests.docs.pages import ROOT, links

PAGE = ROOT / "docs" / "examples" / "README.md"
LIBRARY = ROOT / "docs" / "examples" / "library"
BOUND = 60.0
"""Seconds after which a test gives up waiting; nothing that is right comes near."""


def shown() -> dict[str, str]:
    """The page's commands, by what they do: `ask`, or `tenure events`."""
    found: dict[str, str] = {}
    for line in PAGE.read_text().splitlines():
        words = line.split()
        if line.startswith("    python "):
            found[words[2]] = line.strip()
        elif line.startswith("    "):
            found[" ".join(words[:2])] = line.strip()
    return found


SHOWN = shown()


@frozen
class Scene:
    """A folder that has the project's `docs`, and a library of its own, which a test may change."""

    folder: Path

    @property
    def library(self) -> Path:
        return self.folder / "library"

    @property
    def log(self) -> Path:
        """What all workers wrote on stderr."""
        return self.folder / "workers.log"

    def command(self, name: str, *options: str) -> list[str]:
        """The page's command of that name, with more options."""
        words = [*shlex.split(SHOWN[name]), *options]
        if words[0] == "python":
            return [sys.executable, "-W", "error", *words[1:]]
        assert words[0] == "tenure"
        return [*TENURE, *words[1:]]

    def ran(self, name: str, *options: str) -> str:
        """What that command prints; it has to succeed, and to say nothing else."""
        command = self.command(name, *options)
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=BOUND, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    @contextmanager
    def started(self, name: str, *options: str) -> Generator[subprocess.Popen[str]]:
        """That command as it runs, killed at the end of the block if it still does."""
        with self.log.open("a") as log:
            process = subprocess.Popen(
                self.command(name, *options),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def worker(self, *options: str) -> Any:
        """A worker that reads the scene's library."""
        return self.started("work", "--library", str(self.library), *options)

    def read(self) -> list[str]:
        """The texts that workers began to read, in order."""
        lines = self.log.read_text().splitlines()
        return [line.split()[-1] for line in lines if line.startswith("library: reading ")]

    def reached(self, holds: Any) -> None:
        """Wait until that holds."""
        assert until(holds, BOUND), self.log.read_text()

    def drafted(self, client: BlockingClient) -> None:
        """Wait until the process waits for its approval."""
        self.reached(lambda: any(event.type == "drafted" for event in client.events("anna-1")))

    @contextmanager
    def client(self) -> Generator[BlockingClient]:
        """A client of the store that the commands use."""
        with tenure_driver.connect(f"sqlite:///{self.folder}/reports.db") as client:
            yield client

    def artifact(self) -> str:
        """What the report says."""
        topics = ("lease", "token", "zombie")
        return "Approved by me.\n" + "".join(
            f"\n# {topic}\n\n{(LIBRARY / f'{topic}.txt').read_text()}" for topic in topics
        )


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    shutil.copytree(LIBRARY, tmp_path / "library")
    (tmp_path / "workers.log").touch()
    return Scene(tmp_path)


def test_killed_twice_it_goes_on_on_another_loop_and_nothing_counts_twice(scene: Scene) -> None:
    """Killed in the middle of an effect, and while it waits; what was recorded is not done again."""
    zombie = scene.library / "zombie.txt"
    zombie.unlink()
    os.mkfifo(zombie)  # whoever reads it waits for a writer, and there is none

    assert scene.ran("ask") == "anna-1\n"
    with scene.client() as client, scene.started("tenure events") as follower:
        with scene.worker() as first:
            scene.reached(lambda: scene.read() == ["lease", "token", "zombie"])
            events = client.events("anna-1")
            assert [event.value["topic"] for event in events] == ["lease", "token"]
            first.kill()
        assert first.returncode == -signal.SIGKILL

        zombie.unlink()
        shutil.copy(LIBRARY / zombie.name, zombie)
        with scene.worker("--loop", "trio") as second:
            scene.drafted(client)
            remark = {"from": "you", "text": "And what is an outcome?"}
            client.session("anna").append(remark)
            second.kill()
        assert second.returncode == -signal.SIGKILL

        assert scene.ran("approve") == ""
        with scene.worker() as third:
            printed, _ = third.communicate(timeout=BOUND)
        assert third.returncode == 0, scene.log.read_text()
        followed, _ = follower.communicate(timeout=BOUND)
        assert follower.returncode == 0

        # The one that was being read was not recorded, and is read again; no other is.
        assert scene.read() == ["lease", "token", "zombie", "zombie"]
        topics = ["lease", "token", "zombie"]
        attached = {
            effect: client.attachments.get(content) for effect, content in attachments(client).items()
        }
        assert attached == {f"fetch {topic}": (LIBRARY / f"{topic}.txt").read_bytes() for topic in topics}

        record = client.get("anna-1")
        assert record.claims == 3
        question, remarked, answered = client.session("anna").path
        artifact = answered.value["artifact"]
        assert record.outcome == Success(canonical({"artifact": artifact, "topics": topics}))
        assert question.value == {"from": "you", "text": "What is a lease, a token and a zombie?"}
        assert remarked.value == remark
        assert answered.value == {"from": "anna-1", "text": "Here is anna-1.md.", "artifact": artifact}
        assert client.artifacts.get(artifact).decode() == scene.artifact()
        assert client.artifacts.stat(artifact).media_type == "text/markdown"

        happened = [(event.type, event.value) for event in client.events("anna-1")]
        assert happened == [
            *(
                ("progress", {"topic": topic, "done": done, "wanted": 3})
                for done, topic in enumerate(topics, 1)
            ),
            ("drafted", None),
            ("approved", {"by": "me"}),
            ("process.ended", {"status": "succeeded", "value": {"artifact": artifact, "topics": topics}}),
        ]
        types = [kind for kind, _ in happened]
        assert [line.split()[0] for line in printed.splitlines()] == types
        assert [line.split()[3] for line in followed.splitlines()[-len(types) :]] == types
        told = [(event.type, event.value) for event in client.events(owner="anna")]
        assert told == [("process.ended", {"process_id": "anna-1", "status": "succeeded"})]

    said = scene.ran("show").splitlines()
    assert said[0] == "you: What is a lease, a token and a zombie?"
    assert said[2] == "anna-1: Here is anna-1.md."
    assert said[-1] == "anna-1 succeeded"
    assert "succeeded" in scene.ran("tenure show")


@pytest.mark.parametrize(("one", "other"), [("asyncio", "trio"), ("trio", "asyncio")])
def test_after_ctrl_c_another_worker_goes_on_without_waiting_for_the_lease(
    scene: Scene, one: str, other: str
) -> None:
    scene.ran("ask")
    lasts_longer_than_the_test = ("--ttl", str(10 * BOUND))
    with scene.client() as client:
        with scene.worker("--loop", one, *lasts_longer_than_the_test) as first:
            scene.drafted(client)
            first.send_signal(signal.SIGINT)
            first.communicate(timeout=BOUND)
        assert first.returncode == 1
        scene.ran("approve")
        with scene.worker("--loop", other, *lasts_longer_than_the_test) as second:
            second.communicate(timeout=BOUND)
        assert second.returncode == 0, scene.log.read_text()
        assert client.get("anna-1").claims == 2
        assert scene.read() == ["lease", "token", "zombie"]
        assert (
            client.artifacts.get(client.session("anna").path[-1].value["artifact"]).decode()
            == scene.artifact()
        )


def test_the_answer_comes_after_what_others_said_meanwhile(scene: Scene) -> None:
    scene.ran("ask")
    with scene.client() as client, scene.worker("--loop", "trio") as worker:
        scene.drafted(client)
        client.session("anna").append({"from": "you", "text": "Take your time."})
        client.append("anna-1", "approved", {"by": "you"})
        worker.communicate(timeout=BOUND)
        assert worker.returncode == 0, scene.log.read_text()
        said = [entry.value["from"] for entry in client.session("anna")]
        assert said == ["you", "you", "anna-1"]
        assert client.get("anna-1").claims == 1


@pytest.mark.parametrize("name", ["work", "approve"])
def test_a_process_that_does_not_exist_is_one_sentence(scene: Scene, name: str) -> None:
    with scene.client():
        pass  # the store is there, and empty
    done = subprocess.run(
        scene.command(name), cwd=scene.folder, capture_output=True, text=True, timeout=BOUND, check=False
    )
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].endswith("there is no process 'anna-1' in this store")
    assert "Traceback" not in done.stderr


def test_the_page_is_short_its_links_lead_somewhere_and_the_index_has_it() -> None:
    assert PAGE.read_text().count("\n") <= 120
    for link in links(PAGE):
        assert (PAGE.parent / link).exists(), link
    for page in (ROOT / "README.md", ROOT / "docs" / "README.md"):
        assert PAGE in [(page.parent / link).resolve() for link in links(page)]


def test_the_example_is_short_and_has_what_the_page_points_at() -> None:
    source = (PAGE.parent / "report.py").read_text()
    assert source.count("\n") < 200
    pointed = re.findall(
        r"`([\w.]+)[^`]*`", " ".join(re.findall(r"^\| (`[^|]+) \|", PAGE.read_text(), re.MULTILINE))
    )
    assert len(pointed) > 10
    for name in pointed:
        assert re.search(rf"\b{name.rpartition('.')[2]}\b", source), name


def test_every_command_of_the_page_is_run_here() -> None:
    assert set(SHOWN) == {"ask", "work", "approve", "show", "tenure events", "tenure show"}


def attachments(client: BlockingClient) -> dict[str, str]:
    """Where each effect put its text."""
    read = client.submit(ReadEffects("anna-1"))
    assert isinstance(read, Succeeded)
    assert isinstance(read.reply, EffectsRead)
    results = {effect.key: parsed(effect.result) for effect in read.reply.effects}
    assert set(results) == {"search", "fetch lease", "fetch token", "fetch zombie"}
    return {key: content["id"] for key, content in results.items() if key != "search"}
