"""The SDK's errors."""

# mypy: ignore-errors

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2


class AnthropicError(Exception):
    """Base of the SDK's errors."""


class APIError(AnthropicError):
    """A call failed."""

    def __init__(self, message: str, request: httpx2.Request, *, body: object | None) -> None:
        super().__init__(message)
        self.message = message
        self.request = request
        self.body = body


class APIResponseValidationError(APIError):
    """The answer is not what the API promises."""

    def __init__(
        self, response: httpx2.Response, body: object | None, *, message: str | None = None
    ) -> None:
        super().__init__(message or "Data returned by API invalid.", response.request, body=body)
        self.response = response
        self.status_code = response.status_code


class APIConnectionError(APIError):
    """No answer came."""

    def __init__(self, *, message: str = "Connection error.", request: httpx2.Request) -> None:
        super().__init__(message, request, body=None)


class APITimeoutError(APIConnectionError):
    """No answer came in time."""

    def __init__(self, request: httpx2.Request) -> None:
        super().__init__(message="Request timed out.", request=request)


class APIStatusError(APIError):
    """The answer has a status of 4xx or 5xx."""

    def __init__(self, message: str, *, response: httpx2.Response, body: object | None) -> None:
        super().__init__(message, response.request, body=body)
        error = body.get("error", {}) if isinstance(body, dict) else {}
        self.response = response
        self.status_code = response.status_code
        self.request_id = response.headers.get("request-id")
        self.api_message = error.get("message")
        self.type = error.get("type")
        self.error_code: str | None = None
        self.details: Any = None


class BadRequestError(APIStatusError):
    """400."""


class AuthenticationError(APIStatusError):
    """401."""


class PermissionDeniedError(APIStatusError):
    """403."""


class NotFoundError(APIStatusError):
    """404."""


class ConflictError(APIStatusError):
    """409."""


class RequestTooLargeError(APIStatusError):
    """413."""


class UnprocessableEntityError(APIStatusError):
    """422."""


class RateLimitError(APIStatusError):
    """429."""


class InternalServerError(APIStatusError):
    """5xx."""


class ServiceUnavailableError(InternalServerError):
    """503."""


class OverloadedError(InternalServerError):
    """529."""


BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    413: RequestTooLargeError,
    422: UnprocessableEntityError,
    429: RateLimitError,
    503: ServiceUnavailableError,
    529: OverloadedError,
}
SERVER_ERROR = 500


def status_error(response: httpx2.Response) -> APIStatusError:
    """Build the error for a response with a status of 4xx or 5xx."""
    try:
        body = response.json()
    except ValueError:
        body = response.text
    status = response.status_code
    usual = InternalServerError if status >= SERVER_ERROR else APIStatusError
    kind = BY_STATUS.get(status, usual)
    return kind(f"Error code: {status} - {body}", response=response, body=body)
