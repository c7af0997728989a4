"""What a library with an S3 client of its own must know to reach what a path reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from upath import UPath


def s3_options(path: UPath) -> dict[str, str]:
    """Address and credentials of a path's bucket, as the library behind deltalake names them."""
    from fsspec.asyn import sync

    files: Any = path.fs
    found = sync(files.loop, _credentials, files)
    options = {
        "AWS_ENDPOINT_URL": files.s3.meta.endpoint_url,
        "AWS_REGION": files.s3.meta.region_name or "us-east-1",
        "AWS_ALLOW_HTTP": str(files.s3.meta.endpoint_url.startswith("http://")).lower(),
        **found,
    }
    return {key: value for key, value in options.items() if value}


async def _credentials(files: Any) -> dict[str, str]:
    session = await files.set_session() and files.session
    if files.key:
        return {"AWS_ACCESS_KEY_ID": files.key, "AWS_SECRET_ACCESS_KEY": files.secret, "AWS_SESSION_TOKEN": files.token}
    found = await session.get_credentials()
    if found is None:
        return {"AWS_SKIP_SIGNATURE": "true"}
    frozen = await found.get_frozen_credentials()
    return {
        "AWS_ACCESS_KEY_ID": frozen.access_key,
        "AWS_SECRET_ACCESS_KEY": frozen.secret_key,
        "AWS_SESSION_TOKEN": frozen.token,
    }
