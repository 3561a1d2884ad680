"""What a handler and a client hold of a session: its head, the path to it, and the calls that change it (B7)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from attrs import frozen

from tenure.asks import AskFunction, CallPlain
from tenure.canonical import Json, canonical, digest, parsed
from tenure.errors import (
    EntryConflict,
    EntryNotFound,
    ForkedProcess,
    HeadMoved,
    InvalidValue,
    LeaseLost,
    SessionBusy,
    SessionCorrupt,
    SessionFull,
    SessionUnavailable,
)
from tenure.kinds import Converter, string
from tenure.replies import Fenced, Unavailable, Unknown
from tenure.sessions import (
    Appended,
    AppendEntry,
    Delete,
    Deleted,
    Entry,
    Moved,
    MoveHead,
    Open,
    Opened,
    PathRead,
    ReadPath,
    ReadTree,
    Residency,
    SessionFence,
    SessionPolicy,
    SessionReason,
    SessionRefused,
    SessionRequest,
    SessionStore,
    SessionStoreFactory,
    TreeRead,
    session_name,
)

T = TypeVar("T")

TRIES = 3
"""How often a request is sent that the store could not answer. The core has no clock: who waits longer, repeats."""
FOR_GOOD = (SessionCorrupt, SessionFull, InvalidValue)
"""What `open_session` raises that no other try and no other worker could change (CONTRACT §7)."""
ID_LENGTH = 32
"""Hexadecimal characters of an entry's id."""


async def open_session(
    ask: AskFunction,
    factory: SessionStoreFactory,
    session_id: str,
    policy: SessionPolicy,
    residency: Residency,
    fence: SessionFence | None,
    convert: Converter,
) -> Session:
    """Open the session and load what the residency says. Under a fence it raises the session's watermark, so that no
    earlier attempt of the process writes any more (CONTRACT §8).

    Permanent: InvalidValue (the id), SessionCorrupt, SessionFull. Transient: SessionUnavailable, for whatever else the
    factory or its store raise (W4). LeaseLost: a later attempt has opened it.
    """
    name = session_name(session_id)
    store: SessionStore = await _called(ask, name, "opening it", factory.open, name, policy)
    session = Session(ask, store, name, policy, residency, fence, convert)
    await session.refresh()
    return session


class Session:
    """An append-only tree of JSON entries with a head; what is held in memory is the path from its root to the head,
    with `Residency.KEEP_ALL` the whole tree.

    A handler runs again after a crash, and its appends and forks with it: the n-th append without a key is the n-th
    of the earlier attempt, and is answered with what that stored; so it is with equal keys, and with the n-th fork.
    One call at a time; what a call did that was cancelled or raised SessionUnavailable is settled by repeating it.

    All calls raise SessionUnavailable, SessionBusy, and LeaseLost once a later attempt has opened the session.
    """

    def __init__(
        self,
        ask: AskFunction,
        store: SessionStore,
        session_id: str,
        policy: SessionPolicy,
        residency: Residency,
        fence: SessionFence | None,
        convert: Converter,
    ) -> None:
        self._ask, self._store, self._id, self._policy = ask, store, session_id, policy
        self._fence, self._convert = fence, convert
        self._path: list[Entry] = []
        self._tree: dict[str, Entry] | None = {} if residency is Residency.KEEP_ALL else None
        self._appended = self._moved = 0
        self._running: Coroutine[Any, Any, object] | None = None

    def over(self, ask: AskFunction) -> Session:
        """The same session as it stands, for a caller that asks by another `ask`, such as a plain handler, whose calls
        block. The two know nothing of each other's appends."""
        residency = Residency.ACTIVE_PATH_ONLY if self._tree is None else Residency.KEEP_ALL
        other = Session(ask, self._store, self._id, self._policy, residency, self._fence, self._convert)
        other._path = list(self._path)
        if other._tree is not None:
            other._tree.update(self._tree or {})
        other._appended, other._moved = self._appended, self._moved
        return other

    @property
    def id(self) -> str:
        """The session's id."""
        return self._id

    @property
    def head(self) -> str:
        """The id of the entry that the next append follows; "" in an empty session."""
        return self._path[-1].id if self._path else ""

    @property
    def path(self) -> tuple[Entry, ...]:
        """The entries from the root to the head."""
        return tuple(self._path)

    @property
    def tree(self) -> tuple[Entry, ...]:
        """All entries, in the order in which they were appended. Raises InvalidValue where only the path is held."""
        if self._tree is None:
            raise InvalidValue(
                f"session {self._id!r} holds its active path only; open it with Residency.KEEP_ALL to see the tree"
            )
        return tuple(self._tree.values())

    def __iter__(self) -> Iterator[Entry]:
        """Over the path."""
        return iter(self.path)

    async def append(self, body: Any, *, key: str | None = None) -> Entry:
        """Append an entry after the head, and move the head to it; the entry as it is stored.

        With a key it is appended once per process, by whichever attempt comes first; a client's once per session.
        A client's without a key is told by its parent and body. An entry that was there before is answered, and the
        head is then where the store has it (a client's goes to the entry, if that follows it).

        Raises HeadMoved where somebody else wrote, EntryConflict for a key that has another body, SessionFull, NotJson,
        TooLarge.
        """
        return await self._alone(self._append(body, key))

    async def fork(self, entry_id: str) -> None:
        """Move the head to another entry of the tree: the next append begins a branch there.

        Raises EntryNotFound, and HeadMoved where somebody else wrote.
        """
        await self._alone(self._fork(entry_id))

    async def refresh(self) -> None:
        """Load the session again, with what others wrote to it. Raises SessionCorrupt, SessionFull."""
        await self._alone(self._load())

    async def delete(self) -> None:
        """Remove the session and its entries; an append begins a new one."""
        await self._alone(self._delete())

    async def _alone(self, running: Coroutine[Any, Any, T]) -> T:
        if self._running is not None:
            running.close()
            raise SessionBusy(self._id)
        self._running = running
        try:
            return await running
        finally:
            self._running = None

    # --- changes --------------------------------------------------------------------------------------------------

    async def _append(self, body: Any, key: str | None) -> Entry:
        what = f"an entry of session {self._id!r}"
        text = canonical(self._convert.unstructure(body), what, self._policy.entry_bytes)
        if key is not None:
            name = "=" + string(key, f"session {self._id!r}: the key of an append")
        else:
            name = f"#{self._appended + 1}"
        entry_id = self._entry_id(name, text, keyed=key is not None)
        request = AppendEntry(entry_id, self.head, text, self._fence)
        done = await self._reply(request, Appended, "an append", entry_id, name)
        if done.head == done.entry.id and done.entry.parent == self.head:
            self._path.append(done.entry)
            if self._tree is not None:
                self._tree[done.entry.id] = done.entry
        elif done.head != self.head:
            await self._load()
        elif self._fence is None and done.entry.parent == self.head:
            # It follows the head already, which was taken back since: a client that says it again goes on from there.
            await self._fork(done.entry.id)
        if key is None:
            # Last, so that an append that was cut short keeps its number, and is replayed when it is repeated.
            self._appended += 1
        return done.entry

    def _entry_id(self, name: str, text: Json, *, keyed: bool) -> str:
        """The same for the same append, whichever attempt makes it.

        A client has no attempts that could be counted. Its append without a key is known by where it goes and what it
        says: repeated, it is found again; the same said twice in a row has another parent the second time.
        """
        if self._fence is not None:
            source = ["process", self._fence.registry, self._fence.process_id, name]
        elif keyed:
            source = ["client", name]
        else:
            source = ["client", self.head, digest(text)]
        return digest(canonical(source, f"session {self._id!r}: the key of an append"))[:ID_LENGTH]

    async def _fork(self, entry_id: str) -> None:
        to = string(entry_id, f"session {self._id!r}: the entry to fork at")
        n = self._moved + 1 if self._fence is not None else 0
        done = await self._reply(MoveHead(self.head, to, n, self._fence), Moved, "a fork", to)
        held = self._tree if self._tree is not None else {entry.id: entry for entry in self._path}
        if done.head in held:
            self._path = _path_in(held, done.head)
        else:
            await self._load()
        self._moved = n

    async def _delete(self) -> None:
        await self._reply(Delete(self._fence), Deleted, "deleting it")
        self._path = []
        if self._tree is not None:
            self._tree = {}

    # --- loading --------------------------------------------------------------------------------------------------

    async def _load(self) -> None:
        tried = 0
        while True:
            tried += 1
            opened = await self._reply(Open(self._fence), Opened, "opening it")
            try:
                if self._tree is None:
                    self._path = await self._read_path(opened)
                else:
                    tree = await self._read_tree(opened)
                    self._tree, self._path = tree, _path_in(tree, opened.head)
                return
            except SessionCorrupt:  # so it also looks where somebody deleted it while it was read
                if tried == TRIES:
                    raise

    async def _read_path(self, opened: Opened) -> list[Entry]:
        path: list[Entry] = []
        wanted, said_by = opened.head, "it is the head"
        while wanted:
            page = await self._reply(ReadPath(wanted), PathRead, "reading its path")
            if not page.entries:
                raise SessionCorrupt(self._id, wanted, f"it does not exist, though {said_by}")
            for entry in page.entries:
                self._check(entry)
                if entry.id != wanted or (path and entry.seq >= path[-1].seq):
                    raise SessionCorrupt(
                        self._id, wanted, f"what is stored there is no older entry, though {said_by}"
                    )
                path.append(entry)
                wanted, said_by = entry.parent, f"it is the parent of {entry.id!r}"
        path.reverse()
        self._check_head(opened)
        return path

    async def _read_tree(self, opened: Opened) -> dict[str, Entry]:
        tree: dict[str, Entry] = {}
        after = 0
        while entries := (await self._reply(ReadTree(after), TreeRead, "reading its tree")).entries:
            for entry in entries:
                self._check(entry)
                if entry.seq <= after or entry.id in tree:
                    raise SessionCorrupt(self._id, entry.id, "it is stored twice")
                if entry.parent and entry.parent not in tree:
                    raise SessionCorrupt(
                        self._id, entry.id, f"its parent {entry.parent!r} is no entry before it"
                    )
                tree[entry.id] = entry
                after = entry.seq
        if opened.head and opened.head not in tree:
            raise SessionCorrupt(self._id, opened.head, "it does not exist, though it is the head")
        if len(tree) < opened.entries:
            said = f"{len(tree)} entries are stored, and {opened.entries} were appended"
            raise SessionCorrupt(self._id, opened.head, said)
        self._check_head(opened)
        return tree

    def _check_head(self, opened: Opened) -> None:
        if opened.entries and not opened.head:
            raise SessionCorrupt(self._id, "", "it has entries, but no head")

    def _check(self, entry: Entry) -> None:
        try:
            if canonical(parsed(entry.body)) == entry.body:
                return
        except (ValueError, TypeError, RecursionError):
            pass
        raise SessionCorrupt(self._id, entry.id, "its body is not canonical JSON")

    # --- asking ---------------------------------------------------------------------------------------------------

    async def _reply(
        self, request: SessionRequest, kind: type[T], doing: str, entry_id: str = "", key: str = ""
    ) -> T:
        """The store's reply; a request that it could not answer is sent again, which changes nothing twice."""
        cause = "the store gave no cause"
        for _ in range(TRIES):
            answer: object = await _called(self._ask, self._id, doing, self._store.execute, request)
            match answer:
                case Unavailable() | Unknown():
                    cause = answer.cause or cause
                case SessionRefused():
                    raise self._refusal(answer, entry_id, key)
                case Fenced() if self._fence is not None:
                    raise LeaseLost(self._fence.process_id)
                case _ if isinstance(answer, kind):
                    return answer
                case _:
                    raise SessionUnavailable(self._id, doing, f"the store answered {answer!r}")
        raise SessionUnavailable(self._id, doing, cause)

    def _refusal(self, refused: SessionRefused, entry_id: str, key: str) -> Exception:
        match refused.reason:
            case SessionReason.HEAD_MOVED:
                return HeadMoved(self._id, self.head, refused.head)
            case SessionReason.UNKNOWN_ENTRY:
                return EntryNotFound(self._id, entry_id)
            case SessionReason.CONFLICT:
                return EntryConflict(self._id, entry_id, key)
            case SessionReason.BAD_TEXT:
                return InvalidValue(f"session {self._id!r}: {refused.detail}")
            case _:
                return SessionFull(self._id, refused.reason.value, refused.detail)


def _path_in(tree: dict[str, Entry], head: str) -> list[Entry]:
    """The entries from the root to the head, which are all there."""
    path: list[Entry] = []
    while head:
        path.append(tree[head])
        head = tree[head].parent
    path.reverse()
    return path


@frozen(eq=False)
class _Raised:
    """What a user's function raised, told apart from what `ask` itself raises."""

    error: Exception


def _caught(fn: Callable[..., Any], *args: Any) -> Any:
    try:
        return fn(*args)
    except Exception as raised:
        return _Raised(raised)


async def _called(ask: AskFunction, session_id: str, doing: str, fn: Callable[..., Any], *args: Any) -> Any:
    """What the blocking function returns. What it raises is trouble that may pass, unless it is a verdict (W4)."""
    result = await ask(CallPlain(_caught, (fn, *args)))
    if not isinstance(result, _Raised):
        return result
    error = result.error
    if isinstance(error, SessionCorrupt | SessionFull | SessionUnavailable | ForkedProcess):
        raise error
    raise SessionUnavailable(session_id, doing, f"{type(error).__name__}: {error}") from error
