# SPDX-License-Identifier: Apache-2.0
"""A crawler that waits for many pages at once, for crawler.escript."""

import asyncio
from html.parser import HTMLParser


class _Page(HTMLParser):
    """The title of a page, and where its links lead."""

    def __init__(self, text):
        super().__init__()
        self.title = ""
        self.links = []
        self._in_title = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self._in_title = tag == "title"
        if tag == "a":
            self.links += [value for name, value in attrs if name == "href"]

    def handle_endtag(self, tag):
        self._in_title = False

    def handle_data(self, data):
        if self._in_title:
            self.title += data


# A host takes only so many connections of one worker at a time.
_connections = asyncio.Semaphore(64)


async def fetch(port, path):
    """A page's title and links; OSError says what the server has said."""
    async with _connections:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
    status = head.split(b"\r\n")[0].decode()
    if " 200 " not in status:
        raise OSError(f"{path}: {status}")
    page = _Page(body.decode())
    return page.title, page.links
