"""The tables of attachments and artifacts, beside the registry's; made when a store of contents is first opened.

A content's row is there from its first chunks on, as `uploading`; `kept` makes it visible, in the transaction of its
last chunks. `removing` is on its way out, a few chunks at a time. Numbers are never used again (AUTOINCREMENT), so that
a writer whose upload was removed cannot write into another one.
"""

from __future__ import annotations

FIRST = "contents"
TABLES = (
    """
    CREATE TABLE contents (
      number INTEGER PRIMARY KEY AUTOINCREMENT,
      what TEXT NOT NULL,                       -- attachment or artifact
      state TEXT NOT NULL CHECK (state IN ('uploading', 'removing', 'kept')),
      written_at INTEGER NOT NULL,              -- store time, ms: when chunks were last added
      id TEXT NOT NULL,                         -- of what is kept: SHA-256 in hex
      size INTEGER NOT NULL,
      name TEXT NOT NULL,
      media_type TEXT NOT NULL
    ) STRICT
    """,
    "CREATE UNIQUE INDEX contents_kept ON contents (what, id) WHERE state = 'kept'",
    "CREATE INDEX contents_unkept ON contents (state, written_at) WHERE state <> 'kept'",
    """
    CREATE TABLE content_chunks (
      content INTEGER NOT NULL,                 -- contents.number
      n INTEGER NOT NULL,
      digest BLOB NOT NULL,                     -- SHA-256 of the content up to and with this chunk
      body BLOB NOT NULL,
      PRIMARY KEY (content, n)
    ) STRICT
    """,
)
