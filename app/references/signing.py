"""Signatures of requests to S3 stores, by botocore, which is needed for that alone."""

from __future__ import annotations

from app.errors import ReferenceUnresolved
from app.settings import Settings


def signed(url: str, settings: Settings) -> dict[str, str]:
    """Return the headers that sign a GET of ``url`` (AWS Signature Version 4); none without an access key.

    Raises:
        ReferenceUnresolved: botocore is not installed.
    """
    if not settings.s3_access_key_id:
        return {}
    try:
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials
    except ImportError:
        raise ReferenceUnresolved(
            "References to buckets with an access key need botocore, which is not installed here."
        ) from None
    token = settings.s3_session_token or None
    credentials = Credentials(settings.s3_access_key_id, settings.s3_secret_access_key, token)
    request = AWSRequest("GET", url)
    S3SigV4Auth(credentials, "s3", settings.s3_region).add_auth(request)
    return dict(request.headers.items())
