"""A GET request that stays on http and https: nothing else can be asked for, not even by a redirect."""

from http.client import HTTPMessage, HTTPResponse
from typing import Any, cast
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

MAX_REDIRECTS = 5

Response = HTTPResponse


class UnsafeAddressError(ValueError):
    """An address that is not followed; the sentence says why."""


class _Redirects(HTTPRedirectHandler):
    """Follows a few redirects, never off http and https and never back from https to http."""

    max_redirections = MAX_REDIRECTS
    max_repeats = 1

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """The request that follows a redirect."""
        check_scheme(newurl)
        if urlsplit(req.full_url).scheme == "https" and urlsplit(newurl).scheme != "https":
            raise UnsafeAddressError(f"it redirects from https to {newurl!r:.200}, which is not encrypted")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_scheme(url: str) -> None:
    """Refuse whatever is not http or https.

    Raises:
        UnsafeAddressError: another scheme.

    Example:
        >>> check_scheme("file:///etc/passwd")
        Traceback (most recent call last):
        earmark.fetching.web.UnsafeAddressError: 'file:///etc/passwd' is no http or https address
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise UnsafeAddressError(f"{url!r:.200} is no http or https address")


def get(url: str, headers: dict[str, str], timeout: float) -> Response:
    """Ask for a file; the caller reads and closes the answer.

    Args:
        url: http or https.
        headers: beside the usual ones.
        timeout: seconds without a byte before the connection is given up.

    Raises:
        UnsafeAddressError: the address, or one that it redirects to, is not followed.
        urllib.error.HTTPError: the server answers with an error.
        OSError: there is no connection, or it breaks.
    """
    check_scheme(url)
    opener = OpenerDirector()  # by hand: build_opener would add file, ftp and data
    for handler in (
        ProxyHandler(),
        HTTPHandler(),
        HTTPSHandler(),
        HTTPDefaultErrorHandler(),
        _Redirects(),
        HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    usual = {"User-Agent": "earmark", "Accept-Encoding": "identity"}
    answer = opener.open(Request(url, headers=usual | headers), timeout=timeout)
    return cast(Response, answer)
